//! `/v1/segmentation-evaluations`

use serde_json::{Value, json};

use crate::{
    both_databases,
    group::{group, join},
    support::{
        App, Client,
        bank::at,
        customers::{branches, path, person},
        ledger,
    },
};

both_databases!(
    a_merge_is_judged_by_three_rules,
    a_split_is_judged_by_income_when_nothing_else_is_known,
    equal_sides_are_indifferent,
    refuses_what_cannot_be_evaluated,
    what_came_out_is_compared_with_the_forecast,
    fills_in_what_is_held,
    is_found_by_what_it_is,
    keeps_exact_amounts
);

fn item(side: &str, category: &str, line: &str, before: &str, after: &str) -> Value {
    json!({ "side": side, "category": category, "line": line, "before": before, "after": after })
}

fn measure(category: &str, line: &str, before: &str, after: &str, worth: &str) -> Value {
    json!({ "side": "benefit", "category": category, "line": line, "before": before, "after": after, "money_per_unit": worth })
}

/// A forecast of a merge of two groups.
pub fn merge_of(one: &Value, other: &Value, items: Value) -> Value {
    json!({ "kind": "merge", "phase": "forecast", "purpose": "one plan for both", "source_groups": [one["id"], other["id"]],
        "target_groups": [{ "group_id": one["id"] }], "currency": "CNY", "horizon_months": 12, "items": items })
}

/// A forecast of a split of a group.
pub fn split_of(group: &Value, items: Value) -> Value {
    json!({ "kind": "split", "phase": "forecast", "purpose": "a plan for each", "source_groups": [group["id"]],
        "target_groups": [{ "name": "Savers" }, { "name": "Borrowers" }], "currency": "CNY", "horizon_months": 12, "items": items })
}

/// Lines by which a split pays.
pub fn paying() -> Value {
    json!([item("benefit", "sales", "net_income", "1000", "1500"), item("cost", "marketing", "plan", "100", "300")])
}

/// Lines by which a merge pays.
pub fn saving() -> Value {
    json!([item("benefit", "sales", "net_income", "1500", "1400"), item("cost", "marketing", "plan", "300", "100")])
}

async fn evaluate(client: &Client<'_>, body: Value) -> Value {
    client.post("/v1/segmentation-evaluations", body).await.expect(201)
}

fn rules(made: &Value) -> Vec<(i64, bool, Value, Value)> {
    let of = |rule: &Value| {
        let side = |name: &str| rule[name]["amount"].clone();
        (rule["id"].as_i64().unwrap(), rule["fired"].as_bool().unwrap(), side("left"), side("right"))
    };
    made["result"]["rules"].as_array().unwrap().iter().map(of).collect()
}

async fn a_merge_is_judged_by_three_rules(app: App) {
    let admin = app.role("administrator");
    let (one, other) = (group(&admin, "One", "static").await, group(&admin, "Other", "static").await);
    let items = json!([
        item("benefit", "sales", "net_income", "1000.00", "700.00"),
        item("benefit", "sales", "sales_amount", "90000", "1"),
        measure("customer", "loyalty", "80", "40", "10"),
        item("cost", "service", "one_stop", "800", "300"),
    ]);
    let mut body = merge_of(&one, &other, items);
    body["limiting_factors"] = json!(["staff of two branches"]);
    let answer = admin.post("/v1/segmentation-evaluations", body).await;
    let location = answer.header("location").unwrap();
    let made = answer.expect(201);
    assert_eq!(admin.get(&location).await.expect(200), made);
    assert_eq!((&made["decision"], &made["result"]["basis"]), (&json!("do_not_merge"), &json!("composite")));
    assert_eq!(
        rules(&made),
        [
            (1, true, json!("300.00"), json!("500.00")),
            (2, false, json!("700.00"), json!("500.00")),
            (3, true, json!("500.00"), json!("700.00")),
        ]
    );
    let totals = &made["result"]["totals"];
    assert_eq!((&totals["net"]["amount"], &totals["composite"]["change"]["amount"]), (&json!("-200.00"), &json!("-700.00")));
    assert_eq!(totals["income"]["before"], json!({ "amount": "1000.00", "currency": "CNY" }));
    let even = &made["result"]["break_even"];
    assert_eq!((&even["benefit_change"]["amount"], &even["margin"]["amount"]), (&json!("-500.00"), &json!("-200.00")));
    assert_eq!(even["margin_bp"], -2_857);
    let steps = made["result"]["explanation"]["steps"].to_string();
    assert!(steps.contains("income alone would have decided otherwise"), "{steps}");
    // A tenth of a line that counts, up and down; turnover does not count.
    let sensitivity = made["result"]["sensitivity"].as_array().unwrap();
    assert_eq!(sensitivity.len(), 6);
    assert!(sensitivity.iter().all(|entry| entry["line"] != "sales_amount" && entry["turns"] == false));
    assert_eq!((&made["limiting_factors"], &made["purpose"]), (&json!(["staff of two branches"]), &json!("one plan for both")));
    assert_eq!(made["source_groups"][1], json!({ "group_id": other["id"], "name": "Other" }));
}

