//! `/v1/contact-persons`, what belongs to them, and `/v1/customers/{customer_id}/contact-persons`

use actix_web::{get, patch, post, web::Data};
use kehu_customer::{
    Customer, CustomerId,
    contact_person::{
        ContactPerson, ContactPersonId, ContactPersonRelation, ContactPersonRelationId, CustomerContactPerson, Employment,
        EmploymentId,
        employment::{self, EmploymentEnd, EmploymentPatch, NewEmployment},
        end::{self, ContactPersonEnd},
        input::{ContactPersonPatch, NewContactPerson},
        list::{self, ContactPersonFilter, CustomerContactPersonFilter},
        person,
        relation::{self, ContactPersonRelationEnd, ContactPersonRelationPatch, NewContactPersonRelation},
    },
    present,
};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Nothing, Path, Path2},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations on the pool.
pub fn configure_pool(config: &mut ServiceConfig<'_>) {
    config
        .service(list_contact_persons)
        .service(create_contact_person)
        .service(get_contact_person)
        .service(update_contact_person)
        .service(end_contact_person)
        .service(list_employments)
        .service(create_employment)
        .service(get_employment)
        .service(update_employment)
        .service(end_employment)
        .service(list_contact_person_relations)
        .service(create_contact_person_relation)
        .service(get_contact_person_relation)
        .service(update_contact_person_relation)
        .service(end_contact_person_relation);
}

/// The operations on a customer.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_customer_contact_persons);
}

/// List contact persons
///
/// The contact persons within the caller's reach, the oldest record first, without personal parts and keys. Who sees a customer sees
/// who works or worked there.
#[utoipa::path(tag = "contact-persons", params(ContactPersonFilter, PageParams),
    responses((status = 200, description = "A page of contact persons", body = Page<ContactPerson>)), security(("bearer" = ["customer.read"])))]
#[get("")]
async fn list_contact_persons(
    caller: Caller,
    store: Data<Store>,
    query: ListQuery<ContactPersonFilter>,
) -> Answer<Page<ContactPerson>> {
    let page = store.read(move |conn| list::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Record a contact person
///
/// Adds a person to the pool and, if given, the employment: both or nothing. Phone numbers are brought to E.164, e-mail addresses to
/// lower case.
#[utoipa::path(tag = "contact-persons", request_body = NewContactPerson,
    responses((status = 201, description = "The new contact person", body = ContactPerson)), security(("bearer" = ["customer.write"])))]
#[post("")]
async fn create_contact_person(caller: Caller, store: Data<Store>, body: Json<NewContactPerson>) -> Answer<ContactPerson> {
    let made = store.write(move |tx| person::create(tx, &caller, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/contact-persons/{}", made.id), made.version, made))
}

/// Get a contact person
///
/// One contact person. Personal parts and keys are shown to callers whose role shows sensitive fields and who give a purpose in
/// `X-Purpose`; such reads are recorded. Otherwise they are null.
#[utoipa::path(tag = "contact-persons", params(("contact_person_id" = ContactPersonId, Path, description = "Id of the contact person")),
    responses((status = 200, description = "The contact person", body = ContactPerson)), security(("bearer" = ["customer.read"])))]
#[get("/{contact_person_id}")]
async fn get_contact_person(caller: Caller, store: Data<Store>, id: Path<ContactPerson>) -> Answer<ContactPerson> {
    let found = if present::shows_sensitive(&caller) {
        store.write(move |tx| person::disclose(tx, &caller, id.0)).await?
    } else {
        store.glance(move |conn| person::get(conn, &caller, id.0)).await?
    };
    Ok(Reply::versioned(found.version, found))
}

/// Update a contact person
///
/// Changes the given fields (JSON Merge Patch).
#[utoipa::path(tag = "contact-persons", params(("contact_person_id" = ContactPersonId, Path, description = "Id of the contact person")),
    request_body = ContactPersonPatch, responses((status = 200, description = "The changed contact person", body = ContactPerson)),
    security(("bearer" = ["customer.write"])))]
