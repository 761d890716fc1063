//! What the simulation found, each as a history of its own.

use std::path::Path;
use std::sync::Arc;

use crate::support::index::{Index, ManualClock, QueryOptions};
use plexindex::error::Status;
use plexindex::options::{Options, Ttl};

use crate::net::{Net, URLS};
use plexindex_tests::memory::{Fault, Memory, Token};

const HOUR_MS: i64 = 3_600_000;

/// A server with one library of films, and an index of it.
struct Scene {
    memory: Memory,
    section: String,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    options: Options,
}

/// A server with these films, and the section that has them.
fn server(name: &str, films: usize) -> (Memory, String) {
    let memory = Memory::new(Token::Coarse);
    let section = memory.add_library("Films", "/srv/films");
    for number in 0..films {
        let path = format!("/srv/films/{name} {number}.mkv");
        memory.add(&section, &format!("Film {number}"), &path);
    }
    (memory, section)
}

fn options(folder: &Path) -> Options {
    Options {
        cache_dir: folder.to_owned(),
        server_url: Some("http://memory".to_owned()),
        user: Some("user".to_owned()),
        ..Options::default()
    }
}

impl Scene {
    fn new(films: usize) -> Self {
        let (memory, section) = server("Film", films);
        memory.catch_up();
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            options: options(folder.path()),
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
    let mut scene = Scene::new(5);
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
fn candidates_that_are_alike_come_by_key_in_every_handle() {
    let scene = Scene::new(8);
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
    let servers = ["One", "Unused", "Other", "Unused"].map(|name| server(name, 5).0);
    let net = Net::new(4_000_000_000_000, servers.to_vec(), true);
    let folder = tempfile::tempdir().expect("a folder");
    let index = Index::open_with(options(folder.path()), Arc::clone(&net) as _, |_, _, counters| {
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
    let scene = Scene::new(5);
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
    let scene = Scene::new(5);
    let index = scene.listed();
    let films = index.library("Films").expect("a handle");
    for _ in 0..2 {
        index.clear().expect("cleared");
        let found = films.ask(path(2));
        assert_eq!(found.status, Status::Ok, "{found:?}");
    }
}
