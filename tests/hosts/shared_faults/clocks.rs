//! Clocks that differ, jump or stand still, and hosts that sleep.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use plexindex::options::Ttl;
use plexindex_sharing::bodies::{ListingBody, ProbeBody, decode, encode, new_entry};
use plexindex_sharing::{EntryKind, HostId, Position, SharedLog};
use plexindex_tests::memory_log::{MemoryLog, Trouble};

use crate::shared_faults::hosts::{NEW, NONE, World, exchange, pair};
use crate::support::index::{ManualClock, QueryOptions};
use crate::support::{HOUR_MS, NOW_MS, add, offline, path_of, requests};

const YEAR_MS: i64 = 365 * 24 * HOUR_MS;

/// The log was away when the clock was set back, and stays away: in the end the server is asked.
#[test]
fn a_clock_that_was_set_back_does_not_lengthen_the_patience() {
    let world = World::of(20);
    let one = world.host();
    let (path, _) = path_of(&world.server, 1, 3);
    world.log.set_trouble(Trouble::Away);
    assert!(!one.index.exchange());
    world.clock.advance_ms(-YEAR_MS);
    one.index.exchange();
    world.clock.advance_ms(61_000);
    world.server.reset();
    world.clock.advance_ms(2 * HOUR_MS);
    one.movies.ask(&path);
    assert!(requests(&world.server)[5] > 0);
}

/// A host whose clock is a year off: ages are by the log's clock.
#[test]
fn a_clock_a_year_off_harms_no_freshness() {
    for off in [-YEAR_MS, YEAR_MS] {
        let world = World::of(20);
        let one = world.host();
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = one.options.clone();
        options.cache_dir = folder.path().to_owned();
        let two = world.open(options, Arc::new(ManualClock::new(NOW_MS + off)), Some(folder));
        world.server.reset();
        two.refresh();
        let [_, _, listing, _, _, all] = requests(&world.server);
        assert!(listing == 0 && all <= 2, "{all} requests");
        let (path, key) = path_of(&world.server, 1, 3);
        two.record("/mnt/odd.mkv", &key);
        exchange(&[&two, &one, &two]);
        assert_eq!(one.confirmed("/mnt/odd.mkv"), Some(key));
        for host in [&one, &two] {
            let answer = host.movies.ask(&path);
            assert!(
                !answer.stale && answer.age_ms.is_some_and(|age| (0..HOUR_MS).contains(&age)),
                "{answer:?}"
            );
        }
        assert_eq!(requests(&world.server)[5], all);
        // What one lists later is as new to the other, and expires there at the same time.
        for clock in [&world.clock, &two.clock] {
            clock.advance_ms(2 * HOUR_MS);
        }
        two.refresh();
        one.exchange();
        let answer = one.movies.ask(&path);
        assert!(!answer.stale, "{answer:?}");
        for clock in [&world.clock, &two.clock] {
            clock.advance_ms(2 * HOUR_MS);
        }
        world.server.reset();
        one.refresh();
        assert!(requests(&world.server)[5] > 0, "it has expired");
    }
}

/// A host sleeps between the log's answer and its own write.
#[test]
fn what_a_sleeping_host_reads_is_as_old_as_it_is() {
    let (world, one, two) = pair();
    let (path, _) = path_of(&world.server, 1, 3);
    world.clock.advance_ms(2 * HOUR_MS);
    one.refresh();
    let clock = Arc::clone(&world.clock);
    two.gate.once_after("read", move || clock.advance_ms(5 * HOUR_MS));
    two.exchange();
    let answer = two.index.match_path(&offline(&two.movies), path.as_bytes());
    assert!(answer.expect("answered").stale);
}

