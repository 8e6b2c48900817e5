//! What was committed at a moment, to tell whether anything was since.

/// The transactions that had ended at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The first id that was not given away yet, or whose transaction and all after it had not ended.
    next: u64,
    /// The ids below it whose transactions had not ended, as the server lists them.
    running: String,
}

impl Mark {
    /// Reads a snapshot's text, `xmin:xmax:list`.
    pub(super) fn parse(snapshot: &str) -> Option<Mark> {
        let mut parts = snapshot.splitn(3, ':').skip(1);
        let next = parts.next()?.parse().ok()?;
        Some(Mark { next, running: parts.next()?.to_owned() })
    }

    /// Takes note of a transaction that is known and of no interest: one's own.
    ///
    /// When another one has got an id meanwhile, the mark is such that the next one differs from it.
    pub(super) fn skip(&mut self, id: u64) {
        if self.next == id {
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(text: &str) -> Mark {
        Mark::parse(text).expect("a snapshot")
    }

    #[test]
    fn whatever_ends_changes_the_mark() {
        assert_eq!(mark("10:10:"), mark("10:10:"));
        assert_ne!(mark("10:10:"), mark("11:11:"));
        assert_ne!(mark("10:13:10,12"), mark("10:13:10"));
        assert_eq!(Mark::parse("nonsense"), None);
    }

    #[test]
    fn ones_own_transaction_does_not_count() {
        let mut before = mark("8:10:8");
        before.skip(10);
        assert_eq!(before, mark("8:11:8"));
        // Another transaction was between, or is still running.
        let mut before = mark("8:10:8");
        before.skip(11);
        assert_ne!(before, mark("8:12:8"));
        assert_ne!(before, mark("8:12:8,10"));
    }
}
