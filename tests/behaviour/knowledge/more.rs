//! More schedules of the same kind: other queries, other handles, kills and events.

use super::*;

/// A change that was seen and not fetched, for every kind of query, any handle, and listings that never expire.
#[test]
fn a_change_that_was_not_fetched_marks_every_answer() {
    let mut wrong = Vec::new();
    for ttl in [Ttl::For(Duration::from_secs(3_600)), Ttl::Forever] {
        let at = patient(20).with(|options| options.library_ttl = ttl);
        let (index, library) = at.listed();
        let (file, key) = path_of(&at.server, 1, 3);
        let item = library.item(&key).expect("read").expect("an item");
        at.clock.advance_ms(600_000);
        give_file(&at.server, &key, &elsewhere("Other"), true);
        at.server.fault(Fault::new(Action::Drop).on(Kind::Listing).times(0));
        library.ask(elsewhere("Other"));
        at.clock.advance_ms(60_000);
        for index in [&index, &at.open()] {
            let answers = ask_all(index, &offline(&index.movies()), &file, &item);
            let answers = answers.map(|(how, answer)| (how, facts(&answer)));
            wrong.extend(answers.into_iter().filter(|(_, answer)| *answer != old(&key)));
            // What nobody has asked about may be new.
            let (library, missed) = (index.movies(), elsewhere("Unknown"));
            let missed = [
                ("missed path", index.ask(&offline(&library), missed)),
                (
                    "missed guid",
                    index
                        .match_guid(&offline(&library), "imdb://tt0000001")
                        .expect("an answer"),
                ),
                (
                    "missed title",
                    index.search_title(&offline(&library), "Unknown").expect("an answer"),
                ),
            ];
            let missed = missed.map(|(how, answer)| (how, facts(&answer)));
            wrong.extend(missed.into_iter().filter(|(_, answer)| !answer.4));
        }
    }
    assert!(wrong.is_empty(), "the change is known to every query: {wrong:?}");
}

/// A change that a question about another path has seen, and that was not fetched, is news about a missed path.
#[test]
fn a_change_that_was_not_fetched_marks_misses() {
    let mut wrong = Vec::new();
    for is_killed in [false, true] {
        let at = patient(20);
        let (index, library) = at.listed();
        let file = elsewhere("P");
        let ask_folder = || {
            let found = index.ask_folder(&library.query(), folder_of(&file));
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
        let answers = [ask_folder(), library.ask(&file)];
        if !answers.iter().all(|answer| is_right_or_marked(answer, &key)) {
            wrong.push((is_killed, answers.map(|answer| facts(&answer)), requests(&at.server)));
        }
    }
    assert!(wrong.is_empty(), "the path may be new by now: {wrong:?}");
}

/// A process is killed after its delta has stored what is new, and before it removes what went.
#[test]
fn a_delta_that_was_killed_leaves_a_mark() {
    let at = patient(20);
    let (_, library) = at.listed();
    let (file, key) = path_of(&at.server, 1, 3);
    let item = library.item(&key).expect("read").expect("an item");
    at.clock.advance_ms(600_000);
    remove(&at.server, &[number(&key)]);
    add(&at.server, &[elsewhere("New")]);
    let killed = interrupted(&at, "changes", || panic!("killed"));
    let check = || killed.check(&QueryOptions::default());
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).expect_err("killed");
    let other = at.open();
    let answers = ask_all(&other, &offline(&other.movies()), &file, &item);
    let is_right = answers.iter().all(|(_, answer)| is_missed_or_marked(answer));
    let facts = answers.map(|(how, answer)| (how, facts(&answer)));
    assert!(is_right, "half of the delta is missing: {facts:?}");
}

/// An item that a search found has a file of another item. The server is asked which one has it.
#[test]
fn a_search_that_brings_a_rival_settles_it() {
    let at = patient(20);
    let (index, library) = at.listed();
    let [(taken, loser), (file, winner)] = [3, 4].map(|nth| path_of(&at.server, 1, nth));
    let new = elsewhere("New");
    let files = [&file, &taken, &new].map(|file| MediaSpec::File(file.clone()));
    at.server
        .alter(|state| state.set_files(number(&winner), files.to_vec(), false, false));
    give_file(&at.server, &loser, &elsewhere("Other"), false);
    assert_eq!(facts(&library.ask(&new)), found(&winner));
    at.server.reset();
    let answer = library.ask(&taken);
    let offline = index.ask(&offline(&library), &taken);
    let asked = requests(&at.server);
    assert!(
        is_right_or_marked(&answer, &winner),
        "the search brought a rival: {:?} {asked:?}",
        facts(&answer)
    );
    assert!(is_right_or_marked(&offline, &winner));
}

