//! `/v1/account-due-dates`: what falls due, in the order of its days, of a portfolio.

use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App,
        bank::person,
        ledger::{bank, customer, owner, text},
    },
};

both_databases!(
    lists_what_falls_due_in_the_order_of_days,
    pages_hold_what_the_whole_list_holds,
    shows_what_is_within_reach_only,
    tells_how_accounts_stand
);

/// An account with days; its id.
async fn account(admin: &crate::support::Client<'_>, number: &str, branch: &str, days: Value) -> String {
    let mut body = json!({ "source_system": "core", "number": number, "product_code": "SAV", "branch_code": branch,
        "currency": "CNY", "opened_on": "2020-01-01" });
    body.as_object_mut().unwrap().extend(days.as_object().unwrap().clone());
    text(&admin.post("/v1/accounts", body).await.expect(200)["id"])
}

/// Day, kind and account of each entry.
fn entries(page: &Value) -> Vec<(String, String, String)> {
    let of = |entry: &Value| (text(&entry["due_on"]), text(&entry["kind"]), text(&entry["account"]["id"]));
    page["items"].as_array().unwrap().iter().map(of).collect()
}

fn entry(day: &str, kind: &str, account: &str) -> (String, String, String) {
    (day.to_owned(), kind.to_owned(), account.to_owned())
}

const SPAN: &str = "/v1/account-due-dates?from=2031-01-01&until=2031-12-31";

async fn lists_what_falls_due_in_the_order_of_days(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let late = account(&admin, "1", "A", json!({ "matures_on": "2031-06-01", "next_dividend_on": "2031-02-01" })).await;
    let soon = account(&admin, "2", "A", json!({ "matures_on": "2031-03-01", "next_repayment_on": "2031-03-01" })).await;
    account(&admin, "3", "A", json!({ "matures_on": "2032-01-01" })).await;
    account(&admin, "4", "A", json!({ "matures_on": "2031-03-01", "closed_on": "2024-01-01" })).await;
    let all = [
        entry("2031-02-01", "dividend", &late),
        entry("2031-03-01", "maturity", &soon),
        entry("2031-03-01", "repayment", &soon),
        entry("2031-06-01", "maturity", &late),
    ];
    let page = admin.get(&format!("{SPAN}&include_total=true")).await.expect(200);
    assert_eq!((entries(&page), &page["total"]), (all.to_vec(), &json!(4)));
    let page = admin.get(&format!("{SPAN}&kind=maturity&include_total=true")).await.expect(200);
    assert_eq!((entries(&page), &page["total"]), (vec![all[1].clone(), all[3].clone()], &json!(2)));
    // Unless asked for, only the next thirty days.
    assert_eq!(entries(&admin.get("/v1/account-due-dates").await.expect(200)), []);
    // By portfolio and by customer.
    let (anna, ben) = (customer(&admin, "Anna", &ids["A"]).await, customer(&admin, "Ben", &ids["B"]).await);
    admin.post("/v1/account-links", owner(&late, &anna, true, None)).await.expect(201);
    admin.post("/v1/account-links", owner(&soon, &ben, true, None)).await.expect(201);
    let manager = person(&admin, "E1", &ids["B"], &[]).await;
    let assigned = json!({ "customer_id": anna, "staff_id": manager["id"], "role": "primary" });
    let assigned = admin.post("/v1/assignments", assigned).await.expect(201);
    let portfolio = format!("{SPAN}&staff_id={}", text(&manager["id"]));
    let page = admin.get(&portfolio).await.expect(200);
    assert_eq!(entries(&page), [all[0].clone(), all[3].clone()]);
    assert_eq!(page["items"][0]["customers"], json!([{ "id": anna, "label": "Anna" }]));
    let page = admin.get(&format!("{SPAN}&customer_id={ben}")).await.expect(200);
    assert_eq!(entries(&page), [all[1].clone(), all[2].clone()]);
    let end = format!("/v1/assignments/{}/end", text(&assigned["id"]));
    admin.command(&end, 1, json!({ "reason": "moved" })).await.expect(200);
    assert_eq!(entries(&admin.get(&portfolio).await.expect(200)), []);
    let backwards = admin.get("/v1/account-due-dates?from=2031-01-02&until=2031-01-01").await;
    assert_eq!(backwards.pointers(400), ["?until"]);
}

async fn pages_hold_what_the_whole_list_holds(app: App) {
    let admin = app.role("administrator");
    bank(&admin).await;
    for n in 0..12 {
        let day = |of: i32| format!("2031-01-{:02}", 1 + (n * of) % 4);
        let days = json!({ "matures_on": day(1), "next_repayment_on": day(3), "next_dividend_on": day(2) });
        account(&admin, &format!("{n}"), "A", days).await;
    }
    let whole = entries(&admin.get(&format!("{SPAN}&limit=200")).await.expect(200));
    assert_eq!(whole.len(), 36);
    assert!(whole.iter().map(|(day, ..)| day).is_sorted());
    for limit in [1, 5, 7] {
        let (mut walked, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = admin.get(&format!("{SPAN}&limit={limit}{cursor}")).await.expect(200);
            walked.extend(entries(&page));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(walked, whole, "in pages of {limit}");
    }
}

async fn shows_what_is_within_reach_only(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let here = account(&admin, "1", "A", json!({ "matures_on": "2031-06-01" })).await;
    let there = account(&admin, "2", "B", json!({ "matures_on": "2031-05-01" })).await;
    let anna = customer(&admin, "Anna", &ids["B"]).await;
    admin.post("/v1/account-links", owner(&here, &anna, true, None)).await.expect(201);
    let manager = app.role_at("branch_manager", "A");
    let page = manager.get(SPAN).await.expect(200);
    assert_eq!(entries(&page), [entry("2031-06-01", "maturity", &here)]);
    // The account is the branch's, its owner another branch's.
    assert_eq!(page["items"][0]["customers"], json!([{ "id": anna, "label": "" }]));
    let page = app.role_at("branch_manager", "B").get(SPAN).await.expect(200);
    assert_eq!(entries(&page), [entry("2031-05-01", "maturity", &there), entry("2031-06-01", "maturity", &here)]);
}

async fn tells_how_accounts_stand(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let id = account(&admin, "1", "A", json!({ "status": "pending" })).await;
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    admin.post("/v1/account-links", owner(&id, &anna, true, None)).await.expect(201);
    for status in ["active", "dormant", "frozen", "closed"] {
        account(&admin, "1", "A", json!({ "status": status })).await;
    }
    let page = admin.get(&format!("/v1/customers/{anna}/timeline?kind=account&limit=200")).await.expect(200);
    let events: Vec<_> = page["items"].as_array().unwrap().iter().map(|entry| text(&entry["event"])).collect();
    let mut told: Vec<&str> = events.iter().map(String::as_str).filter(|event| event.starts_with("account.")).collect();
    told.reverse();
    assert_eq!(told, ["account.created", "account.opened", "account.dormant", "account.updated", "account.closed"]);
}
