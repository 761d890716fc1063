//! The [`Source`] of a server: its libraries, pages of a listing, what was added, updated or removed since, items by their
//! rating keys, and items by path.
//!
//! A delta has three parts:
//!
//! 1. Fetch the rows sorted by last update, newest first, page by page until rows that are older than the last delta and
//!    that the index has had since then.
//! 2. Fetch the rows with the highest ids in the same way. New items have the highest ids, even if their times are old.
//! 3. Compare the item counts. If the server has fewer items than the index, items were removed. Bisection finds the
//!    removed items: sorted by id, the server's rows equal the indexed rows up to the first removed item. The server's
//!    rows include the trash, which the index leaves out.
//!
//! The index receives all new rows at once. If the index received only some new rows, the next delta would stop at
//! these rows and miss the others. A delta does not detect an item if only its files changed: the change of the
//! library's content then remains unexplained, and a full listing follows.
//!
//! A path is searched by file name and by title. The search by file name is undocumented, and some servers reject it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::super::contract::{
    Abilities, Bounds, DeltaCursor, Event, IndexedItems, LocatedItem, MAX_PAGE_ROWS, PageEnd, PageRequest, Source,
    SourceChanges, SourceKind, Tokens, WantedPath,
};
use super::KIND;
use super::plex_http::PlexHttp;
use super::replies::{Reply, ReplyKind, make_uuids_unique};
use super::send::{OVERSIZE_FACTOR, Rows, RowsRequest, ServerRequest, item_types_with_files};
use crate::error::{Error, Result, Status};
use crate::matching::path_search::file_name;
use crate::model::{Item, ItemType, Library, Server};
use crate::platform::fork::{ForkLock, lock_for_fork};

/// Maximum number of rows per search, which few searches exceed.
const MAX_FOUND: u32 = 100;
/// Maximum number of items per request. The URL then has about 700 bytes, and the server needs well under a second.
const BATCH: usize = 100;

