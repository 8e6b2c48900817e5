//! Installing and removing the schemas.

use std::io::Write;

use dbscript::{BoxError, Context, Error, Job, Switches};
use log::info;
use pgq::schema::Kind;

use crate::{DB, PRINT, SCHEMA, YES};

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
            _ => Ok(Job::once(move |_| print(schemas))),
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
    let meant = switches.has(YES);
    Ok(Job::once(move |cx| {
        if !meant {
            let what = at_stake(cx, schemas)?;
            return Err(Error::usage(format!("that would remove {what} for ever; it takes --yes")).into());
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
fn at_stake(cx: &mut Context, schemas: Schemas) -> Result<String, BoxError> {
    let contents = match schemas.pgq {
        true => pgq::schema::contents(&mut *cx.database(DB)?).map_err(|error| cx.locate(DB, error))?,
        false => None,
    };
    Ok(contents.map_or("what is recorded".to_owned(), |contents| contents.to_string()))
}

/// Prints the schemas' SQL for whoever installs it with `psql --single-transaction` or a migration tool.
fn print(schemas: Schemas) -> Result<(), BoxError> {
    let mut out = std::io::stdout().lock();
    if schemas.pgq {
        out.write_all(pgq::schema::sql().as_bytes())?;
    }
    if schemas.pgq_ext {
        out.write_all(pgq_ext::schema::sql().as_bytes())?;
    }
    Ok(out.flush()?)
}
