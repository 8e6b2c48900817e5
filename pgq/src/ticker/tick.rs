//! Ticks without a ticker, and the notification channels of ticks.

use postgres::GenericClient;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::schema::{self, Trust};

/// Longer names are replaced by a hash: the name of a channel has at most 63 bytes.
const LONGEST_NAME: usize = 59;
/// How many characters of the hash the name contains.
const HASHED: usize = 40;

const TICK: &str = "select pgq.ticker()";

/// Ticks every queue that needs it; returns how many did. PgQ: `pgq.ticker()`.
///
/// # Errors
///
/// When PgQ is not installed, when it belongs to a role that could use this role's rights that way
/// ([`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted)), and when the server fails.
pub fn tick(client: &mut impl GenericClient) -> Result<u64, Error> {
    schema::require(client)?;
    schema::require_trusted(client, Trust::Schema)?;
    let failed = |error| Error::failed("cannot tick").caused_by(error);
    let row = client.query_typed_one(TICK, &[]).map_err(failed)?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

/// Returns the channel on which [`Ticker`](crate::Ticker) notifies of each tick of a queue, with the tick's id.
///
/// The name is `pgq:` and the queue's name. A name of more than 59 bytes is replaced by the first 40 digits of its
/// SHA-256.
pub fn tick_channel(queue: &str) -> String {
    if queue.len() <= LONGEST_NAME {
        return format!("pgq:{queue}");
    }
    let hash: String = Sha256::digest(queue.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("pgq:{}", &hash[..HASHED])
}
