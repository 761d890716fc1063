//! Answers that were wrong.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::hooked;
use crate::support::index::{Deadline, QueryOptions};
use crate::support::{self, HOUR_MS, Scene, clock, movies, open, options, path_of, requests};
use plexindex::error::Status;
use plexindex::model::Reason;
use plexindex::options::{Mapping, Options, Ttl};
use plexindex_standin::{Action, Fault, ItemSpec, Kind, LibrarySpec, Standin};

/// A server and an index over it whose second full listing was cut off after a few pages, after `key` was renamed.
fn half_listed(folder: &Path) -> (Standin, crate::support::index::Index, String, String) {
    let server = movies(300);
    let clock = clock();
    let small = Options {
        page_size: 20,
        retry_for: Duration::ZERO,
        ..options(&server, folder)
    };
    let index = open(small.clone(), &clock);
    let (path, key) = path_of(&server, 1, 3);
    let library = index.library("Movies").expect("a handle");
    library.match_path(path.as_bytes()).expect("an answer");
    server
        .change(|state| state.rename_file(key.parse().expect("a number"), &path, "/data/movies/new.mkv"))
        .expect("renamed");
    server.fault(Fault::new(Action::Drop).on(Kind::Listing).after(3).times(0));
    open(small, &clock)
        .refresh(&QueryOptions::default(), true)
        .expect_err("cut off");
    server.clear_faults();
    (server, index, path, key)
}

#[test]
fn large_batches_of_two_threads_at_once_are_all_found_afterwards() {
    let server = movies(3);
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(options(&server, folder.path()), &clock());
    let library = index.library("Movies").expect("a handle");
    let (path, key) = path_of(&server, 1, 2);
    library.match_path(path.as_bytes()).expect("an answer");
    let name = |round: u32, thread: u32, nth: u32| format!("/host/{round}/{thread}/{nth}.mkv");
    for round in 0..6 {
        // One of them compacts, and the other one finds it at it.
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let (library, key) = (&library, &key);
                scope.spawn(move || {
                    let paths: Vec<String> = (0..1_100).map(|nth| name(round, thread, nth)).collect();
                    let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (path.as_bytes(), &key[..])).collect();
                    library.record_matches(&pairs).expect("recorded");
                });
            }
        });
        for (thread, nth) in [(0, 0), (0, 1_099), (1, 0), (1, 1_099)] {
            let path = name(round, thread, nth);
            let found = library.lookup_key(path.as_bytes(), |found| found == key);
            assert_eq!(found, Some(true), "{path}");
        }
    }
}

#[test]
fn a_moved_item_is_confirmed_beside_a_listing_that_was_cut_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, index, path, _) = half_listed(folder.path());
    let library = index.library("Movies").expect("a handle");
    library.invalidate_path(path.as_bytes()).expect("invalidated");
    let old = library.match_path(path.as_bytes()).expect("an answer");
    assert_eq!(old.status, Status::NotFound, "{old:?}");
    assert!(library.lookup_key(path.as_bytes(), |_| ()).is_none());
    let new = library.match_path(b"/data/movies/new.mkv").expect("an answer");
    assert_eq!(new.status, Status::Ok, "{}", new.message);
    // And still so when the listing is finished.
    index.refresh(&QueryOptions::default(), true).expect("listed");
    assert_eq!(
        library.match_path(b"/data/movies/new.mkv").expect("an answer").status,
        Status::Ok
    );
    assert_eq!(index.stats().expect("statistics").items, 300);
}

