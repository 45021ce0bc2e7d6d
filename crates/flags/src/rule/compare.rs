//! The operators that compare, as JSONLogic's: two texts by their letters, everything else as numbers.

use std::cmp::Ordering;

use super::{Fault, Operator, number, value::Val};

/// How one value stands to another; nothing where no order holds between them, as between a text and null.
pub(super) fn compare(one: &Val<'_>, two: &Val<'_>) -> Result<Loose, Fault> {
    let order = match (one, two) {
        (Val::Text(one), Val::Text(two)) => Some(letters(one.as_str(), two.as_str())),
        (Val::Null, Val::Null) => Some(Ordering::Equal),
        // Null is a zero here, but no text is equal to it.
        (Val::Null, Val::Text(text)) => return Ok(Loose::unequal(0.0.partial_cmp(&number::parse(text.as_str())))),
        (Val::Text(text), Val::Null) => return Ok(Loose::unequal(number::parse(text.as_str()).partial_cmp(&0.0))),
        _ => Some(number(one)?.total_cmp(&number(two)?)),
    };
    Ok(Loose {
        order,
        equal: order == Some(Ordering::Equal),
    })
}

pub(super) struct Loose {
    order: Option<Ordering>,
    equal: bool,
}

impl Loose {
    fn unequal(order: Option<Ordering>) -> Self {
        Self { order, equal: false }
    }

    pub(super) fn holds(&self, operator: Operator) -> bool {
        match operator {
            Operator::Equal => self.equal,
            Operator::NotEqual => !self.equal,
            Operator::Less => self.order.is_some_and(Ordering::is_lt),
            Operator::LessOrEqual => self.order.is_some_and(Ordering::is_le),
            Operator::Greater => self.order.is_some_and(Ordering::is_gt),
            Operator::GreaterOrEqual => self.order.is_some_and(Ordering::is_ge),
            _ => false,
        }
    }
}

/// JavaScript compares texts by their UTF-16 units, which sorts rare characters otherwise than UTF-8 does.
fn letters(one: &str, two: &str) -> Ordering {
    one.encode_utf16().cmp(two.encode_utf16())
}

fn number(value: &Val<'_>) -> Result<f64, Fault> {
    let number = value.number()?;
    if number.is_nan() {
        return Err(Fault::rule(
            "a text that is no number was compared with something that is no text",
        ));
    }
    // Both zeros are equal.
    Ok(number + 0.0)
}
