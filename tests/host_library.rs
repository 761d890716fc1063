//! Libraries that the host fills itself: no server is asked about them, and every handle sees what another stored.

mod support;

use std::path::Path;
use std::time::Duration;

use plexindex::error::Status;
use plexindex::index::{Index, Library, Match, QueryOptions, Selector};
use plexindex::model::Rung;
use plexindex::options::{Mapping, MappingKind, Options, Pattern, Ttl};

fn open(folder: &Path) -> Index {
    open_with(folder, Vec::new())
}

fn open_with(folder: &Path, mappings: Vec<Mapping>) -> Index {
    Index::open(Options {
        cache_dir: folder.into(),
        mappings,
        ..Options::default()
    })
    .expect("it opens")
}

fn library(index: &Index, name: &str) -> Library {
    index.select(Selector::Uuid(name.into())).expect("a handle")
}

/// A listing of one item.
fn listing(key: &str, path: &str) -> Vec<u8> {
    format!("plexindex 1\n1 -\n{key}\0Title\0{path}").into_bytes()
}

fn put(library: &Library, name: &str, value: &[u8]) {
    library
        .put_value(name.as_bytes(), value, Ttl::Never, u64::MAX)
        .expect("stored");
}

fn get(library: &Library, name: &str) -> Option<Vec<u8>> {
    let mut found = None;
    let length = library
        .value(name.as_bytes(), usize::MAX, &mut |value| found = Some(value.to_vec()))
        .expect("asked");
    assert_eq!(length, found.as_ref().map(Vec::len));
    found
}

fn ask(index: &Index, library: &Library, path: &str) -> Match {
    let question = QueryOptions {
        library: Some(library),
        ..QueryOptions::default()
    };
    index.match_path(&question, path.as_bytes()).expect("an answer")
}

fn key(found: &Match) -> Option<&str> {
    found.item.as_ref().map(|item| item.item.rating_key.as_str())
}

#[test]
fn matches_are_recorded_without_a_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (open(folder.path()), open(folder.path()));
    let (films, same) = (library(&one, "Films"), library(&other, "Films"));
    let unknown = films.record_matches(&[(b"/a", "1")]).expect_err("not made yet");
    assert_eq!(unknown.status, Status::LibraryNotFound);
    one.host_library("Films").expect("made");
    other.host_library("Films").expect("there");
    films
        .record_matches(&[(b"/a\xff", "1"), (b"/b", "2")])
        .expect("recorded");
    assert_eq!(key(&ask(&other, &same, "/b")), Some("2"));
    assert_eq!(same.lookup_key(b"/a\xff", str::to_owned).as_deref(), Some("1"));
    assert_eq!(
        same.lookup_key(b"/A\xff", str::to_owned),
        None,
        "what is not UTF-8 equals itself only"
    );
    same.invalidate_path(b"/a\xff").expect("forgotten");
    assert_eq!(films.lookup_key(b"/a\xff", str::to_owned), None);
    films.record_matches(&[(b"/a\xff", "3")]).expect("recorded again");
    assert_eq!(films.lookup_key(b"/a\xff", str::to_owned).as_deref(), Some("3"));
    assert_eq!(one.stats().expect("counted").matches, 2);
    same.invalidate().expect("forgotten");
    assert_eq!(ask(&one, &films, "/b").status, Status::NotFound);
    assert_eq!(one.stats().expect("counted").matches, 0);
}