#[test]
fn a_removed_item_stays_away_when_its_segment_is_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, index, path, key) = half_listed(folder.path());
    let library = index.library("Movies").expect("a handle");
    server
        .change(|state| state.remove_items(&[key.parse().expect("a number")], false))
        .expect("removed");
    library.invalidate_item(&key).expect("invalidated");
    assert_eq!(
        library.match_path(path.as_bytes()).expect("an answer").status,
        Status::NotFound
    );
    for entry in std::fs::read_dir(folder.path()).expect("a folder").flatten() {
        if entry.file_name().to_string_lossy().contains(".segment") {
            std::fs::remove_file(entry.path()).expect("removed");
        }
    }
    let other = open(options(&server, folder.path()), &clock());
    let library = other.library("Movies").expect("a handle");
    let offline = QueryOptions {
        offline: true,
        ..library.query()
    };
    for path in [path.as_str(), "/data/movies/new.mkv"] {
        assert_eq!(
            other.match_path(&offline, path.as_bytes()).expect("an answer").status,
            Status::NotFound
        );
    }
}

#[test]
fn an_item_that_came_after_one_went_is_found_by_guid_and_title() {
    let item = |n: u64| {
        let mut item = ItemSpec::file(&format!("Film {n}"), &format!("/data/movies/{n}.mkv")).key(9000 + n);
        item.guid = Some(format!("plex://movie/{n:024}"));
        item
    };
    let at = Scene::of(
        Standin::builder()
            .library(LibrarySpec::movies(10).plain().title("Movies"))
            .items(1, [item(1), item(2)])
            .start()
            .expect("starts"),
    );
    let index = at.open();
    let all = QueryOptions::default();
    let by_guid = |n: u64| {
        index
            .match_guid(&all, &format!("plex://movie/{n:024}"))
            .expect("an answer")
            .status
    };
    let by_title = |n: u64| {
        index
            .search_title(&all, &format!("film {n}"))
            .expect("an answer")
            .status
    };
    assert_eq!((by_guid(2), by_title(2)), (Status::Ok, Status::Ok));
    at.server
        .change(|state| state.remove_items(&[9002], true))
        .expect("removed");
    index.refresh(&all, true).expect("listed");
    at.server
        .change(|state| state.add_items(1, vec![item(3)], true))
        .expect("added");
    index.refresh(&all, true).expect("listed");
    assert_eq!((by_guid(3), by_title(3)), (Status::Ok, Status::Ok));
    assert_eq!((by_guid(2), by_title(2)), (Status::NotFound, Status::NotFound));
}

/// Words are for when no library has the title, however many films with them come first.
#[test]
fn a_title_of_one_library_wins_over_its_words_in_the_titles_of_others() {
    let film = |title: &str| ItemSpec::file(title, &format!("/data/films/{title}.mkv"));
    let crowd: Vec<String> = (0..20).map(|n| format!("Found {n}")).collect();
    for (titles, shows_first) in [
        (crowd, false),
        (vec!["Lost - Found".to_owned()], false),
        (vec!["Lost - Found".to_owned()], true),
    ] {
        let (films, shows) = if shows_first { (2, 1) } else { (1, 2) };
        let mut libraries = [
            LibrarySpec::movies(0).title("Films").locations(["/data/films"]),
            LibrarySpec::shows(0).title("Shows").locations(["/data/shows"]),
        ];
        if shows_first {
            libraries.reverse();
        }
        let [first, second] = libraries;
        let episode = ItemSpec::episode("Found", 1, 1, "Pilot", "/data/shows/Found/S01E01.mkv").key(9001);
        let at = Scene::of(
            Standin::builder()
                .library(first.plain())
                .library(second.plain())
                .items(films, titles.iter().map(|title| film(title)))
                .items(shows, [episode])
                .start()
                .expect("starts"),
        );
        let index = at.open();
        let all = QueryOptions::default();
        let found = index.search_title(&all, "Found").expect("an answer");
        assert_eq!((found.status, found.total), (Status::Ok, 1), "{}", found.message);
        assert_eq!(found.item.expect("an item").item.rating_key, "9001");
        // And words still give what they gave, where no library has the title.
        at.server
            .change(|state| state.remove_items(&[9001], false))
            .expect("removed");
        index.refresh(&all, true).expect("listed");
        let found = index.search_title(&all, "Found").expect("an answer");
        assert_eq!(
            (found.total, found.candidates.len()),
            (titles.len(), titles.len().min(16))
        );
        assert!(
            found.message.starts_with("no item has the title 'Found'"),
            "{}",
            found.message
        );
    }
}

