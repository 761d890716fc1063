//! Path searches: the server is asked about one path.
//!
//! If a library was never fetched and the caller has little time, one request may give the first answer. A path in a
//! library's folder that is not listed may be new: one probe checks whether something moved, and one search whether the
//! server has the file all the same. Only a hit with exactly this path counts; a search without a hit proves nothing.
//! The store remembers searches, so that other processes do not repeat them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::back_off::BACK_OFF_MS;
use super::call::{Call, RefreshReason};
use super::job::{SyncJob, Syncing};
use crate::engine::{ItemRows, LibraryRow, ProbeOutcome, SearchRows};
use crate::error::{Error, Meaning, Result, Status};
use crate::freshness::{self, ASK_AGAIN_MS, ASK_AWAY_AGAIN_MS, SEARCHES_UNFETCHED};
use crate::matching::path_search::{file_name, is_same_file, title_in};
use crate::matching::{Normal, folder_form};
use crate::model::{IdentityId, Item, Sequence};
use crate::platform::deadline::Deadline;
use crate::source::{Bounds, RequestKind, WantedPath};

/// Longest wait of a search for other writers if an answer is at hand.
pub const SHORTLY: Duration = Duration::from_secs(1);

/// Requests of this process, by kind.
pub type RequestCounts = [u64; RequestKind::COUNT];
/// Most files of a folder search. A folder with more belongs to a library or contains many items: a listing is better.
const MAX_FOLDER_FILES: usize = 1_000;
/// Longest wait for a probe of another thread or process.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// The pause before the next probe for a path.
fn pause_after(outcome: ProbeOutcome) -> i64 {
    match outcome {
        ProbeOutcome::Failed(Some(Status::Connect | Status::Starting)) => ASK_AWAY_AGAIN_MS,
        _ => ASK_AGAIN_MS,
    }
}

/// The target of a search.
#[derive(Clone, Copy)]
pub enum SearchTarget<'q> {
    /// A file.
    Path(&'q Normal<'q>),
    /// All files below a folder.
    Folder(&'q Normal<'q>),
}

impl SearchTarget<'_> {
    /// Its number in the store. No path begins with a NUL.
    fn hash(self) -> u64 {
        match self {
            Self::Path(path) => path.hash(),
            Self::Folder(path) => xxh3_64(&[b"\0folder\0", folder_form(path)].concat()),
        }
    }
}

impl Syncing {
    /// Returns whether a recent search of this unfetched library found the target.
    pub fn remembers(&self, identity: IdentityId, row: &LibraryRow, searched: SearchTarget<'_>) -> Result<bool> {
        let search = SearchRows(&self.store).path_search(identity, row.id, searched.hash())?;
        let now = self.clock.now_ms();
        Ok(freshness::is_remembered(search.as_ref(), &self.policy, now))
    }

    /// Returns whether a local source is searched for a path in unfetched libraries. `false` after a few searches in a
    /// short time: then fetching the listing is cheaper.
    pub fn may_search(&self, identity: IdentityId) -> bool {
        let now = self.clock.now_ms();
        let searches = SearchRows(&self.store).last_path_search(identity, now - ASK_AGAIN_MS, now);
        searches.is_ok_and(|(_, count)| count < SEARCHES_UNFETCHED)
    }

    /// Returns the error of the last probe for a path, by any process, if the server is not asked again yet. `None` if
    /// the libraries were seen to be current since.
    pub fn failed_for_path(&self, identity: IdentityId, libraries: &[LibraryRow]) -> Result<Option<Error>> {
        let now = self.clock.now_ms();
        let Some((last, ProbeOutcome::Failed(status))) = SearchRows(&self.store).last_probe_for_path(identity)? else {
            return Ok(None);
        };
        let pause = pause_after(ProbeOutcome::Failed(status));
        if freshness::is_over(Some(last), pause, now) || libraries.iter().all(|row| row.checked_ms > last) {
            return Ok(None);
        }
        Ok(Some(Error::new(
            status.unwrap_or(Status::Timeout),
            format!(
                "{} did not answer {} s ago; the next attempt is in {} s",
                self.reading.kind().noun,
                (now - last) / 1_000,
                (last + pause - now + 999) / 1_000,
            ),
        )))
    }

