//! The feed: a host that keeps what it reads, and regression tests, each of which reproduces a former defect.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::feed_rows::trim_feed;
use super::for_tests::{
    DAY_MS, Films, NOW_MS, film, library, listed, merge, movie, opened, reached, store_replies, written,
};
use super::{FeedCursor, FeedPage, FeedRows, ItemChange, LibraryRow, LibraryRows, ListedItems, Store};
use crate::error::{Result, Status};
use crate::model::{ByteString, Item, ItemType, Library, LibraryId, ViewId};
use crate::platform::clock::Deadline;

fn numbered(numbers: std::ops::Range<usize>) -> Vec<Item> {
    numbers.map(film).collect()
}

fn page(store: &Store, at: &FeedCursor, limit: usize) -> Result<FeedPage> {
    FeedRows(store).page(at, limit, store)
}

/// The changes that a reader gets from a position on, in pages of `limit`; `!` stands for 'list again'.
fn changes_from(store: &Store, mut at: FeedCursor, limit: usize) -> Vec<String> {
    let mut changes_from = Vec::new();
    for _ in 0..1_000 {
        let page = page(store, &at, limit).expect("a page");
        changes_from.extend(page.changes.into_iter().map(|told| match (told.was, told.now) {
            (None, None) => "!".to_owned(),
            (was, now) => now.or(was).expect("an item").rating_key,
        }));
        at = page.next;
        if !at.has_more() {
            return changes_from;
        }
    }
    panic!("the feed does not end: {changes_from:?}");
}

/// Copies all files of a folder into another one.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the folder").flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// A view with two libraries.
struct World {
    folder: tempfile::TempDir,
    backup: tempfile::TempDir,
    store: Arc<Store>,
    view_id: ViewId,
}

/// What happens to the store.
#[derive(Clone, Debug)]
enum Step {
    /// A probe shows the libraries with these titles, or without one of them.
    Probe([Option<u8>; 2]),
    Merge(usize, Vec<Item>),
    Remove(usize, String),
    List(usize, Vec<Item>),
    Evict(usize),
    Clear,
    Trim(i64),
    BackUp,
    /// The folder is as it was at the last backup: restored, or its last commits were lost.
    Restore,
}

const LIBRARIES: [&str; 2] = ["films", "more films"];

impl World {
    fn new() -> Self {
        let (folder, store) = opened();
        let view_id = reached(&store, "http://a", "one");
        let world = Self {
            folder,
            backup: tempfile::tempdir().expect("a folder"),
            store,
            view_id,
        };
        for step in [Step::Probe([Some(0); 2]), Step::List(0, vec![film(1)]), Step::BackUp] {
            world.take(&step);
        }
        world
    }

    /// The libraries that the last probe showed.
    fn rows(&self) -> Vec<LibraryRow> {
        LibraryRows(&self.store).libraries(self.view_id).expect("read")
    }

    fn row(&self, number: usize) -> Option<LibraryRow> {
        let mut rows = self.rows().into_iter();
        rows.find(|row| row.library.uuid == LIBRARIES[number])
    }

    fn take(&self, step: &Step) {
        let (store, now) = (&self.store, Deadline::NONE);
        let asked = store.ticket(now).expect("a ticket");
        match step {
            Step::Probe(titles) => {
                let shown = LIBRARIES.iter().zip(titles).filter_map(|(uuid, title)| {
                    Some(Library {
                        title: title.as_ref()?.to_string(),
                        ..library(uuid)
                    })
                });
                let shown: Vec<Library> = shown.collect();
                let probed = LibraryRows(store).store_probe(self.view_id, &shown, asked, NOW_MS, now);
                probed.expect("probed");
            }
            Step::Merge(number, items) => {
                if let Some(row) = self.row(*number) {
                    merge(store, row.id, items, asked);
                }
            }
            Step::Remove(number, key) => {
                if let Some(row) = self.row(*number) {
                    store_replies(store, row.id, &[(key.clone(), None)], asked);
                }
            }
            Step::List(number, items) => {
                if let Some(row) = self.row(*number) {
                    listed(store, &row, items);
                }
            }
            Step::Evict(number) => {
                if let Some(row) = self.row(*number) {
                    LibraryRows(store).evict(row.id, NOW_MS + DAY_MS, now).expect("evicted");
                }
            }
            Step::Clear => LibraryRows(store).clear(self.view_id, now).expect("cleared"),
            Step::Trim(rows) => drop(store.write(now, |tx| trim_feed(tx, *rows)).expect("trimmed")),
            Step::BackUp => self.replace(self.folder.path(), self.backup.path()),
            Step::Restore => self.replace(self.backup.path(), self.folder.path()),
        }
    }