async fn a_split_is_judged_by_income_when_nothing_else_is_known(app: App) {
    let admin = app.role("administrator");
    let one = group(&admin, "One", "static").await;
    let made = evaluate(&admin, split_of(&one, paying())).await;
    assert_eq!((&made["decision"], &made["result"]["basis"]), (&json!("split"), &json!("income_only")));
    assert_eq!(
        rules(&made),
        [
            (1, true, json!("500.00"), json!("200.00")),
            (2, false, Value::Null, json!("200.00")),
            (3, false, json!("200.00"), Value::Null),
        ]
    );
    assert_eq!(made["target_groups"], json!([{ "group_id": null, "name": "Savers" }, { "group_id": null, "name": "Borrowers" }]));
    let turned: Vec<&Value> =
        made["result"]["sensitivity"].as_array().unwrap().iter().filter(|entry| entry["turns"] == true).collect();
    assert!(turned.is_empty());
    let close = json!([item("benefit", "sales", "net_income", "1000", "1300"), item("cost", "sales", "staff", "300", "500")]);
    let made = evaluate(&admin, split_of(&one, close)).await;
    let turned: Vec<&Value> =
        made["result"]["sensitivity"].as_array().unwrap().iter().filter(|entry| entry["turns"] == true).collect();
    assert_eq!(turned.len(), 1);
    assert_eq!((&turned[0]["change_bp"], &turned[0]["decision"]), (&json!(-1_000), &json!("do_not_split")));
    assert_eq!(turned[0]["break_even_after"]["amount"], "1200.00");
}

async fn equal_sides_are_indifferent(app: App) {
    let admin = app.role("administrator");
    let (one, other) = (group(&admin, "One", "static").await, group(&admin, "Other", "static").await);
    let lines = |income: &str| {
        json!([
            item("benefit", "sales", "net_income", "1000", income),
            measure("market", "effective_share", "500", "450", "4"),
            item("cost", "management", "management_cost", "800", "300"),
        ])
    };
    let made = evaluate(&admin, merge_of(&one, &other, lines("700"))).await;
    assert_eq!(
        (&made["decision"], rules(&made).iter().map(|rule| rule.1).collect::<Vec<_>>()),
        (&json!("indifferent"), vec![true, false, false])
    );
    assert_eq!(evaluate(&admin, merge_of(&one, &other, lines("700.01"))).await["decision"], "merge");
    assert_eq!(evaluate(&admin, merge_of(&one, &other, lines("699.99"))).await["decision"], "do_not_merge");
}

