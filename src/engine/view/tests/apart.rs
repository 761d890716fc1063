//! Copies, samples and extras near listed files: their paths end like a listed one, but they are other files.

use super::library;
use crate::matching::{Mappings, Resolver, Scope};
use crate::model::{Confidence, Item, ItemType, MatchKind, Reason};
use crate::options::Mapping;

const GUID: &str = "plex://movie/5d776825880197001ec90a2f";

fn episode(show: &str, title: &str, file: &str) -> Item {
    Item {
        kind: ItemType::Episode,
        title: title.into(),
        show_title: show.into(),
        season: 3,
        episode: 1,
        year: 2006,
        guid: GUID.into(),
        rating_key: file.into(),
        parts: vec![file.into()],
        ..Item::default()
    }
}

fn film(title: &str, file: &str) -> Item {
    Item {
        kind: ItemType::Movie,
        title: title.into(),
        year: 2001,
        guid: GUID.into(),
        rating_key: file.into(),
        parts: vec![file.into()],
        ..Item::default()
    }
}

const LOST: &str = "/data/tv/Lost (2004)/Season 03/Lost - S03E01 - Pilot.mkv";
const ALPHA: &str = "/data/films/Alpha Run (2001)/Alpha Run (2001).mkv";

fn collection() -> Vec<Item> {
    vec![
        episode("Lost", "Pilot", LOST),
        episode("Sample", "Pilot", "/data/tv/Sample/Season 03/Sample - S03E01.mkv"),
        episode("Other", "Pilot", "/data/tv/Other/Season 03/Other - S03E01.mkv"),
        episode("Extras", "Pilot", "/data/tv/Extras/Season 03/Extras - S03E01.mkv"),
        episode(
            "Deep",
            "Crime-Scene",
            "/data/tv/Deep/Season 03/Deep - S03E01 - Crime-Scene.mkv",
        ),
        episode(
            "Beta Row",
            "Pilot",
            "/data/tv/Beta Row/Season 03/Beta Row - S03E01-sample.mkv",
        ),
        episode(
            "Kept",
            "Pilot",
            "/srv/#recycle/Other/Kept Show/Season 03/Kept - S03E01.mkv",
        ),
        film("Alpha Run", ALPHA),
        film("Trailers", "/data/films/Trailers (2001)/Trailers (2001).mkv"),
        film("The Sample", "/data/films/The Sample (2001)/The Sample (2001).mkv"),
        film("Home", "/data/films/Home (2001)/Home (2001).mkv"),
        film("Sample", "/data/films/Sample (2001)/Sample (2001).mkv"),
        film("Samples", "/data/films/Samples (2001)/Samples (2001).mkv"),
        film("Extras", "/data/films/Extras (2001)/Extras (2001).mkv"),
        film("Bonus", "/data/films/Bonus (2001)/Bonus (2001).mkv"),
        film("Bonus Disc", "/data/films/Bonus Disc (2001)/Bonus Disc (2001).mkv"),
    ]
}

