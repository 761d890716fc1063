//! The files of images: their names, and which of them go.

use std::fs;
use std::path::PathBuf;

use super::folder::{Folder, NAME};
use crate::platform::files;

/// What the names of images end in.
const IMAGE: &str = ".image";

/// How old an image that nobody names must be before it is removed.
const YOUNG_S: u64 = 600;
/// After how many seconds nobody is about to open a file that was replaced.
const REPLACED_S: u64 = 2;

impl Folder {
    /// The image with this name, as the database has it, made under these mappings: hosts with other rules make
    /// their own from the same rows.
    pub fn image(&self, name: &str, mappings: u64) -> PathBuf {
        self.path().join(format!("{name}-{mappings:x}{IMAGE}"))
    }

    /// A name for an image: of what it is made and when, so that no two contents ever share one.
    pub fn image_name(what: &str, library: i64, generation: u64, sequence: u64) -> String {
        // Numbers repeat after a power cut; a random one does not.
        let random = u32::from_le_bytes(files::random().unwrap_or_default());
        format!("{NAME}-{what}{library}-{generation}-{sequence}-{random:x}")
    }

    /// Removes images whose name, as the database has it, `keep` does not know: those of older generations, and what
    /// a kill left of these and other files. Processes that still have one mapped keep it until they let go.
    pub fn sweep_images(&self, keep: &dyn Fn(&str) -> bool) {
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
            if ours && !young && !keep(stem) {
                let _ = files::remove(&entry.path());
            }
        }
    }

    /// Removes images of a kind and library that another one replaced, which is true up to `sequence`: a host that
    /// records much makes many. Those of the last seconds stay, for who has just read their names; who comes later
    /// finds none, and makes it anew.
    pub fn sweep_replaced(&self, what: &str, library: i64, sequence: u64) {
        let Ok(entries) = fs::read_dir(self.path()) else {
            return;
        };
        let begin = format!("{NAME}-{what}{library}-");
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let upto = name
                .strip_prefix(&begin)
                .and_then(|rest| rest.split('-').nth(1)?.parse::<u64>().ok());
            let old = || {
                let changed = entry.metadata().and_then(|facts| facts.modified());
                changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() >= REPLACED_S))
            };
            if upto.is_some_and(|upto| upto < sequence) && name.ends_with(IMAGE) && old() {
                let _ = files::remove(&entry.path());
            }
        }
    }
}
