//! Several hosts share one index by a log. Here the log is in memory; `postgres.rs` has the real one.

mod delivering;

use crate::support;
use std::sync::Arc;
use std::time::Duration;

use crate::shared_faults::hosts::{Host, World, exchange};
use crate::support::index::{Library, QueryOptions};
use crate::support::worker::until;
use crate::support::{HOUR_MS, add, offline, options, path_of, remove, requests};
use plexindex::model::MatchKind;
use plexindex::options::{Mapping, Options, Ttl};
use plexindex_sharing::SharedIndex;
use plexindex_standin::{LibrarySpec, Standin};
use plexindex_tests::memory_log::Trouble;

fn key_of(library: &Library, path: &str) -> Option<String> {
    let answer = library.ask(path);
    answer.key()
}

/// Two hosts with the server's paths, and threads that exchange news.
fn same_paths() -> (World, Host, Host) {
    let hosts = World::with_threads(60);
    let (one, two) = (hosts.host_with(|_| {}), hosts.host_with(|_| {}));
    (hosts, one, two)
}

#[test]
fn one_host_lists_for_all() {
    let hosts = World::with_threads(2_500);
    let _one = hosts.host_with(|_| {});
    hosts.server.reset();
    let two = hosts.new_host(|_| {});
    two.refresh();
    let [identity, sections, listing, search, metadata, all] = requests(&hosts.server);
    assert_eq!([listing, search, metadata], [0; 3], "the listing comes from the log");
    assert!(
        identity <= 1 && sections <= 1 && all <= 2,
        "{identity} {sections} {all}"
    );
    for nth in [0, 1_200, 2_499] {
        let (path, key) = path_of(&hosts.server, 1, nth);
        assert_eq!(key_of(&two.movies, &path), Some(key));
    }
    assert_eq!(requests(&hosts.server)[5], all, "answers send no request");
}

#[test]
fn one_host_lists_the_shows_for_all() {
    let shows = LibrarySpec::shows(60).plain().title("Movies");
    let hosts = World {
        has_threads: true,
        ..World::over(Standin::builder().library(shows).start().expect("starts"))
    };
    let _one = hosts.host_with(|_| {});
    hosts.server.reset();
    let two = hosts.host_with(|_| {});
    assert_eq!(requests(&hosts.server)[2], 0, "no host lists them again");
    // A number of the first show.
    let found = two
        .index
        .match_guid(&offline(&two.movies), "imdb://tt03000001")
        .expect("answered");
    assert!(found.total > 1, "{}", found.message);
}

/// One host is told of a new file and of a removed one after this time; the others take it from there.
fn changes_after(ms: i64, is_listed: bool) {
    let new = "/data/movies/New (2024)/New (2024).mkv";
    let hosts = World::with_threads(300);
    let soon = |options: &mut Options| options.library_ttl = Ttl::For(Duration::from_secs(60));
    let one = hosts.new_host(soon);
    let two = hosts.new_host(soon);
    let three = hosts.new_host(soon);
    for host in [&one, &two, &three] {
        host.refresh();
    }
    exchange(&[&one, &two, &three]);
    let (gone, key) = path_of(&hosts.server, 1, 7);
    add(&hosts.server, &[new]);
    if is_listed {
        remove(&hosts.server, &[key.parse().expect("a number")]);
    }
    hosts.clock.advance_ms(ms);
    hosts.server.reset();
    one.refresh();
    let asked = requests(&hosts.server)[5];
    assert!(asked > 0);
    exchange(&[&two]);
    if !is_listed {
        // Single items come by themselves, and so does the news that nothing else changed.
        assert!(two.known(new).is_some());
    }
    two.refresh();
    three.refresh();
    assert_eq!(requests(&hosts.server)[5], asked, "the others ask nothing");
    assert_eq!(two.known(&gone).is_none(), is_listed);
    let answer = two.index.ask(&offline(&two.movies), new);
    assert!(answer.item.is_some() && !answer.stale, "{answer:?}");
}

