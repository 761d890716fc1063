//! Starts, stores, resumes and holds back full listings, and names and removes the files of segments. The module
//! `publishing` publishes the complete listings.
//!
//! plexindex first appends a page to the listing's file, and then stores the file's new end in the listing's row. If
//! the process is killed between the two steps, the next page overwrites the bytes after the stored end.

use std::collections::HashSet;
use std::fs;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::knowledge_rows::Folding;
use super::library_rows::LibraryRow;
use super::record_log::{RecordTx, manifest};
use super::schema::{CachedStatements, Tx};
use super::store::Store;
use super::store_folder::{NAME, StoreFolder, listing_text, segment_name, segment_text};
use super::sweeper::Sweeper;
use crate::engine::record_rows::NamedSegment;
use crate::engine::segment::{FileEnd, append_page, read_pages};
use crate::error::{Error, Result, Status};
use crate::knowledge::{Cause, Interval, Observation, SyncRequest, Ticket};
use crate::model::{Generation, Item, LibraryId, ListingName, SegmentName, Sequence, SourceState};
use crate::platform::deadline::Deadline;
use crate::platform::files;

/// The stored progress of a full listing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    pub library: LibraryId,
    /// The generation of the current listing at the start.
    pub generation: Generation,
    /// Index of the library's partition that is being listed.
    pub partition: usize,
    /// The position of the next page.
    pub position: u64,
    /// Number of rows that the server has returned so far, in all partitions.
    pub rows: u64,
    /// Number of returned rows that have a rating key, and so are items.
    pub keyed: u64,
    /// Number of rows that the server reported for all partitions started so far; `None` if not reported.
    pub total: Option<u64>,
    /// The last rating keys from the current partition, oldest first. A resumed listing compares them with the rows
    /// that it fetches again.
    pub tail: Vec<String>,
    /// The library's change token and scan state before the first page.
    pub change: SourceState,
    /// The listing's ticket: it began then.
    pub asked: Ticket,
    /// Time when the listing started, in Unix ms.
    pub begun_ms: i64,
    /// Time when the last page was stored, in Unix ms.
    pub touched_ms: i64,
    pub pages: u64,
    /// Name of the file with the stored pages. The last page ends at `end`.
    pub file: String,
    pub end: FileEnd,
}

impl Listing {
    /// Returns the listing as a request. A listing extends no other one.
    pub fn request(&self) -> SyncRequest {
        SyncRequest {
            asked: self.asked,
            begun_ms: self.begun_ms,
            state: self.change.clone(),
            extends: Ticket::default(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingResult {
    /// Whether the listing's item counts agree, so that no rows are missing.
    pub is_whole: bool,
    /// Where the source's next delta begins.
    pub cursor: String,
    /// Time when the listing was completed, in Unix ms.
    pub listed_ms: i64,
}

pub struct ListingRows<'s>(pub &'s Store);

impl ListingRows<'_> {
    /// Returns a library's unfinished listing, so that the caller can resume it; `None` if there is none or this build
    /// cannot decode it.
    pub fn listing(&self, library: LibraryId) -> Result<Option<Listing>> {
        let row = self.0.read(|connection| {
            connection.find(
                "SELECT progress, touched_ms FROM listings WHERE library = ?1",
                [library],
                |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?)),
            )
        })?;
        Ok(row.and_then(|(progress, touched_ms)| {
            let listing = postcard::from_bytes::<Listing>(&progress).ok()?;
            Some(Listing { touched_ms, ..listing })
        }))
    }

    /// Starts a full listing of a library, and discards an unfinished one. Returns the new listing, which has no pages.
    pub fn begin_listing(&self, row: &LibraryRow, now_ms: i64, deadline: Deadline) -> Result<Listing> {
        let file = new_items_file_name(row.id);
        let (listing, old_file) = self.0.write(deadline, |tx| {
            tx.expect_library(row.id)?;
            let old_file = tx.find_value::<String>("SELECT file FROM listings WHERE library = ?1", [row.id])?;
            let listing = Listing {
                library: row.id,
                generation: row.generation,
                change: row.library.change.clone(),
                asked: tx.sequence,
                begun_ms: now_ms,
                touched_ms: now_ms,
                file: file.clone(),
                ..Listing::default()
            };
            save(tx, &listing)?;
            Ok((listing, old_file))
        })?;
        if let Some(old_file) = old_file {
            let _ = files::remove(&self.0.folder.path().join(old_file));
        }
        Ok(listing)
    }

