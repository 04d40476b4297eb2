//! What rules may ask of the accounts of customers.

use kehu_kernel::{
    Action,
    rule::{BRANCHES, Collection, FieldType, Once},
    rule_fields,
};

use crate::{
    account::{AccountStatus, RepaymentState},
    link::LinkRole,
    product::ProductCategory,
};

rule_fields! {
    /// An account.
    const ACCOUNT: Internal, None;
    "category", FieldType::Word(ProductCategory::WORDS), "products.category", "Category of its product";
    "product", FieldType::Text, "products.code", "Code of its product";
    "currency", FieldType::Text, "accounts.currency", "Currency, ISO 4217";
    "status", FieldType::Word(AccountStatus::WORDS), "accounts.status", "Status of the account";
    "branch", BRANCHES, "accounts.branch_id", "Branch that keeps the account, by its code";
    "balance", FieldType::Money("accounts.currency"), "accounts.balance_minor", "Latest balance, in full whatever the share";
    "credit_limit", FieldType::Money("accounts.currency"), "accounts.credit_limit_minor", "Credit limit";
    "opened_on", FieldType::Date, "accounts.opened_on", "Day on which it was opened";
    "closed_on", FieldType::Date, "accounts.closed_on", "Day on which it was closed";
    "matures_on", FieldType::Date, "accounts.matures_on", "Day on which it matures";
    "next_repayment_on", FieldType::Date, "accounts.next_repayment_on", "Day of the next repayment";
    "repayment_state", FieldType::Word(RepaymentState::WORDS), "loans.repayment_state", "How a loan is being repaid";
    "principal", FieldType::Money("accounts.currency"), "loans.principal_minor", "Amount lent";
    "overdue", FieldType::Money("accounts.currency"), "loans.overdue_minor", "Amount in arrears";
}

rule_fields! {
    /// A month of an account.
    const MONTH: Internal, None;
    "month", FieldType::Date, "account_monthly_totals.month", "First day of the month";
    "currency", FieldType::Text, "accounts.currency", "Currency of the account, ISO 4217";
    "credit", FieldType::Money("accounts.currency"), "account_monthly_totals.credit_minor", "What came in";
    "debit", FieldType::Money("accounts.currency"), "account_monthly_totals.debit_minor", "What went out";
    "credit_count", FieldType::Number, "account_monthly_totals.credit_count", "How many payments came in";
    "debit_count", FieldType::Number, "account_monthly_totals.debit_count", "How many payments went out";
}

rule_fields! {
    /// A link to an account.
    const LINK: Internal, None;
    "role", FieldType::Word(LinkRole::WORDS), "account_links.role", "What the customer is to the account";
    "primary", FieldType::Flag, "account_links.is_primary", "Whether it is the account's primary owner";
    "share_bp", FieldType::Number, "account_links.share_bp", "Share, in basis points";
    "valid_from", FieldType::Date, "account_links.valid_from", "First day";
    "category", FieldType::Word(ProductCategory::WORDS), "products.category", "Category of the account's product";
    "product", FieldType::Text, "products.code", "Code of the account's product";
    "currency", FieldType::Text, "accounts.currency", "Currency of the account, ISO 4217";
    "status", FieldType::Word(AccountStatus::WORDS), "accounts.status", "Status of the account";
    "balance", FieldType::Money("accounts.currency"), "accounts.balance_minor", "Latest balance of the account";
}

/// Which links make an account one of the customer's, on a day.
macro_rules! own {
    () => {
        "account_links.role IN ('owner', 'joint_owner', 'borrower', 'co_borrower')
         AND account_links.valid_from <= {} AND (account_links.valid_to IS NULL OR account_links.valid_to > {})"
    };
}

/// By the account, so that two links to the same one do not count it twice.
macro_rules! once {
    ($account:literal) => {
        concat!(
            $account,
            " IN (SELECT account_links.account_id FROM account_links
            WHERE account_links.customer_id = customers.id AND ",
            own!(),
            ")"
        )
    };
}

/// Each account once for each customer whose it is.
macro_rules! once_each {
    ($rest:literal) => {
        concat!(
            "(SELECT DISTINCT account_links.customer_id, account_links.account_id FROM account_links WHERE ",
            own!(),
            ") AS account_links JOIN accounts ON accounts.id = account_links.account_id ",
            $rest
        )
    };
}

/// What belongs to a customer.
pub const COLLECTIONS: &[Collection] = &[
    Collection {
        name: "accounts",
        from: "account_links JOIN accounts ON accounts.id = account_links.account_id
             JOIN products ON products.id = accounts.product_id LEFT JOIN loans ON loans.account_id = accounts.id",
        key: "account_links.customer_id",
        of: own!(),
        once: Some(Once {
            from: "accounts JOIN products ON products.id = accounts.product_id LEFT JOIN loans ON loans.account_id = accounts.id",
            of: once!("accounts.id"),
            of_all: once_each!(
                "JOIN products ON products.id = accounts.product_id LEFT JOIN loans ON loans.account_id = accounts.id"
            ),
        }),
        fields: ACCOUNT,
        action: Some(Action::AccountRead),
        beyond: true,
        shared: &["product.", "account_balances."],
        meaning: "Accounts that the customer owns or owes today, alone or with others; each once",
    },
    Collection {
        name: "account_months",
        from: "account_links JOIN accounts ON accounts.id = account_links.account_id
             JOIN account_monthly_totals ON account_monthly_totals.account_id = accounts.id",
        key: "account_links.customer_id",
        of: own!(),
        once: Some(Once {
            from: "account_monthly_totals JOIN accounts ON accounts.id = account_monthly_totals.account_id",
            of: once!("account_monthly_totals.account_id"),
            of_all: once_each!("JOIN account_monthly_totals ON account_monthly_totals.account_id = accounts.id"),
        }),
        fields: MONTH,
        action: Some(Action::AccountRead),
        beyond: true,
        shared: &["transactions."],
        meaning: "Sums of the transactions of those accounts by month",
    },
    Collection {
        name: "account_links",
        from: "account_links JOIN accounts ON accounts.id = account_links.account_id
             JOIN products ON products.id = accounts.product_id",
        key: "account_links.customer_id",
        of: "account_links.valid_from <= {} AND (account_links.valid_to IS NULL OR account_links.valid_to > {})",
        once: None,
        fields: LINK,
        action: Some(Action::AccountRead),
        beyond: true,
        shared: &["product.", "account_balances."],
        meaning: "Links of every role that hold today; an account counts once for each",
    },
];