#[test]
fn a_fast_lookup_finds_what_was_folded() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    index.host_library("Films").expect("made");
    let films = library(&index, "Films");
    let paths: Vec<Vec<u8>> = (0..3_000)
        .map(|n| format!("/films/{n}.mkv\u{e9}\0").into_bytes())
        .collect();
    let paths: Vec<Vec<u8>> = paths
        .into_iter()
        .map(|mut path| {
            path.pop();
            path.push(0xff);
            path
        })
        .collect();
    let keys: Vec<String> = (0..3_000).map(|n: i32| n.to_string()).collect();
    let pairs: Vec<(&[u8], &str)> = paths
        .iter()
        .zip(&keys)
        .map(|(p, k)| (p.as_slice(), k.as_str()))
        .collect();
    films.record_matches(&pairs).expect("recorded");
    for (path, key) in &pairs {
        assert_eq!(films.lookup_key(path, str::to_owned).as_deref(), Some(*key));
        assert_eq!(films.lookup_key(&path[..path.len() - 1], str::to_owned), None);
    }
    films.record_matches(&[(pairs[7].0, "other")]).expect("recorded");
    assert_eq!(films.lookup_key(pairs[7].0, str::to_owned).as_deref(), Some("other"));
    films.invalidate_item("8").expect("invalidated");
    assert_eq!(films.lookup_key(pairs[8].0, str::to_owned), None);
}

#[test]
fn values_are_kept_by_name_until_they_expire() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (open(folder.path()), open(folder.path()));
    let films = library(&one, "Films");
    assert_eq!(get(&films, "x"), None);
    put(&films, "x", b"1");
    put(&films, "x", b"two");
    put(&films, "y", b"");
    assert_eq!(get(&library(&other, "Films"), "x").as_deref(), Some(&b"two"[..]));
    assert_eq!(get(&library(&other, "Films"), "y").as_deref(), Some(&b""[..]));
    assert_eq!(get(&library(&other, "Shows"), "x"), None);
    films.put_value(b"z", b"z", Ttl::AtOnce, u64::MAX).expect("stored");
    films
        .put_value(b"h", b"h", Ttl::For(Duration::from_secs(3600)), u64::MAX)
        .expect("stored");
    assert_eq!((get(&films, "z"), get(&films, "h").is_some()), (None, true));
    assert_eq!(
        other.count_values().expect("counted"),
        3,
        "what has expired goes as more is stored"
    );
    // Too large for the room: its length is told, and it is not read.
    let length = films.value(b"x", 2, &mut |_| panic!("it does not fit")).expect("asked");
    assert_eq!(length, Some(3));
    one.clear().expect("cleared");
    assert_eq!((get(&films, "x"), other.count_values().expect("counted")), (None, 0));
    put(&films, "x", b"again");
    assert_eq!(get(&library(&other, "Films"), "x").as_deref(), Some(&b"again"[..]));
}

#[test]
fn the_oldest_values_go_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    let films = library(&index, "Films");
    put(&films, "", &listing("/library/metadata/1", "/a/b.mkv"));
    assert_eq!(ask(&index, &films, "/a/b.mkv").rung, Rung::Exact);
    for name in ["a", "b", "c"] {
        films
            .put_value(name.as_bytes(), &[0; 100], Ttl::Never, 250)
            .expect("stored");
    }
    let kept: Vec<bool> = ["", "a", "b", "c"].map(|name| get(&films, name).is_some()).to_vec();
    assert_eq!(kept, [false, false, true, true]);
    assert_eq!(
        ask(&index, &films, "/a/b.mkv").status,
        Status::NotFound,
        "its listing is gone"
    );
    put(&films, "", &listing("/library/metadata/2", "/a/b.mkv"));
    assert_eq!(key(&ask(&index, &films, "/a/b.mkv")), Some("2"));
}

