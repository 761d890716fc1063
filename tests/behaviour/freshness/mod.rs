//! How few requests keep an index right: positive deltas, items that went away, and questions about single paths.

mod new_files;
mod paths;
mod unseen;
mod waits;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::index::{Ask as _, Index, Library, Query};
use crate::support::segments;
use crate::support::worker::Dice;
use crate::support::{HOUR_MS, Scene, add, movie, offline, path_of, remove, requests};
use plexindex::error::Status;
use plexindex::model::{MatchKind, Reason};
use plexindex::options::Ttl;
use plexindex_standin::{Action, Fault, Kind, LibrarySpec, Standin};

fn hurried(library: &Library) -> Query<'_> {
    library.query().timeout(Duration::from_secs(20))
}

/// What the index has, and what the server has: paths and rating keys.
fn both(library: &Library, server: &Standin) -> [BTreeMap<String, String>; 2] {
    let items = library.items().map(|item| item.expect("an item"));
    let ours = items.flat_map(|item| {
        let paths = item.paths.expect("files").into_iter();
        paths.map(move |path| (path.display().to_string(), item.rating_key.clone()))
    });
    let ours = ours.collect();
    let theirs = server.paths(1).into_iter();
    let theirs = theirs
        .filter_map(|(key, path)| Some((path?, key.to_string())))
        .collect();
    [ours, theirs]
}

#[test]
fn a_large_library_that_changed_costs_a_probe_and_two_pages() {
    let (at, index, library) = Scene::movies(6_000).and_opened();
    let (known, known_key) = path_of(&at.server, 1, 17);
    library.ask(&known);
    at.server.reset();
    add(&at.server, &["/data/movies/n1.mkv", "/data/movies/n2.mkv"]);
    at.clock.advance_ms(HOUR_MS);
    let found = library.ask("/data/movies/n2.mkv");
    assert_eq!(found.status, Status::Ok);
    assert_eq!(found.match_kind, MatchKind::Exact);
    assert!(!found.stale);
    assert_eq!(requests(&at.server), [0, 1, 2, 0, 0, 3]);
    // All of it is as good as listed now: nothing more is asked for an hour.
    for path in ["/data/movies/n1.mkv", known.as_str()] {
        let found = library.ask(path);
        assert_eq!((found.status, found.stale), (Status::Ok, false), "{path}");
    }
    assert_eq!(library.fast(&known), Some(known_key));
    assert_eq!(requests(&at.server)[5], 3);
    assert_eq!(index.counts().items, 6_002);
    // Unmoved clocks are worth one request, as ever.
    at.server.reset();
    at.clock.advance_ms(HOUR_MS);
    library.ask(known);
    assert_eq!(requests(&at.server), [0, 1, 0, 0, 0, 1]);
}

#[test]
fn a_check_asks_once_however_fresh_the_listing_is() {
    let (at, index, library) = Scene::movies(6_000).and_opened();
    library.query().refreshed(false).expect("listed");
    at.server.reset();
    library.query().refreshed(false).expect("fresh");
    assert_eq!(requests(&at.server)[5], 0);
    // One request for all libraries, and no more where nothing moved.
    for query in [&library.query(), &index.query()] {
        at.server.reset();
        assert_eq!(query.checked().expect("current"), Status::Ok);
        assert_eq!(requests(&at.server), [0, 1, 0, 0, 0, 1]);
    }
    let (gone, key) = path_of(&at.server, 1, 7);
    remove(&at.server, &[key.parse().expect("a number")]);
    add(&at.server, &["/data/movies/new.mkv"]);
    at.server.reset();
    library.query().checked().expect("current");
    let asked = requests(&at.server);
    assert_eq!((asked[1], asked[4]), (1, 1), "{asked:?}");
    let reason = |path: &str| offline(&library).answer(path).reason;
    assert_eq!(reason(&gone), Reason::NotListed);
    assert_eq!(reason("/data/movies/new.mkv"), Reason::None);
    // Offline there is nothing to check with.
    let refused = offline(&library).checked().expect_err("offline");
    assert_eq!(refused.status, Status::Offline);
}

#[test]
fn a_server_that_sorts_as_it_likes_is_listed_instead() {
    let (at, index, _) = Scene::movies(6_000).and_listed();
    at.server.fault(Fault::new(Action::ignore(&["sort"])).times(0));
    let (path, key) = path_of(&at.server, 1, 3_000);
    at.server.alter(|state| {
        let key: u64 = key.parse().expect("a number");
        state.change_item(key, |item| item.title = "Zenith".to_owned())?;
        state.touch(&[key], None)
    });
    at.server.scan(1);
    at.clock.advance_ms(HOUR_MS);
    // No query waits as long as a listing may take.
    index.query().refreshed(false).expect("listed");
    let library = index.movies();
    let found = library.ask(path);
    assert_eq!(found.candidates[0].title.as_deref(), Some("Zenith"));
}

