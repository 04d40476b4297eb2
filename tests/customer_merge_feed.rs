//! Accounts after a merge: they stay in sight, are counted once, and feeds find the customer who goes on.

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_account_link::{
    feed::{AccountLinkRecord, apply_account_links},
    lookup,
};
use kehu_api::belonging::REGISTRY;
use kehu_customer::{
    CustomerId,
    feed::{self, ContactPointRecord, CustomerRecord},
    merge::{self as merging, AbsorbedRecord, MergeRequest},
};
use kehu_kernel::{
    Actor, Store,
    feed::{Outcome, Source},
    schema::*,
    store::{Backend, StoreOptions},
    time::Clock,
};
use serde_json::{Value, json};

use crate::{
    both_databases,
    customer_merge::{assert_same, count, dump, id, merge, revert, version},
    support::{
        App, Client,
        customers::{path, person},
        ledger,
    },
};

both_databases!(
    an_open_link_is_not_hidden_by_an_ended_one,
    what_both_own_is_counted_once,
    links_of_feeds_go_to_who_goes_on,
    a_feed_that_races_a_merge_finds_the_survivor,
    relations_that_run_are_not_hidden_by_ended_ones,
);

async fn three(admin: &Client<'_>, ids: &Value) -> [Value; 3] {
    let mut made = Vec::new();
    for name in ["Survivor", "Absorbed", "Somebody Else"] {
        made.push(person(admin, name, Some(&ids["A"])).await);
    }
    made.try_into().unwrap()
}

async fn link(admin: &Client<'_>, account: &str, customer: &Value, primary: bool, valid_to: Option<&str>) -> Value {
    let mut body = ledger::owner(account, customer["id"].as_str().unwrap(), primary, None);
    body["valid_to"] = json!(valid_to);
    admin.post("/v1/account-links", body).await.expect(201)
}

async fn portfolio(admin: &Client<'_>, customer: &Value) -> Value {
    admin.get(&path(customer, "/accounts")).await.expect(200)
}

fn holders(app: &App, number: &'static str) -> Vec<CustomerId> {
    app.store.read_blocking(|conn| lookup::by_number(conn, &Actor::system(), number)).unwrap()
}

async fn an_open_link_is_not_hidden_by_an_ended_one(app: App) {
    let admin = app.role("administrator");
    let ids = ledger::bank(&admin).await;
    let [survivor, absorbed, _] = three(&admin, &ids).await;
    let account = ledger::account(&admin, "6222021234563400", "A", "100.00").await;
    link(&admin, &account, &survivor, false, Some("2021-01-01")).await;
    link(&admin, &account, &absorbed, true, None).await;
    let before = dump(&app.store);
    let made = merge(&admin, &survivor, &[&absorbed]).await;
    let held = portfolio(&admin, &survivor).await;
    assert_eq!((&held["account_count"], &held["totals"][0]["own"]["amount"]), (&json!(1), &json!("100.00")), "{held}");
    assert_eq!(holders(&app, "6222021234563400"), [id(&survivor)]);
    assert_eq!(count(&app.store, "account_links", "customer_id", id(&survivor)), 2);
    revert(&admin, &made).await;
    assert_same(&before, &dump(&app.store));
    assert_eq!(portfolio(&admin, &survivor).await["account_count"], 0);
    assert_eq!(holders(&app, "6222021234563400"), [id(&absorbed)]);
}

async fn what_both_own_is_counted_once(app: App) {
    let admin = app.role("administrator");
    let ids = ledger::bank(&admin).await;
    let [survivor, absorbed, other] = three(&admin, &ids).await;
    let alone = ledger::account(&admin, "6222021234563400", "A", "100.00").await;
    let shared = ledger::account(&admin, "6222021234563418", "A", "50.00").await;
    for account in [&alone, &shared] {
        link(&admin, account, &survivor, true, None).await;
        link(&admin, account, &absorbed, false, None).await;
    }
    link(&admin, &shared, &other, false, None).await;
    let made = merge(&admin, &survivor, &[&absorbed]).await;
    let total = |held: Value| {
        let total = held["totals"][0].clone();
        [&total["own"]["amount"], &total["joint"]["amount"], &total["others"]["amount"]]
            .map(|amount| amount.as_str().unwrap().to_owned())
    };
    assert_eq!(total(portfolio(&admin, &survivor).await), ["100.00", "25.00", "25.00"]);
    assert_eq!(total(portfolio(&admin, &other).await), ["0.00", "25.00", "25.00"]);
    let page = admin.get(&format!("/v1/accounts/{shared}/customers?include_total=true")).await.expect(200);
    let goes_on = admin.get(&path(&survivor, "")).await.expect(200)["display_name"].clone();
    let mut names: Vec<&Value> = page["items"].as_array().unwrap().iter().map(|item| &item["customer"]["label"]).collect();
    names.sort_by_key(|name| *name == &goes_on);
    assert_eq!((&page["total"], names), (&json!(2), vec![&json!("Somebody Else"), &goes_on]), "{page}");
    let page = admin.get(&format!("/v1/account-links?customer_id={}", survivor["id"].as_str().unwrap())).await.expect(200);
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 4);
    assert!(items.iter().all(|item| item["customer"]["id"] == survivor["id"]), "{page}");
    revert(&admin, &made).await;
    assert_eq!(total(portfolio(&admin, &absorbed).await)[1], "66.67");
}

