//! The limits of a role that reading a batch lifts, and restores for the handlers.

use dbscript::param::text;
use dbscript::{Session, ready};
use postgres::{Client, Transaction};

use crate::sql;
use crate::sql::batch::lift_limits;

/// The settings of the session that the reading of a batch changes, and restores.
#[derive(Clone, Default)]
pub(crate) struct Limits {
    /// The memory that statements had before more was lent to the sorting of the batch, if it was.
    pub(crate) work_mem: Option<String>,
    /// The role's limit on a statement, if it has one; reading a batch may take longer.
    pub(crate) statement_timeout: Option<String>,
    /// Whether the role has a limit on a transaction.
    pub(crate) is_limited: bool,
}

/// Lifts all limits for the rest of the transaction.
pub(crate) const LIFT: &str =
    concat!("select pg_catalog.set_config('statement_timeout', '0', true), ", lift_limits!());

/// $1 memory, as the server shows it. For the rest of the transaction.
const SET_WORK_MEM: &str = "select pg_catalog.set_config('work_mem', $1, true)";

impl Limits {
    /// Returns whether the role has limits that a batch may exceed.
    pub(crate) fn are_set(&self) -> bool {
        self.statement_timeout.is_some() || self.is_limited
    }

    /// Lifts the role's limits, if it has some.
    pub(crate) async fn lift(&self, session: &mut impl Session) -> Result<(), postgres::Error> {
        if self.are_set() { session.rows(LIFT, &[]).await.map(|_| ()) } else { Ok(()) }
    }

    /// Gives statements, which may be a handler's, the memory and the limit that they had.
    pub(crate) async fn restore(&mut self, session: &mut impl Session) -> Result<(), postgres::Error> {
        let settings =
            [(&self.work_mem, SET_WORK_MEM), (&self.statement_timeout, sql::batch::LIMIT_STATEMENTS)];
        for (before, statement) in settings {
            if let Some(before) = before {
                session.rows(statement, &[text(before)]).await?;
            }
        }
        self.work_mem = None;
        Ok(())
    }

    /// Starts a transaction without the role's limits.
    pub(crate) fn unlimited<'c>(&self, client: &'c mut Client) -> Result<Transaction<'c>, postgres::Error> {
        let mut transaction = client.transaction()?;
        ready(self.lift(&mut transaction))?;
        Ok(transaction)
    }
}
