//! `/v1/customers`

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, client,
        customers::{branches, company, path, person, resident_id},
    },
};

both_databases!(
    what_can_be_no_value_is_named,
    creates_a_customer_with_all_its_parts,
    names_every_broken_part,
    lists_by_filters_and_pages,
    keeps_what_a_value_was,
    moves_only_where_the_table_leads,
    shows_sensitive_fields_only_for_a_purpose_and_records_it,
    keeps_to_the_reach_of_the_caller,
    shows_a_customer_only_itself
);

fn li_na(branch: &Value) -> Value {
    json!({
        "kind": "personal", "home_branch_id": branch, "preferred_language": "zh-Hans",
        "personal": { "full_name": "李娜", "family_name": "李", "given_name": "娜", "gender": "female",
            "birth_date": "1990-03-07", "nationality": "CN", "income_band": "100k-200k", "hobbies": "tennis" },
        "identities": [{ "type": "resident_id", "number": resident_id("31010119900307002"),
            "verification": { "state": "verified", "method": "chip" } }],
        "contact_points": [
            { "kind": "phone", "value": "１３８-0013 8000", "preferred": true },
            { "kind": "email", "value": "Li.Na@Example.com" },
            { "kind": "postal_address", "country": "CN", "province": "上海市", "district": "浦东新区", "street": "世纪大道100号" }
        ]
    })
}

async fn creates_a_customer_with_all_its_parts(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let answer = admin.post("/v1/customers", li_na(&ids["SH-1"])).await;
    let (location, etag) = (answer.header("location").unwrap(), answer.header("etag"));
    let made = answer.expect(201);
    assert_eq!((location, etag.as_deref()), (path(&made, ""), Some("\"1\"")));
    assert_eq!(
        (&made["display_name"], &made["status"], &made["life_cycle_stage"]),
        (&json!("李娜"), &json!("potential"), &json!("prospect"))
    );
    assert_eq!(made["personal"]["pinyin"], "li na");
    assert_eq!(made["home_branch"], json!({ "id": ids["SH-1"], "label": "Branch SH-1" }));
    assert_eq!((&made["organisation"], &made["owner"]), (&Value::Null, &Value::Null));
    assert!(made["age"].as_u64().unwrap() >= 35);
    let quality = &made["data_quality"];
    // One verified document, three unverified contact points; the document agrees with birth date and gender.
    assert_eq!((&quality["accuracy_bp"], &quality["consistency_bp"]), (&json!(6250), &json!(10000)));
    let number = made["number"].as_str().unwrap();
    assert_eq!(admin.get(&format!("/v1/customers?number={number}")).await.expect(200)["items"][0]["id"], made["id"]);
    let identity = &admin.get(&path(&made, "/identities")).await.expect(200)["items"][0];
    assert!(identity["number"].as_str().unwrap().starts_with("3101**********0"));
    assert_eq!(identity["verification"]["state"], "verified");
    let points = admin.get(&path(&made, "/contact-points")).await.expect(200)["items"].clone();
    assert_eq!(
        (&points[0]["normalised"], &points[1]["normalised"], &points[2]["value"]),
        (&json!("+8613800138000"), &json!("li.na@example.com"), &json!("上海市 浦东新区 世纪大道100号"))
    );
}

async fn names_every_broken_part(app: App) {
    let admin = app.role("administrator");
    let body = json!({
        "kind": "personal", "organisation": { "legal_name": "A", "lei": "123", "founded_on": "2999-01-01" },
        "identities": [{ "type": "resident_id", "number": "110105194912310021" }, { "type": "passport", "number": "E12345678",
            "issued_on": "2020-01-01", "expires_on": "2019-01-01" }],
        "contact_points": [{ "kind": "phone", "value": "12" }, { "kind": "email" }]
    });
    let expected = [
        "/contact_points/0/value",
        "/contact_points/1/value",
        "/identities/0/number",
        "/identities/1/expires_on",
        "/organisation",
        "/organisation/founded_on",
        "/organisation/lei",
        "/personal",
    ];
    assert_eq!(admin.post("/v1/customers", body).await.pointers(422), expected);
    let limits =
        json!({ "kind": "personal", "personal": { "full_name": "", "nationality": "cn", "dependants": 51 }, "tier": "a b" });
    let broken = ["/personal/dependants", "/personal/full_name", "/personal/nationality", "/tier"];
    assert_eq!(admin.post("/v1/customers", limits).await.pointers(422), broken);
    let unborn = json!({ "kind": "personal", "personal": { "full_name": "A", "birth_date": "2999-01-01" } });
    assert_eq!(admin.post("/v1/customers", unborn).await.pointers(422), ["/personal/birth_date"]);
    let impossible = json!({ "kind": "personal", "personal": { "full_name": "A", "birth_date": "2023-02-29" } });
    assert_eq!(admin.post("/v1/customers", impossible).await.pointers(422), ["/personal/birth_date"]);
    let unknown = json!({ "kind": "personal", "personal": { "full_name": "A", "shoe_size": 38 } });
    assert_eq!(admin.post("/v1/customers", unknown).await.pointers(422), ["/personal/shoe_size"]);
    let nowhere =
        json!({ "kind": "personal", "personal": { "full_name": "A" }, "home_branch_id": "01890a5d-ac96-774b-bcce-b302099a8057" });
    assert_eq!(admin.post("/v1/customers", nowhere).await.pointers(422), ["/home_branch_id"]);
    assert_eq!(admin.get("/v1/customers?include_total=true").await.expect(200)["total"], 0);
}

