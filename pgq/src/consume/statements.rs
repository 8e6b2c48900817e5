//! Prepared statements of a batch.

use std::collections::HashMap;

use postgres::{GenericClient, Statement};

/// How many statements are kept, for a handler that makes the text of each statement anew.
const MOST: usize = 100;

/// The prepared statements of a batch, by their text. They end on the server when they are dropped.
#[derive(Default)]
pub(crate) struct Statements(HashMap<String, Statement>);

impl Statements {
    /// Returns a statement that was prepared before.
    pub(crate) fn get(&self, text: &str) -> Option<Statement> {
        self.0.get(text).cloned()
    }

    /// Prepares a statement.
    pub(crate) fn prepare(
        &mut self,
        client: &mut impl GenericClient,
        text: &str,
    ) -> Result<Statement, postgres::Error> {
        let statement = client.prepare(text)?;
        if self.0.len() >= MOST {
            self.clear();
        }
        self.0.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Ends all statements.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
