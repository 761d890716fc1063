//! Fetches items by their rating keys, many per request.

use std::collections::HashSet;

use super::super::contract::{Bounds, LocatedItem};
use super::plex_http::PlexHttp;
use super::replies::{Reply, ReplyKind};
use super::server_request::{OVERSIZE_FACTOR, ServerRequest};
use crate::error::{Result, Status};
use crate::model::ItemType;

/// Maximum number of items per request. The URL then has about 700 bytes, and the server needs well under a second.
const BATCH: usize = 100;

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
        for mut located in reply.items {
            // Skips items that were not requested, and repeated items.
            let batch = items.get(items_before..).unwrap_or_default();
            if keys.contains(&located.item.rating_key.as_str())
                && batch
                    .iter()
                    .all(|other| other.item.rating_key != located.item.rating_key)
            {
                // If all rows have the same section id, only the reply's metadata contains the id.
                if located.section.is_empty() {
                    located.section = reply.section.clone().unwrap_or_default();
                }
                items.push(located);
            }
        }
        Ok(reply.total)
    }

    /// Returns the items with these rating keys. Omits items that no longer exist, and items in the trash.
    pub(super) fn fetch_items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>> {
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
}
