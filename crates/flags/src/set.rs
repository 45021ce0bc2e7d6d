//! All flags of one project and environment, compiled.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::place::Place;
use crate::rule::{self, Facts, Fault, Rule, Val};
use crate::{Context, Definition, Evaluators, FLAG_STEPS_MAX, SET_STEPS_MAX};

/// A compiled, immutable set of flags.
#[derive(Debug, Default)]
pub struct Set {
    flags: BTreeMap<String, Flag>,
    metadata: Arc<Map<String, Value>>,
}

/// How a flag's `fractional` finds a bucket: a stored number, so that a better way never moves anybody by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bucketing {
    /// flagd's since 2026: the high half of hash × weights.
    #[default]
    V2,
}

impl Bucketing {
    /// Of a stored number; nothing where this program does not know it.
    pub fn from_number(number: u8) -> Option<Self> {
        (number == 2).then_some(Self::V2)
    }

    pub fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
        }
    }
}

#[derive(Debug)]
struct Flag {
    enabled: bool,
    variants: BTreeMap<Arc<str>, Arc<Value>>,
    default: Option<Arc<str>>,
    targeting: Targeting,
    metadata: Arc<Map<String, Value>>,
}

#[derive(Debug)]
enum Targeting {
    None,
    /// `null`: a rule that never matches.
    Null,
    Rule(Rule),
    /// It compiled once, and does not since an evaluator was taken away.
    Broken(String),
}

/// What a flag is for a context.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    pub outcome: Result<Evaluated, Failure>,
    /// The set's metadata, overlaid by the flag's.
    pub metadata: Arc<Map<String, Value>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// Nothing: the caller uses the default in its code.
    pub value: Option<Arc<Value>>,
    pub variant: Option<Arc<str>>,
    pub reason: Reason,
}

/// Why a flag has the value that it has. flagd says TARGETING_MATCH of a `fractional` too, and never SPLIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    Static,
    Default,
    TargetingMatch,
    Disabled,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Self::Static => "STATIC",
            Self::Default => "DEFAULT",
            Self::TargetingMatch => "TARGETING_MATCH",
            Self::Disabled => "DISABLED",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: FailureCode,
    pub details: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureCode {
    /// The rule fails: it does not compile any more, or an operator was given what it does not take.
    ParseError,
    /// The rule's result names no variant, or the evaluation would take more than it may.
    General,
}

impl FailureCode {
    pub fn name(self) -> &'static str {
        match self {
            Self::ParseError => "PARSE_ERROR",
            Self::General => "GENERAL",
        }
    }
}

impl Set {
    /// Cannot fail: a flag that does not compile evaluates to a PARSE_ERROR, and the others are served.
    pub fn compile(
        flags: impl IntoIterator<Item = (String, Definition, Bucketing)>,
        evaluators: &Evaluators,
        metadata: Map<String, Value>,
    ) -> Self {
        let metadata = Arc::new(metadata);
        let flags = flags.into_iter().map(|(key, definition, Bucketing::V2)| {
            let flag = Flag::compile(&definition, evaluators, &metadata);
            (key, flag)
        });
        Self {
            flags: flags.collect(),
            metadata: Arc::clone(&metadata),
        }
    }

    /// Nothing where there is no such flag.
    pub fn evaluate(&self, key: &str, context: &Context, now_unix: i64) -> Option<Evaluation> {
        let (key, flag) = self.flags.get_key_value(key)?;
        let mut steps_left = FLAG_STEPS_MAX;
        Some(flag.evaluate(key, context, now_unix, &mut steps_left))
    }

    /// Every flag, by key. All rules together have a bound too; those that are left when it is reached fail.
    pub fn evaluate_all(&self, context: &Context, now_unix: i64) -> impl Iterator<Item = (&str, Evaluation)> {
        let mut set_steps_left = SET_STEPS_MAX;
        self.flags.iter().map(move |(key, flag)| {
            let given = FLAG_STEPS_MAX.min(set_steps_left);
            let mut left = given;
            let evaluation = flag.evaluate(key, context, now_unix, &mut left);
            set_steps_left -= given - left;
            (key.as_str(), evaluation)
        })
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.flags.keys().map(String::as_str)
    }

