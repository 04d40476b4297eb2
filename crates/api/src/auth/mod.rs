//! Who calls: tokens are verified, their keys kept fresh, and claims made an actor.

mod claims;
mod jwks;
pub mod token;
mod verifier;

pub use claims::Claims;
pub use jwks::Jwks;
pub use verifier::{AuthConfig, Refusal, Verifier};

/// The shared secret of development; a server on a public address refuses to start with it.
pub const DEVELOPMENT_SECRET: &str = "development-secret-of-kehu-0123456789";
