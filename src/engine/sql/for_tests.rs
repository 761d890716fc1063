//! A store with content, for the tests of this folder.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Arc;

use rusqlite::Connection;

use super::confirmed_matches::RecordedMatches;
use super::item_rows::ItemRows;
use super::library_rows::LibraryRows;
use super::listings::ListingRows;
use super::record_log::RecordRows;
use super::{Endpoint, LibraryRow, Listing, ListingResult, Store};
use crate::engine::segment::listing_cursor;
use crate::engine::writing::ListingSegments;
use crate::error::Result;
use crate::matching::Mappings;
use crate::model::{
    ByteString, Item, ItemType, Library, LibraryId, LibraryKind, Sequence, Server, SourceState, ViewId,
};
use crate::platform::deadline::Deadline;
use crate::platform::statements::prepared;

pub use super::schema::DAY_MS;

pub const NOW_MS: i64 = 20_000 * DAY_MS;

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
        change: SourceState::default(),
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

/// The rows of an identity that a probe shows with these libraries.
pub fn probed(store: &Store, view_id: ViewId, uuids: &[&str], now_ms: i64) -> Vec<LibraryRow> {
    let shown: Vec<Library> = uuids.iter().map(|uuid| library(uuid)).collect();
    let begun = store.sequence().expect("read");
    LibraryRows(store)
        .store_probe(view_id, &shown, begun, now_ms, Deadline::NONE, &|_, _| false)
        .expect("probed")
}

pub fn segments(store: &Arc<Store>) -> ListingSegments {
    ListingSegments::new(Arc::clone(store), Mappings::default(), Arc::default())
}

pub fn finish(store: &Arc<Store>, view_id: ViewId, listing: &Listing) -> LibraryRow {
    let (segments, row) = (
        segments(store),
        LibraryRows(store).library_row(listing.library).expect("a row"),
    );
    let draft = segments.draft(&row, listing).expect("pages");
    let draft = segments.without_duplicates(&row, listing, draft).expect("pages");
    let is_current = segments.has_same_content(&row, listing, &draft).expect("compared");
    let new = (!is_current).then(|| segments.write_draft(&row, listing, draft).expect("written"));
    let finished = ListingResult {
        provisional: false,
        partial: false,
        listed_ms: NOW_MS,
        is_copied: false,
    };
    segments
        .publish(view_id, &row, listing, &finished, new, Deadline::NONE)
        .expect("published")
}

/// Rebuilds the segment of a library with its single items.
pub fn compact(store: &Arc<Store>, view_id: ViewId, row: &LibraryRow) {
    let row = LibraryRows(store).library_row(row.id).expect("a row");
    segments(store)
        .compact_listing(view_id, &row, Deadline::NONE)
        .expect("compacted");
}

pub fn listed(store: &Arc<Store>, view_id: ViewId, row: &LibraryRow, items: &[Item]) -> LibraryRow {
    let mut listing = ListingRows(store)
        .begin_listing(row, NOW_MS, Deadline::NONE)
        .expect("begun");
    ListingRows(store)
        .store_page(&mut listing, items, Sequence(u64::MAX >> 1), Deadline::NONE)
        .expect("stored");
    finish(store, view_id, &listing)
}

/// The items of a library, with their cursors and in their order.
pub fn items_after(store: &Store, row: &LibraryRow, cursor: i64, limit: usize) -> Result<Vec<(i64, Item)>> {
    let row = LibraryRows(store).library_row(row.id)?;
    let mut found = Vec::new();
    if row.generation.is_fetched() {
        ItemRows(store).of(&row)?.for_each(&mut |item, _| {
            found.push((listing_cursor(&item.rating_key), item));
            Ok(())
        })?;
    }
    found.sort_by_key(|(at, _)| *at);
    found.retain(|(at, _)| *at > cursor);
    found.truncate(limit);
    Ok(found)
}

pub fn matches(store: &Store, library: LibraryId) -> BTreeSet<(Vec<u8>, String)> {
    RecordRows(store)
        .all_matches(library)
        .expect("read")
        .into_iter()
        .collect()
}

/// Records matches, without making a segment of them.
pub fn record_pairs(store: &Store, row: &LibraryRow, pairs: &[(&[u8], &str)]) -> Option<RecordedMatches<()>> {
    RecordRows(store)
        .record_matches(row, pairs, Deadline::NONE, |_| Ok(()))
        .expect("recorded")
}

pub fn count(store: &Store, query: &str) -> i64 {
    store
        .read(|connection| connection.query_row(query, [], |row| row.get(0)))
        .expect("counted")
}

/// The paths of what a library lists.
pub fn paths(store: &Store, row: &LibraryRow) -> Vec<ByteString> {
    let mut found = Vec::new();
    ItemRows(store)
        .of(row)
        .and_then(|items| {
            items.for_each(&mut |item, _| {
                found.extend(item.parts);
                Ok(())
            })
        })
        .expect("read");
    found.sort();
    found
}

pub fn sequence(store: &Store) -> Sequence {
    store.sequence().expect("read")
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