#[test]
fn tracks_do_not_say_when_they_were_updated_and_have_deltas_all_the_same() {
    let (at, index, _) = Scene::of(Standin::builder().library(LibrarySpec::music(6_000).plain()).serve()).and_listed();
    at.server.reset();
    add(&at.server, &["/data/music/n1.flac"]);
    at.clock.advance_ms(HOUR_MS);
    let library = index.library("Music").expect("a handle");
    let found = library.ask("/data/music/n1.flac");
    assert_eq!(found.status, Status::Ok, "{}", found.message);
    assert_eq!(found.match_kind, MatchKind::Exact, "{}", found.message);
    assert_eq!(requests(&at.server), [0, 1, 2, 0, 0, 3]);
}

#[test]
fn when_much_went_away_it_is_listed_anew() {
    let (at, _index, library) = Scene::movies(6_000).and_opened();
    library.query().refreshed(true).expect("listed");
    let keys: Vec<u64> = at.server.paths(1).iter().step_by(200).map(|(key, _)| *key).collect();
    remove(&at.server, &keys);
    at.clock.advance_ms(HOUR_MS);
    at.server.reset();
    library.query().refreshed(false).expect("fresh");
    assert_eq!(requests(&at.server)[..3], [0, 2, 2 + 6]);
    let [ours, theirs] = both(&library, &at.server);
    assert!(ours == theirs);
}

#[test]
fn deltas_end_where_listings_do_whatever_came_and_went() {
    let mut dice = Dice::new(1);
    let (at, index, library) = Scene::movies(5_000).and_opened();
    library.query().refreshed(true).expect("listed");
    let listings = index.counts().listings;
    for round in 0..12 {
        let known = at.server.paths(1);
        let count = dice.place(8);
        let mut gone: Vec<u64> = if dice.roll(3) == 0 {
            // Neighbours, as a season is.
            let at = dice.place(known.len() - count);
            known[at..at + count].iter().map(|(key, _)| *key).collect()
        } else {
            (0..count).map(|_| dice.any(&known).0).collect()
        };
        gone.sort_unstable();
        gone.dedup();
        remove(&at.server, &gone);
        let new = (0..dice.roll(150)).map(|number| format!("/data/movies/r{round}-{number}.mkv"));
        add(&at.server, &new.collect::<Vec<String>>());
        let touched = dice.any(&known).0;
        let _ = at.server.change(|state| state.touch(&[touched], None));
        at.clock.advance_ms(300_000);
        // A scan that changed nothing moves a clock too.
        at.server.scan(1);
        let fresh = at.open_with(|options| options.library_ttl = Ttl::Zero);
        let movies = fresh.movies();
        assert_eq!(movies.query().refreshed(false), Ok(Status::Ok));
        let [ours, theirs] = both(&library, &at.server);
        assert!(ours == theirs, "round {round}: {gone:?} went");
        for (path, key) in theirs.iter().step_by(97) {
            assert_eq!(library.fast(&path).as_ref(), Some(key), "round {round}");
        }
    }
    assert_eq!(index.counts().listings, listings, "deltas did it all");
}

#[test]
fn a_new_token_inherits_what_was_confirmed_of_the_items_that_it_may_see() {
    let tokens = ["the-old-token", "the-new-token", "the-newest-token"].map(plexindex_standin::Token::owner);
    let movies = LibrarySpec::movies(1_200).plain();
    let at = Scene::of(Standin::builder().library(movies).tokens(tokens).serve());
    let seen: Vec<(String, String)> = [1, 2, 3].map(|nth| path_of(&at.server, 1, nth)).to_vec();

    let old = at.with_token("the-old-token");
    let library = old.movies();
    library.query().refreshed(true).expect("listed");
    for (nth, (_, key)) in seen.iter().enumerate() {
        let numbers = (nth..1_500).step_by(3);
        let paths: Vec<String> = numbers.map(|number| format!("/host/{number}.mkv")).collect();
        library.record_all(&paths, key);
    }
    // One of the three is gone, or hidden from the new token: its matches stay where they are.
    remove(&at.server, &[seen[2].1.parse().expect("a number")]);
    let new = at.with_token("the-new-token");
    let library = new.movies();
    assert_eq!(library.fast("/host/0.mkv"), None, "nothing is seen before a listing is");
    assert_eq!(library.ask("/host/0.mkv").match_kind, MatchKind::Confirmed);
    assert_eq!(library.fast("/host/1.mkv"), Some(seen[1].1.clone()));
    assert_eq!(library.fast("/host/2.mkv"), None);
    assert_eq!(new.counts().matches, 1_000);
    // A month later what was inherited is still there, for the next token too.
    at.clock.advance_ms(31 * 24 * HOUR_MS);
    drop(old);
    let newer = at.with_token("the-newest-token");
    let library = newer.movies();
    assert_eq!(library.ask("/host/0.mkv").match_kind, MatchKind::Confirmed);
}

