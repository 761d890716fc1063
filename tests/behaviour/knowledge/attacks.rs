//! Schedules that an attacker of the first version found.

use super::*;

/// Plex scans for an hour. A path that it does not list is asked about once in a while, not by each query.
#[test]
fn a_scan_does_not_make_each_query_ask() {
    let mut counts = Vec::new();
    for busy in [false, true] {
        let at = Scene::movies(20);
        let (_, library) = at.listed();
        at.server.alter(|state| {
            state.library_mut(1)?.refreshing = busy;
            Ok(())
        });
        let file = elsewhere("P");
        library.ask(&file);
        at.server.reset();
        for _ in 0..60 {
            at.clock.advance_ms(1_000);
            library.ask(&file);
        }
        counts.push(requests(&at.server));
    }
    assert!(counts[1][5] <= 3 * counts[0][5].max(4), "idle, scanning: {counts:?}");
}

/// A refresh says that answers are fresh only if they are.
#[test]
fn a_refresh_with_many_doubted_items_is_no_success() {
    let mut wrong = Vec::new();
    for (count, fails) in [(300, false), (3, true)] {
        let at = patient(400);
        let (index, library) = at.listed();
        let films: Vec<_> = (0..count).map(|nth| path_of(&at.server, 1, nth)).collect();
        for (_, key) in &films {
            library.invalidate_item(key).expect("invalidated");
        }
        if fails {
            at.server.fault(Fault::status(500).on(Kind::Metadata).times(0));
        }
        let refreshed = index.refresh(&QueryOptions::default(), false).expect("refreshed");
        let is_old = |(file, _): &&(String, String)| index.ask(&offline(&library), file).stale;
        let old = films.iter().filter(is_old).count();
        if refreshed == Status::Ok && old > 0 {
            wrong.push((count, fails, old));
        }
    }
    assert!(wrong.is_empty(), "the refresh says that they are fresh: {wrong:?}");
}

/// Two films have one file. One is doubted, and the server says that it lost the file. Nobody asks about the other one,
/// and the library is known to be old.
#[test]
fn a_verified_item_does_not_freshen_its_rival() {
    let at = patient(100);
    let [(file, one), (_, other)] = [3, 4].map(|nth| path_of(&at.server, 1, nth));
    give_file(&at.server, &other, &file, false);
    let (index, library) = at.listed();
    assert_eq!(library.ask(&file).status, Status::Ambiguous);
    keep_ten(&at.server);
    let checked = index.check(&QueryOptions::default()).expect("checked");
    assert_eq!(
        (checked == Status::Ok, is_fresh(&index)),
        (false, false),
        "it is held back"
    );
    for (key, title) in [(&one, "One"), (&other, "Other")] {
        give_file(&at.server, key, &elsewhere(title), false);
    }
    library.invalidate_item(&one).expect("invalidated");
    let answer = library.ask(&file);
    assert!(
        is_missed_or_marked(&answer),
        "{:?} {:?}",
        facts(&answer),
        requests(&at.server)
    );
}

/// A search brings an item as the listing has it, just after a check has brought it so. A third handle has an older one.
#[test]
fn a_search_does_not_hide_what_a_check_has_stored() {
    let at = Arc::new(patient(20));
    let (index, library) = at.listed();
    let (file, key) = path_of(&at.server, 1, 3);
    let new = elsewhere("New");
    give_file(&at.server, &key, &new, false);
    library.invalidate_item(&key).expect("invalidated");
    library.ask(&file);
    let reader = at.open();
    assert_eq!(facts(&reader.ask(&offline(&reader.movies()), &new)), found(&key));
    give_file(&at.server, &key, &file, false);
    let reader = Arc::new(reader);
    let between = {
        let (reader, new, key) = (Arc::clone(&reader), new.clone(), key.clone());
        move || {
            reader.ask(&offline(&reader.movies()), &new);
            let library = index.movies();
            library.invalidate_item(&key).expect("invalidated");
            library.ask(&new);
        }
    };
    let answer = interrupted(&at, "hit", between).movies().ask(&file);
    let other = at.open();
    let stored = facts(&other.ask(&offline(&other.movies()), &file));
    assert_eq!(
        stored.1,
        Some(key.clone()),
        "the check was made, and a new handle knows it: {stored:?}"
    );
    let query = reader.movies();
    let answers = [&file, &new].map(|file| reader.ask(&offline(&query), file));
    assert!(
        is_right_or_marked(&answers[0], &key) && is_missed_or_marked(&answers[1]),
        "{:?} {:?}",
        facts(&answer),
        answers.map(|answer| facts(&answer))
    );
}

/// A path was called wrong, and its item verified, while a listing was running.
#[test]
fn a_listing_does_not_withhold_a_verified_item_again() {
    let at = Arc::new(patient(20));
    let (index, library) = at.listed();
    let (file, key) = path_of(&at.server, 1, 3);
    let verifies = {
        let (file, key) = (file.clone(), key.clone());
        let library = at.open().movies();
        let faulty = Arc::clone(&at);
        move || {
            library.invalidate_path(file.as_bytes()).expect("invalidated");
            assert_eq!(facts(&library.ask(&file)), found(&key));
            faulty.server.fault(Fault::status(500).on(Kind::Metadata).times(0));
        }
    };
    let before = interrupted(&at, "page", verifies);
    before.list();
    let answer = index.ask(&offline(&library), &file);
    assert_eq!(answer.key(), Some(key), "{:?}", facts(&answer));
}

/// The server lists no libraries for a moment. A path that it does not list is not asked about by each query.
#[test]
fn a_held_back_listing_does_not_make_each_query_ask() {
    let at = Scene::movies(100);
    let (index, library) = at.listed();
    keep_ten(&at.server);
    index.check(&QueryOptions::default()).expect("checked");
    let file = elsewhere("P");
    library.ask(&file);
    at.server.reset();
    for _ in 0..50 {
        at.clock.advance_ms(1_000);
        library.ask(&file);
    }
    let asked = requests(&at.server);
    assert!(asked[5] <= 12, "{asked:?}");
}
