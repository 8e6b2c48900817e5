//! Changing the settings of a queue by name.

use std::collections::HashSet;

use dbscript::StateClass;
use dbscript::param::text;
use dbscript::suggest;
use postgres::{GenericClient, Transaction};

use crate::admin::queue_lookup;
use crate::error::{At, Error};
use crate::schema;

/// A setting of a queue.
#[derive(Clone, Copy)]
struct Setting {
    /// The name without `queue_`.
    name: &'static str,
    kind: ValueKind,
    /// The statement that changes it, where `pgq.set_queue_config` does not.
    update: Option<&'static str>,
}

/// The kind of value that a setting accepts.
#[derive(Clone, Copy)]
enum ValueKind {
    Interval,
    Count,
    Flag,
    Limit,
    Functions,
}

impl Setting {
    const fn new(name: &'static str, kind: ValueKind) -> Setting {
        Setting { name, kind, update: None }
    }

    const fn updated_by(name: &'static str, kind: ValueKind, statement: &'static str) -> Setting {
        Setting { name, kind, update: Some(statement) }
    }

    fn by_name(name: &str) -> Option<&'static Setting> {
        let name = name.to_lowercase();
        let bare = name.strip_prefix("queue_").unwrap_or(&name);
        SETTINGS.iter().find(|setting| setting.name == bare)
    }
}

/// $1 value. An interval that cannot be added to the present time would make every maintenance run fail.
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

impl ValueKind {
    /// Returns the statement that checks whether `$1` is a valid value.
    fn check(self) -> &'static str {
        match self {
            ValueKind::Interval => IS_INTERVAL,
            ValueKind::Count => IS_COUNT,
            ValueKind::Flag => IS_FLAG,
            ValueKind::Limit => IS_LIMIT,
            ValueKind::Functions => ARE_FUNCTIONS,
        }
    }

    /// Describes the valid values, for errors.
    fn description(self) -> &'static str {
        match self {
            ValueKind::Interval => "an interval such as `2 hours`, `1 min 30 s` or `90` (seconds)",
            ValueKind::Count => "a whole number, 0 or more",
            ValueKind::Flag => "`true` or `false`",
            ValueKind::Limit => "a whole number, 0 or more, or empty for no limit",
            ValueKind::Functions => {
                "a list of functions with one argument of type text, such as `{app.tidy,app.count}`, or empty for none"
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

static SETTINGS: [Setting; 9] = [
    Setting::new("ticker_max_lag", ValueKind::Interval),
    Setting::new("ticker_max_count", ValueKind::Count),
    Setting::new("ticker_idle_period", ValueKind::Interval),
    Setting::new("rotation_period", ValueKind::Interval),
    Setting::new("ticker_paused", ValueKind::Flag),
    Setting::new("external_ticker", ValueKind::Flag),
    Setting::updated_by("disable_insert", ValueKind::Flag, SET_DISABLE_INSERT),
    Setting::updated_by("per_tx_limit", ValueKind::Limit, SET_PER_TX_LIMIT),
    Setting::updated_by("extra_maint", ValueKind::Functions, SET_EXTRA_MAINT),
];

/// Changes settings of a queue in one transaction. PgQ: `pgq.set_queue_config`.
///
/// Each change is a name and a value. The names are the fields of [`QueueConfig`](crate::admin::QueueConfig), in upper
/// or lower case, with or without the prefix `queue_`. The values have PostgreSQL's syntax.
///
/// PgQ's function does not support `disable_insert`, `per_tx_limit` and `extra_maint`. To change these, the role needs
/// the right to update `pgq.queue`, which `pgq_admin` has.
///
/// ```no_run
/// # fn example(client: &mut postgres::Client) -> Result<(), pgq::Error> {
/// pgq::admin::set_queue_config(client, "mailer", &[("ticker_max_lag", "1 s"), ("rotation_period", "30 min")])
/// # }
/// ```
///
/// # Errors
///
/// - PgQ is not installed, or the queue does not exist ([`ErrorKind::Missing`](crate::ErrorKind::Missing)).
/// - A name is unknown or given twice, or a value is invalid ([`ErrorKind::Usage`](crate::ErrorKind::Usage)). The error
///   lists the valid names or values.
/// - The server refuses.
///
/// Nothing is changed then.
pub fn set_queue_config(
    client: &mut impl GenericClient,
    queue: &str,
    changes: &[(&str, &str)],
) -> Result<(), Error> {
    let changes = checked_names(changes)?;
    schema::require(client)?;
    let failed = |error| At::queue(queue).failed("cannot change the settings of the queue", error);
    if !queue_lookup::exists(client, queue)? {
        return Err(queue_lookup::unknown_queue(client, queue));
    }
    let mut transaction = client.transaction().map_err(failed)?;
    for (setting, value) in changes {
        check_value(&mut transaction, setting, value)?;
        set(&mut transaction, queue, setting, value)?;
    }
    transaction.commit().map_err(failed)
}

/// Returns the changes with their settings. Fails for a name that is unknown or given twice.
fn checked_names<'a>(changes: &[(&str, &'a str)]) -> Result<Vec<(&'static Setting, &'a str)>, Error> {
    let mut seen = HashSet::new();
    let checked = |&(name, value): &(&str, &'a str)| {
        let setting = Setting::by_name(name).ok_or_else(|| unknown_name(name))?;
        match seen.insert(setting.name) {
            true => Ok((setting, value)),
            false => Err(Error::usage(format!("variable `{name}` is given twice"))),
        }
    };
    changes.iter().map(checked).collect()
}