#[test]
fn a_recorded_match_verifies_its_path_and_item_in_all_processes() {
    let at = Scene::movies(20);
    let (_index, library) = at.opened();
    let (path, key) = path_of(&at.server, 1, 1);
    library.match_path(path.as_bytes()).expect("an answer");
    library.invalidate_item(&key).expect("invalidated");
    library.invalidate_path(b"/H/B.mkv").expect("invalidated");
    library
        .record_matches(&[(b"/h/a.mkv", key.as_str()), (b"/h/b.mkv", "1005")])
        .expect("recorded");
    let other = at.open();
    for library in [&library, &other.library("Movies").expect("a handle")] {
        assert_eq!(
            library.lookup_key(b"/h/a.mkv", str::to_owned).as_deref(),
            Some(key.as_str())
        );
        assert_eq!(library.lookup_key(b"/h/b.mkv", str::to_owned).as_deref(), Some("1005"));
    }
}

#[test]
fn two_listings_of_an_empty_disk_must_lie_a_minute_apart() {
    let at = Scene::movies(100);
    let (_index, library) = at.opened();
    let (path, _) = path_of(&at.server, 1, 1);
    library.match_path(path.as_bytes()).expect("an answer");
    library.invalidate().expect("invalidated");
    at.server.change(|state| state.empty_library(1)).expect("emptied");
    at.server.reset();
    for _ in 0..3 {
        let old = library.match_path(path.as_bytes()).expect("an answer");
        assert_eq!((old.status, old.stale), (Status::Ok, true));
    }
    assert_eq!(requests(&at.server)[2], 1, "one listing is enough for a minute");
    at.clock.advance_ms(61_000);
    assert_eq!(
        library.match_path(path.as_bytes()).expect("an answer").status,
        Status::NotFound
    );
}

#[test]
fn short_pages_without_a_total_are_not_the_end() {
    let server = movies(2_500);
    server.config(|config| {
        config.omit_total_size = true;
        config.max_page = Some(700);
    });
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(options(&server, folder.path()), &clock());
    let library = index.library("Movies").expect("a handle");
    let (path, _) = path_of(&server, 1, 2_400);
    assert_eq!(
        library.match_path(path.as_bytes()).expect("an answer").status,
        Status::Ok
    );
    assert_eq!(index.stats().expect("statistics").items, 2_500);
}

