//! Searches and verified items of a shared index.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::core::Exchange;
use super::publish::item_entries;
use crate::bodies::{SearchBody, decode, encode, entry};
use crate::contract::{EntryKind, NewEntry};
use crate::error::Result;
use crate::freshness::may_ask_again;
use crate::model::{Item, Library, PathSearch};
use crate::platform::{Deadline, lock};
use crate::source::WantedPath;
use crate::sync::SyncJob;

impl Exchange {
    /// Searches a library for a path, unless another host did a moment ago, and tells others what was found.
    pub fn find_path(
        &self,
        job: &SyncJob<'_>,
        library: &Library,
        wanted: &WantedPath<'_>,
        is_it: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        // Other hosts with the same mappings search for the same.
        let key = xxh3_64(&wanted.spellings.join(&0)).to_le_bytes();
        let missing_ms = match self.shared_search(&library.uuid, &key)? {
            Ok(items) => return is_it(items),
            Err(missing_ms) => missing_ms,
        };
        let mut told = Vec::new();
        let mut note = |mut items: Vec<Item>| {
            items.retain(|item| job.is_hit(wanted, item));
            told.extend_from_slice(&items);
            is_it(items)
        };
        let found = job.source.find_path(library, wanted, job.bounds, &mut note)?;
        self.tell_search(&library.uuid, &key, told, missing_ms)?;
        Ok(found)
    }

    /// What another host found when it searched a library for this, if the server is not searched again yet: the pause
    /// after searches that find nothing is that of one host. Otherwise returns for how long they have found nothing,
    /// ms.
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
        let last_ms = self.at_ms(&entry);
        let search = PathSearch {
            first_ms: last_ms - body.missing_ms,
            last_ms,
            found: !body.items.is_empty(),
        };
        Ok(if may_ask_again(Some(&search), &self.policy, now_ms) {
            Err(if search.found { 0 } else { now_ms - search.first_ms })
        } else {
            Ok(body.items)
        })
    }

    /// Tells other hosts what a search found, or for how long searches have found nothing.
    fn tell_search(&self, library: &str, key: &[u8], items: Vec<Item>, missing_ms: i64) -> Result<()> {
        let Some(view) = self.view()? else {
            return Ok(());
        };
        let mut told = item_entries(library, &items, &[], false);
        told.push(entry(
            EntryKind::Search,
            library,
            key,
            encode(&SearchBody { items, missing_ms }),
        ));
        told.retain(NewEntry::fits);
        let _ = self.ask_to_take(Deadline::NONE, |log, limit| {
            log.append(view.number, view.host, &told, None, limit)
        });
        Ok(())
    }

    /// Tells other hosts of items that the server was asked for by their keys. `gone`: it has these no more. A kill
    /// loses it: then they ask the server too.
    pub fn tell_verified(self: &Arc<Self>, library: &str, items: &[Item], gone: &[&str]) {
        let mut state = lock(&self.state);
        if state.away.is_some() {
            return; // they would be old when the log is back
        }
        let now_ms = self.clock.now_ms();
        let told = item_entries(library, items, gone, true);
        let told = told.into_iter().filter(NewEntry::fits);
        state.verified.extend(told.map(|entry| (now_ms, entry)));
        drop(state);
        self.tell();
    }
}
