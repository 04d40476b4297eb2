//! `/v1/customers/{id}/identities`, `/v1/customers/{id}/contact-points` and `/v1/customers/lookup`

use diesel::{RunQueryDsl, sql_query};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, Client,
        customers::{branches, path, person, resident_id},
    },
};

both_databases!(
    checks_numbers_by_their_type,
    reveals_a_number_and_records_it,
    changes_and_ends_documents,
    contact_points_have_one_spelling_and_one_preference,
    finds_who_it_is,
    does_not_find_beyond_the_reach
);

async fn checks_numbers_by_their_type(app: App) {
    let admin = app.role("administrator");
    let at = path(&person(&admin, "Li Na", None).await, "/identities");
    let post = |kind: &'static str, number: String| {
        let (admin, at) = (admin.clone(), at.clone());
        async move { admin.post(&at, json!({ "type": kind, "number": number })).await }
    };
    for right in ["11010519491231002x", "１１０１０５１９４９１２３１００２Ｘ", "110105 491231 002"] {
        let fresh = path(&person(&admin, "Li Na", None).await, "/identities");
        let made = admin.post(&fresh, json!({ "type": "resident_id", "number": right })).await.expect(201);
        assert_eq!(made["warnings"], json!([]), "{right}");
    }
    for hong_kong in ["81000019940823002", "83000019920130002", "91112419810803002"] {
        post("resident_id", resident_id(hong_kong)).await.expect(201);
    }
    let region = post("resident_id", resident_id("19010519491231002")).await.expect(201);
    assert_eq!(region["warnings"], json!(["unknown_region"]));
    for wrong in ["110105194912310021", "11010519490231002X", "1234", "11010529491231002X", "A1010519491231002X"] {
        assert_eq!(post("resident_id", wrong.into()).await.pointers(422), ["/number"], "{wrong}");
    }
    let pilot = post("unified_social_credit_code", "91110000600037342L".into()).await.expect(201);
    assert_eq!(pilot["warnings"], json!(["checksum"]));
    assert_eq!(post("unified_social_credit_code", "91110000600037341L".into()).await.expect(201)["warnings"], json!([]));
    assert_eq!(post("unified_social_credit_code", "91110000600037341I".into()).await.pointers(422), ["/number"]);
    post("lei", "5493001KJTIIGC8Y1R12".into()).await.expect(201);
    assert_eq!(post("lei", "5493001KJTIIGC8Y1R13".into()).await.pointers(422), ["/number"]);
    assert_eq!(post("passport", "e12 345-678".into()).await.expect(201)["number"], "E1*****78");
    assert_eq!(post("passport", "E12345678".into()).await.problem(409), "identity_exists");
    assert_eq!(post("passport", "E".repeat(65)).await.pointers(422), ["/number"]);
}

async fn reveals_a_number_and_records_it(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let made = person(&admin, "Li Na", Some(&ids["SH"])).await;
    let number = resident_id("31010119900307002");
    let identity = admin.post(&path(&made, "/identities"), json!({ "type": "resident_id", "number": number })).await.expect(201);
    let at = path(&made, &format!("/identities/{}/reveal", identity["id"].as_str().unwrap()));
    let teller = app.role_at("teller", "SH");
    let shown = teller.post(&at, json!({ "purpose": "account opening" })).await.expect(200);
    assert_eq!(shown["number"], number);
    assert_eq!(teller.post(&at, json!({})).await.pointers(422), ["/purpose"]);
    assert_eq!(teller.post(&at, json!({ "purpose": " " })).await.pointers(422), ["/purpose"]);
    assert_eq!(admin.post(&at, json!({ "purpose": "curiosity" })).await.status, 403);
    assert_eq!(app.role_at("teller", "BJ").post(&at, json!({ "purpose": "curiosity" })).await.status, 404);
    let log = admin.get(&path(&made, "/access-log?include_total=true")).await.expect(200);
    assert_eq!((&log["total"], &log["items"][0]["action"]), (&json!(1), &json!("customer.reveal")));
    assert_eq!((&log["items"][0]["purpose"], &log["items"][0]["fields"]), (&json!("account opening"), &json!(["number"])));
    // Neither the database nor the events hold the number.
    app.store
        .read_blocking(move |conn| {
            #[derive(diesel::QueryableByName)]
            struct Count {
                #[diesel(sql_type = diesel::sql_types::BigInt)]
                n: i64,
            }
            let query = format!("SELECT count(*) AS n FROM events WHERE CAST(data AS TEXT) LIKE '%{number}%'");
            assert_eq!(sql_query(query).get_result::<Count>(&mut conn.db)?.n, 0);
            Ok(())
        })
        .unwrap();
}

