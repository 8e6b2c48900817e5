//! Detects whether any transaction has ended since an earlier moment.

/// The transactions that had ended at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SnapshotMark {
    /// The first id that is not assigned, or from which on no transaction has ended.
    next: u64,
    /// The ids below `next` whose transactions have not ended, as the server lists them.
    running: String,
}

impl SnapshotMark {
    /// Reads a snapshot's text, `xmin:xmax:list`.
    pub(super) fn parse(snapshot: &str) -> Option<SnapshotMark> {
        let mut parts = snapshot.splitn(3, ':').skip(1);
        let next = parts.next()?.parse().ok()?;
        Some(SnapshotMark { next, running: parts.next()?.to_owned() })
    }

    /// Ignores a transaction: the ticker's own. If another transaction has been assigned an id in the meantime, the
    /// next mark differs from this one.
    pub(super) fn skip(&mut self, id: u64) {
        if self.next == id {
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(text: &str) -> SnapshotMark {
        SnapshotMark::parse(text).expect("a snapshot")
    }

    #[test]
    fn a_transaction_that_ends_changes_the_mark() {
        assert_eq!(mark("10:10:"), mark("10:10:"));
        assert_ne!(mark("10:10:"), mark("11:11:"));
        assert_ne!(mark("10:13:10,12"), mark("10:13:10"));
        assert_eq!(SnapshotMark::parse("nonsense"), None);
    }

    #[test]
    fn the_own_transaction_is_ignored() {
        let mut before = mark("8:10:8");
        before.skip(10);
        assert_eq!(before, mark("8:11:8"));
        // Another transaction has an id between, and is still running in the second case.
        let mut before = mark("8:10:8");
        before.skip(11);
        assert_ne!(before, mark("8:12:8"));
        assert_ne!(before, mark("8:12:8,10"));
    }
}
