//! Several hosts share one index by a log. Here the log is in memory; `tests/postgres.rs` has the real one.

mod delivering;

use crate::support;
use std::sync::Arc;
use std::time::Duration;

use crate::support::index::{Index, Library, ManualClock, QueryOptions};
use crate::support::worker::until;
use crate::support::{HOUR_MS, add, clock, movies, offline, options, path_of, remove, requests};
use plexindex::model::MatchKind;
use plexindex::options::{Mapping, Options, Ttl};
use plexindex_sharing::{SharedIndex, SharedLog};
use plexindex_standin::{LibrarySpec, Standin};
use plexindex_tests::memory_log::{MemoryLog, Trouble};
use tempfile::TempDir;

/// A server, the log, and a clock that all hosts have.
struct Hosts {
    server: Standin,
    clock: Arc<ManualClock>,
    log: Arc<MemoryLog>,
    folders: Vec<TempDir>,
    /// Whether a thread of each host exchanges news.
    has_threads: bool,
}

impl Hosts {
    fn of(items: u32) -> Self {
        let clock = clock();
        Self {
            server: movies(items),
            log: Arc::new(MemoryLog::new(Arc::clone(&clock) as _).with_history(1_000)),
            clock,
            folders: Vec::new(),
            has_threads: true,
        }
    }

    /// A host with a new folder.
    fn host(&mut self) -> (Index, Library) {
        self.host_with(|_| {})
    }

    fn host_with(&mut self, change: impl FnOnce(&mut Options)) -> (Index, Library) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = options(&self.server, folder.path());
        change(&mut options);
        self.folders.push(folder);
        self.open(options)
    }

    fn open(&self, options: Options) -> (Index, Library) {
        let options = Options {
            shared: Some("memory".into()),
            ..options
        };
        let log = Arc::clone(&self.log) as Arc<dyn SharedLog>;
        let index =
            Index::open_with_log(&options, Arc::clone(&self.clock) as _, (log, self.has_threads)).expect("opened");
        let library = index.library("Movies").expect("a handle");
        (index, library)
    }

    /// A host that has the server's `/media` at `/mnt`, and has listed the library.
    fn mounted(&mut self) -> (Index, Library) {
        let (index, library) = self.host_with(mount);
        refresh(&index);
        (index, library)
    }

    /// A host that has listed the library.
    fn listed(&mut self) -> (Index, Library) {
        let (index, library) = self.host();
        refresh(&index);
        (index, library)
    }
}

/// What a host answers without a request.
fn known(index: &Index, library: &Library, path: &str) -> Option<(String, MatchKind)> {
    let answer = index.match_path(&offline(library), path.as_bytes()).expect("answered");
    let kind = answer.match_kind;
    answer.item.map(|item| (item.item.rating_key, kind))
}

fn mount(options: &mut Options) {
    options.mappings = vec![Mapping::host_to_server("/mnt", "/media")];
}

fn refresh(index: &Index) {
    index.refresh(&QueryOptions::default(), false).expect("refreshed");
}

fn key_of(library: &Library, path: &str) -> Option<String> {
    let answer = library.match_path(path.as_bytes()).expect("answered");
    answer.item.map(|item| item.item.rating_key)
}

#[test]
fn one_host_lists_for_all() {
    let mut hosts = Hosts::of(2_500);
    let (_one, _) = hosts.listed();
    hosts.server.reset();
    let (two, library) = hosts.host();
    refresh(&two);
    let [identity, sections, listing, search, metadata, all] = requests(&hosts.server);
    assert_eq!([listing, search, metadata], [0; 3], "the listing comes from the log");
    assert!(
        identity <= 1 && sections <= 1 && all <= 2,
        "{identity} {sections} {all}"
    );
    for nth in [0, 1_200, 2_499] {
        let (path, key) = path_of(&hosts.server, 1, nth);
        assert_eq!(key_of(&library, &path), Some(key));
    }
    assert_eq!(requests(&hosts.server)[5], all, "answers send no request");
}

#[test]
fn one_host_lists_the_shows_for_all() {
    let mut hosts = Hosts::of(0);
    let shows = LibrarySpec::shows(60).plain().title("Movies");
    hosts.server = Standin::builder().library(shows).start().expect("starts");
    let (_one, _) = hosts.listed();
    hosts.server.reset();
    let (two, library) = hosts.listed();
    assert_eq!(requests(&hosts.server)[2], 0, "no host lists them again");
    // A number of the first show.
    let found = two
        .match_guid(&offline(&library), "imdb://tt03000001")
        .expect("answered");
    assert!(found.total > 1, "{}", found.message);
}

/// Exchanges until nothing is left, as the threads of the hosts do.
fn exchange(hosts: &[&Index]) {
    for _ in 0..2 {
        assert!(hosts.iter().all(|host| host.exchange()), "the log is there");
    }
}