async fn refuses_what_cannot_be_evaluated(app: App) {
    let admin = app.role("administrator");
    let (one, other) = (group(&admin, "One", "static").await, group(&admin, "Other", "static").await);
    let income = item("benefit", "sales", "net_income", "1", "2");
    let cost = item("cost", "sales", "staff", "1", "2");
    let split = |items: Value| split_of(&one, items);
    let with = |field: &str, value: Value| {
        let mut body = split(json!([income, cost]));
        body[field] = value;
        body
    };
    let without = |field: &str| {
        let mut body = split(json!([income, cost]));
        body.as_object_mut().unwrap().remove(field);
        body
    };
    let nobody = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (wrong, pointer) in [
        (without("purpose"), "/purpose"),
        (with("purpose", json!(" ")), "/purpose"),
        (split(json!([income, item("cost", "customer", "loyalty", "1", "2")])), "/items/1/line"),
        (split(json!([income, cost, cost])), "/items/2/line"),
        (split(json!([income, cost, item("benefit", "customer", "loyalty", "1", "2")])), "/items/2/money_per_unit"),
        (split(json!([income, item("benefit", "sales", "sales_amount", "1", "2")])), "/items"),
        (split(json!([cost, item("benefit", "sales", "sales_amount", "1", "2")])), "/items"),
        (split(json!([income, cost, measure("sales", "sales_amount", "1", "2", "0.1")])), "/items"),
        (split(json!([income, item("cost", "sales", "staff", "1", "2.00001")])), "/items/1/after"),
        (
            split(json!([income, { "side": "cost", "category": "sales", "line": "staff", "before": 1, "after": "2" }])),
            "/items/1/before",
        ),
        (split(json!([income])), "/items"),
        (with("horizon_months", json!(0)), "/horizon_months"),
        (with("source_groups", json!([nobody])), "/source_groups/0"),
        (with("source_groups", json!([one["id"], other["id"]])), "/source_groups"),
        (with("target_groups", json!([{ "group_id": nobody }])), "/target_groups/0"),
        (with("target_groups", json!([{}])), "/target_groups/0"),
        (with("forecast_id", json!(nobody)), "/forecast_id"),
        (with("phase", json!("actual")), "/forecast_id"),
        (with("currency", json!("XYZ1")), "/currency"),
    ] {
        assert_eq!(admin.post("/v1/segmentation-evaluations", wrong).await.pointers(422), [pointer]);
    }
    let mut alone = merge_of(&one, &other, saving());
    alone["source_groups"] = json!([one["id"]]);
    assert_eq!(admin.post("/v1/segmentation-evaluations", alone).await.pointers(422), ["/source_groups"]);
    assert_eq!(admin.get("/v1/segmentation-evaluations?include_total=true").await.expect(200)["total"], 0);
    assert_eq!(app.role("analyst").post("/v1/segmentation-evaluations", split(paying())).await.problem(403), "forbidden");
    assert_eq!(admin.get(&format!("/v1/segmentation-evaluations/{nobody}")).await.problem(404), "not_found");
}

async fn what_came_out_is_compared_with_the_forecast(app: App) {
    let admin = app.role("administrator");
    let (one, other) = (group(&admin, "One", "static").await, group(&admin, "Other", "static").await);
    let forecast = evaluate(&admin, split_of(&one, paying())).await;
    let actual = |items: Value| {
        let mut body = split_of(&one, items);
        (body["phase"], body["forecast_id"]) = (json!("actual"), forecast["id"].clone());
        body
    };
    assert_eq!((&forecast["result"]["variance"], &forecast["result"]["follow_up"]), (&json!([]), &Value::Null));
    let same = evaluate(&admin, actual(paying())).await;
    assert_eq!((&same["result"]["follow_up"], &same["forecast_id"]), (&Value::Null, &forecast["id"]));
    let less = json!([item("benefit", "sales", "net_income", "1000", "1400"), item("cost", "marketing", "plan", "100", "300")]);
    let less = evaluate(&admin, actual(less)).await;
    assert_eq!((&less["decision"], &less["result"]["follow_up"]), (&json!("split"), &json!("correct_estimate")));
    let line = &less["result"]["variance"][0];
    assert_eq!((&line["line"], &line["forecast_change"]["amount"]), (&json!("net_income"), &json!("500.00")));
    assert_eq!((&line["actual_change"]["amount"], &line["variance"]["amount"]), (&json!("400.00"), &json!("-100.00")));
    assert_eq!(line["variance_bp"], -2_000);
    let loss = json!([
        item("benefit", "sales", "net_income", "1000", "1100"),
        item("cost", "marketing", "plan", "100", "300"),
        item("cost", "service", "visit", "0", "50")
    ]);
    let loss = evaluate(&admin, actual(loss)).await;
    assert_eq!((&loss["decision"], &loss["result"]["follow_up"]), (&json!("do_not_split"), &json!("re_merge")));
    let surprise = &loss["result"]["variance"][2];
    assert_eq!((&surprise["forecast_change"], &surprise["variance"]["amount"]), (&Value::Null, &json!("50.00")));
    // What is compared has to be the same step.
    let mut another = actual(paying());
    (another["currency"], another["horizon_months"], another["source_groups"]) = (json!("EUR"), json!(6), json!([other["id"]]));
    let pointers = admin.post("/v1/segmentation-evaluations", another).await.pointers(422);
    assert_eq!(pointers, ["/currency", "/horizon_months", "/source_groups"]);
    let mut of_actual = actual(paying());
    of_actual["forecast_id"] = same["id"].clone();
    assert_eq!(admin.post("/v1/segmentation-evaluations", of_actual).await.pointers(422), ["/forecast_id"]);
    let forecasts = format!("/v1/segmentation-evaluations?forecast_id={}", forecast["id"].as_str().unwrap());
    assert_eq!(admin.get(&forecasts).await.expect(200)["items"].as_array().unwrap().len(), 3);
}

