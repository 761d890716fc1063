//! What changed since the last listing, where the source can tell: its word is taken, within what is believed of any
//! listing.

use std::time::Instant;

use super::job::{SyncJob, Syncing};
use crate::error::Result;
use crate::freshness;
use crate::model::{Item, Sequence};
use crate::source::{Changes, Delta, Known};
use crate::stats::Spent;
use crate::store::LibraryRow;

/// What the index has of a library.
struct Ours<'o> {
    sync: &'o Syncing,
    row: &'o LibraryRow,
    /// The change sequence before the first page: what came or went singly since is newer.
    begun: Sequence,
}

impl Known for Ours<'_> {
    fn since(&self) -> &str {
        &self.row.listed_token
    }

    fn add(&self, items: &[Item]) -> Result<()> {
        let storing = Instant::now();
        self.sync.store.merge_items(self.row, items, Some(self.begun))?;
        self.sync.counters.spent(Spent::Store, storing.elapsed());
        Ok(())
    }

    fn has(&self, item: &Item) -> Result<bool> {
        self.sync.store.has(self.row, item)
    }

    fn count(&self) -> Result<u64> {
        Ok(self.sync.store.library_row(self.row.id)?.items)
    }

    fn keys(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.sync.store.keys(self.row, each)
    }

    fn may_shrink_to(&self, items: u64) -> Result<bool> {
        // Than it was before: what was just added makes no room for what goes.
        Ok(!freshness::shrank_too_much(self.row.items, items))
    }
}

impl SyncJob<'_> {
    /// Merges what changed; `false` when only a full listing tells what did.
    pub fn delta(&self, row: &LibraryRow) -> Result<bool> {
        let sync = self.sync;
        let Some(identity) = self
            .identity()?
            .filter(|_| self.source.abilities().changes != Delta::None)
        else {
            return Ok(false);
        };
        let ours = Ours {
            sync,
            row,
            begun: sync.store.totals()?.sequence,
        };
        let told = self.source.changes(&row.library, &ours, self.bounds);
        self.keep_what_was_learned();
        let Changes::Known { gone } = told? else {
            return Ok(false);
        };
        if !gone.is_empty() && !ours.may_shrink_to(ours.count()?.saturating_sub(gone.len() as u64))? {
            return Ok(false);
        }
        for key in &gone {
            sync.store.remove_item(row, key)?;
        }
        let now = sync.clock.now_ms();
        let unsettled = freshness::unsettled(&row.library.change, now);
        sync.store.caught_up(identity, row, ours.begun, now, unsettled)?;
        Ok(true)
    }
}