#[test]
fn a_batch_shares_its_deadline_and_a_hanging_server_is_late_not_wrong() {
    let at = Scene::movies(300);
    let (index, library) = at.opened();
    at.server.fault(Fault::new(Action::Delay { ms: 60_000 }).times(0));
    let hurried = QueryOptions {
        deadline: Deadline::In(Duration::from_millis(100)),
        ..library.query()
    };
    let late = index.match_path(&hurried, b"/data/movies/x.mkv").expect("an answer");
    assert_eq!((late.status, late.reason), (Status::NeedsWarm, Reason::NotFetched));
    let folder = index.ask_folder(&hurried, b"/data/movies").expect("an answer");
    assert_eq!(folder.answer.reason, Some(Reason::NotFetched));
    at.server.clear_faults();
    index.libraries_json(&QueryOptions::default()).expect("libraries");
    at.server
        .fault(Fault::new(Action::Delay { ms: 60_000 }).on(Kind::Listing).times(0));
    let paths: Vec<String> = (0..50).map(|n| format!("/data/movies/{n}.mkv")).collect();
    let paths: Vec<&[u8]> = paths.iter().map(String::as_bytes).collect();
    let begun = Instant::now();
    let mut answers = 0;
    index
        .match_paths_with(&hurried, &paths, |_| answers += 1)
        .expect("answers");
    assert_eq!(answers, 50);
    // 50 deadlines would be five seconds; one is a tenth of one.
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn max_age_counts_from_the_listing_whatever_the_ttl() {
    let at = Scene::movies(20).with(|options| options.library_ttl = Ttl::For(Duration::from_secs(20 * 3600)));
    let (_index, library) = at.opened();
    let (path, _) = path_of(&at.server, 1, 1);
    library.match_path(path.as_bytes()).expect("an answer");
    at.server.reset();
    at.clock.advance_ms(23 * HOUR_MS);
    library.match_path(path.as_bytes()).expect("an answer");
    assert_eq!(requests(&at.server)[2], 0);
    at.clock.advance_ms(HOUR_MS);
    library.match_path(path.as_bytes()).expect("an answer");
    assert_eq!(requests(&at.server)[2], 1);
}

#[test]
fn hosts_with_other_rules_do_not_take_each_others_segments_away() {
    let server = movies(200);
    let folder = tempfile::tempdir().expect("a folder");
    let clock = clock();
    let ruled = Options {
        mappings: vec![Mapping::server_to_host("/data", "/mnt")],
        ..options(&server, folder.path())
    };
    let (path, key) = path_of(&server, 1, 1);
    let host = path.replacen("/data", "/mnt", 1);
    let (one, two) = (open(options(&server, folder.path()), &clock), open(ruled, &clock));
    let (one, two) = (
        one.library("Movies").expect("a handle"),
        two.library("Movies").expect("a handle"),
    );
    one.match_path(path.as_bytes()).expect("an answer");
    two.match_path(host.as_bytes()).expect("an answer");
    let files = || std::fs::read_dir(folder.path()).expect("a folder").count();
    let before = files();
    for _ in 0..5 {
        assert_eq!(
            one.lookup_key(path.as_bytes(), str::to_owned).as_deref(),
            Some(key.as_str())
        );
        assert_eq!(
            two.lookup_key(host.as_bytes(), str::to_owned).as_deref(),
            Some(key.as_str())
        );
        assert_eq!(one.match_path(path.as_bytes()).expect("an answer").status, Status::Ok);
        assert_eq!(two.match_path(host.as_bytes()).expect("an answer").status, Status::Ok);
    }
    assert_eq!(files(), before);
}

/// Two movies whose GUIDs and titles are known.
fn two_films() -> Standin {
    let item = |n: u64| {
        let mut item = ItemSpec::file(&format!("Film {n}"), &format!("/data/movies/{n}.mkv")).key(9000 + n);
        item.guid = Some(format!("plex://movie/{n:024}"));
        item
    };
    Standin::builder()
        .library(LibrarySpec::movies(10).plain().title("Movies"))
        .items(1, [item(1), item(2)])
        .start()
        .expect("starts")
}

#[test]
fn the_guid_of_a_season_or_album_gives_what_is_below_it_and_says_whose_it_is() {
    for (library, words) in [
        (LibrarySpec::shows(80), ["season", "show"]),
        (LibrarySpec::music(100), ["album", "artist"]),
    ] {
        let server = Standin::builder().library(library.plain()).start().expect("starts");
        let folder = tempfile::tempdir().expect("a folder");
        let index = open(options(&server, folder.path()), &clock());
        let library = index.library("1").expect("a handle");
        index.refresh(&library.query(), false).expect("listed");
        let (_, item) = index.items(&library, 0, 1).expect("read").remove(0);
        let below = [
            (item.season_guid, item.season_rating_key),
            (item.show_guid, item.show_rating_key),
        ];
        for ((guid, rating_key), word) in below.iter().zip(words) {
            let found = index.match_guid(&library.query(), guid).expect("an answer");
            assert_eq!(found.status, Status::Ambiguous, "{guid}");
            let message = found.message.as_str();
            assert!(message.contains(&format!("belongs to the {word} '")), "{message}");
            assert!(
                message.contains(&format!(", /library/metadata/{rating_key}: it has ")),
                "{message}"
            );
            assert_eq!(message.contains("of which 16 are given"), found.total > 16, "{message}");
            assert_eq!(found.candidates.len(), found.total.min(16));
        }
    }
}

#[test]
fn an_invalidated_item_is_not_answered_by_guid_or_title_before_it_is_confirmed() {
    let server = two_films();
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(options(&server, folder.path()), &clock());
    let library = index.library("Movies").expect("a handle");
    let (guid, title) = ("plex://movie/000000000000000000000001", "film 1");
    let ask = |offline: bool| {
        let question = QueryOptions {
            offline,
            ..library.query()
        };
        [
            index.match_guid(&question, guid).expect("an answer"),
            index.search_title(&question, title).expect("an answer"),
        ]
    };
    assert!(ask(false).iter().all(|found| found.status == Status::Ok));
    for by_path in [false, true] {
        if by_path {
            library.invalidate_path(b"/data/movies/1.mkv").expect("invalidated");
        } else {
            library.invalidate_item("9001").expect("invalidated");
        }
        for unsure in ask(true) {
            assert_eq!((unsure.status, unsure.reason), (Status::NotFound, Reason::Unconfirmed));
            assert!(unsure.message.contains("invalidated"), "{}", unsure.message);
        }
        // One request confirms it, for both questions.
        server.reset();
        for found in ask(false) {
            assert_eq!(found.status, Status::Ok, "{}", found.message);
        }
        assert_eq!(requests(&server), [0, 0, 0, 0, 1, 1]);
        assert!(ask(true).iter().all(|found| found.status == Status::Ok));
    }
    // The other item is not concerned; and what the server does not have is answered no more.
    library.invalidate_item("9001").expect("invalidated");
    server
        .change(|state| state.remove_items(&[9001], false))
        .expect("removed");
    for gone in ask(false) {
        assert_eq!(gone.status, Status::NotFound, "{gone:?}");
    }
    assert_eq!(
        index
            .search_title(&library.query(), "film 2")
            .expect("an answer")
            .status,
        Status::Ok
    );
}

#[test]
fn of_two_items_on_one_path_each_may_be_invalidated() {
    let shared = "/data/movies/both.mkv";
    for invalidated in [9001_u64, 9002] {
        let at = Scene::of(
            Standin::builder()
                .library(LibrarySpec::movies(10).plain().title("Movies"))
                .items(
                    1,
                    [9001, 9002].map(|key| ItemSpec::file(&format!("Film {key}"), shared).key(key)),
                )
                .start()
                .expect("starts"),
        );
        let (index, library) = at.opened();
        let ask = |offline: bool| {
            let question = QueryOptions {
                offline,
                ..library.query()
            };
            index.match_path(&question, shared.as_bytes()).expect("an answer")
        };
        assert_eq!(ask(false).status, Status::Ambiguous);
        library.invalidate_item(&invalidated.to_string()).expect("invalidated");
        let unsure = ask(true);
        assert_eq!(
            (unsure.status, unsure.reason),
            (Status::NotFound, Reason::Unconfirmed),
            "{invalidated}"
        );
        at.server.reset();
        assert_eq!(ask(false).status, Status::Ambiguous);
        assert_eq!(requests(&at.server)[4], 1, "{invalidated}");
        library.invalidate_path(shared.as_bytes()).expect("invalidated");
        at.server
            .change(|state| state.remove_items(&[invalidated], false))
            .expect("removed");
        let left = ask(false);
        assert_eq!(left.status, Status::Ok, "{invalidated}: {}", left.message);
        assert_ne!(left.item.expect("an item").item.rating_key, invalidated.to_string());
    }
}

#[test]
fn a_path_with_two_slashes_is_invalidated_in_one_write() {
    let server = movies(20);
    let (path, key) = path_of(&server, 1, 3);
    let (folder, name) = path.rsplit_once('/').expect("a path");
    let untidy = format!("{folder}//./{name}");
    let [plain, double] = [&path, &untidy].map(|given| {
        let folder = tempfile::tempdir().expect("a folder");
        let index = open(options(&server, folder.path()), &clock());
        let library = index.library("Movies").expect("a handle");
        for path in [&path, &untidy] {
            library.match_path(path.as_bytes()).expect("an answer");
            let taught = [(path.as_bytes(), key.as_str())];
            library.record_matches(&taught).expect("recorded");
        }
        library.invalidate_path(given.as_bytes()).expect("invalidated");
        let offline = QueryOptions {
            offline: true,
            ..library.query()
        };
        let found = index.match_path(&offline, given.as_bytes()).expect("an answer");
        assert_eq!(found.reason, Reason::Unconfirmed, "{given}: {found:?}");
        let found = index.match_path(&offline, path.as_bytes()).expect("an answer");
        assert_eq!(found.reason, Reason::Unconfirmed, "{given}, asked as {path}: {found:?}");
        index.close().expect("closes");
        let database = rusqlite::Connection::open(folder.path().join("plexindex-1.db")).expect("opened");
        let sequence: i64 = database
            .query_row(
                "SELECT max(store.sequence, max(changes.sequence)) FROM store, changes",
                [],
                |row| row.get(0),
            )
            .expect("a store");
        // The rest is the store's own.
        sequence & 0xffff_ffff
    });
    assert_eq!(double, plain, "one commit each");
}

/// What asks for an item learns that it is in another library now: it was merged into the one that it had left.
#[test]
fn an_item_that_went_to_another_library_is_answered_there() {
    let library = |title: &str| {
        LibrarySpec::movies(0)
            .plain()
            .title(title)
            .locations([format!("/data/{title}")])
    };
    let server = Standin::builder()
        .library(library("Films"))
        .library(library("Classics"))
        .items(
            1,
            [1, 2].map(|n| ItemSpec::file(&format!("Film {n}"), &format!("/data/Films/{n}.mkv")).key(9000 + n)),
        )
        .items(2, [ItemSpec::file("Film 3", "/data/Classics/3.mkv").key(9003)])
        .start()
        .expect("starts");
    for refreshed in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let index = open(options(&server, folder.path()), &clock());
        let [films, classics] = ["Films", "Classics"].map(|title| index.library(title).expect("a handle"));
        index.refresh(&QueryOptions::default(), true).expect("listed");
        films.record_matches(&[(b"/host/1.mkv", "9001")]).expect("recorded");
        let (from, to) = if refreshed { (2, 1) } else { (1, 2) };
        let (was, is) = if refreshed {
            (&classics, &films)
        } else {
            (&films, &classics)
        };
        let path = if refreshed {
            "/data/Films/1.mkv"
        } else {
            "/data/Classics/1.mkv"
        };
        server
            .change(|state| {
                state.remove_items(&[9001], false)?;
                state.add_items(to, vec![ItemSpec::file("Film 1", path).key(9001)], false)
            })
            .expect("moved");
        was.invalidate_item("9001").expect("invalidated");
        server.reset();
        if refreshed {
            index.refresh(&QueryOptions::default(), false).expect("refreshed");
        } else {
            let old = films.match_path(b"/data/Films/1.mkv").expect("an answer");
            assert_eq!(old.status, Status::NotFound, "{from}: {old:?}");
        }
        assert_eq!(requests(&server)[4], 1);
        let offline = |library: &crate::support::index::Library| {
            let question = QueryOptions {
                offline: true,
                ..library.query()
            };
            index.search_title(&question, "film 1").expect("an answer").status
        };
        assert_eq!((offline(was), offline(is)), (Status::NotFound, Status::Ok), "{from}");
        let found = index.match_path(&is.query(), path.as_bytes()).expect("an answer");
        assert_eq!(found.status, Status::Ok);
        if !refreshed {
            let recorded = films.lookup_key(b"/host/1.mkv", str::to_owned);
            assert_eq!(recorded, None, "what was recorded in a library goes with the item");
        }
    }
}

