use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::against::{host_rule, matches};
use super::{listing, movie, sizes};
use crate::engine::segment::{ListingBuilder, ListingMeta, ListingSegment};
use crate::engine::view::library_snapshot::SingleMatch;
use crate::engine::view::{LibraryProperties, LibrarySnapshot};
use crate::knowledge::FileTickets;
use crate::matching::{ExactBytes, GuidRef, Mappings, NormalPath, Resolver, Scope};
use crate::model::{FileFacts, Item, ItemFacts, ItemType, KnownFacts, MatchKind, Sequence};
use crate::platform::map::MapMode;

fn open(items: &[Item]) -> ListingSegment {
    ListingSegment::from_bytes(listing(items, &Mappings::default())).expect("a segment opens")
}

#[test]
fn plex_guids_are_packed() {
    let segment = open(&[movie("1", &[])]);
    let (_, item) = segment.items().next().expect("there is one");
    assert!(matches!(
        item.guid,
        GuidRef::Plex {
            prefix: "plex://movie/",
            ..
        }
    ));
}

#[test]
fn each_show_is_stored_once() {
    let episode = |n: usize| Item {
        rating_key: n.to_string(),
        show_title: "A show with a title that is quite long".into(),
        show_rating_key: "7".into(),
        ..movie("", &[&format!("/{n}")])
    };
    let few: Vec<Item> = (100..200).map(episode).collect();
    let more: Vec<Item> = (100..300).map(episode).collect();
    let growth = open(&more).head.length - open(&few).head.length;
    assert!(growth < 100 * 85, "{growth} bytes for 100 episodes");
}

/// A build of this version had none. Whoever opens its segment builds a new one with the items.
#[test]
fn a_segment_without_a_table_of_sizes_has_only_items() {
    let mut bytes = listing(&[movie("1", &["/a/x.mkv"])], &Mappings::default());
    assert!(
        !ListingSegment::from_bytes(bytes.clone())
            .expect("opens")
            .head
            .is_earlier
    );
    // The number of home slots, and the checksum of the header.
    bytes[16 + 17 * 8..][..8].fill(0);
    let sum = xxh3_64(&bytes[..504]);
    bytes[504..512].copy_from_slice(&sum.to_le_bytes());
    let segment = ListingSegment::from_bytes(bytes).expect("opens");
    assert!(segment.head.is_earlier);
    assert_eq!(segment.items().count(), 1);
}

#[test]
fn each_file_has_the_duration_of_its_version() {
    let mut facts = ItemFacts::default();
    for (size, duration_ms) in [(11, 1_000), (12, 2_000), (13, 0)] {
        let file = FileFacts {
            duration_ms,
            ..FileFacts::default()
        };
        facts.push(size, file);
    }
    facts.duration_ms = 1_500;
    let film = movie("1", &["/b/x.mkv", "/a/x.mkv", "/c/x.mkv"]);
    let segment = open(&[Item {
        facts: KnownFacts(Some(Box::new(facts))),
        ..film
    }]);
    let mut beside = Vec::new();
    segment.each_beside(b"/a/x.mkv", 6, |size, duration_ms| beside.push((size, duration_ms)));
    assert_eq!(
        beside,
        [(12, 2_000), (11, 1_000), (13, 1_500)],
        "in the order of the paths"
    );
}

