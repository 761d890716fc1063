//! What a host keeps itself: tables of values by name, each with an expiry, all within a limit. Names and values are bytes,
//! and equal themselves only; no server is asked about them, and no listing knows of them.
//!
//! A lookup reads a snapshot: for each table its image, and what was written since. The counter page tells for some loads
//! whether that is current, as for everything else; if it is not, the rows that are newer are read. Long values stay in the
//! database.

mod view;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Result, refuse};
use crate::image::{Entries, EntriesBuilder, Kept, log_unusable};
use crate::options::Ttl;
use crate::platform::clock::Clock;
use crate::platform::fork::{self, Forks, Release, Side, hold};
use crate::platform::map::MapMode;
use crate::platform::mutex::lock;
use crate::platform::swap::{Guard, Swap};
use crate::store::{Folder, Put, Store, TableOp, TableRow, TableState};
use view::{Found, Snapshot, TableView};

/// For how long no image is made after one that could not be written.
const PAUSE_MS: i64 = 60_000;
/// How often tables are read again whose images were replaced before they could be opened.
const REPLACED: u32 = 32;
/// The longest name of a table or an entry.
pub const LONGEST_NAME: usize = 1 << 20;

/// The tables of a store. Usable from any thread.
pub struct Tables {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    mode: MapMode,
    snapshot: Swap<Snapshot>,
    /// Held while a thread brings the snapshot up to date.
    catching_up: Mutex<()>,
    /// Held while a thread makes images: when the next may be made, Unix ms.
    compacting: Mutex<i64>,
}

/// How long values are kept, and how many.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// For how long they are given.
    pub ttl: Ttl,
    /// Bytes that all tables of the store may take, 64 for an entry beside its name and value.
    pub limit: u64,
}

/// A table, there or not. Usable from any thread.
pub struct Table {
    tables: Arc<Tables>,
    name: Vec<u8>,
    folds: bool,
    /// Where it was found last: the snapshot's number, and the place in it in the low 16 bits.
    place: AtomicU64,
}

