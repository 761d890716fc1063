//! The promises of resolution, case by case. `random` tests it in general.

use std::sync::Arc;

use super::{library, movie};
use crate::engine::memtable::MemtableChange;
use crate::engine::view::{LibraryProperties, LibrarySnapshot};
use crate::matching::{MAX_CANDIDATES, Mappings, Resolver, Scope};
use crate::model::{Confidence, Item, MatchKind, Reason};
use crate::options::{Mapping, MappingKind};

/// Resolves a path: match kind, confidence, reason and keys, best first.
fn ask(views: &[&LibrarySnapshot], mappings: &Mappings, path: &str) -> (MatchKind, Confidence, Reason, Vec<String>) {
    let scope = if views.len() == 1 { Scope::One(0) } else { Scope::All };
    let outcome = Resolver::new(views, scope, mappings).resolve(path.as_bytes());
    let keys = outcome
        .found()
        .iter()
        .map(|found| found.item.rating_key.to_owned())
        .collect();
    (outcome.match_kind, outcome.confidence, outcome.reason, keys)
}

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

const FOUND: (Confidence, Reason) = (Confidence::High, Reason::OnlyRootDiffers);

#[test]
fn the_same_name_in_many_folders_is_decided_by_the_folders() {
    let items: Vec<Item> = (0..500)
        .map(|n| {
            movie(
                &n.to_string(),
                &[&format!("/plex/Quartet {}/Suite {}/01.flac", n / 10, n % 10)],
            )
        })
        .collect();
    let none = Mappings::default();
    let music = library(&["/plex"], &items, &none);
    let views = [&music];
    let (match_kind, confidence, reason, found) = ask(&views, &none, "/nas/quartet 7/suite 3/01.flac");
    assert_eq!(
        (match_kind, (confidence, reason), found),
        (MatchKind::Suffix, FOUND, keys(&["73"]))
    );
    let outcome = Resolver::new(&views, Scope::One(0), &none).resolve(b"/nas/elsewhere/suite 3/01.flac");
    assert_eq!(
        (outcome.match_kind, outcome.common_components, outcome.total),
        (MatchKind::Suffix, 2, 50)
    );
    assert_eq!(
        (outcome.found().len(), outcome.reason),
        (MAX_CANDIDATES, Reason::SeveralItems)
    );
    let outcome = Resolver::new(&views, Scope::One(0), &none).resolve(b"/nas/x/y/01.flac");
    assert_eq!(
        (outcome.match_kind, outcome.common_components, outcome.total),
        (MatchKind::FileName, 1, 500)
    );
    assert_eq!(outcome.confidence, Confidence::Low);
    assert!(
        Resolver::new(&views, Scope::One(0), &none)
            .fast_lookup(b"/nas/x/y/01.flac")
            .is_none()
    );
}

#[test]
fn suffix_matches_inside_a_location_stay_low() {
    let none = Mappings::default();
    let music = library(&["/music"], &[movie("1", &["/music/Birch/CD1/01.flac"])], &none);
    let views = [&music];
    let low = (Confidence::Low, Reason::NotListed);
    let (match_kind, confidence, reason, found) = ask(&views, &none, "/music/Cedar/CD1/01.flac");
    assert_eq!(
        (match_kind, (confidence, reason), found),
        (MatchKind::Suffix, low, keys(&["1"]))
    );
    // Outside of all libraries' folders: another root means a missing mapping, another folder means another file.
    let (match_kind, confidence, reason, found) = ask(&views, &none, "/elsewhere/Birch/CD1/01.flac");
    assert_eq!(
        (match_kind, (confidence, reason), found),
        (MatchKind::Suffix, FOUND, keys(&["1"]))
    );
    let low = (Confidence::Low, Reason::SameName);
    let (match_kind, confidence, reason, found) = ask(&views, &none, "/elsewhere/Cedar/CD1/01.flac");
    assert_eq!(
        (match_kind, (confidence, reason), found),
        (MatchKind::Suffix, low, keys(&["1"]))
    );
    // The query names one library, and the path lies in a folder of another.
    let other = library(&["/vinyl"], &[], &none);
    let views = [&music, &other];
    let outcome = Resolver::new(&views, Scope::One(0), &none).resolve(b"/vinyl/Birch/CD1/01.flac");
    assert_eq!(
        (outcome.match_kind, outcome.confidence, outcome.reason),
        (MatchKind::Suffix, Confidence::Low, Reason::NotListed)
    );
    assert!(
        Resolver::new(&views, Scope::One(0), &none)
            .fast_lookup(b"/vinyl/Birch/CD1/01.flac")
            .is_none()
    );
}