/// Also a mapped path, which stands for the listed one.
#[test]
fn each_path_has_the_ticket_of_the_request_that_first_showed_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("segment");
    let meta = ListingMeta {
        mappings: host_rule(),
        ..ListingMeta::default()
    };
    let mut builder = ListingBuilder::new(meta, &path);
    let with_sizes = |key: &str, names: [&str; 3], known: &[u64]| Item {
        facts: sizes(known),
        ..movie(
            key,
            &names
                .map(|name| format!("/mnt/{name}.mkv"))
                .each_ref()
                .map(|name| &**name),
        )
    };
    let each = |tickets: [u64; 3]| FileTickets::new(tickets.map(Sequence).to_vec());
    let listed = [
        (with_sizes("1", ["a", "b", "c"], &[5, 6, 7]), 9, each([0, 9, 4])),
        (with_sizes("2", ["d", "e", "f"], &[5]), 9, each([3, 3, 3])),
        (with_sizes("3", ["g", "h", "i"], &[5]), 0, each([0, 0, 0])),
        (movie("4", &["/mnt/j.mkv"]), 8, Sequence(8).into()),
    ];
    for (item, last, shown) in &listed {
        builder.push_item(item, Sequence(*last), shown);
    }
    builder.finish(&path, 0).expect("a segment is made");
    let segment = ListingSegment::open(&path, MapMode::Read, 0).expect("a segment opens");
    let shown_at = |path: &str| {
        let mut found = Vec::new();
        NormalPath::with(path.as_bytes(), |path| {
            segment.for_each_with_form(path, |entry, _| found.push(segment.shown_at(entry.number).0));
        });
        found
    };
    for (name, ticket) in "abcdefghij".chars().zip([0, 9, 4, 3, 3, 3, 0, 0, 0, 8]) {
        assert_eq!(shown_at(&format!("/mnt/{name}.mkv")), [ticket], "{name}");
        assert_eq!(shown_at(&format!("/host/{name}.mkv")), [ticket], "{name}, mapped");
    }
    let mut read = Vec::new();
    let all = segment.for_each_item(|item, last, shown| {
        read.push((item, last.0, shown.clone()));
        Ok(())
    });
    all.expect("read");
    assert_eq!(read, listed);
}

#[test]
fn an_empty_segment_answers() {
    let segment = open(&[]);
    assert_eq!(segment.items().count(), 0);
    assert_eq!(segment.find("1"), None);
    NormalPath::with(b"/a/x.mkv", |path| {
        assert!(
            segment
                .unique_hit(path.raw(), segment.first(path.hash(), path.raw().len()))
                .is_none()
        );
        segment.for_each_with_form(path, |_, _| panic!("nothing is listed"));
        segment.each_named(0, |_| panic!("nothing is listed"));
        segment.files_of_size(1, |_| panic!("nothing is listed"));
    });
    assert!(!segment.is_broken());
}

#[test]
fn matches_know_when_they_were_recorded() {
    let matches = matches(&[
        (b"/a/\xff.mkv", "12", 3),
        (b"/A/x.mkv", "13", 2),
        (b"/a/Twin.mkv", "14", 1),
        (b"/a/twin.mkv", "15", 4),
    ]);
    let found = |path: &[u8]| {
        let mut found = Vec::new();
        NormalPath::with(path, |path| {
            let is_known = matches.each(path, |one| {
                found.push((one.rating_key.to_owned(), one.path.to_vec(), one.sequence));
            });
            assert!(is_known);
        });
        found.sort();
        found
    };
    assert_eq!(found(b"/a/\xff.mkv"), [("12".to_owned(), b"/a/\xff.mkv".to_vec(), 3)]);
    assert_eq!(found(b"/a/x.mkv"), [("13".to_owned(), b"/A/x.mkv".to_vec(), 2)]);
    assert_eq!(found(b"/A/\xff.mkv"), []);
    assert_eq!(found(b"/A/TWIN.mkv").len(), 2);
    let unique = |path: &[u8]| NormalPath::with(path, |path| matches.unique(path.raw(), path.form(), path.hash()));
    assert_eq!(unique(b"/a/\xff.mkv"), SingleMatch::Match("12"));
    assert_eq!(unique(b"/a/other.mkv"), SingleMatch::None);
    assert_eq!(unique(b"/A/x.mkv"), SingleMatch::Match("13"));
    for path in [&b"/a/x.mkv"[..], b"/a/twin.mkv"] {
        assert_eq!(
            unique(path),
            SingleMatch::NeedsFullLookup,
            "another spelling was recorded"
        );
    }
    let newest = |path: &[u8]| NormalPath::with(path, |path| matches.newest(path, None));
    assert_eq!((newest(b"/a/TWIN.mkv"), newest(b"/a/other.mkv")), (4, 0));
}

