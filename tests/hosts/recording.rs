//! What one host records, or takes back, counts on all.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use plexindex::error::Status;
use plexindex::inside::Clock as _;
use plexindex::options::{Mapping, Options};
use plexindex_sharing::SharedIndex;

use crate::link::Link;
use crate::support::index::Ask as _;
use crate::support::worker::{database, rounds, until};
use crate::support::{add, path_of, remove};
use crate::world::{World, pair};

const ODD: &str = "/mnt/odd.mkv";

#[test]
fn a_match_is_on_all_hosts_each_with_its_own_path() {
    let Some((world, one, two)) = pair() else { return };
    // One folder of this host has the files of two of the server's: a row of the second one may be about another file.
    let other = world.host_with(|options| {
        options.mappings = ["/media", "/second"]
            .map(|to| Mapping::host_to_server("/films", to))
            .into();
    });
    let key = world.key(5);
    one.record(ODD, &key);
    let second = world.host_with(|options| options.mappings = vec![Mapping::host_to_server("/second", "/second")]);
    second.record("/second/odd.mkv", &world.key(6));
    world.exchange(&[&one, &second, &two, &other]);
    assert_eq!(two.answer(ODD), Some((key.clone(), false)));
    assert_eq!(other.answer("/films/odd.mkv"), Some((key.clone(), false)));
    assert_eq!(other.recorded(ODD), None);
    // Nobody can tell which file this is elsewhere.
    one.record("/downloads/a.mkv", &key);
    world.exchange(&[&one, &two]);
    assert_eq!(two.recorded("/downloads/a.mkv"), None);
    assert_eq!(world.rows(), "2|0");
    // What arrived is not delivered again.
    let status = two.status();
    assert_eq!((status.undelivered, status.behind), (Some(0), Some(0)));
    assert_eq!(world.database.sql("SELECT max(seq) FROM plexindex_shared.matches"), "2");
}

