//! Rules as SQL: the text is ours, every value is bound.

use std::borrow::Cow;

use diesel::{
    AppearsOnTable, Expression, QueryResult, SelectableExpression,
    expression::{ValidGrouping, is_aggregate},
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::Bool,
};

use super::{
    Checked, Collection, FieldType, Once, Operand, RuleOperator,
    check::{Measure, Node, Quantity, Test},
    memory,
};
use crate::{
    Conn, Date, Kind,
    store::{MultiBackend, Value},
};

/// A rule as a condition of a query on the table of its records. It is true or false for each row, never null.
#[derive(Clone, Debug)]
pub struct Condition {
    parts: Vec<Part>,
}

/// A piece of a statement.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Sql(Cow<'static, str>),
    Bound(Value),
}

/// How many records a query looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Some, until a page is full or a record is found: what belongs to each is looked up.
    Some,
    /// All: what belongs to any record is gathered first instead of being looked up for each.
    All,
}

impl Checked {
    /// The rule for `.filter(…)` on the table of its records.
    #[must_use]
    pub fn condition(&self, conn: &Conn, extent: Extent) -> Condition {
        let mut writer = Writer::new(conn, self.table, self.today, extent);
        writer.node(&self.root);
        Condition { parts: writer.parts }
    }
}

/// Writes pieces of statements.
pub(super) struct Writer {
    pub parts: Vec<Part>,
    today: Date,
    /// The table of the records.
    pub table: &'static str,
    /// How what belongs to any record is gathered first, if it is.
    pub gathers: Option<Gathering>,
}

/// How the records are found to which what was gathered belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gathering {
    /// `id IN (…)`, which SQLite works out once. PostgreSQL does, too, as long as the list is short.
    Listed,
    /// `EXISTS (… = id)`, which PostgreSQL makes a join of, also below `NOT`. SQLite would work it out for each record.
    Joined,
}

impl Writer {
    pub fn new(conn: &Conn, table: &'static str, today: Date, extent: Extent) -> Self {
        let gathers = (extent == Extent::All).then_some(match conn.db.kind {
            Kind::Sqlite(_) => Gathering::Listed,
            Kind::Postgres(_) => Gathering::Joined,
        });
        Self { parts: Vec::new(), today, table, gathers }
    }

    pub fn sql(&mut self, text: impl Into<Cow<'static, str>>) {
        self.parts.push(Part::Sql(text.into()));
    }

    pub fn bound(&mut self, value: impl Into<Value>) {
        self.parts.push(Part::Bound(value.into()));
    }

    pub fn node(&mut self, node: &Node) {
        match node {
            Node::All(nodes) => self.joined(nodes, " AND "),
            Node::Any(nodes) => self.joined(nodes, " OR "),
            Node::Not(node) => {
                self.sql("NOT (");
                self.node(node);
                self.sql(")");
            }
            Node::Test(test) => self.test(test),
            Node::Some(quantity, measure) => self.some(quantity, measure),
        }
    }

    fn joined(&mut self, nodes: &[Node], word: &'static str) {
        self.sql("(");
        for (place, node) in nodes.iter().enumerate() {
            if place > 0 {
                self.sql(word);
            }
            self.node(node);
        }
        self.sql(")");
    }

    fn some(&mut self, quantity: &Quantity, measure: &Measure) {
        let Collection { key, from, of, .. } = quantity.collection;
        let id = format!("{}.id", self.table);
        match (measure, self.gathers) {
            (Measure::AtLeast(1), Some(Gathering::Listed)) => {
                self.sql(format!("{id} IN (SELECT {key}"));
                self.rows(quantity, from, of);
                self.sql(")");
            }
            // PostgreSQL gathers by itself what this belongs to.
            (Measure::AtLeast(1), _) => {
                self.sql("EXISTS (SELECT 1");
                self.rows(quantity, from, &format!("{key} = {id} AND {of}"));
                self.sql(")");
            }
            (Measure::AtLeast(number), Some(gathering)) => self.gathered(quantity, gathering, None, |writer| {
                writer.sql("COUNT(*) >= ");
                writer.bound(*number);
            }),
            (Measure::AtLeast(number), None) => {
                self.sql("(SELECT COUNT(*)");
                self.items(quantity);
                self.sql(") >= ");
                self.bound(*number);
            }
            (Measure::Sum(test), Some(gathering)) => {
                // Records without items are found in no group: where 0 will do, those are sought for whom the sum will not.
                let zero = memory::compare_sum(test, 0);
                self.sql(if zero { "NOT " } else { "" });
                self.gathered(quantity, gathering, Some(test), |writer| {
                    writer.sql(format!("{}(COALESCE(SUM({}), 0)", if zero { "NOT " } else { "" }, test.field.sql));
                    writer.compared(test.operator, &test.operands);
                    writer.sql(")");
                });
            }
            (Measure::Sum(test), None) => self.sum(quantity, test),
        }
    }