    /// Stores a page's items and the listing's progress. `requested_at`: the change sequence at the page's request.
    /// `listing`: its position and counts already include the page; this call updates the file's end and `pages`.
    /// Fails with [`Status::Timeout`] if another process has continued or restarted the listing.
    pub fn store_page(
        &self,
        listing: &mut Listing,
        items: &[Item],
        requested_at: Sequence,
        deadline: Deadline,
    ) -> Result<()> {
        // Check first, so that this process does not overwrite a page from another process.
        if !self.0.read(|c| is_own(c, listing))? {
            return Err(taken_over());
        }
        let path = self.0.folder.path().join(&listing.file);
        let next = Listing {
            end: append_page(&path, listing.end, requested_at, items)?,
            pages: listing.pages + 1,
            ..listing.clone()
        };
        let is_stored = self.0.write(deadline, |tx| {
            tx.expect_library(listing.library)?;
            // Check again, because another process may have stored a page in the meantime.
            let is_own = is_own(tx, listing)?;
            if is_own {
                save(tx, &next)?;
            }
            Ok(is_own)
        })?;
        if !is_stored {
            return Err(taken_over());
        }
        *listing = next;
        Ok(())
    }

    /// Passes each stored page to `each`, oldest first, with the change sequence of its request. Returns `false` if the
    /// file is missing, unreadable or damaged, so that the listing must start again.
    pub fn pages(&self, listing: &Listing, each: impl FnMut(Sequence, Vec<Item>)) -> bool {
        let path = self.0.folder.path().join(&listing.file);
        let read = read_pages(&path, listing.end, each);
        if let Err(error) = &read {
            log::warn!(
                "cannot read the stored pages of a listing in {}: {error}; the listing starts again",
                path.display()
            );
        }
        read.is_ok()
    }

    /// Returns whether a second listing must confirm a listing with only `count` items, in case a disk is not mounted. If
    /// so, discards it, and keeps the current listing, which is then doubted. `is_whole`: whether the item counts agree.
    pub fn hold_back_listing(
        &self,
        listing: &Listing,
        (count, is_whole): (u64, bool),
        now_ms: i64,
        deadline: Deadline,
    ) -> Result<bool> {
        let is_held_back = self.0.write(deadline, |tx| {
            let folding = Folding::open(self.0, tx, listing.library, &|_, _| Vec::new())?;
            let observation = Observation::Listing {
                request: &listing.request(),
                listed: &|_| (None, Interval::default()),
                count,
                is_whole,
                may_shrink: false,
                cursor: "",
            };
            let effects = folding.fold(&observation, listing.asked, now_ms)?;
            let is_held_back = effects.raise.iter().any(|doubt| doubt.cause == Cause::HeldBack);
            if is_held_back {
                folding.apply(&effects)?;
                tx.execute("DELETE FROM listings WHERE library = ?1", [listing.library])?;
            }
            Ok(is_held_back)
        })?;
        if is_held_back {
            self.remove_pages(listing);
        }
        Ok(is_held_back)
    }

    /// Removes the file with a finished listing's pages.
    pub(super) fn remove_pages(&self, listing: &Listing) {
        let _ = files::remove(&self.0.folder.path().join(&listing.file));
    }
}

/// Returns whether the stored listing is in the state in which this process left it, so that this process may continue.
/// Locks alone cannot ensure that only one process continues a listing: a file system may not support locks, and lock
/// files can be deleted.
pub fn is_own(c: &Connection, listing: &Listing) -> rusqlite::Result<bool> {
    c.has(
        "SELECT 1 FROM listings WHERE library = ?1 AND begun_seq = ?2 AND pages = ?3",
        params![listing.library, listing.asked, listing.pages.cast_signed()],
    )
}

/// Returns the error for a listing that another process has taken over.
pub fn taken_over() -> Error {
    Error::new(
        Status::Timeout,
        "cannot continue the listing: another process has taken over, because this process was too slow; try again",
    )
}

/// Stores a listing's progress. The columns repeat the fields that SQL statements use.
fn save(tx: &Tx<'_>, listing: &Listing) -> rusqlite::Result<()> {
    let progress =
        postcard::to_stdvec(listing).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    tx.run(
        "INSERT OR REPLACE INTO listings (library, begun_seq, touched_ms, position, pages, file, progress) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            listing.library,
            listing.asked,
            listing.touched_ms,
            listing.position.cast_signed(),
            listing.pages.cast_signed(),
            listing.file,
            progress
        ],
    )
}

/// Suffix of segment files.
const SUFFIX: &str = ".segment";
/// Suffix of the files with the stored pages of unfinished listings.
const ITEMS_SUFFIX: &str = ".items";

/// Age, in seconds, at which plexindex removes an unreferenced segment. Until then, a process may publish the segment.
const UNNAMED_KEPT_S: u64 = 60;
/// Age, in seconds, at which plexindex removes a temporary file. Until then, a process may still be writing the file.
const TEMPORARY_KEPT_S: u64 = 600;
/// Maximum size of the replaced record segments that a write keeps for processes that have just read their names.
const MAX_REPLACED: u64 = 8 << 20;

