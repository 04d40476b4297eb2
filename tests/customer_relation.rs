//! `/v1/customers/{id}/relations` and `/v1/customers/{id}/corporate-tree`

use serde_json::{Value, json};

use diesel::{RunQueryDsl, sql_query};
use kehu_customer::{
    CustomerId, create,
    relation::{self, NewRelation},
};
use kehu_kernel::{Actor, BasisPoints, Error, store::Backend};

use crate::{
    both_databases,
    support::{
        App, Client,
        customers::{branches, company, path, person},
        ledger,
    },
};

both_databases!(
    stores_once_and_reads_from_both_sides,
    changes_what_is_known_of_a_relation,
    leaves_out_of_the_tree_what_is_out_of_sight,
    ended_holdings_do_not_hide_those_of_today,
    shows_at_most_a_thousand_companies,
    refuses_cycles_of_parent_companies,
    never_gives_away_more_than_the_whole,
    never_gives_away_more_than_the_whole_to_crossing_writers,
    shows_the_corporate_tree,
    adds_up_control_and_totals_of_a_group,
    shows_the_graph_of_relations
);

async fn relate(client: &Client<'_>, from: &Value, kind: &str, to: &Value, more: Value) -> crate::support::client::Answer {
    let mut body = json!({ "related_customer_id": to["id"], "type": kind });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post(&path(from, "/relations"), body).await
}

async fn stores_once_and_reads_from_both_sides(app: App) {
    let admin = app.role("administrator");
    let (mother, child) = (person(&admin, "Mother", None).await, person(&admin, "Child", None).await);
    // Told from the child's side, kept as the mother's.
    let made = relate(&admin, &child, "child", &mother, json!({ "related_role": "guardian" })).await.expect(201);
    assert_eq!((&made["type"], &made["related"]["label"]), (&json!("child"), &json!("Mother")));
    let seen = admin.get(&path(&mother, "/relations?include_total=true")).await.expect(200);
    assert_eq!(
        (&seen["total"], &seen["items"][0]["type"], &seen["items"][0]["role"]),
        (&json!(1), &json!("parent"), &json!("guardian"))
    );
    assert_eq!(seen["items"][0]["id"], made["id"]);
    assert_eq!(relate(&admin, &mother, "parent", &child, json!({})).await.problem(409), "relation_exists");
    relate(&admin, &mother, "other", &child, json!({})).await.expect(201);
    assert_eq!(relate(&admin, &child, "other", &mother, json!({})).await.problem(409), "relation_exists");
    assert_eq!(admin.get(&path(&child, "/relations?type=child")).await.expect(200)["items"].as_array().unwrap().len(), 1);
    assert_eq!(admin.get(&path(&child, "/relations?type=parent")).await.expect(200)["items"], json!([]));
    let end = path(&mother, &format!("/relations/{}/end", made["id"].as_str().unwrap()));
    let ended = admin.command(&end, 1, json!({ "reason": "of age" })).await.expect(200);
    assert!(ended["valid_to"].is_string());
    assert_eq!(admin.command(&end, 2, json!({ "reason": "again" })).await.problem(409), "already_ended");
    assert_eq!(admin.get(&path(&child, "/relations?as_of=2999-01-01")).await.expect(200)["items"].as_array().unwrap().len(), 1);
    assert_eq!(relate(&admin, &mother, "parent", &mother, json!({})).await.pointers(422), ["/related_customer_id"]);
    assert_eq!(relate(&admin, &mother, "spouse", &child, json!({ "share_bp": 1 })).await.pointers(422), ["/share_bp"]);
    let firm = company(&admin, "Firm").await;
    assert_eq!(relate(&admin, &mother, "parent", &firm, json!({})).await.pointers(422), ["/type"]);
    assert_eq!(relate(&admin, &mother, "shareholder", &firm, json!({})).await.pointers(422), ["/share_bp"]);
    assert_eq!(relate(&admin, &mother, "shareholder", &firm, json!({ "share_bp": 10001 })).await.pointers(422), ["/share_bp"]);
    let ids = branches(&admin).await;
    let hidden = person(&admin, "Hidden", Some(&ids["BJ"])).await;
    let here = person(&admin, "Here", Some(&ids["SH"])).await;
    relate(&admin, &here, "spouse", &hidden, json!({})).await.expect(201);
    let teller = app.role_at("teller", "SH");
    // Nothing tells of a relation with somebody out of sight.
    let relation = admin.get(&path(&here, "/relations")).await.expect(200)["items"][0].clone();
    let of_it = path(&here, &format!("/relations/{}", relation["id"].as_str().unwrap()));
    assert_eq!(admin.get(&of_it).await.expect(200), relation);
    let seen = teller.get(&path(&here, "/relations?include_total=true")).await.expect(200);
    assert_eq!((&seen["items"], &seen["total"]), (&json!([]), &json!(0)));
    let view = teller.get(&path(&here, "/view?perspective=teller")).await.expect(200);
    assert_eq!((&view["profile"]["relations"], &view["profile"]["relation_count"]), (&json!([]), &json!(0)));
    assert_eq!(teller.get(&of_it).await.problem(404), "not_found");
    assert_eq!(teller.command(&format!("{of_it}/end"), 1, json!({ "reason": "x" })).await.problem(404), "not_found");
    assert_eq!(teller.patch(&of_it, 1, json!({ "role": "x" })).await.problem(404), "not_found");
    assert_eq!(relate(&teller, &here, "other", &hidden, json!({})).await.pointers(422), ["/related_customer_id"]);
}

