//! Groups of customers, who was in them when, and whether it pays to split and to merge them.
//!
//! # The economics of segmentation
//!
//! Two laws pull against each other. The larger a group, the less it costs to serve one of its customers, for research,
//! plans, contracts and staff are shared. The more alike customers of a group are served, the less each of them brings, for
//! another bank serves some of them better: income falls with competition, and with it loyalty, satisfaction and the
//! share of the market. Splitting a group buys income for cost; merging groups buys cost for income.
//!
//! An evaluation ([`evaluation`]) lists both sides line by line, before and after, over one horizon. Benefits: what is sold
//! and its net income, loyalty, satisfaction, effective share of the market, the last three measured and turned into money by
//! what one unit is worth. Costs: marketing, sales, service, management. Two sums follow: the change of **income** (net sales
//! income alone) and the change of the **composite** benefit (income with the money value of loyalty, satisfaction and share).
//!
//! *Splitting* pays if what is gained exceeds what it costs in addition. *Merging* pays if what is lost is less than what it
//! saves. Three rules are reported of both:
//!
//! | rule | merge | split | says |
//! |---|---|---|---|
//! | 1 | lost income < saved cost | gained income > added cost | do it |
//! | 2 | lost composite < saved cost | gained composite > added cost | do it |
//! | 3 | saved cost < lost composite | added cost > gained composite | leave it |
//!
//! Rules 2 and 3 decide when a benefit beside income is given (`composite`). Otherwise nothing is known of loyalty,
//! satisfaction and share; rule 1 decides alone and the answer says so (`income_only`).
//!
//! **Rules 1 and 3 may both fire.** A merge loses 300 of income and saves 500 of cost, and customers who leave later or buy
//! elsewhere are worth another 400: 300 < 500, so rule 1 says merge; 500 < 700, so rule 3 says leave it. That is no contradiction:
//! rule 1 does not see what rule 3 sees. The decision is rule 3's, and the explanation says that income alone would have
//! decided otherwise. The reverse, rule 2 without rule 1, occurs when loyalty or satisfaction move against income.
//!
//! **Both sides may be equal.** Then neither rule 2 nor rule 3 fires (or not rule 1, where it decides alone) and the decision is
//! `indifferent`: nothing speaks for the change but its purpose. Equality is exact: the money value of every line, before
//! and after, is rounded to the minor unit once, half away from zero, and everything after that is a sum of whole numbers.
//!
//! What an evaluation forecast is compared with what came out (phase `actual`): the variance of every line, and what follows.
//! Where the actual figures still carry the decision, the estimate is to be corrected (`correct_estimate`); where they
//! refute it, the step is to be taken back (`re_merge` what was split, `re_split` what was merged).
//!
//! # Membership
//!
//! A membership holds from its first day until before its last; of one customer in one group no two hold on the same day, and
//! of a group at most one primary member. It is ended, never deleted, so who was in a group on any day stays known.

mod access;
mod belonging;
pub mod by_rule;
pub mod corporate;
pub mod evaluation;
pub mod group;
pub mod household;
pub mod interval;
pub mod member;
pub mod overlap;
pub mod preview;
pub mod regroup;
pub mod rule;
pub mod totals;

pub use belonging::{BELONGINGS, BEYOND};
pub use group::{Group, GroupId};
pub use member::{GroupMember, MembershipId};
