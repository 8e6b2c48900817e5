//! Panics in user code, turned into errors.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::data_error::DataError;
#[cfg(feature = "program")]
use crate::error::describe;
use crate::error::{BoxError, Error};

thread_local! {
    /// Where the last panic of guarded code happened; nothing outside of such code.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs user code; a panic in it is an error, which says where it happened.
///
/// # Errors
///
/// What the code returned, and its panic.
pub fn guarded<T>(code: impl FnOnce() -> Result<T, BoxError>) -> Result<T, BoxError> {
    let outer = PLACE.replace(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(code));
    let place = PLACE.replace(outer).unwrap_or_default();
    result.unwrap_or_else(|panic| Err(panicked(&place, &*panic).into()))
}

fn panicked(place: &str, panic: &(dyn Any + Send)) -> Error {
    let text = text(panic);
    Error::failed(format!("panic{place}")).caused_by(DataError::new(text, without_rows(text)))
}

/// Leaves out what a server's error says of rows, which a panic shows as `{:?}` does: what follows its message, and the
/// message of a data exception.
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

/// Replaces the report that a panic prints by one line, which is passed to `report`. A panic of guarded code becomes an
/// error and is not reported here.
#[cfg(feature = "program")]
pub(crate) fn report_panics_by(report: fn(&str)) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
        let guarded = PLACE.try_with(|known| match &mut *known.borrow_mut() {
            Some(known) => {
                known.clone_from(&place);
                true
            }
            None => false,
        });
        if !guarded.unwrap_or(false) {
            report(&describe(&panicked(&place, panic.payload())));
        }
    }));
}
