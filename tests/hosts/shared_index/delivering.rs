//! What a host tells others: it may wait until the log has it, and a host may follow the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use plexindex::error::Status;
use plexindex::inside::Deadline;
use plexindex::model::MatchKind;
use plexindex::options::Options;
use plexindex_sharing::{EntryKind, SharedIndex, SharedLog};
use plexindex_tests::memory_log::{MemoryLog, Trouble};

use super::same_paths;
use super::support::{self, path_of, requests};
use crate::shared_faults::hosts::{World, exchange};
use crate::support::index::QueryOptions;
use crate::support::offline;

/// Matches that the log has, by view.
fn matches_in(log: &MemoryLog) -> u64 {
    let views = log.summary(Deadline::NONE).expect("there");
    let kinds = views.into_iter().flat_map(|view| view.entries);
    kinds
        .filter(|(kind, _)| *kind == EntryKind::Match)
        .map(|(_, count)| count)
        .sum()
}

#[test]
fn a_match_may_wait_for_the_log() {
    let (hosts, one, two) = same_paths();
    let (path, key) = path_of(&hosts.server, 1, 5);
    one.movies.record_through(path.as_bytes(), &key).expect("delivered");
    assert_eq!(matches_in(&hosts.log), 1, "at return");
    // A file that Plex does not list, on a host with Plex's paths.
    one.movies
        .record_through(b"/data/movies/new.mkv", &key)
        .expect("delivered");
    assert_eq!(matches_in(&hosts.log), 2, "at return");
    // No other host can have this one, so nothing is recorded.
    let refused = one
        .movies
        .record_through(b"/downloads/a.mkv", &key)
        .expect_err("it stays here");
    assert_eq!(refused.status, Status::InvalidArgument);
    assert!(refused.message.contains("'/downloads/a.mkv'"), "{refused}");
    assert_eq!(one.known("/downloads/a.mkv"), None);
    one.index.shared_deliver().expect("nothing waits");
    exchange(&[&one, &two]);
    let confirmed = Some((key, MatchKind::Confirmed));
    assert_eq!(two.known(&path), confirmed);

    for trouble in [Trouble::Away, Trouble::Silent, Trouble::ReadOnly] {
        hosts.log.set_trouble(trouble);
        let (path, key) = path_of(&hosts.server, 1, 10 + trouble as usize);
        let late = one
            .movies
            .record_through(path.as_bytes(), &key)
            .expect_err("it is not delivered");
        assert_eq!(late.status, Status::Timeout);
        assert!(late.message.contains("stored in this folder"), "{late}");
        let when = match trouble {
            Trouble::ReadOnly => "later: the shared log memory: is read-only",
            _ => "when memory answers",
        };
        assert!(late.message.contains(when), "{late}");
        let confirmed = Some((key, MatchKind::Confirmed));
        assert_eq!(one.known(&path), confirmed, "it is recorded");
        assert_eq!(one.index.shared_deliver().expect_err("too").status, Status::Timeout);
        hosts.log.set_trouble(Trouble::None);
        hosts.clock.advance_ms(60_000);
        one.index.shared_deliver().expect("delivered");
        exchange(&[&one, &two]);
        assert_eq!(two.known(&path), confirmed);
    }
}

#[test]
fn a_match_that_cannot_be_delivered_is_refused_before_it_is_written() {
    let hosts = World::with_threads(60);
    let folder = tempfile::tempdir().expect("a folder");
    for shared in [None, Some("memory".to_owned())] {
        let options = Options {
            shared,
            offline: true,
            ..support::options(&hosts.server, folder.path())
        };
        // An online index lists first.
        let listed = support::open(support::options(&hosts.server, folder.path()), &hosts.clock);
        listed.refresh(&QueryOptions::default(), false).expect("refreshed");
        listed.close().expect("closed");
        let index = support::open(options, &hosts.clock);
        let library = index.library("Movies").expect("a handle");
        let (_, key) = path_of(&hosts.server, 1, 5);
        let refused = library
            .record_through(b"/odd.mkv", &key)
            .expect_err("nothing is shared");
        assert_eq!(refused.status, Status::InvalidArgument);
        assert!(refused.message.contains("'shared'"), "{refused}");
        let answer = index.ask(&offline(&library), "/odd.mkv");
        assert!(answer.item.is_none(), "nothing is recorded");
        assert_eq!(index.shared_deliver().expect_err("too").status, Status::InvalidArgument);
    }
}

