//! The page of a queue.

use hyper::StatusCode;
use maud::{Markup, html};
use pgq::status::QueueStatus;

use super::super::answer::Answer;
use super::super::history::History;
use super::super::reading::Reading;
use super::address::{Address, of_database, of_queue};
use super::consumers::{self, ConsumerRow, Scope};
use super::layout;
use super::queues::state;
use super::text::{list, name, several};
use super::value::Value;
use crate::watch::format::setting;

/// Returns the page, or why there is none.
pub(super) fn answer(reading: &Reading, history: &History, address: &Address) -> Answer {
    let (database, queue) = (address.get("db"), address.get("name"));
    let message =
        |status, text: &str| Answer::page(status, layout::message(queue, path(database, None), text));
    let Some(found) = reading.databases.iter().find(|found| found.name == database) else {
        return message(StatusCode::NOT_FOUND, &format!("database `{database}` is not served"));
    };
    let status = match &found.status {
        Ok(status) => status,
        Err(failure) => {
            let text = format!("database `{database}` cannot be read: {}", failure.text);
            return message(StatusCode::SERVICE_UNAVAILABLE, &text);
        }
    };
    match status.queues.iter().find(|found| found.name == queue) {
        Some(queue) => Answer::page(StatusCode::OK, page(database, queue, reading, history, address)),
        None => message(StatusCode::NOT_FOUND, &format!("queue `{queue}` does not exist")),
    }
}

/// Makes the links to the pages above.
pub(super) fn path(database: &str, queue: Option<&str>) -> Markup {
    html! {
        a href=(of_database(database).to_string()) { (name(database)) }
        @if let Some(queue) = queue { a href=(of_queue(database, queue).to_string()) { (name(queue)) } }
    }
}

fn page(
    database: &str,
    queue: &QueueStatus,
    reading: &Reading,
    history: &History,
    address: &Address,
) -> Markup {
    let filter = address.get("filter").to_lowercase();
    let rows: Vec<_> = queue
        .consumers
        .iter()
        .filter(|consumer| consumer.name.to_lowercase().contains(&filter))
        .map(|consumer| ConsumerRow { database, queue, consumer, history })
        .collect();
    let causes: Vec<String> = queue.rotation.held_up_by.iter().map(ToString::to_string).collect();
    let main = html! {
        p.time { "Read at " (reading.time.format("%H:%M:%S UTC")) }
        h1 { (name(&queue.name)) " " (state(queue)) }
        @if !causes.is_empty() { h2 { "Rotation is held up by" } (list("holders", &causes)) }
        (facts(queue))
        section {
            h2 { (several(rows.len(), "consumer")) }
            (consumers::table(rows, address, Scope::Queue))
        }
    };
    layout::page(&queue.name, path(database, Some(&queue.name)), layout::search(address), main)
}

fn facts(queue: &QueueStatus) -> Markup {
    let (rotation, ticker) = (&queue.rotation, &queue.ticker);
    let (lag, idle) = (setting(ticker.max_lag), setting(ticker.idle_period));
    let ticks = format!("{} events or {lag}, {idle} when idle", ticker.max_count);
    let table = format!("{} of {}", u64::from(rotation.table) + 1, rotation.tables);
    let due = if rotation.is_due { ", rotation is due" } else { "" };
    html! {
        dl {
            (fact("Events/s", Value::PerSecond(queue.events_per_second).show()))
            (fact("Ticker lag", Value::Duration(queue.ticker_lag).show()))
            (fact("New events", Value::Count(queue.new_events).show()))
            (fact("Retry events", Value::count(queue.retry_events).show()))
            (fact("Last tick", number(queue.last_tick)))
            (fact("Last event before it", number(queue.last_tick_event)))
            (fact("A tick after", html! { (ticks) }))
            (fact("Current table", html! { (table) }))
            (fact("Rotated", html! { (Value::Duration(Some(rotation.age)).show()) " ago" (due) }))
            (fact("Rotation period", html! { (setting(rotation.period)) }))
        }
    }
}

/// Shows the number of a tick or an event.
fn number(number: Option<i64>) -> Markup {
    match number {
        Some(number) => html! { (number) },
        None => html! { "-" },
    }
}

fn fact(title: &str, value: Markup) -> Markup {
    html! { div { dt { (title) } dd { (value) } } }
}