/// What is invalidated while an item is asked for is newer than the answer may be: it stays invalidated.
#[test]
fn what_is_invalidated_during_a_verification_stays_so() {
    let server = two_films();
    let folder = tempfile::tempdir().expect("a folder");
    let other = open(options(&server, folder.path()), &clock());
    let path = b"/data/movies/1.mkv";
    for (by_path, gone) in [(false, false), (true, false), (false, true)] {
        let invalidate = move |index: &crate::support::index::Index| {
            let library = index.library("Movies").expect("a handle");
            if by_path {
                library.invalidate_path(path).expect("invalidated");
            } else {
                library.invalidate_item("9001").expect("invalidated");
            }
        };
        let again = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let hook: hooked::Hook = {
            let (again, index) = (again.clone(), open(options(&server, folder.path()), &clock()));
            std::sync::Arc::new(move |asked, _| {
                if asked == "items" && again.swap(false, std::sync::atomic::Ordering::Relaxed) {
                    invalidate(&index);
                }
            })
        };
        let index = hooked::open(options(&server, folder.path()), &clock(), hook);
        index.refresh(&QueryOptions::default(), false).expect("refreshed");
        let library = index.library("Movies").expect("a handle");
        assert_eq!(library.match_path(path).expect("an answer").status, Status::Ok);
        invalidate(&index);
        if gone {
            server
                .change(|state| state.remove_items(&[9001], false))
                .expect("removed");
        }
        again.store(true, std::sync::atomic::Ordering::Relaxed);
        index.refresh(&QueryOptions::default(), false).expect("refreshed");
        let offline = QueryOptions {
            offline: true,
            ..library.query()
        };
        let status = |index: &crate::support::index::Index| index.match_path(&offline, path).expect("an answer").status;
        assert_eq!(
            (status(&index), status(&other)),
            (Status::NotFound, Status::NotFound),
            "{by_path}"
        );
        // The next refresh asks once more.
        server.reset();
        index.refresh(&QueryOptions::default(), false).expect("refreshed");
        assert_eq!(requests(&server)[4], 1, "{by_path}");
        assert_eq!(status(&index) == Status::Ok, !gone);
    }
}

