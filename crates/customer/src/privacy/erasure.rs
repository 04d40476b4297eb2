//! Erasure: what is held about a customer goes, table by table as each crate has declared; a tombstone with the
//! number stays, and with it what the law or the audit needs.
//!
//! Events stay, for their chain must hold; they name fields, ids and kinds, never values of personal data. The
//! record of a source stays without its content, so that the source cannot bring the customer back unnoticed.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryableByName, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, AnyId, BasisPoints, Conn, Error, Instant, Page, PageParams, Result, Tx,
    audit::{self, AccessEntry, AccessFilter},
    error::Obstacle,
    event::NewEvent,
    schema::{customers, events, merges},
    store::sql,
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use validator::Validate;

use crate::{
    CustomerId,
    belonging::{Belonging, OnErasure, Registry, Statement},
    scope,
};

/// What a tombstone is called.
const NAMELESS: &str = "Erased customer";
/// The event of an erasure.
const ERASED: &str = "customer.erased";
/// How many obstacles of one kind are named.
const NAMED: usize = 20;

/// An erasure that is asked for.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ErasureRequest {
    /// Why. It stays in the audit, so it must not name the customer.
    #[schema(example = "request of the customer of 2026-01-31", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub reason: String,
    /// Whether only to show what would happen and what stands in the way.
    #[serde(default)]
    #[schema(example = true)]
    pub dry_run: bool,
}

text_enum! {
    /// What an erasure does with the rows of a table.
    pub enum ErasureTreatment {
        /// They are deleted.
        Deleted = "deleted",
        /// They stay without what names the customer.
        Scrubbed = "scrubbed",
        /// They stay.
        Kept = "kept",
    }
}

/// What an erasure does, or has done: the tombstone.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CustomerErasure {
    /// The customer.
    pub customer_id: CustomerId,
    /// Its number, which stays.
    #[schema(example = "C36N4S-7F20H8-0QKXW3", max_length = 32)]
    pub number: String,
    /// When it was erased; null when this is a dry run.
    pub erased_at: Option<Instant>,
    /// Who erased it; null when this is a dry run.
    #[schema(max_length = 128)]
    pub erased_by: Option<String>,
    /// Why.
    #[schema(max_length = 500)]
    pub reason: Option<String>,
    /// The records that are the customer: its own, and those that merges have made part of it. All are erased.
    #[schema(max_items = 10000)]
    pub records: Vec<CustomerId>,
    /// What stands in the way; empty when nothing does.
    #[schema(max_items = 1000)]
    pub obstacles: Vec<Obstacle>,
    /// What becomes of the rows of each table; empty where an erasure of earlier is shown.
    #[schema(max_items = 200)]
    pub tables: Vec<ErasedTable>,
}

/// What becomes of the rows of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErasedTable {
    /// The table.
    #[schema(example = "contact_points", max_length = 64)]
    pub table: String,
    /// What is done with them.
    pub treatment: ErasureTreatment,
    /// How many there are.
    #[schema(minimum = 0)]
    pub row_count: i64,
    /// Why they stay; null for others.
    #[schema(max_length = 500)]
    pub reason: Option<String>,
}

