//! The metrics of all databases, for Prometheus.

use hyper::body::Bytes;
use pgq::status::Status;
use pgq::status::metrics::{CONTENT_TYPE, render};

use super::answer::Answer;
use super::reading::Reading;

pub(super) fn answer(reading: &Reading) -> Answer {
    let text = reading.metrics.get_or_init(|| rendered(reading));
    Answer::of_kind(CONTENT_TYPE, text.clone())
}

fn rendered(reading: &Reading) -> Bytes {
    let read: Vec<&Status> =
        reading.databases.iter().filter_map(|database| database.status.as_ref().ok()).collect();
    let failed: Vec<String> = reading
        .databases
        .iter()
        .filter(|database| database.status.is_err())
        .map(|database| database.name.clone())
        .collect();
    render(&read, &failed).into()
}
