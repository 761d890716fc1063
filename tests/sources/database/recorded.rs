//! The two recorded states of a real server, and what its HTTP API said of the same items.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::support::index::Ask as _;
use plexindex::error::Status;
use plexindex::model::{Item, ItemType};
use plexindex::source::database::PlexDatabase;
use plexindex::source::plex::PlexHttp;
use plexindex::source::{Bounds, Source};
use plexindex_standin::{Action, Fault, LibrarySpec, Standin};

use crate::database::{library, list, open, options};
use crate::support::clock;
use crate::support::plex_database::Server;

/// The titles of the recorded libraries.
const TITLES: [&str; 4] = ["Movies", "TV Shows", "Photos", "Music"];

fn recorded(month: &str) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::recorded(&folder.path().join("Plex Media Server"), month);
    (folder, server)
}

#[test]
fn libraries_are_as_the_server_shows_them() {
    let (_folder, server) = recorded("2023-05");
    let libraries = PlexDatabase::new(&server.folder).libraries(Bounds::NONE).expect("read");
    let shown = libraries.iter().map(|one| {
        let folders = one.locations.join(" ");
        format!("{} {} {} {:?} {folders}", one.section, one.uuid, one.title, one.kind)
    });
    assert_eq!(
        shown.collect::<Vec<String>>(),
        [
            "1 cebcb7e3-5031-436b-906a-3640d878ba2c Movies Movie /data/Movies",
            "2 95c0f894-3716-41c8-9f70-38e344a93019 TV Shows Show /data/TV-Shows",
            "3 f173bb82-a89d-44ba-87d8-b818c62ba54d Photos Photo /data/Photos",
            "5 6248e967-8d45-4957-ba5e-ca85df9104b9 Music Artist /data/Music",
        ]
    );
}

/// What a recorded reply and the database say of the same item. The replies are of 2022, the databases of 2023: what the server
/// changed in between (agents, two titles, three files) is named here, and nothing else may differ.
#[test]
fn items_are_as_the_recorded_replies_have_them() {
    let http = Standin::builder().library(LibrarySpec::movies(0));
    let http = http.library(LibrarySpec::shows(0)).serve();
    for (section, body) in [
        (
            "/sections/1/",
            include_str!("../../standin/fixtures/movie_library.json"),
        ),
        ("/sections/2/", include_str!("../../standin/fixtures/tv_episodes.json")),
    ] {
        let mut reply = Fault::new(Action::body("application/json", body));
        reply.contains = Some(section.into());
        http.fault(reply.times(0));
    }
    let over_http = PlexHttp::new(
        &plexindex::options::Options {
            server_url: Some(http.url()),
            token: plexindex::model::Token::new(&http.token()),
            ..plexindex::options::Options::default()
        },
        "client-of-the-tests",
        Arc::default(),
    )
    .expect("a client");
    let (_folder, server) = recorded("2023-04");
    let database = PlexDatabase::new(&server.folder);
    let mut compared = 0;
    for (title, kind) in [("Movies", ItemType::Movie), ("TV Shows", ItemType::Episode)] {
        let ours = by_key(list(&database, &library(&database, title)));
        for theirs in list(&over_http, &library(&over_http, title)) {
            let mut ours = ours[&theirs.rating_key].clone();
            let key = theirs.rating_key.as_str();
            assert!(ours.guid.starts_with("plex://"), "{key}");
            assert!(theirs.guid.starts_with("com.plexapp.agents."), "{key}");
            // The new agent's ids came with it.
            ours.guid.clone_from(&theirs.guid);
            ours.show_guid.clone_from(&theirs.show_guid);
            ours.season_guid.clone_from(&theirs.season_guid);
            ours.guids.clear();
            match key {
                "55" => {
                    // Stacked files in their order.
                    let film = "/data/Movies/Big Buck Bunny (2008)";
                    assert_eq!(ours.parts, [1, 2].map(|nth| format!("{film} - part{nth}.mkv")));
                    ours.parts.clone_from(&theirs.parts);
                }
                "56" => {
                    // Two versions.
                    let film = "/data/Movies/Elephants Dream (2006)";
                    assert_eq!(ours.parts, ["mkv", "mp4"].map(|end| format!("{film}.{end}")));
                    ours.parts.truncate(1);
                }
                "108" => {
                    assert_eq!(ours.title, "Interstate 60: Episodes of the Road");
                    assert_eq!(ours.year, 2003);
                    (ours.title, ours.year) = (theirs.title.clone(), theirs.year);
                }
                // Other files of the same episodes.
                "90" | "91" | "92" => {
                    let begin = b"/data/TV-Shows/The 100/The.100.S01E0";
                    assert!(ours.parts[0].starts_with(begin), "{:?}", ours.parts);
                    ours.parts.clone_from(&theirs.parts);
                }
                _ => {}
            }
            assert_eq!(ours.kind, kind);
            // Of other files, whose resolution is the same.
            let form = |item: &Item| {
                let facts = item.facts.0.as_deref().expect("facts");
                let file = &facts.files[0];
                assert!(facts.sizes[0] > 0 && file.part_id > 0 && file.media_id > 0 && facts.added_at > 0);
                (file.resolution.clone(), file.is_optimized)
            };
            assert_eq!(form(&ours), form(&theirs));
            ours.facts.clone_from(&theirs.facts);
            assert_eq!(ours, theirs);
            compared += 1;
        }
    }
    assert_eq!(compared, 7, "4 films, 3 episodes");
}

