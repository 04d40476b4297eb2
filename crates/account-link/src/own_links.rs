//! The accounts of one customer, for sub-selects of other statements.

use kehu_kernel::schema::account_links;

diesel::alias!(account_links as own_links: OwnLinks);

/// The accounts to which a customer is linked on a day, for `.eq_any(…)`: `held_by!(id, day)`. One statement for all
/// customers, where a list of ids would be another one for each number of accounts.
macro_rules! held_by {
    ($customer:expr, $day:expr) => {{
        let links = $crate::own_links::own_links;
        let valid_to = links.field(kehu_kernel::schema::account_links::valid_to);
        links
            .filter(links.field(kehu_kernel::schema::account_links::customer_id).eq($customer))
            .filter(links.field(kehu_kernel::schema::account_links::valid_from).le($day))
            .filter(valid_to.is_null().or(valid_to.assume_not_null().gt($day)))
            .select(links.field(kehu_kernel::schema::account_links::account_id))
    }};
}
pub(crate) use held_by;
