//! The files of segments and of listings' pages: names them, and removes those that the database does not reference.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use rusqlite::Connection;

use super::schema::CachedStatements;
use super::store_folder::{NAME, StoreFolder, listing_text};
use super::sweeper::Sweeper;
use crate::error::Result;
use crate::model::{Generation, LibraryId, ListingName, Sequence};
use crate::platform::files;

/// Suffix of segment files.
const SUFFIX: &str = ".segment";
/// Suffix of the files with the stored pages of unfinished listings.
const ITEMS_SUFFIX: &str = ".items";

/// Age, in seconds, at which plexindex removes an unreferenced segment. Until then, a process may publish the segment.
const UNNAMED_KEPT_S: u64 = 60;
/// Age, in seconds, at which plexindex removes a temporary file. Until then, a process may still be writing the file.
const TEMPORARY_KEPT_S: u64 = 600;

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

/// Returns a number that makes a name unique; 0 if the system has no random numbers.
fn random_number() -> u32 {
    u32::from_le_bytes(files::random_bytes().unwrap_or_default())
}

/// Returns the name by which the database references a file: the segment name for a segment or an index of it, and the file
/// name for a listing's pages. `None` for other files.
fn referenced_name(file: &str) -> Option<&str> {
    if file.ends_with(ITEMS_SUFFIX) {
        return Some(file);
    }
    let segment = [".index", ".sizes"].iter().find_map(|suffix| file.strip_suffix(suffix));
    let name = segment.unwrap_or(file).strip_suffix(SUFFIX)?;
    Some(name.rsplit_once('-')?.0) // without the digest of the mappings
}

/// A file in the folder.
struct SegmentFile {
    name: String,
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
            Ok(referenced) => self.remove_unreferenced(files, &referenced),
            Err(error) => log::debug!("cannot remove old segment files: {error}; a later sweep will retry"),
        }
    }

    /// Removes the unreferenced files that no process can still need.
    fn remove_unreferenced(&self, files: Vec<SegmentFile>, referenced: &NamedSegments) {
        for file in files {
            if (file.is_temporary() || referenced.is_unreferenced(&file.name)) && file.is_abandoned() {
                let _ = files::remove(&self.0.folder.path().join(&file.name));
            }
        }
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
