//! The files of segments: names them, and removes those that are not needed.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

use super::folder::{NAME, StoreFolder};
use super::ids::{listing_name, listing_text, segment_name, segment_text};
use super::open::Store;
use super::records::manifest;
use super::tx::sequence_of;
use crate::error::Result;
use crate::model::{Generation, LibraryId, ListingName, SegmentName, Sequence};
use crate::platform::files;

/// The suffix of file names of segments.
const SUFFIX: &str = ".image";

/// Age at which a file is removed although it might still be published.
const UNPUBLISHED_KEPT_S: u64 = 600;

impl StoreFolder {
    /// The path of a library's segment made under these mappings. Hosts with other mappings make their own from the
    /// same rows.
    pub fn listing_segment(&self, name: &ListingName, mappings: u64) -> PathBuf {
        self.path().join(format!("{}-{mappings:x}{SUFFIX}", listing_text(name)))
    }

    /// Creates a new name for a library's segment. It has a random number, so that no two contents share a name.
    pub fn new_listing_name(library: LibraryId, generation: Generation, sequence: Sequence) -> ListingName {
        ListingName {
            library,
            generation: Generation(generation.0.max(0)),
            sequence,
            number: u32::from_le_bytes(files::random().unwrap_or_default()),
        }
    }

    /// The path of a segment of records. It does not depend on mappings.
    pub fn segment(&self, name: &SegmentName) -> PathBuf {
        self.path().join(format!("{}-0{SUFFIX}", segment_text(name)))
    }

    /// A new name for a segment that a write at this change sequence makes.
    pub fn new_segment_name(sequence: Sequence) -> SegmentName {
        SegmentName {
            sequence,
            number: u32::from_le_bytes(files::random().unwrap_or_default()),
        }
    }

    /// The segment files and temporary files in the folder.
    fn segment_files(&self) -> Vec<SegmentFile> {
        let Ok(entries) = fs::read_dir(self.path()) else {
            return Vec::new();
        };
        let ours = |name: &String| name.starts_with(NAME) && (name.contains(SUFFIX) || name.contains(".new"));
        entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok().filter(ours)?;
                let changed = entry.metadata().and_then(|facts| facts.modified());
                Some(SegmentFile {
                    name,
                    age_s: changed.ok().and_then(|at| Some(at.elapsed().ok()?.as_secs())),
                })
            })
            .collect()
    }
}

/// A file in the folder. `age_s`: seconds since its last change; `None` if that is unknown or in the future.
struct SegmentFile {
    name: String,
    age_s: Option<u64>,
}

/// The segments that the database refers to, at one moment.
#[derive(Default)]
pub struct NamedSegments {
    /// For each library its segment, and the lowest change sequence that a later one may have.
    listings: HashMap<LibraryId, (Option<ListingName>, Sequence)>,
    records: HashSet<SegmentName>,
    sequence: Sequence,
}

impl NamedSegments {
    /// [`Self::is_dead`] for the name of a file.
    pub fn is_dead_file(&self, name: &str) -> Option<bool> {
        let (stem, _) = name.strip_suffix(SUFFIX)?.rsplit_once('-')?;
        self.is_dead(stem)
    }

    /// Returns whether no process needs this segment any more; `None` if a process might still publish it.
    fn is_dead(&self, name: &str) -> Option<bool> {
        if let Some(name) = listing_name(name) {
            // Library ids are never reused, and a library is stored before a segment of it is made.
            let Some((named, upto)) = self.listings.get(&name.library) else {
                return Some(true);
            };
            // `set_segment` and `finish_listing` never publish a segment older than the current one.
            return if named.as_ref() == Some(&name) {
                Some(false)
            } else {
                (name.sequence < *upto).then_some(true)
            };
        }
        let name = segment_name(name)?;
        // A segment of records is published by the very write whose sequence is in its name.
        if self.records.contains(&name) {
            Some(false)
        } else {
            (name.sequence <= self.sequence).then_some(true)
        }
    }
}

impl Store {
    /// Removes segment files that no process needs, and temporary files that a kill left. Processes that have one
    /// mapped can still read it.
    ///
    /// The folder is listed before the database is read. So a file that the database does not refer to is removed at
    /// once, unless it might still be published. Such a file is removed when it is old.
    pub fn sweep_segments(&self) {
        let files = self.folder.segment_files();
        let named = match self.named_segments() {
            Ok(named) => named,
            Err(error) => return log::debug!("old index files are removed later: {error}"),
        };
        for file in files {
            let is_old = file.age_s.is_none_or(|age| age >= UNPUBLISHED_KEPT_S);
            if named.is_dead_file(&file.name).unwrap_or(is_old) {
                let _ = files::remove(&self.folder.path().join(&file.name));
            }
        }
    }

    /// Reads the segments that the database refers to.
    pub fn named_segments(&self) -> Result<NamedSegments> {
        self.read(|connection| {
            let mut libraries =
                connection.prepare_cached("SELECT id, segment, segment_seq FROM libraries WHERE identity > 0")?;
            let listings = libraries.query_map([], |row| {
                Ok((row.get(0)?, (listing_name(&row.get::<_, String>(1)?), row.get(2)?)))
            })?;
            Ok(NamedSegments {
                listings: listings.collect::<rusqlite::Result<_>>()?,
                records: manifest(connection)?.segments.iter().map(|one| one.name).collect(),
                sequence: sequence_of(connection)?,
            })
        })
    }
}