    /// The records of whose items, taken together, something holds.
    fn gathered(&mut self, quantity: &Quantity, gathering: Gathering, summed: Option<&Test>, holds: impl FnOnce(&mut Self)) {
        let key = quantity.collection.key;
        let id = format!("{}.id", self.table);
        self.sql(match gathering {
            Gathering::Listed => format!("{id} IN (SELECT {key}"),
            Gathering::Joined => format!("EXISTS (SELECT 1 FROM (SELECT {key} AS gathered_id"),
        });
        self.all_items(quantity);
        if let Some(test) = summed {
            self.in_currency(test.field.kind, test.operands.first());
        }
        self.sql(format!(" GROUP BY {key} HAVING "));
        holds(self);
        self.sql(match gathering {
            Gathering::Listed => ")".to_owned(),
            Gathering::Joined => format!(") AS gathered WHERE gathered_id = {id})"),
        });
    }

    /// Only amounts in the currency of the comparison.
    pub fn in_currency(&mut self, kind: FieldType, compared: Option<&Operand>) {
        if let (FieldType::Money(currency), Some(Operand::Money(money))) = (kind, compared) {
            self.sql(format!(" AND {currency} = "));
            self.bound(money.currency.code());
        }
    }

    /// The items of a record, each once.
    pub fn items(&mut self, quantity: &Quantity) {
        let Collection { key, from, of, once, .. } = quantity.collection;
        match once {
            Some(Once { from, of, .. }) => self.rows(quantity, from, of),
            None => self.rows(quantity, from, &format!("{key} = {}.id AND {of}", self.table)),
        }
    }

    /// The items of all records, each once for each record.
    pub fn all_items(&mut self, quantity: &Quantity) {
        let Collection { from, of, once, .. } = quantity.collection;
        match once {
            Some(once) => self.rows(quantity, once.of_all, "TRUE"),
            None => self.rows(quantity, from, of),
        }
    }

    /// The rows that count and match.
    pub fn rows(&mut self, quantity: &Quantity, from: &str, of: &str) {
        self.dated(&format!(" FROM {from} WHERE {of}"));
        if let Some(matching) = &quantity.matching {
            self.sql(" AND ");
            self.node(matching);
        }
    }

    /// A text with the day of the question in the places of `{}`.
    fn dated(&mut self, text: &str) {
        for (place, part) in text.split("{}").enumerate() {
            if place > 0 {
                self.bound(self.today);
            }
            self.sql(part.to_owned());
        }
    }

    fn sum(&mut self, quantity: &Quantity, test: &Test) {
        self.sql(format!("(SELECT COALESCE(SUM({}), 0)", test.field.sql));
        self.items(quantity);
        self.in_currency(test.field.kind, test.operands.first());
        self.sql(")");
        self.compared(test.operator, &test.operands);
    }

    fn test(&mut self, test: &Test) {
        let Some(beside) = test.field.beside else { return self.column(test) };
        // Without a row the field has no value either.
        let absent = test.operator == RuleOperator::Absent;
        self.sql(format!("{}EXISTS (SELECT 1 FROM {beside} AND ", if absent { "NOT " } else { "" }));
        if absent {
            self.sql(format!("{} IS NOT NULL", test.field.sql))
        } else {
            self.column(test)
        }
        self.sql(")");
    }

