//! `GET PUT PATCH POST DELETE metadata/{path}`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use strongroom_domain::Time;
use strongroom_domain::metadata::{Metadata, SecretType};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    pub path: String,
    pub description: Option<String>,
    #[serde(rename = "type")]
    pub secret_type: SecretType,
    pub owner: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// Absent: as many as the server's setting `limits.versions` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_versions: Option<u32>,
    #[serde(default)]
    pub cas_required: bool,
    /// In seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after: Option<u64>,
    /// 0: the secret has no current version.
    pub current_version: i64,
    /// Pending deletion: until then it can be restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_until: Option<Time>,
    /// By minute, and up to two minutes late; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Time>,
    /// When its current version is as old as one of its type should get. Absent: its type has no such age, or it is rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Time>,
    pub created_at: Time,
    pub updated_at: Time,
}

/// The whole of it: what is left out is emptied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "DescribeSecret")]
pub struct Describe {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub description: Option<String>,
    #[serde(rename = "type")]
    pub secret_type: SecretType,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub owner: Option<String>,
    #[schemars(extend("maxProperties" = 50))]
    pub tags: BTreeMap<String, String>,
    /// 1 to 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_versions: Option<u32>,
    /// Writes must send `cas`.
    pub cas_required: bool,
    /// Seconds after which a version written from now on counts as deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 316_224_000))]
    pub delete_after: Option<u64>,
}

impl From<Describe> for Metadata {
    fn from(
        Describe {
            description,
            secret_type,
            owner,
            tags,
            max_versions,
            cas_required,
            delete_after,
        }: Describe,
    ) -> Self {
        Self {
            description,
            secret_type,
            owner,
            tags,
            max_versions,
            cas_required,
            delete_after,
        }
    }
}

/// A JSON merge patch (RFC 7396): a field left out stays, `null` empties it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "PatchMetadata")]
pub struct Patch {
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub description: Option<Option<String>>,
    #[serde(rename = "type", deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub secret_type: Option<Option<SecretType>>,
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub owner: Option<Option<String>>,
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub tags: Option<Option<BTreeMap<String, Option<String>>>>,
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_versions: Option<Option<u32>>,
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub cas_required: Option<Option<bool>>,
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 316_224_000))]
    pub delete_after: Option<Option<u64>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeSecret {
    pub action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SecretAction")]
pub enum Action {
    /// Takes back a pending deletion.
    Restore,
}

/// How a secret goes: with a time to restore it, 7 days unless said, or at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeleteQuery {
    /// 7 to 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 7, max = 30))]
    pub recovery_days: Option<u16>,
    pub purge: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retired {
    pub path: String,
    pub pending_until: Time,
}

/// Told apart from a field left out, which `default` makes `None`.
#[expect(clippy::option_option, reason = "left out, null and given are three things here")]
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Patch {
    pub fn apply(self, metadata: &mut Metadata) {
        if let Some(description) = self.description {
            metadata.description = description;
        }
        if let Some(secret_type) = self.secret_type {
            metadata.secret_type = secret_type.unwrap_or_default();
        }
        if let Some(owner) = self.owner {
            metadata.owner = owner;
        }
        if let Some(max_versions) = self.max_versions {
            metadata.max_versions = max_versions;
        }
        if let Some(cas_required) = self.cas_required {
            metadata.cas_required = cas_required.unwrap_or_default();
        }
        if let Some(delete_after) = self.delete_after {
            metadata.delete_after = delete_after;
        }
        match self.tags {
            None => {}
            Some(None) => metadata.tags.clear(),
            Some(Some(tags)) => {
                for (key, value) in tags {
                    match value {
                        Some(value) => metadata.tags.insert(key, value),
                        None => metadata.tags.remove(&key),
                    };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_sets_keeps_and_empties() {
        let whole: Describe =
            crate::parse(br#"{"description":"d","owner":"o","type":"api-key","tags":{"a":"1","b":"2"}}"#).unwrap();
        let mut metadata = Metadata::from(whole);
        let patch: Patch = crate::parse(br#"{"owner":null,"tags":{"a":null,"c":"3"}}"#).unwrap();
        patch.apply(&mut metadata);
        assert_eq!((metadata.description.as_deref(), metadata.owner), (Some("d"), None));
        assert_eq!(metadata.secret_type, SecretType::ApiKey);
        assert_eq!(
            metadata.tags,
            BTreeMap::from([("b".into(), "2".into()), ("c".into(), "3".into())])
        );
        assert_eq!(
            serde_json::to_string(&Patch {
                owner: Some(None),
                ..Patch::default()
            })
            .unwrap(),
            r#"{"owner":null}"#
        );
        assert!(crate::parse::<Patch>(br#"{"ower":null}"#).is_err());
    }
}
