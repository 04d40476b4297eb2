//! Enumerations that are text in the database and lower snake case in JSON, written once.

use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

/// The schema of a [`text_enum!`]: its texts, and what each means.
#[must_use]
pub fn enum_schema(doc: &[&str], variants: &[(&'static str, &[&str])]) -> RefOr<Schema> {
    let sentence = |lines: &[&str]| lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let meanings: String = variants.iter().map(|(text, doc)| format!("\n- `{text}`: {}", sentence(doc))).collect();
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(variants.iter().map(|(text, _)| *text)))
        .description(Some(format!("{}\n{meanings}", sentence(doc))))
        .into()
}

/// Defines an enum with its texts: serde, `Display`, `FromStr`, OpenAPI schema and the SQL mapping.
///
/// ```ignore
/// text_enum! {
///     /// Level of a branch.
///     pub enum BranchLevel { /// The root. HeadOffice = "head_office", /// A counter. Outlet = "outlet" }
/// }
/// ```
#[macro_export]
macro_rules! text_enum {
    ($(#[doc = $doc:literal])+ $vis:vis enum $name:ident {
        $($(#[doc = $variant_doc:literal])+ $variant:ident = $text:literal),+ $(,)?
    }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
            diesel::deserialize::FromSqlRow, diesel::expression::AsExpression)]
        #[diesel(sql_type = diesel::sql_types::Text)]
        $vis enum $name { $($(#[doc = $variant_doc])+ #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every value, in the order of definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Their texts, in the same order.
            pub const WORDS: &'static [&'static str] = &[$($text),+];

            /// The text of this value, as in JSON and in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $crate::text::enum_schema(&[$($doc),+], &[$(($text, &[$($variant_doc),+])),+])
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(()) }
            }
        }

        impl<DB: diesel::backend::Backend> diesel::serialize::ToSql<diesel::sql_types::Text, DB> for $name
        where str: diesel::serialize::ToSql<diesel::sql_types::Text, DB>
        {
            fn to_sql<'b>(&'b self, out: &mut diesel::serialize::Output<'b, '_, DB>) -> diesel::serialize::Result {
                diesel::serialize::ToSql::<diesel::sql_types::Text, DB>::to_sql(self.as_str(), out)
            }
        }

        impl<DB: diesel::backend::Backend> diesel::deserialize::FromSql<diesel::sql_types::Text, DB> for $name
        where String: diesel::deserialize::FromSql<diesel::sql_types::Text, DB>
        {
            fn from_sql(value: DB::RawValue<'_>) -> diesel::deserialize::Result<Self> {
                let text = <String as diesel::deserialize::FromSql<diesel::sql_types::Text, DB>>::from_sql(value)?;
                text.parse().map_err(|()| format!("{text:?} is no {}", stringify!($name)).into())
            }
        }
    };
}
