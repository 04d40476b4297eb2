//! What only deposits, loans, cards or holdings have.

use std::collections::HashMap;

use diesel::{Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    BasisPoints, Conn, Currency, Date, Money, Result, Tx, bulk_copy, bulk_insert,
    schema::{cards, deposits, holdings, loans},
    store::among,
    text_enum,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::AccountId;

text_enum! {
    /// How a loan is being repaid.
    pub enum RepaymentState {
        /// Running, paid as agreed.
        Performing = "performing",
        /// Running, with payments in arrears.
        Overdue = "overdue",
        /// Ended and paid.
        Repaid = "repaid",
        /// Ended and not paid.
        Defaulted = "defaulted",
    }
}

/// Facts of a deposit.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DepositFacts {
    /// How often statements go out, in the source system's words.
    #[schema(example = "monthly", max_length = 32)]
    pub statement_frequency: Option<String>,
    /// Agreed term in months; null for accounts on demand.
    #[schema(minimum = 1)]
    pub term_months: Option<i32>,
    /// Interest of this account, if it differs from the product's.
    pub rate_bp: Option<BasisPoints>,
}

/// Facts of a loan.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LoanFacts {
    /// Amount lent.
    pub principal: Money,
    /// Agreed term in months.
    #[schema(minimum = 1)]
    pub term_months: Option<i32>,
    /// Interest of this loan, if it differs from the product's.
    pub rate_bp: Option<BasisPoints>,
    /// Regular payment.
    pub payment: Option<Money>,
    /// Amount in arrears.
    pub overdue: Option<Money>,
    /// How it is being repaid.
    pub repayment_state: RepaymentState,
}

/// Facts of a card.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CardFacts {
    /// Kind of card, in the source system's words.
    #[schema(example = "gold", max_length = 32)]
    pub kind: String,
    /// Number of the card, masked.
    #[schema(example = "****3456", max_length = 32)]
    pub number: Option<String>,
    /// Last day on which it can be used.
    pub expires_on: Option<Date>,
}

/// Facts of a holding: fund units, wealth products, policies.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HoldingFacts {
    /// What is held: a code or a name.
    #[schema(example = "FUND-000001", max_length = 64)]
    pub instrument: String,
    /// Number of units, a decimal text with six decimals.
    #[schema(example = "1250.500000", pattern = r"^-?[0-9]+\.[0-9]{6}$", max_length = 27)]
    pub units: String,
    /// What it is worth.
    pub market_value: Option<Money>,
    /// The day of that value.
    pub valued_on: Option<Date>,
}

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = deposits, treat_none_as_default_value = false)]
pub(crate) struct DepositRow {
    pub account_id: AccountId,
    pub statement_frequency: Option<String>,
    pub term_months: Option<i32>,
    pub rate_bp: Option<BasisPoints>,
}

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = loans, treat_none_as_default_value = false)]
pub(crate) struct LoanRow {
    pub account_id: AccountId,
    pub principal_minor: i64,
    pub term_months: Option<i32>,
    pub rate_bp: Option<BasisPoints>,
    pub payment_minor: Option<i64>,
    pub overdue_minor: Option<i64>,
    pub repayment_state: RepaymentState,
}

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = cards, treat_none_as_default_value = false)]
pub(crate) struct CardRow {
    pub account_id: AccountId,
    pub kind: String,
    pub pan_sealed: Option<Vec<u8>>,
    pub pan_index: Option<Vec<u8>>,
    pub pan_masked: Option<String>,
    pub expires_on: Option<Date>,
}

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = holdings, treat_none_as_default_value = false)]
pub(crate) struct HoldingRow {
    pub account_id: AccountId,
    pub instrument: String,
    pub units_micro: i64,
    pub market_value_minor: Option<i64>,
    pub valued_on: Option<Date>,
}

/// Facts of many accounts, as rows to be written.
#[derive(Clone, Debug, Default)]
pub(crate) struct FactRows {
    pub deposits: Vec<DepositRow>,
    pub loans: Vec<LoanRow>,
    pub cards: Vec<CardRow>,
    pub holdings: Vec<HoldingRow>,
}

impl FactRows {
    /// Adds what another set holds.
    pub fn extend(&mut self, other: Self) {
        self.deposits.extend(other.deposits);
        self.loans.extend(other.loans);
        self.cards.extend(other.cards);
        self.holdings.extend(other.holdings);
    }

    /// Writes all rows.
    pub fn insert(&self, tx: &mut Tx<'_>) -> Result<()> {
        bulk_copy!(tx, deposits::table, &self.deposits)?;
        bulk_copy!(tx, loans::table, &self.loans)?;
        bulk_copy!(tx, cards::table, &self.cards)?;
        bulk_insert!(tx, holdings::table, &self.holdings)?;
        Ok(())
    }
}