#[patch("/{contact_person_id}")]
async fn update_contact_person(
    caller: Caller,
    store: Data<Store>,
    id: Path<ContactPerson>,
    version: IfMatch,
    body: Json<ContactPersonPatch>,
) -> Answer<ContactPerson> {
    let changed = store.write(move |tx| person::update(tx, &caller, id.0, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// End a contact person
///
/// The bank deals with the person no more: who has died, retired, or wants to be left alone. Employments and relations end with the
/// record, which stays to be read and is changed no more.
#[utoipa::path(tag = "contact-persons", params(("contact_person_id" = ContactPersonId, Path, description = "Id of the contact person"), IfMatchHeader),
    request_body = ContactPersonEnd, responses((status = 200, description = "The ended contact person", body = ContactPerson)),
    security(("bearer" = ["customer.write"])))]
#[post("/{contact_person_id}/end")]
async fn end_contact_person(
    caller: Caller,
    store: Data<Store>,
    id: Path<ContactPerson>,
    version: IfMatch,
    body: Json<ContactPersonEnd>,
) -> Answer<ContactPerson> {
    let ended = store.write(move |tx| end::end(tx, &caller, id.0, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(ended.version, ended))
}

/// List employments
///
/// Where a contact person works and worked, oldest record first. Employers out of the caller's sight are neither listed nor counted.
#[utoipa::path(tag = "contact-persons", params(("contact_person_id" = ContactPersonId, Path, description = "Id of the contact person"), PageParams),
    responses((status = 200, description = "A page of employments", body = Page<Employment>)), security(("bearer" = ["customer.read"])))]
