//! The access log: who read what is sensitive, when, and for which purpose.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Actor, AnyId, Conn, Id, Instant, Page, PageParams, Result, Tx, json::Json, schema::access_log};

/// One read of sensitive data, or one export.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = access_log)]
pub struct AccessEntry {
    /// Identifier of the entry.
    pub id: AnyId,
    /// The customer whose data was read.
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
    #[schema(value_type = Vec<String>, max_items = 100)]
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
    let entry = AccessEntry {
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
    };
    diesel::insert_into(access_log::table).values(&entry).execute(&mut tx.db)?;
    Ok(())
}

/// Who read this customer, newest first. The caller has checked the right to ask.
///
/// # Errors
/// [`crate::Error::Invalid`] for a bad page request.
pub fn of_customer<T>(conn: &mut Conn, customer: Id<T>, params: &PageParams) -> Result<Page<AccessEntry>> {
    let customer: AnyId = customer.cast();
    let window = params.window::<AnyId>(&conn.keys, &format!("access-log/{customer}"))?;
    let of = access_log::table.filter(access_log::customer_id.eq(customer));
    let total = if window.include_total { Some(of.count().get_result(&mut conn.db)?) } else { None };
    let before = window.after.unwrap_or_else(|| AnyId::from_uuid(uuid::Uuid::max()));
    let rows = access_log::table
        .filter(access_log::customer_id.eq(customer).and(access_log::id.lt(before)))
        .order(access_log::id.desc())
        .limit(window.fetch())
        .select(AccessEntry::as_select())
        .load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |entry: &AccessEntry| entry.id)
}
