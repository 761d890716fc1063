//! The promises of resolution, case by case. `random` tests it in general.

use super::against::matches;
use super::{library, movie, sizes};
use crate::engine::view::LibrarySnapshot;
use crate::matching::{
    FolderPosition, FolderResolver, MAX_CANDIDATES, Mappings, NormalPath, QueriedSize, Resolution, Resolver, Scope,
    folder_positions,
};
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

const MOVED: (Confidence, Reason) = (Confidence::Low, Reason::OnlyRootDiffers);

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
        (MatchKind::Suffix, MOVED, keys(&["73"]))
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
fn a_folder_in_another_spelling_than_its_rule_may_be_another_folder() {
    const SIZE: u64 = 734_003_201;
    let media = Some("/mnt/Media");
    for (rule, same, other) in [
        (Mapping::host_to_server("/mnt/Media", "/data"), media, "/mnt/media"),
        (Mapping::server_to_host("/data", "/mnt/Media"), media, "/mnt/media"),
        // The server's folder has another spelling.
        (Mapping::server_to_host("/Data", "/mnt"), None, "/mnt"),
    ] {
        let mappings = Mappings::new(&[rule]).expect("mappings");
        let film = Item {
            facts: sizes(&[SIZE]),
            ..movie("1", &["/data/Heat/a.mkv"])
        };
        let views = [&library(&["/data"], &[film], &mappings)];
        let ask = |folder: &str, size| {
            let mut found = Resolution::default();
            NormalPath::with(format!("{folder}/Heat/a.mkv").as_bytes(), |path| {
                let resolver = Resolver::new(&views, Scope::One(0), &mappings);
                resolver.resolve_normal(path, QueriedSize::Known(size), None, false, &mut found);
            });
            (found.confidence, found.reason)
        };
        if let Some(same) = same {
            assert_eq!(ask(same, 9), (Confidence::High, Reason::SizeDiffers), "replaced");
        }
        assert_eq!(ask(other, 9), (Confidence::Low, Reason::SizeDiffers), "{other}");
        assert_eq!(ask(other, SIZE), (Confidence::High, Reason::None), "{other}");
    }
}

#[test]
fn a_listed_path_that_the_mappings_have_elsewhere_may_be_another_file() {
    const SIZE: u64 = 734_003_201;
    let film = |key: &str, path: &str| Item {
        facts: sizes(&[SIZE]),
        ..movie(key, &[path])
    };
    let items = [
        film("1", "/data/a.mkv"),
        film("2", "/srv/data/a.mkv"),
        film("3", "/x/a.mkv"),
    ];
    for (rule, path, confidence) in [
        // The server's file is at /mnt/a.mkv on the host.
        (Mapping::host_to_server("/mnt", "/data"), "/data/a.mkv", Confidence::Low),
        (Mapping::server_to_host("/data", "/mnt"), "/data/a.mkv", Confidence::Low),
        // The host's file is at /srv/data/a.mkv on the server.
        (
            Mapping::host_to_server("/data", "/srv/data"),
            "/data/a.mkv",
            Confidence::Low,
        ),
        (
            Mapping::server_to_host("/srv/data", "/data"),
            "/data/a.mkv",
            Confidence::Low,
        ),
        (Mapping::host_to_server("/mnt", "/data"), "/x/a.mkv", Confidence::High),
        (
            Mapping::host_to_server("/data", "/data"),
            "/data/a.mkv",
            Confidence::High,
        ),
        (
            Mapping::host_to_server("/data", "/gone"),
            "/data/a.mkv",
            Confidence::High,
        ),
    ] {
        let mappings = Mappings::new(std::slice::from_ref(&rule)).expect("mappings");
        let views = [&library(&["/"], &items, &mappings)];
        let ask = |size| {
            let mut found = Resolution::default();
            NormalPath::with(path.as_bytes(), |path| {
                let resolver = Resolver::new(&views, Scope::One(0), &mappings);
                resolver.resolve_normal(path, QueriedSize::Known(size), None, false, &mut found);
            });
            (found.match_kind, found.confidence, found.reason)
        };
        assert_eq!(ask(9), (MatchKind::Exact, confidence, Reason::SizeDiffers), "{rule:?}");
        assert_eq!(
            ask(SIZE),
            (MatchKind::Exact, Confidence::High, Reason::None),
            "{rule:?}"
        );
    }
}

#[test]
fn a_newer_listing_overrules_a_confirmed_match() {
    let none = Mappings::default();
    let mut films = library(
        &["/mnt"],
        &[movie("1", &["/mnt/a.mkv"]), movie("2", &["/mnt/b.mkv"])],
        &none,
    );
    // The listing has the sequence 1.
    for (sequence, found) in [(1, (MatchKind::Confirmed, "2")), (0, (MatchKind::Exact, "1"))] {
        films.matches = Some(matches(&[(b"/mnt/a.mkv", "2", sequence)]));
        let (match_kind, _, _, key) = ask(&[&films], &none, "/mnt/a.mkv");
        assert_eq!((match_kind, key), (found.0, keys(&[found.1])));
    }
}

