//! The log answers, and takes nothing from a host: a replica, a full disk, a role that may only read.

use plexindex_sharing::SharedIndex;

use plexindex_tests::memory_log::Trouble;

use crate::shared_faults::hosts::{Host, World, exchange};
use crate::support::{HOUR_MS, path_of, requests};

/// Two hosts that know the library, and three keys of it.
fn start() -> (World, Host, Host, [String; 3]) {
    let world = World::of(20);
    let (one, two) = (world.host(), world.host());
    exchange(&[&one, &two]);
    let keys = [3, 4, 5].map(|nth| path_of(&world.server, 1, nth).1);
    (world, one, two, keys)
}

/// The log takes writes again, and everything is known to all, also to a host that begins now.
fn expect_agreement(world: &World, hosts: [&Host; 2], path: &str, key: Option<&String>) {
    for host in hosts {
        host.gate.open();
    }
    world.clock.advance_ms(6_000);
    exchange(&hosts);
    let new = world.host();
    exchange(&[&new]);
    for host in hosts.into_iter().chain([&new]) {
        assert_eq!(host.confirmed(path).as_ref(), key);
    }
}

/// Its listing expired, and the last probe found it to be current.
#[test]
fn a_host_that_cannot_write_waits_before_it_asks_the_server() {
    let (world, _one, two, [first, ..]) = start();
    world.clock.advance_ms(2 * HOUR_MS);
    two.gate.refuse();
    two.record("/mnt/own/1.mkv", &first);
    two.index.exchange();
    let (path, _) = path_of(&world.server, 1, 3);
    let before = requests(&world.server);
    assert!(two.movies.match_path(path.as_bytes()).expect("answered").stale);
    assert_eq!(requests(&world.server), before);
}

#[test]
fn a_host_that_cannot_deliver_takes_news() {
    let (world, one, two, [first, second, _]) = start();
    two.gate.refuse();
    two.record("/mnt/own/1.mkv", &first);
    two.record("/mnt/own/2.mkv", &first);
    for round in 0..3 {
        let path = format!("/mnt/news/{round}.mkv");
        one.record(&path, &second);
        one.exchange();
        assert!(!two.index.exchange(), "it has something to deliver");
        assert_eq!(two.confirmed(&path).as_ref(), Some(&second));
        world.clock.advance_ms(2_500);
    }
    let status = two.index.shared_status().expect("read").expect("shared");
    assert_eq!(
        (status.reachable, status.undelivered, status.behind),
        (true, Some(2), Some(0))
    );
    assert!(status.error.is_some_and(|error| error.contains("no space left")));
    let waits = two.index.shared_deliver().expect_err("refused").message;
    assert!(
        waits.contains("stored in this folder") && waits.contains("no space left"),
        "{waits}"
    );
    assert_eq!(one.confirmed("/mnt/own/1.mkv"), None);
    expect_agreement(&world, [&one, &two], "/mnt/own/1.mkv", Some(&first));
    assert_eq!(one.confirmed("/mnt/own/2.mkv"), Some(first));
    let status = two.index.shared_status().expect("read").expect("shared");
    assert_eq!((status.error, status.undelivered), (None, Some(0)));
}

#[test]
fn what_a_host_could_not_deliver_is_not_replaced_by_what_it_takes() {
    let (world, one, two, [first, second, _]) = start();
    two.gate.refuse();
    two.record("/mnt/odd.mkv", &second);
    one.record("/mnt/odd.mkv", &first);
    one.exchange();
    two.index.exchange();
    assert_eq!(two.confirmed("/mnt/odd.mkv").as_ref(), Some(&second));
    expect_agreement(&world, [&one, &two], "/mnt/odd.mkv", Some(&second));
}

#[test]
fn what_a_host_invalidated_does_not_come_back() {
    for what in ["path", "item", "library"] {
        let (world, one, two, [first, ..]) = start();
        two.gate.refuse();
        match what {
            "path" => two.movies.invalidate_path(b"/mnt/odd.mkv"),
            "item" => two.movies.invalidate_item(&first),
            _ => two.movies.invalidate(),
        }
        .expect("invalidated");
        one.record("/mnt/odd.mkv", &first);
        one.exchange();
        two.index.exchange();
        assert_eq!(two.confirmed("/mnt/odd.mkv"), None, "{what}");
        expect_agreement(&world, [&one, &two], "/mnt/odd.mkv", None);
    }
}

/// The log will have the match behind the invalidation.
#[test]
fn what_another_host_invalidated_before_stays_with_who_could_not_deliver_it() {
    for what in ["path", "item", "library"] {
        let (world, one, two, [first, second, _]) = start();
        one.record("/mnt/odd.mkv", &first);
        exchange(&[&one, &two]);
        two.gate.refuse();
        two.record("/mnt/odd.mkv", &second);
        two.record("/mnt/void.mkv", &second);
        two.movies.invalidate_path(b"/mnt/void.mkv").expect("invalidated");
        match what {
            "path" => one.movies.invalidate_path(b"/mnt/odd.mkv"),
            "item" => one.movies.invalidate_item(&second),
            _ => one.movies.invalidate(),
        }
        .expect("invalidated");
        one.exchange();
        two.index.exchange();
        assert_eq!(two.confirmed("/mnt/odd.mkv").as_ref(), Some(&second), "{what}");
        assert_eq!(two.confirmed("/mnt/void.mkv"), None, "{what}");
        expect_agreement(&world, [&one, &two], "/mnt/odd.mkv", Some(&second));
    }
}

/// A replica took over that lacks the last writes, and takes none itself.
#[test]
fn a_restored_log_that_takes_no_writes_takes_nothing_back() {
    let (world, one, two, [first, second, third]) = start();
    two.record("/mnt/odd.mkv", &first);
    exchange(&[&two, &one]);
    one.record("/mnt/odd.mkv", &second);
    one.exchange();
    world.log.lose_writes(1);
    world.log.set_trouble(Trouble::ReadOnly);
    for _ in 0..2 {
        one.index.exchange();
        assert_eq!(one.confirmed("/mnt/odd.mkv").as_ref(), Some(&second));
        world.clock.advance_ms(6_000);
    }
    one.record("/mnt/odd.mkv", &third);
    one.index.exchange();
    assert_eq!(one.confirmed("/mnt/odd.mkv").as_ref(), Some(&third));
    world.log.set_trouble(Trouble::None);
    expect_agreement(&world, [&one, &two], "/mnt/odd.mkv", Some(&third));
}
