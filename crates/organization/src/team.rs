//! Teams.

use kehu_kernel::text_enum;

text_enum! {
    /// Whether a team works together.
    pub enum TeamStatus {
        /// Works together: its members reach each other's customers where a role reaches the team.
        Active = "active",
        /// Dissolved.
        Closed = "closed",
    }
}
