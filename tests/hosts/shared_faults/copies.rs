//! A host copies a listing of another host.

use std::sync::Arc;
use std::time::Duration;

use plexindex::error::{Error, Status};
use plexindex::model::Item;
use plexindex::options::{Options, Ttl};
use plexindex_sharing::bodies::{ItemBody, encode, new_entry};
use plexindex_sharing::{EntryKind, HostId, SharedLog as _};
use plexindex_standin::MediaSpec;

use crate::shared_faults::hosts::{Host, NEW, NONE, World, pair};
use crate::support::index::QueryOptions;
use crate::support::{HOUR_MS, add, offline, path_of, requests};

fn is_stale(host: &Host, path: &str) -> bool {
    host.index.ask(&offline(&host.movies), path).stale
}

/// Without them, the copy would be taken for current.
#[test]
fn a_listing_is_copied_with_the_items_that_follow_it_or_not_at_all() {
    let world = World::of(20);
    let one = world.host();
    let entry = world.new_item();
    for is_cut in [false, true] {
        let two = world.new_host(|_| {});
        one.exchange();
        world.plant(std::slice::from_ref(&entry));
        let mut is_copied = false;
        two.gate.set(move |call, is_made| {
            is_copied |= call == "chunk" && is_made;
            if is_cut && is_copied && call == "read" {
                return Err(Error::new(Status::Connect, "cut"));
            }
            Ok(())
        });
        two.refresh();
        assert!(two.known(NEW).is_some(), "{is_cut}");
    }
}

/// The copy holds no lock for which this process would wait, and has what it took.
#[test]
fn a_process_takes_news_while_another_one_copies() {
    let world = World::of(20);
    let _one = world.host();
    let (two, entry) = (world.new_host(|_| {}), world.new_item());
    let other = world.open(two.options.clone(), Arc::clone(&two.clock), None);
    let (log, view) = (Arc::clone(&world.log), world.view());
    two.gate.once_before("chunk", move || {
        let written = log.append(view, HostId(666), &[entry], None, NONE);
        assert_eq!(written, Ok(true));
        other.exchange();
    });
    two.refresh();
    assert!(two.known(NEW).is_some());
    assert!(!is_stale(&two, NEW));
}

/// Two hosts. The first one lists again, or merges what is new, after both have the listing; a second passes.
fn checked_by_the_first(is_listed: bool) -> (World, Host, Host) {
    let (world, one, two) = pair();
    world.clock.advance_ms(2 * HOUR_MS);
    add(&world.server, &["/data/movies/A/A.mkv"]);
    one.index
        .refresh(&QueryOptions::default(), is_listed)
        .expect("refreshed");
    world.clock.advance_ms(1_000);
    (world, one, two)
}

/// What another host heard of the server before an event says nothing about the event.
#[test]
fn an_event_outlives_the_earlier_check_of_another_host() {
    const EVENT: &str = r#"{"TimelineEntry":{"sectionID":1,"itemID":1001,"state":5}}"#;
    for is_listed in [false, true] {
        let (world, _one, two) = checked_by_the_first(is_listed);
        two.index.notify(EVENT).expect("understood");
        two.exchange();
        world.server.reset();
        two.refresh();
        assert!(requests(&world.server)[5] > 0, "{is_listed}");
    }
}

/// The listing of another host was made before a host invalidated an item of it.
#[test]
fn an_invalid_item_outlives_the_copy_of_an_earlier_listing() {
    let (world, _one, two) = checked_by_the_first(true);
    let (path, key) = path_of(&world.server, 1, 3);
    two.movies.invalidate_item(&key).expect("invalidated");
    world.server.reset();
    two.refresh();
    assert!(two.known("/data/movies/A/A.mkv").is_some(), "it copied the listing");
    two.movies.ask(&path);
    assert_eq!(requests(&world.server)[4], 1);
}

/// The same for a library, by a host whose invalidation the log refuses.
#[test]
fn an_invalid_library_outlives_the_copy_of_an_earlier_listing() {
    let (world, _one, two) = checked_by_the_first(true);
    two.gate.refuse();
    two.movies.invalidate().expect("invalidated");
    world.server.reset();
    two.refresh();
    assert!(requests(&world.server)[2] > 0, "it lists by itself");
}

