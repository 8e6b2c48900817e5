//! The keys of a stream, and what they mean.

use dbscript::{BoxError, Config, keys};

use super::{JetStream, Payload, TooLarge};

keys! {
    /// The keys that [`JetStream::from_config`] reads.
    pub KEYS;

    URL: required("nats_url"),
        "NATS servers of one cluster, separated by commas, such as nats://user:password@host:4222, nats://token@host or \
         tls://host. No default.";
    STREAM: required("nats_stream"), "Stream to write to. No default.";
    SUBJECT: required("nats_subject"),
        "Subject of messages, such as orders.{type}; {type} and {extra1} to {extra4} are columns of the event, {schema} and \
         {table} the parts of a table's name in ev_extra1. No default.";
    POSITION_SUBJECT: optional("nats_position_subject"),
        "Subject of the consumer's position, which the stream must take. Defaults to pgq_position.STREAM.CONSUMER.";
    CREDS: optional("nats_creds"), "File with the user's credentials. No default.";
    CA: optional("nats_ca"),
        "File with certificates of authorities for TLS, in PEM format, besides those of the system. No default.";
    CERT: optional("nats_cert"), "File with the client's certificate for TLS, in PEM format. No default.";
    KEY: optional("nats_key"), "File with the key of nats_cert, in PEM format. No default.";
    CREATE: default("nats_create_stream", "0"),
        "Replicas, such as 1 or 3, with which the stream is created if it is missing; 0: a missing stream is an error.";
    MAX_AGE: default("nats_max_age", "0"),
        "Seconds for which a created stream keeps messages, such as 604800 for a week; 0: for ever.";
    MAX_BYTES: default("nats_max_bytes", "0"),
        "Bytes that a created stream keeps, its oldest messages are removed, such as 100G; 0: without limit.";
    HEADERS: default("nats_headers", "1"), "1: messages have the event's columns as headers, such as Pgq-Event-Id.";
    TOO_LARGE: default("nats_too_large", "fail"),
        "fail: an event whose message is larger than server or stream allow goes to the failed events; stop: the mover stops \
         at it.";
    PAYLOAD: default("payload", "data"), "Content of messages: `data` is ev_data, `json` an object with all columns.";
}

impl JetStream {
    /// Makes the access to the stream that a config file describes, with [`KEYS`].
    ///
    /// # Errors
    ///
    /// Usage errors that name file, section and key.
    pub fn from_config(config: &Config) -> Result<JetStream, BoxError> {
        let usage = |error: BoxError| dbscript::Error::usage(error.to_string());
        let url = config.get(&URL)?;
        let made = JetStream::new(&url, &config.get(&STREAM)?, &config.get(&SUBJECT)?);
        let mut stream = made.map_err(usage)?.headers(config.boolean(&HEADERS)?).payload(payload(config)?);
        if let Some(file) = config.file(&CREDS)? {
            stream = stream.credentials(file);
        }
        if let Some(file) = config.file(&CA)? {
            stream = stream.root_certificate(file);
        }
        match (config.file(&CERT)?, config.file(&KEY)?) {
            (Some(file), Some(key)) => stream = stream.client_certificate(file, key),
            (None, None) => {}
            _ => return Err(dbscript::Error::usage("`nats_cert` and `nats_key` need each other").into()),
        }
        stream = stream.too_large(too_large(config)?);
        if let Some(subject) = config.get_opt(&POSITION_SUBJECT)?.filter(|subject| !subject.is_empty()) {
            stream = stream.position_subject(&subject);
        }
        stream = stream.max_age(config.seconds(&MAX_AGE)?).max_bytes(config.size(&MAX_BYTES)?);
        match config.parsed(&CREATE)? {
            0 => Ok(stream),
            replicas => Ok(stream.create_stream(replicas)),
        }
    }
}

fn too_large(config: &Config) -> Result<TooLarge, BoxError> {
    match config.get(&TOO_LARGE)?.as_str() {
        "fail" => Ok(TooLarge::Fail),
        "stop" => Ok(TooLarge::Stop),
        other => Err(config.invalid(&TOO_LARGE, other).into()),
    }
}

fn payload(config: &Config) -> Result<Payload, BoxError> {
    match config.get(&PAYLOAD)?.as_str() {
        "data" => Ok(Payload::Data),
        "json" => Ok(Payload::Json),
        other => Err(config.invalid(&PAYLOAD, other).into()),
    }
}
