//! Rows that were not taken in: rejected ones wait to be corrected, parked ones for another record.
//! What they held is personal and sealed.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, NullableExpressionMethods, QueryDsl, Queryable, RunQueryDsl,
    Selectable, SelectableHelper, dsl::sql, sql_types::Bool,
};
use kehu_customer::feed::ERASED;
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Error, Id, Instant, Page, PageParams, Result, Tx,
    audit::{self, Access},
    bulk_copy, bulk_insert,
    crypto::{BlindIndex, Keyring},
    json::Json,
    rotation::SealedColumn,
    schema::{import_files, import_row_customers, import_rows, imports},
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    ImportFileId, ImportId,
    batch::{Fate, FeedKey, Item},
    forget, mask,
    parked::Again,
    plan::{Plan, PlannedFile},
};
use crate::mapping::{Raw, RowError};

/// Identifier of a row that was not taken in.
pub type ImportRowId = Id<ImportRow>;

text_enum! {
    /// Why a row is kept.
    pub enum RowState {
        /// It breaks rules.
        Rejected = "rejected",
        /// It waits for another record.
        Parked = "parked",
        /// It was rejected, corrected and taken in.
        Resolved = "resolved",
    }
}

/// A kept row.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = import_rows, treat_none_as_default_value = false)]
pub struct ImportRow {
    /// Identifier of the row.
    pub id: ImportRowId,
    /// The import.
    pub import_id: ImportId,
    /// The file.
    pub file_id: ImportFileId,
    /// Which feed of the file.
    pub feed: String,
    /// Number of the row in the file.
    pub row_no: i64,
    /// Line on which it begins.
    pub line: i64,
    /// Why it is kept.
    pub state: RowState,
    /// What is wrong with it.
    pub errors: Json<Vec<RowError>>,
    /// What it held, sealed.
    pub record_sealed: Vec<u8>,
    /// Blind index of what it waits for.
    pub waiting_for: Option<BlindIndex>,
    /// When it was first kept.
    pub created_at: Instant,
    /// When it was last tried.
    pub updated_at: Instant,
    /// What kind of record it waits for; unknown of rows that an earlier version of Kehu parked.
    pub waiting_kind: Option<String>,
}

/// A row of an import that was not taken in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ImportError {
    /// Identifier of the row, for `replay_import_errors`.
    pub id: ImportRowId,
    /// Name of the file.
    #[schema(example = "clients.csv", max_length = 255)]
    pub file: String,
    /// The feed that it was meant for; `#2` and so on where a file fills a feed in several ways,
    /// `*` for a row that cannot be read at all.
    #[schema(example = "customers", max_length = 64)]
    pub feed: String,
    /// Number of the row in the file, from 1; the header does not count.
    #[schema(minimum = 1)]
    pub row: i64,
    /// Line of the file on which the row begins, from 1.
    #[schema(minimum = 0)]
    pub line: i64,
    /// Why it is kept.
    pub state: RowState,
    /// What is wrong with it; of a parked row what it waits for.
    #[schema(max_items = 100)]
    pub errors: Vec<RowError>,
    /// The row as it stood in the file, by column; null for callers without `import.manage`. Reading it is recorded.
    /// Callers without `customer.reveal` see numbers of documents and accounts masked.
    #[schema(value_type = Option<Object>)]
    pub record: Option<Value>,
    /// When it was last tried.
    pub updated_at: Instant,
}

/// Filters of the list of errors.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ImportErrorFilter {
    /// Only rows in this state; rejected and parked ones unless given.
    pub state: Option<RowState>,
}

const LABEL: &str = "import_rows.record";
/// The sealed columns of this crate, for key rotation.
pub const SEALED: &[SealedColumn] = &[SealedColumn { table: "import_rows", id: "id", column: "record_sealed", label: LABEL }];
/// Stands for the feed of a row that cannot be read.
pub(super) const WHOLE: &str = "*";

impl ImportRow {
    /// What the row held.
    pub(super) fn raw(&self, keys: &Keyring) -> Result<Raw> {
        serde_json::from_str(&keys.open(LABEL, self.id, &self.record_sealed)?).map_err(Error::internal)
    }
}

