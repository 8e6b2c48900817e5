//! Statements that a loop repeats, prepared in a session that is its connection's alone (DESIGN.md, D134).

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use postgres::error::SqlState;
use postgres::types::Type;
use postgres::{Client, Row, Statement};

use crate::database::param::Param;
use crate::database::session::Session;

/// A statement is prepared when it is repeated within this time. An idle loop prepares nothing.
const REPEATED_WITHIN: Duration = Duration::from_millis(500);
/// A prepared statement is replaced after so many uses, and at this age: the server keeps a plan that it has made while
/// tables were small.
const MOST_USES: u32 = 500;
const MAX_AGE: Duration = Duration::from_secs(10);
/// How long nothing is prepared for a target after a session had lost a statement.
const PAUSE: Duration = Duration::from_secs(600);

/// The number in the name of the next named statement.
static NEXT_NAME: AtomicU64 = AtomicU64::new(1);

/// The prepared statements of a connection, by their text. Clones share them. Closing the connection ends them.
#[doc(hidden)]
#[derive(Clone, Default)]
pub struct StatementCache(Option<Arc<Mutex<Cache>>>);

struct Cache {
    /// The label of the connection's target.
    target: String,
    entries: HashMap<&'static str, Entry>,
    /// Whether a statement was lost.
    is_off: bool,
}

struct Entry {
    last_use: Instant,
    state: State,
}

enum State {
    Unprepared,
    /// The server prepares it, or a dropped future has left the answer unread. Then it is never prepared again.
    Preparing,
    Prepared {
        statement: Kept,
        since: Instant,
        uses: u32,
    },
}

/// A statement that the session keeps: of the driver, or with a name for `execute`.
#[derive(Clone)]
enum Kept {
    Driver(Statement),
    Named(String),
}

/// How to run a statement.
enum Way {
    Unprepared,
    /// To be prepared, in place of an older one.
    Prepare(Option<Kept>),
    Prepared(Kept),
}

/// A connection whose server can prepare statements.
pub(crate) trait Prepare: Session {
    /// Prepares a statement.
    fn prepare(
        &mut self,
        statement: &str,
        types: &[Type],
    ) -> impl Future<Output = Result<Statement, postgres::Error>>;

    /// Runs a prepared statement and returns its rows.
    fn prepared_rows(
        &mut self,
        statement: &Statement,
        values: &[Param<'_>],
    ) -> impl Future<Output = Result<Vec<Row>, postgres::Error>>;
}

impl StatementCache {
    /// Makes the cache of a new connection. A session that may be other clients' too, and one of a target that has lost
    /// statements lately, prepares none.
    pub(crate) fn new(target: &str, has_own_session: bool) -> StatementCache {
        if !has_own_session || is_paused(target, Instant::now()) {
            return StatementCache(None);
        }
        let cache = Cache { target: target.to_owned(), entries: HashMap::new(), is_off: false };
        StatementCache(Some(Arc::new(Mutex::new(cache))))
    }

