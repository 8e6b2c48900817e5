use postgres::GenericClient;

use super::own::{self, Age};
use super::report::{Change, Kind, Report};
use super::state::{self, State};
use crate::{Error, sql};

/// Installs PgQ, or brings an older own schema up to date; returns whether it was not there before.
///
/// Takes the extension where the server offers it and this role may create it, and the own schema otherwise.
///
/// # Errors
///
/// As [`install_as`].
pub fn install(client: &mut impl GenericClient) -> Result<bool, Error> {
    install_as(client, None).map(|report| report.change == Change::Installed)
}

/// Installs PgQ in one transaction: the given schema, or with `None` what is installed already, else the
/// extension where the server offers it and this role may create it, else the own schema.
///
/// Of two installations at once the second one waits for the first.
///
/// # Errors
///
/// When there is a schema `pgq` of another kind or origin, or a newer one than this crate's; when the extension
/// is insisted on and the server does not offer it; when the server refuses. Nothing is changed then.
pub fn install_as(client: &mut impl GenericClient, kind: Option<Kind>) -> Result<Report, Error> {
    let failed = |error| Error::failed("cannot install schema `pgq`").caused_by(error);
    let mut transaction = client.transaction().map_err(failed)?;
    transaction.batch_execute(sql::LOCK_INSTALL).map_err(failed)?;
    let before = state::read(&mut transaction)?;
    let (kind, change) = decide(&before, kind)?;
    match (change, kind) {
        (Change::Unchanged, _) => {}
        (_, Kind::Own) => transaction.batch_execute(&own::sql()).map_err(failed)?,
        (_, Kind::Extension) => transaction
            .batch_execute(sql::CREATE_EXTENSION)
            .map_err(|error| Error::failed("cannot create the extension `pgq`").caused_by(error))?,
    }
    let roles = state::read(&mut transaction)?.roles;
    transaction.commit().map_err(failed)?;
    Ok(Report { kind, change, roles })
}

fn decide(found: &State, wanted: Option<Kind>) -> Result<(Kind, Change), Error> {
    if found.extension {
        return match wanted {
            Some(Kind::Own) => Err(taken("the extension `pgq` is installed", "drop extension pgq cascade")),
            _ => Ok((Kind::Extension, Change::Unchanged)),
        };
    }
    if let Some(age) = found.own.as_deref().and_then(own::age) {
        return match (wanted, age) {
            (Some(Kind::Extension), _) => {
                Err(taken("the own schema is installed", "drop schema pgq cascade"))
            }
            (_, Age::Same) => Ok((Kind::Own, Change::Unchanged)),
            (_, Age::Older) => Ok((Kind::Own, Change::Updated)),
            (_, Age::Newer) => Err(Error::failed("schema `pgq` comes from a newer release of this program")),
        };
    }
    if found.occupied {
        return Err(Error::failed(
            "there is a schema `pgq` that neither the extension nor this program has made; \
             it has to be renamed or dropped first",
        ));
    }
    match wanted {
        Some(Kind::Own) => Ok((Kind::Own, Change::Installed)),
        Some(Kind::Extension) if !found.available => Err(Error::missing(
            "the server does not offer the extension `pgq`; its package is named like postgresql-15-pgq3",
        )),
        Some(Kind::Extension) => Ok((Kind::Extension, Change::Installed)),
        None if found.available && found.creatable => Ok((Kind::Extension, Change::Installed)),
        None => Ok((Kind::Own, Change::Installed)),
    }
}

fn taken(what: &str, remedy: &str) -> Error {
    Error::failed(format!("{what}; only an empty one can be replaced, after `{remedy}`"))
}
