//! What a node remembers of manifests, and that they were put back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use strongroom_domain::manifest::is_ahead;
use strongroom_domain::{Code, Error, NamespaceId, Record, Result, Touch};

use super::Manifest;

#[derive(Default)]
pub(crate) struct Known {
    state: Mutex<State>,
    put_back: ArcSwapOption<PutBack>,
}

/// The greatest number that this node has seen, and the MAC of the top that had it, if that was read.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    number: i64,
    mac: Option<Vec<u8>>,
}

#[derive(Default)]
struct State {
    seen: Seen,
    /// The last one that was read of each namespace, and whether it is the newest still.
    of: HashMap<NamespaceId, (Arc<Manifest>, bool)>,
}

/// Why nothing is served.
struct PutBack {
    how: String,
    seen: i64,
}

impl Known {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn current(&self, namespace: NamespaceId) -> Option<Arc<Manifest>> {
        let state = self.state();
        let (manifest, _) = state.of.get(&namespace).filter(|(_, current)| *current)?;
        Some(manifest.clone())
    }

    /// It may be an old one, whose buckets need not be read again where they are the same.
    pub(crate) fn last(&self, namespace: NamespaceId) -> Option<Arc<Manifest>> {
        self.state().of.get(&namespace).map(|(manifest, _)| manifest.clone())
    }

    pub(crate) fn keep(&self, manifest: Arc<Manifest>, current: bool) {
        self.state().of.insert(manifest.namespace, (manifest, current));
    }

    /// Another took its place, of this number where it is that of `root`.
    pub(crate) fn touched(&self, touch: &Touch) {
        if let Some((_, current)) = self.state().of.get_mut(&touch.key.namespace) {
            *current = false;
        }
        if let Some(number) = touch.version {
            self.expect(number);
        }
    }

    /// Each is to be read again.
    pub(crate) fn doubt(&self) {
        self.state().of.values_mut().for_each(|(_, current)| *current = false);
    }

    /// That there was one of this number.
    pub(crate) fn expect(&self, number: i64) {
        let mut state = self.state();
        if number > state.seen.number {
            state.seen = Seen { number, mac: None };
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.state().seen.clone()
    }

    pub(crate) fn number_seen(&self) -> i64 {
        self.state().seen.number
    }

    /// Refuses a top of `root` that comes before one which this node had `seen` when it began to read, and another of the
    /// same number.
    pub(crate) fn see(&self, seen: &Seen, top: &Record) -> Result<()> {
        let number = top.rev.0;
        let another = seen.mac.as_ref().is_some_and(|mac| *mac != top.mac);
        if number < seen.number || (number == seen.number && another) {
            return Err(self.put_back(format!(
                "The manifest of what grants access is number {number}, and number {} was there before it.",
                seen.number
            )));
        }
        let mut state = self.state();
        if number >= state.seen.number {
            state.seen = Seen {
                number,
                mac: Some(top.mac.clone()),
            };
        }
        Ok(())
    }

    /// From here on nothing is served. Gives what is answered instead.
    pub(crate) fn put_back(&self, how: String) -> Error {
        let seen = self.number_seen();
        if self.put_back.load().is_none() {
            tracing::error!(
                how,
                "what grants access was put back to an older state: nothing is served"
            );
            self.put_back.store(Some(Arc::new(PutBack { how, seen })));
        }
        Error::from(Code::GrantsPutBack)
    }

    pub(crate) fn no_manifest(&self) -> Error {
        self.put_back("There is no manifest of what grants access.".into())
    }

    /// Whether grants are what they were written as last, as far as this node knows.
    pub(crate) fn standing(&self) -> Result<()> {
        match self.put_back.load().as_ref() {
            None => Ok(()),
            Some(found) => Err(Error::new(Code::GrantsPutBack, found.how.clone())),
        }
    }

    /// Goes on where this top was made by accepting what is there: its number is ahead of all that anybody has seen.
    pub(crate) fn goes_on_with(&self, top: &Record) -> bool {
        let found = self.put_back.load();
        let accepted = |found: &PutBack| is_ahead(top.rev.0, found.seen);
        if !found.as_deref().is_some_and(accepted) {
            return false;
        }
        let mut state = self.state();
        *state = State {
            seen: Seen {
                number: top.rev.0,
                mac: Some(top.mac.clone()),
            },
            of: HashMap::new(),
        };
        drop(state);
        self.put_back.store(None);
        tracing::warn!(
            number = top.rev.0,
            "what was put back is accepted: this node serves again"
        );
        true
    }
}
