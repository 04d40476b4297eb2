//! All operations. Each top-level path segment has exactly one scope, because actix asks only the first
//! scope whose prefix fits; what other crates own below `/customers` is added inside that scope.

use utoipa_actix_web::{scope, service_config::ServiceConfig};

pub mod account_link;
pub mod api;
pub mod customer;
pub mod group;
pub mod intake;
pub mod organization;

/// Adds every operation under `/v1`.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(scope("/v1").configure(v1));
}

fn v1(config: &mut ServiceConfig<'_>) {
    config
        .service(scope("/me").configure(organization::access::configure_me))
        .service(scope("/access").configure(organization::access::configure))
        .service(scope("/accounts").configure(account_link::account::configure))
        .service(scope("/account-links").configure(account_link::link::configure))
        .service(scope("/account-due-dates").configure(account_link::due::configure))
        .service(scope("/account-totals").configure(account_link::account::configure_totals))
        .service(scope("/assignments").configure(organization::assignment::configure))
        .service(scope("/attribute-definitions").configure(customer::attribute::configure_definitions))
        .service(scope("/branches").configure(organization::branch::configure).configure(account_link::relink::configure))
        .service(scope("/clients").configure(api::client::configure))
        .service(scope("/contact-persons").configure(customer::contact_person::configure_pool))
        .service(scope("/customers").configure(customers))
        .service(scope("/data-quality").configure(customer::quality::configure_list))
        .service(scope("/exports").configure(intake::export::configure))
        .service(scope("/event-types").configure(api::event::configure_types))
        .service(scope("/events").configure(api::event::configure))
        .service(scope("/groups").configure(groups))
        .service(scope("/imports").configure(intake::import::configure))
        .service(scope("/jobs").configure(api::job::configure))
        .service(scope("/mappings").configure(intake::mapping::configure))
        .service(scope("/match-candidates").configure(customer::matching::configure_candidates))
        .service(scope("/match-parameters").configure(customer::matching::configure_parameters))
        .service(scope("/match-runs").configure(customer::matching::configure_runs))
        .service(scope("/merges").configure(customer::merge::configure_merges))
        .service(scope("/oauth").configure(api::oauth::configure))
        .service(scope("/privacy-exports").configure(customer::privacy::configure_exports))
        .service(scope("/products").configure(account_link::product::configure))
        .service(scope("/roles").configure(organization::role::configure))
        .service(scope("/segmentation-evaluations").configure(group::evaluation::configure))
        .service(scope("/source-systems").configure(intake::source_system::configure))
        .service(scope("/staff").configure(organization::staff::configure))
        .service(scope("/standing-orders").configure(account_link::standing_order::configure))
        .service(scope("/tag-domains").configure(customer::tag::configure_domains))
        .service(scope("/tags").configure(customer::tag::configure_library))
        .service(scope("/teams").configure(organization::team::configure))
        .service(scope("/transactions").configure(account_link::transaction::configure))
        .service(scope("/webhook-deliveries").configure(api::webhook::configure_deliveries))
        .service(scope("/webhook-endpoints").configure(api::webhook::configure));
}

/// Customers, and what belongs to them, of several crates.
fn customers(config: &mut ServiceConfig<'_>) {
    config
        .configure(customer::customer::configure)
        .configure(customer::matching::configure)
        .configure(customer::record::configure)
        .configure(customer::identity::configure)
        .configure(customer::contact_point::configure)
        .configure(customer::relation::configure)
        .configure(customer::privacy::configure)
        .configure(customer::quality::configure)
        .configure(customer::timeline::configure)
        .configure(customer::merge::configure)
        .configure(customer::tag::configure)
        .configure(customer::contact_person::configure)
        .configure(customer::consent::configure)
        .configure(customer::attribute::configure)
        .configure(customer::view::configure)
        .configure(account_link::customer_account::configure);
}

/// Groups, and what is done with them.
fn groups(config: &mut ServiceConfig<'_>) {
    config
        .configure(group::proposal::configure)
        .configure(group::group::configure)
        .configure(group::member::configure)
        .configure(group::regroup::configure);
}
