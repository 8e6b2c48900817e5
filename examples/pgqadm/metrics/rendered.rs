//! The text of the metrics.

use std::sync::Arc;

use hyper::body::Bytes;
use pgq::status::Status;
use pgq::status::metrics::render;

/// The metrics as they were rendered last. Clients that are answered by one reading share the text: it takes time to
/// render, during which nobody is answered, and memory as long as a client does not read it.
#[derive(Default)]
pub(super) struct Rendered {
    read: Vec<Arc<Status>>,
    failed: Vec<String>,
    text: Bytes,
}

impl Rendered {
    /// Returns the text of what was read, and of the databases that could not be.
    pub(super) fn text(&mut self, read: Vec<Arc<Status>>, failed: Vec<String>) -> Bytes {
        let is_same = self.failed == failed
            && self.read.len() == read.len()
            && self.read.iter().zip(&read).all(|(one, other)| Arc::ptr_eq(one, other));
        if !is_same {
            *self = Rendered { text: render(&read, &failed).into(), read, failed };
        }
        self.text.clone()
    }
}
