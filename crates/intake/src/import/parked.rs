//! Parked rows: tried again until no more of them find what they wait for.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{Actor, Result, Tx, schema::import_rows};

use super::{
    ImportCounts, ImportId,
    batch::{self, Fate, FeedKey, Item},
    plan::{Plan, PlannedFile},
    rows::{self, ImportRow, ImportRowId, RowState},
    run::{Phase, Progress, Run, again_when_raced},
};
use crate::{dispatch::Feed, mapping::Raw, reader::Row};

/// How many rows share a transaction.
const BATCH: i64 = 500;

/// A kept row with what it holds, whether as it came or corrected.
#[derive(Clone, Debug)]
pub(super) struct Again {
    pub row: ImportRow,
    pub raw: Arc<Raw>,
    pub corrected: bool,
}

/// Kinds of records that may have come by another way than this import: by the API, or from another source.
const FROM_ELSEWHERE: &[&str] = &["branch", "product", "account", "account_owner"];

/// Tries the parked rows of the source system that something new may free, those of earlier imports included:
/// all that wait for a kind of record which this import brought, and one for each record that may have come
/// another way.
pub(super) fn retry_all(run: &mut Run<'_>, plan: &Plan) -> Result<()> {
    let mut plans = HashMap::from([(plan.import_id, Arc::new(plan.clone()))]);
    let brought = plan.files.iter().flat_map(|file| batch::feeds(&plan.document, file)).flat_map(brings);
    retry_until_none(run, plan, &mut plans, brought.copied().collect())?;
    let elsewhere: BTreeSet<&str> = FROM_ELSEWHERE.iter().copied().collect();
    let samples = Wanted { kinds: &elsewhere, one_of_each: true };
    if retry_pass(run, plan, &mut plans, samples)?.is_empty() {
        return Ok(());
    }
    retry_until_none(run, plan, &mut plans, elsewhere)
}

/// Which parked rows a pass tries.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    kinds: &'a BTreeSet<&'static str>,
    one_of_each: bool,
}

/// Tries rows that wait for these kinds, then those that wait for what the first ones became, and so on.
fn retry_until_none(
    run: &mut Run<'_>,
    plan: &Plan,
    plans: &mut HashMap<ImportId, Arc<Plan>>,
    mut kinds: BTreeSet<&'static str>,
) -> Result<()> {
    while !kinds.is_empty() {
        let freed = retry_pass(run, plan, plans, Wanted { kinds: &kinds, one_of_each: false })?;
        kinds = freed.into_iter().flat_map(brings).copied().collect();
    }
    Ok(())
}

/// Tries rows once; of which feeds some are parked no more.
fn retry_pass(
    run: &mut Run<'_>,
    plan: &Plan,
    plans: &mut HashMap<ImportId, Arc<Plan>>,
    wanted: Wanted<'_>,
) -> Result<BTreeSet<Feed>> {
    let (mut after, mut done) = (None, 0);
    let mut freed = BTreeSet::new();
    loop {
        let (system, one_of_each) = (plan.system_id, wanted.one_of_each);
        let kinds: Vec<String> = wanted.kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let page = run.store.read_blocking(move |conn| {
            let wanted = rows::Parked { system, kinds: kinds.clone(), one_of_each };
            rows::parked(conn, wanted, after, BATCH)
        })?;
        let Some(last) = page.last() else { return Ok(freed) };
        after = Some(last.id);
        done += i64::try_from(page.len()).unwrap_or(0);
        freed.extend(retry_page(run, plans, page)?);
        (run.show)(Progress { phase: Phase::Retrying, done, total: None });
    }
}

/// The kinds of records that rows wait for and that records of this feed are.
const fn brings(feed: Feed) -> &'static [&'static str] {
    match feed {
        Feed::Branches => &["branch"],
        Feed::Products => &["product"],
        Feed::Customers => &["customer"],
        Feed::Accounts => &["account"],
        Feed::AccountLinks => &["account_link", "account_owner"],
        Feed::Staff
        | Feed::Identities
        | Feed::ContactPoints
        | Feed::Relations
        | Feed::Balances
        | Feed::StandingOrders
        | Feed::Transactions => &[],
    }
}

/// Tries a page; of which feeds some rows are parked no more.
fn retry_page(run: &Run<'_>, plans: &mut HashMap<ImportId, Arc<Plan>>, page: Vec<ImportRow>) -> Result<BTreeSet<Feed>> {
    let mut freed = BTreeSet::new();
    for group in page.chunk_by(|a, b| a.import_id == b.import_id) {
        let Some(import) = group.first().map(|row| row.import_id) else { continue };
        let plan = match plans.get(&import) {
            Some(plan) => Arc::clone(plan),
            None => {
                let plan = Arc::new(run.store.read_blocking(move |conn| Plan::read(conn, import))?);
                plans.insert(import, Arc::clone(&plan));
                plan
            }
        };
        let ids: Vec<_> = group.iter().map(|row| row.id).collect();
        let (actor, lease) = (run.actor.clone(), run.lease.cloned());
        freed.extend(again_when_raced(run.store, move |tx| {
            if let Some(lease) = &lease {
                lease.progress(tx, lease.job.progress_done, lease.job.progress_total)?;
            }
            // Read again under the lock of the writer: another run may have taken them in.
            let rows: Vec<ImportRow> = import_rows::table
                .filter(import_rows::id.eq_any(ids.clone()))
                .filter(import_rows::state.eq(RowState::Parked))
                .order(import_rows::id)
                .select(ImportRow::as_select())
                .load(&mut tx.db)?;
            let keys = Arc::clone(&tx.keys);
            let rows = rows.into_iter().map(|row| Ok(Again { raw: Arc::new(row.raw(&keys)?), row, corrected: false }));
            let rows = rows.collect::<Result<Vec<_>>>()?;
            let before: HashMap<_, _> = rows.iter().map(|again| (again.row.id, again.row.feed.clone())).collect();
            try_again(tx, &actor, &plan, &rows)?;
            freed_feeds(tx, before)
        })?);
    }
    Ok(freed)
}