async fn changes_and_ends_documents(app: App) {
    let admin = app.role("administrator");
    let made = person(&admin, "Li Na", None).await;
    let passport = json!({ "type": "passport", "number": "E12345678", "issued_on": "2020-01-01" });
    let identity = admin.post(&path(&made, "/identities"), passport.clone()).await.expect(201);
    let at = path(&made, &format!("/identities/{}", identity["id"].as_str().unwrap()));
    let checked = json!({ "verification": { "state": "verified", "method": "counter" }, "expires_on": "2030-01-01" });
    let changed = admin.patch(&at, 1, checked).await.expect(200);
    assert_eq!((&changed["verification"]["by"], &changed["version"]), (&json!("test-administrator"), &json!(2)));
    assert_eq!(admin.patch(&at, 2, json!({ "expires_on": "2019-01-01" })).await.pointers(422), ["/expires_on"]);
    assert_eq!(admin.patch(&at, 2, json!({ "number": "X" })).await.pointers(422), ["/number"]);
    assert_eq!(admin.patch(&at, 1, json!({})).await.status, 412);
    let ended = admin.command(&format!("{at}/end"), 2, json!({ "reason": "lost" })).await.expect(200);
    assert_eq!((&ended["end_reason"], ended["ended_at"].is_string()), (&json!("lost"), true));
    assert_eq!(admin.command(&format!("{at}/end"), 3, json!({ "reason": "again" })).await.problem(409), "already_ended");
    admin.post(&path(&made, "/identities"), passport).await.expect(201);
    let other = person(&admin, "Other", None).await;
    let foreign = path(&other, &format!("/identities/{}", identity["id"].as_str().unwrap()));
    assert_eq!(admin.patch(&foreign, 3, json!({})).await.status, 404);
}

async fn contact_points_have_one_spelling_and_one_preference(app: App) {
    let admin = app.role("administrator");
    let made = person(&admin, "Li Na", None).await;
    let at = path(&made, "/contact-points");
    let mobile = admin.post(&at, json!({ "kind": "phone", "value": "0086 138/0013/8000", "preferred": true })).await.expect(201);
    assert_eq!(mobile["normalised"], "+8613800138000");
    assert_eq!(admin.post(&at, json!({ "kind": "phone", "value": "138 0013 8000" })).await.problem(409), "contact_point_exists");
    let czech = json!({ "kind": "phone", "value": "605 123 456", "country": "CZ", "preferred": true });
    assert_eq!(admin.post(&at, czech).await.expect(201)["normalised"], "+420605123456");
    let points = admin.get(&at).await.expect(200)["items"].clone();
    assert_eq!((&points[0]["preferred"], &points[1]["preferred"]), (&json!(false), &json!(true)));
    let one = format!("{at}/{}", mobile["id"].as_str().unwrap());
    let changed = admin.patch(&one, 2, json!({ "preferred": true, "label": "work", "verified": true })).await.expect(200);
    assert_eq!((changed["verified_at"].is_string(), &changed["label"]), (true, &json!("work")));
    let ended = admin.command(&format!("{one}/end"), 3, json!({})).await.expect(200);
    assert_eq!((ended["valid_to"].is_string(), &ended["preferred"]), (true, &json!(false)));
    assert_eq!(admin.patch(&one, 4, json!({ "label": null })).await.problem(409), "already_ended");
    for wrong in [
        json!({ "kind": "email", "value": "a@b" }),
        json!({ "kind": "phone", "value": "abc" }),
        json!({ "kind": "postal_address" }),
    ] {
        assert_eq!(admin.post(&at, wrong).await.pointers(422), ["/value"]);
    }
    assert_eq!(admin.post(&at, json!({ "kind": "email", "value": "a@b.cn", "street": "x" })).await.pointers(422), ["/street"]);
    let backwards = json!({ "kind": "email", "value": "a@b.cn", "valid_from": "2026-01-02", "valid_to": "2026-01-01" });
    assert_eq!(admin.post(&at, backwards).await.pointers(422), ["/valid_to"]);
}