#[test]
fn a_probe_of_one_process_does_not_disturb_the_fast_lookups_of_another() {
    let at = Scene::movies(300);
    let index = at.open();
    let other = at.open();
    let (path, key) = path_of(&at.server, 1, 17);
    let library = index.movies();
    library.query().refreshed(true).expect("listed");
    let theirs = other.movies();
    theirs.ask(&path);
    for _ in 0..3 {
        at.clock.advance_ms(HOUR_MS);
        library.query().refreshed(false).expect("fresh");
        assert_eq!(theirs.fast(&path), Some(key.clone()));
        at.server.reset();
        // And what it learnt of the clocks is not lost.
        let answer = theirs.ask(&path);
        assert_eq!(answer.status, Status::Ok);
        assert!(!answer.stale);
        assert_eq!(answer.age_ms, Some(0));
        assert_eq!(requests(&at.server)[5], 0);
    }
    // A listing that changed nothing is no disturbance either.
    library.query().refreshed(true).expect("listed");
    assert_eq!(theirs.fast(&path), Some(key));
}

#[test]
fn an_item_that_went_while_an_old_one_came_is_found_gone() {
    let (at, index, library) = Scene::movies(6_000).and_opened();
    library.query().refreshed(true).expect("listed");
    for round in 0..3 {
        let (gone, key) = path_of(&at.server, 1, 3_000 + round);
        remove(&at.server, &[key.parse().expect("a number")]);
        // Its own clocks are those of long ago: it is among neither the newest added nor the newest updated.
        let mut old = movie("An old one", &format!("/data/movies/old{round}.mkv"));
        (old.added_at, old.updated_at) = (Some(1_000), Some(1_000));
        at.server.alter(|state| state.add_items(1, vec![old], true));
        at.clock.advance_ms(300_000);
        at.server.scan(1);
        at.server.reset();
        let fresh = at.open_with(|options| options.library_ttl = Ttl::Zero);
        let movies = fresh.movies();
        assert_eq!(movies.query().refreshed(false), Ok(Status::Ok));
        let asked = requests(&at.server);
        let answer = offline(&library).answer(gone);
        assert_eq!(answer.reason, Reason::NotListed, "round {round}, {asked:?}");
        let [ours, theirs] = both(&library, &at.server);
        assert!(ours == theirs, "round {round}: {} and {}", ours.len(), theirs.len());
    }
    assert_eq!(index.counts().listings, 1);
}

#[test]
fn a_server_that_failed_while_the_clock_was_ahead_is_asked_again() {
    let at = Scene::movies(300);
    let index = at.open_with(|options| options.retry_for = Duration::ZERO);
    let library = index.movies();
    let (path, _) = path_of(&at.server, 1, 5);
    library.ask(&path);
    at.clock.advance_ms(10 * HOUR_MS);
    at.server.fault(Fault::status(500));
    assert!(library.ask(&path).stale);
    at.server.clear_faults();
    at.clock.advance_ms(-5 * HOUR_MS);
    assert!(!library.ask(path).stale);
}

#[test]
fn a_check_makes_the_segment_of_a_listing_that_changed_much_and_no_lookup_does() {
    let (at, _writer, written) = Scene::movies(300).and_listed();
    let (reader, read) = at.opened();
    let (known, key) = path_of(&at.server, 1, 17);
    let mut made = 0;
    let mut last = segments(at.folder());
    for round in 0..20 {
        let paths: Vec<String> = (0..250).map(|n| format!("/data/movies/new {round} {n}.mkv")).collect();
        add(&at.server, &paths);
        at.clock.advance_ms(60_000);
        written.query().checked().expect("checked");
        let now = segments(at.folder());
        made += usize::from(now.last() != last.last());
        last = now;
        for path in [&known, &paths[249]] {
            let found = offline(&read).answer(path);
            assert_eq!(found.status, Status::Ok, "{path}");
            assert!(
                read.lookup_key(path.as_bytes(), |own| path != &known || own == key)
                    .unwrap_or(false)
            );
        }
        assert_eq!(segments(at.folder()), last, "a lookup made a segment in round {round}");
    }
    // Of 5,000 changes: not with each check, and more often than a memtable takes them.
    assert!((5..=10).contains(&made), "{made} segments were made");
    assert_eq!(reader.counts().requests.iter().sum::<u64>(), 0);
}