#[cfg(unix)]
#[test]
fn files_are_whole_and_private_and_never_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("library.segment");
    let write = |count: usize| {
        let meta = ListingMeta {
            library: "0f4d".into(),
            ..ListingMeta::default()
        };
        let mut builder = ListingBuilder::new(meta, &path);
        for n in 0..count {
            builder.push(&movie(
                &n.to_string(),
                &[&format!("/a/{n}.mkv"), &format!("/b/{n}.mkv")],
            ));
        }
        builder.finish(&path, 7).expect("is written")
    };
    let length = write(1000);
    for mode in [MapMode::Map, MapMode::Read] {
        let old = ListingSegment::open(&path, mode, 7).expect("opens");
        let head = &old.head;
        assert_eq!((length, 1000, 2000), (head.length, head.items, head.listed_paths));
        assert!(ListingSegment::open(&path, mode, 8).is_err(), "made for another name");
        assert_eq!((old.head.uuid.as_str(), head.mappings), ("0f4d", 0));
        write(10);
        let same = ListingSegment::open(&path, mode, 7).expect("opens");
        assert_eq!(same.head.items, 1000, "another may have it mapped");
        std::fs::remove_file(&path).expect("removed");
        write(10);
        let new = ListingSegment::open(&path, mode, 7).expect("opens");
        let head = &new.head;
        assert_eq!((head.items, head.listed_paths), (10, 20));
        // A process that has the old file open can still read it.
        assert_eq!(old.items().count(), 1000);
        old.verify().expect("is whole");
        std::fs::remove_file(&path).expect("removed");
        write(1000);
    }
    let names: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(names.len(), 1, "no temporary file is left");
    let metadata = std::fs::metadata(&path).expect("is there");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_segment_of_another_library_is_ignored() {
    let open = |uuid: &str| {
        let segment = Arc::new(open(&[movie("1", &["/a/x.mkv"])]));
        let properties = LibraryProperties {
            uuid: uuid.into(),
            ..LibraryProperties::default()
        };
        LibrarySnapshot::new(properties, &Mappings::default(), Some(segment), None)
    };
    let (ours, other) = (open("uuid"), open("another"));
    assert!(ours.segment.is_some());
    assert!(other.segment.is_none());
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("absent").join("library.segment");
    let error = ListingBuilder::new(ListingMeta::default(), &path)
        .finish(&path, 7)
        .expect_err("no such folder");
    assert!(error.message.contains("library.segment"), "{error}");
    assert!(ListingSegment::open(&path, MapMode::Map, 7).is_err());
}

#[test]
fn many_threads_may_verify_at_once() {
    let items: Vec<Item> = (0..2000)
        .map(|n| movie(&n.to_string(), &[&format!("/a/{n}.mkv")]))
        .collect();
    let segment = Arc::new(open(&items));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(segment.items().count(), 2000));
        }
    });
    assert!(!segment.is_broken());
}