/// A change of a table, for [`Tables::write`].
#[derive(Clone, Copy)]
pub enum Op<'o> {
    /// Stores a value in the place of the one of the same name.
    Put(&'o Table, &'o [u8], &'o [u8]),
    /// Removes an entry.
    Remove(&'o Table, &'o [u8]),
    /// Removes all entries of a table.
    Clear(&'o Table),
}

impl Tables {
    pub(crate) fn new(store: Arc<Store>, clock: Arc<dyn Clock>, no_mmap: bool) -> Arc<Self> {
        let mode = if no_mmap || !store.folder().shares_memory() {
            MapMode::Read
        } else {
            MapMode::Map
        };
        let tables = Arc::new(Self {
            store,
            clock,
            mode,
            snapshot: Swap::new(Snapshot::default()),
            catching_up: Mutex::new(()),
            compacting: Mutex::new(i64::MIN),
        });
        fork::watch(&tables);
        tables
    }

    /// The table of this name. With `folds` set, `A` to `Z` in names of entries count as `a` to `z`.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`] for a name of more than [`LONGEST_NAME`] bytes.
    pub fn table(self: &Arc<Self>, name: &[u8], folds: bool) -> Result<Table> {
        check_name("table", name)?;
        Ok(Table {
            tables: Arc::clone(self),
            name: name.to_vec(),
            folds,
            place: AtomicU64::new(0),
        })
    }

    /// Changes tables of this store, all or nothing, and removes others that have expired or, the oldest first, are beyond the
    /// limit. What one call wrote goes together.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; the store's.
    pub fn write(&self, ops: &[Op<'_>], terms: &Terms) -> Result<()> {
        // Lower case first: what is written refers to it.
        let folded: Vec<Option<Vec<u8>>> = ops
            .iter()
            .map(|op| match op {
                Op::Put(table, name, _) | Op::Remove(table, name) => {
                    check_name("entry", name)?;
                    Ok(table.folds.then(|| name.to_ascii_lowercase()))
                }
                Op::Clear(_) => Ok(None),
            })
            .collect::<Result<_>>()?;
        let ops: Vec<TableOp<'_>> = ops
            .iter()
            .zip(&folded)
            .map(|(op, folded)| match op {
                Op::Put(table, name, value) => TableOp::Put {
                    table: &table.name,
                    name: folded.as_deref().unwrap_or(name),
                    value,
                },
                Op::Remove(table, name) => TableOp::Remove {
                    table: &table.name,
                    name: folded.as_deref().unwrap_or(name),
                },
                Op::Clear(table) => TableOp::Clear { table: &table.name },
            })
            .collect();
        let now_ms = self.clock.now_ms();
        let due = self.store.write_tables(
            &ops,
            &Put {
                expires_ms: match terms.ttl {
                    Ttl::Never => None,
                    Ttl::AtOnce => Some(now_ms),
                    Ttl::For(time) => Some(now_ms.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))),
                },
                now_ms,
                limit: terms.limit,
            },
        )?;
        for table in &due {
            self.compact_now(table);
        }
        Ok(())
    }

    /// How many entries all tables have, expired ones that are still stored included.
    ///
    /// # Errors
    /// The store's.
    pub fn count(&self) -> Result<u64> {
        self.store.count_entries(None)
    }

    /// Removes all entries of all tables.
    ///
    /// # Errors
    /// The store's.
    pub fn clear(&self) -> Result<()> {
        self.store.clear_tables()?;
        self.store.sweep_images();
        Ok(())
    }

    /// Writes the image of a table, unless another thread is at it or the last one could not be written a moment ago. The
    /// database answers without: it costs time only.
    fn compact_now(&self, table: &TableRow) {
        let Ok(mut due_ms) = self.compacting.try_lock() else {
            return;
        };
        let now_ms = self.clock.now_ms();
        if now_ms < *due_ms {
            return;
        }
        if let Err(error) = self.compact(table) {
            log::warn!("a table has no image of what was written last: {error}");
            *due_ms = now_ms.saturating_add(PAUSE_MS);
        }
    }

    /// The same, now. The caller holds `compacting`.
    fn compact(&self, table: &TableRow) -> Result<()> {
        let mut builder = EntriesBuilder::default();
        let sequence = self
            .store
            .for_each_entry(table.id, &mut |name, kept| builder.push(name, kept))?;
        let name = Folder::table_image_name(table.id, sequence);
        let path = self.store.folder().table_image(&name);
        builder.finish(&path, self.store.table_seal(&name))?;
        self.store.table_compacted(&name)?;
        self.store.sweep_images();
        Ok(())
    }

    /// A snapshot that shows all that was committed, with what `look` gives of it; `None` when it would have to be waited for.
    /// `look` runs before it is known whether the snapshot is current, so that the memory that it asks for comes meanwhile.
    /// What it gives may hold nothing that a commit adds in place.
    #[inline]
    fn current<B>(&self, look: impl Fn(&Snapshot) -> B) -> Option<(Guard<'_, Snapshot>, B)> {
        let snapshot = self.snapshot.read();
        let seen = look(&snapshot);
        if self.store.is_current_in(snapshot.timeline, snapshot.sequence()) {
            return Some((snapshot, seen));
        }
        drop(snapshot);
        let _catching_up = self.store.short.lock(&self.catching_up)?;
        matches!(self.catch_up_locked(false), Ok(true)).then(|| {
            let snapshot = self.snapshot.read();
            let seen = look(&snapshot);
            (snapshot, seen)
        })
    }

    /// The same, waiting for what has to be waited for.
    fn caught_up(&self) -> Result<Guard<'_, Snapshot>> {
        let snapshot = self.snapshot.read();
        if self.store.is_current_in(snapshot.timeline, snapshot.sequence()) {
            return Ok(snapshot);
        }
        drop(snapshot);
        let _catching_up = lock(&self.catching_up);
        self.catch_up_locked(true)?;
        self.store.find_page();
        Ok(self.snapshot.read())
    }

    /// Reads what was written since the snapshot. `patient` unset: gives up (`false`) where it would have to wait. The caller
    /// holds `catching_up`.
    ///
    /// An image that was replaced is removed at once: one that is gone when it is opened may have a successor by then.
    fn catch_up_locked(&self, patient: bool) -> Result<bool> {
        let caught_up = self.catch_up_once(patient)?;
        for _ in 0..REPLACED {
            let snapshot = self.snapshot.read();
            let lost = snapshot.tables.iter().any(TableView::lacks_image);
            let sequence = snapshot.sequence();
            drop(snapshot);
            if !patient || !lost || self.store.totals()?.sequence == sequence {
                break;
            }
            self.catch_up_once(patient)?;
        }
        Ok(caught_up)
    }

    fn catch_up_once(&self, patient: bool) -> Result<bool> {
        let timeline = self.store.timeline();
        let before = self.snapshot.read();
        let since =
            (before.number > 0 && before.timeline == timeline).then(|| (before.sequence(), before.tables.len()));
        if since.is_none() && !patient {
            return Ok(false); // reading everything may take milliseconds
        }
        let Some(read) = self.store.tables_since(since, patient) else {
            return Ok(false);
        };
        let TableState {
            sequence,
            tables,
            written,
        } = read?;
        if let Some(rows) = tables {
            if !patient {
                return Ok(false);
            }
            let mut snapshot = Snapshot::new(before.number + 1, sequence, timeline);
            // A name of another timeline says nothing of the image.
            let known: &[TableView] = if before.timeline == timeline {
                &before.tables
            } else {
                &[]
            };
            snapshot.tables = rows.into_iter().map(|row| self.view(row, known)).collect();
            drop(before);
            for written in written {
                snapshot.apply(written);
            }
            self.snapshot.replace(snapshot);
        } else {
            for written in written {
                before.apply(written);
            }
            before.caught_up_to(sequence);
        }
        Ok(true)
    }

    /// The view of a table: its image is taken over where it is the same, and made anew where it is lost.
    fn view(&self, row: TableRow, known: &[TableView]) -> TableView {
        let known = known
            .iter()
            .find(|view| view.row.id == row.id && view.row.image == row.image);
        let image = known.and_then(TableView::whole_image).or_else(|| self.open(&row));
        let lost = image.is_none() && row.image.is_some();
        TableView::new(row, image, !lost)
    }

    fn open(&self, row: &TableRow) -> Option<Arc<Entries>> {
        let name = row.image.as_ref()?;
        let path = self.store.folder().table_image(name);
        match Entries::open(&path, self.mode, self.store.table_seal(name)) {
            Ok(image) => Some(Arc::new(image)),
            Err(error) => {
                log_unusable("an image of a table", &path, &error);
                None
            }
        }
    }
}

