//! More schedules of the same kind: other queries, other handles, kills and events.

use super::*;

/// A change that was seen and not fetched, for every kind of query, any handle, and listings that never expire.
#[test]
fn a_change_that_was_not_fetched_marks_every_answer() {
    for ttl in [Ttl::For(Duration::from_secs(3_600)), Ttl::Forever] {
        let (at, index, library) = patient(20).with(|options| options.library_ttl = ttl).and_listed();
        let (file, key) = path_of(&at.server, 1, 3);
        let item = library.item(&key).expect("read").expect("an item");
        at.clock.advance_ms(600_000);
        give_file(&at.server, &key, &elsewhere("Other"), true);
        at.server.fault(Fault::new(Action::Drop).on(Kind::Listing).times(0));
        library.ask(elsewhere("Other"));
        at.clock.advance_ms(60_000);
        for index in [&index, &at.open()] {
            for (how, answer) in ask_all(&offline(&index.movies()), &file, &item) {
                assert_eq!(facts(&answer), old(&key), "{how}");
            }
            // What nobody has asked about may be new.
            let (library, missed) = (index.movies(), elsewhere("Unknown"));
            let missed = [
                ("missed path", offline(&library).answer(missed)),
                ("missed guid", offline(&library).guid("imdb://tt0000001")),
                ("missed title", offline(&library).title("Unknown")),
            ];
            for (how, answer) in missed {
                assert!(answer.stale, "{how}: {:?}", facts(&answer));
            }
        }
    }
}

/// A change that a question about another path has seen, and that was not fetched, is news about a missed path.
#[test]
fn a_change_that_was_not_fetched_marks_misses() {
    for is_killed in [false, true] {
        let (at, _index, library) = patient(20).and_listed();
        let file = elsewhere("P");
        let ask_folder = || {
            let found = library.query().match_folder(folder_of(&file));
            Match::from(found.expect("an answer").answer)
        };
        assert_eq!([facts(&library.ask(&file)), facts(&ask_folder())], [MISSED, MISSED]);
        at.clock.advance_ms(1_000);
        add(&at.server, &[&file]);
        if is_killed {
            at.server.fault(Fault::new(Action::Drop).on(Kind::Listing).times(0));
            let killed = interrupted(&at, "changes", || panic!("killed"));
            let ask = || killed.movies().ask(elsewhere("R"));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask)).expect_err("killed");
        } else {
            at.server.fault(Fault::status(503).on(Kind::Listing).times(0));
            assert!(library.ask(elsewhere("R")).stale);
        }
        at.server.clear_faults();
        at.clock.advance_ms(16_000);
        let key = at.server.paths(1)[20].0.to_string();
        for answer in [ask_folder(), library.ask(&file)] {
            assert!(is_right_or_marked(&answer, &key), "{is_killed}: {:?}", facts(&answer));
        }
    }
}

/// A film gets another file while its library is listed, for the first time or again. What the listing has is known to be
/// older than the library, also if Plex tells only of a scan.
#[test]
fn a_listing_during_which_the_library_changed_is_not_fresh() {
    for (is_first, moves_content) in [(true, true), (false, true), (true, false), (false, false)] {
        let at = Arc::new(patient(20));
        if !is_first {
            at.listed();
        }
        let (file, key) = path_of(&at.server, 1, 3);
        let changes = {
            let (at, key) = (Arc::clone(&at), key.clone());
            move || {
                at.server.alter(|state| {
                    state.library_mut(1)?.is_content_frozen = !moves_content;
                    state.scan(1)
                });
                give_file(&at.server, &key, &elsewhere("Other"), true);
            }
        };
        let index = interrupted(&at, "page", changes);
        index.list();
        let library = index.movies();
        let item = library.item(&key).expect("read").expect("an item");
        // A delta may have followed, so that the film is no longer found by its old path.
        for (how, answer) in &ask_all(&offline(&library), &file, &item)[..3] {
            let answer = (is_missed_or_marked(answer), facts(answer));
            assert!(answer.0, "{is_first}, {moves_content}, {how}: {:?}", answer.1);
        }
    }
}

/// The server goes down after the host doubted an item, or after it told of a deletion. Nobody called the file's path wrong.
#[test]
fn a_doubted_item_is_a_stale_answer_while_the_server_is_down() {
    for is_doubted in [true, false] {
        let (at, index, library) = patient(20).and_listed();
        let [(file, key), (called_wrong, _)] = [3, 4].map(|nth| path_of(&at.server, 1, nth));
        let item = library.item(&key).expect("read").expect("an item");
        if is_doubted {
            library.invalidate_item(&key).expect("invalidated");
        } else {
            index.notify(deletion(&key)).expect("an event");
        }
        library.invalidate_path(&called_wrong).expect("invalidated");
        at.server.refuse();
        let withheld = library.ask(called_wrong);
        assert_eq!(
            (withheld.status, withheld.reason),
            (Status::NotFound, Reason::Unconfirmed)
        );
        for (how, answer) in ask_all(&library.query(), &file, &item) {
            assert_eq!(facts(&answer), old(&key), "{how}");
        }
    }
}

/// After an edit of many items, a batch of their files asked the server about each item with a request of its own.
#[test]
fn a_batch_verifies_its_items_together() {
    let (at, _index, library) = patient(400).and_listed();
    let files: Vec<(String, String)> = (0..300).map(|nth| path_of(&at.server, 1, nth)).collect();
    let paths: Vec<&String> = files.iter().map(|(path, _)| path).collect();
    let ask = || {
        for (_, key) in &files {
            library.invalidate_item(key).expect("invalidated");
        }
        at.server.reset();
        library.query().ask_batch(&paths)
    };
    for (answer, (_, key)) in ask().iter().zip(&files) {
        assert_eq!(facts(answer), found(key));
    }
    assert_eq!(requests(&at.server)[4], 3, "100 items in a request");
    // The server always fails for one of them: only the answer with this item is old.
    let spoilt = &files[150].1;
    at.server
        .fault(Fault::status(500).on(Kind::Metadata).with(spoilt).times(0));
    for (answer, (_, key)) in ask().iter().zip(&files) {
        assert_eq!(facts(answer), if key == spoilt { old(key) } else { found(key) });
    }
}