/// The wrong answers about a film that gets another file while its library is listed, for the first time or again.
fn answers_after_listing(is_first: bool, moves_content: bool) -> Vec<(&'static str, Facts)> {
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
    let answers = ask_all(&index, &offline(&library), &file, &item).map(|(how, answer)| (how, facts(&answer)));
    // A delta may have followed, so that the film is no longer found by its old path.
    let is_of_path = |how: &str| ["path", "batch", "folder"].contains(&how);
    let is_wrong = |(how, answer): &(&str, Facts)| !answer.4 && is_of_path(how) && answer.1.is_some();
    answers.into_iter().filter(is_wrong).collect()
}

/// What a listing has is known to be older than the library, also if Plex tells only of a scan.
#[test]
fn a_listing_during_which_the_library_changed_is_not_fresh() {
    for (is_first, moves_content) in [(true, true), (false, true), (true, false), (false, false)] {
        let wrong = answers_after_listing(is_first, moves_content);
        assert!(wrong.is_empty(), "{is_first}, {moves_content}: {wrong:?}");
    }
}

/// The server goes down after the host doubted an item, or after it told of a deletion. Nobody called the file's path wrong.
#[test]
fn a_doubted_item_is_a_stale_answer_while_the_server_is_down() {
    let mut wrong = Vec::new();
    for is_doubted in [true, false] {
        let at = patient(20);
        let (index, library) = at.listed();
        let [(file, key), (called_wrong, _)] = [3, 4].map(|nth| path_of(&at.server, 1, nth));
        let item = library.item(&key).expect("read").expect("an item");
        if is_doubted {
            library.invalidate_item(&key).expect("invalidated");
        } else {
            index.notify(deletion(&key)).expect("an event");
        }
        library.invalidate_path(called_wrong.as_bytes()).expect("invalidated");
        at.server.refuse();
        at.server.close_connections();
        let withheld = library.ask(called_wrong);
        assert_eq!(
            (withheld.status, withheld.reason),
            (Status::NotFound, Reason::Unconfirmed)
        );
        let answers = ask_all(&index, &library.query(), &file, &item).map(|(how, answer)| (how, facts(&answer)));
        wrong.extend(answers.into_iter().filter(|(_, answer)| *answer != old(&key)));
    }
    assert!(wrong.is_empty(), "nobody called the path wrong: {wrong:?}");
}

/// Plex renames a show's folder in place, and no token moves. A search for one episode finds that out.
#[test]
fn a_folder_that_a_search_proved_old_is_not_answered_unmarked() {
    let file = |folder: &str, number| format!("/data/tv/{folder}/Season 01/Alpha - S01E0{number}.mkv");
    let episode = |number| ItemSpec::episode("Alpha", 1, number, &format!("Part {number}"), &file("Alpha", number));
    let shows = LibrarySpec::shows(0).plain().title("Shows").locations(["/data/tv"]);
    let at = Scene::of(Standin::builder().library(shows).items(1, (1..6).map(episode)).serve());
    let index = at.open();
    at.list(&index);
    let library = index.library("Shows").expect("a handle");
    for number in 1..6 {
        let (old, key) = path_of(&at.server, 1, number as usize - 1);
        let new = file("Alpha (2005)", number);
        at.server
            .alter(|state| state.rename_file(super::number(&key), &old, &new));
    }
    assert_eq!(library.ask(file("Alpha (2005)", 2)).status, Status::Ok);
    let ask = |folder: &str| {
        index
            .ask_folder(&library.query(), folder.as_bytes())
            .expect("an answer")
    };
    let wrong = [("Alpha", 0), ("Alpha (2005)", 5)].map(|(folder, items)| {
        let found = ask(&format!("/data/tv/{folder}"));
        (folder, found.items, found.items == items || found.answer.stale)
    });
    assert!(
        wrong.iter().all(|(.., is_right)| *is_right),
        "the folder is known to have changed: {wrong:?}"
    );
}

/// After an edit of many items, a batch of their files asked the server about each item with a request of its own.
#[test]
fn a_batch_verifies_its_items_together() {
    let at = patient(400);
    let (index, library) = at.listed();
    let files: Vec<(String, String)> = (0..300).map(|nth| path_of(&at.server, 1, nth)).collect();
    let paths: Vec<&[u8]> = files.iter().map(|(path, _)| path.as_bytes()).collect();
    let ask = || {
        for (_, key) in &files {
            library.invalidate_item(key).expect("invalidated");
        }
        at.server.reset();
        ask_batch(&index, &library.query(), &paths)
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
