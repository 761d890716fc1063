//! What the simulation found, each as a history of its own.

use std::sync::Arc;

use crate::support::index::{Index, ManualClock, Match, QueryOptions};
use plexindex::error::Status;
use plexindex::options::{Options, Ttl};
use plexindex::source::Delta;

use crate::net::{Net, URLS};
use plexindex_tests::memory::{Fault, Knobs, Memory, Token};

const HOUR_MS: i64 = 3_600_000;

/// A server with one library of films, and an index of it.
struct Scene {
    memory: Memory,
    section: String,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    options: Options,
}

impl Scene {
    fn new(knobs: Knobs, films: usize) -> Self {
        let memory = Memory::new(knobs);
        let section = memory.add_library("Films", "/srv/films");
        for number in 0..films {
            memory.add(&section, &format!("Film {number}"), &path(number));
        }
        memory.catch_up();
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            options: Options {
                cache_dir: folder.path().to_owned(),
                server_url: Some("http://memory".to_owned()),
                user: Some("user".to_owned()),
                ..Options::default()
            },
            memory,
            section,
            clock: Arc::new(ManualClock::new(4_000_000_000_000)),
            folder,
        }
    }

    fn open(&self) -> Index {
        Index::open_with(self.options.clone(), Arc::clone(&self.clock) as _, |_, _, counters| {
            Ok(self.memory.source(counters))
        })
        .expect("the index opens")
    }

    fn listed(&self) -> Index {
        let index = self.open();
        index.list();
        index
    }
}

fn path(number: usize) -> String {
    format!("/srv/films/Film {number}.mkv")
}

#[test]
fn at_once_an_answer_by_guid_or_title_is_not_stale() {
    let mut scene = Scene::new(Knobs::USUAL, 5);
    scene.options.library_ttl = Ttl::Zero;
    let index = scene.listed();
    let query = QueryOptions::default();
    let film = scene.memory.items(&scene.section).swap_remove(2);
    let by_guid = index.match_guid(&query, &film.guid).expect("an answer");
    assert_eq!((by_guid.status, by_guid.stale), (Status::Ok, false));
    let by_title = index.search_title(&query, &film.title).expect("an answer");
    assert_eq!((by_title.status, by_title.stale), (Status::Ok, false));
    let offline = query.offline();
    let found = index.match_guid(&offline, &film.guid).expect("an answer");
    assert!(found.stale, "nothing was asked");
}

#[test]
fn what_a_delta_leaves_out_is_listed_where_the_token_is_exact() {
    let mut knobs = Knobs::BEST;
    knobs.abilities.changes = Delta::Mostly;
    let scene = Scene::new(knobs, 5);
    let index = scene.listed();
    let films = index.library("Films").expect("a handle");
    let key = scene.memory.items(&scene.section)[2].rating_key.clone();
    // No delta of this server tells of it. A path that is missing leads to a probe soon after the listing.
    scene.memory.rename(&scene.section, &key, "/srv/films/New.mkv");
    let missing = films.ask("/srv/films/Nowhere.mkv");
    assert_eq!(missing.status, Status::NotFound);
    scene.clock.advance_ms(30 * HOUR_MS);
    let found = films.ask(path(2));
    assert_eq!((found.status, found.stale), (Status::NotFound, false), "{found:?}");
}

#[test]
fn an_item_that_a_path_search_brings_is_verified_in_every_handle() {
    let mut knobs = Knobs::USUAL;
    knobs.abilities.items = false;
    let scene = Scene::new(knobs, 5);
    let index = scene.listed();
    let key = scene.memory.items(&scene.section)[2].rating_key.clone();
    let films = index.library("Films").expect("a handle");
    films.invalidate_item(&key).expect("invalidated");
    // The search brings the item that was invalidated, as the server has it now. A listing fails.
    scene.memory.rename(&scene.section, &key, "/srv/films/New.mkv");
    scene.memory.take_requests();
    scene.memory.fail(Some(Fault::DownAfterPages(0)));
    scene.clock.advance_ms(60_000);
    let asked = films.ask("/srv/films/New.mkv");
    let fresh = scene.open();
    let answers = [&index, &fresh].map(|index| {
        let films = index.library("Films").expect("a handle");
        let offline = films.query().offline();
        let found = index.ask(&offline, "/srv/films/New.mkv");
        let key = films.fast("/srv/films/New.mkv");
        (found.status, found.match_kind, found.confidence, found.reason, key)
    });
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].4, Some(key));
    assert_eq!(asked.status, Status::Ok, "{asked:?}");
}

#[test]
fn candidates_that_are_alike_come_by_key_in_every_handle() {
    let scene = Scene::new(Knobs::USUAL, 8);
    for number in 0..8 {
        scene
            .memory
            .add(&scene.section, &format!("Copy {number}"), &path(number));
    }
    let index = scene.listed();
    let files = std::fs::read_dir(scene.folder.path()).expect("the folder").flatten();
    let segments = files.filter(|file| file.file_name().to_string_lossy().starts_with("plexindex-1-l"));
    let removed = segments.map(|file| std::fs::remove_file(file.path()).expect("removed"));
    assert_eq!(removed.count(), 1, "the segment is made anew");
    let anew = scene.open();
    for number in 0..8 {
        let [listed, built] = [&index, &anew].map(|index| {
            let found = index.ask(&QueryOptions::default(), path(number));
            assert_eq!(found.status, Status::Ambiguous);
            let keys = found.candidates.into_iter().map(|one| one.item.rating_key);
            keys.collect::<Vec<_>>()
        });
        assert!(
            listed.is_sorted() && listed == built,
            "{listed:?}, and {built:?} from a segment that was built anew"
        );
    }
}

