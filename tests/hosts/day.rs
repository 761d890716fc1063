//! A day of the consumer's profile on ten hosts: what Plex is asked, against one host.
//!
//! The hosts' clock stands still, and so the log's is set: what it has written becomes as much older as they become.
//! `cargo test -p plexindex-tests --test hosts a_day -- --ignored --nocapture` prints the counts that `make bench` reads.

use std::sync::Arc;

use plexindex::inside::Clock;
use plexindex::options::{Mapping, Options};
use plexindex_standin::Standin;
use tempfile::TempDir;

use super::cluster::{Database, shared};
use super::support::index::{Index, Library, ManualClock};
use super::support::{add, clock, movies, options, requests};

const HOSTS: usize = 10;
const HOURS: usize = 24;
/// Files that Plex has and that are asked for each hour. A new one and one that Plex lacks come on top.
const FILES: usize = 10;
const QUESTIONS: usize = FILES + 2;
const ITEMS: u32 = 600;
const MINUTE_MS: i64 = 60_000;

/// Who asks the questions of an hour, which come every five minutes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    /// The hosts take turns: each question is asked once.
    Turns,
    /// All hosts ask each question, within seconds.
    All,
    /// All hosts ask each question, one host every six minutes.
    Spread,
}

impl Profile {
    /// The moments of an hour: what who asks then.
    fn moments(self, hosts: usize) -> Vec<Vec<(usize, usize)>> {
        match self {
            Self::Turns => (0..QUESTIONS)
                .map(|question| vec![(question % hosts, question)])
                .collect(),
            Self::All => (0..QUESTIONS)
                .map(|question| (0..hosts).map(|host| (host, question)).collect())
                .collect(),
            Self::Spread => (0..hosts)
                .map(|host| (0..QUESTIONS).map(|question| (host, question)).collect())
                .collect(),
        }
    }
}

struct Host {
    _index: Index,
    movies: Library,
    _folder: TempDir,
}

impl Host {
    fn new(server: &Standin, database: Option<&Database<'_>>, clock: &Arc<ManualClock>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options {
            shared: database.map(|database| database.address("postgres")),
            mappings: vec![Mapping::host_to_server("/mnt", "/data")],
            ..options(server, folder.path())
        };
        let index = Index::open_with_clock(options, Arc::clone(clock) as Arc<dyn Clock>).expect("opened");
        Self {
            movies: index.library("Movies").expect("a handle"),
            _index: index,
            _folder: folder,
        }
    }

    fn key_of(&self, path: &str) -> Option<String> {
        let path = path.replacen("/data", "/mnt", 1);
        let answer = self.movies.ask(&path);
        answer.key()
    }

    fn confirm(&self, path: &str, key: &str) {
        assert_eq!(self.key_of(path).as_deref(), Some(key), "{path}");
        let path = path.replacen("/data", "/mnt", 1);
        self.movies.record(&path, key);
    }
}

/// The requests of some hours of so many hosts.
fn day(hours: usize, hosts: usize, database: Option<&Database<'_>>, profile: Profile) -> [u64; 6] {
    let (server, clock) = (movies(ITEMS), clock());
    let hosts: Vec<Host> = (0..hosts).map(|_| Host::new(&server, database, &clock)).collect();
    server.reset();
    let listed: Vec<(u64, Option<String>)> = server.paths(1);
    let new = |hour: usize| format!("/data/movies/Of Hour {hour} (2020)/Of Hour {hour} (2020).mkv");
    let moments = profile.moments(hosts.len());
    let step = 60 * MINUTE_MS / i64::try_from(moments.len()).expect("few");
    for hour in 0..hours {
        if hour > 0 {
            // It was asked for before Plex had it.
            add(&server, &[new(hour - 1)]);
        }
        for moment in &moments {
            for (host, question) in moment {
                let host = &hosts[*host];
                if *question < FILES {
                    let (key, path) = &listed[hour * FILES + question];
                    host.confirm(path.as_deref().expect("a file"), &key.to_string());
                } else if *question > FILES {
                    assert_eq!(host.key_of(&new(hour)), None);
                } else if hour > 0 {
                    assert!(host.key_of(&new(hour - 1)).is_some(), "the file of hour {hour}");
                }
            }
            clock.advance_ms(step);
            if let Some(database) = database {
                pass(database, step);
            }
        }
    }
    requests(&server)
}

/// What the log has becomes older.
fn pass(database: &Database<'_>, ms: i64) {
    database.sql(&format!(
        "UPDATE plexindex.entries SET at = at - interval '{ms} ms';
         UPDATE plexindex.leases SET until = until - interval '{ms} ms'"
    ));
}

/// Each host makes sure once that the server accepts its token, with two requests.
fn assert_at_most_twice(ten: [u64; 6], one: [u64; 6]) {
    let first = 2 * (HOSTS as u64 - 1);
    assert!(ten[5] <= 2 * one[5] + first, "ten hosts {ten:?}, one {one:?}");
}

#[test]
fn some_hours_cost_ten_hosts_at_most_twice_as_much_as_one() {
    let Some(cluster) = shared() else { return };
    let one = day(3, 1, None, Profile::Turns);
    assert_at_most_twice(day(3, HOSTS, Some(&cluster.database()), Profile::Turns), one);
}

#[test]
#[ignore = "long: `make bench` runs it"]
fn a_day_costs_ten_hosts_at_most_twice_as_much_as_one() {
    let Some(cluster) = shared() else { return };
    let one = day(HOURS, 1, None, Profile::Turns);
    let [turns, all, spread] = [Profile::Turns, Profile::All, Profile::Spread]
        .map(|profile| day(HOURS, HOSTS, Some(&cluster.database()), profile));
    let alone = day(HOURS, HOSTS, None, Profile::All);
    let counts = |of: [u64; 6]| of.map(|count| count.to_string()).join(",");
    println!(
        "identity,sections,listing,search,metadata,all: one {} turns {} all {} spread {} alone {}",
        counts(one),
        counts(turns),
        counts(all),
        counts(spread),
        counts(alone)
    );
    assert_at_most_twice(turns, one);
}
