//! Names of the records whose ids are facts of events, read once for a whole page.

use std::{collections::HashMap, str::FromStr};

use diesel::{RunQueryDsl, sql_types::Text};
use kehu_kernel::{
    Actor, AnyId, Conn, Result,
    store::{given, sql},
};

use super::Happening;
use crate::relation;

/// Which facts are ids, of which table, and which column names the record; customers have a way of their own.
const REFERENCES: &[(&str, &str, &str)] = &[
    ("home_branch_id", "branches", "name"),
    ("owner_id", "staff", "name"),
    ("staff_id", "staff", "name"),
    ("account_id", "accounts", "number_masked"),
    ("product_id", "products", "name"),
];

/// The fact that names another customer.
const CUSTOMER: &str = "related_customer_id";

/// Names by id.
pub(super) struct Names(HashMap<AnyId, String>);

impl Names {
    /// The name that belongs to the value of a fact.
    pub fn label(&self, fact: &str, value: &str) -> Option<String> {
        if fact != CUSTOMER && !REFERENCES.iter().any(|(name, _, _)| *name == fact) {
            return None;
        }
        self.0.get(&AnyId::from_str(value).ok()?).cloned()
    }
}

/// The names that the facts of these events refer to, as far as the actor is shown them: customers in sight, accounts in
/// events that only whoever reads the customer's accounts is shown, and staff for everybody but customers.
pub(super) fn of(conn: &mut Conn, actor: &Actor, itself: bool, rows: &[Happening]) -> Result<Names> {
    let mut ids: HashMap<&str, Vec<AnyId>> = HashMap::new();
    for row in rows {
        for fact in super::telling(&row.kind).map_or(&[][..], |telling| telling.facts) {
            let id = row.data.0.get(*fact).and_then(|value| AnyId::from_str(value.as_str()?).ok());
            ids.entry(fact).or_default().extend(id);
        }
    }
    let mut names = referred(conn, itself, &ids)?;
    if let Some(others) = ids.get(CUSTOMER).filter(|others| !others.is_empty()) {
        let visible = relation::visible_names(conn, actor, others.iter().map(|id| id.cast()).collect())?;
        names.extend(visible.into_iter().map(|(id, name)| (id.cast(), name)));
    }
    Ok(Names(names))
}

fn referred(conn: &mut Conn, itself: bool, ids: &HashMap<&str, Vec<AnyId>>) -> Result<HashMap<AnyId, String>> {
    let (mut arms, mut given_ids) = (Vec::new(), Vec::new());
    for (fact, table, column) in REFERENCES {
        let mut wanted = ids.get(fact).cloned().unwrap_or_default();
        wanted.sort_unstable();
        wanted.dedup();
        // Who works for the bank is not told to its customers.
        if wanted.is_empty() || (*table == "staff" && itself) {
            continue;
        }
        arms.push(format!("SELECT id, {column} AS name FROM {table} WHERE id IN ({})", vec!["{}"; wanted.len()].join(", ")));
        given_ids.extend(wanted.into_iter().map(Into::into));
    }
    if arms.is_empty() {
        return Ok(HashMap::new());
    }
    let named = given::<(sql::Uuid, Text)>(arms.join(" UNION ALL "), given_ids);
    Ok(named.load::<(AnyId, String)>(&mut conn.db)?.into_iter().collect())
}
