//! From what callers write to what can be asked: every name, operator and value is held against the catalogue.

use std::collections::BTreeSet;

use super::{Catalogue, Collection, Field, FieldType, MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES, Operand, Rule, RuleOperator, value};
use crate::{Action, Date, Error, FieldError, Instant, Result, access::FieldClass};

const HIDDEN: &str = "Records are not chosen by a field that may not be seen in lists.";

/// A rule whose names, operators and values are right.
#[derive(Clone, Debug)]
pub struct Checked {
    pub(super) root: Node,
    pub(super) today: Date,
    pub(super) table: &'static str,
    /// What one has to be allowed to do to ask for it, beside reading the record.
    pub actions: BTreeSet<Action>,
    /// Whether it looks at rows that do not lie with the record when the database is spread over machines.
    pub beyond: bool,
    /// What else than writes of a record changes whether it holds for it.
    pub moved_by: MovedBy,
}

/// What else than writes of a record, and of what belongs to it, changes whether a rule holds for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MovedBy {
    /// A new day.
    pub days: bool,
    /// Events whose kinds begin so, which name no record.
    pub events: BTreeSet<&'static str>,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Test(Test),
    Some(Quantity, Measure),
}

/// A comparison of a field.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub field: &'static Field,
    pub operator: RuleOperator,
    pub operands: Vec<Operand>,
}

/// Some of what belongs to the record.
#[derive(Clone, Debug)]
pub(super) struct Quantity {
    pub collection: &'static Collection,
    pub matching: Option<Box<Node>>,
}

#[derive(Clone, Debug)]
pub(super) enum Measure {
    AtLeast(i64),
    Sum(Test),
}

impl Catalogue {
    /// Holds a rule against the fields that there are. Days are counted from `now`. `shown` tells which fields the caller may ask
    /// for; pointers of faults begin with `pointer`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every fault.
    pub fn check(&self, rule: &Rule, pointer: &str, now: Instant, shown: impl Fn(FieldClass) -> bool) -> Result<Checked> {
        let mut check = Check::new(self, now, &shown);
        check.whole(rule, pointer).filter(|_| check.faults.is_empty()).ok_or(Error::Invalid(check.faults))
    }
}

pub(super) struct Check<'a> {
    catalogue: &'a Catalogue,
    now: Instant,
    shown: &'a dyn Fn(FieldClass) -> bool,
    conditions: usize,
    pub faults: Vec<FieldError>,
    pub actions: BTreeSet<Action>,
    pub beyond: bool,
    pub moved_by: MovedBy,
}

impl<'a> Check<'a> {
    pub fn new(catalogue: &'a Catalogue, now: Instant, shown: &'a dyn Fn(FieldClass) -> bool) -> Self {
        let (faults, actions) = (Vec::new(), BTreeSet::new());
        Self { catalogue, now, shown, conditions: 0, faults, actions, beyond: false, moved_by: MovedBy::default() }
    }
}

