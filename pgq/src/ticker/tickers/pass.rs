//! One look at every database, instead of tickers.

use dbscript::{BoxError, Context, describe, printable};
use log::warn;

use super::{TickerPlan, cluster};
use crate::error::Error;
use crate::ticker::{TickerState, Ticking};

/// Ticks and maintains every database once; returns the first failure, after the others were tried.
pub(super) fn pass(cx: &mut Context, plan: &TickerPlan) -> Result<(), BoxError> {
    let mut result = Ok(());
    for (name, conninfo) in cluster::databases(cx, &plan.scope)? {
        if cx.control().is_stopping() {
            break;
        }
        result = result.and(one(cx, plan, &name, &conninfo));
    }
    result
}

fn one(cx: &mut Context, plan: &TickerPlan, name: &str, conninfo: &str) -> Result<(), BoxError> {
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
    match ticking.failing().as_slice() {
        [] => Ok(()),
        [queue, ..] => Err(cx.locate(name, Error::failed("cannot tick").on_queue(queue)).into()),
    }
}

fn maintain(cx: &mut Context, name: &str) -> Result<(), BoxError> {
    let mut db = cx.database(name)?;
    let retried = crate::ticker::maintenance::retry_events(&mut db).map(|_| ());
    let maintained = crate::ticker::maintenance::maintain(&mut db).map(|_| ());
    retried.and(maintained).map_err(|error| cx.locate(name, error).into())
}
