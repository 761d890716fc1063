//! What hosts tell the index, and what keeps it small and quick: matches recorded and distrusted, warm files made and
//! folded, dead rows swept.

use std::collections::HashSet;
use std::time::Instant;

use super::library::Resolved;
use super::{Library, Shared, lock};
use crate::error::{Error, Result, Status, room};
use crate::matching::normal::normal_form;
use crate::matching::{Mappings, Scope, View, climb};
use crate::model::Rung;
use crate::stats::Spent;
use crate::store::{Folder, LibraryRow};
use crate::warm::{ImageBuilder, ImageKind, ImageMeta};

/// Changes that wait before they are folded into a warm file: what a new process reads one by one.
const FOLD: u64 = 1024;
/// Rows swept in one transaction.
const SWEEP: usize = 2_000;

impl Shared {
    /// Gives whether it was done; not when the library was cleared meanwhile, and has to be looked for again.
    pub(super) fn record_matches(&self, identity: i64, row: &LibraryRow, pairs: &[(&[u8], &str)]) -> Result<bool> {
        // Before anything is stored: there may be no memory for them.
        let mut paths = room(pairs.len(), "matches")?;
        let mut keys = room(pairs.len(), "matches")?;
        paths.extend(pairs.iter().map(|(path, _)| *path));
        keys.extend(pairs.iter().map(|(_, key)| *key));
        let begun = Instant::now();
        let stored = self.store.record_matches(row, pairs);
        self.counters.spent(Spent::Store, begun.elapsed());
        self.counters.spent(Spent::Away, begun.elapsed());
        match stored? {
            Some(waiting) => self.recorded(identity, row, &paths, &keys, waiting).map(|()| true),
            None => Ok(false),
        }
    }

    /// What follows once matches are stored.
    fn recorded(&self, identity: i64, row: &LibraryRow, paths: &[&[u8]], keys: &[&str], waiting: u64) -> Result<()> {
        // The host knows better than an earlier doubt, whatever its spelling.
        self.trust(identity, row, paths, keys)?;
        // The matches are in the store: what becomes of the warm file is no error of this call.
        if waiting > FOLD {
            let begun = Instant::now();
            if let Err(error) = self.fold_all(identity, row.id) {
                log::warn!(
                    "confirmed matches could not be put into a warm file; the next ones are tried again: {error}"
                );
            }
            self.counters.spent(Spent::Away, begun.elapsed());
        }
        // Whoever writes reads on: a glance of this process must not have to.
        self.catch_up()
    }

    /// Folds this library's matches, and those that keep changes for too long.
    fn fold_all(&self, identity: i64, library: i64) -> Result<()> {
        // One thread is enough; the others' changes are folded the next time.
        let Ok(_folding) = self.folding.try_lock() else {
            return Ok(());
        };
        self.store.evict_matches(self.options.matches_limit)?;
        self.fold(identity, library)?;
        for (identity, library) in self.store.lagging(4 * FOLD)? {
            self.fold(identity, library)?;
        }
        if self.source.is_none() {
            self.sweep(); // no listing comes that would
        }
        Ok(())
    }

    pub(super) fn invalidate_path(&self, library: &Library, path: &[u8]) -> Result<()> {
        self.forget_path(library, path, false)
    }

    /// `again`: an index file was found to be damaged on the way.
    fn forget_path(&self, library: &Library, path: &[u8], again: bool) -> Result<()> {
        self.catch_up()?;
        // What is not seen cannot be forgotten, and would come back.
        self.rebuild_broken()?;
        let (identity, listed, confirmed) = {
            let snapshot = self.snapshot.read();
            let (Some(identity), Resolved::Scope(scope)) = (snapshot.identity, library.resolve(&snapshot)?) else {
                return Ok(()); // nothing is known, so nothing has to be distrusted
            };
            let mut confirmed = Vec::new();
            let mut listed = Vec::new();
            for place in places(scope, snapshot.rows.len()) {
                let row = &snapshot.rows[place];
                // Of one that was never fetched only what a question found can be wrong.
                let one = Scope::One(place);
                if row.generation > 0 || climb(&snapshot.views, one, &self.mappings, path).rung != Rung::None {
                    listed.push(row.id);
                }
                snapshot.views[place].confirmed_paths(path, |exact| confirmed.push((row.id, exact.to_vec())));
            }
            if snapshot.views.iter().any(|view| view.broken()) && !again {
                drop(snapshot);
                return self.forget_path(library, path, true);
            }
            (identity, listed, confirmed)
        };
        self.store.distrust_path(identity, &listed, path, &confirmed)?;
        self.catch_up()
    }

