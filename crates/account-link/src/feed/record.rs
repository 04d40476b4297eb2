//! The records that feeds consist of; field names are what mappings produce.

use std::collections::BTreeMap;

use kehu_customer::CustomerKind;
use kehu_kernel::{Currency, Date, Instant};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use crate::{
    account::{AccountStatus, facts::RepaymentState},
    link::{LinkRole, SigningRule},
    product::{ProductCategory, ProductStatus},
    standing_order::StandingOrderStatus,
    transaction::{Channel, Direction},
};

/// A product, known by its code in the whole bank.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductRecord {
    /// Code of the product.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Its category.
    pub category: ProductCategory,
    /// Currency of its accounts unless they say otherwise.
    pub currency: Currency,
    /// Which kinds of customers may have it; empty for all.
    #[serde(default)]
    pub for_kinds: Vec<CustomerKind>,
    /// What it offers, in words.
    #[serde(default)]
    pub features: Vec<String>,
    /// First day on which it is sold.
    pub launch_from: Option<Date>,
    /// Last day on which it is sold.
    pub launch_to: Option<Date>,
    /// Whether it is on offer; `active` unless given.
    pub status: Option<ProductStatus>,
}

/// An account, known by its number in its source system. The whole word of the source about it: what is
/// absent is not known, except for the balance, which then stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountRecord {
    /// Number of the account; unique in the source system.
    pub number: String,
    /// Code of the product.
    pub product_code: String,
    /// Category of the product: with it, a product that is not known yet is made.
    pub product_category: Option<ProductCategory>,
    /// Name of a product that is made; its code unless given.
    pub product_name: Option<String>,
    /// Code of the branch that keeps it.
    pub branch_code: Option<String>,
    /// Number of the account that it belongs to.
    pub parent_number: Option<String>,
    /// Instead of that number: source id of a link of that account.
    pub parent_of_link: Option<String>,
    /// Its currency; the product's unless given.
    pub currency: Option<Currency>,
    /// Where it stands; `active`, or `closed` with a closing date, unless given.
    pub status: Option<AccountStatus>,
    /// When it was opened.
    pub opened_on: Option<Date>,
    /// When it was closed; not before it was opened.
    pub closed_on: Option<Date>,
    /// When it matures; not before it was opened.
    pub matures_on: Option<Date>,
    /// When the next repayment is due.
    pub next_repayment_on: Option<Date>,
    /// When the next dividend is due.
    pub next_dividend_on: Option<Date>,
    /// How far it may be overdrawn or drawn.
    pub credit_limit: Option<String>,
    /// Its balance; negative for debts.
    pub balance: Option<String>,
    /// The day at whose end it had that balance; today unless given.
    pub balance_on: Option<Date>,
    /// Further facts.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Facts of a deposit.
    pub deposit: Option<DepositRecord>,
    /// Facts of a loan.
    pub loan: Option<LoanRecord>,
    /// Facts of a card.
    pub card: Option<CardRecord>,
    /// Facts of a holding.
    pub holding: Option<HoldingRecord>,
}

/// Facts of a deposit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepositRecord {
    /// How often statements go out.
    pub statement_frequency: Option<String>,
    /// Agreed term in months.
    pub term_months: Option<i32>,
    /// Interest of this account in basis points a year.
    pub rate_bp: Option<i32>,
}

/// Facts of a loan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoanRecord {
    /// Amount lent.
    pub principal: String,
    /// Agreed term in months.
    pub term_months: Option<i32>,
    /// Interest of this loan in basis points a year.
    pub rate_bp: Option<i32>,
    /// Regular payment.
    pub payment: Option<String>,
    /// Amount in arrears.
    pub overdue: Option<String>,
    /// How it is being repaid; `performing` unless given.
    pub repayment_state: Option<RepaymentState>,
}

/// Facts of a card.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardRecord {
    /// Kind of card.
    pub kind: String,
    /// Number of the card.
    pub number: Option<String>,
    /// Last day on which it can be used.
    pub expires_on: Option<Date>,
}

/// Facts of a holding.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldingRecord {
    /// What is held.
    pub instrument: String,
    /// Number of units, at most six decimals.
    pub units: String,
    /// What it is worth.
    pub market_value: Option<String>,
    /// The day of that value.
    pub valued_on: Option<Date>,
}