async fn changes_what_is_known_of_a_relation(app: App) {
    let admin = app.role("administrator");
    let firm = company(&admin, "Firm").await;
    let (one, two) = (person(&admin, "One", None).await, person(&admin, "Two", None).await);
    relate(&admin, &two, "shareholder", &firm, json!({ "share_bp": 4000, "valid_from": "2020-01-01" })).await.expect(201);
    let stake = json!({ "share_bp": 5000, "valid_from": "2021-01-01", "role": "founder", "source": "register" });
    let made = relate(&admin, &one, "shareholder", &firm, stake).await.expect(201);
    let at = path(&firm, &format!("/relations/{}", made["id"].as_str().unwrap()));
    // Told from the firm's side: its own role is the founder's other one.
    let change = json!({ "role": "bakery", "share_bp": 6000, "valid_from": "2020-06-01", "source": null });
    let answer = admin.patch(&at, 1, change).await;
    assert_eq!(answer.header("etag").as_deref(), Some("\"2\""));
    let changed = answer.expect(200);
    assert_eq!((&changed["role"], &changed["related_role"]), (&json!("bakery"), &json!("founder")));
    assert_eq!((&changed["share_bp"], &changed["source"], &changed["version"]), (&json!(6000), &Value::Null, &json!(2)));
    let read = admin.get(&at).await;
    assert_eq!(read.header("etag").as_deref(), Some("\"2\""));
    assert_eq!(read.expect(200), changed);
    assert_eq!(admin.patch(&at, 1, json!({})).await.problem(412), "precondition_failed");
    assert_eq!(admin.patch(&at, 2, json!({ "share_bp": 6001 })).await.problem(409), "shares_exceeded");
    for (wrong, pointer) in [(json!({ "share_bp": null }), "/share_bp"), (json!({ "type": "spouse" }), "/type")] {
        assert_eq!(admin.patch(&at, 2, wrong).await.pointers(422), [pointer]);
    }
    let spouse = relate(&admin, &one, "spouse", &two, json!({ "valid_from": "2020-01-01" })).await.expect(201);
    let at = path(&one, &format!("/relations/{}", spouse["id"].as_str().unwrap()));
    assert_eq!(admin.patch(&at, 1, json!({ "share_bp": 1 })).await.pointers(422), ["/share_bp"]);
    admin.command(&format!("{at}/end"), 1, json!({ "reason": "divorced", "valid_to": "2021-01-01" })).await.expect(200);
    assert_eq!(admin.patch(&at, 2, json!({ "role": "x" })).await.problem(409), "already_ended");
    relate(&admin, &one, "spouse", &two, json!({ "valid_from": "2022-01-01" })).await.expect(201);
    // A company that hangs below another one may begin to earlier, but not below itself.
    let (top, low) = (company(&admin, "Top").await, company(&admin, "Low").await);
    let past = json!({ "valid_from": "2001-01-01", "valid_to": "2010-01-01" });
    relate(&admin, &low, "parent_company", &top, past).await.expect(201);
    let made = relate(&admin, &top, "parent_company", &low, json!({ "valid_from": "2015-01-01" })).await.expect(201);
    let at = path(&top, &format!("/relations/{}", made["id"].as_str().unwrap()));
    admin.patch(&at, 1, json!({ "valid_from": "2012-01-01" })).await.expect(200);
    assert_eq!(admin.patch(&at, 2, json!({ "valid_from": "2009-01-01" })).await.problem(409), "relation_cycle");
}

