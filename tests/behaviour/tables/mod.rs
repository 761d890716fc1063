//! What a host keeps itself: exact names, values, expiry and a limit. No server is asked, and every process sees what another
//! stored.

use crate::support::KEEP;

use std::path::Path;
use std::time::Duration;

use crate::support::index::Index;
use crate::support::worker::until;
use plexindex::error::Status;
use plexindex::options::{Options, Ttl};
use plexindex::tables::{LONGEST_NAME, Op, Table, TableLimits};

fn open(folder: &Path) -> Index {
    Index::open(Options::new(folder)).expect("it opens")
}

fn table(index: &Index, name: &str) -> Table {
    index.tables().table(name.as_bytes(), false).expect("a table")
}

fn put(table: &Table, name: &str, value: &str) {
    table.put(name.as_bytes(), value.as_bytes(), &KEEP).expect("stored");
}

fn get(table: &Table, name: &str) -> Option<String> {
    let mut found = None;
    let mut take = |value: &[u8]| found = Some(String::from_utf8_lossy(value).into_owned());
    let length = table.get(name.as_bytes(), usize::MAX, &mut take).expect("asked");
    assert_eq!(length.is_some(), found.is_some());
    found
}

fn lookup(table: &Table, name: &str) -> Option<String> {
    table.lookup(name.as_bytes(), |value| String::from_utf8_lossy(value).into_owned())
}

#[test]
fn names_equal_themselves_only_and_all_handles_see_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (open(folder.path()), open(folder.path()));
    let (films, same) = (table(&one, "Films"), table(&other, "Films"));
    assert_eq!((get(&films, "/a"), lookup(&films, "/a")), (None, None));
    for (name, value) in [
        ("/a", "1"),
        ("/b", "2"),
        ("", "empty"),
        ("\0", "nul"),
        ("/e\u{301}", ""),
    ] {
        put(&films, name, value);
        assert_eq!(get(&same, name).as_deref(), Some(value));
        assert_eq!(lookup(&same, name).as_deref(), Some(value));
    }
    for name in ["/A", "/a/", "/a\0", "/\u{e9}"] {
        assert_eq!((get(&same, name), lookup(&same, name)), (None, None), "{name}");
    }
    assert_eq!(get(&table(&one, "films"), "/a"), None, "tables are apart");
    same.remove(b"/a").expect("removed");
    same.remove(b"/never").expect("removed");
    assert_eq!((lookup(&films, "/a"), get(&films, "/a")), (None, None));
    put(&films, "/a", "3");
    assert_eq!(lookup(&films, "/a").as_deref(), Some("3"));
    assert_eq!(films.count().expect("counted"), 5);
    assert_eq!(other.tables().count().expect("counted"), 5);
    assert_eq!(one.counts().matches, 0, "they are no matches");
}

#[test]
fn case_of_ascii_is_folded_where_that_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    let folding = index.tables().table(b"Films", true).expect("a table");
    put(&folding, "/A/\u{c9}.mkv", "1");
    for name in ["/A/\u{c9}.mkv", "/a/\u{c9}.MKV"] {
        assert_eq!(get(&folding, name).as_deref(), Some("1"));
        assert_eq!(lookup(&folding, name).as_deref(), Some("1"));
    }
    assert_eq!(get(&folding, "/a/\u{e9}.mkv"), None);
    assert_eq!(get(&table(&index, "Films"), "/a/\u{c9}.mkv").as_deref(), Some("1"));
    let long = "X".repeat(300);
    put(&folding, &long, "long");
    assert_eq!(get(&folding, &long.to_lowercase()).as_deref(), Some("long"));
    folding.remove(b"/A/\xc3\x89.MKV").expect("removed");
    assert_eq!(get(&folding, "/A/\u{c9}.mkv"), None);
}

