//! All operations. Each top-level path segment has exactly one scope, because actix asks only the first
//! scope whose prefix fits; what other crates own below `/customers` is added inside that scope.

pub mod account_link;
pub mod api;
mod config;
pub mod customer;
pub mod group;
pub mod intake;
pub mod organization;

pub use config::{ServiceConfig, Told};

/// Adds every operation under `/v1`.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.scope("/v1", v1);
}

fn v1(config: &mut ServiceConfig<'_>) {
    config
        .scope("/me", organization::access::configure_me)
        .scope("/access", organization::access::configure)
        .scope("/accounts", account_link::account::configure)
        .scope("/account-links", account_link::link::configure)
        .scope("/account-due-dates", account_link::due::configure)
        .scope("/account-totals", account_link::account::configure_totals)
        .scope("/assignments", organization::assignment::configure)
        .scope("/attribute-definitions", customer::attribute::configure_definitions)
        .scope("/branches", |config| {
            config.configure(organization::branch::configure).configure(account_link::relink::configure);
        })
        .scope("/clients", api::client::configure)
        .scope("/contact-persons", customer::contact_person::configure_pool)
        .scope("/customers", customers)
        .scope("/data-quality", customer::quality::configure_list)
        .scope("/exports", intake::export::configure)
        .scope("/event-types", api::event::configure_types)
        .scope("/events", api::event::configure)
        .scope("/groups", groups)
        .scope("/imports", intake::import::configure)
        .scope("/jobs", api::job::configure)
        .scope("/mappings", intake::mapping::configure)
        .scope("/match-candidates", customer::matching::configure_candidates)
        .scope("/match-parameters", customer::matching::configure_parameters)
        .scope("/match-runs", customer::matching::configure_runs)
        .scope("/merges", customer::merge::configure_merges)
        .scope("/oauth", api::oauth::configure)
        .scope("/privacy-exports", customer::privacy::configure_exports)
        .scope("/products", account_link::product::configure)
        .scope("/roles", organization::role::configure)
        .scope("/rule-fields", group::rule::configure)
        .scope("/segmentation-evaluations", group::evaluation::configure)
        .scope("/source-systems", intake::source_system::configure)
        .scope("/staff", organization::staff::configure)
        .scope("/standing-orders", account_link::standing_order::configure)
        .scope("/tag-domains", customer::tag::configure_domains)
        .scope("/tags", customer::tag::configure_library)
        .scope("/teams", organization::team::configure)
        .scope("/transactions", account_link::transaction::configure)
        .scope("/webhook-deliveries", api::webhook::configure_deliveries)
        .scope("/webhook-endpoints", api::webhook::configure);
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
        .configure(group::by_rule::configure)
        .configure(group::member::configure)
        .configure(group::regroup::configure);
}
