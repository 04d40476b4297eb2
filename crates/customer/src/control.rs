//! How much of a company another one controls, through all chains of holdings between them.
//!
//! The share that the top controls of a company is the sum, over all chains of holdings that lead from the top
//! to it, of the product of the shares on the chain: `c(top) = 1`, `c(x) = Σ c(holder) · share(holder, x)` over
//! all holders of x. It is the smallest solution of these equations (integrated ownership, Brioschi et al. 1989):
//! chains that run in a circle count once for each time around, ever smaller; chains that come back to the top
//! end there. As no company's shares pass the whole, no controlled share does.

use std::collections::{BTreeMap, HashMap};

use kehu_kernel::{BasisPoints, Conn, Date, Result, access::Reach};

use crate::{
    CustomerId,
    relation::{RelationType, held_by},
};

/// How many holdings are looked at; what lies beyond is not counted.
const MOST: usize = 10_000;
/// How many companies one query asks for.
const CHUNK: usize = 1_000;
/// The whole, in the units of the computation.
const WHOLE: i64 = 1_000_000_000_000;
/// Rounds after which circles of holdings are taken as computed; what is missing then is less than it was asked for.
const ROUNDS: usize = 1_000;

/// What a company holds of another one.
pub(crate) type Holding = (CustomerId, CustomerId, BasisPoints);

/// The share of each company that the top controls, by holdings of a day in companies within reach; companies to which no
/// chain of known holdings leads are not there. `true` when there are more holdings than are looked at.
pub(crate) fn from_top(
    conn: &mut Conn,
    reach: &Reach,
    top: CustomerId,
    day: Date,
) -> Result<(HashMap<CustomerId, BasisPoints>, bool)> {
    let (holdings, truncated) = holdings_below(conn, reach, top, day)?;
    Ok((controlled(top, &holdings), truncated))
}

/// All holdings to which chains lead from the top, level by level.
fn holdings_below(conn: &mut Conn, reach: &Reach, top: CustomerId, day: Date) -> Result<(Vec<Holding>, bool)> {
    let mut found = Vec::new();
    let mut known = std::collections::HashSet::from([top]);
    let mut level = vec![top];
    while !level.is_empty() {
        let mut next = Vec::new();
        for holders in level.chunks(CHUNK) {
            // One more than there is room for, so that it shows when there are more.
            let room = MOST - found.len();
            let rows = held_by(conn, reach, holders, RelationType::Shareholder, day, room + 1)?;
            let more = rows.len() > room;
            for row in rows.into_iter().take(room) {
                if known.insert(row.related_customer_id) {
                    next.push(row.related_customer_id);
                }
                found.extend(row.share_bp.map(|share| (row.customer_id, row.related_customer_id, share)));
            }
            if more {
                return Ok((found, true));
            }
        }
        level = next;
    }
    Ok((found, false))
}

/// Rounds from below: every round adds the chains that are one holding longer, so it is exact after as many rounds
/// as the longest chain has holdings, unless holdings run in circles.
fn controlled(top: CustomerId, holdings: &[Holding]) -> HashMap<CustomerId, BasisPoints> {
    let mut shares: BTreeMap<CustomerId, i64> = BTreeMap::from([(top, WHOLE)]);
    for _ in 0..ROUNDS {
        let mut next: BTreeMap<CustomerId, i64> = BTreeMap::new();
        for (holder, held, share) in holdings.iter().filter(|(_, held, _)| *held != top) {
            let Some(above) = shares.get(holder) else { continue };
            let part = i128::from(*above) * i128::from(share.0) / i128::from(BasisPoints::WHOLE.0);
            let sum = next.entry(*held).or_default();
            *sum = sum.saturating_add(i64::try_from(part).unwrap_or(WHOLE)).min(WHOLE);
        }
        next.insert(top, WHOLE);
        let same = next == shares;
        shares = next;
        if same {
            break;
        }
    }
    let unit = WHOLE / i64::from(BasisPoints::WHOLE.0);
    let rounded = |share: i64| BasisPoints(i32::try_from((share + unit / 2) / unit).unwrap_or(BasisPoints::WHOLE.0));
    shares.into_iter().map(|(company, share)| (company, rounded(share))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn companies(count: usize) -> Vec<CustomerId> {
        (0..count).map(|_| CustomerId::new()).collect()
    }

    fn control(of: &[(usize, usize, i32)], ids: &[CustomerId]) -> Vec<Option<i32>> {
        let holdings: Vec<Holding> = of.iter().map(|(from, to, share)| (ids[*from], ids[*to], BasisPoints(*share))).collect();
        let found = controlled(ids[0], &holdings);
        ids.iter().map(|id| found.get(id).map(|share| share.0)).collect()
    }

    #[test]
    fn chains_multiply_and_add_up() {
        let ids = companies(4);
        // 0 holds 60 % of 1 and 50 % of 2; 1 holds 50 % of 3, 2 holds 40 % of it.
        let of = [(0, 1, 6_000), (0, 2, 5_000), (1, 3, 5_000), (2, 3, 4_000)];
        assert_eq!(control(&of, &ids), [Some(10_000), Some(6_000), Some(5_000), Some(5_000)]);
        assert_eq!(control(&of[..1], &ids), [Some(10_000), Some(6_000), None, None]);
    }

    #[test]
    fn circles_add_up_to_their_limit() {
        let ids = companies(3);
        // 1 and 2 hold 50 % of each other, 0 holds 50 % of 1: c1 = 0.5 + 0.5 c2, c2 = 0.5 c1, so c1 = 2/3, c2 = 1/3.
        let of = [(0, 1, 5_000), (1, 2, 5_000), (2, 1, 5_000)];
        assert_eq!(control(&of, &ids), [Some(10_000), Some(6_667), Some(3_333)]);
        // A circle that owns itself all but a little, and a holding of the top itself.
        let of = [(0, 1, 1), (1, 2, 10_000), (2, 1, 9_999), (2, 0, 10_000)];
        let [Some(10_000), Some(one), Some(two)] = control(&of, &ids)[..] else { panic!() };
        assert!(one <= 10_000 && two <= one);
    }

    proptest! {
        /// Whatever holds what: as long as no company is owned more than wholly, none is controlled more than wholly.
        #[test]
        fn nobody_controls_more_than_the_whole(wanted in prop::collection::vec((0usize..8, 0usize..8, 0i32..5_000), 0..40)) {
            let ids = companies(8);
            let mut sold = [0; 8];
            let of: Vec<_> = wanted.into_iter().filter(|(from, to, share)| {
                let fits = from != to && sold[*to] + share <= 10_000;
                if fits { sold[*to] += share; }
                fits
            }).collect();
            for (share, sold) in control(&of, &ids).into_iter().zip(sold).skip(1) {
                prop_assert!(share.is_none_or(|share| (0..=sold.max(0)).contains(&share)));
            }
        }
    }
}