async fn lists_by_filters_and_pages(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    for number in 0..5 {
        person(&admin, &format!("Person {number}"), Some(&ids["SH-1"])).await;
    }
    admin.post("/v1/customers", li_na(&ids["BJ"])).await.expect(201);
    company(&admin, "Example Ltd").await;
    let total = |query: &str| {
        let (admin, path) = (admin.clone(), format!("/v1/customers?include_total=true&{query}"));
        async move { admin.get(&path).await.expect(200)["total"].clone() }
    };
    assert_eq!(total("kind=corporate").await, 1);
    assert_eq!(total("branch=SH").await, 5);
    assert_eq!(total("branch=HO&gender=female").await, 1);
    assert_eq!(total("status=active").await, 0);
    let first = admin.get("/v1/customers?limit=3&sort=created_at").await.expect(200);
    assert_eq!(first["items"][0]["display_name"], "Person 0");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = admin.get(&format!("/v1/customers?limit=3&sort=created_at&cursor={cursor}")).await.expect(200);
    assert_eq!(second["items"][0]["display_name"], "Person 3");
    assert_eq!(admin.get(&format!("/v1/customers?limit=3&cursor={cursor}")).await.pointers(400), ["?cursor"]);
    assert_eq!(admin.get("/v1/customers").await.expect(200)["items"][0]["display_name"], "Example Ltd");
    assert_eq!(admin.get("/v1/customers?branch=XX").await.pointers(400), ["?branch"]);
    assert_eq!(admin.get("/v1/customers?kind=robot").await.pointers(400), ["?kind"]);
}

async fn keeps_what_a_value_was(app: App) {
    let admin = app.role("administrator");
    let made = person(&admin, "Li Na", None).await;
    let change = json!({ "personal": { "employer": "Harbour Ltd" }, "tier": "gold" });
    let changed = admin.patch(&path(&made, ""), 1, change).await.expect(200);
    assert_eq!(
        (&changed["version"], &changed["tier"], &changed["personal"]["employer"]),
        (&json!(2), &json!("gold"), &json!("Harbour Ltd"))
    );
    let renamed = json!({ "personal": { "employer": null, "full_name": "李娜" } });
    let changed = admin.patch(&path(&made, ""), 2, renamed).await.expect(200);
    assert_eq!((&changed["display_name"], &changed["personal"]["employer"]), (&json!("李娜"), &Value::Null));
    let history = admin.get(&path(&made, "/history?field=employer")).await.expect(200)["items"].clone();
    let values: Vec<&Value> = history.as_array().unwrap().iter().map(|entry| &entry["value"]).collect();
    assert_eq!(values, [&Value::Null, &json!("Harbour Ltd"), &Value::Null]);
    assert_eq!((&history[0]["valid_to"], &history[1]["valid_to"]), (&Value::Null, &history[0]["valid_from"]));
    let at = history[1]["valid_from"].as_str().unwrap();
    let then = admin.get(&path(&made, &format!("/history?field=employer&at={at}"))).await.expect(200);
    assert_eq!((then["items"].as_array().unwrap().len(), &then["items"][0]["value"]), (1, &json!("Harbour Ltd")));
    // Nothing changed: no new version, no new entry.
    let same = admin.patch(&path(&made, ""), 3, json!({ "tier": "gold" })).await.expect(200);
    assert_eq!(same["version"], 3);
    let stale = admin.patch(&path(&made, ""), 1, json!({ "tier": "late" })).await.expect(412);
    assert_eq!(stale["current_version"], 3);
    assert_eq!(
        admin.patch(&path(&made, ""), 3, json!({ "personal": { "full_name": null } })).await.pointers(422),
        ["/personal/full_name"]
    );
    assert_eq!(
        admin.patch(&path(&made, ""), 3, json!({ "organisation": { "employees": 3 } })).await.pointers(422),
        ["/organisation"]
    );
    assert_eq!(admin.patch(&path(&made, ""), 3, json!({ "deceased_on": "2999-01-01" })).await.pointers(422), ["/deceased_on"]);
    assert_eq!(admin.patch(&path(&made, ""), 3, json!({ "status": "active" })).await.pointers(422), ["/status"]);
}

