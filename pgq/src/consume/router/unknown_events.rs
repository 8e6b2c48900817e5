//! The number of events without a handler.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::warn;

use super::{Unknown, shown};

/// The number of types that are counted separately; a producer may put anything into `ev_type`.
const TYPES: usize = 1000;

/// Counts the events that a [`Router`](crate::Router) has no handler for. An event counts each time it is delivered.
/// Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct UnknownEvents(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    total: u64,
    by_type: BTreeMap<String, u64>,
}

impl UnknownEvents {
    /// Returns how many there were.
    pub fn total(&self) -> u64 {
        self.counts().total
    }

    /// Returns how many there were of each type; for changes of tables, of each type and table, such as
    /// `I:id of public.users`. After a thousand of these, others count in the [`total`](UnknownEvents::total) alone.
    pub fn by_type(&self) -> BTreeMap<String, u64> {
        self.counts().by_type.clone()
    }

    pub(crate) fn add(&self, kind: &str, event: i64, unknown: Unknown) {
        let is_new = self.counts().add(kind);
        if is_new {
            warn!(
                "there is no handler of `{}`: such events {}; the first is event {event}",
                shown(kind),
                unknown.fate()
            );
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Returns whether the type is new and remembered.
    fn add(&mut self, kind: &str) -> bool {
        self.total += 1;
        if let Some(count) = self.by_type.get_mut(kind) {
            *count += 1;
            return false;
        }
        let is_new = self.by_type.len() < TYPES;
        if is_new {
            self.by_type.insert(kind.to_owned(), 1);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_remembered_up_to_a_limit() {
        let mut counts = Counts::default();
        for number in 0..TYPES {
            assert!(counts.add(&number.to_string()));
        }
        assert!(!counts.add("one more") && !counts.add("7"));
        assert_eq!((counts.total, counts.by_type.len(), counts.by_type["7"]), (1002, TYPES, 2));
    }
}