impl StoreFolder {
    /// Returns the path of a listing's segment for hosts with these mappings. Hosts with other mappings build their own
    /// segment from the same items. `mappings`: the digest of the mappings.
    pub fn listing_segment(&self, name: &ListingName, mappings: u64) -> PathBuf {
        self.path().join(format!("{}-{mappings:x}{SUFFIX}", listing_text(name)))
    }

    /// Returns the paths of a segment's files, one for each set of mappings. All files have the same items.
    pub fn files_of_segment(&self, name: &str) -> Result<Vec<PathBuf>> {
        let is_of_segment = |file: &str| file.ends_with(SUFFIX) && referenced_name(file) == Some(name);
        let entries = fs::read_dir(self.path()).map_err(|error| self.cannot("read", &error))?;
        let names = entries.flatten().map(|entry| entry.file_name());
        let segment_files = names.filter(|file| file.to_str().is_some_and(is_of_segment));
        Ok(segment_files.map(|file| self.path().join(file)).collect())
    }

    /// Returns the path of a record segment, which does not depend on mappings.
    pub fn segment(&self, name: &SegmentName) -> PathBuf {
        self.path().join(format!("{}-0{SUFFIX}", segment_text(name)))
    }

    /// Returns the segments, their indexes, the files with listings' pages, and the temporary files in the folder.
    fn segment_files(&self) -> Vec<SegmentFile> {
        let Ok(entries) = fs::read_dir(self.path()) else {
            return Vec::new();
        };
        let name_parts = [SUFFIX, ITEMS_SUFFIX, ".new"];
        let is_known = |name: &String| name.starts_with(NAME) && name_parts.iter().any(|part| name.contains(part));
        entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok().filter(is_known)?;
                let metadata = entry.metadata().ok();
                Some(SegmentFile {
                    name,
                    bytes: metadata.as_ref().map_or(0, Metadata::len),
                    changed: metadata.and_then(|metadata| metadata.modified().ok()),
                })
            })
            .collect()
    }
}

/// Returns a new, unique name for a library's segment. `sequence`: the current change sequence.
pub fn new_listing_name(library: LibraryId, generation: Generation, sequence: Sequence) -> ListingName {
    ListingName {
        library,
        generation: Generation(generation.0.max(0)), // a negative number stands for an evicted listing
        sequence,
        number: random_number(),
    }
}

/// Returns a new name for the file with a listing's pages.
pub fn new_items_file_name(library: LibraryId) -> String {
    format!("{NAME}-l{library}-{:x}{ITEMS_SUFFIX}", random_number())
}

/// Returns a new, unique name for a record segment that the write at this change sequence creates.
pub fn new_segment_name(sequence: Sequence) -> SegmentName {
    SegmentName {
        sequence,
        number: random_number(),
    }
}

/// Returns a number that makes a name unique; 0 if the system has no random numbers.
fn random_number() -> u32 {
    u32::from_le_bytes(files::random_bytes().unwrap_or_default())
}

