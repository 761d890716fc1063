//! Lists a library in short read transactions, which read ahead of the requested pages.

use std::collections::VecDeque;

use rusqlite::Connection;

use crate::error::{Error, Result, Status};
use crate::model::{Item, Library};
use crate::platform::fork::lock;

use super::super::contract::{Bounds, PageEnd, PageRequest};
use super::super::plex::{item_types_with_files, push_unique};
use super::PlexDatabase;
use super::item_reader::{ItemReader, text};
use super::read_lock::check_bounds;

/// Number of items to read ahead: enough to make the time to open the database negligible, with little memory.
const ITEMS_AHEAD: usize = 8_192;

/// Returns a library's section id as a number, for SQL. Fails if the id is not a number, because the database then has
/// no such library.
pub fn section_id(library: &Library) -> Result<i64> {
    library.section.parse().map_err(|_| library_not_found(library))
}

fn library_not_found(library: &Library) -> Error {
    Error::new(
        Status::NotOnServer,
        format!("library section {} is no longer in Plex's database", library.section),
    )
}

impl PlexDatabase {
    /// Appends a page of a listing to `items`, and returns the page's metadata. A position is the preceding item's id.
    pub(super) fn read_page(
        &self,
        request: &PageRequest<'_>,
        bounds: &Bounds<'_>,
        items: &mut Vec<Item>,
    ) -> Result<PageEnd> {
        let library = request.library;
        let types = item_types_with_files(library.kind);
        let Some(kind) = types.get(request.partition) else {
            return Ok(PageEnd::default());
        };
        check_bounds(bounds)?;
        let listing = (library.section.clone(), request.partition, library.change.token.clone());
        // Takes a later page from memory if the previous page's transaction has read it.
        if request.position > 0
            && let Some(page) = lock(&self.read_ahead).take_page(&listing, request, items)
        {
            return Ok(page);
        }
        let section = section_id(library)?;
        // A call without a deadline lists the whole library, and later deltas need row counts.
        if !bounds.deadline.is_set() {
            self.enable_row_counts();
        }
        // A call with a deadline needs its first answer quickly, so it reads only the requested page.
        let max_items = if bounds.deadline.is_set() {
            request.size as usize
        } else {
            ITEMS_AHEAD
        };
        let page_and_more = self.file.run_in_transaction(bounds, &mut |transaction| {
            transaction.query(|| {
                let count_library = "SELECT count(*) FROM library_sections WHERE id = ?1";
                let connection = &transaction.connection;
                if !connection.query_row(count_library, [section], |row| row.get::<_, bool>(0))? {
                    return Ok(None);
                }
                let mut reader = ItemReader::new(connection, section, std::slice::from_ref(kind));
                let is_first_page = request.position == 0;
                let counts = is_first_page.then(|| reader.count_items(i64::MAX)).transpose()?;
                let mut items = Vec::with_capacity(max_items);
                let mut is_enough = |count| count >= request.size as usize && transaction.is_time_up();
                let after_id = i64::try_from(request.position).unwrap_or(i64::MAX);
                let reaches_end = reader.read_after(after_id, max_items, &mut items, &mut is_enough)?;
                Ok(Some((counts.map(|counts| counts.without_trash), items, reaches_end)))
            })
        })?;
        let (total, items_read, reaches_end) = page_and_more.ok_or_else(|| library_not_found(library))?;
        // Moves the requested page to `items`, and keeps the remaining items for later pages.
        let mut read_ahead = ReadAhead {
            listing: Some(listing.clone()),
            position: request.position,
            items: VecDeque::from(items_read),
            reaches_end,
        };
        let page = read_ahead.take_page(&listing, request, items).unwrap_or_default();
        *lock(&self.read_ahead) = read_ahead;
        Ok(PageEnd { total, ..page })
    }

    /// Returns the shows of a library, with their GUIDs and external ids.
    pub(super) fn read_shows(&self, library: &Library, bounds: &Bounds<'_>) -> Result<Vec<Item>> {
        let section = section_id(library)?;
        let mut shows: Vec<Item> = Vec::new();
        let mut last_id = 0;
        loop {
            let (read, id_read) = self.file.run_in_transaction(bounds, &mut |transaction| {
                let mut is_time_up = || transaction.is_time_up();
                transaction.query(|| read_shows_after(&transaction.connection, section, last_id, &mut is_time_up))
            })?;
            shows.extend(read);
            match id_read {
                Some(id) => last_id = id,
                None => return Ok(shows),
            }
        }
    }
}

/// Reads a library's shows with ids above `last_id`. If the time is up before the last show, also returns the id of the
/// last show read.
fn read_shows_after(
    connection: &Connection,
    section: i64,
    last_id: i64,
    is_time_up: &mut dyn FnMut() -> bool,
) -> rusqlite::Result<(Vec<Item>, Option<i64>)> {
    // `+id` makes SQLite use the index on library and type.
    let mut select_shows = connection.prepare(
        "SELECT id, title, guid FROM metadata_items WHERE library_section_id = ?1 AND +id > ?2 AND metadata_type = 2 \
         AND deleted_at IS NULL ORDER BY +id",
    )?;
    // Plex stores external ids as tags of type 314.
    let mut select_ids = connection.prepare(
        "SELECT t.tag FROM taggings g CROSS JOIN tags t ON t.id = g.tag_id WHERE g.metadata_item_id = ?1 \
         AND +t.tag_type = 314 ORDER BY g.id",
    )?;
    let mut shows = Vec::new();
    let mut rows = select_shows.query([section, last_id])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let mut show = Item {
            rating_key: id.to_string(),
            title: text(row, 1)?.unwrap_or_default(),
            guid: text(row, 2)?.unwrap_or_default(),
            ..Item::default()
        };
        let mut tags = select_ids.query([id])?;
        while let Some(tag) = tags.next()? {
            push_unique(&mut show.guids, text(tag, 0)?);
        }
        shows.push(show);
        if is_time_up() {
            return Ok((shows, Some(id)));
        }
    }
    Ok((shows, None))
}

/// Identifies a listing: section id, partition and change token.
pub type ListingKey = (String, usize, String);

/// Items of a listing that were read before a page requested them.
#[derive(Debug, Default)]
pub struct ReadAhead {
    pub listing: Option<ListingKey>,
    /// Position of the page that starts with the first item.
    pub position: u64,
    /// The items with their ids, sorted by id.
    pub items: VecDeque<(i64, Item)>,
    /// Whether the last item is also the last item of the partition.
    pub reaches_end: bool,
}

impl ReadAhead {
    /// Moves the requested page to `items`, and returns the page's metadata. Returns `None` if the stored items do not
    /// start with this page. A position is the id of the preceding item.
    pub fn take_page(
        &mut self,
        listing: &ListingKey,
        request: &PageRequest<'_>,
        items: &mut Vec<Item>,
    ) -> Option<PageEnd> {
        let is_usable = self.reaches_end || !self.items.is_empty();
        if self.listing.as_ref() != Some(listing) || self.position != request.position || !is_usable {
            return None;
        }
        let mut rows = 0;
        while rows < request.size
            && let Some((id, item)) = self.items.pop_front()
        {
            items.push(item);
            self.position = id.cast_unsigned();
            rows += 1;
        }
        let is_last_page = self.reaches_end && self.items.is_empty();
        Some(PageEnd {
            rows: rows.into(),
            total: None,
            next: (!is_last_page).then_some(self.position),
            has_shifted: false,
        })
    }
}
