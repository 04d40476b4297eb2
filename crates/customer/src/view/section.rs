//! Which sections a view has: a table of perspectives, and the right that each section takes.

use std::collections::{BTreeMap, btree_map::Entry};

use kehu_kernel::{Action, Actor, Conn, Result, access::ActorKind, text_enum};

use super::Perspective;
use crate::{CustomerId, scope, timeline::catalogue::TOLD};

text_enum! {
    /// A part of a view that is there or not.
    pub enum Section {
        /// The customer with its profile.
        Profile = "profile",
        /// Identity documents.
        Identities = "identities",
        /// Contact points.
        ContactPoints = "contact_points",
        /// Relations to other customers.
        Relations = "relations",
        /// Tags.
        Tags = "tags",
        /// What the customer has consented to.
        Consents = "consents",
        /// Who speaks for a company.
        ContactPersons = "contact_persons",
        /// What needs attention.
        Alerts = "alerts",
        /// Who looks after the customer.
        Coverage = "coverage",
        /// How many records were merged into this one.
        MergedRecords = "merged_record_count",
        /// How many records may be this customer, too.
        Duplicates = "open_duplicate_count",
        /// The latest entries of the timeline.
        Timeline = "timeline",
        /// Accounts.
        Accounts = "accounts",
        /// Loans.
        Loans = "loans",
        /// Cards.
        Cards = "cards",
        /// Standing orders.
        StandingOrders = "standing_orders",
        /// Transactions.
        Transactions = "transactions",
    }
}

use Perspective::{Agent, Itself, Marketing, Risk, Rm, Teller};

const EVERYBODY: &[Perspective] = &[Teller, Agent, Rm, Marketing, Risk, Itself];
const INSIDE: &[Perspective] = &[Teller, Agent, Rm, Marketing, Risk];
const NOT_MARKETING: &[Perspective] = &[Teller, Agent, Rm, Risk, Itself];
const SERVING: &[Perspective] = &[Teller, Agent, Rm, Risk];

/// The sections, the right that each takes besides that to read the customer, and the perspectives that show it.
pub const SECTIONS: &[(Section, Action, &[Perspective])] = &[
    (Section::Profile, Action::CustomerRead, EVERYBODY),
    (Section::Identities, Action::CustomerRead, NOT_MARKETING),
    (Section::ContactPoints, Action::CustomerRead, EVERYBODY),
    (Section::Relations, Action::CustomerRead, INSIDE),
    (Section::Tags, Action::CustomerRead, INSIDE),
    (Section::Consents, Action::CustomerRead, EVERYBODY),
    (Section::ContactPersons, Action::CustomerRead, INSIDE),
    (Section::Alerts, Action::CustomerRead, EVERYBODY),
    (Section::Coverage, Action::AssignmentRead, INSIDE),
    (Section::MergedRecords, Action::CustomerRead, INSIDE),
    (Section::Duplicates, Action::CustomerMatch, SERVING),
    (Section::Timeline, Action::CustomerRead, NOT_MARKETING),
    (Section::Accounts, Action::AccountRead, EVERYBODY),
    (Section::Loans, Action::AccountRead, EVERYBODY),
    (Section::Cards, Action::AccountRead, EVERYBODY),
    (Section::StandingOrders, Action::AccountRead, NOT_MARKETING),
    (Section::Transactions, Action::AccountRead, NOT_MARKETING),
];

/// The rights that single alerts take, which are no sections.
const OF_ALERTS: [Action; 1] = [Action::PrivacyManage];

/// The table as the document shows it, in Markdown.
#[must_use]
pub fn table() -> String {
    let names = Perspective::ALL.iter().map(|perspective| perspective.as_str()).collect::<Vec<_>>();
    let head = format!("| section | right | {} |\n|---|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    let row = |(section, right, shown): &(Section, Action, &[Perspective])| {
        let marks = Perspective::ALL.iter().map(|perspective| if shown.contains(perspective) { "yes" } else { "-" });
        format!("| `{section}` | `{right}` | {} |", marks.collect::<Vec<_>>().join(" | "))
    };
    head + &SECTIONS.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// What one view shows: decided once, by the perspective and by what the caller may do to this customer.
#[derive(Clone, Debug)]
pub struct Sections {
    /// For whom the view is made.
    pub perspective: Perspective,
    rights: BTreeMap<Action, bool>,
}

impl Sections {
    /// Decides; the caller has checked the right to read the customer.
    ///
    /// # Errors
    /// The database's.
    pub fn of(conn: &mut Conn, actor: &Actor, id: CustomerId, perspective: Perspective) -> Result<Self> {
        let mut rights = BTreeMap::new();
        let of_sections = SECTIONS.iter().map(|(_, action, _)| *action);
        for action in of_sections.chain(TOLD.iter().map(|telling| telling.needs)).chain(OF_ALERTS) {
            if let Entry::Vacant(right) = rights.entry(action) {
                right.insert(scope::may(conn, actor, action, id)?);
            }
        }
        Ok(Self { perspective, rights })
    }

    /// Whether a section is there.
    #[must_use]
    pub fn shows(&self, section: Section) -> bool {
        let row = SECTIONS.iter().find(|(name, _, _)| *name == section);
        row.is_some_and(|(_, action, shown)| self.may(*action) && shown.contains(&self.perspective))
    }

    /// Whether the caller may do this to the customer; of the rights that sections, alerts and entries of the
    /// timeline take.
    #[must_use]
    pub fn may(&self, action: Action) -> bool {
        self.rights.get(&action).copied().unwrap_or(false)
    }

    /// Whether only that is shown which customers see of themselves: to them, and to whoever looks at what they see.
    #[must_use]
    pub fn for_customer(&self, actor: &Actor) -> bool {
        actor.kind == ActorKind::Customer || self.perspective == Itself
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_section_stands_once_in_the_table() {
        assert_eq!(SECTIONS.iter().map(|(section, _, _)| *section).collect::<Vec<_>>(), Section::ALL);
    }
}
