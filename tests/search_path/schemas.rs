//! Installing and removing in a session that finds another schema before the catalogue.

use pgq::schema::Kind;

use super::{caught, database_of_traps};

/// Run by `psql` with the output of `pgqadm install --print`, and by a program that calls the crates on a connection of
/// its own.
#[test]
fn schemas_are_changed_under_a_path_of_their_own() {
    let (database, mut client) = database_of_traps();
    let mut boss = database.client();
    boss.batch_execute(&format!("begin; {}; commit", pgq::schema::sql())).expect("the printed script");
    boss.batch_execute(&format!("begin; {}; commit", pgq_ext::schema::sql())).expect("the printed script");
    assert_eq!(caught(&mut client), "");
    pgq::schema::install_as(&mut boss, Some(Kind::Own)).expect("unchanged");
    pgq_ext::schema::install(&mut boss).expect("brought up to date");
    assert!(pgq::schema::is_installed(&mut boss).expect("an answer"));
    assert!(pgq_ext::schema::is_installed(&mut boss).expect("an answer"));
    let refused =
        pgq::admin::create_queue(&mut boss, "q").expect_err("the operators would be those of the schema");
    assert!(refused.to_string().contains("`evil` comes before `pg_catalog`"), "{refused}");
    pgq::ticker::tick(&mut boss).expect_err("refused");
    pgq::ticker::maintain(&mut boss).expect_err("refused");
    pgq::ticker::retry_events(&mut boss).expect_err("refused");
    pgq_ext::schema::uninstall(&mut boss).expect("removed");
    pgq::schema::contents(&mut boss).expect("listed");
    pgq::schema::uninstall(&mut boss).expect("removed");
    assert_eq!(caught(&mut client), "");
    // The traps do work.
    boss.batch_execute("select 'a'::text = 'b'::text").expect("an answer");
    assert_ne!(caught(&mut client), "");
}
