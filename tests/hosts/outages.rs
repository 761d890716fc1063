//! A server that restarts, becomes a replica, is restored from a backup, or is silent.

use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use plexindex::error::Status;
use plexindex::inside::Deadline;
use plexindex_sharing::postgres::{Postgres, Timeouts, parse};
use plexindex_sharing::{Position, SharedLog};

use crate::cluster::{Database, alone, database, shared};
use crate::fixture::{A, NONE, matched};
use crate::postgres::{append, expect_error, keys, position, view, wait_for_sessions};

#[test]
fn a_server_that_restarts_is_found_again() {
    let Some(cluster) = alone() else { return };
    let database = cluster.database();
    let log = database.log();
    let view = view(&log);
    assert_eq!(append(&log, view, "1"), Ok(()));
    assert_eq!(log.wait(view, 0, Duration::from_secs(60)), Ok(true));
    for mode in ["fast", "immediate"] {
        cluster.stop(mode);
        cluster.restart();
        assert_eq!(append(&log, view, mode), Ok(()), "the connection is made again");
    }
    // Nothing that was acknowledged is lost.
    assert_eq!(keys(&log, view), ["1", "fast", "immediate"]);
    // A wait ends with the server, since it may miss something, and reading says what is wrong.
    assert_eq!(
        log.wait(view, 3, Duration::from_secs(60)),
        Ok(true),
        "the connection broke before"
    );
    let waited = thread::scope(|scope| {
        let waiting = scope.spawn(|| log.wait(view, 3, Duration::from_secs(60)));
        wait_for_sessions(&database, "2");
        cluster.stop("fast");
        waiting.join().expect("no panic")
    });
    assert_eq!(waited, Ok(true));
    let begin = Instant::now();
    expect_error(
        log.read(view, A, Position::default(), 1, NONE),
        Status::Connect,
        "check that PostgreSQL is running",
    );
    expect_error(
        log.wait(view, 3, Duration::from_secs(60)),
        Status::Connect,
        "check that PostgreSQL is running",
    );
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    cluster.restart();
    assert_eq!(keys(&log, view).len(), 3);
}

#[test]
fn a_replica_is_read_and_then_promoted() {
    let Some(cluster) = alone() else { return };
    let database = cluster.database();
    let log = database.log();
    let view = view(&log);
    assert_eq!(append(&log, view, "1"), Ok(()));
    cluster.stop("fast");
    let signal = cluster.file("data/standby.signal", "");
    cluster.restart();
    assert_eq!(keys(&log, view), ["1"]);
    assert_eq!(log.view("server", b"viewer", NONE), Ok(view));
    expect_error(append(&log, view, "2"), Status::ServerError, "read-only");
    // It does not allow to listen: the number is read at the end of a wait.
    let time = Duration::from_millis(100);
    assert_eq!(log.wait(view, 0, Duration::from_secs(60)), Ok(true));
    let begin = Instant::now();
    assert_eq!(log.wait(view, 1, time), Ok(false));
    assert!(begin.elapsed() >= time, "{:?}", begin.elapsed());
    assert_eq!(log.wait(view, 0, time), Ok(true));
    cluster.pg_ctl(&["promote", "-w"]);
    assert!(!signal.exists());
    assert_eq!(append(&log, view, "2"), Ok(()));
    assert_eq!(keys(&log, view), ["1", "2"]);
}