    /// Runs a statement of a loop and returns its rows. If the session has lost the prepared one, runs `restart` and the
    /// statement without preparation.
    pub(crate) async fn rows(
        &self,
        session: &mut impl Prepare,
        statement: &'static str,
        values: &[Param<'_>],
        restart: &str,
    ) -> Result<Vec<Row>, postgres::Error> {
        let result = match self.way(statement, Instant::now()) {
            Way::Unprepared => return session.rows(statement, values).await,
            Way::Prepared(Kept::Driver(prepared)) => session.prepared_rows(&prepared, values).await,
            Way::Prepared(Kept::Named(_)) => session.rows(statement, values).await,
            Way::Prepare(_) => self.prepare(session, statement, values).await,
        };
        match result {
            Err(error) if self.has_lost(&error) => {
                if !restart.is_empty() {
                    session.run(restart).await?;
                }
                session.rows(statement, values).await
            }
            result => result,
        }
    }

    async fn prepare(
        &self,
        session: &mut impl Prepare,
        statement: &'static str,
        values: &[Param<'_>],
    ) -> Result<Vec<Row>, postgres::Error> {
        let types: Vec<Type> = values.iter().map(|(_, kind)| kind.clone()).collect();
        let prepared = session.prepare(statement, &types).await;
        self.set(statement, prepared.as_ref().ok().map(|prepared| Kept::Driver(prepared.clone())));
        session.prepared_rows(&prepared?, values).await
    }

    /// Decides how to run a statement now.
    fn way(&self, text: &'static str, now: Instant) -> Way {
        let Some(mut cache) = self.lock() else { return Way::Unprepared };
        if cache.is_off {
            return Way::Unprepared;
        }
        let new = Entry { last_use: now, state: State::Unprepared };
        let mut is_new = false;
        let entry = cache.entries.entry(text).or_insert_with(|| {
            is_new = true;
            new
        });
        let is_repeated = !is_new && now.duration_since(entry.last_use) < REPEATED_WITHIN;
        entry.last_use = now;
        match &mut entry.state {
            State::Preparing => return Way::Unprepared,
            State::Prepared { statement, since, uses }
                if *uses < MOST_USES && now.duration_since(*since) < MAX_AGE =>
            {
                *uses += 1;
                return Way::Prepared(statement.clone());
            }
            State::Unprepared | State::Prepared { .. } => {}
        }
        if !is_repeated && matches!(entry.state, State::Unprepared) {
            return Way::Unprepared;
        }
        // The driver closes a statement that is dropped.
        match std::mem::replace(&mut entry.state, State::Preparing) {
            State::Prepared { statement, .. } => Way::Prepare(Some(statement)),
            State::Unprepared | State::Preparing => Way::Prepare(None),
        }
    }

    /// Records the statement that the server has prepared, if it has.
    fn set(&self, text: &'static str, prepared: Option<Kept>) {
        if let Some(entry) = self.lock().as_mut().and_then(|cache| cache.entries.get_mut(text)) {
            entry.state = match prepared {
                Some(statement) => State::Prepared { statement, since: Instant::now(), uses: 1 },
                None => State::Unprepared,
            };
        }
    }

    /// Returns the name of a statement of a loop for `execute`, if the session keeps it prepared. `key` identifies the
    /// statement, `types` are those of its parameters in SQL, `text` makes it.
    pub(crate) fn named(
        &self,
        client: &mut Client,
        key: &'static str,
        types: &str,
        text: impl FnOnce() -> String,
    ) -> Result<Option<String>, postgres::Error> {
        let before = match self.way(key, Instant::now()) {
            Way::Prepared(Kept::Named(name)) => return Ok(Some(name)),
            Way::Prepare(before) => before,
            Way::Unprepared | Way::Prepared(Kept::Driver(_)) => return Ok(None),
        };
        let name = format!("dbscript_{}", NEXT_NAME.fetch_add(1, Ordering::Relaxed));
        let deallocate = match before {
            Some(Kept::Named(before)) => format!("deallocate {before}; "),
            _ => String::new(),
        };
        match client.batch_execute(&format!("{deallocate}prepare {name} ({types}) as {}", text())) {
            Ok(()) => {
                self.set(key, Some(Kept::Named(name.clone())));
                Ok(Some(name))
            }
            Err(error) if self.has_lost(&error) => Ok(None),
            Err(error) => {
                self.set(key, None);
                Err(error)
            }
        }
    }

    /// Returns whether an error says that the session has lost a prepared statement. Then it prepares none any more.
    #[doc(hidden)]
    pub fn has_lost(&self, error: &postgres::Error) -> bool {
        let is_stale = is_stale(error);
        if is_stale {
            self.pause();
        }
        is_stale
    }

    /// Prepares nothing on this connection any more, and for some time nothing on new ones of its target.
    fn pause(&self) {
        let Some(mut cache) = self.lock() else { return };
        log::debug!("{}: the session has lost a prepared statement, going on without", cache.target);
        let now = Instant::now();
        let mut paused = paused();
        paused.retain(|_, until| *until > now);
        paused.insert(cache.target.clone(), now + PAUSE);
        cache.is_off = true;
        cache.entries.clear();
    }

    fn lock(&self) -> Option<MutexGuard<'_, Cache>> {
        Some(self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The targets whose sessions have lost statements, and until when nothing is prepared for them.
fn paused() -> MutexGuard<'static, BTreeMap<String, Instant>> {
    static PAUSED: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());
    PAUSED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_paused(target: &str, now: Instant) -> bool {
    paused().get(target).is_some_and(|until| now < *until)
}

/// Returns whether an error is about the prepared statement and not about its effects: the session does not have it, has
/// another one of the name, or its columns have changed.
fn is_stale(error: &postgres::Error) -> bool {
    let states = [
        SqlState::INVALID_SQL_STATEMENT_NAME,
        SqlState::DUPLICATE_PSTATEMENT,
        SqlState::FEATURE_NOT_SUPPORTED,
    ];
    error.code().is_some_and(|state| states.contains(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "select 1";

    fn cache() -> StatementCache {
        StatementCache::new("the target of a unit test", true)
    }

    /// Returns how a statement would run, and takes it as prepared where it is to be.
    fn run(cache: &StatementCache, at: Instant) -> &'static str {
        match cache.way(TEXT, at) {
            Way::Unprepared => "unprepared",
            Way::Prepared(_) => "prepared",
            Way::Prepare(before) => {
                cache.set(TEXT, Some(Kept::Named("name".to_owned())));
                if before.is_some() { "replace" } else { "prepare" }
            }
        }
    }

    #[test]
    fn a_statement_is_prepared_when_it_is_repeated_soon() {
        let (cache, start) = (cache(), Instant::now());
        let runs = [0, 1000, 2000, 2499, 2500].map(|ms| run(&cache, start + Duration::from_millis(ms)));
        assert_eq!(runs, ["unprepared", "unprepared", "unprepared", "prepare", "prepared"]);
    }

    #[test]
    fn it_is_replaced_after_many_uses_and_when_it_is_old() {
        let (cache, start) = (cache(), Instant::now());
        assert_eq!([run(&cache, start), run(&cache, start)], ["unprepared", "prepare"]);
        assert!((1..MOST_USES).all(|_| run(&cache, start) == "prepared"));
        assert_eq!([run(&cache, start), run(&cache, start)], ["replace", "prepared"]);
        let later = Instant::now() + MAX_AGE;
        assert_eq!(run(&cache, later), "replace");
    }

    #[test]
    fn an_answer_that_was_not_read_ends_the_preparations_of_a_statement() {
        let (cache, now) = (cache(), Instant::now());
        cache.way(TEXT, now);
        assert!(matches!(cache.way(TEXT, now), Way::Prepare(None)));
        assert_eq!([run(&cache, now), run(&cache, now)], ["unprepared", "unprepared"]);
    }

    #[test]
    fn a_lost_statement_ends_all_preparations_for_its_target() {
        let (cache, now) = (StatementCache::new("another target", true), Instant::now());
        assert_eq!([run(&cache, now), run(&cache, now)], ["unprepared", "prepare"]);
        cache.pause();
        let next = StatementCache::new("another target", true);
        assert!([&cache, &next].iter().all(|cache| (0..3).all(|_| run(cache, now) == "unprepared")));
        assert!(is_paused("another target", now) && !is_paused("another target", now + 2 * PAUSE));
    }

    #[test]
    fn a_session_of_a_pooler_prepares_nothing() {
        let (cache, now) = (StatementCache::new("a pooler", false), Instant::now());
        assert!((0..3).all(|_| run(&cache, now) == "unprepared"));
    }
}
