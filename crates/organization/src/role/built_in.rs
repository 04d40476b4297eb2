//! The roles that every bank starts with.
//!
//! They follow least privilege: whoever serves customers reaches those of the own branch and below, a manager
//! the own ones and the team's, the call centre reads everywhere because callers come from everywhere, and who
//! administers the system sees no sensitive field and no number in full.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Action, Result, Tx,
    access::{Depth, FieldClass},
    each,
    json::Json,
    schema::roles,
};

use super::{Role, RoleGrant, RoleId};

/// Code of the role that may do everything but read what is sensitive.
pub const ADMINISTRATOR: &str = "administrator";
/// Code of the one role that customers have.
pub const CUSTOMER_SELF: &str = "customer_self";

/// A role that Kehu brings along.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// Code of the role.
    pub code: &'static str,
    /// Name of the role.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// What it grants, by depth.
    pub grants: &'static [(Depth, &'static [Action])],
    /// The classes of fields that it shows.
    pub field_classes: &'static [FieldClass],
}

use Action as A;
use Depth::{All, Own, Team, UnitAndBelow};
use FieldClass::{Internal, Public, Secret, Sensitive};

/// The bank's own structure and its products are no secret among its staff.
const DIRECTORY: (Depth, &[Action]) = (All, &[A::BranchRead, A::StaffRead, A::ProductRead]);

/// All roles that Kehu brings along.
pub const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        code: "teller",
        name: "Teller",
        description: "Serves customers at the counter of a branch.",
        grants: &[
            DIRECTORY,
            (All, &[A::GroupRead]),
            (
                UnitAndBelow,
                &[
                    A::CustomerRead,
                    A::CustomerWrite,
                    A::CustomerReveal,
                    A::CustomerMatch,
                    A::ConsentWrite,
                    A::AccountRead,
                    A::AccountLinkWrite,
                    A::AssignmentRead,
                ],
            ),
        ],
        field_classes: &[Public, Internal],
    },
    BuiltIn {
        code: "call_agent",
        name: "Call-centre agent",
        description: "Answers callers from everywhere; reads only, but takes down what they consent to.",
        grants: &[DIRECTORY, (All, &[A::CustomerRead, A::ConsentWrite, A::AccountRead, A::AssignmentRead, A::GroupRead])],
        field_classes: &[Public, Internal],
    },
    BuiltIn {
        code: "relationship_manager",
        name: "Relationship manager",
        description: "Looks after the customers assigned to them and reads those of the team.",
        grants: &[
            DIRECTORY,
            (All, &[A::GroupRead]),
            (Team, &[A::CustomerRead, A::CustomerMatch, A::AccountRead, A::AssignmentRead]),
            (Own, &[A::CustomerWrite, A::CustomerReveal, A::ConsentWrite, A::AccountLinkWrite]),
        ],
        field_classes: &[Public, Internal, Sensitive],
    },
    BuiltIn {
        code: "marketer",
        name: "Marketer",
        description: "Prepares campaigns for the customers of a branch and those below it.",
        grants: &[
            DIRECTORY,
            (All, &[A::GroupRead]),
            (UnitAndBelow, &[A::CustomerRead, A::AccountRead, A::AssignmentRead, A::GroupManage]),
            (Own, &[A::ExportCreate]),
        ],
        field_classes: &[Public, Internal],
    },
    BuiltIn {
        code: "branch_manager",
        name: "Branch manager",
        description: "Answers for a branch and those below it: its people, its customers and who looks after them.",
        grants: &[
            DIRECTORY,
            (All, &[A::RoleRead, A::GroupRead]),
            (
                UnitAndBelow,
                &[
                    A::CustomerRead,
                    A::CustomerWrite,
                    A::CustomerReveal,
                    A::CustomerMatch,
                    A::CustomerMerge,
                    A::ConsentWrite,
                    A::AccountRead,
                    A::AccountLinkWrite,
                    A::AssignmentRead,
                    A::AssignmentManage,
                    A::GroupManage,
                    A::StaffManage,
                    A::AccessExplain,
                    A::AuditRead,
                ],
            ),
            (Own, &[A::ExportCreate]),
        ],
        field_classes: &[Public, Internal, Sensitive],
    },
    BuiltIn {
        code: "analyst",
        name: "Analyst",
        description: "Reads all customers and accounts for figures; sees nothing sensitive.",
        grants: &[
            DIRECTORY,
            (All, &[A::CustomerRead, A::AccountRead, A::AssignmentRead, A::GroupRead, A::ImportRead]),
            (Own, &[A::ExportCreate]),
        ],
        field_classes: &[Public, Internal],
    },
    BuiltIn {
        code: "data_steward",
        name: "Data steward",
        description: "Keeps one record of each customer: finds duplicates, merges them, keeps tags and attributes.",
        grants: &[
            DIRECTORY,
            (
                All,
                &[
                    A::CustomerRead,
                    A::CustomerWrite,
                    A::CustomerReveal,
                    A::CustomerMatch,
                    A::CustomerMerge,
                    A::MatchManage,
                    A::ConsentWrite,
                    A::TagManage,
                    A::AccountRead,
                    A::AssignmentRead,
                    A::GroupRead,
                    A::ImportRead,
                ],
            ),
            (Own, &[A::ExportCreate]),
        ],
        field_classes: &[Public, Internal],
    },
    BuiltIn {
        code: "privacy_officer",
        name: "Privacy officer",
        description: "Answers customers who ask what is held about them, or want it erased.",
        grants: &[
            DIRECTORY,
            (
                All,
                &[
                    A::CustomerRead,
                    A::ConsentWrite,
                    A::PrivacyManage,
                    A::AccountRead,
                    A::AssignmentRead,
                    A::GroupRead,
                    A::AuditRead,
                ],
            ),
            (Own, &[A::ExportCreate]),
        ],
        // Exports hold numbers in full.
        field_classes: &[Public, Internal, Sensitive, Secret],
    },
    BuiltIn {
        code: "knowledge_curator",
        name: "Knowledge curator",
        description: "Keeps the knowledge of the bank; reads no customers.",
        grants: &[DIRECTORY],
        field_classes: &[Public],
    },
    BuiltIn {
        code: "auditor",
        name: "Auditor",
        description: "Reads everything that shows who did what, and why they could; changes nothing.",
        grants: &[
            DIRECTORY,
            (
                All,
                &[
                    A::RoleRead,
                    A::AssignmentRead,
                    A::AccessExplain,
                    A::CustomerRead,
                    A::AccountRead,
                    A::GroupRead,
                    A::ImportRead,
                    A::EventRead,
                    A::AuditRead,
                ],
            ),
            (Own, &[A::ExportCreate]),
        ],
        field_classes: &[Public, Internal],
    },
    BuiltIn {
        code: ADMINISTRATOR,
        name: "Administrator",
        description: "Runs the system: may do everything, but sees no sensitive field and no number in full.",
        grants: &[(
            All,
            &[
                A::BranchRead,
                A::BranchManage,
                A::StaffRead,
                A::StaffManage,
                A::RoleRead,
                A::RoleManage,
                A::AssignmentRead,
                A::AssignmentManage,
                A::AccessExplain,
                A::CustomerRead,
                A::CustomerWrite,
                A::CustomerMatch,
                A::CustomerMerge,
                A::MatchManage,
                A::ConsentWrite,
                A::TagManage,
                A::PrivacyManage,
                A::ProductRead,
                A::ProductManage,
                A::AccountRead,
                A::AccountWrite,
                A::AccountLinkWrite,
                A::TransactionIngest,
                A::GroupRead,
                A::GroupManage,
                A::ImportRead,
                A::ImportManage,
                A::ExportCreate,
                A::JobManage,
                A::ClientManage,
                A::EventRead,
                A::WebhookManage,
                A::AuditRead,
            ],
        )],
        field_classes: &[Public, Internal],
    },
    BuiltIn {
        code: "integration",
        name: "Integration",
        description: "A program that feeds the bank's systems in and takes changes out.",
        grants: &[
            DIRECTORY,
            (
                All,
                &[
                    A::AssignmentRead,
                    A::CustomerRead,
                    A::CustomerWrite,
                    A::CustomerMatch,
                    A::ConsentWrite,
                    A::ProductManage,
                    A::AccountRead,
                    A::AccountWrite,
                    A::AccountLinkWrite,
                    A::TransactionIngest,
                    A::GroupRead,
                    A::GroupManage,
                    A::ImportRead,
                    A::ImportManage,
                    A::EventRead,
                ],
            ),
            (Own, &[A::ExportCreate, A::WebhookManage]),
        ],
        field_classes: &[Public, Internal],
    },
    BuiltIn {
        code: CUSTOMER_SELF,
        name: "Customer",
        description: "A customer in mobile or online banking, who reaches only itself.",
        grants: &[(All, &[A::BranchRead, A::ProductRead]), (Own, &[A::CustomerRead, A::ConsentWrite, A::AccountRead])],
        field_classes: &[Public, Internal],
    },
];

