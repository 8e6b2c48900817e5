//! Who waits for room in the buffer.

use std::collections::VecDeque;

/// Those that wait for room. Whoever finds some may take it, since taking turns for each event would cost a switch of
/// threads for each; but nobody passes one that has waited through this many transactions.
#[derive(Default)]
pub(super) struct Line {
    places: VecDeque<Place>,
    next: u64,
}

const PATIENCE: u64 = 2;

struct Place {
    number: u64,
    /// The number of transactions when it was taken.
    since: u64,
}

impl Line {
    pub(super) fn join(&mut self, transactions: u64) -> u64 {
        let number = self.next;
        self.next += 1;
        self.places.push_back(Place { number, since: transactions });
        number
    }

    /// Returns whether nobody was to pass the one that leaves.
    pub(super) fn leave(&mut self, place: u64, transactions: u64) -> bool {
        let was_turn = self.turn(transactions) == Some(place);
        self.places.retain(|other| other.number != place);
        was_turn
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns whether room has to be left to somebody else.
    pub(super) fn is_turn_of_another(&self, place: Option<u64>, transactions: u64) -> bool {
        self.turn(transactions).is_some_and(|turn| Some(turn) != place)
    }

    fn turn(&self, transactions: u64) -> Option<u64> {
        let first = self.places.front()?;
        (transactions - first.since >= PATIENCE).then_some(first.number)
    }
}
