//! What was believed when: values of profiles and ratings, status and stage, each with its time and source.
//!
//! The first value of a field is written down when it changes for the first time; until then it is the
//! customer's own, and its source is that of the customer's first source record.

use std::collections::HashMap;

use diesel::{ExpressionMethods, Insertable, JoinOnDsl, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    AnyId, BasisPoints, Conn, Instant, Result, Tx, bulk_copy,
    json::Json,
    schema::{attribute_history, merge_rows, merges, source_records, source_systems},
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    CustomerId, CustomerRow,
    profile::{OrganisationProfile, PersonalProfile},
};

/// One value of one field.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = attribute_history, treat_none_as_default_value = false)]
pub(crate) struct Belief {
    pub id: AnyId,
    pub customer_id: CustomerId,
    pub field: String,
    pub value: Json<Value>,
    pub source_system: Option<String>,
    pub observed_at: Instant,
    pub valid_from: Instant,
    pub valid_to: Option<Instant>,
    pub confidence_bp: BasisPoints,
    pub recorded_by: String,
}

/// Who says a new value, since when, and how sure that is.
#[derive(Clone, Debug)]
pub(crate) struct Testimony<'a> {
    /// The source system; `None` for a person.
    pub source: Option<&'a str>,
    pub observed_at: Instant,
    pub confidence: BasisPoints,
    pub recorded_by: &'a str,
}

/// A field whose value changes.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub field: String,
    pub before: Value,
    pub after: Value,
}

/// Fields of the customer itself whose values are kept.
#[derive(Serialize)]
struct Attributes<'a> {
    display_name: &'a str,
    tier: &'a Option<String>,
    home_branch_id: Option<AnyId>,
    preferred_language: Option<crate::customer::PreferredLanguage>,
    preferred_channel: Option<crate::customer::PreferredChannel>,
    credit_rating: &'a Option<String>,
    market_rating: &'a Option<String>,
    operational_rating: &'a Option<String>,
    fraud_flag: bool,
    deceased_on: Option<kehu_kernel::Date>,
}

/// All values of a customer that are kept in the history, by their names.
pub(crate) fn values(
    row: &CustomerRow,
    personal: Option<&PersonalProfile>,
    organisation: Option<&OrganisationProfile>,
) -> Result<Map<String, Value>> {
    let own = Attributes {
        display_name: &row.display_name,
        tier: &row.tier,
        home_branch_id: row.home_branch_id,
        preferred_language: row.preferred_language,
        preferred_channel: row.preferred_channel,
        credit_rating: &row.credit_rating,
        market_rating: &row.market_rating,
        operational_rating: &row.operational_rating,
        fraud_flag: row.fraud_flag,
        deceased_on: row.deceased_on,
    };
    let mut all = object(&own)?;
    if let Some(profile) = personal {
        all.extend(object(profile)?);
    }
    if let Some(profile) = organisation {
        all.extend(object(profile)?);
    }
    for derived in ["pinyin", "updated_at"] {
        all.shift_remove(derived);
    }
    Ok(all)
}

fn object(value: &impl Serialize) -> Result<Map<String, Value>> {
    match serde_json::to_value(value).map_err(kehu_kernel::Error::internal)? {
        Value::Object(map) => Ok(map),
        _ => Ok(Map::new()),
    }
}

/// The fields in which two sets of values differ.
pub(crate) fn changes(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (field, value) in after {
        let old = before.get(field).unwrap_or(&Value::Null);
        if old != value {
            changes.push(Change { field: field.clone(), before: old.clone(), after: value.clone() });
        }
    }
    changes
}

/// Those of these fields whose value stays, as changes to the same value.
pub(crate) fn confirmed(before: &Map<String, Value>, after: &Map<String, Value>, fields: &[&str]) -> Vec<Change> {
    let stays = |field: &&str| after.get(*field).filter(|value| before.get(*field) == Some(*value)).cloned();
    let confirm =
        |field: &&str| stays(field).map(|value| Change { field: (*field).to_owned(), before: value.clone(), after: value });
    fields.iter().filter_map(confirm).collect()
}

/// Keeps the changes of one customer: ends what was believed, begins what is.
pub(crate) fn keep(tx: &mut Tx<'_>, customer: &CustomerRow, changes: &[Change], testimony: &Testimony<'_>) -> Result<()> {
    let open = open_beliefs(tx, customer.id)?;
    let first_source = first_source(tx, customer.id)?;
    let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
    if fields.is_empty() {
        return Ok(());
    }
    diesel::update(
        attribute_history::table
            .filter(attribute_history::customer_id.eq(customer.id))
            .filter(attribute_history::field.eq_any(fields))
            .filter(attribute_history::valid_to.is_null()),
    )
    .set(attribute_history::valid_to.eq(tx.now))
    .execute(&mut tx.db)?;
    let mut rows = Vec::new();
    for change in changes {
        if !open.contains_key(&change.field) {
            rows.push(Belief {
                id: AnyId::new(),
                customer_id: customer.id,
                field: change.field.clone(),
                value: Json(change.before.clone()),
                source_system: first_source.clone(),
                observed_at: customer.created_at,
                valid_from: customer.created_at,
                valid_to: Some(tx.now),
                confidence_bp: BasisPoints::WHOLE,
                recorded_by: testimony.recorded_by.to_owned(),
            });
        }
        rows.push(belief(customer.id, change, testimony, tx.now, None));
    }
    bulk_copy!(tx, attribute_history::table, rows)?;
    Ok(())
}