#[get("/{contact_person_id}/employments")]
async fn list_employments(
    caller: Caller,
    store: Data<Store>,
    id: Path<ContactPerson>,
    query: ListQuery<Nothing>,
) -> Answer<Page<Employment>> {
    let page = store.read(move |conn| employment::list(conn, &caller, id.0, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Record an employment
///
/// A contact person works for a company or a public body. Who moves to another one keeps the record and the history.
#[utoipa::path(tag = "contact-persons", params(("contact_person_id" = ContactPersonId, Path, description = "Id of the contact person")),
    request_body = NewEmployment, responses((status = 201, description = "The new employment", body = Employment)), security(("bearer" = ["customer.write"])))]
#[post("/{contact_person_id}/employments")]
async fn create_employment(
    caller: Caller,
    store: Data<Store>,
    id: Path<ContactPerson>,
    body: Json<NewEmployment>,
) -> Answer<Employment> {
    let made = store.write(move |tx| employment::create(tx, &caller, id.0, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/contact-persons/{}/employments/{}", made.contact_person_id, made.id), made.version, made))
}

/// Get an employment
///
/// One employment, ended or not. By an employer out of the caller's sight there is none.
#[utoipa::path(tag = "contact-persons", params(("contact_person_id" = ContactPersonId, Path, description = "Id of the contact person"), ("employment_id" = EmploymentId, Path, description = "Id of the employment")),
    responses((status = 200, description = "The employment", body = Employment)), security(("bearer" = ["customer.read"])))]
#[get("/{contact_person_id}/employments/{employment_id}")]
async fn get_employment(caller: Caller, store: Data<Store>, ids: Path2<ContactPerson, Employment>) -> Answer<Employment> {
    let found = store.glance(move |conn| employment::get(conn, &caller, ids.0, ids.1)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update an employment
///
/// Changes the given fields (JSON Merge Patch). Another employer is another employment.
#[utoipa::path(tag = "contact-persons", params(("contact_person_id" = ContactPersonId, Path, description = "Id of the contact person"), ("employment_id" = EmploymentId, Path, description = "Id of the employment")),
    request_body = EmploymentPatch, responses((status = 200, description = "The changed employment", body = Employment)), security(("bearer" = ["customer.write"])))]
#[patch("/{contact_person_id}/employments/{employment_id}")]
async fn update_employment(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<ContactPerson, Employment>,
    version: IfMatch,
    body: Json<EmploymentPatch>,
) -> Answer<Employment> {
    let changed = store.write(move |tx| employment::update(tx, &caller, ids.0, ids.1, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// End an employment
///
/// The employment stays on record, the person in the pool.
#[utoipa::path(tag = "contact-persons", params(("contact_person_id" = ContactPersonId, Path, description = "Id of the contact person"), ("employment_id" = EmploymentId, Path, description = "Id of the employment"), IfMatchHeader),
    request_body = EmploymentEnd, responses((status = 200, description = "The ended employment", body = Employment)), security(("bearer" = ["customer.write"])))]
#[post("/{contact_person_id}/employments/{employment_id}/end")]
async fn end_employment(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<ContactPerson, Employment>,
    version: IfMatch,
    body: Json<EmploymentEnd>,
) -> Answer<Employment> {
    let ended = store.write(move |tx| employment::end(tx, &caller, ids.0, ids.1, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(ended.version, ended))
}

/// List a contact person's relations
///
/// Relations among contact persons from both directions, each read from this person's side, ended ones included, oldest record first. Relations with
/// persons out of the caller's sight are neither listed nor counted.
#[utoipa::path(tag = "contact-persons", params(("contact_person_id" = ContactPersonId, Path, description = "Id of the contact person"), PageParams),
    responses((status = 200, description = "A page of relations", body = Page<ContactPersonRelation>)), security(("bearer" = ["customer.read"])))]
#[get("/{contact_person_id}/relations")]
async fn list_contact_person_relations(
    caller: Caller,
    store: Data<Store>,
    id: Path<ContactPerson>,
    query: ListQuery<Nothing>,
) -> Answer<Page<ContactPersonRelation>> {
    let page = store.read(move |conn| relation::list(conn, &caller, id.0, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Record a relation among contact persons
///
/// This person is the `type` of the other one. A relation is stored once; the other person reads its inverse.
#[utoipa::path(tag = "contact-persons", params(("contact_person_id" = ContactPersonId, Path, description = "Id of the contact person")),
    request_body = NewContactPersonRelation, responses((status = 201, description = "The new relation", body = ContactPersonRelation)), security(("bearer" = ["customer.write"])))]
#[post("/{contact_person_id}/relations")]
async fn create_contact_person_relation(
    caller: Caller,
    store: Data<Store>,
    id: Path<ContactPerson>,
    body: Json<NewContactPersonRelation>,
) -> Answer<ContactPersonRelation> {
    let made = store.write(move |tx| relation::create(tx, &caller, id.0, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/contact-persons/{}/relations/{}", made.contact_person_id, made.id), made.version, made))
}

/// Get a relation among contact persons
///
/// One relation, ended or not, read from this person's side.
#[utoipa::path(tag = "contact-persons", params(("contact_person_id" = ContactPersonId, Path, description = "Id of the contact person"), ("contact_person_relation_id" = ContactPersonRelationId, Path, description = "Id of the relation")),
    responses((status = 200, description = "The relation", body = ContactPersonRelation)), security(("bearer" = ["customer.read"])))]
#[get("/{contact_person_id}/relations/{contact_person_relation_id}")]
async fn get_contact_person_relation(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<ContactPerson, ContactPersonRelation>,
) -> Answer<ContactPersonRelation> {
    let found = store.glance(move |conn| relation::get(conn, &caller, ids.0, ids.1)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update a relation among contact persons
///
/// Changes the given fields (JSON Merge Patch). Type and persons stay: another one is another relation.
#[utoipa::path(tag = "contact-persons", params(("contact_person_id" = ContactPersonId, Path, description = "Id of the contact person"), ("contact_person_relation_id" = ContactPersonRelationId, Path, description = "Id of the relation")),
    request_body = ContactPersonRelationPatch, responses((status = 200, description = "The changed relation", body = ContactPersonRelation)), security(("bearer" = ["customer.write"])))]
#[patch("/{contact_person_id}/relations/{contact_person_relation_id}")]
async fn update_contact_person_relation(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<ContactPerson, ContactPersonRelation>,
    version: IfMatch,
    body: Json<ContactPersonRelationPatch>,
) -> Answer<ContactPersonRelation> {
    let changed = store.write(move |tx| relation::update(tx, &caller, ids.0, ids.1, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// End a relation among contact persons
///
/// The relation stays on record. Both persons see its end.
#[utoipa::path(tag = "contact-persons", params(("contact_person_id" = ContactPersonId, Path, description = "Id of the contact person"), ("contact_person_relation_id" = ContactPersonRelationId, Path, description = "Id of the relation"), IfMatchHeader),
    request_body = ContactPersonRelationEnd, responses((status = 200, description = "The ended relation", body = ContactPersonRelation)), security(("bearer" = ["customer.write"])))]
#[post("/{contact_person_id}/relations/{contact_person_relation_id}/end")]
async fn end_contact_person_relation(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<ContactPerson, ContactPersonRelation>,
    version: IfMatch,
    body: Json<ContactPersonRelationEnd>,
) -> Answer<ContactPersonRelation> {
    let ended = store.write(move |tx| relation::end(tx, &caller, ids.0, ids.1, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(ended.version, ended))
}

/// List a customer's contact persons
///
/// Who works or worked for a customer, with the employment, oldest record first; personal parts and keys are null. `as_of` asks who
/// worked there on a day.
#[utoipa::path(tag = "contact-persons", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), CustomerContactPersonFilter, PageParams),
    responses((status = 200, description = "A page of contact persons", body = Page<CustomerContactPerson>)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/contact-persons")]
async fn list_customer_contact_persons(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    query: ListQuery<CustomerContactPersonFilter>,
) -> Answer<Page<CustomerContactPerson>> {
    let page = store.read(move |conn| list::of_customer(conn, &caller, id.0, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}
