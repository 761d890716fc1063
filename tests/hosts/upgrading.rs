//! Hosts of versions that shared a log are upgraded one after another.

use plexindex::options::Options;
use plexindex_sharing::SharedIndex;
use tempfile::TempDir;

use crate::support::worker::{database, until};
use crate::world::{Host, World};

const ODD: &str = "/mnt/odd.mkv";

/// The tables of the log, as far as they are taken over.
const LOG: &str = "CREATE SCHEMA plexindex; \
    CREATE TABLE plexindex.meta (version int NOT NULL, secret bytea NOT NULL); \
    INSERT INTO plexindex.meta VALUES (2, decode(repeat('ab', 32), 'hex')); \
    CREATE TABLE plexindex.views (view bigint PRIMARY KEY, server text NOT NULL, viewer bytea NOT NULL, \
        number bigint NOT NULL DEFAULT 0, written timestamptz); \
    CREATE TABLE plexindex.entries (view bigint NOT NULL, kind smallint NOT NULL, library text NOT NULL, key bytea NOT NULL, \
        number bigint NOT NULL, host bigint NOT NULL, at timestamptz NOT NULL, body bytea NOT NULL); \
    CREATE FUNCTION plexindex.deliver(v bigint, h bigint) RETURNS bigint LANGUAGE sql AS 'SELECT v'; \
    CREATE FUNCTION plexindex.write(v bigint, h bigint) RETURNS bigint LANGUAGE sql AS 'SELECT v';";
/// What a host of the version that shared the log runs when it opens. It accepts version 2, and else says 'upgrade plexindex on
/// this host'.
const OPENING: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 5000; \
    SELECT pg_advisory_xact_lock(x'706c6578696e6478'::bigint); SELECT to_regclass('plexindex.meta') IS NOT NULL; \
    SELECT version FROM plexindex.meta; COMMIT";

impl World {
    /// Makes a log with the view of these hosts, and these matches: paths on the server, and rating keys. A path without a
    /// key was invalidated, and so was the library without a path.
    fn make_log(&self, known: Host, matches: &[(&str, &str)]) -> (Options, Option<TempDir>) {
        // The view is that of a database of this version, which is removed.
        until("there is a view", || known.status().behind.is_some());
        known.deliver();
        let ended = known.end();
        let view = self
            .database
            .sql("SELECT view, server, viewer FROM plexindex_shared.views");
        let secret = self.database.sql("SELECT secret FROM plexindex_shared.meta");
        let parts: Vec<&str> = view.split('|').collect();
        let [view, server, viewer] = parts[..] else {
            panic!("{view}")
        };
        let library = self
            .server
            .change(|state| state.library(1).expect("there").uuid.clone());
        let entries: Vec<String> = (1..)
            .zip(matches)
            .map(|(number, (path, key))| {
                let kind = match (*path, *key) {
                    ("", _) => 7,
                    (_, "") => 6,
                    _ => 4,
                };
                format!("INSERT INTO plexindex.entries VALUES ({view}, {kind}, '{library}', '{path}', {number}, 1, now(), '{key}');")
            })
            .collect();
        let entries = entries.concat();
        let last = matches.len();
        self.database.sql(&format!(
            "{LOG} UPDATE plexindex.meta SET secret = '{secret}'; \
             INSERT INTO plexindex.views VALUES ({view}, '{server}', '{viewer}', {last}, now()); {entries} \
             DROP SCHEMA plexindex_shared CASCADE"
        ));
        ended
    }
}

#[test]
fn the_matches_of_a_log_are_taken_over() {
    let Some(world) = World::new() else { return };
    let one = world.host();
    let [first, second, third] = [5, 6, 7].map(|nth| world.key(nth));
    let (options, folder) = world.make_log(
        one,
        &[
            ("/media/odd.mkv", &first),
            ("/media/two.mkv", &second),
            ("/media/gone.mkv", &third),
            ("/media/gone.mkv", ""),
        ],
    );
    let (one, two) = (world.open(options, folder), world.host());
    for host in [&one, &two] {
        until("one is there", || host.recorded(ODD).as_ref() == Some(&first));
        until("two is there", || {
            host.recorded("/mnt/two.mkv").as_ref() == Some(&second)
        });
    }
    // What is recorded from now on is later.
    two.record(ODD, &third);
    until("the later counts", || one.recorded(ODD).as_ref() == Some(&third));
    // Hosts of an earlier version are told to upgrade, and one that is connected cannot write any more.
    assert_eq!(world.database.sql(OPENING), "\nt\n3");
    let writes = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'plexindex'::regnamespace";
    assert_eq!(world.database.sql(writes), "0");
    two.index.shared_drop_old().expect("removed");
    assert_eq!(world.database.sql("SELECT to_regclass('plexindex.meta') IS NULL"), "t");
    assert_eq!(one.recorded("/mnt/two.mkv"), Some(second));
}

#[test]
fn what_waited_for_the_log_is_later_than_the_log_and_what_the_host_had_is_as_old_as_its_number() {
    let Some(world) = World::new() else { return };
    let one = world.host();
    let keys: Vec<String> = (5..9).map(|nth| world.key(nth)).collect();
    one.record("/mnt/old.mkv", &keys[0]);
    one.record("/mnt/own.mkv", &keys[0]);
    one.record("/elsewhere/own.mkv", &keys[0]);
    one.record("/mnt/before.mkv", &keys[0]);
    one.record("/mnt/waits.mkv", &keys[1]);
    let in_log = [
        ("", ""),
        ("/media/item.mkv", &*keys[3]),
        ("/media/old.mkv", &keys[2]),
        ("/media/waits.mkv", &keys[2]),
        ("/media/back.mkv", &keys[2]),
    ];
    let (options, folder) = world.make_log(one, &in_log);
    let library = world
        .server
        .change(|state| state.library(1).expect("there").uuid.clone());
    let waiting = [
        (4, "/media/waits.mkv", &*keys[1]),
        (6, "/media/back.mkv", ""),
        (5, &*keys[3], "1"),
    ];
    let store = database(&options.cache_dir);
    // It has read the log up to the second entry, but one match is from before the library was invalidated.
    for (at, path) in [(2, "%"), (0, "/mnt/before.mkv")] {
        let update = "UPDATE matches SET at = ?1, sum = ((sum | at) - (sum & at) | ?1) - ((sum | at) - (sum & at) & ?1) \
                      WHERE form LIKE ?2";
        store.execute(update, rusqlite::params![at, path]).expect("changed");
    }
    store.execute("DELETE FROM shared", []).expect("changed");
    for (kind, path, key) in waiting {
        let entry = "INSERT INTO outbox (view_id, kind, library, key, body) SELECT id, ?1, ?2, CAST(?3 AS BLOB), \
                     CAST(?4 AS BLOB) FROM views";
        let values = rusqlite::params![kind, library, path, key];
        store.execute(entry, values).expect("written");
    }
    drop(store);
    let one = world.open(options, folder);
    let two = world.host();
    for host in [&one, &two] {
        for (path, key) in [
            ("/mnt/old.mkv", Some(&keys[2])),
            ("/mnt/own.mkv", Some(&keys[0])),
            ("/mnt/before.mkv", None),
            ("/mnt/waits.mkv", Some(&keys[1])),
            ("/mnt/back.mkv", None),
            ("/mnt/item.mkv", None),
        ] {
            until("the hosts agree", || host.recorded(path).as_ref() == key);
        }
    }
    assert_eq!(one.recorded("/elsewhere/own.mkv").as_ref(), Some(&keys[0]));
}