impl Source for PlexHttp {
    /// Returns the constants of this kind of source, such as its name.
    fn kind(&self) -> &'static SourceKind {
        &KIND
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            events: true,
            scans: true,
            local: false,
        }
    }

    /// Requests the server's machine identifier and version (`/identity`), without the token.
    fn server(&self, bounds: Bounds<'_>) -> Result<Server> {
        let mut reply = Reply::new(ReplyKind::Metadata);
        self.send(&ServerRequest::identity(), &bounds, &mut reply)?;
        Ok(Server {
            machine_identifier: reply.machine_identifier.unwrap_or_default(),
            version: reply.version.unwrap_or_default(),
        })
    }

    /// Sends the probe, a request for `/library/sections`.
    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>> {
        let mut reply = Reply::new(ReplyKind::Libraries);
        self.send(&ServerRequest::libraries(), &bounds, &mut reply)?;
        if !reply.lists_libraries {
            return Err(Error::new(
                Status::BadAnswer,
                format!(
                    "cannot list the libraries ({}): the reply contains no libraries, and does not say that there are \
                     none; retry",
                    self.base_url.origin
                ),
            ));
        }
        make_uuids_unique(&mut reply.libraries);
        Ok(reply.libraries)
    }

    /// Returns the number of item types that have files in this kind of library. Each partition contains one type.
    fn partitions(&self, library: &Library) -> usize {
        item_types_with_files(library.kind).len()
    }

    /// Requests a page of one item type, sorted by id. Positions are row numbers.
    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        self.fetch_partition(request, Rows::All, bounds, items)
    }

    /// Requests a page of one item type's rows whose files are missing. The trash is among these rows.
    fn trash(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        self.fetch_partition(request, Rows::Trash, bounds, items)
    }

    /// Requests all pages of shows, which are not a partition because they have no files. A page begins with the last
    /// row of the page before, as in a listing.
    fn shows(&self, library: &Library, bounds: Bounds<'_>) -> Result<Option<Vec<Item>>> {
        let mut shows: Vec<Item> = Vec::new();
        let mut position = 0;
        loop {
            let request = PageRequest {
                library,
                partition: 0,
                position,
                size: MAX_PAGE_ROWS,
            };
            let mut rows = Vec::new();
            let page = self.fetch_page(&request, ItemType::Show, Rows::All, bounds, &mut rows)?;
            let last = shows.pop();
            let is_next = last.is_none_or(|last| rows.first().is_some_and(|row| row.rating_key == last.rating_key));
            if page.has_shifted || !is_next {
                return Ok(None); // rows moved
            }
            shows.extend(rows);
            match page.next {
                Some(next) if next > position + 1 => position = next - 1,
                _ => break,
            }
        }
        // Types without files have no name of their own here. A server that ignores the type sends episodes.
        shows.retain(|item| item.kind == ItemType::Other && !item.trashed);
        Ok(Some(shows))
    }

    /// Finds new and updated items among the latest updates and the highest ids, and removed items by comparing item
    /// counts. Misses an item if only its files changed.
    fn changes(&self, library: &Library, index: &dyn IndexedItems, bounds: Bounds<'_>) -> Result<SourceChanges> {
        let delta = DeltaReader {
            plex: self,
            library,
            index,
            bounds,
        };
        Ok(delta.fetch()?.unwrap_or(SourceChanges::Unknown))
    }

    /// Searches by each spelling of the file name and then by title, for each item type, because Plex's HTTP API cannot
    /// search by path.
    fn find_path(
        &self,
        library: &Library,
        wanted: &WantedPath<'_>,
        bounds: Bounds<'_>,
        accept: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        for kind in item_types_with_files(library.kind) {
            for rows in file_names(wanted)
                .map(Rows::FileName)
                .chain(wanted.title.map(Rows::Title))
            {
                let request = RowsRequest {
                    section: &library.section,
                    kind: *kind,
                    rows,
                    start: 0,
                    size: MAX_FOUND,
                };
                let mut items = Vec::new();
                let result = self.fetch_rows(&request, bounds, &mut items);
                // The items are valid even if the request failed midway.
                if accept(items)? {
                    return Ok(true);
                }
                match result {
                    Err(error) if matches!(rows, Rows::FileName(_)) && error.status == Status::ServerError => {
                        log::debug!("the server rejects searches by file name: {error}");
                    }
                    other => {
                        other?;
                    }
                }
            }
        }
        Ok(false)
    }

    /// Requests the items by their rating keys, up to [`BATCH`] in each request. Omits those in the trash.
    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        let mut items = Vec::new();
        let keys: Vec<&str> = rating_keys.iter().copied().filter(|key| !key.is_empty()).collect();
        for batch in keys.chunks(BATCH) {
            let mut pending_keys = batch.to_vec();
            while !pending_keys.is_empty() {
                let items_before = items.len();
                let total = self.fetch_batch(&pending_keys, &bounds, &mut items)?;
                let new_items = items.get(items_before..).unwrap_or_default();
                let found: HashSet<&str> = new_items.iter().map(|new| new.item.rating_key.as_str()).collect();
                // A reply keeps the request's order, but some servers truncate the reply. So the items after the last
                // returned item may exist, and plexindex requests them again; missing items before it do not exist.
                let answered_count = pending_keys
                    .iter()
                    .rposition(|key| found.contains(key))
                    .map_or(0, |last| last + 1);
                let is_truncated = total.is_some_and(|total| total > new_items.len() as u64);
                // The server has none of the remaining items.
                if answered_count == 0 {
                    break;
                }
                if is_truncated {
                    // The omitted items may be anywhere in the list, so requests all missing items again.
                    pending_keys.retain(|key| !found.contains(key));
                } else {
                    pending_keys.drain(..answered_count);
                }
            }
        }
        items.retain(|located| !located.item.trashed);
        Ok(items)
    }

    /// Sends one `GET` request, which starts the scan.
    fn scan(&self, section: &str, folder: &[u8], bounds: Bounds<'_>) -> Result<()> {
        self.command(&ServerRequest::scan(section, folder), bounds)
    }

    fn refresh_item(&self, rating_key: &str, analyzes: bool, bounds: Bounds<'_>) -> Result<()> {
        self.command(&ServerRequest::refresh_item(rating_key, analyzes), bounds)
    }

    /// Receives the event stream until it ends, `sink` returns `false`, or the host aborts the call.
    fn events(&self, bounds: Bounds<'_>, sink: &mut dyn FnMut(Event) -> bool) -> Result<()> {
        self.receive_event_stream(&bounds, sink)
            .map_err(|failure| self.scrub(failure.error))
    }

    fn interrupt_events(&self) {
        self.transport.interrupt_stream();
    }

    fn tokens(&self) -> Option<Arc<Tokens>> {
        Some(Arc::clone(&self.tokens))
    }

    /// Takes the locks on the connections, because a lock that another thread held would stay locked in the child.
    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        vec![
            Box::new(lock_for_fork(&self, |plex| &plex.transport.agent)),
            Box::new(lock_for_fork(&self, |plex| &plex.transport.stream)),
        ]
    }

    /// Drops the connections, which the parent still uses.
    fn after_fork(&self) {
        self.transport.drop_connections();
    }

    /// Closes the connections, so that running requests end at once.
    fn interrupt(&self) {
        self.transport.interrupt();
    }
}

