//! What a view shows of tags, consents, contact persons and custom attributes, and of what only some callers are told.

use diesel::{ExpressionMethods, RunQueryDsl};
use kehu_kernel::schema::match_candidates;
use serde_json::{Value, json};

use crate::{
    both_databases,
    customer_match::li_na,
    support::{
        App, Client,
        customers::{branches, path, person},
        sign,
    },
};

both_databases!(
    tags_consents_and_contact_persons_are_shown,
    custom_attributes_are_shown_by_right,
    duplicates_count_as_the_queue_shows_them,
    holds_are_told_to_those_who_manage_them
);

async fn tag(client: &Client<'_>, code: &str, class: &str) {
    let domains = client.get("/v1/tag-domains").await.expect(200);
    let body = json!({ "tag_domain_id": domains["items"][0]["id"], "code": code, "name": code, "value_type": "text", "field_class": class });
    client.post("/v1/tags", body).await.expect(201);
}

fn itself<'a>(app: &'a App, customer: &Value) -> Client<'a> {
    app.token(sign(json!({ "sub": customer["id"], "roles": ["customer_self"], "customer_id": customer["id"] })))
}

async fn tags_consents_and_contact_persons_are_shown(app: App) {
    let steward = app.role("data_steward");
    let ids = branches(&app.role("administrator")).await;
    let officer = app.role_at("branch_manager", "SH").with("X-Purpose", "credit review");
    for (code, class) in [("tier", "internal"), ("secret", "sensitive")] {
        tag(&steward, code, class).await;
    }
    let acme = json!({ "kind": "corporate", "home_branch_id": ids["SH"], "organisation": { "legal_name": "Acme" } });
    let acme = steward.post("/v1/customers", acme).await.expect(201);
    for (code, more) in
        [("tier", json!({})), ("secret", json!({})), ("tier", json!({ "valid_from": "2020-01-01", "valid_to": "2020-02-01" }))]
    {
        let mut body = json!({ "tag": code, "value": "x" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        officer.post(&path(&acme, "/tags"), body).await.expect(201);
    }
    let consent = json!({ "purpose": "marketing", "channel": "sms", "state": "granted", "evidence": "form 7" });
    steward.post(&path(&acme, "/consents"), consent).await.expect(201);
    for number in 0..22 {
        let job = json!({ "customer_id": acme["id"], "position": format!("clerk {number}"), "valid_from": "2025-01-01" });
        let new = json!({ "name": format!("Wang {number}"), "taboos": "none", "employment": job });
        steward.post("/v1/contact-persons", new).await.expect(201);
    }
    let gone = json!({ "customer_id": acme["id"], "valid_from": "2024-01-01", "valid_to": "2025-01-01" });
    steward.post("/v1/contact-persons", json!({ "name": "Gone", "employment": gone })).await.expect(201);
    let view = steward.get(&path(&acme, "/view")).await.expect(200)["profile"].clone();
    let length = |value: &Value| value.as_array().unwrap().len();
    assert_eq!((length(&view["tags"]), &view["tag_count"], &view["tags"][0]["code"]), (1, &json!(1), &json!("tier")));
    assert_eq!((&view["consents"][0]["state"], &view["consent_count"]), (&json!("granted"), &json!(1)));
    assert_eq!((length(&view["contact_persons"]), &view["contact_person_count"]), (20, &json!(22)));
    let last = &view["contact_persons"][0]["contact_person"];
    assert_eq!((&last["name"], &last["taboos"]), (&json!("Wang 21"), &Value::Null));
    // Nobody works for a person, and customers see of all this what they have said themselves.
    let li = person(&steward, "Li", None).await;
    let view = steward.get(&path(&li, "/view")).await.expect(200)["profile"].clone();
    assert_eq!((&view["contact_persons"], &view["contact_person_count"], &view["tags"]), (&json!([]), &json!(0), &json!([])));
    let own = itself(&app, &acme).get(&path(&acme, "/view")).await.expect(200)["profile"].clone();
    assert_eq!((&own["tags"], &own["tag_count"], &own["contact_persons"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!(own["consents"][0]["purpose"], "marketing");
}

async fn custom_attributes_are_shown_by_right(app: App) {
    let steward = app.role("data_steward");
    let ids = branches(&app.role("administrator")).await;
    for class in ["public", "internal", "sensitive"] {
        let body =
            json!({ "code": class, "name": class, "value_type": "text", "customer_kinds": ["personal"], "field_class": class });
        steward.post("/v1/attribute-definitions", body).await.expect(201);
    }
    let li = person(&steward, "Li", Some(&ids["SH"])).await;
    let values = json!({ "public": "a", "internal": "b", "sensitive": "c" });
    steward.patch(&path(&li, "/attributes"), 1, values).await.expect(200);
    let manager = app.role_at("branch_manager", "SH");
    let purposeful = manager.with("X-Purpose", "care");
    let codes = |view: &Value| -> Vec<String> {
        let shown = view["profile"]["customer"]["attributes"].as_array().unwrap();
        shown.iter().map(|attribute| attribute["code"].as_str().unwrap().to_owned()).collect()
    };
    let customer = itself(&app, &li);
    for (client, query, expected) in [
        (&manager, "", vec!["internal", "public"]),
        (&customer, "", vec!["public"]),
        (&manager, "?perspective=self", vec!["public"]),
        (&purposeful, "?perspective=self", vec!["public"]),
        (&purposeful, "", vec!["internal", "public", "sensitive"]),
    ] {
        let view = client.get(&path(&li, &format!("/view{query}"))).await.expect(200);
        assert_eq!(codes(&view), expected, "{query}");
    }
    // Recorded is what was shown: once, and with this field.
    let log = manager.get(&path(&li, "/access-log")).await.expect(200)["items"].clone();
    assert_eq!(log.as_array().unwrap().len(), 1);
    assert!(log[0]["fields"].as_array().unwrap().contains(&json!("custom.sensitive")));
}

async fn duplicates_count_as_the_queue_shows_them(app: App) {
    let admin = app.role("administrator");
    let places = branches(&admin).await;
    let mut made = Vec::new();
    for branch in ["SH", "SH-1", "BJ"] {
        let changes = json!({ "home_branch_id": places[branch], "allow_duplicate": { "reason": "a test" }, "identities": [] });
        made.push(admin.post("/v1/customers", li_na(changes)).await.expect(201));
    }
    let li = &made[0];
    let counted = async |client: &Client<'_>| {
        let view = client.get(&path(li, "/view")).await.expect(200);
        let told = view["alerts"].as_array().unwrap().iter().any(|alert| alert["kind"] == "possible_duplicates");
        (view["open_duplicate_count"].clone(), told)
    };
    let (steward, manager) = (app.role("data_steward"), app.role_at("branch_manager", "SH"));
    assert_eq!(counted(&steward).await, (json!(2), true));
    assert_eq!(counted(&manager).await, (json!(1), true), "Beijing is out of reach");
    assert_eq!(counted(&app.role_at("call_agent", "SH")).await, (Value::Null, false), "the right to match is missing");
    let query = format!("/v1/match-candidates?customer_id={}", li["id"].as_str().unwrap());
    let pair = manager.get(&query).await.expect(200)["items"][0].clone();
    let decide = format!("/v1/match-candidates/{}/decide", pair["id"].as_str().unwrap());
    let later = json!({ "decision": "later", "reason": "asked the branch", "until": "2999-01-01" });
    manager.command(&decide, 1, later).await.expect(200);
    assert_eq!(counted(&manager).await, (json!(0), false), "put off");
    assert_eq!(counted(&steward).await, (json!(1), true));
    // Its day has come.
    let today = app.store.now().date();
    app.store
        .write_blocking(move |tx| {
            Ok(diesel::update(match_candidates::table)
                .set(match_candidates::postponed_until.eq(Some(today)))
                .execute(&mut tx.db)?)
        })
        .unwrap();
    assert_eq!(counted(&steward).await, (json!(2), true));
}

async fn holds_are_told_to_those_who_manage_them(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let li = person(&admin, "Li", Some(&ids["SH"])).await;
    admin.post(&path(&li, "/legal-holds"), json!({ "reason": "civil proceedings" })).await.expect(201);
    let told = async |client: &Client<'_>| {
        let view = client.get(&path(&li, "/view")).await.expect(200);
        view["alerts"].as_array().unwrap().iter().any(|alert| alert["kind"] == "legal_hold")
    };
    assert!(told(&admin).await);
    for role in ["teller", "relationship_manager", "branch_manager", "call_agent", "data_steward"] {
        let client = app.role_at(role, "SH");
        let manages = client.get(&path(&li, "/legal-holds")).await.status == 200;
        if client.get(&path(&li, "")).await.status == 200 {
            assert_eq!(told(&client).await, manages, "{role}");
        }
    }
    assert!(!told(&app.role_at("teller", "SH")).await);
}
