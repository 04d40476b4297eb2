//! What the tables of this crate hold of customers.

use kehu_customer::belonging::{Beyond, Holding};

/// Tables of this crate; none has a column that leads to a customer.
pub const BEYOND: &[Beyond] = &[
    Beyond::new("source_systems", Holding::Nothing),
    Beyond::new("mappings", Holding::Nothing),
    Beyond::new("imports", Holding::Kept("Samples of what an import will bring are kept sealed until it ends.")),
    Beyond::new("import_files", Holding::Nothing),
    Beyond::new(
        "import_rows",
        Holding::Kept("Rows that were not taken in wait sealed to be corrected; they are part of no record yet."),
    ),
    Beyond::new("import_row_customers", Holding::Nothing),
    Beyond::new("import_effects", Holding::Nothing),
    Beyond::new(
        "exports",
        Holding::Kept(
            "Lists that were taken out as files are kept encrypted for some days; the access log says by whom and why.",
        ),
    ),
];
