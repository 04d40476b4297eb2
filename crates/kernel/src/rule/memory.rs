//! Rules on records in memory: the same answers as from the database.

use std::{cmp::Ordering, collections::BTreeMap};

use super::{
    Checked, Field, Operand, RuleOperator,
    check::{Measure, Node, Quantity, Test},
};

/// A record in memory: its fields that have a value, and what belongs to it.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Values by the names of fields.
    pub facts: BTreeMap<&'static str, Operand>,
    /// What belongs to it, by the names of collections.
    pub items: BTreeMap<&'static str, Vec<Self>>,
}

impl Checked {
    /// Whether it holds for a record.
    #[must_use]
    pub fn holds(&self, record: &Record) -> bool {
        holds(&self.root, record)
    }
}

fn holds(node: &Node, record: &Record) -> bool {
    match node {
        Node::All(nodes) => nodes.iter().all(|node| holds(node, record)),
        Node::Any(nodes) => nodes.iter().any(|node| holds(node, record)),
        Node::Not(node) => !holds(node, record),
        Node::Test(test) => passes(test, record.facts.get(test.field.name)),
        Node::Some(quantity, measure) => enough(quantity, measure, record),
    }
}

fn enough(quantity: &Quantity, measure: &Measure, record: &Record) -> bool {
    let items = record.items.get(quantity.collection.name).map(Vec::as_slice).unwrap_or_default();
    let of = items.iter().filter(|item| quantity.matching.as_ref().is_none_or(|matching| holds(matching, item)));
    match measure {
        Measure::AtLeast(number) => i64::try_from(of.count()).is_ok_and(|count| count >= *number),
        Measure::Sum(test) => compare_sum(test, of.filter_map(|item| amount(test.field, item, test)).sum()),
    }
}

/// Whether a sum is as wanted.
pub(super) fn compare_sum(test: &Test, sum: i128) -> bool {
    let against: Vec<i128> = test.operands.iter().filter_map(number).collect();
    compare(test.operator, &against, |other| Some(sum.cmp(other)))
}

/// What an item adds to a sum: nothing when it is in another currency.
fn amount(field: &Field, item: &Record, test: &Test) -> Option<i128> {
    let value = item.facts.get(field.name)?;
    match (value, test.operands.first()?) {
        (Operand::Money(value), Operand::Money(asked)) if value.currency != asked.currency => None,
        _ => number(value),
    }
}

fn number(operand: &Operand) -> Option<i128> {
    match operand {
        Operand::Number(number) => Some((*number).into()),
        Operand::Money(money) => Some(money.amount_minor.into()),
        _ => None,
    }
}

fn passes(test: &Test, value: Option<&Operand>) -> bool {
    let Some(value) = value else { return test.operator == RuleOperator::Absent };
    match (test.operator, value, test.operands.as_slice()) {
        (RuleOperator::Present, ..) => true,
        (RuleOperator::Absent, ..) => false,
        (RuleOperator::StartsWith, Operand::Text(text), [Operand::Text(begin)]) => text.starts_with(begin.as_str()),
        (RuleOperator::Within, Operand::Path(codes), [Operand::Text(code)]) => codes.contains(code),
        (RuleOperator::Equals | RuleOperator::OneOf, Operand::Path(codes), wanted) => {
            let own = codes.first();
            wanted.iter().any(|operand| matches!(operand, Operand::Text(code) if Some(code) == own))
        }
        (operator, value, operands) => compare(operator, operands, |other| order(value, other)),
    }
}

fn compare<T>(operator: RuleOperator, operands: &[T], order: impl Fn(&T) -> Option<Ordering>) -> bool {
    let first = || operands.first().and_then(&order);
    match operator {
        RuleOperator::Equals | RuleOperator::OneOf => operands.iter().any(|operand| order(operand) == Some(Ordering::Equal)),
        RuleOperator::LessThan => first().is_some_and(Ordering::is_lt),
        RuleOperator::AtMost => first().is_some_and(Ordering::is_le),
        RuleOperator::MoreThan => first().is_some_and(Ordering::is_gt),
        RuleOperator::AtLeast => first().is_some_and(Ordering::is_ge),
        RuleOperator::Between => {
            first().is_some_and(Ordering::is_ge) && operands.get(1).and_then(&order).is_some_and(Ordering::is_le)
        }
        RuleOperator::StartsWith | RuleOperator::Within | RuleOperator::Present | RuleOperator::Absent => false,
    }
}

/// How two values of the same type stand to each other; amounts only in the same currency.
pub(super) fn order(one: &Operand, other: &Operand) -> Option<Ordering> {
    match (one, other) {
        (Operand::Text(one), Operand::Text(other)) => Some(one.cmp(other)),
        (Operand::Number(one), Operand::Number(other)) => Some(one.cmp(other)),
        (Operand::Money(one), Operand::Money(other)) => {
            (one.currency == other.currency).then(|| one.amount_minor.cmp(&other.amount_minor))
        }
        (Operand::Date(one), Operand::Date(other)) => Some(one.cmp(other)),
        (Operand::Instant(one), Operand::Instant(other)) => Some(one.cmp(other)),
        (Operand::Flag(one), Operand::Flag(other)) => Some(one.cmp(other)),
        (Operand::Id(one), Operand::Id(other)) => Some(one.cmp(other)),
        _ => None,
    }
}
