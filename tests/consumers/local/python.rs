//! The same file, in turns with python-pgq.

use super::*;

const PYTHON: &str = r#"
import sys, pgq
class Names(pgq.LocalConsumer):
    def process_local_event(self, db, batch_id, event):
        with open("names", "a") as file:
            file.write("%d %s\n" % (event.ev_id, event.ev_data))
Names("name_file", "db", sys.argv[1:]).start()
"#;

#[test]
fn python_pgq_continues_with_the_file_and_back() {
    for pgq in Pgq::WHOLE {
        let (local, mut client) = Local::create(pgq);
        fs::write(local.path("names.py"), PYTHON).expect("writable");
        fs::write(local.path("names"), "").expect("writable");
        let python = |switches: &[&str]| {
            let mut command = Command::new("/usr/bin/python3");
            command.args(["-W", "ignore", "names.py", "x.ini"]).args(switches);
            command.current_dir(local.folder.path()).env("HOME", local.folder.path());
            succeed(&mut command);
        };
        local.drain();
        let mut tick = ten(&mut client, 0);
        local.drain();
        for round in 1..5 {
            assert_eq!(local.tick(), Some(tick));
            tick = ten(&mut client, round * 10);
            if round % 2 == 1 {
                local.write_ini("consumer_name = consumer\n");
                python(&["--set", "loop_delay=0"]);
            } else {
                let said = local.drain();
                assert!(!said.contains("WARNING"), "{said}");
            }
        }
        assert_eq!(local.names(), names(0, 50), "{pgq:?}");
    }
}
