//! Ticking the queues of one database: together where possible, one by one where some cannot be ticked.

use crate::error::ErrorKind;
use crate::names::bytes;
use crate::sql::ticker::{PATIENCE, listed};
use std::collections::{BTreeMap, BTreeSet};

use dbscript::{BoxError, Connection, Context, Control, printable};
use postgres::SimpleQueryMessage;
use postgres::error::SqlState;

use super::failing::{Failing, is_locked};
use super::health::Health;
use super::watch::Watch;
use crate::admin::integrity::ADVICE;
use crate::error::Error;
use crate::lock;
use crate::schema;
use crate::ticker::TickerState;

/// How many queues are ticked in one transaction.
const TOGETHER: usize = 100;
/// So many queues in a row that are locked may all wait for the same.
const IN_A_ROW: usize = 3;

/// Ticks the queues that are due, each by its own rules.
pub(crate) struct Ticking {
    state: TickerState,
    watch: Watch,
    failing: Failing,
    health: Health,
    /// Why queues must not be ticked, as the last statement has told.
    obstacles: BTreeMap<i32, String>,
    /// Whether notifications go with the ticks of this round.
    notifies: bool,
}

/// Two tickers that tick at once could get their ticks in another order than their snapshots, and events would
/// come twice. The schema in SQL takes care of that itself, the extension does not.
const ONE_AT_A_TIME: &str = "select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgq ticker'), -1)";

/// Reads queues with their last ticks and how far their sequences have come, if that can be seen.
const ASKED: &str = "select queue_id, queue_name, queue_tick_seq, queue_event_seq, \
         2::pg_catalog.int8 * queue_ticker_max_count + 1000::pg_catalog.int8 as step, newest.*, ids.reached as tick_reached, \
         events.reached as event_reached \
     from pgq.queue \
     left join lateral ( \
         select tick_id, tick_time, tick_event_seq, \
             pg_catalog.txid_snapshot_xmax(tick_snapshot) as next_id \
         from pgq.tick where tick_queue = queue_id \
         order by tick_queue desc, tick_id desc limit 1) newest on true \
     cross join lateral (select pg_catalog.to_regclass(queue_tick_seq) as tick_seq, \
         pg_catalog.to_regclass(queue_event_seq) as event_seq offset 0) named \
     cross join lateral (select case when pg_catalog.has_sequence_privilege(tick_seq::pg_catalog.oid, 'select'::pg_catalog.text) \
         then coalesce(pg_catalog.pg_sequence_last_value(tick_seq), pgq.seq_getval(queue_tick_seq) - 1::pg_catalog.int8) end as reached) ids \
     cross join lateral (select case when pg_catalog.has_sequence_privilege(event_seq::pg_catalog.oid, 'select'::pg_catalog.text) \
         then coalesce(pg_catalog.pg_sequence_last_value(event_seq), pgq.seq_getval(queue_event_seq)) end as reached) events";

/// Judges queues: `obstacle` is why a tick would lose events or never be seen, `note` what is put right by one that is
/// forced. The schema in SQL moves its sequences on by itself. The extension would tick below its last tick, and makes
/// no tick before the sequence of events has passed that of the last one: so often it is forced, each time by a step.
const JUDGED: &str = "select queue_id, queue_name, case \
         when next_id > pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) then pg_catalog.format( \
             'the newest tick is of transaction id %s, and the server has not reached it', next_id) \
         when tick_reached < tick_id and is_extension then pg_catalog.format( \
             'sequence `%s` is at %s, behind tick %s', queue_tick_seq, tick_reached, tick_id) end as obstacle, case \
         when tick_time > pg_catalog.clock_timestamp() then 'its newest tick was in the future' \
         when event_reached < tick_event_seq then pg_catalog.format( \
             'sequence `%s` was at %s, behind event id %s', queue_event_seq, event_reached, tick_event_seq) \
         when tick_reached < tick_id then pg_catalog.format( \
             'sequence `%s` was at %s, behind tick %s', queue_tick_seq, tick_reached, tick_id) end as note, \
         case when is_extension then least(2000::pg_catalog.int8, greatest(1::pg_catalog.int8, \
             (tick_event_seq - event_reached) / step + 1::pg_catalog.int8)) else 1::pg_catalog.int8 end as steps \
     from asked, (select exists (select from pg_catalog.pg_extension where extname = 'pgq') as is_extension) kind";