#[test]
fn the_later_of_two_matches_of_one_file_counts() {
    let none = Mappings::default();
    let mut films = library(&[], &[movie("1", &["/x/a"]), movie("2", &["/x/b"])], &none);
    for (older, newer) in [
        ("D:/F/x.mkv", r"D:\F\x.mkv"),
        (r"D:\F\x.mkv", r"\\?\D:\F\x.mkv"),
        (r"D:\F\x.mkv", r"d:\F\x.mkv"),
        ("/f//x.mkv", "/f/x.mkv"),
    ] {
        films.matches = Some(matches(&[(older.as_bytes(), "1", 2), (newer.as_bytes(), "2", 3)]));
        for path in [older, newer] {
            let (match_kind, confidence, _, key) = ask(&[&films], &none, path);
            assert_eq!(
                (match_kind, confidence),
                (MatchKind::Confirmed, Confidence::High),
                "{path}"
            );
            assert_eq!(key, keys(&["2"]), "{path}");
        }
    }
    // A disk may have both.
    films.matches = Some(matches(&[(br"D:\F\x.mkv", "1", 2), (br"D:\f\x.mkv", "2", 3)]));
    assert_eq!(ask(&[&films], &none, "d:/F/x.mkv").3, keys(&["1"]));
}

#[test]
fn a_library_out_of_scope_may_have_more_of_the_path() {
    let none = Mappings::default();
    let films = library(&["/nas"], &[movie("1", &["/nas/Heat (1995)/Heat.mkv"])], &none);
    let other = library(&["/data"], &[movie("2", &["/data/4k/Heat (1995)/Heat.mkv"])], &none);
    let views = [&films, &other];
    let folder = NormalPath::with(b"/mnt/4k/Heat (1995)", |path| {
        FolderResolver::new(&views, Scope::One(0), &none, path).resolve()
    });
    assert_eq!(
        (folder.members.confidence, folder.members.reason),
        (Confidence::Low, Reason::SameName)
    );
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
    // Comparing each folder with all others would take for ever.
    for folder in ["other", "sample x", ".x"] {
        let path = format!("/{}/y.mkv", vec![folder; 20_000].join("/"));
        assert_eq!(ask(&views, &none, &path).1, Confidence::Low, "{folder}");
    }
}

#[test]
fn listed_and_mapped_paths_are_certain_in_any_folder() {
    let rule = Mapping::host_to_server("/nas/#recycle", "/data/Plex Versions");
    let mappings = Mappings::new(&[rule]).expect("mappings");
    let listed = "/data/Plex Versions/Lost/Featurettes/Lost - S03E01.mkv";
    let view = library(&["/data"], &[movie("1", &[listed])], &mappings);
    let mapped = "/nas/#recycle/Lost/Featurettes/Lost - S03E01.mkv";
    for (path, match_kind) in [(listed, MatchKind::Exact), (mapped, MatchKind::Mapped)] {
        let (found, confidence, ..) = ask(&[&view], &mappings, path);
        assert_eq!(found, match_kind, "{path}");
        assert_eq!(confidence, Confidence::High, "{path}");
    }
}

#[test]
fn a_rule_sees_a_folder_as_the_host_spells_it() {
    let rule = |from: &str, to: &str| Mapping::pattern(MappingKind::HostToServer, from, to);
    let mappings = Mappings::new(&[
        rule("^/mnt/TV/", "/data/tv/"),
        rule(r"^D:\\TV\\(\w+)\\", r"/data/tv/\1/"),
        rule("^/mnt/tv/alpha/", "/data/tv/Beta/"),
    ])
    .expect("mappings");
    let items = [
        movie("1", &["/data/tv/Alpha/a.mkv"]),
        movie("2", &["/data/tv/Beta/b.mkv"]),
    ];
    let views = [&library(&["/data/tv"], &items, &mappings)];
    for folder in ["/mnt/TV/Alpha", "/mnt/TV/./Alpha/", r"D:\TV\Alpha", r"D:\TV\Alpha\"] {
        NormalPath::with(folder.as_bytes(), |path| {
            let resolver = FolderResolver::new(&views, Scope::One(0), &mappings, path);
            let found = resolver.resolve();
            assert_eq!(
                (found.members.match_kind, found.members.confidence),
                (MatchKind::Mapped, Confidence::High),
                "{folder}"
            );
            assert_eq!(found.members.found()[0].item.rating_key, "1", "{folder}");
            assert_eq!(resolver.files(None, 10).len(), 1, "{folder}");
            let positions = folder_positions(&views, &mappings, path, None);
            assert_eq!(positions, [FolderPosition::Within], "{folder}");
        });
    }
}
