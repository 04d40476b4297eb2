//! Source records: what a source said about a customer, last time.

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, BasisPoints, Conn, Id, Instant, Page, PageParams, Result, Tx,
    access::FieldClass,
    audit::{self, Access},
    json::Json,
    schema::source_records,
    text_enum,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{CustomerId, present, scope};

/// Identifier of a source record.
pub type SourceRecordId = Id<SourceRecord>;

text_enum! {
    /// How a record of a source found its customer.
    pub enum MatchMethod {
        /// The source's record made the customer.
        Created = "created",
        /// The same verified identity number.
        VerifiedIdentity = "verified_identity",
    }
}

/// A record of a source system, as it came last.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = source_records, treat_none_as_default_value = false)]
pub struct SourceRecord {
    /// Identifier of the source record.
    pub id: SourceRecordId,
    /// The customer that it tells about.
    pub customer_id: CustomerId,
    /// Code of the source system.
    #[schema(example = "core", max_length = 32)]
    pub source_system: String,
    /// The record's id in the source system.
    #[schema(example = "576", max_length = 128)]
    pub source_id: String,
    /// The record as it came, identity numbers masked; null for callers who may not see sensitive fields, or give no purpose.
    #[schema(value_type = Option<Object>)]
    pub payload: Json<Value>,
    /// Keyed hash of the whole record.
    #[serde(skip)]
    pub content_hash: Vec<u8>,
    /// How it found its customer.
    pub match_method: MatchMethod,
    /// How sure that was.
    pub match_score_bp: BasisPoints,
    /// Who decided so.
    #[schema(max_length = 128)]
    pub decided_by: String,
    /// When the record came last.
    pub received_at: Instant,
}

/// Source records of a customer, oldest first. Their contents are null: [`disclose`] shows them.
///
/// # Errors
/// [`kehu_kernel::Error::NotFound`] when the customer is out of sight; [`kehu_kernel::Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, customer: CustomerId, params: &PageParams) -> Result<Page<SourceRecord>> {
    let page = read(conn, actor, customer, params)?;
    Ok(page.map(|row| SourceRecord { payload: Json(Value::Null), ..row }))
}

/// As [`list`], with the contents when the actor may see sensitive and internal fields; that is recorded.
///
/// # Errors
/// As [`list`].
pub fn disclose(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId, params: &PageParams) -> Result<Page<SourceRecord>> {
    if !present::shows_sensitive(actor) || !actor.sees(FieldClass::Internal) {
        return list(tx, actor, customer, params);
    }
    let page = read(tx, actor, customer, params)?;
    for record in &page.items {
        let access = Access {
            customer_id: Some(customer.cast()),
            resource: "source_record",
            resource_id: record.id.cast(),
            action: Action::CustomerRead.as_str(),
            fields: &["payload"],
        };
        audit::record(tx, actor, access)?;
    }
    Ok(page)
}

fn read(conn: &mut Conn, actor: &Actor, customer: CustomerId, params: &PageParams) -> Result<Page<SourceRecord>> {
    scope::require_inside(conn, actor, Action::CustomerRead, customer)?;
    let window = params.window::<SourceRecordId>(&conn.keys, &format!("source-records/{customer}"))?;
    let of = source_records::table.filter(source_records::customer_id.eq(customer));
    let total = if window.include_total { Some(of.count().get_result(&mut conn.db)?) } else { None };
    let mut query = of.order(source_records::id).limit(window.fetch()).select(SourceRecord::as_select()).into_boxed();
    if let Some(after) = window.after {
        query = query.filter(source_records::id.gt(after));
    }
    let rows: Vec<SourceRecord> = query.load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |row: &SourceRecord| row.id)
}