/// Makes the statements that tick queues: three columns with id and tick of each, without a tick and with the reason
/// for one that must not be ticked, or with the tick -1 and what was put right; four with id, last tick, event id and
/// time in seconds of each, and one with the transaction's id. With each tick goes a notification, unless it is not
/// wanted. The commit does not wait for the disk.
fn tick(queues: &[i32], notify: bool) -> String {
    let notified = if notify {
        concat!(
            "case when tick is not null then pg_catalog.pg_notify(case when pg_catalog.octet_length(",
            bytes!("queue_name"),
            ") <= 59 then 'pgq:' || queue_name else 'pgq:' || pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(",
            bytes!("queue_name"),
            "), 'hex'), 40) end, tick::pg_catalog.text)::pg_catalog.text end"
        )
    } else {
        "null"
    };
    let queues = listed(queues);
    format!(
        "{PATIENCE}; set local synchronous_commit = off; {ONE_AT_A_TIME}; \
         with asked as materialized ({ASKED} \
             where queue_id in ({queues}) and not queue_external_ticker and not queue_ticker_paused), \
         judged as materialized ({JUDGED}), \
         ticked as materialized ( \
             select queue_id, queue_name, note, pgq.ticker(queue_name) as tick from ( \
                 select *, case when note is not null then (select pg_catalog.max(forced.tick) from ( \
                     select pgq.force_tick(queue_name) as tick \
                     from pg_catalog.generate_series(1::pg_catalog.int8, steps) offset 0) forced) end \
                 from judged where obstacle is null offset 0) forced) \
         select queue_id, tick, {notified} from ticked \
         union all select queue_id, null, obstacle from judged where obstacle is not null \
         union all select queue_id, -1, note from ticked where note is not null; \
         select queue, tick_id, tick_event_seq, extract(epoch from tick_time)::pg_catalog.float8 \
         from pg_catalog.unnest('{{{queues}}}'::pg_catalog.int4[]) queue cross join lateral ( \
             select tick_id, tick_event_seq, tick_time from pgq.tick where tick_queue = queue \
             order by tick_queue desc, tick_id desc limit 1) newest; \
         select pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text"
    )
}

impl Ticking {
    pub(crate) fn new(state: TickerState) -> Ticking {
        Ticking {
            state,
            watch: Watch::default(),
            failing: Failing::default(),
            health: Health::default(),
            obstacles: BTreeMap::new(),
            notifies: true,
        }
    }

    /// Forgets what is known of the queues; the next round reads it anew.
    pub(super) fn forget(&mut self) {
        self.watch.forget();
    }

    /// Returns the names of the queues that cannot be ticked.
    pub(crate) fn failing(&self) -> Vec<String> {
        self.failing.names()
    }

    /// Ticks what is due in the database of a name. Queues that cannot be ticked are logged.
    pub(crate) fn round(&mut self, cx: &mut Context, name: &str) -> Result<(), BoxError> {
        let mut db = cx.database(name)?;
        self.health.look(&mut db, || cx.databases().label(name));
        self.watch.look(&mut db).map_err(|error| cx.locate(name, unknown(&mut db, error)))?;
        let due: Vec<i32> = self.watch.due().map(|queue| queue.id).collect();
        self.failing.retain(|id| due.contains(&id));
        self.notifies = true;
        let result = self.tick_all(&mut db, &due, cx.control());
        self.failing.tell(|| cx.databases().label(name));
        self.health.tell(|| cx.databases().label(name));
        result.map_err(|error| cx.locate(name, error).into())
    }

    fn tick_all(&mut self, db: &mut Connection, due: &[i32], control: &Control) -> Result<(), Error> {
        let well: Vec<i32> = due.iter().copied().filter(|id| self.failing.is_well(*id)).collect();
        for part in well.chunks(TOGETHER) {
            if control.is_stopping() {
                return Ok(());
            }
            match self.tick(db, part, |error| is_full(error) || is_locked(error)) {
                Ok(()) => self.add_obstacles(),
                Err(error) if concerns_all(db, &error) => return Err(cannot_tick(error)),
                Err(_) => self.one_by_one(db, part, control)?,
            }
        }
        self.suspects(db, control)
    }

    /// Tries those that have failed before. Who waits for one that is still locked must not wait for more.
    fn suspects(&mut self, db: &mut Connection, control: &Control) -> Result<(), Error> {
        for id in self.failing.suspects() {
            if control.is_stopping() || self.is_locked(db, id)? {
                break;
            }
        }
        Ok(())
    }

    /// Ticks each queue in a transaction of its own.
    fn one_by_one(&mut self, db: &mut Connection, queues: &[i32], control: &Control) -> Result<(), Error> {
        let mut locked = 0;
        for (at, id) in queues.iter().enumerate() {
            if control.is_stopping() {
                break;
            }
            locked = if self.is_locked(db, *id)? { locked + 1 } else { 0 };
            if locked == IN_A_ROW {
                return self.others(db, &queues[at + 1..], control);
            }
        }
        Ok(())
    }

    /// Ticks those that come after several locked ones. When they wait as well, it is for something that all
    /// need, and waiting on queue by queue could take minutes.
    fn others(&mut self, db: &mut Connection, queues: &[i32], control: &Control) -> Result<(), Error> {
        if queues.is_empty() {
            return Ok(());
        }
        let notifies = std::mem::take(&mut self.notifies);
        let result = self.try_tick(db, queues);
        self.notifies = notifies;
        match result {
            Ok(()) => {
                self.add_obstacles();
                Ok(())
            }
            Err(error) if is_locked(&error) => {
                let what = format!("the ticks of many queues wait for a lock{}", strangers(db));
                Err(Error::failed(what).caused_by(error))
            }
            Err(error) if concerns_all(db, &error) => Err(cannot_tick(error)),
            Err(_) => self.one_by_one(db, queues, control),
        }
    }

