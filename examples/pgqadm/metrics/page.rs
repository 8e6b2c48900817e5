//! Pages for browsers. They show what `status --json` prints, and the failed events of a consumer.

mod address;
mod chart;
mod consumers;
mod failed;
mod layout;
mod overview;
mod queue;
mod queues;
mod table;
mod text;
mod value;

use std::time::Duration;

use hyper::StatusCode;

use self::address::Address;
use super::answer::Answer;
use super::http::Served;

/// Returns a file that pages load.
pub(super) fn file(path: &str) -> Option<Answer> {
    let (kind, text) = match path {
        "/style.css" => ("text/css; charset=utf-8", include_str!("page/style.css")),
        "/refresh.js" => ("text/javascript; charset=utf-8", include_str!("page/refresh.js")),
        "/icon.svg" => ("image/svg+xml", include_str!("page/icon.svg")),
        _ => return None,
    };
    Some(Answer::of_kind(kind, text))
}

/// Returns a page with a status that is at most `max_age` old.
pub(super) async fn answer(path: &str, query: &str, served: &Served, max_age: Duration) -> Answer {
    match path {
        "/" => {
            let reading = served.readings.read(max_age).await;
            let page = overview::page(&reading, &served.history(), &Address::new("./", query));
            Answer::page(StatusCode::OK, page)
        }
        "/queue" => {
            let reading = served.readings.read(max_age).await;
            queue::answer(&reading, &served.history(), &Address::new("queue", query))
        }
        "/failed" => failed::answer(served, &Address::new("failed", query)).await,
        _ => Answer::text(StatusCode::NOT_FOUND, "the paths are /, /metrics, /live and /ready\n"),
    }
}
