//! A consumer that hands each event to the handler of its type or table.

mod unknown;
mod unknown_events;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use dbscript::printable;

pub use self::unknown::Unknown;
pub use self::unknown_events::UnknownEvents;
use crate::consume::batch::Batch;
use crate::consume::consumer::Consumer;
use crate::consume::outcome::Outcome;
use crate::event::stored_event::Event;
use dbscript::BoxError;

/// How much of an unknown type is shown, in characters.
const SHOWN: usize = 200;

type Handler = Box<dyn FnMut(&Event, &mut Batch<'_>) -> Result<Outcome, BoxError> + Send>;

/// Hands each event to the handler of its type, else to that of its table, and does with all others what was chosen
/// when the router was made.
///
/// A handler's error or panic is what it would be in a [`Consumer`]: it rolls the batch back, or the
/// [`RetryPolicy`](crate::RetryPolicy) decides.
///
/// ```no_run
/// use std::time::Duration;
/// use pgq::{Outcome, Router, Worker};
/// use pgq::consume::Unknown;
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     id: i64,
///     email: Option<String>,
/// }
///
/// # fn main() -> Result<(), pgq::Error> {
/// let router = Router::new(Unknown::Fail)
///     .on("welcome", |event, batch| {
///         let fields = event.urldecode()?;
///         batch.db()?.execute("insert into welcomed values ($1)", &[&fields.require("username")?])?;
///         Ok(Outcome::Done)
///     })
///     .on_table("public.users", |event, _batch| {
///         let change = event.change().ok_or("no change of a table")?;
///         let user: User = change.row()?;
///         println!("{} of user {}: {:?}", change.operation(), user.id, user.email);
///         Ok(Outcome::Done)
///     });
/// let worker = Worker::new("dbname=queries", "mailer", "router").spawn(router)?;
/// # worker.join()
/// # }
/// ```
pub struct Router {
    types: HashMap<String, Handler>,
    tables: HashMap<String, Handler>,
    unknown: Unknown,
    seen: UnknownEvents,
}

impl Router {
    /// Makes a router without handlers; `unknown` says what becomes of an event that no handler is for.
    pub fn new(unknown: Unknown) -> Router {
        Router { types: HashMap::new(), tables: HashMap::new(), unknown, seen: UnknownEvents::default() }
    }

    /// Adds the handler of a type: `ev_type`, the whole of it.
    ///
    /// # Panics
    ///
    /// When the type has a handler.
    pub fn on(
        mut self,
        event_type: &str,
        handler: impl FnMut(&Event, &mut Batch<'_>) -> Result<Outcome, BoxError> + Send + 'static,
    ) -> Router {
        let before = self.types.insert(event_type.to_owned(), Box::new(handler));
        assert!(before.is_none(), "type `{event_type}` has two handlers");
        self
    }

    /// Adds the handler of a table: `ev_extra1`, where triggers write it as schema and name, unquoted. A name without a
    /// dot is in schema `public`. With a dot it is compared as it is, so a table of `public` whose own name has a dot
    /// is written with its schema, `public.a.b`; `a.b` in the schema `public` and `b` in a schema `public.a` look the
    /// same.
    ///
    /// # Panics
    ///
    /// When the table has a handler.
    pub fn on_table(
        mut self,
        table: &str,
        handler: impl FnMut(&Event, &mut Batch<'_>) -> Result<Outcome, BoxError> + Send + 'static,
    ) -> Router {
        let before = self.tables.insert(qualified(table), Box::new(handler));
        assert!(before.is_none(), "table `{table}` has two handlers");
        self
    }

    /// Returns the counts of events that no handler was for, which can be read while the router runs elsewhere.
    pub fn unknown_events(&self) -> UnknownEvents {
        self.seen.clone()
    }

    fn handler(&mut self, event: &Event) -> Option<&mut Handler> {
        let Router { types, tables, .. } = self;
        types.get_mut(event.event_type()).or_else(move || tables.get_mut(event.extra1()?))
    }

    fn settle_unknown(&self, event: &Event) -> Result<Outcome, BoxError> {
        let kind = kind(event);
        self.seen.add(&kind, event.id(), self.unknown);
        no_handler(self.unknown, &kind)
    }
}

/// Returns the outcome of an event of a kind without a handler.
pub(crate) fn no_handler(unknown: Unknown, kind: &str) -> Result<Outcome, BoxError> {
    let reason = || format!("there is no handler of `{}`", shown(kind));
    match unknown {
        Unknown::Retry(delay) => Ok(Outcome::Retry(delay)),
        Unknown::Skip => Ok(Outcome::Done),
        Unknown::Fail => Ok(Outcome::Failed(reason())),
        Unknown::Error => Err(reason().into()),
    }
}

impl Consumer for Router {
    fn process_event(&mut self, event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        match self.handler(event) {
            Some(handler) => handler(event, batch),
            None => self.settle_unknown(event),
        }
    }
}

/// Shows what a producer may have put anything into, on one line and not too long.
fn shown(kind: &str) -> String {
    let short: String = kind.chars().take(SHOWN).collect();
    let more = if short.len() < kind.len() { "…" } else { "" };
    format!("{}{more}", printable(&short))
}

/// Returns the type of an event, and for a change of a table, whose type does not say so, the table.
pub(crate) fn kind(event: &Event) -> Cow<'_, str> {
    match event.change() {
        Some(change) => format!("{} of {}", event.event_type(), change.table()).into(),
        None => event.event_type().into(),
    }
}

/// Shows what it routes.
impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut router = f.debug_struct("Router");
        router.field("types", &self.types.keys()).field("tables", &self.tables.keys());
        router.field("unknown", &self.unknown).finish_non_exhaustive()
    }
}

