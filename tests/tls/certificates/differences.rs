//! The list of differences from libpq in MIGRATING.md.

use std::fs;
use std::path::Path;

/// The chapter's heading.
const CHAPTER: &str = "### Certificates";

/// A row of the list.
#[derive(Clone, Copy, Debug)]
pub(in crate::tls) enum Difference {
    Version1,
    AuthorityAsServer,
    RootAsItIs,
    KeyUsage,
    LimitedCommonName,
    UnusualName,
    Wildcard,
}

impl Difference {
    const ALL: [Difference; 7] = [
        Difference::Version1,
        Difference::AuthorityAsServer,
        Difference::RootAsItIs,
        Difference::KeyUsage,
        Difference::LimitedCommonName,
        Difference::UnusualName,
        Difference::Wildcard,
    ];

    /// Returns the beginning of the row.
    fn key(self) -> &'static str {
        match self {
            Difference::Version1 => "version 1",
            Difference::AuthorityAsServer => "`CA:TRUE`",
            Difference::RootAsItIs => "root certificate",
            Difference::KeyUsage => "`keyUsage`",
            Difference::LimitedCommonName => "common name",
            Difference::UnusualName => "DNS name",
            Difference::Wildcard => "wildcard",
        }
    }
}

#[test]
fn the_list_has_a_row_for_each_difference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("MIGRATING.md");
    let text = fs::read_to_string(path).expect("MIGRATING.md is readable");
    let chapter = text.split_once(CHAPTER).expect("the chapter is there").1;
    let chapter = chapter.split("\n#").next().expect("the chapter has a text");
    let rows: Vec<&str> = chapter.lines().filter_map(|line| line.strip_prefix("| ")).skip(2).collect();
    assert_eq!(rows.len(), Difference::ALL.len(), "{rows:#?}");
    for difference in Difference::ALL {
        let count = rows.iter().filter(|row| row.starts_with(difference.key())).count();
        assert_eq!(count, 1, "{difference:?}: {rows:#?}");
    }
}
