//! Items added or updated since the last listing, without a full listing.
//!
//! Rows that the server returns are true. So a page newest updated and the last page by id are merged, and on from there
//! as long as they are new to us: all at once, for what is known ends the reading of pages. What came is at the
//! end by id whatever its clocks say, for servers number upwards: an item that came with the clocks of long ago, while
//! another one went, is not missed. What went away shows in the count then, and is found by bisection: pages sorted by
//! id agree with what is stored up to the first item that is missing. What only changed its files shows nowhere; that
//! waits for the next full listing, or for a query about it.

use super::super::contract::{Bounds, KnownItems, SourceChanges};
use super::client::PlexHttp;
use super::listing::leaf_types;
use super::rows::{Rows, RowsEnd, RowsRequest};
use crate::error::{Result, Status};
use crate::model::{Item, ItemType, Library};

/// Rows of the first page: usually more than came since.
const FIRST: u32 = 100;
/// Rows of those that follow while all is new.
const NEXT: u32 = 1_000;
/// Pages until a full listing is the better way.
const PAGES: usize = 5;
/// Rows of a page that is compared with what is stored.
const COMPARED: u32 = 100;
/// Items gone until a full listing is the better way.
const MOST_GONE: usize = 16;

/// One library, and what the index has of it.
struct DeltaReader<'d> {
    plex: &'d PlexHttp,
    library: &'d Library,
    known: &'d dyn KnownItems,
    bounds: Bounds<'d>,
}

impl PlexHttp {
    pub(super) fn changed(
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
    /// Adds what is new; gives what is gone, or `None` when only a full listing tells.
    fn changes(&self) -> Result<Option<Vec<String>>> {
        let types = leaf_types(self.library.kind);
        let mut total = 0;
        let mut new = Vec::new();
        for kind in types {
            let Some(shown) = self.newest(*kind, &mut new)? else {
                return Ok(None);
            };
            match self.last_by_id(*kind, shown, &mut new)? {
                Some(shown) => total += shown,
                None => return Ok(None),
            }
        }
        // All at once: what is known ends the reading of pages, so a part of it must not be known without the rest.
        self.known.add(&new)?;
        match self.known.count()?.checked_sub(total) {
            None => Ok(None), // something is old and new to us at once
            Some(0) => Ok(Some(Vec::new())),
            Some(_) if types.len() > 1 => Ok(None),
            // A disk may not be mounted: a listing finds that out, and a second one.
            Some(_) if !self.known.may_shrink_to(total)? => Ok(None),
            Some(_) => self.find_gone(types[0], total),
        }
    }

    /// Gathers the rows updated last, as far back as they are new to us: gives how many the server counts. `None`: further than
    /// is worth it, or it does not count, and what went away would not show.
    fn newest(&self, kind: ItemType, new: &mut Vec<Item>) -> Result<Option<u64>> {
        let rows = Rows::NewestUpdated;
        let mut start = 0;
        for page in 0..PAGES {
            let size = if page == 0 { FIRST } else { NEXT };
            let (items, end) = self.rows(kind, rows, start, size);
            let end = match end {
                // An order that it does not know: a listing asks for none of these.
                Err(error) if error.status == Status::ServerError => return Ok(None),
                other => other?,
            };
            let Some(total) = end.total else {
                return Ok(None);
            };
            if end.disordered {
                // Then what is known proves nothing of what comes behind it.
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

    /// Gathers the last of so many rows by id, as far back as they are new to us: gives how many the server counts now.
    /// `None`: further than is worth it, or the server pages in a way of its own.
    fn last_by_id(&self, kind: ItemType, mut total: u64, new: &mut Vec<Item>) -> Result<Option<u64>> {
        let mut behind = total;
        for page in 0..PAGES {
            let size = self.most(if page == 0 { FIRST } else { NEXT });
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

    /// So many rows of a page, or as many as the host lets a page have.
    fn most(&self, rows: u32) -> u32 {
        rows.min(self.plex.page_size)
    }

    /// Rows that came, and how the page ended.
    fn rows(&self, kind: ItemType, rows: Rows<'_>, start: u64, size: u32) -> (Vec<Item>, Result<RowsEnd>) {
        let request = RowsRequest {
            section: &self.library.section,
            kind,
            rows,
            start,
            size: self.most(size),
        };
        let mut items = Vec::new();
        let end = self.plex.some_rows(&request, self.bounds, &mut items);
        (items, end)
    }

    /// Finds what the server does not list any more. `None` when that cannot be told so.
    ///
    /// Both sides are in the order of their ids, and the server's is ours without what is gone: so where its row stands
    /// at the same place as ours, nothing before it is gone.
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
        let mut asked = 0;
        // Up to here the server's rows are ours but for those found gone.
        let mut same = 0;
        while gone.len() < wanted && same < total {
            let mut differs = total;
            while same < differs {
                if asked >= pages {
                    return Ok(None);
                }
                asked += 1;
                let left = differs - same;
                let start = if left <= COMPARED as usize {
                    same
                } else {
                    same + left / 2
                };
                let (items, end) = self.rows(kind, Rows::All, start as u64, COMPARED);
                let end = end?;
                let keys: Option<Vec<u64>> = items.iter().map(|item| item.rating_key.parse().ok()).collect();
                let Some(keys) = keys.filter(|keys| !keys.is_empty()) else {
                    return Ok(None);
                };
                if end.total.is_some_and(|now| now != total as u64) || end.offset.is_some_and(|at| at != start as u64) {
                    return Ok(None);
                }
                let from = start + gone.len();
                if start > same && ours.get(from) != Some(&keys[0]) {
                    differs = start;
                    continue;
                }
                let Some(found) = missing(ours.get(from..).unwrap_or_default(), &keys) else {
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
            // Nothing of the server's is left, so neither is what is left of ours.
            gone.extend(ours.get(total + gone.len()..).unwrap_or_default());
        }
        if gone.len() != wanted {
            return Ok(None);
        }
        let gone: Vec<String> = gone.iter().map(u64::to_string).collect();
        let keys: Vec<&str> = gone.iter().map(String::as_str).collect();
        // Gone from the listing is one thing, gone from the server another.
        let left = self.plex.confirmed(&keys, self.bounds)?;
        let is_gone = left.iter().all(|placed| !placed.is_in(&self.library.section));
        Ok(is_gone.then_some(gone))
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

/// What of `ours` is missing among the server's keys, which begin alike; `None` when the server has one that is not ours.
fn missing(ours: &[u64], theirs: &[u64]) -> Option<Vec<u64>> {
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

/// The number that a text spells as numbers are spelled, and in no other way.
fn number(text: &str) -> Option<u64> {
    let number = text.parse::<u64>().ok()?;
    (number.to_string() == text).then_some(number)
}