async fn leaves_out_of_the_tree_what_is_out_of_sight(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let firm = async |name: &str, branch: &str| {
        let body = json!({ "kind": "corporate", "home_branch_id": ids[branch], "organisation": { "legal_name": name } });
        admin.post("/v1/customers", body).await.expect(201)
    };
    let (far, top, hidden, beyond, near) = (
        firm("Far", "BJ").await,
        firm("Top", "SH").await,
        firm("Hidden", "BJ").await,
        firm("Beyond", "SH").await,
        firm("Near", "SH").await,
    );
    for (one, other, share) in [(&far, &top, 9000), (&top, &hidden, 5000), (&hidden, &beyond, 6000), (&top, &near, 7000)] {
        relate(&admin, one, "parent_company", other, json!({})).await.expect(201);
        relate(&admin, one, "shareholder", other, json!({ "share_bp": share })).await.expect(201);
    }
    relate(&admin, &hidden, "shareholder", &near, json!({ "share_bp": 1000 })).await.expect(201);
    let shape = |tree: &Value| -> Vec<(String, Value)> {
        let node = |node: &Value| (node["customer"]["label"].as_str().unwrap().to_owned(), node["controlled_bp"].clone());
        tree["items"].as_array().unwrap().iter().map(node).collect()
    };
    let whole = admin.get(&path(&near, "/corporate-tree")).await.expect(200);
    assert_eq!((shape(&whole).len(), &whole["ultimate_parent"]["label"]), (5, &json!("Far")));
    let teller = app.role_at("teller", "SH");
    let seen = teller.get(&path(&near, "/corporate-tree")).await.expect(200);
    assert_eq!(shape(&seen), [("Top".to_owned(), json!(10_000)), ("Near".to_owned(), json!(7000))]);
    assert_eq!((&seen["ultimate_parent"]["label"], &seen["subsidiary_count"]), (&json!("Top"), &json!(1)));
    assert_eq!(&seen["totals"]["left_out_count"], &json!(0));
    for customer in [&far, &hidden, &beyond] {
        assert!(!seen.to_string().contains(customer["id"].as_str().unwrap()), "{seen}");
    }
}

/// Writes many rows with a statement: `{n}` counts from 1, `{id}` is a new id.
fn many(app: &App, count: i32, values: &str) {
    let (id, day, now) = match app.store.backend() {
        Backend::Sqlite => ("randomblob(16)", "date('1900-01-01', n || ' days')", "0"),
        Backend::Postgres => ("gen_random_uuid()", "(date '1900-01-01' + n)", "now()"),
    };
    let values = values.replace("{id}", id).replace("{day}", day).replace("{now}", now);
    let insert = format!(
        "INSERT INTO relations (id, customer_id, related_customer_id, relation_type, share_bp, valid_from, valid_to, created_at,
         updated_at, version) WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
         SELECT {values}"
    );
    app.store.write_blocking(move |tx| Ok(sql_query(insert.as_str()).execute(&mut tx.db)?)).unwrap();
}

/// The id of a customer, as SQL writes it.
fn literal(app: &App, customer: &Value) -> String {
    let id = customer["id"].as_str().unwrap();
    match app.store.backend() {
        Backend::Sqlite => format!("x'{}'", id.replace('-', "")),
        Backend::Postgres => format!("'{id}'::uuid"),
    }
}

async fn ended_holdings_do_not_hide_those_of_today(app: App) {
    let admin = app.role("administrator");
    let (top, low) = (company(&admin, "Top").await, company(&admin, "Low").await);
    let ids = format!("{{id}}, {}, {}", literal(&app, &top), literal(&app, &low));
    // More than are looked at, and all of them over.
    many(&app, 10_001, &format!("{ids}, 'shareholder', 1, {{day}}, {{day}}, {{now}}, {{now}}, 1 FROM numbers"));
    relate(&admin, &top, "parent_company", &low, json!({})).await.expect(201);
    relate(&admin, &top, "shareholder", &low, json!({ "share_bp": 2500 })).await.expect(201);
    let tree = admin.get(&path(&low, "/corporate-tree")).await.expect(200);
    assert_eq!((&tree["items"][1]["controlled_bp"], &tree["items"][1]["share_bp"]), (&json!(2500), &json!(2500)));
    assert_eq!(tree["truncated"], false);
}

