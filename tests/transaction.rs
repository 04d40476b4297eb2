//! `/v1/transactions`, statements, and what feeds deliver

use kehu_account_link::feed::{self, AccountLinkRecord, AccountRecord, BalanceRecord, StandingOrderRecord, TransactionRecord};
use kehu_customer::feed::CustomerRecord;
use kehu_kernel::{
    Actor,
    feed::{Outcome, Source},
};
use serde_json::{Value, from_value, json};

use crate::{
    both_databases,
    support::{
        App,
        ledger::{account, bank, text},
    },
};

both_databases!(
    books_once_and_sums_up,
    reports_what_breaks_rules_and_books_the_rest,
    waits_for_the_account,
    two_writers_book_a_transaction_once,
    feeds_settle_whatever_their_order
);

fn movement(id: &str, number: &str, day: &str, direction: &str, amount: &str) -> Value {
    json!({ "source_id": id, "account_number": number, "booked_on": day, "direction": direction, "amount": amount,
        "transaction_type": "transfer" })
}

fn batch(items: &[Value]) -> Value {
    json!({ "source_system": "core", "items": items })
}

async fn books_once_and_sums_up(app: App) {
    let admin = app.role("administrator");
    bank(&admin).await;
    let body = json!({ "source_system": "core", "number": "100", "product_code": "SAV", "branch_code": "A" });
    let id = text(&admin.post("/v1/accounts", body).await.expect(200)["id"]);
    let items = [
        movement("1", "100", "2024-01-05", "credit", "100.00"),
        movement("2", "100", "2024-01-05", "debit", "30.00"),
        movement("3", "100", "2024-02-29", "credit", "0.05"),
        movement("4", "100", "2024-03-01", "debit", "10.00"),
    ];
    let report = admin.post("/v1/transactions", batch(&items)).await.expect(200);
    assert_eq!((&report["created"], &report["rejected"]), (&json!(4), &json!(0)));
    let again = admin.post("/v1/transactions", batch(&items)).await.expect(200);
    assert_eq!((&again["created"], &again["unchanged"]), (&json!(0), &json!(4)));
    let statement = admin.get(&format!("/v1/accounts/{id}/statement?from=2024-02-10&to=2024-03-31")).await.expect(200);
    assert_eq!((&statement["opening"]["amount"], &statement["closing"]["amount"]), (&json!("70.00"), &json!("60.05")));
    let lines: Vec<_> =
        statement["lines"].as_array().unwrap().iter().map(|l| json!([l["from"], l["to"], l["closing"]["amount"]])).collect();
    assert_eq!(lines, [json!(["2024-02-01", "2024-02-29", "70.05"]), json!(["2024-03-01", "2024-03-31", "60.05"])]);
    let days = admin.get(&format!("/v1/accounts/{id}/statement?period=day&from=2024-01-06&to=2024-02-29")).await.expect(200);
    assert_eq!((&days["opening"]["amount"], &days["closing"]["amount"]), (&json!("70.00"), &json!("70.05")));
    assert_eq!(days["lines"][0]["credit_count"], 1);
    let reversed = admin.get(&format!("/v1/accounts/{id}/statement?from=2024-02-10&to=2024-01-31")).await;
    assert_eq!(reversed.pointers(400), ["?to"]);
    for (day, balance) in
        [("2024-01-04", None), ("2024-02-28", Some("70.00")), ("2024-02-29", Some("70.05")), ("2030-01-01", Some("60.05"))]
    {
        let totals = admin.get(&format!("/v1/account-totals?as_of={day}")).await.expect(200);
        assert_eq!(totals["items"][0]["balance"]["amount"].as_str(), balance, "{day}");
    }
    assert_eq!(admin.get(&format!("/v1/accounts/{id}")).await.expect(200)["balance"]["amount"], "60.05");
    let first = admin.get(&format!("/v1/accounts/{id}/transactions?limit=3&include_total=true")).await.expect(200);
    assert_eq!((&first["total"], &first["items"][0]["source_id"]), (&json!(4), &json!("4")));
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = admin.get(&format!("/v1/accounts/{id}/transactions?limit=3&cursor={cursor}")).await.expect(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    let debits = admin.get(&format!("/v1/accounts/{id}/transactions?direction=debit&from=2024-02-01")).await.expect(200);
    assert_eq!(debits["items"].as_array().unwrap().len(), 1);
}

async fn reports_what_breaks_rules_and_books_the_rest(app: App) {
    let admin = app.role("administrator");
    bank(&admin).await;
    let id = account(&admin, "100", "A", "0.00").await;
    let mut dollars = movement("4", "100", "2024-02-02", "credit", "1.00");
    dollars["currency"] = json!("USD");
    let items = [
        movement("1", "100", "2024-02-02", "credit", "1.00"),
        movement("2", "100", "2024-02-02", "credit", "1.005"),
        movement("3", "100", "9999-01-01", "credit", "-1.00"),
        dollars,
        movement("1", "100", "2024-02-02", "credit", "1.00"),
    ];
    let report = admin.post("/v1/transactions", batch(&items)).await.expect(200);
    assert_eq!((&report["created"], &report["unchanged"], &report["rejected"]), (&json!(1), &json!(1), &json!(3)));
    let pointers: Vec<_> =
        report["errors"].as_array().unwrap().iter().map(|error| error["errors"][0]["pointer"].clone()).collect();
    assert_eq!(pointers, ["/items/1/amount", "/items/2/amount", "/items/3/currency"]);
    assert_eq!(admin.get(&format!("/v1/accounts/{id}")).await.expect(200)["balance"]["amount"], "1.00");
    assert_eq!(admin.post("/v1/transactions", batch(&[])).await.pointers(422), ["/items"]);
    let wrong = batch(&[json!({ "source_id": "1" })]);
    assert_eq!(admin.post("/v1/transactions", wrong).await.status, 422);
}

async fn waits_for_the_account(app: App) {
    let admin = app.role("administrator");
    bank(&admin).await;
    let item = movement("1", "10 0", "2024-02-05", "credit", "9.00");
    for _ in 0..2 {
        let report = admin.post("/v1/transactions", batch(std::slice::from_ref(&item))).await.expect(200);
        assert_eq!((&report["parked"], &report["created"]), (&json!(1), &json!(0)));
    }
    let id = account(&admin, "100", "A", "1.00").await;
    let page = admin.get(&format!("/v1/accounts/{id}/transactions?include_total=true")).await.expect(200);
    assert_eq!((&page["total"], &page["items"][0]["amount"]["amount"]), (&json!(1), &json!("9.00")));
    assert_eq!(admin.get(&format!("/v1/accounts/{id}")).await.expect(200)["balance"]["amount"], "10.00");
    let report = admin.post("/v1/transactions", batch(&[item])).await.expect(200);
    assert_eq!(report["unchanged"], 1);
}

async fn two_writers_book_a_transaction_once(app: App) {
    let admin = app.role("administrator");
    bank(&admin).await;
    let id = account(&admin, "100", "A", "0.00").await;
    let items: Vec<Value> = (0..50).map(|n| movement(&n.to_string(), "100", "2024-02-05", "credit", "1.00")).collect();
    let whole: kehu_account_link::transaction::TransactionBatch = serde_json::from_value(batch(&items)).unwrap();
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (store, whole) = (app.store.clone(), whole.clone());
            std::thread::spawn(move || {
                store.write_blocking(move |tx| kehu_account_link::transaction::ingest(tx, &Actor::system(), &whole))
            })
        })
        .collect();
    let created: i64 = writers.into_iter().map(|writer| writer.join().unwrap().unwrap().created).sum();
    assert_eq!(created, 50);
    let shown = admin.get(&format!("/v1/accounts/{id}/statement?from=2024-02-01&to=2024-02-29")).await.expect(200);
    assert_eq!((&shown["lines"][0]["credit_count"], &shown["closing"]["amount"]), (&json!(50), &json!("50.00")));
}

