//! `install` and `uninstall`: the schemas `pgq` and `pgq_ext`.

use dbscript::{BoxError, Consent, Context, Error, Job, Switches, confirm, printable};
use log::info;
use pgq::schema::{Contents, Kind};

use crate::commands::consent;
use crate::database;
use crate::text::print;
use crate::{DB, PRINT, SCHEMA, YES};

/// The schemas of a command.
#[derive(Clone, Copy)]
struct Schemas {
    pgq: bool,
    pgq_ext: bool,
}

impl Schemas {
    fn named(names: &[&str]) -> Result<Schemas, BoxError> {
        if let Some(unknown) = names.iter().find(|name| !["pgq", "pgq_ext"].contains(name)) {
            return Err(
                Error::usage(format!("unknown schema `{unknown}`; the schemas are pgq and pgq_ext")).into()
            );
        }
        let is_selected = |name: &str| names.is_empty() || names.contains(&name);
        Ok(Schemas { pgq: is_selected("pgq"), pgq_ext: is_selected("pgq_ext") })
    }
}

pub(crate) fn install(names: &[&str], switches: &Switches) -> Result<Job, BoxError> {
    let schemas = Schemas::named(names)?;
    let kind = switches.value(SCHEMA).map(str::parse::<Kind>).transpose();
    let kind = kind.map_err(|error| Error::usage(format!("--{SCHEMA}: {error}")))?;
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
            let is_installed =
                pgq_ext::schema::install(&mut *database::open(cx)?).map_err(|error| cx.locate(DB, error))?;
            info!(
                "schema pgq_ext: {}",
                if is_installed { "already installed, up to date" } else { "installed" }
            );
        }
        Ok(())
    }))
}

pub(crate) fn uninstall(names: &[&str], switches: &Switches) -> Result<Job, BoxError> {
    let schemas = Schemas::named(names)?;
    let consent = if switches.has(YES) { Consent::Given } else { consent(switches) };
    Ok(Job::once(move |cx| {
        let removal = Removal::read(cx, schemas)?;
        if let Some(question) = removal.question() {
            confirm(&format!("permanently remove {question}"), consent)?;
        }
        if schemas.pgq {
            remove_pgq(cx, &removal)?;
        }
        if schemas.pgq_ext {
            remove_pgq_ext(cx, &removal)?;
        }
        Ok(())
    }))
}

/// The objects that an uninstallation removes.
struct Removal {
    pgq: Option<Contents>,
    /// The objects that depend on schema `pgq_ext`.
    pgq_ext: Option<Vec<String>>,
}

impl Removal {
    fn read(cx: &mut Context, schemas: Schemas) -> Result<Removal, BoxError> {
        let mut db = database::open(cx)?;
        let mut removal = Removal { pgq: None, pgq_ext: None };
        if schemas.pgq {
            removal.pgq = pgq::schema::contents(&mut *db).map_err(|error| cx.locate(DB, error))?;
        }
        if schemas.pgq_ext && pgq_ext::schema::is_installed(&mut *db).map_err(|error| cx.locate(DB, error))? {
            let dependents = pgq::schema::dependents(&mut *db, &["pgq_ext"]);
            removal.pgq_ext = Some(dependents.map_err(|error| cx.locate(DB, error))?);
        }
        Ok(removal)
    }

    /// Returns the text of the confirmation, or `None` when there is nothing to remove.
    fn question(&self) -> Option<String> {
        let pgq = self.pgq.as_ref().map(|contents| format!("schema pgq ({contents})"));
        let pgq_ext = self.pgq_ext.as_ref().map(|dependents| {
            let more = match dependents.is_empty() {
                true => String::new(),
                false => format!(" and its dependent objects: {}", printable(&dependents.join(", "))),
            };
            format!("schema pgq_ext with all positions{more}")
        });
        let parts: Vec<String> = pgq.into_iter().chain(pgq_ext).collect();
        (!parts.is_empty()).then(|| parts.join(" and "))
    }
}

fn remove_pgq(cx: &mut Context, removal: &Removal) -> Result<(), BoxError> {
    let Some(agreed) = &removal.pgq else {
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

fn remove_pgq_ext(cx: &mut Context, removal: &Removal) -> Result<(), BoxError> {
    let agreed = removal.pgq_ext.as_deref().unwrap_or_default();
    let removed = pgq_ext::schema::uninstall_confirmed(&mut *database::open(cx)?, agreed);
    match removed.map_err(|error| cx.locate(DB, error))? {
        Some(dependents) => info!("schema pgq_ext: removed{}", with(&dependents)),
        None => info!("schema pgq_ext: not installed"),
    }
    Ok(())
}

/// Formats the dependent objects that were removed too.
fn with(dependents: &[String]) -> String {
    match dependents {
        [] => String::new(),
        some => format!(", and with it {}", printable(&some.join(", "))),
    }
}

/// Returns the SQL of the schemas, for `psql --single-transaction` or a migration tool.
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