/// Updates the modification time of a segment file that is about to be replaced. Sweeps then keep the file for
/// another minute, so that a process that has just read its name can open it.
pub fn touch_segment(path: &Path) {
    // Errors are harmless: a reader that does not find the file reads the state again.
    let _ = files::open_existing(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Returns the name by which the database references a file: the segment name for a segment or its index, and the file
/// name for a listing's pages. `None` for other files.
fn referenced_name(file: &str) -> Option<&str> {
    if file.ends_with(ITEMS_SUFFIX) {
        return Some(file);
    }
    let name = file.strip_suffix(".index").unwrap_or(file).strip_suffix(SUFFIX)?;
    Some(name.rsplit_once('-')?.0) // without the digest of the mappings
}

/// A file in the folder.
struct SegmentFile {
    name: String,
    bytes: u64,
    /// Time of the last modification; `None` if unknown.
    changed: Option<SystemTime>,
}

impl SegmentFile {
    fn is_temporary(&self) -> bool {
        self.name.contains(".new")
    }

    /// Returns whether no process can still be writing, publishing or opening this unreferenced file. True if the time
    /// of its last modification is unknown or in the future.
    fn is_abandoned(&self) -> bool {
        let kept_s = if self.is_temporary() {
            TEMPORARY_KEPT_S
        } else {
            UNNAMED_KEPT_S
        };
        let age = self.changed.and_then(|changed| changed.elapsed().ok());
        age.is_none_or(|age| age.as_secs() >= kept_s)
    }
}

/// Names of the segments and page files that the database references.
pub struct NamedSegments(HashSet<String>);

impl NamedSegments {
    /// Reads the names that the database references.
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        // A cleared library has a negative `view_id`.
        let listings = "SELECT segment FROM libraries WHERE view_id > 0";
        let mut names: HashSet<String> = connection.values(listings, [])?.into_iter().collect();
        let pages = "SELECT n.file FROM listings n JOIN libraries l ON l.id = n.library WHERE l.view_id > 0";
        names.extend(connection.values::<String>(pages, [])?);
        names.extend(manifest(connection)?.segments.iter().map(|one| segment_text(&one.name)));
        Ok(Self(names))
    }

    /// Returns whether a file is a segment, an index or a page file that the database does not reference.
    pub fn is_unreferenced(&self, file: &str) -> bool {
        referenced_name(file).is_some_and(|name| !self.0.contains(name))
    }
}

impl Sweeper<'_> {
    /// Removes old segments that the database does not reference, and temporary files that a killed process left. A
    /// process that has a removed segment mapped can still read the segment.
    pub fn sweep_segments(&self) {
        // List the folder before reading the database, so that a segment that is published in between is not removed.
        let files = self.0.folder.segment_files();
        match self.named_segments() {
            Ok(referenced) => drop(self.remove_unreferenced(files, &referenced, u64::MAX)),
            Err(error) => log::debug!("cannot remove old segment files: {error}; a later sweep will retry"),
        }
    }

    /// Sweeps in a write that replaces segments. Also removes the oldest replaced record segments until the others have
    /// at most [`MAX_REPLACED`] bytes, because the files that a bulk write replaces within a minute are many times as
    /// large as its data. `committed`: the segments in the manifest before this write.
    pub fn sweep_in_write(&self, tx: &RecordTx<'_>, committed: &[NamedSegment]) {
        if let Err(error) = self.sweep_replaced(tx.tx.connection, committed, MAX_REPLACED) {
            log::debug!("cannot remove old segment files: {error}; a later sweep will retry");
        }
    }

    /// Removes old files, and the oldest replaced record segments until the others have at most `max_bytes`. A reader
    /// that misses such a file reads the state again. Returns the number of removed files. Requires the write lock,
    /// because a writer creates a segment before it commits the segment's name.
    pub(super) fn sweep_replaced(
        &self,
        connection: &Connection,
        committed: &[NamedSegment],
        max_bytes: u64,
    ) -> rusqlite::Result<usize> {
        let files = self.0.folder.segment_files();
        let mut referenced = NamedSegments::read(connection)?;
        referenced.0.extend(committed.iter().map(|one| segment_text(&one.name)));
        Ok(self.remove_unreferenced(files, &referenced, max_bytes))
    }

    /// Removes the unreferenced files that no process can still need, and the oldest unreferenced record segments,
    /// until those that remain have at most `max_bytes`. Returns the number of removed files.
    fn remove_unreferenced(&self, mut files: Vec<SegmentFile>, referenced: &NamedSegments, max_bytes: u64) -> usize {
        files.retain(|file| file.is_temporary() || referenced.is_unreferenced(&file.name));
        files.sort_by_key(|file| std::cmp::Reverse(file.changed));
        let mut replaced_bytes = 0;
        let mut is_removable = |file: &&SegmentFile| {
            let is_of_records = referenced_name(&file.name).is_some_and(|name| segment_name(name).is_some());
            replaced_bytes += if is_of_records { file.bytes } else { 0 };
            file.is_abandoned() || is_of_records && replaced_bytes > max_bytes
        };
        let removable = files.iter().filter(|file| is_removable(file));
        let removed = removable.filter(|file| files::remove(&self.0.folder.path().join(&file.name)).is_ok());
        removed.count()
    }

    /// Removes the segments and page files of libraries that were evicted or cleared, regardless of the files' age, to
    /// free their space at once.
    pub fn remove_segments_of(&self, libraries: &[LibraryId]) {
        let prefixes: Vec<String> = libraries.iter().map(|library| format!("{NAME}-l{library}-")).collect();
        self.remove_files(|file| prefixes.iter().any(|prefix| file.starts_with(prefix)));
    }

    /// Removes the files of a listing's segment that the database no longer references. A process that has read this
    /// name, but not opened the file yet, reads the library's row again.
    pub(super) fn remove_replaced(&self, name: &str) {
        self.remove_files(|file| referenced_name(file) == Some(name));
    }

    /// Removes the segments, indexes and page files whose names satisfy `is_removed`. On Windows, a file that a process
    /// has mapped stays until a sweep.
    fn remove_files(&self, is_removed: impl Fn(&str) -> bool) {
        for SegmentFile { name, .. } in self.0.folder.segment_files() {
            if referenced_name(&name).is_some() && is_removed(&name) {
                let _ = files::remove(&self.0.folder.path().join(&name));
            }
        }
    }

    /// Reads the names of the segments and page files that the database references.
    pub fn named_segments(&self) -> Result<NamedSegments> {
        self.0.read(NamedSegments::read)
    }
}
