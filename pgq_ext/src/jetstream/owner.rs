//! The consumer whose position a stream has.

use pgq::BoxError;

use super::{Options, subject};
use crate::error::Error;

/// The consumer whose position the stream has, and its subject.
pub(super) struct Owner {
    pub(super) consumer: String,
    pub(super) stream: String,
    pub(super) subject: String,
}

impl Owner {
    pub(super) fn of(consumer: &str, options: &Options) -> Owner {
        let subject = options.position_subject.clone().unwrap_or_else(|| {
            let consumer = subject::escaped(consumer);
            format!("pgq_position.{}.{consumer}", options.stream)
        });
        Owner { consumer: consumer.to_owned(), stream: options.stream.clone(), subject }
    }

    pub(super) fn located(&self, error: BoxError) -> BoxError {
        let what = format!("stream `{}`, subject `{}`", self.stream, self.subject);
        dbscript::Error::failed(what).caused_by(error).into()
    }

    /// Makes the error of a stream that has neither a position nor the note that it was forgotten.
    pub(super) fn lost(&self) -> BoxError {
        let why = format!(
            "stream `{}` has no message on subject `{}`: the stream was created anew or has removed the message; --reset \
             starts at the source's position",
            self.stream, self.subject
        );
        Error::lost(&self.consumer, why).into()
    }
}
