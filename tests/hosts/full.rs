//! The disk of the engine is full: that of its tables, and that of its own log.

use plexindex::error::Status;
use plexindex_sharing::{EntryKind, Position, SharedIndex, SharedLog};

use crate::cluster::{Cluster, Database};
use crate::disk::Disk;
use crate::host::Host;
use crate::postgres::{NONE, expect_error, item};
use crate::support::index::QueryOptions;
use crate::support::{HOUR_MS, add, clock, movies, path_of};

/// Matches of one delivery.
const EACH: usize = 50;

/// A path that takes room.
fn path(round: usize, number: usize) -> String {
    format!("/mnt/{round}/{number}/{}.mkv", "long".repeat(400))
}

/// Records and delivers until the engine takes no more. Returns the number of deliveries that it took.
fn deliver_until_refused(host: &Host, key: &str) -> usize {
    for round in 0..2_000 {
        for number in 0..EACH {
            host.record(&path(round, number), key);
        }
        if let Err(error) = host.index.shared_deliver() {
            assert_eq!(error.status, Status::Timeout, "{error}");
            return round;
        }
    }
    panic!("the disk has room");
}

fn expect_known(host: &Host, rounds: usize, key: &str) {
    for round in 0..rounds {
        for number in [0, EACH - 1] {
            assert_eq!(
                host.confirmed(&path(round, number)).as_deref(),
                Some(key),
                "{round} {number}"
            );
        }
    }
}

/// Makes room again and looks at what the others know.
fn expect_recovery(hosts: [&Host; 2], pause: impl Fn(), rounds: usize, key: &str) {
    let [one, two] = hosts;
    let is_delivered = (0..20).any(|_| {
        pause();
        one.index.exchange()
    });
    assert!(is_delivered);
    assert!(
        (0..20).any(|_| two.index.exchange() || (pause(), false).1),
        "it is taken"
    );
    expect_known(one, rounds, key);
    expect_known(two, rounds, key);
    // Each is there once.
    let view = one.log.summary(NONE).expect("read")[0].view;
    let (mut from, mut found) = (Position::default(), 0);
    loop {
        let news = one.log.read(view, from, 1_000, NONE).expect("read");
        let is_match = |entry: &&plexindex_sharing::Entry| entry.name.kind == EntryKind::Match;
        found += news.entries.iter().filter(is_match).count();
        from = news.position;
        if !news.has_more {
            break;
        }
    }
    assert_eq!(found, rounds * EACH);
}

#[test]
fn a_full_disk_of_the_tables_loses_nothing() {
    let test = "a_full_disk_of_the_tables_loses_nothing";
    let Some(disk) = Disk::new(test, 24) else { return };
    let Some(cluster) = Cluster::start(test, &[]) else {
        return;
    };
    let (server, clock) = (movies(60), clock());
    cluster.sql(
        "postgres",
        &format!("CREATE TABLESPACE small LOCATION '{}'", disk.path().display()),
    );
    cluster.sql("postgres", "CREATE DATABASE small TABLESPACE small");
    let database = Database {
        cluster: &cluster,
        name: "small".into(),
    };
    let [one, two] = [0, 1].map(|_| Host::new(&server, &clock, &database.address("postgres"), false));
    for host in [&one, &two] {
        host.refresh();
        assert!(host.index.exchange());
    }
    let (listed, key) = path_of(&server, 1, 5);
    disk.fill();
    let delivered = deliver_until_refused(&one, &key);
    // The engine is there, and reads; this host answers what it has recorded, and the other takes what was delivered.
    let status = one.index.shared_status().expect("there").expect("shared");
    assert!(status.reachable, "{:?}", status.error);
    expect_known(&one, delivered + 1, &key);
    assert!(two.index.exchange());
    expect_known(&two, delivered, &key);
    // What is wrong is said, with a remedy.
    let view = one.log.summary(NONE).expect("read")[0].view;
    let big = |number: u32| {
        let mut entry = item(&format!("big {number}"));
        entry.body = vec![7; 1 << 19];
        one.log.append(view, plexindex_sharing::HostId(7), &[entry], None, NONE)
    };
    let refused = (0..20).map(big).find(Result::is_err).expect("there is no room");
    expect_error(refused, Status::ServerError, "free some space on the server's disk");
    // Plex is asked by each host for itself.
    add(&server, &["/data/movies/New/New.mkv".to_owned()]);
    clock.advance_ms(2 * HOUR_MS);
    for host in [&one, &two] {
        host.index.refresh(&QueryOptions::default(), false).expect("refreshed");
        for path in [&*listed, "/data/movies/New/New.mkv"] {
            let answer = host.index.match_path(&host.movies.query(), path.as_bytes());
            assert!(answer.expect("answered").item.is_some(), "{path}");
        }
    }
    disk.free();
    expect_recovery([&one, &two], || clock.advance_ms(6_000), delivered + 1, &key);
}

/// The engine stops: it can write nothing. What it acknowledged before is there when it has room again.
#[test]
fn a_full_disk_of_the_engines_own_log_loses_nothing() {
    let test = "a_full_disk_of_the_engines_own_log_loses_nothing";
    let Some(disk) = Disk::new(test, 12) else { return };
    let settings = ["wal_recycle=off", "min_wal_size=2MB", "max_wal_size=4MB"];
    let waldir = format!("--waldir={}", disk.path().display());
    let Some(cluster) = Cluster::prepare_with(test, &settings, &["--wal-segsize=1", &waldir]) else {
        return;
    };
    cluster.restart();
    let (server, clock, database) = (movies(60), clock(), cluster.database());
    let [one, two] = [0, 1].map(|_| Host::new(&server, &clock, &database.address("postgres"), false));
    for host in [&one, &two] {
        host.refresh();
        assert!(host.index.exchange());
    }
    let (_, key) = path_of(&server, 1, 5);
    disk.fill();
    let delivered = deliver_until_refused(&one, &key);
    expect_known(&one, delivered + 1, &key);
    let said = std::fs::read_to_string(cluster.folder().join("log")).expect("read");
    assert!(
        said.contains("PANIC") && said.contains("No space left on device"),
        "{said}"
    );
    // Whether the engine answers or not, the other host does.
    clock.advance_ms(6_000);
    two.index.exchange();
    let (listed, _) = path_of(&server, 1, 7);
    let answer = two.index.match_path(&two.movies.query(), listed.as_bytes());
    assert!(answer.expect("answered").item.is_some());
    disk.free();
    cluster.recover();
    expect_recovery([&one, &two], || clock.advance_ms(6_000), delivered + 1, &key);
}