    /// Returns the last failure, unless the server may be asked for a path again.
    pub fn recent_failure_for_path(&self) -> Option<Error> {
        let failure = self.recent_failure(0)?;
        let pause = pause_after(ProbeOutcome::Failed(Some(failure.status))).min(BACK_OFF_MS);
        self.recent_failure(BACK_OFF_MS - pause)
    }

    /// The requests so far.
    pub fn request_counts(&self) -> RequestCounts {
        self.counters.read().requests
    }

    /// Returns whether an error means that a deadline passed before anything was sent, which says nothing of the
    /// server. `requests_before`: the request counts before.
    pub fn was_not_asked(&self, error: &Error, requests_before: RequestCounts) -> bool {
        error.status == Status::Timeout && self.request_counts() == requests_before
    }

    /// Stores the outcome of a probe for a path, for all processes. `requests_before`: the request counts before it.
    fn note_outcome<T>(
        &self,
        identity: IdentityId,
        done: &Result<T>,
        deadline: Deadline,
        requests_before: RequestCounts,
    ) {
        let outcome = match done {
            Ok(_) => ProbeOutcome::Answered,
            // The host stopped it, or left no time for it: the next query may probe again. A refused token says nothing
            // about the tokens of other processes, nor about the next one of this process.
            Err(error)
                if matches!(error.status, Status::Aborted | Status::Unauthorized)
                    || self.was_not_asked(error, requests_before) =>
            {
                ProbeOutcome::UnderWay
            }
            Err(error) => ProbeOutcome::Failed(Some(error.status)),
        };
        let written = SearchRows(&self.store).note_probe_for_path(identity, self.clock.now_ms(), outcome, deadline);
        if let Err(error) = written {
            log::debug!("cannot store whether the server answered: {error}");
        }
    }

    /// Probes for a missing path that may be new, and merges changes. Not again within half a minute, or five seconds
    /// if the server was away, and not if the libraries were probed after `since`. Returns the server's error, if any.
    pub fn probe_for_path(
        &self,
        call: &Call<'_>,
        identity: IdentityId,
        owners_without_it: &[LibraryRow],
        since: Sequence,
    ) -> Result<Option<Error>> {
        // Waits for a probe under way. If it is still marked after the wait, its process was killed.
        let may = || -> Result<bool> {
            let last = SearchRows(&self.store).last_probe_for_path(identity)?;
            let over = last.filter(|(_, outcome)| *outcome != ProbeOutcome::UnderWay);
            let pause = over.map_or(0, |(_, outcome)| pause_after(outcome));
            Ok(freshness::is_over(over.map(|(at, _)| at), pause, self.clock.now_ms()))
        };
        if !may()? {
            return Ok(None);
        }
        let call = Call {
            deadline: call.deadline.at_most(SHORTLY),
            ..*call
        };
        let done = self.job(&call, |job| {
            let deadline = job.bounds.deadline;
            // A probe of another thread usually ends soon; it may also lead to a listing, which takes long.
            let bounds = Bounds {
                deadline: deadline.earliest(Deadline::after(PROBE_WAIT)),
                ..job.bounds
            };
            job.single_flight_within(bounds, &self.at_server("path_probe"), || {
                if !may()? {
                    return Ok(());
                }
                let under_way = ProbeOutcome::UnderWay;
                SearchRows(&self.store).note_probe_for_path(identity, self.clock.now_ms(), under_way, deadline)?;
                let mut owners = owners_without_it.iter();
                let requests = self.request_counts();
                let done =
                    owners.try_for_each(|row| job.update_one(row, row.id, since, RefreshReason::Missing).map(drop));
                self.note_outcome(identity, &done, deadline, requests);
                done
            })?;
            Ok(())
        });
        Ok(done.err())
    }