#[test]
fn values_are_kept_until_they_expire() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (open(folder.path()), open(folder.path()));
    let films = table(&one, "Films");
    put(&films, "x", "1");
    put(&films, "x", "two");
    put(&films, "y", "");
    let with = |ttl| TableLimits { ttl, limit: None };
    films.put(b"z", b"z", &with(Ttl::Zero)).expect("stored");
    assert_eq!((get(&films, "z"), lookup(&films, "z")), (None, None));
    assert_eq!(films.count().expect("counted"), 3, "until more is stored");
    let hour = with(Ttl::For(Duration::from_secs(3600)));
    for _ in 0..8 {
        films.put(b"h", b"h", &hour).expect("stored");
    }
    assert_eq!((get(&films, "z"), get(&films, "h").is_some()), (None, true));
    assert_eq!(other.tables().count().expect("counted"), 3);
    let soon = with(Ttl::For(Duration::from_millis(30)));
    films.put(b"soon", b"1", &soon).expect("stored");
    let same = table(&other, "Films");
    until("it expires", || {
        get(&same, "soon").is_none() && lookup(&same, "soon").is_none()
    });
    assert_eq!(films.next(Some(b"h")).expect("asked").as_deref(), Some(&b"x"[..]));
    // Too large for the room: its length is told, and it is not read. The same for long values.
    let long = "long".repeat(10_000);
    put(&films, "long", &long);
    for (name, length) in [("x", 3), ("long", 40_000)] {
        let told = same.get(name.as_bytes(), 2, &mut |_| panic!("it does not fit"));
        assert_eq!(told, Ok(Some(length)));
    }
    assert_eq!((get(&same, "long"), lookup(&same, "long")), (Some(long), None));
}

#[test]
fn a_table_is_cleared_alone_or_with_all_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (open(folder.path()), open(folder.path()));
    let (films, shows) = (table(&one, "Films"), table(&one, "Shows"));
    let same = table(&other, "Films");
    for clears_all in [false, true] {
        put(&films, "x", "1");
        put(&shows, "x", "2");
        assert_eq!(get(&same, "x").as_deref(), Some("1"));
        let cleared = if clears_all {
            one.tables().clear()
        } else {
            films.clear()
        };
        cleared.expect("cleared");
        assert_eq!((lookup(&same, "x"), get(&same, "x")), (None, None));
        assert_eq!(same.next(None).expect("asked"), None);
        assert_eq!(get(&shows, "x").is_some(), !clears_all);
    }
    put(&shows, "x", "2");
    one.clear().expect("cleared");
    // The index's clear is for what servers show.
    assert_eq!(get(&shows, "x").as_deref(), Some("2"));
}

#[test]
fn what_was_written_longest_ago_goes_first_and_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    let (films, shows) = (table(&index, "Films"), table(&index, "Shows"));
    let [films, shows] = [films, shows].map(|table| table.limited_with_all(true));
    let terms = TableLimits {
        ttl: Ttl::Forever,
        limit: Some(3 * (64 + 101) + 20),
    };
    let value = [0; 100];
    let pair = [Op::Put(&films, b"1", &value), Op::Put(&shows, b"2", &value)];
    index.tables().write(&pair, &terms).expect("stored");
    films.put(b"3", &value, &terms).expect("stored");
    assert_eq!(index.tables().count().expect("counted"), 3);
    films.put(b"4", &value, &terms).expect("stored");
    let kept = [get(&films, "1"), get(&shows, "2"), get(&films, "3"), get(&films, "4")].map(|one| one.is_some());
    assert_eq!(kept, [false, false, true, true]);
    // What has expired goes before what is older.
    let expired = TableLimits {
        ttl: Ttl::Zero,
        ..terms
    };
    films.put(b"e", &value, &expired).expect("stored");
    shows.put(b"4", &value, &terms).expect("stored");
    assert_eq!((get(&films, "3").is_some(), get(&shows, "4").is_some()), (true, true));
    shows.remove(b"4").expect("removed");
    // Written again, it is the youngest; and what is stored now stays however large.
    films.put(b"3", &value, &terms).expect("stored");
    shows.put(b"5", &value, &terms).expect("stored");
    shows.put(b"6", &value, &terms).expect("stored");
    assert_eq!((get(&films, "4"), get(&films, "3").is_some()), (None, true));
    shows.put(b"large", &[1; 5_000], &terms).expect("stored");
    assert_eq!(index.tables().count().expect("counted"), 1);
    assert_eq!(get(&shows, "large").map(|value| value.len()), Some(5_000));
    shows.put(b"7", b"", &terms).expect("stored");
    assert_eq!((get(&shows, "large"), get(&shows, "7").as_deref()), (None, Some("")));
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_of_it_is_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    let films = table(&index, "Films");
    let long = vec![b'x'; LONGEST_NAME + 1];
    let refused = index
        .tables()
        .write(&[Op::Put(&films, b"a", b"1"), Op::Put(&films, &long, b"2")], &KEEP);
    assert_eq!(refused.expect_err("refused").status, Status::InvalidArgument);
    assert_eq!(index.tables().count().expect("counted"), 0);
    assert!(index.tables().table(&long, false).is_err());
    films.put(&long[1..], b"long", &KEEP).expect("stored");
    assert_eq!(films.get(&long[1..], 9, &mut |_| {}).expect("asked"), Some(4));
}