fn by_key(items: Vec<Item>) -> BTreeMap<String, Item> {
    items.into_iter().map(|item| (item.rating_key.clone(), item)).collect()
}

#[test]
fn external_ids_and_what_is_above_an_item_come_along() {
    let (_folder, server) = recorded("2023-05");
    let database = PlexDatabase::new(&server.folder);
    let shows = by_key(list(&database, &library(&database, "TV Shows")));
    let pilot = &shows["70"];
    assert_eq!(pilot.title, "Winter Is Coming");
    assert_eq!([pilot.season, pilot.episode], [1, 1]);
    assert_eq!([&*pilot.show_title, &*pilot.show_rating_key], ["Game of Thrones", "68"]);
    assert_eq!(pilot.show_guid, "plex://show/5d9c086c46115600200aa2fe");
    assert_eq!([&*pilot.season_title, &*pilot.season_rating_key], ["Season 1", "69"]);
    assert_eq!(pilot.season_guid, "plex://season/602e67d31d3358002c411c39");
    assert!(pilot.guids.contains(&"imdb://tt1480055".to_owned()), "{pilot:?}");
    let series = database.shows(&library(&database, "TV Shows"), Bounds::NONE);
    let series = by_key(series.expect("read").expect("told"));
    assert_eq!(series["68"].guid, pilot.show_guid);
    assert!(series["68"].guids.contains(&"tvdb://121361".to_owned()), "{series:?}");
    let keys: BTreeSet<&str> = shows.values().map(|episode| &*episode.show_rating_key).collect();
    assert_eq!(series.keys().map(String::as_str).collect::<BTreeSet<_>>(), keys);
    let music = by_key(list(&database, &library(&database, "Music")));
    let song = &music["149"];
    assert_eq!(song.kind, ItemType::Track);
    assert_eq!([&*song.title, &*song.show_title], ["Marmalade", "System of a Down"]);
    assert_eq!([song.season, song.episode], [1, 2]);
    assert_eq!([&*song.season_title, &*song.season_rating_key], ["Toxicity", "147"]);
    assert_eq!(song.season_guid, "plex://album/5d07c199403c64029085adfb");
    let photos = list(&database, &library(&database, "Photos"));
    assert_eq!(photos.len(), 9);
    assert!(photos.iter().all(|photo| photo.kind == ItemType::Photo
        && photo.parts.len() == 1
        && (photo.season, photo.episode) == (-1, -1)));
    // Trailers, which belong to no library and have no file, are not among them.
    let all = TITLES.map(|title| list(&database, &library(&database, title)).len());
    let all: usize = all.iter().sum();
    assert_eq!(all, 5 + 38 + 9 + 9);
}

/// Every path of a library, and the key that answers it.
fn answers(index: &crate::support::index::Index, paths: &BTreeSet<String>) -> BTreeMap<String, String> {
    let query = index.query();
    let key = |path: &String| {
        let found = query.answer(path);
        let exact = matches!(found.match_kind, plexindex::model::MatchKind::Exact);
        let item = found.item.filter(|_| found.status == Status::Ok && exact)?;
        Some((path.clone(), item.rating_key))
    };
    paths.iter().filter_map(key).collect()
}

fn truth(server: &Server) -> BTreeMap<String, String> {
    let database = PlexDatabase::new(&server.folder);
    let items = TITLES
        .iter()
        .flat_map(|title| list(&database, &library(&database, title)));
    let keyed = |item: Item| {
        let (parts, key) = (item.parts.into_iter(), item.rating_key);
        parts.map(move |part| (part.to_string(), key.clone()))
    };
    items.flat_map(keyed).collect()
}

/// One after the other: exactly what came, went and moved, whether the file is another one or the same.
#[test]
fn the_second_state_follows_the_first() {
    for same_file in [true, false] {
        let (folder, server) = recorded("2023-04");
        let before = truth(&server);
        let (_other, later) = recorded("2023-05");
        let after = truth(&later);
        assert_eq!((before.len(), after.len()), (62, 63));
        let paths: BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
        let index = open(options(&folder.path().join("store"), &server.folder), &clock());
        index.list();
        assert_eq!(answers(&index, &paths), before);
        let listings = || index.counts().listings;
        assert_eq!(listings(), 4);
        if same_file {
            server.become_state("2023-05");
        } else {
            server.replace("2023-05");
        }
        assert_eq!(answers(&index, &paths), after);
        let came: Vec<&String> = after.keys().filter(|path| !before.contains_key(*path)).collect();
        assert_eq!(came, ["/data/Movies/Batman (1989).mkv"]);
        // Of another file nothing is known by its counters.
        assert_eq!(listings(), if same_file { 4 } else { 8 });
        // A backup that was restored: counters went back.
        if same_file {
            server.become_state("2023-04");
        } else {
            server.replace("2023-04");
        }
        assert_eq!(answers(&index, &paths), before);
        assert_eq!(index.counts().requests.iter().sum::<u64>(), 0);
    }
}
