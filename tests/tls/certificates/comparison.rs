//! The same certificates for programs and for psql.

use std::cell::RefCell;

use super::super::Encrypted;
use super::differences::Difference;
use crate::support::certificates::{Pem, self_signed};

/// Whether `verify-ca` and `verify-full` accept.
pub(super) type Accepted = [bool; 2];

pub(super) const BOTH: Accepted = [true, true];
pub(super) const CHAIN: Accepted = [true, false];
pub(super) const NEITHER: Accepted = [false, false];

/// Results of programs and of psql.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    ours: Accepted,
    pub(super) psql: Accepted,
    /// The row of MIGRATING.md that says why they differ.
    listed: Option<Difference>,
}

pub(super) const fn same(accepted: Accepted) -> Expected {
    Expected { ours: accepted, psql: accepted, listed: None }
}

pub(super) const fn differs(by: Difference, ours: Accepted, psql: Accepted) -> Expected {
    Expected { ours, psql, listed: Some(by) }
}

/// A server that shows certificates to programs and to psql.
pub(super) struct Comparison {
    encrypted: Encrypted,
    wrong: RefCell<Vec<String>>,
}

impl Comparison {
    pub(super) fn start() -> Comparison {
        let encrypted = Encrypted::start(&self_signed("localhost"), |builder| builder);
        Comparison { encrypted, wrong: RefCell::default() }
    }

    pub(super) fn check(&self, what: &str, pem: &Pem, roots: &str, expected: Expected) {
        self.check_host(what, pem, roots, "localhost", expected);
    }

    /// As `check`, for a host by another name.
    pub(super) fn check_host(&self, what: &str, pem: &Pem, roots: &str, host: &str, expected: Expected) {
        self.encrypted.use_certificate(pem);
        self.encrypted.reload();
        let roots = self.encrypted.file("roots.crt", roots);
        let conninfo = |mode: &str| {
            let more = format!("hostaddr=127.0.0.1 sslmode={mode} sslrootcert={roots}");
            self.encrypted.conninfo(&more).replace("host=localhost", &format!("host={host}"))
        };
        let modes = ["verify-ca", "verify-full"].map(conninfo);
        let ours = modes.clone().map(|conninfo| self.encrypted.seen(&conninfo));
        let psql = modes.map(|conninfo| self.encrypted.psql(&conninfo));
        let found = [&ours, &psql].map(|two| two.each_ref().map(Result::is_ok));
        if found != [expected.ours, expected.psql] || (found[0] == found[1]) == expected.listed.is_some() {
            let wrong = format!("{what}: {expected:?}\n  ours: {ours:?}\n  psql: {psql:?}");
            self.wrong.borrow_mut().push(wrong);
        }
    }

    #[track_caller]
    pub(super) fn finish(self) {
        let wrong = self.wrong.into_inner();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
