//! Links: who is what to which account, from when until when. Ended, never deleted.

mod end;
mod list;
mod write;

use diesel::{Insertable, Queryable, Selectable};
use kehu_customer::CustomerId;
use kehu_kernel::{BasisPoints, Date, Id, Instant, Reference, schema::account_links, text_enum};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    account::AccountId,
    interval::{Span, Stake},
};

pub use end::{LinkEnd, LinkTransfer, end, end_with_customer, transfer};
pub use list::{AccountHolder, AsOf, LinkFilter, get, holders, list};
pub(crate) use list::{LinkFacts, around, customer_names};
pub(crate) use write::announce;
pub use write::{LinkPatch, NewAccountLink, create, update};

/// Identifier of a link.
pub type AccountLinkId = Id<AccountLink>;

text_enum! {
    /// What a customer is to an account.
    pub enum LinkRole {
        /// Owns it, alone or as the first of several.
        Owner = "owner",
        /// Owns it together with others.
        JointOwner = "joint_owner",
        /// May sign for it.
        AuthorisedSignatory = "authorised_signatory",
        /// Acts by power of attorney.
        Attorney = "attorney",
        /// Acts for a minor or a ward.
        Guardian = "guardian",
        /// Answers for its debts.
        Guarantor = "guarantor",
        /// Owes the loan.
        Borrower = "borrower",
        /// Owes the loan together with others.
        CoBorrower = "co_borrower",
        /// Is to receive it.
        Beneficiary = "beneficiary",
        /// Holds it for others.
        Trustee = "trustee",
        /// Has a second card of it.
        SupplementaryCardHolder = "supplementary_card_holder",
        /// Owns, in the end, the company that owns it.
        UltimateBeneficialOwner = "ultimate_beneficial_owner",
        /// Is asked about it.
        ContactPerson = "contact_person",
        /// Something else.
        Other = "other",
    }
}

text_enum! {
    /// How many of those who may sign have to.
    pub enum SigningRule {
        /// Any one of them.
        Any = "any",
        /// All of them.
        All = "all",
        /// As many as the threshold says.
        Threshold = "threshold",
    }
}

impl LinkRole {
    /// Whether this role holds a share of the account.
    #[must_use]
    pub const fn owns(self) -> bool {
        matches!(self, Self::Owner | Self::JointOwner)
    }
}

/// What a customer is to an account, from a day until a day.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccountLink {
    /// Identifier of the link.
    pub id: AccountLinkId,
    /// The account, by its masked number.
    pub account: Reference,
    /// The customer; its name is hidden when it is out of the caller's sight.
    pub customer: Reference,
    /// What the customer is to the account.
    pub role: LinkRole,
    /// Share in the account. Owners without one divide what the others leave.
    pub share_bp: Option<BasisPoints>,
    /// How many of those who may sign have to.
    pub signing_rule: Option<SigningRule>,
    /// How many have to sign, for the rule `threshold`.
    #[schema(minimum = 1, maximum = 100)]
    pub signing_threshold: Option<i32>,
    /// Whether this is the primary owner.
    pub primary: bool,
    /// The first day on which it holds.
    pub valid_from: Date,
    /// The day from which it no longer holds; null while it does.
    pub valid_to: Option<Date>,
    /// The document that proves it.
    #[schema(max_length = 500)]
    pub evidence: Option<String>,
    /// Why it ended.
    #[schema(max_length = 500)]
    pub closed_reason: Option<String>,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// The row of a link.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = account_links, treat_none_as_default_value = false)]
pub(crate) struct LinkRow {
    pub id: AccountLinkId,
    pub account_id: AccountId,
    pub customer_id: CustomerId,
    pub role: LinkRole,
    pub share_bp: Option<BasisPoints>,
    pub signing_rule: Option<SigningRule>,
    pub signing_threshold: Option<i32>,
    pub is_primary: bool,
    pub valid_from: Date,
    pub valid_to: Option<Date>,
    pub evidence: Option<String>,
    pub closed_reason: Option<String>,
    pub source_system: Option<String>,
    pub source_id: Option<String>,
    pub content_hash: Option<Vec<u8>>,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub version: i64,
}

impl LinkRow {
    /// Whether it holds on a day.
    pub fn holds_on(&self, day: Date) -> bool {
        Span { from: self.valid_from, to: self.valid_to }.contains(day)
    }

    /// What the link means for the invariants of ownership; nothing for other roles.
    pub fn stake(&self) -> Option<Stake> {
        let span = Span { from: self.valid_from, to: self.valid_to };
        let stake = Stake { span, share: self.share_bp.unwrap_or_default(), primary: self.is_primary };
        self.role.owns().then_some(stake)
    }
}
