//! Who is accepted, and by whom.

use std::cell::RefCell;

use super::super::Encrypted;
use crate::support::certificates::{Pem, self_signed};

/// Whether `verify-ca` and `verify-full` accept.
pub(super) type Accepted = [bool; 2];

/// A server that shows certificates to programs and to psql.
pub(super) struct Court {
    encrypted: Encrypted,
    wrong: RefCell<Vec<String>>,
}

impl Court {
    pub(super) fn open() -> Court {
        let encrypted = Encrypted::start(&self_signed("localhost"), |builder| builder);
        Court { encrypted, wrong: RefCell::default() }
    }

    /// Compares with what programs and psql are both expected to accept.
    pub(super) fn judge(&self, what: &str, pem: &Pem, roots: &str, expected: Accepted) {
        self.judge_host(what, pem, roots, "localhost", [expected; 2]);
    }

    /// As `judge`, for a host by another name, with what programs accept first, and then what psql does.
    pub(super) fn judge_host(&self, what: &str, pem: &Pem, roots: &str, host: &str, expected: [Accepted; 2]) {
        self.encrypted.use_certificate(pem);
        self.encrypted.restart();
        let roots = self.encrypted.file("roots.crt", roots);
        let conninfo = |mode: &str| {
            let more = format!("hostaddr=127.0.0.1 sslmode={mode} sslrootcert={roots}");
            self.encrypted.conninfo(&more).replace("host=localhost", &format!("host={host}"))
        };
        let modes = ["verify-ca", "verify-full"].map(conninfo);
        let ours = modes.clone().map(|conninfo| self.encrypted.seen(&conninfo));
        let psql = modes.map(|conninfo| self.encrypted.psql(&conninfo));
        if [&ours, &psql].map(|two| two.each_ref().map(Result::is_ok)) != expected {
            let wrong = format!("{what}: {expected:?}\n  ours: {ours:?}\n  psql: {psql:?}");
            self.wrong.borrow_mut().push(wrong);
        }
    }

    #[track_caller]
    pub(super) fn close(self) {
        let wrong = self.wrong.into_inner();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
