//! The open database and its version page. Checks that both files still have their names.
//!
//! A process may have a removed or replaced page mapped, which no writer updates. A check of the names is therefore
//! valid only for [`PAGE_CHECK_MS`], measured by a clock that needs no system call. Before a process creates a page, it
//! waits for [`PAGE_CHECK_MS`], so that no other process still uses the old page.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use once_cell::race::OnceBox;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::connection::LazyConnection;
use super::schema::{RollbackGuard, SCHEMA_VERSION, SEQUENCE_BITS, WaitGuard, sequence_of};
use super::store_folder::StoreFolder;
use crate::engine::memtable::StoreMemories;
use crate::engine::version_page::{PAGE_CHECK_MS, PageState, VersionPage};
use crate::error::Error;
use crate::model::{Sequence, ViewId};
use crate::platform::clock::coarse_ms;
use crate::platform::files::{self, FileStamp, Inode, StampContent, boot_id};

/// The number of databases that this handle opened before the current one: one more after each replacement of the
/// database, for example by a restored backup. Change sequences and segment names from different databases must not be
/// compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseNumber(pub(super) u64);

/// A database and its version page, as an entry in a linked list. plexindex appends a new entry when the database or
/// the page is replaced. Entries live as long as the store, so readers need no lock.
#[derive(Default)]
pub struct OpenFiles {
    pub id: u64,
    /// A [`DatabaseNumber`]. The store's id is not enough, because a copy of the database has the same id.
    pub number: u64,
    /// The key for hashing tokens, which is in the database.
    pub secret: [u8; 32],
    /// The version page; `None` if all lookups query the database.
    pub page: Option<VersionPage>,
    file: Option<Inode>,
    database: PathBuf,
    page_path: PathBuf,
    /// Time when the last check of the names expires, by the coarse clock.
    valid_until_ms: AtomicU64,
    /// Whether a check found that a file had lost its name. Stays set, because a file that returns may lack commits.
    is_lost: AtomicBool,
    /// What the process has in memory of the database's records.
    memories: OnceLock<Arc<StoreMemories>>,
    next: OnceBox<Self>,
}

impl OpenFiles {
    /// Creates an entry with number 0 for a database and its page, both opened by name. `file`: the database file's
    /// inode. The first use of the page checks the names.
    pub fn new(
        folder: &StoreFolder,
        id: u64,
        secret: [u8; 32],
        file: Option<Inode>,
        page: Option<VersionPage>,
    ) -> Self {
        Self {
            id,
            secret,
            page,
            file,
            database: folder.database().to_owned(),
            page_path: folder.page(),
            ..Self::default()
        }
    }

    /// Creates an entry for a database that stays closed, because the state file has all necessary data. The caller has
    /// just opened the page and inspected `files` by name.
    pub fn from_state_file(folder: &StoreFolder, cached: &CachedState, page: VersionPage, files: &StoreFiles) -> Self {
        Self {
            valid_until_ms: AtomicU64::new(files.inspected_ms.saturating_add(PAGE_CHECK_MS)),
            ..Self::new(folder, cached.id, cached.secret, Some(files.database.file), Some(page))
        }
    }

    /// Returns an entry for the same database with a different page; `None` for no page.
    pub fn with_page(&self, folder: &StoreFolder, page: Option<VersionPage>) -> Self {
        Self {
            number: self.number,
            ..Self::new(folder, self.id, self.secret, self.file, page)
        }
    }

    /// Returns whether the connection `connection` has this database open, and not a copy, which has a different inode.
    pub fn is_open_in(&self, connection: &LazyConnection) -> bool {
        connection.id() == Some(self.id) && connection.file() == self.file
    }

    /// Returns whether the inspected `files` belong to this database, and not to its replacement.
    pub fn is_of_files(&self, files: &StoreFiles) -> bool {
        self.file == Some(files.database.file)
    }

    /// Returns whether the database still has its name, so that no other database has replaced it.
    pub fn has_database(&self) -> bool {
        Inode::of(&self.database) == self.file
    }

