//! Installing and removing the schemas.

use dbscript::{BoxError, Context, Error, Job, Switches, confirm};
use log::info;
use pgq::schema::Kind;

use crate::text::print;
use crate::{DB, FORCE, PRINT, SCHEMA, YES};

/// Which schemas a command is about.
#[derive(Clone, Copy)]
struct Schemas {
    pgq: bool,
    pgq_ext: bool,
}

impl Schemas {
    fn named(names: &[&str]) -> Result<Schemas, BoxError> {
        if let Some(unknown) = names.iter().find(|name| !["pgq", "pgq_ext"].contains(name)) {
            return Err(Error::usage(format!("unknown schema `{unknown}`, only pgq and pgq_ext")).into());
        }
        let wanted = |name: &str| names.is_empty() || names.contains(&name);
        Ok(Schemas { pgq: wanted("pgq"), pgq_ext: wanted("pgq_ext") })
    }
}

pub(crate) fn install(names: &[&str], switches: &Switches) -> Result<Job, BoxError> {
    let schemas = Schemas::named(names)?;
    let kind = switches.value(SCHEMA).map(str::parse::<Kind>).transpose()?;
    if switches.has(PRINT) {
        return match kind {
            Some(Kind::Extension) => Err(Error::usage("only the own schema can be printed").into()),
            _ => Ok(Job::once(move |_| print(&sql(schemas)))),
        };
    }
    Ok(Job::once(move |cx| {
        if schemas.pgq {
            let report = pgq::schema::install_as(&mut *cx.database(DB)?, kind)
                .map_err(|error| cx.locate(DB, error))?;
            info!("schema pgq: {report}");
        }
        if schemas.pgq_ext {
            let known =
                pgq_ext::schema::install(&mut *cx.database(DB)?).map_err(|error| cx.locate(DB, error))?;
            info!("schema pgq_ext: {}", if known { "already installed, up to date" } else { "installed" });
        }
        Ok(())
    }))
}

pub(crate) fn uninstall(names: &[&str], switches: &Switches) -> Result<Job, BoxError> {
    let schemas = Schemas::named(names)?;
    let forced = switches.has(FORCE) || switches.has(YES);
    Ok(Job::once(move |cx| {
        let at_stake = at_stake(cx, schemas)?;
        if !at_stake.is_empty() {
            confirm(&format!("remove for ever {}", at_stake.join(" and ")), forced)?;
        }
        if schemas.pgq {
            let removed =
                pgq::schema::uninstall(&mut *cx.database(DB)?).map_err(|error| cx.locate(DB, error))?;
            match removed {
                Some(Kind::Own) => info!("schema pgq: removed, own schema"),
                Some(Kind::Extension) => info!("schema pgq: removed, extension"),
                None => info!("schema pgq: not installed"),
            }
        }
        if schemas.pgq_ext {
            let removed =
                pgq_ext::schema::uninstall(&mut *cx.database(DB)?).map_err(|error| cx.locate(DB, error))?;
            info!("schema pgq_ext: {}", if removed { "removed" } else { "not installed" });
        }
        Ok(())
    }))
}

/// Names what uninstalling would remove.
fn at_stake(cx: &mut Context, schemas: Schemas) -> Result<Vec<String>, BoxError> {
    let mut parts = Vec::new();
    let mut db = cx.database(DB)?;
    if schemas.pgq {
        let contents = pgq::schema::contents(&mut *db).map_err(|error| cx.locate(DB, error))?;
        parts.extend(contents.map(|contents| format!("schema pgq ({contents})")));
    }
    if schemas.pgq_ext && pgq_ext::schema::is_installed(&mut *db).map_err(|error| cx.locate(DB, error))? {
        parts.push("schema pgq_ext with what is recorded".to_owned());
    }
    Ok(parts)
}

/// Returns the schemas' SQL for whoever installs it with `psql --single-transaction` or a migration tool.
fn sql(schemas: Schemas) -> String {
    let mut text = String::new();
    if schemas.pgq {
        text.push_str(&pgq::schema::sql());
    }
    if schemas.pgq_ext {
        text.push_str(&pgq_ext::schema::sql());
    }
    text
}
