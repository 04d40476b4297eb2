//! `/v1/customers/{id}/view`

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use diesel::{Connection, connection::InstrumentationEvent};
use kehu_api::routes::customer::view::compose;
use kehu_customer::{
    CustomerId,
    view::{
        Perspective,
        section::{SECTIONS, Section, table},
    },
};
use kehu_kernel::{Actor, Conn, each};
use kehu_organization::role::{BUILT_IN, CUSTOMER_SELF};
use serde_json::{Value, json};

use crate::{
    both_databases,
    rules::operations,
    support::{
        App,
        ledger::{account, bank, customer, owner, text},
        sign,
    },
};

both_databases!(
    one_call_shows_the_customer,
    perspective_and_rights_decide,
    every_cell_of_the_table_is_as_declared,
    alerts_tell_what_needs_attention,
    what_does_not_hold_today_does_not_count,
    lists_are_cut_and_counted,
    sensitive_fields_are_recorded_before_they_are_shown,
    staff_see_what_the_customer_sees,
    the_numbers_of_a_view_are_of_one_moment,
    a_view_takes_few_queries,
);

/// A customer with a deposit, a loan, a card and a movement; its id.
async fn person(app: &App) -> String {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    let deposit = account(&admin, "100", "A", "100.00").await;
    admin.post("/v1/account-links", owner(&deposit, &anna, true, None)).await.expect(201);
    for (number, product, role, facts) in [
        ("L-1", "LOAN", "borrower", json!({ "loan": { "principal": { "amount": "5000.00", "currency": "CNY" } } })),
        ("C-1", "CARD", "owner", json!({ "card": { "kind": "gold" } })),
    ] {
        let mut body = json!({ "source_system": "core", "number": number, "product_code": product, "branch_code": "A", "parent_number": "100" });
        body.as_object_mut().unwrap().extend(facts.as_object().unwrap().clone());
        let made = admin.post("/v1/accounts", body).await.expect(200);
        let link = json!({ "account_id": made["id"], "customer_id": anna, "role": role });
        admin.post("/v1/account-links", link).await.expect(201);
    }
    let movement = json!({ "source_system": "core", "items": [{ "source_id": "1", "account_number": "100", "booked_on": "2024-02-01",
        "direction": "debit", "amount": "1.00", "transaction_type": "cash" }] });
    admin.post("/v1/transactions", movement).await.expect(200);
    anna
}

async fn one_call_shows_the_customer(app: App) {
    let anna = person(&app).await;
    let view = app.role_at("teller", "A").get(&format!("/v1/customers/{anna}/view")).await.expect(200);
    assert_eq!(view["perspective"], "teller");
    assert_eq!(view["profile"]["customer"]["display_name"], "Anna");
    let group = &view["accounts"]["groups"][0];
    assert_eq!((&group["label"], &group["totals"][0]["own"]["amount"]), (&json!("Branch A"), &json!("99.00")));
    assert_eq!((&group["account_count"], &group["accounts"][0]["links"][0]["role"]), (&json!(1), &json!("owner")));
    assert_eq!(
        (&view["loan_count"], &view["loans"][0]["account"]["loan"]["principal"]["amount"]),
        (&json!(1), &json!("5000.00"))
    );
    assert_eq!((&view["card_count"], &view["cards"][0]["account"]["card"]["kind"]), (&json!(1), &json!("gold")));
    assert_eq!((&view["transaction_count"], &view["transactions"][0]["amount"]["amount"]), (&json!(1), &json!("1.00")));
    assert_eq!(view["standing_order_count"], 0);
}

async fn perspective_and_rights_decide(app: App) {
    let anna = person(&app).await;
    let teller = app.role_at("teller", "A");
    let view = teller.get(&format!("/v1/customers/{anna}/view?perspective=marketing")).await.expect(200);
    assert_eq!((&view["transactions"], &view["standing_orders"]), (&Value::Null, &Value::Null));
    assert_eq!(view["profile"]["identities"], Value::Null);
    assert_eq!(teller.get(&format!("/v1/customers/{anna}/view?perspective=boss")).await.pointers(400), ["?perspective"]);
    assert_eq!(app.role_at("teller", "B").get(&format!("/v1/customers/{anna}/view")).await.problem(404), "not_found");
}

/// Where a section stands in the view.
fn pointer(section: Section) -> String {
    match section {
        Section::Profile => "/profile/customer".to_owned(),
        Section::Identities
        | Section::ContactPoints
        | Section::Relations
        | Section::Tags
        | Section::Consents
        | Section::ContactPersons => format!("/profile/{section}"),
        other => format!("/{other}"),
    }
}

