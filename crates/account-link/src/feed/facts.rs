//! The facts of deposits, loans, cards and holdings in records of accounts.

use kehu_kernel::{BasisPoints, Currency, Result, Tx};

use super::{check::Check, record::AccountRecord};
use crate::{
    account::{AccountId, facts, facts::FactRows},
    number,
    product::ProductCategory,
};

/// Facts must fit the category of the product.
pub(super) fn facts_of(
    check: &mut Check,
    tx: &Tx<'_>,
    record: &AccountRecord,
    (category, currency): (ProductCategory, Currency),
    id: AccountId,
) -> Result<FactRows> {
    let mut rows = FactRows::default();
    let is = |wanted: ProductCategory| category == wanted;
    let investment = [ProductCategory::Fund, ProductCategory::Insurance, ProductCategory::Wealth, ProductCategory::Trust];
    let mut fits = |given: bool, wanted: bool, pointer: &str| {
        check.must(!given || wanted, pointer, "category_mismatch", "These facts do not fit the category of the product.");
    };
    fits(record.deposit.is_some(), is(ProductCategory::Deposit), "/deposit");
    fits(record.loan.is_some(), is(ProductCategory::Loan), "/loan");
    fits(record.card.is_some(), is(ProductCategory::Card), "/card");
    fits(record.holding.is_some(), investment.contains(&category), "/holding");
    check.must(record.loan.is_some() || !is(ProductCategory::Loan), "/loan", "required", "A loan needs its principal.");
    if let Some(deposit) = &record.deposit {
        check.optional(deposit.statement_frequency.as_ref(), 32, "/deposit/statement_frequency");
        check_terms(check, deposit.term_months, deposit.rate_bp, "/deposit");
        rows.deposits.push(facts::DepositRow {
            account_id: id,
            statement_frequency: deposit.statement_frequency.clone(),
            term_months: deposit.term_months,
            rate_bp: deposit.rate_bp.map(BasisPoints),
        });
    }
    if let Some(loan) = &record.loan {
        check_terms(check, loan.term_months, loan.rate_bp, "/loan");
        let principal_minor = check.amount(&loan.principal, currency, "/loan/principal");
        check.must(principal_minor >= 0, "/loan/principal", "negative", "A principal cannot be negative.");
        rows.loans.push(facts::LoanRow {
            account_id: id,
            principal_minor,
            term_months: loan.term_months,
            rate_bp: loan.rate_bp.map(BasisPoints),
            payment_minor: check.optional_amount(loan.payment.as_ref(), currency, "/loan/payment"),
            overdue_minor: check.optional_amount(loan.overdue.as_ref(), currency, "/loan/overdue"),
            repayment_state: loan.repayment_state.unwrap_or(facts::RepaymentState::Performing),
        });
    }
    if let Some(card) = &record.card {
        check.text(&card.kind, 32, "/card/kind");
        check.optional(card.number.as_ref(), 32, "/card/number");
        let plain = card.number.as_deref().map(number::normalise);
        rows.cards.push(facts::CardRow {
            account_id: id,
            kind: card.kind.clone(),
            pan_sealed: plain.as_deref().map(|pan| tx.keys.seal(number::CARD, id, pan)).transpose()?,
            pan_index: plain.as_deref().map(|pan| tx.keys.blind_index(number::CARD, pan)),
            pan_masked: plain.as_deref().map(number::mask),
            expires_on: card.expires_on,
        });
    }
    if let Some(holding) = &record.holding {
        check.text(&holding.instrument, 64, "/holding/instrument");
        let units = facts::units_micro(&holding.units);
        check.must(units.is_some(), "/holding/units", "amount", "Units are a decimal number with at most six decimals.");
        rows.holdings.push(facts::HoldingRow {
            account_id: id,
            instrument: holding.instrument.clone(),
            units_micro: units.unwrap_or(0),
            market_value_minor: check.optional_amount(holding.market_value.as_ref(), currency, "/holding/market_value"),
            valued_on: holding.valued_on,
        });
    }
    Ok(rows)
}

fn check_terms(check: &mut Check, months: Option<i32>, rate: Option<i32>, pointer: &str) {
    let months_fit = months.is_none_or(|months| (1..=1_200).contains(&months));
    check.must(months_fit, &format!("{pointer}/term_months"), "range", "A term has 1 to 1200 months.");
    let rate_fits = rate.is_none_or(|rate| (-10_000..=100_000).contains(&rate));
    check.must(rate_fits, &format!("{pointer}/rate_bp"), "range", "A rate is -10000 to 100000 basis points.");
}
