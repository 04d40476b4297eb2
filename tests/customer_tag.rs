//! `/v1/tag-domains`, `/v1/tags` and `/v1/customers/{id}/tags`

use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, Client, bank,
        customers::{branches, path, person},
        sign,
    },
};

both_databases!(
    the_library_has_seventeen_domains,
    seventeen_domains_also_for_crossing_writers,
    seeding_again_changes_nothing,
    definitions_keep_their_rules,
    checks_values_by_their_type,
    a_customer_has_a_tag_once_at_a_time,
    changes_and_ends_tags,
    customers_are_listed_by_their_tags,
    sensitive_tags_are_absent_without_right_and_purpose,
    tags_are_the_banks_own_record
);

/// The id of a domain that Kehu brings along.
async fn domain(client: &Client<'_>, code: &str) -> Value {
    let domains = client.get("/v1/tag-domains").await.expect(200);
    domains["items"].as_array().unwrap().iter().find(|domain| domain["code"] == code).unwrap()["id"].clone()
}

/// A new tag of the library.
async fn tag(client: &Client<'_>, code: &str, kind: &str, more: Value) -> Value {
    let mut body = json!({ "tag_domain_id": domain(client, "benefits").await, "code": code, "name": code, "value_type": kind });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post("/v1/tags", body).await.expect(201)
}

