//! Publishes what this host was given by the server.

use super::core::{Exchange, SharedView};
use crate::bodies::{Chunk, ItemBody, ListingBody, ProbeBody, encode, entry};
use crate::contract::{EntryKind, LARGEST_BATCH, Lease, NewEntry, Position};
use crate::engine::{ItemRows, LibraryRow, Outbox};
use crate::error::Result;
use crate::model::{Item, Library};
use crate::platform::Deadline;
use crate::sync::MergedDelta;

/// Items since a listing up to which no new one is published for their number alone, and the part of the listing.
const FEW_ITEMS: u64 = 2_000;
const PART: u64 = 4;
/// Chunks after which the lease is renewed.
const RENEWED: u32 = 50;

impl Exchange {
    /// Publishes a probe under a lease. `asked_ms`: when the server was asked for it. It is as old as that for others,
    /// and a lease that has ended writes nothing: a host may sleep at any time.
    pub fn publish_probe(&self, view: &SharedView, rows: &[LibraryRow], asked_ms: i64, lease: &Lease) {
        if !self.keep_lease(lease) {
            return;
        }
        let age_ms = self.age_ms(asked_ms);
        let libraries: Vec<Library> = rows.iter().map(|row| row.library.clone()).collect();
        let told = entry(EntryKind::Probe, "", b"", encode(&ProbeBody { libraries, age_ms }));
        if !told.fits() {
            log::warn!("cannot share the libraries: there are too many");
            return;
        }
        let _ = self.ask_to_take(Deadline::NONE, |log, limit| {
            log.append(view.number, view.host, &[told], Some(lease), limit)
        });
    }

    /// Publishes a library that was brought up to date under a lease, from the row before to the row after. `merged`:
    /// what changed, if it is known. `included`: how far the log was read before. A failure is none of the call: the
    /// library is published after its next refresh.
    pub fn publish(
        &self,
        view: &SharedView,
        lease: &Lease,
        rows: (&LibraryRow, &LibraryRow),
        merged: Option<MergedDelta>,
        included: Position,
    ) {
        if let Err(error) = self.try_publish(view, lease, rows, merged, included) {
            log::warn!("cannot share '{}': {error}", rows.1.library.title);
        }
    }

    fn try_publish(
        &self,
        view: &SharedView,
        lease: &Lease,
        (before, after): (&LibraryRow, &LibraryRow),
        merged: Option<MergedDelta>,
        included: Position,
    ) -> Result<()> {
        let uuid = &after.library.uuid;
        let Ok(head) = self.head(view, uuid) else {
            return Ok(()); // the log is away
        };
        // A listing that is held back until a second one confirms it is not for other hosts.
        if after.held_back || !after.generation.is_fetched() {
            return Ok(());
        }
        if let (Some(merged), Some((_, head))) = (merged, head)
            && Outbox(&self.store).shared_listing(after.id)? == Some(head.listing)
            && head.change.token == before.listed_token
        {
            let gone: Vec<&str> = merged.gone.iter().map(String::as_str).collect();
            let since = head.since + merged.added.len() as u64 + gone.len() as u64;
            let mut told = item_entries(uuid, &merged.added, &gone, false);
            let are_small =
                told.iter().all(NewEntry::fits) && told.iter().map(NewEntry::size).sum::<usize>() <= LARGEST_BATCH;
            if since <= FEW_ITEMS.max(head.listed / PART) && are_small {
                if !self.keep_lease(lease) {
                    return Ok(());
                }
                let head = ListingBody {
                    change: change_of(after),
                    items: after.items,
                    provisional: after.provisional,
                    since,
                    age_ms: self.age_ms(after.checked_ms),
                    ..head
                };
                told.push(entry(EntryKind::Listing, uuid, b"", encode(&head)));
                let _ = self.ask_to_take(Deadline::NONE, |log, limit| {
                    log.append(view.number, view.host, &told, Some(lease), limit)
                });
                return Ok(());
            }
        }
        self.publish_listing(view, lease, after, included)
    }

    /// Publishes the whole listing of a library, from the store.
    fn publish_listing(&self, view: &SharedView, lease: &Lease, row: &LibraryRow, included: Position) -> Result<()> {
        let (mut chunks, mut listed) = (0_u32, 0_u64);
        let mut holds = true;
        let mut chunk = Chunk::default();
        let mut put = |chunk: &mut Chunk| {
            let items = std::mem::take(chunk);
            if !holds || items.is_empty() {
                return holds;
            }
            listed += items.len() as u64;
            let Some(packed) = items.pack() else {
                log::warn!("cannot share '{}': an item is too large", row.library.title);
                holds = false;
                return false;
            };
            holds = chunks % RENEWED != 0 || self.keep_lease(lease);
            let put = self.ask_to_take(Deadline::NONE, |log, limit| {
                log.put_chunk(lease, &row.library.uuid, chunks, &packed, limit)
            });
            holds &= put == Ok(true);
            chunks += 1;
            holds
        };
        let mut is_whole = true;
        ItemRows(&self.store).for_each_item(row.id, row.generation, &mut |item, _| {
            chunk.push(&item);
            if chunk.is_full() {
                is_whole &= put(&mut chunk);
            }
            Ok(())
        })?;
        is_whole &= put(&mut chunk);
        if !is_whole || !self.keep_lease(lease) {
            return Ok(()); // the log is away, or another host took over
        }
        let head = ListingBody {
            listing: lease.fence,
            chunks,
            listed,
            included,
            change: change_of(row),
            items: row.items,
            provisional: row.provisional,
            since: 0,
            age_ms: self.age_ms(row.checked_ms),
        };
        let told = entry(EntryKind::Listing, &row.library.uuid, b"", encode(&head));
        let published = self.ask_to_take(Deadline::NONE, |log, limit| {
            log.publish_listing(lease, view.host, &told, included.number, limit)
        });
        if published == Ok(true) {
            let begun_ms = Outbox(&self.store).begun_ms(row.id)?;
            Outbox(&self.store).store_shared_listing(row.id, lease.fence, begun_ms, Deadline::NONE)?;
            log::info!("'{}': shared {listed} items with other hosts", row.library.title);
        }
        Ok(())
    }
}

/// The state that a library's listing is of.
fn change_of(row: &LibraryRow) -> crate::model::Change {
    crate::model::Change {
        token: row.listed_token.clone(),
        ..row.library.change.clone()
    }
}

/// Entries about items, and about keys that a library has no more.
pub fn item_entries(library: &str, items: &[Item], gone: &[&str], verified: bool) -> Vec<NewEntry> {
    let told = |key: &str, item: Option<Item>| {
        let body = encode(&ItemBody { item, verified });
        entry(EntryKind::Item, library, key.as_bytes(), body)
    };
    let there = items.iter().map(|item| told(&item.rating_key, Some(item.clone())));
    there.chain(gone.iter().map(|key| told(key, None))).collect()
}