fn kinds(outcomes: &[Outcome]) -> String {
    let letter = |outcome: &Outcome| match outcome {
        Outcome::Created(_) => 'c',
        Outcome::Updated(_) => 'u',
        Outcome::Unchanged(_) => '=',
        Outcome::Rejected(_) => 'r',
        Outcome::Parked { .. } => 'p',
    };
    outcomes.iter().map(letter).collect()
}

/// All feeds once, in the given order of tables; what became of each.
async fn deliver(app: &App) -> Vec<String> {
    let source = Source::new("berka");
    app.store
        .write(move |tx| {
            let actor = Actor::system();
            let customers: Vec<CustomerRecord> = from_value(json!([
                { "source_id": "1", "kind": "personal", "full_name": "Owner" },
                { "source_id": "2", "kind": "personal", "full_name": "Disponent" }])).unwrap();
            let accounts: Vec<AccountRecord> = from_value(json!([
                { "number": "loan-1", "product_code": "LOAN", "product_category": "loan", "currency": "CZK", "parent_number": "576",
                  "loan": { "principal": "96396", "payment": "8033.00", "repayment_state": "defaulted" } },
                { "number": "card-1", "product_code": "CARD", "product_category": "card", "currency": "CZK", "parent_of_link": "disp-2",
                  "card": { "kind": "classic" } },
                { "number": "576", "product_code": "ACC", "product_category": "deposit", "currency": "CZK", "opened_on": "1993-01-01",
                  "deposit": { "statement_frequency": "monthly" } }])).unwrap();
            let links: Vec<AccountLinkRecord> = from_value(json!([
                { "source_id": "loan-1", "account_number": "loan-1", "owner_of_account": "576", "role": "borrower" },
                { "source_id": "card-1", "account_number": "card-1", "customer_of_link": "disp-2", "role": "owner", "primary": true },
                { "source_id": "disp-2", "account_number": "576", "customer_source_id": "2", "role": "authorised_signatory" },
                { "source_id": "disp-1", "account_number": "576", "customer_source_id": "1", "role": "owner", "primary": true },
                { "source_id": "disp-3", "account_number": "576", "customer_source_id": "2", "role": "owner", "primary": true }])).unwrap();
            let orders: Vec<StandingOrderRecord> = from_value(json!([
                { "source_id": "29401", "account_number": "576", "amount": "2452.00", "counterparty_account": "87144583" },
                { "source_id": "29402", "account_number": "576", "amount": "3372.70" }, { "source_id": "x", "account_number": "1", "amount": "1" }])).unwrap();
            let transactions: Vec<TransactionRecord> = from_value(json!([
                { "source_id": "1", "account_number": "576", "booked_on": "1993-01-01", "direction": "credit", "amount": "700.00",
                  "transaction_type": "deposit", "balance_after": "1600.00" },
                { "source_id": "2", "account_number": "576", "booked_on": "1993-01-01", "direction": "credit", "amount": "900.00",
                  "transaction_type": "deposit", "balance_after": "900.00" }])).unwrap();
            let balances: Vec<BalanceRecord> = from_value(json!([{ "account_number": "loan-1", "day": "1994-01-01", "balance": "-96396" }])).unwrap();
            Ok(vec![
                kinds(&kehu_customer::feed::customers::apply(tx, &actor, &source, &customers)?),
                kinds(&feed::apply_transactions(tx, &actor, &source, &transactions)?),
                kinds(&feed::apply_accounts(tx, &actor, &source, &accounts)?),
                kinds(&feed::apply_account_links(tx, &actor, &source, &links)?),
                kinds(&feed::apply_standing_orders(tx, &actor, &source, &orders)?),
                kinds(&feed::apply_balances(tx, &actor, &source, &balances)?),
            ])
        })
        .await
        .unwrap()
}

