//! The program on the schema of a distributed database.

use std::sync::{Arc, Barrier};

use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query, sql_types::BigInt};
use kehu_account_link::feed::{self as account_feed, AccountLinkRecord, AccountRecord, StandingOrderRecord};
use kehu_customer::feed::{self, CustomerRecord};
use kehu_kernel::{
    Actor, Tx,
    feed::{Outcome, Source},
};
use serde_json::{from_value, json};

use crate::support::{
    App,
    ledger::{account, bank, customer, owner, text},
};

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn count(app: &App, from: &str) -> i64 {
    let mut conn = PgConnection::establish(&app.url).unwrap();
    sql_query(format!("SELECT COUNT(*) AS count FROM {from}")).get_result::<Count>(&mut conn).unwrap().count
}

#[actix_web::test]
async fn a_day_at_the_bank() {
    let app = App::distributed().await;
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let anna = customer(&admin, "安娜", &ids["A"]).await;
    let path = |rest: &str| format!("/v1/customers/{anna}{rest}");
    let phone = json!({ "kind": "phone", "value": "13800138000" });
    let point = admin.post(&path("/contact-points"), phone).await.expect(201);
    let point = path(&format!("/contact-points/{}", text(&point["id"])));
    let point = admin.patch(&point, 1, json!({ "label": "at work" })).await.expect(200);
    assert_eq!(point["version"], 2);
    let identity = json!({ "type": "passport", "number": "E12345678" });
    admin.post(&path("/identities"), identity).await.expect(201);
    let consent = json!({ "purpose": "marketing", "state": "granted" });
    admin.post(&path("/consents"), consent).await.expect(201);
    let changed = admin.get(&path("")).await.expect(200);
    let version = changed["version"].as_i64().unwrap();
    admin.patch(&path(""), version, json!({ "preferred_channel": "phone" })).await.expect(200);

    // An account, the same again, its owner, and its transactions, twice.
    let first = account(&admin, "100", "A", "1.00").await;
    assert_eq!(account(&admin, "1 0-0", "A", "2.00").await, first);
    admin.post("/v1/account-links", owner(&first, &anna, true, None)).await.expect(201);
    let item = |id: &str, day: &str| json!({ "source_id": id, "account_number": "100", "booked_on": day, "direction": "credit", "amount": "5.00", "transaction_type": "transfer" });
    let batch = json!({ "source_system": "core", "items": [item("1", "2024-02-01"), item("2", "2024-02-02")] });
    assert_eq!(admin.post("/v1/transactions", batch.clone()).await.expect(200)["created"], 2);
    assert_eq!(admin.post("/v1/transactions", batch).await.expect(200)["unchanged"], 2);
    let more = json!({ "source_system": "core", "items": [item("3", "2024-02-02")] });
    assert_eq!(admin.post("/v1/transactions", more).await.expect(200)["created"], 1);
    assert_eq!(count(&app, "account_daily_totals"), 2);
    assert_eq!(count(&app, "account_monthly_totals"), 1);

    // Found by phone, by number of the account, by name; shown at a glance.
    for what in [json!({ "phone": "138 0013 8000" }), json!({ "account_number": "100" })] {
        let found = admin.post("/v1/customers/lookup", what).await.expect(200);
        assert_eq!(found["items"][0]["customer"]["id"], json!(anna));
    }
    assert_eq!(admin.get("/v1/customers?q=anna").await.expect(200)["items"][0]["id"], json!(anna));
    let view = admin.get(&path("/view?perspective=teller")).await.expect(200);
    assert!(view.to_string().contains("安娜"), "{view}");

    // At the branch, where accounts are seen by links of customers, too.
    let teller = app.role_at("teller", "A");
    let elsewhere = account(&admin, "200", "B", "1.00").await;
    for (id, status) in [(&first, 200), (&elsewhere, 404)] {
        assert_eq!(teller.get(&format!("/v1/accounts/{id}")).await.status, status);
    }
    let attorney = json!({ "account_id": elsewhere, "customer_id": anna, "role": "attorney" });
    admin.post("/v1/account-links", attorney).await.expect(201);
    teller.get(&format!("/v1/accounts/{elsewhere}")).await.expect(200);
    for list in
        ["accounts".to_owned(), format!("account-links?customer_id={anna}"), format!("account-links?account_id={elsewhere}")]
    {
        let seen = teller.get(&format!("/v1/{list}")).await.expect(200);
        let wanted = if list.contains("account_id") { 1 } else { 2 };
        assert_eq!(seen["items"].as_array().unwrap().len(), wanted, "{list}");
    }

    // A second customer, a relation, a change of everything that a write touches again.
    let ben = customer(&admin, "Ben", &ids["A"]).await;
    let relation = json!({ "related_customer_id": ben, "type": "other" });
    admin.post(&path("/relations"), relation).await.expect(201);
    let both = json!({ "absorbed": [{ "customer_id": ben, "version": 1 }], "reason": "the same" });
    assert_eq!(admin.command(&path("/merge"), 1, both).await.problem(409), "database_distributed");
    app.run_jobs();
    app.deliver();
    let events = admin.get("/v1/events?after=0").await.expect(200);
    assert!(events["items"].as_array().unwrap().len() > 8, "{events}");
    let timeline = admin.get(&path("/timeline")).await.expect(200);
    assert!(!timeline["items"].as_array().unwrap().is_empty());
}

