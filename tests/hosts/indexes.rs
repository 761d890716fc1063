//! Indexes of several hosts over `PostgreSQL`.

use std::time::{Duration, Instant};

use plexindex::model::MatchKind;
use plexindex::options::{Mapping, Options};
use plexindex_sharing::SharedIndex;
use plexindex_standin::Standin;
use tempfile::TempDir;

use super::cluster::{Cluster, Database, shared};
use super::support::index::{Index, Library, QueryOptions};
use super::support::{clock, movies, offline, options, path_of, requests};

/// A host: a folder, and an index over it.
struct Host {
    index: Index,
    movies: Library,
    options: Options,
    _folder: TempDir,
}

impl Host {
    fn new(server: &Standin, database: &Database<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options {
            shared: Some(database.address("postgres")),
            mappings: vec![Mapping::host_to_server("/mnt", "/media")],
            ..options(server, folder.path())
        };
        let index = Index::open(options.clone()).expect("opened");
        Self {
            movies: index.library("Movies").expect("a handle"),
            index,
            options,
            _folder: folder,
        }
    }

    fn listed(server: &Standin, database: &Database<'_>) -> Self {
        let host = Self::new(server, database);
        host.index.refresh(&QueryOptions::default(), false).expect("refreshed");
        host
    }

    fn known(&self, path: &str) -> Option<(String, MatchKind)> {
        let answer = self
            .index
            .match_path(&offline(&self.movies), path.as_bytes())
            .expect("answered");
        let kind = answer.match_kind;
        answer.item.map(|item| (item.item.rating_key, kind))
    }

    /// Waits until a path is answered.
    fn waits_for(&self, path: &str, at_most: Duration) -> Duration {
        let begun = Instant::now();
        while self.known(path).is_none() {
            assert!(begun.elapsed() < at_most, "{path} is not answered");
            std::thread::sleep(Duration::from_millis(1));
        }
        begun.elapsed()
    }
}

#[test]
fn one_host_lists_and_all_answer() {
    let Some(cluster) = shared("one_host_lists_and_all_answer") else {
        return;
    };
    let (server, database) = (movies(3_000), cluster.database());
    let one = Host::listed(&server, &database);
    server.reset();
    let two = Host::listed(&server, &database);
    let all = requests(&server);
    assert!(all[5] <= 2 && all[2] == 0, "{all:?}");
    for nth in [0, 1_500, 2_999] {
        let (path, key) = path_of(&server, 1, nth);
        assert_eq!(two.known(&path), Some((key, MatchKind::Exact)));
    }
    two.index.watch_start().expect("watching");
    let (_, key) = path_of(&server, 1, 7);
    for number in 0..5 {
        let path = format!("/mnt/odd/{number}.mkv");
        one.movies.record_matches(&[(path.as_bytes(), &key)]).expect("recorded");
        two.waits_for(&path, Duration::from_secs(20));
    }
}

#[test]
fn hosts_that_follow_tell_each_other_at_once() {
    let Some(cluster) = shared("hosts_that_follow_tell_each_other_at_once") else {
        return;
    };
    let (server, database) = (movies(60), cluster.database());
    let (one, two) = (Host::listed(&server, &database), Host::listed(&server, &database));
    for host in [&one, &two] {
        host.index.watch_start().expect("watching");
    }
    let (_, key) = path_of(&server, 1, 7);
    let mut taken = Duration::ZERO;
    for number in 0..6 {
        let path = format!("/mnt/odd/{number}.mkv");
        one.movies.record_matches(&[(path.as_bytes(), &key)]).expect("recorded");
        taken += two.waits_for(&path, Duration::from_secs(20));
    }
    // Each would take 5 seconds if the host that records waited for news first.
    assert!(taken < Duration::from_secs(10), "{taken:?} for six");
}

#[test]
fn a_host_that_followed_before_its_first_question_listens_at_once() {
    let Some(cluster) = shared("a_host_that_followed_before_its_first_question_listens_at_once") else {
        return;
    };
    let (server, database) = (movies(60), cluster.database());
    let (one, two) = (Host::listed(&server, &database), Host::new(&server, &database));
    two.index.watch_start().expect("watching");
    two.index.refresh(&QueryOptions::default(), false).expect("refreshed");
    let (_, key) = path_of(&server, 1, 7);
    one.movies.record_matches(&[(b"/mnt/odd.mkv", &key)]).expect("recorded");
    let taken = two.waits_for("/mnt/odd.mkv", Duration::from_secs(20));
    // It would look only when 5 seconds are over.
    assert!(taken < Duration::from_secs(3), "{taken:?}");
}

