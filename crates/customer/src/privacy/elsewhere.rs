//! What names a customer in records that are not its own: where contact persons work who are the customer, and who owns and
//! manages organisations. An erasure takes it out of them before anything of the customer itself is gone.

use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, QueryableByName, RunQueryDsl};
use kehu_kernel::{
    AnyId, Conn, Error, Result, Tx,
    json::Json,
    schema::{
        attribute_history, contact_person_relations, contact_persons, customers, employments, organisation_profiles,
        personal_profiles, source_records,
    },
    store::sql,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    CustomerId,
    belonging::Statement,
    profile::{Manager, Shareholder},
};

/// What stands where a name stood.
const NAMELESS: &str = "Erased person";
/// The fields of organisations that name others, as the history and sources call them.
const NAMING: [&str; 2] = ["main_shareholders", "management"];

/// The names under which a customer is known; none once it is erased.
///
/// # Errors
/// The database's.
pub fn names(conn: &mut Conn, customer: CustomerId) -> Result<Vec<String>> {
    let own: Option<String> = customers::table.find(customer).select(customers::display_name).first(&mut conn.db).optional()?;
    let person: Option<String> =
        personal_profiles::table.find(customer).select(personal_profiles::full_name).first(&mut conn.db).optional()?;
    let legal: Option<String> =
        organisation_profiles::table.find(customer).select(organisation_profiles::legal_name).first(&mut conn.db).optional()?;
    let mut names: Vec<String> =
        own.into_iter().chain(person).chain(legal).map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Takes a customer out of the records of others.
///
/// # Errors
/// The database's.
pub fn scrub(tx: &mut Tx<'_>, customer: CustomerId) -> Result<u64> {
    let persons: Vec<AnyId> = contact_persons::table
        .filter(contact_persons::person_customer_id.eq(customer))
        .select(contact_persons::id)
        .load(&mut tx.db)?;
    let mine = Named { id: customer.to_string(), names: names(tx, customer)? };
    let mut scrubbed = 0;
    for organisation in organisations(tx, customer, &persons)? {
        scrubbed += mine.scrub_organisation(tx, organisation)?;
    }
    scrubbed += diesel::update(employments::table.filter(employments::contact_person_id.eq_any(persons.clone())))
        .set((
            employments::position.eq(None::<String>),
            employments::department.eq(None::<String>),
            employments::decision_role.eq(None::<String>),
            employments::end_reason.eq(None::<String>),
            employments::updated_at.eq(tx.now),
            employments::version.eq(employments::version + 1),
        ))
        .execute(&mut tx.db)?;
    let either = contact_person_relations::contact_person_id
        .eq_any(persons.clone())
        .or(contact_person_relations::related_contact_person_id.eq_any(persons));
    scrubbed += diesel::update(contact_person_relations::table.filter(either))
        .set((
            contact_person_relations::note.eq(None::<String>),
            contact_person_relations::end_reason.eq(None::<String>),
            contact_person_relations::updated_at.eq(tx.now),
            contact_person_relations::version.eq(contact_person_relations::version + 1),
        ))
        .execute(&mut tx.db)?;
    u64::try_from(scrubbed).map_err(Error::internal)
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = sql::Uuid)]
    id: CustomerId,
}

/// The organisations that may name the customer: those that hold its id among their owners, now or once, and those to which
/// it has a relation or in which it works. A name alone, in an organisation that has nothing to do with the customer, is
/// somebody else's.
fn organisations(tx: &mut Tx<'_>, customer: CustomerId, persons: &[AnyId]) -> Result<Vec<CustomerId>> {
    let named = "SELECT o.customer_id AS id FROM organisation_profiles o WHERE CAST(o.main_shareholders AS text) LIKE {id}
        UNION SELECT h.customer_id FROM attribute_history h
            WHERE h.field = 'main_shareholders' AND CAST(h.value AS text) LIKE {id}
        UNION SELECT r.customer_id FROM relations r WHERE r.related_customer_id = {customer}
        UNION SELECT r.related_customer_id FROM relations r WHERE r.customer_id = {customer}";
    let named = Statement::new(named).text("id", format!("%{customer}%")).id("customer", customer);
    let rows: Vec<Found> = named.query()?.load(&mut tx.db)?;
    let mut found: Vec<CustomerId> = rows.into_iter().map(|row| row.id).collect();
    let employers: Vec<CustomerId> = employments::table
        .filter(employments::contact_person_id.eq_any(persons.to_vec()))
        .select(employments::customer_id)
        .load(&mut tx.db)?;
    found.extend(employers);
    // Always in one order, so that two erasures do not wait for each other.
    found.sort_unstable();
    found.dedup();
    found.retain(|organisation| *organisation != customer);
    Ok(found)
}

/// Who owns and who manages an organisation.
type Naming = (Json<Vec<Shareholder>>, Json<Vec<Manager>>);

/// Who is taken out.
struct Named {
    id: String,
    names: Vec<String>,
}