/// A host invalidates a path as it calls it. A refresh asked for the items of paths as the server calls them only.
#[test]
fn a_refresh_verifies_what_was_invalidated_by_its_path_on_the_host() {
    let server = two_films();
    for mapping in [
        Mapping::host_to_server("/mnt", "/data/movies"),
        Mapping::server_to_host("/data/movies", "/mnt"),
    ] {
        let kind = mapping.kind;
        let folder = tempfile::tempdir().expect("a folder");
        let with = Options {
            mappings: vec![mapping],
            ..options(&server, folder.path())
        };
        let index = open(with, &clock());
        let library = index.library("Movies").expect("a handle");
        assert_eq!(library.match_path(b"/mnt/1.mkv").expect("an answer").status, Status::Ok);
        library.invalidate_path(b"/mnt/1.mkv").expect("invalidated");
        server.reset();
        index.refresh(&QueryOptions::default(), false).expect("refreshed");
        assert_eq!(requests(&server)[4], 1, "{kind}");
        index.refresh(&QueryOptions::default(), false).expect("refreshed");
        assert_eq!(requests(&server)[4], 1, "{kind}: nothing is left");
        let offline = QueryOptions {
            offline: true,
            ..library.query()
        };
        for path in ["/mnt/1.mkv", "/data/movies/1.mkv"] {
            let found = index.match_path(&offline, path.as_bytes()).expect("an answer");
            assert_eq!(found.status, Status::Ok, "{kind}: {path}");
        }
        // The folder that it lies in, by either name, asks for it too.
        for (told, asked) in [
            ("/mnt/1.mkv", "/data/movies"),
            ("/data/movies/1.mkv", "/mnt"),
            ("/mnt/1.mkv", "/mnt"),
        ] {
            library.invalidate_path(told.as_bytes()).expect("invalidated");
            server.reset();
            index.ask_folder(&library.query(), asked.as_bytes()).expect("an answer");
            assert_eq!(requests(&server)[4], 1, "{kind}: {told}, {asked}");
        }
    }
}

