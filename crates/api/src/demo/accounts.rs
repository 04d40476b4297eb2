//! Accounts of a customer and who has which role on them.

use kehu_intake::dispatch::Feed;
use kehu_kernel::Date;
use serde_json::json;

use super::{Records, closing_day, numbers, random::Chance, traffic};

/// Roles beside the owner's that some accounts have; the customer before holds them.
const FURTHER_ROLES: &[&str] =
    &["authorised_signatory", "attorney", "guardian", "guarantor", "beneficiary", "trustee", "contact_person", "other"];

/// Minor units as a decimal amount.
pub(super) fn amount(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", minor.abs() / 100, minor.abs() % 100)
}

fn customer_id(index: u64) -> String {
    format!("C{index:08}")
}

fn opened(chance: &mut Chance) -> Date {
    closing_day().plus_days(-chance.between(200, 4_000))
}

/// A current account with salary and spending; for some a term deposit, cards, a loan, a holding.
pub(super) fn of_person(chance: &mut Chance, index: u64, outlet: &str, records: &mut Records) {
    let number = format!("6217{index:010}01");
    let opened_on = opened(chance);
    let balance = traffic::of_person(chance, &number, records);
    records.core(
        Feed::Accounts,
        json!({ "number": number, "product_code": "CURRENT", "branch_code": outlet, "opened_on": opened_on,
        "balance": amount(balance), "balance_on": closing_day(), "deposit": { "statement_frequency": "monthly" } }),
    );
    owners(chance, index, &number, records);
    if chance.permille(350) {
        let term = format!("6217{index:010}02");
        let value = chance.between(10, 900) * 100_000;
        records.core(
            Feed::Accounts,
            json!({ "number": term, "product_code": "TERM-12", "branch_code": outlet, "opened_on": opened_on,
            "matures_on": closing_day().plus_days(chance.between(5, 360)), "balance": amount(value), "balance_on": closing_day(),
            "deposit": { "term_months": 12, "rate_bp": 145 } }),
        );
        link(index, &term, "owner", records);
    }
    if chance.permille(400) {
        card(chance, index, &number, outlet, records);
    }
    if chance.permille(150) {
        let product = chance.word(&["MORTGAGE", "CONSUMER-LOAN"]);
        loan(chance, index, &number, outlet, product, records);
    }
    if chance.permille(100) {
        holding(chance, index, outlet, records);
    }
}

/// A current account with payments; for some a credit line.
pub(super) fn of_organisation(chance: &mut Chance, index: u64, outlet: &str, records: &mut Records) {
    let number = format!("3100{index:010}01");
    let balance = traffic::of_organisation(chance, &number, records);
    records.core(Feed::Accounts, json!({ "number": number, "product_code": "CORP-CURRENT", "branch_code": outlet,
        "opened_on": opened(chance), "balance": amount(balance), "balance_on": closing_day(), "deposit": { "statement_frequency": "weekly" } }));
    link(index, &number, "owner", records);
    if let Some(before) = index.checked_sub(1) {
        let signer = json!({ "account_number": number, "customer_source_id": customer_id(before), "role": "authorised_signatory",
            "signing_rule": "any", "evidence": "signature card" });
        records.core(Feed::AccountLinks, signer);
        if chance.permille(100) {
            let owner = json!({ "account_number": number, "customer_source_id": customer_id(before), "role": "ultimate_beneficial_owner" });
            records.core(Feed::AccountLinks, owner);
        }
    }
    if chance.permille(300) {
        loan(chance, index, &number, outlet, "WORKING-CAPITAL", records);
    }
}

