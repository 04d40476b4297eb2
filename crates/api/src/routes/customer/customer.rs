//! `/v1/customers`: the customer itself.

use actix_web::{get, patch, post, web::Data};
use kehu_account_link::link;
use kehu_customer::{
    Customer, CustomerId,
    create::{self, NewCustomer},
    list::{self, CustomerFilter},
    lookup::{self, CustomerLookup, LookupResult},
    present,
    search::{self, CustomerSearch},
    transition::{self, CustomerTransition},
    update::{self, CustomerPatch},
};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_customers)
        .service(create_customer)
        .service(lookup_customers)
        .service(search_customers)
        .service(get_customer)
        .service(update_customer)
        .service(transition_customer);
}

/// List customers
///
/// The customers within the caller's reach, the newest record first, without their sensitive fields. With `q`, those whose
/// name or number fits, the best fit first; such a page may hold fewer items than `limit` though another follows.
#[utoipa::path(tag = "customers", params(CustomerFilter, PageParams),
    responses((status = 200, description = "A page of customers", body = Page<Customer>)), security(("bearer" = ["customer.read"])))]
#[get("")]
async fn list_customers(caller: Caller, store: Data<Store>, query: ListQuery<CustomerFilter>) -> Answer<Page<Customer>> {
    let page = store.read(move |conn| list::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create a customer
///
/// Creates a customer with its profile and, if given, identity documents and contact points: all of them or nothing.
#[utoipa::path(tag = "customers", request_body = NewCustomer,
    responses((status = 201, description = "The new customer", body = Customer)), security(("bearer" = ["customer.write"])))]
#[post("")]
async fn create_customer(caller: Caller, store: Data<Store>, body: Json<NewCustomer>) -> Answer<Customer> {
    let made = store.write(move |tx| create::create(tx, &caller, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/customers/{}", made.id), made.version, made))
}

/// Look customers up
///
/// Who is this? Finds customers by a phone number, an e-mail address, or the number of a document, an account or a card, however it is written:
/// with blanks, hyphens, full-width digits, with a country code or without. The best fit comes first.
#[utoipa::path(tag = "customers", request_body = CustomerLookup,
    responses((status = 200, description = "The customers that fit, best first", body = LookupResult)),
    security(("bearer" = ["customer.read"])))]
#[post("/lookup")]
async fn lookup_customers(caller: Caller, store: Data<Store>, body: Json<CustomerLookup>) -> Answer<LookupResult> {
    let by_account = kehu_account_link::lookup::by_number;
    let found = store.read(move |conn| lookup::lookup(conn, &caller, &body.0, by_account)).await?;
    Ok(Reply::ok(found))
}

/// Search customers
///
/// As `q` of `list_customers`: names in characters, pinyin, initials or the beginnings of words, and the beginning of the
/// number. The best fit comes first: number, name from its beginning, from a later word on, pinyin, all words in any order,
/// initials. A page may hold fewer items than `limit` though another follows: when filters or the caller's reach leave few of
/// many finds, it ends after 5,000 of them, and its cursor goes on from there.
///
/// With `rule`, only those who meet a condition on their records, profiles, tags, contact points, accounts, groups and
/// assignments; without `q`, the newest record first. What the rule looks at needs the right to read it (`account.read`,
/// `group.read`, `assignment.read`), and only customers within the reach of that right are found. Sensitive fields are no conditions.
#[utoipa::path(tag = "customers", request_body = CustomerSearch,
    responses((status = 200, description = "A page of the customers that fit, best first", body = Page<Customer>)),
    security(("bearer" = ["customer.read"])))]
#[post("/search")]
async fn search_customers(caller: Caller, store: Data<Store>, body: Json<CustomerSearch>) -> Answer<Page<Customer>> {
    let page = store.read(move |conn| search::search(conn, &caller, kehu_group::rule::customers(), body.0.clone())).await?;
    Ok(Reply::ok(page))
}

/// Get a customer
///
/// One customer with its profile. Sensitive fields (income, assets, family, habits, ratings) are shown to callers whose
/// role shows them and who give a purpose in `X-Purpose`; such reads are recorded. Otherwise they are null.
#[utoipa::path(tag = "customers", params(("customer_id" = CustomerId, Path, description = "Id of the customer")),
    responses((status = 200, description = "The customer", body = Customer)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}")]
async fn get_customer(caller: Caller, store: Data<Store>, id: Path<Customer>) -> Answer<Customer> {
    let found = if present::shows_sensitive(&caller) {
        store.write(move |tx| present::disclose(tx, &caller, id.0)).await?
    } else {
        store.glance(move |conn| present::get(conn, &caller, id.0)).await?
    };
    Ok(Reply::versioned(found.version, found))
}

/// Update a customer
///
/// Changes the given fields of the customer and of its profile (JSON Merge Patch) and keeps what they were in the history.
/// When a death is recorded, all links to accounts end on that day.
#[utoipa::path(tag = "customers", params(("customer_id" = CustomerId, Path, description = "Id of the customer")),
    request_body = CustomerPatch, responses((status = 200, description = "The changed customer", body = Customer)),
    security(("bearer" = ["customer.write"])))]
#[patch("/{customer_id}")]
async fn update_customer(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    version: IfMatch,
    body: Json<CustomerPatch>,
) -> Answer<Customer> {
    let changed =
        store.write(move |tx| update::update(tx, &caller, id.0, version.0, body.0.clone(), link::end_with_customer)).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// Move a customer on
///
/// Changes status, life-cycle stage, or both, with a reason. Only the moves that the request's fields list are allowed;
/// each is kept with how long the value before it lasted. When a customer is lost, all its links to accounts end today,
/// for the same reason.
#[utoipa::path(tag = "customers", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), IfMatchHeader),
    request_body = CustomerTransition, responses((status = 200, description = "The customer as it is now", body = Customer)),
    security(("bearer" = ["customer.write"])))]
#[post("/{customer_id}/transition")]
async fn transition_customer(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    version: IfMatch,
    body: Json<CustomerTransition>,
) -> Answer<Customer> {
    let moved =
        store.write(move |tx| transition::transition(tx, &caller, id.0, version.0, &body.0, link::end_with_customer)).await?;
    Ok(Reply::versioned(moved.version, moved))
}
