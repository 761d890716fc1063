//! Publishes probes and listings that this host fetched from the server.

use super::core::{Exchange, LogView};
use crate::bodies::{Chunk, ItemBody, ListingBody, ProbeBody, encode, new_entry};
use crate::contract::{EntryKind, LARGEST_BATCH, Lease, NewEntry, Position};
use crate::engine::{ItemRows, LibraryRow, Outbox, ShowRows};
use crate::error::Result;
use crate::model::{Item, Library};
use crate::platform::Deadline;
use crate::sync::MergedDelta;

/// Number of items that may always differ from the published listing, regardless of [`MAX_CHANGED_PART`].
const MAX_CHANGED_ITEMS: u64 = 2_000;
/// If more than a quarter of the items differ (1 in 4), and also more than [`MAX_CHANGED_ITEMS`], a host publishes the
/// whole listing again.
const MAX_CHANGED_PART: u64 = 4;

impl Exchange {
    /// Publishes a probe. `asked_ms`: the time of the request, from which other hosts compute the probe's age.
    pub fn publish_probe(&self, view: &LogView, rows: &[LibraryRow], asked_ms: i64) {
        let age_ms = self.age_ms(asked_ms);
        let libraries: Vec<Library> = rows.iter().map(|row| row.library.clone()).collect();
        let probe = new_entry(EntryKind::Probe, "", b"", encode(&ProbeBody { libraries, age_ms }));
        if !probe.is_within_limit() {
            log::warn!("cannot share the list of libraries: it is too large for one entry");
            return;
        }
        let _ = self.send_write(Deadline::NONE, |log, limit| {
            log.append(view.number, view.host, &[probe], None, limit)
        });
    }

    /// Publishes a library that this host refreshed under a lease: only the changed items if few items have changed,
    /// and if the log has the listing to which the changes apply; otherwise the whole listing. `before`, `after`: the
    /// library before and after the refresh. `merged`: the changes; `None` after a full listing. `included`: the
    /// position up to which this host had read the log before the refresh.
    pub fn publish(
        &self,
        view: &LogView,
        lease: &Lease,
        (before, after): (&LibraryRow, &LibraryRow),
        merged: Option<MergedDelta>,
        included: Position,
    ) -> Result<()> {
        let uuid = &after.library.uuid;
        let Ok(head) = self.find_listing_head(view, uuid) else {
            return Ok(()); // the log is unavailable
        };
        // Do not share a listing that awaits confirmation.
        if after.held_back || !after.generation.is_fetched() {
            return Ok(());
        }
        // The thread that renews leases may be late, or missing in a forked child.
        if self.send_write(Deadline::NONE, |log, limit| log.renew(lease, limit)) != Ok(true) {
            return Ok(()); // the log is unavailable, or another host has the lease
        }
        if let (Some(merged), Some((_, head))) = (merged, head)
            && Outbox(&self.store).shared_listing(after.id)? == Some(head.listing)
            && head.change.token == before.listed_token
        {
            let gone: Vec<&str> = merged.removed_keys.iter().map(String::as_str).collect();
            let changed_count = head.since + merged.added.len() as u64 + gone.len() as u64;
            let mut entries = item_entries(uuid, &merged.added, &gone);
            let are_small = entries.iter().all(NewEntry::is_within_limit)
                && entries.iter().map(NewEntry::size).sum::<usize>() <= LARGEST_BATCH;
            if changed_count <= MAX_CHANGED_ITEMS.max(head.listed / MAX_CHANGED_PART) && are_small {
                let head = ListingBody {
                    change: change_of(after),
                    items: after.items,
                    provisional: after.provisional,
                    unexplained: after.unexplained,
                    since: changed_count,
                    age_ms: self.age_ms(after.checked_ms),
                    ..head
                };
                entries.push(new_entry(EntryKind::Listing, uuid, b"", encode(&head)));
                let _ = self.send_write(Deadline::NONE, |log, limit| {
                    log.append(view.number, view.host, &entries, Some(lease), limit)
                });
                return Ok(());
            }
        }
        self.publish_listing(view, lease, after, included)
    }

