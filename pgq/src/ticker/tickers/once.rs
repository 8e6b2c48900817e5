//! One round of ticks and maintenance in every database, without tickers.

use dbscript::{BoxError, Context, describe, printable};
use log::warn;

use super::{TickerPlan, cluster};
use crate::error::At;
use crate::ticker::maintenance;
use crate::ticker::{TickerState, Ticking};

/// Ticks and maintains every database once; returns the first failure after all databases were tried.
pub(super) fn tick_all_once(cx: &mut Context, plan: &TickerPlan) -> Result<(), BoxError> {
    let mut result = Ok(());
    for (name, conninfo) in cluster::databases(cx, &plan.scope)? {
        if cx.control().is_stopping() {
            break;
        }
        result = result.and(tick_once(cx, plan, &name, &conninfo));
    }
    result
}

fn tick_once(cx: &mut Context, plan: &TickerPlan, name: &str, conninfo: &str) -> Result<(), BoxError> {
    if plan.is_cluster() {
        match cluster::has_pgq(cx, conninfo) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(failed) if cluster::is_untrusted(&*failed) => {
                warn!("database `{}`: {}", printable(name), describe(&*failed));
                return Ok(());
            }
            Err(failed) => return Err(failed),
        }
    }
    cx.databases().set(name, conninfo);
    let ticked = tick(cx, name);
    let maintained = maintain(cx, name);
    cx.databases().close(name);
    ticked.and(maintained)
}

fn tick(cx: &mut Context, name: &str) -> Result<(), BoxError> {
    let mut ticking = Ticking::new(TickerState::default());
    ticking.round(cx, name)?;
    match ticking.failing_queues().as_slice() {
        [] => Ok(()),
        [queue, ..] => Err(cx.locate(name, At::queue(queue).failure("cannot tick")).into()),
    }
}

fn maintain(cx: &mut Context, name: &str) -> Result<(), BoxError> {
    let mut db = cx.database(name)?;
    let retried = maintenance::retry_events(&mut db).map(|_| ());
    let maintained = maintenance::maintain(&mut db).map(|_| ());
    retried.and(maintained).map_err(|error| cx.locate(name, error).into())
}
