//! Searches and verified items of a shared index.

use super::exchange::item_entries;
use super::job::{SyncJob, Syncing};
use crate::error::Result;
use crate::freshness::may_ask_again;
use crate::model::{Item, PathSearch};
use crate::platform::deadline::Deadline;
use crate::platform::mutex::lock;
use crate::shared::bodies::{SearchBody, decode, encode, entry};
use crate::shared::{EntryKind, NewEntry};

impl SyncJob<'_> {
    /// What another host found when it searched a library for this, if the server is not searched again yet: the pause
    /// after searches that find nothing is that of one host. Otherwise returns for how long they have found nothing, ms.
    pub fn shared_search(&self, library: &str, key: &[u8]) -> Result<std::result::Result<Vec<Item>, i64>> {
        let Some((exchange, view)) = self.shared()? else {
            return Ok(Err(0));
        };
        let Ok(Some(entry)) = exchange.find(&view, EntryKind::Search, library, key) else {
            return Ok(Err(0));
        };
        let Some(body) = decode::<SearchBody>(&entry.body) else {
            return Ok(Err(0));
        };
        let now_ms = exchange.clock.now_ms();
        let last_ms = exchange.at_ms(&entry);
        let search = PathSearch {
            first_ms: last_ms - body.missing_ms,
            last_ms,
            found: !body.items.is_empty(),
        };
        Ok(if may_ask_again(Some(&search), &self.sync.policy, now_ms) {
            Err(if search.found { 0 } else { now_ms - search.first_ms })
        } else {
            Ok(body.items)
        })
    }

    /// Tells other hosts what a search found, or for how long searches have found nothing.
    pub fn tell_search(&self, library: &str, key: &[u8], items: Vec<Item>, missing_ms: i64) -> Result<()> {
        let Some((exchange, view)) = self.shared()? else {
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
        let _ = exchange.ask_to_take(Deadline::NONE, |log, limit| {
            log.append(view.number, view.host, &told, None, limit)
        });
        Ok(())
    }
}

impl Syncing {
    /// Tells other hosts of items that the server was asked for by their keys. `gone`: it has these no more. A kill loses
    /// it: then they ask the server too.
    pub fn tell_verified(&self, library: &str, items: &[Item], gone: &[&str]) {
        if let Some(exchange) = &self.exchange {
            let mut state = lock(&exchange.state);
            if state.away.is_some() {
                return; // they would be old when the log is back
            }
            let now_ms = exchange.clock.now_ms();
            let told = item_entries(library, items, gone, true);
            let told = told.into_iter().filter(NewEntry::fits);
            state.verified.extend(told.map(|entry| (now_ms, entry)));
            drop(state);
            exchange.tell();
        }
    }
}
