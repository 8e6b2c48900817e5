//! Completed values and places to connect to, compared with libpq.

use std::cell::RefCell;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::comparison::Comparison;

const NOWHERE: [(&str, &str); 2] = [("PGHOST", "127.0.0.1"), ("PGPORT", "3")];

#[test]
fn every_variable_replaces_its_missing_keyword() {
    let mut comparison = Comparison::new();
    let passfile = comparison.write("passwords", "*:*:*:*:from file\n");
    let services = comparison.write("services", "[it]\nhost=/nowhere\nport=4\ndbname=served\n");
    let rows = [
        ("PGHOST", "/elsewhere"),
        ("PGHOST", ""),
        ("PGHOSTADDR", "127.0.0.1"),
        ("PGPORT", "7"),
        ("PGPORT", ""),
        ("PGDATABASE", "d"),
        ("PGDATABASE", ""),
        ("PGUSER", "u"),
        ("PGUSER", ""),
        ("PGPASSWORD", "p"),
        ("PGPASSWORD", ""),
        ("PGPASSFILE", &passfile.display().to_string()),
        ("PGPASSFILE", ""),
        ("PGSERVICEFILE", &services.display().to_string()),
        ("PGOPTIONS", "-c geqo=off"),
        ("PGAPPNAME", "a"),
        ("PGSSLMODE", "require"),
        ("PGSSLCERT", "/nowhere"),
        ("PGSSLKEY", "/nowhere"),
        ("PGSSLROOTCERT", "/nowhere"),
        ("PGSSLCRL", "/nowhere"),
        ("PGSSLSNI", "0"),
        ("PGSSLCOMPRESSION", "1"),
        ("PGSSLMINPROTOCOLVERSION", "tlsv1.3"),
        ("PGSSLMAXPROTOCOLVERSION", "TLSv1.2"),
        ("PGREQUIRESSL", "1"),
        ("PGREQUIRESSL", "0"),
        ("PGREQUIREPEER", ""),
        ("PGCONNECT_TIMEOUT", " 5 "),
        ("PGCONNECT_TIMEOUT", "-1"),
        ("PGCLIENTENCODING", "UTF8"),
        ("PGTARGETSESSIONATTRS", "prefer-standby"),
        ("PGCHANNELBINDING", "disable"),
        ("PGGSSENCMODE", "disable"),
        ("PGKRBSRVNAME", "x"),
        ("PGGSSLIB", "gssapi"),
    ];
    for row in rows {
        comparison.accepts("connect_timeout=2", &[&NOWHERE[..], &[row]].concat());
        comparison
            .accepts("host=/other port=9 user=me dbname=mine password=x", &[&NOWHERE[..], &[row]].concat());
    }
    let wrong = [
        ("PGPORT", "x"),
        ("PGSSLMODE", ""),
        ("PGSSLMODE", "perhaps"),
        ("PGCONNECT_TIMEOUT", "5x"),
        ("PGCONNECT_TIMEOUT", "3000000000"),
        ("PGTARGETSESSIONATTRS", "any "),
        ("PGCHANNELBINDING", "no"),
        ("PGGSSENCMODE", ""),
        ("PGSSLMINPROTOCOLVERSION", "1.2"),
        ("PGSERVICE", "it"),
        ("PGSERVICE", ""),
    ];
    for row in wrong {
        comparison.refuses("", &[&NOWHERE[..], &[row]].concat());
    }
}

#[test]
fn lists_of_hosts_and_ports() {
    let mut comparison = Comparison::new();
    for text in [
        "host=/a,/b",
        "host=/a,/b port=1",
        "host=/a,/b port=1,2",
        "host=/a,/b port=1,",
        "host=/a,/b port=,2",
        "host=,/b",
        "host=/a,",
        "host=, port=1",
        "hostaddr=127.0.0.1 port=1",
        "hostaddr=127.0.0.1,127.0.0.2 host=a,b port=1,2",
        "hostaddr=127.0.0.1, host=a,/b port=1",
        "hostaddr=::1 port=1",
        "host=127.0.0.1 port=1 keepalives=0 keepalives_interval=5 keepalives_count=3 tcp_user_timeout=100",
        "host=127.0.0.1 port=1 keepalives=' 0' keepalives_idle=' 7 '",
        "host=/a port=' 5 '",
        "host='' port='' user='' dbname='' password=''",
        "postgresql:///?host=/a&port=",
        "postgresql://%2Fa:1,%2Fb:2/d",
        "postgresql://%2Fa,%2Fb:2/d",
    ] {
        comparison.accepts(text, &[("PGPORT", "8")]);
    }
    for text in [
        "host=/a,/b port=1,2,3",
        "host=/a port=1,2",
        "host=/a,/b,/c hostaddr=127.0.0.1,127.0.0.1",
        "host=/a hostaddr=127.0.0.1,127.0.0.1",
        "host=/a port=0",
        "host=/a port=65536",
        "host=/a port=-1",
        "host=/a port=1x",
        "host=/a port=' '",
        "hostaddr=nowhere",
        "hostaddr=127.0.0.1.1",
        "host=127.0.0.1 port=1 keepalives=on",
        "host=127.0.0.1 port=1 keepalives=''",
        "host=127.0.0.1 port=1 keepalives_idle=x",
        "host=127.0.0.1 port=1 keepalives_count=''",
        "host=127.0.0.1 port=1 tcp_user_timeout=1s",
        "host=127.0.0.1 port=1 connect_timeout=''",
        "ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
    ] {
        comparison.refuses(text, &[]);
    }
}