    pub(super) fn invalidate_item(&self, library: &Library, rating_key: &str) -> Result<()> {
        self.catch_up()?;
        let (identity, libraries) = {
            let snapshot = self.snapshot.read();
            let (Some(identity), Resolved::Scope(scope)) = (snapshot.identity, library.resolve(&snapshot)?) else {
                return Ok(());
            };
            let ids: Vec<i64> = places(scope, snapshot.rows.len())
                .map(|place| snapshot.rows[place].id)
                .collect();
            (identity, ids)
        };
        self.store.distrust_item(identity, &libraries, rating_key)?;
        self.catch_up()
    }

    pub(super) fn invalidate(&self, library: Option<&Library>) -> Result<()> {
        self.catch_up()?;
        let (identity, id) = {
            let snapshot = self.snapshot.read();
            let Some(identity) = snapshot.identity else {
                return Ok(());
            };
            let id = match library {
                None => None,
                Some(library) => match library.resolve(&snapshot)? {
                    Resolved::Scope(Scope::All) => None,
                    Resolved::Scope(Scope::One(place)) => Some(snapshot.rows[place].id),
                    Resolved::Unknown => return Ok(()),
                },
            };
            (identity, id)
        };
        self.store.invalidate_libraries(identity, id)?;
        match library {
            Some(library) if id.is_some() => log::info!("library '{}' was invalidated", library.selector().name()),
            _ => log::info!("all libraries were invalidated"),
        }
        self.catch_up()
    }

    /// What these paths and items are was confirmed: nothing about them is distrusted any more.
    pub(super) fn trust(&self, identity: i64, row: &LibraryRow, paths: &[&[u8]], keys: &[&str]) -> Result<()> {
        let suspects = self.store.suspects(row.id)?;
        if suspects.is_empty() {
            return Ok(());
        }
        let forms: HashSet<Vec<u8>> = paths.iter().map(|path| normal_form(path)).collect();
        for (path, rating_key) in suspects {
            let confirmed = if path.is_empty() {
                keys.contains(&rating_key.as_str())
            } else {
                forms.contains(&normal_form(&path))
            };
            if confirmed {
                self.store.trust(identity, row.id, &path, &rating_key)?;
            }
        }
        Ok(())
    }

    /// Makes the warm file of a generation; gives its name, and the change sequence up to which it is true.
    pub(super) fn build_image(&self, row: &LibraryRow, generation: u64) -> Result<(String, u64)> {
        let sequence = self.store.totals()?.sequence;
        let name = Folder::warm_name("l", row.id, generation, sequence);
        self.build_image_as(&name, row, generation, sequence)?;
        Ok((name, sequence))
    }

    fn build_image_as(&self, name: &str, row: &LibraryRow, generation: u64, sequence: u64) -> Result<()> {
        let begun = Instant::now();
        let builder = self.listing_builder(row, generation, sequence)?;
        self.counters.spent(Spent::Warm, begun.elapsed());
        self.write_image(builder, name, row)
    }

    /// What makes the index file of a stored generation.
    pub(super) fn listing_builder(&self, row: &LibraryRow, generation: u64, sequence: u64) -> Result<ImageBuilder> {
        let mut builder = self.image_builder(row, generation, sequence);
        if row.is_the_host_s() {
            self.host_items(row)?.iter().for_each(|item| builder.push(item));
        } else {
            self.store.for_each_item(row.id, generation, &mut |item, came| {
                builder.push_single(&item, came);
                Ok(())
            })?;
        }
        Ok(builder)
    }

    /// What makes the warm file of a generation, as it stands at a change sequence.
    pub(super) fn image_builder(&self, row: &LibraryRow, generation: u64, sequence: u64) -> ImageBuilder {
        ImageBuilder::new(ImageMeta {
            kind: ImageKind::Listing,
            library: row.library.uuid.clone(),
            generation,
            sequence,
            mappings: self.mappings.clone(),
        })
    }

    /// Writes a warm file under this name.
    pub(super) fn write_image(&self, builder: ImageBuilder, name: &str, row: &LibraryRow) -> Result<()> {
        let begun = Instant::now();
        let path = self.store.folder().warm(name, self.mappings.digest());
        let info = builder.finish(&path, self.store.seal(name))?;
        self.counters.spent(Spent::Warm, begun.elapsed());
        log::debug!(
            "warm file of '{}': {} items, {} bytes",
            row.library.title,
            info.items,
            info.bytes
        );
        Ok(())
    }

