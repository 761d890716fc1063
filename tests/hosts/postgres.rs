//! What only the log in `PostgreSQL` does: roles, versions, and a server that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plexindex::error::{Error, Status};
use plexindex_sharing::postgres::{Postgres, parse};
use plexindex_sharing::{EntryKind, Position, SharedLog, SharedTables, ViewNumber};

use crate::cluster::{Cluster, Database, alone, database, log};
use crate::fixture::{self, A, NONE, entry, matched};

pub fn view(log: &Postgres) -> ViewNumber {
    log.view("server", b"viewer", NONE).expect("a view")
}

pub fn append(log: &Postgres, view: ViewNumber, key: &str) -> Result<(), Error> {
    fixture::append(log, view, &[matched(key, "")])
}

pub fn keys(log: &Postgres, view: ViewNumber) -> Vec<String> {
    let news = log.read(view, A, Position::default(), 1000, NONE).expect("read");
    let key = |entry: &plexindex_sharing::Entry| String::from_utf8_lossy(&entry.name.key).into_owned();
    news.entries.iter().map(key).collect()
}

pub fn position(log: &Postgres, view: ViewNumber) -> Position {
    let page = log.read(view, A, Position::default(), 10, NONE);
    page.expect("read").position
}

fn sessions(database: &Database<'_>) -> String {
    database.sql(&format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'plexindex'",
        database.name
    ))
}

#[track_caller]
pub fn expect_error<T: std::fmt::Debug>(outcome: Result<T, Error>, status: Status, part: &str) {
    let error = outcome.expect_err("an error");
    assert_eq!(error.status, status, "{error}");
    assert!(error.message.contains(part), "{error}");
    assert!(!error.message.contains("s3cret"), "{error}");
}

#[test]
fn the_first_of_many_hosts_makes_the_tables() {
    let Some(database) = database() else { return };
    let secrets: Vec<_> = thread::scope(|scope| {
        let hosts: Vec<_> = (0..6).map(|_| scope.spawn(|| database.log().secret(NONE))).collect();
        hosts.into_iter().map(|host| host.join().expect("no panic")).collect()
    });
    assert!(secrets[0].is_ok(), "{secrets:?}");
    assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    assert_eq!(database.log().create_tables(NONE), Ok(SharedTables::Present));
    let other = database.cluster.database();
    assert_eq!(other.log().create_tables(NONE), Ok(SharedTables::Made));
    assert_ne!(other.log().secret(NONE), secrets[0]);
}

#[test]
fn a_newer_version_is_refused() {
    let Some(database) = database() else { return };
    database.log().create_tables(NONE).expect("made");
    database.sql("UPDATE plexindex.meta SET version = version + 1");
    expect_error(database.log().secret(NONE), Status::ServerError, "upgrade plexindex");
    expect_error(
        database.log().create_tables(NONE),
        Status::ServerError,
        "upgrade plexindex",
    );
}

#[test]
fn an_older_version_is_migrated_and_keeps_its_entries() {
    let Some(database) = database() else { return };
    let log = database.log();
    let view = view(&log);
    assert_eq!(append(&log, view, "1"), Ok(()));
    // The first version had two more kinds of entries, and functions that the current version replaces.
    let role = database.poor_role("");
    database.sql(&format!(
        "UPDATE plexindex.meta SET version = 1;
         INSERT INTO plexindex.entries SELECT view, 9, library, key, 0, host, at, body FROM plexindex.entries;
         DROP FUNCTION plexindex.sweep(bigint);
         GRANT USAGE ON SCHEMA plexindex TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA plexindex TO {role}"
    ));
    let poor = self::log(&database.address(&role));
    expect_error(poor.secret(NONE), Status::Forbidden, "plexindex shared init");
    let migrated = database.log();
    assert_eq!(migrated.create_tables(NONE), Ok(SharedTables::Present));
    assert_eq!(keys(&migrated, view), ["1"]);
    assert_eq!(database.sql("SELECT count(*) FROM plexindex.entries").trim(), "1");
    database.sql(&format!("SELECT plexindex.sweep({})", view.0));
    assert_eq!(append(&migrated, view, "2"), Ok(()));
}