    /// The path in the host's spelling, then after each mapping that fits.
    fn spellings(&self, path: &Normal<'_>) -> Vec<Vec<u8>> {
        let mut spellings = vec![path.raw().to_vec()];
        self.reading.mappings().to_server(path, |mapped| {
            spellings.push(mapped.to_vec());
            None::<()>
        });
        spellings
    }

    /// Announces to the source which path is searched once its libraries are known.
    pub fn expect_path(&self, path: &Normal<'_>) {
        if let Some(source) = &self.source {
            source.prefetch_path(&self.spellings(path));
        }
    }

    /// Searches each of these libraries if a search is due. `unfetched`: none of them was ever listed, so a few
    /// searches in a row are allowed. Returns the server's error, if any.
    pub fn search(
        &self,
        call: &Call<'_>,
        identity: IdentityId,
        libraries: &[LibraryRow],
        searched: SearchTarget<'_>,
        unfetched: bool,
    ) -> Result<Option<Error>> {
        let Some(can) = self.abilities() else {
            return Ok(None);
        };
        let is_able = match searched {
            SearchTarget::Path(path) => can.find && file_name(path.raw()).is_some(),
            SearchTarget::Folder(_) => can.folders,
        };
        if !is_able {
            return Ok(None);
        }
        let hash = searched.hash();
        let begun = self.clock.now_ms();
        // A path is searched in all libraries that may have it, as two hits are ambiguous.
        let may_search_now = || -> Result<bool> {
            if self.is_local() {
                return Ok(true);
            }
            let now = self.clock.now_ms();
            let (last, count) = SearchRows(&self.store).last_path_search(identity, now - ASK_AGAIN_MS, now)?;
            Ok(if unfetched {
                count < SEARCHES_UNFETCHED
            } else {
                freshness::may_ask_for_a_path(last, now)
            })
        };
        let is_due = |row: &LibraryRow| -> Result<bool> {
            if self.is_local() {
                return Ok(true);
            }
            let earlier = SearchRows(&self.store).path_search(identity, row.id, hash)?;
            let fresh = earlier.is_some_and(|search| search.found && search.last_ms >= begun);
            Ok(!fresh && freshness::may_ask_again(earlier.as_ref(), &self.policy, self.clock.now_ms()))
        };
        if !may_search_now()? {
            return Ok(None);
        }
        let mut wanted = Vec::new();
        for row in libraries {
            if is_due(row)? {
                wanted.push(row);
            }
        }
        if wanted.is_empty() {
            return Ok(None);
        }
        // A search takes at most half of the time; the rest is for the listing.
        let hurried = Call {
            deadline: call.deadline.half().at_most(SHORTLY),
            ..*call
        };
        let done = self.job(&hurried, |job| {
            let searched_once = job.single_flight(&self.at_server("path_search"), || {
                if !may_search_now()? {
                    return Ok(());
                }
                for row in &wanted {
                    if !is_due(row)? {
                        continue;
                    }
                    let requests = self.request_counts();
                    let found = match searched {
                        SearchTarget::Path(path) => job.search_path(row, path),
                        SearchTarget::Folder(path) => job.search_folder(row, path),
                    };
                    if matches!(&found, Err(error) if error.status == Status::Unauthorized) {
                        return found.map(drop); // with another token the path may be searched at once
                    }
                    // A search that failed, or took too long, is stored too.
                    let had = matches!(found, Ok(true));
                    SearchRows(&self.store).note_path_search(
                        identity,
                        row.id,
                        hash,
                        self.clock.now_ms(),
                        had,
                        hurried.deadline,
                    )?;
                    if found.is_err() && !unfetched {
                        self.note_outcome(identity, &found, hurried.deadline, requests);
                    }
                    found?;
                }
                Ok(())
            })?;
            searched_once.ok_or_else(|| job.deadline_error())
        });
        Ok(done.err())
    }
}

