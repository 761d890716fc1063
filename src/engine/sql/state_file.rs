//! The state file: a cache of the rows that opening reads, kept beside the database. A process that only looks up known
//! paths never opens `SQLite`.
//!
//! The file belongs to one change sequence. A process trusts it only if the version page shows that sequence, database
//! and log are the same unchanged files, and the machine was not restarted. Otherwise the process opens the database.
//! So a stale state file need not be removed or repaired.

use std::io::{Read, Write};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::store_folder::StoreFolder;
use crate::engine::version_page::{PageState, VersionPage};
use crate::model::{IdentityId, Sequence};
use crate::platform::clock::coarse_ms;
use crate::platform::files;
use crate::platform::stamp::{Compared, FileStamp, boot};

/// The file's first bytes, with the number of its format.
const MAGIC: &[u8; 8] = b"PLXSTAT5";
/// Longer files are not read.
const MAX_LENGTH: u64 = 1 << 22;
/// Size of the first read. Most files are shorter.
const FIRST_READ: usize = 1 << 14;
/// Maximum number of endpoints whose states are kept.
const MAX_VIEWS: usize = 8;

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CachedState {
    pub id: u64,
    pub secret: [u8; 32],
    /// The change sequence of the state.
    pub sequence: Sequence,
    pub views: Vec<CachedView>,
}

/// URL and user; `None` for a process that names no server.
pub type CachedEndpoint = Option<(String, Vec<u8>)>;

/// The state that one endpoint leads to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CachedView {
    pub endpoint: CachedEndpoint,
    pub identity: IdentityId,
    /// A `StoreState`, encoded.
    pub state: Vec<u8>,
}

/// The files of a store as they are now.
pub struct StoreFiles {
    pub database: FileStamp,
    pub log: [FileStamp; 2],
    /// When they were inspected, by [`coarse_ms`], read before the first file.
    pub looked_ms: u64,
    boot: Vec<u8>,
}

impl StoreFiles {
    /// Inspects the files of a folder. Returns `None` if stamps cannot show whether the files changed.
    pub fn of(folder: &StoreFolder) -> Option<Self> {
        let [wal, shm] = folder.log();
        Some(Self {
            looked_ms: coarse_ms(),
            // SQLite sets the owner of the log and its index each time that root opens them, so compare only their
            // content.
            log: [
                FileStamp::of(wal, Compared::Content)?,
                FileStamp::of(shm, Compared::Nothing)?,
            ],
            database: FileStamp::of(folder.database(), Compared::All)?,
            boot: boot()?,
        })
    }

    /// Returns whether any change from now on would change a stamp.
    pub fn are_settled(&self) -> bool {
        self.database.is_settled && self.log.iter().all(|file| file.is_settled)
    }

    /// Returns the key that a state file for these files has in its header.
    fn bytes(&self) -> Vec<u8> {
        let [wal, shm] = &self.log;
        [&*self.boot, &self.database.bytes, b"\n", &wal.bytes, b"\n", &shm.bytes].concat()
    }
}

/// Reads the state file of a folder, if it can be trusted. Also returns the version page that shows its sequence, and
/// the store's files.
pub fn find(folder: &StoreFolder) -> Option<(CachedState, VersionPage, StoreFiles)> {
    let mut bytes = Vec::with_capacity(FIRST_READ);
    let file = files::readable(&folder.state()).ok()?;
    file.take(MAX_LENGTH).read_to_end(&mut bytes).ok()?;
    let files = StoreFiles::of(folder)?;
    let cached = decode(&bytes, &files.bytes())?;
    let page = VersionPage::existing(&folder.page(), cached.id).ok()??;
    (page.state() == PageState::Equal(cached.sequence.0)).then_some((cached, page, files))
}

/// Writes the state of a change sequence, unless later changes of the files might go unnoticed. `is_unchanged` returns
/// whether nothing was committed since.
pub fn write_state_file(
    folder: &StoreFolder,
    mut cached: CachedState,
    files: &StoreFiles,
    is_unchanged: impl Fn() -> bool,
) -> std::io::Result<()> {
    if !files.are_settled() || !is_unchanged() {
        return Ok(());
    }
    // Keep the states of other endpoints that belong to the same change sequence.
    let found = find(folder).filter(|(other, ..)| (other.id, other.sequence) == (cached.id, cached.sequence));
    for view in found.into_iter().flat_map(|(other, ..)| other.views) {
        if cached.views.len() < MAX_VIEWS && cached.views.iter().all(|own| own.endpoint != view.endpoint) {
            cached.views.push(view);
        }
    }
    let bytes = encode(&cached, &files.bytes()).filter(|bytes| (bytes.len() as u64) < MAX_LENGTH);
    let Some(bytes) = bytes else { return Ok(()) };
    let path = folder.state();
    let temporary = path.with_extension(format!("state.{}.new", std::process::id()));
    let done = files::fresh(&temporary)
        .and_then(|mut file| file.write_all(&bytes))
        .and_then(|()| files::rename(&temporary, &path));
    if done.is_err() {
        let _ = files::remove(&temporary);
    }
    done
}

/// Encodes the file: [`MAGIC`], a checksum of the rest, the key of the store's files, and the state.
fn encode(cached: &CachedState, files: &[u8]) -> Option<Vec<u8>> {
    let body = postcard::to_stdvec(&(files, cached)).ok()?;
    Some([MAGIC, &xxh3_64(&body).to_le_bytes(), &*body].concat())
}

/// Decodes a state that was written for these files; `None` for anything else.
fn decode(bytes: &[u8], files: &[u8]) -> Option<CachedState> {
    let (sum, body) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (of, state): (&[u8], _) = postcard::take_from_bytes(body).ok()?;
    if of != files || xxh3_64(body).to_le_bytes() != *sum {
        return None;
    }
    let (cached, rest) = postcard::take_from_bytes(state).ok()?;
    rest.is_empty().then_some(cached)
}

#[cfg(test)]
#[path = "state_file_tests.rs"]
mod tests;