    /// Replaces all files of a folder with those of another one.
    fn replace(&self, from: &Path, to: &Path) {
        self.store.close();
        for entry in fs::read_dir(to).expect("the folder").flatten() {
            fs::remove_file(entry.path()).expect("removed");
        }
        copy(from, to);
    }
}

/// Items of a world, in which something happens before they are read.
struct Amid<'w>(&'w World, &'w [Step]);

impl ListedItems for Amid<'_> {
    fn items_after(&self, library: LibraryId, after: i64, limit: usize) -> Result<Vec<(i64, Item)>> {
        self.1.iter().for_each(|step| self.0.take(step));
        self.0.store.items_after(library, after, limit)
    }

    fn items(&self, wanted: &[(LibraryId, &str)]) -> Result<Vec<Option<Item>>> {
        self.1.iter().for_each(|step| self.0.take(step));
        self.0.store.items(wanted)
    }
}

/// A host that keeps the titles of each library's items, by path and rating key.
#[derive(Clone, Debug, Default)]
struct Host {
    /// `None`: it lists everything.
    cursor: Option<FeedCursor>,
    files: BTreeMap<LibraryId, Files>,
}

type Files = BTreeMap<(ByteString, String), String>;

fn files_of(item: &Item) -> impl Iterator<Item = ((ByteString, String), String)> {
    let file = |part: &ByteString| ((part.clone(), item.rating_key.clone()), item.title.clone());
    item.parts.iter().map(file)
}

impl Host {
    /// Reads a page, while something happens. Returns whether more pages follow.
    fn read(&mut self, world: &World, limit: usize, amid: &[Step]) -> bool {
        let feed = FeedRows(&world.store);
        let cursor = self.cursor.map_or_else(|| feed.start(world.view_id, None, true), Ok);
        let page = cursor.and_then(|cursor| feed.page(&cursor, limit, &Amid(world, amid)));
        let is_known = match &page {
            Ok(page) => page.changes.iter().all(|change| self.applies(change)),
            Err(error) if error.status == Status::ListAgain => false,
            Err(error) => panic!("{error}"),
        };
        match page {
            Ok(page) if is_known => {
                self.cursor = Some(page.next);
                page.next.has_more()
            }
            _ => {
                *self = Self::default();
                true
            }
        }
    }

    /// Applies a change. Returns `false` if everything must be listed again.
    fn applies(&mut self, change: &ItemChange) -> bool {
        let files = self.files.entry(change.library.id).or_default();
        for (file, _) in change.was.iter().flat_map(files_of) {
            files.remove(&file);
        }
        files.extend(change.now.iter().flat_map(files_of));
        !change.is_relist_marker()
    }

    /// Reads to the end: a full listing, and the changes since.
    fn read_all(&mut self, world: &World) {
        let mut ends = 0;
        for _ in 0..1_000 {
            ends += usize::from(!self.read(world, 3, &[]));
            if ends == 2 {
                return;
            }
        }
        panic!("the feed does not end");
    }
}

/// What happens in a history.
#[derive(Clone, Debug)]
enum Event {
    Step(Step),
    /// A host reads a page of this size, while something happens.
    Read(usize, usize, Vec<Step>),
    /// A host stores what it has.
    Store(usize),
    /// A host is killed, and has what it has stored.
    Kill(usize),
}