#[test]
fn a_role_needs_rights() {
    let Some(database) = database() else { return };
    let role = database.poor_role("");
    let poor = log(&database.address(&role));
    expect_error(poor.secret(NONE), Status::Forbidden, "plexindex shared init");
    let owner = database.log();
    let owners = view(&owner);
    let remedy = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES";
    expect_error(poor.secret(NONE), Status::Forbidden, remedy);
    database.sql(&format!(
        "GRANT USAGE ON SCHEMA plexindex TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA plexindex TO {role}"
    ));
    // A reader finds the view that is there, and writes nothing.
    assert_eq!(view(&poor), owners);
    expect_error(append(&poor, owners, "1"), Status::Forbidden, remedy);
    expect_error(poor.expect_writable(NONE), Status::Forbidden, remedy);
    database.sql(&format!(
        "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plexindex TO {role}"
    ));
    assert_eq!(poor.expect_writable(NONE), Ok(()));
    assert_eq!(append(&poor, owners, "1"), Ok(()));
    assert_eq!(poor.wait(owners, 0, Duration::from_secs(60)), Ok(true));
    database.sql(&format!("SELECT plexindex.sweep({})", owners.0));
    assert_eq!(keys(&owner, owners), ["1"]);
    expect_error(poor.clear(NONE), Status::Forbidden, "only the owner can empty the log");
    database.sql(&format!("GRANT TRUNCATE ON ALL TABLES IN SCHEMA plexindex TO {role}"));
    assert_eq!(poor.clear(NONE), Ok(()));
}

#[test]
fn failures_have_their_status() {
    let Some(database) = database() else { return };
    let owner = database.log();
    let owners = view(&owner);
    let folder = database.cluster.folder().display();
    let port = database.cluster.port;
    let missing = log(&format!("postgresql://postgres@:{port}/nowhere?host={folder}"));
    expect_error(missing.secret(NONE), Status::ServerError, "CREATE DATABASE \"nowhere\"");
    let stranger = log(&database.address("stranger"));
    expect_error(stranger.secret(NONE), Status::Unauthorized, "role \"stranger\" exists");
    // The server itself gives these codes where a disk is full and so on.
    for (code, status, part) in [
        ("53100", Status::ServerError, "free some space"),
        ("25006", Status::ServerError, "primary"),
        ("57014", Status::Timeout, "canceled"),
        ("XX000", Status::ServerError, "SQLSTATE XX000"),
    ] {
        database.sql(&format!(
            "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE 'canceled' USING ERRCODE = '{code}', DETAIL = '/media/s3cret.mkv'; END $$;
            CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON plexindex.entries EXECUTE FUNCTION fail()"
        ));
        expect_error(append(&owner, owners, "1"), status, part);
    }
    database.sql("DROP FUNCTION fail CASCADE");
    assert_eq!(append(&owner, owners, "1"), Ok(()));
    assert_eq!(keys(&owner, owners), ["1"], "nothing was written before");
    database.sql("ALTER TABLE plexindex.entries RENAME TO gone");
    expect_error(append(&owner, owners, "1"), Status::ServerError, "incomplete");
}