type Apply<T> = fn(&mut Tx<'_>, &Actor, &Source, &[T]) -> kehu_kernel::Result<Vec<Outcome>>;

fn apply<T: Clone + Send + 'static>(app: &App, records: &[T], feed: Apply<T>) -> Vec<Outcome> {
    let records = records.to_vec();
    app.store.write_blocking(move |tx| feed(tx, &Actor::system(), &Source::new("core"), &records)).unwrap()
}

#[actix_web::test]
async fn keys_that_no_shard_holds_are_held_by_the_directory() {
    const WRITERS: usize = 6;
    let app = App::distributed().await;
    bank(&app.role("administrator")).await;
    let people: Vec<CustomerRecord> =
        from_value(json!([{ "source_id": "1", "full_name": "王伟" }, { "source_id": "2" }])).unwrap();
    let accounts: Vec<AccountRecord> = from_value(json!([{ "number": "100", "product_code": "SAV" }])).unwrap();
    let start = Arc::new(Barrier::new(WRITERS));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (app, start, mut people, accounts) = (&app.store, Arc::clone(&start), people.clone(), accounts.clone());
            // Whatever order they come in, nobody waits in a circle.
            if writer % 2 == 1 {
                people.reverse();
            }
            scope.spawn(move || {
                start.wait();
                app.write_blocking(move |tx| {
                    let source = Source::new("core");
                    feed::customers::apply(tx, &Actor::system(), &source, &people)?;
                    account_feed::apply_accounts(tx, &Actor::system(), &source, &accounts)
                })
                .unwrap();
            });
        }
    });
    assert_eq!((count(&app, "customers"), count(&app, "source_records"), count(&app, "accounts")), (2, 2, 1));
    // The same keys of another source are others.
    assert_eq!(count(&app, "held_keys"), 3);
}

#[actix_web::test]
async fn what_belongs_to_somebody_else_now_goes_there() {
    let app = App::distributed().await;
    bank(&app.role("administrator")).await;
    apply(
        &app,
        &from_value::<Vec<CustomerRecord>>(json!([{ "source_id": "1" }, { "source_id": "2" }])).unwrap(),
        feed::customers::apply,
    );
    let two = json!([{ "number": "100", "product_code": "SAV" }, { "number": "200", "product_code": "SAV" }]);
    apply(&app, &from_value::<Vec<AccountRecord>>(two).unwrap(), account_feed::apply_accounts);
    let link = |who: &str| {
        from_value::<Vec<AccountLinkRecord>>(
            json!([{ "source_id": "L", "account_number": "100", "role": "attorney", "customer_source_id": who, "valid_from": "2024-01-01" }]),
        )
        .unwrap()
    };
    let order = |number: &str| {
        from_value::<Vec<StandingOrderRecord>>(json!([{ "source_id": "S", "account_number": number, "amount": "1.00" }])).unwrap()
    };
    let links = |who: &str| apply(&app, &link(who), account_feed::apply_account_links);
    let orders = |number: &str| apply(&app, &order(number), account_feed::apply_standing_orders);
    let (made, moved) = (links("1"), links("2"));
    assert!(
        matches!((&made[0], &moved[0]), (Outcome::Created(one), Outcome::Updated(other)) if one == other),
        "{made:?} {moved:?}"
    );
    let (made, moved) = (orders("100"), orders("200"));
    assert!(
        matches!((&made[0], &moved[0]), (Outcome::Created(one), Outcome::Updated(other)) if one == other),
        "{made:?} {moved:?}"
    );
    let at = |table: &str, condition: &str| count(&app, &format!("{table} WHERE {condition}"));
    assert_eq!(at("account_links", "version = 2"), 1);
    assert_eq!(at("account_links", "customer_id = (SELECT customer_id FROM source_records WHERE source_id = '2')"), 1);
    assert_eq!((at("standing_orders", "version = 2"), count(&app, "standing_orders")), (1, 1));
}
