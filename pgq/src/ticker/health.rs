//! The periodic check for inconsistencies of the database, such as after a restore into another cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dbscript::{LogThrottle, describe, printable};
use log::{debug, info, warn};
use postgres::Client;

use crate::admin::integrity::{self, Finding};
use crate::error::Error;
use crate::sql::ticker::PATIENCE;

/// The time between two checks.
const CHECK_PERIOD: Duration = Duration::from_secs(60);
/// How often a finding that persists is logged.
const REPEAT: Duration = Duration::from_secs(3600);
/// With more tables than this, the check omits the tables of events.
const MAX_TABLES: usize = 300;

/// Checks the database once a minute. A finding is logged when it appears, once an hour while it persists, and when it
/// is gone.
pub(super) struct Health {
    checked: Option<Instant>,
    /// The text of each finding that was logged, by the finding without its numbers.
    logged: BTreeMap<String, String>,
    findings: LogThrottle,
    /// The problems that ticks of this round have corrected, by queue.
    corrected: BTreeMap<String, String>,
    corrections: LogThrottle,
}

impl Default for Health {
    fn default() -> Health {
        Health {
            checked: None,
            logged: BTreeMap::new(),
            findings: LogThrottle::every(REPEAT),
            corrected: BTreeMap::new(),
            corrections: LogThrottle::default(),
        }
    }
}

impl Health {
    /// Checks the database when it is time. A check that fails does not stop the ticker.
    pub(super) fn check(&mut self, client: &mut Client, place: impl FnMut() -> String) {
        if self.checked.is_none_or(|at| at.elapsed() >= CHECK_PERIOD) {
            self.checked = Some(Instant::now());
            match inspect(client) {
                Ok(findings) => self.log_findings(&findings, place),
                Err(error) => debug!("{}", describe(&error)),
            }
        }
    }

    fn log_findings(&mut self, findings: &[Finding], mut place: impl FnMut() -> String) {
        let mut present = BTreeSet::new();
        for finding in findings {
            let key = format!("{:?}", finding.key());
            if self.findings.admit_key(&key).is_some() {
                let text = finding.to_string();
                warn!("{}: {text}; {}", place(), finding.advice());
                self.logged.insert(key.clone(), text);
            }
            present.insert(key);
        }
        let gone: Vec<String> = self.logged.keys().filter(|key| !present.contains(*key)).cloned().collect();
        for key in gone {
            self.findings.forget_key(&key);
            if let Some(text) = self.logged.remove(&key) {
                info!("{}: no longer so: {text}", place());
            }
        }
    }

    /// Records a problem that a tick has corrected.
    pub(super) fn add_correction(&mut self, queue: &str, problem: &str) {
        self.corrected.insert(queue.to_owned(), problem.to_owned());
    }

    /// Logs the corrections of this round, once a minute for each queue.
    pub(super) fn log_corrections(&mut self, mut place: impl FnMut() -> String) {
        for (queue, problem) in std::mem::take(&mut self.corrected) {
            if self.corrections.admit_key(&queue).is_some() {
                let (queue, problem) = (printable(&queue), printable(&problem));
                warn!("{}: queue `{queue}`: {problem}; a forced tick has corrected it", place());
            }
        }
    }
}

/// Inspects the database without waiting for locks.
fn inspect(client: &mut Client) -> Result<Vec<Finding>, Error> {
    let failed = |error| Error::failed("cannot check the database for inconsistencies").caused_by(error);
    let mut transaction = client.transaction().map_err(failed)?;
    transaction.batch_execute(PATIENCE).map_err(failed)?;
    let findings = integrity::inspect_up_to(&mut transaction, MAX_TABLES)?;
    transaction.commit().map_err(failed)?;
    Ok(findings)
}
