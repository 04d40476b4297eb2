//! Merges of customers: every row goes along, every read leads on, and a revert leaves no trace.

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, QueryDsl, QueryableByName, RunQueryDsl, sql_query, sql_types::Text};
use kehu_api::belonging::REGISTRY;
use kehu_customer::{
    CustomerId,
    belonging::{OnMerge, Statement},
    feed::{self, CustomerRecord},
    merge::{self, AbsorbedRecord, MergeRequest},
    scope,
};
use kehu_kernel::{
    Actor, AnyId, Date, Error, Store,
    feed::{Outcome, Source},
    json::Json,
    schema::*,
    store::{Backend, StoreOptions},
    time::Clock,
};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, Client,
        client::sign,
        customers::{self, path, person, resident_id},
        ledger,
    },
};

both_databases!(
    every_table_goes_along_and_comes_back,
    values_win_by_source_freshness_and_choice,
    a_trial_shows_the_merge_and_changes_nothing,
    reads_lead_on_and_writes_are_told,
    what_changed_after_the_merge_stays_and_is_listed,
    what_would_clash_is_held_back,
    merges_are_refused,
    who_may_merge,
    merges_of_overlapping_sets_have_one_winner,
    random_merges_come_apart_again,
    the_window_closes,
    feeds_and_reverts_of_imports_after_a_merge,
    pairs_of_the_queue_go_along,
);

const DAY: (i32, u32, u32) = (2024, 1, 1);

pub(crate) fn day() -> Date {
    Date::new(DAY.0, DAY.1, DAY.2).unwrap()
}

pub(crate) fn id(record: &Value) -> CustomerId {
    record["id"].as_str().unwrap().parse().unwrap()
}

pub(crate) async fn version(client: &Client<'_>, customer: &Value) -> i64 {
    client.get(&path(customer, "")).await.expect(200)["version"].as_i64().unwrap()
}

/// The body of a merge of records as they are now.
pub(crate) async fn request(client: &Client<'_>, absorbed: &[&Value]) -> Value {
    let mut records = Vec::new();
    for record in absorbed {
        records.push(json!({ "customer_id": record["id"], "version": version(client, record).await }));
    }
    json!({ "absorbed": records, "reason": "the same person" })
}

pub(crate) async fn merge(client: &Client<'_>, survivor: &Value, absorbed: &[&Value]) -> Value {
    let body = request(client, absorbed).await;
    client.command(&path(survivor, "/merge"), version(client, survivor).await, body).await.expect(200)
}

pub(crate) async fn revert(client: &Client<'_>, merge: &Value) -> Value {
    let path = format!("/v1/merges/{}/revert", merge["id"].as_str().unwrap());
    client.command(&path, merge["version"].as_i64().unwrap(), json!({ "reason": "two people" })).await.expect(200)
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// All rows of all tables, but for the merges themselves, the audit, what tells of the past, and versions.
pub(crate) fn dump(store: &Store) -> BTreeMap<String, Vec<String>> {
    let schema = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/kernel/src/schema.rs")).unwrap();
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut table = String::new();
    for line in schema.lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with(") {")) {
            table = name.to_owned();
        } else if let Some((column, _)) = line.split_once(" -> ") {
            tables.entry(table.clone()).or_default().push(column.to_owned());
        }
    }
    let audit = ["merges", "merge_members", "merge_rows", "events", "event_heads", "access_log", "idempotency_keys", "jobs"];
    for left_out in audit.into_iter().chain(["attribute_history", "customer_transitions", "match_changes"]) {
        assert!(tables.remove(left_out).is_some(), "{left_out}");
    }
    let sqlite = store.backend() == Backend::Sqlite;
    let stamp = |table: &str, column: &str| {
        column == "version"
            || ((table == "customers" || table == "match_candidates") && column == "updated_at")
            || (table.ends_with("_profiles") && column == "updated_at")
    };
    let mut all = BTreeMap::new();
    for (table, columns) in tables {
        let shown: Vec<String> = columns
            .iter()
            .filter(|column| !stamp(&table, column))
            .map(|column| if sqlite { format!("quote({column})") } else { format!("COALESCE(CAST({column} AS text), 'NULL')") })
            .collect();
        let select = format!("SELECT {} AS line FROM {table}", shown.join(" || '|' || "));
        let lines: Vec<Line> = store.read_blocking(|conn| Ok(sql_query(select.as_str()).load(&mut conn.db)?)).unwrap();
        let mut lines: Vec<String> = lines.into_iter().map(|row| row.line).collect();
        lines.sort();
        all.insert(table, lines);
    }
    all
}

#[track_caller]
pub(crate) fn assert_same(before: &BTreeMap<String, Vec<String>>, after: &BTreeMap<String, Vec<String>>) {
    for (table, rows) in before {
        assert_eq!(rows, &after[table], "{table}");
    }
}

pub(crate) fn count(store: &Store, table: &str, column: &str, customer: CustomerId) -> i64 {
    let text = format!("SELECT COUNT(*) AS count FROM {table} WHERE {column} = {{id}}");
    store.read_blocking(|conn| Statement::new(text.clone()).id("id", customer).count(conn)).unwrap()
}

