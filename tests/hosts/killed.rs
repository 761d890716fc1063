//! A host's process is killed while it publishes a listing, with the lease.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plexindex::model::{MatchKind, Token};
use plexindex::options::Options;
use plexindex_sharing::SharedLog;
use plexindex_sharing::postgres::{Postgres, parse};

use crate::cluster::{Database, shared};
use crate::support::index::{Index, QueryOptions, SystemClock};
use crate::support::{movies, path_of};

/// It ends within the test, and lasts longer than any step of it.
const LEASE: Duration = Duration::from_secs(3);
const LOCK: &str = "707";

fn open(address: &str, server: &str, token: &str, folder: &std::path::Path) -> Index {
    let options = Options {
        cache_dir: folder.to_owned(),
        server_url: Some(server.into()),
        token: Token::new(token),
        shared: Some(address.into()),
        ..Options::default()
    };
    let patience = plexindex_sharing::postgres::Timeouts {
        connect: Duration::from_secs(30),
        silence: Duration::from_secs(30),
    };
    let log = Postgres::with_timeouts(parse(address, |_| None).expect("valid"), patience, LEASE);
    let log = Arc::new(log) as Arc<dyn SharedLog>;
    Index::open_with_log(&options, Arc::new(SystemClock), (log, true)).expect("opened")
}

/// The process of a host: it lists, and publishes what it has.
#[test]
#[ignore = "a process of the tests below"]
fn host() {
    let Ok(given) = std::env::var("PLEXINDEX_HOST") else {
        return;
    };
    let [address, server, token, folder] = given.split('\n').collect::<Vec<_>>()[..] else {
        return;
    };
    let index = open(address, server, token, folder.as_ref());
    index.refresh(&QueryOptions::default(), false).expect("refreshed");
    println!("refreshed");
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Keeps a lock of the engine, for which the third chunk of each listing waits.
struct Held<'d> {
    psql: Child,
    database: &'d Database<'d>,
}

impl<'d> Held<'d> {
    fn new(database: &'d Database<'d>) -> Self {
        database.sql(&format!(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                PERFORM pg_advisory_xact_lock_shared({LOCK}); RETURN NEW; END $$;
            CREATE TRIGGER hold BEFORE INSERT ON plexindex.chunks FOR EACH ROW WHEN (NEW.number = 2)
                EXECUTE FUNCTION hold()"
        ));
        let mut psql = database.cluster.psql(&database.name);
        psql.args(["-c", &format!("SELECT pg_advisory_lock({LOCK}), pg_sleep(600)")]);
        let psql = psql.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let psql = psql.spawn().expect("started");
        let held = Self { psql, database };
        held.wait_for(&format!(
            "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK} AND granted"
        ));
        held
    }

    fn wait_for(&self, statement: &str) {
        let begun = Instant::now();
        while self.database.sql(statement) != "t" {
            assert!(begun.elapsed() < Duration::from_secs(60), "{statement}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn release(&mut self) {
        self.database.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND query LIKE '%pg_sleep(600)' AND pid <> pg_backend_pid()",
        );
        let _ = self.psql.wait();
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

#[test]
fn a_host_that_is_killed_while_it_publishes_harms_nobody() {
    let Some(cluster) = shared("a_host_that_is_killed_while_it_publishes_harms_nobody") else {
        return;
    };
    let (server, database) = (movies(4_500), cluster.database());
    let address = database.address("postgres");
    // The tables are there.
    database.log().secret(crate::postgres::NONE).expect("there");
    let mut held = Held::new(&database);
    let [one, two] = [0, 1].map(|_| tempfile::tempdir().expect("a folder"));
    let given = [
        &address,
        &server.url(),
        &server.token(),
        &one.path().display().to_string(),
    ];
    let process = Command::new(std::env::current_exe().expect("known"))
        .args(["killed::host", "--exact", "--ignored"])
        .env("PLEXINDEX_HOST", given.map(String::as_str).join("\n"))
        .stdout(Stdio::null())
        .spawn()
        .map(Process)
        .expect("started");
    // Two chunks are there, and it waits for the third.
    held.wait_for(&format!(
        "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK} AND NOT granted"
    ));
    assert_eq!(
        database.sql("SELECT count(*), count(DISTINCT listing) FROM plexindex.chunks"),
        "2|1"
    );
    drop(process);
    held.release();
    let second = open(&address, &server.url(), &server.token(), two.path());
    second.refresh(&QueryOptions::default(), false).expect("refreshed");
    let listing = database.sql("SELECT listing FROM plexindex.published");
    assert!(!listing.is_empty(), "another host publishes it");
    // Nothing of the first is left, and nobody takes it.
    assert_eq!(
        database.sql("SELECT count(*), count(DISTINCT listing) FROM plexindex.chunks"),
        "5|1"
    );
    server.reset();
    let third = tempfile::tempdir().expect("a folder");
    let third = open(&address, &server.url(), &server.token(), third.path());
    third.refresh(&QueryOptions::default(), false).expect("refreshed");
    let asked = crate::support::requests(&server);
    assert!(asked[5] <= 2 && asked[2] == 0, "{asked:?}");
    let again = open(&address, &server.url(), &server.token(), one.path());
    again.refresh(&QueryOptions::default(), false).expect("refreshed");
    for index in [&second, &third, &again] {
        let library = index.library("Movies").expect("a handle");
        for nth in [0, 2_500, 4_499] {
            let (path, key) = path_of(&server, 1, nth);
            let answer = index.match_path(&library.query(), path.as_bytes()).expect("answered");
            assert_eq!(answer.match_kind, MatchKind::Exact);
            assert_eq!(answer.item.map(|item| item.item.rating_key), Some(key));
        }
    }
}
