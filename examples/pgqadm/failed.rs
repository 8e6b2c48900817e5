//! `failed`: lists, counts, retries, deletes and purges failed events.

use std::io::{self, BufWriter, ErrorKind, Write, stdout};
use std::ops::ControlFlow;

use dbscript::{BoxError, Error, Job, Switches, confirm, printable};
use log::info;
use pgq::admin::FailedEvent;

use crate::commands::consent;
use crate::database::{self, Database};
use crate::text::print;
use crate::{ALL, DB, OLDER_THAN};

const HEAD: &str = "id\tfailed\tretries\ttype\textra1\treason\tdata\n";

/// An action on a consumer's failed events.
enum Action {
    List,
    Count,
    /// Returns the named events to the queue, or all.
    Retry(Option<Vec<i64>>),
    /// Deletes the named events, or all.
    Delete(Option<Vec<i64>>),
    /// Deletes the events that failed longer ago than an interval, or all.
    Purge(Option<String>),
}

impl Action {
    fn read(name: &str, events: &[&str], switches: &Switches) -> Result<Action, BoxError> {
        if switches.value(OLDER_THAN).is_some() && (name != "purge" || switches.has(ALL)) {
            return Err(Error::usage("--older-than is for `failed purge`, without --all").into());
        }
        Ok(match name {
            "list" if events.is_empty() => Action::List,
            "count" if events.is_empty() => Action::Count,
            "retry" => Action::Retry(named(events, switches)?),
            "delete" => Action::Delete(named(events, switches)?),
            "purge" if events.is_empty() => Action::Purge(switches.value(OLDER_THAN).map(str::to_owned)),
            "list" | "count" | "purge" => {
                return Err(Error::usage(format!("`failed {name}` takes no events")).into());
            }
            _ => return Err(switches.misuse().into()),
        })
    }

    /// Checks that the action is possible, before asking for confirmation.
    fn check(&self, db: &mut Database, queue: &str, consumer: &str) -> Result<(), pgq::Error> {
        pgq::admin::require_consumer(&mut **db, queue, consumer)?;
        match self {
            Action::Retry(Some(named)) | Action::Delete(Some(named)) => {
                pgq::admin::require_failed_events(&mut **db, queue, consumer, named)
            }
            Action::Purge(Some(age)) => pgq::admin::require_interval(&mut **db, age),
            Action::List
            | Action::Count
            | Action::Retry(None)
            | Action::Delete(None)
            | Action::Purge(None) => Ok(()),
        }
    }

    /// Returns the loss that must be confirmed, if any.
    fn loss(&self, there: u64) -> Option<String> {
        match self {
            Action::List | Action::Count | Action::Retry(_) => None,
            Action::Delete(Some(named)) => Some(events(named.len() as u64)),
            Action::Delete(None) | Action::Purge(None) => Some(format!("all {}", events(there))),
            Action::Purge(Some(age)) => Some(format!("those of {} that are older than {age}", events(there))),
        }
    }
}

/// Returns the ids of the given events, or `None` for all events.
fn named(events: &[&str], switches: &Switches) -> Result<Option<Vec<i64>>, BoxError> {
    match (events, switches.has(ALL)) {
        ([], true) => Ok(None),
        ([], false) => Err(Error::usage("no event given; --all means all events").into()),
        (_, true) => Err(Error::usage("--all excludes event ids").into()),
        (events, false) => {
            let id = |event: &&str| {
                event.parse().map_err(|_| Error::usage(format!("`{event}` is not the id of an event")))
            };
            let mut named = events.iter().map(id).collect::<Result<Vec<i64>, Error>>()?;
            named.sort_unstable();
            named.dedup();
            Ok(Some(named))
        }
    }
}

pub(crate) fn failed(
    action: &str,
    queue: &str,
    consumer: &str,
    events: &[&str],
    switches: &Switches,
) -> Result<Job, BoxError> {
    let action = Action::read(action, events, switches)?;
    let (queue, consumer, consent) = (queue.to_owned(), consumer.to_owned(), consent(switches));
    Ok(Job::once(move |cx| {
        let mut db = database::open(cx)?;
        let located = |error: pgq::Error| cx.locate(DB, error);
        action.check(&mut db, &queue, &consumer).map_err(located)?;
        let there = pgq::admin::count_failed_events(&mut *db, &queue, &consumer).map_err(located)?;
        if let Some(loss) = action.loss(there).filter(|_| there > 0) {
            let whose = format!("consumer `{consumer}` on queue `{queue}`");
            confirm(&format!("permanently delete {loss}, of {whose}"), consent)?;
        }
        run(&action, &mut db, &queue, &consumer, there, located)
    }))
}

fn run(
    action: &Action,
    db: &mut Database,
    queue: &str,
    consumer: &str,
    there: u64,
    located: impl Fn(pgq::Error) -> Error,
) -> Result<(), BoxError> {
    let (done, result) = match action {
        Action::List => return list(db, queue, consumer, located),
        Action::Count => return print(&format!("{there}\n")),
        Action::Retry(Some(named)) => {
            ("returned to the queue", pgq::admin::retry_failed_events(&mut **db, queue, consumer, named))
        }
        Action::Retry(None) => {
            ("returned to the queue", pgq::admin::retry_all_failed_events(&mut **db, queue, consumer))
        }
        Action::Delete(Some(named)) => {
            ("deleted", pgq::admin::delete_failed_events(&mut **db, queue, consumer, named))
        }
        Action::Delete(None) => {
            ("deleted", pgq::admin::purge_failed_events(&mut **db, queue, consumer, None))
        }
        Action::Purge(age) => {
            ("deleted", pgq::admin::purge_failed_events(&mut **db, queue, consumer, age.as_deref()))
        }
    };
    let count = result.map_err(located)?;
    info!("consumer `{}` on queue `{}`: {} {done}", printable(consumer), printable(queue), events(count));
    Ok(())
}

/// Prints one line for each event, as the events arrive from the server.
fn list(
    db: &mut Database,
    queue: &str,
    consumer: &str,
    located: impl Fn(pgq::Error) -> Error,
) -> Result<(), BoxError> {
    let mut out = BufWriter::new(stdout().lock());
    let mut written = out.write_all(HEAD.as_bytes());
    let each = |event: FailedEvent| {
        if written.is_ok() {
            written = line(&mut out, &event);
        }
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    pgq::admin::each_failed_event(&mut **db, queue, consumer, each).map_err(located)?;
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn line(out: &mut impl Write, event: &FailedEvent) -> io::Result<()> {
    let failed_at = event.failed_at().format("%Y-%m-%dT%H:%M:%SZ");
    write!(out, "{}\t{failed_at}\t{}", event.id(), event.retry())?;
    for text in [Some(event.event_type()), event.extra1(), event.reason(), event.data()] {
        write!(out, "\t{}", text.map_or("\\N".into(), printable))?;
    }
    out.write_all(b"\n")
}

/// Formats a number of failed events.
fn events(count: u64) -> String {
    format!("{count} failed event{}", if count == 1 { "" } else { "s" })
}
