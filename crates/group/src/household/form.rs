//! How ties become a household: which are strong enough, who belongs to it, and who is what in it.

use std::collections::{BTreeMap, BTreeSet};

use kehu_customer::CustomerId;
use kehu_kernel::BasisPoints;

use super::{HouseholdEvidence, HouseholdTie};
use crate::member::GroupMemberRole;

/// From which strength on two people are one household.
pub const ENOUGH: i32 = 8_000;
/// How many people a household has at most: more who share an address live in a home of another kind.
const MOST: usize = 20;

/// Something that ties two people together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tie {
    /// The first; the parent, of a parent and a child.
    pub one: CustomerId,
    /// The other.
    pub other: CustomerId,
    /// What it is.
    pub evidence: HouseholdEvidence,
}

const fn strength(evidence: HouseholdEvidence) -> i32 {
    match evidence {
        HouseholdEvidence::Spouse => 8_000,
        HouseholdEvidence::Parent | HouseholdEvidence::SharedAddress => 5_000,
        HouseholdEvidence::SharedPhone => 4_000,
    }
}

/// A household in the making.
pub struct Household {
    /// Who belongs to it, as what.
    pub members: BTreeMap<CustomerId, GroupMemberRole>,
    /// What ties them together, as far as it is strong enough.
    pub ties: Vec<HouseholdTie>,
    found: BTreeSet<Tie>,
    crowded: bool,
}

impl Household {
    /// One person.
    pub fn new(seed: CustomerId) -> Self {
        let members = BTreeMap::from([(seed, GroupMemberRole::Member)]);
        Self { members, ties: Vec::new(), found: BTreeSet::new(), crowded: false }
    }

    /// Takes those in who are tied to somebody strongly enough; who is new.
    pub fn grow(&mut self, found: impl Iterator<Item = Tie>) -> Vec<CustomerId> {
        self.found.extend(found);
        let mut new = Vec::new();
        for tie in self.strong() {
            let (one, other) = (tie.customer_id, tie.related_customer_id);
            for (inside, outside) in [(one, other), (other, one)] {
                if self.members.contains_key(&inside) && !self.members.contains_key(&outside) {
                    self.members.insert(outside, GroupMemberRole::Member);
                    new.push(outside);
                }
            }
        }
        self.crowded = self.members.len() > MOST;
        if self.crowded { Vec::new() } else { new }
    }

    /// The pairs that are tied strongly enough.
    fn strong(&self) -> Vec<HouseholdTie> {
        let mut pairs: BTreeMap<(CustomerId, CustomerId), BTreeSet<HouseholdEvidence>> = BTreeMap::new();
        for tie in &self.found {
            let pair = (tie.one.min(tie.other), tie.one.max(tie.other));
            pairs.entry(pair).or_default().insert(tie.evidence);
        }
        let tie = |((one, other), evidence): ((CustomerId, CustomerId), BTreeSet<HouseholdEvidence>)| {
            let score = evidence.iter().map(|one| strength(*one)).sum::<i32>().min(BasisPoints::WHOLE.0);
            let evidence = evidence.into_iter().collect();
            HouseholdTie { customer_id: one, related_customer_id: other, evidence, score_bp: BasisPoints(score) }
        };
        pairs.into_iter().map(tie).filter(|tie| tie.score_bp.0 >= ENOUGH).collect()
    }

    /// Who is what, once nobody comes in any more; nothing of people who live alone and of homes that are none of one family.
    pub fn settled(mut self) -> Option<Self> {
        if self.crowded || self.members.len() < 2 {
            return None;
        }
        let inside = |id: &CustomerId| self.members.contains_key(id);
        let ties: Vec<HouseholdTie> =
            self.strong().into_iter().filter(|tie| inside(&tie.customer_id) && inside(&tie.related_customer_id)).collect();
        let head = self.head();
        let roles: Vec<(CustomerId, GroupMemberRole)> = self.members.keys().map(|id| (*id, self.role(*id, head))).collect();
        self.members.extend(roles);
        self.ties = ties;
        Some(self)
    }

    /// Somebody who is married or a parent and whose own parents do not live there; of several the one known longest.
    fn head(&self) -> CustomerId {
        let is = |id: &CustomerId, evidence: HouseholdEvidence, first: bool| {
            self.within().any(|tie| tie.evidence == evidence && (tie.one == *id || !first && tie.other == *id))
        };
        let child = |id: &CustomerId| self.within().any(|tie| tie.evidence == HouseholdEvidence::Parent && tie.other == *id);
        let rank = |id: &CustomerId| {
            let leads = is(id, HouseholdEvidence::Spouse, false) || is(id, HouseholdEvidence::Parent, true);
            (child(id), !leads, *id)
        };
        self.members.keys().copied().min_by_key(|id| rank(id)).unwrap_or_default()
    }