#[test]
fn a_large_segment_leaves_nothing_but_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plexindex-1-l1.segment");
    let mut items: Vec<Item> = (0..3000_usize)
        .map(|n| {
            let other = n * 7919 % 3000;
            let own = format!("/mnt/Film {other}/Film {other} \u{e9}.mkv");
            let shared = format!("/mnt/{}/disc {}/movie.mkv", n % 40, other % 11);
            let twin = "/mnt/twice.mkv".to_owned();
            let paths: &[&String] = match n % 10 {
                0 => &[],
                1 => &[&shared],
                2 => &[&own, &shared],
                3 => &[&twin, &own],
                _ => &[&own],
            };
            let paths: Vec<&str> = paths.iter().map(|path| path.as_str()).collect();
            Item {
                title: if n % 2 == 0 {
                    format!("Film {other}")
                } else {
                    format!("Other {n}")
                },
                ..movie(&n.to_string(), &paths)
            }
        })
        .collect();
    for (n, item) in items.iter_mut().enumerate().filter(|(n, _)| n % 3 == 0) {
        item.kind = ItemType::Episode;
        item.season = i32::try_from(n % 5).expect("few");
        item.show_rating_key = format!("show {}", n % 200);
        item.season_rating_key = format!("season {} of {}", item.season, n % 200);
        item.season_guid = format!("plex://season/{:024x}", n % 1000);
        item.show_title = item.show_rating_key.to_uppercase();
    }
    let meta = || ListingMeta {
        library: "uuid".to_owned(),
        mappings: host_rule(),
        ..ListingMeta::default()
    };
    let fill = |mut builder: ListingBuilder| {
        for item in &items {
            builder.push(item);
        }
        builder
    };
    let begun = fill(ListingBuilder::new(meta(), &path));
    let names = || std::fs::read_dir(folder.path()).expect("a folder").count();
    // On Windows a file that goes when it is closed has its name until then.
    assert!(cfg!(windows) || names() == 1, "what is sorted has no name");
    begun.finish(&path, 0).expect("made");
    assert_eq!(names(), 1);
    ListingSegment::open(&path, MapMode::Map, 0)
        .expect("opens")
        .verify()
        .expect("sound");
    std::fs::remove_file(&path).expect("removed");
    // An abandoned builder leaves no file.
    drop(fill(ListingBuilder::new(meta(), &path)));
    assert_eq!(names(), 0);
}

#[test]
fn a_path_in_its_listed_spelling_needs_no_normal_form() {
    let listed = [
        "/m/\u{c9}t\u{e9}/\u{c9}.mkv",
        "/m/\u{e9}.mkv",
        "/m/e\u{301}.MKV",
        "/m/夜.mkv",
    ];
    let items: Vec<Item> = (0..4).map(|n| movie(&n.to_string(), &[listed[n]])).collect();
    let segment = open(&items);
    let spelled = |path: &str| {
        let hash = ExactBytes::hash_of(path.as_bytes()).expect("it is not ASCII");
        segment.unique_hit(path.as_bytes(), segment.first(hash, 2 * path.len()))
    };
    for (path, key) in [(listed[0], "0"), (listed[2], "2"), (listed[3], "3")] {
        NormalPath::with(path.as_bytes(), |normal| {
            assert_eq!(spelled(path), Some((key, normal.form())), "{path}");
        });
    }
    // The normal form of two paths.
    assert_eq!(spelled(listed[1]), None);
    assert_eq!(spelled("/m/e\u{301}t\u{e9}/\u{c9}.mkv"), None);
    assert_eq!(ExactBytes::hash_of(b"/m/a.mkv"), None);
}

#[test]
fn a_match_recorded_under_another_spelling_counts() {
    let none = Mappings::default();
    let path = "/m/\u{c9}.mkv";
    let segment = Arc::new(open(&[movie("1", &[path]), movie("2", &["/m/2.mkv"])]));
    let properties = LibraryProperties {
        uuid: "uuid".into(),
        fetched: true,
        ..LibraryProperties::default()
    };
    let asked = |recorded: &str, key: &str| {
        let matches = matches(&[(recorded.as_bytes(), key, 1)]);
        let view = LibrarySnapshot::new(properties.clone(), &none, Some(Arc::clone(&segment)), Some(matches));
        let views = [&view];
        let (key, match_kind) = Resolver::new(&views, Scope::One(0), &none).fast_lookup(path.as_bytes())?;
        Some((key.to_owned(), match_kind))
    };
    assert_eq!(asked(path, "1"), Some(("1".to_owned(), MatchKind::Confirmed)));
    assert_eq!(asked(path, "2"), Some(("2".to_owned(), MatchKind::Confirmed)));
    assert_eq!(
        asked("/m/e\u{301}.mkv", "2"),
        Some(("2".to_owned(), MatchKind::Confirmed))
    );
    assert_eq!(asked("/m/other.mkv", "2"), Some(("1".to_owned(), MatchKind::Exact)));
}
