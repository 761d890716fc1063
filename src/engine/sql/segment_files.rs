//! The files of segments: their names, and which of them go.

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

/// How old a file that may be about to be announced must be before it is removed.
const YOUNG_S: u64 = 600;

impl StoreFolder {
    /// The segment with this name, as the database has it, made under these mappings: hosts with other rules make
    /// their own from the same rows.
    pub fn listing_segment(&self, name: &ListingName, mappings: u64) -> PathBuf {
        self.path().join(format!("{}-{mappings:x}{SUFFIX}", listing_text(name)))
    }

    /// A name for a segment: of what it is made and when, so that no two contents ever share one.
    pub fn new_listing_name(library: LibraryId, generation: Generation, sequence: Sequence) -> ListingName {
        ListingName {
            library,
            generation: Generation(generation.0.max(0)),
            sequence,
            number: u32::from_le_bytes(files::random().unwrap_or_default()),
        }
    }

    /// The path of a segment of records, which depends on no mappings.
    pub fn segment(&self, name: &SegmentName) -> PathBuf {
        self.path().join(format!("{}-0{SUFFIX}", segment_text(name)))
    }

    /// A name for a segment that this write makes.
    pub fn new_segment_name(sequence: Sequence) -> SegmentName {
        SegmentName {
            sequence,
            number: u32::from_le_bytes(files::random().unwrap_or_default()),
        }
    }

    /// The files that hold segments, and what a kill left of these and of other files.
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

/// A file of the folder: its name, and how many seconds ago it was changed; `None`: that is not known, or in the future.
struct SegmentFile {
    name: String,
    age_s: Option<u64>,
}

/// The segments that the database names, at one moment.
#[derive(Default)]
struct NamedSegments {
    /// The listing segment of each library, and the lowest change sequence of a later one.
    listings: HashMap<LibraryId, (Option<ListingName>, Sequence)>,
    records: HashSet<SegmentName>,
    sequence: Sequence,
}

impl NamedSegments {
    /// Returns whether no process needs a segment any more, nor will; `None`: it may be about to be named.
    fn is_dead(&self, name: &str) -> Option<bool> {
        if let Some(name) = listing_name(name) {
            // Numbers of libraries are never used again, and a library is stored before a segment of it is made.
            let Some((named, upto)) = self.listings.get(&name.library) else {
                return Some(true);
            };
            // `set_segment` and `finish_listing` name none that is behind what was named before.
            return if named.as_ref() == Some(&name) {
                Some(false)
            } else {
                (name.sequence < *upto).then_some(true)
            };
        }
        let name = segment_name(name)?;
        // A segment of records gets its name within the write that the name says.
        if self.records.contains(&name) {
            Some(false)
        } else {
            (name.sequence <= self.sequence).then_some(true)
        }
    }
}

impl Store {
    /// Removes the files of segments that no process needs, and what a kill left. Processes that have one mapped keep it.
    ///
    /// The files are listed before the names are read: a file that is not named by then goes at once, unless it may be about to
    /// be named. Such a one goes when it is old.
    pub fn sweep_segments(&self) {
        let files = self.folder.segment_files();
        let named = match self.named_segments() {
            Ok(named) => named,
            Err(error) => return log::debug!("old index files are removed later: {error}"),
        };
        for file in files {
            let stem = file.name.strip_suffix(SUFFIX).and_then(|name| name.rsplit_once('-'));
            let is_old = file.age_s.is_none_or(|age| age >= YOUNG_S);
            if stem.and_then(|(stem, _)| named.is_dead(stem)).unwrap_or(is_old) {
                let _ = files::remove(&self.folder.path().join(&file.name));
            }
        }
    }

    fn named_segments(&self) -> Result<NamedSegments> {
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