/// Takes away the facts of an account, to be written anew.
pub(crate) fn clear(tx: &mut Tx<'_>, id: AccountId) -> Result<()> {
    diesel::delete(deposits::table.find(id)).execute(&mut tx.db)?;
    diesel::delete(loans::table.find(id)).execute(&mut tx.db)?;
    diesel::delete(cards::table.find(id)).execute(&mut tx.db)?;
    diesel::delete(holdings::table.find(id)).execute(&mut tx.db)?;
    Ok(())
}

/// Facts of the accounts of one page.
#[derive(Default)]
pub(crate) struct Facts {
    deposits: HashMap<AccountId, DepositRow>,
    loans: HashMap<AccountId, LoanRow>,
    cards: HashMap<AccountId, CardRow>,
    holdings: HashMap<AccountId, HoldingRow>,
}

/// Reads the facts of these accounts.
pub(crate) fn load(conn: &mut Conn, ids: &[AccountId]) -> Result<Facts> {
    let deposits: Vec<DepositRow> =
        deposits::table.filter(among(deposits::account_id, ids.to_vec())).select(DepositRow::as_select()).load(&mut conn.db)?;
    let loans: Vec<LoanRow> =
        loans::table.filter(among(loans::account_id, ids.to_vec())).select(LoanRow::as_select()).load(&mut conn.db)?;
    let cards: Vec<CardRow> =
        cards::table.filter(among(cards::account_id, ids.to_vec())).select(CardRow::as_select()).load(&mut conn.db)?;
    let holdings: Vec<HoldingRow> =
        holdings::table.filter(among(holdings::account_id, ids.to_vec())).select(HoldingRow::as_select()).load(&mut conn.db)?;
    Ok(Facts {
        deposits: deposits.into_iter().map(|row| (row.account_id, row)).collect(),
        loans: loans.into_iter().map(|row| (row.account_id, row)).collect(),
        cards: cards.into_iter().map(|row| (row.account_id, row)).collect(),
        holdings: holdings.into_iter().map(|row| (row.account_id, row)).collect(),
    })
}

impl Facts {
    /// Adds those of one account.
    pub fn add(
        &mut self,
        id: AccountId,
        deposit: Option<DepositRow>,
        loan: Option<LoanRow>,
        card: Option<CardRow>,
        holding: Option<HoldingRow>,
    ) {
        self.deposits.extend(deposit.map(|row| (id, row)));
        self.loans.extend(loan.map(|row| (id, row)));
        self.cards.extend(card.map(|row| (id, row)));
        self.holdings.extend(holding.map(|row| (id, row)));
    }

    pub fn deposit(&mut self, id: AccountId) -> Option<DepositFacts> {
        let row = self.deposits.remove(&id)?;
        Some(DepositFacts { statement_frequency: row.statement_frequency, term_months: row.term_months, rate_bp: row.rate_bp })
    }

    pub fn loan(&mut self, id: AccountId, currency: Currency) -> Option<LoanFacts> {
        let row = self.loans.remove(&id)?;
        let money = |minor| Money::new(minor, currency);
        Some(LoanFacts {
            principal: money(row.principal_minor),
            term_months: row.term_months,
            rate_bp: row.rate_bp,
            payment: row.payment_minor.map(money),
            overdue: row.overdue_minor.map(money),
            repayment_state: row.repayment_state,
        })
    }

    pub fn card(&mut self, id: AccountId) -> Option<CardFacts> {
        let row = self.cards.remove(&id)?;
        Some(CardFacts { kind: row.kind, number: row.pan_masked, expires_on: row.expires_on })
    }

    pub fn holding(&mut self, id: AccountId, currency: Currency) -> Option<HoldingFacts> {
        let row = self.holdings.remove(&id)?;
        Some(HoldingFacts {
            instrument: row.instrument,
            units: units_text(row.units_micro),
            market_value: row.market_value_minor.map(|minor| Money::new(minor, currency)),
            valued_on: row.valued_on,
        })
    }
}

fn units_text(micro: i64) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    let micro = micro.unsigned_abs();
    format!("{sign}{}.{:06}", micro / 1_000_000, micro % 1_000_000)
}

/// Reads a number of units: at most six decimals.
pub(crate) fn units_micro(text: &str) -> Option<i64> {
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 6 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let micro: i64 = format!("{whole}{fraction:0<6}").parse().ok()?;
    Some(if negative { -micro } else { micro })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_six_decimals() {
        assert_eq!(units_micro("1250.5"), Some(1_250_500_000));
        assert_eq!(units_text(-1_500_000), "-1.500000");
        for wrong in ["", ".5", "1.0000001", "1e3", "+1"] {
            assert_eq!(units_micro(wrong), None, "{wrong}");
        }
    }
}