    pub fn len(&self) -> usize {
        self.flags.len()
    }

    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }

    pub fn metadata(&self) -> &Arc<Map<String, Value>> {
        &self.metadata
    }
}

impl Flag {
    fn compile(definition: &Definition, evaluators: &Evaluators, shared: &Arc<Map<String, Value>>) -> Self {
        let targeting = match definition.targeting() {
            None => Targeting::None,
            Some(Value::Null) => Targeting::Null,
            Some(rule) => {
                let place = Place::Member(&Place::Document, "targeting");
                match rule::compile(rule, &place, evaluators) {
                    Ok(rule) => Targeting::Rule(rule),
                    Err(mistake) => Targeting::Broken(mistake.to_string()),
                }
            }
        };
        let metadata = definition.metadata().map_or_else(
            || Arc::clone(shared),
            |own| {
                Arc::new(
                    shared
                        .iter()
                        .chain(own)
                        .map(|(name, value)| (name.clone(), value.clone()))
                        .collect(),
                )
            },
        );
        Self {
            enabled: definition.enabled(),
            variants: definition
                .variants()
                .map(|(name, value)| (name.into(), Arc::new(value.clone())))
                .collect(),
            default: definition.default_variant().map(Arc::from),
            targeting,
            metadata,
        }
    }

    fn evaluate(&self, key: &str, context: &Context, now_unix: i64, steps_left: &mut u32) -> Evaluation {
        let outcome = match &self.targeting {
            _ if !self.enabled => Ok(Evaluated {
                value: None,
                variant: None,
                reason: Reason::Disabled,
            }),
            Targeting::None => Ok(self.otherwise(Reason::Static)),
            Targeting::Null => Ok(self.otherwise(Reason::Default)),
            Targeting::Broken(why) => Err(Failure {
                code: FailureCode::ParseError,
                details: why.clone(),
            }),
            Targeting::Rule(rule) => {
                let facts = Facts {
                    context: context.members(),
                    flag_key: key,
                    now_unix,
                };
                self.by_rule(rule, &facts, steps_left)
            }
        };
        Evaluation {
            outcome,
            metadata: Arc::clone(&self.metadata),
        }
    }

    fn otherwise(&self, reason: Reason) -> Evaluated {
        let found = self.default.as_ref().and_then(|name| self.variants.get_key_value(name));
        match found {
            Some((name, value)) => Evaluated {
                value: Some(Arc::clone(value)),
                variant: Some(Arc::clone(name)),
                reason,
            },
            None => Evaluated {
                value: None,
                variant: None,
                reason: Reason::Default,
            },
        }
    }

    fn by_rule(&self, rule: &Rule, facts: &Facts<'_>, steps_left: &mut u32) -> Result<Evaluated, Failure> {
        let result = rule::run(&rule.expr, facts, steps_left)?;
        if matches!(result, Val::Null) {
            return Ok(self.otherwise(Reason::Default));
        }
        let name = result.to_text()?;
        let Some((name, value)) = self.variants.get_key_value(name.as_str()) else {
            let mut name = name.as_str().to_owned();
            name.truncate(name.floor_char_boundary(SHOWN_BYTES_MAX));
            let details = format!("the rule gave `{name}`, which is no variant of this flag");
            return Err(Failure {
                code: FailureCode::General,
                details,
            });
        };
        Ok(Evaluated {
            value: Some(Arc::clone(value)),
            variant: Some(Arc::clone(name)),
            reason: Reason::TargetingMatch,
        })
    }
}

/// So much of a result that names no variant is told.
const SHOWN_BYTES_MAX: usize = 64;

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Rule(why) => Self {
                code: FailureCode::ParseError,
                details: format!("the rule fails: {why}"),
            },
            Fault::Bound(what) => Self {
                code: FailureCode::General,
                details: format!("the rule needs {what}"),
            },
        }
    }
}