impl PlexHttp {
    /// Requests a page of these rows with the type of the request's partition.
    fn fetch_partition(
        &self,
        request: &PageRequest<'_>,
        rows: Rows<'_>,
        bounds: Bounds<'_>,
        items: &mut Vec<Item>,
    ) -> Result<PageEnd> {
        match item_types_with_files(request.library.kind).get(request.partition) {
            Some(kind) => self.fetch_page(request, *kind, rows, bounds, items),
            None => Ok(PageEnd::default()),
        }
    }

    /// Requests a page of these rows with this type. Ignores the request's partition.
    fn fetch_page(
        &self,
        request: &PageRequest<'_>,
        kind: ItemType,
        rows: Rows<'_>,
        bounds: Bounds<'_>,
        items: &mut Vec<Item>,
    ) -> Result<PageEnd> {
        let (position, earlier_items) = (request.position, items.len());
        let metadata = loop {
            let size = self.rows_in_time(request.size, &bounds);
            let rows_request = RowsRequest {
                section: &request.library.section,
                kind,
                rows,
                start: position,
                size,
            };
            match self.fetch_rows(&rows_request, bounds, items) {
                // After a timeout, a smaller page may arrive in time.
                Err(error)
                    if error.status == Status::Timeout
                        && items.len() == earlier_items
                        && !bounds.deadline.has_passed()
                        && self.rows_in_time(size, &bounds) < size =>
                {
                    log::info!("{error}; requesting a smaller page");
                }
                result => break result?,
            }
        };
        let next_position = position + metadata.rows;
        let is_last = match metadata.total {
            Some(total) if next_position >= total => true,
            // A reply without an offset and a total means that the server ignored paging and sent all rows.
            None if position == 0 && metadata.offset.is_none() => true,
            // Servers may return fewer rows than requested, or count rows that they never return, so only an empty page
            // marks the end.
            _ => metadata.rows == 0,
        };
        Ok(PageEnd {
            rows: metadata.rows,
            total: metadata.total,
            next: (!is_last).then_some(next_position),
            has_shifted: metadata.offset.is_some_and(|offset| offset != position),
        })
    }
}

/// Number of rows in the first page, which usually contains all new rows.
const FIRST_PAGE_ROWS: u32 = 100;
/// Number of rows at the end of a page that must be unchanged before a delta stops.
const LAST_ROWS: usize = 10;
/// Number of rows in further pages.
const NEXT_PAGE_ROWS: u32 = 1_000;
/// Maximum number of pages. Beyond this number, a full listing is better.
const MAX_PAGES: usize = 5;
/// Number of rows in each page during the bisection.
const BISECTION_ROWS: u32 = 100;
/// Maximum number of removed items. Beyond this number, a full listing is better.
const MAX_REMOVED: usize = 16;

