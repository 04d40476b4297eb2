//! The part of a customer's timeline that has to do with accounts: which they were, and when.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::{CustomerId, timeline::AccountSpan};
use kehu_kernel::{Conn, Date, Result, schema::account_links};

use crate::account::AccountId;

/// The accounts to which a customer is or was linked, in any role, with the days on which it was: from the first day of a
/// link until the day on which it no longer held. The caller has checked the right to see them.
///
/// # Errors
/// The database's.
pub fn spans(conn: &mut Conn, id: CustomerId) -> Result<Vec<AccountSpan>> {
    let ids = kehu_customer::scope::lineage(conn, id)?;
    let rows: Vec<(AccountId, Date, Option<Date>)> = account_links::table
        .filter(account_links::customer_id.eq_any(ids))
        .order((account_links::account_id, account_links::valid_from))
        .select((account_links::account_id, account_links::valid_from, account_links::valid_to))
        .load(&mut conn.db)?;
    Ok(united(rows))
}

/// Unites what overlaps or follows on: several roles in one account are one span of it. In the order of accounts and days.
pub(crate) fn united(rows: impl IntoIterator<Item = (AccountId, Date, Option<Date>)>) -> Vec<AccountSpan> {
    let mut spans: Vec<AccountSpan> = Vec::new();
    for (account, from, to) in rows {
        let span = AccountSpan { account_id: account.cast(), from: from.start(), to: to.map(Date::start) };
        match spans.last_mut() {
            Some(last) if last.account_id == span.account_id && last.to.is_none_or(|end| span.from <= end) => {
                last.to = last.to.zip(span.to).map(|(one, other)| one.max(other));
            }
            _ => spans.push(span),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_in_one_account_are_one_span() {
        let (one, other) = (AccountId::new(), AccountId::new());
        let day = |text: &str| text.parse::<Date>().unwrap();
        let rows = [
            (one, day("2020-01-01"), Some(day("2021-01-01"))),
            (one, day("2020-06-01"), Some(day("2020-07-01"))),
            (one, day("2021-01-01"), Some(day("2022-01-01"))),
            (one, day("2024-01-01"), None),
            (one, day("2025-01-01"), Some(day("2026-01-01"))),
            (other, day("2020-01-01"), None),
        ];
        let span = |account: AccountId, from: &str, to: Option<&str>| AccountSpan {
            account_id: account.cast(),
            from: day(from).start(),
            to: to.map(|to| day(to).start()),
        };
        let expected =
            [span(one, "2020-01-01", Some("2022-01-01")), span(one, "2024-01-01", None), span(other, "2020-01-01", None)];
        assert_eq!(united(rows), expected);
    }
}