    /// A comparison of the column, false where it is null.
    fn column(&mut self, test: &Test) {
        let sql = test.field.sql;
        match (test.operator, test.field.kind, test.operands.as_slice()) {
            (RuleOperator::Present, ..) => self.sql(format!("{sql} IS NOT NULL")),
            (RuleOperator::Absent, ..) => self.sql(format!("{sql} IS NULL")),
            (RuleOperator::StartsWith, _, [Operand::Text(begin)]) => {
                let length = begin.chars().count();
                self.sql(format!("({sql} IS NOT NULL AND substr({sql}, 1, {length}) = "));
                self.bound(Value::Text(begin.clone()));
                self.sql(")");
            }
            (operator, FieldType::Tree(tree), operands) => {
                self.sql(format!("({sql} IS NOT NULL AND {sql} IN "));
                self.nodes_of(tree.table, operator, operands);
                self.sql(")");
            }
            (operator, kind, operands) => {
                self.sql(format!("({sql} IS NOT NULL AND "));
                if let (FieldType::Money(currency), Some(Operand::Money(money))) = (kind, operands.first()) {
                    self.sql(format!("{currency} = "));
                    self.bound(money.currency.code());
                    self.sql(" AND ");
                }
                self.sql(sql);
                self.compared(operator, operands);
                self.sql(")");
            }
        }
    }

    fn nodes_of(&mut self, table: &str, operator: RuleOperator, operands: &[Operand]) {
        if operator == RuleOperator::Within {
            // Paths are segments of ASCII that each end in '.', and '/' is the character after it. By range, of which PostgreSQL
            // expects many rows: of an equality it expects one, and then plans for one.
            let below = "below.path >= top.path AND below.path < substr(top.path, 1, length(top.path) - 1) || '/'";
            self.sql(format!("(SELECT below.id FROM {table} AS below JOIN {table} AS top ON {below} WHERE top.code IN ("));
        } else {
            self.sql(format!("(SELECT id FROM {table} WHERE code IN ("));
        }
        self.list(operands);
        self.sql("))");
    }

    /// What stands behind the value that is compared.
    fn compared(&mut self, operator: RuleOperator, operands: &[Operand]) {
        let word = match operator {
            RuleOperator::LessThan => " < ",
            RuleOperator::AtMost => " <= ",
            RuleOperator::MoreThan => " > ",
            RuleOperator::AtLeast => " >= ",
            RuleOperator::Between => " BETWEEN ",
            RuleOperator::OneOf => {
                self.sql(" IN (");
                self.list(operands);
                self.sql(")");
                return;
            }
            _ => " = ",
        };
        self.sql(word);
        for (place, operand) in operands.iter().enumerate() {
            if place > 0 {
                self.sql(" AND ");
            }
            self.operand(operand);
        }
    }

    fn list(&mut self, operands: &[Operand]) {
        for (place, operand) in operands.iter().enumerate() {
            if place > 0 {
                self.sql(", ");
            }
            self.operand(operand);
        }
    }

    pub fn operand(&mut self, operand: &Operand) {
        self.bound(match operand {
            Operand::Text(text) => Value::Text(text.clone()),
            Operand::Number(number) => Value::Number(*number),
            Operand::Money(money) => Value::Number(money.amount_minor),
            Operand::Date(date) => Value::Date(*date),
            Operand::Instant(moment) => Value::Instant(*moment),
            Operand::Flag(flag) => Value::Flag(*flag),
            Operand::Id(id) => Value::Id(*id),
            Operand::Path(codes) => Value::Text(codes.first().cloned().unwrap_or_default()),
        });
    }
}

/// Writes pieces into a statement.
pub(super) fn push<'b>(parts: &'b [Part], out: &mut AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
    for part in parts {
        match part {
            Part::Sql(text) => out.push_sql(text),
            Part::Bound(value) => value.push(out)?,
        }
    }
    Ok(())
}

impl QueryFragment<MultiBackend> for Condition {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        // There is no end to the texts of rules.
        out.unsafe_to_cache_prepared();
        push(&self.parts, &mut out)
    }
}

impl Expression for Condition {
    type SqlType = Bool;
}

impl<T> AppearsOnTable<T> for Condition {}

impl<T> SelectableExpression<T> for Condition {}

impl<G> ValidGrouping<G> for Condition {
    type IsAggregate = is_aggregate::No;
}

impl QueryId for Condition {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}