    /// What makes the index file of a library's confirmed matches, and the change sequence up to which it knows them.
    pub(super) fn matches_builder(&self, row: &LibraryRow, sequence: u64) -> Result<(ImageBuilder, u64)> {
        let mut builder = ImageBuilder::new(ImageMeta {
            kind: ImageKind::Matches,
            library: row.library.uuid.clone(),
            generation: row.generation,
            sequence,
            mappings: Mappings::default(),
        });
        // The sequence of the very read: what is committed later is not in the file.
        let upto = self.store.for_each_match(row.id, &mut |path, rating_key, sequence| {
            builder.push_match(path, rating_key, sequence);
        })?;
        Ok((builder, upto))
    }

    /// Puts the confirmed matches of a library into a new warm file, so that new processes need not read them one by one.
    pub(super) fn fold(&self, identity: i64, library: i64) -> Result<()> {
        let begun = Instant::now();
        let row = self.store.library_row(library)?;
        let before = self.store.totals()?.sequence;
        let (builder, folded) = self.matches_builder(&row, before)?;
        let name = Folder::warm_name("m", library, row.generation, folded);
        let path = self.store.folder().warm(&name, Mappings::default().digest());
        builder.finish(&path, self.store.seal(&name))?;
        self.store.folded(identity, library, row.epoch, &name, folded)?;
        self.store.folder().sweep_replaced("m", library, folded);
        self.counters.spent(Spent::Warm, begun.elapsed());
        self.sweep_warm();
        Ok(())
    }

    /// Makes the index files anew that are missing or damaged.
    pub(super) fn rebuild_broken(&self) -> Result<()> {
        // What another thread has made meanwhile is not lost any more.
        let _making = lock(&self.in_memory.making);
        self.in_memory.prune(&self.snapshot.read().rows);
        let Lost { identity, files } = self.lost();
        let Some(identity) = identity.filter(|_| !files.is_empty()) else {
            if self.in_memory.is_due(self.now_ms()) {
                self.in_memory.tried(self.now_ms());
            }
            return Ok(());
        };
        for (kind, row) in &files {
            self.remake(identity, *kind, row)?;
        }
        self.in_memory.tried(self.now_ms());
        self.reload()
    }

    /// Makes an index file anew, and sees that it can be opened.
    pub(super) fn make_file(&self, identity: i64, kind: ImageKind, row: &LibraryRow) -> Result<()> {
        if self.in_memory.of(kind, row).is_none() {
            log::warn!(
                "an index file of '{}' is missing or damaged; it is made anew",
                row.library.title
            );
        }
        match kind {
            // Of the change that names it, other processes hear.
            ImageKind::Matches => self.fold(identity, row.id),
            ImageKind::Listing if row.image.is_empty() => {
                let (name, sequence) = self.build_image(row, row.generation)?;
                self.store.set_image(identity, row.id, row.generation, &name, sequence)
            }
            ImageKind::Listing => {
                // Under the name that the database has: other processes may have a good one of it, made under other
                // mappings. Later changes lie on it once more, which changes nothing.
                self.build_image_as(&row.image, row, row.generation, row.image_sequence)?;
                self.open_index_file(kind, row).map(|_| ()).ok_or_else(|| {
                    Error::new(
                        Status::Store,
                        format!("the index file of '{}' cannot be opened", row.library.title),
                    )
                })
            }
        }
    }

    /// Sweeps dead rows, a slice at a time, and files that nobody needs.
    pub(super) fn sweep(&self) {
        for _ in 0..50 {
            match self.store.sweep(SWEEP) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    log::warn!("dead rows could not be swept: {error}");
                    break;
                }
            }
        }
        self.sweep_warm();
    }

    pub(super) fn sweep_warm(&self) {
        if let Ok(names) = self.store.warm_names() {
            self.store
                .folder()
                .sweep_warm(&|name| names.iter().any(|kept| kept == name));
        }
    }
}

/// Index files of a snapshot that are missing or damaged.
pub(super) struct Lost {
    pub identity: Option<i64>,
    pub files: Vec<(ImageKind, LibraryRow)>,
}

/// The libraries that a scope means.
pub(super) fn places(scope: Scope, count: usize) -> std::ops::Range<usize> {
    match scope {
        Scope::One(place) => place..place + 1,
        Scope::All => 0..count,
    }
}
