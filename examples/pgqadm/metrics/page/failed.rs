//! The failed events of a consumer.

use hyper::StatusCode;
use maud::{Markup, html};
use pgq::admin::FailedEvent;

use super::super::answer::Answer;
use super::super::http::Served;
use super::super::reading::{FailedPage, PAGE};
use super::address::Address;
use super::text::{name, several};
use super::{layout, queue};

/// The length of a text on the page, in characters.
const SHOWN: usize = 2_000;

/// Whether the page shows the data of events, and the reasons, since an error can contain values of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    Shown,
    Hidden,
}

/// Reads a page of failed events: the first ones, or those after an event.
pub(super) async fn answer(served: &Served, address: &Address) -> Answer {
    let [database, queue, consumer] = ["db", "queue", "consumer"].map(|name| address.get(name));
    let after = address.get("after").parse().ok();
    let path = queue::path(database, Some(queue));
    let read = served.readings.failed_events(database, queue, consumer, after).await;
    let (status, text) = match read {
        Some(Ok(events)) => {
            let data = if served.access.has_password() { Data::Shown } else { Data::Hidden };
            let page = layout::page(consumer, path, html! {}, main(&events, address, data));
            return Answer::page(StatusCode::OK, page);
        }
        Some(Err(failure)) if failure.is_missing => (StatusCode::NOT_FOUND, failure.text),
        Some(Err(failure)) => (StatusCode::SERVICE_UNAVAILABLE, failure.text),
        None => (StatusCode::NOT_FOUND, format!("database `{database}` is not served")),
    };
    Answer::page(status, layout::message(consumer, path, &text))
}

fn main(page: &FailedPage, address: &Address, data: Data) -> Markup {
    let last = page.events.last().filter(|_| page.events.len() >= PAGE as usize);
    let count = usize::try_from(page.count).unwrap_or(usize::MAX);
    html! {
        h1 { (several(count, "failed event")) " of " (name(address.get("consumer"))) }
        @if data == Data::Hidden {
            p { "Reasons and data are hidden: set metrics_user and metrics_password to show them." }
        }
        table {
            thead { tr { @for title in titles(data) { th scope="col" { (title) } } } }
            tbody { @for event in &page.events { (row(event, data)) } }
        }
        nav.pages {
            @if !address.get("after").is_empty() {
                a href=(address.with("after", "").to_string()) rel="first" { "first" } " "
            }
            @if let Some(last) = last {
                a href=(address.with("after", &last.id().to_string()).to_string()) rel="next" { "next" }
            }
        }
    }
}

static TITLES: [&str; 7] = ["Event", "Failed at", "Retries", "Type", "Reason", "Data", "Extra"];

/// Returns the titles of the columns.
fn titles(data: Data) -> &'static [&'static str] {
    match data {
        Data::Shown => &TITLES,
        Data::Hidden => &TITLES[..4],
    }
}

fn row(event: &FailedEvent, data: Data) -> Markup {
    let extras = [event.extra1(), event.extra2(), event.extra3(), event.extra4()];
    html! {
        tr {
            td.number data-title="Event" { (event.id()) }
            td data-title="Failed at" { (event.failed_at().format("%Y-%m-%d %H:%M:%S UTC")) }
            td.number data-title="Retries" { (event.retry()) }
            td data-title="Type" { (cut(event.event_type())) }
            @if data == Data::Shown {
                td.text data-title="Reason" { (or_null(event.reason())) }
                td.text data-title="Data" { (or_null(event.data())) }
                td.text data-title="Extra" {
                    @for (number, extra) in extras.into_iter().enumerate() {
                        @if let Some(extra) = extra { p { (number + 1) ": " (cut(extra)) } }
                    }
                }
            }
        }
    }
}

fn or_null(text: Option<&str>) -> Markup {
    match text {
        Some(text) => cut(text),
        None => html! { span.note { "null" } },
    }
}

/// Shows a text, at most so much of it as the page has room for.
fn cut(text: &str) -> Markup {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => html! { (name(&text[..end])) "…" },
        None => name(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut() {
        let text = "ü<".repeat(SHOWN);
        let shown = cut(&text).into_string();
        assert!(shown.ends_with("ü&lt;…") && shown.matches('ü').count() == SHOWN / 2, "{shown}");
        assert_eq!(cut("a\nb").into_string(), "a\\nb");
        assert_eq!(or_null(None).into_string(), "<span class=\"note\">null</span>");
        assert_eq!(titles(Data::Hidden).last(), Some(&"Type"));
    }
}