#[test]
fn what_waits_for_the_engine_is_delivered_without_a_call() {
    let Some(cluster) = Cluster::start("what_waits_for_the_engine_is_delivered_without_a_call", &[]) else {
        return;
    };
    let (server, database) = (movies(60), cluster.database());
    let (one, two) = (Host::listed(&server, &database), Host::listed(&server, &database));
    let (_, key) = path_of(&server, 1, 7);
    one.index.exchange();
    cluster.stop("immediate");
    one.movies.record_matches(&[(b"/mnt/odd.mkv", &key)]).expect("recorded");
    // The attempt to deliver it fails; from now on nobody calls this host.
    assert!(!one.index.exchange());
    cluster.restart();
    let begun = Instant::now();
    while two.known("/mnt/odd.mkv").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(40), "not delivered");
        two.index.exchange();
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_engine_that_stops_and_starts_loses_nothing() {
    let Some(cluster) = Cluster::start("an_engine_that_stops_and_starts_loses_nothing", &[]) else {
        return;
    };
    let (server, database) = (movies(60), cluster.database());
    let (one, two) = (Host::listed(&server, &database), Host::listed(&server, &database));
    let (path, key) = path_of(&server, 1, 7);
    cluster.stop("immediate");
    one.movies.record_matches(&[(b"/mnt/odd.mkv", &key)]).expect("recorded");
    assert!(one.known("/mnt/odd.mkv").is_some());
    assert!(two.known(&path).is_some());
    // A new process of the same folder, while the engine is away.
    let options = one.options.clone();
    one.index.close().expect("closed");
    let begun = Instant::now();
    let again = Index::open(options).expect("opened");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    cluster.restart();
    let begun = Instant::now();
    while two.known("/mnt/odd.mkv").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "not delivered");
        again.exchange();
        two.index.exchange();
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A call that finds all listings fresh is use of the index, too: its host looks for what others told.
#[test]
fn a_host_that_only_refreshes_takes_news() {
    let Some(cluster) = shared("a_host_that_only_refreshes_takes_news") else {
        return;
    };
    let (server, database) = (movies(60), cluster.database());
    let (one, two) = (Host::listed(&server, &database), Host::listed(&server, &database));
    let taken = || two.index.shared_progress().and_then(|(_, taken, _)| taken).unwrap_or(0);
    while !two.index.exchange() {}
    let before = taken();
    let (_, key) = path_of(&server, 1, 7);
    one.movies.record_matches(&[(b"/mnt/odd.mkv", &key)]).expect("recorded");
    one.index.shared_deliver().expect("delivered");
    let begun = Instant::now();
    while taken() <= before {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing is taken");
        two.index.refresh(&QueryOptions::default(), false).expect("refreshed");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(two.known("/mnt/odd.mkv").is_some());
}

/// The rights of one host are taken away. It takes news, and tells what waits when it has them again.
#[test]
fn a_host_whose_role_may_only_read_takes_news() {
    let Some(cluster) = shared("a_host_whose_role_may_only_read_takes_news") else {
        return;
    };
    let (server, database, clock) = (movies(60), cluster.database(), clock());
    let one = super::host::Host::new(&server, &clock, &database.address("postgres"), false);
    one.refresh();
    let role = database.poor_role("");
    database.sql(&format!(
        "GRANT USAGE ON SCHEMA plexindex TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plexindex TO {role}"
    ));
    let two = super::host::Host::new(&server, &clock, &database.address(&role), false);
    two.refresh();
    assert!(two.index.exchange());
    database.sql(&format!("REVOKE INSERT ON ALL TABLES IN SCHEMA plexindex FROM {role}"));
    let (_, key) = path_of(&server, 1, 7);
    two.record("/mnt/own.mkv", &key);
    for number in 0..2 {
        let path = format!("/mnt/news/{number}.mkv");
        one.record(&path, &key);
        one.index.shared_deliver().expect("delivered");
        assert!(!two.index.exchange());
        assert_eq!(two.confirmed(&path).as_ref(), Some(&key));
    }
    let status = two.index.shared_status().expect("read").expect("shared");
    assert_eq!(
        (status.reachable, status.undelivered, status.behind),
        (true, Some(1), Some(0))
    );
    assert!(status.error.is_some_and(|error| error.contains("INSERT")));
    database.sql(&format!("GRANT INSERT ON ALL TABLES IN SCHEMA plexindex TO {role}"));
    clock.advance_ms(6_000);
    assert!(two.index.exchange());
    assert!(one.index.exchange());
    assert_eq!(one.confirmed("/mnt/own.mkv"), Some(key));
}
