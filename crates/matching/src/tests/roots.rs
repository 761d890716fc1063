//! Paths that differ by their root only.

use crate::model::ItemType;
use crate::roots::only_root_differs;
use crate::{Form, GuidRef, ItemRef, NormalPath};

fn item(kind: ItemType) -> ItemRef<'static> {
    ItemRef {
        kind,
        guid: GuidRef::Text("plex://movie/5d776825880197001ec90a2f"),
        key_only: false,
        ..ItemRef::key_only("1")
    }
}

fn film(title: &'static str, year: i32) -> ItemRef<'static> {
    ItemRef {
        title,
        year,
        ..item(ItemType::Movie)
    }
}

fn episode(show_title: &'static str, season: i32, episode: i32) -> ItemRef<'static> {
    ItemRef {
        title: "Pilot",
        show_title,
        season,
        episode,
        year: 2010,
        ..item(ItemType::Episode)
    }
}

fn track(artist: &'static str, title: &'static str, number: i32) -> ItemRef<'static> {
    ItemRef {
        title,
        show_title: artist,
        season: 1,
        episode: number,
        ..item(ItemType::Track)
    }
}

#[test]
fn general_words_are_sorted() {
    assert!(crate::vocabulary::GENERAL.is_sorted());
}

/// Applies [`only_root_differs`] to a file below a library's location.
fn root_only(item: &ItemRef<'_>, asked: &str, location: &str, below: &str) -> bool {
    let listed = format!("{location}/{below}");
    NormalPath::with(asked.as_bytes(), |asked| {
        NormalPath::with(listed.as_bytes(), |listed| {
            let below = Form::from_folded(below.as_bytes()).rev_components().count();
            let common = Form::from_folded(asked.form()).common_components(Form::from_folded(listed.form()));
            only_root_differs(item, asked, listed, common, below)
        })
    })
}

#[test]
#[allow(clippy::too_many_lines)] // one table of cases
fn another_root_is_a_missing_mapping() {
    let one = episode("Some Show", 17, 21);
    for (asked, location, below, wanted) in [
        (
            "/nas/Some Show/Season 17/S17E21.mkv",
            "/tv",
            "Some Show/Season 17/S17E21.mkv",
            true,
        ),
        (
            r"Z:\tv\Some Show\Season 17\S17E21.mkv",
            "/tv",
            "Some Show/Season 17/S17E21.mkv",
            true,
        ),
        (
            "/nas/other/Season 17/S17E21.mkv",
            "/tv",
            "Some Show/Season 17/S17E21.mkv",
            false,
        ),
        // The file name alone, or with a folder that every show has, proves nothing.
        ("/nas/tv/S17E21.mkv", "/tv", "S17E21.mkv", false),
        ("/nas/tv/Season 17/S17E21.mkv", "/tv", "Season 17/S17E21.mkv", false),
        // A location for each show: its name identifies the show.
        ("/nas/Some Show/a/S17E21.mkv", "/tv/Some Show", "a/S17E21.mkv", true),
        ("/nas/Other Show/a/S17E21.mkv", "/tv/Some Show", "a/S17E21.mkv", false),
    ] {
        assert_eq!(root_only(&one, asked, location, below), wanted, "{asked}");
    }
    let photo = item(ItemType::Photo);
    for (asked, below, wanted) in [
        ("/nas/2019 Crete/IMG_0001.JPG", "2019 Crete/IMG_0001.JPG", true),
        ("/nas/2020 Malta/IMG_0001.JPG", "2019 Crete/IMG_0001.JPG", false),
        ("/card/DCIM/100CANON/IMG_0001.JPG", "DCIM/100CANON/IMG_0001.JPG", false),
        (
            "/card/Crete/DCIM/100CANON/IMG_0001.JPG",
            "Crete/DCIM/100CANON/IMG_0001.JPG",
            true,
        ),
    ] {
        assert_eq!(root_only(&photo, asked, "/photos", below), wanted, "{asked}");
    }
    let disc = film("Alien", 1979);
    let stream = "BDMV/STREAM/00012.m2ts";
    assert!(!root_only(
        &disc,
        "/nas/Heat/BDMV/STREAM/00012.m2ts",
        "/films/Alien",
        stream
    ));
    assert!(root_only(
        &disc,
        "/n/Alien (1979)/BDMV/STREAM/00012.m2ts",
        "/films",
        &format!("Alien (1979)/{stream}")
    ));
}

#[test]
fn a_generic_folder_is_no_evidence() {
    let photo = item(ItemType::Photo);
    let number = |folder: &str, name: &str| {
        let asked = format!("/nas/photos/Phone/{folder}/{name}");
        let below = format!("{folder}/{name}");
        root_only(&photo, &asked, "/data/photos", &below)
    };
    for folder in [
        "2019",
        "2019-07",
        "01",
        "2019_07_04",
        "20190704",
        "07 July",
        "Camera Roll",
        "New Folder (3)",
        "Photos",
        "Part 1",
        "1. Staffel",
        "Season One",
        "Season 01 1080p",
    ] {
        assert!(!number(folder, "IMG_0001.JPG"), "{folder}");
        assert!(!number(folder, "401.mkv"), "{folder}");
    }
    assert!(number("2019 Crete", "IMG_0001.JPG"));
    // The show's own name identifies it, also as the name of the location.
    let of = |title| episode(title, 1, 2);
    assert!(root_only(
        &of("24"),
        "/n/24/Season 01/S01E02.mkv",
        "/tv",
        "24/Season 01/S01E02.mkv"
    ));
    assert!(root_only(
        &of("Ash"),
        "/n/Ash/Season 01/S01E02.mkv",
        "/tv/Ash",
        "Season 01/S01E02.mkv"
    ));
    assert!(root_only(
        &of("24"),
        "/n/24/Season 24/S24E02.mkv",
        "/tv/24",
        "Season 24/S24E02.mkv"
    ));
    assert!(!root_only(
        &of("24"),
        "/n/Ash/Season 24/S24E02.mkv",
        "/tv/24",
        "Season 24/S24E02.mkv"
    ));
    assert!(!root_only(
        &of("Ash"),
        "/n/Elm/Season 01/S01E02.mkv",
        "/tv/Ash",
        "Season 01/S01E02.mkv"
    ));
    assert!(!root_only(
        &of("Ash"),
        "/n/q/Ash/Elm/Season 01/S01E02.mkv",
        "/tv/Ash",
        "Season 01/S01E02.mkv"
    ));
    let unknown = track("Unknown Artist", "Track 01", 1);
    let below = "Unknown Artist/Unknown Album/Track 01.mp3";
    assert!(!root_only(&unknown, &format!("/n/{below}"), "/music", below));
    assert!(!root_only(
        &of("Home"),
        "/home/Season 01/S01E02.mkv",
        "/data/Home",
        "Season 01/S01E02.mkv"
    ));
    // A film named by its title has the path of its remakes, unless the path has a year.
    let kong = film("King Kong", 1933);
    for (below, wanted) in [
        ("King Kong/King Kong.mkv", false),
        ("King Kong/movie.mkv", false),
        ("Kids/King Kong.mkv", false),
        ("2024/King Kong/King Kong.mkv", false),
        ("King Kong (1933)/King Kong.mkv", true),
        ("King Kong/King Kong (1933).mkv", true),
        ("1933/King Kong/King Kong.mkv", true),
        ("King Kong {imdb-tt0024216}/King Kong.mkv", true),
        ("box 3/film7.mkv", true),
        // A range of years is not the film's year.
        ("1930-1939/King Kong/King Kong.mkv", false),
        ("King Kong 1933-2005/King Kong/King Kong.mkv", false),
    ] {
        assert_eq!(
            root_only(&kong, &format!("/n/b/{below}"), "/films", below),
            wanted,
            "{below}"
        );
    }
}

#[test]
fn a_title_of_general_words_is_evidence_with_the_year_of_an_identified_film() {
    let old = film("Old", 2021);
    let home_video = ItemRef {
        guid: GuidRef::Text("local://7"),
        ..old
    };
    for (film, below, wanted) in [
        (&old, "Old (2021)/Old (2021).mkv", true),
        (&old, "Old (2021)/movie.mkv", true),
        (&old, "Old/Old (2021).mkv", false),
        (&old, "Old (1998)/Old (1998).mkv", false),
        (&old, "Photos (2021)/Old (2021).mkv", false),
        (&film("Old", 0), "Old (2021)/Old (2021).mkv", false),
        (&home_video, "Old (2021)/Old (2021).mkv", false),
    ] {
        assert_eq!(
            root_only(film, &format!("/n/b/{below}"), "/films", below),
            wanted,
            "{below}"
        );
    }
}

/// Deleted files, snapshots and the like have the same names as listed files, below another root.
#[test]
fn a_hidden_or_system_root_is_a_copy() {
    let thing = film("The Thing", 1982);
    let below = "The Thing (1982)/The Thing (1982).mkv";
    for root in [
        "/mnt/x/.snapshots/3",
        "/mnt/.zfs/snapshot/daily/films",
        "/volume1/#recycle/films",
        "/volume1/#snapshot/GMT+01-2026.11.01/films",
        "/share/@Recycle/films",
        "/share/@Recently-Snapshot/films",
        "/vol/~snapshot/hourly.0",
        r"D:\$RECYCLE.BIN\S-1-5-21",
        r"D:\System Volume Information\x",
        r"\\nas\share\RECYCLER\films",
        "/Users/me/.Trash",
        "/media/disk/.Trash-1000/files",
        "/mnt/Trash",
        "/mnt/Recycle Bin/films",
        "/mnt/lost+found",
        "/data/films/Plex Versions/Optimized for TV",
        "/mnt/Network Trash Folder",
        "/downloads/_UNPACK_films",
        "/mnt/x/_Recycle",
        "/mnt/x/ .snapshots",
        "/Volumes/TM/Backups.backupdb/mac",
        "/mnt/x/found.000",
        "/cloud/files_trashbin/files",
        "/tank/zfs-snapshots/daily",
        "/mnt/Papierkorb",
        "/sdcard/LOST.DIR",
        "/mnt/x/Featurettes",
        "/mnt/x/Trailers",
        "/mnt/x/Behind The Scenes",
        "/mnt/x/foo-sample",
        "/mnt/x/The Thing (1982)/Featurettes",
        "/mnt/x/The Thing (1982)/Other",
        "..",
        "/srv/../films",
    ] {
        let asked = if root.contains('\\') {
            format!(r"{root}\{}", below.replace('/', r"\"))
        } else {
            format!("{root}/{below}")
        };
        assert!(!root_only(&thing, &asked, "/data/films", below), "{asked}");
    }
    for root in [
        "/srv/Other",
        "/mnt/s1/Shorts",
        "/mnt/films",
        "/Volumes/My Trash Films",
        "/nas/Snap",
        "/srv/a.b",
        "/srv/Snapped",
        r"Z:\films",
    ] {
        let asked = format!("{root}/{below}");
        assert!(root_only(&thing, &asked, "/data/films", below), "{asked}");
    }
    // Both paths have the hidden folder, so it is no part of the root that differs.
    assert!(root_only(
        &thing,
        &format!("/mnt/.media/{below}"),
        "/data/.media",
        below
    ));
    assert!(!root_only(
        &thing,
        &format!("/mnt/.media/a/{below}"),
        "/data/.media/b",
        below
    ));
}

/// The name of a folder below the location, or the location's own name, tells works apart.
#[test]
fn another_year_country_or_id_is_another_work() {
    let office = episode("The Office", 1, 1);
    let dune = film("Dune", 1984);
    for (item, listed, other) in [
        (&dune, "Dune (1984)", "Dune (2021)"),
        (&dune, "Dune {imdb-tt0087182}", "Dune {imdb-tt1160419}"),
        (&dune, "Dune (1984)", "Dune (1984) [tmdbid=841]"),
        (&dune, "Dune (1984)", "Dune (1984) Making Of"),
        (&office, "The Office (US)", "The Office (UK)"),
        (&office, "The Office (US)", "The Office"),
        (&office, "The Office {tvdb-73244}", "The Office {tvdb-78107}"),
        (&office, "The Office", "The Office Nights"),
    ] {
        let below = "Disc Rip/Part 7/rip.mkv";
        for (name, wanted) in [(listed, true), (other, false)] {
            let asked = format!("/mnt/{name}/{below}");
            let location = format!("/data/{listed}");
            assert_eq!(
                root_only(item, &asked, &location, below),
                wanted,
                "{asked} for {location}"
            );
            let listed_below = format!("{listed}/{below}");
            assert_eq!(
                root_only(item, &asked, "/data", &listed_below),
                wanted,
                "{asked} for {listed}"
            );
        }
    }
}
