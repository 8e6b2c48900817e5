//! One thing that does not fit.

use std::fmt;

use dbscript::printable;

use super::ADVICE;
use super::level::Level;

/// What kind of thing does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Problem {
    /// The sequence of a queue's tick ids is behind its newest tick.
    TickSequence,
    /// The sequence of a queue's event ids is behind its newest tick or event.
    EventSequence,
    /// The sequence of the ids of registrations is behind: a new consumer would share another one's.
    SubscriptionSequence,
    /// The sequence of batch ids is behind an open batch.
    BatchSequence,
    /// The sequence of the ids of consumers' names is behind.
    ConsumerSequence,
    /// The sequence of the ids of queues is behind.
    QueueSequence,
    /// A queue's newest tick has transaction ids that the server has not reached.
    TickId,
    /// A consumer is at a tick with transaction ids that the server, or the queue's newest tick, has not reached.
    ConsumerId,
    /// A queue's last rotation has a transaction id that the server has not reached.
    RotationId,
    /// Events have transaction ids that the server has not reached.
    EventId,
    /// A queue's newest tick is from the future.
    TickTime,
    /// A queue's last rotation is from the future.
    RotationTime,
    /// A consumer's tick is missing.
    MissingTick,
    /// Two consumers have one id, though none is a subconsumer of the other.
    SharedId,
    /// A queue's table or sequence is missing, or none of its tables is the current one.
    BrokenQueue,
    /// Retry events or failed events are of consumers that are not there.
    OrphanedEvents,
}

const NAMES: [(Problem, &str); 16] = [
    (Problem::TickSequence, "tick-sequence"),
    (Problem::EventSequence, "event-sequence"),
    (Problem::SubscriptionSequence, "subscription-sequence"),
    (Problem::BatchSequence, "batch-sequence"),
    (Problem::ConsumerSequence, "consumer-sequence"),
    (Problem::QueueSequence, "queue-sequence"),
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
    /// Reads a name as [`Display`](fmt::Display) shows it.
    pub(super) fn named(name: &str) -> Option<Problem> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(problem, _)| *problem)
    }
}

/// Shows the name that it has for programs, such as `tick-sequence`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(problem, _)| problem == self).map_or("unknown", |(_, name)| name);
        f.write_str(name)
    }
}

/// Something in a database that does not fit. It shows itself as one line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What kind it is.
    pub problem: Problem,
    /// The queue; `None` for what concerns all of them.
    pub queue: Option<String>,
    /// The consumer, if it is about one.
    pub consumer: Option<String>,
    /// The sequence, the table, or the other consumer.
    pub object: Option<String>,
    /// What the server, the sequence or the queue has reached.
    pub reached: Option<i64>,
    /// What it should have reached at least; for a time, how many seconds that is away.
    pub needed: Option<i64>,
}

impl Finding {
    /// Returns how bad it is: critical where events do not arrive or may be lost.
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

    /// Returns whether [`repair`](super::repair) can mend it.
    pub fn is_mendable(&self) -> bool {
        !matches!(self.problem, Problem::BrokenQueue | Problem::OrphanedEvents)
    }