async fn moves_only_where_the_table_leads(app: App) {
    let admin = app.role("administrator");
    let made = person(&admin, "Li Na", None).await;
    let at = path(&made, "/transition");
    let won = json!({ "status": "active", "life_cycle_stage": "customer", "reason": "opened an account" });
    let moved = admin.command(&at, 1, won).await.expect(200);
    assert_eq!(
        (&moved["status"], &moved["life_cycle_stage"], &moved["version"]),
        (&json!("active"), &json!("customer"), &json!(2))
    );
    let back = json!({ "status": "potential", "reason": "mistake" });
    assert_eq!(admin.command(&at, 2, back).await.problem(409), "transition_not_allowed");
    // Half of it is allowed, so none of it happens.
    let half = json!({ "status": "dormant", "life_cycle_stage": "prospect", "reason": "mistake" });
    assert_eq!(admin.command(&at, 2, half).await.problem(409), "transition_not_allowed");
    assert_eq!(admin.get(&path(&made, "")).await.expect(200)["status"], "active");
    assert_eq!(admin.command(&at, 2, json!({ "status": "lost" })).await.pointers(422), ["/reason"]);
    assert_eq!(admin.command(&at, 2, json!({ "reason": "nothing" })).await.pointers(422), ["/status"]);
    assert_eq!(admin.command(&at, 1, json!({ "status": "lost", "reason": "late" })).await.status, 412);
    admin.command(&at, 2, json!({ "status": "dormant", "reason": "no transaction" })).await.expect(200);
    let history = admin.get(&path(&made, "/history?field=status&include_total=true")).await.expect(200);
    let values: Vec<&Value> = history["items"].as_array().unwrap().iter().map(|entry| &entry["value"]).collect();
    assert_eq!((values, &history["total"]), (vec![&json!("dormant"), &json!("active"), &json!("potential")], &json!(3)));
    assert_eq!(
        (&history["items"][0]["reason"], &history["items"][0]["duration_seconds"]),
        (&json!("no transaction"), &Value::Null)
    );
    assert!(history["items"][1]["duration_seconds"].as_i64().unwrap() >= 0);
}

async fn shows_sensitive_fields_only_for_a_purpose_and_records_it(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let made = admin.post("/v1/customers", li_na(&ids["SH"])).await.expect(201);
    let at = path(&made, "");
    let manager = app.role_at("branch_manager", "SH");
    let without = manager.get(&at).await.expect(200);
    assert_eq!((&without["personal"]["income_band"], &without["risk"]), (&Value::Null, &Value::Null));
    // The administrator's roles show no sensitive field, whatever the purpose.
    assert_eq!(admin.with("X-Purpose", "curiosity").get(&at).await.expect(200)["personal"]["hobbies"], Value::Null);
    let advising = manager.with("X-Purpose", "advice on a loan");
    let shown = advising.get(&at).await.expect(200);
    assert_eq!((&shown["personal"]["income_band"], &shown["personal"]["hobbies"]), (&json!("100k-200k"), &json!("tennis")));
    assert!(shown["risk"].is_object());
    advising.patch(&at, 1, json!({ "personal": { "income_band": "200k-300k" } })).await.expect(200);
    let hidden = admin.get(&path(&made, "/history?field=income_band")).await.expect(200);
    assert_eq!((hidden["items"].as_array().unwrap().len(), &hidden["items"][0]["value"]), (2, &Value::Null));
    let past = advising.get(&path(&made, "/history?field=income_band")).await.expect(200);
    assert_eq!(past["items"][1]["value"], "100k-200k");
    let log = admin.get(&path(&made, "/access-log")).await.expect(200)["items"].clone();
    let resources: Vec<&str> = log.as_array().unwrap().iter().map(|entry| entry["resource"].as_str().unwrap()).collect();
    assert_eq!(resources, ["customer_history", "customer", "customer"]);
    assert_eq!((&log[2]["purpose"], &log[2]["actor"]), (&json!("advice on a loan"), &json!("test-branch_manager")));
    assert_eq!(app.role_at("teller", "SH").get(&path(&made, "/access-log")).await.status, 403);
}