/// Each page of an iteration found what others had written since the page before: it went on as long as they did.
#[test]
fn an_iteration_of_changes_ends_with_what_was_there_when_it_began() {
    let at = Scene::movies(10);
    let (index, library) = at.listed();
    let all = QueryOptions::default();
    let mut token = index.changes(&all, "", false, 1).expect("a cursor").cursor;
    let come = |name: &str| {
        let path = format!("/data/movies/{name}.mkv");
        support::add(&at.server, std::slice::from_ref(&path));
        assert_eq!(
            library.match_path(path.as_bytes()).expect("an answer").status,
            Status::Ok
        );
    };
    for first in ["a", "b", "c"] {
        at.clock.advance_ms(31_000);
        come(first);
    }
    for (round, expected) in [(0, 3), (1, 3), (2, 0)] {
        let mut heard = 0;
        loop {
            let page = index.changes(&all, &token, false, 1).expect("a page");
            heard += page.changes.len();
            token = page.cursor;
            assert!(heard <= expected, "{round}");
            if round == 0 && !page.changes.is_empty() {
                at.clock.advance_ms(31_000);
                come(&format!("more {heard}"));
            }
            if !page.more {
                break;
            }
        }
        assert_eq!(heard, expected, "{round}");
    }
}

/// Paths that need no request, in a number that takes longer than a tenth of a second.
fn many_paths() -> Vec<String> {
    (0..200_000).map(|number| format!("/nowhere/{number}.mkv")).collect()
}

