//! What an operator says about a secret.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What a secret is for. It sets due dates and alarms, never behaviour of reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
pub enum SecretType {
    #[default]
    Generic,
    Password,
    Database,
    Redis,
    ApiKey,
    SigningKey,
    Certificate,
    AwsCredentials,
    Webhook,
    File,
    Config,
}

/// The most versions a secret may be told to keep.
pub const MAX_VERSIONS: u32 = 1000;
/// The longest a version may be told to live: ten years, in seconds.
const MAX_DELETE_AFTER: u64 = 10 * 366 * 86_400;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Metadata {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, rename = "type")]
    pub secret_type: SecretType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// How many versions are kept; absent: as many as the server's setting says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_versions: Option<u32>,
    /// Whether a write must say which version it has seen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cas_required: bool,
    /// Seconds after which a version written from now on counts as deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after: Option<u64>,
}

impl Metadata {
    /// Bounds: description 2,048 bytes, owner 256, 50 tags with keys of 128 and values of 256 bytes, 1 to 1,000 versions
    /// kept, each for 1 second to 10 years.
    pub fn check(&self) -> Result<()> {
        check_said(self.description.as_deref(), self.owner.as_deref(), &self.tags)?;
        if !self.max_versions.is_none_or(|kept| (1..=MAX_VERSIONS).contains(&kept)) {
            return Err(Error::invalid("'max_versions' is 1 to 1,000."));
        }
        if !self
            .delete_after
            .is_none_or(|seconds| (1..=MAX_DELETE_AFTER).contains(&seconds))
        {
            return Err(Error::invalid("'delete_after' is 1 second to 10 years, in seconds."));
        }
        Ok(())
    }
}

/// What people say about an object: a description of at most 2,048 bytes, an owner of 256, and 50 tags.
pub fn check_said(description: Option<&str>, owner: Option<&str>, tags: &BTreeMap<String, String>) -> Result<()> {
    let within = |text: Option<&str>, limit| text.is_none_or(|text| text.len() <= limit);
    if !within(description, 2048) {
        return Err(Error::invalid("'description' has more than 2,048 bytes."));
    }
    if !within(owner, 256) {
        return Err(Error::invalid("'owner' has more than 256 bytes."));
    }
    check_tags("tags", tags, 50)
}

/// What somebody writes on something: keys of 1 to 128 and values of at most 256 bytes.
pub fn check_tags(what: &str, tags: &BTreeMap<String, String>, most: usize) -> Result<()> {
    let fits = |(key, value): (&String, &String)| (1..=128).contains(&key.len()) && value.len() <= 256;
    if tags.len() <= most && tags.iter().all(fits) {
        Ok(())
    } else {
        Err(Error::invalid(format!(
            "'{what}' has at most {most} entries, with keys of 1 to 128 and values of at most 256 bytes."
        )))
    }
}
