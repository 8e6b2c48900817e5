//! An event to insert.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::error::Error;
use crate::event::payload::{json, urlencode};

/// An event to insert. Fields that are not set are NULL. Its texts are borrowed or owned.
///
/// ```
/// use pgq::NewEvent;
///
/// #[derive(serde::Serialize)]
/// struct Order {
///     id: i64,
///     note: Option<&'static str>,
/// }
///
/// # fn main() -> Result<(), pgq::Error> {
/// let order = Order { id: 7, note: None };
/// assert_eq!(NewEvent::json("paid", &order)?, NewEvent::text("paid", r#"{"id":7,"note":null}"#));
/// assert_eq!(NewEvent::urlencoded("paid", &order)?, NewEvent::text("paid", "id=7&note"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewEvent<'a> {
    pub(crate) event_type: Option<Cow<'a, str>>,
    pub(crate) data: Option<Cow<'a, str>>,
    pub(crate) extra: [Option<Cow<'a, str>>; 4],
    pub(crate) time: Option<DateTime<Utc>>,
    pub(crate) at: Option<DateTime<Utc>>,
}

impl<'a> NewEvent<'a> {
    /// Makes an event with a type and data.
    pub fn new(event_type: impl Into<Cow<'a, str>>, data: impl Into<Cow<'a, str>>) -> NewEvent<'a> {
        NewEvent { event_type: Some(event_type.into()), data: Some(data.into()), ..NewEvent::default() }
    }

    /// As [`new`](NewEvent::new): makes an event whose data is the text as it is.
    pub fn text(event_type: impl Into<Cow<'a, str>>, data: impl Into<Cow<'a, str>>) -> NewEvent<'a> {
        NewEvent::new(event_type, data)
    }

    /// Makes an event whose data is a value as JSON. [`Event::json`](crate::Event::json) reads it.
    ///
    /// # Errors
    ///
    /// When the value has no JSON, for instance a map whose keys are not texts
    /// ([`ErrorKind::Payload`](crate::ErrorKind::Payload)).
    pub fn json(
        event_type: impl Into<Cow<'a, str>>,
        value: &(impl Serialize + ?Sized),
    ) -> Result<NewEvent<'a>, Error> {
        Ok(NewEvent::new(event_type, json::written(value)?))
    }

    /// Makes an event whose data is the fields of a value, a structure or a map, as
    /// [`urlencode`](crate::payload::urlencode) writes them: `None` is a NULL, a boolean is `t` or `f`, a sequence, a
    /// map or a structure within is JSON. [`Event::urldecode_as`](crate::Event::urldecode_as) reads it.
    ///
    /// For pairs of texts use `NewEvent::new(event_type, urlencode(pairs))`.
    ///
    /// # Errors
    ///
    /// When the value has no named fields, and when a field has no JSON
    /// ([`ErrorKind::Payload`](crate::ErrorKind::Payload)).
    pub fn urlencoded(
        event_type: impl Into<Cow<'a, str>>,
        value: &(impl Serialize + ?Sized),
    ) -> Result<NewEvent<'a>, Error> {
        let fields = json::fields_of(value)?;
        Ok(NewEvent::new(event_type, urlencode(fields.iter())))
    }

    /// Sets the type, or leaves it NULL.
    pub fn event_type(mut self, event_type: Option<&'a str>) -> NewEvent<'a> {
        self.event_type = event_type.map(Cow::Borrowed);
        self
    }

    /// Sets the data, or leaves it NULL.
    pub fn data(mut self, data: Option<&'a str>) -> NewEvent<'a> {
        self.data = data.map(Cow::Borrowed);
        self
    }

    /// Sets `ev_extra1` to `ev_extra4`.
    pub fn extra(mut self, extra: [Option<&'a str>; 4]) -> NewEvent<'a> {
        self.extra = extra.map(|text| text.map(Cow::Borrowed));
        self
    }

    /// Sets `ev_extra1`.
    pub fn extra1(mut self, text: impl Into<Cow<'a, str>>) -> NewEvent<'a> {
        self.extra[0] = Some(text.into());
        self
    }

    /// Sets `ev_extra2`.
    pub fn extra2(mut self, text: impl Into<Cow<'a, str>>) -> NewEvent<'a> {
        self.extra[1] = Some(text.into());
        self
    }

    /// Sets `ev_extra3`.
    pub fn extra3(mut self, text: impl Into<Cow<'a, str>>) -> NewEvent<'a> {
        self.extra[2] = Some(text.into());
        self
    }

    /// Sets `ev_extra4`.
    pub fn extra4(mut self, text: impl Into<Cow<'a, str>>) -> NewEvent<'a> {
        self.extra[3] = Some(text.into());
        self
    }

    /// Sets an extra column to the [context of the current span](crate::trace::traceparent), so that the spans of the
    /// event's handlers continue its trace. Changes nothing if there is no such context.
    ///
    /// ```
    /// use pgq::NewEvent;
    /// use pgq::trace::Extra;
    ///
    /// let event = NewEvent::new("paid", "7").traceparent(Extra::Four);
    /// assert_eq!(event, NewEvent::new("paid", "7"), "nothing is traced here");
    /// ```
    #[cfg(feature = "opentelemetry")]
    pub fn traceparent(mut self, column: crate::trace::Extra) -> NewEvent<'a> {
        if let Some(context) = crate::trace::traceparent() {
            self.extra[column as usize] = Some(context.into());
        }
        self
    }

    /// Sets the event's time, which only inserting in bulk can store; `DateTime::MAX_UTC` is stored as `infinity`,
    /// `DateTime::MIN_UTC` as `-infinity`. Defaults to the transaction's time.
    pub fn time(mut self, time: DateTime<Utc>) -> NewEvent<'a> {
        self.time = Some(time);
        self
    }

    /// Delays the event: it is inserted into its queue at this time, by a ticker of this crate at most a second later. A
    /// time that is over means at once. Until then it is a delayed event, which
    /// [`cancel_delayed_event`](crate::admin::cancel_delayed_event) cancels. PgQ has no such events: the function is
    /// `pgq.insert_event_at`, which [`install`](crate::schema::install()) adds.
    ///
    /// An insert of a single event returns the id of the delayed event. The event in the queue has another id. Its time is
    /// this time, whatever [`time`](NewEvent::time) is.
    ///
    /// ```no_run
    /// use chrono::{TimeDelta, Utc};
    /// use pgq::NewEvent;
    ///
    /// # fn remind(client: &mut postgres::Client) -> Result<(), pgq::Error> {
    /// let reminder = NewEvent::new("reminder", "order 7").at(Utc::now() + TimeDelta::days(3));
    /// let id = pgq::insert_new_event(client, "mailer", &reminder)?;
    /// // The order was paid.
    /// pgq::admin::cancel_delayed_event(client, "mailer", id)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn at(mut self, time: DateTime<Utc>) -> NewEvent<'a> {
        self.at = Some(time);
        self
    }

    /// Returns the type, the data and the four extras.
    pub(crate) fn texts(&self) -> [Option<&str>; 6] {
        let [extra1, extra2, extra3, extra4] = &self.extra;
        [&self.event_type, &self.data, extra1, extra2, extra3, extra4].map(Option::as_deref)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::error::ErrorKind;
    use crate::event::payload::urldecode;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    enum Size {
        Small,
    }

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Order {
        zone: String,
        amount: f64,
        paid: bool,
        note: Option<String>,
        tags: Vec<String>,
        size: Size,
        address: BTreeMap<String, i64>,
        bytes: Vec<u8>,
        largest: u64,
    }

    fn order() -> Order {
        Order {
            zone: "a&b =ü\n".to_owned(),
            amount: 0.1,
            paid: true,
            note: None,
            tags: vec!["new".to_owned(), "x,y".to_owned()],
            size: Size::Small,
            address: BTreeMap::from([("no".to_owned(), -7)]),
            bytes: vec![0, 255],
            largest: u64::MAX,
        }
    }

    #[test]
    fn fields_return_as_they_were_written() {
        let event = NewEvent::urlencoded("t", &order()).expect("has fields");
        let data = event.data.as_deref().expect("has data");
        let beginning = "zone=a%26b+%3d%c3%bc%0a&amount=0.1&paid=t&note&tags=";
        assert!(data.starts_with(beginning), "{data}");
        let read: Order = urldecode(data).and_then(|fields| fields.deserialize()).expect("readable");
        assert_eq!(read, order());
    }

    #[test]
    fn what_cannot_be_written_is_an_error_of_the_payload() {
        let odd = BTreeMap::from([(vec![1], 2)]);
        for error in [
            NewEvent::json("t", &odd).expect_err("a key is a sequence"),
            NewEvent::urlencoded("t", &odd).expect_err("a key is a sequence"),
            NewEvent::urlencoded("t", &7).expect_err("no fields"),
            NewEvent::urlencoded("t", &[("a", "b")]).expect_err("no fields"),
        ] {
            assert!(error.kind() == ErrorKind::Payload, "{error:?}");
        }
        let error = NewEvent::urlencoded("t", "text").expect_err("no fields");
        assert_eq!(error.to_string(), "cannot write the fields: a text has none; use a structure or a map");
    }
}
