//! The payload of events: urlencoded fields, rows of tables that triggers wrote, JSON.
//!
//! [`Event::data`](crate::Event::data) is the raw text. Above it:
//!
//! - [`Event::urldecode`](crate::Event::urldecode) returns [`Fields`], in order, NULLs included;
//!   [`urldecode_as`](crate::Event::urldecode_as) makes a type of `serde` out of them.
//! - [`Event::json`](crate::Event::json) makes a type of `serde` out of JSON.
//! - [`Event::change`](crate::Event::change) understands the events of the triggers `logutriga` and `jsontriga`: what
//!   was done to which table, by which key, and the row, which becomes the same type whichever of them wrote it.
//!
//! Producers write with [`NewEvent::json`](crate::NewEvent::json),
//! [`NewEvent::urlencoded`](crate::NewEvent::urlencoded) and [`urlencode`]. Errors of a payload name the event and the field, and have
//! the kind [`ErrorKind::Payload`](crate::ErrorKind::Payload): a retry of such an event fails again.
//!
//! ```
//! use pgq::payload::{urldecode, urlencode};
//!
//! # fn main() -> Result<(), pgq::Error> {
//! let data = urlencode([("username", Some("kristo kaiv")), ("email", None)]);
//! assert_eq!(data, "username=kristo+kaiv&email");
//! let fields = urldecode(&data)?;
//! assert_eq!(fields.get("username"), Some(Some("kristo kaiv")));
//! assert_eq!(fields.get("email"), Some(None)); // NULL
//! assert_eq!(fields.get("phone"), None); // not there
//! # Ok(())
//! # }
//! ```

mod array;
mod change;
mod column;
mod fields;
mod iso_time;
pub(crate) mod json;
mod operation;
mod urldecode;
mod urlencode;

pub use self::change::Change;
pub use self::fields::Fields;
pub use self::operation::Operation;
pub use self::urldecode::urldecode;
pub use self::urlencode::urlencode;

use serde::Deserialize;

use crate::error::Error;
use crate::event::stored_event::Event;

impl Event {
    /// Decodes `ev_data` as urlencoded fields. Skytools: `db_urldecode`.
    ///
    /// # Errors
    ///
    /// As [`urldecode`], and when there is no data.
    pub fn urldecode(&self) -> Result<Fields<'_>, Error> {
        self.decoded(urldecode)
    }

    /// Makes a value out of the urlencoded fields of `ev_data`. See [`Fields::deserialize`].
    ///
    /// # Errors
    ///
    /// As [`urldecode`](Event::urldecode) and [`Fields::deserialize`].
    pub fn urldecode_as<'e, T: Deserialize<'e>>(&'e self) -> Result<T, Error> {
        self.decoded(|data| urldecode(data)?.deserialize())
    }

    /// Makes a value out of the JSON of `ev_data`.
    ///
    /// # Errors
    ///
    /// When the event has no data, and when the data is not JSON of the type.
    pub fn json<'e, T: Deserialize<'e>>(&'e self) -> Result<T, Error> {
        self.decoded(json::value)
    }

    /// Returns the change of a table that this event describes, or `None` for an event that no trigger has inserted.
    ///
    /// An event is recognized as a change by its `ev_type`, as the triggers write it, and by a table in `ev_extra1`.
    /// Events of a trigger whose arguments change these columns are not recognized.
    pub fn change(&self) -> Option<Change<'_>> {
        Change::from_event(self)
    }

    fn decoded<'e, T>(&'e self, decode: impl FnOnce(&'e str) -> Result<T, Error>) -> Result<T, Error> {
        let data = self.data().ok_or_else(|| Error::payload("the event has no data"));
        data.and_then(decode).map_err(|error| error.at_event(self.id()))
    }
}