impl Table {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The tables that it is one of.
    #[must_use]
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// Hands the value of this name to `then`, if a fast lookup knows it: no lock, no wait, and no system call but for a look
    /// twice a second whether the store still has its names. `None` is no verdict.
    #[inline]
    pub fn lookup<R>(&self, name: &[u8], then: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let mut room = [0; 256];
        let name = if self.folds {
            let folded = room.get_mut(..name.len())?;
            folded.copy_from_slice(name);
            folded.make_ascii_lowercase();
            &*folded
        } else {
            name
        };
        let hash = xxh3_64(name);
        let (snapshot, first) = self.tables.current(|snapshot| Some(self.view(snapshot)?.first(hash)))?;
        match self.view(&snapshot)?.find(name, hash, first?) {
            Found::Entry(kept) if !self.has_expired(kept) => kept.value.map(then),
            _ => None,
        }
    }

    /// Hands the value of this name to `then` when it has at most `room` bytes: a larger one is not read. Gives its length,
    /// `None` when there is none that has not expired.
    ///
    /// # Errors
    /// The store's.
    pub fn get(&self, name: &[u8], room: usize, then: &mut dyn FnMut(&[u8])) -> Result<Option<usize>> {
        let folded = self.folds.then(|| name.to_ascii_lowercase());
        let name = folded.as_deref().unwrap_or(name);
        let snapshot = self.tables.caught_up()?;
        let Some(view) = self.view(&snapshot) else {
            return Ok(None);
        };
        let hash = xxh3_64(name);
        let lost = match view.find(name, hash, view.first(hash)) {
            Found::Nothing => return Ok(None),
            Found::Entry(kept) if self.has_expired(kept) => return Ok(None),
            Found::Entry(Kept { value: Some(value), .. }) => {
                if value.len() <= room {
                    then(value);
                }
                return Ok(Some(value.len()));
            }
            Found::Entry(_) => None,
            Found::Lost => Some(view.row.clone()),
        };
        drop(snapshot);
        if let Some(row) = lost {
            self.tables.compact_now(&row);
        }
        self.tables
            .store
            .entry(&self.name, name, self.tables.clock.now_ms(), room, then)
    }

