//! The item changes of one listing, which is one row of the change log.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};
use xxhash_rust::xxh3::xxh3_64;

use super::super::cached::CachedStatements;
use super::super::incarnation::Incarnation;
use super::super::store::DiffCache;
use super::super::texts::ItemTexts;
use super::log::FeedEntry;
use crate::platform::mutex::try_lock;

/// The rows of an item before and after, 0 for none.
pub type Pairs = Arc<Vec<(i64, i64)>>;

/// [`listed`], cached between the pages of a reader. The changes of a listing never change.
pub fn listed_once(
    c: &Connection,
    entry: &FeedEntry,
    limit: usize,
    incarnation: Incarnation,
    cache: &DiffCache,
) -> rusqlite::Result<Pairs> {
    let at = (entry.place.sequence, entry.place.n);
    // Do not wait for the lock: in the child of a fork it may be held for ever.
    if let Some(cache) = try_lock(cache)
        && let Some((cached_incarnation, cached_at, pairs)) = cache.as_ref()
        && (*cached_incarnation, *cached_at) == (incarnation, at)
    {
        return Ok(Arc::clone(pairs));
    }
    let pairs = Arc::new(listed(c, entry)?);
    if pairs.len() > limit
        && let Some(mut cache) = try_lock(cache)
    {
        *cache = Some((incarnation, at, Arc::clone(&pairs)));
    }
    Ok(pairs)
}

/// The changes of one listing in pairs of rows: each ended row with its replacement, then the other new rows.
fn listed(c: &Connection, entry: &FeedEntry) -> rusqlite::Result<Vec<(i64, i64)>> {
    let (generation, last) = entry.rows;
    // Skip rows that were never visible: an attempt at this listing added them, and it or a single change ended them
    // before the listing was published.
    let ended = rows(
        c,
        "died = ?2 AND born < ?2 AND since < ?3 AND ?4 = ?4",
        params![entry.library, generation, entry.place.sequence, last],
    )?;
    let new = rows(
        c,
        "born > 1 AND born = ?2 AND id <= ?4 AND (since = 0 OR since > ?3) \
         AND (died IS NULL OR died > ?2 OR since > ?3)",
        params![entry.library, generation, entry.place.sequence, last],
    )?;
    let mut by_key: HashMap<u64, usize> = new.iter().enumerate().map(|(at, row)| (row.key, at)).collect();
    let mut is_paired = vec![false; new.len()];
    let mut pairs: Vec<(i64, i64)> = Vec::with_capacity(ended.len().max(new.len()));
    let mut unpaired = Vec::new();
    for row in &ended {
        if let Some(at) = by_key.remove(&row.key) {
            is_paired[at] = true;
            pairs.push((row.id, new[at].id));
        } else {
            unpaired.push(pairs.len());
            pairs.push((row.id, 0));
        }
    }
    // Pair an item that got another key with its old row, by GUID.
    let mut by_guid: HashMap<u64, Vec<usize>> = HashMap::new();
    for (at, row) in new.iter().enumerate().rev() {
        if let (false, Some(guid)) = (is_paired[at], row.guid) {
            by_guid.entry(guid).or_default().push(at);
        }
    }
    let guids: HashMap<i64, u64> = ended.iter().filter_map(|row| Some((row.id, row.guid?))).collect();
    for at in unpaired {
        let partner = guids.get(&pairs[at].0).and_then(|guid| by_guid.get_mut(guid)?.pop());
        if let Some(partner) = partner {
            is_paired[partner] = true;
            pairs[at].1 = new[partner].id;
        }
    }
    let unpaired_new = new.iter().zip(is_paired).filter(|(_, is_paired)| !is_paired);
    pairs.extend(unpaired_new.map(|(row, _)| (0, row.id)));
    Ok(pairs)
}

/// The columns of a row that are compared.
struct ListedRow {
    id: i64,
    key: u64,
    guid: Option<u64>,
}

/// Reads the rows of items that satisfy the condition `which`.
fn rows(c: &Connection, which: &str, of: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<Vec<ListedRow>> {
    c.rows(
        &format!("SELECT id, rating_key, kind, texts FROM items WHERE library = ?1 AND {which} ORDER BY id"),
        of,
        |row| {
            let ItemTexts { guid, .. } = row.get(3)?;
            let kind: i64 = row.get(2)?;
            Ok(ListedRow {
                id: row.get(0)?,
                key: xxh3_64(row.get_ref(1)?.as_bytes()?),
                guid: (!guid.is_empty()).then(|| xxh3_64(format!("{kind} {guid}").as_bytes())),
            })
        },
    )
}
