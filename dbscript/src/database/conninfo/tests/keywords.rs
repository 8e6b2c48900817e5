//! Every keyword: supported, without effect, or refused.

use crate::error::ErrorKind;
use std::fs;
use std::time::Duration;

use postgres::config::{ChannelBinding, Host};

use super::libpq::Libpq;
use super::{line, parse_with};
use crate::database::conninfo::keywords::KEYWORDS;
use crate::database::conninfo::{SessionAttrs, Target};
use crate::database::tls::{RootCert, SslMode, TlsVersion};

fn target(text: &str) -> Target {
    parse_with(text, &[("HOME", "/nowhere")]).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

#[test]
fn all_keywords_of_the_installed_libpq_are_listed() {
    for keyword in Libpq::start().keywords() {
        assert!(KEYWORDS.iter().any(|(listed, _)| *listed == keyword), "{keyword}");
    }
}

#[test]
fn words_of_other_drivers_are_skipped() {
    for text in [
        "postgres://u@h/d?sslmode=prefer&statement-cache-capacity=100",
        "postgresql://u@h/d?pool_max_conns=10&prepareThreshold=0&pgbouncer=true",
        "host=h user=u dbname=d pool_max_conns=10",
    ] {
        assert_eq!(target(text).to_string(), "database `d` at `h` port 5432 as user `u`");
    }
    let verified = target("postgres://u@h/d?ssl-mode=verify-full");
    assert_eq!(verified.tls.mode, SslMode::VerifyFull);
    for text in ["postgres://u@h/d?readOnly=true", "postgres://u@h/d?sslfactory=x", "statement-cache=1"] {
        assert!(parse_with(text, &[("HOME", "/nowhere")]).is_err(), "{text}");
    }
}

#[test]
fn unsupported_keywords_are_refused() {
    let refused = [
        "require_auth=scram-sha-256",
        "require_auth=!gss",
        "requirepeer=postgres",
        "sslcertmode=require",
        "sslcrldir=/crl",
        "sslkeylogfile=/keys",
        "sslkey=engine:key sslcert=/etc/passwd",
        "scram_client_key=s3cret",
        "scram_server_key=s3cret",
        "oauth_issuer=https://example",
        "oauth_client_id=x",
        "oauth_client_secret=s3cret",
        "oauth_scope=x",
        "gssencmode=require",
        "replication=database",
        "replication=true",
        "client_encoding=latin1",
        "min_protocol_version=3.2",
        "ssl_max_protocol_version=TLSv1.1",
        "sslnegotiation=direct",
        "sslrootcert=system sslmode=require",
        "host=@abstract",
    ];
    for text in refused {
        let error = parse_with(text, &[("HOME", "/nowhere")]).expect_err(text);
        let (keyword, _) = text.split_once('=').expect("a pair");
        let keyword = if keyword == "sslrootcert" { "sslmode" } else { keyword };
        assert!(
            error.kind() == ErrorKind::Usage && line(&error).contains(&format!("`{keyword}`")),
            "{text}: {error:?}"
        );
        assert!(!line(&error).contains("s3cret"), "{error:?}");
    }
}

#[test]
fn variables_of_newer_versions_are_read() {
    for (variable, value, keyword) in [
        ("PGREQUIREAUTH", "none", "require_auth"),
        ("PGSSLCERTMODE", "require", "sslcertmode"),
        ("PGSSLNEGOTIATION", "direct", "sslnegotiation"),
        ("PGMINPROTOCOLVERSION", "latest", "min_protocol_version"),
        ("PGMAXPROTOCOLVERSION", "4", "max_protocol_version"),
        ("PGLOADBALANCEHOSTS", "", "load_balance_hosts"),
    ] {
        let error = parse_with("", &[("HOME", "/nowhere"), (variable, value)]).expect_err(variable);
        let line = line(&error);
        assert!(line.contains(&format!("`{keyword}`")) && line.contains(variable), "{line}");
    }
    let env = [("HOME", "/nowhere"), ("PGLOADBALANCEHOSTS", "random"), ("PGGSSDELEGATION", "1")];
    assert!(parse_with("", &env).expect("valid").shuffled);
}

#[test]
fn keywords_without_effect_are_accepted() {
    for text in [
        "sslcompression=1",
        "krbsrvname=x gsslib=gssapi gssdelegation=1",
        "gssencmode=prefer",
        "gssencmode=disable",
        "replication=off",
        "replication=''",
        "client_encoding=utf-8",
        "client_encoding=auto",
        "client_encoding=''",
        "min_protocol_version=3.0 max_protocol_version=latest",
        "require_auth='' requirepeer='' sslcrldir=''",
        "requirepeer=postgres host=h",
        "sslcertmode=allow",
        "sslnegotiation=postgres",
    ] {
        target(text);
    }
}

#[test]
fn names_and_limits() {
    let config = target("user=u dbname=d options='-c a=b' fallback_application_name=f").common;
    assert_eq!((config.get_user(), config.get_dbname()), (Some("u"), Some("d")));
    assert_eq!((config.get_options(), config.get_application_name()), (Some("-c a=b"), Some("f")));
    let config = target("application_name='' fallback_application_name=f").common;
    assert_eq!(config.get_application_name(), Some(""));
    assert_eq!(target("").common.get_application_name(), None);
    let seconds = |text: &str| target(text).common.get_connect_timeout().map(Duration::as_secs);
    assert_eq!(
        ["1", "2", "9"].map(|n| seconds(&format!("connect_timeout={n}"))),
        [Some(2), Some(2), Some(9)]
    );
    assert_eq!(["0", "-5"].map(|n| seconds(&format!("connect_timeout={n}"))), [None, None]);
    let config =
        target("keepalives_idle=3 keepalives_interval=4 keepalives_count=5 tcp_user_timeout=6").common;
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(3));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(4)));
    assert_eq!(config.get_keepalives_retries(), Some(5));
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_millis(6)));
    assert!(config.get_keepalives() && !target("keepalives=0").common.get_keepalives());
    assert_eq!(target("channel_binding=require").common.get_channel_binding(), ChannelBinding::Require);
}