/// Two libraries can have the same tree of names, such as films in HD and in 4K.
#[test]
fn two_files_that_differ_only_in_the_root_are_ambiguous() {
    let none = Mappings::default();
    let tail = "Heat (1995)/Heat (1995).mkv";
    let films = library(
        &["/data/films"],
        &[movie("1", &[&format!("/data/films/{tail}")])],
        &none,
    );
    let in_4k = library(
        &["/data/4k/films"],
        &[movie("2", &[&format!("/data/4k/films/{tail}")])],
        &none,
    );
    let both = (Confidence::Low, Reason::SeveralLibraries);
    // The location of the second library has a name in common with the last path, which says nothing about the files.
    for path in ["/mnt/x", "/mnt/films", "/mnt/4k/films"].map(|root| format!("{root}/{tail}")) {
        let (_, confidence, reason, mut found) = ask(&[&films, &in_4k], &none, &path);
        found.sort();
        assert_eq!(((confidence, reason), found), (both, keys(&["1", "2"])), "{path}");
        assert!(
            Resolver::new(&[&films, &in_4k], Scope::All, &none)
                .fast_lookup(path.as_bytes())
                .is_none()
        );
        let (_, confidence, reason, _) = ask(&[&films], &none, &path);
        assert_eq!((confidence, reason), FOUND, "{path}");
    }
    // The same in two locations of one library.
    let items = [
        movie("1", &[&format!("/data/films/{tail}")]),
        movie("2", &[&format!("/data/4k/films/{tail}")]),
    ];
    let one = library(&["/data/films", "/data/4k/films"], &items, &none);
    let (_, confidence, reason, _) = ask(&[&one], &none, &format!("/mnt/4k/films/{tail}"));
    assert_eq!((confidence, reason), (Confidence::Low, Reason::SeveralItems));
    // Until plexindex has fetched the second library, it may have the file.
    let unfetched = LibrarySnapshot::new(
        LibraryProperties {
            fetched: false,
            ..in_4k.properties.clone()
        },
        &none,
        None,
        None,
    );
    let (_, confidence, reason, found) = ask(&[&films, &unfetched], &none, &format!("/mnt/x/{tail}"));
    assert_eq!(
        ((confidence, reason), found),
        ((Confidence::Low, Reason::NotFetched), keys(&["1"]))
    );
}

#[test]
fn candidates_are_ranked_by_the_title_in_the_path() {
    let none = Mappings::default();
    let film = |key: &str, title: &str| Item {
        title: title.to_owned(),
        ..movie(key, &[&format!("/films/{title}/movie.mkv")])
    };
    let films = library(
        &["/films"],
        &[
            film("1", "Alien"),
            film("2", "Aliens"),
            film("3", "Rocky II"),
            film("4", "Rocky"),
        ],
        &none,
    );
    for (folder, first) in [
        ("Aliens (1986)", "2"),
        ("Alien.1979.1080p", "1"),
        ("Rocky II (1979)", "3"),
        ("Rocky", "4"),
    ] {
        let (match_kind, confidence, _, found) = ask(&[&films], &none, &format!("/nas/{folder}/movie.mkv"));
        let expected = if folder == "Rocky" {
            MatchKind::Suffix
        } else {
            MatchKind::FileName
        };
        assert_eq!((match_kind, confidence), (expected, Confidence::Low), "{folder}");
        assert_eq!(found[0], first, "{folder}");
    }
}

