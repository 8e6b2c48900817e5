//! The arguments of a handler: what is taken out of the event.

use std::future::Future;
use std::pin::Pin;

use dbscript::BoxError;
use serde::de::DeserializeOwned;

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
    fn from_event(event: &Event) -> Result<Self, BoxError>;
}

/// The event itself.
impl FromEvent for Event {
    fn from_event(event: &Event) -> Result<Event, BoxError> {
        Ok(event.clone())
    }
}

/// The JSON of `ev_data`, as [`Event::json`](crate::Event::json) reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromEvent for Json<T> {
    fn from_event(event: &Event) -> Result<Json<T>, BoxError> {
        Ok(Json(event.json()?))
    }
}

/// The urlencoded fields of `ev_data`, as [`Event::urldecode_as`](crate::Event::urldecode_as) reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Urlencoded<T>(pub T);

impl<T: DeserializeOwned> FromEvent for Urlencoded<T> {
    fn from_event(event: &Event) -> Result<Urlencoded<T>, BoxError> {
        Ok(Urlencoded(event.urldecode_as()?))
    }
}

/// The row of the table's change that a trigger wrote, as [`Change::row`](crate::payload::Change::row) reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<T>(pub T);

impl<T: DeserializeOwned> FromEvent for Row<T> {
    fn from_event(event: &Event) -> Result<Row<T>, BoxError> {
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

/// An asynchronous function of one or two [arguments](FromEvent) that returns `Result<(), E>` or `Result<Outcome, E>`.
/// `Arguments` only distinguishes the implementations.
pub trait Handler<Arguments>: Send + Sync + 'static {
    /// Calls the function.
    #[doc(hidden)]
    fn call(&self, event: &Event) -> Result<Handling, BoxError>;
}

async fn outcome<O: Into<Outcome>, E: Into<BoxError>>(
    handling: impl Future<Output = Result<O, E>>,
) -> Result<Outcome, BoxError> {
    handling.await.map(Into::into).map_err(Into::into)
}

impl<F, A, R, O, E> Handler<(A,)> for F
where
    F: Fn(A) -> R + Send + Sync + 'static,
    A: FromEvent,
    R: Future<Output = Result<O, E>> + Send + 'static,
    O: Into<Outcome> + 'static,
    E: Into<BoxError> + 'static,
{
    fn call(&self, event: &Event) -> Result<Handling, BoxError> {
        Ok(Box::pin(outcome(self(A::from_event(event)?))))
    }
}

impl<F, A, B, R, O, E> Handler<(A, B)> for F
where
    F: Fn(A, B) -> R + Send + Sync + 'static,
    A: FromEvent,
    B: FromEvent,
    R: Future<Output = Result<O, E>> + Send + 'static,
    O: Into<Outcome> + 'static,
    E: Into<BoxError> + 'static,
{
    fn call(&self, event: &Event) -> Result<Handling, BoxError> {
        Ok(Box::pin(outcome(self(A::from_event(event)?, B::from_event(event)?))))
    }
}