async fn shows_at_most_a_thousand_companies(app: App) {
    let admin = app.role("administrator");
    let top = company(&admin, "Top").await;
    let records: Vec<Value> = (0..1_001)
        .map(|n| json!({ "source_id": n.to_string(), "kind": "corporate", "organisation": { "legal_name": format!("Low {n}") } }))
        .collect();
    for part in records.chunks(500) {
        let part = part.to_vec();
        let made = app.store.write_blocking(move |tx| {
            for new in &part {
                let mut new = new.clone();
                new.as_object_mut().unwrap().remove("source_id");
                create::create(tx, &Actor::system(), serde_json::from_value(new).unwrap())?;
            }
            Ok(())
        });
        made.unwrap();
    }
    let values = format!(
        "{{id}}, {}, c.id, 'parent_company', NULL, {{day}}, NULL, {{now}}, {{now}}, 1 FROM numbers CROSS JOIN customers c
         WHERE c.display_name <> 'Top'",
        literal(&app, &top)
    );
    many(&app, 1, &values);
    let tree = admin.get(&path(&top, "/corporate-tree")).await.expect(200);
    assert_eq!((tree["items"].as_array().unwrap().len(), &tree["truncated"]), (1_000, &json!(true)));
}

async fn refuses_cycles_of_parent_companies(app: App) {
    let admin = app.role("administrator");
    let (a, b, c) = (company(&admin, "A").await, company(&admin, "B").await, company(&admin, "C").await);
    relate(&admin, &a, "parent_company", &b, json!({})).await.expect(201);
    relate(&admin, &c, "subsidiary", &b, json!({})).await.expect(201);
    assert_eq!(relate(&admin, &c, "parent_company", &a, json!({})).await.problem(409), "relation_cycle");
    assert_eq!(relate(&admin, &a, "subsidiary", &c, json!({})).await.problem(409), "relation_cycle");
    assert_eq!(relate(&admin, &a, "parent_company", &c, json!({})).await.problem(409), "parent_company_taken");
    // What ended before is no cycle.
    let past = json!({ "valid_from": "2001-01-01", "valid_to": "2010-01-01" });
    relate(&admin, &c, "parent_company", &a, past).await.expect(201);
}

async fn never_gives_away_more_than_the_whole(app: App) {
    let admin = app.role("administrator");
    let firm = company(&admin, "Firm").await;
    let (one, two) = (person(&admin, "One", None).await, person(&admin, "Two", None).await);
    let stake = |share: i32, from: &str, to: Option<&str>| json!({ "share_bp": share, "valid_from": from, "valid_to": to });
    relate(&admin, &one, "shareholder", &firm, stake(6000, "2020-01-01", Some("2022-01-01"))).await.expect(201);
    let much = stake(4001, "2021-06-01", None);
    assert_eq!(relate(&admin, &two, "shareholder", &firm, much).await.problem(409), "shares_exceeded");
    let after = stake(10_000, "2022-01-01", None);
    relate(&admin, &firm, "holding", &two, after).await.expect(201);
    assert_eq!(relate(&admin, &one, "shareholder", &firm, stake(1, "2023-01-01", None)).await.problem(409), "shares_exceeded");
    relate(&admin, &two, "shareholder", &firm, stake(4000, "2020-01-01", Some("2022-01-01"))).await.expect(201);
}

