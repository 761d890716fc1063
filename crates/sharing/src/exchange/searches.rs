//! Shares path searches and verified items with other hosts.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::core::Exchange;
use super::publish::item_entries;
use crate::bodies::{SearchBody, decode, encode, new_entry};
use crate::contract::{EntryKind, NewEntry};
use crate::error::Result;
use crate::freshness::may_search_again;
use crate::model::{Item, Library, PathSearch};
use crate::platform::{Deadline, lock};
use crate::source::WantedPath;
use crate::sync::SyncJob;

impl Exchange {
    /// Passes to `accept` the items that another host found for this path a moment ago, or else the result of a new
    /// search on the server, which this host then shares. Returns whether `accept` accepted an item.
    pub fn find_path(
        &self,
        job: &SyncJob<'_>,
        library: &Library,
        wanted: &WantedPath<'_>,
        accept: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        // Hosts with the same mappings get the same key. A 0 byte separates the paths, since no path contains it.
        let key = xxh3_64(&wanted.candidate_paths.join(&0)).to_le_bytes();
        let missing_ms = match self.shared_search(&library.uuid, &key)? {
            Ok(items) => return accept(items),
            Err(missing_ms) => missing_ms,
        };
        let mut matching_items = Vec::new();
        let mut collect = |mut items: Vec<Item>| {
            items.retain(|item| job.is_hit(wanted, item));
            matching_items.extend_from_slice(&items);
            accept(items)
        };
        let is_found = job.source.find_path(library, wanted, job.bounds, &mut collect)?;
        self.share_search(&library.uuid, &key, matching_items, missing_ms)?;
        Ok(is_found)
    }

    /// Returns the items from another host's last search for the path with the hash `key`, if the search is too recent
    /// to be repeated. Otherwise returns `Err`: for how many ms searches have found nothing; 0 if the last search found
    /// an item, or if there was no search.
    fn shared_search(&self, library: &str, key: &[u8]) -> Result<std::result::Result<Vec<Item>, i64>> {
        let Some(view) = self.view()? else {
            return Ok(Err(0));
        };
        let Ok(Some(entry)) = self.find(&view, EntryKind::Search, library, key) else {
            return Ok(Err(0));
        };
        let Some(body) = decode::<SearchBody>(&entry.body) else {
            return Ok(Err(0));
        };
        let now_ms = self.clock.now_ms();
        let last_ms = self.written_ms(&entry);
        let search = PathSearch {
            first_ms: last_ms - body.missing_ms,
            last_ms,
            found: !body.items.is_empty(),
        };
        Ok(if may_search_again(Some(&search), &self.policy, now_ms) {
            Err(if search.found { 0 } else { now_ms - search.first_ms })
        } else {
            Ok(body.items)
        })
    }

    /// Shares the items that a search found for the path with the hash `key`. `missing_ms`: for how many ms searches
    /// for this path have found nothing; the longer this time, the longer other hosts wait before they search again.
    /// Errors of the log are ignored, since other hosts then search themselves.
    fn share_search(&self, library: &str, key: &[u8], items: Vec<Item>, missing_ms: i64) -> Result<()> {
        let Some(view) = self.view()? else {
            return Ok(());
        };
        let mut entries = item_entries(library, &items, &[], false);
        entries.push(new_entry(
            EntryKind::Search,
            library,
            key,
            encode(&SearchBody { items, missing_ms }),
        ));
        entries.retain(NewEntry::is_within_limit);
        let _ = self.send_write(Deadline::NONE, |log, limit| {
            log.append(view.number, view.host, &entries, None, limit)
        });
        Ok(())
    }

    /// Shares verified items, which this host fetched from the server by rating key. `library`: the library's uuid.
    /// `gone`: rating keys of items that the server no longer has. The entries are only in memory: if this process is
    /// killed, other hosts send their own requests.
    pub fn share_verified(self: &Arc<Self>, library: &str, items: &[Item], gone: &[&str]) {
        let mut state = lock(&self.state);
        if state.outage.is_some() {
            return; // the entries would be outdated by the time the log answers
        }
        let now_ms = self.clock.now_ms();
        let entries = item_entries(library, items, gone, true)
            .into_iter()
            .filter(NewEntry::is_within_limit);
        state.verified.extend(entries.map(|entry| (now_ms, entry)));
        drop(state);
        self.deliver_soon();
    }
}
