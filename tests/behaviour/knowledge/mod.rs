//! What is known makes answers right, or marks them: an older reply never wins, and a mark ends only with a newer reply
//! about the same thing. First the nine faults that led to this rule, then more of their kind (`more`).

mod attacks;
mod more;
mod schedules;

use std::sync::Arc;
use std::time::Duration;

use crate::support::hooked::interrupted;
use crate::support::index::{Ask as _, DebounceIntervals, Index, Library, Match, Query};
use crate::support::worker::{PATIENCE, until};
use crate::support::{Scene, add, films, movie, offline, path_of, remove, requests};
use plexindex::Item;
use plexindex::error::Status;
use plexindex::model::{Confidence, Reason};
use plexindex::options::Ttl;
use plexindex_standin::{Action, Fault, Kind, LibrarySpec, MediaSpec, Standin};

/// What an answer says: status, rating key, confidence, reason, and whether it is stale.
type Facts = (Status, Option<String>, Confidence, Reason, bool);

fn facts(answer: &Match) -> Facts {
    let Match {
        status,
        confidence,
        reason,
        stale,
        ..
    } = *answer;
    (status, answer.key(), confidence, reason, stale)
}

/// The facts about a listed file.
fn found(key: &str) -> Facts {
    (Status::Ok, Some(key.to_owned()), Confidence::High, Reason::None, false)
}

/// The same, if they may be out of date.
fn old(key: &str) -> Facts {
    (Status::Ok, Some(key.to_owned()), Confidence::High, Reason::None, true)
}

/// The facts about a file that the server does not list.
const MISSED: Facts = (Status::NotFound, None, Confidence::None, Reason::NotListed, false);

/// Whether the answer is this item's, or says that it may be wrong.
fn is_right_or_marked(answer: &Match, key: &str) -> bool {
    facts(answer) == found(key) || answer.stale
}

/// Whether the answer is no item, or says that it may be wrong.
fn is_missed_or_marked(answer: &Match) -> bool {
    answer.key().is_none() || answer.stale
}

/// Removes all films but ten. Returns the others: rating keys and files.
fn keep_ten(server: &Standin) -> Vec<(u64, Option<String>)> {
    let gone = server.paths(1).split_off(10);
    remove(server, &gone.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    gone
}

fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').expect("a folder").0
}

/// The answer of each kind of query about a film: its path, alone and in a batch, its folder, its GUID and its title.
fn ask_all(query: &Query<'_>, file: &str, item: &Item) -> [(&'static str, Match); 5] {
    let folder = query.match_folder(folder_of(file)).expect("an answer");
    [
        ("path", query.answer(file)),
        ("batch", query.ask_batch(&[file]).remove(0)),
        ("folder", folder.answer.into()),
        ("guid", query.guid(item.guid.as_ref().expect("a GUID"))),
        ("title", query.title(item.title.as_ref().expect("a title"))),
    ]
}

/// Whether the index says that the library is up to date.
fn is_fresh(index: &Index) -> bool {
    let libraries = index.query().offline().libraries();
    libraries.expect("the libraries").iter().all(|library| library.fresh)
}

/// Gives an item one file. `tells`: the times of the item and of the library move.
fn give_file(server: &Standin, key: &str, file: &str, tells: bool) {
    let (key, files) = (number(key), vec![MediaSpec::File(file.to_owned())]);
    server.alter(|state| state.set_files(key, files, tells, tells));
}