#[test]
fn passwords_come_from_the_environment_or_a_passfile() {
    let Some(cluster) = alone() else { return };
    let database = cluster.database();
    database.log().create_tables(NONE).expect("made");
    let role = database.poor_role("s3cret");
    database.sql(&format!(
        "GRANT USAGE ON SCHEMA plexindex TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA plexindex TO {role}"
    ));
    cluster.allow(&format!("local all {role} scram-sha-256\nhost all {role} all md5"));
    let folder = tempfile::tempdir().expect("made");
    let passfile = folder.path().join("pgpass");
    let (socket, tcp) = (
        database.address(&role),
        database.tcp_address(&role, "127.0.0.1", "sslmode=disable"),
    );
    for address in [&socket, &tcp] {
        let with = |password: Option<&str>| {
            let environment = |name: &str| match name {
                "PGPASSWORD" => password.map(Into::into),
                "PGPASSFILE" => Some(passfile.display().to_string()),
                _ => None,
            };
            Postgres::new(parse(address, environment).expect("valid")).secret(NONE)
        };
        assert!(with(Some("s3cret")).is_ok());
        expect_error(with(Some("s3cret too")), Status::Unauthorized, "check PGPASSWORD");
        expect_error(with(None), Status::Unauthorized, "PGPASSWORD is not set");
        let line = format!("*:*:{}:{role}:s3cret\n", database.name);
        std::fs::write(&passfile, line).expect("written");
        std::fs::set_permissions(&passfile, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
        assert!(with(None).is_ok());
        std::fs::remove_file(&passfile).expect("removed");
    }
}

#[test]
fn a_position_that_is_too_old_starts_over() {
    let Some(database) = database() else { return };
    let log = database.log();
    let view = view(&log);
    assert_eq!(append(&log, view, "1"), Ok(()));
    let old = position(&log, view);
    // As 11,000 writes would leave it, two of them of the day before yesterday.
    database.sql(&format!(
        "INSERT INTO plexindex.marks SELECT {0}, n, n FROM generate_series(2, 11000) n;
        UPDATE plexindex.views SET number = 11263;
        INSERT INTO plexindex.entries
            SELECT {0}, 8, 'movies', n::text::bytea, n, 1, now() - make_interval(days => n), ''
            FROM generate_series(2, 4) n",
        view.0
    ));
    assert_eq!(append(&log, view, "2"), Ok(()));
    assert_eq!(keys(&log, view), ["1", "2"]);
    assert!(log.read(view, A, old, 10, NONE).expect("read").starts_over);
    assert_eq!(
        database.sql("SELECT count(*), max(number) FROM plexindex.marks"),
        "10000|11264"
    );
}

/// Hosts of earlier versions share listings under leases, in tables and functions that are still there.
#[test]
fn what_an_earlier_version_shares_is_passed_over() {
    let Some(database) = database() else { return };
    let log = database.log();
    let view = view(&log);
    assert_eq!(append(&log, view, "1"), Ok(()));
    let of_old = |statement: &str| database.sql(&statement.replace("$v", &view.0.to_string()));
    let entries = "'{1,2,3,3,4,3}', '{\"\",m,m,m,movies,m}', '{\"\",\"\",1,2,2,3}', '{p,l,a,b,k,c}'";
    of_old(&format!("SELECT plexindex.append($v, 7, {entries}, NULL, NULL)"));
    // A page may have no entry of this version, and the next one goes on from there.
    let read = |from, limit| log.read(view, A, from, limit, NONE).expect("read");
    let (first, second) = (read(Position::default(), 1), read(Position::default(), 4));
    assert_eq!(
        (second.entries.len(), second.position.number, second.has_more),
        (1, 4, true)
    );
    assert_eq!(read(first.position, 3).entries, []);
    let rest = read(second.position, 4);
    assert_eq!((rest.entries.len(), rest.position.number, rest.has_more), (1, 7, false));
    assert_eq!(log.summary(NONE).expect("read")[0].entries, [(EntryKind::Match, 2)]);
    // A listing removes the items that it includes.
    let fence = of_old("SELECT plexindex.lease($v, 'fetch m', interval '1 minute')");
    let published = "SELECT plexindex.put_chunk($v, 'fetch m', $f, 'm', 0, 'chunk'), \
                     plexindex.publish($v, 'fetch m', $f, 7, 2::smallint, 'm', '', 'head', 5)";
    assert_eq!(of_old(&published.replace("$f", &fence)), "t|t");
    let left = "SELECT string_agg(kind::text, ',' ORDER BY number) FROM plexindex.entries";
    assert_eq!(database.sql(left), "4,1,4,3,2");
    assert_eq!(append(&log, view, "3"), Ok(()));
    assert_eq!(keys(&log, view), ["1", "2", "3"]);
    assert!(!read(rest.position, 4).starts_over);
}

/// Waits until so many connections of hosts to a database are there.
pub fn wait_for_sessions(database: &Database<'_>, count: &str) {
    let begin = Instant::now();
    while sessions(database) != count {
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "{} sessions",
            sessions(database)
        );
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn waiting_sends_one_query() {
    let Some(cluster) = Cluster::start(&["log_statement=all"]) else {
        return;
    };
    let database = cluster.database();
    let log = database.log();
    let view = view(&log);
    let queries = || {
        let log = std::fs::read_to_string(cluster.folder().join("log")).expect("read");
        log.matches("SELECT number FROM plexindex.views WHERE view").count()
    };
    let time = Duration::from_millis(30);
    assert_eq!(
        log.wait(view, 0, time),
        Ok(true),
        "a new connection may have missed something"
    );
    for round in 1..4 {
        assert_eq!(queries(), round);
        assert_eq!(log.wait(view, 0, time), Ok(false));
    }
    assert_eq!(append(&log, view, "1"), Ok(()));
    assert_eq!(log.wait(view, 0, Duration::from_secs(60)), Ok(true));
    assert_eq!(queries(), 4, "a notification needs none");
}

#[test]
fn connections_are_closed_before_a_fork() {
    let Some(database) = database() else { return };
    let log = Arc::new(database.log());
    let view = view(&log);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| log.wait(view, 0, Duration::from_secs(60)));
        wait_for_sessions(&database, "2");
        let held = Arc::clone(&log).before_fork();
        assert_eq!(waiting.join().expect("no panic"), Ok(false));
        wait_for_sessions(&database, "0");
        let calls = scope.spawn(|| append(&log, view, "1"));
        let waits = scope.spawn(|| log.wait(view, 0, Duration::from_secs(60)));
        thread::sleep(Duration::from_millis(20));
        assert_eq!(sessions(&database), "0", "nothing connects during a fork");
        drop(held);
        assert_eq!(calls.join().expect("no panic"), Ok(()));
        assert_eq!(waits.join().expect("no panic"), Ok(true));
    });
    drop(Arc::into_inner(log).expect("the only one"));
    wait_for_sessions(&database, "0");
}

