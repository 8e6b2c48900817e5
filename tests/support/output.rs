//! The output of the programs under test, kept so that it can be searched for secrets when all tests have run.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Every password that a test uses holds this.
pub(crate) const SECRET: &str = "s3cret";

/// Returns the folder of the kept output, beside the built programs.
pub(crate) fn folder() -> PathBuf {
    let tests = std::env::current_exe().expect("the path of the test's program");
    tests.ancestors().nth(2).expect("tests are built into deps/").join("test-output")
}

/// Keeps the output of a program.
pub(crate) fn keep(text: &[u8]) {
    let mut file = open("printed");
    file.write_all(text).expect("the folder is writable");
}

/// Keeps the logs in a folder of a test.
pub(crate) fn keep_logs(of: &Path) {
    for entry in fs::read_dir(of).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            keep_logs(&path);
        } else if entry.file_name().to_string_lossy().contains(".log") {
            keep(&fs::read(path).unwrap_or_default());
        }
    }
}

/// Returns a file that keeps its content, for a program that runs in the background.
pub(crate) fn sink() -> File {
    open("background")
}

fn open(kind: &str) -> File {
    let folder = folder();
    fs::create_dir_all(&folder).expect("the folder is writable");
    let name = format!("{kind}.{}", std::process::id());
    OpenOptions::new().create(true).append(true).open(folder.join(name)).expect("the folder is writable")
}