/// Keeps the items that were not taken in.
pub(super) fn keep(tx: &mut Tx<'_>, plan: &Plan, file: &PlannedFile, items: &[Item], fates: &[Fate]) -> Result<()> {
    let (mut rows, mut told) = (Vec::new(), Vec::new());
    for (item, fate) in items.iter().zip(fates) {
        let Some(Kept { state, errors, waiting_for, waiting_kind }) = Kept::of(&tx.keys, fate) else { continue };
        let id = ImportRowId::new();
        if let Some(key) = item.key {
            told.extend(forget::told(&tx.keys, plan, file, key, id, &item.raw));
        }
        rows.push(ImportRow {
            id,
            import_id: plan.import_id,
            file_id: item.file_id,
            feed: item.key.map_or_else(|| WHOLE.to_owned(), |key| key.to_string()),
            row_no: item.row_no,
            line: item.line,
            state,
            record_sealed: seal(&tx.keys, id, kept_of(&item.raw, &errors))?,
            errors: Json(errors),
            waiting_for,
            created_at: tx.now,
            updated_at: tx.now,
            waiting_kind,
        });
    }
    if !rows.is_empty() {
        bulk_copy!(tx, import_rows::table, rows)?;
        bulk_insert!(tx, import_row_customers::table, told)?;
    }
    Ok(())
}

/// Writes down what became of a row that was tried again. A parked one that is in needs no keeping.
pub(super) fn tried_again(tx: &mut Tx<'_>, plan: &Plan, file: &PlannedFile, again: &Again, fate: &Fate) -> Result<()> {
    let (row, raw) = (&again.row, again.raw.as_ref());
    match Kept::of(&tx.keys, fate) {
        Some(Kept { state, errors, waiting_for, waiting_kind }) => {
            let sealed = seal(&tx.keys, row.id, kept_of(raw, &errors))?;
            diesel::update(import_rows::table.find(row.id))
                .set((
                    import_rows::state.eq(state),
                    import_rows::errors.eq(Json(errors)),
                    import_rows::record_sealed.eq(sealed),
                    import_rows::waiting_for.eq(waiting_for),
                    import_rows::waiting_kind.eq(waiting_kind),
                    import_rows::updated_at.eq(tx.now),
                ))
                .execute(&mut tx.db)?;
            if let Ok(key) = row.feed.parse::<FeedKey>() {
                diesel::delete(import_row_customers::table.filter(import_row_customers::import_row_id.eq(row.id)))
                    .execute(&mut tx.db)?;
                bulk_insert!(tx, import_row_customers::table, forget::told(&tx.keys, plan, file, key, row.id, raw))?;
            }
        }
        None if row.state == RowState::Parked => {
            diesel::delete(import_rows::table.find(row.id)).execute(&mut tx.db)?;
        }
        None => {
            diesel::update(import_rows::table.find(row.id))
                .set((import_rows::state.eq(RowState::Resolved), import_rows::updated_at.eq(tx.now)))
                .execute(&mut tx.db)?;
        }
    }
    Ok(())
}

/// What is kept of a row. Nothing of one that tells of a customer who was erased: it would be the data that is gone.
fn kept_of<'a>(raw: &'a Raw, errors: &[RowError]) -> &'a Raw {
    static NOTHING: std::sync::LazyLock<Raw> = std::sync::LazyLock::new(Raw::new);
    if errors.iter().any(|error| error.code == ERASED) { &NOTHING } else { raw }
}

pub(super) fn seal(keys: &Keyring, id: ImportRowId, raw: &Raw) -> Result<Vec<u8>> {
    keys.seal(LABEL, id, &serde_json::to_string(raw).map_err(Error::internal)?)
}

/// What is kept of a fate.
struct Kept {
    state: RowState,
    errors: Vec<RowError>,
    waiting_for: Option<BlindIndex>,
    waiting_kind: Option<String>,
}

impl Kept {
    fn of(keys: &Keyring, fate: &Fate) -> Option<Self> {
        match fate {
            Fate::Rejected(errors) => {
                Some(Self { state: RowState::Rejected, errors: errors.clone(), waiting_for: None, waiting_kind: None })
            }
            Fate::Parked(waiting_for) => {
                // The key may hold an account number, so only its kind is shown.
                let kind = waiting_for.split(':').next().unwrap_or("record");
                let error = RowError::of_row("waiting", format!("Waits for a record of the kind {kind} that has not come yet."));
                Some(Self {
                    state: RowState::Parked,
                    errors: vec![error],
                    waiting_for: Some(keys.blind_index("import_rows.waiting_for", waiting_for)),
                    waiting_kind: Some(kind.to_owned()),
                })
            }
            Fate::Created(_) | Fate::Updated | Fate::Unchanged => None,
        }
    }
}