    /// Takes note of queues that must not be ticked.
    fn add_obstacles(&mut self) {
        for (id, obstacle) in std::mem::take(&mut self.obstacles) {
            self.failing.add(id, self.watch.name(id), Some(&SqlState::DATA_CORRUPTED), obstacle);
        }
    }

    /// Ticks one queue and takes note of how that went; tells whether it is locked.
    fn is_locked(&mut self, db: &mut Connection, id: i32) -> Result<bool, Error> {
        match self.tick(db, &[id], is_full) {
            Ok(()) if self.obstacles.contains_key(&id) => self.add_obstacles(),
            Ok(()) => self.failing.remove(id),
            Err(error) if concerns_all(db, &error) => return Err(cannot_tick(error)),
            Err(error) => {
                let is_locked = is_locked(&error);
                let who = if is_locked { strangers(db) } else { String::new() };
                let line = format!("{}{who}", dbscript::describe(&error));
                self.failing.add(id, self.watch.name(id), error.code(), line);
                return Ok(is_locked);
            }
        }
        Ok(false)
    }

    /// Ticks queues in one transaction. After an error that notifying may be the reason of, it goes without, for
    /// the rest of the round if that helps: ticks are worth more than notifications.
    fn tick(
        &mut self,
        db: &mut Connection,
        queues: &[i32],
        may_be_notifying: impl Fn(&postgres::Error) -> bool,
    ) -> Result<(), postgres::Error> {
        match self.try_tick(db, queues) {
            Err(error) if self.notifies && may_be_notifying(&error) => {
                self.notifies = false;
                let result = self.try_tick(db, queues);
                self.notifies = result.is_err();
                result
            }
            result => result,
        }
    }

    /// Ticks queues in one transaction, as far as the server agrees that they are due.
    fn try_tick(&mut self, db: &mut Connection, queues: &[i32]) -> Result<(), postgres::Error> {
        self.obstacles.clear();
        let answer = db.simple_query(&tick(queues, self.notifies))?;
        let mut silent: BTreeSet<i32> = queues.iter().copied().collect();
        let mut ticks = 0;
        for message in &answer {
            let SimpleQueryMessage::Row(row) = message else { continue };
            let number = row.get(0).and_then(|text| text.parse::<u64>().ok());
            match (row.len(), number) {
                (1, Some(transaction)) => self.watch.skip(transaction),
                (3, Some(id)) => {
                    let id = i32::try_from(id).unwrap_or_default();
                    match (row.get(1), row.get(2)) {
                        (None, Some(obstacle)) => {
                            self.obstacles.insert(id, format!("{}; {ADVICE}", printable(obstacle)));
                        }
                        (Some("-1"), note) => self.health.note(self.watch.name(id), note.unwrap_or_default()),
                        (None, None) => {}
                        _ => {
                            ticks += 1;
                            silent.remove(&id);
                        }
                    }
                }
                (4, _) => self.watch.last_tick(row),
                _ => {}
            }
        }
        self.state.count(|status| status.ticks += ticks);
        silent.into_iter().for_each(|id| self.watch.hold_off(id));
        Ok(())
    }
}

/// Returns whether the server's queue of notifications is full, since somebody does not read it.
fn is_full(error: &postgres::Error) -> bool {
    error.code() == Some(&SqlState::PROGRAM_LIMIT_EXCEEDED)
}

/// Returns whether an error is none of a single queue.
fn concerns_all(db: &mut Connection, error: &postgres::Error) -> bool {
    // Read-only after a failover, out of resources, an operator's order, a broken system.
    let states = ["08", "25", "53", "57P", "58"];
    let is_general = |state: &SqlState| states.iter().any(|class| state.code().starts_with(class));
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => !may_tick(db),
        state => state.is_none_or(is_general),
    }
}

/// Whether this role may tick queues.
const MAY_TICK: &str = "select pg_catalog.has_function_privilege('pgq.ticker(pg_catalog.text)', 'execute')";

/// Returns whether this role may tick at all.
fn may_tick(db: &mut Connection) -> bool {
    // Who may not even ask may not.
    db.query_typed_one(MAY_TICK, &[]).is_ok_and(|row| row.get(0))
}

/// Names those that have a lock which ticks need and may not tick, if there are any.
fn strangers(db: &mut Connection) -> String {
    match lock::strangers_to_ticks(&mut **db) {
        Ok(holders) if !holders.is_empty() => format!(" ({})", lock::told("a lock of ticks", &holders)),
        _ => String::new(),
    }
}

fn cannot_tick(error: postgres::Error) -> Error {
    Error::failed("cannot tick").caused_by(error)
}

/// Says what is missing, when it is PgQ.
fn unknown(db: &mut Connection, error: postgres::Error) -> Error {
    let is_undefined =
        error.code().is_some_and(|state| ["42", "3F"].iter().any(|class| state.code().starts_with(class)));
    if is_undefined
        && let Err(missing) = schema::require(&mut **db)
        && missing.kind() == ErrorKind::Missing
    {
        return missing;
    }
    Error::failed("cannot find out which queues are due").caused_by(error)
}