#[test]
fn a_miss_has_a_reason() {
    let none = Mappings::default();
    let films = library(&["/films"], &[], &none);
    let mut unfetched = library(&["/tv"], &[], &none);
    unfetched.properties.fetched = false;
    for (views, path, wanted) in [
        (vec![&films], "/films/x.mkv", Reason::NotListed),
        (vec![&films], "/data/x.mkv", Reason::NoLocation),
        (vec![&unfetched], "/tv/x.mkv", Reason::NotFetched),
        (vec![&unfetched], "/data/x.mkv", Reason::NotFetched),
        (vec![&films, &unfetched], "/films/x.mkv", Reason::NotListed),
        (vec![&films, &unfetched], "/tv/x.mkv", Reason::NotFetched),
        (vec![&films, &unfetched], "/data/x.mkv", Reason::NotFetched),
    ] {
        let (match_kind, confidence, reason, found) = ask(&views, &none, path);
        assert_eq!(
            (match_kind, confidence, reason, found),
            (MatchKind::None, Confidence::None, wanted, keys(&[])),
            "{path}"
        );
    }
}

#[test]
fn a_path_that_is_no_text_has_the_same_reason() {
    let none = Mappings::default();
    let films = library(&["/Films"], &[], &none);
    for (path, wanted) in [
        (&b"/Films/x\xff.mkv"[..], Reason::NotListed),
        (&b"/films/x\xff.mkv"[..], Reason::NotListed),
        (&b"/Films/x\xff.mkv\xff"[..], Reason::NotListed),
        (&b"/Data/x\xff.mkv\xff"[..], Reason::NoLocation),
        (&b"/Films\xff/x.mkv"[..], Reason::NoLocation),
    ] {
        let views = [&films];
        let outcome = Resolver::new(&views, Scope::One(0), &none).resolve(path);
        assert_eq!(outcome.reason, wanted, "{}", String::from_utf8_lossy(path));
    }
}

#[test]
fn equal_bytes_win_between_names_that_differ_by_case() {
    let none = Mappings::default();
    let films = library(&[], &[movie("1", &["/f/A.mkv"]), movie("2", &["/f/a.mkv"])], &none);
    let views = [&films];
    assert_eq!(ask(&views, &none, "/f/a.mkv").3, keys(&["2"]));
    assert_eq!(ask(&views, &none, "/f/A.mkv").3, keys(&["1"]));
    let (match_kind, confidence, reason, found) = ask(&views, &none, "/F/a.mkv");
    assert_eq!(
        (match_kind, confidence, reason),
        (MatchKind::Exact, Confidence::Low, Reason::SeveralItems)
    );
    assert_eq!(found, keys(&["2", "1"]), "the likelier one comes first");
}

#[test]
fn a_file_of_two_items_is_ambiguous_and_two_files_of_one_item_are_not() {
    let none = Mappings::default();
    let shows = library(
        &["/a", "/b"],
        &[
            movie("1", &["/s/e1e2.mkv"]),
            movie("2", &["/s/e1e2.mkv"]),
            movie("3", &["/a/4k/x.mkv", "/b/4k/x.mkv"]),
        ],
        &none,
    );
    let views = [&shows];
    assert_eq!(
        ask(&views, &none, "/s/e1e2.mkv"),
        (
            MatchKind::Exact,
            Confidence::Low,
            Reason::SeveralItems,
            keys(&["1", "2"])
        )
    );
    assert_eq!(
        ask(&views, &none, "/c/4k/x.mkv"),
        (MatchKind::Suffix, FOUND.0, FOUND.1, keys(&["3"]))
    );
}

#[test]
fn folders_choose_among_libraries() {
    let none = Mappings::default();
    let hd = library(
        &["/hd"],
        &[movie("1", &["/hd/x.mkv"]), movie("3", &["/uhd/z.mkv"])],
        &none,
    );
    let uhd = library(
        &["/uhd"],
        &[movie("2", &["/uhd/x.mkv"]), movie("4", &["/uhd/z.mkv"])],
        &none,
    );
    let views = [&hd, &uhd];
    assert_eq!(ask(&views, &none, "/uhd/x.mkv").3, keys(&["2"]));
    // Both list it, but only one can own it.
    assert_eq!(ask(&views, &none, "/uhd/z.mkv").3, keys(&["4"]));
    // Outside of both libraries' folders: both have such a name.
    let (match_kind, confidence, reason, found) = ask(&views, &none, "/data/x.mkv");
    assert_eq!(
        (match_kind, confidence, reason),
        (MatchKind::FileName, Confidence::Low, Reason::SeveralLibraries)
    );
    assert_eq!(found.len(), 2);
    // A new file in one library's folder is not another library's item of the same name.
    let (match_kind, confidence, _, found) = ask(&views, &none, "/hd/z.mkv");
    assert_eq!(
        (match_kind, confidence, found),
        (MatchKind::FileName, Confidence::Low, keys(&["3"]))
    );
}

