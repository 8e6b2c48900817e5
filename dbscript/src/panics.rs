//! Panics in user code, turned into errors.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::data_error::DataError;
#[cfg(feature = "program")]
use crate::error::describe;
use crate::error::{BoxError, Error};

thread_local! {
    /// The place of the last panic within [`catch_panic`], or `None` outside of that function.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs user code. A panic in it becomes an error that names the place of the panic.
///
/// # Errors
///
/// The error of the code, or its panic.
pub fn catch_panic<T>(code: impl FnOnce() -> Result<T, BoxError>) -> Result<T, BoxError> {
    let outer = PLACE.replace(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(code));
    let place = PLACE.replace(outer).unwrap_or_default();
    result.unwrap_or_else(|panic| Err(panicked(&place, &*panic).into()))
}

fn panicked(place: &str, panic: &(dyn Any + Send)) -> Error {
    let text = text(panic);
    Error::failed(format!("panic{place}")).caused_by(DataError::new(text, without_rows(text)))
}

/// Omits values of rows from the `{:?}` form of a server's error, as a panic shows it: all fields after the message,
/// and the message of a data exception.
fn without_rows(text: &str) -> String {
    let Some(start) = text.find("DbError {") else { return text.to_owned() };
    let place_of = |field: &str| text[start..].find(field).map(|place| start + place);
    let last = if place_of("SqlState(E22").is_some() { ", message: " } else { ", detail: " };
    format!("{}, …", &text[..place_of(last).unwrap_or(start)])
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}

/// Replaces the report of a panic by one line, which is passed to `report`. Panics within [`catch_panic`] become errors
/// and are not reported.
#[cfg(feature = "program")]
pub(crate) fn report_panics_by(report: fn(&str)) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
        let is_caught = PLACE.try_with(|last| match &mut *last.borrow_mut() {
            Some(last) => {
                last.clone_from(&place);
                true
            }
            None => false,
        });
        if !is_caught.unwrap_or(false) {
            report(&describe(&panicked(&place, panic.payload())));
        }
    }));
}
