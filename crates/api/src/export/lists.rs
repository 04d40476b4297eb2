//! One line a list: the use case that answers it, with its filter and its path. `tests/export.rs` compares the lines with
//! the document.

use std::sync::Arc;

use kehu_account_link::{account, balance, link, product, standing_order, timeline as account_timeline, transaction};
use kehu_customer::{
    attribute, consent, contact_person, contact_point, identity, list as customer_list, matching::bank as matching, merge, past,
    privacy, relation, review, search, source_record, tag, timeline,
};
use kehu_group::{evaluation, group, member as group_member};
use kehu_intake::{
    export::{ExportList as L, Opened, Reading},
    import, mapping, source_system,
};
use kehu_kernel::{Actor, Conn, Error, Id, Page, PageParams, Result, Tx, job};
use kehu_organization::{assignment, branch, role, staff, team};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{columns, given::Given};
use crate::{client, extract::Nothing, openapi, webhook};

/// Opens a list under a filter.
pub(super) fn open(list: L, filter: &Map<String, Value>) -> Result<Opened> {
    let operation = openapi::operation(list.as_str()).ok_or_else(|| Error::internal(format!("there is no operation {list}")))?;
    let reading = reading(list, &Given::new(&operation, filter)?)?;
    Ok(Opened { reading, columns: columns::of(operation.value) })
}

fn reading(list: L, given: &Given<'_>) -> Result<Reading> {
    match list {
        L::GetCustomerAccessLog => of(given, privacy::access_log),
        L::GetCustomerHistory => disclosed(given, past::disclose),
        L::GetCustomerTimeline => of(given, |conn, actor, id, filter, page| {
            timeline::list(conn, actor, id, |conn| account_timeline::spans(conn, id), filter, page)
        }),
        L::ListAccountBalances => of(given, balance::list),
        L::ListAccountCustomers => of(given, link::holders),
        L::ListAccountDueDates => by(given, account::due::list),
        L::ListAccountLinks => by(given, link::list),
        L::ListAccountTransactions => of(given, transaction::list),
        L::ListAccounts => by(given, account::list),
        L::ListAssignments => by(given, assignment::list),
        L::ListAttributeDefinitions => by(given, attribute::definition::list),
        L::ListBranches => by(given, branch::list),
        L::ListClients => all(given, client::list),
        L::ListContactPersonRelations => of_all(given, contact_person::relation::list),
        L::ListContactPersons => by(given, contact_person::list::list),
        L::ListCustomerConsents => of(given, consent::list),
        L::ListCustomerContactPersons => of(given, contact_person::list::of_customer),
        L::ListCustomerContactPoints => of_all(given, contact_point::list),
        L::ListCustomerIdentities => of_all(given, identity::list),
        L::ListCustomerRelations => of(given, relation::list),
        L::ListCustomerSourceRecords => {
            disclosed(given, |tx, actor, id, _: &Nothing, page| source_record::disclose(tx, actor, id, page))
        }
        L::ListCustomerTags => disclosed(given, tag::list::disclose),
        L::ListCustomers => by(given, customer_list::list),
        L::ListDoubtfulProfiles => by(given, review::list),
        L::ListEmployments => of_all(given, contact_person::employment::list),
        L::ListGroupMembers => of(given, group_member::list),
        L::ListGroups => by(given, group::list),
        L::ListImportErrors => disclosed(given, import::list_errors),
        L::ListImports => by(given, import::list),
        L::ListJobs => all(given, job::list),
        L::ListLegalHolds => of(given, |conn, actor, id, filter, page| privacy::holds(conn, actor, id, *filter, page)),
        L::ListMappings => by(given, mapping::list),
        L::ListMatchCandidates => by(given, matching::candidate::list),
        L::ListMatchParameters => by(given, matching::parameters::list),
        L::ListMerges => by(given, merge::list),
        L::ListPrivacyExports => of_all(given, privacy::list),
        L::ListProducts => by(given, product::list),
        L::ListRoles => by(given, role::list),
        L::ListSegmentationEvaluations => by(given, evaluation::list),
        L::ListSourceSystems => all(given, source_system::list),
        L::ListStaff => by(given, staff::list),
        L::ListStandingOrders => by(given, |conn, actor, filter, page| {
            let found = standing_order::list(conn, actor, filter, page)?;
            Ok(Page { items: found.items, next_cursor: found.next_cursor, total: found.total })
        }),
        L::ListTagDomains => all(given, tag::domain::list),
        L::ListTags => by(given, tag::definition::list),
        L::ListTeams => by(given, team::list),
        L::ListWebhookDeliveries => by(given, webhook::list_deliveries),
        L::ListWebhookEndpoints => by(given, webhook::list),
        L::SearchCustomers => searched(given),
    }
}

