//! Installing and removing the schemas.

use dbscript::{BoxError, Context, Error, Job, Switches, confirm, plain};
use log::info;
use pgq::schema::{Contents, Kind};

use crate::database;
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
            let report = pgq::schema::install_as(&mut *database::open(cx)?, kind)
                .map_err(|error| cx.locate(DB, error))?;
            info!("schema pgq: {report}");
        }
        if schemas.pgq_ext {
            let known =
                pgq_ext::schema::install(&mut *database::open(cx)?).map_err(|error| cx.locate(DB, error))?;
            info!("schema pgq_ext: {}", if known { "already installed, up to date" } else { "installed" });
        }
        Ok(())
    }))
}

pub(crate) fn uninstall(names: &[&str], switches: &Switches) -> Result<Job, BoxError> {
    let schemas = Schemas::named(names)?;
    let forced = switches.has(FORCE) || switches.has(YES);
    Ok(Job::once(move |cx| {
        let at_stake = AtStake::read(cx, schemas)?;
        if let Some(question) = at_stake.question() {
            confirm(&format!("remove for ever {question}"), forced)?;
        }
        if schemas.pgq {
            remove_pgq(cx, &at_stake)?;
        }
        if schemas.pgq_ext {
            remove_pgq_ext(cx, &at_stake)?;
        }
        Ok(())
    }))
}

/// What uninstalling would remove.
struct AtStake {
    pgq: Option<Contents>,
    /// What depends on schema `pgq_ext`.
    pgq_ext: Option<Vec<String>>,
}

impl AtStake {
    fn read(cx: &mut Context, schemas: Schemas) -> Result<AtStake, BoxError> {
        let mut db = database::open(cx)?;
        let mut at_stake = AtStake { pgq: None, pgq_ext: None };
        if schemas.pgq {
            at_stake.pgq = pgq::schema::contents(&mut *db).map_err(|error| cx.locate(DB, error))?;
        }
        if schemas.pgq_ext && pgq_ext::schema::is_installed(&mut *db).map_err(|error| cx.locate(DB, error))? {
            let dependents = pgq::schema::dependents(&mut *db, &["pgq_ext"]);
            at_stake.pgq_ext = Some(dependents.map_err(|error| cx.locate(DB, error))?);
        }
        Ok(at_stake)
    }

    /// Names what would go; nothing when there is nothing.
    fn question(&self) -> Option<String> {
        let pgq = self.pgq.as_ref().map(|contents| format!("schema pgq ({contents})"));
        let pgq_ext = self.pgq_ext.as_ref().map(|dependents| {
            let more = match dependents.is_empty() {
                true => String::new(),
                false => format!(" and what depends on it: {}", plain(&dependents.join(", "))),
            };
            format!("schema pgq_ext with what is recorded{more}")
        });
        let parts: Vec<String> = pgq.into_iter().chain(pgq_ext).collect();
        (!parts.is_empty()).then(|| parts.join(" and "))
    }
}

fn remove_pgq(cx: &mut Context, at_stake: &AtStake) -> Result<(), BoxError> {
    let Some(agreed) = &at_stake.pgq else {
        info!("schema pgq: not installed");
        return Ok(());
    };
    let removed = pgq::schema::uninstall_confirmed(&mut *database::open(cx)?, agreed);
    match removed.map_err(|error| cx.locate(DB, error))? {
        Some((Kind::Own, contents)) => info!("schema pgq: removed, own schema{}", with(&contents.dependents)),
        Some((Kind::Extension, contents)) => {
            info!("schema pgq: removed, extension{}", with(&contents.dependents));
        }
        None => info!("schema pgq: not installed"),
    }
    Ok(())
}

fn remove_pgq_ext(cx: &mut Context, at_stake: &AtStake) -> Result<(), BoxError> {
    let agreed = at_stake.pgq_ext.as_deref().unwrap_or_default();
    let removed = pgq_ext::schema::uninstall_confirmed(&mut *database::open(cx)?, agreed);
    match removed.map_err(|error| cx.locate(DB, error))? {
        Some(dependents) => info!("schema pgq_ext: removed{}", with(&dependents)),
        None => info!("schema pgq_ext: not installed"),
    }
    Ok(())
}

/// Names what went along.
fn with(dependents: &[String]) -> String {
    match dependents {
        [] => String::new(),
        some => format!(", and with it {}", plain(&some.join(", "))),
    }
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
