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
    // Due events are inserted first, so that the tick delivers them.
    let state = TickerState::default();
    let inserted = insert_due(cx, name, &state);
    let ticked = tick(cx, name, state);
    let maintained = maintain(cx, name);
    cx.databases().close(name);
    ticked.and(inserted).and(maintained)
}

fn insert_due(cx: &mut Context, name: &str, state: &TickerState) -> Result<(), BoxError> {
    let mut db = cx.database(name)?;
    let inserted =
        maintenance::deliver_counted(&mut db, |kind, queue, count| state.inserted(kind, queue, count));
    inserted.map_err(|error| cx.locate(name, error).into())
}

fn tick(cx: &mut Context, name: &str, state: TickerState) -> Result<(), BoxError> {
    let mut ticking = Ticking::new(state);
    ticking.round(cx, name)?;
    match ticking.failing_queues().as_slice() {
        [] => Ok(()),
        [queue, ..] => Err(cx.locate(name, At::queue(queue).failure("cannot tick")).into()),
    }
}

fn maintain(cx: &mut Context, name: &str) -> Result<(), BoxError> {
    let mut db = cx.database(name)?;
    maintenance::maintain(&mut db).map_err(|error| cx.locate(name, error))?;
    Ok(())
}
