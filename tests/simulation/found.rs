//! What the simulation found, each as a history of its own.

use std::sync::Arc;

use crate::support::index::{Ask as _, Index};
use plexindex::error::Status;
use plexindex::options::Ttl;

use crate::net::{Net, URLS};
use plexindex_tests::NOW_MS;
use plexindex_tests::memory::{Fault, Films, Memory, Token, film};

const HOUR_MS: i64 = 3_600_000;

#[test]
fn at_once_an_answer_by_guid_or_title_is_not_stale() {
    let mut scene = Films::new(Token::Coarse, 5);
    scene.options.library_ttl = Ttl::Zero;
    let index = scene.listed();
    let query = index.query();
    let film = scene.memory.items(&scene.section).swap_remove(2);
    let by_guid = query.guid(&film.guid);
    assert_eq!((by_guid.status, by_guid.stale), (Status::Ok, false));
    let by_title = query.title(&film.title);
    assert_eq!((by_title.status, by_title.stale), (Status::Ok, false));
    let offline = query.offline();
    let found = offline.guid(&film.guid);
    assert!(found.stale, "nothing was asked");
}

#[test]
fn candidates_that_are_alike_come_by_key_in_every_handle() {
    let scene = Films::new(Token::Coarse, 8);
    for number in 0..8 {
        scene.memory.add(&scene.section, "Copy", &film(number));
    }
    let index = scene.listed();
    let files = std::fs::read_dir(scene.folder()).expect("the folder").flatten();
    let segments = files.filter(|file| file.file_name().to_string_lossy().starts_with("plexindex-1-l"));
    let removed = segments.map(|file| std::fs::remove_file(file.path()).expect("removed"));
    assert_eq!(removed.count(), 1, "the segment is made anew");
    let anew = scene.open();
    for number in 0..8 {
        let [listed, built] = [&index, &anew].map(|index| {
            let found = index.query().answer(film(number));
            assert_eq!(found.status, Status::Ambiguous);
            let keys = found.candidates.into_iter().map(|one| one.rating_key);
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
    let servers = [(0, "One"), (1, "Unused"), (2, "Other"), (3, "Unused")].map(|(number, name)| {
        let memory = Memory::numbered(number, Token::Coarse, false);
        let section = memory.add_library("Films", "/srv/films");
        memory.add(&section, "A film", &format!("/srv/films/{name} 2.mkv"));
        memory
    });
    let net = Net::new(NOW_MS, servers.to_vec());
    let at = Films::new(Token::Coarse, 0);
    let index = Index::open_with(at.options.clone(), Arc::clone(&net) as _, |_, _, counters| {
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
    let scene = Films::new(Token::Coarse, 5);
    let index = scene.listed();
    index.clear().expect("cleared");
    scene.memory.fail(Some(Fault::Down));
    let films = index.library("Movies").expect("a handle");
    films.query().matched(film(2)).expect_err("the server is down");
    scene.memory.fail(None);
    scene.clock.advance_ms(20_000);
    let films = scene.open().library("Movies").expect("a handle");
    let found = films.ask(film(2));
    assert_eq!(found.status, Status::Ok, "{found:?}");
}

#[test]
fn after_each_clear_the_libraries_are_asked_for() {
    let scene = Films::new(Token::Coarse, 5);
    let index = scene.listed();
    let films = index.library("Movies").expect("a handle");
    for _ in 0..2 {
        index.clear().expect("cleared");
        let found = films.ask(film(2));
        assert_eq!(found.status, Status::Ok, "{found:?}");
    }
}