#[test]
fn a_restored_backup_starts_over() {
    let Some(cluster) = shared() else { return };
    let (database, name) = (cluster.database(), cluster.database().name);
    let log = database.log();
    let old = view(&log);
    let of_host = |number: u64| (number, matched(&format!("{number} of the host"), ""));
    assert_eq!(append(&log, old, "1"), Ok(()));
    assert_eq!(log.deliver(old, A, 0, &[of_host(1)], NONE), Ok(1));
    let kept = position(&log, old);
    // A backup is taken; what follows is lost.
    let backup = format!("{name}_backup");
    let original = &database.name;
    cluster.sql(
        "postgres",
        &format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = '{original}' AND pid <> pg_backend_pid()"
        ),
    );
    cluster.sql("postgres", &format!("CREATE DATABASE {backup} TEMPLATE {original}"));
    let new = log.view("server", b"a new viewer", NONE).expect("a view");
    assert_eq!(append(&log, new, "1"), Ok(()));
    assert_eq!(log.deliver(old, A, 1, &[of_host(2), of_host(3)], NONE), Ok(3));
    let lost = log.read(old, A, kept, 10, NONE).expect("read");
    assert_eq!((lost.entries.len(), lost.starts_over), (2, false));
    cluster.sql("postgres", &format!("DROP DATABASE {original} WITH (FORCE)"));
    cluster.sql("postgres", &format!("ALTER DATABASE {backup} RENAME TO {original}"));
    // A position of before the backup holds; one of after it does not, also when its number is there again.
    assert!(!log.read(old, A, kept, 10, NONE).expect("read").starts_over);
    assert!(log.read(old, A, lost.position, 10, NONE).expect("read").starts_over);
    // The host finds which of its entries the log has.
    assert_eq!(log.read(old, A, kept, 10, NONE).expect("read").delivered, 1);
    assert_eq!(log.deliver(old, A, 1, &[of_host(2), of_host(3)], NONE), Ok(3));
    let news = log.read(old, A, lost.position, 10, NONE).expect("read");
    assert_eq!((news.entries.len(), news.starts_over), (4, true));
    // The lost view has its number again.
    assert_eq!(append(&log, new, "2"), Ok(()));
    assert_eq!(keys(&log, new), ["2"]);
}

/// Keeps a lock on the table of views until it is dropped.
struct Locked<'d> {
    psql: Child,
    database: &'d Database<'d>,
}

impl<'d> Locked<'d> {
    fn new(database: &'d Database<'d>) -> Self {
        let mut psql = database.cluster.psql(&database.name);
        psql.args(["-c", "BEGIN; LOCK TABLE plexindex.views; SELECT pg_sleep(60)"]);
        let psql = psql
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        let statement = "SELECT count(*) FROM pg_locks WHERE relation = 'plexindex.views'::regclass AND granted AND \
                         mode = 'AccessExclusiveLock'";
        while database.sql(statement) != "1" {
            thread::sleep(Duration::from_millis(5));
        }
        Self { psql, database }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Only then the server notices: it sleeps.
        self.database.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND query LIKE '%pg_sleep(60)' AND pid <> pg_backend_pid()",
        );
        self.psql.wait().expect("ended");
    }
}

#[test]
fn a_silent_server_is_left() {
    let Some(database) = database() else { return };
    let patience = Timeouts {
        connect: Duration::from_millis(300),
        silence: Duration::from_millis(200),
    };
    let impatient = |address: &str| {
        let address = parse(address, |_| None).expect("valid");
        Postgres::with_timeouts(address, patience)
    };
    let log = impatient(&database.address("postgres"));
    let view = view(&database.log());
    assert_eq!(append(&log, view, "1"), Ok(()));
    let locked = Locked::new(&database);
    let begin = Instant::now();
    expect_error(append(&log, view, "2"), Status::Timeout, "in time");
    let deadline = Deadline::after(Duration::from_millis(20));
    expect_error(
        database.log().read(view, A, Position::default(), 1, deadline),
        Status::Timeout,
        "in time",
    );
    let deadline = Deadline::at(Instant::now());
    expect_error(
        log.read(view, A, Position::default(), 1, deadline),
        Status::Timeout,
        "in time",
    );
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    drop(locked);
    while append(&log, view, "3") != Ok(()) {}
    // One that accepts connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("a port").port();
    let log = impatient(&format!("postgresql://u@127.0.0.1:{port}/d"));
    expect_error(log.secret(NONE), Status::Timeout, "in time");
    drop(silent);
    expect_error(log.secret(NONE), Status::Connect, "refused");
    let log = impatient("postgresql://u@no.such.host.invalid/d");
    expect_error(log.secret(NONE), Status::Connect, "name is unknown");
}
