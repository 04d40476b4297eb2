//! Customers divided by dimensions.

use diesel::{BoolExpressionMethods, RunQueryDsl};
use kehu_kernel::{
    Actor, Conn, Error, FieldError, Result,
    access::{FieldClass, Reach},
    rule::{Catalogue, CheckedDimension, Dimension, Extent, divided},
    schema::customers,
    store::among,
};

use super::asked::{Asked, reaches, refuse_spread, shown};
use crate::{CustomerId, scope};

/// Dimensions that divide customers, as one caller may ask for them or as the bank keeps them.
#[derive(Clone, Debug)]
pub struct Divisions {
    /// The dimensions.
    pub dimensions: Vec<CheckedDimension>,
    /// How far the rights reach that they ask for.
    pub reaches: Vec<Reach>,
}

impl Divisions {
    /// Holds dimensions against the fields that there are, as [`Asked::new`] does a rule; they stand at `pointer`.
    ///
    /// # Errors
    /// As [`Asked::new`].
    pub fn new(conn: &Conn, actor: &Actor, catalogue: &Catalogue, dimensions: &[Dimension], pointer: &str) -> Result<Self> {
        scope::refuse_customers(actor)?;
        let dimensions = checked(conn, catalogue, dimensions, pointer, &|class| shown(actor, class))?;
        let actions = dimensions.iter().flat_map(|dimension| dimension.actions.iter().copied()).collect();
        let reaches = reaches(conn, actor, dimensions.iter().any(|dimension| dimension.beyond), &actions)?;
        Ok(Self { dimensions, reaches })
    }

    /// Dimensions that the bank keeps, as [`Asked::kept`].
    ///
    /// # Errors
    /// As [`Asked::kept`].
    pub fn kept(conn: &Conn, catalogue: &Catalogue, dimensions: &[Dimension], pointer: &str) -> Result<Self> {
        let dimensions = checked(conn, catalogue, dimensions, pointer, &|class| class != FieldClass::Sensitive)?;
        refuse_spread(conn, dimensions.iter().any(|dimension| dimension.beyond))?;
        Ok(Self { dimensions, reaches: Vec::new() })
    }

    /// The customers within reach, all or some, with the numbers of their cells; those who meet a rule, if there is one.
    ///
    /// # Errors
    /// The database's.
    pub fn cells(
        &self,
        conn: &mut Conn,
        rule: Option<&Asked>,
        reach: &Reach,
        some: Option<Vec<CustomerId>>,
    ) -> Result<Vec<(CustomerId, i64)>> {
        let extent = if some.is_some() { Extent::Some } else { Extent::All };
        let mut condition: scope::Visible = scope::visible_to(reach);
        if let Some(ids) = some {
            condition = Box::new(condition.and(among(customers::id, ids)));
        }
        if let Some(rule) = rule {
            condition = Box::new(condition.and(rule.condition(extent).clone()));
        }
        Ok(divided(conn, &self.dimensions, extent, condition).load(&mut conn.db)?)
    }
}

fn checked(
    conn: &Conn,
    catalogue: &Catalogue,
    dimensions: &[Dimension],
    pointer: &str,
    shown: &dyn Fn(FieldClass) -> bool,
) -> Result<Vec<CheckedDimension>> {
    let mut faults = Vec::new();
    let mut all = Vec::with_capacity(dimensions.len());
    for (place, dimension) in dimensions.iter().enumerate() {
        let at = format!("{pointer}/{place}");
        if dimensions.iter().take(place).any(|before| before.name == dimension.name) {
            faults.push(FieldError::new(format!("{at}/name"), "duplicate", "Another dimension is called so."));
        }
        match catalogue.check_dimension(dimension, &at, conn.now, shown) {
            Ok(checked) => all.push(checked),
            Err(Error::Invalid(found)) => faults.extend(found),
            Err(other) => return Err(other),
        }
    }
    if faults.is_empty() { Ok(all) } else { Err(Error::Invalid(faults)) }
}