    /// Stores a value, as [`Tables::write`].
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; the store's.
    pub fn put(&self, name: &[u8], value: &[u8], terms: &Terms) -> Result<()> {
        self.tables.write(&[Op::Put(self, name, value)], terms)
    }

    /// Removes an entry. One that is not there is fine.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; the store's.
    pub fn remove(&self, name: &[u8]) -> Result<()> {
        self.tables.write(&[Op::Remove(self, name)], &KEEP)
    }

    /// Removes all entries, in the same time whatever their number.
    ///
    /// # Errors
    /// The store's.
    pub fn clear(&self) -> Result<()> {
        self.tables.write(&[Op::Clear(self)], &KEEP)
    }

    /// The name behind `after` in the order of their bytes (`None`: the first) of an entry that has not expired.
    ///
    /// # Errors
    /// The store's.
    pub fn next(&self, after: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let now_ms = self.tables.clock.now_ms();
        self.tables.store.next_entry(&self.name, after, now_ms)
    }

    /// How many entries it has, expired ones that are still stored included.
    ///
    /// # Errors
    /// The store's.
    pub fn count(&self) -> Result<u64> {
        self.tables.store.count_entries(Some(&self.name))
    }

    #[inline]
    fn has_expired(&self, kept: Kept<'_>) -> bool {
        kept.expires_ms.is_some_and(|ms| ms <= self.tables.clock.now_ms())
    }

    /// What it is in this snapshot.
    #[inline]
    fn view<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s TableView> {
        let place = self.place.load(Ordering::Relaxed);
        if place >> 16 == snapshot.number && snapshot.number > 0 {
            return snapshot.tables.get(usize::try_from(place & 0xFFFF).unwrap_or(0));
        }
        let place = snapshot.tables.iter().position(|view| view.row.name == self.name)?;
        if place <= 0xFFFF {
            self.place
                .store(snapshot.number << 16 | place as u64, Ordering::Relaxed);
        }
        snapshot.tables.get(place)
    }
}

/// What a removal stores: nothing, so nothing has to go for it.
const KEEP: Terms = Terms {
    ttl: Ttl::Never,
    limit: u64::MAX,
};

fn check_name(what: &str, name: &[u8]) -> Result<()> {
    if name.len() > LONGEST_NAME {
        return refuse(format!(
            "the name of the {what} has {} bytes: give at most {LONGEST_NAME}, such as a digest of it",
            name.len()
        ));
    }
    Ok(())
}

impl Forks for Tables {
    fn before(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        vec![
            Box::new(hold(&self, |all| &all.compacting)),
            Box::new(hold(&self, |all| &all.catching_up)),
        ]
    }

    fn after(&self, side: &Side) {
        if let Side::Child(alone) = side {
            self.snapshot.reset_after_fork(alone);
        }
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        fork::forget_dead();
    }
}