    fn within(&self) -> impl Iterator<Item = &Tie> {
        self.found.iter().filter(|tie| self.members.contains_key(&tie.one) && self.members.contains_key(&tie.other))
    }

    fn role(&self, id: CustomerId, head: CustomerId) -> GroupMemberRole {
        let married = |one: CustomerId, other: CustomerId| {
            self.within().any(|tie| {
                tie.evidence == HouseholdEvidence::Spouse && [(tie.one, tie.other), (tie.other, tie.one)].contains(&(one, other))
            })
        };
        let parent = |one: CustomerId, other: CustomerId| {
            self.within().any(|tie| tie.evidence == HouseholdEvidence::Parent && (tie.one, tie.other) == (one, other))
        };
        let couple: Vec<CustomerId> = self.members.keys().copied().filter(|one| *one == head || married(*one, head)).collect();
        let related = self.within().any(|tie| {
            matches!(tie.evidence, HouseholdEvidence::Spouse | HouseholdEvidence::Parent) && (tie.one == id || tie.other == id)
        });
        if id == head {
            GroupMemberRole::Head
        } else if married(id, head) {
            GroupMemberRole::Spouse
        } else if couple.iter().any(|one| parent(*one, id)) {
            GroupMemberRole::Child
        } else if couple.iter().any(|one| parent(id, *one)) {
            GroupMemberRole::Parent
        } else if related {
            GroupMemberRole::Relative
        } else {
            GroupMemberRole::Member
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use GroupMemberRole::{Child, Head, Member, Spouse};
    use HouseholdEvidence as E;

    fn household(people: &[CustomerId], ties: &[(usize, usize, E)]) -> Option<Vec<GroupMemberRole>> {
        let mut household = Household::new(people[0]);
        let tie =
            |(one, other, evidence): &(usize, usize, E)| Tie { one: people[*one], other: people[*other], evidence: *evidence };
        while !household.grow(ties.iter().map(tie)).is_empty() {}
        let settled = household.settled()?;
        Some(people.iter().filter_map(|id| settled.members.get(id).copied()).collect())
    }

    #[test]
    fn one_thing_alone_ties_nobody_but_the_married() {
        let people: Vec<CustomerId> = (0..5).map(|_| CustomerId::new()).collect();
        let of = |ties: &[(usize, usize, E)]| household(&people, ties);
        assert_eq!(of(&[]), None);
        for alone in [E::SharedAddress, E::SharedPhone, E::Parent] {
            assert_eq!(of(&[(0, 1, alone)]), None, "{alone}");
        }
        assert_eq!(of(&[(0, 1, E::Spouse)]), Some(vec![Head, Spouse]));
        assert_eq!(of(&[(0, 1, E::SharedAddress), (1, 0, E::SharedPhone)]), Some(vec![Head, Member]));
        // Two halves with different people are no whole.
        assert_eq!(of(&[(0, 1, E::SharedAddress), (0, 2, E::SharedPhone)]), None);
        assert_eq!(of(&[(1, 0, E::Parent), (0, 1, E::SharedAddress)]), Some(vec![Child, Head]));
    }

    #[test]
    fn three_generations_have_their_roles() {
        let people: Vec<CustomerId> = (0..4).map(|_| CustomerId::new()).collect();
        let ties = [(0, 1, E::Spouse), (1, 2, E::Parent), (2, 1, E::SharedAddress), (3, 0, E::Parent), (3, 0, E::SharedAddress)];
        // Nobody's child there, and known longest: the wife of the one whose parent lives with them.
        let found = household(&people, &ties).unwrap();
        assert_eq!(found, [Spouse, Head, Child, GroupMemberRole::Parent]);
        assert_eq!(household(&people, &ties[..3]).unwrap(), [Head, Spouse, Child]);
    }

    #[test]
    fn a_dormitory_is_no_household() {
        let people: Vec<CustomerId> = (0..25).map(|_| CustomerId::new()).collect();
        let ties: Vec<(usize, usize, E)> = (1..25).flat_map(|n| [(0, n, E::SharedAddress), (0, n, E::SharedPhone)]).collect();
        assert_eq!(household(&people, &ties), None);
    }
}
