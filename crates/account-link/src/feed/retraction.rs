//! How products, accounts, links, standing orders and transactions that an import brought are taken back.

use kehu_kernel::retraction::{Dependant, Retraction};

/// Products.
pub const PRODUCTS: Retraction = Retraction {
    table: "products",
    event: Some("product.retracted"),
    dependants: &[Dependant::all("accounts", "product_id")],
    before: &[],
    parts: &[("product_rates", "product_id")],
};

/// Accounts, with their facts, balances and sums.
pub const ACCOUNTS: Retraction = Retraction {
    table: "accounts",
    event: Some("account.retracted"),
    dependants: &[
        Dependant { table: "accounts", column: "parent_account_id", only: Some("id NOT IN {chosen}") },
        Dependant::all("account_links", "account_id"),
        Dependant::all("standing_orders", "account_id"),
        Dependant::all("transactions", "account_id"),
    ],
    before: &[],
    parts: &[
        ("deposits", "account_id"),
        ("loans", "account_id"),
        ("cards", "account_id"),
        ("holdings", "account_id"),
        ("account_balances", "account_id"),
        ("account_daily_totals", "account_id"),
        ("account_monthly_totals", "account_id"),
    ],
};

/// Links between customers and accounts.
pub const ACCOUNT_LINKS: Retraction =
    Retraction { table: "account_links", event: Some("account_link.retracted"), dependants: &[], before: &[], parts: &[] };

/// Standing orders.
pub const STANDING_ORDERS: Retraction =
    Retraction { table: "standing_orders", event: Some("standing_order.retracted"), dependants: &[], before: &[], parts: &[] };

/// Transactions; the sums of their days and months go down by them.
pub const TRANSACTIONS: Retraction = Retraction {
    table: "transactions",
    event: None,
    dependants: &[],
    before: &[DAYS, MONTHS, EMPTY_DAYS, EMPTY_MONTHS],
    parts: &[],
};

const DAYS: &str = "UPDATE account_daily_totals SET
    credit_minor = credit_minor - gone.credit, debit_minor = debit_minor - gone.debit,
    credit_count = credit_count - gone.credits, debit_count = debit_count - gone.debits
    FROM (SELECT account_id, booked_on,
        CAST(SUM(CASE WHEN direction = 'credit' THEN amount_minor ELSE 0 END) AS BIGINT) AS credit,
        CAST(SUM(CASE WHEN direction = 'debit' THEN amount_minor ELSE 0 END) AS BIGINT) AS debit,
        SUM(CASE WHEN direction = 'credit' THEN 1 ELSE 0 END) AS credits,
        SUM(CASE WHEN direction = 'debit' THEN 1 ELSE 0 END) AS debits
        FROM transactions WHERE id IN {chosen} GROUP BY account_id, booked_on) AS gone
    WHERE account_daily_totals.account_id = gone.account_id AND account_daily_totals.day = gone.booked_on";

/// Months are the sums of their days.
const MONTHS: &str = "UPDATE account_monthly_totals SET
    credit_minor = COALESCE((SELECT CAST(SUM(d.credit_minor) AS BIGINT) FROM account_daily_totals d
        WHERE d.account_id = account_monthly_totals.account_id
        AND substr(CAST(d.day AS text), 1, 7) = substr(CAST(account_monthly_totals.month AS text), 1, 7)), 0),
    debit_minor = COALESCE((SELECT CAST(SUM(d.debit_minor) AS BIGINT) FROM account_daily_totals d
        WHERE d.account_id = account_monthly_totals.account_id
        AND substr(CAST(d.day AS text), 1, 7) = substr(CAST(account_monthly_totals.month AS text), 1, 7)), 0),
    credit_count = COALESCE((SELECT SUM(d.credit_count) FROM account_daily_totals d
        WHERE d.account_id = account_monthly_totals.account_id
        AND substr(CAST(d.day AS text), 1, 7) = substr(CAST(account_monthly_totals.month AS text), 1, 7)), 0),
    debit_count = COALESCE((SELECT SUM(d.debit_count) FROM account_daily_totals d
        WHERE d.account_id = account_monthly_totals.account_id
        AND substr(CAST(d.day AS text), 1, 7) = substr(CAST(account_monthly_totals.month AS text), 1, 7)), 0)
    WHERE account_id IN (SELECT account_id FROM transactions WHERE id IN {chosen})";

const EMPTY_DAYS: &str = "DELETE FROM account_daily_totals WHERE credit_count = 0 AND debit_count = 0
    AND account_id IN (SELECT account_id FROM transactions WHERE id IN {chosen})";

const EMPTY_MONTHS: &str = "DELETE FROM account_monthly_totals WHERE credit_count = 0 AND debit_count = 0
    AND account_id IN (SELECT account_id FROM transactions WHERE id IN {chosen})";
