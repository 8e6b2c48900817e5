//! Files of every kind, and planted links.

use std::os::unix::fs::{PermissionsExt, symlink};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;

const LIMIT: u64 = 10;
/// A user id other than root and, most likely, other than the one that runs the tests.
const OTHER: u32 = 65_534;

fn folder(mode: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("own");
    folder
}

fn append(path: &Path) -> io::Result<File> {
    open_trusted(path, OpenOptions::new().create(true).append(true))
}

#[test]
fn only_regular_files_up_to_a_size_are_read() {
    let folder = folder(0o700);
    let path = folder.path().join("x");
    let check = |path: &Path, expected: &str| {
        let error = read_file(path, LIMIT).expect_err("refused").to_string();
        assert!(error.contains(expected), "{}: {error}", path.display());
    };
    check(&path, "No such file");
    fs::write(&path, [b'x'; 10]).expect("writable");
    assert_eq!(read_file(&path, LIMIT).expect("a file").len(), 10);
    fs::write(&path, [b'x'; 11]).expect("writable");
    check(&path, "it is larger than 10 bytes");
    check(folder.path(), "Is a directory");
    check(Path::new("/dev/zero"), "it is not a regular file");
    check(Path::new("/proc/self/stat"), "it is larger than 10 bytes");
    assert_eq!(read_file(Path::new(NULL), LIMIT).expect("an empty file"), b"");
    let pipe = folder.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).expect("made");
    check(&pipe, "it is not a regular file");
    fs::write(&path, [0xff]).expect("writable");
    assert!(read_text_file(&path, LIMIT).expect_err("no text").to_string().contains("not UTF-8"));
}

#[test]
fn links_are_followed_where_only_trusted_users_can_create_them() {
    for (mode, trusted) in [(0o700, true), (0o755, true), (0o1777, true), (0o777, false)] {
        let folder = folder(mode);
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        symlink(&target, &link).expect("made");
        let opened = append(&link);
        assert_eq!((opened.is_ok(), target.exists()), (trusted, trusted), "{mode:o}: {opened:?}");
        append(&folder.path().join("file")).expect("no link");
    }
    append(Path::new("/dev/stdout")).expect("a link of the system");
}

#[test]
fn a_second_name_is_refused_where_untrusted_users_can_create_it() {
    for (mode, trusted) in [(0o700, true), (0o1777, false)] {
        let folder = folder(mode);
        let (file, name) = (folder.path().join("file"), folder.path().join("name"));
        fs::write(&file, "").expect("writable");
        fs::hard_link(&file, &name).expect("made");
        assert_eq!(append(&name).is_ok(), trusted, "{mode:o}");
    }
}

#[test]
fn files_and_links_of_another_user_are_refused() {
    if !Uid::effective().is_root() {
        return;
    }
    let folder = folder(0o1777);
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    symlink(&target, &link).expect("made");
    std::os::unix::fs::lchown(&link, Some(OTHER), None).expect("root may");
    let error = append(&link).expect_err("another user's");
    assert!(error.to_string().contains("symbolic link of another user"), "{error}");
    fs::write(&target, "").expect("writable");
    std::os::unix::fs::chown(&target, Some(OTHER), None).expect("root may");
    assert!(append(&target).is_err());
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("own");
    append(&target).expect("only this user can have created it");
}

#[cfg(feature = "program")]
#[test]
fn links_to_folders_are_followed_where_only_trusted_users_can_create_them() {
    for (mode, trusted) in [(0o755, true), (0o1777, true), (0o777, false)] {
        let (folder, target) = (folder(mode), tempfile::tempdir().expect("a temporary folder"));
        let link = folder.path().join("link");
        symlink(target.path(), &link).expect("made");
        let opened = append(&link.join("file"));
        assert_eq!((opened.is_ok(), target.path().join("file").exists()), (trusted, trusted), "{mode:o}");
        let created = create_folder_of(&link.join("one/two/file"));
        assert_eq!((created.is_ok(), target.path().join("one/two").exists()), (trusted, trusted), "{mode:o}");
    }
}

#[cfg(feature = "program")]
#[test]
fn links_to_folders_through_a_link_of_another_user_are_refused() {
    if !Uid::effective().is_root() {
        return;
    }
    let (shared, own) = (folder(0o1777), folder(0o755));
    let (planted, link) = (shared.path().join("planted"), own.path().join("link"));
    symlink(own.path(), &planted).expect("made");
    std::os::unix::fs::lchown(&planted, Some(OTHER), None).expect("root may");
    symlink(&planted, &link).expect("made");
    for path in [planted.join("file"), link.join("file"), link.join("more/file")] {
        let error = append(&path).expect_err("another user's").to_string();
        assert!(error.contains("planted`: it is a symbolic link of another user"), "{error}");
        assert!(create_folder_of(&path).is_err());
    }
    assert!(!own.path().join("file").exists() && !own.path().join("more").exists());
    symlink(own.path().join("round"), own.path().join("round")).expect("made");
    assert!(append(&own.path().join("round/file")).is_err());
}
