//! Fetches items by their rating keys, many per request.

use std::collections::HashSet;

use super::super::contract::{Bounds, LocatedItem};
use super::client::PlexHttp;
use super::question::{OVERSIZE_FACTOR, ServerRequest};
use super::wire::{self, Lists, ReplyHead};
use crate::error::{Result, Status};
use crate::model::{Item, ItemType};

/// Maximum number of items per request: some 700 bytes of URL, and a reply in well under a second.
const BATCH: usize = 100;

impl PlexHttp {
    /// Fetches up to [`BATCH`] items.
    fn fetch_batch(&self, keys: &[&str], bounds: &Bounds<'_>, items: &mut Vec<LocatedItem>) -> Result<ReplyHead> {
        let question = ServerRequest::items(keys);
        let known = items.len();
        let mut confirmed = Vec::new();
        let mut sink = |item: Item, section: Option<String>| confirmed.push((item, section));
        let mut lists = Lists::Rows(wire::ReplyRows::new(
            ItemType::Other,
            OVERSIZE_FACTOR * BATCH as u64,
            &mut sink,
        ));
        let head = match self.ask(&question, bounds, &mut lists) {
            // None of them exists any more.
            Err(error) if error.status == Status::NotOnServer => return Ok(ReplyHead::default()),
            result => result?,
        };
        for (item, section) in confirmed {
            let of_this_batch = items.get(known..).unwrap_or_default();
            if keys.contains(&item.rating_key.as_str())
                && of_this_batch
                    .iter()
                    .all(|other| other.item.rating_key != item.rating_key)
            {
                // The head names the section if all rows share it.
                let section = section.or_else(|| head.section.clone()).unwrap_or_default();
                items.push(LocatedItem { item, section });
            }
        }
        Ok(head)
    }

    /// Returns the items with these rating keys that still exist.
    pub(super) fn fetch_items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        let mut items = Vec::new();
        let keys: Vec<&str> = rating_keys.iter().copied().filter(|key| !key.is_empty()).collect();
        for batch in keys.chunks(BATCH) {
            let mut wanted = batch.to_vec();
            while !wanted.is_empty() {
                let before = items.len();
                let head = self.fetch_batch(&wanted, &bounds, &mut items)?;
                let new = items.get(before..).unwrap_or_default();
                let seen: HashSet<&str> = new.iter().map(|placed| placed.item.rating_key.as_str()).collect();
                // Replies keep the order of the request, and a server that truncates cuts at the end. So keys missing
                // at the end may still exist and are requested again; keys missing before are gone.
                let answered = wanted
                    .iter()
                    .rposition(|key| seen.contains(key))
                    .map_or(0, |last| last + 1);
                let cut = head.total.is_some_and(|total| total > new.len() as u64);
                if answered == 0 {
                    break;
                }
                if cut {
                    wanted.retain(|key| !seen.contains(key));
                } else {
                    wanted.drain(..answered);
                }
            }
        }
        Ok(items)
    }
}
