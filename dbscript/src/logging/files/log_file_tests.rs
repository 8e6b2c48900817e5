//! Log files that are moved, filled and removed.

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::sync::Barrier;
use std::thread;

use log::Level;

use super::*;
use crate::logging::entry::Entry;
use crate::logging::files::size_rotation::SizeRotation;
use crate::logging::handlers::Handler;
use crate::logging::handlers::file_handler::FileHandler;
use crate::logging::python::python;

fn file(path: &Path, size: u64, count: u32) -> LogFile {
    let rotation = Box::new(SizeRotation { size, count });
    LogFile::new(path, OpenMode::Append, rotation).and_then(LogFile::open).expect("writable")
}

fn write(file: &mut LogFile, line: &str) {
    file.write_line(format!("{line}\n").as_bytes()).expect("writable");
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Returns the files of a folder by name, with what they hold.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path());
    let mut files: Vec<_> = entries
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), read(&path)))
        .collect();
    files.sort();
    files
}

/// Writes lines of all lengths through Python's handler.
const ROTATE: &str = r#"
import logging.handlers, sys
size, count, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
handler = logging.handlers.RotatingFileHandler(path, "a", size, count)
for number in range(200):
    handler.emit(logging.LogRecord("x", 20, "", 0, "%d " % number + "x" * (number * 7 % 60), None, None))
"#;

#[test]
fn files_are_rotated_where_python_rotates_them() {
    for (size, count) in [(100, 3), (50, 1), (64, 10), (0, 3), (100, 0), (1, 2), (10_000, 2)] {
        let (ours, theirs) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let mut file = file(&ours.path().join("x.log"), size, count);
        for number in 0..200 {
            write(&mut file, &format!("{number} {}", "x".repeat(number * 7 % 60)));
        }
        let path = theirs.path().join("x.log").to_string_lossy().into_owned();
        python(ROTATE, &[&size.to_string(), &count.to_string(), &path], "UTC");
        let (ours, theirs) = (files(ours.path()), files(theirs.path()));
        // Before a line that is too long, Python 3.11 rotates an empty file; newer versions do not.
        let compared = if size < 65 { 1 } else { ours.len() };
        assert_eq!(ours[..compared], theirs[..compared], "{size} {count}");
        assert!(size < 65 || ours.len() == theirs.len());
    }
}

#[test]
fn an_existing_file_is_continued_or_truncated() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("new/folder/x.log");
    for (mode, expected) in
        [(OpenMode::Append, "1\n"), (OpenMode::Append, "1\n1\n"), (OpenMode::Truncate, "1\n")]
    {
        let mut file = LogFile::new(&path, mode, Box::new(SizeRotation::NEVER)).expect("creatable");
        write(&mut file, "1");
        assert_eq!(read(&path), expected);
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let opened =
        LogFile::new(folder.path(), OpenMode::Append, Box::new(SizeRotation::NEVER)).and_then(LogFile::open);
    assert_eq!(opened.err().map(|error| error.kind()), Some(ErrorKind::IsADirectory));
}

#[test]
fn the_next_line_after_a_move_creates_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, moved) = (folder.path().join("x.log"), folder.path().join("moved"));
    let mut file = file(&path, 1000, 1);
    write(&mut file, "one");
    fs::rename(&path, &moved).expect("movable");
    write(&mut file, "two");
    assert_eq!((read(&moved), read(&path)), ("one\n".to_owned(), "two\n".to_owned()));
    fs::rename(&moved, &path).expect("movable");
    write(&mut file, "three");
    assert_eq!(read(&path), "one\nthree\n");
    fs::write(&path, "").expect("writable");
    write(&mut file, "four");
    assert_eq!(read(&path), "four\n");
}

#[test]
fn a_full_disk_and_a_folder_that_is_gone_are_survived() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let logs = folder.path().join("logs");
    let path = logs.join("x.log");
    let mut file = file(&path, 1000, 1);
    write(&mut file, "one");
    fs::remove_dir_all(&logs).expect("removable");
    assert!(file.write_line(b"lost\n").is_err());
    fs::create_dir(&logs).expect("creatable");
    write(&mut file, "two");
    assert_eq!(read(&path), "two\n");

    fs::rename(&path, logs.join("kept")).expect("movable");
    symlink("/dev/full", &path).expect("creatable");
    for _ in 0..3 {
        let error = file.write_line(&[b'x'; 2000]).expect_err("the disk is full");
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
    assert!(path.is_symlink(), "a link is not rotated");
    fs::rename(logs.join("kept"), &path).expect("movable");
    write(&mut file, "three");
    assert_eq!(read(&path), "two\nthree\n");
}

#[test]
fn a_file_that_cannot_be_rotated_keeps_growing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("x.log");
    let in_the_way = folder.path().join("x.log.1");
    fs::create_dir(&in_the_way).expect("creatable");
    let mut file = file(&path, 8, 1);
    for line in ["one", "two", "three"] {
        write(&mut file, line);
    }
    assert_eq!(read(&path), "one\ntwo\nthree\n");
    assert_eq!(file.rotation_failure().map(|error| error.kind()), Some(ErrorKind::IsADirectory));
    assert!(file.rotation_failure().is_none(), "it is reported once");

    fs::remove_dir(&in_the_way).expect("removable");
    let rotation_failure = file.rotation_failure.as_mut().expect("a failed rotation");
    rotation_failure.since = rotation_failure.since.checked_sub(RETRY).expect("a second ago");
    write(&mut file, "four");
    assert_eq!((read(&path), read(&in_the_way)), ("four\n".to_owned(), "one\ntwo\nthree\n".to_owned()));
    assert!(file.rotation_failure.is_none());
}