/// Every built-in role in every perspective: each section is there exactly when the table and the role say so.
async fn every_cell_of_the_table_is_as_declared(app: App) {
    let anna = person(&app).await;
    let admin = app.role("administrator");
    let branches = admin.get("/v1/branches").await.expect(200);
    let at = branches["items"].as_array().unwrap().iter().find(|branch| branch["code"] == "A").unwrap()["id"].clone();
    let staff = json!({ "employee_no": "E1", "name": "Eve", "branch_id": at, "roles": ["relationship_manager"] });
    let eve = admin.post("/v1/staff", staff).await.expect(201)["id"].clone();
    let assignment = json!({ "customer_id": anna, "staff_id": eve, "role": "primary" });
    admin.post("/v1/assignments", assignment).await.expect(201);
    let (mut there, mut absent) = (0, 0);
    for role in BUILT_IN {
        let itself = role.code == CUSTOMER_SELF;
        let claims = match itself {
            true => json!({ "sub": anna, "roles": [role.code], "customer_id": anna }),
            false => json!({ "sub": "E1", "roles": [role.code], "branch": "A" }),
        };
        let caller = app.token(sign(claims));
        let granted: Vec<_> = role.grants.iter().flat_map(|(_, actions)| actions.iter().copied()).collect();
        for perspective in Perspective::ALL.iter().copied() {
            let answer = caller.get(&format!("/v1/customers/{anna}/view?perspective={perspective}")).await;
            if !granted.contains(&kehu_kernel::Action::CustomerRead) || (itself && perspective != Perspective::Itself) {
                assert_eq!(answer.problem(403), "forbidden", "{} {perspective}", role.code);
                continue;
            }
            let view = answer.expect(200);
            for (section, action, shown) in SECTIONS {
                let expected = shown.contains(&perspective) && granted.contains(action);
                let value = view.pointer(&pointer(*section)).unwrap_or_else(|| panic!("{section} is no field"));
                assert_eq!(!value.is_null(), expected, "{} {perspective} {section}", role.code);
                *(if expected { &mut there } else { &mut absent }) += 1;
            }
        }
    }
    assert!(there > 400 && absent > 100, "{there} there, {absent} absent");
}

#[test]
fn the_document_shows_the_table() {
    let view = operations().into_iter().find(|operation| operation.value["operationId"] == "get_customer_view").unwrap();
    let description = text(&view.value["description"]);
    assert!(description.contains(&table()), "write this into the description:\n{}", table());
}

async fn alerts_tell_what_needs_attention(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    let path = format!("/v1/customers/{anna}");
    let kinds =
        |view: &Value| -> Vec<String> { view["alerts"].as_array().unwrap().iter().map(|alert| text(&alert["kind"])).collect() };
    let view = admin.get(&format!("{path}/view")).await.expect(200);
    assert_eq!(kinds(&view), ["no_identity", "low_data_quality"]);
    let soon = app.store.now().date().plus_days(30);
    for (number, expires_on) in [("E11111111", "2020-01-31".to_owned()), ("E22222222", soon.to_string())] {
        let document = json!({ "type": "passport", "number": number, "issuing_country": "CN", "expires_on": expires_on });
        admin.post(&format!("{path}/identities"), document).await.expect(201);
    }
    let change = json!({ "fraud_flag": true, "deceased_on": "2026-02-01", "review_due_on": "2026-01-01" });
    admin.patch(&path, 1, change).await.expect(200);
    let loan = json!({ "source_system": "core", "number": "L-1", "product_code": "LOAN", "branch_code": "A",
        "loan": { "principal": { "amount": "5000.00", "currency": "CNY" }, "repayment_state": "overdue" } });
    let loan = admin.post("/v1/accounts", loan).await.expect(200)["id"].clone();
    admin.post("/v1/account-links", json!({ "account_id": loan, "customer_id": anna, "role": "borrower" })).await.expect(201);
    let view = admin.get(&format!("{path}/view")).await.expect(200);
    let expected = [
        "fraud_suspected",
        "deceased",
        "loan_overdue",
        "identity_expired",
        "review_overdue",
        "identity_expiring",
        "identity_unverified",
        "identity_unverified",
        "low_data_quality",
    ];
    assert_eq!((kinds(&view), &view["alert_count"]), (expected.map(str::to_owned).to_vec(), &json!(9)));
    let alert = |kind: &str| view["alerts"].as_array().unwrap().iter().find(|alert| alert["kind"] == kind).unwrap().clone();
    assert_eq!((&alert("fraud_suspected")["severity"], &alert("deceased")["since"]), (&json!("critical"), &json!("2026-02-01")));
    assert_eq!((&alert("identity_expired")["since"], &alert("loan_overdue")["reference"]["id"]), (&json!("2020-02-01"), &loan));
    let label = text(&alert("identity_expired")["reference"]["label"]);
    assert!(label.contains('*') && !label.contains("E11111111"), "{label}");
    // Marketing is shown no documents, and nothing that follows from them.
    let marketing = admin.get(&format!("{path}/view?perspective=marketing")).await.expect(200);
    assert!(!kinds(&marketing).iter().any(|kind| kind.contains("identity")), "{marketing}");
    let caller = app.token(sign(json!({ "sub": anna, "roles": ["customer_self"], "customer_id": anna })));
    let own = caller.get(&format!("{path}/view")).await.expect(200);
    assert_eq!(kinds(&own), ["loan_overdue", "identity_expired", "identity_expiring"]);
}