    /// Returns the newest entry in the list, with the files of the database that is open now.
    #[inline]
    pub fn newest(&self) -> &Self {
        let mut newest = self;
        while let Some(next) = newest.next.get() {
            newest = next;
        }
        newest
    }

    /// Returns the first entry of the database with this number; the newest entry if there is none.
    pub fn of(&self, database: DatabaseNumber) -> &Self {
        let mut of = self;
        while of.number != database.0
            && let Some(next) = of.next.get()
        {
            of = next;
        }
        of
    }

    /// Returns what the process has in memory of the database's records.
    pub fn memories(&self) -> &StoreMemories {
        self.memories
            .get_or_init(|| StoreMemories::of(self.file.map(|file| (self.id, file))))
    }

    /// Makes the memories be those of another process.
    #[cfg(test)]
    pub fn have_own_memories(&self) {
        let set = self.memories.set(StoreMemories::of(None));
        assert!(set.is_ok(), "no memory is in use");
    }

    /// Appends `next` to the list, because the database or the page was replaced. This entry must be the newest one.
    /// Callers hold the writer's lock, so no other thread appends an entry.
    pub fn append(&self, next: Self) {
        let _ = self.next.set(Box::new(next));
    }

    /// Returns the version page's state, or [`PageState::Pending`] without a valid page, so that the caller queries the
    /// database.
    #[inline]
    pub fn page_state(&self) -> PageState {
        let now_ms = coarse_ms();
        match &self.page {
            Some(page) if now_ms < self.valid_until_ms.load(Ordering::Relaxed) || self.check_names(now_ms) => {
                page.counters().state()
            }
            _ => PageState::Pending,
        }
    }

    /// Returns whether the page and the database still have their names. If so, the page stays valid for
    /// [`PAGE_CHECK_MS`] after `now_ms`, the coarse clock's time. If not, the page is never valid again.
    #[cold]
    #[inline(never)]
    fn check_names(&self, now_ms: u64) -> bool {
        if !self.is_page_valid() || !self.has_database() {
            self.is_lost.store(true, Ordering::Relaxed);
            return false;
        }
        // Before the first commit, a process can replace a missing page without a wait, so check the names on each use.
        let is_before_commits = |page: &VersionPage| match page.counters().state() {
            PageState::Equal(sequence) => is_first_sequence(Sequence(sequence)),
            PageState::Pending => false,
        };
        if !self.page.as_ref().is_some_and(is_before_commits) {
            let valid_until_ms = now_ms.saturating_add(PAGE_CHECK_MS);
            self.valid_until_ms.fetch_max(valid_until_ms, Ordering::Relaxed);
        }
        true
    }

    /// Returns whether the page has its name now, and had its name at every earlier check.
    pub fn is_page_valid(&self) -> bool {
        let has_name = |page: &VersionPage| page.is_at(&self.page_path);
        !self.is_lost.load(Ordering::Relaxed) && self.page.as_ref().is_some_and(has_name)
    }
}

/// Sets both counters on the page to the database's change sequence, because the page may be new or its last writer may
/// have died. Does nothing while another process is writing, because that process sets the counters. Returns the change
/// sequence.
pub fn repair(page: &VersionPage, connection: &Connection) -> rusqlite::Result<Sequence> {
    let mut sequence = sequence_of(connection)?;
    if page.counters().state() == PageState::Equal(sequence.0) {
        return Ok(sequence);
    }
    // While another process is writing, BEGIN fails at once. The lock keeps the sequence unchanged until it is set.
    let _no_wait = WaitGuard::new(connection, Duration::ZERO)?;
    if connection.execute_batch("BEGIN IMMEDIATE").is_ok() {
        let _undo = RollbackGuard(connection);
        if let Ok(current) = sequence_of(connection) {
            page.counters().repair(current.0);
            sequence = current;
        }
    }
    Ok(sequence)
}

/// Returns whether a change sequence is a database's first one, before any commit. If so, no process can have a removed
/// version page mapped. The first change sequence is a multiple of 2^36, and a database has at most 2^36 of them.
pub fn is_first_sequence(sequence: Sequence) -> bool {
    sequence.0.trailing_zeros() >= SEQUENCE_BITS
}

