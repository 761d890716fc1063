//! Schedules in which an answer was wrong and unmarked, or a doubt was lost.

use super::*;

use plexindex_standin::Token as Admitted;

use crate::same_file::{film, films as only, mib};
use crate::support::HOUR_MS;
use crate::support::index::Selector;

/// The owner's token sees only these libraries, as if a disk's library was hidden for a moment.
fn show(server: &Standin, libraries: &[u32]) {
    let token = Admitted {
        libraries: Some(libraries.to_vec()),
        ..Admitted::owner(&server.token())
    };
    server.change(|state| state.tokens = vec![token]);
}

/// Twenty films, and another library, so that the list of libraries is never empty.
fn two_libraries() -> Scene {
    let movies = LibrarySpec::movies(20).plain();
    Scene::of(Standin::builder().library(movies).library(films("B")).serve()).with(|options| {
        options.retry_for = Duration::ZERO;
        options.stale_answer_timeout = PATIENCE;
    })
}

fn check(index: &Index) {
    index.query().checked().expect("checked");
}

fn freeze(server: &Standin) {
    server.alter(|state| {
        state.library_mut(1)?.is_content_frozen = true;
        Ok(())
    });
}

fn changed(key: &str) -> String {
    format!(r#"{{"TimelineEntry":{{"sectionID":1,"itemID":{key},"type":1,"state":5}}}}"#)
}

/// A library's folder moves, perhaps while the server does not list the library.
#[test]
fn a_library_that_moved_is_not_fresh() {
    for is_hidden in [false, true] {
        let (at, index, library) = two_libraries().and_listed();
        let (file, key) = path_of(&at.server, 1, 3);
        let new = file.replace("/data/movies/", "/data/films/");
        if is_hidden {
            show(&at.server, &[2]);
            check(&index);
        }
        at.server.alter(|state| {
            state.library_mut(1)?.locations[0].path = "/data/films".to_owned();
            state.rename_file(number(&key), &file, &new)
        });
        show(&at.server, &[1, 2]);
        check(&index);
        check(&index);
        let answers = [&file, &new].map(|file| offline(&library).answer(file));
        let is_right = facts(&answers[0]) != found(&key) && is_right_or_marked(&answers[1], &key);
        let facts = answers.map(|answer| facts(&answer));
        assert!(is_right, "{is_hidden}: the folder is known to have moved: {facts:?}");
    }
}

/// What is invalidated of a library that the server does not list for a moment counts when the library is back.
#[test]
fn an_invalidation_of_a_hidden_library_is_not_lost() {
    const FILE: &str = "/x/film.mkv";
    type Doubts = fn(&Index, &Library, &str) -> plexindex::error::Result<()>;
    let ways: [(&str, Doubts); 5] = [
        ("item", |_, library, key| library.invalidate_item(key)),
        ("item in all", |index, _, key| {
            index.select(Selector::All)?.invalidate_item(key)
        }),
        ("library", |_, library, _| library.invalidate()),
        ("path", |_, library, _| library.invalidate_path(FILE)),
        ("event", |index, _, key| index.notify(deletion(key)).map(drop)),
    ];
    for (way, doubts) in ways {
        let (at, index, library) = two_libraries().and_listed();
        freeze(&at.server);
        let (file, key) = path_of(&at.server, 1, 3);
        library.record(FILE, &key);
        show(&at.server, &[2]);
        check(&index);
        let said = doubts(&index, &library, &key);
        give_file(&at.server, &key, &elsewhere("Other"), false);
        show(&at.server, &[1, 2]);
        check(&index);
        check(&index);
        let offline = [file.as_str(), FILE].map(|file| facts(&offline(&library).answer(file)));
        let online = [file.as_str(), FILE].map(|file| facts(&library.ask(file)));
        let is_lost = if way == "path" {
            online[1] == found(&key)
        } else {
            online[0] == found(&key)
        };
        let is_acknowledged = said.is_ok();
        assert!(!is_acknowledged || !is_lost, "{way}: {offline:?}, {online:?}");
    }
}

/// An item that a search brought, in a library without a listing, does not outlive a probe or an event that tells of a
/// change.
#[test]
fn a_known_change_marks_the_result_of_an_earlier_search() {
    type Tells = fn(&Scene, &Index, &str, &str);
    let ways: [(&str, Tells); 3] = [
        ("probe", |at, index, _, key| {
            give_file(&at.server, key, &elsewhere("Other"), true);
            let other = index.library("B").expect("a handle");
            other.query().checked().expect("checked");
        }),
        ("event", |at, index, _, key| {
            give_file(&at.server, key, &elsewhere("Other"), true);
            index.notify(changed(key)).expect("an event");
        }),
        ("moved", |at, index, file, key| {
            at.server.alter(|state| {
                state.library_mut(1)?.locations.push(plexindex_standin::Location {
                    id: 99,
                    path: "/data/films".to_owned(),
                });
                state.library_mut(1)?.locations.remove(0);
                state.rename_file(number(key), file, &file.replace("/data/movies/", "/data/films/"))
            });
            let other = index.library("B").expect("a handle");
            other.query().checked().expect("checked");
        }),
    ];
    for (way, tells) in ways {
        let (at, index, library) = two_libraries().and_opened();
        let (file, key) = path_of(&at.server, 1, 3);
        let query = library.query().timeout(Duration::from_secs(20));
        assert_eq!(query.answer(&file).key(), Some(key.clone()));
        let is_listed = || {
            let libraries = library.query().offline().libraries().expect("libraries");
            libraries[0].generation.is_some()
        };
        assert!(!is_listed(), "{way}: a search was enough");
        tells(&at, &index, &file, &key);
        assert!(!is_listed(), "{way}: still");
        let answers = [facts(&offline(&library).answer(&file)), facts(&query.answer(&file))];
        assert!(
            !answers.contains(&found(&key)),
            "{way}: the change is known: {answers:?}"
        );
    }
}

/// The machine sleeps between a reply and its commit: the age of what a probe confirms, and of what a search finds, counts
/// from the request.
#[test]
fn a_reply_is_as_old_as_its_request() {
    for request in ["libraries", "hit"] {
        let at = Arc::new(patient(20));
        let (_index, library) = at.listed();
        let (mut file, mut key) = path_of(&at.server, 1, 3);
        if request == "hit" {
            freeze(&at.server);
            file = elsewhere("New");
            let new = vec![movie("New", &file)];
            key = at.server.alter(|state| state.add_items(1, new, false))[0].to_string();
        } else {
            at.clock.advance_ms(2 * HOUR_MS);
        }
        let sleeps = {
            let (at, key) = (Arc::clone(&at), key.clone());
            move || {
                give_file(&at.server, &key, &elsewhere("Other"), true);
                at.clock.advance_ms(5 * HOUR_MS);
            }
        };
        let answer = facts(&interrupted(&at, request, sleeps).movies().ask(&file));
        at.clock.advance_ms(HOUR_MS - 1_000);
        let later = facts(&offline(&library).answer(&file));
        assert!(
            answer != found(&key) && later != found(&key),
            "{request}: the reply is five hours old: {answer:?}, then six: {later:?}"
        );
    }
}

fn by_size(index: &Index, path: &str, size: u64) -> Facts {
    facts(&index.query().size(size).answer(path))
}

/// A probe that shows an unchanged hint is no search for a path in a library's folder.
#[test]
fn an_unsearched_path_in_a_library_is_not_certain_by_size() {
    const FILM: &str = "/data/movies/Quiet River (1999)/Quiet River.mkv";
    const COPY: &str = "/data/movies/Copies/Quiet River.mkv";
    for is_batch in [false, true] {
        let (at, index, _) = only([film(7, FILM, mib(700))]).and_listed();
        freeze(&at.server);
        at.server
            .alter(|state| state.add_items(1, vec![film(8, COPY, mib(700))], false));
        let other = "/data/movies/Other/Other.mkv";
        let answer = if is_batch {
            let query = index.query().size(mib(700));
            facts(&query.ask_batch(&[other, COPY])[1])
        } else {
            // Another path has had the search of this half minute.
            by_size(&index, other, mib(5));
            by_size(&index, COPY, mib(700))
        };
        let is_wrong = answer.1.as_deref() == Some("7") && answer.2 == Confidence::High && !answer.4;
        assert!(
            !is_wrong,
            "{is_batch}: the server lists the path for item 8: {answer:?}"
        );
    }
}

/// That an item exists does not show that a path which the host called wrong is its file, by the same size.
#[test]
fn a_path_that_was_called_wrong_is_not_certain_by_size() {
    const FILM: &str = "/data/movies/Quiet River (1999)/Quiet River.mkv";
    let (_at, index, library) = only([film(7, FILM, mib(700))]).and_listed();
    let path = "/mnt/other/Quiet River.mkv";
    let before = by_size(&index, path, mib(700));
    library.invalidate_path(path).expect("invalidated");
    let answers = [by_size(&index, path, mib(700)), by_size(&index, path, mib(700))];
    let is_certain = |answer: &Facts| answer.1.is_some() && answer.2 == Confidence::High && !answer.4;
    assert!(
        !answers.iter().any(is_certain),
        "no request has shown that the item has this file: {before:?}, then {answers:?}"
    );
}

/// One doubt about the library replaces very many about items, from one event or from several, and marks the same
/// answers.
#[test]
fn many_doubts_do_not_end_the_mark_of_a_match() {
    const FILE: &str = "/x/film.mkv";
    for counts in [vec![1], vec![300], vec![250; 36]] {
        let (at, index, library) = patient(20).and_listed();
        freeze(&at.server);
        let (_, key) = path_of(&at.server, 1, 3);
        library.record(FILE, &key);
        at.server.alter(|state| state.remove_items(&[number(&key)], false));
        let mut keys = (5_000_000..).map(|nth: u64| nth.to_string());
        let mut first = Some(key.clone());
        for count in &counts {
            let entry = |key: String| format!(r#"{{"sectionID":1,"itemID":{key},"type":1,"state":9}}"#);
            let deleted = first.take().into_iter().chain(keys.by_ref());
            let entries: Vec<String> = deleted.take(*count).map(entry).collect();
            let entries = entries.join(",");
            let event = format!(r#"{{"NotificationContainer":{{"type":"timeline","TimelineEntry":[{entries}]}}}}"#);
            index.notify(event).expect("events");
        }
        let offline = facts(&offline(&library).answer(FILE));
        assert!(offline.4, "{counts:?}: {offline:?}");
        assert_ne!(facts(&library.ask(FILE)), found(&key), "{counts:?}: it was deleted");
    }
}

/// A path is doubted also in a library without items, because a search may be on its way.
#[test]
fn an_invalidation_during_the_first_search_is_not_lost() {
    let at = Arc::new(two_libraries());
    let opened = at.opened();
    opened
        .0
        .library("B")
        .expect("a handle")
        .query()
        .checked()
        .expect("the libraries");
    let (file, key) = path_of(&at.server, 1, 3);
    let act = {
        let (at, file, key) = (Arc::clone(&at), file.clone(), key.clone());
        move || {
            freeze(&at.server);
            give_file(&at.server, &key, &elsewhere("Other"), false);
            opened.1.invalidate_path(&file).expect("invalidated");
        }
    };
    let index = interrupted(&at, "hit", act);
    let library = index.movies();
    let query = library.query().timeout(Duration::from_secs(20));
    let answers = [(); 2].map(|()| facts(&query.answer(&file)));
    assert!(
        !answers.contains(&found(&key)),
        "the path was called wrong after the request: {answers:?} {:?}",
        requests(&at.server)
    );
}

/// A record wins over what the server had said before it, also when the library is listed again.
#[test]
fn a_record_does_not_lose_against_an_older_page() {
    for during in [true, false] {
        let at = Arc::new(patient(20));
        let (index, library) = at.listed();
        let [(file, _), (_, other)] = [3, 4].map(|nth| path_of(&at.server, 1, nth));
        add(&at.server, &[elsewhere("Unrelated")]);
        let record = {
            let (library, file, other) = (at.open().movies(), file.clone(), other.clone());
            move || library.record(&file, &other)
        };
        if during {
            interrupted(&at, "page", record).list();
        } else {
            record();
            assert_eq!(facts(&library.ask(&file)).1, Some(other.clone()));
            at.list(&index);
        }
        // The record is newer than the page, or nothing has changed.
        assert_eq!(library.ask(&file).key(), Some(other), "during: {during}");
    }
}

/// A check that was made while the clock was ahead does not count as recent when the clock arrives there.
#[test]
fn a_check_from_the_future_does_not_become_recent() {
    const AHEAD_MS: i64 = 10 * HOUR_MS;
    let at = patient(20);
    at.clock.advance_ms(AHEAD_MS);
    let (_index, library) = at.listed();
    let (file, key) = path_of(&at.server, 1, 3);
    at.clock.advance_ms(-AHEAD_MS);
    give_file(&at.server, &key, &elsewhere("Other"), true);
    at.server.refuse();
    let corrected = facts(&library.ask(&file));
    assert_eq!(corrected, old(&key), "the age is unknown");
    at.clock.advance_ms(AHEAD_MS - 60_000);
    assert_eq!(facts(&library.ask(&file)), old(&key));
    at.clock.advance_ms(120_000);
    let answers = [facts(&library.ask(&file)), facts(&offline(&library).answer(&file))];
    assert!(
        !answers.contains(&found(&key)),
        "the server has been silent for ten hours: {answers:?}"
    );
}