async fn the_library_has_seventeen_domains(app: App) {
    let steward = app.role("data_steward");
    let built_in = steward.get("/v1/tag-domains?include_total=true").await.expect(200);
    let codes: Vec<&str> = built_in["items"].as_array().unwrap().iter().map(|item| item["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["demographics", "product_preference", "benefits"]);
    let new = |code: &str| json!({ "code": code, "name": "Ours" });
    let first = steward.post("/v1/tag-domains", new("ours-4")).await.expect(201);
    assert_eq!((&first["place"], &first["built_in"]), (&json!(4), &json!(false)));
    assert_eq!(steward.post("/v1/tag-domains", new("ours-4")).await.problem(409), "tag_domain_code_taken");
    for place in 5..=17 {
        let made = steward.post("/v1/tag-domains", new(&format!("ours-{place}"))).await.expect(201);
        assert_eq!(made["place"], place);
    }
    assert_eq!(steward.post("/v1/tag-domains", new("ours-18")).await.problem(409), "tag_domains_full");
    let page = steward.get("/v1/tag-domains?limit=16&include_total=true").await.expect(200);
    assert_eq!((page["total"].as_i64(), page["items"].as_array().unwrap().len()), (Some(17), 16));
    let rest = format!("/v1/tag-domains?limit=16&include_total=true&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(steward.get(&rest).await.expect(200)["items"][0]["code"], "ours-17");
    // A slot is used again for something else, unless it has tags or is Kehu's.
    let changed = steward.patch(&bank::at("tag-domains", &first), 1, json!({ "code": "channels", "name": "Channels" })).await;
    assert_eq!(changed.expect(200)["code"], "channels");
    assert_eq!(
        steward.patch(&bank::at("tag-domains", &first), 1, json!({ "name": "X" })).await.problem(412),
        "precondition_failed"
    );
    assert_eq!(steward.get(&bank::at("tag-domains", &first)).await.expect(200)["name"], "Channels");
    let tagged = json!({ "tag_domain_id": first["id"], "code": "t", "name": "T", "value_type": "flag" });
    steward.post("/v1/tags", tagged).await.expect(201);
    let renamed = steward.patch(&bank::at("tag-domains", &first), 2, json!({ "code": "other" })).await;
    assert_eq!(renamed.problem(409), "tag_domain_in_use");
    let kehus = &built_in["items"][0];
    assert_eq!(steward.patch(&bank::at("tag-domains", kehus), 1, json!({ "code": "mine" })).await.pointers(422), ["/code"]);
    let named = steward.patch(&bank::at("tag-domains", kehus), 1, json!({ "name": "人口统计" })).await.expect(200);
    assert_eq!(named["name"], "人口统计");
    let marketer = app.role("marketer");
    assert_eq!(marketer.post("/v1/tag-domains", new("x")).await.problem(403), "forbidden");
    assert_eq!(marketer.get("/v1/tag-domains").await.status, 200);
}

/// Twenty writers at once for fourteen slots.
async fn seventeen_domains_also_for_crossing_writers(app: App) {
    let store = &app.store;
    let made: Vec<bool> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..20)
            .map(|number| {
                scope.spawn(move || {
                    let new = json!({ "code": format!("d{number}"), "name": "D" });
                    let write = store.write_blocking(move |tx| {
                        let new = serde_json::from_value(new.clone()).unwrap();
                        kehu_customer::tag::domain::create(tx, &kehu_kernel::Actor::system(), new)
                    });
                    write.is_ok()
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(made.iter().filter(|made| **made).count(), 14);
}

async fn seeding_again_changes_nothing(app: App) {
    assert_eq!(app.store.write_blocking(kehu_customer::tag::seed).unwrap(), 0);
}

async fn definitions_keep_their_rules(app: App) {
    let steward = app.role("data_steward");
    let wrong =
        json!({ "tag_domain_id": "01890a5d-ac96-774b-bcce-b302099a8057", "code": "a", "name": "A", "value_type": "choice" });
    assert_eq!(steward.post("/v1/tags", wrong).await.pointers(422), ["/choices", "/tag_domain_id"]);
    let home = domain(&steward, "benefits").await;
    for (more, pointer) in [
        (json!({ "value_type": "flag", "choices": ["a"] }), "/choices"),
        (json!({ "value_type": "choice", "choices": ["a", "a"] }), "/choices"),
        (json!({ "value_type": "flag", "settable_by": [] }), "/settable_by"),
        (json!({ "value_type": "flag", "settable_by": ["manual", "manual"] }), "/settable_by"),
        (json!({ "value_type": "flag", "field_class": "secret" }), "/field_class"),
        (json!({ "value_type": "flag", "code": "a b" }), "/code"),
    ] {
        let mut body = json!({ "tag_domain_id": home, "code": "a", "name": "A" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(steward.post("/v1/tags", body).await.pointers(422), [pointer]);
    }
    let made = tag(&steward, "use", "choice", json!({ "choices": ["often", "never"] })).await;
    assert_eq!(
        (&made["settable_by"], &made["field_class"], &made["active"]),
        (&json!(["manual"]), &json!("internal"), &json!(true))
    );
    let again = json!({ "tag_domain_id": home, "code": "use", "name": "A", "value_type": "flag" });
    assert_eq!(steward.post("/v1/tags", again).await.problem(409), "tag_code_taken");
    let li = person(&steward, "Li", None).await;
    steward.post(&path(&li, "/tags"), json!({ "tag": "use", "value": "often" })).await.expect(201);
    let at = bank::at("tags", &made);
    assert_eq!(steward.patch(&at, 1, json!({ "choices": ["never"] })).await.problem(409), "choice_in_use");
    assert_eq!(steward.patch(&at, 1, json!({ "choices": [] })).await.status, 409);
    let changed = steward.patch(&at, 1, json!({ "choices": ["often", "rarely"], "description": "How often" })).await.expect(200);
    assert_eq!((&changed["choices"], &changed["version"]), (&json!(["often", "rarely"]), &json!(2)));
    assert_eq!(steward.patch(&at, 2, json!({ "value_type": "flag" })).await.pointers(422), ["/value_type"]);
    steward.patch(&at, 2, json!({ "active": false })).await.expect(200);
    let other = person(&steward, "Wang", None).await;
    assert_eq!(steward.post(&path(&other, "/tags"), json!({ "tag": "use", "value": "often" })).await.pointers(422), ["/tag"]);
    assert_eq!(steward.get("/v1/tags?active=true&domain=benefits").await.expect(200)["items"], json!([]));
    assert_eq!(steward.get("/v1/tags?domain=benefits").await.expect(200)["items"][0]["code"], "use");
    assert_eq!(steward.get(&at).await.expect(200)["active"], false);
}

async fn checks_values_by_their_type(app: App) {
    let steward = app.role("data_steward");
    for (code, kind) in [("f", "flag"), ("t", "text"), ("n", "number"), ("d", "date")] {
        tag(&steward, code, kind, json!({})).await;
    }
    tag(&steward, "c", "choice", json!({ "choices": ["a", "b"] })).await;
    let li = person(&steward, "Li", None).await;
    let set = |code: &'static str, value: Value| {
        let (client, at) = (steward.clone(), path(&li, "/tags"));
        async move { client.post(&at, json!({ "tag": code, "value": value, "replace": true })).await }
    };
    for (code, value, kept) in [
        ("f", json!(null), json!(null)),
        ("t", json!(" tea "), json!("tea")),
        ("n", json!("007.50"), json!("7.5")),
        ("d", json!("2024-02-29"), json!("2024-02-29")),
        ("c", json!("b"), json!("b")),
    ] {
        let made = set(code, value).await.expect(201);
        assert_eq!(
            (&made["value"], &made["source"], &made["confidence_bp"]),
            (&kept, &json!("manual"), &json!(10_000)),
            "{code}"
        );
    }
    for (code, value) in
        [("f", json!("x")), ("t", json!(null)), ("n", json!("many")), ("d", json!("2023-02-29")), ("c", json!("z"))]
    {
        assert_eq!(set(code, value).await.pointers(422), ["/value"], "{code}");
    }
    assert_eq!(set("unknown", json!("x")).await.pointers(422), ["/tag"]);
}

async fn a_customer_has_a_tag_once_at_a_time(app: App) {
    let steward = app.role("data_steward");
    let both = json!({ "choices": ["gold", "silver"], "settable_by": ["manual", "model"] });
    tag(&steward, "tier", "choice", both).await;
    tag(&steward, "scored", "number", json!({ "settable_by": ["model"] })).await;
    let li = person(&steward, "Li", None).await;
    let tags = path(&li, "/tags");
    let gold = steward.post(&tags, json!({ "tag": "tier", "value": "gold", "valid_from": "2026-01-01" })).await.expect(201);
    assert_eq!(steward.post(&tags, json!({ "tag": "tier", "value": "silver" })).await.problem(409), "tag_exists");
    let before = json!({ "tag": "tier", "value": "silver", "valid_from": "2025-01-01", "valid_to": "2026-01-01" });
    steward.post(&tags, before).await.expect(201);
    let across = json!({ "tag": "tier", "value": "silver", "valid_from": "2025-06-01", "valid_to": "2026-01-02" });
    assert_eq!(steward.post(&tags, across).await.problem(409), "tag_exists");
    let replaced = json!({ "tag": "tier", "value": "silver", "valid_from": "2026-02-01", "replace": true });
    steward.post(&tags, replaced).await.expect(201);
    let all = steward.get(&format!("{tags}?tag=tier&include_total=true")).await.expect(200);
    assert_eq!(all["total"], 3);
    let old = all["items"].as_array().unwrap().iter().find(|item| item["id"] == gold["id"]).unwrap();
    assert_eq!((&old["valid_to"], &old["end_reason"], &old["version"]), (&json!("2026-02-01"), &json!("replaced"), &json!(2)));
    let then = steward.get(&format!("{tags}?as_of=2026-01-15")).await.expect(200);
    assert_eq!((then["items"].as_array().unwrap().len(), &then["items"][0]["value"]), (1, &json!("gold")));
    // People set by hand; a program says what it is.
    assert_eq!(steward.post(&tags, json!({ "tag": "scored", "value": "1" })).await.pointers(422), ["/source"]);
    let score = json!({ "tag": "scored", "value": "0.75", "source": "model", "confidence_bp": 8000 });
    assert_eq!(steward.post(&tags, score.clone()).await.pointers(422), ["/source"]);
    let id = li["id"].as_str().unwrap().parse().unwrap();
    let program = kehu_kernel::Actor { kind: kehu_kernel::access::ActorKind::Machine, ..kehu_kernel::Actor::system() };
    let made = app.store.write_blocking(move |tx| {
        let new = serde_json::from_value(score.clone()).unwrap();
        kehu_customer::tag::customer_tag::create(tx, &program, id, new)
    });
    let made = serde_json::to_value(made.unwrap()).unwrap();
    assert_eq!((&made["source"], &made["confidence_bp"], &made["value"]), (&json!("model"), &json!(8000), &json!("0.75")));
}

async fn changes_and_ends_tags(app: App) {
    let steward = app.role("data_steward");
    tag(&steward, "vip", "flag", json!({})).await;
    let li = person(&steward, "Li", None).await;
    let tags = path(&li, "/tags");
    let wrong = json!({ "tag": "vip", "valid_from": "2026-01-02", "valid_to": "2026-01-02" });
    assert_eq!(steward.post(&tags, wrong).await.pointers(422), ["/valid_to"]);
    let made = steward.post(&tags, json!({ "tag": "vip", "valid_from": "2026-01-01" })).await.expect(201);
    let at = format!("{tags}/{}", made["id"].as_str().unwrap());
    let changed = steward.patch(&at, 1, json!({ "confidence_bp": 5000, "valid_to": "2999-01-01" })).await.expect(200);
    assert_eq!(
        (&changed["confidence_bp"], &changed["valid_to"], &changed["version"]),
        (&json!(5000), &json!("2999-01-01"), &json!(2))
    );
    assert_eq!(steward.patch(&at, 1, json!({ "confidence_bp": 1 })).await.problem(412), "precondition_failed");
    assert_eq!(steward.patch(&at, 2, json!({ "valid_from": "2999-01-01" })).await.pointers(422), ["/valid_to"]);
    assert_eq!(steward.patch(&at, 2, json!({ "value": "x" })).await.pointers(422), ["/value"]);
    let end = format!("{at}/end");
    assert_eq!(steward.post(&end, json!({})).await.problem(428), "precondition_required");
    assert_eq!(steward.command(&end, 2, json!({ "valid_to": "2025-12-31" })).await.pointers(422), ["/valid_to"]);
    assert_eq!(steward.command(&end, 2, json!({ "valid_to": "2999-01-02" })).await.pointers(422), ["/valid_to"]);
    let ended = steward.command(&end, 2, json!({ "reason": "moved" })).await.expect(200);
    assert!(ended["valid_to"].as_str().unwrap() < "2999");
    assert_eq!(steward.command(&end, 3, json!({})).await.problem(409), "already_ended");
    // A new one of the same tag is another record.
    steward.post(&tags, json!({ "tag": "vip" })).await.expect(201);
    assert_eq!(steward.get(&tags).await.expect(200)["items"].as_array().unwrap().len(), 2);
    // Out of reach is out of sight.
    let ids = branches(&app.role("administrator")).await;
    let near = person(&steward, "Near", Some(&ids["SH"])).await;
    app.role_at("teller", "SH").post(&path(&near, "/tags"), json!({ "tag": "vip" })).await.expect(201);
    let away = app.role_at("teller", "BJ");
    assert_eq!(away.get(&path(&near, "/tags")).await.problem(404), "not_found");
    assert_eq!(away.post(&path(&near, "/tags"), json!({ "tag": "vip" })).await.problem(404), "not_found");
    assert_eq!(app.role("marketer").post(&tags, json!({ "tag": "vip" })).await.problem(403), "forbidden");
}

async fn customers_are_listed_by_their_tags(app: App) {
    let steward = app.role("data_steward");
    let ids = branches(&app.role("administrator")).await;
    tag(&steward, "use", "choice", json!({ "choices": ["often", "never"] })).await;
    tag(&steward, "debtor", "flag", json!({ "field_class": "sensitive" })).await;
    for (name, branch, value) in [("A", "SH", "often"), ("B", "SH", "never"), ("C", "BJ", "often")] {
        let made = person(&steward, name, Some(&ids[branch])).await;
        steward.post(&path(&made, "/tags"), json!({ "tag": "use", "value": value })).await.expect(201);
    }
    let past = person(&steward, "D", Some(&ids["SH"])).await;
    let ended = json!({ "tag": "use", "value": "often", "valid_from": "2020-01-01", "valid_to": "2021-01-01" });
    steward.post(&path(&past, "/tags"), ended).await.expect(201);
    let names = |found: Value| -> Vec<String> {
        found["items"].as_array().unwrap().iter().map(|item| item["display_name"].as_str().unwrap().to_owned()).collect()
    };
    let marketer = app.role_at("marketer", "SH");
    let list = |query: &'static str| {
        let marketer = marketer.clone();
        async move { marketer.get(&format!("/v1/customers?sort=created_at&include_total=true&{query}")).await }
    };
    let both = list("tag=use").await.expect(200);
    assert_eq!((&both["total"], names(both.clone())), (&json!(2), vec!["A".to_owned(), "B".to_owned()]));
    assert_eq!(names(list("tag=use&tag_value=often").await.expect(200)), ["A"]);
    assert_eq!(names(app.role("analyst").get("/v1/customers?tag=use&tag_value=often").await.expect(200)), ["C", "A"]);
    for (query, pointer) in [
        ("tag=unknown", "?tag"),
        ("tag=debtor", "?tag"),
        ("tag=use&tag_value=sometimes", "?tag_value"),
        ("tag_value=often", "?tag_value"),
    ] {
        assert_eq!(list(query).await.pointers(400), [pointer], "{query}");
    }
}

async fn sensitive_tags_are_absent_without_right_and_purpose(app: App) {
    let steward = app.role("data_steward");
    let ids = branches(&app.role("administrator")).await;
    tag(&steward, "debtor", "flag", json!({ "field_class": "sensitive" })).await;
    tag(&steward, "open", "flag", json!({})).await;
    let li = person(&steward, "Li", Some(&ids["SH"])).await;
    let tags = path(&li, "/tags");
    steward.post(&tags, json!({ "tag": "open" })).await.expect(201);
    let manager = app.role_at("branch_manager", "SH");
    let with_purpose = manager.with("X-Purpose", "credit review");
    for without in [&steward, &manager] {
        assert_eq!(without.post(&tags, json!({ "tag": "debtor" })).await.problem(403), "forbidden");
    }
    let made = with_purpose.post(&tags, json!({ "tag": "debtor" })).await.expect(201);
    for without in [&steward, &manager] {
        let seen = without.get(&format!("{tags}?include_total=true")).await.expect(200);
        assert_eq!((&seen["total"], &seen["items"][0]["code"]), (&json!(1), &json!("open")));
        let end = format!("{tags}/{}/end", made["id"].as_str().unwrap());
        assert_eq!(without.command(&end, 1, json!({})).await.problem(404), "not_found");
    }
    let seen = with_purpose.get(&format!("{tags}?include_total=true")).await.expect(200);
    assert_eq!((&seen["total"], &seen["items"][1]["code"]), (&json!(2), &json!("debtor")));
    let log = app.role("auditor").get(&path(&li, "/access-log")).await.expect(200);
    let last = &log["items"][0];
    assert_eq!(
        (&last["resource"], &last["fields"], &last["purpose"]),
        (&json!("customer_tag"), &json!(["debtor"]), &json!("credit review"))
    );
    assert_eq!(log["items"].as_array().unwrap().len(), 2);
    // Neither do events say which one it is.
    let told: Vec<Value> = app
        .store
        .read_blocking(|conn| {
            use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
            use kehu_kernel::{json::Json, schema::events};
            let data = events::table.filter(events::kind.eq("customer_tag.created")).order(events::id).select(events::data);
            let rows: Vec<Json<Value>> = data.load(&mut conn.db)?;
            Ok(rows.into_iter().map(|row| row.0).collect())
        })
        .unwrap();
    assert_eq!(
        (told.len(), &told[0]["code"], &told[1]["code"], &told[1]["tag_id"]),
        (2, &json!("open"), &Value::Null, &Value::Null)
    );
}

async fn tags_are_the_banks_own_record(app: App) {
    let steward = app.role("data_steward");
    let li = person(&steward, "Li", None).await;
    let caller = app.token(sign(json!({ "sub": li["id"], "roles": ["customer_self"], "customer_id": li["id"] })));
    for at in ["/v1/tag-domains".to_owned(), "/v1/tags".to_owned(), path(&li, "/tags")] {
        assert_eq!(caller.get(&at).await.problem(403), "forbidden", "{at}");
    }
    assert_eq!(caller.get("/v1/customers?tag=x").await.problem(403), "forbidden");
    assert_eq!(caller.get("/v1/customers").await.expect(200)["items"].as_array().unwrap().len(), 1);
}