/// One host is told of a new file and of a removed one after this time; the others take it from there.
fn changes_after(ms: i64, is_listed: bool) {
    let new = "/data/movies/New (2024)/New (2024).mkv";
    let mut hosts = Hosts::of(300);
    let soon = |options: &mut Options| options.library_ttl = Ttl::For(Duration::from_secs(60));
    let (one, _) = hosts.host_with(soon);
    let (two, library) = hosts.host_with(soon);
    let (three, _) = hosts.host_with(soon);
    for host in [&one, &two, &three] {
        refresh(host);
    }
    exchange(&[&one, &two, &three]);
    let (gone, key) = path_of(&hosts.server, 1, 7);
    add(&hosts.server, &[new]);
    if is_listed {
        remove(&hosts.server, &[key.parse().expect("a number")]);
    }
    hosts.clock.advance_ms(ms);
    hosts.server.reset();
    refresh(&one);
    let asked = requests(&hosts.server)[5];
    assert!(asked > 0);
    exchange(&[&two]);
    if !is_listed {
        // Single items come by themselves, and so does the news that nothing else changed.
        assert!(known(&two, &library, new).is_some());
    }
    refresh(&two);
    refresh(&three);
    assert_eq!(requests(&hosts.server)[5], asked, "the others ask nothing");
    assert_eq!(known(&two, &library, &gone).is_none(), is_listed);
    let answer = two.match_path(&offline(&library), new.as_bytes()).expect("answered");
    assert!(answer.item.is_some() && !answer.stale, "{answer:?}");
}

#[test]
fn changes_are_asked_for_once() {
    changes_after(120_000, false);
}

#[test]
fn a_newer_listing_is_made_once() {
    changes_after(25 * HOUR_MS, true);
}

#[test]
fn what_one_host_invalidates_no_host_answers() {
    let mut hosts = Hosts::of(60);
    let (one, movies_of_one) = hosts.listed();
    let (two, movies_of_two) = hosts.listed();
    exchange(&[&one, &two]);
    let (path, key) = path_of(&hosts.server, 1, 5);
    movies_of_one.invalidate_item(&key).expect("invalidated");
    exchange(&[&one, &two]);
    hosts.server.reset();
    let answer = two
        .match_path(&offline(&movies_of_two), path.as_bytes())
        .expect("answered");
    assert!(answer.stale || answer.item.is_none(), "{answer:?}");
    // Each host that needs the item asks once.
    for movies in [&movies_of_one, &movies_of_two, &movies_of_one] {
        assert_eq!(key_of(movies, &path), Some(key.clone()));
    }
    assert_eq!(requests(&hosts.server)[5], 2);

    movies_of_two.invalidate().expect("invalidated");
    exchange(&[&two, &one]);
    hosts.server.reset();
    refresh(&one);
    let listed = requests(&hosts.server);
    assert!(listed[2] > 0, "a full listing: {listed:?}");
    refresh(&two);
    assert_eq!(requests(&hosts.server), listed, "of one host for all");
}

#[test]
fn a_log_that_is_away_stops_nothing() {
    let mut hosts = Hosts::of(60);
    let (one, movies_of_one) = hosts.mounted();
    let (two, movies_of_two) = hosts.mounted();
    hosts.log.set_trouble(Trouble::Away);
    // A new host asks the server itself.
    let (three, movies_of_three) = hosts.listed();
    let (path, key) = path_of(&hosts.server, 1, 5);
    assert_eq!(key_of(&movies_of_three, &path), Some(key.clone()));
    movies_of_one
        .record_matches(&[(b"/mnt/odd.mkv", &key)])
        .expect("recorded");
    assert!(known(&one, &movies_of_one, "/mnt/odd.mkv").is_some());
    // What is due waits for the log for a minute, and is marked.
    hosts.clock.advance_ms(2 * HOUR_MS);
    hosts.server.reset();
    let answer = two
        .match_path(&movies_of_two.query(), path.as_bytes())
        .expect("answered");
    assert!(answer.stale && answer.item.is_some(), "{answer:?}");
    assert_eq!(requests(&hosts.server)[5], 0);
    hosts.clock.advance_ms(61_000);
    let answer = two
        .match_path(&movies_of_two.query(), path.as_bytes())
        .expect("answered");
    assert!(!answer.stale, "{answer:?}");
    assert!(requests(&hosts.server)[5] > 0);

    hosts.log.set_trouble(Trouble::None);
    hosts.clock.advance_ms(60_000);
    exchange(&[&one, &two, &three]);
    assert_eq!(
        known(&two, &movies_of_two, "/mnt/odd.mkv"),
        Some((key, MatchKind::Confirmed))
    );
}