/// What ends a wait may come at the moment of a notification.
#[test]
fn an_interrupted_wait_loses_no_notification() {
    let Some(database) = database() else { return };
    let (log, other) = (database.log(), database.log());
    let view = view(&log);
    assert_eq!(
        log.wait(view, 0, Duration::from_millis(1)),
        Ok(true),
        "it listens from now on"
    );
    let is_over = AtomicBool::new(false);
    let is_noticed = |number| {
        assert_eq!(append(&other, view, "1"), Ok(()));
        let begun = Instant::now();
        while log.wait(view, number, Duration::from_secs(60)) == Ok(false) {
            if begun.elapsed() > Duration::from_secs(3) {
                return false;
            }
        }
        true
    };
    let noticed = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                log.interrupt();
                thread::yield_now();
            }
        });
        let noticed = (0..100).take_while(|number| is_noticed(*number)).count();
        is_over.store(true, Ordering::SeqCst);
        noticed
    });
    assert_eq!(noticed, 100);
}

/// The planner knows nothing of a table that was filled a moment ago.
#[test]
fn a_name_is_found_without_reading_the_whole_log() {
    let settings = ["autovacuum=off"];
    let Some(cluster) = Cluster::start(&settings) else {
        return;
    };
    let database = cluster.database();
    let log = database.log();
    let view = view(&log);
    let of = |kind, key: &str, body: &str| entry(kind, "movies", key, body);
    let matches: Vec<_> = (0..20_000)
        .map(|number| of(EntryKind::Match, &format!("/{number}.mkv"), &(number / 2).to_string()))
        .collect();
    for some in matches.chunks(1_000) {
        fixture::append(&log, view, some).expect("written");
    }
    drop(log);
    let read = || -> u64 {
        wait_for_sessions(&database, "0"); // they count when they end
        let of_table = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'entries'";
        database.sql(of_table).parse().expect("a number")
    };
    let before = read();
    let log = database.log();
    let names: Vec<_> = matches[..100].iter().map(|entry| entry.name.clone()).collect();
    assert_eq!(log.find(view, &names, NONE).map(|found| found.len()), Ok(100));
    drop(log);
    let found = read();
    assert!(found - before <= 200, "{} rows were read to find 100", found - before);
    let log = database.log();
    for number in 0..10 {
        let voids = [
            of(EntryKind::InvalidPath, &format!("/{number}.mkv"), ""),
            of(EntryKind::InvalidItem, &(100 + number).to_string(), "1"),
        ];
        fixture::append(&log, view, &voids).expect("written");
    }
    drop(log);
    let voided = read() - found;
    assert!(voided <= 200, "{voided} rows were read to void 30");
}