#[test]
fn parameters_of_the_session_come_from_the_environment() {
    let env = [("PGTZ", "a b\\c"), ("PGDATESTYLE", "ISO"), ("PGGEQO", "default"), ("PGOPTIONS", "-c x=y")];
    let options = |env: &[_]| parse_with("", env).expect("valid").common.get_options().map(str::to_owned);
    let expected = "-c x=y -c datestyle=ISO -c timezone=a\\ b\\\\c";
    assert_eq!(options(&env).as_deref(), Some(expected));
    assert_eq!(options(&env[..1]).as_deref(), Some("-c timezone=a\\ b\\\\c"));
    assert_eq!(options(&[]), None);
}

#[test]
fn kinds_of_sessions_and_the_order_of_hosts() {
    let kinds = [
        ("any", SessionAttrs::Any),
        ("read-write", SessionAttrs::ReadWrite),
        ("read-only", SessionAttrs::ReadOnly),
        ("primary", SessionAttrs::Primary),
        ("standby", SessionAttrs::Standby),
        ("prefer-standby", SessionAttrs::PreferStandby),
    ];
    for (name, kind) in kinds {
        assert_eq!(target(&format!("target_session_attrs={name}")).session, kind);
    }
    assert_eq!(target("").session, SessionAttrs::Any);
    assert!(target("load_balance_hosts=random").shuffled);
    assert!(!target("load_balance_hosts=disable").shuffled && !target("").shuffled);
}

#[test]
fn hosts_are_names_addresses_and_folders() {
    let hosts = target("host=a,/b,,c hostaddr=127.0.0.1,,,::1 port=1,2,,4").hosts;
    let names: Vec<_> = hosts.iter().map(|endpoint| endpoint.host.clone()).collect();
    let tcp = |name: &str| Host::Tcp(name.to_owned());
    assert_eq!((&names[0], &names[1], &names[3]), (&tcp("a"), &Host::Unix("/b".into()), &tcp("c")));
    assert!(matches!(&names[2], Host::Unix(folder) if folder.is_absolute()), "{names:?}");
    let addresses: Vec<_> = hosts.iter().map(|endpoint| endpoint.hostaddr).collect();
    let ip = |text: &str| Some(text.parse().expect("an address"));
    assert_eq!(addresses, [ip("127.0.0.1"), None, None, ip("::1")]);
    assert_eq!(hosts.iter().map(|endpoint| endpoint.port).collect::<Vec<_>>(), [1, 2, 5432, 4]);
}

#[test]
fn encryption() {
    let modes = [
        ("disable", SslMode::Disable),
        ("allow", SslMode::Allow),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::VerifyCa),
        ("verify-full", SslMode::VerifyFull),
    ];
    for (name, mode) in modes {
        assert_eq!(target(&format!("sslmode={name}")).tls.mode, mode);
    }
    let tls = target("").tls;
    assert_eq!(
        (tls.mode, tls.root_cert, tls.sni, tls.direct),
        (SslMode::Prefer, RootCert::None, true, false)
    );
    let tls = target("sslrootcert=system sslnegotiation=direct sslsni=0").tls;
    assert_eq!(
        (tls.mode, tls.root_cert, tls.sni, tls.direct),
        (SslMode::VerifyFull, RootCert::System, false, true)
    );
    let tls = target("sslrootcert=/r sslcrl=/c sslpassword=p").tls;
    assert_eq!((tls.root_cert, tls.crl), (RootCert::File("/r".into()), Some("/c".into())));
    assert_eq!(tls.key_password.as_deref(), Some("p"));
    let versions = |text: &str| (target(text).tls.min_version, target(text).tls.max_version);
    assert_eq!(
        versions("ssl_min_protocol_version=tlsV1.3 ssl_max_protocol_version=TLSv1.3"),
        (Some(TlsVersion::Tls13), Some(TlsVersion::Tls13))
    );
    assert_eq!(versions("ssl_min_protocol_version=TLSv1"), (None, None));
    let from_environment =
        parse_with("", &[("PGSSLMODE", "require"), ("PGSSLROOTCERT", "/e")]).expect("valid").tls;
    assert_eq!(from_environment.mode, SslMode::Require);
    assert_eq!(from_environment.root_cert, RootCert::File("/e".into()));
}

#[test]
fn default_certificates_are_in_the_home_folder() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let name = home.path().display().to_string();
    let tls = |text: &str| parse_with(text, &[("HOME", name.as_str())]).expect("valid").tls;
    assert_eq!((tls("").cert, tls("").key, tls("").crl), (None, None, None));
    let folder = home.path().join(".postgresql");
    fs::create_dir(&folder).expect("the folder is writable");
    for file in ["postgresql.crt", "root.crt", "root.crl"] {
        fs::write(folder.join(file), "").expect("the folder is writable");
    }
    let found = tls("");
    assert_eq!(found.root_cert, RootCert::File(folder.join("root.crt")));
    assert_eq!(found.cert, Some(folder.join("postgresql.crt")));
    assert_eq!(found.key, Some(folder.join("postgresql.key")));
    assert_eq!(found.crl, Some(folder.join("root.crl")));
    assert_eq!((tls("sslcertmode=disable").cert, tls("sslcert=/nowhere").cert), (None, None));
    assert_eq!(tls("sslkey=/k").key, Some("/k".into()));
}
