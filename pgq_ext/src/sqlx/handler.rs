//! Handlers that take a transaction.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use pgq::aio::{FromEvent, Origin};
use pgq::{BoxError, Event, Outcome};

use super::tx::Tx;

/// The result of a handler, as a future.
pub(super) type Handling = Pin<Box<dyn Future<Output = Result<Outcome, BoxError>> + Send>>;

/// A handler whose arguments are there, except the transaction.
pub(super) type Prepared = Box<dyn FnOnce(Tx) -> Handling + Send>;

/// An asynchronous function of up to three [arguments](FromEvent) and a [`Tx`], the last one. It returns `Result<(), E>`
/// or `Result<Outcome, E>`. `Arguments` only distinguishes the implementations.
pub trait TxHandler<Arguments>: Send + Sync + 'static {
    /// Takes the arguments out of the event.
    #[doc(hidden)]
    fn prepare(self: &Arc<Self>, event: &Event, origin: &Origin) -> Result<Prepared, BoxError>;
}

async fn outcome<O: Into<Outcome>, E: Into<BoxError>>(
    handling: impl Future<Output = Result<O, E>>,
) -> Result<Outcome, BoxError> {
    handling.await.map(Into::into).map_err(Into::into)
}

macro_rules! handler {
    ($($kind:ident $argument:ident),*) => {
        impl<F, $($kind,)* R, O, E> TxHandler<($($kind,)* Tx,)> for F
        where
            F: Fn($($kind,)* Tx) -> R + Send + Sync + 'static,
            $($kind: FromEvent + Send + 'static,)*
            R: Future<Output = Result<O, E>> + Send + 'static,
            O: Into<Outcome> + 'static,
            E: Into<BoxError> + 'static,
        {
            fn prepare(self: &Arc<Self>, _event: &Event, _origin: &Origin) -> Result<Prepared, BoxError> {
                let function = self.clone();
                $(let $argument = $kind::from_event(_event, _origin)?;)*
                Ok(Box::new(move |tx| Box::pin(outcome(function($($argument,)* tx)))))
            }
        }
    };
}

handler!();
handler!(A a);
handler!(A a, B b);
handler!(A a, B b, C c);