/// A host sleeps between the server's answer and its own write: a probe, a listing, and what a delta changes.
#[test]
fn what_a_sleeping_host_publishes_is_as_old_as_it_is() {
    let world = World::of(20);
    let one = world.new_host(|options| options.library_ttl = Ttl::For(Duration::from_secs(60)));
    for (call, kind) in [
        ("read", EntryKind::Probe),
        ("put_chunk", EntryKind::Listing),
        ("renew", EntryKind::Listing),
    ] {
        let clock = Arc::clone(&world.clock);
        one.gate.once_before(call, move || clock.advance_ms(10_000));
        one.index
            .refresh(&QueryOptions::default(), call == "put_chunk")
            .expect("refreshed");
        let entry = world.entries().into_iter().find(|entry| entry.name.kind == kind);
        let told: ProbeBody = decode(&entry.expect("told").body).expect("with an age");
        assert_eq!(told.age_ms, 10_000, "{call}");
        add(&world.server, &["/data/movies/A/A.mkv"]);
        world.clock.advance_ms(120_000);
    }
}

/// A probe and the head of a listing that another host wrote an hour late.
#[test]
fn what_is_told_late_replaces_nothing_newer() {
    let (world, _one, two) = pair();
    let find = |kind| {
        let entry = world.entries().into_iter().find(|entry| entry.name.kind == kind);
        entry.expect("told").body
    };
    let mut probe: ProbeBody = decode(&find(EntryKind::Probe)).expect("a probe");
    let mut head: ListingBody = decode(&find(EntryKind::Listing)).expect("a head");
    let hour = u64::try_from(HOUR_MS).expect("positive");
    (probe.age_ms, head.age_ms) = (hour, hour);
    probe.libraries[0].title = "Old".into();
    world.plant(&[
        new_entry(EntryKind::Probe, "", b"", encode(&probe)),
        new_entry(EntryKind::Listing, &world.library(), b"", encode(&head)),
    ]);
    two.exchange();
    let known = two.index.libraries(&QueryOptions::default()).expect("known");
    let titles: Vec<_> = known.into_iter().map(|library| library.title).collect();
    assert_eq!(titles, ["Movies"]);
    world.server.reset();
    two.refresh();
    assert_eq!(requests(&world.server)[5], 0);
}

/// The log answers so late that news could be older than this host's own listing.
#[test]
fn what_a_late_answer_has_is_as_new_as_it_is() {
    let world = World::of(20);
    let one = world.host();
    world.clock.advance_ms(1_000);
    world.plant(&[world.new_item()]);
    let clock = Arc::clone(&world.clock);
    one.gate.once_before("read", move || clock.advance_ms(10_000));
    one.exchange();
    assert!(one.known(NEW).is_some());
}

/// Another host took over meanwhile: the fence refuses what the first one has.
#[test]
fn a_late_holder_publishes_nothing() {
    for call in ["put_chunk", "publish_listing"] {
        let world = World::of(20);
        let one = world.new_host(|_| {});
        let two = Arc::new(world.new_host(|_| {}));
        let (path, key) = path_of(&world.server, 1, 3);
        let (clock, log, other) = (Arc::clone(&world.clock), Arc::clone(&world.log), Arc::clone(&two));
        let theirs = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&theirs);
        one.gate.once_before(call, move || {
            clock.advance_ms(30_000);
            other.index.refresh(&QueryOptions::default(), true).expect("refreshed");
            *noted.lock().expect("no panic") = head(&log);
        });
        one.index.refresh(&QueryOptions::default(), false).expect("refreshed");
        let theirs = theirs.lock().expect("no panic").take();
        assert!(theirs.is_some());
        assert_eq!(head(&world.log), theirs, "late before {call}");
        let three = world.host();
        assert_eq!(three.known(&path).map(|(key, _)| key), Some(key));
    }
}

/// Number and writer of the only listing.
fn head(log: &MemoryLog) -> Option<(u64, HostId)> {
    let page = log.read(log.views()[0], HostId(1), Position::default(), 1_000, NONE);
    let entries = page.expect("read").entries;
    let head = entries.iter().find(|entry| entry.name.kind == EntryKind::Listing)?;
    Some((head.number, head.host))
}