async fn fills_in_what_is_held(app: App) {
    let admin = app.role("administrator");
    let ids = branches(&admin).await;
    let money = |amount: &str| json!({ "amount": amount, "currency": "CNY" });
    for (code, revenue, cost) in [("SAV", Some("120.00"), Some("30.00")), ("LOAN", Some("600.00"), None), ("CARD", None, None)] {
        let category = match code {
            "LOAN" => "loan",
            "CARD" => "card",
            _ => "deposit",
        };
        let product = json!({ "code": code, "name": code, "category": category, "currency": "CNY",
            "unit_revenue": revenue.map(money), "unit_cost": cost.map(money) });
        admin.post("/v1/products", product).await.expect(201);
    }
    let (near, far) = (person(&admin, "Near", Some(&ids["SH"])).await, person(&admin, "Far", Some(&ids["BJ"])).await);
    let (savers, borrowers) = (group(&admin, "Savers", "static").await, group(&admin, "Borrowers", "static").await);
    join(&admin, &savers, &[&near, &far]).await;
    join(&admin, &borrowers, &[&near]).await;
    let text = |customer: &Value| customer["id"].as_str().unwrap().to_owned();
    let shared = ledger::account(&admin, "6222000000000001", "SH", "10.00").await;
    admin.post("/v1/account-links", ledger::owner(&shared, &text(&near), true, None)).await.expect(201);
    admin.post("/v1/account-links", ledger::owner(&shared, &text(&far), false, None)).await.expect(201);
    let own = ledger::account(&admin, "6222000000000002", "BJ", "10.00").await;
    admin.post("/v1/account-links", ledger::owner(&own, &text(&far), true, None)).await.expect(201);
    let strange = ledger::account(&admin, "6222000000000003", "BJ", "10.00").await;
    let card = json!({ "source_system": "core", "number": "6222000000000004", "product_code": "CARD", "branch_code": "BJ",
        "opened_on": "2020-01-01", "card": { "kind": "debit" } });
    let card = ledger::text(&admin.post("/v1/accounts", card).await.expect(200)["id"]);
    admin.post("/v1/account-links", ledger::owner(&card, &text(&far), true, None)).await.expect(201);
    assert!(!strange.is_empty());
    let wanted = json!({ "source_groups": [savers["id"], borrowers["id"]], "currency": "CNY", "horizon_months": 18 });
    let found = admin.post("/v1/segmentation-evaluations/prefill", wanted.clone()).await.expect(200);
    assert_eq!((&found["customer_count"], &found["account_count"]), (&json!(2), &json!(3)));
    let lines: Vec<(&Value, &Value, &Value, &Value)> = found["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (&item["line"], &item["before"], &item["account_count"], &item["unknown_account_count"]))
        .collect();
    // Two savings accounts over a year and a half.
    assert_eq!(
        lines,
        [
            (&json!("net_income"), &json!("360"), &json!(2), &json!(1)),
            (&json!("product_service"), &json!("90"), &json!(2), &json!(1)),
        ]
    );
    let left_out = found["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 30);
    assert!(left_out.iter().all(|item| item["reason"].as_str().unwrap().starts_with("Kehu holds no facts")));
    assert_eq!(found["explanation"]["steps"].as_array().unwrap().len(), 2);
    // As far as the caller sees the customers.
    let marketer = app.role_at("marketer", "SH");
    let seen = marketer.post("/v1/segmentation-evaluations/prefill", wanted.clone()).await.expect(200);
    assert_eq!((&seen["customer_count"], &seen["account_count"]), (&json!(1), &json!(1)));
    let mut foreign = wanted.clone();
    foreign["currency"] = json!("EUR");
    let none = admin.post("/v1/segmentation-evaluations/prefill", foreign).await.expect(200);
    assert_eq!((&none["items"], none["left_out"].as_array().unwrap().len()), (&json!([]), 32));
    assert!(none["left_out"].to_string().contains("says in this currency what an account earns"));
    let unknown = json!({ "source_groups": ["01890a5d-ac96-774b-bcce-b302099a8057"], "currency": "CNY", "horizon_months": 1 });
    assert_eq!(admin.post("/v1/segmentation-evaluations/prefill", unknown).await.pointers(422), ["/source_groups/0"]);
    assert!(admin.get(&path(&near, "")).await.status == 200 && admin.get(&at("groups", &savers)).await.status == 200);
}

async fn is_found_by_what_it_is(app: App) {
    let admin = app.role("administrator");
    let (one, other) = (group(&admin, "One", "static").await, group(&admin, "Other", "static").await);
    let split = evaluate(&admin, split_of(&one, paying())).await;
    let merge = evaluate(&admin, merge_of(&one, &other, saving())).await;
    let found = async |filter: &str| -> Vec<Value> {
        let page = admin.get(&format!("/v1/segmentation-evaluations?include_total=true&{filter}")).await.expect(200);
        let items: Vec<Value> = page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        assert_eq!(page["total"], items.len());
        items
    };
    assert_eq!(found("").await, [merge["id"].clone(), split["id"].clone()]);
    assert_eq!(found("kind=split").await, [split["id"].clone()]);
    assert_eq!(found("decision=merge&phase=forecast").await, [merge["id"].clone()]);
    assert_eq!(found("phase=actual").await, Vec::<Value>::new());
    assert_eq!(found(&format!("source_group_id={}", one["id"].as_str().unwrap())).await.len(), 2);
    assert_eq!(found(&format!("source_group_id={}", other["id"].as_str().unwrap())).await, [merge["id"].clone()]);
}

/// Sums stay exact where floating-point numbers would not.
async fn keeps_exact_amounts(app: App) {
    let admin = app.role("administrator");
    let one = group(&admin, "One", "static").await;
    let items = json!([
        item("benefit", "sales", "net_income", "0.1", "99999999999.99"),
        measure("customer", "satisfaction", "0", "3", "0.005"),
        item("cost", "sales", "staff", "0", "99999999999.91"),
    ]);
    let made = evaluate(&admin, split_of(&one, items)).await;
    // 99999999999.89 + 0.02 (half a cent goes away from zero) against 99999999999.91.
    assert_eq!((&made["decision"], &made["result"]["totals"]["net"]["amount"]), (&json!("indifferent"), &json!("0.00")));
    let mut yen =
        split_of(&one, json!([item("benefit", "sales", "net_income", "0", "10.5"), item("cost", "sales", "staff", "0", "10.4")]));
    yen["currency"] = json!("JPY");
    let made = evaluate(&admin, yen).await;
    assert_eq!(made["result"]["totals"]["net"], json!({ "amount": "1", "currency": "JPY" }));
}
