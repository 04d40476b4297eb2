//! Groups of customers and evaluations of their segmentation.

pub mod by_rule;
pub mod evaluation;
pub mod group;
pub mod member;
pub mod proposal;
pub mod regroup;
pub mod rule;
