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

#[derive(Clone, Debug)]
enum Part {
    Sql(Cow<'static, str>),
    Bound(Value),
}

/// How many records a query looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Some, until a page is full or a record is found: what belongs to each is looked up.
    Some,
    /// All: SQLite, which looks up row by row what PostgreSQL plans as it likes, is told to gather what belongs to any record first.
    All,
}

impl Checked {
    /// The rule for `.filter(…)` on the table of its records.
    #[must_use]
    pub fn condition(&self, conn: &Conn, extent: Extent) -> Condition {
        let gathers = extent == Extent::All && matches!(conn.db.kind, Kind::Sqlite(_));
        let mut writer = Writer { parts: Vec::new(), today: self.today, table: self.table, gathers };
        writer.node(&self.root);
        Condition { parts: writer.parts }
    }
}

struct Writer {
    parts: Vec<Part>,
    today: Date,
    /// The table of the records.
    table: &'static str,
    /// Whether what belongs to any record is gathered first.
    gathers: bool,
}

impl Writer {
    fn sql(&mut self, text: impl Into<Cow<'static, str>>) {
        self.parts.push(Part::Sql(text.into()));
    }

    fn bound(&mut self, value: impl Into<Value>) {
        self.parts.push(Part::Bound(value.into()));
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::All(nodes) => self.joined(nodes, " AND "),
            Node::Any(nodes) => self.joined(nodes, " OR "),
            Node::Not(node) => {
                self.sql("NOT (");
                self.node(node);
                self.sql(")");
            }
            Node::Test(test) => self.test(test),
            Node::Some(quantity) => self.some(quantity),
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

    fn some(&mut self, quantity: &Quantity) {
        let Collection { key, from, of, .. } = quantity.collection;
        let id = format!("{}.id", self.table);
        match &quantity.measure {
            Measure::AtLeast(1) if self.gathers => {
                self.sql(format!("{id} IN (SELECT {key}"));
                self.rows(quantity, from, of);
                self.sql(")");
            }
            Measure::AtLeast(1) => {
                self.sql("EXISTS (SELECT 1");
                self.rows(quantity, from, &format!("{key} = {id} AND {of}"));
                self.sql(")");
            }
            Measure::AtLeast(number) => {
                self.sql("(SELECT COUNT(*)");
                self.items(quantity);
                self.sql(") >= ");
                self.bound(*number);
            }
            Measure::Sum(test) => self.sum(quantity, test),
        }
    }

    /// The items of a record, each once.
    fn items(&mut self, quantity: &Quantity) {
        let Collection { key, from, of, once, .. } = quantity.collection;
        match once {
            Some(Once { from, of }) => self.rows(quantity, from, of),
            None => self.rows(quantity, from, &format!("{key} = {}.id AND {of}", self.table)),
        }
    }

    /// The rows that count and match.
    fn rows(&mut self, quantity: &Quantity, from: &str, of: &str) {
        self.sql(format!(" FROM {from} WHERE "));
        for (place, part) in of.split("{}").enumerate() {
            if place > 0 {
                self.bound(self.today);
            }
            self.sql(part.to_owned());
        }
        if let Some(matching) = &quantity.matching {
            self.sql(" AND ");
            self.node(matching);
        }
    }

    fn sum(&mut self, quantity: &Quantity, test: &Test) {
        self.sql(format!("(SELECT COALESCE(SUM({}), 0)", test.field.sql));
        self.items(quantity);
        if let (FieldType::Money(currency), Some(Operand::Money(money))) = (test.field.kind, test.operands.first()) {
            self.sql(format!(" AND {currency} = "));
            self.bound(money.currency.code());
        }
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
            (operator, FieldType::Tree(table), operands) => {
                self.sql(format!("({sql} IS NOT NULL AND {sql} IN "));
                self.nodes_of(table, operator, operands);
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

    fn operand(&mut self, operand: &Operand) {
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

impl QueryFragment<MultiBackend> for Condition {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        // There is no end to the texts of rules.
        out.unsafe_to_cache_prepared();
        for part in &self.parts {
            match part {
                Part::Sql(text) => out.push_sql(text),
                Part::Bound(value) => value.push(&mut out)?,
            }
        }
        Ok(())
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
