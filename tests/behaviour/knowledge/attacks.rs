//! Schedules that an attacker of the first version found.

use super::*;

/// Plex scans for an hour, or a listing is held back. A path that it does not list is asked about once in a while, not by
/// each query.
#[test]
fn a_library_that_is_never_fresh_does_not_make_each_query_ask() {
    type Trouble = fn(&Scene, &Index);
    let troubles: [(&str, Trouble); 2] = [
        ("a scan", |at, _| {
            at.server.alter(|state| {
                state.library_mut(1)?.refreshing = true;
                Ok(())
            });
        }),
        ("a listing that is held back", |at, index| {
            keep_ten(&at.server);
            index.query().checked().expect("checked");
        }),
    ];
    for (what, trouble) in troubles {
        let (at, index, library) = Scene::movies(100).and_listed();
        trouble(&at, &index);
        let file = elsewhere("P");
        library.ask(&file);
        at.server.reset();
        for _ in 0..60 {
            at.clock.advance_ms(1_000);
            library.ask(&file);
        }
        let asked = requests(&at.server);
        assert!(asked[5] <= 12, "{what}: {asked:?}");
    }
}

/// A refresh says that answers are fresh only if they are.
#[test]
fn a_refresh_with_many_doubted_items_is_no_success() {
    for (count, fails) in [(300, false), (3, true)] {
        let (at, index, library) = patient(400).and_listed();
        let films: Vec<_> = (0..count).map(|nth| path_of(&at.server, 1, nth)).collect();
        for (_, key) in &films {
            library.invalidate_item(key).expect("invalidated");
        }
        if fails {
            at.server.fault(Fault::status(500).on(Kind::Metadata).times(0));
        }
        let refreshed = index.query().refreshed(false).expect("refreshed");
        let is_old = |(file, _): &&(String, String)| offline(&library).answer(file).stale;
        let old = films.iter().filter(is_old).count();
        assert!(refreshed != Status::Ok || old == 0, "{count} {fails}: {old} are old");
    }
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
    let checked = index.query().checked().expect("checked");
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

/// A path was called wrong, and its item verified, while a listing was running.
#[test]
fn a_listing_does_not_withhold_a_verified_item_again() {
    let at = Arc::new(patient(20));
    let (_index, library) = at.listed();
    let (file, key) = path_of(&at.server, 1, 3);
    let verifies = {
        let (file, key) = (file.clone(), key.clone());
        let library = at.open().movies();
        let faulty = Arc::clone(&at);
        move || {
            library.invalidate_path(&file).expect("invalidated");
            assert_eq!(facts(&library.ask(&file)), found(&key));
            faulty.server.fault(Fault::status(500).on(Kind::Metadata).times(0));
        }
    };
    let before = interrupted(&at, "page", verifies);
    before.list();
    let answer = offline(&library).answer(&file);
    assert_eq!(answer.key(), Some(key), "{:?}", facts(&answer));
}
