//! What ties people to others: equal addresses and phones, and relations that hold today.

use std::collections::BTreeSet;

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::{CustomerId, contact_point::ContactPointKind, relation::RelationType};
use kehu_kernel::{
    Conn, Date, Error, Result,
    schema::{contact_points, relations},
    store::among,
};

use super::{HouseholdEvidence, form::Tie};

/// An address or a phone that more people have is that of a company, a school or a dormitory, and ties nobody.
const CROWD: usize = 12;

/// All that ties some people to others, and to each other.
pub(super) fn of(conn: &mut Conn, people: &[CustomerId]) -> Result<Vec<Tie>> {
    let today = conn.now.date();
    let mut ties = related(conn, people, today)?;
    for (kind, evidence) in [
        (ContactPointKind::PostalAddress, HouseholdEvidence::SharedAddress),
        (ContactPointKind::Phone, HouseholdEvidence::SharedPhone),
    ] {
        ties.extend(reached_alike(conn, people, kind, evidence, today)?);
    }
    Ok(ties)
}

fn related(conn: &mut Conn, people: &[CustomerId], today: Date) -> Result<Vec<Tie>> {
    let not_ended = relations::valid_to.is_null().or(relations::valid_to.assume_not_null().gt(today));
    let mine = among(relations::customer_id, people.to_vec()).or(among(relations::related_customer_id, people.to_vec()));
    let rows: Vec<(CustomerId, CustomerId, RelationType)> = relations::table
        .filter(mine)
        .filter(relations::relation_type.eq_any([RelationType::Spouse, RelationType::Parent]))
        .filter(relations::valid_from.le(today))
        .filter(not_ended)
        .select((relations::customer_id, relations::related_customer_id, relations::relation_type))
        .load(&mut conn.db)?;
    let tie = |(one, other, kind): (CustomerId, CustomerId, RelationType)| Tie {
        one,
        other,
        evidence: if kind == RelationType::Spouse { HouseholdEvidence::Spouse } else { HouseholdEvidence::Parent },
    };
    Ok(rows.into_iter().map(tie).collect())
}

/// Who is reached in the same way, by any address or phone of some people that is in use.
fn reached_alike(
    conn: &mut Conn,
    people: &[CustomerId],
    kind: ContactPointKind,
    evidence: HouseholdEvidence,
    today: Date,
) -> Result<Vec<Tie>> {
    let in_use = || contact_points::valid_to.is_null().or(contact_points::valid_to.assume_not_null().gt(today));
    let own: BTreeSet<String> = contact_points::table
        .filter(among(contact_points::customer_id, people.to_vec()))
        .filter(contact_points::kind.eq(kind))
        .filter(in_use())
        .select(contact_points::normalised)
        .load::<String>(&mut conn.db)?
        .into_iter()
        .collect();
    let mut ties = Vec::new();
    for value in own {
        let limit = i64::try_from(CROWD + 1).map_err(Error::internal)?;
        let holders: Vec<CustomerId> = contact_points::table
            .filter(contact_points::kind.eq(kind))
            .filter(contact_points::normalised.eq(&value))
            .filter(in_use())
            .order(contact_points::customer_id)
            .limit(limit)
            .select(contact_points::customer_id)
            .load(&mut conn.db)?;
        let holders: BTreeSet<CustomerId> = holders.into_iter().collect();
        if holders.len() > CROWD {
            continue;
        }
        let holders: Vec<CustomerId> = holders.into_iter().collect();
        for (at, one) in holders.iter().enumerate() {
            ties.extend(holders.iter().skip(at + 1).map(|other| Tie { one: *one, other: *other, evidence }));
        }
    }
    Ok(ties)
}
