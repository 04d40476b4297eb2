//! `/v1/customers/{id}/consents`

use kehu_customer::consent::{self, ConsentChannel, ConsentPurpose};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App,
        customers::{branches, path, person},
        sign,
    },
};

both_databases!(derives_what_holds_now, events_are_only_added, customers_speak_for_themselves, stays_within_reach);

/// The present state by channel, of a purpose.
fn states(current: &Value, purpose: &str) -> Vec<(String, String, bool)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = current["items"].as_array().unwrap().iter().filter(|item| item["purpose"] == purpose);
    of.map(|item| (text(&item["channel"]), text(&item["state"]), item["inherited"].as_bool().unwrap())).collect()
}

async fn derives_what_holds_now(app: App) {
    let teller = app.role("teller");
    let li = person(&app.role("administrator"), "Li", None).await;
    let (at, current) = (path(&li, "/consents"), path(&li, "/consents/current"));
    assert_eq!(teller.get(&current).await.problem(404), "not_found");
    let agent = app.role("call_agent");
    assert_eq!(agent.get(&current).await.expect(200)["items"], json!([]));
    let say = |channel: &'static str, state: &'static str, when: &'static str| {
        let (agent, at) = (agent.clone(), at.clone());
        let body = json!({ "purpose": "marketing", "channel": channel, "state": state, "at": when });
        async move { agent.post(&at, body).await.expect(201) }
    };
    say("sms", "granted", "2026-01-02T00:00:00Z").await;
    let id = li["id"].as_str().unwrap().parse().unwrap();
    let allowed = |channel: ConsentChannel| {
        let ask = move |conn: &mut kehu_kernel::Conn| consent::allows(conn, id, ConsentPurpose::Marketing, channel);
        app.store.read_blocking(ask).unwrap()
    };
    assert!(allowed(ConsentChannel::Sms) && !allowed(ConsentChannel::Email) && !allowed(ConsentChannel::Any));
    let sms = ("sms".to_owned(), "granted".to_owned(), false);
    assert_eq!(states(&agent.get(&current).await.expect(200), "marketing"), [sms]);
    say("any", "granted", "2026-01-01T00:00:00Z").await;
    say("email", "refused", "2025-01-01T00:00:00Z").await;
    assert!(allowed(ConsentChannel::Phone) && !allowed(ConsentChannel::Email));
    let now = states(&agent.get(&current).await.expect(200), "marketing");
    assert_eq!(now.len(), 8);
    assert!(now.contains(&("phone".into(), "granted".into(), true)) && now.contains(&("email".into(), "refused".into(), false)));
    let last = say("any", "withdrawn", "2026-01-03T00:00:00Z").await;
    let now = agent.get(&current).await.expect(200);
    assert!(states(&now, "marketing").iter().all(|(_, state, _)| state == "withdrawn"));
    assert_eq!(now["items"].as_array().unwrap().iter().filter(|item| item["consent_id"] == last["id"]).count(), 8);
    assert!(!allowed(ConsentChannel::Sms));
    assert_eq!(states(&now, "profiling"), []);
}

async fn events_are_only_added(app: App) {
    let agent = app.role("call_agent");
    let li = person(&app.role("administrator"), "Li", None).await;
    let at = path(&li, "/consents");
    let made = agent.post(&at, json!({ "purpose": "profiling", "state": "granted", "evidence": "form 7" })).await.expect(201);
    assert_eq!(
        (&made["channel"], &made["source"], &made["recorded_by"]),
        (&json!("any"), &json!("staff"), &json!("test-call_agent"))
    );
    for (body, pointer) in [
        (json!({ "purpose": "profiling", "state": "granted", "at": "2999-01-01T00:00:00Z" }), "/at"),
        (json!({ "purpose": "profiling", "state": "granted", "source": "self_service" }), "/source"),
        (json!({ "purpose": "fun", "state": "granted" }), "/purpose"),
        (json!({ "purpose": "profiling", "state": "maybe" }), "/state"),
        (json!({ "purpose": "profiling", "state": "granted", "evidence": "" }), "/evidence"),
    ] {
        assert_eq!(agent.post(&at, body).await.pointers(422), [pointer]);
    }
    for (purpose, channel) in [("marketing", "sms"), ("marketing", "email")] {
        agent.post(&at, json!({ "purpose": purpose, "channel": channel, "state": "refused" })).await.expect(201);
    }
    let count = |query: &'static str| {
        let (agent, at) = (agent.clone(), at.clone());
        async move { agent.get(&format!("{at}?include_total=true&{query}")).await.expect(200)["total"].as_i64().unwrap() }
    };
    assert_eq!((count("purpose=marketing").await, count("channel=sms").await, count("channel=any").await), (2, 1, 1));
    let first = agent.get(&format!("{at}?limit=1")).await.expect(200);
    assert_eq!(first["items"][0], made);
    let next = agent.get(&format!("{at}?limit=1&cursor={}", first["next_cursor"].as_str().unwrap())).await.expect(200);
    assert_eq!(next["items"][0]["channel"], "sms");
    let events = agent.get(&path(&li, "/consents?limit=200")).await.expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 3);
}

async fn customers_speak_for_themselves(app: App) {
    let admin = app.role("administrator");
    let (li, wang) = (person(&admin, "Li", None).await, person(&admin, "Wang", None).await);
    admin.post(&path(&li, "/consents"), json!({ "purpose": "marketing", "state": "granted" })).await.expect(201);
    let caller = app.token(sign(json!({ "sub": li["id"], "roles": ["customer_self"], "customer_id": li["id"] })));
    let mine = caller.post(&path(&li, "/consents"), json!({ "purpose": "marketing", "state": "withdrawn" })).await.expect(201);
    assert_eq!((&mine["source"], &mine["recorded_by"]), (&json!("self_service"), &li["id"]));
    let seen = caller.get(&path(&li, "/consents")).await.expect(200);
    assert_eq!((&seen["items"][0]["recorded_by"], &seen["items"][1]["recorded_by"]), (&Value::Null, &li["id"]));
    let now = caller.get(&path(&li, "/consents/current")).await.expect(200);
    assert!(states(&now, "marketing").iter().all(|(_, state, _)| state == "withdrawn"));
    let forged = json!({ "purpose": "marketing", "state": "granted", "source": "paper_form" });
    assert_eq!(caller.post(&path(&li, "/consents"), forged).await.pointers(422), ["/source"]);
    let body = json!({ "purpose": "marketing", "state": "granted" });
    assert_eq!(caller.post(&path(&wang, "/consents"), body).await.problem(404), "not_found");
    assert_eq!(caller.get(&path(&wang, "/consents/current")).await.problem(404), "not_found");
}

async fn stays_within_reach(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let li = person(&admin, "Li", Some(&ids["SH"])).await;
    let body = json!({ "purpose": "marketing", "channel": "phone", "state": "granted", "source": "paper_form" });
    app.role_at("teller", "SH").post(&path(&li, "/consents"), body.clone()).await.expect(201);
    let away = app.role_at("teller", "BJ");
    assert_eq!(away.post(&path(&li, "/consents"), body.clone()).await.problem(404), "not_found");
    assert_eq!(away.get(&path(&li, "/consents")).await.problem(404), "not_found");
    assert_eq!(app.role_at("marketer", "SH").post(&path(&li, "/consents"), body).await.problem(403), "forbidden");
    assert_eq!(
        app.role_at("marketer", "SH").get(&path(&li, "/consents")).await.expect(200)["items"].as_array().unwrap().len(),
        1
    );
}
