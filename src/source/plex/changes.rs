//! Finds items added, updated or removed since the last listing, without a full listing.
//!
//! Three things are read. The newest updates, page by page back to the first known row. The last rows by id, likewise:
//! servers count ids upwards, so a new item is there even if its clocks are old. And the number of items: if it is too
//! small, items were removed, and bisection finds them, since pages sorted by id agree with the index up to the first
//! removed item. New rows are added to the index all at once, since known rows end the reading. Changes of files alone
//! show nowhere; these wait for the next full listing or a query.

use super::super::contract::{Bounds, KnownItems, SourceChanges};
use super::client::PlexHttp;
use super::rows::{Rows, RowsEnd, RowsRequest, leaf_types};
use crate::error::{Result, Status};
use crate::model::{Item, ItemType, Library};

/// Rows of the first page: usually more than are new.
const FIRST: u32 = 100;
/// Rows of further pages, while all rows are new.
const NEXT: u32 = 1_000;
/// Maximum number of pages; beyond, a full listing is better.
const PAGES: usize = 5;
/// Rows of a page that is compared with the index.
const COMPARED: u32 = 100;
/// Maximum number of removed items; beyond, a full listing is better.
const MOST_GONE: usize = 16;

/// A library and its indexed items.
struct DeltaReader<'d> {
    plex: &'d PlexHttp,
    library: &'d Library,
    known: &'d dyn KnownItems,
    bounds: Bounds<'d>,
}

impl PlexHttp {
    pub(super) fn read_changes(
        &self,
        library: &Library,
        known: &dyn KnownItems,
        bounds: Bounds<'_>,
    ) -> Result<SourceChanges> {
        let delta = DeltaReader {
            plex: self,
            library,
            known,
            bounds,
        };
        let gone = delta.changes()?;
        Ok(gone.map_or(SourceChanges::Unknown, |gone| SourceChanges::Known { gone }))
    }
}