fn unknown_name(name: &str) -> Error {
    let names = SETTINGS.each_ref().map(|setting| setting.name);
    let lower = name.to_lowercase();
    if lower.strip_prefix("queue_").unwrap_or(&lower) == "ntables" {
        return Error::usage(
            "the number of event tables cannot be changed: batches read the last two tables; to keep events for longer, \
             raise `rotation_period`",
        );
    }
    let suggestion = suggest(lower.strip_prefix("queue_").unwrap_or(&lower), names.iter().copied());
    let meant = suggestion.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
    let names = names.join(", ");
    Error::usage(format!(
        "unknown variable `{name}`{meant}; valid are {names}, each with or without `queue_`"
    ))
}

/// Has the server parse the value, so that exactly PostgreSQL's syntax is valid.
fn check_value(transaction: &mut Transaction<'_>, setting: &Setting, value: &str) -> Result<(), Error> {
    let Setting { name, kind, .. } = setting;
    let invalid = || {
        let valid = kind.description();
        Error::usage(format!("invalid value `{value}` of variable `queue_{name}`: it must be {valid}"))
    };
    match transaction.query_typed_one(kind.check(), &[text(&value)]) {
        Ok(row) if row.get(0) => Ok(()),
        Ok(_) => Err(invalid()),
        Err(error) if error.code().is_some_and(|state| StateClass::Value.contains(state)) => Err(invalid()),
        Err(error) => {
            Err(Error::failed(format!("cannot check the value of `queue_{name}`")).caused_by(error))
        }
    }
}

/// $1 queue, $2 value, $3 name without `queue_`. No row: the queue does not exist.
const SET_QUEUE_CONFIG: &str =
    "select pgq.set_queue_config(queue_name, $3, $2) from pgq.queue where queue_name = $1";

fn set(transaction: &mut Transaction<'_>, queue: &str, setting: &Setting, value: &str) -> Result<(), Error> {
    let Setting { name, update, .. } = setting;
    let values = [text(&queue), text(&value), text(name)];
    let result = match update {
        Some(statement) => transaction.execute_typed(statement, &values[..2]),
        None => transaction.execute_typed(SET_QUEUE_CONFIG, &values),
    };
    match result {
        Ok(0) => Err(queue_lookup::missing_queue(queue)),
        Ok(_) => Ok(()),
        Err(error) => Err(At::queue(queue).failed(format!("cannot set `queue_{name}`"), error)),
    }
}
