//! `delayed`: lists, counts and cancels delayed events.

use std::io::{self, BufWriter, ErrorKind, Write, stdout};

use dbscript::{BoxError, Error, Job, Switches, printable};
use log::info;
use pgq::admin::DelayedEvent;

use crate::DB;
use crate::database::{self, Database};
use crate::text::print;

const HEAD: &str = "id\tdue\ttype\textra1\trole\tdata\n";
/// The number of events that are read at once.
const PAGE: u32 = 1000;

/// An action on a queue's delayed events.
enum Action {
    List,
    Count,
    Cancel(Vec<i64>),
}

impl Action {
    fn read(name: &str, events: &[&str], switches: &Switches) -> Result<Action, BoxError> {
        Ok(match (name, events) {
            ("list", []) => Action::List,
            ("count", []) => Action::Count,
            ("list" | "count", _) => {
                return Err(Error::usage(format!("`delayed {name}` takes no events")).into());
            }
            ("cancel", []) => return Err(Error::usage("no event given").into()),
            ("cancel", events) => {
                let id = |event: &&str| {
                    event.parse().map_err(|_| Error::usage(format!("`{event}` is not the id of an event")))
                };
                Action::Cancel(events.iter().map(id).collect::<Result<_, Error>>()?)
            }
            _ => return Err(switches.misuse().into()),
        })
    }
}

pub(crate) fn delayed(
    action: &str,
    queue: &str,
    events: &[&str],
    switches: &Switches,
) -> Result<Job, BoxError> {
    let action = Action::read(action, events, switches)?;
    let queue = queue.to_owned();
    Ok(Job::once(move |cx| {
        let mut db = database::open(cx)?;
        let located = |error: pgq::Error| cx.locate(DB, error);
        match &action {
            Action::List => list(&mut db, &queue, located),
            Action::Count => {
                let count = pgq::admin::count_delayed_events(&mut *db, &queue).map_err(located)?;
                print(&format!("{count}\n"))
            }
            Action::Cancel(events) => cancel(&mut db, &queue, events, located),
        }
    }))
}

/// Cancels all events or none.
fn cancel(
    db: &mut Database,
    queue: &str,
    events: &[i64],
    located: impl Fn(pgq::Error) -> Error,
) -> Result<(), BoxError> {
    let mut transaction = db.transaction()?;
    for event in events {
        if !pgq::admin::cancel_delayed_event(&mut transaction, queue, *event).map_err(&located)? {
            let what = format!("queue `{}` has no delayed event {event}", printable(queue));
            return Err(Error::failed(what).into());
        }
    }
    transaction.commit()?;
    let s = if events.len() == 1 { "" } else { "s" };
    info!("queue `{}`: {} delayed event{s} cancelled", printable(queue), events.len());
    Ok(())
}

/// Prints one line for each event, in the order of their times.
fn list(db: &mut Database, queue: &str, located: impl Fn(pgq::Error) -> Error) -> Result<(), BoxError> {
    let mut out = BufWriter::new(stdout().lock());
    let mut written = Ok(());
    let mut transaction =
        db.build_transaction().isolation_level(pgq::postgres::IsolationLevel::RepeatableRead).start()?;
    for page in 0.. {
        let events =
            pgq::admin::delayed_events(&mut transaction, queue, Some(PAGE), page * PAGE).map_err(&located)?;
        if page == 0 {
            written = out.write_all(HEAD.as_bytes());
        }
        written = written.and_then(|()| events.iter().try_for_each(|event| line(&mut out, event)));
        if events.len() < PAGE as usize || written.is_err() {
            break;
        }
    }
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn line(out: &mut impl Write, event: &DelayedEvent) -> io::Result<()> {
    write!(out, "{}\t{}", event.id, event.due.format("%Y-%m-%dT%H:%M:%SZ"))?;
    let texts =
        [event.event_type.as_deref(), event.extra[0].as_deref(), Some(&*event.role), event.data.as_deref()];
    for text in texts {
        write!(out, "\t{}", text.map_or("\\N".into(), printable))?;
    }
    out.write_all(b"\n")
}
