//! A folder of a library that was never fetched: what is below it is read by the index of paths, and answers as after a listing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::hooked::{Hook, Hooked};
use crate::support::index::{Index, QueryOptions};
use plexindex::MatchStatus;
use plexindex::model::{Confidence, ItemType, MatchKind};
use plexindex::options::Mapping;
use plexindex::source::database::PlexDatabase;
use rusqlite::Connection;

use crate::database::{key_of, open, options};
use crate::support::clock;
use crate::support::plex_database::{self as written, Server, kind};

/// A season's episodes, with its show's folder.
fn season(database: &Connection, section: i64, show: (i64, &str), number: i64, episodes: i64) {
    let season = written::add_row(database, section, kind::SEASON, "", Some(show.0), Some(number));
    for episode in 1..=episodes {
        let title = format!("Part {episode}");
        let item = written::add_row(database, section, kind::EPISODE, &title, Some(season), Some(episode));
        let file = format!("/data/shows/{}/Season {number:02}/{episode}.mkv", show.1);
        written::add_files(database, item, &[&file]);
    }
}

/// Two shows, one of two seasons; films, one of two files; an artist with an album; a folder with more files than one reads.
fn server() -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::new(&folder.path().join("Plex Media Server"));
    let shows = server.library("Shows", kind::SHOW, "/data/shows");
    let films = server.library("Films", kind::MOVIE, "/data/films");
    let music = server.library("Music", kind::ARTIST, "/data/music");
    server.write(|database| {
        let alpha = written::add_row(database, shows, kind::SHOW, "Alpha", None, Some(1));
        season(database, shows, (alpha, "Somewhere"), 1, 3);
        season(database, shows, (alpha, "Somewhere"), 2, 2);
        let beta = written::add_row(database, shows, kind::SHOW, "Beta", None, Some(1));
        season(database, shows, (beta, "Else"), 1, 4);
        // Its name begins as the other one's.
        season(database, shows, (beta, "Somewhere else"), 2, 1);
        let film = written::add_film(database, films, "Delta", "/data/films/Delta/Delta.mkv");
        written::add_files(database, film, &["/data/films/Delta/Delta - 4K.mkv"]);
        let artist = written::add_row(database, music, kind::ARTIST, "Gamma", None, None);
        let album = written::add_row(database, music, kind::ALBUM, "First", Some(artist), Some(1));
        for track in 1..=3 {
            let item = written::add_row(database, music, kind::TRACK, "Song", Some(album), Some(track));
            written::add_files(database, item, &[&format!("/data/music/Gamma/First/{track}.flac")]);
        }
        for film in 0..1_001 {
            written::add_film(database, films, "Many", &format!("/data/films/Many/{film}.mkv"));
        }
    });
    (folder, server)
}

/// What an answer says, but for when that was found out.
#[derive(Debug, PartialEq)]
struct Said {
    status: MatchStatus,
    match_kind: MatchKind,
    confidence: Confidence,
    stale: bool,
    kind: ItemType,
    items: u64,
    files: u64,
    found: String,
}

fn asked(index: &Index, folder: &str) -> Said {
    let said = index.ask_folder(&QueryOptions::default(), folder.as_bytes());
    let said = said.expect("an answer");
    let answer = &said.answer;
    Said {
        status: answer.status,
        match_kind: answer.match_kind.unwrap_or(MatchKind::None),
        confidence: answer.confidence.unwrap_or(Confidence::None),
        stale: answer.stale,
        kind: said.kind.unwrap_or_default(),
        items: said.items,
        files: said.files,
        found: format!("{} {:?}", answer.total, answer.candidates),
    }
}

fn listings(index: &Index) -> u64 {
    let stats = index.counts();
    assert_eq!(stats.requests.iter().sum::<u64>(), 0);
    stats.listings
}