/// A link between a customer and an account. The customer is named in exactly one of three ways.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountLinkRecord {
    /// Id of the link in the source system, if it has one.
    pub source_id: Option<String>,
    /// Number of the account.
    pub account_number: String,
    /// Id of the customer in the source system.
    pub customer_source_id: Option<String>,
    /// Number of another account: its primary owner is the customer.
    pub owner_of_account: Option<String>,
    /// Source id of another link: its customer is the customer.
    pub customer_of_link: Option<String>,
    /// What the customer is to the account.
    pub role: LinkRole,
    /// Share in the account in basis points.
    pub share_bp: Option<i32>,
    /// Who has to sign.
    pub signing_rule: Option<SigningRule>,
    /// How many have to sign, for the rule `threshold`.
    pub signing_threshold: Option<i32>,
    /// Whether this is the primary owner.
    #[serde(default)]
    pub primary: bool,
    /// The first day; the account's opening day unless given, else today.
    pub valid_from: Option<Date>,
    /// The day from which it no longer holds.
    pub valid_to: Option<Date>,
    /// The document that proves it.
    pub evidence: Option<String>,
}

/// The balance of an account at the end of a day.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BalanceRecord {
    /// Number of the account.
    pub account_number: String,
    /// The day.
    pub day: Date,
    /// The balance; negative for debts.
    pub balance: String,
}

/// A standing order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandingOrderRecord {
    /// Id of the order in the source system.
    pub source_id: String,
    /// Number of the account that pays.
    pub account_number: String,
    /// What is paid each time; above zero.
    pub amount: String,
    /// Currency of the amount; the account's unless given.
    pub currency: Option<Currency>,
    /// What for.
    pub purpose: Option<String>,
    /// Bank of the receiver.
    pub counterparty_bank: Option<String>,
    /// Account of the receiver; kept masked and hashed only.
    pub counterparty_account: Option<String>,
    /// How often, in the source system's words.
    pub frequency: Option<String>,
    /// Whether it is carried out; `active` unless given.
    pub status: Option<StandingOrderStatus>,
    /// The first day.
    pub valid_from: Option<Date>,
    /// The day from which it is no longer carried out.
    pub valid_to: Option<Date>,
}

/// A transaction on an account.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct TransactionRecord {
    /// Id of the transaction in the source system; the same id again changes nothing.
    #[schema(example = "695247", min_length = 1, max_length = 128)]
    #[validate(length(min = 1, max = 128))]
    pub source_id: String,
    /// Number of the account in the source system.
    #[schema(example = "6222021234563456", min_length = 1, max_length = 64)]
    #[validate(length(min = 1, max = 64))]
    pub account_number: String,
    /// The day on which it was booked.
    pub booked_on: Date,
    /// The moment at which it was booked; the beginning of the day unless given.
    pub booked_at: Option<Instant>,
    /// Whether money came in or went out.
    pub direction: Direction,
    /// Decimal amount, above zero, in the currency's decimals.
    #[schema(example = "1200.00", pattern = r"^[0-9]{1,16}(\.[0-9]{1,4})?$", min_length = 1, max_length = 21)]
    #[validate(length(min = 1, max = 21))]
    pub amount: String,
    /// Currency; must be the account's, which it is unless given.
    pub currency: Option<Currency>,
    /// What kind of transaction it is, in the source system's words.
    #[schema(example = "transfer", min_length = 1, max_length = 64)]
    #[validate(length(min = 1, max = 64))]
    pub transaction_type: String,
    /// Through which channel; `other` unless given.
    pub channel: Option<Channel>,
    /// What for.
    #[schema(example = "salary", max_length = 200)]
    #[validate(length(max = 200))]
    pub purpose: Option<String>,
    /// Account of the other side; only a keyed hash of it is kept.
    #[schema(max_length = 128)]
    #[validate(length(max = 128))]
    pub counterparty: Option<String>,
    /// Balance after the transaction, a decimal amount; negative for debts.
    #[schema(example = "-300.00", pattern = r"^-?[0-9]{1,16}(\.[0-9]{1,4})?$", max_length = 22)]
    #[validate(length(max = 22))]
    pub balance_after: Option<String>,
}