/// Fetches one library's delta.
struct DeltaReader<'d> {
    plex: &'d PlexHttp,
    library: &'d Library,
    index: &'d dyn IndexedItems,
    bounds: Bounds<'d>,
}

impl DeltaReader<'_> {
    /// Adds new and updated items to the index, and returns the removed items; `None` if a full listing is needed.
    fn fetch(&self) -> Result<Option<SourceChanges>> {
        let types = item_types_with_files(self.library.kind);
        let mut total = 0;
        let mut new = Vec::new();
        let mut newest_update = None;
        for kind in types {
            let Some((count, newest)) = self.collect_newest(*kind, &mut new)? else {
                return Ok(None);
            };
            newest_update = newest_update.max(newest);
            match self.collect_last_by_id(*kind, count, &mut new)? {
                Some(count) => total += count,
                None => return Ok(None),
            }
        }
        self.index.add(&new)?;
        let known = |removed_keys, left_out| {
            let cursor = DeltaCursor {
                newest_update,
                left_out,
                items: None,
            };
            Ok(Some(SourceChanges::Known { removed_keys, cursor }))
        };
        // Items that went to the trash are still among the server's rows.
        let mut trash: BTreeSet<String> = keys_in_trash(&new);
        let mut trashed = self.indexed_keys(&trash)?;
        let mut left_out = self.index.cursor().left_out + trashed.len() as u64;
        let indexed = self.index.count()?;
        let mut rows = indexed + left_out - trashed.len() as u64;
        if rows != total && (rows < total || left_out > 0) {
            let Some(rows_in_trash) = self.fetch_trash(types)? else {
                return Ok(None);
            };
            trash = keys_in_trash(&rows_in_trash);
            trashed = self.indexed_keys(&trash)?;
            left_out = trash.len() as u64;
            rows = indexed + left_out - trashed.len() as u64;
        }
        match rows.checked_sub(total) {
            None => Ok(None), // the server has items that neither order has shown
            Some(0) => known(trashed, left_out),
            Some(_) if types.len() > 1 => Ok(None), // the bisection supports only one type
            // The cause may be an unmounted disk, so two full listings must agree before items are removed.
            Some(_) if !self.index.accepts_shrinking_to(total.saturating_sub(left_out))? => Ok(None),
            Some(_) => match self.find_removed_items(types[0], total, &trash)? {
                Some(removed) => known([trashed, removed].concat(), left_out),
                None => Ok(None),
            },
        }
    }

    /// Returns which of these keys the index contains.
    fn indexed_keys(&self, keys: &BTreeSet<String>) -> Result<Vec<String>> {
        let mut indexed = Vec::new();
        for key in keys {
            if self.index.has_any(std::slice::from_ref(key))? {
                indexed.push(key.clone());
            }
        }
        Ok(indexed)
    }

    /// Fetches the rows whose files are missing; `None` if there are too many, or if the server ignores the filter.
    fn fetch_trash(&self, types: &[ItemType]) -> Result<Option<Vec<Item>>> {
        let mut trash = Vec::new();
        for kind in types {
            let (items, result) = self.fetch_rows(*kind, Rows::Trash, 0, self.clamp_rows(NEXT_PAGE_ROWS));
            let metadata = match result {
                Err(error) if error.status == Status::ServerError => return Ok(None),
                other => other?,
            };
            if metadata.total.is_none_or(|total| total > metadata.rows) {
                return Ok(None);
            }
            trash.extend(items);
        }
        Ok(Some(trash))
    }

    /// Fetches the most recently updated rows, newest first, until a row from before the last delta, and adds them to
    /// `new`. Returns the server's row count and its latest update time. Returns `None` if there are too many new rows,
    /// or if the server reports no row count, without which the delta cannot detect removals.
    fn collect_newest(&self, kind: ItemType, new: &mut Vec<Item>) -> Result<Option<(u64, Option<i64>)>> {
        let rows = Rows::NewestUpdated;
        let last_delta = self.index.cursor().newest_update;
        let (mut start, mut newest) = (0, None);
        let read_before = new.len();
        for page in 0..MAX_PAGES {
            let size = if page == 0 { FIRST_PAGE_ROWS } else { NEXT_PAGE_ROWS };
            let (items, result) = self.fetch_rows(kind, rows, start, self.clamp_rows(size));
            let metadata = match result {
                // The server does not support this order. A full listing does not need this order.
                Err(error) if error.status == Status::ServerError => return Ok(None),
                other => other?,
            };
            let Some(total) = metadata.total else {
                return Ok(None);
            };
            // If the rows are not in order, a row that the index has says nothing about later rows.
            if metadata.update_order.is_disordered {
                return Ok(None);
            }
            // Each page begins with a row that was read. Otherwise rows before it are gone, and others have moved into
            // the pages before. An update meanwhile moves the rows the other way, and is the next delta's.
            let is_read = |first: &Item| {
                new[read_before..]
                    .iter()
                    .any(|item| item.rating_key == first.rating_key)
            };
            if page > 0 && !items.first().is_some_and(is_read) {
                return Ok(None);
            }
            start += metadata.rows.saturating_sub(1);
            if page == 0 {
                newest = metadata.update_order.times.map(|(first, _)| first);
            }
            // An update can leave all stored fields of an item unchanged, and times can be wrong, so neither is enough.
            // More updates may have followed in the second in which the last delta ended.
            let is_older = match (last_delta, metadata.update_order.times) {
                (Some(last_delta), Some((_, last))) => last < last_delta,
                _ => true,
            };
            let last_rows = items.iter().rev().filter(|item| !item.trashed).take(LAST_ROWS);
            let reached_index = is_older && self.has_all(last_rows)?;
            new.extend(items);
            if reached_index || metadata.rows == 0 || start + 1 >= total {
                return Ok(Some((total, newest)));
            }
        }
        Ok(None)
    }

    /// Returns whether the index has had all these items since the last delta or listing.
    fn has_all<'i>(&self, mut items: impl Iterator<Item = &'i Item>) -> Result<bool> {
        items.try_fold(true, |has_all, item| Ok(has_all && self.index.has(item)?))
    }

    /// Fetches the rows sorted by id, from the last page backwards, until a row that the index already has, and adds
    /// them to `new`: new items have the highest ids, even if their times are old. `total` is the last item count that
    /// the server reported. Returns the current item count, or `None` if there are too many new rows or if the server
    /// ignores paging.
    fn collect_last_by_id(&self, kind: ItemType, mut total: u64, new: &mut Vec<Item>) -> Result<Option<u64>> {
        let mut page_end = total;
        for page in 0..MAX_PAGES {
            let size = self.clamp_rows(if page == 0 { FIRST_PAGE_ROWS } else { NEXT_PAGE_ROWS });
            let start = page_end.saturating_sub(u64::from(size));
            let (items, result) = self.fetch_rows(kind, Rows::All, start, size);
            let metadata = result?;
            if metadata.offset.is_some_and(|offset| offset != start) {
                return Ok(None);
            }
            total = metadata.total.unwrap_or(total);
            let reached_index = self.has_all(items.iter().filter(|item| !item.trashed).take(1))?;
            new.extend(items);
            if reached_index || start == 0 {
                return Ok(Some(total));
            }
            page_end = start;
        }
        Ok(None)
    }

    /// Limits the number of rows in a page to the option `page_size`, and to those that arrive in time.
    fn clamp_rows(&self, rows: u32) -> u32 {
        self.plex.rows_in_time(rows.min(self.plex.page_size), &self.bounds)
    }

    /// Requests a page. Returns the items received, even after a failure, and the page's metadata or the error.
    fn fetch_rows(&self, kind: ItemType, rows: Rows<'_>, start: u64, size: u32) -> (Vec<Item>, Result<Reply>) {
        let request = RowsRequest {
            section: &self.library.section,
            kind,
            rows,
            start,
            size,
        };
        let mut items = Vec::new();
        let result = self.plex.fetch_rows(&request, self.bounds, &mut items);
        (items, result)
    }

    /// Finds the items that the server no longer lists, by bisection, and returns their rating keys. `total` is the
    /// server's row count, including the trash. Returns `None` after too many pages, or if the listing changes.
    ///
    /// The index and the server both sort their rows by id, and the server's rows are the indexed rows and the trash
    /// without the removed rows. So if a position has the same row in the index and on the server, no earlier row was removed.
    fn find_removed_items(&self, kind: ItemType, total: u64, trash: &BTreeSet<String>) -> Result<Option<Vec<String>>> {
        let Some(index_ids) = self.sorted_ids_with(trash)? else {
            return Ok(None);
        };
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        let removed_count = index_ids.len().saturating_sub(total);
        // A full listing takes about this many pages, so more pages would not pay.
        let max_pages = index_ids.len() / 1_000 + 1;
        if removed_count > MAX_REMOVED {
            return Ok(None);
        }
        let mut removed: Vec<u64> = Vec::new();
        let mut pages = 0;
        // The server's first `equal_rows` rows equal the first indexed rows, not counting the rows in `removed`.
        let mut equal_rows = 0;
        while removed.len() < removed_count && equal_rows < total {
            // The next removed item precedes this row of the server, or follows the server's last row.
            let mut upper_bound = total;
            while equal_rows < upper_bound {
                if pages >= max_pages {
                    return Ok(None);
                }
                pages += 1;
                let unknown_rows = upper_bound - equal_rows;
                let start = if unknown_rows <= BISECTION_ROWS as usize {
                    equal_rows
                } else {
                    equal_rows + unknown_rows / 2
                };
                let Some(server_ids) = self.fetch_ids(kind, start as u64, total as u64)? else {
                    return Ok(None);
                };
                let index_start = start + removed.len();
                // If the page's first row differs, a removed item precedes it. Otherwise, compares the whole page.
                if start > equal_rows && index_ids.get(index_start) != Some(&server_ids[0]) {
                    upper_bound = start;
                    continue;
                }
                let Some(missing) = missing_ids(index_ids.get(index_start..).unwrap_or_default(), &server_ids) else {
                    return Ok(None);
                };
                equal_rows = start + server_ids.len();
                if !missing.is_empty() {
                    removed.extend(missing);
                    break;
                }
            }
        }
        if equal_rows >= total {
            // The server has no more rows, so all remaining rows of the index were removed.
            removed.extend(index_ids.get(total + removed.len()..).unwrap_or_default());
        }
        if removed.len() != removed_count {
            return Ok(None);
        }
        let removed: Vec<String> = removed.iter().map(u64::to_string).collect();
        let keys: Vec<&str> = removed.iter().map(String::as_str).collect();
        // An item may be missing from the listing although it still exists.
        let existing = self.plex.items(&keys, self.bounds)?;
        let are_all_removed = existing.iter().all(|item| !item.is_in(&self.library.section));
        Ok(are_all_removed.then_some(removed))
    }

    /// Requests a page sorted by id, and returns its ids. `total` is the expected item count. Returns `None` if the
    /// page is empty, a rating key is not a number, or the listing has changed.
    fn fetch_ids(&self, kind: ItemType, start: u64, total: u64) -> Result<Option<Vec<u64>>> {
        let (items, result) = self.fetch_rows(kind, Rows::All, start, self.clamp_rows(BISECTION_ROWS));
        let metadata = result?;
        let ids: Option<Vec<u64>> = items.iter().map(|item| item.rating_key.parse().ok()).collect();
        let Some(ids) = ids.filter(|ids| !ids.is_empty()) else {
            return Ok(None);
        };
        let has_changed =
            metadata.total.is_some_and(|count| count != total) || metadata.offset.is_some_and(|offset| offset != start);
        Ok((!has_changed).then_some(ids))
    }

    /// Returns the ids of the indexed items and of the trash, sorted; `None` if a rating key is not a number.
    fn sorted_ids_with(&self, trash: &BTreeSet<String>) -> Result<Option<Vec<u64>>> {
        let mut ids = Some(Vec::new());
        let mut add = |key: &str| match (parse_canonical(key), &mut ids) {
            (Some(id), Some(ids)) => ids.push(id),
            _ => ids = None,
        };
        for key in trash {
            add(key);
        }
        self.index.keys(&mut add)?;
        if let Some(ids) = &mut ids {
            ids.sort_unstable();
            ids.dedup();
        }
        Ok(ids)
    }
}