#[test]
fn a_cold_folder_is_answered_as_after_a_listing() {
    let (folder, server) = server();
    let clock = clock();
    let listed = open(options(&folder.path().join("listed"), &server.folder), &clock);
    listed.list();
    for (number, (wanted, kind, items)) in [
        ("/data/shows/Somewhere", ItemType::Show, 5),
        ("/data/shows/Somewhere/Season 02/", ItemType::Season, 2),
        ("/data/shows/Else", ItemType::Season, 4),
        ("/data/films/Delta", ItemType::Movie, 1),
        ("/data/music/Gamma/First", ItemType::Artist, 3),
    ]
    .into_iter()
    .enumerate()
    {
        let store = folder.path().join(format!("{number}"));
        let cold = open(options(&store, &server.folder), &clock);
        let found = asked(&cold, wanted);
        assert_eq!(listings(&cold), 0, "{wanted}");
        assert_eq!((found.kind, found.items), (kind, items), "{wanted}");
        assert_eq!((found.status, found.stale), (MatchStatus::Found, false), "{wanted}");
        assert_eq!(
            (found.match_kind, found.confidence),
            (MatchKind::Exact, Confidence::High)
        );
        assert_eq!(found, asked(&listed, wanted), "{wanted}");
        // Again, and by another process: it is remembered, however often.
        for _ in 0..4 {
            assert_eq!(asked(&cold, wanted).items, items);
        }
        assert_eq!(listings(&cold), 0);
    }
}

/// The item with this file.
fn item_of(database: &Connection, file: &str) -> i64 {
    let sql =
        "SELECT m.metadata_item_id FROM media_parts p JOIN media_items m ON m.id = p.media_item_id WHERE file = ?1";
    database.query_row(sql, [file], |row| row.get(0)).expect("an item")
}

#[test]
fn what_changes_below_a_cold_folder_is_seen() {
    let (folder, server) = server();
    let index = open(options(&folder.path().join("store"), &server.folder), &clock());
    let wanted = "/data/shows/Somewhere/Season 01";
    assert_eq!(asked(&index, wanted).items, 3);
    let [gone, moved] = server.write(|database| {
        let ids = [1, 2].map(|number| item_of(database, &format!("{wanted}/{number}.mkv")));
        written::delete(database, ids[0]);
        written::rename(database, ids[1], "/data/shows/Elsewhere/2.mkv");
        ids
    });
    let found = asked(&index, wanted);
    assert_eq!((found.items, found.kind), (1, ItemType::Season));
    assert_eq!(listings(&index), 0, "{gone} and {moved} are not below it");
}

/// Between a reply and its use, another handle lists what is newer.
#[test]
fn a_reply_about_a_folder_that_was_overtaken_is_not_stored() {
    let (folder, server) = server();
    let (with, clock) = (options(&folder.path().join("store"), &server.folder), clock());
    let other = Arc::new(open(with.clone(), &clock));
    let (old, new) = ("/data/shows/Else/Season 01/1.mkv", "/data/shows/Elsewhere/1.mkv");
    let (other_old, other_new) = (
        "/data/shows/Somewhere/Season 01/2.mkv",
        "/data/shows/Else/Season 01/9.mkv",
    );
    let real = PlexDatabase::new(&server.folder);
    let is_first = AtomicBool::new(true);
    let hook: Hook = {
        let other = Arc::clone(&other);
        Arc::new(move |called, _| {
            if called == "folder" && is_first.swap(false, Ordering::SeqCst) {
                server.write(|database| {
                    for (old, new) in [(old, new), (other_old, other_new)] {
                        written::rename(database, item_of(database, old), new);
                    }
                });
                other.list();
            }
        })
    };
    let index = Index::open_with(with, Arc::clone(&clock) as _, |_, _, _| Ok(Hooked::over(real, hook)))
        .expect("the index opens");
    asked(&index, "/data/shows/Else");
    for (old, new) in [(old, new), (other_old, other_new)] {
        let key = key_of(&index, new);
        assert!(key.is_some(), "{new}");
        assert_ne!(key_of(&index, old), key);
    }
}

#[test]
fn mappings_lead_to_cold_folders() {
    let (folder, server) = server();
    let mut with = options(&folder.path().join("store"), &server.folder);
    with.mappings = vec![Mapping::host_to_server("/mnt/shows", "/data/shows")];
    let index = open(with, &clock());
    let found = asked(&index, "/mnt/shows/Somewhere");
    assert_eq!(found.match_kind, MatchKind::Mapped);
    assert_eq!((found.items, found.kind), (5, ItemType::Show));
    assert_eq!(listings(&index), 0);
}

#[test]
fn a_large_folder_and_one_without_files_are_listed() {
    for (wanted, items) in [("/Many", 1_001), ("", 1_002), ("/nothing", 0)] {
        let wanted = &format!("/data/films{wanted}");
        let (folder, server) = server();
        let index = open(options(&folder.path().join("store"), &server.folder), &clock());
        assert_eq!(asked(&index, wanted).items, items, "{wanted}");
        assert_eq!(listings(&index), 1, "{wanted}");
    }
}
