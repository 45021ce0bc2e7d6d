//! A targeting rule: JSONLogic with flagd's operators, compiled once and run within bounds.
//!
//! Our own evaluator, because a rule comes from whoever may write a flag and its context from anybody: each operation is
//! counted, and so is the text that it reads and makes.

mod bucket;
mod compare;
mod compile;
mod lists;
mod number;
mod operators;
mod path;
mod run;
mod value;
mod version;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use compile::{Rule, compile};
pub(crate) use run::run;
pub(crate) use value::{Facts, Val};

use path::Path;

/// Why a rule gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An operator was given what it does not take.
    Rule(String),
    /// The evaluation would take or make more than it may.
    Bound(String),
}

impl Fault {
    pub(crate) fn rule(why: impl Into<String>) -> Self {
        Self::Rule(why.into())
    }

    pub(crate) fn bound(what: impl Into<String>) -> Self {
        Self::Bound(what.into())
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Literal(Value),
    List(Vec<Expr>),
    Var {
        path: Path,
        default: Option<Box<Expr>>,
    },
    VarOf {
        path: Box<Expr>,
        default: Option<Box<Expr>>,
    },
    Missing(Vec<String>),
    /// The keys to look for are computed.
    MissingOf(Box<Expr>),
    MissingSome {
        needed: f64,
        keys: Vec<String>,
    },
    If(Vec<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Each {
        each: Each,
        list: Box<Expr>,
        rule: Box<Expr>,
    },
    Reduce {
        list: Box<Expr>,
        rule: Box<Expr>,
        start: Option<Box<Expr>>,
    },
    Apply(Operator, Vec<Expr>),
    /// An evaluator that rules share.
    Shared(Arc<Expr>),
}

/// Operators that run a rule for each item of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Each {
    Map,
    Filter,
    All,
    Some,
    None,
}

/// Operators whose arguments are all computed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Same,
    NotSame,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Not,
    Truth,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Max,
    Min,
    Merge,
    In,
    Cat,
    Substr,
    Fractional,
    SemVer,
    StartsWith,
    EndsWith,
}
