//! One inconsistency of PgQ's tables.

use std::fmt;

use dbscript::printable;

use super::ADVICE;
use super::level::Level;

/// The kind of an inconsistency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Problem {
    /// The sequence of a queue's tick ids is behind the queue's newest tick.
    TickSequence,
    /// The sequence of a queue's event ids is behind the queue's newest tick or event.
    EventSequence,
    /// The sequence of registration ids is behind: a new consumer would get the id of another one.
    SubscriptionSequence,
    /// The sequence of batch ids is behind an open batch.
    BatchSequence,
    /// The sequence of the ids of consumer names is behind an id in use.
    ConsumerSequence,
    /// The sequence of queue ids is behind an id in use.
    QueueSequence,
    /// The sequence of the numbers of failed events, delayed events or schedules is behind: the next one cannot be stored.
    NumberSequence,
    /// A queue's newest tick has transaction ids that the server has not reached.
    TickId,
    /// A consumer is at a tick with transaction ids that the server, or the queue's newest tick, has not reached.
    ConsumerId,
    /// A queue's last rotation has a transaction id that the server has not reached.
    RotationId,
    /// Events have transaction ids that the server has not reached.
    EventId,
    /// The time of a queue's newest tick is in the future.
    TickTime,
    /// The time of a queue's last rotation is in the future.
    RotationTime,
    /// A consumer's tick is missing.
    MissingTick,
    /// Two consumers share an id, and neither is a subconsumer of the other.
    SharedId,
    /// A table or a sequence of a queue is missing, or the queue's current table has an invalid number.
    BrokenQueue,
    /// Retry events or failed events belong to consumers that do not exist.
    OrphanedEvents,
}

const NAMES: [(Problem, &str); 17] = [
    (Problem::TickSequence, "tick-sequence"),
    (Problem::EventSequence, "event-sequence"),
    (Problem::SubscriptionSequence, "subscription-sequence"),
    (Problem::BatchSequence, "batch-sequence"),
    (Problem::ConsumerSequence, "consumer-sequence"),
    (Problem::QueueSequence, "queue-sequence"),
    (Problem::NumberSequence, "number-sequence"),
    (Problem::TickId, "tick-id"),
    (Problem::ConsumerId, "consumer-id"),
    (Problem::RotationId, "rotation-id"),
    (Problem::EventId, "event-id"),
    (Problem::TickTime, "tick-time"),
    (Problem::RotationTime, "rotation-time"),
    (Problem::MissingTick, "missing-tick"),
    (Problem::SharedId, "shared-id"),
    (Problem::BrokenQueue, "broken-queue"),
    (Problem::OrphanedEvents, "orphaned-events"),
];

impl Problem {
    /// Parses a name as [`Display`](fmt::Display) shows it.
    pub(super) fn by_name(name: &str) -> Option<Problem> {
        NAMES.iter().find(|(_, candidate)| *candidate == name).map(|(problem, _)| *problem)
    }
}

/// Shows the machine-readable name, such as `tick-sequence`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(problem, _)| problem == self).map_or("unknown", |(_, name)| name);
        f.write_str(name)
    }
}

/// An inconsistency of PgQ's tables. `Display` shows one line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The kind of the inconsistency.
    pub problem: Problem,
    /// The queue; `None` for an inconsistency that concerns all queues.
    pub queue: Option<String>,
    /// The consumer, if the inconsistency concerns one.
    pub consumer: Option<String>,
    /// The sequence, the table, or the other consumer, if there is one.
    pub object: Option<String>,
    /// The id that the server, the sequence or the queue has reached.
    pub reached: Option<i64>,
    /// The id that should have been reached; for a time, its distance from the present in seconds.
    pub needed: Option<i64>,
}

impl Finding {
    /// Returns the severity: critical if events are not delivered or may be lost.
    pub fn level(&self) -> Level {
        match self.problem {
            Problem::EventSequence
            | Problem::BatchSequence
            | Problem::ConsumerSequence
            | Problem::QueueSequence
            | Problem::TickTime
            | Problem::RotationTime
            | Problem::OrphanedEvents => Level::Warning,
            _ => Level::Critical,
        }
    }

    /// Returns whether [`repair`](super::repair) can repair it.
    pub fn is_repairable(&self) -> bool {
        !matches!(self.problem, Problem::BrokenQueue | Problem::OrphanedEvents)
    }

