//! Transactions: salary days, rent, spending with its seasons.

use kehu_intake::dispatch::Feed;
use kehu_kernel::Date;
use serde_json::json;

use super::{Records, accounts::amount, closing_day, random::Chance};

/// How many months before the closing day have transactions.
const MONTHS: i64 = 2;

/// What is spent on, how, and through which channel.
const SPENDING: &[(&str, &str)] = &[
    ("groceries", "mobile"),
    ("restaurant", "mobile"),
    ("transport", "mobile"),
    ("shopping", "online"),
    ("shopping", "pos"),
    ("cash", "atm"),
    ("cash", "counter"),
    ("utilities", "batch"),
];

/// A running account whose transactions are numbered.
struct Ledger<'a> {
    number: &'a str,
    balance: i64,
    count: u32,
    records: &'a mut Records,
}

impl Ledger<'_> {
    fn book(&mut self, day: Date, minor: i64, purpose: &str, channel: &str) {
        self.balance += minor;
        self.count += 1;
        self.records.core(Feed::Transactions, json!({
            "source_id": booking(self.number, self.count), "account_number": self.number, "booked_on": day,
            "direction": if minor < 0 { "debit" } else { "credit" }, "amount": amount(minor.abs()), "transaction_type": "transfer",
            "channel": channel, "purpose": purpose, "balance_after": amount(self.balance),
        }));
    }
}

/// The id of a booking: one for each, and without the number of the account, which few may see in full.
fn booking(number: &str, count: u32) -> String {
    let digits: u64 = number.parse().unwrap_or_default();
    format!("T{:016X}-{count}", digits.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// First day of the month so many months before the closing day's.
fn month(back: i64) -> Date {
    (0..back).fold(closing_day().month_start(), |first, _| first.plus_days(-1).month_start())
}

/// Salary on the 10th or 15th, rent on the 1st, spending all along and more of it before holidays.
/// Returns the balance at the end.
pub(super) fn of_person(chance: &mut Chance, number: &str, records: &mut Records) -> i64 {
    let salary = chance.between(35, 300) * 10_000;
    let payday = if chance.permille(600) { 9 } else { 14 };
    let rent = chance.permille(400).then_some(salary / 4);
    let mut ledger = Ledger { number, balance: chance.between(1, 60) * 100_000, count: 0, records };
    for back in (0..MONTHS).rev() {
        let first = month(back);
        if let Some(rent) = rent {
            ledger.book(first, -rent, "rent", "online");
        }
        ledger.book(first.plus_days(payday), salary, "salary", "batch");
        // The 18th of June is a day of sales; the last two weeks before it see twice the spending.
        let season = if first == month(0) { 9 } else { 6 };
        for _ in 0..chance.between(4, season + 3) {
            let (purpose, channel) = chance.pick(SPENDING).copied().unwrap_or(("other", "other"));
            let day = first.plus_days(chance.between(0, 30));
            ledger.book(day.min(first.month_end()), -chance.between(500, salary / 8), purpose, channel);
        }
    }
    ledger.balance
}

/// Invoices paid and received, wages on the 10th. Returns the balance at the end.
pub(super) fn of_organisation(chance: &mut Chance, number: &str, records: &mut Records) -> i64 {
    let turnover = chance.between(5, 400) * 1_000_000;
    let mut ledger = Ledger { number, balance: turnover * 3, count: 0, records };
    for back in (0..MONTHS).rev() {
        let first = month(back);
        ledger.book(first.plus_days(9), -turnover / 5, "wages", "batch");
        for _ in 0..chance.between(3, 9) {
            let day = first.plus_days(chance.between(0, 28));
            let minor = chance.between(turnover / 100, turnover / 4);
            let sells = chance.permille(550);
            ledger.book(
                day,
                if sells { minor } else { -minor },
                if sells { "invoice received" } else { "invoice paid" },
                "online",
            );
        }
    }
    ledger.balance
}
