//! Which customers of what happened a reader may be told about: those it sees, by whatever record the event names, and those
//! that it saw until they became part of another customer or were erased.

use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{Conn, Result, access::Reach, schema::customers};

use crate::{CustomerId, scope};

/// How many ids one query names.
const CHUNK: usize = 5_000;

/// What a reader sees of a set of records.
#[derive(Debug, Default)]
pub struct Sight {
    living: HashMap<CustomerId, CustomerId>,
    seen: HashSet<CustomerId>,
    once: HashSet<CustomerId>,
}

impl Sight {
    /// The customer that a record is part of today, if the reader sees that one.
    #[must_use]
    pub fn of(&self, record: CustomerId) -> Option<CustomerId> {
        let living = self.living.get(&record).copied().unwrap_or(record);
        self.seen.contains(&living).then_some(living)
    }

    /// Whether the record itself lies within reach though it was merged or erased: its end is no secret to the reader.
    #[must_use]
    pub fn once(&self, record: CustomerId) -> bool {
        self.once.contains(&record)
    }
}

/// What lies within all of these reaches of all of these records; the caller has checked the rights.
///
/// # Errors
/// The database's.
pub fn of(conn: &mut Conn, reaches: &[Reach], records: &BTreeSet<CustomerId>) -> Result<Sight> {
    let living = scope::living(conn, records.iter().copied())?;
    let today: BTreeSet<CustomerId> = records.iter().map(|id| living.get(id).copied().unwrap_or(*id)).collect();
    let mut sight = Sight { living, seen: today.iter().copied().collect(), once: records.iter().copied().collect() };
    for reach in reaches {
        let seen = among(conn, &today, || scope::visible_to(reach))?;
        sight.seen.retain(|id| seen.contains(id));
        let once = among(conn, records, || scope::kept_within(reach))?;
        sight.once.retain(|id| once.contains(id));
    }
    Ok(sight)
}

fn among(conn: &mut Conn, ids: &BTreeSet<CustomerId>, within: impl Fn() -> scope::Visible) -> Result<HashSet<CustomerId>> {
    let mut found = HashSet::new();
    for chunk in ids.iter().copied().collect::<Vec<_>>().chunks(CHUNK) {
        let some = customers::table.filter(customers::id.eq_any(chunk.to_vec())).filter(within());
        found.extend(some.select(customers::id).load::<CustomerId>(&mut conn.db)?);
    }
    Ok(found)
}