async fn what_does_not_hold_today_does_not_count(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let (anna, ben) = (customer(&admin, "Anna", &ids["A"]).await, customer(&admin, "Ben", &ids["A"]).await);
    let today = app.store.now().date();
    for (number, from, to) in [(1, -9, Some(-1)), (2, -9, Some(0)), (3, -9, Some(1)), (4, 0, None), (5, 1, None)] {
        let (from, to) = (today.plus_days(from), to.map(|days| today.plus_days(days)));
        let point = json!({ "kind": "email", "value": format!("a{number}@example.com"), "valid_from": from, "valid_to": to });
        admin.post(&format!("/v1/customers/{anna}/contact-points"), point).await.expect(201);
        let relation = json!({ "type": "supplier", "related_customer_id": ben, "valid_from": from, "valid_to": to });
        let made = admin.post(&format!("/v1/customers/{anna}/relations"), relation).await;
        assert!(matches!(made.status, 201 | 409), "{}", made.status);
    }
    let view = admin.get(&format!("/v1/customers/{anna}/view")).await.expect(200);
    let mut shown: Vec<&str> =
        view["profile"]["contact_points"].as_array().unwrap().iter().map(|point| point["value"].as_str().unwrap()).collect();
    shown.sort_unstable();
    assert_eq!((shown, &view["profile"]["contact_point_count"]), (vec!["a3@example.com", "a4@example.com"], &json!(2)));
    for relation in view["profile"]["relations"].as_array().unwrap() {
        let (from, to) = (text(&relation["valid_from"]), relation["valid_to"].as_str());
        assert!(from <= today.to_string() && to.is_none_or(|to| to > today.to_string().as_str()), "{relation}");
    }
    assert_eq!(view["profile"]["relation_count"], view["profile"]["relations"].as_array().unwrap().len());
}

async fn lists_are_cut_and_counted(app: App) {
    let admin = app.role("administrator");
    let anna = person(&app).await;
    for number in 0..23 {
        let point = json!({ "kind": "email", "value": format!("a{number}@example.com") });
        admin.post(&format!("/v1/customers/{anna}/contact-points"), point).await.expect(201);
    }
    let items: Vec<Value> = (2..=24)
        .map(|number| {
            json!({ "source_id": number.to_string(), "account_number": "100", "booked_on": format!("2024-03-{number:02}"),
            "direction": "credit", "amount": "1.00", "transaction_type": "cash" })
        })
        .collect();
    admin.post("/v1/transactions", json!({ "source_system": "core", "items": items })).await.expect(200);
    let view = admin.get(&format!("/v1/customers/{anna}/view")).await.expect(200);
    let length = |value: &Value| value.as_array().unwrap().len();
    assert_eq!((length(&view["profile"]["contact_points"]), &view["profile"]["contact_point_count"]), (20, &json!(23)));
    assert_eq!((length(&view["transactions"]), &view["transaction_count"]), (20, &json!(24)));
    assert_eq!((&view["transactions"][0]["booked_on"], length(&view["timeline"])), (&json!("2024-03-24"), 10));
}