#[test]
fn a_batch_of_stored_answers_ends_with_its_deadline() {
    let at = Scene::movies(30);
    let (index, library) = at.listed();
    let paths = many_paths();
    let paths: Vec<&[u8]> = paths.iter().map(String::as_bytes).collect();
    let ask = |time, paths: &[&[u8]]| {
        let query = QueryOptions {
            deadline: Deadline::In(time),
            ..library.query()
        };
        let mut statuses = Vec::new();
        let answered = index.match_paths_with(&query, paths, |answer| statuses.push(answer.status));
        answered.expect("answers");
        statuses
    };
    let statuses = ask(Duration::from_millis(100), &paths);
    assert_eq!(statuses.len(), paths.len());
    assert_eq!(statuses.first(), Some(&Status::NotFound));
    assert_eq!(statuses.last(), Some(&Status::NotYet));
    // Without time for a request the store answers.
    assert_eq!(ask(Duration::ZERO, &paths[..2]), [Status::NotFound; 2]);
}

#[test]
fn a_batch_of_stored_answers_can_be_stopped() {
    let at = Scene::movies(30);
    let (index, library) = at.listed();
    let paths = many_paths();
    let paths: Vec<&[u8]> = paths.iter().map(String::as_bytes).collect();
    let query = QueryOptions {
        progress: Some(&|_| false),
        ..library.query()
    };
    let error = index.match_paths_with(&query, &paths, |_| ()).expect_err("stopped");
    assert_eq!(error.status, Status::Aborted);
}

#[test]
fn a_miss_beside_a_server_without_libraries_does_not_say_that_it_was_not_asked() {
    let server = Standin::builder().start().expect("the stand-in starts");
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(options(&server, folder.path()), &clock());
    let missed = index
        .match_path(&QueryOptions::default(), b"/data/movies/a.mkv")
        .expect("an answer");
    let folder = index.match_folder("/data/movies").expect("an answer");
    for message in [missed.message, folder.answer.message.unwrap_or_default()] {
        assert!(message.contains("whether the token's user may see any"), "{message}");
    }
}