async fn hits(client: &Client<'_>, what: Value) -> Vec<(String, String)> {
    let found = client.post("/v1/customers/lookup", what).await.expect(200)["items"].clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    found.as_array().unwrap().iter().map(|hit| (text(&hit["customer"]["display_name"]), text(&hit["match"]))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, fit)| ((*name).to_owned(), (*fit).to_owned())).collect()
}

async fn finds_who_it_is(app: App) {
    let admin = app.role("administrator");
    let (wife, husband, before) =
        (person(&admin, "Wife", None).await, person(&admin, "Husband", None).await, person(&admin, "Before", None).await);
    let add = |customer: &Value, rest: &'static str, body: Value| {
        let (admin, at) = (admin.clone(), path(customer, rest));
        async move { admin.post(&at, body).await.expect(201) }
    };
    let phone = json!({ "kind": "phone", "value": "13800138000" });
    add(&wife, "/contact-points", phone.clone()).await;
    assert_eq!(hits(&admin, json!({ "phone": "+86 138-0013-8000" })).await, pairs(&[("Wife", "exact")]));
    add(&husband, "/contact-points", phone.clone()).await;
    let old = add(&before, "/contact-points", phone).await;
    let end = path(&before, &format!("/contact-points/{}/end", old["id"].as_str().unwrap()));
    admin.command(&end, 1, json!({})).await.expect(200);
    let family = pairs(&[("Wife", "shared"), ("Husband", "shared"), ("Before", "maybe")]);
    assert_eq!(hits(&admin, json!({ "phone": "１３８ 0013 8000" })).await, family);
    add(&wife, "/contact-points", json!({ "kind": "email", "value": "wife@example.com" })).await;
    assert_eq!(hits(&admin, json!({ "email": "WIFE@example.com" })).await, pairs(&[("Wife", "exact")]));
    let document = json!({ "type": "resident_id", "number": "11010519491231002X", "verification": { "state": "verified" } });
    add(&wife, "/identities", document).await;
    // The old form of the same number, and lower case.
    assert_eq!(hits(&admin, json!({ "identity_number": "110105491231002" })).await, pairs(&[("Wife", "exact")]));
    assert_eq!(hits(&admin, json!({ "identity_number": "11010519491231002x" })).await, pairs(&[("Wife", "exact")]));
    add(&husband, "/identities", json!({ "type": "passport", "number": "E12345678" })).await;
    assert_eq!(hits(&admin, json!({ "identity_number": "e12345678" })).await, pairs(&[("Husband", "maybe")]));
    assert_eq!(hits(&admin, json!({ "email": "nobody@example.com" })).await, pairs(&[]));
    assert_eq!(admin.post("/v1/customers/lookup", json!({})).await.pointers(422), [""]);
    assert_eq!(admin.post("/v1/customers/lookup", json!({ "phone": "1", "email": "a@b.cn" })).await.pointers(422), [""]);
    assert_eq!(admin.post("/v1/customers/lookup", json!({ "phone": "12" })).await.pointers(422), ["/phone"]);
}

async fn does_not_find_beyond_the_reach(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let there = person(&admin, "There", Some(&ids["BJ"])).await;
    admin.post(&path(&there, "/contact-points"), json!({ "kind": "email", "value": "there@example.com" })).await.expect(201);
    admin.post(&path(&there, "/identities"), json!({ "type": "passport", "number": "E12345678" })).await.expect(201);
    for client in [app.role_at("teller", "SH"), app.role_at("relationship_manager", "BJ")] {
        assert_eq!(hits(&client, json!({ "email": "there@example.com" })).await, pairs(&[]));
        assert_eq!(hits(&client, json!({ "identity_number": "E12345678" })).await, pairs(&[]));
    }
    assert_eq!(hits(&app.role_at("teller", "BJ"), json!({ "email": "there@example.com" })).await.len(), 1);
}
