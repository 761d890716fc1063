//! An engine that is there and says nothing, and a link that is cut.

use std::time::{Duration, Instant};

use plexindex::error::Status;
use plexindex_sharing::{EntryKind, HostId, Position, SharedIndex, SharedLog};

use crate::cluster::{database, shared};
use crate::fixture::NONE;
use crate::host::{host, timed};
use crate::link::{Link, Passes};
use crate::support::{HOUR_MS, clock, movies, path_of};

#[test]
fn a_silent_engine_costs_a_call_one_short_attempt() {
    let (server, clock, link) = (movies(60), clock(), Link::to_nobody());
    let opening = || host(&server, &clock, &link.address("d"), false);
    let host = timed(&link, "opening", 0, opening);
    timed(&link, "the first listing", 1, || host.refresh());
    timed(&link, "at once again", 0, || host.refresh());
    let (path, key) = path_of(&server, 1, 5);
    timed(&link, "recording", 0, || host.record("/mnt/odd.mkv", &key));
    let pause = || clock.advance_ms(6_000);
    pause();
    clock.advance_ms(2 * HOUR_MS);
    let answer = timed(&link, "a lookup that is due", 1, || {
        host.index.match_path(&host.movies.query(), path.as_bytes())
    });
    assert!(answer.expect("answered").item.is_some());
    pause();
    let missing = timed(&link, "a path that is missing", 1, || {
        host.index.match_path(&host.movies.query(), b"/mnt/missing.mkv")
    });
    assert!(missing.expect("answered").item.is_none());
    pause();
    timed(&link, "invalidating", 1, || {
        host.movies.invalidate_item(&key).expect("invalidated");
        host.movies.ask(&path);
    });
    pause();
    let status = timed(&link, "the status", 1, || host.index.shared_status());
    let status = status.expect("there").expect("shared");
    assert!(!status.reachable && status.error.is_some_and(|why| why.contains("in time")));
    timed(&link, "closing", 1, || host.index.close().expect("closed"));
}

/// The link is cut with a connection open, and comes back: neither side was told.
#[test]
fn a_cut_link_costs_a_call_one_short_attempt_and_loses_nothing() {
    let Some(cluster) = shared() else { return };
    let (server, clock, database) = (movies(60), clock(), cluster.database());
    let link = Link::to(&database);
    let two = host(&server, &clock, &database.address("postgres"), false);
    two.refresh();
    let one = host(&server, &clock, &link.address(&database.name), false);
    let begun = Instant::now();
    one.refresh();
    while !one.index.exchange() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no answer");
        clock.advance_ms(6_000);
    }
    let [first, second] = [5, 6].map(|nth| path_of(&server, 1, nth).1);
    for (nth, passes) in [Passes::Nothing, Passes::Requests].into_iter().enumerate() {
        let path = |name: &str| format!("/mnt/{nth}/{name}.mkv");
        link.set(passes);
        one.record(&path("odd"), &first);
        timed(&link, "an exchange", 0, || assert!(!one.index.exchange(), "{passes:?}"));
        timed(&link, "another one", 0, || assert!(!one.index.exchange(), "{passes:?}"));
        clock.advance_ms(2 * HOUR_MS);
        timed(&link, "a lookup that is due", 1, || {
            one.movies.ask("/mnt/missing.mkv");
        });
        // Meanwhile another host confirms something else for a path of the first.
        two.index.exchange();
        two.record(&path("both"), &second);
        two.record(&path("odd"), &second);
        assert!(two.index.exchange());
        link.set(Passes::All);
        let begun = Instant::now();
        clock.advance_ms(6_000);
        while !one.index.exchange() {
            assert!(begun.elapsed() < Duration::from_secs(60), "no answer");
            clock.advance_ms(6_000);
        }
        assert!(two.index.exchange());
        assert!(one.index.exchange());
        assert_eq!(one.confirmed(&path("both")), Some(second.clone()), "{passes:?}");
        // The order of the log decides: where the request arrived, it was the first.
        let last = match passes {
            Passes::Requests => &second,
            _ => &first,
        };
        for host in [&one, &two] {
            assert_eq!(host.confirmed(&path("odd")).as_ref(), Some(last), "{passes:?}");
        }
        // Delivered once, whether its answer was lost or not.
        let views = two.gate.summary(NONE).expect("read");
        let news = two
            .gate
            .read(views[0].view, HostId(1), Position::default(), 1_000, NONE)
            .expect("read");
        let name = format!("/media/{nth}/odd.mkv").into_bytes();
        let told = news
            .entries
            .iter()
            .filter(|entry| entry.name.kind == EntryKind::Match && entry.name.key == name);
        assert_eq!(told.count(), 1);
    }
}

/// It has the lock under which tables are made, and the engine is not told that it is gone.
#[test]
fn a_host_that_is_cut_off_while_it_makes_the_tables_blocks_nobody() {
    let Some(database) = database() else { return };
    let link = Link::to(&database);
    link.cut_at("to_regclass");
    let cut_off = crate::cluster::log(&link.address(&database.name));
    assert_eq!(cut_off.secret(NONE).expect_err("cut off").status, Status::Timeout);
    link.wait_until_cut();
    let begun = Instant::now();
    while database.log().secret(NONE).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the tables cannot be made");
    }
}

/// A host whose thread delivers through a link that is cut when the request is under way. The log was away before, so the
/// thread waits longer than a call.
#[test]
fn a_link_that_goes_silent_within_an_exchange_holds_up_no_closing() {
    let Some(cluster) = shared() else { return };
    let (server, clock, database) = (movies(60), clock(), cluster.database());
    let link = Link::to(&database);
    host(&server, &clock, &database.address("postgres"), false).refresh();
    let host = host(&server, &clock, &link.address(&database.name), true);
    link.set(Passes::Nothing);
    host.refresh();
    let (_, key) = path_of(&server, 1, 5);
    host.record("/mnt/odd.mkv", &key);
    link.cut_at("plexindex.deliver");
    link.set(Passes::All);
    clock.advance_ms(6_000);
    host.record("/mnt/odd/2.mkv", &key); // the thread wakes
    link.wait_until_cut();
    timed(&link, "closing", 1, || host.index.close().expect("closed"));
}