fn deliver(store: &Store, link: Value) -> Outcome {
    let records: Vec<AccountLinkRecord> = serde_json::from_value(json!([link])).unwrap();
    let applied = store.write_blocking(move |tx| apply_account_links(tx, &Actor::system(), &Source::new("core"), &records));
    applied.unwrap().remove(0)
}

fn customer_of(store: &Store, source_id: &'static str) -> CustomerId {
    let of = || account_links::table.filter(account_links::source_id.eq(source_id)).select(account_links::customer_id);
    store.read_blocking(|conn| Ok(of().first(&mut conn.db)?)).unwrap()
}

/// Customers of the source `core`, by their ids there.
async fn known(app: &App, admin: &Client<'_>, names: &[(&'static str, &'static str)]) -> Vec<Value> {
    let mut found = Vec::new();
    for (source_id, name) in names {
        let record = json!([{ "source_id": source_id, "full_name": name }]);
        let records: Vec<CustomerRecord> = serde_json::from_value(record).unwrap();
        let fed =
            app.store.write_blocking(move |tx| feed::customers::apply(tx, &Actor::system(), &Source::new("core"), &records));
        let Outcome::Created(made) = fed.unwrap().remove(0) else { panic!("{source_id}") };
        found.push(admin.get(&format!("/v1/customers/{made}")).await.expect(200));
    }
    found
}

async fn links_of_feeds_go_to_who_goes_on(app: App) {
    let admin = app.role("administrator");
    ledger::bank(&admin).await;
    let people = known(&app, &admin, &[("1", "Zhao Survivor"), ("2", "Qian Absorbed")]).await;
    let (survivor, absorbed) = (&people[0], &people[1]);
    ledger::account(&admin, "6222021234563400", "A", "1.00").await;
    ledger::account(&admin, "6222021234563418", "A", "1.00").await;
    let own = |source_id: &str, customer: &str| {
        json!({ "source_id": source_id, "account_number": "6222021234563400", "customer_source_id": customer,
            "role": "owner", "valid_from": "2020-01-01" })
    };
    assert!(matches!(deliver(&app.store, own("LS", "1")), Outcome::Created(_)));
    assert!(matches!(deliver(&app.store, own("LA", "2")), Outcome::Created(_)));
    let made = merge(&admin, survivor, &[absorbed]).await;
    assert_eq!(customer_of(&app.store, "LA"), id(absorbed));
    // What the source says again is known.
    for (link, customer) in [("LS", "1"), ("LA", "2")] {
        let again = deliver(&app.store, own(link, customer));
        assert!(matches!(again, Outcome::Unchanged(_)), "{link}: {again:?}");
    }
    let mut changed = own("LA", "2");
    changed["evidence"] = json!("a new sheet");
    let told = deliver(&app.store, changed.clone());
    assert!(matches!(told, Outcome::Updated(_)), "{told:?}");
    assert_eq!(customer_of(&app.store, "LA"), id(absorbed));
    assert!(matches!(deliver(&app.store, changed), Outcome::Unchanged(_)));
    // A card of whoever owns the other link.
    let card = json!({ "source_id": "LC", "account_number": "6222021234563418", "customer_of_link": "LA",
        "role": "supplementary_card_holder", "valid_from": "2021-01-01" });
    assert!(matches!(deliver(&app.store, card), Outcome::Created(_)));
    assert_eq!(customer_of(&app.store, "LC"), id(survivor));
    assert_eq!(portfolio(&admin, survivor).await["account_count"], 2);
    let reverted = revert(&admin, &made).await;
    assert_eq!(customer_of(&app.store, "LA"), id(absorbed));
    assert!(reverted["kept_changes"].as_array().unwrap().iter().any(|kept| kept["kind"] == "row_added"), "{reverted}");
}

