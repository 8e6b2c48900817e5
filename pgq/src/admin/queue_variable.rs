//! Changing the settings of a queue, by their names.

use std::collections::HashSet;

use dbscript::StateClass;
use dbscript::suggest;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Transaction};

use crate::admin::find_queue;
use crate::error::Error;
use crate::schema;

/// A setting of a queue as people write it.
#[derive(Clone, Copy)]
struct Variable {
    /// The name without `queue_`.
    name: &'static str,
    kind: VariableKind,
    /// The statement that sets it, where PgQ's function does not.
    update: Option<&'static str>,
}

/// What a setting takes.
#[derive(Clone, Copy)]
enum VariableKind {
    Interval,
    Count,
    Flag,
    Limit,
    Functions,
}

impl Variable {
    const fn of(name: &'static str, kind: VariableKind) -> Variable {
        Variable { name, kind, update: None }
    }

    const fn updated(name: &'static str, kind: VariableKind, statement: &'static str) -> Variable {
        Variable { name, kind, update: Some(statement) }
    }

    fn named(name: &str) -> Option<&'static Variable> {
        let name = name.to_lowercase();
        let bare = name.strip_prefix("queue_").unwrap_or(&name);
        VARIABLES.iter().find(|variable| variable.name == bare)
    }
}

/// $1 value. One with which the present cannot be calculated would fail every round of maintenance.
const IS_INTERVAL: &str = "select pg_catalog.isfinite(value) and extract(epoch from value) >= 0.0 and pg_catalog.now() - value <= pg_catalog.now() + value \
     from (select $1::pg_catalog.text::interval as value) given";

/// $1 value.
const IS_COUNT: &str = "select $1::pg_catalog.text::pg_catalog.int4 >= 0";

/// $1 value.
const IS_FLAG: &str = "select $1::pg_catalog.text::pg_catalog.bool is not null";

/// $1 value.
const IS_LIMIT: &str = "select coalesce(nullif($1::pg_catalog.text, '')::pg_catalog.int4, 0) >= 0";

/// $1 value.
const ARE_FUNCTIONS: &str = "select coalesce(pg_catalog.bool_and(pg_catalog.to_regprocedure(pgq.quote_fqname(name) || '(pg_catalog.text)') is not null), true) \
     from pg_catalog.unnest(nullif($1::pg_catalog.text, '')::pg_catalog.text[]) name";

impl VariableKind {
    /// Returns the statement that tells whether `$1` is a value.
    fn check(self) -> &'static str {
        match self {
            VariableKind::Interval => IS_INTERVAL,
            VariableKind::Count => IS_COUNT,
            VariableKind::Flag => IS_FLAG,
            VariableKind::Limit => IS_LIMIT,
            VariableKind::Functions => ARE_FUNCTIONS,
        }
    }

    fn takes(self) -> &'static str {
        match self {
            VariableKind::Interval => "an interval such as `2 hours`, `1 min 30 s` or `90`, which is seconds",
            VariableKind::Count => "a whole number from 0 on",
            VariableKind::Flag => "`true` or `false`",
            VariableKind::Limit => "a whole number from 0 on, or nothing for no limit",
            VariableKind::Functions => {
                "functions with one argument of type text, such as `{app.tidy,app.count}`, or nothing for none"
            }
        }
    }
}

/// $1 queue, $2 value.
const SET_DISABLE_INSERT: &str =
    "update pgq.queue set queue_disable_insert = $2::pg_catalog.text::pg_catalog.bool where queue_name = $1";

/// $1 queue, $2 value.
const SET_PER_TX_LIMIT: &str = "update pgq.queue set queue_per_tx_limit = nullif($2::pg_catalog.text, '')::pg_catalog.int4 where queue_name = $1";

/// $1 queue, $2 value.
const SET_EXTRA_MAINT: &str = "update pgq.queue set queue_extra_maint = nullif($2::pg_catalog.text, '')::pg_catalog.text[] where queue_name = $1";

static VARIABLES: [Variable; 9] = [
    Variable::of("ticker_max_lag", VariableKind::Interval),
    Variable::of("ticker_max_count", VariableKind::Count),
    Variable::of("ticker_idle_period", VariableKind::Interval),
    Variable::of("rotation_period", VariableKind::Interval),
    Variable::of("ticker_paused", VariableKind::Flag),
    Variable::of("external_ticker", VariableKind::Flag),
    Variable::updated("disable_insert", VariableKind::Flag, SET_DISABLE_INSERT),
    Variable::updated("per_tx_limit", VariableKind::Limit, SET_PER_TX_LIMIT),
    Variable::updated("extra_maint", VariableKind::Functions, SET_EXTRA_MAINT),
];

