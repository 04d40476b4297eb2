//! From rows to what callers see: names of what an account refers to, its facts, and what is masked.

use std::collections::{BTreeSet, HashMap};

use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper,
};
use kehu_customer::CustomerId;
use kehu_kernel::{
    Actor, AnyId, Conn, Date, Error, Id, Money, Reference, Result,
    access::FieldClass,
    schema::{accounts, branches, cards, deposits, holdings, loans, products},
    store::among,
};

use super::{Account, AccountId, AccountRow, facts};
use crate::{
    own_links::held_by,
    product::{ProductCategory, ProductId},
};

struct Names {
    products: HashMap<ProductId, (String, String, ProductCategory)>,
    branches: HashMap<AnyId, String>,
    parents: HashMap<AccountId, String>,
}

/// Completes rows, in a fixed number of queries however many there are.
pub(crate) fn present(conn: &mut Conn, actor: &Actor, rows: Vec<AccountRow>) -> Result<Vec<Account>> {
    let ids: Vec<AccountId> = rows.iter().map(|row| row.id).collect();
    let names = names(conn, &rows)?;
    let internal = actor.sees(FieldClass::Internal);
    // Facts of accounts are internal throughout.
    let mut facts = facts::load(conn, if internal { &ids } else { &[] })?;
    rows.into_iter().map(|row| account(row, &names, &mut facts, internal)).collect()
}

type Joined = (
    AccountRow,
    (String, String, ProductCategory),
    Option<String>,
    Option<facts::DepositRow>,
    Option<facts::LoanRow>,
    Option<facts::CardRow>,
    Option<facts::HoldingRow>,
);

/// The accounts to which a customer is linked on a day, in the order of their ids, complete: with names and facts, by one
/// statement that is the same for all customers. The caller has checked the right to see them.
pub(crate) fn of_customer(conn: &mut Conn, actor: &Actor, ids: &[CustomerId], day: Date) -> Result<Vec<(AccountRow, Account)>> {
    let rows: Vec<Joined> = accounts::table
        .inner_join(products::table.on(accounts::product_id.eq(products::id)))
        .left_join(branches::table.on(accounts::branch_id.eq(branches::id.nullable())))
        .left_join(deposits::table.on(deposits::account_id.eq(accounts::id)))
        .left_join(loans::table.on(loans::account_id.eq(accounts::id)))
        .left_join(cards::table.on(cards::account_id.eq(accounts::id)))
        .left_join(holdings::table.on(holdings::account_id.eq(accounts::id)))
        .filter(accounts::id.eq_any(held_by!(ids, day)))
        .order(accounts::id)
        .select((
            AccountRow::as_select(),
            (products::code, products::name, products::category),
            branches::name.nullable(),
            Option::<facts::DepositRow>::as_select(),
            Option::<facts::LoanRow>::as_select(),
            Option::<facts::CardRow>::as_select(),
            Option::<facts::HoldingRow>::as_select(),
        ))
        .load(&mut conn.db)?;
    complete(conn, actor, rows)
}

fn complete(conn: &mut Conn, actor: &Actor, rows: Vec<Joined>) -> Result<Vec<(AccountRow, Account)>> {
    // A card's or a loan's account is the same customer's, as a rule.
    let mut parents: HashMap<AccountId, String> = rows.iter().map(|(row, ..)| (row.id, row.number_masked.clone())).collect();
    let others = rows.iter().filter_map(|(row, ..)| row.parent_account_id).filter(|id| !parents.contains_key(id));
    parents.extend(labels(conn, others.collect::<Vec<_>>().into_iter())?);
    let mut names = Names { products: HashMap::new(), branches: HashMap::new(), parents };
    let mut facts = facts::Facts::default();
    let internal = actor.sees(FieldClass::Internal);
    let mut accounts = Vec::with_capacity(rows.len());
    for (row, product, branch, deposit, loan, card, holding) in rows {
        names.products.insert(row.product_id, product);
        names.branches.extend(row.branch_id.map(Id::cast).zip(branch));
        if internal {
            facts.add(row.id, deposit, loan, card, holding);
        }
        accounts.push((row.clone(), account(row, &names, &mut facts, internal)?));
    }
    Ok(accounts)
}

fn account(row: AccountRow, names: &Names, facts: &mut facts::Facts, internal: bool) -> Result<Account> {
    let (code, name, category) =
        names.products.get(&row.product_id).cloned().ok_or_else(|| Error::internal("an account without a product"))?;
    let money = |minor: Option<i64>| minor.filter(|_| internal).map(|minor| Money::new(minor, row.currency));
    let branch = |id: AnyId| Some(Reference { id, label: names.branches.get(&id)?.clone() });
    let parent = |id: AccountId| Some(Reference::new(id, names.parents.get(&id)?.clone()));
    Ok(Account {
        id: row.id,
        source_system: row.source_system,
        number: row.number_masked,
        product: Reference::new(row.product_id, name),
        product_code: code,
        category,
        branch: row.branch_id.and_then(|id| branch(id.cast())),
        parent: row.parent_account_id.and_then(parent),
        currency: row.currency,
        status: row.status,
        opened_on: row.opened_on,
        closed_on: row.closed_on,
        matures_on: row.matures_on,
        next_repayment_on: row.next_repayment_on,
        next_dividend_on: row.next_dividend_on,
        credit_limit: money(row.credit_limit_minor),
        balance: money(row.balance_minor),
        balance_as_of: row.balance_as_of,
        attributes: row.attributes.0,
        deposit: facts.deposit(row.id),
        loan: facts.loan(row.id, row.currency),
        card: facts.card(row.id),
        holding: facts.holding(row.id, row.currency),
        created_at: row.created_at,
        updated_at: row.updated_at,
        version: row.version,
    })
}

fn names(conn: &mut Conn, rows: &[AccountRow]) -> Result<Names> {
    let of_products: BTreeSet<ProductId> = rows.iter().map(|row| row.product_id).collect();
    let of_branches: BTreeSet<AnyId> = rows.iter().filter_map(|row| row.branch_id).map(Id::cast).collect();
    let products: Vec<(ProductId, String, String, ProductCategory)> = products::table
        .filter(among(products::id, of_products.into_iter().collect()))
        .select((products::id, products::code, products::name, products::category))
        .load(&mut conn.db)?;
    let branches: Vec<(AnyId, String)> = branches::table
        .filter(among(branches::id, of_branches.into_iter().collect()))
        .select((branches::id, branches::name))
        .load(&mut conn.db)?;
    let parents = labels(conn, rows.iter().filter_map(|row| row.parent_account_id))?;
    Ok(Names {
        products: products.into_iter().map(|(id, code, name, category)| (id, (code, name, category))).collect(),
        branches: branches.into_iter().collect(),
        parents,
    })
}

/// Masked numbers of accounts: their labels in references.
pub(crate) fn labels(conn: &mut Conn, ids: impl Iterator<Item = AccountId>) -> Result<HashMap<AccountId, String>> {
    let ids: BTreeSet<AccountId> = ids.collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(AccountId, String)> = accounts::table
        .filter(among(accounts::id, ids.into_iter().collect()))
        .select((accounts::id, accounts::number_masked))
        .load(&mut conn.db)?;
    Ok(rows.into_iter().collect())
}