impl SyncJob<'_> {
    /// Stores for all processes that the server did not answer this job. Other paths then know why they were not
    /// searched. Does nothing if no request was sent. `requests_before`: the request counts before the job.
    pub fn note_failure(&self, error: &Error, requests_before: RequestCounts) {
        let sync = self.sync;
        // A job that timed out while it waited for another one, or while rows arrived, does not prove a failure.
        let rows_arrived = error.status == Status::Timeout && self.report.rows_arrived.load(Ordering::Relaxed);
        if sync.is_local()
            || error.status.meaning() != Meaning::NotNow
            || rows_arrived
            || sync.was_not_asked(error, requests_before)
        {
            return;
        }
        let answered = |identity| -> Result<bool> {
            let last = SearchRows(&sync.store).last_probe_for_path(identity)?;
            Ok(last.is_some_and(|(at, outcome)| {
                outcome == ProbeOutcome::Answered && !freshness::may_ask_for_a_path(Some(at), sync.clock.now_ms())
            }))
        };
        let deadline = self.bounds.deadline.at_most(SHORTLY);
        let written = self.identity().and_then(|identity| match identity {
            Some(identity) if answered(identity)? => {
                let outcome = ProbeOutcome::Failed(Some(error.status));
                SearchRows(&sync.store).note_probe_for_path(identity, sync.clock.now_ms(), outcome, deadline)
            }
            _ => Ok(()),
        });
        if let Err(error) = written {
            log::debug!("cannot store that the server did not answer: {error}");
        }
    }

    /// Searches a path on the server and merges the hits. Returns whether there are any.
    fn search_path(&self, row: &LibraryRow, path: &Normal<'_>) -> Result<bool> {
        let spellings = self.sync.spellings(path);
        let name = file_name(path.raw()).unwrap_or_default();
        let title = title_in(name);
        let wanted = WantedPath {
            spellings: &spellings,
            name,
            title: title.as_deref(),
        };
        let mut merge = |mut items: Vec<Item>| {
            items.retain(|item| self.is_found(&wanted, item));
            if items.is_empty() {
                return Ok(false);
            }
            ItemRows(&self.sync.store).merge_items(row, &items, None, self.bounds.deadline)?;
            Ok(true)
        };
        self.sync.peers.find_path(self, &row.library, &wanted, &mut merge)
    }

    /// Returns whether an item has the file that is searched for.
    pub fn is_found(&self, wanted: &WantedPath<'_>, item: &Item) -> bool {
        let is_file = |part: &String| {
            let path = wanted.spellings.first();
            path.is_some_and(|path| is_same_file(self.sync.reading.mappings(), path, part.as_bytes()))
        };
        item.has_key() && item.parts.iter().any(is_file)
    }

    /// Merges all items that the server has below a folder. Returns `false` if there are none, or not all are known.
    fn search_folder(&self, row: &LibraryRow, path: &Normal<'_>) -> Result<bool> {
        // Mapping rules apply to paths below a folder.
        let below = [trimmed(path.raw()), b"/"].concat();
        let mut folders = Normal::with(&below, |below| self.sync.spellings(below));
        for folder in &mut folders {
            let end = if folder.contains(&b'\\') { b'\\' } else { b'/' };
            *folder = [trimmed(folder), &[end]].concat();
        }
        let Some(mut items) = self
            .source
            .below(&row.library, &folders, MAX_FOLDER_FILES, self.bounds)?
        else {
            return Ok(false);
        };
        items.retain(Item::has_key);
        let (store, deadline) = (&self.sync.store, self.bounds.deadline);
        let is_below = |item: &Item| {
            let mut parts = item.parts.iter();
            parts.any(|part| folders.iter().any(|folder| part.as_bytes().starts_with(folder)))
        };
        // Items from earlier searches that are not below the folder any more.
        for (_, known) in ItemRows(store).items_after(row.id, row.generation, 0, usize::MAX)? {
            if is_below(&known) && !items.iter().any(|item| item.rating_key == known.rating_key) {
                ItemRows(store).remove_item(row, &known.rating_key, &[], deadline)?;
            }
        }
        ItemRows(store).merge_items(row, &items, None, deadline)?;
        Ok(items.iter().any(is_below))
    }
}

/// A path without separators at its end.
fn trimmed(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| !matches!(byte, b'/' | b'\\'));
    &path[..end.map_or(0, |at| at + 1)]
}
