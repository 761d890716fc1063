//! The state file: a cache beside the database, with the rows that a process reads when it opens the index. With this
//! file, a process that only looks up known paths never opens SQLite.
//!
//! The state file belongs to one change sequence. A process uses the file only if the version page shows that sequence,
//! the database and the WAL are unchanged, and the machine was not restarted. Otherwise, the process opens the
//! database, so a stale state file need not be removed or repaired.

use std::io::Read;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::schema::SCHEMA_VERSION;
use super::store_folder::StoreFolder;
use crate::engine::version_page::VersionPage;
use crate::model::{Sequence, ViewId};
use crate::platform::clock::coarse_ms;
use crate::platform::files::{self, FileStamp, StampContent, boot_id};

/// Magic number of the state file, which contains the number of its format.
const MAGIC: &[u8; 8] = b"PLXSTA10";
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
    (page.counters().state() == Some(cached.sequence.0)).then_some((cached, page, files))
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
    let path = folder.state();
    let temporary = path.with_extension(format!("state.{}.new", std::process::id()));
    files::write_whole(&path, &temporary, &bytes, false)
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
