//! The files of images: their names, and which of them go.

use std::fs;
use std::path::PathBuf;

use super::folder::{Folder, NAME};
use super::ids::{image_name, image_text, table_image, table_image_text};
use crate::model::{Generation, ImageKind, ImageName, LibraryId, Sequence, TableId, TableImage};
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

    /// The image of a table. Its names are the host's: no mappings are in it.
    pub fn table_image(&self, name: &TableImage) -> PathBuf {
        self.path().join(format!("{}-0{IMAGE}", table_image_text(name)))
    }

    /// A name for an image of a table, as [`Folder::image_name`].
    pub fn table_image_name(table: TableId, sequence: Sequence) -> TableImage {
        TableImage {
            table,
            sequence,
            number: u32::from_le_bytes(files::random().unwrap_or_default()),
        }
    }

    /// Removes images that are not among those to be kept: those of older generations, and what a kill left of these and
    /// other files. Processes that still have one mapped keep it until they let go.
    pub fn sweep_images(&self, keep: &[String]) {
        self.remove_files(|name, age_s| {
            let ours = name.starts_with(NAME) && (name.contains(IMAGE) || name.contains(".new"));
            // A young file may be one that another process is about to announce; one that a kill left grows old.
            let young = age_s.is_some_and(|age| age < YOUNG_S);
            let stem = name.rsplit_once('-').map_or("", |(stem, _)| stem);
            ours && !young && keep.iter().all(|name| name != stem)
        });
    }

    /// Removes images of the same kind and library that this one replaced: a host that records much makes many. Those of
    /// the last seconds stay: another process may just have read their names. One that comes later makes them anew.
    pub fn sweep_replaced(&self, by: &ImageName) {
        self.sweep_those(&|stem| {
            image_name(stem)
                .is_some_and(|name| (name.kind, name.library) == (by.kind, by.library) && name.sequence < by.sequence)
        });
    }

    /// The same for the images of a table.
    pub fn sweep_replaced_table(&self, by: &TableImage) {
        self.sweep_those(&|stem| {
            table_image(stem).is_some_and(|name| name.table == by.table && name.sequence < by.sequence)
        });
    }

    fn sweep_those(&self, replaced: &dyn Fn(&str) -> bool) {
        self.remove_files(|name, age_s| {
            let stem = name.strip_suffix(IMAGE).and_then(|name| name.rsplit_once('-'));
            stem.is_some_and(|(stem, _)| replaced(stem)) && age_s.is_some_and(|age| age >= REPLACED_S)
        });
    }

    /// Removes the files of which `dead` says so, by the name and by how many seconds ago it was changed; `None`: that is not
    /// known, or in the future.
    fn remove_files(&self, dead: impl Fn(&str, Option<u64>) -> bool) {
        let Ok(entries) = fs::read_dir(self.path()) else {
            return;
        };
        for entry in entries.flatten() {
            let changed = entry.metadata().and_then(|facts| facts.modified());
            let age_s = changed.ok().and_then(|at| Some(at.elapsed().ok()?.as_secs()));
            if dead(&entry.file_name().to_string_lossy(), age_s) {
                let _ = files::remove(&entry.path());
            }
        }
    }
}
