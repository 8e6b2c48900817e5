//! `repair`: repairs a database that was restored or moved.

use dbscript::{BoxError, Context, Error, Job, Switches, confirm, printable};
use log::{info, warn};
use pgq::admin::integrity::{Finding, Repair, inspect, repair};
use pgq::status::Level;

use crate::DB;
use crate::commands::consent;
use crate::database;
use crate::text::print;

/// Prints the inconsistencies and their remedies, asks for confirmation, and repairs them.
pub(crate) fn command(switches: &Switches) -> Job {
    let consent = consent(switches);
    Job::once(move |cx| {
        let mut db = database::open(cx)?;
        let findings = inspect(&mut *db).map_err(|error| cx.locate(DB, error))?;
        if findings.is_empty() {
            info!("nothing to repair");
            return Ok(());
        }
        print(&findings.iter().map(line).collect::<String>())?;
        let repairable = findings.iter().filter(|finding| finding.is_repairable()).count();
        if repairable > 0 {
            confirm(&format!("repair {}", inconsistencies(repairable)), consent)?;
        }
        let done = repair(&mut *db, &findings).map_err(|error| cx.locate(DB, error))?;
        drop(db);
        report(cx, &done)
    })
}

fn line(finding: &Finding) -> String {
    let text = format!("{}: {finding}; {}", finding.level(), finding.remedy());
    format!("{}\n", printable(&text))
}

fn report(cx: &mut Context, done: &Repair) -> Result<(), BoxError> {
    for finding in &done.repaired {
        info!("repaired: {finding}");
    }
    for finding in &done.remaining {
        warn!("not repaired: {finding}; {}", finding.remedy());
    }
    let critical = done.remaining.iter().filter(|finding| finding.level() == Level::Critical).count();
    match critical {
        0 => Ok(()),
        left => {
            let failed = Error::failed(format!("{} cannot be repaired", inconsistencies(left)));
            Err(format!("{}: {failed}", cx.databases().label(DB)).into())
        }
    }
}

fn inconsistencies(count: usize) -> String {
    format!("{count} {}", if count == 1 { "inconsistency" } else { "inconsistencies" })
}
