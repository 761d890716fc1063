//! The log answers, and takes nothing from a host: a replica, a full disk, a role that may only read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use plexindex::error::{Error, Status};
use plexindex_sharing::SharedIndex;

use plexindex_tests::memory_log::Trouble;

use crate::shared_faults::hosts::{Host, World, exchange, pair};
use crate::support::path_of;

/// Two hosts that know the library, and three keys of it.
fn start() -> (World, Host, Host, [String; 3]) {
    let (world, one, two) = pair();
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

#[test]
fn a_host_that_cannot_deliver_says_why_and_takes_no_news() {
    let (world, one, two, [first, second, _]) = start();
    two.gate.refuse();
    two.record("/mnt/own.mkv", &first);
    one.record("/mnt/news.mkv", &second);
    one.exchange();
    assert!(!two.index.exchange(), "it has something to deliver");
    assert_eq!(two.confirmed("/mnt/news.mkv"), None, "its own come first");
    let status = two.index.shared_status().expect("read").expect("shared");
    assert_eq!(
        (status.reachable, status.undelivered, status.behind),
        (true, Some(1), Some(1))
    );
    assert!(status.error.is_some_and(|error| error.contains("no space left")));
    let waits = two.index.shared_deliver().expect_err("refused").message;
    assert!(waits.contains("no space left"), "{waits}");
    expect_agreement(&world, [&one, &two], "/mnt/own.mkv", Some(&first));
    assert_eq!(two.confirmed("/mnt/news.mkv"), Some(second));
    let status = two.index.shared_status().expect("read").expect("shared");
    assert_eq!((status.error, status.undelivered), (None, Some(0)));
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

/// It is asked again every few seconds, not for each entry.
#[test]
fn a_host_that_records_all_the_time_asks_a_log_that_refuses_seldom() {
    let world = World::with_threads(20);
    let (one, key) = (world.host(), path_of(&world.server, 1, 3).1);
    let refused = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refused);
    one.gate.set(move |called, is_made| {
        if called == "deliver" && !is_made {
            counted.fetch_add(1, Ordering::SeqCst);
            return Err(Error::new(Status::ServerError, "no space left (SQLSTATE 53100)"));
        }
        Ok(())
    });
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) && refused.load(Ordering::SeqCst) < 9 {
        one.record("/mnt/odd.mkv", &key);
    }
    let most = 2 + begun.elapsed().as_secs() / 5;
    assert!(refused.load(Ordering::SeqCst) as u64 <= most);
}

/// The pause between two deliveries delays no reading.
#[test]
fn a_host_with_nothing_to_deliver_reads_at_once() {
    let world = World::with_threads(20);
    let (one, two, key) = (world.host(), world.host(), path_of(&world.server, 1, 3).1);
    let _follower = two.index.follow_shared().expect("it shares");
    two.gate.refuse();
    for path in ["/mnt/odd.mkv", "/mnt/new.mkv", "/mnt/own.mkv"] {
        one.record(path, &key);
        let begun = Instant::now();
        while two.confirmed(path).is_none() {
            assert!(begun.elapsed() < Duration::from_secs(4), "{path}");
            std::thread::yield_now();
        }
    }
    let status = two.index.shared_status().expect("read").expect("shared");
    assert_eq!(status.undelivered, Some(0));
}