/// A list without filters.
fn all<T: Serialize>(
    given: &Given<'_>,
    read: impl Fn(&mut Conn, &Actor, &PageParams) -> Result<Page<T>> + Send + Sync + 'static,
) -> Result<Reading> {
    let Nothing {} = given.query()?;
    Ok(Reading::Plain(Arc::new(move |conn, actor, page| shown(read(conn, actor, page)?))))
}

/// A list with filters.
fn by<F: DeserializeOwned + Send + Sync + 'static, T: Serialize>(
    given: &Given<'_>,
    read: impl Fn(&mut Conn, &Actor, &F, &PageParams) -> Result<Page<T>> + Send + Sync + 'static,
) -> Result<Reading> {
    let filter = given.query()?;
    Ok(Reading::Plain(Arc::new(move |conn, actor, page| shown(read(conn, actor, &filter, page)?))))
}

/// A list of one record, without filters.
fn of_all<I: 'static, T: Serialize>(
    given: &Given<'_>,
    read: impl Fn(&mut Conn, &Actor, Id<I>, &PageParams) -> Result<Page<T>> + Send + Sync + 'static,
) -> Result<Reading> {
    of(given, move |conn, actor, id, _: &Nothing, page| read(conn, actor, id, page))
}

/// A list of one record, with filters.
fn of<I: 'static, F: DeserializeOwned + Send + Sync + 'static, T: Serialize>(
    given: &Given<'_>,
    read: impl Fn(&mut Conn, &Actor, Id<I>, &F, &PageParams) -> Result<Page<T>> + Send + Sync + 'static,
) -> Result<Reading> {
    let (id, filter) = (given.id()?, given.query()?);
    Ok(Reading::Plain(Arc::new(move |conn, actor, page| shown(read(conn, actor, id, &filter, page)?))))
}

/// A list of one record that may show what is sensitive, and then records it.
fn disclosed<I: 'static, F: DeserializeOwned + Send + Sync + 'static, T: Serialize>(
    given: &Given<'_>,
    read: impl Fn(&mut Tx<'_>, &Actor, Id<I>, &F, &PageParams) -> Result<Page<T>> + Send + Sync + 'static,
) -> Result<Reading> {
    let (id, filter) = (given.id()?, given.query()?);
    Ok(Reading::Recorded(Arc::new(move |tx, actor, page| shown(read(tx, actor, id, &filter, page)?))))
}

/// The search takes its paging in the body.
fn searched(given: &Given<'_>) -> Result<Reading> {
    let wanted: search::CustomerSearch = given.body()?;
    Ok(Reading::Plain(Arc::new(move |conn, actor, page| {
        let PageParams { limit, cursor, include_total } = page.clone();
        let wanted = search::CustomerSearch { limit, cursor, include_total, ..wanted.clone() };
        shown(search::search(conn, actor, kehu_group::rule::customers(), wanted)?)
    })))
}

/// A page as its operation shows it.
fn shown<T: Serialize>(page: Page<T>) -> Result<Page<Value>> {
    let items = page.items.iter().map(serde_json::to_value).collect::<Result<_, _>>().map_err(Error::internal)?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}
