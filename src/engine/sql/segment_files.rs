//! The files of segments: names them, and sweeps those that the database does not refer to.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::cached::CachedStatements;
use super::folder::{NAME, StoreFolder};
use super::ids::{listing_text, segment_text};
use super::record_log::manifest;
use super::sweeping::Sweeper;
use crate::error::Result;
use crate::model::{Generation, LibraryId, ListingName, SegmentName, Sequence};
use crate::platform::files;

/// The suffix of file names of segments.
const SUFFIX: &str = ".segment";

/// Age at which a segment that the database does not refer to is removed. Until then a process may publish it, or open
/// it because it has just read its name.
const UNNAMED_KEPT_S: u64 = 60;
/// Age at which a temporary file is removed: it may be written slowly.
const TEMPORARY_KEPT_S: u64 = 600;

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

    /// Makes the file of a segment that is being replaced new, so that it is not swept for a minute.
    pub fn touch(path: &Path) {
        // Without its file, a reader that has just read its name reads the state again.
        let _ = files::existing(path).and_then(|file| file.set_modified(SystemTime::now()));
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

/// The name of the segment that a file is, or of which it is the index.
fn name_of(file: &str) -> Option<&str> {
    file.strip_suffix(".index").unwrap_or(file).strip_suffix(SUFFIX)
}

/// A file in the folder. `age_s`: seconds since its last change; `None` if that is unknown or in the future.
struct SegmentFile {
    name: String,
    age_s: Option<u64>,
}

/// The segments that the database refers to, at one moment.
pub struct NamedSegments(HashSet<String>);

impl NamedSegments {
    /// Returns whether a file is a segment that the database does not refer to.
    pub fn lack(&self, file: &str) -> bool {
        let stem = name_of(file).and_then(|name| name.rsplit_once('-'));
        stem.is_some_and(|(stem, _)| !self.0.contains(stem))
    }
}

impl Sweeper<'_> {
    /// Removes old segments that the database does not refer to, and temporary files that a kill left. Processes that
    /// have one mapped can still read it.
    pub fn sweep_segments(&self) {
        // List the folder first: the database may refer to a file that appears later.
        let files = self.0.folder.segment_files();
        let named = match self.named_segments() {
            Ok(named) => named,
            Err(error) => return log::debug!("will remove old segment files later: {error}"),
        };
        for file in files {
            let is_temporary = file.name.contains(".new");
            let kept_s = if is_temporary { TEMPORARY_KEPT_S } else { UNNAMED_KEPT_S };
            if (is_temporary || named.lack(&file.name)) && file.age_s.is_none_or(|age| age >= kept_s) {
                let _ = files::remove(&self.0.folder.path().join(&file.name));
            }
        }
    }

    /// Removes the segments of listings that were evicted or cleared, whatever their age.
    pub fn remove_segments_of(&self, libraries: &[LibraryId]) {
        let own: Vec<String> = libraries.iter().map(|library| format!("{NAME}-l{library}-")).collect();
        for file in self.0.folder.segment_files() {
            if own.iter().any(|own| file.name.starts_with(own)) && name_of(&file.name).is_some() {
                let _ = files::remove(&self.0.folder.path().join(&file.name));
            }
        }
    }

    /// Reads the segments that the database refers to.
    pub fn named_segments(&self) -> Result<NamedSegments> {
        self.0.read(|connection| {
            let listings = "SELECT segment FROM libraries WHERE identity > 0";
            let mut named: HashSet<String> = connection.rows(listings, [], |row| row.get(0))?.into_iter().collect();
            named.extend(manifest(connection)?.segments.iter().map(|one| segment_text(&one.name)));
            Ok(NamedSegments(named))
        })
    }
}