/// The owner alone, or together with the customer before; for some a further role.
fn owners(chance: &mut Chance, index: u64, number: &str, records: &mut Records) {
    let before = index.checked_sub(1);
    let joint = chance.permille(60);
    let share = if joint && before.is_some() { 5_000 } else { 10_000 };
    records.core(
        Feed::AccountLinks,
        json!({ "account_number": number, "customer_source_id": customer_id(index), "role": "owner",
        "share_bp": share, "primary": true }),
    );
    let Some(before) = before else { return };
    if joint {
        records.core(
            Feed::AccountLinks,
            json!({ "account_number": number, "customer_source_id": customer_id(before),
            "role": "joint_owner", "share_bp": 5_000, "signing_rule": "any" }),
        );
    } else if chance.permille(80) {
        let role = chance.word(FURTHER_ROLES);
        records.core(
            Feed::AccountLinks,
            json!({ "account_number": number, "customer_source_id": customer_id(before), "role": role }),
        );
    }
}

fn link(index: u64, number: &str, role: &str, records: &mut Records) {
    let primary = role == "owner";
    let share = primary.then_some(10_000);
    records.core(
        Feed::AccountLinks,
        json!({ "account_number": number, "customer_source_id": customer_id(index), "role": role,
        "share_bp": share, "primary": primary }),
    );
}

fn card(chance: &mut Chance, index: u64, parent: &str, outlet: &str, records: &mut Records) {
    let number = format!("CARD{index:010}");
    let credit = chance.permille(450);
    records.core(
        Feed::Accounts,
        json!({ "number": number, "product_code": if credit { "CREDIT-CARD" } else { "DEBIT-CARD" },
        "branch_code": outlet, "parent_number": parent, "opened_on": opened(chance),
        "credit_limit": credit.then(|| amount(chance.between(5, 100) * 100_000)),
        "card": { "kind": if credit { "credit" } else { "debit" }, "number": numbers::card_number(chance),
            "expires_on": closing_day().plus_days(chance.between(30, 1_800)).month_end() } }),
    );
    link(index, &number, "owner", records);
    if let (true, Some(before)) = (chance.permille(120), index.checked_sub(1)) {
        records.core(
            Feed::AccountLinks,
            json!({ "account_number": number, "customer_source_id": customer_id(before),
            "role": "supplementary_card_holder" }),
        );
    }
}

fn loan(chance: &mut Chance, index: u64, parent: &str, outlet: &str, product: &str, records: &mut Records) {
    let number = format!("LOAN{index:010}");
    let principal = chance.between(20, 3_000) * 100_000;
    let owed = principal * chance.between(5, 100) / 100;
    let state = chance.word(&["performing", "performing", "performing", "performing", "overdue"]);
    records.core(Feed::Accounts, json!({ "number": number, "product_code": product, "branch_code": outlet, "parent_number": parent,
        "opened_on": opened(chance), "next_repayment_on": closing_day().plus_days(chance.between(1, 31)),
        "matures_on": closing_day().plus_days(chance.between(60, 7_000)), "balance": amount(-owed), "balance_on": closing_day(),
        "loan": { "principal": amount(principal), "term_months": chance.between(12, 360), "rate_bp": chance.between(280, 720),
            "payment": amount(principal / 120), "overdue": (state == "overdue").then(|| amount(principal / 120)), "repayment_state": state } }));
    link(index, &number, "borrower", records);
    if let (true, Some(before)) = (chance.permille(150), index.checked_sub(1)) {
        let role = if chance.permille(500) { "guarantor" } else { "co_borrower" };
        records.core(
            Feed::AccountLinks,
            json!({ "account_number": number, "customer_source_id": customer_id(before), "role": role }),
        );
    }
}

fn holding(chance: &mut Chance, index: u64, outlet: &str, records: &mut Records) {
    let number = format!("FUND{index:010}");
    let product = chance.word(&["MONEY-FUND", "BOND-FUND", "WEALTH-90"]);
    let units = chance.between(1_000, 200_000);
    records.core(Feed::Accounts, json!({ "number": number, "product_code": product, "branch_code": outlet, "opened_on": opened(chance),
        "next_dividend_on": closing_day().plus_days(chance.between(1, 90)), "balance": amount(units * 104), "balance_on": closing_day(),
        "holding": { "instrument": product, "units": units.to_string(), "market_value": amount(units * 104), "valued_on": closing_day() } }));
    link(index, &number, "owner", records);
}