/// Waits until the log has so many matches.
fn wait_for_matches(log: &MemoryLog, count: u64, at_most: Duration) {
    let begun = Instant::now();
    while matches_in(log) < count {
        assert!(begun.elapsed() < at_most, "{} of {count} matches", matches_in(log));
        std::thread::yield_now();
    }
}

#[test]
fn a_host_that_follows_tells_at_once() {
    let hosts = World::with_threads(60);
    let one = hosts.host_with(|_| {});
    let _follower = one.index.follow_shared().expect("it shares");
    for nth in 0..3 {
        let (path, key) = path_of(&hosts.server, 1, nth);
        one.movies.record(&path, &key);
        // Its wait for news lasts five seconds, and ends for this.
        wait_for_matches(&hosts.log, nth as u64 + 1, Duration::from_secs(4));
    }
}

#[test]
fn a_host_that_follows_is_told_and_asks_plex_for_nothing() {
    let (hosts, one, two) = same_paths();
    let _follower = two.index.follow_shared().expect("it shares");
    hosts.server.reset();
    let (path, key) = path_of(&hosts.server, 1, 5);
    one.movies.record(&path, &key);
    let begun = Instant::now();
    while two.known(&path).is_none_or(|(_, kind)| kind != MatchKind::Confirmed) {
        assert!(begun.elapsed() < Duration::from_secs(20), "no news");
        std::thread::yield_now();
    }
    assert_eq!(requests(&hosts.server)[5], 0, "not even for events");
}

#[test]
fn a_host_that_follows_delivers_what_others_of_its_folder_left() {
    let mut hosts = World::with_threads(60);
    let one = hosts.host_with(|_| {});
    let follower = one.index.follow_shared().expect("it shares");
    // A process that ended before it could tell anybody: it has no thread.
    hosts.has_threads = false;
    let left = hosts.open(one.options.clone(), Arc::clone(&hosts.clock), None);
    let (path, key) = path_of(&hosts.server, 1, 5);
    left.record(&path, &key);
    left.index.close().expect("closed");
    wait_for_matches(&hosts.log, 1, Duration::from_secs(20));
    drop(follower);
}

#[test]
fn what_waits_for_a_log_that_is_away_is_delivered_without_a_question() {
    let hosts = World::with_threads(60);
    let one = hosts.host_with(|_| {});
    let (path, key) = path_of(&hosts.server, 1, 5);
    hosts.log.set_trouble(Trouble::Away);
    one.movies.record_through(path.as_bytes(), &key).expect_err("away");
    hosts.log.set_trouble(Trouble::None);
    hosts.clock.advance_ms(60_000);
    wait_for_matches(&hosts.log, 1, Duration::from_secs(20));
}

#[test]
fn an_index_without_a_server_shares_nothing_and_has_the_log() {
    let hosts = World::with_threads(1);
    let folder = tempfile::tempdir().expect("a folder");
    let host = hosts.open(Options::new(folder.path()), Arc::clone(&hosts.clock), None);
    let index = &host.index;
    index.shared_init().expect("prepared");
    let status = index.shared_status().expect("read").expect("it is named");
    assert_eq!((status.reachable, status.error, status.taken), (true, None, None));
    index.shared_clear().expect("emptied");
    for refused in [
        index.follow_shared().map(drop),
        index.shared_deliver(),
        host.movies.record_through(b"/a.mkv", "1"),
    ] {
        assert_eq!(refused.expect_err("nothing is shared").status, Status::InvalidArgument);
    }
}