#[test]
fn changes_are_asked_for_once() {
    changes_after(120_000, false);
}

#[test]
fn a_newer_listing_is_made_once() {
    changes_after(25 * HOUR_MS, true);
}

/// The server shows no change, but changes could have been missed.
#[test]
fn a_listing_that_is_too_old_is_made_again_once() {
    let world = World::of(20);
    let (one, two) = (world.host(), world.host());
    let (path, _) = path_of(&world.server, 1, 5);
    world.clock.advance_ms(25 * HOUR_MS);
    world.server.reset();
    for host in [&one, &two] {
        host.refresh();
        assert!(!host.index.ask(&offline(&host.movies), &path).stale);
    }
    assert_eq!(requests(&world.server)[2], 1);
}

#[test]
fn what_one_host_invalidates_no_host_answers() {
    let (hosts, one, two) = same_paths();
    exchange(&[&one, &two]);
    let (path, key) = path_of(&hosts.server, 1, 5);
    one.movies.invalidate_item(&key).expect("invalidated");
    exchange(&[&one, &two]);
    hosts.server.reset();
    let answer = two.index.ask(&offline(&two.movies), &path);
    assert!(answer.stale || answer.item.is_none(), "{answer:?}");
    // Each host that needs the item asks once.
    for movies in [&one.movies, &two.movies, &one.movies] {
        assert_eq!(key_of(movies, &path), Some(key.clone()));
    }
    assert_eq!(requests(&hosts.server)[5], 2);

    two.movies.invalidate().expect("invalidated");
    exchange(&[&two, &one]);
    hosts.server.reset();
    one.refresh();
    let listed = requests(&hosts.server);
    assert!(listed[2] > 0, "a full listing: {listed:?}");
    two.refresh();
    assert_eq!(requests(&hosts.server), listed, "of one host for all");
}

#[test]
fn a_log_that_is_away_stops_nothing() {
    let hosts = World::with_threads(60);
    let (one, two) = (hosts.host(), hosts.host());
    hosts.log.set_trouble(Trouble::Away);
    // A new host asks the server itself.
    let three = hosts.host_with(|_| {});
    let (path, key) = path_of(&hosts.server, 1, 5);
    assert_eq!(key_of(&three.movies, &path), Some(key.clone()));
    one.movies.record("/mnt/odd.mkv", &key);
    assert!(one.known("/mnt/odd.mkv").is_some());
    // What is due waits for the log for a minute, and is marked.
    hosts.clock.advance_ms(2 * HOUR_MS);
    hosts.server.reset();
    let answer = two.movies.ask(&path);
    assert!(answer.stale && answer.item.is_some(), "{answer:?}");
    assert_eq!(requests(&hosts.server)[5], 0);
    hosts.clock.advance_ms(61_000);
    let answer = two.movies.ask(&path);
    assert!(!answer.stale, "{answer:?}");
    assert!(requests(&hosts.server)[5] > 0);

    hosts.log.set_trouble(Trouble::None);
    hosts.clock.advance_ms(60_000);
    exchange(&[&one, &two, &three]);
    assert_eq!(two.known("/mnt/odd.mkv"), Some((key, MatchKind::Confirmed)));
}

#[test]
fn a_host_that_joins_brings_its_matches() {
    let hosts = World::with_threads(60);
    let two = hosts.host();
    let (_, key) = path_of(&hosts.server, 1, 5);
    let (_, other) = path_of(&hosts.server, 1, 6);
    two.movies.record("/mnt/both.mkv", &other);
    exchange(&[&two]);
    // It was alone until now.
    let folder = tempfile::tempdir().expect("a folder");
    let mut alone = options(&hosts.server, folder.path());
    alone.mappings = vec![Mapping::host_to_server("/mnt", "/media")];
    let one = support::open(alone.clone(), &hosts.clock);
    let movies = one.library("Movies").expect("a handle");
    one.refresh(&QueryOptions::default(), false).expect("refreshed");
    movies
        .record_matches(&[(b"/mnt/odd.mkv", &key), (b"/mnt/both.mkv", &key)])
        .expect("recorded");
    one.close().expect("closed");
    let one = hosts.open(alone, Arc::clone(&hosts.clock), Some(folder));
    exchange(&[&one, &two]);
    assert_eq!(two.known("/mnt/odd.mkv"), Some((key, MatchKind::Confirmed)));
    // What the log has already stays.
    let kept = Some((other, MatchKind::Confirmed));
    assert_eq!(two.known("/mnt/both.mkv"), kept);
    assert_eq!(one.known("/mnt/both.mkv"), kept);
}

