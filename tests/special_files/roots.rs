//! The system's certificates, if an environment variable names their file.

use std::fs;
use std::process::Command;

use super::{ends, pipe};
use crate::support::programs::{errors, program};

#[test]
fn a_file_of_certificates_in_the_environment_is_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pipe = pipe(folder.path(), "pipe");
    fs::write(folder.path().join("text"), "Dear {firstname}").expect("writable");
    let run_sql = "[run_sql]\ndb = host=127.0.0.1 port=1 sslmode=verify-full sslrootcert=system\nsql = select 1\n\
                   loop_delay = -1\n";
    let mailer = "[mailer_daemon]\nsrc_db = host=127.0.0.1 port=1\npgq_queue_name = q\nsmtp_url = smtps://localhost:1\n\
                  mail_from = a@example.com\nmail_subject = x\nmail_template = text\nloop_delay = -1\n";
    for (name, ini) in [("run_sql", run_sql), ("mailer", mailer)] {
        fs::write(folder.path().join("job.ini"), ini).expect("writable");
        for file in [&*pipe, "/dev/zero"] {
            let mut command = Command::new(program(name));
            let command = command.arg("job.ini").current_dir(folder.path()).env("SSL_CERT_FILE", file);
            let output = ends(command);
            let text = errors(&output);
            assert!(!output.status.success() && text.lines().count() == 1, "{text}");
            assert!(text.contains(&format!("`{file}`: it is not a regular file")), "{name}: {text}");
        }
    }
}