/// Ten writers at once, each wanting 3,000 basis points: three of them get it.
async fn never_gives_away_more_than_the_whole_to_crossing_writers(app: App) {
    let admin = app.role("administrator");
    let firm: CustomerId = company(&admin, "Firm").await["id"].as_str().unwrap().parse().unwrap();
    let mut owners: Vec<CustomerId> = Vec::new();
    for number in 0..10 {
        owners.push(person(&admin, &format!("Owner {number}"), None).await["id"].as_str().unwrap().parse().unwrap());
    }
    let store = &app.store;
    let results: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = owners
            .into_iter()
            .map(|owner| {
                scope.spawn(move || {
                    store.write_blocking(move |tx| {
                        let new = json!({ "related_customer_id": firm, "type": "shareholder" });
                        let new = NewRelation { share_bp: Some(BasisPoints(3_000)), ..serde_json::from_value(new).unwrap() };
                        relation::create(tx, &Actor::system(), owner, new)
                    })
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
    let refused = |error: &Error| matches!(error, Error::Conflict { code: "shares_exceeded", .. });
    assert!(results.iter().filter_map(|result| result.as_ref().err()).all(refused));
}

async fn shows_the_corporate_tree(app: App) {
    let admin = app.role("administrator");
    let (top, middle, low) = (company(&admin, "Top").await, company(&admin, "Middle").await, company(&admin, "Low").await);
    for (one, other) in [(&top, &middle), (&middle, &low)] {
        relate(&admin, one, "parent_company", other, json!({})).await.expect(201);
        relate(&admin, one, "shareholder", other, json!({ "share_bp": 8000 })).await.expect(201);
    }
    let side = company(&admin, "Side").await;
    relate(&admin, &side, "subsidiary", &top, json!({})).await.expect(201);
    let tree = admin.get(&path(&low, "/corporate-tree")).await.expect(200);
    assert_eq!((&tree["ultimate_parent"]["label"], &tree["subsidiary_count"]), (&json!("Top"), &json!(3)));
    let node =
        |name: &str| tree["items"].as_array().unwrap().iter().find(|node| node["customer"]["label"] == name).unwrap().clone();
    assert_eq!((&node("Low")["depth"], &node("Low")["controlled_bp"]), (&json!(2), &json!(6400)));
    assert_eq!((&node("Side")["share_bp"], &node("Side")["controlled_bp"]), (&Value::Null, &Value::Null));
    let human = person(&admin, "Human", None).await;
    assert_eq!(admin.get(&path(&human, "/corporate-tree")).await.problem(409), "not_an_organisation");
}

async fn adds_up_control_and_totals_of_a_group(app: App) {
    let admin = app.role("administrator");
    let ids = ledger::bank(&admin).await;
    let firm = async |name: &str, branch: &Value| {
        let body = json!({ "kind": "corporate", "home_branch_id": branch, "organisation": { "legal_name": name } });
        admin.post("/v1/customers", body).await.expect(201)
    };
    let (top, left, right, low) = (
        firm("Top", &ids["A"]).await,
        firm("Left", &ids["A"]).await,
        firm("Right", &ids["B"]).await,
        firm("Low", &ids["A"]).await,
    );
    // Of the two that hold Low, only one is a company of the tree; and Low holds a part of Left.
    for (above, below) in [(&top, &left), (&left, &low)] {
        relate(&admin, above, "parent_company", below, json!({})).await.expect(201);
    }
    for (holder, held, share) in
        [(&top, &left, 5000), (&top, &right, 5000), (&left, &low, 5000), (&right, &low, 4000), (&low, &left, 5000)]
    {
        relate(&admin, holder, "shareholder", held, json!({ "share_bp": share })).await.expect(201);
    }
    let tree = admin.get(&path(&low, "/corporate-tree")).await.expect(200);
    let node =
        |name: &str| tree["items"].as_array().unwrap().iter().find(|node| node["customer"]["label"] == name).unwrap().clone();
    // left = 0.5 + 0.5 low, low = 0.5 left + 0.4 · 0.5: left = 0.8, low = 0.6.
    assert_eq!((&node("Left")["controlled_bp"], &node("Low")["controlled_bp"]), (&json!(8000), &json!(6000)), "{tree}");
    assert_eq!((&node("Top")["controlled_bp"], tree["items"].as_array().unwrap().len()), (&json!(10_000), 3));
    assert_eq!((&tree["totals"]["account_count"], &tree["totals"]["customer_count"]), (&json!(0), &json!(3)));

    // 100 of Top's alone, 80 half of Left's and half of a stranger's, 60 that Top and Left share; a loan that Low owes.
    let stranger = ledger::customer(&admin, "Stranger", &ids["A"]).await;
    let id = |customer: &Value| customer["id"].as_str().unwrap().to_owned();
    for (number, balance, owners) in [
        ("6001", "100.00", vec![(id(&top), None)]),
        ("6002", "80.00", vec![(id(&left), Some(5000)), (stranger, Some(5000))]),
        ("6003", "60.00", vec![(id(&top), Some(5000)), (id(&left), Some(5000))]),
    ] {
        let account = ledger::account(&admin, number, "A", balance).await;
        for (place, (owner, share)) in owners.into_iter().enumerate() {
            let mut link = ledger::owner(&account, &owner, place == 0, share);
            link["role"] = json!(if place == 0 { "owner" } else { "joint_owner" });
            admin.post("/v1/account-links", link).await.expect(201);
        }
    }
    let loan = json!({ "source_system": "core", "number": "7001", "product_code": "LOAN", "branch_code": "A", "opened_on": "2020-01-01",
        "balance": { "amount": "500.00", "currency": "CNY" }, "balance_on": "2024-01-31",
        "loan": { "principal": { "amount": "900.00", "currency": "CNY" } } });
    let loan = admin.post("/v1/accounts", loan).await.expect(200)["id"].clone();
    let owes = json!({ "account_id": loan, "customer_id": low["id"], "role": "borrower", "valid_from": "2020-01-01" });
    admin.post("/v1/account-links", owes).await.expect(201);
    let tree = admin.get(&path(&low, "/corporate-tree")).await.expect(200);
    let total = &tree["totals"]["totals"][0];
    let amount = |kind: &str| total[kind]["amount"].as_str().unwrap().to_owned();
    assert_eq!((amount("deposits"), amount("loans"), amount("cards")), ("200.00".into(), "500.00".into(), "0.00".into()));
    assert_eq!((&total["account_count"], &tree["totals"]["left_out_count"]), (&json!(4), &json!(0)));

    // Who sees one branch only is shown its companies and what they have; who may not read accounts is told nothing.
    let below = firm("Below", &ids["B"]).await;
    relate(&admin, &top, "parent_company", &below, json!({})).await.expect(201);
    let teller = app.role_at("teller", "A");
    let seen = teller.get(&path(&low, "/corporate-tree")).await.expect(200);
    assert_eq!((&seen["totals"]["left_out_count"], &seen["totals"]["customer_count"]), (&json!(0), &json!(3)));
    assert_eq!(seen["items"].as_array().unwrap().len(), 3);
    let steward =
        app.token(crate::support::sign(json!({ "sub": "s", "roles": ["teller"], "branch": "A", "scope": "customer.read" })));
    assert_eq!(steward.get(&path(&low, "/corporate-tree")).await.expect(200)["totals"], Value::Null);
}

async fn shows_the_graph_of_relations(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let at = async |name: &str, branch: &str| person(&admin, name, Some(&ids[branch])).await;
    let (a, b, c, d, hidden, beyond) = (
        at("A", "SH").await,
        at("B", "SH").await,
        at("C", "SH").await,
        at("D", "SH").await,
        at("Hidden", "BJ").await,
        at("Beyond", "SH").await,
    );
    // A circle of three, a tail, and somebody who is reached through Beijing only.
    for (one, kind, other) in [
        (&a, "parent", &b),
        (&b, "superior", &c),
        (&c, "key_influencer", &a),
        (&c, "attorney", &d),
        (&a, "spouse", &hidden),
        (&hidden, "parent", &beyond),
    ] {
        relate(&admin, one, kind, other, json!({})).await.expect(201);
    }
    let names = |graph: &Value| -> Vec<String> {
        graph["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| format!("{}{}", node["depth"], node["customer"]["label"].as_str().unwrap()))
            .collect()
    };
    let graph = admin.get(&path(&a, "/relation-graph?depth=2")).await.expect(200);
    let mut seen = names(&graph);
    seen.sort();
    assert_eq!(seen, ["0A", "1B", "1C", "1Hidden", "2Beyond", "2D"]);
    // Relations among those shown, also where none was needed to get there: B to C.
    assert_eq!((graph["edges"].as_array().unwrap().len(), &graph["truncated"]), (6, &json!(false)));
    assert_eq!(names(&admin.get(&path(&a, "/relation-graph?depth=1")).await.expect(200)).len(), 4);
    let near = admin.get(&path(&b, "/relation-graph?depth=1&type=child")).await.expect(200);
    assert_eq!(names(&near), ["0B", "1A"]);
    assert_eq!((&near["edges"][0]["type"], &near["edges"][0]["from"]), (&json!("parent"), &a["id"]));
    assert_eq!(names(&admin.get(&path(&a, "/relation-graph?as_of=2001-01-01")).await.expect(200)), ["0A"]);
    // Out of sight is out of the graph: neither the hidden one nor whoever is behind it.
    let teller = app.role_at("teller", "SH");
    let graph = teller.get(&path(&a, "/relation-graph?depth=4")).await.expect(200);
    let mut seen = names(&graph);
    seen.sort();
    assert_eq!(seen, ["0A", "1B", "1C", "2D"]);
    assert!(!graph.to_string().contains(hidden["id"].as_str().unwrap()));
    assert_eq!(teller.get(&path(&hidden, "/relation-graph")).await.problem(404), "not_found");
    assert_eq!(admin.get(&path(&a, "/relation-graph?depth=5")).await.pointers(400), ["?depth"]);
    let itself = crate::support::sign(json!({ "sub": a["id"], "roles": ["customer_self"], "customer_id": a["id"] }));
    assert_eq!(app.token(itself).get(&path(&a, "/relation-graph")).await.problem(403), "forbidden");
}