#[test]
fn users_see_their_own() {
    let hosts = World::with_threads(60);
    let one = hosts.host_with(|_| {});
    let (path, key) = path_of(&hosts.server, 1, 5);
    let refused = hosts.new_host(|options| options.token = plexindex::model::Token::new("wrong"));
    hosts.server.reset();
    assert!(refused.index.refresh(&QueryOptions::default(), false).is_err());
    let answer = refused.index.match_path(&offline(&refused.movies), path.as_bytes());
    assert!(answer.ok().and_then(|answer| answer.item).is_none());
    let named = hosts.new_host(|options| options.user = Some("ann".into()));
    named.refresh();
    assert!(requests(&hosts.server)[2] > 0, "another view is listed by itself");
    one.movies.record(&path, &key);
    exchange(&[&one, &named]);
    assert_ne!(named.known(&path).map(|(_, kind)| kind), Some(MatchKind::Confirmed));
}

/// What another host heard a while ago answers no question about a file that may be new.
#[test]
fn an_earlier_probe_of_another_host_is_no_answer_about_a_new_file() {
    let (hosts, one, two) = same_paths();
    exchange(&[&one, &two]);
    hosts.clock.advance_ms(60_000);
    let missing = "/data/movies/Missing (2024)/Missing (2024).mkv";
    assert_eq!(key_of(&one.movies, missing), None);
    hosts.clock.advance_ms(5_000);
    add(&hosts.server, &[missing.to_owned()]);
    assert!(key_of(&two.movies, missing).is_some());
}

#[test]
fn news_comes_by_itself() {
    let hosts = World::with_threads(60);
    let (one, two) = (hosts.host(), hosts.host());
    two.index.watch_start().expect("watching");
    let (_, key) = path_of(&hosts.server, 1, 5);
    one.movies.record("/mnt/odd.mkv", &key);
    until("the news comes", || two.known("/mnt/odd.mkv").is_some());
}

/// A call that finds every listing fresh uses the index, too, so its host takes the news of others.
#[test]
fn a_host_that_only_refreshes_takes_news() {
    let (hosts, one, two) = same_paths();
    let taken = || two.index.shared_progress().and_then(|place| place.taken).unwrap_or(0);
    exchange(&[&two]);
    let before = taken();
    let (path, key) = path_of(&hosts.server, 1, 5);
    one.movies.record_through(path.as_bytes(), &key).expect("delivered");
    until("the entry is taken", || {
        two.refresh();
        taken() > before
    });
}

#[test]
fn a_host_is_behind_its_own_view() {
    let hosts = World::of(60);
    let one = hosts.host_with(|_| {});
    let two = hosts.host_with(|_| {});
    let named = hosts.new_host(|options| options.user = Some("ann".into()));
    named.refresh();
    exchange(&[&one, &two, &named]);
    let behind = |host: &Host| {
        let status = host.index.shared_status().expect("read").expect("it shares");
        assert_eq!(status.views.len(), 2, "one of each user");
        status.behind
    };
    assert_eq!([behind(&one), behind(&two), behind(&named)], [Some(0); 3]);
    let (path, key) = path_of(&hosts.server, 1, 5);
    one.movies.record_through(path.as_bytes(), &key).expect("delivered");
    // Its own entry is no news to the first.
    assert_eq!(
        [behind(&one), behind(&two), behind(&named)],
        [Some(0), Some(1), Some(0)]
    );
}
