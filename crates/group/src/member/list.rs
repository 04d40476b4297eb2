//! Who is, was or will be in a group, as far as the caller sees the customers.

use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::{BoolExpressionMethods, ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_customer::{CustomerId, of_visible, scope, visible_to};
use kehu_kernel::{
    Actor, Conn, Date, Error, Page, PageParams, Reference, Result,
    access::Reach,
    schema::{customers, group_members, groups},
    store::{MultiBackend, among},
};

use super::{GroupMember, GroupMemberFilter, GroupMembersChange, MemberRow, MembershipId, active};
use crate::{access, group::GroupId};

/// Members of a group, in the order in which their memberships were recorded.
///
/// # Errors
/// [`Error::Forbidden`] without `group.read`; [`Error::NotFound`]; [`Error::Invalid`] for a bad page request.
pub fn list(
    conn: &mut Conn,
    actor: &Actor,
    id: GroupId,
    filter: &GroupMemberFilter,
    params: &PageParams,
) -> Result<Page<GroupMember>> {
    access::read(actor)?;
    groups::table.find(id).select(groups::id).first::<GroupId>(&mut conn.db)?;
    let all = filter.all.unwrap_or(false);
    if all && filter.as_of.is_some() {
        return Err(Error::invalid("?all", "contradiction", "Either the members of a day, or all there ever were."));
    }
    let window = params.window::<MembershipId>(&conn.keys, &format!("groups/{id}/members?{filter:?}"))?;
    let day = (!all).then(|| filter.as_of.unwrap_or_else(|| conn.now.date()));
    let asked = Asked { group: id, day, reach: access::members_within(actor), filter, kept: kept(conn, actor, id, day)? };
    let total = if window.include_total { Some(asked.query().count().get_result(&mut conn.db)?) } else { None };
    let mut query = asked.query().order(group_members::id).limit(window.fetch()).select(MemberRow::as_select());
    if let Some(after) = window.after {
        query = query.filter(group_members::id.gt(after));
    }
    let rows: Vec<MemberRow> = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row| row.id)?;
    let items = present(conn, actor, page.items)?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

/// What a list shows.
struct Asked<'a> {
    group: GroupId,
    day: Option<Date>,
    reach: Reach,
    filter: &'a GroupMemberFilter,
    /// Memberships that stayed with absorbed records and are shown as those of who lives, each with its customer.
    kept: Vec<(MembershipId, CustomerId)>,
}

impl Asked<'_> {
    fn query(&self) -> group_members::BoxedQuery<'static, MultiBackend> {
        let of = group_members::table.filter(group_members::group_id.eq(self.group));
        let wanted = |customer: &CustomerId| self.filter.customer_id.is_none_or(|id| id == *customer);
        let kept: Vec<MembershipId> =
            self.kept.iter().filter(|(_, customer)| wanted(customer)).map(|(membership, _)| *membership).collect();
        let seen = of_visible(group_members::customer_id, &self.reach);
        // Few groups have members whose records were merged; for the others the statement is the plain one.
        let mut query = match (self.filter.customer_id, kept.is_empty()) {
            (None, true) => of.filter(seen).into_boxed(),
            (None, false) => of.filter(seen.or(among(group_members::id, kept))).into_boxed(),
            (Some(customer), _) => {
                let own = group_members::customer_id.eq(customer).and(seen);
                of.filter(own.or(among(group_members::id, kept))).into_boxed()
            }
        };
        if let Some(role) = self.filter.role {
            query = query.filter(group_members::role.eq(role));
        }
        match self.day {
            Some(day) => query.filter(active(day)),
            None => query,
        }
    }
}

/// The memberships that a merge of customers left with absorbed records, because who lives has its like. They are that
/// customer's: shown where the caller sees it, and of a day only where it has none of its own.
fn kept(conn: &mut Conn, actor: &Actor, group: GroupId, day: Option<Date>) -> Result<Vec<(MembershipId, CustomerId)>> {
    let rows: Vec<MemberRow> = group_members::table
        .inner_join(customers::table.on(group_members::customer_id.eq(customers::id)))
        .filter(group_members::group_id.eq(group))
        .filter(customers::merged_into.is_not_null())
        .order(group_members::id)
        .select(MemberRow::as_select())
        .load(&mut conn.db)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let living = scope::living(conn, rows.iter().map(|row| row.customer_id))?;
    let seen: HashSet<CustomerId> = names(conn, actor, living.values().copied())?.into_keys().collect();
    let mut taken: HashSet<CustomerId> = HashSet::new();
    if let Some(day) = day {
        let of = group_members::table.filter(group_members::group_id.eq(group)).filter(active(day));
        let of = of.filter(among(group_members::customer_id, seen.iter().copied().collect::<Vec<_>>()));
        taken.extend(of.select(group_members::customer_id).load::<CustomerId>(&mut conn.db)?);
    }
    let shown = |row: MemberRow| {
        let customer = *living.get(&row.customer_id)?;
        let holds = day.is_none_or(|day| row.span().contains(day));
        let alone = day.is_none() || holds && taken.insert(customer);
        (seen.contains(&customer) && holds && alone).then_some((row.id, customer))
    };
    Ok(rows.into_iter().filter_map(shown).collect())
}

/// The names of those customers whom the actor sees.
fn names(conn: &mut Conn, actor: &Actor, ids: impl Iterator<Item = CustomerId>) -> Result<HashMap<CustomerId, String>> {
    let (reach, ids) = (access::members_within(actor), ids.collect::<BTreeSet<CustomerId>>());
    let mut names = HashMap::new();
    for chunk in ids.into_iter().collect::<Vec<_>>().chunks(5_000) {
        let of = customers::table.filter(among(customers::id, chunk.to_vec())).filter(visible_to(&reach));
        names.extend(of.select((customers::id, customers::display_name)).load::<(CustomerId, String)>(&mut conn.db)?);
    }
    Ok(names)
}

/// What became of members, with their names.
pub(super) fn change(conn: &mut Conn, actor: &Actor, group_id: GroupId, rows: Vec<MemberRow>) -> Result<GroupMembersChange> {
    let changed_count = i64::try_from(rows.len()).map_err(Error::internal)?;
    Ok(GroupMembersChange { group_id, changed_count, members: present(conn, actor, rows)? })
}

fn present(conn: &mut Conn, actor: &Actor, rows: Vec<MemberRow>) -> Result<Vec<GroupMember>> {
    let living = scope::living(conn, rows.iter().map(|row| row.customer_id))?;
    let who = |row: &MemberRow| living.get(&row.customer_id).copied().unwrap_or(row.customer_id);
    let names = names(conn, actor, rows.iter().map(who))?;
    let shown = |row: MemberRow| {
        let customer = who(&row);
        GroupMember {
            id: row.id,
            group_id: row.group_id,
            customer: Reference::new(customer, names.get(&customer).cloned().unwrap_or_default()),
            role: row.role,
            primary: row.is_primary,
            valid_from: row.valid_from,
            valid_to: row.valid_to,
            source: row.source,
            reason: row.reason,
            end_reason: row.end_reason,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    };
    Ok(rows.into_iter().map(shown).collect())
}