    /// Describes what [`repair`](super::repair) does about the inconsistency, or why it cannot repair it.
    pub fn remedy(&self) -> &'static str {
        match self.problem {
            Problem::TickSequence
            | Problem::SubscriptionSequence
            | Problem::BatchSequence
            | Problem::ConsumerSequence
            | Problem::QueueSequence
            | Problem::NumberSequence => "repair moves the sequence past all ids in use",
            Problem::EventSequence => "repair moves the sequence past all ids in use, and makes a tick",
            Problem::TickId | Problem::ConsumerId | Problem::RotationId | Problem::EventId => {
                "repair gives ticks and events new transaction ids and makes a tick; each consumer gets the events that \
                 it has not processed, and events for which that is unclear are redelivered"
            }
            Problem::TickTime => {
                "repair makes a tick with the present time, and sets ticks of the future to it, except the positions of consumers"
            }
            Problem::RotationTime => "repair sets it to the present time",
            Problem::MissingTick => {
                "repair recreates the tick from the one before it, so events may be redelivered; a batch whose end has no \
                 later tick is closed and redelivered"
            }
            Problem::SharedId => {
                "repair gives the later one an id of its own and a copy of the retry events and failed events, whose owner \
                 cannot be determined"
            }
            Problem::BrokenQueue if self.reached.is_some() => {
                "repair cannot determine the current table; set `queue_cur_table` of `pgq.queue` by hand"
            }
            Problem::BrokenQueue => {
                "repair cannot recreate its contents; restore it, or run `pgqadm CONFIG.ini install` to create it empty"
            }
            Problem::OrphanedEvents => {
                "repair keeps them, since their owner cannot be determined; delete them by hand"
            }
        }
    }

    /// Returns the end of a message about the inconsistency: its probable cause, and what to do.
    pub(crate) fn advice(&self) -> &'static str {
        match self.problem {
            Problem::TickTime | Problem::RotationTime => {
                "the clock was set back, or the database was moved; run `pgqadm CONFIG.ini repair`"
            }
            Problem::BrokenQueue | Problem::OrphanedEvents => self.remedy(),
            _ => ADVICE,
        }
    }

    /// Returns the fields that identify the inconsistency, without the numbers.
    pub(crate) fn key(&self) -> (Problem, Option<&str>, Option<&str>, Option<&str>) {
        (self.problem, self.queue.as_deref(), self.consumer.as_deref(), self.object.as_deref())
    }

    fn write_location(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.queue, &self.consumer) {
            (Some(queue), Some(consumer)) => {
                write!(f, "consumer `{}` of queue `{}`: ", printable(consumer), printable(queue))
            }
            (Some(queue), None) => write!(f, "queue `{}`: ", printable(queue)),
            _ => Ok(()),
        }
    }

    fn write_id_problem(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = printable(self.object.as_deref().unwrap_or_default());
        let (reached, needed) = (number(self.reached), number(self.needed));
        match self.problem {
            Problem::TickSequence => write!(f, "sequence `{object}` is at {reached}, behind tick {needed}"),
            Problem::EventSequence => {
                write!(f, "sequence `{object}` is at {reached}, behind event id {needed}")
            }
            Problem::SubscriptionSequence
            | Problem::BatchSequence
            | Problem::ConsumerSequence
            | Problem::QueueSequence
            | Problem::NumberSequence => {
                write!(f, "sequence `{object}` is at {reached}, behind id {needed}, which is in use")
            }
            Problem::TickId => {
                write!(f, "the newest tick has transaction id {needed}, but the server is at {reached}")
            }
            Problem::ConsumerId => write!(
                f,
                "its tick has transaction id {needed}, but the server or a later tick is at {reached}"
            ),
            Problem::RotationId => {
                write!(f, "the last rotation has transaction id {needed}, but the server is at {reached}")
            }
            Problem::EventId => {
                write!(
                    f,
                    "`{object}` has events with transaction id {needed}, but the server is at {reached}"
                )
            }
            _ => self.write_other_problem(f, &object),
        }
    }

    fn write_other_problem(&self, f: &mut fmt::Formatter<'_>, object: &str) -> fmt::Result {
        let (reached, needed) = (number(self.reached), number(self.needed));
        match self.problem {
            Problem::TickTime => write!(f, "the newest tick is {} in the future", seconds(self.needed)),
            Problem::RotationTime => write!(f, "the last rotation is {} in the future", seconds(self.needed)),
            Problem::MissingTick => write!(f, "tick {needed} is missing"),
            Problem::SharedId => write!(f, "it shares id {needed} with consumer `{object}`"),
            Problem::BrokenQueue if self.reached.is_some() => {
                write!(f, "`queue_cur_table` is {reached}, but the queue has {needed} tables")
            }
            Problem::BrokenQueue => write!(f, "`{object}` is missing"),
            _ => {
                write!(
                    f,
                    "`{object}` has {needed} events of consumers that do not exist, the first with owner id {reached}"
                )
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_location(f)?;
        self.write_id_problem(f)
    }
}

fn number(number: Option<i64>) -> String {
    number.map_or_else(|| "?".to_owned(), |number| number.to_string())
}

fn seconds(seconds: Option<i64>) -> String {
    seconds.map_or_else(|| "infinitely far".to_owned(), |seconds| format!("{seconds}s"))
}