#[test]
fn mappings_make_paths_exact() {
    let to_server = Mapping::host_to_server("/data", "/mnt");
    let to_host = Mapping::pattern(MappingKind::ServerToHost, "^/mnt/(.*)", r"/stash/\1");
    let items = [
        movie("1", &["/mnt/a/01.mkv"]),
        movie("2", &["/mnt/b/01.mkv", "/mnt/c/02.mkv"]),
    ];
    for rule in [to_server, to_host] {
        let mappings = Mappings::new(std::slice::from_ref(&rule)).expect("rules compile");
        let films = library(&["/mnt"], &items, &mappings);
        let views = [&films];
        let root = if rule.kind == MappingKind::HostToServer {
            "/data"
        } else {
            "/stash"
        };
        for (path, key) in [("/a/01.mkv", "1"), ("/b/01.mkv", "2"), ("/C/02.mkv", "2")] {
            let path = format!("{root}{path}");
            let outcome = Resolver::new(&views, Scope::One(0), &mappings).resolve(path.as_bytes());
            assert_eq!(
                (outcome.match_kind, outcome.confidence),
                (MatchKind::Mapped, Confidence::High),
                "{path}"
            );
            assert_eq!(outcome.found()[0].item.rating_key, key);
            assert!(outcome.found()[0].path.starts_with(b"/mnt/"), "the server's spelling");
            let fast = Resolver::new(&views, Scope::One(0), &mappings)
                .fast_lookup(path.as_bytes())
                .expect("is sure");
            assert_eq!((fast.match_kind, fast.rating_key), (MatchKind::Mapped, key));
        }
        // After mapping it lies in the library's folder, so the name alone is not enough.
        let (match_kind, confidence, ..) = ask(&views, &mappings, &format!("{root}/new/02.mkv"));
        assert_eq!((match_kind, confidence), (MatchKind::FileName, Confidence::Low));
        let (.., reason, _) = ask(&views, &mappings, &format!("{root}/new/03.mkv"));
        assert_eq!(reason, Reason::NotListed);
    }
}

#[test]
fn confirmed_matches_go_dormant_return_and_are_overruled() {
    let none = Mappings::default();
    let films = library(
        &["/mnt"],
        &[movie("1", &["/mnt/a.mkv"]), movie("2", &["/mnt/b.mkv"])],
        &none,
    );
    let views = [&films];
    let push = |change| films.memtable.push(change, &none).expect("there is room");
    let matched = |path: &str, key: &str, sequence| MemtableChange::Matched {
        path: path.into(),
        rating_key: key.into(),
        sequence,
    };
    let added = |key: &str, path: &str| MemtableChange::Added {
        item: Arc::new(movie(key, &[path])),
        sequence: 1,
    };
    // The item is not listed: the match is dormant, and resolution continues.
    push(matched("/host/x.mkv", "9", 1));
    assert_eq!(ask(&views, &none, "/host/x.mkv").2, Reason::NoLocation);
    // The match counts again when the item is listed.
    push(added("9", "/mnt/nine.mkv"));
    assert_eq!(ask(&views, &none, "/host/x.mkv").0, MatchKind::Confirmed);
    push(MemtableChange::Removed { rating_key: "9".into() });
    assert_eq!(ask(&views, &none, "/host/x.mkv").0, MatchKind::None);
    // Recorded after the contradicting listing: the match counts.
    push(matched("/mnt/a.mkv", "2", 1));
    assert_eq!(
        ask(&views, &none, "/mnt/a.mkv"),
        (MatchKind::Confirmed, Confidence::High, Reason::None, keys(&["2"]))
    );
    // Recorded before that listing: overruled.
    push(matched("/mnt/a.mkv", "2", 0));
    assert_eq!(
        ask(&views, &none, "/mnt/a.mkv"),
        (MatchKind::Exact, Confidence::High, Reason::None, keys(&["1"]))
    );
    push(matched("/mnt/a.mkv", "2", 1));
    assert_eq!(ask(&views, &none, "/mnt/a.mkv").0, MatchKind::Confirmed);
    push(added("3", "/mnt/a.mkv"));
    assert_eq!(
        ask(&views, &none, "/mnt/a.mkv").3,
        keys(&["1", "3"]),
        "two items list it, one since the match"
    );
    push(MemtableChange::Forgotten {
        path: b"/mnt/a.mkv".to_vec(),
    });
    push(MemtableChange::Removed { rating_key: "3".into() });
    assert_eq!(ask(&views, &none, "/mnt/a.mkv").0, MatchKind::Exact);
}

