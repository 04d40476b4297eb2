//! `/v1/rule-fields`: what rules may ask.

use actix_web::get;
use kehu_group::rule::{self, RuleFields};

use crate::{
    extract::Caller,
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(get_rule_fields);
}

/// Get the fields of rules
///
/// What the caller's rules about customers may name: the fields of a customer, and the collections of what belongs to one, with
/// types, operators and words. For editors of rules, and for those who write them. It changes with the rights of the caller.
#[utoipa::path(tag = "rules",
    responses((status = 200, description = "The fields and collections", body = RuleFields)), security(("bearer" = ["customer.read"])))]
#[get("")]
async fn get_rule_fields(caller: Caller) -> Answer<RuleFields> {
    Ok(Reply::ok(rule::fields(&caller)?))
}