async fn keeps_to_the_reach_of_the_caller(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let here = person(&admin, "Here", Some(&ids["SH-1"])).await;
    let there = person(&admin, "There", Some(&ids["BJ"])).await;
    let homeless = person(&admin, "Nowhere", None).await;
    let teller = app.role_at("teller", "SH");
    assert_eq!(teller.get("/v1/customers?include_total=true").await.expect(200)["total"], 1);
    teller.get(&path(&here, "")).await.expect(200);
    for hidden in [&there, &homeless] {
        for rest in ["", "/identities", "/contact-points", "/relations", "/history", "/source-records", "/corporate-tree"] {
            assert_eq!(teller.get(&path(hidden, rest)).await.status, 404, "{rest}");
        }
        assert_eq!(teller.patch(&path(hidden, ""), 1, json!({ "tier": "gold" })).await.status, 404);
    }
    let elsewhere = json!({ "kind": "personal", "personal": { "full_name": "A" }, "home_branch_id": ids["BJ"] });
    assert_eq!(teller.post("/v1/customers", elsewhere).await.pointers(422), ["/home_branch_id"]);
    let own = json!({ "kind": "personal", "personal": { "full_name": "A" } });
    assert_eq!(teller.post("/v1/customers", own).await.expect(201)["home_branch"]["id"], ids["SH"]);
    let away = teller.patch(&path(&here, ""), 1, json!({ "home_branch_id": ids["BJ"] })).await;
    assert_eq!(away.pointers(422), ["/home_branch_id"]);
    let agent = app.role("call_agent");
    assert_eq!(agent.get("/v1/customers?include_total=true").await.expect(200)["total"], 4);
    assert_eq!(agent.post("/v1/customers", json!({ "kind": "personal", "personal": { "full_name": "A" } })).await.status, 403);
    assert_eq!(app.role("knowledge_curator").get("/v1/customers").await.status, 403);
    // A relationship manager without assignments sees nobody.
    assert_eq!(app.role_at("relationship_manager", "SH").get("/v1/customers?include_total=true").await.expect(200)["total"], 0);
}

async fn shows_a_customer_only_itself(app: App) {
    let admin = app.role("administrator");
    let me = person(&admin, "Me", None).await;
    let other = person(&admin, "Other", None).await;
    let token = client::sign(json!({ "sub": me["id"], "roles": ["customer_self"], "customer_id": me["id"] }));
    let customer = app.token(token);
    let seen = customer.with("X-Purpose", "mine").get(&path(&me, "")).await.expect(200);
    assert_eq!((&seen["risk"], &seen["fraud_flag"], &seen["data_quality"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!(customer.get(&path(&other, "")).await.status, 404);
    assert_eq!(customer.get("/v1/customers?include_total=true").await.expect(200)["total"], 1);
    assert_eq!(customer.patch(&path(&me, ""), 1, json!({ "tier": "gold" })).await.status, 403);
    assert_eq!(customer.get(&path(&me, "/access-log")).await.status, 403);
}

async fn what_can_be_no_value_is_named(app: App) {
    let admin = app.role("administrator");
    for wrong in [json!(null), json!(7), json!("alien"), json!(["personal"]), json!({ "personal": 1 })] {
        let body = json!({ "kind": wrong, "personal": { "full_name": "李娜" } });
        assert_eq!(admin.post("/v1/customers", body).await.pointers(422), ["/kind"], "{wrong}");
    }
    let twice = br#"{"kind":"personal","kind":"personal","personal":{"full_name":"x"}}"#.to_vec();
    let media = "application/json";
    assert_eq!(admin.send(Method::POST, "/v1/customers", Some((media, twice))).await.pointers(422), ["/kind"]);
    for broken in
        [&b"{\"kind\":nul}"[..], b"{\"personal\":{\"full_name\":\"\\ud800\"}}", b"{\"personal\":{\"full_name\":\"\xff\"}}"]
    {
        let answer = admin.send(Method::POST, "/v1/customers", Some((media, broken.to_vec()))).await;
        assert_eq!(answer.problem(400), "malformed_request");
    }
    assert!(admin.get("/v1/customers").await.expect(200)["items"].as_array().unwrap().is_empty());
}
