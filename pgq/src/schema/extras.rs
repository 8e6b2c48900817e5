//! What PgQ itself lacks: the store of failed events, and cooperative consumers.

use postgres::{GenericClient, Transaction};

use crate::Error;

/// Creates the functions for failed events in schema `pgq` and schema `pgq_coop`, next to whichever PgQ is
/// there, or brings them up to date; failed events and subconsumers stay.
///
/// A `pgq_coop` that an extension brought is left as it is. Everybody who may finish batches may use the
/// functions.
///
/// # Errors
///
/// When PgQ is not installed, and when the server refuses, for instance because schema `pgq` belongs to
/// another role; nothing is changed then.
pub fn install_extras(client: &mut impl GenericClient) -> Result<(), Error> {
    super::require(client)?;
    change(client, |transaction, has_extension| {
        let coop = if has_extension { &[][..] } else { &COOP[..] };
        FAILED.iter().chain(coop).chain([&GRANTS]).try_for_each(|script| transaction.batch_execute(script))
    })
    .map_err(|error| Error::failed("cannot install failed events and cooperative consumers").caused_by(error))
}

/// Removes what [`install_extras`] created, with all failed events. Does nothing where nothing is left.
///
/// Without it, `drop extension pgq` needs `cascade`.
///
/// # Errors
///
/// When the server refuses; nothing is changed then.
pub fn uninstall_extras(client: &mut impl GenericClient) -> Result<(), Error> {
    change(client, |transaction, has_extension| {
        transaction.batch_execute(DROP_FAILED)?;
        if has_extension { Ok(()) } else { transaction.batch_execute(DROP_COOP) }
    })
    .map_err(|error| Error::failed("cannot remove failed events and cooperative consumers").caused_by(error))
}

/// Does all or nothing, alone; tells whether `pgq_coop` belongs to an extension.
fn change(
    client: &mut impl GenericClient,
    work: impl FnOnce(&mut Transaction<'_>, bool) -> Result<(), postgres::Error>,
) -> Result<(), postgres::Error> {
    let mut transaction = client.transaction()?;
    transaction.batch_execute(LOCK)?;
    transaction.batch_execute("set local client_min_messages = warning")?;
    let has_extension = transaction.query_typed_one(HAS_COOP_EXTENSION, &[])?.get(0);
    work(&mut transaction, has_extension)?;
    transaction.commit()
}

/// Keeps two installations at once from getting into each other's way.
const LOCK: &str = "select pg_advisory_xact_lock(hashtextextended('pgq install extras', 0))::text";

const HAS_COOP_EXTENSION: &str = "select exists (select from pg_extension where extname = 'pgq_coop')";

/// The store of failed events, in the order in which it is created.
pub(crate) const FAILED: [&str; 7] = [
    include_str!("../../sql/failed/failed_queue.sql"),
    include_str!("../../sql/failed/_failed_event_owner.sql"),
    include_str!("../../sql/failed/event_failed.sql"),
    include_str!("../../sql/failed/failed_event_list.sql"),
    include_str!("../../sql/failed/failed_event_count.sql"),
    include_str!("../../sql/failed/failed_event_retry.sql"),
    include_str!("../../sql/failed/failed_event_delete.sql"),
];

/// Cooperative consumers, in the order in which they are created.
pub(crate) const COOP: [&str; 10] = [
    include_str!("../../sql/coop/schema.sql"),
    include_str!("../../sql/coop/version.sql"),
    include_str!("../../sql/coop/register_subconsumer.sql"),
    include_str!("../../sql/coop/unregister_subconsumer.sql"),
    include_str!("../../sql/coop/_lock_subscription.sql"),
    include_str!("../../sql/coop/_take_from_dead.sql"),
    include_str!("../../sql/coop/_take_from_main.sql"),
    include_str!("../../sql/coop/next_batch_custom.sql"),
    include_str!("../../sql/coop/next_batch.sql"),
    include_str!("../../sql/coop/finish_batch.sql"),
];

/// Who may use them; comes last.
pub(crate) const GRANTS: &str = include_str!("../../sql/extras_grants.sql");

const DROP_FAILED: &str = include_str!("../../sql/failed/drop.sql");

const DROP_COOP: &str = "drop schema if exists pgq_coop cascade";
