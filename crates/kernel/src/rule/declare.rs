//! Short declarations of fields.

/// Declares fields of one class that stand in one table: their names, types, columns and meanings.
///
/// ```
/// use kehu_kernel::rule::FieldType;
/// kehu_kernel::rule_fields! {
///     /// What rules may ask of a thing.
///     pub const FIELDS: Public, None;
///     "number", FieldType::Text, "things.number", "Number of the thing.";
/// }
/// assert_eq!(FIELDS[0].sql, "things.number");
/// ```
#[macro_export]
macro_rules! rule_fields {
    ($(#[$meta:meta])* $vis:vis const $name:ident: $class:ident, $beside:expr;
        $($field:literal, $kind:expr, $sql:literal, $meaning:literal;)+) => {
        $(#[$meta])*
        $vis const $name: &[$crate::rule::Field] = {
            const BESIDE: Option<&'static str> = $beside;
            &[$($crate::rule::Field {
                name: $field,
                kind: $kind,
                sql: $sql,
                beside: BESIDE,
                class: $crate::access::FieldClass::$class,
                meaning: $meaning,
            }),+]
        };
    };
}