/// An event that says that the server has deleted a film.
fn deletion(key: &str) -> String {
    format!(r#"{{"TimelineEntry":{{"sectionID":1,"itemID":{key},"type":1,"state":9}}}}"#)
}

fn number(key: &str) -> u64 {
    key.parse().expect("a number")
}

/// A path that no film has yet.
fn elsewhere(title: &str) -> String {
    format!("/data/movies/{title} (2020)/{title} (2020).mkv")
}

/// So many films in a scene that neither retries nor hurries.
fn patient(items: u32) -> Scene {
    Scene::movies(items).with(|options| {
        options.retry_for = Duration::ZERO;
        options.stale_answer_timeout = PATIENCE;
    })
}

/// An event about a library is for all paths in it: a question about another library does not use it up.
#[test]
fn an_event_outlives_a_question_about_another_library() {
    let (file, other) = (elsewhere("P"), "/data/B/Q/Q.mkv");
    let movies = LibrarySpec::movies(20).plain();
    for asks in [None, Some(false), Some(true)] {
        let server = Standin::builder().library(movies.clone()).library(films("B"));
        let (at, index, library) = Scene::of(server.serve()).and_listed();
        // The hint of an event follows after ten minutes, as it does in a long scan.
        let late = DebounceIntervals {
            quiet_ms: 600_000,
            max_delay_ms: 600_000,
            ..DebounceIntervals::default()
        };
        index.watch_start(late).expect("watches");
        until("it listens", || at.server.listeners() == 1);
        until("it connected", || !is_fresh(&index));
        index.query().refreshed(false).expect("fresh");
        assert_eq!(facts(&library.ask(&file)), MISSED);
        at.clock.advance_ms(2_000);
        let foreign = at.open();
        let sequence = || foreign.counts().sequence;
        let before = sequence();
        assert_eq!(sequence(), before, "nothing else is stored");
        add(&at.server, &[&file]);
        until("the event is stored", || sequence() > before);
        if let Some(is_foreign) = asks {
            let asked = if is_foreign { &foreign } else { &index };
            let answer = asked.library("B").expect("a handle").ask(other);
            assert_eq!(facts(&answer), MISSED);
        }
        let key = at.server.paths(1)[20].0.to_string();
        assert_eq!(facts(&library.ask(&file)), found(&key), "{asks:?}");
        index.watch_stop();
    }
}

/// A check says what the answers say.
#[test]
fn a_check_returns_whether_answers_are_fresh() {
    let check = |index: &Index| {
        let checked = index.query().checked().expect("checked");
        (checked == Status::Ok, is_fresh(index))
    };
    // Most films are gone for a moment.
    let (at, index, _) = Scene::movies(100).and_listed();
    let gone = keep_ten(&at.server);
    let first = check(&index);
    let back = gone
        .iter()
        .map(|(key, file)| movie("Back", file.as_deref().expect("a file")).key(*key));
    at.server.alter(|state| state.add_items(1, back.collect(), true));
    let second = check(&index);
    at.clock.advance_ms(61_000);
    assert_eq!(check(&index), (true, true));
    // Two films swap their files, and only the library's counter moves.
    let (at, index, _) = Scene::movies(4_100).and_listed();
    let [one, other] = [1_000, 3_000].map(|nth| path_of(&at.server, 1, nth));
    for (file, key) in [(&one.0, &other.1), (&other.0, &one.1)] {
        let files = vec![MediaSpec::File(file.clone())];
        at.server
            .alter(|state| state.set_files(number(key), files, false, true));
    }
    let swapped = check(&index);
    // A film gets another file while the library is listed.
    let at = Arc::new(Scene::movies(20));
    let changes = {
        let at = Arc::clone(&at);
        move || give_file(&at.server, &path_of(&at.server, 1, 3).1, &elsewhere("Other"), true)
    };
    let index = interrupted(&at, "page", changes);
    let listed = index.query().refreshed(true).expect("listed") == Status::Ok;
    assert_eq!(listed, is_fresh(&index));
    let answers = [first, second, swapped];
    assert_eq!(
        answers,
        [(false, false); 3],
        "5: the check says otherwise (check, fresh)"
    );
}

/// How paths are asked about.
type Asks = fn(&Library, &[String]) -> Vec<Match>;

const ASKS: [(&str, Asks); 4] = [
    ("match", |library, files| {
        files.iter().map(|file| library.ask(file)).collect()
    }),
    ("check", |library, files| {
        let query = library.query().always_ask();
        files.iter().map(|file| query.answer(file)).collect()
    }),
    ("invalidated", |library, files| {
        let ask = |file: &String| {
            library.invalidate_path(file).expect("invalidated");
            library.ask(file)
        };
        files.iter().map(ask).collect()
    }),
    ("batch", |library, files| library.query().ask_batch(files)),
];

/// Plex renames files, and no token moves. The first one that a search finds shows that the listing is old.
#[test]
fn a_listing_that_a_search_proved_old_denies_no_path() {
    for (how, asks) in ASKS {
        let (at, _index, library) = Scene::movies(60).and_listed();
        let films: Vec<(String, String)> = (0..60).map(|nth| path_of(&at.server, 1, nth)).collect();
        let new: Vec<String> = (0..60).map(|nth| elsewhere(&format!("New {nth}"))).collect();
        for ((file, key), new) in films.iter().zip(&new) {
            at.server.alter(|state| state.rename_file(number(key), file, new));
        }
        assert_eq!(facts(&library.ask(&new[0])), found(&films[0].1));
        let answers = asks(&library, &new[1..]);
        let is_denied = |(answer, (_, key)): &(&Match, &(String, String))| !is_right_or_marked(answer, key);
        let denied = answers.iter().zip(&films[1..]).filter(is_denied).count();
        let answers = films.iter().map(|(file, _)| offline(&library).answer(file));
        let outdated = answers.filter(|answer| !is_missed_or_marked(answer)).count();
        assert_eq!((denied, outdated), (0, 0), "{how}: new ones denied, old ones found");
    }
}

/// A host records a match for an item that the server has, and no listing has yet.
#[test]
fn a_match_for_an_item_that_is_not_listed_yet_is_found() {
    const FILE: &str = "/x/film.mkv";
    type Brings = fn(&Scene, &Library, u64) -> u64;
    let ways: [(&str, Brings); 3] = [
        ("new", |at, _, _| {
            add(&at.server, &["/data/movies/new.mkv"]);
            at.server.paths(1)[20].0
        }),
        ("from another library", |at, _, _| {
            let (key, _) = at.server.paths(2)[0];
            remove(&at.server, &[key]);
            let moved = movie("Moved", "/data/movies/moved.mkv").key(key);
            at.server.alter(|state| state.add_items(1, vec![moved], true));
            key
        }),
        ("back after a 404", |at, library, key| {
            let file = at.server.paths(1)[3].1.clone().expect("a file");
            remove(&at.server, &[key]);
            library.invalidate_item(&key.to_string()).expect("invalidated");
            assert_eq!(library.ask(&file).key(), None);
            at.server
                .alter(|state| state.add_items(1, vec![movie("Back", &file).key(key)], true));
            key
        }),
    ];
    for (way, brings) in ways {
        let builder = Standin::builder().library(LibrarySpec::movies(20).plain());
        let (at, _index, library) = Scene::of(
            builder
                .library(films("B"))
                .items(2, [movie("Moves", "/data/B/moves.mkv")])
                .serve(),
        )
        .and_listed();
        let key = brings(&at, &library, at.server.paths(1)[3].0).to_string();
        library.record(FILE, &key);
        at.server.reset();
        let offline = offline(&library).answer(FILE);
        let online = facts(&library.ask(FILE));
        let asked = requests(&at.server);
        assert!(offline.stale, "{way}: {:?}", facts(&offline));
        assert_eq!((online, asked), (found(&key), [0, 0, 0, 0, 1, 1]), "{way}");
        assert_eq!(library.fast(FILE), Some(key), "{way}");
    }
}

/// The host invalidates an item, and then records a path of it: about this path, the record is the later word.
#[test]
fn a_match_that_was_recorded_after_an_invalidation_is_found_at_once() {
    const FILE: &str = "/x/film.mkv";
    let (at, _index, library) = Scene::movies(20).and_listed();
    let other = at.open().movies();
    let (listed, key) = path_of(&at.server, 1, 3);
    library.invalidate_item(&key).expect("invalidated");
    library.record(FILE, &key);
    at.server.reset();
    for library in [&library, &other] {
        assert_eq!(library.fast(FILE), Some(key.clone()));
        assert_eq!(library.fast(&listed), None, "by other paths, the item is doubted");
        assert_eq!(facts(&library.ask(FILE)), found(&key));
    }
    assert_eq!(requests(&at.server), [0; 6]);
    assert_eq!(facts(&library.ask(&listed)), found(&key));
    assert_eq!(requests(&at.server), [0, 0, 0, 0, 1, 1]);
    library.invalidate_item(&key).expect("invalidated");
    assert_eq!([&library, &other].map(|library| library.fast(FILE)), [None, None]);
}

/// Plex updates more rows than a page has during the first listing of a library.
#[test]
fn a_delta_after_the_first_listing_reads_all_updates() {
    let at = Arc::new(Scene::movies(300));
    let all: Vec<_> = (0..300).map(|nth| path_of(&at.server, 1, nth)).collect();
    let updates = {
        let (at, all) = (Arc::clone(&at), all.clone());
        move || {
            give_file(&at.server, &all[0].1, &elsewhere("Other"), true);
            let keys: Vec<u64> = all[50..170].iter().map(|(_, key)| number(key)).collect();
            at.server.alter(|state| state.touch(&keys, None));
            give_file(&at.server, &all[299].1, &elsewhere("Explains"), true);
        }
    };
    let index = interrupted(&at, "page", updates);
    let library = index.movies();
    library.query().refreshed(false).expect("listed");
    at.clock.advance_ms(61_000);
    library.query().refreshed(false).expect("fresh");
    let explained = facts(&offline(&library).answer(elsewhere("Explains")));
    assert_eq!(explained, found(&all[299].1), "the delta has the newest rows");
    let answer = offline(&library).answer(&all[0].0);
    assert!(
        is_missed_or_marked(&answer),
        "9: the delta ended too soon: {:?}",
        facts(&answer)
    );
}