/// Keeps what a source said without replacing what is believed.
pub(crate) fn note(tx: &mut Tx<'_>, customer: CustomerId, changes: &[Change], testimony: &Testimony<'_>) -> Result<()> {
    let rows: Vec<Belief> = changes.iter().map(|change| belief(customer, change, testimony, tx.now, Some(tx.now))).collect();
    bulk_copy!(tx, attribute_history::table, rows)?;
    Ok(())
}

fn belief(
    customer_id: CustomerId,
    change: &Change,
    testimony: &Testimony<'_>,
    now: Instant,
    valid_to: Option<Instant>,
) -> Belief {
    Belief {
        id: AnyId::new(),
        customer_id,
        field: change.field.clone(),
        value: Json(change.after.clone()),
        source_system: testimony.source.map(str::to_owned),
        observed_at: testimony.observed_at,
        valid_from: now,
        valid_to,
        confidence_bp: testimony.confidence,
        recorded_by: testimony.recorded_by.to_owned(),
    }
}

/// Splits changes into those that a source may make and those where it must yield: a source yields to
/// one that has a higher precedence for profiles. Values that people entered count as of precedence 0,
/// like those of unknown sources.
pub(crate) fn weigh(
    tx: &mut Tx<'_>,
    customer: CustomerId,
    changes: Vec<Change>,
    precedence: i32,
) -> Result<(Vec<Change>, Vec<Change>)> {
    let open = open_beliefs(tx, customer)?;
    let first_source = first_source(tx, customer)?;
    let ranks = precedences(tx)?;
    let rank = |source: &Option<String>| source.as_ref().and_then(|code| ranks.get(code)).copied().unwrap_or(0);
    Ok(changes.into_iter().partition(|change| {
        // Nothing known yields to anything.
        let holder = open.get(&change.field).unwrap_or(&first_source);
        change.before.is_null() || precedence >= rank(holder)
    }))
}

/// From where a value is known.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The source system; `None` for a person.
    pub source: Option<String>,
    pub observed_at: Instant,
    pub confidence: BasisPoints,
}

/// From where the values of a customer are known: those that have changed, and those it was made with.
pub(crate) fn known(conn: &mut Conn, customer: &CustomerRow) -> Result<(HashMap<String, Known>, Known)> {
    let rows: Vec<Belief> = attribute_history::table
        .filter(attribute_history::customer_id.eq(customer.id))
        .filter(attribute_history::valid_to.is_null())
        .select(Belief::as_select())
        .load(&mut conn.db)?;
    let known = |row: Belief| {
        (row.field, Known { source: row.source_system, observed_at: row.observed_at, confidence: row.confidence_bp })
    };
    let first =
        Known { source: first_source(conn, customer.id)?, observed_at: customer.created_at, confidence: BasisPoints::WHOLE };
    Ok((rows.into_iter().map(known).collect(), first))
}

/// Source of each field that has an open belief.
fn open_beliefs(conn: &mut Conn, customer: CustomerId) -> Result<HashMap<String, Option<String>>> {
    let rows: Vec<(String, Option<String>)> = attribute_history::table
        .filter(attribute_history::customer_id.eq(customer))
        .filter(attribute_history::valid_to.is_null())
        .select((attribute_history::field, attribute_history::source_system))
        .load(&mut conn.db)?;
    Ok(rows.into_iter().collect())
}

/// The source whose record made the customer; `None` when a person did. Records that a standing merge brought have made
/// another one.
fn first_source(conn: &mut Conn, customer: CustomerId) -> Result<Option<String>> {
    let made_by: Vec<(AnyId, String)> = source_records::table
        .filter(source_records::customer_id.eq(customer))
        .filter(source_records::match_method.eq(crate::source_record::MatchMethod::Created))
        .order(source_records::id)
        .select((source_records::id, source_records::source_system))
        .load(&mut conn.db)?;
    if made_by.is_empty() {
        return Ok(None);
    }
    let brought: Vec<AnyId> = merge_rows::table
        .inner_join(merges::table.on(merges::id.eq(merge_rows::merge_id)))
        .filter(merges::survivor_id.eq(customer))
        .filter(merges::reverted_at.is_null())
        .filter(merge_rows::table_name.eq("source_records"))
        .select(merge_rows::row_id)
        .load(&mut conn.db)?;
    Ok(made_by.into_iter().find(|(id, _)| !brought.contains(id)).map(|(_, source)| source))
}

/// The precedence of each source system for profiles.
pub(crate) fn precedences(conn: &mut Conn) -> Result<HashMap<String, i32>> {
    let rows: Vec<(String, Json<HashMap<String, i32>>)> =
        source_systems::table.select((source_systems::code, source_systems::precedence)).load(&mut conn.db)?;
    let of_profiles =
        rows.into_iter().filter_map(|(code, classes)| classes.0.get(crate::feed::PROFILE).map(|rank| (code, *rank)));
    Ok(of_profiles.collect())
}