/// The feeds of those rows that are parked no more.
fn freed_feeds(tx: &mut Tx<'_>, mut rows: HashMap<ImportRowId, String>) -> Result<BTreeSet<Feed>> {
    let parked: Vec<ImportRowId> = import_rows::table
        .filter(import_rows::id.eq_any(rows.keys().copied().collect::<Vec<_>>()))
        .filter(import_rows::state.eq(RowState::Parked))
        .select(import_rows::id)
        .load(&mut tx.db)?;
    for id in parked {
        rows.remove(&id);
    }
    Ok(rows.into_values().filter_map(|key| Some(key.parse::<FeedKey>().ok()?.feed)).collect())
}

/// Maps kept rows of one import anew, hands them over and writes down what became of them.
pub(super) fn try_again(tx: &mut Tx<'_>, actor: &Actor, plan: &Plan, rows: &[Again]) -> Result<Vec<Fate>> {
    let mut fates = Vec::with_capacity(rows.len());
    let same = |a: &Again, b: &Again| a.row.file_id == b.row.file_id && a.row.feed == b.row.feed;
    for group in rows.chunk_by(same) {
        let Some(first) = group.first() else { continue };
        let Some(file) = plan.files.iter().find(|file| file.id == first.row.file_id) else { continue };
        fates.extend(match first.row.feed.parse::<FeedKey>() {
            Ok(key) => again_for_feed(tx, actor, plan, file, key, group)?,
            Err(()) => again_whole(tx, actor, plan, file, group)?,
        });
    }
    batch::add(tx, plan.import_id, &before(rows))?;
    Ok(fates)
}

fn again_for_feed(
    tx: &mut Tx<'_>,
    actor: &Actor,
    plan: &Plan,
    file: &PlannedFile,
    key: FeedKey,
    group: &[Again],
) -> Result<Vec<Fate>> {
    let items: Vec<Item> = group
        .iter()
        .map(|again| Item {
            file_id: file.id,
            row_no: again.row.row_no,
            line: again.row.line,
            key: Some(key),
            raw: Arc::clone(&again.raw),
            record: batch::record(&plan.document, file, key, &again.raw).unwrap_or_else(|| Err(vec![not_meant()])),
        })
        .collect();
    let fates = batch::apply(tx, actor, &plan.source, &plan.document, file, &items)?;
    batch::settle(tx, plan.import_id, 0, &items, &fates)?;
    for (again, fate) in group.iter().zip(&fates) {
        rows::tried_again(tx, plan, file, again, fate)?;
    }
    Ok(fates)
}

/// Rows that could not be read: once corrected, each becomes whatever the mapping makes of it.
fn again_whole(tx: &mut Tx<'_>, actor: &Actor, plan: &Plan, file: &PlannedFile, group: &[Again]) -> Result<Vec<Fate>> {
    let mut all = Vec::new();
    for again in group {
        if !again.corrected {
            let fates = vec![Fate::Rejected(again.row.errors.0.clone())];
            batch::add(tx, plan.import_id, &batch::count(0, &fates))?;
            all.extend(fates);
            continue;
        }
        let raw = Raw::clone(&again.raw);
        let row = Row { number: again.row.row_no, line: again.row.line, raw, fault: None };
        let items = batch::items(&plan.document, file, vec![row]);
        let fates = batch::apply(tx, actor, &plan.source, &plan.document, file, &items)?;
        batch::settle(tx, plan.import_id, 0, &items, &fates)?;
        rows::keep(tx, plan, file, &items, &fates)?;
        rows::tried_again(tx, plan, file, again, &Fate::Unchanged)?;
        all.extend(fates);
    }
    Ok(all)
}

/// What the rows counted as until now, to be taken off.
fn before(rows: &[Again]) -> ImportCounts {
    let mut counts = ImportCounts::default();
    for again in rows {
        match again.row.state {
            RowState::Rejected => counts.rejected -= 1,
            RowState::Parked => counts.parked -= 1,
            RowState::Resolved => {}
        }
    }
    counts
}

fn not_meant() -> crate::mapping::RowError {
    crate::mapping::RowError::of_row("not_meant", "The mapping's conditions do not choose this row for the feed any more.")
}