impl BuiltIn {
    fn grants(&self) -> Vec<RoleGrant> {
        let of = |(depth, actions): &(Depth, &[Action])| {
            let depth = *depth;
            actions.iter().map(move |action| RoleGrant { action: *action, depth }).collect::<Vec<_>>()
        };
        let mut grants: Vec<RoleGrant> = self.grants.iter().flat_map(of).collect();
        grants.sort_unstable_by_key(|grant| grant.action);
        grants
    }
}

/// Brings the built-in roles in, after the migrations: adds those that are missing, and lets those that the
/// bank has never changed follow this program. Returns how many rows it wrote; a second run writes none.
///
/// # Errors
/// The database's.
pub fn seed(tx: &mut Tx<'_>) -> Result<usize> {
    let present: Vec<Role> = roles::table.filter(roles::built_in.eq(true)).select(Role::as_select()).load(&mut tx.db)?;
    let mut missing = Vec::new();
    let mut written = 0;
    for built_in in BUILT_IN {
        let (grants, classes) = (Json(built_in.grants()), Json(built_in.field_classes.to_vec()));
        match present.iter().find(|role| role.code == built_in.code) {
            None => missing.push(Role {
                id: RoleId::new(),
                code: built_in.code.to_owned(),
                name: built_in.name.to_owned(),
                description: Some(built_in.description.to_owned()),
                grants,
                field_classes: classes,
                built_in: true,
                created_at: tx.now,
                updated_at: tx.now,
                version: 1,
            }),
            Some(role) if role.version == 1 && (role.grants != grants || role.field_classes != classes) => {
                written += diesel::update(roles::table.find(role.id))
                    .set((roles::grants.eq(&grants), roles::field_classes.eq(&classes), roles::updated_at.eq(tx.now)))
                    .execute(&mut tx.db)?;
            }
            Some(_) => {}
        }
    }
    for role in &missing {
        // Several servers may start at once on an empty database.
        let insert = diesel::insert_into(roles::table).values(role).on_conflict_do_nothing();
        written += each!(&mut tx.db, c => insert.execute(c))?;
    }
    Ok(written)
}