impl DeltaReader<'_> {
    /// Adds new items to the index and returns removed ones; `None` if a full listing is needed.
    fn changes(&self) -> Result<Option<Vec<String>>> {
        let types = leaf_types(self.library.kind);
        let mut total = 0;
        let mut new = Vec::new();
        for kind in types {
            let Some(shown) = self.collect_newest(*kind, &mut new)? else {
                return Ok(None);
            };
            match self.collect_last_by_id(*kind, shown, &mut new)? {
                Some(shown) => total += shown,
                None => return Ok(None),
            }
        }
        // All at once: known rows end the reading of pages, so a part must not become known without the rest.
        self.known.add(&new)?;
        match self.known.count()?.checked_sub(total) {
            None => Ok(None), // the index lacks items that no delta shows
            Some(0) => Ok(Some(Vec::new())),
            Some(_) if types.len() > 1 => Ok(None),
            // A disk may be unmounted: a full listing, repeated once, decides.
            Some(_) if !self.known.may_shrink_to(total)? => Ok(None),
            Some(_) => self.find_gone(types[0], total),
        }
    }

    /// Collects the rows updated last, back to the first known one. Returns the server's count; `None` if there are too
    /// many, or if the server does not count, so that removals would not show.
    fn collect_newest(&self, kind: ItemType, new: &mut Vec<Item>) -> Result<Option<u64>> {
        let rows = Rows::NewestUpdated;
        let mut start = 0;
        for page in 0..PAGES {
            let size = if page == 0 { FIRST } else { NEXT };
            let (items, end) = self.rows(kind, rows, start, size);
            let end = match end {
                // The server does not support this order; a listing does not need it.
                Err(error) if error.status == Status::ServerError => return Ok(None),
                other => other?,
            };
            let Some(total) = end.total else {
                return Ok(None);
            };
            if end.disordered {
                // Then a known row proves nothing about the rows behind it.
                return Ok(None);
            }
            start += end.rows;
            let all_known = match items.last() {
                Some(item) => self.known.has(item)?,
                None => true,
            };
            new.extend(items);
            if all_known || end.rows == 0 || start >= total {
                return Ok(Some(total));
            }
        }
        Ok(None)
    }

    /// Collects the last rows by id, back to the first known one. Returns the server's current count; `None` if there
    /// are too many, or if the server ignores paging.
    fn collect_last_by_id(&self, kind: ItemType, mut total: u64, new: &mut Vec<Item>) -> Result<Option<u64>> {
        let mut behind = total;
        for page in 0..PAGES {
            let size = self.clamp_rows(if page == 0 { FIRST } else { NEXT });
            let start = behind.saturating_sub(u64::from(size));
            let (items, end) = self.rows(kind, Rows::All, start, size);
            let end = end?;
            if end.offset.is_some_and(|at| at != start) {
                return Ok(None);
            }
            total = end.total.unwrap_or(total);
            let all_known = match items.first() {
                Some(item) => self.known.has(item)?,
                None => true,
            };
            new.extend(items);
            if all_known || start == 0 {
                return Ok(Some(total));
            }
            behind = start;
        }
        Ok(None)
    }

    /// Limits the rows of a page to the host's option.
    fn clamp_rows(&self, rows: u32) -> u32 {
        rows.min(self.plex.page_size)
    }

    /// Requests a page; returns the rows received and the result.
    fn rows(&self, kind: ItemType, rows: Rows<'_>, start: u64, size: u32) -> (Vec<Item>, Result<RowsEnd>) {
        let request = RowsRequest {
            section: &self.library.section,
            kind,
            rows,
            start,
            size: self.clamp_rows(size),
        };
        let mut items = Vec::new();
        let end = self.plex.rows(&request, self.bounds, &mut items);
        (items, end)
    }

    /// Finds the items that the server no longer lists; `None` if bisection cannot tell.
    ///
    /// Both sides are sorted by id, and the server's rows are ours without the removed ones. So if the row at some
    /// position is the same on both sides, nothing before it was removed.
    fn find_gone(&self, kind: ItemType, total: u64) -> Result<Option<Vec<String>>> {
        let Some(ours) = self.known_ids()? else {
            return Ok(None);
        };
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        let wanted = ours.len().saturating_sub(total);
        let pages = ours.len() / 1_000 + 1;
        if wanted > MOST_GONE {
            return Ok(None);
        }
        let mut gone: Vec<u64> = Vec::new();
        let mut requested = 0;
        // Up to here the server's rows equal ours without those in `gone`.
        let mut same = 0;
        while gone.len() < wanted && same < total {
            let mut differs = total;
            while same < differs {
                if requested >= pages {
                    return Ok(None);
                }
                requested += 1;
                let left = differs - same;
                let start = if left <= COMPARED as usize {
                    same
                } else {
                    same + left / 2
                };
                let Some(keys) = self.ids_from(kind, start as u64, total as u64)? else {
                    return Ok(None);
                };
                let from = start + gone.len();
                if start > same && ours.get(from) != Some(&keys[0]) {
                    differs = start;
                    continue;
                }
                let Some(found) = missing_ids(ours.get(from..).unwrap_or_default(), &keys) else {
                    return Ok(None);
                };
                same = start + keys.len();
                if !found.is_empty() {
                    gone.extend(found);
                    break;
                }
            }
        }
        if same >= total {
            // The server has no more rows, so the rest of ours was removed.
            gone.extend(ours.get(total + gone.len()..).unwrap_or_default());
        }
        if gone.len() != wanted {
            return Ok(None);
        }
        let gone: Vec<String> = gone.iter().map(u64::to_string).collect();
        let keys: Vec<&str> = gone.iter().map(String::as_str).collect();
        // Verify: an item may be missing from the listing and still exist.
        let left = self.plex.fetch_items(&keys, self.bounds)?;
        let is_gone = left.iter().all(|placed| !placed.is_in(&self.library.section));
        Ok(is_gone.then_some(gone))
    }

    /// Requests a page by id, and returns its ids. `None` if it is empty, a key is no number, or the list changed.
    fn ids_from(&self, kind: ItemType, start: u64, total: u64) -> Result<Option<Vec<u64>>> {
        let (items, end) = self.rows(kind, Rows::All, start, COMPARED);
        let end = end?;
        let ids: Option<Vec<u64>> = items.iter().map(|item| item.rating_key.parse().ok()).collect();
        let Some(ids) = ids.filter(|ids| !ids.is_empty()) else {
            return Ok(None);
        };
        let has_changed = end.total.is_some_and(|now| now != total) || end.offset.is_some_and(|at| at != start);
        Ok((!has_changed).then_some(ids))
    }

    /// The sorted ids of the indexed items; `None` if a key is invalid.
    fn known_ids(&self) -> Result<Option<Vec<u64>>> {
        let mut ids = Some(Vec::new());
        self.known.keys(&mut |key| match (number(key), &mut ids) {
            (Some(id), Some(ids)) => ids.push(id),
            _ => ids = None,
        })?;
        if let Some(ids) = &mut ids {
            ids.sort_unstable();
        }
        Ok(ids)
    }
}

/// Returns the ids of `ours` missing in the server's page, which starts at the same id; `None` if the server has an id
/// that is not in `ours`.
fn missing_ids(ours: &[u64], theirs: &[u64]) -> Option<Vec<u64>> {
    let mut missing = Vec::new();
    let mut ours = ours.iter();
    for key in theirs {
        loop {
            match ours.next() {
                Some(own) if own == key => break,
                Some(own) if own < key => missing.push(*own),
                _ => return None,
            }
        }
    }
    Some(missing)
}

/// Parses an unsigned number in its canonical spelling.
fn number(text: &str) -> Option<u64> {
    let number = text.parse::<u64>().ok()?;
    (number.to_string() == text).then_some(number)
}
