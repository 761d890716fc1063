//! The files of images: their names, and which of them go.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

use super::folder::{Folder, NAME};
use super::ids::{image_name, image_text, segment_name, segment_text};
use super::open::Store;
use super::records::manifest;
use super::tx::sequence_of;
use crate::error::Result;
use crate::model::{Generation, LibraryId, ListingName, SegmentName, Sequence};
use crate::platform::files;

/// What the names of images end in.
const IMAGE: &str = ".image";

/// How old a file that may be about to be announced must be before it is removed.
const YOUNG_S: u64 = 600;

impl Folder {
    /// The image with this name, as the database has it, made under these mappings: hosts with other rules make
    /// their own from the same rows.
    pub fn image(&self, name: &ListingName, mappings: u64) -> PathBuf {
        self.path().join(format!("{}-{mappings:x}{IMAGE}", image_text(name)))
    }

    /// A name for an image: of what it is made and when, so that no two contents ever share one.
    pub fn image_name(library: LibraryId, generation: Generation, sequence: Sequence) -> ListingName {
        ListingName {
            library,
            generation: Generation(generation.0.max(0)),
            sequence,
            number: u32::from_le_bytes(files::random().unwrap_or_default()),
        }
    }

    /// The segment with this name. What it holds is the host's: no mappings are in it.
    pub fn segment(&self, name: &SegmentName) -> PathBuf {
        self.path().join(format!("{}-0{IMAGE}", segment_text(name)))
    }

    /// A name for a segment that this write makes.
    pub fn new_segment_name(sequence: Sequence) -> SegmentName {
        SegmentName {
            sequence,
            number: u32::from_le_bytes(files::random().unwrap_or_default()),
        }
    }

    /// The files that hold images, and what a kill left of these and of other files.
    pub fn files_of_images(&self) -> Vec<Found> {
        let Ok(entries) = fs::read_dir(self.path()) else {
            return Vec::new();
        };
        let ours = |name: &String| name.starts_with(NAME) && (name.contains(IMAGE) || name.contains(".new"));
        entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok().filter(ours)?;
                let changed = entry.metadata().and_then(|facts| facts.modified());
                Some(Found {
                    name,
                    age_s: changed.ok().and_then(|at| Some(at.elapsed().ok()?.as_secs())),
                })
            })
            .collect()
    }

    /// Removes those of these files that no process needs. Processes that have one mapped keep it until they let go.
    ///
    /// `files` were found before `named` was read. So a file that is behind what `named` says was announced before, or never
    /// will be: it goes at once. Another one may be about to be announced; a kill leaves it, and it grows old.
    pub fn sweep_images(&self, files: &[Found], named: &Named) {
        for file in files {
            let stem = file.name.strip_suffix(IMAGE).and_then(|name| name.rsplit_once('-'));
            let dead = match stem.map(|(stem, _)| (image_name(stem), segment_name(stem))) {
                Some((Some(name), _)) => named.image(&name),
                Some((_, Some(name))) => named.segment(&name),
                _ => Fate::Unknown,
            };
            let old = file.age_s.is_none_or(|age| age >= YOUNG_S);
            if dead == Fate::Dead || dead == Fate::Unknown && old {
                let _ = files::remove(&self.path().join(&file.name));
            }
        }
    }
}

/// A file of the folder: its name, and how many seconds ago it was changed; `None`: that is not known, or in the future.
pub struct Found {
    name: String,
    age_s: Option<u64>,
}

/// What becomes of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The database names it.
    Named,
    /// No process names it any more, nor will.
    Dead,
    /// It may be about to be announced.
    Unknown,
}

/// What the database says of images, at one moment.
#[derive(Default)]
pub struct Named {
    images: HashMap<LibraryId, (Option<ListingName>, Sequence)>,
    segments: HashSet<SegmentName>,
    /// The change sequence of that moment.
    sequence: Sequence,
}

impl Named {
    fn image(&self, name: &ListingName) -> Fate {
        // Numbers of libraries are never used again, and a library is stored before an image of it is made.
        let Some((named, upto)) = self.images.get(&name.library) else {
            return Fate::Dead;
        };
        // `set_image` and `finish_listing` name none that is behind what was named before.
        let behind = name.sequence < *upto;
        match named {
            Some(named) if named == name => Fate::Named,
            _ if behind => Fate::Dead,
            _ => Fate::Unknown,
        }
    }

    /// A segment gets its name within the write that the name says.
    fn segment(&self, name: &SegmentName) -> Fate {
        if self.segments.contains(name) {
            Fate::Named
        } else if name.sequence <= self.sequence {
            Fate::Dead
        } else {
            Fate::Unknown
        }
    }
}

impl Store {
    /// Removes images that no process needs: those of older generations, and what a kill left.
    pub fn sweep_images(&self) {
        let files = self.folder.files_of_images();
        match self.named_images() {
            Ok(named) => self.folder.sweep_images(&files, &named),
            Err(error) => log::debug!("old index files are removed later: {error}"),
        }
    }

    fn named_images(&self) -> Result<Named> {
        self.read(|connection| {
            let mut named = Named::default();
            let mut libraries =
                connection.prepare_cached("SELECT id, image, image_seq FROM libraries WHERE identity > 0")?;
            let mut rows = libraries.query([])?;
            while let Some(row) = rows.next()? {
                let image = image_name(&row.get::<_, String>(1)?);
                named.images.insert(row.get(0)?, (image, row.get(2)?));
            }
            named.segments = manifest(connection)?.segments.iter().map(|one| one.name).collect();
            named.sequence = sequence_of(connection)?;
            Ok(named)
        })
    }
}