    /// Publishes a library's whole listing from the store: first the chunks, then the head, which makes the listing
    /// visible. `included`: the position in the log up to which the listing includes other hosts' entries.
    fn publish_listing(&self, view: &LogView, lease: &Lease, row: &LibraryRow, included: Position) -> Result<()> {
        let (mut chunks, mut listed) = (0_u32, 0_u64);
        let mut may_publish = true;
        let mut chunk = Chunk::default();
        // Writes a chunk to the log, and empties it. Returns `false` if this host must not publish the listing.
        let mut write_chunk = |chunk: &mut Chunk| {
            let items = std::mem::take(chunk);
            if !may_publish || items.is_empty() {
                return may_publish;
            }
            listed += items.len() as u64;
            let Some(packed) = items.pack() else {
                log::warn!("cannot share '{}': an item is too large", row.library.title);
                may_publish = false;
                return false;
            };
            let is_written = self.send_write(Deadline::NONE, |log, limit| {
                log.put_chunk(lease, &row.library.uuid, chunks, &packed, limit)
            });
            may_publish = is_written == Ok(true);
            chunks += 1;
            may_publish
        };
        let mut is_whole = true;
        ItemRows(&self.store).of(row)?.for_each(&mut |item, _| {
            chunk.push(&item);
            if chunk.is_full() {
                is_whole &= write_chunk(&mut chunk);
            }
            Ok(())
        })?;
        is_whole &= write_chunk(&mut chunk);
        if !is_whole {
            return Ok(()); // the log is unavailable, or another host has the lease
        }
        // The shows, which are no items, follow the last chunk of the listing.
        if let Some(shows) = ShowRows(&self.store).shows(row.id)? {
            for show in &shows {
                chunk.push(show);
            }
            if let Some(packed) = chunk.pack() {
                let _ = self.send_write(Deadline::NONE, |log, limit| {
                    log.put_chunk(lease, &row.library.uuid, chunks, &packed, limit)
                });
            }
        }
        let head = ListingBody {
            listing: lease.fence,
            chunks,
            listed,
            included,
            change: change_of(row),
            items: row.items,
            provisional: row.provisional,
            unexplained: row.unexplained,
            since: 0,
            age_ms: self.age_ms(row.checked_ms),
        };
        let head = new_entry(EntryKind::Listing, &row.library.uuid, b"", encode(&head));
        let published = self.send_write(Deadline::NONE, |log, limit| {
            log.publish_listing(lease, view.host, &head, included.number, limit)
        });
        if published == Ok(true) {
            let begun_ms = Outbox(&self.store).listing_begun_ms(row.id)?;
            Outbox(&self.store).store_shared_listing(row.id, lease.fence, begun_ms, Deadline::NONE)?;
            log::info!("'{}': shared {listed} items with other hosts", row.library.title);
        }
        Ok(())
    }
}

/// Returns the library's change information with its listing's change token, since the server may have a newer token.
fn change_of(row: &LibraryRow) -> crate::model::SourceState {
    crate::model::SourceState {
        token: row.listed_token.clone(),
        ..row.library.change.clone()
    }
}

/// Creates entries for items of the library with the uuid `library`, and for the rating keys in `gone`, which the
/// library no longer has.
fn item_entries(library: &str, items: &[Item], gone: &[&str]) -> Vec<NewEntry> {
    let item_entry = |key: &str, item| new_entry(EntryKind::Item, library, key.as_bytes(), encode(&ItemBody { item }));
    let changed = items
        .iter()
        .map(|item| item_entry(&item.rating_key, Some(item.clone())));
    changed.chain(gone.iter().map(|key| item_entry(key, None))).collect()
}