#[test]
fn a_link_such_as_dev_stdout_is_not_moved() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (output, link) = (folder.path().join("output"), folder.path().join("stdout"));
    let stdout = File::create(&output).expect("creatable");
    symlink(format!("/proc/{}/fd/{}", std::process::id(), stdout.as_raw_fd()), &link).expect("creatable");
    let mut file = file(&link, 8, 1);
    for line in ["one", "two", "three"] {
        write(&mut file, line);
    }
    assert!(link.is_symlink() && file.rotation_failure().is_some());
    assert_eq!(read(&output), "one\ntwo\nthree\n");
}

#[test]
fn a_lock_of_another_process_delays_no_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("x.log");
    let mut file = file(&path, 8, 1);
    write(&mut file, "one");
    let other = File::open(&path).expect("there");
    other.lock().expect("free");
    for line in ["two", "three"] {
        write(&mut file, line);
    }
    assert_eq!(read(&path), "one\ntwo\nthree\n", "the owner of the lock may be rotating the file");
    // A child process of another test may still have the file open, so closing it does not release the lock.
    other.unlock().expect("locked");
    write(&mut file, "four");
    assert_eq!(read(&path), "four\n");
}

#[test]
fn only_a_file_with_an_incomplete_line_gets_a_line_end_first() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("x.log");
    let mut file = file(&path, 1000, 1);
    let tear = |file: &mut LogFile| {
        let before = fs::metadata(&path).expect("there");
        fs::write(&path, read(&path) + "o").expect("writable");
        file.note_torn(&before);
    };
    tear(&mut file);
    write(&mut file, "two");
    assert_eq!(read(&path), "o\ntwo\n");
    tear(&mut file);
    fs::rename(&path, folder.path().join("moved")).expect("movable");
    write(&mut file, "three");
    write(&mut file, "four");
    assert_eq!(read(&path), "three\nfour\n");
}

fn all_lines(folder: &Path) -> Vec<String> {
    let mut lines: Vec<String> = files(folder)
        .iter()
        .flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines.sort();
    lines
}

fn expected_lines(writers: usize, lines: usize) -> Vec<String> {
    let mut expected: Vec<String> =
        (0..writers).flat_map(|writer| (0..lines).map(move |line| format!("{writer} {line}"))).collect();
    expected.sort();
    expected
}

#[test]
fn threads_lose_no_line_and_no_file_exceeds_its_size() {
    const THREADS: usize = 16;
    const LINES: usize = 1000;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let handler = FileHandler::new(file(&folder.path().join("x.log"), 2000, 1000));
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (handler, start) = (&handler, &start);
            scope.spawn(move || {
                start.wait();
                for line in 0..LINES {
                    let text = format!("{number} {line}");
                    let created = chrono::Local::now();
                    let entry = Entry { created, level: Level::Info, name: "x", message: &text };
                    handler.handle(&entry, &text);
                }
            });
        }
    });
    assert_eq!(all_lines(folder.path()), expected_lines(THREADS, LINES));
    let files = files(folder.path());
    assert!(files.len() > 50 && files.iter().all(|(_, text)| text.len() < 2000));
}

#[test]
fn the_number_of_old_files_is_limited() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut file = file(&folder.path().join("x.log"), 20, 2);
    for number in 0..100 {
        write(&mut file, &format!("line {number}"));
    }
    let files = files(folder.path());
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x.log", "x.log.1", "x.log.2"]);
    assert_eq!(files[0].1, "line 98\nline 99\n");
    assert_eq!(files[2].1, "line 94\nline 95\n");
}

/// Writes to one file from several writers, each with its own handle, as processes have. The writers wait for the lock
/// longer than usual, since a slow disk may delay the others.
fn share(path: &Path, writers: usize, lines: usize, size: u64) {
    let start = Barrier::new(writers);
    thread::scope(|scope| {
        for number in 0..writers {
            let start = &start;
            scope.spawn(move || {
                let mut file = file(path, size, 500);
                file.lock_attempts = 1000 * LOCK_ATTEMPTS;
                start.wait();
                for line in 0..lines {
                    write(&mut file, &format!("{number} {line}"));
                }
            });
        }
    });
}

/// With room for a few lines per file, the other writers often fill a new file before the writer that created it locks
/// it.
#[test]
fn processes_that_share_a_file_lose_no_line_and_keep_its_size() {
    const WRITERS: usize = 8;
    for (lines, size) in [(500, 1000), (200, 40)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        share(&folder.path().join("x.log"), WRITERS, lines, size);
        assert_eq!(all_lines(folder.path()), expected_lines(WRITERS, lines));
        let files = files(folder.path());
        let longest = files.iter().map(|(_, text)| text.len() as u64).max();
        assert!(files.len() > 1 && longest < Some(size), "{longest:?} of {size} bytes");
    }
}
