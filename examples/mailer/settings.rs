//! The keys of the mailer, and the settings that they make.

use std::time::Duration;

use dbscript::{BoxError, Config, Error, keys};
use lettre::message::Mailbox;

use crate::Mailer;
use crate::message::{MessageTemplate, in_ascii};
use crate::server::Server;
use crate::template::Template;

keys! {
    /// The mailer's own keys, and the keys of every consumer that have another default in the mailer.
    pub(crate) KEYS;

    SMTP_URL: required("smtp_url"),
        "Mail server: smtp://host:port without encryption, the same with ?tls=required or ?tls=opportunistic for \
         STARTTLS, or smtps://host:port; user:password@ before the host to log in, with percent signs written %%. \
         No default.";
    SMTP_CA: optional("smtp_ca"),
        "File with the certificates of the authorities that the mailer trusts. Defaults to the system's.";
    SMTP_TIMEOUT: default("smtp_timeout", "60"),
        "Seconds that the mail server may take to be connected to, and for each answer.";
    MAIL_FROM: required("mail_from"), "Sender, as in Example <noreply@example.com>. No default.";
    MAIL_SUBJECT: required("mail_subject"), "Subject; {name} stands for that field of the event. No default.";
    MAIL_TEMPLATE: required("mail_template"),
        "File with the text; {name} stands for that field of the event, {{ and }} for braces. No default.";
    AUTOCOMMIT: default("pgq_autocommit", "1"),
        "1: no transaction is open while mails are sent; 0: one is, to no use.";
    MERGE_EVENTS: default("pgq_merge_events" | "pgq_batch_max_events", "0"),
        "When behind, take several ticks as one batch until it has this many events; the mails of a batch that is \
         cut off are sent again; 0: tick by tick.";
    RETRY_DELAY: default("pgq_retry_delay", "60"),
        "Seconds before a mail is retried after a temporary failure of the server or of its connection.";
    /// With the other defaults, about the four days after which mail servers give up.
    MAX_RETRIES: default("pgq_max_retries", "100"),
        "Retries of a mail before its event moves to the failed events; 100 retries take about four days.";
}

/// The limits of `smtp_timeout`.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(86400);
/// The largest size of a mail's text, in bytes.
const TEMPLATE_LIMIT: u64 = 1024 * 1024;

/// Reads the mailer's settings and its template.
///
/// # Errors
///
/// Usage errors that name file, section and key.
pub(crate) fn mailer(config: &Config) -> Result<Mailer, BoxError> {
    Ok(Mailer {
        server: server(config)?,
        message: MessageTemplate { from: from(config)?, subject: subject(config)?, text: text(config)? },
    })
}

fn from(config: &Config) -> Result<Mailbox, Error> {
    let Mailbox { name, email } = config.parsed(&MAIL_FROM)?;
    Ok(Mailbox::new(name, in_ascii(email)))
}

/// Errors do not contain the URL, since it may contain a password.
fn server(config: &Config) -> Result<Server, Error> {
    let ca = config.file(&SMTP_CA)?;
    let timeout = config.seconds(&SMTP_TIMEOUT)?;
    if !(SHORTEST..=LONGEST).contains(&timeout) {
        let given = config.get(&SMTP_TIMEOUT)?;
        return Err(config.invalid(&SMTP_TIMEOUT, &given).caused_by("it must be from 0.1 to 86400"));
    }
    Server::from_url(&config.get(&SMTP_URL)?, ca.as_deref(), timeout)
        .map_err(|what| config.invalid_secret(&SMTP_URL).caused_by(what))
}

fn subject(config: &Config) -> Result<Template, Error> {
    let subject = config.get(&MAIL_SUBJECT)?;
    Template::parse(&subject).map_err(|what| config.invalid(&MAIL_SUBJECT, &subject).caused_by(what))
}

fn text(config: &Config) -> Result<Template, Error> {
    let Some(path) = config.file(&MAIL_TEMPLATE)? else {
        return Err(config.invalid_secret(&MAIL_TEMPLATE));
    };
    let broken = |what: &str| Error::usage(format!("{what} mail_template `{}`", path.display()));
    let text = dbscript::read_text_file(&path, TEMPLATE_LIMIT)
        .map_err(|error| broken("cannot read").caused_by(error))?;
    Template::parse(&text).map_err(|what| broken("cannot use").caused_by(what))
}