/// Logs a warning that the version page cannot be used.
pub fn warn_of_page(error: &Error) {
    log::warn!("cannot use the version page: {error}; each lookup queries the database instead");
}

// The state file: a cache beside the database, with the rows that a process reads when it opens the index. With this
// file, a process that only looks up known paths never opens SQLite.
//
// The state file belongs to one change sequence. A process uses the file only if the version page shows that sequence,
// the database and the WAL are unchanged, and the machine was not restarted. Otherwise, the process opens the
// database, so a stale state file need not be removed or repaired.

/// Magic number of the state file, which contains the number of its format.
const MAGIC: &[u8; 8] = b"PLXSTAT8";
/// Maximum length of a state file in bytes.
const MAX_LENGTH: u64 = 1 << 22;
/// Initial size of the read buffer in bytes. Most state files are shorter.
const FIRST_READ: usize = 1 << 14;
/// Maximum number of endpoints with a state in the file.
const MAX_VIEWS: usize = 8;

/// The content of the state file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CachedState {
    /// The database's random id.
    pub id: u64,
    /// The key for the store's keyed hashes.
    pub secret: [u8; 32],
    pub sequence: Sequence,
    pub views: Vec<CachedView>,
}

/// An endpoint's URL and user; `None` for a process that specifies no server.
pub type CachedEndpoint = Option<(String, Vec<u8>)>;

/// The state for one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CachedView {
    pub endpoint: CachedEndpoint,
    pub view_id: ViewId,
    /// An encoded `StoreState`.
    pub state: Vec<u8>,
}

/// Stamps of a store's files (inodes, lengths and times), which show whether the files have changed.
pub struct StoreFiles {
    pub database: FileStamp,
    /// Stamps of the WAL and its index.
    pub wal_and_shm: [FileStamp; 2],
    /// The coarse clock's time before plexindex inspected the files.
    pub inspected_ms: u64,
    /// Id of the machine's current boot.
    boot: Vec<u8>,
}

impl StoreFiles {
    /// Inspects the files in a folder. Returns `None` if the stamps cannot show whether the files change.
    pub fn of(folder: &StoreFolder) -> Option<Self> {
        let [wal, shm] = folder.wal_and_shm();
        Some(Self {
            inspected_ms: coarse_ms(),
            // SQLite sets the owner of the WAL and its index each time root opens them, so do not compare their owners.
            // The index is a mapped file, whose times do not show changes, so compare only its inode.
            wal_and_shm: [
                FileStamp::of(wal, StampContent::Content)?,
                FileStamp::of(shm, StampContent::Nothing)?,
            ],
            database: FileStamp::of(folder.database(), StampContent::All)?,
            boot: boot_id()?,
        })
    }

    /// Returns whether every later change to the files will change a stamp. File times have a limited resolution, so
    /// the last change must be old enough.
    pub fn detect_later_changes(&self) -> bool {
        self.database.is_settled && self.wal_and_shm.iter().all(|file| file.is_settled)
    }

    /// Encodes the stamps and the database's format. A state file contains these bytes, and is valid only for files
    /// with the same stamps and the same format.
    fn bytes(&self) -> Vec<u8> {
        let [wal, shm] = &self.wal_and_shm;
        let version = SCHEMA_VERSION.to_le_bytes();
        [
            &version,
            &*self.boot,
            &self.database.bytes,
            b"\n",
            &wal.bytes,
            b"\n",
            &shm.bytes,
        ]
        .concat()
    }
}

/// Reads a folder's state file. Also returns the version page, which shows the same change sequence as the state, and
/// the stamps of the store's files. `None` if the state file is missing, damaged or outdated.
pub fn read_state_file(folder: &StoreFolder) -> Option<(CachedState, VersionPage, StoreFiles)> {
    let mut bytes = Vec::with_capacity(FIRST_READ);
    let file = files::open_for_reading(&folder.state()).ok()?;
    file.take(MAX_LENGTH).read_to_end(&mut bytes).ok()?;
    let files = StoreFiles::of(folder)?;
    let cached = decode(&bytes, &files.bytes())?;
    let page = VersionPage::existing(&folder.page(), cached.id).ok()??;
    (page.counters().state() == PageState::Equal(cached.sequence.0)).then_some((cached, page, files))
}