async fn feeds_settle_whatever_their_order(app: App) {
    let admin = app.role("administrator");
    assert_eq!(deliver(&app).await, ["cc", "pp", "cpc", "cpccr", "ccp", "c"].map(str::to_owned));
    // What waited finds its parent now, what was known is not changed.
    assert_eq!(deliver(&app).await, ["==", "cc", "=c=", "=c==r", "==p", "="].map(str::to_owned));
    assert_eq!(deliver(&app).await, ["==", "==", "===", "====r", "==p", "="].map(str::to_owned));
    let deposit = admin.get("/v1/accounts?category=deposit").await.expect(200)["items"][0].clone();
    // Rows of one day came in no order: the last one is the one from which no other goes on.
    assert_eq!(deposit["balance"]["amount"], "1600.00");
    let loan = admin.get("/v1/accounts?repayment_state=defaulted").await.expect(200)["items"][0].clone();
    assert_eq!((&loan["balance"]["amount"], &loan["parent"]["id"]), (&json!("-96396.00"), &deposit["id"]));
    let orders = admin.get("/v1/standing-orders?include_total=true").await.expect(200);
    assert_eq!((&orders["total"], &orders["sums"]), (&json!(2), &json!([{ "amount": "5824.70", "currency": "CZK" }])));
    assert_eq!(orders["items"][0]["counterparty"], "****4583");
    for (role, name) in [("borrower", "Owner"), ("authorised_signatory", "Disponent")] {
        let links = admin.get(&format!("/v1/account-links?role={role}")).await.expect(200);
        assert_eq!((links["items"].as_array().unwrap().len(), &links["items"][0]["customer"]["label"]), (1, &json!(name)));
    }
}