#[test]
fn a_listing_is_climbed_and_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    let films = library(&index, "Films");
    put(&films, "", &listing("other key", "/plex/a/b.mkv"));
    let other = open(folder.path());
    for (path, rung) in [
        ("/plex/a/b.mkv", Rung::Exact),
        ("/PLEX/a/B.mkv", Rung::Exact),
        ("/x/a/b.mkv", Rung::Suffix),
        ("/x/y/b.mkv", Rung::FileName),
    ] {
        let found = ask(&other, &library(&other, "Films"), path);
        assert_eq!((found.rung, key(&found)), (rung, Some("=other key")));
    }
    put(&films, "", &listing("7", "/plex/c.mkv"));
    assert_eq!(
        ask(&other, &library(&other, "Films"), "/plex/a/b.mkv").status,
        Status::NotFound
    );
    drop((index, other));
    for file in std::fs::read_dir(folder.path()).expect("a folder") {
        let path = file.expect("a file").path();
        if path.extension().is_some_and(|end| end == "image") {
            std::fs::remove_file(path).expect("removed");
        }
    }
    let rules = vec![Mapping {
        kind: MappingKind::ServerToHost,
        from: Pattern::Prefix(b"/plex".to_vec()),
        to: b"/host".to_vec(),
    }];
    let mapped = open_with(folder.path(), rules);
    let found = ask(&mapped, &library(&mapped, "Films"), "/host/c.mkv");
    assert_eq!((found.rung, key(&found)), (Rung::Mapped, Some("=7")));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    let refused = |done: plexindex::error::Result<()>| done.expect_err("refused").status;
    assert_eq!(refused(index.host_library("")), Status::InvalidArgument);
    let films = library(&index, "Films");
    let bad = films.put_value(b"", b"no listing", Ttl::Never, 1);
    assert_eq!(refused(bad), Status::InvalidArgument);
    let by_title = index.select(Selector::Title("Films".into())).expect("a handle");
    assert_eq!(
        refused(by_title.put_value(b"x", b"x", Ttl::Never, 1)),
        Status::InvalidArgument
    );

    let server = support::movies(5);
    let fetched = tempfile::tempdir().expect("a folder");
    let asking = support::open(support::options(&server, fetched.path()), &support::clock());
    assert_eq!(refused(asking.host_library("Films")), Status::InvalidArgument);
    asking.refresh(&QueryOptions::default(), false).expect("fetched");
    drop(asking);
    let reading = open(fetched.path());
    assert_eq!(refused(reading.host_library("Films")), Status::InvalidArgument);
    let movies = reading.library("Movies").expect("a handle");
    assert_eq!(
        ask(&reading, &movies, "/nothing").status,
        Status::NotFound,
        "what was fetched is there"
    );
    assert_eq!(reading.stats().expect("counted").items, 5);
}

#[test]
fn files_that_were_replaced_go_soon() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path());
    index.host_library("Films").expect("made");
    let films = library(&index, "Films");
    let warm = |kind: char| {
        let names = std::fs::read_dir(folder.path()).expect("a folder");
        names
            .map(|file| file.expect("a file").path())
            .filter(|path| path.to_string_lossy().contains(&format!("plexindex-1-{kind}")))
            .filter(|path| path.extension().is_some_and(|end| end == "image"))
            .collect::<Vec<_>>()
    };
    let record = |from: u32| {
        let paths: Vec<String> = (from..from + 1_100).map(|n| format!("/{n}.mkv")).collect();
        let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (path.as_bytes(), "1")).collect();
        films.record_matches(&pairs).expect("recorded");
    };
    for round in 0..3 {
        record(round * 2_000);
        put(&films, "", &listing("/library/metadata/1", &format!("/{round}.mkv")));
    }
    let made = [warm('m'), warm('l')];
    assert!(made.iter().all(|files| files.len() == 3), "young ones stay: {made:?}");
    let before = std::time::SystemTime::now() - Duration::from_secs(10);
    for path in made.iter().flatten() {
        let file = std::fs::File::options().append(true).open(path).expect("a file");
        file.set_modified(before).expect("made older");
    }
    record(10_000);
    put(&films, "", &listing("/library/metadata/1", "/x.mkv"));
    assert_eq!([warm('m').len(), warm('l').len()], [1, 1]);
    assert_eq!(key(&ask(&index, &films, "/x.mkv")), Some("1"));
    assert_eq!(films.lookup_key(b"/10.mkv", str::to_owned).as_deref(), Some("1"));
}