#[test]
fn many_matches_reach_ten_hosts() {
    let Some(world) = World::new() else { return };
    let count = rounds("PLEXINDEX_MATCHES", 4_000, 25);
    let both = [("one", world.key(5)), ("two", world.key(6))].map(|(of, key)| {
        let paths = (0..count).map(|number| format!("/mnt/{of}/{number}.mkv"));
        (paths.collect::<Vec<_>>(), key)
    });
    let mut hosts = vec![world.host()];
    for (at, (paths, key)) in both.iter().enumerate() {
        let batches = paths.chunks(1_000);
        batches.for_each(|paths| hosts[at].movies.record_all(paths, key));
        hosts[at].deliver();
        let begun = Instant::now();
        hosts.extend((at == 0).then(|| world.host()));
        world.exchange(&[&hosts[1 - at]]);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    // The others join when only the last delivery still has its mark.
    let old = "DELETE FROM plexindex_shared.marks m USING plexindex_shared.views v WHERE m.seq < v.seq";
    world.database.sql(old);
    for at in 2..10 {
        hosts.push(world.host());
        world.exchange(&[&hosts[at]]);
    }
    for (host, (paths, key)) in hosts.iter().flat_map(|host| both.iter().map(move |both| (host, both))) {
        let mut some = paths.iter().step_by(499);
        assert!(some.all(|path| host.recorded(path).as_ref() == Some(key)));
    }
}

#[test]
fn libraries_and_views_are_taken_back_with_one_row() {
    let Some((world, one, two)) = pair() else { return };
    let elsewhere = world.host_with(|options| options.user = Some("ann".into()));
    elsewhere.record(ODD, &world.key(5));
    elsewhere.deliver();
    let paths: Vec<String> = (0..1_200).map(|number| format!("/mnt/odd/{number}.mkv")).collect();
    one.movies.record_all(&paths, &world.key(5));
    world.exchange(&[&one, &two]);
    two.movies.invalidate().expect("invalidated");
    world.exchange(&[&two, &one]);
    assert_eq!(world.rows(), "1|1");
    for host in [&one, &two] {
        assert!(paths.iter().step_by(100).all(|path| host.recorded(path).is_none()));
    }
    // What is recorded from now on stays, also on a host that reads all at once.
    one.record(ODD, &world.key(6));
    let three = world.host();
    world.exchange(&[&one, &two, &three]);
    for host in [&one, &two, &three] {
        assert_eq!(host.recorded(ODD), Some(world.key(6)));
    }
    // A host that clears its folder takes back everything.
    one.index.clear().expect("cleared");
    one.refresh();
    world.exchange(&[&one, &two]);
    assert_eq!(two.recorded(ODD), None);
    two.record(ODD, &world.key(6));
    world.exchange(&[&two, &one]);
    assert_eq!(one.recorded(ODD), Some(world.key(6)));
    two.index.shared_clear().expect("cleared");
    until("one has none", || one.recorded(ODD).is_none());
    until("two has none", || two.recorded(ODD).is_none());
    // Another user's view stays.
    assert_eq!(
        (elsewhere.status().views.len(), elsewhere.status().behind),
        (2, Some(0))
    );
    assert_eq!(elsewhere.recorded(ODD), Some(world.key(5)));
}

/// Also by a host that cannot have the path.
#[test]
fn an_item_is_taken_back_on_all_hosts() {
    let Some((world, one, two)) = pair() else { return };
    let elsewhere = world.host_with(|options| options.mappings.clear());
    one.record(ODD, &world.key(5));
    world.exchange(&[&one, &two, &elsewhere]);
    let (options, folder) = two.end();
    elsewhere.movies.invalidate_item(&world.key(5)).expect("invalidated");
    world.exchange(&[&elsewhere, &one]);
    assert_eq!(one.recorded(ODD), None);
    // A host that was away, and a new one.
    for host in [world.open(options, folder), world.host()] {
        world.exchange(&[&host]);
        assert_eq!(host.recorded(ODD), None);
        host.record(ODD, &world.key(5));
        world.exchange(&[&host, &one]);
        assert_eq!(one.recorded(ODD), Some(world.key(5)));
        host.movies.invalidate_path(ODD).expect("invalidated");
        world.exchange(&[&host, &one]);
    }
}

#[test]
fn a_record_waits_for_the_database_if_asked() {
    let Some((world, one, two)) = pair() else { return };
    let (path, key) = path_of(&world.server, 1, 5);
    one.movies
        .query()
        .through()
        .record_match(&path, &key)
        .expect("delivered");
    assert_eq!(world.rows(), "1|0", "at return");
    let refused = one
        .movies
        .query()
        .through()
        .record_match("/downloads/a.mkv", &key)
        .expect_err("it stays here");
    assert_eq!(refused.status, Status::InvalidArgument);
    assert!(refused.message.contains("'/downloads/a.mkv'"), "{refused}");
    assert_eq!(one.recorded("/downloads/a.mkv"), None);
    until("the other host has it", || two.recorded(&path).is_some());
}

#[test]
fn an_index_that_does_not_share_says_so() {
    let Some(world) = World::new() else { return };
    let alone = world.host_with(|options| options.shared = None);
    assert_eq!(alone.index.shared_status(), Ok(None));
    let offline = world.host_with(|_| {});
    let offline = world.reopened(offline, |options| options.offline = true);
    for host in [&alone, &offline] {
        for refused in [
            host.index.shared_deliver(),
            host.movies.query().through().record_match("/mnt/a.mkv", "1"),
        ] {
            let error = refused.expect_err("nothing is shared");
            assert_eq!(error.status, Status::InvalidArgument, "{error}");
            assert!(error.message.contains("'shared'"), "{error}");
        }
        assert_eq!(host.recorded("/mnt/a.mkv"), None);
    }
    assert_eq!(
        offline.index.shared_init().expect_err("offline").status,
        Status::Offline
    );
    // Without a server, there is nothing to exchange, and the database can be prepared.
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        shared: Some(world.database.address("postgres")),
        ..Options::new(folder.path())
    };
    let host = world.open(options, None);
    host.index.shared_init().expect("prepared");
    assert_eq!((host.status().reachable, host.status().taken), (true, None));
    assert_eq!(
        host.index.shared_deliver().expect_err("no server").status,
        Status::InvalidArgument
    );
}

/// A view that a new token begins has the matches of the old one, which are no later for it.
#[test]
fn a_new_token_brings_no_old_match_back() {
    let Some((world, one, two)) = pair() else { return };
    one.record(ODD, &world.key(5));
    world.exchange(&[&one, &two]);
    for host in [&one, &two] {
        assert_eq!(host.recorded(ODD), Some(world.key(5)));
    }
    let ann = world.reopened(one, |options| options.user = Some("ann".into()));
    ann.refresh();
    let bob = world.reopened(two, |options| options.user = Some("ann".into()));
    bob.record(ODD, &world.key(6));
    world.exchange(&[&ann, &bob]);
    assert_eq!(ann.recorded(ODD), Some(world.key(6)));
}

/// A host's clock was two hours ahead before it reached the database.
#[test]
fn a_correction_is_later_than_a_mistake_that_a_wrong_clock_made() {
    let Some(world) = World::new() else { return };
    let alone = world.host_with(|options| options.shared = None);
    let (options, folder) = alone.end();
    let ahead = database(&options.cache_dir).execute("UPDATE meta SET clock_us = 7200000000", []);
    assert_eq!(ahead, Ok(1));
    let alone = world.open(options, folder);
    alone.record(ODD, &world.key(5));
    let address = world.database.address("postgres");
    let one = world.reopened(alone, |options| options.shared = Some(address));
    let two = world.host();
    world.exchange(&[&one, &two]);
    until("the mistake arrives", || two.recorded(ODD).is_some());
    two.record(ODD, &world.key(6));
    world.exchange(&[&two, &one]);
    assert_eq!(
        [one.recorded(ODD), two.recorded(ODD)],
        [Some(world.key(6)), Some(world.key(6))]
    );
    // From its first contact on, the clock is right.
    one.record("/mnt/new.mkv", &world.key(5));
    world.exchange(&[&one, &two]);
    two.record("/mnt/new.mkv", &world.key(6));
    world.exchange(&[&two, &one]);
    assert_eq!(one.recorded("/mnt/new.mkv"), Some(world.key(6)));
}

