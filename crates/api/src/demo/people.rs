//! Customers: people, firms and public bodies, and the duplicates that bad typing makes of some.

use kehu_intake::dispatch::Feed;
use kehu_kernel::Date;
use serde_json::{Value, json};

use super::{Records, Truth, accounts, bank::Bank, names, numbers, random::Chance, typo};

const OCCUPATIONS: &[&str] = &["教师", "工程师", "医生", "公务员", "个体经营", "会计", "司机", "销售", "学生", "退休"];
const INCOME_BANDS: &[&str] = &["under_60k", "60k_to_120k", "120k_to_240k", "240k_to_500k", "over_500k"];
const INDUSTRIES: &[&str] = &["C34", "F51", "G54", "I65", "J66", "E47", "C14", "Q84"];

/// Adds the `index`-th customer with its accounts; hands back the duplicate that it has, if it has one.
pub(super) fn customer(bank: &Bank, seed: u64, index: u64, records: &mut Records) -> Option<Truth> {
    let mut chance = Chance::of(seed, 0, index);
    let outlet = chance.pick(bank.outlets()).cloned().unwrap_or_default();
    let source_id = format!("C{index:08}");
    match chance.weighted(&[880, 100, 20]) {
        0 => {
            let record = person(&mut chance, &source_id, &outlet);
            let twin = chance.permille(30).then(|| duplicate(&mut chance, index, &record));
            records.core(Feed::Customers, record);
            accounts::of_person(&mut chance, index, &outlet, records);
            twin.map(|record| {
                let truth = (format!("core:{source_id}"), format!("card:{}", twin_id(index)));
                records.add("card", Feed::Customers, record);
                truth
            })
        }
        kind => {
            records.core(Feed::Customers, organisation(&mut chance, &source_id, &outlet, kind == 2));
            accounts::of_organisation(&mut chance, index, &outlet, records);
            None
        }
    }
}

fn birthday(chance: &mut Chance) -> Date {
    // Most are of working age; few are very old.
    let age_days = 18 * 365 + chance.between(0, 42 * 365).max(chance.between(0, 20 * 365));
    super::closing_day().plus_days(-age_days)
}

fn person(chance: &mut Chance, source_id: &str, outlet: &str) -> Value {
    let female = chance.permille(505);
    let latin = chance.permille(30);
    let name = names::person(chance, female, latin);
    let born = birthday(chance);
    let identity = if latin {
        let number = format!("{}{}", chance.word(&["E", "P", "AB"]), chance.digits(7));
        json!({ "type": "passport", "number": number, "issuing_country": chance.word(&["CZ", "GB", "DE", "US", "JP", "KR", "BR"]) })
    } else {
        let number = numbers::resident_id(chance, born, female);
        json!({ "type": "resident_id", "number": number, "issuing_country": "CN", "verification": { "state": "verified", "method": "chip read at the counter" } })
    };
    let mut contacts = vec![json!({ "kind": "phone", "value": numbers::mobile(chance), "label": "mobile", "preferred": true })];
    if chance.permille(550) {
        contacts.push(json!({ "kind": "email", "value": format!("{}{}@example.com", chance.word(&["user", "mail", "hello"]), chance.digits(8)) }));
    }
    if chance.permille(700) {
        contacts.push(json!({ "kind": "postal_address", "label": "home", "country": "CN", "city": chance.word(&["上海市", "北京市", "杭州市", "苏州市", "深圳市", "成都市"]),
            "street": format!("{}{}号{}室", chance.word(&["人民路", "中山路", "解放路", "建设路", "世纪大道", "文化路"]), chance.between(1, 900), chance.between(101, 2405)) }));
    }
    json!({
        "source_id": source_id, "kind": "personal", "branch_code": outlet, "full_name": name.full, "family_name": name.family,
        "given_name": name.given, "gender": if female { "female" } else { "male" }, "birth_date": born,
        "nationality": if latin { Value::Null } else { json!("CN") },
        "marital_status": chance.word(&["single", "married", "married", "divorced"]), "occupation": chance.word(OCCUPATIONS),
        "education": chance.word(&["secondary", "vocational", "bachelor", "bachelor", "master"]),
        "income_band": chance.word(INCOME_BANDS), "risk_tolerance": chance.word(&["conservative", "cautious", "balanced", "growth"]),
        "identities": [identity], "contact_points": contacts,
    })
}

/// Id of a customer's duplicate in the card system.
fn twin_id(index: u64) -> String {
    format!("K{index:08}")
}

/// The same person as the card system knows it: mistyped, and mostly without the document that would tell.
fn duplicate(chance: &mut Chance, index: u64, original: &Value) -> Value {
    let mut twin = original.clone();
    let Some(fields) = twin.as_object_mut() else { return twin };
    fields.insert("source_id".into(), json!(twin_id(index)));
    let known_by_document = chance.permille(250);
    if !known_by_document {
        fields.insert("identities".into(), json!([]));
    }
    let wrong = match chance.weighted(&[4, 3, 2]) {
        0 => "full_name",
        1 => "birth_date",
        _ => "phone",
    };
    match wrong {
        "full_name" => {
            let name = typo::mistype(chance, original.get("full_name").and_then(Value::as_str).unwrap_or_default());
            fields.insert("full_name".into(), json!(name));
            fields.shift_remove("family_name");
            fields.shift_remove("given_name");
        }
        "birth_date" if !known_by_document => {
            let born: Option<Date> = original.get("birth_date").and_then(Value::as_str).and_then(|text| text.parse().ok());
            fields.insert("birth_date".into(), json!(born.map(|date| date.plus_days(chance.between(-9, 10)))));
        }
        _ => {
            fields.insert(
                "contact_points".into(),
                json!([{ "kind": "phone", "value": numbers::mobile(chance), "label": "mobile" }]),
            );
        }
    }
    twin
}

fn organisation(chance: &mut Chance, source_id: &str, outlet: &str, government: bool) -> Value {
    let (legal, short) = if government { names::office(chance) } else { names::firm(chance) };
    let code = numbers::credit_code(chance, government);
    let phone =
        format!("{}-{}", chance.word(&["021", "010", "0571", "0512", "0755", "028"]), chance.digits(8).replace(['0', '1'], "6"));
    let years = chance.between(365, 30 * 365);
    json!({
        "source_id": source_id, "kind": if government { "government" } else { "corporate" }, "branch_code": outlet,
        "legal_name": legal, "short_name": short, "unified_social_credit_code": code,
        "founded_on": super::closing_day().plus_days(-years), "industry": chance.word(INDUSTRIES),
        "employees": chance.between(3, 900),
        "identities": [{ "type": "unified_social_credit_code", "number": code, "issuing_country": "CN",
            "verification": { "state": "verified", "method": "register extract" } }],
        "contact_points": [{ "kind": "phone", "value": phone, "label": "switchboard" }],
    })
}
