//! The transaction of a handler.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::{PgConnection, Postgres, Transaction};

/// The transaction of one event, an argument of a handler. It is committed when the handler has returned
/// [`Outcome::Done`](pgq::Outcome::Done) or nothing, and rolled back otherwise.
///
/// Dereference it to its connection, `&mut *tx`. Neither commit nor roll it back by SQL, and drop it before the handler
/// ends: an event whose handler has kept its transaction, such as in a task, fails.
pub struct Tx {
    /// Present until the value is dropped.
    transaction: Option<Transaction<'static, Postgres>>,
    slot: Slot,
}

/// Where a transaction is put back.
#[derive(Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Transaction<'static, Postgres>>>>);

impl Tx {
    /// Lends a transaction. It is in the slot when the value is dropped.
    pub(super) fn lend(transaction: Transaction<'static, Postgres>) -> (Tx, Slot) {
        let slot = Slot::default();
        (Tx { transaction: Some(transaction), slot: slot.clone() }, slot)
    }
}

impl Slot {
    /// Takes the transaction, if it was put back.
    pub(super) fn take(&self) -> Option<Transaction<'static, Postgres>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

const PRESENT: &str = "a transaction is present until it is dropped";

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.transaction.as_ref().expect(PRESENT)
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.transaction.as_mut().expect(PRESENT)
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        *self.slot.0.lock().unwrap_or_else(PoisonError::into_inner) = self.transaction.take();
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").finish_non_exhaustive()
    }
}
