//! Notices that were given up.

use reqwest::Method;
use strongroom_domain::ObjectId;

use super::routes::NONE;
use super::{Client, Result};
use crate::dead_letters::{DeadLetter, TellDeadLetter, UntoldNotice};
use crate::{Page, PageQuery};

impl Client {
    pub async fn dead_letters(&self, query: &PageQuery) -> Result<Page<DeadLetter>> {
        self.call(Method::GET, "dead-letters", query, NONE).await
    }

    /// None: it is taken, or forgotten.
    pub async fn tell_dead_letter(&self, id: ObjectId, body: &TellDeadLetter) -> Result<Option<UntoldNotice>> {
        self.call(Method::POST, &format!("dead-letters/{id}"), &(), Some(body))
            .await
    }
}
