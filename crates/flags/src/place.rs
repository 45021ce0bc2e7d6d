//! Where in a document a mistake is.

use std::fmt;

/// A mistake in a definition: its place as a JSON pointer, such as `/variants/on`, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub at: String,
    pub why: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() { "/" } else { &self.at };
        write!(f, "{at}: {}", self.why)
    }
}

impl std::error::Error for Mistake {}

impl Mistake {
    /// The same mistake in a document that holds this one at `place`.
    pub(crate) fn within(mut self, place: &Place<'_>) -> Self {
        self.at = format!("{}{}", place.pointer(), self.at);
        self
    }
}

/// A place that is written out when a mistake is found there, and not before.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'p> {
    Document,
    Member(&'p Place<'p>, &'p str),
    Item(&'p Place<'p>, usize),
}

impl Place<'_> {
    pub(crate) fn mistake(&self, why: impl Into<String>) -> Mistake {
        Mistake {
            at: self.pointer(),
            why: why.into(),
        }
    }

    fn pointer(&self) -> String {
        match self {
            Self::Document => String::new(),
            Self::Member(within, name) => {
                format!("{}/{}", within.pointer(), name.replace('~', "~0").replace('/', "~1"))
            }
            Self::Item(within, at) => format!("{}/{at}", within.pointer()),
        }
    }
}
