//! An answer of the server, with the headers that every answer has.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName};
use hyper::{Response, StatusCode};
use maud::Markup;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// A page loads files of this server only, and runs no inline code. Browsers store no page, since pages may contain data of
/// events.
const HEADERS: [(&str, &str); 4] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
];

/// An answer.
pub(super) struct Answer {
    status: StatusCode,
    kind: &'static str,
    body: Bytes,
    header: Option<(HeaderName, &'static str)>,
}

impl Answer {
    pub(super) fn text(status: StatusCode, text: &'static str) -> Answer {
        Answer { status, kind: TEXT, body: text.into(), header: None }
    }

    pub(super) fn page(status: StatusCode, page: Markup) -> Answer {
        Answer { status, kind: HTML, body: page.into_string().into(), header: None }
    }

    /// Makes the answer of a content type.
    pub(super) fn of_kind(kind: &'static str, body: impl Into<Bytes>) -> Answer {
        Answer { status: StatusCode::OK, kind, body: body.into(), header: None }
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: &'static str) -> Answer {
        self.header = Some((name, value));
        self
    }

    pub(super) fn into_response(self) -> hyper::http::Result<Response<Full<Bytes>>> {
        let mut reply = Response::builder().status(self.status).header(CONTENT_TYPE, self.kind);
        for (name, value) in HEADERS {
            reply = reply.header(name, value);
        }
        if let Some((name, value)) = self.header {
            reply = reply.header(name, value);
        }
        reply.body(self.body.into())
    }
}
