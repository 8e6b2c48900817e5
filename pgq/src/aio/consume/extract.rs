//! The arguments of a handler: what is taken out of the event.

use std::future::Future;
use std::pin::Pin;

use dbscript::BoxError;
use serde::de::DeserializeOwned;

use super::origin::Origin;
use crate::consume::outcome::Outcome;
use crate::error::Error;
use crate::event::stored_event::Event;

/// An argument of a handler, made out of the event.
pub trait FromEvent: Sized {
    /// Makes the argument.
    ///
    /// # Errors
    ///
    /// When the event does not have it. The event then fails as if its handler had.
    fn from_event(event: &Event, origin: &Origin) -> Result<Self, BoxError>;
}

/// The event itself.
impl FromEvent for Event {
    fn from_event(event: &Event, _origin: &Origin) -> Result<Event, BoxError> {
        Ok(event.clone())
    }
}

/// The queue, the consumer and the batch.
impl FromEvent for Origin {
    fn from_event(_event: &Event, origin: &Origin) -> Result<Origin, BoxError> {
        Ok(origin.clone())
    }
}

/// The JSON of `ev_data`, as [`Event::json`](crate::Event::json) reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromEvent for Json<T> {
    fn from_event(event: &Event, _origin: &Origin) -> Result<Json<T>, BoxError> {
        Ok(Json(event.json()?))
    }
}

/// The urlencoded fields of `ev_data`, as [`Event::urldecode_as`](crate::Event::urldecode_as) reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Urlencoded<T>(pub T);

impl<T: DeserializeOwned> FromEvent for Urlencoded<T> {
    fn from_event(event: &Event, _origin: &Origin) -> Result<Urlencoded<T>, BoxError> {
        Ok(Urlencoded(event.urldecode_as()?))
    }
}

/// The row of the table's change that a trigger wrote, as [`Change::row`](crate::payload::Change::row) reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<T>(pub T);

impl<T: DeserializeOwned> FromEvent for Row<T> {
    fn from_event(event: &Event, _origin: &Origin) -> Result<Row<T>, BoxError> {
        let change = event.change().ok_or_else(|| Error::payload("the event is no change of a table"))?;
        Ok(Row(change.row().map_err(|error| error.at_event(event.id()))?))
    }
}

/// The result of a handler: nothing, or an [`Outcome`].
impl From<()> for Outcome {
    fn from((): ()) -> Outcome {
        Outcome::Done
    }
}

pub(super) type Handling = Pin<Box<dyn Future<Output = Result<Outcome, BoxError>> + Send>>;

/// An asynchronous function of one to three [arguments](FromEvent) that returns `Result<(), E>` or `Result<Outcome, E>`.
/// `Arguments` only distinguishes the implementations.
pub trait Handler<Arguments>: Send + Sync + 'static {
    /// Calls the function.
    #[doc(hidden)]
    fn call(&self, event: &Event, origin: &Origin) -> Result<Handling, BoxError>;
}

async fn outcome<O: Into<Outcome>, E: Into<BoxError>>(
    handling: impl Future<Output = Result<O, E>>,
) -> Result<Outcome, BoxError> {
    handling.await.map(Into::into).map_err(Into::into)
}

macro_rules! handler {
    ($($argument:ident),+) => {
        impl<F, $($argument,)+ R, O, E> Handler<($($argument,)+)> for F
        where
            F: Fn($($argument),+) -> R + Send + Sync + 'static,
            $($argument: FromEvent,)+
            R: Future<Output = Result<O, E>> + Send + 'static,
            O: Into<Outcome> + 'static,
            E: Into<BoxError> + 'static,
        {
            fn call(&self, event: &Event, origin: &Origin) -> Result<Handling, BoxError> {
                Ok(Box::pin(outcome(self($($argument::from_event(event, origin)?),+))))
            }
        }
    };
}

handler!(A);
handler!(A, B);
handler!(A, B, C);