/// Changes settings of a queue, all in one transaction: names, with or without `queue_`, in any case, and values as
/// PostgreSQL reads them. PgQ: `pgq.set_queue_config`.
///
/// The names are the fields of [`QueueConfig`](crate::admin::QueueConfig). For `disable_insert`, `per_tx_limit` and
/// `extra_maint`, which PgQ's function does not know, the role needs the right to update `pgq.queue`, which
/// `pgq_admin` has.
///
/// ```no_run
/// # fn example(client: &mut postgres::Client) -> Result<(), pgq::Error> {
/// pgq::admin::set_queue_config(client, "mailer", &[("ticker_max_lag", "1 s"), ("rotation_period", "30 min")])
/// # }
/// ```
///
/// # Errors
///
/// When PgQ is not installed or the queue does not exist ([`ErrorKind::Missing`](crate::ErrorKind::Missing)); when a
/// name is unknown or comes twice, or a value does not suit it ([`ErrorKind::Usage`](crate::ErrorKind::Usage)), with
/// what is allowed; when the server refuses. Nothing is changed then.
pub fn set_queue_config(
    client: &mut impl GenericClient,
    queue: &str,
    changes: &[(&str, &str)],
) -> Result<(), Error> {
    let changes = known(changes)?;
    schema::require(client)?;
    let failed =
        |error| Error::failed("cannot change the settings of the queue").on_queue(queue).caused_by(error);
    if !find_queue::exists(client, queue)? {
        return Err(find_queue::unknown(client, queue));
    }
    let mut transaction = client.transaction().map_err(failed)?;
    for (variable, value) in changes {
        check(&mut transaction, variable, value)?;
        set(&mut transaction, queue, variable, value)?;
    }
    transaction.commit().map_err(failed)
}

fn known<'a>(changes: &[(&str, &'a str)]) -> Result<Vec<(&'static Variable, &'a str)>, Error> {
    let mut seen = HashSet::new();
    let known = |&(name, value): &(&str, &'a str)| {
        let variable = Variable::named(name).ok_or_else(|| unknown(name))?;
        match seen.insert(variable.name) {
            true => Ok((variable, value)),
            false => Err(Error::usage(format!("variable `{name}` is given twice"))),
        }
    };
    changes.iter().map(known).collect()
}

fn unknown(name: &str) -> Error {
    let names = VARIABLES.each_ref().map(|variable| variable.name);
    let lower = name.to_lowercase();
    let suggestion = suggest(lower.strip_prefix("queue_").unwrap_or(&lower), names.iter().copied());
    let meant = suggestion.map_or(String::new(), |name| format!(", did you mean `{name}`?"));
    let names = names.join(", ");
    Error::usage(format!(
        "unknown variable `{name}`{meant}; queues have {names}, each with or without `queue_`"
    ))
}

/// Lets the server read the value, which knows best what it takes for an interval.
fn check(transaction: &mut Transaction<'_>, variable: &Variable, value: &str) -> Result<(), Error> {
    let Variable { name, kind, .. } = variable;
    let wrong = || Error::usage(format!("variable `queue_{name}` takes {}, not `{value}`", kind.takes()));
    match transaction.query_typed_one(kind.check(), &[(&value, Type::TEXT)]) {
        Ok(row) if row.get(0) => Ok(()),
        Ok(_) => Err(wrong()),
        // Class 22 is wrong data.
        Err(error) if error.code().is_some_and(|state| StateClass::Value.contains(state)) => Err(wrong()),
        Err(error) => {
            Err(Error::failed(format!("cannot check the value of `queue_{name}`")).caused_by(error))
        }
    }
}

/// $1 queue, $2 value, $3 variable without `queue_`. No row: there is no such queue.
const SET_QUEUE_CONFIG: &str =
    "select pgq.set_queue_config(queue_name, $3, $2) from pgq.queue where queue_name = $1";

fn set(
    transaction: &mut Transaction<'_>,
    queue: &str,
    variable: &Variable,
    value: &str,
) -> Result<(), Error> {
    let Variable { name, update, .. } = variable;
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&queue, Type::TEXT), (&value, Type::TEXT), (name, Type::TEXT)];
    let result = match update {
        Some(statement) => transaction.execute_typed(statement, &values[..2]),
        None => transaction.execute_typed(SET_QUEUE_CONFIG, &values),
    };
    match result {
        Ok(0) => Err(find_queue::no_queue(queue)),
        Ok(_) => Ok(()),
        Err(error) => {
            Err(Error::failed(format!("cannot set `queue_{name}`")).on_queue(queue).caused_by(error))
        }
    }
}