/// Erases a customer with all records that merges have made part of it, or shows what that would do.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `privacy.manage`; [`Error::PreconditionFailed`];
/// [`Error::Refused`] `erasure_refused` with everything that stands in the way.
pub fn erase(
    tx: &mut Tx<'_>,
    actor: &Actor,
    registry: Registry,
    customer: CustomerId,
    version: i64,
    request: &ErasureRequest,
) -> Result<CustomerErasure> {
    scope::require_inside(tx, actor, Action::PrivacyManage, customer)?;
    let mut records = scope::lineage(tx, customer)?;
    records.sort_unstable();
    for record in &records {
        scope::hold(tx, *record)?;
    }
    let row = scope::require_inside(tx, actor, Action::PrivacyManage, customer)?;
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    let records = scope::lineage(tx, customer)?;
    let obstacles = obstacles(tx, registry, &records)?;
    let mut answer = CustomerErasure {
        customer_id: customer,
        number: row.number,
        erased_at: None,
        erased_by: None,
        reason: Some(request.reason.clone()),
        tables: tables(tx, registry, &records)?,
        obstacles,
        records,
    };
    if request.dry_run {
        return Ok(answer);
    }
    if !answer.obstacles.is_empty() {
        return Err(Error::Refused {
            code: "erasure_refused",
            detail: "Something stands in the way; close, release or move it first.".into(),
            obstacles: answer.obstacles,
        });
    }
    for scrub in registry.elsewhere {
        for record in &answer.records {
            scrub(tx, *record)?;
        }
    }
    for record in &answer.records {
        for belonging in registry.iter() {
            carry_out(tx, belonging, *record)?;
        }
        entomb(tx, *record)?;
        let data = json!({ "reason": request.reason, "erased_with": (*record != customer).then_some(customer) });
        tx.emit(actor, NewEvent::new(ERASED, *record, data).of_customer(*record));
    }
    // What is gone cannot be given back.
    diesel::update(
        merges::table.filter(merges::survivor_id.eq_any(answer.records.clone())).filter(merges::reverted_at.is_null()),
    )
    .set((merges::reversible_until.eq(tx.now), merges::version.eq(merges::version + 1)))
    .execute(&mut tx.db)?;
    answer.erased_at = Some(tx.now);
    answer.erased_by = Some(actor.subject.clone());
    Ok(answer)
}

/// When a customer was last erased; for what keeps copies of answers.
///
/// # Errors
/// The database's.
pub fn last_erasure(conn: &mut Conn) -> Result<Option<Instant>> {
    let last: Option<Option<Instant>> = customers::table
        .filter(customers::erased_at.is_not_null())
        .order(customers::erased_at.desc())
        .select(customers::erased_at)
        .first(&mut conn.db)
        .optional()?;
    Ok(last.flatten())
}

/// Who read the data of a customer: for those who may see that of a customer, and after its erasure, for which it is kept as
/// evidence, for those who manage privacy.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `audit.read`; [`Error::Invalid`] for a bad page request.
pub fn access_log(
    conn: &mut Conn,
    actor: &Actor,
    customer: CustomerId,
    filter: &AccessFilter,
    params: &PageParams,
) -> Result<Page<AccessEntry>> {
    match scope::require_inside(conn, actor, Action::AuditRead, customer) {
        Ok(_) => {}
        Err(Error::NotFound) if actor.reach(Action::PrivacyManage).is_some() => {
            erasure(conn, actor, customer)?;
        }
        Err(error) => return Err(error),
    }
    let lineage = scope::lineage(conn, customer)?;
    audit::of_customers(conn, &lineage, filter, params)
}

/// The tombstone of an erased customer, for those who manage privacy; to everybody else it is not there.
///
/// # Errors
/// [`Error::NotFound`] when there is no such customer or it was not erased; [`Error::Forbidden`].
pub fn erasure(conn: &mut Conn, actor: &Actor, customer: CustomerId) -> Result<CustomerErasure> {
    let reach = actor.allow(Action::PrivacyManage)?;
    scope::refuse_customers(actor)?;
    let (number, erased_at): (String, Option<Instant>) = customers::table
        .filter(customers::id.eq(customer))
        .filter(customers::erased_at.is_not_null())
        .filter(scope::kept_within(&reach))
        .select((customers::number, customers::erased_at))
        .first(&mut conn.db)?;
    let told: Option<(String, kehu_kernel::json::Json<Value>)> = events::table
        .filter(events::customer_id.eq(customer.cast::<()>()))
        .filter(events::kind.eq(ERASED))
        .select((events::actor, events::data))
        .first(&mut conn.db)
        .optional()?;
    let reason = told.as_ref().and_then(|(_, data)| data.0.get("reason")?.as_str().map(str::to_owned));
    Ok(CustomerErasure {
        customer_id: customer,
        number,
        erased_at,
        erased_by: told.map(|(actor, _)| actor),
        reason,
        records: scope::lineage(conn, customer)?,
        obstacles: Vec::new(),
        tables: Vec::new(),
    })
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = sql::Uuid)]
    id: AnyId,
}