async fn sensitive_fields_are_recorded_before_they_are_shown(app: App) {
    let anna = person(&app).await;
    app.role("administrator").patch(&format!("/v1/customers/{anna}"), 1, json!({ "credit_rating": "A2" })).await.expect(200);
    let manager = app.role_at("branch_manager", "A");
    let path = format!("/v1/customers/{anna}");
    assert_eq!(manager.get(&format!("{path}/view")).await.expect(200)["profile"]["customer"]["risk"], Value::Null);
    assert_eq!(manager.get(&format!("{path}/access-log")).await.expect(200)["items"], json!([]));
    let purposeful = manager.with("X-Purpose", "yearly review");
    let view = purposeful.get(&format!("{path}/view?perspective=risk")).await.expect(200);
    assert_eq!(view["profile"]["customer"]["risk"]["credit_rating"], "A2");
    let log = manager.get(&format!("{path}/access-log")).await.expect(200);
    assert_eq!((log["items"].as_array().unwrap().len(), &log["items"][0]["purpose"]), (1, &json!("yearly review")));
    // What is out of sight leaves no trace.
    let absent = "/v1/customers/01890a5d-ac96-774b-bcce-b302099a8057/view";
    assert_eq!(purposeful.get(absent).await.problem(404), "not_found");
}

async fn staff_see_what_the_customer_sees(app: App) {
    let anna = person(&app).await;
    let path = format!("/v1/customers/{anna}");
    app.role("administrator").patch(&path, 1, json!({ "fraud_flag": true })).await.expect(200);
    let caller = app.token(sign(json!({ "sub": anna, "roles": ["customer_self"], "customer_id": anna })));
    let (mut own, mut seen) = (
        caller.get(&format!("{path}/view")).await.expect(200),
        app.role_at("teller", "A").get(&format!("{path}/view?perspective=self")).await.expect(200),
    );
    for view in [&mut own, &mut seen] {
        view["as_of"] = Value::Null;
        view["accounts"]["as_of"] = Value::Null;
    }
    assert_eq!(own, seen);
    assert_eq!(own["profile"]["customer"]["fraud_flag"], Value::Null);
}

/// A write between two reads of one snapshot is not seen by the second.
async fn the_numbers_of_a_view_are_of_one_moment(app: App) {
    let anna: CustomerId = person(&app).await.parse().unwrap();
    let (store, actor) = (app.store.clone(), Actor::system());
    let seen = move |conn: &mut Conn| {
        let mut view = compose(conn, &Actor::system(), anna, Perspective::Rm, false)?;
        view.as_of = kehu_kernel::Instant::from_micros(0);
        Ok(serde_json::to_value(&view).unwrap())
    };
    let write = || {
        let actor = actor.clone();
        let point = json!({ "kind": "email", "value": format!("{}@example.com", kehu_kernel::AnyId::new()) });
        let work = move |tx: &mut kehu_kernel::Tx<'_>| {
            let point = serde_json::from_value(point.clone()).unwrap();
            kehu_customer::contact_point::create(tx, &actor, anna, point)
        };
        store.write_blocking(work).unwrap();
    };
    app.store
        .snapshot_blocking(|conn| {
            let before = seen(conn)?;
            write();
            assert_eq!(seen(conn)?, before);
            Ok(())
        })
        .unwrap();
    let after = app.store.snapshot_blocking(seen).unwrap();
    assert_eq!(
        (&after["profile"]["contact_point_count"], &after["timeline"][0]["event"]),
        (&json!(1), &json!("contact_point.created"))
    );
}

/// How many statements some work sends.
fn statements(conn: &mut Conn, work: impl FnOnce(&mut Conn)) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    each!(&mut conn.db, c => c.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            if std::env::var_os("KEHU_SHOW").is_some() {
                println!("{query}");
            }
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }));
    work(conn);
    each!(&mut conn.db, c => c.set_instrumentation(|_: InstrumentationEvent<'_>| ()));
    count.load(Ordering::Relaxed)
}

/// However many accounts a customer has, and for every perspective.
async fn a_view_takes_few_queries(app: App) {
    let anna: CustomerId = person(&app).await.parse().unwrap();
    let count = |perspective| {
        let view = |conn: &mut Conn| drop(compose(conn, &Actor::system(), anna, perspective, false).unwrap());
        app.store.snapshot_blocking(|conn| Ok(statements(conn, view))).unwrap()
    };
    let before = count(Perspective::Rm);
    // One of them asks for the records that merges have made part of the customer.
    assert!(before <= 20, "{before} statements");
    assert!(count(Perspective::Marketing) < before);
    let admin = app.role("administrator");
    for number in 0..5 {
        let id = account(&admin, &format!("20{number}"), "A", "1.00").await;
        admin.post("/v1/account-links", owner(&id, &anna.to_string(), false, None)).await.expect(201);
    }
    assert_eq!(count(Perspective::Rm), before);
}
