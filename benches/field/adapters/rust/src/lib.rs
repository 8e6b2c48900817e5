//! The common parts of the adapters in Rust: arguments, JSON lines, logs. benches/field/README.md describes the protocol.

mod adapter;
mod arguments;
mod consumption;
mod lines;
mod payload;
mod production;

pub use self::adapter::{Adapter, Descriptor, main};
pub use self::arguments::Settings;
pub use self::consumption::{Consumption, Handling, Poisoned};
pub use self::lines::ready;
pub use self::payload::{Payload, number};
pub use self::production::Production;

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Returns the microseconds since 1970.
pub fn now() -> u128 {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_micros()
}