/// What other crates' screens make, written as they would.
pub(crate) fn write(app: &App, mut work: impl FnMut(&mut kehu_kernel::Tx<'_>) -> diesel::QueryResult<usize> + Send + 'static) {
    app.store.write_blocking(move |tx| Ok(work(tx)?)).unwrap();
}

/// Gives a customer a row in every table that can hold one.
async fn furnish(app: &App, admin: &Client<'_>, customer: &Value, mark: &str, ids: &Value) {
    let client = admin.with("X-Purpose", "test");
    let digit = mark.bytes().next().unwrap() % 10;
    let document = json!({ "type": "passport", "number": format!("E1234567{digit}") });
    client.post(&path(customer, "/identities"), document).await.expect(201);
    let phone = json!({ "kind": "phone", "value": format!("+86 138 0013 800{digit}"), "preferred": true });
    client.post(&path(customer, "/contact-points"), phone).await.expect(201);
    let friend = person(admin, &format!("Friend of {mark}"), None).await;
    let to = json!({ "related_customer_id": friend["id"], "type": "guarantor" });
    client.post(&path(customer, "/relations"), to).await.expect(201);
    let from = json!({ "related_customer_id": customer["id"], "type": "guarantor" });
    client.post(&path(&friend, "/relations"), from).await.expect(201);
    let change = json!({ "tier": mark, "personal": { "employer": format!("Works {mark}"), "income_band": "high" } });
    client.patch(&path(customer, ""), version(&client, customer).await, change).await.expect(200);
    let active = json!({ "status": "active", "life_cycle_stage": "customer", "reason": "account opened" });
    let at = version(&client, customer).await;
    client.command(&path(customer, "/transition"), at, active).await.expect(200);
    let staff =
        json!({ "employee_no": format!("E-{mark}"), "name": format!("Officer {mark}"), "branch_id": ids["A"], "roles": [] });
    let staff = admin.post("/v1/staff", staff).await.expect(201);
    let assignment = json!({ "customer_id": customer["id"], "staff_id": staff["id"], "role": "primary" });
    admin.post("/v1/assignments", assignment).await.expect(201);
    let account = ledger::account(admin, &format!("62220212345634{:02}", digit), "A", "100.00").await;
    let link = ledger::owner(&account, customer["id"].as_str().unwrap(), true, None);
    admin.post("/v1/account-links", link).await.expect(201);
    client.get(&path(customer, "")).await.expect(200);
    let (owner, mark, friend) = (id(customer), mark.to_owned(), id(&friend));
    let now = app.store.now();
    let other = friend;
    write(app, move |tx| {
        let db = &mut tx.db;
        diesel::insert_into(source_records::table)
            .values((
                source_records::id.eq(AnyId::new()),
                source_records::customer_id.eq(owner),
                source_records::source_system.eq("core"),
                source_records::source_id.eq(&mark),
                source_records::payload.eq(Json(json!({}))),
                source_records::content_hash.eq(vec![1_u8]),
                source_records::match_method.eq("created"),
                source_records::match_score_bp.eq(10_000),
                source_records::decided_by.eq("test"),
                source_records::received_at.eq(now),
            ))
            .execute(db)?;
        diesel::insert_into(duplicate_allowances::table)
            .values((
                duplicate_allowances::customer_id.eq(owner),
                duplicate_allowances::reason.eq("alike"),
                duplicate_allowances::allowed_by.eq("test"),
                duplicate_allowances::allowed_at.eq(now),
            ))
            .execute(db)?;
        diesel::insert_into(access_log::table)
            .values((
                access_log::id.eq(AnyId::new()),
                access_log::customer_id.eq(Some(owner.cast::<()>())),
                access_log::resource.eq("customer"),
                access_log::resource_id.eq(owner.cast::<()>()),
                access_log::action.eq("customer.read"),
                access_log::fields.eq(Json(json!([]))),
                access_log::actor.eq("test"),
                access_log::actor_kind.eq("staff"),
                access_log::at.eq(now),
            ))
            .execute(db)?;
        let (domain, tag) = (AnyId::new(), AnyId::new());
        let places: i64 = tag_domains::table.count().get_result(db)?;
        diesel::insert_into(tag_domains::table)
            .values((
                tag_domains::id.eq(domain),
                tag_domains::code.eq(format!("domain-{mark}")),
                tag_domains::name.eq("Domain"),
                tag_domains::place.eq(i32::try_from(places).unwrap() + 100),
                tag_domains::built_in.eq(false),
                tag_domains::created_at.eq(now),
                tag_domains::updated_at.eq(now),
                tag_domains::version.eq(1_i64),
            ))
            .execute(db)?;
        diesel::insert_into(tags::table)
            .values((
                tags::id.eq(tag),
                tags::tag_domain_id.eq(domain),
                tags::code.eq(format!("tag-{mark}")),
                tags::name.eq("Tag"),
                tags::value_type.eq("none"),
                tags::choices.eq(Json(json!([]))),
                tags::settable_by.eq(Json(json!([]))),
                tags::field_class.eq("internal"),
                tags::active.eq(true),
                tags::created_at.eq(now),
                tags::updated_at.eq(now),
                tags::version.eq(1_i64),
            ))
            .execute(db)?;
        diesel::insert_into(customer_tags::table)
            .values((
                customer_tags::id.eq(AnyId::new()),
                customer_tags::customer_id.eq(owner),
                customer_tags::tag_id.eq(tag),
                customer_tags::source.eq("manual"),
                customer_tags::confidence_bp.eq(10_000),
                customer_tags::valid_from.eq(day()),
                customer_tags::set_by.eq("test"),
                customer_tags::created_at.eq(now),
                customer_tags::updated_at.eq(now),
                customer_tags::version.eq(1_i64),
            ))
            .execute(db)?;
        diesel::insert_into(consents::table)
            .values((
                consents::id.eq(AnyId::new()),
                consents::customer_id.eq(owner),
                consents::purpose.eq("marketing"),
                consents::channel.eq("phone"),
                consents::state.eq("granted"),
                consents::given_at.eq(now),
                consents::source.eq("branch"),
                consents::recorded_by.eq("test"),
                consents::created_at.eq(now),
            ))
            .execute(db)?;
        let definition = AnyId::new();
        diesel::insert_into(attribute_definitions::table)
            .values((
                attribute_definitions::id.eq(definition),
                attribute_definitions::code.eq(format!("attribute-{mark}")),
                attribute_definitions::name.eq("Attribute"),
                attribute_definitions::customer_kinds.eq(Json(json!(["personal"]))),
                attribute_definitions::value_type.eq("text"),
                attribute_definitions::choices.eq(Json(json!([]))),
                attribute_definitions::field_class.eq("internal"),
                attribute_definitions::active.eq(true),
                attribute_definitions::created_at.eq(now),
                attribute_definitions::updated_at.eq(now),
                attribute_definitions::version.eq(1_i64),
            ))
            .execute(db)?;
        diesel::insert_into(custom_attributes::table)
            .values((
                custom_attributes::id.eq(AnyId::new()),
                custom_attributes::customer_id.eq(owner),
                custom_attributes::attribute_definition_id.eq(definition),
                custom_attributes::value.eq("x"),
                custom_attributes::set_by.eq("test"),
                custom_attributes::created_at.eq(now),
                custom_attributes::updated_at.eq(now),
                custom_attributes::version.eq(1_i64),
            ))
            .execute(db)?;
        let contact = AnyId::new();
        diesel::insert_into(contact_persons::table)
            .values((
                contact_persons::id.eq(contact),
                contact_persons::person_customer_id.eq(Some(owner)),
                contact_persons::name.eq("Contact"),
                contact_persons::created_by.eq("test"),
                contact_persons::created_at.eq(now),
                contact_persons::updated_at.eq(now),
                contact_persons::version.eq(1_i64),
            ))
            .execute(db)?;
        diesel::insert_into(employments::table)
            .values((
                employments::id.eq(AnyId::new()),
                employments::contact_person_id.eq(contact),
                employments::customer_id.eq(owner),
                employments::valid_from.eq(day()),
                employments::created_at.eq(now),
                employments::updated_at.eq(now),
                employments::version.eq(1_i64),
            ))
            .execute(db)?;
        let group = AnyId::new();
        diesel::insert_into(groups::table)
            .values((
                groups::id.eq(group),
                groups::number.eq(group.to_string()),
                groups::name.eq("Group"),
                groups::kind.eq("static"),
                groups::status.eq("active"),
                groups::created_by.eq("test"),
                groups::created_at.eq(now),
                groups::updated_at.eq(now),
                groups::version.eq(1_i64),
            ))
            .execute(db)?;
        diesel::insert_into(group_members::table)
            .values((
                group_members::id.eq(AnyId::new()),
                group_members::group_id.eq(group),
                group_members::customer_id.eq(owner),
                group_members::role.eq("member"),
                group_members::is_primary.eq(false),
                group_members::valid_from.eq(day()),
                group_members::source.eq("manual"),
                group_members::created_by.eq("test"),
                group_members::created_at.eq(now),
                group_members::updated_at.eq(now),
                group_members::version.eq(1_i64),
            ))
            .execute(db)?;
        diesel::insert_into(legal_holds::table)
            .values((
                legal_holds::id.eq(AnyId::new()),
                legal_holds::customer_id.eq(owner),
                legal_holds::reason.eq("court"),
                legal_holds::placed_by.eq("test"),
                legal_holds::placed_at.eq(now),
                legal_holds::version.eq(1_i64),
            ))
            .execute(db)?;
        diesel::insert_into(privacy_exports::table)
            .values((
                privacy_exports::id.eq(AnyId::new()),
                privacy_exports::customer_id.eq(owner),
                privacy_exports::job_id.eq(AnyId::new()),
                privacy_exports::purpose.eq("asked"),
                privacy_exports::requested_by.eq("test"),
                privacy_exports::requested_at.eq(now),
                privacy_exports::version.eq(1_i64),
            ))
            .execute(db)
    });
    let stranger = id(&person(admin, "Somebody else", None).await);
    for other in [other, stranger] {
        pair(app, owner, other, "open");
    }
}

/// A pair of the work queue.
fn pair(app: &App, one: CustomerId, other: CustomerId, state: &'static str) -> AnyId {
    let (pair, now) = (AnyId::new(), app.store.now());
    write(app, move |tx| {
        diesel::insert_into(match_candidates::table)
            .values((
                match_candidates::id.eq(pair),
                match_candidates::left_id.eq(one.min(other)),
                match_candidates::right_id.eq(one.max(other)),
                match_candidates::score_bp.eq(8_000),
                match_candidates::band.eq("likely"),
                match_candidates::reasons.eq(Json(json!([]))),
                match_candidates::facts_hash.eq(vec![1_u8]),
                match_candidates::parameters_version.eq(1_i64),
                match_candidates::source.eq("run"),
                match_candidates::state.eq(state),
                match_candidates::created_at.eq(now),
                match_candidates::updated_at.eq(now),
                match_candidates::version.eq(1_i64),
            ))
            .execute(&mut tx.db)
    });
    pair
}

async fn every_table_goes_along_and_comes_back(app: App) {
    let admin = app.role("administrator");
    let ids = ledger::bank(&admin).await;
    let survivor = person(&admin, "Li Na", Some(&ids["A"])).await;
    let absorbed = person(&admin, "Li Na", Some(&ids["A"])).await;
    let before_that = person(&admin, "Li Na the first", Some(&ids["A"])).await;
    furnish(&app, &admin, &survivor, "s1", &ids).await;
    furnish(&app, &admin, &absorbed, "a2", &ids).await;
    // The absorbed has absorbed somebody itself.
    merge(&admin, &absorbed, &[&before_that]).await;
    let before = dump(&app.store);
    let mine = |table: &str, column: &str, who: &Value| count(&app.store, table, column, id(who));
    let mut counts = BTreeMap::new();
    for belonging in REGISTRY.iter() {
        let name = (belonging.table, belonging.column);
        let of_both = (mine(name.0, name.1, &survivor), mine(name.0, name.1, &absorbed));
        // Nobody has been absorbed twice, and nobody has another kind's profile.
        let never = ["merge_members", "merge_rows", "organisation_profiles", "match_keys"];
        let sides = ["left_id", "right_id"].contains(&name.1);
        assert!(of_both.1 > 0 || never.contains(&name.0) || sides, "the absorbed has no row in {name:?}: make one in `furnish`");
        counts.insert(name, of_both);
    }
    let made = merge(&admin, &survivor, &[&absorbed]).await;
    let lineage = app.store.read_blocking(|conn| scope::lineage(conn, id(&survivor))).unwrap();
    assert_eq!(lineage.len(), 3);
    for belonging in REGISTRY.iter() {
        let name = (belonging.table, belonging.column);
        let (survivors, absorbeds) = counts[&name];
        let now = (mine(name.0, name.1, &survivor), mine(name.0, name.1, &absorbed));
        match belonging.merge {
            OnMerge::Moves(_) => assert_eq!(now, (survivors + absorbeds, 0), "{name:?}"),
            // Only what the merge itself tells is added.
            OnMerge::Stays(_) => assert!(now.1 >= absorbeds && now.0 >= survivors, "{name:?}"),
            OnMerge::Derived(_) => assert_eq!(now.1, 0, "{name:?}"),
            OnMerge::Handled(_) => assert_eq!(now.1, 0, "{name:?}"),
        }
    }
    assert_eq!(made["moved"].as_array().unwrap().len(), REGISTRY.iter().filter(|b| matches!(b.merge, OnMerge::Moves(_))).count());
    // One preferred phone, one owner.
    let points = admin.get(&path(&survivor, "/contact-points")).await.expect(200);
    let preferred = points["items"].as_array().unwrap().iter().filter(|point| point["preferred"] == true).count();
    assert_eq!((points["items"].as_array().unwrap().len(), preferred), (2, 1));
    let shown = admin.get(&path(&survivor, "")).await.expect(200);
    assert_eq!(shown["owner"]["label"], "Officer s1");
    let page = admin.get(&format!("/v1/assignments?customer_id={}", survivor["id"].as_str().unwrap())).await.expect(200);
    let mut roles: Vec<&str> = page["items"].as_array().unwrap().iter().map(|item| item["role"].as_str().unwrap()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["deputy", "primary"]);
    let reverted = revert(&admin, &made).await;
    assert_eq!((reverted["state"].as_str(), reverted["kept_changes"].as_array().unwrap().len()), (Some("reverted"), 0));
    assert_same(&before, &dump(&app.store));
    admin.get(&path(&absorbed, "")).await.expect(200);
    let path = format!("/v1/merges/{}/revert", made["id"].as_str().unwrap());
    assert_eq!(admin.command(&path, 2, json!({ "reason": "again" })).await.problem(409), "merge_reverted");
    let kinds: Vec<String> = app
        .store
        .read_blocking(|conn| {
            let of = events::table.filter(events::customer_id.eq(id(&absorbed).cast::<()>())).order(events::id);
            Ok(of.select(events::kind).load(&mut conn.db)?)
        })
        .unwrap();
    assert!(kinds.ends_with(&["customer.merged".to_owned(), "customer.merge_reverted".to_owned()]), "{kinds:?}");
}

async fn values_win_by_source_freshness_and_choice(app: App) {
    let admin = app.role("administrator");
    let sensitive = admin.with("X-Purpose", "test");
    for (code, precedence) in [("core", 50), ("web", 10)] {
        let body = json!({ "code": code, "name": code, "precedence": { "profile": precedence } });
        admin.post("/v1/source-systems", body).await.expect(201);
    }
    let survivor = person(&admin, "Li Na", None).await;
    let trusted = person(&admin, "Li Na", None).await;
    let fresh = person(&admin, "Li Na", None).await;
    let (core, web) = (id(&trusted), id(&survivor));
    for (customer, employer) in [(&survivor, "Survivor Ltd"), (&trusted, "Trusted Ltd"), (&fresh, "Fresh Ltd")] {
        let change = json!({ "personal": { "employer": employer } });
        admin.patch(&path(customer, ""), version(&admin, customer).await, change).await.expect(200);
    }
    let of_fresh = json!({ "tier": "gold", "fraud_flag": true, "review_due_on": "2020-01-01",
        "personal": { "gender": "female", "income_band": "high" } });
    sensitive.patch(&path(&fresh, ""), version(&admin, &fresh).await, of_fresh).await.expect(200);
    admin.patch(&path(&survivor, ""), version(&admin, &survivor).await, json!({ "tier": "iron" })).await.expect(200);
    // Who says so.
    write(&app, move |tx| {
        for (customer, source) in [(core, "core"), (web, "web")] {
            let of = attribute_history::table.filter(attribute_history::customer_id.eq(customer));
            diesel::update(of.filter(attribute_history::field.eq("employer")))
                .set(attribute_history::source_system.eq(Some(source)))
                .execute(&mut tx.db)?;
        }
        Ok(0)
    });
    let mut body = request(&admin, &[&trusted, &fresh]).await;
    body["choices"] = json!({ "tier": fresh["id"] });
    let made = admin.command(&path(&survivor, "/merge"), version(&admin, &survivor).await, body).await.expect(200);
    let plan = made["plan"].as_array().unwrap();
    let choice = |field: &str| plan.iter().find(|choice| choice["field"] == field).unwrap_or_else(|| panic!("{field}: {made}"));
    assert_eq!(choice("employer")["value"], "Trusted Ltd");
    assert_eq!((&choice("employer")["reason"], &choice("employer")["before"]), (&json!("precedence"), &json!("Survivor Ltd")));
    assert_eq!((&choice("tier")["reason"], &choice("tier")["value"]), (&json!("choice"), &json!("gold")));
    assert_eq!((&choice("gender")["reason"], &choice("gender")["from"]), (&json!("only_value"), &fresh["id"]));
    assert_eq!(choice("fraud_flag")["reason"], "caution");
    assert_eq!(choice("review_due_on")["value"], "2020-01-01");
    let hidden = choice("income_band");
    assert_eq!(
        (&hidden["value"], &hidden["hidden"], &hidden["alternatives"][2]["value"]),
        (&Value::Null, &json!(true), &Value::Null)
    );
    assert!(plan.iter().all(|choice| choice["field"] != "full_name"), "what agrees is no choice: {plan:?}");
    let shown = sensitive.get(&path(&survivor, "")).await.expect(200);
    assert_eq!(shown["personal"]["employer"], "Trusted Ltd");
    assert_eq!((&shown["tier"], &shown["fraud_flag"]), (&json!("gold"), &json!(true)));
    let income = |customer: CustomerId| -> Option<String> {
        let of = personal_profiles::table.find(customer).select(personal_profiles::income_band);
        app.store.read_blocking(|conn| Ok(of.first(&mut conn.db)?)).unwrap()
    };
    assert_eq!(income(id(&survivor)).as_deref(), Some("high"));
    let history = admin.get(&path(&survivor, "/history?field=employer")).await.expect(200);
    assert_eq!((&history["items"][0]["value"], &history["items"][0]["source_system"]), (&json!("Trusted Ltd"), &json!("core")));
    // A source that stands below the one that won does not take the value back.
    revert(&admin, &made).await;
    let shown = sensitive.get(&path(&survivor, "")).await.expect(200);
    assert_eq!((&shown["personal"]["employer"], &shown["tier"]), (&json!("Survivor Ltd"), &json!("iron")));
    assert_eq!((income(id(&survivor)), &shown["fraud_flag"]), (None, &json!(false)));
    // Choices that cannot be.
    let mut body = request(&admin, &[&trusted]).await;
    body["choices"] = json!({ "nothing": trusted["id"], "tier": trusted["id"], "gender": fresh["id"] });
    let at = version(&admin, &survivor).await;
    let refused = admin.command(&path(&survivor, "/merge"), at, body).await;
    assert_eq!(refused.pointers(422), ["/choices/gender", "/choices/nothing", "/choices/tier"]);
}

async fn a_trial_shows_the_merge_and_changes_nothing(app: App) {
    let admin = app.role("administrator");
    let ids = ledger::bank(&admin).await;
    let survivor = person(&admin, "Li Na", Some(&ids["A"])).await;
    let absorbed = person(&admin, "Lina", Some(&ids["A"])).await;
    furnish(&app, &admin, &absorbed, "a2", &ids).await;
    let before = dump(&app.store);
    let events =
        |app: &App| -> i64 { app.store.read_blocking(|conn| Ok(events::table.count().get_result(&mut conn.db)?)).unwrap() };
    let events_before = events(&app);
    let mut body = request(&admin, &[&absorbed]).await;
    body["dry_run"] = json!(true);
    let at = version(&admin, &survivor).await;
    let trial = admin.command(&path(&survivor, "/merge"), at, body.clone()).await.expect(200);
    assert_eq!((&trial["id"], &trial["state"]), (&Value::Null, &json!("planned")));
    assert_same(&before, &dump(&app.store));
    assert_eq!(events(&app), events_before);
    body["dry_run"] = json!(false);
    let made = admin.command(&path(&survivor, "/merge"), at, body).await.expect(200);
    for same in ["plan", "moved", "survivor", "absorbed", "reason"] {
        assert_eq!(trial[same], made[same], "{same}");
    }
    let shown = admin.get(&format!("/v1/merges/{}", made["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(shown, made);
}

async fn reads_lead_on_and_writes_are_told(app: App) {
    let admin = app.role("administrator");
    let ids = ledger::bank(&admin).await;
    let last = person(&admin, "Li Na", Some(&ids["A"])).await;
    let middle = person(&admin, "Li Na", Some(&ids["A"])).await;
    let first = person(&admin, "Li Na", Some(&ids["A"])).await;
    merge(&admin, &middle, &[&first]).await;
    merge(&admin, &last, &[&middle]).await;
    let survivor = last["id"].as_str().unwrap();
    for operation in crate::rules::operations() {
        let Some(rest) = operation.path.strip_prefix("/v1/customers/{customer_id}") else { continue };
        if operation.method != "get" || rest.contains('{') {
            continue;
        }
        assert!(operation.value["responses"].get("308").is_some(), "{}", operation.path);
        let answer = admin.get(&path(&first, &format!("{rest}?limit=3"))).await;
        let plain = admin.get(&path(&first, rest)).await;
        // Some reads take no limit.
        let answer = if answer.status == 400 { plain } else { answer };
        let location = answer.header("location").unwrap_or_else(|| panic!("{rest}: {answer:?}"));
        assert!(location.starts_with(&format!("/v1/customers/{survivor}{rest}")), "{location}");
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
        let body = answer.expect(308);
        assert_eq!((&body["merged_into"], &body["id"]), (&last["id"], &first["id"]));
        assert_eq!(body["location"], location);
    }
    let query = admin.get(&path(&first, "/contact-points?limit=7")).await;
    assert!(query.header("location").unwrap().ends_with("/contact-points?limit=7"));
    admin.get(&path(&first, "/nothing-here")).await.expect(404);
    // Writes.
    let told = admin.patch(&path(&first, ""), 1, json!({ "tier": "gold" })).await.expect(409);
    assert_eq!((&told["code"], &told["merged_into"]), (&json!("customer_merged"), &last["id"]));
    let phone = json!({ "kind": "phone", "value": "+86 138 0013 8000" });
    assert_eq!(admin.post(&path(&middle, "/contact-points"), phone).await.problem(409), "customer_merged");
    // Bodies that name an absorbed record.
    let other = person(&admin, "Wang Wei", None).await;
    let relation = json!({ "related_customer_id": first["id"], "type": "spouse" });
    let refused = admin.post(&path(&other, "/relations"), relation).await.expect(422);
    assert_eq!(refused["errors"][0]["code"], "customer_merged");
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains(survivor));
    let account = ledger::account(&admin, "6222021234563400", "A", "1.00").await;
    let link = ledger::owner(&account, first["id"].as_str().unwrap(), true, None);
    assert_eq!(admin.post("/v1/account-links", link).await.expect(422)["errors"][0]["code"], "customer_merged");
    let staff = json!({ "employee_no": "E-1", "name": "Officer", "branch_id": ids["A"], "roles": [] });
    let staff = admin.post("/v1/staff", staff).await.expect(201);
    let assignment = json!({ "customer_id": first["id"], "staff_id": staff["id"], "role": "primary" });
    assert_eq!(admin.post("/v1/assignments", assignment).await.problem(409), "customer_merged");
    // Whoever does not see the survivor learns nothing.
    app.role_at("teller", "B").get(&path(&first, "")).await.expect(404);
    app.role_at("teller", "B").patch(&path(&first, ""), 1, json!({ "tier": "x" })).await.expect(404);
}

async fn what_changed_after_the_merge_stays_and_is_listed(app: App) {
    let admin = app.role("administrator");
    let survivor = person(&admin, "Li Na", None).await;
    let absorbed = person(&admin, "Li Na", None).await;
    let point = |value: &str| json!({ "kind": "email", "value": value });
    let moved = admin.post(&path(&absorbed, "/contact-points"), point("old@example.com")).await.expect(201);
    let change = json!({ "tier": "gold", "personal": { "employer": "Works", "gender": "female" } });
    admin.patch(&path(&absorbed, ""), version(&admin, &absorbed).await, change).await.expect(200);
    let made = merge(&admin, &survivor, &[&absorbed]).await;
    let added = admin.post(&path(&survivor, "/contact-points"), point("new@example.com")).await.expect(201);
    let of_moved = path(&survivor, &format!("/contact-points/{}", moved["id"].as_str().unwrap()));
    admin.patch(&of_moved, 1, json!({ "label": "changed later" })).await.expect(200);
    admin.patch(&path(&survivor, ""), version(&admin, &survivor).await, json!({ "tier": "iron" })).await.expect(200);
    let reverted = revert(&admin, &made).await;
    let kept: Vec<(&str, &Value)> = reverted["kept_changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["kind"].as_str().unwrap(), &change["row_id"]))
        .collect();
    assert_eq!(kept.len(), 3, "{reverted}");
    assert!(kept.contains(&("row_added", &added["id"])));
    assert!(kept.contains(&("row_changed", &moved["id"])));
    assert!(kept.contains(&("field_changed", &survivor["id"])));
    let shown = admin.get(&path(&survivor, "")).await.expect(200);
    assert_eq!(
        (&shown["tier"], &shown["personal"]["employer"], &shown["personal"]["gender"]),
        (&json!("iron"), &Value::Null, &Value::Null)
    );
    let points = admin.get(&path(&survivor, "/contact-points")).await.expect(200);
    assert_eq!(points["items"].as_array().unwrap().iter().map(|point| &point["value"]).collect::<Vec<_>>(), ["new@example.com"]);
    let points = admin.get(&path(&absorbed, "/contact-points")).await.expect(200);
    assert_eq!(
        (&points["items"][0]["value"], &points["items"][0]["label"]),
        (&json!("old@example.com"), &json!("changed later"))
    );
    assert_eq!(admin.get(&path(&absorbed, "")).await.expect(200)["tier"], "gold");
}

async fn what_would_clash_is_held_back(app: App) {
    let admin = app.role("administrator");
    let ids = ledger::bank(&admin).await;
    let survivor = person(&admin, "Li Na", Some(&ids["A"])).await;
    let absorbed = person(&admin, "Li Na", Some(&ids["A"])).await;
    let twin = person(&admin, "Li Na", Some(&ids["A"])).await;
    let document = json!({ "type": "resident_id", "number": resident_id("11010519491231002") });
    let phone = json!({ "kind": "phone", "value": "+86 138 0013 8000" });
    let spouse = person(&admin, "Wang Wei", None).await;
    for customer in [&survivor, &absorbed, &twin] {
        admin.post(&path(customer, "/identities"), document.clone()).await.expect(201);
        let married = json!({ "related_customer_id": spouse["id"], "type": "key_influencer", "valid_from": "2020-01-01" });
        admin.post(&path(customer, "/relations"), married).await.expect(201);
    }
    for (customer, quiet) in [(&survivor, false), (&absorbed, true)] {
        let mut phone = phone.clone();
        phone["do_not_contact"] = json!(quiet);
        admin.post(&path(customer, "/contact-points"), phone).await.expect(201);
    }
    // A relation between records that become one.
    let itself = json!({ "related_customer_id": absorbed["id"], "type": "spouse" });
    admin.post(&path(&survivor, "/relations"), itself).await.expect(201);
    let among = json!({ "related_customer_id": twin["id"], "type": "spouse" });
    admin.post(&path(&absorbed, "/relations"), among).await.expect(201);
    // The absorbed's document is verified, the survivor's is not.
    let documents = admin.get(&path(&absorbed, "/identities")).await.expect(200);
    let verified: AnyId = documents["items"][0]["id"].as_str().unwrap().parse().unwrap();
    write(&app, move |tx| {
        diesel::update(identities::table.find(verified)).set(identities::verification.eq("verified")).execute(&mut tx.db)
    });
    let of_absorbed = id(&absorbed);
    app.store.write_blocking(move |tx| kehu_customer::index::refresh(tx, &[of_absorbed])).unwrap();
    // Both own the same account; the absorbed is its primary owner.
    let account = ledger::account(&admin, "6222021234563400", "A", "1.00").await;
    for (customer, primary) in [(&survivor, false), (&absorbed, true)] {
        let link = ledger::owner(&account, customer["id"].as_str().unwrap(), primary, Some(5_000));
        admin.post("/v1/account-links", link).await.expect(201);
    }
    let before = dump(&app.store);
    let made = merge(&admin, &survivor, &[&absorbed, &twin]).await;
    let table = |name: &str, column: &str| -> Vec<i64> {
        let tables = made["moved"].as_array().unwrap();
        let of = tables.iter().find(|table| table["table"] == name && table["column"] == column).unwrap_or(&Value::Null);
        ["moved", "held_back", "yielded", "adapted"].iter().map(|count| of[*count].as_i64().unwrap_or(-1)).collect()
    };
    assert_eq!(table("identities", "customer_id"), [1, 1, 1, 0], "{made}");
    assert_eq!(table("contact_points", "customer_id"), [0, 1, 0, 1]);
    assert_eq!(table("account_links", "customer_id"), [0, 1, 0, 2]);
    assert_eq!(table("relations", "customer_id"), [0, 3, 0, 0]);
    assert_eq!(table("relations", "related_customer_id"), [0, 2, 0, 0]);
    let documents = admin.get(&path(&survivor, "/identities")).await.expect(200);
    assert_eq!(documents["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        documents["items"][0]["verification"]["state"].as_str().or(documents["items"][0]["verified"]["state"].as_str()),
        Some("verified"),
        "{documents}"
    );
    let points = admin.get(&path(&survivor, "/contact-points")).await.expect(200);
    assert_eq!((points["items"].as_array().unwrap().len(), &points["items"][0]["do_not_contact"]), (1, &json!(true)));
    revert(&admin, &made).await;
    assert_same(&before, &dump(&app.store));
}

async fn merges_are_refused(app: App) {
    let admin = app.role("administrator");
    let one = person(&admin, "Li Na", None).await;
    let other = person(&admin, "Li Na", None).await;
    let company = customers::company(&admin, "Li Na Ltd").await;
    let at = path(&one, "/merge");
    let record = |customer: &Value, version: i64| json!({ "customer_id": customer["id"], "version": version });
    let body = |records: Vec<Value>| json!({ "absorbed": records, "reason": "same" });
    assert_eq!(admin.command(&at, 1, body(vec![])).await.pointers(422), ["/absorbed"]);
    let twice = body(vec![record(&other, 1), record(&other, 1), record(&one, 1)]);
    assert_eq!(admin.command(&at, 1, twice).await.pointers(422), ["/absorbed/1/customer_id", "/absorbed/2/customer_id"]);
    assert_eq!(admin.command(&at, 1, body(vec![record(&company, 1)])).await.problem(409), "kinds_differ");
    assert_eq!(admin.command(&at, 1, body(vec![record(&other, 7)])).await.problem(409), "customer_changed");
    assert_eq!(admin.command(&at, 7, body(vec![record(&other, 1)])).await.expect(412)["current_version"], 1);
    admin.post(&at, body(vec![record(&other, 1)])).await.expect(428);
    let nobody = json!({ "id": AnyId::new() });
    assert_eq!(admin.command(&at, 1, body(vec![record(&nobody, 1)])).await.pointers(422), ["/absorbed/0/customer_id"]);
    let erased = id(&other);
    let now = app.store.now();
    write(&app, move |tx| {
        diesel::update(kehu_kernel::schema::customers::table.find(erased))
            .set(kehu_kernel::schema::customers::erased_at.eq(Some(now)))
            .execute(&mut tx.db)
    });
    assert_eq!(admin.command(&at, 1, body(vec![record(&other, 1)])).await.problem(409), "customer_erased");
    write(&app, move |tx| {
        let none = None::<kehu_kernel::Instant>;
        diesel::update(kehu_kernel::schema::customers::table.find(erased))
            .set(kehu_kernel::schema::customers::erased_at.eq(none))
            .execute(&mut tx.db)
    });
    let made = merge(&admin, &one, &[&other]).await;
    let third = person(&admin, "Li Na", None).await;
    let again = body(vec![record(&other, 2)]);
    assert_eq!(admin.command(&path(&third, "/merge"), 1, again.clone()).await.problem(409), "customer_merged");
    assert_eq!(admin.command(&path(&other, "/merge"), 2, body(vec![record(&third, 1)])).await.problem(409), "customer_merged");
    // The latest merge is taken back first.
    merge(&admin, &third, &[&one]).await;
    let revert = format!("/v1/merges/{}/revert", made["id"].as_str().unwrap());
    assert_eq!(admin.command(&revert, 1, json!({ "reason": "no" })).await.problem(409), "merge_not_last");
    assert_eq!(admin.command(&revert, 9, json!({ "reason": "no" })).await.expect(412)["current_version"], 1);
    admin.get(&format!("/v1/merges/{}", AnyId::new())).await.expect(404);
}

async fn who_may_merge(app: App) {
    let admin = app.role("administrator");
    let ids = customers::branches(&admin).await;
    let here = person(&admin, "Li Na", Some(&ids["SH-1"])).await;
    let there = person(&admin, "Li Na", Some(&ids["BJ"])).await;
    let same = person(&admin, "Li Na", Some(&ids["SH-1"])).await;
    let body = request(&admin, &[&same]).await;
    app.role("teller").command(&path(&here, "/merge"), 1, body.clone()).await.expect(403);
    let own = sign(json!({ "sub": here["id"], "roles": ["customer_self"], "customer_id": here["id"] }));
    app.token(own).command(&path(&here, "/merge"), 1, body.clone()).await.expect(403);
    app.stranger().command(&path(&here, "/merge"), 1, body.clone()).await.expect(401);
    // A role that reaches one branch.
    let local = json!({ "code": "local_steward", "name": "Local steward", "field_classes": ["public"],
        "grants": [{ "action": "customer.merge", "depth": "unit_and_below" }, { "action": "customer.read", "depth": "unit_and_below" }] });
    admin.post("/v1/roles", local).await.expect(201);
    let local = app.role_at("local_steward", "SH");
    let far = request(&admin, &[&there]).await;
    assert_eq!(local.command(&path(&here, "/merge"), 1, far.clone()).await.pointers(422), ["/absorbed/0/customer_id"]);
    let made = local.command(&path(&here, "/merge"), 1, body).await.expect(200);
    let at = format!("/v1/merges/{}", made["id"].as_str().unwrap());
    local.get(&at).await.expect(200);
    app.role_at("local_steward", "BJ").get(&at).await.expect(404);
    app.role_at("local_steward", "BJ").command(&format!("{at}/revert"), 1, json!({ "reason": "x" })).await.expect(404);
    app.role("teller").get(&at).await.expect(403);
    // A merge one of whose records is elsewhere is out of sight.
    let far = request(&admin, &[&there]).await;
    let made = admin.command(&path(&here, "/merge"), version(&admin, &here).await, far).await.expect(200);
    local.get(&format!("/v1/merges/{}", made["id"].as_str().unwrap())).await.expect(404);
}

async fn merges_of_overlapping_sets_have_one_winner(app: App) {
    let admin = app.role("administrator");
    let options = StoreOptions { writers: 8, ..StoreOptions::new(&app.url) };
    let store = if app.store.backend() == Backend::Sqlite {
        app.store.clone()
    } else {
        Store::open(&options, kehu_kernel::crypto::Keyring::development().unwrap(), Clock::system()).unwrap()
    };
    for round in 0..20 {
        let mut ids = Vec::new();
        for name in ["A", "B", "C"] {
            let made = person(&admin, name, None).await;
            let phone = json!({ "kind": "phone", "value": format!("+86 138 0013 8{round:03}") });
            admin.post(&path(&made, "/contact-points"), phone).await.expect(201);
            ids.push((id(&made), version(&admin, &made).await));
        }
        let sets = [(0, vec![1, 2]), (1, vec![0]), (2, vec![1, 0]), (1, vec![2, 0])];
        let outcomes: Vec<Result<(), Error>> = std::thread::scope(|threads| {
            let running: Vec<_> = sets
                .iter()
                .map(|(survivor, absorbed)| {
                    let (store, survivor) = (store.clone(), ids[*survivor]);
                    let absorbed = absorbed.iter().map(|n| AbsorbedRecord { customer_id: ids[*n].0, version: ids[*n].1 });
                    let request = MergeRequest {
                        absorbed: absorbed.collect(),
                        choices: BTreeMap::new(),
                        reason: "race".into(),
                        dry_run: false,
                    };
                    threads.spawn(move || {
                        let merged = store.write_blocking(move |tx| {
                            merge::merge(tx, &Actor::system(), REGISTRY, survivor.0, survivor.1, &request, 90)
                        });
                        merged.map(|_| ())
                    })
                })
                .collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1, "round {round}: {outcomes:?}");
        for outcome in &outcomes {
            let clean =
                matches!(outcome, Ok(()) | Err(Error::NotFound | Error::PreconditionFailed { .. } | Error::Conflict { .. }));
            assert!(clean, "round {round}: {outcome:?}");
        }
    }
}

async fn random_merges_come_apart_again(app: App) {
    let admin = app.role("administrator");
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    let mut people = Vec::new();
    for n in 0..6 {
        people.push(person(&admin, ["Li Na", "Na Li", "李娜"][n % 3], None).await);
    }
    for _ in 0..30 {
        let customer = people[next(6)].clone();
        match next(5) {
            0 => drop(
                admin
                    .post(
                        &path(&customer, "/identities"),
                        json!({ "type": "passport", "number": format!("E1234567{}", next(3)) }),
                    )
                    .await,
            ),
            1 => {
                let phone =
                    json!({ "kind": "phone", "value": format!("+86 138 0013 800{}", next(3)), "preferred": next(2) == 0 });
                drop(admin.post(&path(&customer, "/contact-points"), phone).await);
            }
            2 => {
                let kind = ["spouse", "guarantor", "other"][next(3)];
                let body = json!({ "related_customer_id": people[next(6)]["id"], "type": kind, "valid_from": format!("2020-01-0{}", 1 + next(3)) });
                drop(admin.post(&path(&customer, "/relations"), body).await);
            }
            3 => {
                let (tier, employer) = (["gold", "iron"][next(2)], ["X", "Y", "Z"][next(3)]);
                let body = json!({ "tier": tier, "personal": { "employer": employer } });
                admin.patch(&path(&customer, ""), version(&admin, &customer).await, body).await.expect(200);
            }
            _ => drop(pair(&app, id(&customer), id(&person(&admin, "Third", None).await), "open")),
        }
    }
    let before = dump(&app.store);
    let mut standing: Vec<Value> = Vec::new();
    let mut alive: Vec<usize> = (0..6).collect();
    let mut absorbed_by: Vec<Vec<usize>> = Vec::new();
    let mut merges = 0;
    for step in 0..24 {
        let merging = alive.len() > 1 && (standing.is_empty() || (next(3) > 0 && step < 18));
        if merging {
            let survivor = alive[next(alive.len())];
            let mut gone: Vec<usize> = alive.iter().copied().filter(|n| *n != survivor && next(3) == 0).collect();
            if gone.is_empty() {
                gone = alive.iter().copied().filter(|n| *n != survivor).take(1).collect();
            }
            let records: Vec<&Value> = gone.iter().map(|n| &people[*n]).collect();
            standing.push(merge(&admin, &people[survivor], &records).await);
            alive.retain(|n| !gone.contains(n));
            absorbed_by.push(gone);
            merges += 1;
        } else if let Some(last) = standing.pop() {
            let reverted = revert(&admin, &last).await;
            assert_eq!(reverted["kept_changes"], json!([]));
            alive.extend(absorbed_by.pop().unwrap());
        }
    }
    while let Some(last) = standing.pop() {
        revert(&admin, &last).await;
    }
    assert!(merges > 4);
    assert_same(&before, &dump(&app.store));
}

async fn the_window_closes(app: App) {
    let admin = app.role("administrator");
    let survivor = person(&admin, "Li Na", None).await;
    let absorbed = person(&admin, "Li Na", None).await;
    let made = merge(&admin, &survivor, &[&absorbed]).await;
    let (at, until) = (made["executed_at"].as_str().unwrap(), made["reversible_until"].as_str().unwrap());
    let days = |text: &str| text[..10].parse::<Date>().unwrap();
    assert_eq!(days(at).plus_days(90), days(until));
    let now = app.store.now();
    write(&app, move |tx| diesel::update(merges::table).set(merges::reversible_until.eq(now)).execute(&mut tx.db));
    let path = format!("/v1/merges/{}/revert", made["id"].as_str().unwrap());
    assert_eq!(admin.command(&path, 1, json!({ "reason": "late" })).await.problem(409), "revert_window_over");
}

async fn feeds_and_reverts_of_imports_after_a_merge(app: App) {
    let admin = app.role("administrator");
    let body = json!({ "code": "core", "name": "Core", "precedence": { "profile": 50 } });
    admin.post("/v1/source-systems", body).await.expect(201);
    let feed = |id: &'static str, tier: &'static str| {
        let record = json!([{ "source_id": id, "full_name": "Li Na", "tier": tier }]);
        let records: Vec<CustomerRecord> = serde_json::from_value(record).unwrap();
        let source = Source { precedence: BTreeMap::from([("profile".into(), 50)]), ..Source::new("core") };
        let applied = app.store.write_blocking(move |tx| feed::customers::apply(tx, &Actor::system(), &source, &records));
        applied.unwrap()
    };
    assert!(matches!(feed("1", "gold")[..], [Outcome::Created(_)]));
    assert!(matches!(feed("2", "iron")[..], [Outcome::Created(_)]));
    let page = admin.get("/v1/customers").await.expect(200);
    let both = page["items"].as_array().unwrap();
    let (survivor, absorbed) = (&both[1], &both[0]);
    let made = merge(&admin, survivor, &[absorbed]).await;
    // What the source says of the absorbed record's id goes to the survivor.
    let fed = feed("2", "platinum");
    assert!(matches!(fed[..], [Outcome::Updated(_)]), "{fed:?}");
    assert_eq!(admin.get(&path(survivor, "")).await.expect(200)["tier"], "platinum");
    assert_eq!(admin.get("/v1/customers?include_total=true").await.expect(200)["total"], 1);
    let reverted = revert(&admin, &made).await;
    assert!(reverted["kept_changes"].as_array().unwrap().len() < 3, "{reverted}");
    let records = admin.get(&path(absorbed, "/source-records")).await.expect(200);
    assert_eq!(records["items"][0]["source_id"], "2");
}

async fn pairs_of_the_queue_go_along(app: App) {
    let admin = app.role("administrator");
    let mut ids = Vec::new();
    for name in ["S", "A", "X", "Y"] {
        ids.push(person(&admin, name, None).await);
    }
    let [survivor, absorbed, third, fourth] = [0, 1, 2, 3].map(|n| id(&ids[n]));
    let one = pair(&app, survivor, absorbed, "open");
    let both_know = (pair(&app, survivor, third, "open"), pair(&app, absorbed, third, "open"));
    let goes_along = pair(&app, absorbed, fourth, "rejected");
    let before = dump(&app.store);
    let made = merge(&admin, &ids[0], &[&ids[1]]).await;
    let look = |which: AnyId| -> (CustomerId, CustomerId, String) {
        let of = match_candidates::table.find(which);
        let columns = (match_candidates::left_id, match_candidates::right_id, match_candidates::state);
        app.store.read_blocking(|conn| Ok(of.select(columns).first(&mut conn.db)?)).unwrap()
    };
    assert_eq!((look(one).2, look(both_know.0).2, look(both_know.1).2), ("merged".into(), "open".into(), "closed".into()));
    assert_eq!(look(goes_along), (survivor.min(fourth), survivor.max(fourth), "rejected".into()));
    revert(&admin, &made).await;
    assert_same(&before, &dump(&app.store));
}