#[test]
fn services() {
    let mut comparison = Comparison::new();
    comparison.write(
        ".pg_service.conf",
        "junk\n# comment\n[other]\nport=9\n\n  [one]trailing \n host=/nowhere\nport= 2\n #x\npassword=a=b # c\n\
         dbname=served\n[one]\ndbname=again\n[bad]\nport\n[unknown]\nbogus=1\n[key]\nport =1\n[nested]\nservice=one\n\
         [old]\nrequiressl=1\n[directory]\nldap://localhost\n[empty]\n[last]\nport=4",
    );
    comparison.write("pg_service.conf", "[system]\nport=6\n[one]\nport=7\n");
    for (text, variables) in [
        ("service=one", &[][..]),
        ("service=one port=3", &[]),
        ("service=one port=3", &[("PGPORT", "4"), ("PGDATABASE", "d"), ("PGUSER", "u")]),
        ("service=system", &NOWHERE[..]),
        ("service=empty host=/nowhere", &[]),
        ("service=last host=/nowhere", &[]),
        ("host=/nowhere", &[("PGSERVICE", "one")]),
        ("service=system host=/nowhere", &[("PGSERVICE", "one")]),
        ("postgresql:///?service=one", &[]),
    ] {
        comparison.accepts(text, variables);
    }
    for name in ["none", "bad", "unknown", "key", "nested", "old", "ldap", "''", "on", "one]", "directory"] {
        comparison.refuses(&format!("host=/nowhere service={name}"), &[]);
    }
    comparison.refuses("service=one", &[("PGSERVICEFILE", "/nowhere/at/all")]);
    comparison.refuses("service=one", &[("PGSERVICEFILE", "")]);
}

#[test]
fn handwritten_password_files() {
    let mut comparison = Comparison::new();
    let lines = "#/h:3:d:u:comment\n\n/h:3:d:u\n/h:3:d:other:1\n/h:4:*:u:two\\:three\\\\four\\:five:six\r\n\
                 localhost:3:d:u:local\n/h:*:d:u:\n*:3:na\\:me:u:colon\n*:*:*:*:last";
    let path = comparison.write(".pgpass", lines);
    for text in [
        "host=/h port=3 dbname=d user=u",
        "host=/h port=3 dbname=d user=other",
        "host=/h port=4 dbname=x user=u",
        "host=/h port=5 dbname=d user=u",
        "host=/x port=3 dbname=na:me user=u",
        "host=/h,/x port=3 dbname=q user=u",
        "host=/x,/h port=3,4 dbname=q user=u",
        "host=localhost hostaddr=127.0.0.1 port=3 dbname=d user=u",
        "hostaddr=127.0.0.1 port=3 dbname=d user=u",
        "port=3 dbname=d user=u",
        "host=/h port=' 3' dbname=d user=u",
        "host=/h port=3 dbname=d user=u password=own",
        "host=/h port=3 dbname=d user=u passfile=/nowhere",
        "host=/h port=3 dbname=d user=u passfile=''",
    ] {
        comparison.accepts(text, &[]);
        comparison.accepts(text, &[("PGPASSWORD", "from environment")]);
    }
    fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("it is this test's file");
    comparison.accepts("host=/h port=4 dbname=x user=u", &[]);
    comparison.accepts("host=/h port=4 dbname=x user=u passfile=/dev/null", &[]);
    comparison.accepts("host=/h port=4 dbname=x user=u passfile=/", &[]);
}

#[test]
fn generated_password_files() {
    let mut comparison = Comparison::new();
    let field = select(&["*", "/h", "h", "a\\:b", "a:b", "\\*", "3", "\\/h", "", "**", "a\\\\", "\\"][..]);
    let line = vec(field, 3..6).prop_map(|fields| fields.join(":"));
    let word = || select(&["h", "a:b", "*", "3", "a\\"][..]);
    let case = (vec(line, 1..6), word(), word());
    let config = Config { cases: 1500, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let comparison = RefCell::new(&mut comparison);
    let result = runner.run(&case, |(lines, database, user)| {
        let mut comparison = comparison.borrow_mut();
        comparison.write(".pgpass", &lines.join("\n"));
        let escape = |text: &str| text.replace('\\', "\\\\");
        let text = format!("host=/h port=3 dbname='{}' user='{}'", escape(database), escape(user));
        comparison.accepts(&text, &[]);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn role_and_database_default_to_the_system_user() {
    let mut comparison = Comparison::new();
    comparison.accepts("host=/nowhere", &[]);
    comparison.accepts("host=/nowhere dbname=d", &[]);
}