/// Skytools' tables have a schema, `public` unless another one is named; so have the triggers' in `ev_extra1`.
pub(crate) fn qualified(table: &str) -> String {
    if table.contains('.') { table.to_owned() } else { format!("public.{table}") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{DateTime, Utc};

    use super::*;
    use crate::consume::read::events::Events;
    use crate::consume::retry_policy::RetryPolicy;
    use crate::event::batch_info::BatchInfo;
    use crate::event::stored_event::Made;

    fn event(id: i64, kind: &str, table: Option<&str>) -> Event {
        let texts = [Some(kind), Some(""), table, None, None, None];
        Event::made(Made { id, texts: texts.map(|text| text.map(str::to_owned)), ..Made::default() })
    }

    /// Returns how many events a router retried and failed.
    fn route(
        router: &mut Router,
        policy: Option<RetryPolicy>,
        events: Vec<Event>,
    ) -> Result<(u64, u64), BoxError> {
        let time = DateTime::<Utc>::default();
        let info =
            BatchInfo { id: 1, prev_tick: 1, tick: 2, prev_tick_time: time, tick_time: time, event_ids: 0 };
        let mut batch = Batch::of(Events::of_test("q", info, events), policy);
        router.process_batch(&mut batch)?;
        Ok((batch.retried(), batch.failed()))
    }

    fn router(unknown: Unknown) -> Router {
        Router::new(unknown)
            .on("good", |_, _| Ok(Outcome::Done))
            .on("bad", |_, _| Err("no good".into()))
            .on("I:special", |_, _| Ok(Outcome::Failed("special".to_owned())))
            .on_table("users", |_, _| Ok(Outcome::Retry(Duration::ZERO)))
    }

    #[test]
    fn the_type_decides_before_the_table() {
        let events = vec![
            event(1, "good", None),
            event(2, "I:id", Some("public.users")),
            event(3, "I:special", Some("public.users")),
        ];
        let mut router = router(Unknown::Error);
        assert_eq!(route(&mut router, None, events).expect("routed"), (1, 1));
        assert_eq!(router.unknown_events().total(), 0);
    }

    fn unknown() -> Vec<Event> {
        let table = Some("public.t");
        vec![event(1, "x", None), event(2, "x", table), event(3, "I:id", table), event(4, "good", None)]
    }

    #[test]
    fn unknown_events_are_handled_as_chosen() {
        for (choice, expected) in
            [(Unknown::Retry(Duration::ZERO), (3, 0)), (Unknown::Skip, (0, 0)), (Unknown::Fail, (0, 3))]
        {
            let mut router = router(choice);
            let counts = router.unknown_events();
            assert_eq!(route(&mut router, None, unknown()).expect("routed"), expected, "{choice:?}");
            assert_eq!(counts.total(), 3);
            let by_type: Vec<_> = counts.by_type().into_iter().collect();
            assert_eq!(by_type, [("I:id of public.t".to_owned(), 1), ("x".to_owned(), 2)]);
        }
        let error = route(&mut router(Unknown::Error), None, unknown()).expect_err("refused");
        assert!(
            dbscript::describe(&*error)
                .ends_with("(queue `q`, consumer `test`, batch 1, event 1): there is no handler of `x`")
        );
    }

    #[test]
    fn the_policy_is_for_handlers_and_for_unknown_events() {
        let policy = || Some(RetryPolicy::fixed(Duration::ZERO));
        assert_eq!(route(&mut router(Unknown::Error), policy(), unknown()).expect("routed"), (3, 0));
        let bad = || vec![event(1, "bad", None), event(2, "good", None)];
        assert_eq!(route(&mut router(Unknown::Skip), policy(), bad()).expect("routed"), (1, 0));
        assert!(route(&mut router(Unknown::Skip), None, bad()).is_err());
    }

    #[test]
    fn an_odd_type_is_shown_on_one_line_and_cut() {
        let events = vec![event(1, &format!("a\n\u{1b}[1m{}", "é".repeat(300)), None)];
        let error = route(&mut router(Unknown::Error), None, events).expect_err("refused");
        let line = dbscript::describe(&*error);
        let shown = format!("there is no handler of `a\\n\\u{{1b}}[1m{}…`", "é".repeat(194));
        assert!(line.ends_with(&shown), "{line}");
    }

    #[test]
    #[should_panic = "type `good` has two handlers"]
    fn a_second_handler_is_refused() {
        let _ = router(Unknown::Skip).on("good", |_, _| Ok(Outcome::Done));
    }
}
