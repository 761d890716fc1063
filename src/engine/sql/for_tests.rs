//! A store with content, for the tests of this folder.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Arc;

use rusqlite::Connection;

use super::record_writes::MatchWrite;
use super::schema::Tx;
use super::{
    Endpoint, FeedCursor, FeedRows, ItemRows, KnowledgeRows, LibraryRow, LibraryRows, ListedItems, Listing,
    ListingResult, ListingRows, ListingSegments, RecordRows, Replies, Store, StoreStates, StoredItems, Sweeper,
};
use crate::engine::memtable::LibraryChange;
use crate::engine::segment::listing_cursor;
use crate::engine::snapshot::LiveSnapshot;
use crate::error::{Error, Result, Status};
use crate::matching::Mappings;
use crate::model::{ByteString, Item, ItemType, Library, LibraryId, LibraryKind, Sequence, Server, ViewId};
use crate::platform::clock::Deadline;
use crate::platform::sqlite::prepared;

pub use super::schema::DAY_MS;

pub const NOW_MS: i64 = 20_000 * DAY_MS;
pub const FINISHED: ListingResult = ListingResult {
    is_whole: true,
    may_shrink: true,
    cursor: String::new(),
    listed_ms: NOW_MS,
};

/// Pseudo-random numbers, the same in each run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// A place in what has `length` of them.
    pub fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("small")
    }
}

/// The libraries of a store as its process reads them.
pub fn live(store: &Arc<Store>) -> LiveSnapshot {
    LiveSnapshot::new(
        Arc::clone(store),
        Arc::new(segments(store)),
        Mappings::default(),
        Arc::default(),
        Box::new(|| Some(endpoint("http://a"))),
    )
}

pub fn opened() -> (tempfile::TempDir, Arc<Store>) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), true).expect("the store opens");
    (folder, Arc::new(store))
}

pub fn endpoint(url: &str) -> Endpoint {
    Endpoint {
        url: url.to_owned(),
        user_hash: vec![7; 32],
        until_ms: 0,
        first_used_ms: 0,
    }
}

pub fn server(name: &str) -> Server {
    Server {
        machine_identifier: name.to_owned(),
        ..Server::default()
    }
}

pub fn library(uuid: &str) -> Library {
    Library {
        section: uuid.to_owned(),
        uuid: uuid.to_owned(),
        title: uuid.to_owned(),
        kind: LibraryKind::Movie,
        locations: vec!["/data".to_owned()],
        ..Library::default()
    }
}

pub fn movie(key: &str, path: &str) -> Item {
    Item {
        rating_key: key.to_owned(),
        kind: ItemType::Movie,
        title: format!("Film {key}"),
        parts: vec![path.into()],
        ..Item::default()
    }
}

/// A film with its file.
pub fn film(key: impl std::fmt::Display) -> Item {
    movie(&key.to_string(), &format!("/data/{key}.mkv"))
}

pub fn reached(store: &Store, url: &str, name: &str) -> ViewId {
    let view_id = LibraryRows(store).reached(&endpoint(url), &server(name));
    view_id.expect("reached")
}

/// A store with one view, which has the library `films`.
pub struct Films {
    pub folder: tempfile::TempDir,
    pub store: Arc<Store>,
    pub view_id: ViewId,
    pub id: LibraryId,
}

impl Films {
    /// The library as a probe shows it.
    pub fn new() -> Self {
        let (folder, store) = opened();
        let view_id = reached(&store, "http://a", "one");
        let id = probed(&store, view_id, &["films"], NOW_MS)[0].id;
        Self {
            folder,
            store,
            view_id,
            id,
        }
    }

    /// The library with a listing of these items.
    pub fn with(items: &[Item]) -> Self {
        let films = Self::new();
        films.list(items);
        films
    }

    pub fn row(&self) -> LibraryRow {
        LibraryRows(&self.store).library_row(self.id).expect("a row")
    }

    pub fn list(&self, items: &[Item]) -> LibraryRow {
        listed(&self.store, &self.row(), items)
    }

    pub fn begin(&self) -> Listing {
        let listing = ListingRows(&self.store).begin_listing(&self.row(), NOW_MS, Deadline::NONE);
        listing.expect("begun")
    }

    pub fn store_page(&self, listing: &mut Listing, items: &[Item], requested_at: Sequence) -> Result<()> {
        ListingRows(&self.store).store_page(listing, items, requested_at, Deadline::NONE)
    }