/// Writes `cached` to the state file. Does nothing if later changes to the store's files might go unnoticed, or if
/// `is_unchanged` returns `false`, which means that the store has newer commits.
pub fn write_state_file(
    folder: &StoreFolder,
    mut cached: CachedState,
    files: &StoreFiles,
    is_unchanged: impl Fn() -> bool,
) -> std::io::Result<()> {
    if !files.detect_later_changes() || !is_unchanged() {
        return Ok(());
    }
    // Keep the states of other endpoints with the same change sequence.
    let current_file =
        read_state_file(folder).filter(|(other, ..)| (other.id, other.sequence) == (cached.id, cached.sequence));
    for view in current_file.into_iter().flat_map(|(other, ..)| other.views) {
        if cached.views.len() < MAX_VIEWS && cached.views.iter().all(|kept| kept.endpoint != view.endpoint) {
            cached.views.push(view);
        }
    }
    let bytes = encode(&cached, &files.bytes()).filter(|bytes| (bytes.len() as u64) < MAX_LENGTH);
    let Some(bytes) = bytes else { return Ok(()) };
    // Rename a complete file, so that other processes never read an incomplete one.
    let path = folder.state();
    let temporary = path.with_extension(format!("state.{}.new", std::process::id()));
    let written = files::create_new(&temporary)
        .and_then(|mut file| file.write_all(&bytes))
        .and_then(|()| files::rename(&temporary, &path));
    if written.is_err() {
        let _ = files::remove(&temporary);
    }
    written
}

/// Encodes a state file: [`MAGIC`], a checksum of the rest, the stamps of the store's files (`files`), and the state.
fn encode(cached: &CachedState, files: &[u8]) -> Option<Vec<u8>> {
    let body = postcard::to_stdvec(&(files, cached)).ok()?;
    Some([MAGIC, &xxh3_64(&body).to_le_bytes(), &*body].concat())
}

/// Decodes a state file. `files`: the encoded stamps of the store's files. Returns `None` if the content is invalid, or
/// if it was written for files with other stamps.
fn decode(bytes: &[u8], files: &[u8]) -> Option<CachedState> {
    let (checksum, body) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (stamps, state): (&[u8], _) = postcard::take_from_bytes(body).ok()?;
    if stamps != files || xxh3_64(body).to_le_bytes() != *checksum {
        return None;
    }
    let (cached, trailing) = postcard::take_from_bytes(state).ok()?;
    trailing.is_empty().then_some(cached)
}

#[cfg(test)]
mod tests {
    //! The state file: its content comes back, and other content is ignored.

    use super::*;

    fn kept() -> CachedState {
        let view = |endpoint| CachedView {
            endpoint,
            view_id: ViewId(3),
            state: b"Filme".to_vec(),
        };
        CachedState {
            id: u64::MAX,
            secret: [7; 32],
            sequence: Sequence(1 << 51),
            views: vec![view(None), view(Some(("http://plex".to_owned(), vec![1; 33])))],
        }
    }

    #[test]
    fn a_written_state_file_is_read() {
        let bytes = encode(&kept(), b"files").expect("encoded");
        assert_eq!(decode(&bytes, b"files"), Some(kept()));
        assert_eq!(decode(&bytes, b"other files"), None);
        assert_eq!(decode(&bytes, b""), None);
    }

    /// Any bytes with a valid checksum: no panic, and no allocation for lengths that exceed the file.
    #[test]
    fn a_state_file_with_too_large_numbers_is_ignored() {
        let bytes = encode(&kept(), b"files").expect("encoded");
        let body = &bytes[MAGIC.len() + 8..];
        for place in 0..body.len() - 8 {
            let mut odd = body.to_vec();
            odd[place..place + 8].copy_from_slice(&u64::MAX.to_le_bytes());
            let sum = xxh3_64(&odd).to_le_bytes();
            let _ = decode(&[MAGIC, &sum, &*odd].concat(), b"files");
        }
    }
}