/// Resolves paths below an unmapped root. The reason tells the expected confidence.
#[track_caller]
fn check<'p>(cases: impl IntoIterator<Item = (&'p str, Reason)>) {
    let none = Mappings::default();
    let view = library(
        &["/data/tv", "/data/films", "/srv/#recycle/Other"],
        &collection(),
        &none,
    );
    let views = [&view];
    let (mut asked, mut wrong) = (0, Vec::new());
    for (path, reason) in cases {
        for scope in [Scope::One(0), Scope::All] {
            asked += 1;
            let found = Resolver::new(&views, scope, &none).resolve(path.as_bytes());
            assert!(
                matches!(found.match_kind, MatchKind::Suffix | MatchKind::FileName) && found.total == 1,
                "{path}"
            );
            let is_high = found.confidence == Confidence::High;
            assert_eq!(
                Resolver::new(&views, scope, &none)
                    .fast_lookup(path.as_bytes())
                    .is_some(),
                is_high,
                "{path}"
            );
            if (found.reason, is_high) != (reason, reason == Reason::OnlyRootDiffers) {
                wrong.push(format!("{path}: {:?}, {:?}", found.confidence, found.reason));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_path_among_extras_samples_or_deleted_files_is_another_file() {
    let file = LOST.rsplit('/').next().expect("a name");
    let mut paths = Vec::new();
    for folder in [
        "Sample",
        "samples",
        "!sample",
        "Lost.S03E01-sample",
        "Behind The Scenes",
        "Deleted Scenes",
        "Featurettes",
        "Interviews",
        "Scenes",
        "Shorts",
        "Trailers",
        "Other",
        "Extras",
        "Extra",
        "Bonus",
        "@eaDir",
        "#recycle",
        "$RECYCLE.BIN",
        ".Trash-1000",
        ".Trashes",
        "lost+found",
        "Plex Versions",
        "Plex Versions/Optimized for TV",
        "_UNPACK_Lost",
        ".deleted",
    ] {
        for above in [
            "/nas/Lost (2004)/Season 03",
            "/nas/Lost",
            "/x/y/Lost (2004)/S03",
            "/nas/Season 3",
        ] {
            paths.push(format!("{above}/{folder}/{file}"));
        }
        paths.push(format!("/nas/Lost/{folder}/Disc 1/{file}"));
        paths.push(format!("/nas/Lost/{folder}/Season 03/{file}"));
        paths.push(format!("/nas/Alpha Run (2001)/{folder}/Alpha Run (2001).mkv"));
        paths.push(format!("/nas/Extras/Season 03/{folder}/Extras - S03E01.mkv"));
    }
    // Folders of systems and programs hold copies, wherever they are.
    for folder in [
        "#recycle",
        "@Recycle",
        ".Trash-0/files",
        "@eaDir",
        "lost+found",
        "Plex Versions",
        "Samples",
    ] {
        paths.push(LOST.replace("/data/tv", &format!("/nas/{folder}")));
        paths.push(LOST.replace("/data/tv", &format!("/nas/{folder}/tv")));
        paths.push(format!("/nas/{folder}/{file}"));
    }
    paths.push("/nas/Trailers/Alpha Run (2001).mkv".into());
    paths.push("/nas/x/Beta Row - S03E01-sample.mkv".into());
    check(paths.iter().map(|path| (path.as_str(), Reason::SameName)));
}

/// The folder with the year is the film's. The one in it holds its extras, although both have the title.
#[test]
fn a_film_named_like_a_folder_of_extras_has_extras_too() {
    let mut paths = Vec::new();
    for (title, folders) in [
        (
            "Sample",
            ["Sample", "sample", "Samples", "Sample (2001)-sample", "Extras"],
        ),
        ("Samples", ["Samples", "samples", "Sample", "!samples", "Extras"]),
        (
            "Extras",
            ["Extras", "extras", "Extra", "Extras of Extras (2001)", "Sample"],
        ),
        ("Bonus", ["Bonus", "bonus", "bonus disc", "Bonus Disc (2001)", "Extras"]),
        (
            "Bonus Disc",
            ["Bonus Disc", "bonus disc", "Bonus", "The Bonus Disc", "Sample"],
        ),
    ] {
        for folder in folders {
            for named in ["(2001)", "2001 1080p", "(UK) (2001)", "{tmdb-1}", "[tmdbid=1]"] {
                paths.push(format!("/nas/{title} {named}/{folder}/{title} (2001).mkv"));
            }
            paths.push(format!("/nas/{title} (2001)/{folder}/Disc 1/{title} (2001).mkv"));
        }
    }
    // The same for shows whose folder with the year looks like one of extras: `Other (2006)`.
    for show in ["Sample", "Extras", "Other"] {
        paths.push(format!("/nas/{show} (2006)/{show}/{show} - S03E01.mkv"));
        paths.push(format!("/nas/{show} (2006)/Season 03/{show}/{show} - S03E01.mkv"));
    }
    check(paths.iter().map(|path| (path.as_str(), Reason::SameName)));
}

#[test]
fn names_similar_to_extras_keep_their_confidence() {
    let (root, name) = (Reason::OnlyRootDiffers, Reason::SameName);
    check([
        // Titles.
        ("/nas/Sample/Season 03/Sample - S03E01.mkv", name),
        ("/nas/Sample/Sample - S03E01.mkv", name),
        ("/nas/Other/Season 03/Other - S03E01.mkv", name),
        ("/nas/Other/Other - S03E01.mkv", name),
        ("/nas/Extras/Season 03/Extras - S03E01.mkv", name),
        ("/nas/Extras/Extras - S03E01.mkv", name),
        ("/nas/Trailers (2001)/Trailers (2001).mkv", root),
        ("/nas/Trailers/Trailers (2001).mkv", name),
        ("/nas/The Sample (2001)/The Sample (2001).mkv", root),
        ("/nas/The Sample (2001).mkv", name),
        ("/nas/Sample (2001)/Sample (2001).mkv", name),
        ("/nas/Sample (2001) [1080p]/Sample (2001).mkv", name),
        ("/nas/Sample/Sample (2001).mkv", name),
        ("/nas/Sample (2001)/Disc 1/Sample (2001).mkv", name),
        ("/nas/Extras (2001)/Extras (2001).mkv", name),
        ("/nas/Extras/Extras (2001)/Extras (2001).mkv", name),
        ("/nas/Extras/Extras (2001) [1080p]/Extras (2001).mkv", name),
        ("/nas/Bonus/Bonus (2001).mkv", name),
        ("/nas/Bonus Disc (2001)/Bonus Disc (2001).mkv", name),
        ("/nas/Extras (2006)/Season 03/Extras - S03E01.mkv", name),
        ("/nas/Extras/Extras (2006)/Season 03/Extras - S03E01.mkv", name),
        ("/nas/Sample (2006)/Sample - S03E01.mkv", name),
        ("/nas/Deep/Season 03/Deep - S03E01 - Crime-Scene.mkv", root),
        ("/nas/x/Deep - S03E01 - Crime-Scene.mkv", name),
        // Roots and categories that a person chose.
        ("/nas/Other/Lost (2004)/Season 03/Lost - S03E01 - Pilot.mkv", root),
        ("/mnt/s1/Shorts/Lost (2004)/Season 03/Lost - S03E01 - Pilot.mkv", root),
        ("/mnt/.gdrive/Lost (2004)/Season 03/Lost - S03E01 - Pilot.mkv", name),
        (
            "/nas/sample-media/Lost (2004)/Season 03/Lost - S03E01 - Pilot.mkv",
            root,
        ),
        ("/home/u/Other/Home (2001)/Home (2001).mkv", name),
        ("/nas/Shorts/Alpha Run (2001).mkv", name),
        ("/nas/Extraction/Alpha Run (2001).mkv", name),
        // The location itself is below such a folder.
        ("/srv/#recycle/x/Kept Show/Season 03/Kept - S03E01.mkv", name),
        ("/nas/Other/Kept Show/Season 03/Kept - S03E01.mkv", root),
        // The listed file itself has such a name.
        ("/nas/Beta Row/Season 03/Beta Row - S03E01-sample.mkv", root),
    ]);
}

#[test]
fn listed_mapped_and_recorded_paths_are_certain_in_any_folder() {
    let rule = Mapping::host_to_server("/nas/#recycle", "/data/Plex Versions");
    let mappings = Mappings::new(&[rule]).expect("mappings");
    let listed = "/data/Plex Versions/Lost/Featurettes/Lost - S03E01.mkv";
    let view = library(&["/data"], &[episode("Lost", "Pilot", listed)], &mappings);
    let views = [&view];
    for (asked, match_kind) in [
        (listed, MatchKind::Exact),
        ("/nas/#recycle/Lost/Featurettes/Lost - S03E01.mkv", MatchKind::Mapped),
    ] {
        let found = Resolver::new(&views, Scope::All, &mappings).resolve(asked.as_bytes());
        assert_eq!(
            (found.match_kind, found.confidence),
            (match_kind, Confidence::High),
            "{asked}"
        );
    }
}

#[test]
fn many_extras_folders_in_a_path_stay_cheap() {
    let none = Mappings::default();
    let view = library(&["/data/tv"], &[episode("Lost", "Pilot", LOST)], &none);
    let views = [&view];
    let name = LOST.rsplit('/').next().expect("a name");
    // Each folder above the title is examined once; comparing each with all others would take for ever.
    for folder in ["other", "sample x", ".x", "lost"] {
        let asked = format!("/{}/Lost/{name}", vec![folder; 20_000].join("/"));
        let found = Resolver::new(&views, Scope::All, &none).resolve(asked.as_bytes());
        assert_eq!(
            (found.confidence, found.reason),
            (Confidence::Low, Reason::SameName),
            "{folder}"
        );
    }
}