#[test]
fn a_host_that_joins_brings_its_matches() {
    let mut hosts = Hosts::of(60);
    let (two, movies_of_two) = hosts.mounted();
    let (_, key) = path_of(&hosts.server, 1, 5);
    let (_, other) = path_of(&hosts.server, 1, 6);
    movies_of_two
        .record_matches(&[(b"/mnt/both.mkv", &other)])
        .expect("recorded");
    exchange(&[&two]);
    // It was alone until now.
    let folder = tempfile::tempdir().expect("a folder");
    let mut alone = options(&hosts.server, folder.path());
    mount(&mut alone);
    let one = support::open(alone.clone(), &hosts.clock);
    let movies_of_one = one.library("Movies").expect("a handle");
    refresh(&one);
    movies_of_one
        .record_matches(&[(b"/mnt/odd.mkv", &key), (b"/mnt/both.mkv", &key)])
        .expect("recorded");
    one.close().expect("closed");
    let (one, movies_of_one) = hosts.open(alone);
    exchange(&[&one, &two]);
    assert_eq!(
        known(&two, &movies_of_two, "/mnt/odd.mkv"),
        Some((key, MatchKind::Confirmed))
    );
    // What the log has already stays.
    let kept = Some((other, MatchKind::Confirmed));
    assert_eq!(known(&two, &movies_of_two, "/mnt/both.mkv"), kept);
    assert_eq!(known(&one, &movies_of_one, "/mnt/both.mkv"), kept);
}

#[test]
fn users_see_their_own() {
    let mut hosts = Hosts::of(60);
    let (one, movies_of_one) = hosts.listed();
    let (path, key) = path_of(&hosts.server, 1, 5);
    let (refused, movies_of_refused) = hosts.host_with(|options| options.token = plexindex::model::Token::new("wrong"));
    hosts.server.reset();
    assert!(refused.refresh(&QueryOptions::default(), false).is_err());
    assert!(known_or_error(&refused, &movies_of_refused, &path).is_none());
    let (named, movies_of_named) = hosts.host_with(|options| options.user = Some("ann".into()));
    refresh(&named);
    assert!(requests(&hosts.server)[2] > 0, "another view is listed by itself");
    movies_of_one
        .record_matches(&[(path.as_bytes(), &key)])
        .expect("recorded");
    exchange(&[&one, &named]);
    assert_ne!(
        known(&named, &movies_of_named, &path).map(|(_, kind)| kind),
        Some(MatchKind::Confirmed)
    );
}

fn known_or_error(index: &Index, library: &Library, path: &str) -> Option<String> {
    let answer = index.match_path(&offline(library), path.as_bytes()).ok()?;
    answer.item.map(|item| item.item.rating_key)
}

/// What another host heard a while ago answers no question about a file that may be new.
#[test]
fn an_earlier_probe_of_another_host_is_no_answer_about_a_new_file() {
    let mut hosts = Hosts::of(60);
    let (one, movies_of_one) = hosts.listed();
    let (two, movies_of_two) = hosts.listed();
    exchange(&[&one, &two]);
    hosts.clock.advance_ms(60_000);
    let missing = "/data/movies/Missing (2024)/Missing (2024).mkv";
    assert_eq!(key_of(&movies_of_one, missing), None);
    hosts.clock.advance_ms(5_000);
    add(&hosts.server, &[missing.to_owned()]);
    assert!(key_of(&movies_of_two, missing).is_some());
}

#[test]
fn news_comes_by_itself() {
    let mut hosts = Hosts::of(60);
    let (_one, movies_of_one) = hosts.mounted();
    let (two, movies_of_two) = hosts.mounted();
    two.watch_start().expect("watching");
    let (_, key) = path_of(&hosts.server, 1, 5);
    movies_of_one
        .record_matches(&[(b"/mnt/odd.mkv", &key)])
        .expect("recorded");
    until("the news comes", || {
        known(&two, &movies_of_two, "/mnt/odd.mkv").is_some()
    });
}

/// A call that finds every listing fresh uses the index, too, so its host takes the news of others.
#[test]
fn a_host_that_only_refreshes_takes_news() {
    let mut hosts = Hosts::of(60);
    let (_one, movies_of_one) = hosts.listed();
    let (two, _) = hosts.listed();
    let taken = || two.shared_progress().and_then(|(_, taken, _)| taken).unwrap_or(0);
    exchange(&[&two]);
    let before = taken();
    let (path, key) = path_of(&hosts.server, 1, 5);
    movies_of_one.record_through(path.as_bytes(), &key).expect("delivered");
    until("the entry is taken", || {
        hosts.clock.advance_ms(1_000);
        refresh(&two);
        taken() > before
    });
}

#[test]
fn a_host_is_behind_its_own_view() {
    let mut hosts = Hosts {
        has_threads: false,
        ..Hosts::of(60)
    };
    let (one, movies_of_one) = hosts.listed();
    let (two, _) = hosts.listed();
    let (named, _) = hosts.host_with(|options| options.user = Some("ann".into()));
    refresh(&named);
    exchange(&[&one, &two, &named]);
    let behind = |index: &Index| {
        let status = index.shared_status().expect("read").expect("it shares");
        assert_eq!(status.views.len(), 2, "one of each user");
        status.behind
    };
    assert_eq!([behind(&one), behind(&two), behind(&named)], [Some(0); 3]);
    let (path, key) = path_of(&hosts.server, 1, 5);
    movies_of_one.record_through(path.as_bytes(), &key).expect("delivered");
    // Its own entry is no news to the first.
    assert_eq!(
        [behind(&one), behind(&two), behind(&named)],
        [Some(0), Some(1), Some(0)]
    );
}
