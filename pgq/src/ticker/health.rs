//! What does not fit in the database: looked for at times, and logged.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dbscript::plain;
use log::{debug, info, warn};
use postgres::Client;

use crate::admin::integrity::{self, Finding};
use crate::error::Error;

/// How often it is looked for what does not fit.
const LOOK: Duration = Duration::from_secs(60);
/// How often something that stays is logged again.
const REPEAT: Duration = Duration::from_secs(3600);
/// With more tables, events are left out.
const TABLES: usize = 300;

/// Looks at times for what does not fit, and logs it when it appears, once an hour while it is there, and when it is
/// gone.
#[derive(Default)]
pub(super) struct Health {
    looked: Option<Instant>,
    /// What was logged, without its numbers, with its text and when that was.
    told: BTreeMap<String, (String, Instant)>,
    /// What was put right in this round, by queue.
    noted: BTreeMap<String, String>,
    /// When such a thing of a queue was logged last.
    noted_at: BTreeMap<String, Instant>,
}

impl Health {
    /// Looks when it is time. That it fails is no reason not to tick.
    pub(super) fn look(&mut self, client: &mut Client, place: impl FnMut() -> String) {
        if self.looked.is_none_or(|at| at.elapsed() >= LOOK) {
            self.looked = Some(Instant::now());
            match inspect(client) {
                Ok(found) => self.take(&found, place),
                Err(error) => debug!("{}", dbscript::describe(&error)),
            }
        }
    }

    fn take(&mut self, found: &[Finding], mut place: impl FnMut() -> String) {
        let now = Instant::now();
        let keys: Vec<String> = found.iter().map(|finding| format!("{:?}", finding.key())).collect();
        for (key, finding) in keys.iter().zip(found) {
            if self.told.get(key).is_none_or(|(_, at)| now - *at >= REPEAT) {
                let text = finding.to_string();
                warn!("{}: {text}; {}", place(), finding.advice());
                self.told.insert(key.clone(), (text, now));
            }
        }
        let gone: Vec<String> = self.told.keys().filter(|key| !keys.contains(key)).cloned().collect();
        for (text, _) in gone.iter().filter_map(|key| self.told.remove(key)) {
            info!("{}: no longer so: {text}", place());
        }
    }

    /// Takes note of what was put right by a tick.
    pub(super) fn note(&mut self, queue: &str, note: &str) {
        self.noted.insert(queue.to_owned(), note.to_owned());
    }

    /// Logs what was put right, of a queue once a minute at most.
    pub(super) fn tell(&mut self, mut place: impl FnMut() -> String) {
        let now = Instant::now();
        self.noted_at.retain(|_, at| now - *at < LOOK);
        for (queue, note) in std::mem::take(&mut self.noted) {
            self.noted_at.entry(queue).or_insert_with_key(|queue| {
                let (queue, note) = (plain(queue), plain(&note));
                warn!("{}: queue `{queue}`: {note}; it ticks all the same", place());
                now
            });
        }
    }
}

/// Inspects the database, without waiting for what somebody has locked.
fn inspect(client: &mut Client) -> Result<Vec<Finding>, Error> {
    let failed = |error| Error::failed("cannot find out what does not fit in the database").caused_by(error);
    let mut transaction = client.transaction().map_err(failed)?;
    transaction.batch_execute(crate::sql::ticker::PATIENCE).map_err(failed)?;
    let found = integrity::inspect_up_to(&mut transaction, TABLES)?;
    transaction.commit().map_err(failed)?;
    Ok(found)
}