    pub fn page(&self, listing: &mut Listing, items: &[Item], requested_at: Sequence) {
        self.store_page(listing, items, requested_at).expect("stored");
    }

    pub fn finish(&self, listing: &Listing) -> LibraryRow {
        finish(&self.store, listing)
    }

    pub fn merge(&self, items: &[Item]) {
        self.merge_asked(items, self.ticket());
    }

    /// Stores the reply to a request that began at `asked`. Returns whether it counts.
    pub fn merge_asked(&self, items: &[Item], asked: Sequence) -> bool {
        merge(&self.store, self.id, items, asked)
    }

    pub fn remove<K: AsRef<str>>(&self, keys: &[K]) {
        self.remove_asked(keys, self.ticket());
    }

    pub fn remove_asked<K: AsRef<str>>(&self, keys: &[K], asked: Sequence) -> bool {
        let replies: Vec<_> = keys.iter().map(|key| (key.as_ref().to_owned(), None)).collect();
        store_replies(&self.store, self.id, &replies, asked)
    }

    pub fn ticket(&self) -> Sequence {
        self.store.ticket(Deadline::NONE).expect("a ticket")
    }

    pub fn record(&self, pairs: &[(&[u8], &str)]) -> Option<MatchWrite> {
        record_pairs(&self.store, &self.row(), pairs)
    }

    pub fn invalidate(&self, path: &[u8], rating_key: &str) {
        written(&self.store, |tx| tx.doubt_path_or_item(self.id, path, rating_key));
    }

    /// Invalidates this library, or all of the view.
    pub fn invalidate_libraries(&self, library: Option<LibraryId>) {
        let done = LibraryRows(&self.store).invalidate_libraries(self.view_id, library, Deadline::NONE);
        done.expect("invalidated");
    }

    pub fn clear(&self) {
        let cleared = LibraryRows(&self.store).clear(self.view_id, Deadline::NONE);
        cleared.expect("cleared");
    }

    /// Moves the items that came singly into the segment.
    pub fn compact(&self) {
        let compacted = segments(&self.store).compact_listing(self.view_id, &self.row(), Deadline::NONE);
        compacted.expect("compacted");
    }

    pub fn evict(&self) -> bool {
        let is_evicted = LibraryRows(&self.store).evict(self.id, NOW_MS + DAY_MS, Deadline::NONE);
        is_evicted.expect("evicted")
    }

    pub fn sweep(&self) {
        while Sweeper(&self.store).sweep(Deadline::NONE).expect("swept") {}
    }

    pub fn count(&self, query: &str) -> i64 {
        count(&self.store, query)
    }

    pub fn sequence(&self) -> Sequence {
        self.store.sequence().expect("read")
    }

    /// The changes of the library's state, as a new process reads them.
    pub fn changes(&self) -> Vec<LibraryChange> {
        let state = StoreStates(&self.store).state(Some(self.view_id));
        state.expect("read").changes
    }

    /// A cursor at the end of the feed; with `full`, at the start of a listing.
    pub fn cursor(&self, full: bool) -> FeedCursor {
        FeedRows(&self.store).start(self.view_id, None, full).expect("begun")
    }

    /// The paths of what the library lists.
    pub fn paths(&self) -> Vec<ByteString> {
        let mut found = Vec::new();
        let items = ItemRows(&self.store).of(self.id).expect("read");
        let read = items.for_each(Sequence(u64::MAX), &mut |item, _, _| {
            found.extend(item.parts);
            Ok(())
        });
        read.expect("read");
        found.sort();
        found
    }
}

/// What a transaction returns.
pub fn written<T>(store: &Store, work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>) -> T {
    store.write(Deadline::NONE, work).expect("written")
}

/// The rows of a view that a probe shows with these libraries.
pub fn probed(store: &Store, view_id: ViewId, uuids: &[&str], now_ms: i64) -> Vec<LibraryRow> {
    let shown: Vec<Library> = uuids.iter().map(|uuid| library(uuid)).collect();
    let asked = store.ticket(Deadline::NONE).expect("a ticket");
    LibraryRows(store)
        .store_probe(view_id, &shown, asked, now_ms, Deadline::NONE)
        .expect("probed")
}

pub fn segments(store: &Arc<Store>) -> ListingSegments {
    ListingSegments::new(Arc::clone(store), Mappings::default(), Arc::default())
}