/// The library is invalidated while the host, which has delivered all it had, looks for a listing to copy.
#[test]
fn an_invalidation_during_a_copy_outlives_the_copy() {
    for (call, is_after) in [("read", true), ("find", false), ("read", false), ("chunk", false)] {
        let (world, _one, two) = checked_by_the_first(true);
        world.server.reset();
        let movies = two.index.library("Movies").expect("a handle");
        let mut found = call != "read" || is_after;
        let mut act = Some(move || movies.invalidate().expect("invalidated"));
        two.gate.set(move |called, is_made| {
            found |= called == "find" && is_made;
            if called == call
                && is_made == is_after
                && found
                && let Some(act) = act.take()
            {
                act();
            }
            Ok(())
        });
        two.refresh();
        let is_listed = requests(&world.server)[2] > 0;
        assert!(is_listed || is_stale(&two, "/data/movies/A/A.mkv"), "{call} {is_after}");
    }
}

/// What a host verified is newer than the listing that it copies.
#[test]
fn a_verified_item_outlives_the_copy_of_an_earlier_listing() {
    let (world, one, two) = pair();
    world.clock.advance_ms(HOUR_MS / 2);
    add(&world.server, &["/data/movies/A/A.mkv"]);
    one.index.refresh(&QueryOptions::default(), true).expect("refreshed");
    world.clock.advance_ms(1_000);
    let (path, key) = path_of(&world.server, 1, 3);
    let (number, moved) = (
        key.parse().expect("a number"),
        vec![MediaSpec::File("/data/movies/Moved.mkv".into())],
    );
    world.server.alter(|state| state.set_files(number, moved, false, false));
    two.movies.invalidate_item(&key).expect("invalidated");
    two.movies.ask(&path);
    assert!(two.known("/data/movies/Moved.mkv").is_some());
    world.clock.advance_ms(HOUR_MS);
    two.refresh();
    assert!(two.known("/data/movies/A/A.mkv").is_some(), "it copied the listing");
    let answer = two.index.ask(&offline(&two.movies), &path);
    assert!(answer.item.is_none() || answer.stale, "{answer:?}");
}

/// The same for an item that another host merged or missed before.
#[test]
fn a_verified_item_outlives_an_earlier_entry_of_another_host() {
    for (is_gone, has_changed) in [(false, false), (false, true), (true, false), (true, true)] {
        let world = World::of(20);
        let two = world.host();
        two.exchange();
        let (path, key) = path_of(&world.server, 1, 3);
        world.clock.advance_ms(60_000);
        let moved = Item {
            rating_key: key.clone(),
            parts: vec![NEW.into()],
            ..Item::default()
        };
        let item = (!is_gone).then_some(moved);
        world.plant(&[new_entry(
            EntryKind::Item,
            &world.library(),
            key.as_bytes(),
            encode(&ItemBody { item }),
        )]);
        world.clock.advance_ms(1_000);
        let now = if has_changed { "/data/movies/Back.mkv" } else { &path };
        let files = vec![MediaSpec::File(now.into())];
        world
            .server
            .alter(|state| state.set_files(key.parse().expect("a number"), files, false, false));
        two.movies.invalidate_item(&key).expect("invalidated");
        two.movies.ask(&path);
        two.exchange();
        let wrong = two.index.ask(&offline(&two.movies), NEW);
        assert!(wrong.item.is_none() || wrong.stale, "{wrong:?}");
        let answer = two.movies.ask(now);
        assert_eq!(answer.key(), Some(key));
    }
}

/// The thread that renews the lease was late, and no other host took the lease.
#[test]
fn a_listing_that_outlasts_its_lease_is_shared() {
    let world = World::of(20);
    let (one, clock) = (world.new_host(|_| {}), Arc::clone(&world.clock));
    one.gate.once_after("lease", move || clock.advance_ms(60_000));
    one.refresh();
    world.server.reset();
    world.new_host(|_| {}).refresh();
    assert_eq!(requests(&world.server)[2], 0, "it copies the listing");
}

/// Another host lists after this one looked for a listing, and before it has the lease.
#[test]
fn a_listing_that_comes_before_the_lease_is_copied() {
    let alone = World::of(20);
    let _host = alone.host();
    let world = World::of(20);
    let (one, two) = (world.new_host(|_| {}), world.new_host(|_| {}));
    two.gate.once_before("lease", move || one.refresh());
    two.refresh();
    assert_eq!(requests(&world.server)[2], requests(&alone.server)[2]);
}

/// A host that copied an older listing asks only for what changed since then.
#[test]
fn an_older_listing_is_copied_before_its_changes_are_asked_for() {
    let world = World::of(4_000);
    let soon = |options: &mut Options| options.library_ttl = Ttl::For(Duration::from_secs(60));
    let _one = world.host_with(soon);
    let listed = requests(&world.server)[2];
    world.clock.advance_ms(120_000);
    add(&world.server, &["/data/movies/A/A.mkv"]);
    world.server.reset();
    let two = world.host_with(soon);
    assert!(two.known("/data/movies/A/A.mkv").is_some());
    assert!(requests(&world.server)[2] < listed);
}
