//! Accounts from callers: the same way as from feeds, with the caller's reach.

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, Conn, Currency, Date, Error, FieldError, Money, Result, Tx,
    access::{Reach, Resource},
    feed::{Outcome, Source},
    schema::{accounts, branches},
};
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::{Account, AccountId, AccountStatus, facts::RepaymentState};
use crate::{
    feed::{self, AccountRecord, CardRecord, DepositRecord, HoldingRecord, LoanRecord},
    number,
    product::refuse,
};

/// An account as a source system knows it: created when its number is new there, else replaced as a
/// whole, except that the balance stays when none is given.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct AccountUpsert {
    /// Code of the system that keeps it.
    #[schema(example = "core", min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9_-]+$")]
    #[validate(length(min = 1, max = 32), custom(function = "kehu_kernel::check::code"))]
    pub source_system: String,
    /// Number of the account in that system.
    #[schema(example = "6222021234563456", min_length = 1, max_length = 64)]
    #[validate(length(min = 1, max = 64))]
    pub number: String,
    /// Code of the product.
    #[schema(example = "SAV-CNY", min_length = 1, max_length = 64)]
    #[validate(length(min = 1, max = 64))]
    pub product_code: String,
    /// Code of the branch that keeps it.
    #[schema(example = "SH-PD-01", min_length = 1, max_length = 32)]
    #[validate(length(min = 1, max = 32))]
    pub branch_code: Option<String>,
    /// Number of the account that it belongs to, in the same system.
    #[schema(example = "6222021234560000", min_length = 1, max_length = 64)]
    #[validate(length(min = 1, max = 64))]
    pub parent_number: Option<String>,
    /// Its currency; the product's unless given. Never changed.
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
    /// How far it may be overdrawn or drawn; in the account's currency.
    pub credit_limit: Option<Money>,
    /// Its balance; negative for debts; in the account's currency.
    pub balance: Option<Money>,
    /// The day at whose end it had that balance; today unless given.
    pub balance_on: Option<Date>,
    /// Further facts: at most 50, names of 1 to 64 characters, values of at most 500.
    #[schema(inline, value_type = kehu_kernel::limits::Remarks)]
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Facts of a deposit; only for products of that category.
    #[validate(nested)]
    pub deposit: Option<DepositInput>,
    /// Facts of a loan; required for products of that category and only there.
    #[validate(nested)]
    pub loan: Option<LoanInput>,
    /// Facts of a card; only for products of that category.
    #[validate(nested)]
    pub card: Option<CardInput>,
    /// Facts of a holding; only for funds, insurance, wealth products and trusts.
    #[validate(nested)]
    pub holding: Option<HoldingInput>,
}

/// Facts of a deposit.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct DepositInput {
    /// How often statements go out.
    #[schema(example = "monthly", min_length = 1, max_length = 32)]
    #[validate(length(min = 1, max = 32))]
    pub statement_frequency: Option<String>,
    /// Agreed term in months.
    #[schema(minimum = 1, maximum = 1_200)]
    #[validate(range(min = 1, max = 1_200))]
    pub term_months: Option<i32>,
    /// Interest of this account in basis points a year, if it differs from the product's.
    #[schema(minimum = -10_000, maximum = 100_000)]
    #[validate(range(min = -10_000, max = 100_000))]
    pub rate_bp: Option<i32>,
}

/// Facts of a loan; amounts in the account's currency.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct LoanInput {
    /// Amount lent.
    pub principal: Money,
    /// Agreed term in months.
    #[schema(minimum = 1, maximum = 1_200)]
    #[validate(range(min = 1, max = 1_200))]
    pub term_months: Option<i32>,
    /// Interest of this loan in basis points a year, if it differs from the product's.
    #[schema(minimum = -10_000, maximum = 100_000)]
    #[validate(range(min = -10_000, max = 100_000))]
    pub rate_bp: Option<i32>,
    /// Regular payment.
    pub payment: Option<Money>,
    /// Amount in arrears.
    pub overdue: Option<Money>,
    /// How it is being repaid; `performing` unless given.
    pub repayment_state: Option<RepaymentState>,
}

/// Facts of a card.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CardInput {
    /// Kind of card, in the source system's words.
    #[schema(example = "gold", min_length = 1, max_length = 32)]
    #[validate(length(min = 1, max = 32))]
    pub kind: String,
    /// Number of the card; kept encrypted and shown masked.
    #[schema(min_length = 1, max_length = 32)]
    #[validate(length(min = 1, max = 32))]
    pub number: Option<String>,
    /// Last day on which it can be used.
    pub expires_on: Option<Date>,
}

/// Facts of a holding; amounts in the account's currency.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct HoldingInput {
    /// What is held: a code or a name.
    #[schema(example = "FUND-000001", min_length = 1, max_length = 64)]
    #[validate(length(min = 1, max = 64))]
    pub instrument: String,
    /// Number of units, a decimal text with at most six decimals.
    #[schema(example = "1250.5", pattern = r"^-?[0-9]{1,12}(\.[0-9]{1,6})?$", min_length = 1, max_length = 20)]
    #[validate(length(min = 1, max = 20))]
    pub units: String,
    /// What it is worth.
    pub market_value: Option<Money>,
    /// The day of that value.
    pub valued_on: Option<Date>,
}

