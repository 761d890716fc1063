//! Requests for single paths.

use super::*;

#[test]
fn an_unfetched_library_answers_a_hurried_caller_in_two_requests() {
    let at = Scene::movies(3_000);
    let (path, key) = path_of(&at.server, 1, 2_222);
    for round in 0..2 {
        // The second process finds the answer of the first.
        let index = at.open();
        let library = index.movies();
        let found = hurried(&library).answer(&path);
        assert_eq!(found.status, Status::Ok, "{}", found.message);
        assert_eq!(found.match_kind, MatchKind::Exact, "{}", found.message);
        assert_eq!(found.key(), Some(key.clone()));
        assert_eq!(requests(&at.server), [1, 1, 0, 1, 0, 3], "round {round}");
        assert_eq!(library.fast(&path), Some(key.clone()));
    }
    // Later it is asked again; a listing is then right as a whole.
    at.clock.advance_ms(HOUR_MS);
    let (index, library) = at.opened();
    hurried(&library).answer(path);
    assert_eq!(requests(&at.server)[3], 2);
    library.query().refreshed(false).expect("listed");
    assert_eq!(requests(&at.server)[0], 1);
    let [ours, theirs] = both(&library, &at.server);
    assert!(ours == theirs);
    assert_eq!(index.counts().items, 3_000);
}

#[test]
fn after_some_questions_an_unfetched_library_is_listed() {
    let (at, _index, library) = Scene::movies(2_900).and_opened();
    for nth in 0..20 {
        let (path, _) = path_of(&at.server, 1, nth * 100);
        let found = hurried(&library).answer(path);
        assert_eq!(found.status, Status::Ok, "{}", found.message);
    }
    let asked = requests(&at.server);
    assert_eq!(asked[2], 3, "{asked:?}: three questions, then three pages");
    assert_eq!(asked[3], 3, "{asked:?}: three questions, then three pages");
}

#[test]
fn many_calls_for_the_same_unfetched_path_at_once_ask_once() {
    let at = Scene::movies(3_000);
    let (path, key) = path_of(&at.server, 1, 2_222);
    let indexes: Vec<Index> = (0..4).map(|_| at.open()).collect();
    at.server.fault(Fault::delay(50).on(Kind::Search).times(0));
    std::thread::scope(|scope| {
        for index in &indexes {
            for _ in 0..4 {
                scope.spawn(|| {
                    let library = index.movies();
                    let found = hurried(&library).answer(&path);
                    assert_eq!(found.key(), Some(key.clone()));
                });
            }
        }
    });
    assert_eq!(requests(&at.server), [1, 1, 0, 1, 0, 3]);
}

#[test]
fn a_server_that_knows_no_file_names_is_asked_for_the_title() {
    let nothing = Action::body("application/json", r#"{"MediaContainer":{"size":0,"totalSize":0}}"#);
    for filter in [None, Some(Action::ignore(&["file"])), Some(nothing)] {
        let at = Scene::movies(3_000);
        if let Some(filter) = filter.clone() {
            at.server.fault(Fault::new(filter).with("file=").times(0));
        }
        let path = "/data/movies/Winter Is Here (2020).mkv";
        let new = vec![movie("Winter Is Here", path)];
        at.server.alter(|state| state.add_items(1, new, true));
        let (_index, library) = at.opened();
        let found = hurried(&library).answer(path);
        assert_eq!(found.status, Status::Ok, "{filter:?}: {}", found.message);
        assert_eq!(found.match_kind, MatchKind::Exact, "{filter:?}: {}", found.message);
        assert_eq!(requests(&at.server)[2], 0, "{filter:?}: no listing");
    }
}

#[test]
fn questions_of_a_clock_that_was_ahead_spend_none_of_todays() {
    let at = Scene::movies(3_000);
    at.clock.advance_ms(10 * HOUR_MS);
    let (_index, library) = at.opened();
    for nth in 0..4 {
        if nth == 3 {
            at.clock.advance_ms(-10 * HOUR_MS);
        }
        let (path, _) = path_of(&at.server, 1, nth * 100);
        hurried(&library).answer(path);
    }
    let asked = requests(&at.server);
    assert_eq!((asked[2], asked[3]), (0, 4), "{asked:?}");
}
