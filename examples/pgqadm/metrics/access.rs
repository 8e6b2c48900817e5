//! The access to the server: a user and a password, and the host names of a listener on the loopback interface.

use std::net::IpAddr;

use data_encoding::BASE64;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::uri::Authority;
use hyper::{StatusCode, Uri};
use subtle::ConstantTimeEq;

use super::answer::Answer;

const CHALLENGE: &str = "Basic realm=\"pgq\", charset=\"UTF-8\"";

/// A user and a password, encoded as HTTP Basic sends them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials(String);

impl Credentials {
    pub(crate) fn new(user: &str, password: &str) -> Credentials {
        Credentials(BASE64.encode(format!("{user}:{password}").as_bytes()))
    }

    /// Compares in a time that does not depend on the password's characters.
    fn match_header(&self, header: &HeaderValue) -> bool {
        let header = header.as_bytes();
        let Some(space) = header.iter().position(|byte| *byte == b' ') else { return false };
        let (scheme, token) = header.split_at(space);
        scheme.eq_ignore_ascii_case(b"basic") && token.trim_ascii().ct_eq(self.0.as_bytes()).into()
    }
}

/// The rules for requests of pages and metrics.
pub(super) struct Access {
    credentials: Option<Credentials>,
    /// Whether only programs of this machine can connect.
    is_loopback: bool,
}

/// Why a request gets no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The user or the password is missing or wrong.
    Unauthorized,
    /// The request names a host that another machine may have pointed to this one.
    ForeignHost,
}

impl Access {
    pub(super) fn new(credentials: Option<Credentials>, address: IpAddr) -> Access {
        Access { credentials, is_loopback: address.is_loopback() }
    }

    /// Returns whether clients need a password, so that pages may show the data of events.
    pub(super) fn has_password(&self) -> bool {
        self.credentials.is_some()
    }

    /// Returns whether any machine of the network can read without a password.
    pub(super) fn is_open(&self) -> bool {
        !self.is_loopback && self.credentials.is_none()
    }

    /// Checks a request.
    ///
    /// A page of another site cannot read from this server unless its name resolves to the loopback address (DNS
    /// rebinding). Then the request names that site. A browser sends no password for the name of another site.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        match &self.credentials {
            Some(credentials) => {
                let is_right =
                    headers.get(AUTHORIZATION).is_some_and(|header| credentials.match_header(header));
                if is_right { Ok(()) } else { Err(Refusal::Unauthorized) }
            }
            None if self.is_loopback && !names_this_machine(uri, headers) => Err(Refusal::ForeignHost),
            None => Ok(()),
        }
    }
}

/// Returns whether a request names this machine by an address or as `localhost`, or names no host, as a browser always
/// does.
fn names_this_machine(uri: &Uri, headers: &HeaderMap) -> bool {
    let is_local = |authority: &Authority| {
        let host = authority.host();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
    };
    let is_local_header = |header: &HeaderValue| {
        Authority::try_from(header.as_bytes()).is_ok_and(|authority| is_local(&authority))
    };
    uri.authority().is_none_or(is_local) && headers.get_all(HOST).iter().all(is_local_header)
}

impl Refusal {
    pub(super) fn answer(&self) -> Answer {
        match self {
            Refusal::Unauthorized => {
                let text = "user and password required: those of metrics_user and metrics_password\n";
                Answer::text(StatusCode::UNAUTHORIZED, text).with_header(WWW_AUTHENTICATE, CHALLENGE)
            }
            Refusal::ForeignHost => {
                let text = "unknown host name: use an IP address or localhost, or set metrics_user and metrics_password\n";
                Answer::text(StatusCode::FORBIDDEN, text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn check(access: &Access, header: &str, value: &str) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        if !header.is_empty() {
            let name: hyper::header::HeaderName = header.parse().expect("a name");
            headers.insert(name, value.parse().expect("a value"));
        }
        access.check(&Uri::from_static("/"), &headers)
    }

    #[test]
    fn only_the_right_password_is_accepted() {
        let credentials = Some(Credentials::new("Aladdin", "open sesame"));
        let access = Access::new(credentials, Ipv4Addr::LOCALHOST.into());
        for right in ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ=="] {
            assert_eq!(check(&access, "authorization", right), Ok(()), "{right}");
        }
        for wrong in [
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",
            "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Basic ",
            "Basic",
        ] {
            assert_eq!(check(&access, "authorization", wrong), Err(Refusal::Unauthorized), "{wrong}");
        }
        assert_eq!(check(&access, "host", "localhost"), Err(Refusal::Unauthorized));
    }

    #[test]
    fn a_loopback_listener_accepts_only_names_of_this_machine() {
        let access = Access::new(None, Ipv4Addr::LOCALHOST.into());
        for local in ["127.0.0.1", "127.0.0.1:9187", "localhost:9187", "LOCALHOST", "[::1]:9187", "10.0.0.7"]
        {
            assert_eq!(check(&access, "host", local), Ok(()), "{local}");
        }
        for foreign in
            ["example.org", "localhost.example.org:9187", "127.0.0.1.example.org", "me@example.org"]
        {
            assert_eq!(check(&access, "host", foreign), Err(Refusal::ForeignHost), "{foreign}");
        }
        assert_eq!(check(&access, "", ""), Ok(()), "a client of HTTP/1.0");
        let uri = Uri::from_static("http://example.org/");
        assert_eq!(access.check(&uri, &HeaderMap::new()), Err(Refusal::ForeignHost));
        let public = Access::new(None, Ipv4Addr::UNSPECIFIED.into());
        assert_eq!(check(&public, "host", "example.org"), Ok(()));
        assert!(public.is_open() && !access.is_open() && !access.has_password());
    }
}