#[test]
fn an_unlisted_item_has_only_its_key() {
    let none = Mappings::default();
    let mut unfetched = library(&[], &[], &none);
    unfetched.properties.fetched = false;
    let matched = MemtableChange::Matched {
        path: b"/a\xff.mkv".to_vec(),
        rating_key: "9".into(),
        sequence: 0,
    };
    unfetched.memtable.push(matched, &none).expect("there is room");
    let views = [&unfetched];
    let outcome = Resolver::new(&views, Scope::One(0), &none).resolve(b"/a\xff.mkv");
    assert_eq!(
        (outcome.match_kind, outcome.confidence),
        (MatchKind::Confirmed, Confidence::High)
    );
    assert!(outcome.found()[0].item.key_only);
    assert_eq!(outcome.found()[0].path, b"/a\xff.mkv");
}

#[test]
fn an_invalidated_item_needs_verification() {
    let none = Mappings::default();
    let films = library(&[], &[movie("1", &["/mnt/a.mkv", "/mnt/b.mkv"])], &none);
    let views = [&films];
    let push = |change| films.memtable.push(change, &none).expect("there is room");
    let unverified = |path: &str| {
        Resolver::new(&views, Scope::One(0), &none)
            .resolve(path.as_bytes())
            .is_unverified
    };
    push(MemtableChange::UnverifiedPath {
        path: b"/MNT/a.mkv".to_vec(),
    });
    assert_eq!(ask(&views, &none, "/mnt/a.mkv").2, Reason::Unconfirmed);
    assert!(
        Resolver::new(&views, Scope::One(0), &none)
            .fast_lookup(b"/mnt/a.mkv")
            .is_none()
    );
    assert!(!unverified("/mnt/b.mkv"));
    // A suffix match finds the same entry, so it is invalidated too.
    assert!(unverified("/data/mnt/a.mkv"));
    push(MemtableChange::VerifiedPath {
        path: b"/mnt/a.mkv".to_vec(),
    });
    assert!(!unverified("/mnt/a.mkv"));
    push(MemtableChange::UnverifiedItem { rating_key: "1".into() });
    assert!(unverified("/mnt/a.mkv") && unverified("/mnt/b.mkv"));
    push(MemtableChange::VerifiedItem { rating_key: "1".into() });
    assert!(!unverified("/mnt/a.mkv") && !unverified("/mnt/b.mkv"));
}

#[test]
fn long_and_strange_paths_resolve_without_harm() {
    let none = Mappings::default();
    let long = format!("/mnt/{}/x.mkv", "d".repeat(65_536));
    let films = library(&[], &[movie("1", &[&long]), movie("2", &["/mnt/y.mkv"])], &none);
    let views = [&films];
    assert_eq!(ask(&views, &none, &long).3, keys(&["1"]));
    assert_eq!(ask(&views, &none, &long.to_uppercase()).3, keys(&["1"]));
    for path in ["/", "//", "", "\\", "\\\\", "c:/", ".", "\u{301}"] {
        assert_eq!(ask(&views, &none, path).0, MatchKind::None, "{path}");
    }
    for path in [&b"\xff"[..], b"/mnt/y.mkv\0", b"/mnt/\xff/y.mkv"] {
        assert_eq!(
            Resolver::new(&views, Scope::One(0), &none).resolve(path).match_kind,
            MatchKind::None
        );
    }
}