pub fn finish(store: &Arc<Store>, listing: &Listing) -> LibraryRow {
    let (segments, row) = (
        segments(store),
        LibraryRows(store).library_row(listing.library).expect("a row"),
    );
    let draft = segments.draft(&row, listing).expect("pages");
    let draft = segments.without_duplicates(&row, listing, draft).expect("pages");
    let is_current = segments.has_same_content(&row, &draft);
    let new = (!is_current).then(|| segments.write_draft(&row, listing, draft).expect("written"));
    segments
        .publish(listing, &FINISHED, new, Deadline::NONE)
        .expect("published")
        .expect("not held back")
}

/// Stores the server's reply about these items. Returns whether it counts.
pub fn merge(store: &Store, library: LibraryId, items: &[Item], asked: Sequence) -> bool {
    let replies = items.iter().map(|item| (item.rating_key.clone(), Some(item.clone())));
    store_replies(store, library, &replies.collect::<Vec<_>>(), asked)
}

pub fn store_replies(store: &Store, library: LibraryId, replies: &Replies, asked: Sequence) -> bool {
    let rows = KnowledgeRows(store);
    let folded = rows.fold_items(
        library,
        replies,
        (asked, true),
        &|_, _| Vec::new(),
        NOW_MS,
        Deadline::NONE,
    );
    folded.expect("stored").are_stored
}

pub fn listed(store: &Arc<Store>, row: &LibraryRow, items: &[Item]) -> LibraryRow {
    let mut listing = ListingRows(store)
        .begin_listing(row, NOW_MS, Deadline::NONE)
        .expect("begun");
    ListingRows(store)
        .store_page(
            &mut listing,
            items,
            store.ticket(Deadline::NONE).expect("a ticket"),
            Deadline::NONE,
        )
        .expect("stored");
    finish(store, &listing)
}

impl ListedItems for Store {
    fn items_after(&self, library: LibraryId, after: i64, limit: usize) -> Result<Vec<(i64, Item)>> {
        let mut found = Vec::new();
        listed_items(self, library)?.for_each(Sequence(u64::MAX), &mut |item, _, _| {
            found.push((listing_cursor(&item.rating_key), item));
            Ok(())
        })?;
        found.sort_by_key(|(at, _)| *at);
        found.retain(|(at, _)| *at > after);
        found.truncate(limit);
        Ok(found)
    }

    fn items(&self, wanted: &[(LibraryId, &str)]) -> Result<Vec<Option<Item>>> {
        let item = |(library, key): &(LibraryId, &str)| Ok(listed_items(self, *library)?.item(key));
        wanted.iter().map(item).collect()
    }
}

fn listed_items(store: &Store, library: LibraryId) -> Result<StoredItems> {
    let row = LibraryRows(store).library_row(library).ok();
    let row = row.filter(|row| row.generation.is_fetched());
    ItemRows(store).of(row.ok_or_else(|| Error::new(Status::ListAgain, "no listing"))?.id)
}

pub fn matches(store: &Store, library: LibraryId) -> BTreeSet<(Vec<u8>, String)> {
    RecordRows(store)
        .all_matches(library)
        .expect("read")
        .into_iter()
        .collect()
}

/// Records matches.
pub fn record_pairs(store: &Store, row: &LibraryRow, pairs: &[(&[u8], &str)]) -> Option<MatchWrite> {
    RecordRows(store)
        .record_matches(row, (pairs, false), &[], u64::MAX, Deadline::NONE)
        .expect("recorded")
}

pub fn count(store: &Store, query: &str) -> i64 {
    store
        .read(|connection| connection.query_row(query, [], |row| row.get(0)))
        .expect("counted")
}

/// Environment variable with the path of the statement file, which has one JSON string per line.
pub const STATEMENTS_FILE: &str = "PLEXINDEX_TEST_STATEMENTS";

/// Appends a connection's prepared statements to the statement file, if the environment variable is set, so that a test
/// can check the query plans of all statements.
pub fn record_statements(connection: &Connection) {
    let Some(file) = std::env::var_os(STATEMENTS_FILE) else {
        return;
    };
    let mut file = OpenOptions::new().append(true).create(true).open(file).expect("opened");
    for statement in prepared(connection) {
        let line = serde_json::to_string(&statement).expect("a text") + "\n";
        file.write_all(line.as_bytes()).expect("written");
    }
}
