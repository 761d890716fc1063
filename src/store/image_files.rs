//! The files of images: their names, and which of them go.

use std::fs;
use std::path::PathBuf;

use super::folder::{Folder, NAME};
use super::ids::{image_name, image_text};
use crate::model::{Generation, ImageKind, ImageName, LibraryId, Sequence};
use crate::platform::files;

/// What the names of images end in.
const IMAGE: &str = ".image";

/// How old an image that no library names must be before it is removed.
const YOUNG_S: u64 = 600;
/// After how many seconds no process is about to open a file that was replaced.
const REPLACED_S: u64 = 2;

impl Folder {
    /// The image with this name, as the database has it, made under these mappings: hosts with other rules make
    /// their own from the same rows.
    pub fn image(&self, name: &ImageName, mappings: u64) -> PathBuf {
        self.path().join(format!("{}-{mappings:x}{IMAGE}", image_text(name)))
    }

    /// A name for an image: of what it is made and when, so that no two contents ever share one.
    pub fn image_name(kind: ImageKind, library: LibraryId, generation: Generation, sequence: Sequence) -> ImageName {
        ImageName {
            kind,
            library,
            generation,
            sequence,
            number: u32::from_le_bytes(files::random().unwrap_or_default()),
        }
    }

    /// Removes images that are not among those to be kept: those of older generations, and what a kill left of these and
    /// other files. Processes that still have one mapped keep it until they let go.
    pub fn sweep_images(&self, keep: &[ImageName]) {
        let Ok(entries) = fs::read_dir(self.path()) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let ours = name.starts_with(NAME) && (name.contains(IMAGE) || name.contains(".new"));
            // A young file may be one that another process is about to announce; one that a kill left grows old.
            let young = entry
                .metadata()
                .and_then(|facts| facts.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() < YOUNG_S));
            let stem = name.rsplit_once('-').map_or("", |(stem, _)| stem);
            let is_kept = || image_name(stem).is_some_and(|name| keep.contains(&name));
            if ours && !young && !is_kept() {
                let _ = files::remove(&entry.path());
            }
        }
    }

    /// Removes images of the same kind and library that this one replaced: a host that records much makes many. Those of
    /// the last seconds stay, for who has just read their names; who comes later finds none, and makes it anew.
    pub fn sweep_replaced(&self, by: &ImageName) {
        let Ok(entries) = fs::read_dir(self.path()) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let stem = name.strip_suffix(IMAGE).and_then(|name| name.rsplit_once('-'));
            let is_replaced = stem
                .and_then(|(stem, _)| image_name(stem))
                .is_some_and(|name| (name.kind, name.library) == (by.kind, by.library) && name.sequence < by.sequence);
            let is_old = || {
                let changed = entry.metadata().and_then(|facts| facts.modified());
                changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() >= REPLACED_S))
            };
            if is_replaced && is_old() {
                let _ = files::remove(&entry.path());
            }
        }
    }
}
