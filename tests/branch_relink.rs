//! `/v1/branches/{branch_id}/relink`: a branch passes to another one.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_account_link::{feed, relink};
use kehu_kernel::{
    Actor, AnyId,
    feed::Source,
    job::Runner,
    schema::{accounts, events},
};
use serde_json::json;

use crate::{
    both_databases,
    support::{
        App,
        bank::person,
        ledger::{account, bank, customer, owner, text},
    },
};

both_databases!(
    moves_accounts_customers_and_staff,
    refuses_what_cannot_be_merged,
    an_interrupted_merger_loses_and_doubles_nothing
);

fn into(branch: &serde_json::Value) -> serde_json::Value {
    json!({ "into_branch_id": branch, "reason": "merger of two outlets" })
}

async fn moves_accounts_customers_and_staff(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let (moved, stays) = (account(&admin, "100", "A", "1.00").await, account(&admin, "200", "HO", "1.00").await);
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    admin.post("/v1/account-links", owner(&moved, &anna, true, None)).await.expect(201);
    let manager = person(&admin, "E1", &ids["A"], &[]).await;
    let assigned = json!({ "customer_id": anna, "staff_id": manager["id"], "role": "primary" });
    admin.post("/v1/assignments", assigned).await.expect(201);
    let path = format!("/v1/branches/{}", text(&ids["A"]));
    let preview = admin.post(&format!("{path}/preview-relink"), into(&ids["B"])).await.expect(200);
    let counts = ["account_count", "customer_count", "staff_count"].map(|name| preview[name].as_i64().unwrap());
    assert_eq!(counts, [1, 1, 1]);
    assert_eq!(admin.get(&format!("/v1/accounts/{moved}")).await.expect(200)["branch"]["id"], ids["A"]);
    assert_eq!(admin.command(&format!("{path}/relink"), 9, into(&ids["B"])).await.problem(412), "precondition_failed");
    let job = admin.command(&format!("{path}/relink"), 1, into(&ids["B"])).await.expect(202);
    assert_eq!(admin.command(&format!("{path}/relink"), 1, into(&ids["B"])).await.problem(409), "branch_relink_active");
    app.run_jobs();
    let job = admin.get(&format!("/v1/jobs/{}", text(&job["id"]))).await.expect(200);
    assert_eq!((&job["state"], &job["result"]["moved"], &job["progress_done"]), (&json!("done"), &json!(3), &json!(3)));
    let branch_of = async |path: String, field: &str| admin.get(&path).await.expect(200)[field]["id"].clone();
    assert_eq!(branch_of(format!("/v1/accounts/{moved}"), "branch").await, ids["B"]);
    assert_eq!(branch_of(format!("/v1/accounts/{stays}"), "branch").await, ids["HO"]);
    assert_eq!(branch_of(format!("/v1/staff/{}", text(&manager["id"])), "branch").await, ids["B"]);
    assert_eq!(admin.get(&format!("/v1/customers/{anna}")).await.expect(200)["home_branch"]["id"], ids["B"]);
    let held = admin.get(&format!("/v1/assignments?customer_id={anna}&active=true&include_total=true")).await.expect(200);
    assert_eq!((&held["total"], &held["items"][0]["staff"]["id"]), (&json!(1), &manager["id"]));
    // What the source repeats is no news: it does not take the account back.
    account(&admin, "100", "A", "1.00").await;
    assert_eq!(branch_of(format!("/v1/accounts/{moved}"), "branch").await, ids["B"]);
    let page = admin.get(&format!("/v1/customers/{anna}/timeline?limit=200")).await.expect(200);
    let told = |event: &str| page["items"].as_array().unwrap().iter().filter(|entry| entry["event"] == event).count();
    assert_eq!(told("account.moved"), 1);
    let empty = admin.post(&format!("{path}/preview-relink"), into(&ids["B"])).await.expect(200);
    assert_eq!((&empty["account_count"], &empty["customer_count"], &empty["staff_count"]), (&json!(0), &json!(0), &json!(0)));
}

async fn refuses_what_cannot_be_merged(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let path = format!("/v1/branches/{}/relink", text(&ids["A"]));
    for branch in [ids["A"].clone(), json!("01890a5d-ac96-774b-bcce-b302099a8057")] {
        assert_eq!(admin.command(&path, 1, into(&branch)).await.pointers(422), ["/into_branch_id"]);
    }
    let closed = format!("/v1/branches/{}", text(&ids["B"]));
    admin.patch(&closed, 1, json!({ "status": "closed" })).await.expect(200);
    assert_eq!(admin.command(&path, 1, into(&ids["B"])).await.pointers(422), ["/into_branch_id"]);
    let manager = app.role_at("branch_manager", "A").command(&path, 1, into(&ids["HO"])).await;
    assert_eq!(manager.status, 403);
    let unknown = "/v1/branches/01890a5d-ac96-774b-bcce-b302099a8057/relink";
    assert_eq!(admin.command(unknown, 1, into(&ids["HO"])).await.problem(404), "not_found");
}

async fn an_interrupted_merger_loses_and_doubles_nothing(app: App) {
    const ACCOUNTS: usize = 1_700;
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    let record = |n: usize| feed::AccountRecord {
        number: format!("{n:08}"),
        product_code: "SAV".into(),
        branch_code: Some("A".into()),
        currency: "CNY".parse().ok(),
        ..feed::AccountRecord::default()
    };
    let records: Vec<_> = (0..ACCOUNTS).map(record).collect();
    let write = move |tx: &mut kehu_kernel::Tx<'_>| feed::apply_accounts(tx, &Actor::system(), &Source::new("core"), &records);
    assert_eq!(app.store.write_blocking(write).unwrap().len(), ACCOUNTS);
    let job = admin.command(&format!("/v1/branches/{}/relink", text(&ids["A"])), 1, into(&ids["B"])).await.expect(202);
    let store = app.store.clone();
    let worker = std::thread::spawn(move || Runner::default().with(relink::JOB_KIND, relink::handler()).run_one(&store));
    app.interrupt_job();
    worker.join().unwrap().unwrap();
    app.run_jobs();
    let job = admin.get(&format!("/v1/jobs/{}", text(&job["id"]))).await.expect(200);
    assert_eq!((&job["state"], &job["result"]["moved"]), (&json!("done"), &json!(ACCOUNTS)));
    let target: AnyId = text(&ids["B"]).parse().unwrap();
    let there: i64 = app
        .store
        .read_blocking(move |conn| Ok(accounts::table.filter(accounts::branch_id.eq(target)).count().get_result(&mut conn.db)?))
        .unwrap();
    assert_eq!(there, i64::try_from(ACCOUNTS).unwrap());
    let told: Vec<AnyId> = app
        .store
        .read_blocking(|conn| {
            Ok(events::table.filter(events::kind.eq("account.moved")).select(events::subject_id).load(&mut conn.db)?)
        })
        .unwrap();
    let each: std::collections::BTreeSet<AnyId> = told.iter().copied().collect();
    assert_eq!((told.len(), each.len()), (ACCOUNTS, ACCOUNTS));
}
