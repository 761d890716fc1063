//! What hosts tell the index, and what keeps it small and quick: matches recorded and invalidated, images made and
//! compacted, dead rows swept.

use std::collections::HashSet;
use std::time::Instant;

use super::library::{PERSISTENCE, Resolved, Selector};
use super::{Library, Shared, lock};
use crate::error::{Error, Result, Status, room};
use crate::image::{ImageBuilder, ImageKind, ImageMeta};
use crate::matching::normal::normal_form;
use crate::matching::{Mappings, Scope, View, climb};
use crate::model::Rung;
use crate::stats::Spent;
use crate::store::{Folder, LibraryRow};

/// Changes that wait before they are compacted into an image: what a new process reads one by one.
const COMPACT_AFTER: u64 = 1024;
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
        self.verified(identity, row, paths, keys)?;
        // The matches are in the store: what becomes of the image is no error of this call.
        if waiting > COMPACT_AFTER {
            let begun = Instant::now();
            if let Err(error) = self.compact_all(identity, row.id) {
                log::warn!("confirmed matches could not be put into an image; the next ones are tried again: {error}");
            }
            self.counters.spent(Spent::Away, begun.elapsed());
        }
        // Whoever writes reads on: a fast lookup of this process must not have to.
        self.catch_up()
    }

    /// Folds this library's matches, and those that keep changes for too long.
    fn compact_all(&self, identity: i64, library: i64) -> Result<()> {
        // One thread is enough; the others' changes are compacted the next time.
        let Ok(_compacting) = self.compacting.try_lock() else {
            return Ok(());
        };
        self.store.evict_matches(self.options.matches_limit)?;
        self.compact(identity, library)?;
        for (identity, library) in self.store.lagging(4 * COMPACT_AFTER)? {
            self.compact(identity, library)?;
        }
        if self.source.is_none() {
            self.sweep(); // no listing comes that would
        }
        Ok(())
    }

    /// Tells the store something, until it concerns what answers: what is cleared, or gets its name, in between lives under
    /// other numbers. `tell` gives the identity and the libraries that it told of; `None` when there is nothing to tell.
    pub(super) fn insist(&self, mut tell: impl FnMut() -> Result<Option<(i64, Vec<i64>)>>) -> Result<()> {
        for _ in 0..PERSISTENCE {
            self.catch_up()?;
            let Some((identity, libraries)) = tell()? else {
                return Ok(());
            };
            self.catch_up()?;
            let snapshot = self.snapshot.read();
            let lives = |id: &i64| snapshot.rows.iter().any(|row| row.id == *id);
            if snapshot.identity == Some(identity) && libraries.iter().all(lives) {
                return Ok(());
            }
        }
        Err(Error::new(
            Status::Store,
            "what this concerns is cleared again and again: try again later",
        ))
    }

    pub(super) fn invalidate_path(&self, library: &Library, path: &[u8]) -> Result<()> {
        self.insist(|| self.forget_path(library, path, false))
    }

    /// `again`: an image was found to be damaged on the way.
    fn forget_path(&self, library: &Library, path: &[u8], again: bool) -> Result<Option<(i64, Vec<i64>)>> {
        // What is not seen cannot be forgotten, and would come back.
        self.rebuild_broken()?;
        let (identity, ids, listed, confirmed) = {
            let snapshot = self.snapshot.read();
            let (Some(identity), Resolved::Scope(scope)) = (snapshot.identity, library.resolve(&snapshot)?) else {
                return Ok(None); // nothing is known, so nothing has to be invalidated
            };
            let mut confirmed = Vec::new();
            let mut listed = Vec::new();
            for place in places(scope, snapshot.rows.len()) {
                let row = &snapshot.rows[place];
                // Of one that was never fetched only what a query found can be wrong.
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
            (identity, ids_of(&snapshot.rows, scope), listed, confirmed)
        };
        self.store.invalidate_path(identity, &listed, path, &confirmed)?;
        Ok(Some((identity, ids)))
    }

    pub(super) fn invalidate_item(&self, library: &Library, rating_key: &str) -> Result<()> {
        self.insist(|| {
            let Some((identity, ids)) = self.meant(library)? else {
                return Ok(None);
            };
            self.store.invalidate_item(identity, &ids, rating_key)?;
            Ok(Some((identity, ids)))
        })
    }

    pub(super) fn invalidate(&self, library: Option<&Library>) -> Result<()> {
        let one = library.filter(|library| *library.selector() != Selector::All);
        self.insist(|| {
            let Some(library) = one else {
                let Some(identity) = self.snapshot.read().identity else {
                    return Ok(None);
                };
                self.store.invalidate_libraries(identity, None)?;
                return Ok(Some((identity, Vec::new())));
            };
            let Some((identity, ids)) = self.meant(library)? else {
                return Ok(None);
            };
            for id in &ids {
                self.store.invalidate_libraries(identity, Some(*id))?;
            }
            Ok(Some((identity, ids)))
        })?;
        match one {
            Some(library) => log::info!("library '{}' was invalidated", library.selector().name()),
            None => log::info!("all libraries were invalidated"),
        }
        Ok(())
    }

    /// The identity and the numbers of what a library means now; `None` where nothing is known of it.
    fn meant(&self, library: &Library) -> Result<Option<(i64, Vec<i64>)>> {
        let snapshot = self.snapshot.read();
        let (Some(identity), Resolved::Scope(scope)) = (snapshot.identity, library.resolve(&snapshot)?) else {
            return Ok(None);
        };
        Ok(Some((identity, ids_of(&snapshot.rows, scope))))
    }

    /// What these paths and items are was confirmed: nothing about them is invalidated any more.
    pub(super) fn verified(&self, identity: i64, row: &LibraryRow, paths: &[&[u8]], keys: &[&str]) -> Result<()> {
        let unverified = self.store.unverified(row.id)?;
        if unverified.is_empty() {
            return Ok(());
        }
        let forms: HashSet<Vec<u8>> = paths.iter().map(|path| normal_form(path)).collect();
        for (path, rating_key) in unverified {
            let confirmed = if path.is_empty() {
                keys.contains(&rating_key.as_str())
            } else {
                forms.contains(&normal_form(&path))
            };
            if confirmed {
                self.store.verified(identity, row.id, &path, &rating_key)?;
            }
        }
        Ok(())
    }

    /// Makes the image of a generation; gives its name, and the change sequence up to which it is true.
    pub(super) fn build_image(&self, row: &LibraryRow, generation: u64) -> Result<(String, u64)> {
        let sequence = self.store.totals()?.sequence;
        let name = Folder::image_name("l", row.id, generation, sequence);
        self.build_image_as(&name, row, generation, sequence)?;
        Ok((name, sequence))
    }

    fn build_image_as(&self, name: &str, row: &LibraryRow, generation: u64, sequence: u64) -> Result<()> {
        let begun = Instant::now();
        let builder = self.listing_builder(row, generation, sequence)?;
        self.counters.spent(Spent::Image, begun.elapsed());
        self.write_image(builder, name, row)
    }

    /// What makes the image of a stored generation.
    pub(super) fn listing_builder(&self, row: &LibraryRow, generation: u64, sequence: u64) -> Result<ImageBuilder> {
        ImageBuilder::expect(row.items)?;
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

    /// What makes the image of a generation, as it stands at a change sequence.
    pub(super) fn image_builder(&self, row: &LibraryRow, generation: u64, sequence: u64) -> ImageBuilder {
        ImageBuilder::new(ImageMeta {
            kind: ImageKind::Listing,
            library: row.library.uuid.clone(),
            generation,
            sequence,
            mappings: self.mappings.clone(),
        })
    }

    /// Writes an image under this name.
    pub(super) fn write_image(&self, builder: ImageBuilder, name: &str, row: &LibraryRow) -> Result<()> {
        let begun = Instant::now();
        let path = self.store.folder().image(name, self.mappings.digest());
        let info = builder.finish(&path, self.store.seal(name))?;
        self.counters.spent(Spent::Image, begun.elapsed());
        log::debug!(
            "image of '{}': {} items, {} bytes",
            row.library.title,
            info.items,
            info.bytes
        );
        Ok(())
    }

    /// What makes the image of a library's confirmed matches, and the change sequence up to which it knows them.
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

    /// Puts the confirmed matches of a library into a new image, so that new processes need not read them one by one.
    pub(super) fn compact(&self, identity: i64, library: i64) -> Result<()> {
        let begun = Instant::now();
        let row = self.store.library_row(library)?;
        let before = self.store.totals()?.sequence;
        let (builder, compacted) = self.matches_builder(&row, before)?;
        let name = Folder::image_name("m", library, row.generation, compacted);
        let path = self.store.folder().image(&name, Mappings::default().digest());
        builder.finish(&path, self.store.seal(&name))?;
        self.store.compacted(identity, library, row.epoch, &name, compacted)?;
        self.store.folder().sweep_replaced("m", library, compacted);
        self.counters.spent(Spent::Image, begun.elapsed());
        self.sweep_images();
        Ok(())
    }

    /// Makes the images anew that are missing or damaged.
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

    /// Makes an image anew, and sees that it can be opened.
    pub(super) fn make_file(&self, identity: i64, kind: ImageKind, row: &LibraryRow) -> Result<()> {
        if self.in_memory.of(kind, row).is_none() {
            log::warn!(
                "an image of '{}' is missing or damaged; it is made anew",
                row.library.title
            );
        }
        match kind {
            // Of the change that names it, other processes hear.
            ImageKind::Matches => self.compact(identity, row.id),
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
                        format!("the image of '{}' cannot be opened", row.library.title),
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
        self.sweep_images();
    }

    pub(super) fn sweep_images(&self) {
        if let Ok(names) = self.store.image_names() {
            self.store
                .folder()
                .sweep_images(&|name| names.iter().any(|kept| kept == name));
        }
    }
}

/// Images of a snapshot that are missing or damaged.
pub(super) struct Lost {
    pub identity: Option<i64>,
    pub files: Vec<(ImageKind, LibraryRow)>,
}

/// The numbers of the libraries that a scope means.
fn ids_of(rows: &[LibraryRow], scope: Scope) -> Vec<i64> {
    places(scope, rows.len()).map(|place| rows[place].id).collect()
}

/// The libraries that a scope means.
pub(super) fn places(scope: Scope, count: usize) -> std::ops::Range<usize> {
    match scope {
        Scope::One(place) => place..place + 1,
        Scope::All => 0..count,
    }
}