/// Sets the hosts' clock to some time before now. Records have the time of the system.
fn set_clock(world: &World, before_ms: i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let now_ms = i64::try_from(now.as_millis()).expect("a time");
    world.clock.advance_ms(now_ms - before_ms - world.clock.now_ms());
}

/// A host corrects what Plex lists. Another one that has checked the library since knows that Plex still lists it.
#[test]
fn a_match_counts_from_when_it_was_recorded() {
    let Some(world) = World::new() else { return };
    set_clock(&world, 3_600_000);
    let (one, two) = (world.host(), world.host());
    let (listed, _) = path_of(&world.server, 1, 3);
    one.record(&listed, &world.key(5));
    world.exchange(&[&one, &two]);
    assert_eq!(
        [one.recorded(&listed), two.recorded(&listed)],
        [Some(world.key(5)), Some(world.key(5))]
    );
    set_clock(&world, 0);
    let later = world.host_with(|options| options.shared = None);
    let address = world.database.address("postgres");
    let later = world.reopened(later, |options| options.shared = Some(address));
    world.exchange(&[&later]);
    assert_eq!(later.recorded(&listed), None);
    // One whose clock was ahead cannot tell.
    set_clock(&world, -3_600_000);
    let ahead = world.host_with(|options| options.shared = None);
    let address = world.database.address("postgres");
    let ahead = world.reopened(ahead, |options| options.shared = Some(address));
    world.exchange(&[&ahead]);
    assert_eq!(ahead.recorded(&listed), Some(world.key(5)));
}

/// A host that cannot reach the database checks and lists its library, which Plex lists as when another host corrected it.
#[test]
fn a_request_that_shows_nothing_new_ends_no_match() {
    let Some(world) = World::new() else { return };
    set_clock(&world, 600_000); // too early for another listing
    let (one, two) = (world.host(), world.host());
    let two = world.reopened(two, |options| options.shared = None);
    let [(listed, _), (moved, key)] = [3, 4].map(|nth| path_of(&world.server, 1, nth));
    let corrected = world.key(5);
    one.record(&listed, &corrected);
    one.record(&moved, &corrected);
    one.deliver();
    set_clock(&world, 0);
    remove(&world.server, &[key.parse().expect("a number")]);
    add(&world.server, &[&moved]);
    two.index.query().checked().expect("checked");
    two.index.query().refreshed(true).expect("listed");
    let address = world.database.address("postgres");
    let two = world.reopened(two, |options| options.shared = Some(address));
    world.exchange(&[&two]);
    assert_eq!(two.recorded(&listed), Some(corrected));
    assert_eq!(two.recorded(&moved), None, "Plex has another item there now");
}

/// Another process of the folder has checked the library.
#[test]
fn a_late_match_is_compared_with_what_the_folder_has() {
    let Some(world) = World::new() else { return };
    set_clock(&world, 3_600_000);
    let link = Link::to(&world.database);
    let (one, two) = (world.host(), world.host_at(link.address(&world.database.name)));
    two.refresh();
    two.deliver();
    link.set_cut(true);
    let path = path_of(&world.server, 1, 3).0.replace(".mkv", " 2.mkv");
    one.record(&path, &world.key(5));
    one.deliver();
    set_clock(&world, 0);
    add(&world.server, &[&path]);
    let mut options = two.options.clone();
    options.shared = None;
    let beside = world.open(options, None);
    beside.index.query().checked().expect("checked");
    link.set_cut(false);
    world.exchange(&[&two]);
    assert_eq!(two.recorded(&path), None, "Plex has another item there now");
}

#[test]
fn a_host_forks_while_it_records() {
    let Some(world) = World::new() else { return };
    let (host, stops, key) = (world.host(), AtomicBool::new(false), world.key(5));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0..20).cycle().take_while(|_| !stops.load(Ordering::Relaxed)) {
                host.record(&format!("/mnt/odd/{number}.mkv"), &key);
            }
        });
        // With a user the standard library forks: otherwise the system starts the program. None waits for a lock of a thread
        // that waits for the fork.
        let user = std::fs::metadata("/proc/self").map_or(0, |facts| facts.uid());
        for _ in 0..150 {
            let done = Command::new("true").uid(user).status();
            assert!(done.is_ok_and(|status| status.success()));
        }
        stops.store(true, Ordering::Relaxed);
    });
    host.deliver();
}
