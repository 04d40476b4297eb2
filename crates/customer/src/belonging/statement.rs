//! SQL with named places, written once for both databases.

use std::collections::HashMap;

use diesel::{
    QueryableByName, RunQueryDsl,
    query_builder::{BoxedSqlQuery, SqlQuery},
    sql_query,
    sql_types::{BigInt, Date as SqlDate, Text},
};
use kehu_kernel::{
    AnyId, Conn, Date, Error, Id, Result,
    json::Json,
    store::{MultiBackend, sql},
};
use serde_json::Value;

/// A statement whose places are filled by name: `{survivor}`. Values are bound, never written into the text.
#[derive(Clone, Debug)]
pub struct Statement {
    text: String,
    values: HashMap<&'static str, Bound>,
}

#[derive(Clone, Debug)]
enum Bound {
    Id(AnyId),
    Day(Date),
    Text(String),
    Number(i64),
    Json(Value),
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Statement {
    /// A statement with places yet to be filled.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: HashMap::new() }
    }

    /// Fills a place with an id.
    #[must_use]
    pub fn id<T>(self, name: &'static str, id: Id<T>) -> Self {
        self.with(name, Bound::Id(id.cast()))
    }

    /// Fills a place with a day.
    #[must_use]
    pub fn day(self, name: &'static str, day: Date) -> Self {
        self.with(name, Bound::Day(day))
    }

    /// Fills a place with a text.
    #[must_use]
    pub fn text(self, name: &'static str, text: impl Into<String>) -> Self {
        self.with(name, Bound::Text(text.into()))
    }

    /// Fills a place with a number.
    #[must_use]
    pub fn number(self, name: &'static str, number: i64) -> Self {
        self.with(name, Bound::Number(number))
    }

    /// Fills a place with a JSON document.
    #[must_use]
    pub fn json(self, name: &'static str, value: Value) -> Self {
        self.with(name, Bound::Json(value))
    }

    fn with(mut self, name: &'static str, value: Bound) -> Self {
        self.values.insert(name, value);
        self
    }

    /// Runs it; how many rows it changed.
    ///
    /// # Errors
    /// The database's.
    pub fn execute(self, conn: &mut Conn) -> Result<usize> {
        Ok(self.query()?.execute(&mut conn.db)?)
    }

    /// Runs it as a query that answers one number named `count`.
    ///
    /// # Errors
    /// The database's.
    pub fn count(self, conn: &mut Conn) -> Result<i64> {
        let rows: Vec<Count> = self.query()?.load(&mut conn.db)?;
        Ok(rows.first().map_or(0, |row| row.count))
    }

    /// The query with its places numbered and bound, for `.load::<Row>(&mut conn.db)`.
    ///
    /// # Errors
    /// [`Error::Internal`] for a place that nothing fills.
    pub fn query(self) -> Result<BoxedSqlQuery<'static, MultiBackend, SqlQuery>> {
        let (text, order) = self.numbered()?;
        let mut query = sql_query(text).into_boxed();
        for value in order {
            query = match value {
                Bound::Id(id) => query.bind::<sql::Uuid, _>(id),
                Bound::Day(day) => query.bind::<SqlDate, _>(day),
                Bound::Text(text) => query.bind::<Text, _>(text),
                Bound::Number(number) => query.bind::<BigInt, _>(number),
                Bound::Json(value) => query.bind::<sql::Json, _>(Json(value)),
            };
        }
        Ok(query)
    }

    /// SQLite numbers `$n` by first appearance, so that is how places are numbered.
    fn numbered(&self) -> Result<(String, Vec<Bound>)> {
        let (mut text, mut names, mut order) = (String::with_capacity(self.text.len()), Vec::new(), Vec::new());
        let mut rest = self.text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| Error::internal_display("a place without its end"))?;
            text.push_str(before);
            rest = after;
            // An empty JSON document, not a place.
            if name.is_empty() {
                text.push_str("{}");
                continue;
            }
            let value = self.values.get(name).ok_or_else(|| Error::internal_display(format!("nothing fills {{{name}}}")))?;
            let place = names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                order.push(value.clone());
                names.len() - 1
            });
            text.push_str(&format!("${}", place + 1));
        }
        text.push_str(rest);
        Ok((text, order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbered_by_first_appearance() {
        let statement = Statement::new("a = {b} AND c = {a} AND d = {b}").id("a", AnyId::new()).text("b", "x");
        let (text, order) = statement.numbered().unwrap();
        assert_eq!(text, "a = $1 AND c = $2 AND d = $1");
        assert!(matches!(order.as_slice(), [Bound::Text(_), Bound::Id(_)]));
        assert_eq!(Statement::new("'{}'").numbered().unwrap().0, "'{}'");
        assert!(Statement::new("{nobody}").numbered().is_err());
        assert!(Statement::new("{open").numbered().is_err());
    }
}
