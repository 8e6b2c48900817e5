//! `schedule`, `schedules` and `unschedule`: recurring events.

use std::borrow::Cow;

use dbscript::{BoxError, Error, Job, Switches, printable};
use log::info;
use pgq::admin::ScheduledEvent;
use pgq::{NewEvent, Schedule};

use crate::DB;
use crate::database;
use crate::text::print;

/// The option for the time zone of a schedule.
pub(crate) const ZONE: &str = "zone";
/// The options for the extra columns of a schedule's event.
pub(crate) const EXTRAS: [&str; 4] = ["extra1", "extra2", "extra3", "extra4"];

const HEAD: &str = "queue\tname\tcron\tzone\tnext\ttype\tdata\n";
/// The number of characters of an event's data that a list shows.
const DATA_SHOWN: usize = 60;
const TIME: &str = "%Y-%m-%dT%H:%M:%SZ";

pub(crate) fn schedule(
    queue: &str,
    name: &str,
    cron: &str,
    [event_type, data]: [&str; 2],
    switches: &Switches,
) -> Result<Job, BoxError> {
    let mut schedule = Schedule::new(cron).map_err(Error::from)?;
    if let Some(zone) = switches.value(ZONE) {
        schedule = schedule.in_zone(zone).map_err(Error::from)?;
    }
    let event = NewEvent::new(event_type.to_owned(), data.to_owned());
    let extra = EXTRAS.map(|name| switches.value(name).map(str::to_owned));
    let (queue, name) = (queue.to_owned(), name.to_owned());
    Ok(Job::once(move |cx| {
        let mut db = database::open(cx)?;
        let event = event.clone().extra(extra.each_ref().map(Option::as_deref));
        let done = pgq::schedule_event(&mut *db, &queue, &name, &schedule, &event)
            .map_err(|error| cx.locate(DB, error))?;
        let change = match (done.is_new, done.is_changed) {
            (true, _) => "added",
            (false, true) => "replaced",
            (false, false) => "not changed",
        };
        let [queue, name] = [&queue, &name].map(|name| printable(name));
        info!("queue `{queue}`: schedule `{name}` {change}, {schedule}, next at {}", done.next.format(TIME));
        Ok(())
    }))
}

pub(crate) fn unschedule(queue: &str, name: &str) -> Job {
    let (queue, name) = (queue.to_owned(), name.to_owned());
    Job::once(move |cx| {
        let mut db = database::open(cx)?;
        let removed = pgq::admin::unschedule_event(&mut *db, &queue, &name);
        let removed = removed.map_err(|error| cx.locate(DB, error))?;
        let [queue, name] = [&queue, &name].map(|name| printable(name));
        match removed {
            true => {
                info!("queue `{queue}`: schedule `{name}` removed");
                Ok(())
            }
            false => Err(Error::failed(format!("queue `{queue}` has no schedule `{name}`")).into()),
        }
    })
}

/// Prints one line for each schedule of a queue, or of all queues.
pub(crate) fn list(queue: Option<&str>) -> Job {
    let queue = queue.map(str::to_owned);
    Job::once(move |cx| {
        let mut db = database::open(cx)?;
        let schedules = pgq::admin::scheduled_events(&mut *db, queue.as_deref());
        let schedules = schedules.map_err(|error| cx.locate(DB, error))?;
        let lines: String = schedules.iter().map(line).collect();
        print(&format!("{HEAD}{lines}"))
    })
}

fn line(event: &ScheduledEvent) -> String {
    let next = event.next.map(|next| next.format(TIME).to_string());
    let data = event.data.as_deref().map(shortened);
    let columns = [
        Some(&*event.queue),
        Some(&event.name),
        Some(&event.cron),
        Some(&event.zone),
        next.as_deref(),
        event.event_type.as_deref(),
        data.as_deref(),
    ];
    columns.map(|text| text.map_or("\\N".into(), printable)).join("\t") + "\n"
}

/// Shortens data to what a line shows.
fn shortened(data: &str) -> Cow<'_, str> {
    match data.char_indices().nth(DATA_SHOWN) {
        Some((end, _)) => format!("{}…", &data[..end]).into(),
        None => data.into(),
    }
}
