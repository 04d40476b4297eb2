//! The access log: who read what is sensitive, when, and for which purpose.

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Actor, AnyId, Conn, Id, Instant, Page, PageParams, Result, Tx, bulk_copy, json::Json, schema::access_log};

/// One read of sensitive data, or one export.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = access_log, treat_none_as_default_value = false)]
pub struct AccessEntry {
    /// Identifier of the entry.
    pub id: AnyId,
    /// The customer whose data was read; of a merged customer, the record that it was then.
    pub customer_id: Option<AnyId>,
    /// What kind of record was read.
    #[schema(example = "identity", max_length = 64)]
    pub resource: String,
    /// The record.
    pub resource_id: AnyId,
    /// What was done.
    #[schema(example = "customer.reveal", max_length = 64)]
    pub action: String,
    /// Which fields were shown.
    #[schema(value_type = Vec<crate::limits::Word>, max_items = 100)]
    pub fields: Json<Vec<String>>,
    /// Who read.
    #[schema(max_length = 128)]
    pub actor: String,
    /// What kind of actor that was.
    #[schema(max_length = 32)]
    pub actor_kind: String,
    /// The machine client that acted for the person.
    #[schema(max_length = 128)]
    pub on_behalf_by: Option<String>,
    /// The purpose that the caller gave.
    #[schema(max_length = 200)]
    pub purpose: Option<String>,
    /// The request.
    #[schema(max_length = 128)]
    pub request_id: Option<String>,
    /// When.
    pub at: Instant,
}

/// What was read.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The customer whose data it is.
    pub customer_id: Option<AnyId>,
    /// Kind of the record.
    pub resource: &'a str,
    /// The record.
    pub resource_id: AnyId,
    /// What was done, as an [`crate::Action`] or an export's name.
    pub action: &'a str,
    /// Names of the fields that were shown.
    pub fields: &'a [&'a str],
}

/// Records a read, in the transaction that does it: what is not recorded is not shown.
///
/// # Errors
/// The database's.
pub fn record(tx: &mut Tx<'_>, actor: &Actor, access: Access<'_>) -> Result<()> {
    diesel::insert_into(access_log::table).values(&entry(tx, actor, access)).execute(&mut tx.db)?;
    Ok(())
}

/// Records that the same was read of many customers.
///
/// # Errors
/// The database's.
pub fn record_of_each(tx: &mut Tx<'_>, actor: &Actor, access: Access<'_>, customers: &[AnyId]) -> Result<()> {
    let of = |customer: &AnyId| entry(tx, actor, Access { customer_id: Some(*customer), ..access });
    let entries: Vec<AccessEntry> = customers.iter().map(of).collect();
    bulk_copy!(tx, access_log::table, entries)?;
    Ok(())
}

fn entry(tx: &Tx<'_>, actor: &Actor, access: Access<'_>) -> AccessEntry {
    AccessEntry {
        id: AnyId::new(),
        customer_id: access.customer_id,
        resource: access.resource.to_owned(),
        resource_id: access.resource_id,
        action: access.action.to_owned(),
        fields: Json(access.fields.iter().map(|field| (*field).to_owned()).collect()),
        actor: actor.subject.clone(),
        actor_kind: actor.kind.as_str().to_owned(),
        on_behalf_by: actor.on_behalf_by.clone(),
        purpose: actor.purpose.clone(),
        request_id: actor.request_id.clone(),
        at: tx.now,
    }
}

/// Filters of an access log.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AccessFilter {
    /// Only what this caller read: an employee number, the id of a machine client or of a customer.
    #[param(max_length = 128, example = "E1042")]
    pub actor: Option<String>,
    /// Only what was done in this way: a right (`customer.reveal`), or the name of an export.
    #[param(max_length = 64, example = "customer.reveal")]
    pub action: Option<String>,
    /// Only what was read at this instant and later.
    #[param(example = "2026-01-01T00:00:00Z")]
    pub from: Option<Instant>,
    /// Only what was read before this instant.
    #[param(example = "2026-02-01T00:00:00Z")]
    pub to: Option<Instant>,
}

/// Who read these records of a customer, newest first. The caller has checked the right to ask.
///
/// # Errors
/// [`crate::Error::Invalid`] for a bad page request.
pub fn of_customers<T>(
    conn: &mut Conn,
    customers: &[Id<T>],
    filter: &AccessFilter,
    params: &PageParams,
) -> Result<Page<AccessEntry>> {
    let customers: Vec<AnyId> = customers.iter().map(|id| id.cast()).collect();
    let window = params.window::<AnyId>(&conn.keys, &format!("access-log/{customers:?}?{filter:?}"))?;
    let matching = || {
        let mut query = access_log::table.filter(access_log::customer_id.eq_any(customers.clone())).into_boxed();
        if let Some(actor) = &filter.actor {
            query = query.filter(access_log::actor.eq(actor.clone()));
        }
        if let Some(action) = &filter.action {
            query = query.filter(access_log::action.eq(action.clone()));
        }
        if let Some(from) = filter.from {
            query = query.filter(access_log::at.ge(from));
        }
        if let Some(to) = filter.to {
            query = query.filter(access_log::at.lt(to));
        }
        query
    };
    let total = if window.include_total { Some(matching().count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching().order(access_log::id.desc()).limit(window.fetch()).select(AccessEntry::as_select());
    if let Some(before) = window.after {
        query = query.filter(access_log::id.lt(before));
    }
    let rows = query.load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |entry: &AccessEntry| entry.id)
}
