//! Several hosts share one log. Here the log is in memory; `postgres.rs` has the real one.

mod delivering;

use crate::support;
use std::sync::Arc;

use crate::shared_faults::hosts::{Host, World, exchange};
use crate::support::index::{Library, QueryOptions};
use crate::support::worker::until;
use crate::support::{HOUR_MS, add, offline, options, path_of, requests};
use plexindex::model::MatchKind;
use plexindex::options::Mapping;
use plexindex_sharing::SharedIndex;
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
    for host in [&one, &two] {
        hosts.server.reset();
        host.refresh();
        let listed = requests(&hosts.server);
        assert!(listed[2] > 0, "a full listing: {listed:?}");
    }
}

#[test]
fn a_log_that_is_away_stops_nothing() {
    let hosts = World::with_threads(60);
    let (one, two) = (hosts.host(), hosts.host());
    hosts.log.set_trouble(Trouble::Away);
    let three = hosts.host_with(|_| {});
    let (path, key) = path_of(&hosts.server, 1, 5);
    assert_eq!(key_of(&three.movies, &path), Some(key.clone()));
    one.movies.record("/mnt/odd.mkv", &key);
    assert!(one.known("/mnt/odd.mkv").is_some());
    // What is due is asked for at once.
    hosts.clock.advance_ms(2 * HOUR_MS);
    hosts.server.reset();
    let answer = two.movies.ask(&path);
    assert!(!answer.stale, "{answer:?}");
    assert!(requests(&hosts.server)[5] > 0);

    hosts.log.set_trouble(Trouble::None);
    hosts.clock.advance_ms(60_000);
    exchange(&[&one, &two, &three]);
    assert_eq!(two.known("/mnt/odd.mkv"), Some((key, MatchKind::Confirmed)));
}

/// Only matches and invalidations are shared.
#[test]
fn each_host_lists_by_itself() {
    let (hosts, one, two) = same_paths();
    let new = "/data/movies/New (2024)/New (2024).mkv";
    add(&hosts.server, &[new]);
    hosts.clock.advance_ms(2 * HOUR_MS);
    for host in [&one, &two] {
        assert_eq!(host.known(new), None);
        hosts.server.reset();
        host.refresh();
        assert!(requests(&hosts.server)[5] > 0);
        exchange(&[&one, &two]);
        assert!(host.known(new).is_some());
    }
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