fn obstacles(conn: &mut Conn, registry: Registry, records: &[CustomerId]) -> Result<Vec<Obstacle>> {
    let mut found = Vec::new();
    for belonging in registry.iter() {
        let Belonging { table, column, key, .. } = belonging;
        for block in belonging.blocks {
            for record in records {
                let select = format!(
                    "SELECT r.{key} AS id FROM {table} r WHERE r.{column} = {{customer}} AND ({}) ORDER BY r.{key} LIMIT {NAMED}",
                    block.when
                );
                let select = Statement::new(select).id("customer", *record).day("today", conn.now.date());
                let rows: Vec<Found> = select.query()?.load(&mut conn.db)?;
                found.extend(rows.into_iter().map(|row| Obstacle {
                    code: block.code.to_owned(),
                    held_in: (*table).to_owned(),
                    id: row.id,
                    message: block.why.to_owned(),
                }));
            }
        }
    }
    Ok(found)
}

/// How many rows of each table there are, and what becomes of them. A table that refers to customers by two
/// columns stands there twice if it treats them differently.
fn tables(conn: &mut Conn, registry: Registry, records: &[CustomerId]) -> Result<Vec<ErasedTable>> {
    let mut tables: Vec<ErasedTable> = Vec::new();
    for belonging in registry.iter() {
        let (treatment, reason) = match belonging.erasure {
            OnErasure::Deleted => (ErasureTreatment::Deleted, None),
            OnErasure::Scrubbed(_) | OnErasure::By(_) => (ErasureTreatment::Scrubbed, None),
            OnErasure::Kept(reason) => (ErasureTreatment::Kept, Some(reason.to_owned())),
        };
        let Belonging { table, column, .. } = belonging;
        let mut row_count = 0;
        for record in records {
            let count = format!("SELECT COUNT(*) AS count FROM {table} r WHERE r.{column} = {{customer}}");
            row_count += Statement::new(count).id("customer", *record).count(conn)?;
        }
        match tables.iter_mut().find(|known| known.table == *table && known.treatment == treatment) {
            Some(known) => known.row_count += row_count,
            None => tables.push(ErasedTable { table: (*table).to_owned(), treatment, row_count, reason }),
        }
    }
    Ok(tables)
}

fn carry_out(tx: &mut Tx<'_>, belonging: &Belonging, record: CustomerId) -> Result<()> {
    let Belonging { table, column, .. } = belonging;
    let statement = match belonging.erasure {
        OnErasure::Kept(_) => return Ok(()),
        OnErasure::By(scrub) => return scrub(tx, record).map(|_| ()),
        OnErasure::Deleted => format!("DELETE FROM {table} WHERE {column} = {{customer}}"),
        OnErasure::Scrubbed(values) => {
            let mut changes: Vec<String> = values.iter().map(|(column, value)| format!("{column} = {value}")).collect();
            if belonging.versioned {
                changes.push("version = version + 1".to_owned());
            }
            format!("UPDATE {table} SET {} WHERE {column} = {{customer}}", changes.join(", "))
        }
    };
    Statement::new(statement).id("customer", record).day("today", tx.now.date()).execute(tx)?;
    Ok(())
}

/// The record itself: number, kind, status, branch and times stay.
fn entomb(tx: &mut Tx<'_>, record: CustomerId) -> Result<()> {
    let nothing = || None::<String>;
    diesel::update(customers::table.find(record))
        .set((
            (
                customers::display_name.eq(NAMELESS),
                customers::status_reason.eq(nothing()),
                customers::tier.eq(nothing()),
                customers::owner_id.eq(None::<AnyId>),
                customers::preferred_language.eq(nothing()),
                customers::preferred_channel.eq(nothing()),
                customers::credit_rating.eq(nothing()),
                customers::market_rating.eq(nothing()),
                customers::operational_rating.eq(nothing()),
            ),
            (
                customers::rated_on.eq(None::<kehu_kernel::Date>),
                customers::fraud_flag.eq(false),
                customers::deceased_on.eq(None::<kehu_kernel::Date>),
                customers::accuracy_bp.eq(BasisPoints(0)),
                customers::completeness_bp.eq(BasisPoints(0)),
                customers::consistency_bp.eq(BasisPoints(0)),
                customers::quality_score_bp.eq(BasisPoints(0)),
                customers::review_due_on.eq(None::<kehu_kernel::Date>),
                customers::erased_at.eq(tx.now),
                customers::updated_at.eq(tx.now),
                customers::version.eq(customers::version + 1),
            ),
        ))
        .execute(&mut tx.db)?;
    Ok(())
}