impl Check<'_> {
    /// A rule with all that it asks for.
    pub fn whole(&mut self, rule: &Rule, at: &str) -> Option<Checked> {
        let before = self.faults.len();
        self.conditions = 0;
        self.texts(rule, at);
        if self.faults.len() > before {
            return None;
        }
        let root = self.node(rule, at, 1, None)?;
        let (actions, moved_by) = (self.actions.clone(), self.moved_by.clone());
        Some(Checked { root, today: self.now.date(), table: self.catalogue.table, actions, beyond: self.beyond, moved_by })
    }

    /// Notes a fault.
    pub fn fault<T>(&mut self, pointer: impl Into<String>, code: &str, message: impl Into<String>) -> Option<T> {
        self.faults.push(FieldError::new(pointer, code, message));
        None
    }

    /// Every value is a text that shows as what it is, whatever the condition is that it belongs to: rules are kept and shown.
    pub fn texts(&mut self, rule: &Rule, at: &str) {
        for (place, text) in rule.values.iter().flatten().enumerate() {
            if let Err(fault) = crate::check::text(text) {
                let message = fault.message.unwrap_or_default();
                self.faults.push(FieldError::new(format!("{at}/values/{place}"), &fault.code, message));
            }
        }
        for (name, rules) in [("all", &rule.all), ("any", &rule.any)] {
            for (place, rule) in rules.iter().flatten().enumerate() {
                self.texts(rule, &format!("{at}/{name}/{place}"));
            }
        }
        for (name, rule) in [("not", &rule.not), ("matching", &rule.matching)] {
            if let Some(rule) = rule {
                self.texts(rule, &format!("{at}/{name}"));
            }
        }
    }

    /// A rule, or a part of one; inside a collection its fields are those of the items.
    fn node(&mut self, rule: &Rule, at: &str, depth: usize, inside: Option<&'static Collection>) -> Option<Node> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            // Said once, however many there are.
            let said = self.conditions > MAX_CONDITIONS + 1;
            return if said { None } else { self.fault(at, "too_many", "A rule has at most 64 conditions.") };
        }
        if depth > MAX_DEPTH {
            return self.fault(at, "too_deep", "A rule is at most 8 deep.");
        }
        let forms = [rule.all.is_some(), rule.any.is_some(), rule.not.is_some(), rule.some.is_some(), rule.field.is_some()];
        if forms.iter().filter(|form| **form).count() != 1 {
            return self.fault(at, "one_of", "A condition has exactly one of all, any, not, some and field.");
        }
        self.no_strangers(rule, at)?;
        if let Some(rules) = &rule.all {
            Some(Node::All(self.nodes(rules, &format!("{at}/all"), depth, inside)?))
        } else if let Some(rules) = &rule.any {
            Some(Node::Any(self.nodes(rules, &format!("{at}/any"), depth, inside)?))
        } else if let Some(rule) = &rule.not {
            Some(Node::Not(Box::new(self.node(rule, &format!("{at}/not"), depth + 1, inside)?)))
        } else if let Some(name) = &rule.some {
            self.some(rule, name, at, depth, inside)
        } else {
            self.field(rule, at, inside).map(Node::Test)
        }
    }

    fn nodes(&mut self, rules: &[Rule], at: &str, depth: usize, inside: Option<&'static Collection>) -> Option<Vec<Node>> {
        if rules.is_empty() {
            return self.fault(at, "required", "There is at least one condition.");
        }
        let nodes: Vec<_> =
            rules.iter().enumerate().map(|(place, rule)| self.node(rule, &format!("{at}/{place}"), depth + 1, inside)).collect();
        nodes.into_iter().collect()
    }

    /// Members that belong to another form of condition.
    fn no_strangers(&mut self, rule: &Rule, at: &str) -> Option<()> {
        let some = rule.some.is_some();
        let compares = rule.field.is_some() || (some && rule.sum.is_some());
        let strangers = [
            ("matching", rule.matching.is_some() && !some, "matching goes with some."),
            ("at_least", rule.at_least.is_some() && !(some && rule.sum.is_none()), "at_least goes with some, without sum."),
            ("sum", rule.sum.is_some() && !some, "sum goes with some."),
            ("operator", rule.operator.is_some() && !compares, "An operator goes with field or sum."),
            ("values", rule.values.is_some() && !compares, "Values go with field or sum."),
        ];
        let before = self.faults.len();
        for (name, strange, message) in strangers {
            if strange {
                self.faults.push(FieldError::new(format!("{at}/{name}"), "not_allowed", message));
            }
        }
        (self.faults.len() == before).then_some(())
    }

    fn some(&mut self, rule: &Rule, name: &str, at: &str, depth: usize, inside: Option<&'static Collection>) -> Option<Node> {
        if inside.is_some() {
            return self.fault(format!("{at}/some"), "not_allowed", "What belongs to a record has nothing that belongs to it.");
        }
        let quantity = self.quantity(name, rule.matching.as_deref(), at, depth)?;
        let measure = match (&rule.sum, rule.at_least.unwrap_or(1)) {
            (Some(sum), _) => Measure::Sum(self.sum(rule, sum, at, quantity.collection)?),
            (None, number @ 1..=100_000) => Measure::AtLeast(number),
            (None, _) => return self.fault(format!("{at}/at_least"), "out_of_range", "A number from 1 to 100000."),
        };
        Some(Node::Some(quantity, measure))
    }

    /// Some of what belongs to a record, at this depth.
    pub fn quantity(&mut self, name: &str, matching: Option<&Rule>, at: &str, depth: usize) -> Option<Quantity> {
        let Some(collection) = self.catalogue.collection(name) else {
            let names: Vec<&str> = self.catalogue.collections.iter().map(|collection| collection.name).collect();
            return self.fault(format!("{at}/some"), "unknown_field", format!("The collections are: {}.", names.join(", ")));
        };
        // Whether there is any, and how many, tells something, too.
        if !collection.fields.iter().any(|field| (self.shown)(field.class)) {
            return self.fault(format!("{at}/some"), "sensitive_field", HIDDEN);
        }
        self.actions.extend(collection.action);
        self.beyond |= collection.beyond;
        self.moved_by.days |= collection.of.contains("{}");
        self.moved_by.events.extend(collection.shared);
        let matching = match matching {
            Some(matching) => Some(Box::new(self.node(matching, &format!("{at}/matching"), depth + 1, Some(collection))?)),
            None => None,
        };
        Some(Quantity { collection, matching })
    }

    /// A field of a collection over which can be summed.
    pub fn summed(&mut self, name: &str, at: &str, collection: &'static Collection) -> Option<&'static Field> {
        let field = self.named(name, &format!("{at}/sum"), Some(collection))?;
        if !field.kind.sums() {
            return self.fault(format!("{at}/sum"), "wrong_type", "Only amounts and numbers are summed.");
        }
        Some(field)
    }

    fn sum(&mut self, rule: &Rule, name: &str, at: &str, collection: &'static Collection) -> Option<Test> {
        let field = self.summed(name, at, collection)?;
        let test = self.test(rule, field, at)?;
        if matches!(test.operator, RuleOperator::Present | RuleOperator::Absent) {
            return self.fault(format!("{at}/operator"), "wrong_operator", "A sum is always there.");
        }
        Some(test)
    }

    fn field(&mut self, rule: &Rule, at: &str, inside: Option<&'static Collection>) -> Option<Test> {
        let name = rule.field.as_deref().unwrap_or_default();
        let field = self.named(name, &format!("{at}/field"), inside)?;
        self.test(rule, field, at)
    }

    pub fn named(&mut self, name: &str, at: &str, inside: Option<&'static Collection>) -> Option<&'static Field> {
        let found = match inside {
            Some(collection) => collection.fields.iter().find(|field| field.name == name),
            None => self.catalogue.field(name),
        };
        match found {
            Some(field) if (self.shown)(field.class) => Some(field),
            Some(_) => self.fault(at, "sensitive_field", HIDDEN),
            None => self.fault(at, "unknown_field", "There is no such field here; get_rule_fields names them."),
        }
    }

    fn test(&mut self, rule: &Rule, field: &'static Field, at: &str) -> Option<Test> {
        let Some(operator) = rule.operator else {
            return self.fault(format!("{at}/operator"), "required", "A comparison needs an operator.");
        };
        let operators = field.kind.operators();
        if !operators.contains(&operator) {
            let names: Vec<&str> = operators.iter().map(|operator| operator.as_str()).collect();
            let message = format!("A field of the type {} is compared by: {}.", field.kind.name(), names.join(", "));
            return self.fault(format!("{at}/operator"), "wrong_operator", message);
        }
        let operands =
            self.operands(rule.values.as_deref().unwrap_or_default(), field.kind, operator, &format!("{at}/values"))?;
        Some(Test { field, operator, operands })
    }

    fn operands(&mut self, values: &[String], kind: FieldType, operator: RuleOperator, at: &str) -> Option<Vec<Operand>> {
        let (number, message) = match operator {
            RuleOperator::Present | RuleOperator::Absent => (0..=0, "This operator takes no values."),
            RuleOperator::Between => (2..=2, "This operator takes two values."),
            RuleOperator::OneOf => (1..=MAX_VALUES, "This operator takes 1 to 100 values."),
            _ => (1..=1, "This operator takes one value."),
        };
        if !number.contains(&values.len()) {
            return self.fault(at, "wrong_number", message);
        }
        if let FieldType::Tree(tree) = kind {
            self.moved_by.events.insert(tree.events);
        }
        let mut operands = Vec::with_capacity(values.len());
        for (place, text) in values.iter().enumerate() {
            operands.push(self.value(kind, text, &format!("{at}/{place}"))?);
        }
        if let (RuleOperator::Between, [from, to]) = (operator, operands.as_slice()) {
            if let (Operand::Money(from), Operand::Money(to)) = (from, to)
                && from.currency != to.currency
            {
                return self.fault(at, "currency", "Both amounts are in the same currency.");
            }
            if super::memory::order(from, to).is_some_and(std::cmp::Ordering::is_gt) {
                return self.fault(at, "out_of_order", "The first value is not above the second.");
            }
        }
        Some(operands)
    }

    /// A value of a field of this type.
    pub fn value(&mut self, kind: FieldType, text: &str, at: &str) -> Option<Operand> {
        self.moved_by.days |= text.starts_with(value::TODAY);
        match value::read(kind, text, self.now) {
            Ok(operand) => Some(operand),
            Err((code, message)) => self.fault(at, code, message),
        }
    }
}
