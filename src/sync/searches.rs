//! Searches and verified items of a shared index.

use std::time::Duration;

use super::exchange::{deadline, item_entries};
use super::job::{SyncJob, Syncing};
use crate::error::Result;
use crate::model::Item;
use crate::platform::mutex::lock;
use crate::shared::EntryKind;
use crate::shared::bodies::{SearchBody, decode, encode, entry, name};

/// How long a search of another host is not repeated.
const REMEMBERED: Duration = Duration::from_secs(30);

impl SyncJob<'_> {
    /// What another host found a moment ago when it searched a library for this; `None` if none did.
    pub fn shared_search(&self, library: &str, key: &[u8]) -> Result<Option<Vec<Item>>> {
        let Some(exchange) = self.sync.exchange.as_deref() else {
            return Ok(None);
        };
        let Some(view) = exchange.view()? else {
            return Ok(None);
        };
        let names = [name(EntryKind::Search, library, key)];
        let found = exchange.ask(|log| log.find(view.number, &names, deadline()));
        let entry = found
            .ok()
            .and_then(|mut found| found.pop())
            .filter(|entry| entry.age <= REMEMBERED);
        Ok(entry
            .and_then(|entry| decode::<SearchBody>(&entry.body))
            .map(|body| body.items))
    }

    /// Tells other hosts what a search found.
    pub fn tell_search(&self, library: &str, key: &[u8], items: Vec<Item>) -> Result<()> {
        let Some(exchange) = self.sync.exchange.as_deref() else {
            return Ok(());
        };
        let Some(view) = exchange.view()? else {
            return Ok(());
        };
        let mut told = item_entries(library, &items, &[], false);
        told.push(entry(EntryKind::Search, library, key, encode(&SearchBody { items })));
        let _ = exchange.ask(|log| log.append(view.number, view.host, &told, None, deadline()));
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
            state.verified.extend(told.into_iter().map(|entry| (now_ms, entry)));
            drop(state);
            exchange.tell();
        }
    }
}
