//! The savepoints before what the handlers of events write.

use dbscript::Session;

/// The savepoints of the handler at work and of those within it, by depth.
///
/// One costs nothing until its handler writes. Then it stays until the next one of its depth takes its place.
#[derive(Default)]
pub(crate) struct Savepoints {
    /// Of the handlers at work, the outermost first.
    at_work: Vec<Savepoint>,
    /// How many there are on the server.
    existing: usize,
}

/// The savepoint before what one handler writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Savepoint {
    /// The handler has not touched the database.
    Wanted,
    /// It is there.
    Set,
    /// It could not be set, so what is there is of an earlier event.
    Broken,
}

impl Savepoints {
    /// Notes that a handler starts.
    pub(crate) fn start(&mut self) {
        self.at_work.push(Savepoint::Wanted);
    }

    /// Notes that the innermost handler has ended.
    pub(crate) fn end(&mut self) -> Savepoint {
        self.at_work.pop().unwrap_or(Savepoint::Broken)
    }

    /// Returns whether a handler is at work.
    pub(crate) fn are_in_use(&self) -> bool {
        !self.at_work.is_empty()
    }

    /// Sets those that are wanted. What fails here makes the handler's own statement fail, too.
    pub(crate) async fn set(&mut self, session: &mut impl Session) {
        let depth = self.at_work.len();
        let Some(first) = self.at_work.iter().position(|savepoint| *savepoint == Savepoint::Wanted) else {
            return;
        };
        // With it go those within it.
        let release = (first < self.existing).then(|| format!("release savepoint {}", name(first)));
        let set = (first..depth).map(|depth| format!("savepoint {}", name(depth)));
        let statements: Vec<String> = release.into_iter().chain(set).collect();
        let result = session.run(&statements.join("; ")).await;
        self.at_work[first..].fill(if result.is_ok() { Savepoint::Set } else { Savepoint::Broken });
        self.existing = depth;
    }

    /// Rolls back what the handler that [ended](Savepoints::end) last wrote; returns whether the batch can go on.
    pub(crate) async fn roll_back(
        &mut self,
        savepoint: Savepoint,
        session: Option<&mut impl Session>,
    ) -> bool {
        let depth = self.at_work.len();
        match (savepoint, session) {
            (Savepoint::Wanted, _) | (Savepoint::Set, None) => true,
            (Savepoint::Broken, _) => false,
            (Savepoint::Set, Some(session)) => {
                self.existing = depth + 1;
                session.run(&format!("rollback to savepoint {}", name(depth))).await.is_ok()
            }
        }
    }
}

fn name(depth: usize) -> String {
    format!("pgq_event_{depth}")
}