fn any_item() -> impl Strategy<Value = Item> {
    let parts = vec(0..4_u8, 0..3);
    (1..6_u8, 0..3_u8, 0..4_u8, parts).prop_map(|(key, guid, title, parts)| Item {
        rating_key: key.to_string(),
        kind: ItemType::Movie,
        guid: ["", "plex://movie/a", "plex://movie/b"][usize::from(guid)].to_owned(),
        title: title.to_string(),
        parts: parts.iter().map(|part| format!("/data/{part}.mkv").into()).collect(),
        ..Item::default()
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    let title = || prop_oneof![1 => Just(None), 9 => (0..2_u8).prop_map(Some)];
    prop_oneof![
        8 => (0..2_usize, vec(any_item(), 1..3)).prop_map(|(number, items)| Step::Merge(number, items)),
        4 => (0..2_usize, 1..6_u8).prop_map(|(number, key)| Step::Remove(number, key.to_string())),
        6 => (0..2_usize, vec(any_item(), 0..6)).prop_map(|(number, items)| Step::List(number, items)),
        1 => [title(), title()].prop_map(Step::Probe),
        1 => (0..2_usize).prop_map(Step::Evict),
        1 => Just(Step::Clear),
        1 => (1..9_i64).prop_map(Step::Trim),
        2 => Just(Step::BackUp),
        2 => Just(Step::Restore),
    ]
}

const HOSTS: usize = 2;

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => any_step().prop_map(Event::Step),
        6 => (0..HOSTS, 1..4_usize, vec(any_step(), 0..2))
            .prop_map(|(host, limit, amid)| Event::Read(host, limit, amid)),
        1 => (0..HOSTS).prop_map(Event::Store),
        1 => (0..HOSTS).prop_map(Event::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_host_that_reads_the_feed_has_what_is_listed(events in vec(any_event(), 1..60)) {
        let world = World::new();
        let mut hosts = [(); HOSTS].map(|()| (Host::default(), Host::default()));
        for event in &events {
            match event {
                Event::Step(step) => world.take(step),
                Event::Read(host, limit, amid) => drop(hosts[*host].0.read(&world, *limit, amid)),
                Event::Store(host) => hosts[*host].1 = hosts[*host].0.clone(),
                Event::Kill(host) => hosts[*host].0 = hosts[*host].1.clone(),
            }
        }
        for (mut host, _) in hosts {
            host.read_all(&world);
            for row in world.rows().iter().filter(|row| row.generation.is_fetched()) {
                let items = world.store.items_after(row.id, 0, 100).expect("read");
                let files: Files = items.iter().flat_map(|(_, item)| files_of(item)).collect();
                prop_assert_eq!(host.files.remove(&row.id).unwrap_or_default(), files);
            }
        }
    }
}
#[test]
fn changes_that_were_trimmed_between_two_pages_must_be_listed_again() {
    let films = Films::with(&[film(1)]);
    let (begun, listing) = (films.cursor(false), films.cursor(true));
    films.list(&numbered(1..6));
    let told = page(&films.store, &begun, 2).expect("a page");
    assert_eq!((told.changes.len(), told.next.has_more()), (2, true));
    let end = films.cursor(false);
    let trimmed = written(&films.store, |tx| trim_feed(tx, 1));
    assert!(trimmed);
    for cursor in [told.next, begun, listing] {
        let error = page(&films.store, &cursor, 2).expect_err("it lacks changes");
        assert_eq!(error.status, Status::ListAgain);
        assert!(FeedRows(&films.store).has(&cursor).expect("looked"));
    }
    // A reader that had read everything misses nothing.
    assert!(!FeedRows(&films.store).has(&end).expect("looked"));
    films.list(&numbered(1..7));
    assert_eq!(changes_from(&films.store, end, 1), ["6"]);
}

/// Each page of an iteration found what others had written since the page before: it went on as long as they did.
#[test]
fn an_iteration_ends_with_what_was_there_when_it_began() {
    let films = Films::with(&numbered(0..1));
    let mut at = films.cursor(false);
    films.merge(&numbered(1..4));
    for (round, expected) in [3, 3, 0].into_iter().enumerate() {
        let mut heard = 0;
        loop {
            let page = page(&films.store, &at, 1).expect("a page");
            heard += page.changes.len();
            assert!(heard <= expected, "{round}");
            if round == 0 && !page.changes.is_empty() {
                films.merge(&[film(10 + heard)]);
            }
            // As a host keeps it.
            at = FeedCursor::from_text(&page.next.to_text()).expect("a cursor");
            if !at.has_more() {
                break;
            }
        }
        assert_eq!(heard, expected, "{round}");
    }
}

#[test]
fn an_item_with_a_new_rating_key_is_one_change_of_a_page() {
    let item = |key: &str, guid: &str| Item {
        guid: guid.to_owned(),
        ..film(key)
    };
    let films = Films::with(&[item("1", "plex://movie/a"), item("2", "")]);
    let begun = films.cursor(false);
    films.list(&[item("7", ""), item("8", "plex://movie/a")]);
    let keys = |told: &Option<Item>| told.as_ref().map(|item| item.rating_key.clone());
    let told = page(&films.store, &begun, 10).expect("a page").changes;
    let mut told: Vec<_> = told.iter().map(|told| (keys(&told.was), keys(&told.now))).collect();
    told.sort();
    let some = |key: &str| Some(key.to_owned());
    assert_eq!(told, [(None, some("7")), (some("1"), some("8")), (some("2"), None)]);
    assert_eq!(changes_from(&films.store, begun, 1).len(), 4);
}

/// A page shows an item as it is when the page is read, which can be newer than the page's last row.
#[test]
fn a_store_that_lost_a_commit_that_a_page_showed_does_not_continue_it() {
    let films = Films::with(&[film(1)]);
    let begun = films.cursor(false);
    films.merge(&[film(2)]);
    films.merge(&[film(3)]);
    films.store.close();
    let older = tempfile::tempdir().expect("a folder");
    copy(films.folder.path(), older.path());
    films.merge(&[movie("2", "/data/new.mkv")]);
    let told = page(&films.store, &begun, 1).expect("a page");
    let now = told.changes[0].now.as_ref().expect("listed");
    assert_eq!((&now.parts[0], told.next.has_more()), (&"/data/new.mkv".into(), true));
    let older = Store::open(older.path(), true).expect("opens");
    assert_eq!(changes_from(&older, begun, 1), ["2", "3"]);
    let continued = page(&older, &told.next, 1).expect_err("it shows another file");
    assert_eq!(continued.status, Status::ListAgain);
}

/// A backup is restored onto the same files, so that the database keeps its inode, and the history goes on from there.
#[test]
fn a_cursor_from_undone_history_is_refused() {
    let films = Films::with(&[film(1)]);
    let (begun, listing) = (films.cursor(false), films.cursor(true));
    films.merge(&[film(2)]);
    films.store.close();
    let backup = tempfile::tempdir().expect("a folder");
    copy(films.folder.path(), backup.path());
    films.merge(&[film(3)]);
    let read = |at: &FeedCursor| page(&films.store, at, 1).map(|page| page.next);
    let undone = [begun, listing].map(|at| read(&at).expect("a page"));
    films.store.close();
    for file in fs::read_dir(backup.path()).expect("the folder").flatten() {
        let bytes = fs::read(file.path()).expect("read");
        fs::write(films.folder.path().join(file.file_name()), bytes).expect("restored");
    }
    films.merge(&[film(4)]);
    for cursor in undone {
        assert_eq!(read(&cursor).expect_err("undone").status, Status::ListAgain);
    }
    read(&listing).expect("it begins before");
    assert_eq!(changes_from(&films.store, begun, 1), ["2", "4"]);
}

#[test]
fn a_renamed_library_must_be_listed_again() {
    let films = Films::with(&[film(1)]);
    let changes_after = |library: &Library| {
        let at = films.cursor(false);
        let (rows, libraries) = (LibraryRows(&films.store), std::slice::from_ref(library));
        rows.store_probe(films.view_id, libraries, films.ticket(), NOW_MS, Deadline::NONE)
            .expect("probed");
        changes_from(&films.store, at, 5)
    };
    let mut shown = library("films");
    assert_eq!(changes_after(&shown), [""; 0], "it is as it was");
    // Each row of the feed names title and section.
    shown.title = "Cinema".to_owned();
    assert_eq!(changes_after(&shown), ["!"]);
    shown.section = "7".to_owned();
    assert_eq!(changes_after(&shown), ["!"]);
    // No other change is reported for the library.
    shown.locations = vec!["/elsewhere".to_owned()];
    assert_eq!(changes_after(&shown), [""; 0]);
}

#[test]
fn a_listing_gives_the_same_changes_with_any_page_size() {
    let films = Films::with(&numbered(0..300));
    let begun = films.cursor(false);
    films.list(&numbered(10..330));
    films.list(&numbered(20..331));
    let all = changes_from(&films.store, begun, 1_000);
    assert_eq!(all.len(), 10 + 30 + 10 + 1, "less than a fifth");
    for limit in [1, 2, 7, 41] {
        assert_eq!(changes_from(&films.store, begun, limit), all, "{limit}");
    }
}

/// The feed cannot report which file the item lost.
#[test]
fn an_item_that_changes_while_its_segment_is_lost_means_a_new_listing() {
    let films = Films::with(&[film(1)]);
    let before = films.cursor(false);
    for file in fs::read_dir(films.folder.path()).expect("the folder").flatten() {
        if file.path().extension().is_some_and(|extension| extension == "segment") {
            fs::remove_file(file.path()).expect("removed");
        }
    }
    films.merge(&[movie("1", "/data/new.mkv")]);
    assert!(changes_from(&films.store, before, 10).contains(&"!".to_owned()));
}

#[test]
fn a_position_in_another_users_listing_gives_nothing() {
    let films = Films::with(&[film(1), film(2)]);
    let other = reached(&films.store, "http://b", "two");
    let mine = films.cursor(true);
    let foreign = FeedCursor { view_id: other, ..mine };
    assert_eq!(changes_from(&films.store, mine, 10).len(), 2);
    assert!(changes_from(&films.store, foreign, 10).is_empty());
}
