//! The error answer: RFC 9457, with the code, the next step and the request's id.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::Error;

/// The media type of an error answer.
pub const CONTENT_TYPE: &str = "application/problem+json";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A URN made of the code: an identifier, not an address to fetch.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub code: String,
    pub help: String,
    /// Empty inside a batch, whose answer carries the id once.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// What names this denial to `POST /api/v1/explain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial_id: Option<String>,
}

impl Problem {
    /// `status` is the dialect's own rendering of the code.
    pub fn new(error: &Error, status: u16, request_id: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:strongroom:error:{}", error.code.name()),
            title: error.code.title().to_owned(),
            status,
            detail: error.detail.clone(),
            code: error.code.name().to_owned(),
            help: error.code.help().to_owned(),
            request_id: request_id.into(),
            denial_id: error.denial().map(|denial| denial.to_string()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.detail.is_empty() {
            &self.title
        } else {
            &self.detail
        })
    }
}

impl std::error::Error for Problem {}