async fn a_feed_that_races_a_merge_finds_the_survivor(app: App) {
    let admin = app.role("administrator");
    ledger::bank(&admin).await;
    ledger::account(&admin, "6222021234563400", "A", "1.00").await;
    let options = StoreOptions { writers: 8, ..StoreOptions::new(&app.url) };
    let store = if app.store.backend() == Backend::Sqlite {
        app.store.clone()
    } else {
        Store::open(&options, kehu_kernel::crypto::Keyring::development().unwrap(), Clock::system()).unwrap()
    };
    for round in 0..12 {
        let names = [
            (leak(format!("s{round}")), leak(format!("Zhao {round}"))),
            (leak(format!("a{round}")), leak(format!("Qian {round}"))),
        ];
        let people = known(&app, &admin, &names).await;
        let (survivor, absorbed) =
            ((id(&people[0]), version(&admin, &people[0]).await), (id(&people[1]), version(&admin, &people[1]).await));
        let source_id = names[1].0;
        std::thread::scope(|threads| {
            let request = MergeRequest {
                absorbed: vec![AbsorbedRecord { customer_id: absorbed.0, version: absorbed.1 }],
                choices: BTreeMap::new(),
                reason: "race".into(),
                dry_run: false,
            };
            let merges = store.clone();
            let merged = threads.spawn(move || {
                merges.write_blocking(move |tx| {
                    merging::merge(tx, &Actor::system(), REGISTRY, survivor.0, survivor.1, &request, 90)
                })
            });
            let points = store.clone();
            let pointed = threads.spawn(move || {
                let record =
                    json!([{ "customer_source_id": source_id, "kind": "email", "value": format!("{source_id}@example.com") }]);
                let records: Vec<ContactPointRecord> = serde_json::from_value(record).unwrap();
                points.write_blocking(move |tx| feed::contact_points::apply(tx, &Actor::system(), &Source::new("core"), &records))
            });
            let linked = deliver(
                &store,
                json!({ "source_id": format!("link {source_id}"), "account_number": "6222021234563400",
                    "customer_source_id": source_id, "role": "other", "valid_from": "2020-01-01" }),
            );
            assert!(matches!(linked, Outcome::Created(_)), "{linked:?}");
            assert!(matches!(pointed.join().unwrap().unwrap()[..], [Outcome::Created(_)]));
            // The feed may have come first and changed the version; the merge is asked for again then.
            drop(merged.join().unwrap());
        });
        let merged = admin.get(&format!("/v1/customers/{}", absorbed.0)).await.status == 308;
        let owner = if merged { survivor.0 } else { absorbed.0 };
        for table in ["contact_points", "account_links"] {
            assert_eq!(count(&app.store, table, "customer_id", owner), 1, "round {round}, {table}, merged {merged}");
        }
    }
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

async fn relations_that_run_are_not_hidden_by_ended_ones(app: App) {
    let admin = app.role("administrator");
    let ids = ledger::bank(&admin).await;
    let [survivor, absorbed, other] = three(&admin, &ids).await;
    for (customer, valid_to) in [(&survivor, Some("2021-01-01")), (&absorbed, None)] {
        let body =
            json!({ "related_customer_id": other["id"], "type": "guarantor", "valid_from": "2020-01-01", "valid_to": valid_to });
        admin.post(&path(customer, "/relations"), body).await.expect(201);
    }
    let before = dump(&app.store);
    let made = merge(&admin, &survivor, &[&absorbed]).await;
    let page = admin.get(&path(&survivor, "/relations")).await.expect(200);
    let open = page["items"].as_array().unwrap().iter().filter(|relation| relation["valid_to"].is_null()).count();
    assert_eq!(open, 1, "{page}");
    revert(&admin, &made).await;
    assert_same(&before, &dump(&app.store));
    // Owners one after the other are never more than the whole together.
    let firm = crate::support::customers::company(&admin, "Survivor Ltd").await;
    let twin = crate::support::customers::company(&admin, "Absorbed Ltd").await;
    for (owner, of, share, from, to) in [
        (&survivor, &firm, 6_000, "2020-01-01", Some("2022-01-01")),
        (&other, &firm, 6_000, "2022-01-01", None),
        (&absorbed, &twin, 4_000, "2020-01-01", None),
    ] {
        let body = json!({ "related_customer_id": of["id"], "type": "shareholder", "share_bp": share, "valid_from": from, "valid_to": to });
        admin.post(&path(owner, "/relations"), body).await.expect(201);
    }
    merge(&admin, &firm, &[&twin]).await;
    assert_eq!(count(&app.store, "relations", "related_customer_id", id(&firm)), 3);
}