impl Named {
    fn scrub_organisation(&self, tx: &mut Tx<'_>, organisation: CustomerId) -> Result<usize> {
        let mut scrubbed = self.scrub_profile(tx, organisation)?;
        let history: Vec<(AnyId, String, Json<Value>)> = attribute_history::table
            .filter(attribute_history::customer_id.eq(organisation))
            .filter(attribute_history::field.eq_any(NAMING))
            .select((attribute_history::id, attribute_history::field, attribute_history::value))
            .load(&mut tx.db)?;
        for (id, _, Json(mut value)) in history {
            if self.scrub(&mut value) {
                scrubbed +=
                    diesel::update(attribute_history::table.find(id).filter(attribute_history::customer_id.eq(organisation)))
                        .set(attribute_history::value.eq(Json(value)))
                        .execute(&mut tx.db)?;
            }
        }
        let told: Vec<(AnyId, Json<Value>)> = source_records::table
            .filter(source_records::customer_id.eq(organisation))
            .select((source_records::id, source_records::payload))
            .load(&mut tx.db)?;
        for (id, Json(mut payload)) in told {
            let mut changed = false;
            for field in NAMING {
                changed |= payload.get_mut(field).is_some_and(|value| self.scrub(value));
            }
            if changed {
                scrubbed += diesel::update(source_records::table.find(id).filter(source_records::customer_id.eq(organisation)))
                    .set(source_records::payload.eq(Json(payload)))
                    .execute(&mut tx.db)?;
            }
        }
        Ok(scrubbed)
    }

    fn scrub_profile(&self, tx: &mut Tx<'_>, organisation: CustomerId) -> Result<usize> {
        let named = (organisation_profiles::main_shareholders, organisation_profiles::management);
        let found = organisation_profiles::table.find(organisation).select(named).first(&mut tx.db).optional()?;
        let Some((owners, managers)): Option<Naming> = found else { return Ok(0) };
        let (owners, managers) = (self.scrubbed(&owners.0)?, self.scrubbed(&managers.0)?);
        if owners.is_none() && managers.is_none() {
            return Ok(0);
        }
        let profile = organisation_profiles::table.find(organisation);
        if let Some(owners) = owners {
            diesel::update(profile).set(organisation_profiles::main_shareholders.eq(Json(owners))).execute(&mut tx.db)?;
        }
        if let Some(managers) = managers {
            diesel::update(profile).set(organisation_profiles::management.eq(Json(managers))).execute(&mut tx.db)?;
        }
        diesel::update(customers::table.find(organisation))
            .set((customers::updated_at.eq(tx.now), customers::version.eq(customers::version + 1)))
            .execute(&mut tx.db)?;
        Ok(1)
    }

    /// The entries without the customer; `None` where it is not among them.
    fn scrubbed<T: Serialize + DeserializeOwned>(&self, entries: &[T]) -> Result<Option<Vec<T>>> {
        let mut value = serde_json::to_value(entries).map_err(Error::internal)?;
        if !self.scrub(&mut value) {
            return Ok(None);
        }
        serde_json::from_value(value).map(Some).map_err(Error::internal)
    }

    /// Takes the customer out of a list of owners or managers; whether it was there.
    fn scrub(&self, list: &mut Value) -> bool {
        let mut changed = false;
        for entry in list.as_array_mut().into_iter().flatten() {
            let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::trim);
            let by_id = text("customer_id") == Some(&self.id);
            // Who is another customer is not meant by the same name.
            let other = !by_id && text("customer_id").is_some();
            let is_me =
                |name: Option<&str>| by_id || !other && name.is_some_and(|name| self.names.iter().any(|mine| mine == name));
            let keys = ["name", "person"].map(|key| (key, is_me(text(key)) && text(key).is_some()));
            for (key, _) in keys.iter().filter(|(_, mine)| *mine) {
                if let Some(value) = entry.get_mut(key) {
                    *value = json!(NAMELESS);
                    changed = true;
                }
            }
            if by_id && let Some(value) = entry.get_mut("customer_id") {
                *value = Value::Null;
                changed = true;
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_erased_is_taken_out_of_a_list() {
        let (id, other) = (CustomerId::new().to_string(), CustomerId::new().to_string());
        let mine = Named { id: id.clone(), names: vec!["Li Na".into()] };
        let mut owners = json!([{ "name": "L. Na", "customer_id": id, "share_bp": 10 }, { "name": "Li Na", "share_bp": 20 },
            { "name": "Li Na", "customer_id": other }, { "name": "Li Nan" }]);
        assert!(mine.scrub(&mut owners));
        let expected = json!([{ "name": NAMELESS, "customer_id": null, "share_bp": 10 }, { "name": NAMELESS, "share_bp": 20 },
            { "name": "Li Na", "customer_id": other }, { "name": "Li Nan" }]);
        assert_eq!(owners, expected);
        assert!(!mine.scrub(&mut owners), "once is enough");
        let mut managers = json!([{ "person": " Li Na ", "position": "CEO" }, { "person": "Wang", "position": "Li Na" }]);
        assert!(mine.scrub(&mut managers));
        assert_eq!(managers, json!([{ "person": NAMELESS, "position": "CEO" }, { "person": "Wang", "position": "Li Na" }]));
        assert!(!mine.scrub(&mut json!("no list")));
    }
}
