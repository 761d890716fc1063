//! The positive delta: what is new since the last listing, without listing it all.
//!
//! Rows that the server returns are true. So a page newest updated and the last page by id are merged, and on from there
//! as long as they are new to us: all in one transaction, for what is known ends the reading of pages. What came is at the
//! end by id whatever its clocks say, for servers number upwards: an item that came with the clocks of long ago, while
//! another one went, is not missed. What went away shows in the count then, and is found by bisection: pages sorted by
//! id agree with what is stored up to the first item that is missing. What only changed its files shows nowhere; that
//! waits for the next full listing, or for a query about it.

use std::time::Instant;

use super::job::SyncJob;
use crate::error::{Result, Status};
use crate::freshness;
use crate::model::{Item, ItemType};
use crate::source::Rows;
use crate::stats::Spent;
use crate::store::LibraryRow;

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

impl SyncJob<'_> {
    /// Merges what is new; `false` when only a full listing tells what changed.
    pub fn delta(&self, row: &LibraryRow) -> Result<bool> {
        let sync = self.sync;
        let Some(identity) = self.identity()? else {
            return Ok(false);
        };
        let begun = sync.store.totals()?.sequence;
        let types = row.library.kind.leaf_types();
        let mut total = 0;
        let mut new = Vec::new();
        for kind in types {
            let Some(shown) = self.newest(row, *kind, &mut new)? else {
                return Ok(false);
            };
            match self.last_by_id(row, *kind, shown, &mut new)? {
                Some(shown) => total += shown,
                None => return Ok(false),
            }
        }
        // All at once: what is known ends the reading of pages, so a part of it must not be known without the rest.
        let storing = Instant::now();
        sync.store.merge_items(row, &new, Some(begun))?;
        sync.counters.spent(Spent::Store, storing.elapsed());
        let stored = sync.store.library_row(row.id)?.items;
        let agrees = match stored.checked_sub(total) {
            None => false, // something is old and new to us at once
            Some(0) => true,
            Some(_) if types.len() > 1 => false,
            // A disk may not be mounted: a listing finds that out, and a second one.
            Some(_) if freshness::shrank_too_much(stored, total) => false,
            Some(_) => self.find_gone(row, types[0], total)?,
        };
        if !agrees {
            return Ok(false);
        }
        let now = sync.clock.now_ms();
        let clocks = &row.library.clocks;
        let unsettled = clocks.refreshing || freshness::unsettled(clocks, now);
        sync.store.caught_up(identity, row, begun, now, unsettled)?;
        Ok(true)
    }

    /// Gathers the rows updated last, as far back as they are new to us: gives how many the server counts. `None`: further than
    /// is worth it, or it does not count, and what went away would not show.
    fn newest(&self, row: &LibraryRow, kind: ItemType, new: &mut Vec<Item>) -> Result<Option<u64>> {
        let rows = Rows::NewestUpdated;
        let mut start = 0;
        for page in 0..PAGES {
            let size = if page == 0 { FIRST } else { NEXT };
            let (items, end) = self.some_rows(&row.library.section, kind, rows, start, self.most(size));
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
                Some(item) => self.sync.store.has(row, item)?,
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
    fn last_by_id(&self, row: &LibraryRow, kind: ItemType, mut total: u64, new: &mut Vec<Item>) -> Result<Option<u64>> {
        let mut behind = total;
        for page in 0..PAGES {
            let size = self.most(if page == 0 { FIRST } else { NEXT });
            let start = behind.saturating_sub(u64::from(size));
            let (items, end) = self.some_rows(&row.library.section, kind, Rows::All, start, size);
            let end = end?;
            if end.offset.is_some_and(|at| at != start) {
                return Ok(None);
            }
            total = end.total.unwrap_or(total);
            let all_known = match items.first() {
                Some(item) => self.sync.store.has(row, item)?,
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
        rows.min(self.sync.page_size)
    }

    /// Finds and removes what the server does not list any more. `false` when that cannot be told so.
    ///
    /// Both sides are in the order of their ids, and the server's is ours without what is gone: so where its row stands
    /// at the same place as ours, nothing before it is gone.
    fn find_gone(&self, row: &LibraryRow, kind: ItemType, total: u64) -> Result<bool> {
        let Some(ours) = self.sync.store.numeric_keys(row)? else {
            return Ok(false);
        };
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        let wanted = ours.len().saturating_sub(total);
        let pages = ours.len() / 1_000 + 1;
        if wanted > MOST_GONE {
            return Ok(false);
        }
        let mut gone: Vec<u64> = Vec::new();
        let mut asked = 0;
        // Up to here the server's rows are ours but for those found gone.
        let mut same = 0;
        while gone.len() < wanted && same < total {
            let mut differs = total;
            while same < differs {
                if asked >= pages {
                    return Ok(false);
                }
                asked += 1;
                let left = differs - same;
                let start = if left <= COMPARED as usize {
                    same
                } else {
                    same + left / 2
                };
                let size = self.most(COMPARED);
                let (items, end) = self.some_rows(&row.library.section, kind, Rows::All, start as u64, size);
                let end = end?;
                let keys: Option<Vec<u64>> = items.iter().map(|item| item.rating_key.parse().ok()).collect();
                let Some(keys) = keys.filter(|keys| !keys.is_empty()) else {
                    return Ok(false);
                };
                if end.total.is_some_and(|now| now != total as u64) || end.offset.is_some_and(|at| at != start as u64) {
                    return Ok(false);
                }
                let from = start + gone.len();
                if start > same && ours.get(from) != Some(&keys[0]) {
                    differs = start;
                    continue;
                }
                let Some(found) = missing(ours.get(from..).unwrap_or_default(), &keys) else {
                    return Ok(false);
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
            return Ok(false);
        }
        let gone: Vec<String> = gone.iter().map(u64::to_string).collect();
        let keys: Vec<&str> = gone.iter().map(String::as_str).collect();
        // Gone from the listing is one thing, gone from the server another.
        let left = self.source.items(&keys, self.bounds)?;
        if !left.is_empty() {
            return Ok(false);
        }
        for key in keys {
            self.sync.store.remove_item(row, key)?;
        }
        Ok(true)
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