    /// Returns what [`repair`](super::repair) does about it, or why it can do nothing.
    pub fn remedy(&self) -> &'static str {
        match self.problem {
            Problem::TickSequence
            | Problem::SubscriptionSequence
            | Problem::BatchSequence
            | Problem::ConsumerSequence
            | Problem::QueueSequence => "repair moves the sequence past all ids in use",
            Problem::EventSequence => "repair moves the sequence past all ids in use, and makes a tick",
            Problem::TickId | Problem::ConsumerId | Problem::RotationId | Problem::EventId => {
                "repair gives ticks and events new transaction ids and makes a tick; each consumer gets what it has \
                 not got, and events of which that is unknown come again"
            }
            Problem::TickTime => {
                "repair makes a tick with the present time, and moves ticks of the future to it, except where a consumer is"
            }
            Problem::RotationTime => "repair sets it to the present",
            Problem::MissingTick => {
                "repair makes the tick anew from the one before it, so events may come again; a batch whose end has no \
                 later tick is closed, and comes again"
            }
            Problem::SharedId => {
                "repair gives the later one an id of its own, with a copy of the events that were put aside, of which \
                 nobody can tell whose they are"
            }
            Problem::BrokenQueue if self.reached.is_some() => {
                "repair cannot find out which one it was: set `queue_cur_table` of `pgq.queue` by hand"
            }
            Problem::BrokenQueue => {
                "repair cannot make it anew: restore what was in it, or let `pgqadm CONFIG.ini install` create it empty"
            }
            Problem::OrphanedEvents => {
                "repair leaves them: nobody can tell whose they were; they can be deleted by hand"
            }
        }
    }

    /// Returns what a message about it ends with: why it may be so, and what to do.
    pub(crate) fn advice(&self) -> &'static str {
        match self.problem {
            Problem::TickTime | Problem::RotationTime => {
                "the clock was put back, or the database was moved; `pgqadm CONFIG.ini repair` mends it"
            }
            Problem::BrokenQueue | Problem::OrphanedEvents => self.remedy(),
            _ => ADVICE,
        }
    }

    /// Returns what tells it from other findings, whatever the numbers are.
    pub(crate) fn key(&self) -> (Problem, Option<&str>, Option<&str>, Option<&str>) {
        (self.problem, self.queue.as_deref(), self.consumer.as_deref(), self.object.as_deref())
    }

    fn about(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.queue, &self.consumer) {
            (Some(queue), Some(consumer)) => {
                write!(f, "consumer `{}` of queue `{}`: ", printable(consumer), printable(queue))
            }
            (Some(queue), None) => write!(f, "queue `{}`: ", printable(queue)),
            _ => Ok(()),
        }
    }

    fn what(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
            | Problem::QueueSequence => {
                write!(f, "sequence `{object}` is at {reached}, behind id {needed}, which is in use")
            }
            Problem::TickId => {
                write!(f, "the newest tick is of transaction id {needed}, the server is at {reached} only")
            }
            Problem::ConsumerId => write!(
                f,
                "its tick is of transaction id {needed}, the server or a later tick is at {reached} only"
            ),
            Problem::RotationId => {
                write!(f, "the last rotation is of transaction id {needed}, the server is at {reached} only")
            }
            Problem::EventId => {
                write!(f, "`{object}` has events of transaction id {needed}, the server is at {reached} only")
            }
            _ => self.what_else(f, &object),
        }
    }

    fn what_else(&self, f: &mut fmt::Formatter<'_>, object: &str) -> fmt::Result {
        let (reached, needed) = (number(self.reached), number(self.needed));
        match self.problem {
            Problem::TickTime => write!(f, "the newest tick is {} in the future", seconds(self.needed)),
            Problem::RotationTime => write!(f, "the last rotation is {} in the future", seconds(self.needed)),
            Problem::MissingTick => write!(f, "tick {needed} is missing"),
            Problem::SharedId => write!(f, "it has the id {needed} of consumer `{object}`"),
            Problem::BrokenQueue if self.reached.is_some() => {
                write!(f, "table {reached} is said to be the current one of {needed}")
            }
            Problem::BrokenQueue => write!(f, "`{object}` is missing"),
            _ => {
                write!(
                    f,
                    "`{object}` has {needed} events of consumers that are not there, the first with id {reached}"
                )
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.about(f)?;
        self.what(f)
    }
}

fn number(number: Option<i64>) -> String {
    number.map_or_else(|| "?".to_owned(), |number| number.to_string())
}

fn seconds(seconds: Option<i64>) -> String {
    seconds.map_or_else(|| "for ever".to_owned(), |seconds| format!("{seconds}s"))
}
