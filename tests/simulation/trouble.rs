//! What happens to a folder while hosts use it.

use super::*;
use crate::model::Hosts;
use crate::net::copy_folder;

/// A copy of the folder, and what a store of that time holds.
pub struct Kept {
    folder: PathBuf,
    hosts: Hosts,
}

impl World {
    /// A copy of the folder is made, or takes the folder's place while hosts have that open, as when a backup is put back.
    /// Those who have it open only read afterwards: they answer from what has the name.
    pub(super) fn backup(&mut self) -> Result<(), String> {
        self.empty();
        self.opened += 1;
        let Some(kept) = self.kept.take() else {
            let folder = self.place.path().join(format!("copy {}", self.opened));
            copy_folder(&self.folder, &folder);
            self.say("the folder is copied");
            self.kept = Some(Kept {
                folder,
                hosts: self.model.hosts(),
            });
            return Ok(());
        };
        self.say("the copy takes the folder's place");
        self.count("copies put back");
        // One step: what this makes a host do has no time of its own.
        let aside = self.place.path().join(format!("aside {}", self.opened));
        std::fs::rename(&self.folder, aside).expect("renamed");
        std::fs::rename(kept.folder, &self.folder).expect("renamed");
        self.model.put_back(kept.hosts);
        // Lookups notice within half a second.
        freeze_coarse_clock(600);
        // Fast lookups first: what reads the database finds out by that.
        for (at, number) in (0..self.handles.len()).flat_map(|at| (0..12).map(move |number| (at, number))) {
            self.agree(at, None, &host_path(number))?;
        }
        Ok(())
    }

    /// The folder goes at some moment of a handle's opening. That may fail; the next one does not.
    pub(super) fn gone_while_opening(&mut self) -> Result<(), String> {
        self.empty();
        let who = self.any_who();
        let after = self.word(3, 10) as u64;
        self.say(&format!("the folder goes at point {after} of an opening by {who:?}"));
        // So that it is made anew.
        let pages = std::fs::read_dir(&self.folder).expect("the folder").flatten();
        for page in pages.filter(|entry| entry.file_name().to_string_lossy().ends_with(".page")) {
            let _ = std::fs::remove_file(page.path());
        }
        disk::remove_after(after, &self.folder);
        let opened = self.try_open(who, false);
        let in_time = disk::remove_now();
        self.count(if in_time {
            "folders gone while a handle opens"
        } else {
            "folders gone behind an opening"
        });
        self.model.lose_records();
        freeze_coarse_clock(600);
        match opened {
            Ok(handle) => self.handles.push(handle),
            Err(error) if is_of_the_disk(error.status) => self.say("it cannot be opened"),
            Err(error) => return Err(format!("a folder that goes: {:?}: {error}", error.status)),
        }
        self.open(who, false)?;
        disk::take_log();
        Ok(())
    }
}