/// The rows of an import that were not taken in, in the order in which they were found.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for a bad page request.
pub fn list_errors(
    tx: &mut Tx<'_>,
    actor: &Actor,
    import: ImportId,
    filter: &ImportErrorFilter,
    params: &PageParams,
) -> Result<Page<ImportError>> {
    actor.allow(Action::ImportRead)?;
    super::entity::find(tx, import)?;
    let window = params.window::<ImportRowId>(&tx.keys, &format!("imports/{import}/errors?state={:?}", filter.state))?;
    let matching = || {
        let query = import_rows::table.filter(import_rows::import_id.eq(import)).into_boxed();
        match filter.state {
            Some(state) => query.filter(import_rows::state.eq(state)),
            None => query.filter(import_rows::state.ne(RowState::Resolved)),
        }
    };
    let total = if window.include_total { Some(matching().count().get_result(&mut tx.db)?) } else { None };
    let mut query = matching().order(import_rows::id).limit(window.fetch()).select(ImportRow::as_select());
    if let Some(after) = window.after {
        query = query.filter(import_rows::id.gt(after));
    }
    let rows = query.load(&mut tx.db)?;
    let page = window.page(&tx.keys, rows, total, |row: &ImportRow| row.id)?;
    // Who may run imports has the files anyway.
    let shows = actor.reach(Action::ImportManage).is_some();
    if shows && !page.items.is_empty() {
        let resource_id: AnyId = import.cast();
        let access = Access { customer_id: None, resource: "import", resource_id, action: "import.errors", fields: &["record"] };
        audit::record(tx, actor, access)?;
    }
    let in_full = actor.reach(Action::CustomerReveal).is_some();
    let names = file_names(tx, import)?;
    let keys = std::sync::Arc::clone(&tx.keys);
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        let record = match shows {
            true if in_full => Some(row.raw(&keys)?),
            true => Some(mask::masked_row(&row.raw(&keys)?)),
            false => None,
        };
        let file = names.iter().find(|(id, _)| *id == row.file_id).map(|(_, name)| name.clone()).unwrap_or_default();
        items.push(ImportError {
            id: row.id,
            file,
            feed: row.feed,
            row: row.row_no,
            line: row.line,
            state: row.state,
            errors: row.errors.0,
            record: record.map(Value::Object),
            updated_at: row.updated_at,
        });
    }
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

fn file_names(conn: &mut Conn, import: ImportId) -> Result<Vec<(ImportFileId, String)>> {
    let files = import_files::table.filter(import_files::import_id.eq(import));
    Ok(files.select((import_files::id, import_files::name)).load(&mut conn.db)?)
}

/// Rejected rows of an import after another one.
pub(super) fn rejected(conn: &mut Conn, import: ImportId, after: Option<ImportRowId>, limit: i64) -> Result<Vec<ImportRow>> {
    let mut query = import_rows::table
        .filter(import_rows::import_id.eq(import).and(import_rows::state.eq(RowState::Rejected)))
        .order(import_rows::id)
        .limit(limit)
        .select(ImportRow::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(import_rows::id.gt(after));
    }
    Ok(query.load(&mut conn.db)?)
}

/// Which parked rows are asked for.
pub(super) struct Parked {
    /// Those of all imports of this source system …
    pub system: crate::source_system::SourceSystemId,
    /// … that wait for these kinds of records, or nobody knows for what.
    pub kinds: Vec<String>,
    /// Of those that wait for the same record only the oldest.
    pub one_of_each: bool,
}

/// Parked rows after another one.
pub(super) fn parked(conn: &mut Conn, wanted: Parked, after: Option<ImportRowId>, limit: i64) -> Result<Vec<ImportRow>> {
    let of_system = imports::table.filter(imports::source_system_id.eq(wanted.system)).select(imports::id);
    let of_kind = import_rows::waiting_kind.is_null().or(import_rows::waiting_kind.assume_not_null().eq_any(wanted.kinds));
    let mut query = import_rows::table
        .filter(import_rows::import_id.eq_any(of_system).and(import_rows::state.eq(RowState::Parked)))
        .filter(of_kind)
        .order(import_rows::id)
        .limit(limit)
        .select(ImportRow::as_select())
        .into_boxed();
    if wanted.one_of_each {
        query = query.filter(sql::<Bool>(
            "NOT EXISTS (SELECT 1 FROM import_rows AS earlier WHERE earlier.waiting_for = import_rows.waiting_for
                            AND earlier.state = 'parked' AND earlier.id < import_rows.id)",
        ));
    }
    if let Some(after) = after {
        query = query.filter(import_rows::id.gt(after));
    }
    Ok(query.load(&mut conn.db)?)
}