/// Creates or replaces an account.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Forbidden`] without `account.write`, or for a branch beyond its reach.
pub fn upsert(tx: &mut Tx<'_>, actor: &Actor, input: &AccountUpsert) -> Result<Account> {
    let reach = actor.allow(Action::AccountWrite)?;
    feed::hold_numbers(tx, &input.source_system, std::iter::once(input.number.as_str()))?;
    let before = existing(tx, input)?;
    if let Some(id) = before {
        super::require(tx, actor, Action::AccountWrite, id)?;
    }
    check_place(tx, &reach, input.branch_code.as_deref())?;
    let record = input.record()?;
    let source = Source::new(&input.source_system);
    let outcome = feed::apply_accounts(tx, actor, &source, std::slice::from_ref(&record))?.pop();
    let id = match outcome {
        Some(Outcome::Created(id) | Outcome::Updated(id) | Outcome::Unchanged(id)) => id,
        Some(Outcome::Rejected(errors)) => return Err(Error::Invalid(errors)),
        Some(Outcome::Parked { waiting_for }) => return Err(unknown(&waiting_for)),
        None => return Err(Error::internal("an account without an outcome")),
    };
    let row = accounts::table.find(id.cast::<Account>()).select(<super::AccountRow as diesel::SelectableHelper<_>>::as_select());
    let row = row.first(&mut tx.db)?;
    super::present(tx, actor, vec![row])?.pop().ok_or(Error::NotFound)
}

fn existing(conn: &mut Conn, input: &AccountUpsert) -> Result<Option<AccountId>> {
    let index = number::index(&conn.keys, &input.number);
    let of = accounts::table.filter(accounts::source_system.eq(&input.source_system)).filter(accounts::number_index.eq(index));
    Ok(of.select(accounts::id).first(&mut conn.db).optional()?)
}

/// Whoever reaches by branch writes accounts of those branches only.
fn check_place(conn: &mut Conn, reach: &Reach, code: Option<&str>) -> Result<()> {
    if *reach == Reach::All {
        return Ok(());
    }
    let path: Option<String> = match code {
        Some(code) => branches::table.filter(branches::code.eq(code)).select(branches::path).first(&mut conn.db).optional()?,
        None => None,
    };
    let (within, _) = reach.covers(&Resource { branch_path: path, ..Resource::default() });
    if within {
        Ok(())
    } else {
        Err(Error::invalid("/branch_code", "out_of_reach", "You may write accounts of your branches only."))
    }
}

fn unknown(waiting_for: &str) -> Error {
    let (pointer, code, message) = match waiting_for.split(':').next() {
        Some("product") => ("/product_code", "unknown_product", "There is no product with this code."),
        Some("branch") => ("/branch_code", "unknown_branch", "There is no branch with this code."),
        _ => ("/parent_number", "unknown_account", "The source system has no account with this number."),
    };
    Error::invalid(pointer, code, message)
}

impl AccountUpsert {
    /// As a record of a feed, once all its amounts were seen to have one currency.
    fn record(&self) -> Result<AccountRecord> {
        let loan = self.loan.as_ref();
        let amounts = [
            ("/credit_limit", self.credit_limit),
            ("/balance", self.balance),
            ("/loan/principal", loan.map(|loan| loan.principal)),
            ("/loan/payment", loan.and_then(|loan| loan.payment)),
            ("/loan/overdue", loan.and_then(|loan| loan.overdue)),
            ("/holding/market_value", self.holding.as_ref().and_then(|holding| holding.market_value)),
        ];
        let first = amounts.iter().find_map(|(_, money)| money.map(|money| money.currency));
        let currency = self.currency.or(first);
        let mixed = amounts.iter().filter(|(_, money)| money.is_some_and(|money| Some(money.currency) != currency));
        let message = "All amounts of an account have its currency.";
        refuse(mixed.map(|(pointer, _)| FieldError::new(*pointer, "currency_mismatch", message)).collect())?;
        let text = |money: Option<Money>| money.map(Money::amount);
        Ok(AccountRecord {
            number: self.number.clone(),
            product_code: self.product_code.clone(),
            product_category: None,
            product_name: None,
            branch_code: self.branch_code.clone(),
            parent_number: self.parent_number.clone(),
            parent_of_link: None,
            currency,
            status: self.status,
            opened_on: self.opened_on,
            closed_on: self.closed_on,
            matures_on: self.matures_on,
            next_repayment_on: self.next_repayment_on,
            next_dividend_on: self.next_dividend_on,
            credit_limit: text(self.credit_limit),
            balance: text(self.balance),
            balance_on: self.balance_on,
            attributes: self.attributes.clone(),
            deposit: self.deposit.as_ref().map(|deposit| DepositRecord {
                statement_frequency: deposit.statement_frequency.clone(),
                term_months: deposit.term_months,
                rate_bp: deposit.rate_bp,
            }),
            loan: loan.map(|loan| LoanRecord {
                principal: loan.principal.amount(),
                term_months: loan.term_months,
                rate_bp: loan.rate_bp,
                payment: text(loan.payment),
                overdue: text(loan.overdue),
                repayment_state: loan.repayment_state,
            }),
            card: self.card.as_ref().map(|card| CardRecord {
                kind: card.kind.clone(),
                number: card.number.clone(),
                expires_on: card.expires_on,
            }),
            holding: self.holding.as_ref().map(|holding| HoldingRecord {
                instrument: holding.instrument.clone(),
                units: holding.units.clone(),
                market_value: text(holding.market_value),
                valued_on: holding.valued_on,
            }),
        })
    }
}
