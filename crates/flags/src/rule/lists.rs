//! The operators that run a rule for each item of a list.

use super::{
    Each, Expr, Fault,
    run::Run,
    value::{List, Object, Val},
};
use std::rc::Rc;

impl<'a> Run<'a> {
    pub(super) fn each(
        &mut self,
        each: Each,
        list: &'a Expr,
        rule: &'a Expr,
        scope: &Val<'a>,
    ) -> Result<Val<'a>, Fault> {
        let list = self.list(list, scope)?;
        match each {
            Each::Map => {
                let items: Vec<_> = list
                    .iter()
                    .map(|item| self.value(rule, &item))
                    .collect::<Result<_, _>>()?;
                Ok(Val::list(items))
            }
            Each::Filter => {
                let mut kept = Vec::new();
                for item in list.iter() {
                    if self.value(rule, &item)?.truthy() {
                        kept.push(item);
                    }
                }
                Ok(Val::list(kept))
            }
            // All of nothing is false in JSONLogic.
            Each::All => Ok(Val::Bool(list.len() > 0 && !self.any(&list, rule, false)?)),
            Each::Some => Ok(Val::Bool(self.any(&list, rule, true)?)),
            Each::None => Ok(Val::Bool(!self.any(&list, rule, true)?)),
        }
    }

    /// Whether the rule gives this truth for any item.
    fn any(&mut self, list: &List<'a>, rule: &'a Expr, truth: bool) -> Result<bool, Fault> {
        for item in list.iter() {
            if self.value(rule, &item)?.truthy() == truth {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn reduce(
        &mut self,
        list: &'a Expr,
        rule: &'a Expr,
        start: Option<&'a Expr>,
        scope: &Val<'a>,
    ) -> Result<Val<'a>, Fault> {
        let list = self.list(list, scope)?;
        let mut items = list.iter();
        let mut accumulator = match start {
            Some(start) => flat(self.value(start, scope)?)?,
            None => items
                .next()
                .ok_or_else(|| Fault::rule("`reduce` of an empty list needs a value to start with"))?,
        };
        for current in items {
            let scope = Val::Object(Object::Reduction(Rc::new((accumulator, current))));
            accumulator = flat(self.value(rule, &scope)?)?;
        }
        Ok(accumulator)
    }

    fn list(&mut self, list: &'a Expr, scope: &Val<'a>) -> Result<List<'a>, Fault> {
        match self.value(list, scope)? {
            Val::List(list) => Ok(list),
            other if other.is_nothing() => Ok(List::EMPTY),
            _ => Err(Fault::rule("a list is needed here")),
        }
    }
}

/// What is accumulated holds no lists of lists, so that its depth does not grow with every item.
fn flat(accumulator: Val<'_>) -> Result<Val<'_>, Fault> {
    if accumulator.is_nested() {
        return Err(Fault::rule(
            "`reduce` accumulates values, or a list or an object of values, and nothing deeper",
        ));
    }
    Ok(accumulator)
}
