//! `adapter.json`, by which the harness finds the tables.

use field_adapters::BoxError;
use serde::Deserialize;

const TEXT: &str = include_str!("../../../../../harness/pgq/adapter.json");

/// The parts that the adapter prints too.
#[derive(Deserialize)]
pub(crate) struct Manifest {
    pub(crate) system: String,
    pub(crate) extensions: Vec<String>,
}

impl Manifest {
    /// Reads the file that was there when the adapter was built.
    ///
    /// # Errors
    ///
    /// When a field is missing.
    pub(crate) fn read() -> Result<Manifest, BoxError> {
        Ok(serde_json::from_str(TEXT)?)
    }
}
