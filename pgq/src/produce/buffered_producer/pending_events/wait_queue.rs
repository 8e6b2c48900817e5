//! The senders that wait for room in the buffer.

use std::collections::VecDeque;

/// The senders that wait for room.
///
/// Any sender may take free room: strict turns would cost a switch of threads for each event. After [`PATIENCE`]
/// transactions, the room is reserved for the sender that has waited longest.
#[derive(Default)]
pub(super) struct WaitQueue {
    waiters: VecDeque<Waiter>,
    next: u64,
}

/// After so many transactions, other senders wait behind a sender.
const PATIENCE: u64 = 2;

struct Waiter {
    number: u64,
    /// The number of transactions when the sender began to wait.
    since: u64,
}

impl WaitQueue {
    pub(super) fn join(&mut self, transactions: u64) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiters.push_back(Waiter { number, since: transactions });
        number
    }

    /// Removes a sender; returns whether the room was reserved for it.
    pub(super) fn leave(&mut self, ticket: u64, transactions: u64) -> bool {
        let was_turn = self.turn(transactions) == Some(ticket);
        self.waiters.retain(|other| other.number != ticket);
        was_turn
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Returns whether the room is reserved for another sender.
    pub(super) fn is_reserved_for_another(&self, ticket: Option<u64>, transactions: u64) -> bool {
        self.turn(transactions).is_some_and(|turn| Some(turn) != ticket)
    }

    fn turn(&self, transactions: u64) -> Option<u64> {
        let first = self.waiters.front()?;
        (transactions - first.since >= PATIENCE).then_some(first.number)
    }
}