/// Returns the keys of the items that are in the trash.
fn keys_in_trash(items: &[Item]) -> BTreeSet<String> {
    let trash = items.iter().filter(|item| item.trashed);
    trash.map(|item| item.rating_key.clone()).collect()
}

/// Returns the indexed ids that are missing from the server's page, up to the page's last id: their items were removed.
/// Both lists are ascending and start at the same position of the listing, so that no id of an earlier page counts as
/// removed. Returns `None` if the server has an id that is not indexed.
fn missing_ids(index_ids: &[u64], server_ids: &[u64]) -> Option<Vec<u64>> {
    let mut missing = Vec::new();
    let mut index_ids = index_ids.iter();
    for server_id in server_ids {
        loop {
            match index_ids.next() {
                Some(id) if id == server_id => break,
                Some(id) if id < server_id => missing.push(*id),
                _ => return None,
            }
        }
    }
    Some(missing)
}

/// Parses a number in canonical form; `None` for other strings, such as `007`, which would not equal the rating key.
fn parse_canonical(text: &str) -> Option<u64> {
    let number = text.parse::<u64>().ok()?;
    (number.to_string() == text).then_some(number)
}

impl PlexHttp {
    /// Fetches up to [`BATCH`] items in one request, and adds those that exist to `items`. Returns the number
    /// of items that the server has, which shows whether it truncated the list; `None` if the reply does not contain it.
    fn fetch_batch(&self, keys: &[&str], bounds: &Bounds<'_>, items: &mut Vec<LocatedItem>) -> Result<Option<u64>> {
        let request = ServerRequest::items(keys);
        let items_before = items.len();
        let mut reply = Reply::new(ReplyKind::Items(ItemType::Other, OVERSIZE_FACTOR * BATCH as u64));
        match self.send(&request, bounds, &mut reply) {
            // The server has none of these items.
            Err(error) if error.status == Status::NotOnServer => return Ok(None),
            result => result?,
        }
        for located in reply.items {
            // Skips items that were not requested, and repeated items.
            let batch = items.get(items_before..).unwrap_or_default();
            if keys.contains(&located.item.rating_key.as_str())
                && batch
                    .iter()
                    .all(|other| other.item.rating_key != located.item.rating_key)
            {
                items.push(located);
            }
        }
        // Only an empty reply says that the server has none of the items. Another one is not about them, such as a proxy's
        // reply to an earlier request.
        if items.len() == items_before && reply.total.unwrap_or(0).max(reply.rows) > 0 {
            return Err(self.foreign_rows_error(&request));
        }
        Ok(reply.total)
    }
}

/// Returns the distinct names that the file may have on the server.
fn file_names<'w>(wanted: &'w WantedPath<'_>) -> impl Iterator<Item = &'w str> {
    let mut names = vec![wanted.name];
    for name in wanted.candidate_paths.iter().filter_map(|path| file_name(path)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter()
}
