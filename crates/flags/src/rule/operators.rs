//! Every operator by its name.

use super::{Each, Expr, Operator};
use crate::place::{Mistake, Place};

pub(super) enum Kind {
    Var,
    Missing,
    MissingSome,
    If,
    And,
    Or,
    Each(Each),
    Reduce,
    Apply(Operator),
}

/// No more arguments than a flag has bytes.
const MANY: usize = usize::MAX;

/// Every operator, and how many arguments it takes.
#[rustfmt::skip] // a table
const OPERATORS: &[Named] = &[
    row("var", Kind::Var, 1, 2),
    row("missing", Kind::Missing, 0, MANY),
    row("missing_some", Kind::MissingSome, 2, 2),
    row("if", Kind::If, 2, MANY),
    row("and", Kind::And, 1, MANY),
    row("or", Kind::Or, 1, MANY),
    row("map", Kind::Each(Each::Map), 2, 2),
    row("filter", Kind::Each(Each::Filter), 2, 2),
    row("all", Kind::Each(Each::All), 2, 2),
    row("none", Kind::Each(Each::None), 2, 2),
    row("some", Kind::Each(Each::Some), 2, 2),
    row("reduce", Kind::Reduce, 2, 3),
    row("==", Kind::Apply(Operator::Equal), 2, 2),
    row("===", Kind::Apply(Operator::Same), 2, 2),
    row("!=", Kind::Apply(Operator::NotEqual), 2, 2),
    row("!==", Kind::Apply(Operator::NotSame), 2, 2),
    row("!", Kind::Apply(Operator::Not), 1, 1),
    row("!!", Kind::Apply(Operator::Truth), 1, 1),
    row("<", Kind::Apply(Operator::Less), 2, 3),
    row("<=", Kind::Apply(Operator::LessOrEqual), 2, 3),
    row(">", Kind::Apply(Operator::Greater), 2, 2),
    row(">=", Kind::Apply(Operator::GreaterOrEqual), 2, 2),
    row("max", Kind::Apply(Operator::Max), 1, MANY),
    row("min", Kind::Apply(Operator::Min), 1, MANY),
    row("+", Kind::Apply(Operator::Add), 1, MANY),
    row("-", Kind::Apply(Operator::Subtract), 1, MANY),
    row("*", Kind::Apply(Operator::Multiply), 1, MANY),
    row("/", Kind::Apply(Operator::Divide), 2, 2),
    row("%", Kind::Apply(Operator::Remainder), 2, 2),
    row("merge", Kind::Apply(Operator::Merge), 1, MANY),
    row("in", Kind::Apply(Operator::In), 2, 2),
    row("cat", Kind::Apply(Operator::Cat), 1, MANY),
    row("substr", Kind::Apply(Operator::Substr), 2, 3),
    row("fractional", Kind::Apply(Operator::Fractional), 1, MANY),
    row("sem_ver", Kind::Apply(Operator::SemVer), 3, 3),
    row("starts_with", Kind::Apply(Operator::StartsWith), 2, 2),
    row("ends_with", Kind::Apply(Operator::EndsWith), 2, 2),
];

pub(super) struct Named {
    name: &'static str,
    pub(super) kind: Kind,
    fewest: usize,
    most: usize,
}

const fn row(name: &'static str, kind: Kind, fewest: usize, most: usize) -> Named {
    Named {
        name,
        kind,
        fewest,
        most,
    }
}

pub(super) fn named(name: &str) -> Option<&'static Named> {
    OPERATORS.iter().find(|operator| operator.name == name)
}

pub(super) fn all_names() -> String {
    let names: Vec<_> = OPERATORS.iter().map(|operator| operator.name).collect();
    names.join(", ")
}

impl Named {
    pub(super) fn takes(&self, count: usize) -> bool {
        (self.fewest..=self.most).contains(&count)
    }

    /// The operator with its arguments; what is left is their count where it does not take so many.
    pub(super) fn of(&self, mut rules: Vec<Expr>) -> Result<Expr, usize> {
        Ok(match self.kind {
            Kind::If => Expr::If(rules),
            Kind::And => Expr::And(rules),
            Kind::Or => Expr::Or(rules),
            Kind::Each(each) => {
                let (list, rule) = pair(rules)?;
                Expr::Each { each, list, rule }
            }
            Kind::Reduce => {
                let start = if rules.len() > 2 {
                    rules.pop().map(Box::new)
                } else {
                    None
                };
                let (list, rule) = pair(rules)?;
                Expr::Reduce { list, rule, start }
            }
            Kind::Apply(operator) => Expr::Apply(operator, rules),
            Kind::Var | Kind::Missing | Kind::MissingSome => return Err(rules.len()),
        })
    }

    pub(super) fn wrong_count(&self, count: usize, at: &Place<'_>) -> Mistake {
        let (name, fewest, most) = (self.name, self.fewest, self.most);
        let arguments = |count: usize| if count == 1 { "argument" } else { "arguments" };
        let takes = if most == MANY {
            format!("at least {fewest} {}", arguments(fewest))
        } else if fewest == most {
            format!("{most} {}", arguments(most))
        } else {
            format!("{fewest} or {most} arguments")
        };
        at.mistake(format!("`{name}` takes {takes}, not {count}"))
    }
}

fn pair(rules: Vec<Expr>) -> Result<(Box<Expr>, Box<Expr>), usize> {
    let [list, rule] = <[Expr; 2]>::try_from(rules).map_err(|rules| rules.len())?;
    Ok((Box::new(list), Box::new(rule)))
}
