//! Feature flags.

use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use strongroom_domain::ObjectId;
use strongroom_domain::flag::{FlagPath, FlagSetName};

use super::routes::NONE;
use super::{Client, Result, answer, refusal};
use crate::flags::{
    BrowserKeys, ChangeFlag, CopyFlags, CountsQuery, CreatedBrowserKey, EvaluationCount, Flag, FlagHistory,
    FlagSetNamed, FlagdDocument, FlagsWritten, NewBrowserKey, WriteFlag,
};
use crate::ofrep::{Evaluate, Evaluated, Evaluations, Refused};
use crate::reports::{ReportQuery, StaleFlag};
use crate::{Page, PageQuery};

impl Client {
    pub async fn flag_sets(&self, query: &PageQuery) -> Result<Page<FlagSetNamed>> {
        self.call(Method::GET, "flag-sets", query, NONE).await
    }

    pub async fn flags(&self, set: &FlagSetName, query: &PageQuery) -> Result<Page<Flag>> {
        self.call(Method::GET, &format!("flags/{set}"), query, NONE).await
    }

    pub async fn flag(&self, path: &FlagPath) -> Result<Flag> {
        self.call(Method::GET, &format!("flags/{path}"), &(), NONE).await
    }

    pub async fn write_flag(&self, path: &FlagPath, body: &WriteFlag) -> Result<Flag> {
        self.call(Method::PUT, &format!("flags/{path}"), &(), Some(body)).await
    }

    pub async fn delete_flag(&self, path: &FlagPath) -> Result<()> {
        let IgnoredAny = self.call(Method::DELETE, &format!("flags/{path}"), &(), NONE).await?;
        Ok(())
    }

    pub async fn flag_history(&self, path: &FlagPath) -> Result<FlagHistory> {
        self.call(Method::GET, &format!("flag-versions/{path}"), &(), NONE)
            .await
    }

    pub async fn change_flag(&self, path: &FlagPath, body: &ChangeFlag) -> Result<Flag> {
        self.call(Method::POST, &format!("flag-versions/{path}"), &(), Some(body))
            .await
    }

    pub async fn flag_counts(&self, path: &FlagPath, query: &CountsQuery) -> Result<Page<EvaluationCount>> {
        self.call(Method::GET, &format!("flag-evaluations/{path}"), query, NONE)
            .await
    }

    pub async fn stale_flags(&self, query: &ReportQuery) -> Result<Page<StaleFlag>> {
        self.call(Method::GET, "reports/stale-flags", query, NONE).await
    }

    pub async fn flagd_document(&self, set: &FlagSetName) -> Result<FlagdDocument> {
        self.call(Method::GET, &format!("flag-sets/{set}/flagd.json"), &(), NONE)
            .await
    }

    pub async fn import_flags(&self, set: &FlagSetName, body: &FlagdDocument) -> Result<FlagsWritten> {
        self.call(Method::PUT, &format!("flag-sets/{set}/flagd.json"), &(), Some(body))
            .await
    }

    pub async fn copy_flags(&self, to: &FlagSetName, body: &CopyFlags) -> Result<FlagsWritten> {
        self.call(Method::POST, &format!("flag-sets/{to}/copy"), &(), Some(body))
            .await
    }

    pub async fn browser_keys(&self, set: &FlagSetName) -> Result<BrowserKeys> {
        self.call(Method::GET, &format!("flag-sets/{set}/browser-keys"), &(), NONE)
            .await
    }

    pub async fn create_browser_key(&self, set: &FlagSetName, body: &NewBrowserKey) -> Result<CreatedBrowserKey> {
        self.call(Method::POST, &format!("flag-sets/{set}/browser-keys"), &(), Some(body))
            .await
    }

    pub async fn delete_browser_key(&self, set: &FlagSetName, id: ObjectId) -> Result<()> {
        let path = format!("flag-sets/{set}/browser-keys/{id}");
        let IgnoredAny = self.call(Method::DELETE, &path, &(), NONE).await?;
        Ok(())
    }

    /// What a flag gives, or why it gives nothing.
    pub async fn evaluate(&self, path: &FlagPath, body: &Evaluate) -> Result<std::result::Result<Evaluated, Refused>> {
        self.ofrep(&path.set, &format!("/{}", path.key), body).await
    }

    pub async fn evaluate_all(
        &self,
        set: &FlagSetName,
        body: &Evaluate,
    ) -> Result<std::result::Result<Evaluations, Refused>> {
        self.ofrep(set, "", body).await
    }

    async fn ofrep<A: DeserializeOwned>(
        &self,
        set: &FlagSetName,
        key: &str,
        body: &impl Serialize,
    ) -> Result<std::result::Result<A, Refused>> {
        let path = format!("/flags/{set}/ofrep/v1/evaluate/flags{key}");
        let (status, body) = self.send(Method::POST, &path, &(), Some(body)).await?;
        match status {
            StatusCode::OK => answer(status, body.as_ref()).map(Ok),
            // A denial, or a server that cannot serve, is told as everywhere.
            _ => match serde_json::from_slice(body.as_ref()) {
                Ok(refused) => Ok(Err(refused)),
                Err(_) => Err(refusal(status, body.as_ref())),
            },
        }
    }
}
