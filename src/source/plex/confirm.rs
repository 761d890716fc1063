//! Asking for items by their rating keys, many in one request.

use std::collections::HashSet;

use super::super::contract::{Bounds, Placed};
use super::client::PlexHttp;
use super::question::{PAGES, ServerRequest};
use super::wire::{self, Lists, ReplyHead};
use crate::error::{Result, Status};
use crate::model::{Item, ItemType};

/// Items that one request confirms: some 700 bytes of URL, and an answer well under a second.
const BATCH: usize = 100;

impl PlexHttp {
    /// Asks for up to [`BATCH`] items.
    fn batch(&self, keys: &[&str], bounds: &Bounds<'_>, items: &mut Vec<Placed>) -> Result<ReplyHead> {
        let question = ServerRequest::items(keys);
        let known = items.len();
        let mut came = Vec::new();
        let mut sink = |item: Item, section: Option<String>| came.push((item, section));
        let mut lists = Lists::Rows(wire::ReplyRows::new(ItemType::Other, PAGES * BATCH as u64, &mut sink));
        let head = match self.ask(&question, bounds, &mut lists) {
            // None of them is left.
            Err(error) if error.status == Status::NotOnServer => return Ok(ReplyHead::default()),
            result => result?,
        };
        for (item, section) in came {
            let of_this_batch = items.get(known..).unwrap_or_default();
            if keys.contains(&item.rating_key.as_str())
                && of_this_batch
                    .iter()
                    .all(|other| other.item.rating_key != item.rating_key)
            {
                // The answer says it where all rows are of one library.
                let section = section.or_else(|| head.section.clone()).unwrap_or_default();
                items.push(Placed { item, section });
            }
        }
        Ok(head)
    }

    /// The items with these rating keys that still exist.
    pub(super) fn confirmed(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<Placed>> {
        let mut items = Vec::new();
        let keys: Vec<&str> = rating_keys.iter().copied().filter(|key| !key.is_empty()).collect();
        for batch in keys.chunks(BATCH) {
            let mut wanted = batch.to_vec();
            while !wanted.is_empty() {
                let before = items.len();
                let head = self.batch(&wanted, &bounds, &mut items)?;
                let new = items.get(before..).unwrap_or_default();
                let seen: HashSet<&str> = new.iter().map(|placed| placed.item.rating_key.as_str()).collect();
                // Answers come in the order of the question. A server that cuts them, said or not, cuts at the end:
                // what is missing there may still exist, so it is asked for again. Missing before it means gone.
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