#[test]
fn what_was_listed_of_one_server_is_not_answered_of_another_without_uuids() {
    // Both have a section of the same id, whose token is the same.
    let server = |name: &str| {
        let memory = Memory::new(Knobs::USUAL);
        let section = memory.add_library("Films", "/srv/films");
        for number in 0..5 {
            memory.add(
                &section,
                &format!("Film {number}"),
                &format!("/srv/films/{name} {number}.mkv"),
            );
        }
        memory
    };
    let servers = ["One", "Unused", "Other", "Unused"].map(server).to_vec();
    let net = Net::new(4_000_000_000_000, servers, true);
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        cache_dir: folder.path().to_owned(),
        server_url: Some("http://memory".to_owned()),
        user: Some("user".to_owned()),
        ..Options::default()
    };
    let index = Index::open_with(options, Arc::clone(&net) as _, |_, _, counters| {
        Ok(net.source(0, 0, &counters))
    });
    let index = index.expect("the index opens");
    index.list();
    let films = index.library("Films").expect("a handle");
    let status = |path: &str| films.ask(path).status;
    assert_eq!(status("/srv/films/One 2.mkv"), Status::Ok);
    net.swap(0);
    assert_eq!(net.route(0), URLS);
    net.advance(2 * HOUR_MS);
    assert_eq!(status("/srv/films/One 2.mkv"), Status::NotFound);
    assert_eq!(films.fast("/srv/films/One 2.mkv"), None);
    assert_eq!(status("/srv/films/Other 2.mkv"), Status::Ok);
}

#[test]
fn a_request_for_the_libraries_that_failed_is_no_answer() {
    let scene = Scene::new(Knobs::USUAL, 5);
    let index = scene.listed();
    index.clear().expect("cleared");
    scene.memory.fail(Some(Fault::Down));
    let films = index.library("Films").expect("a handle");
    films.match_path(path(2).as_bytes()).expect_err("the server is down");
    scene.memory.fail(None);
    scene.clock.advance_ms(20_000);
    let films = scene.open().library("Films").expect("a handle");
    let found = films.ask(path(2));
    assert_eq!(found.status, Status::Ok, "{found:?}");
}

#[test]
fn after_each_clear_the_libraries_are_asked_for() {
    let scene = Scene::new(Knobs::USUAL, 5);
    let index = scene.listed();
    let films = index.library("Films").expect("a handle");
    for _ in 0..2 {
        index.clear().expect("cleared");
        let found = films.ask(path(2));
        assert_eq!(found.status, Status::Ok, "{found:?}");
    }
}

#[test]
fn an_answer_is_as_old_as_the_check_that_makes_it_fresh() {
    let scene = Scene::new(Knobs::USUAL, 5);
    let ahead = scene.listed();
    let theirs = Scene {
        clock: Arc::new(ManualClock::new(4_000_000_000_000 - 2 * HOUR_MS)),
        ..scene
    };
    let index = theirs.open();
    let ask = |index: &Index, number: usize| {
        let films = index.library("Films").expect("a handle");
        films.ask(path(number))
    };
    for number in 0..3 {
        for index in [&index, &ahead] {
            let found = ask(index, number);
            let age = found.age_ms.expect("an age");
            assert!(found.stale || age < HOUR_MS, "{found:?}");
        }
        theirs.clock.advance_ms(HOUR_MS / 2);
    }
}

#[test]
fn an_invalidated_item_is_verified_after_the_listing_was_lost() {
    for batch in [false, true] {
        let mut knobs = Knobs::USUAL;
        knobs.token = Token::Lying;
        (knobs.abilities.items, knobs.abilities.find) = (false, false);
        let scene = Scene::new(knobs, 8);
        let index = scene.listed();
        let key = scene.memory.items(&scene.section)[2].rating_key.clone();
        let files = std::fs::read_dir(scene.folder.path()).expect("the folder").flatten();
        let segments = files.filter(|file| file.file_name().to_string_lossy().starts_with("plexindex-1-l"));
        segments.for_each(|file| std::fs::remove_file(file.path()).expect("removed"));
        let films = index.library("Films").expect("a handle");
        let query = films.query();
        scene.memory.update(&scene.section, &key, "New");
        films.invalidate_item(&key).expect("invalidated");
        let paths = [path(0), path(2)];
        let titles = |found: &Match| found.item.as_ref().map(|item| item.item.title.clone());
        let title = if batch {
            let mut answers = Vec::new();
            let raw = paths.each_ref().map(String::as_bytes);
            index
                .match_paths_with(&query, &raw, |answer| answers.push(Match::from(answer)))
                .expect("answers");
            titles(&answers[1])
        } else {
            titles(&index.ask(&query, &paths[1]))
        };
        assert_eq!(title.as_deref(), Some("New"), "in a batch: {batch}");
    }
}
