//! Every type of event, and the right without which it is not told.

use std::collections::BTreeMap;

use kehu_customer::timeline::catalogue::{TOLD, UNTOLD};
use kehu_kernel::{Action, Actor, Conn, Page, PageParams, Result};
use serde::Serialize;
use utoipa::ToSchema;

/// A type of event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EventType {
    /// What stands in `type` of the event.
    #[serde(rename = "type")]
    #[schema(example = "customer.created", max_length = 64)]
    pub kind: String,
    /// The right without which events of this type are not told, besides `event.read`.
    #[schema(value_type = String, example = "customer.read", max_length = 64)]
    pub needs: Action,
}

/// What the reader of an event has to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// The action.
    pub action: Action,
    /// Whether it has to reach everything, where the event names neither customer nor account.
    pub everywhere: bool,
}

/// Of what the bank as a whole is told to everybody who has the right, by the first word of the type.
const DIRECTORY: &[(&str, Action)] = &[
    ("branch", Action::BranchRead),
    ("staff", Action::StaffRead),
    ("team", Action::StaffRead),
    ("product", Action::ProductRead),
    ("role", Action::RoleRead),
    ("tag", Action::CustomerRead),
    ("tag_domain", Action::CustomerRead),
    ("attribute_definition", Action::CustomerRead),
    ("group", Action::GroupRead),
    ("segmentation_evaluation", Action::GroupRead),
];

/// Of what is told to those alone whose right reaches everything, by the first word of the type.
const WHOLE: &[(&str, Action)] = &[
    ("customer", Action::CustomerRead),
    ("relation", Action::CustomerRead),
    ("contact_person_relation", Action::CustomerRead),
    ("match_candidate", Action::CustomerMatch),
    ("match_parameters", Action::MatchManage),
    ("match_run", Action::MatchManage),
    ("account", Action::AccountRead),
    ("account_balances", Action::AccountRead),
    ("account_link", Action::AccountRead),
    ("standing_order", Action::AccountRead),
    ("transactions", Action::AccountRead),
    ("import", Action::ImportRead),
    ("mapping", Action::ImportRead),
    ("source_system", Action::ImportRead),
    ("client", Action::ClientManage),
    ("job", Action::JobManage),
    ("export", Action::AuditRead),
    ("webhook_endpoint", Action::WebhookManage),
];

/// What is needed to be told of a type of event. What nobody has thought of is told to those who may verify the whole trail.
pub(super) fn need(kind: &str) -> Need {
    if let Some(telling) = TOLD.iter().find(|telling| telling.event == kind) {
        return Need { action: telling.needs, everywhere: true };
    }
    let noun = kind.split('.').next().unwrap_or_default();
    let of = |table: &[(&str, Action)]| table.iter().find(|(word, _)| *word == noun).map(|(_, action)| *action);
    match of(DIRECTORY) {
        Some(action) => Need { action, everywhere: false },
        None => Need { action: of(WHOLE).unwrap_or(Action::AuditRead), everywhere: true },
    }
}

/// All types of events, in the order of their names.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `event.read`; [`kehu_kernel::Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, params: &PageParams) -> Result<Page<EventType>> {
    kehu_customer::scope::allow_inside(actor, Action::EventRead)?;
    let window = params.window::<String>(&conn.keys, "event-types")?;
    let all = all();
    let total = if window.include_total { Some(i64::try_from(all.len()).map_err(kehu_kernel::Error::internal)?) } else { None };
    let rest = all.into_values().filter(|found| window.after.as_ref().is_none_or(|after| found.kind > *after));
    let fetch = usize::try_from(window.fetch()).map_err(kehu_kernel::Error::internal)?;
    window.page(&conn.keys, rest.take(fetch).collect(), total, |found| found.kind.clone())
}

/// Every type by its name.
#[must_use]
pub fn all() -> BTreeMap<&'static str, EventType> {
    let names = TOLD.iter().map(|telling| telling.event).chain(UNTOLD.iter().copied());
    names.map(|name| (name, EventType { kind: name.to_owned(), needs: need(name).action })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_right_of_its_own() {
        for name in UNTOLD {
            let noun = name.split('.').next().unwrap_or_default();
            let known = DIRECTORY.iter().chain(WHOLE).any(|(word, _)| *word == noun);
            assert!(known, "nothing says who is told of {name}");
        }
        assert_eq!(need("legal_hold.placed").action, Action::PrivacyManage);
        assert_eq!(need("branch.moved"), Need { action: Action::BranchRead, everywhere: false });
        assert_eq!(need("nobody.knows"), Need { action: Action::AuditRead, everywhere: true });
    }
}
