//! The state file: what opening reads of the database, kept beside it. A process that asks only what is known opens no
//! `SQLite`.
//!
//! It is of one change sequence, and is believed only while the version page shows that sequence, and the database and its
//! log are the files that they were, unchanged, on the same run of the machine. Otherwise `SQLite` is opened, so a file that
//! is out of date need not be removed or repaired.

use std::io::{Read, Write};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::folder::StoreFolder;
use crate::engine::version_page::{PageState, VersionPage};
use crate::model::{IdentityId, Sequence};
use crate::platform::clock::coarse_ms;
use crate::platform::files;
use crate::platform::stamp::{Compared, FileStamp, boot};

/// The file's first bytes, with the number of its form.
const MAGIC: &[u8; 8] = b"PLXSTAT4";
/// Longer files are not read.
const LONGEST: u64 = 1 << 22;
/// Most are shorter, and are read at once.
const USUAL: usize = 1 << 14;
/// Users of one store whose states are kept.
const VIEWS: usize = 8;

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CachedState {
    pub id: u64,
    pub secret: [u8; 32],
    /// The change sequence that all of it is of.
    pub sequence: Sequence,
    pub views: Vec<CachedView>,
}

/// URL and user; `None`: of a process that names no server.
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
    /// On the clock of lookups, before the first was looked at.
    pub looked_ms: u64,
    boot: Vec<u8>,
}

impl StoreFiles {
    /// `None` where that does not tell whether they are as they were.
    pub fn of(folder: &StoreFolder) -> Option<Self> {
        let [wal, shm] = folder.log();
        Some(Self {
            looked_ms: coarse_ms(),
            // SQLite gives the log, and its index, the owner of the database each time that root opens them.
            log: [
                FileStamp::of(wal, Compared::Content)?,
                FileStamp::of(shm, Compared::Nothing)?,
            ],
            database: FileStamp::of(folder.database(), Compared::All)?,
            boot: boot()?,
        })
    }

    /// Whether a change of one of them from now on would show.
    pub fn are_settled(&self) -> bool {
        self.database.is_settled && self.log.iter().all(|file| file.is_settled)
    }

    /// The key that a state file must have.
    fn bytes(&self) -> Vec<u8> {
        let [wal, shm] = &self.log;
        [&*self.boot, &self.database.bytes, b"\n", &wal.bytes, b"\n", &shm.bytes].concat()
    }
}

/// The state file of a folder, if it may be believed: with the page that says so, and the files that it is of.
pub fn find(folder: &StoreFolder) -> Option<(CachedState, VersionPage, StoreFiles)> {
    let mut bytes = Vec::with_capacity(USUAL);
    let file = files::readable(&folder.state()).ok()?;
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    let files = StoreFiles::of(folder)?;
    let kept = decode(&bytes, &files.bytes())?;
    let page = VersionPage::existing(&folder.page(), kept.id).ok()??;
    (page.state() == PageState::Equal(kept.sequence.0)).then_some((kept, page, files))
}

/// Writes the state of a change sequence, unless what comes later could not be told from it. `is_still` returns whether nothing
/// was committed since.
pub fn keep(
    folder: &StoreFolder,
    mut kept: CachedState,
    files: &StoreFiles,
    is_still: impl Fn() -> bool,
) -> std::io::Result<()> {
    if !files.are_settled() || !is_still() {
        return Ok(());
    }
    // The views that other users' processes cached of the same moment stay.
    let found = find(folder).filter(|(other, ..)| (other.id, other.sequence) == (kept.id, kept.sequence));
    for view in found.into_iter().flat_map(|(other, ..)| other.views) {
        if kept.views.len() < VIEWS && kept.views.iter().all(|own| own.endpoint != view.endpoint) {
            kept.views.push(view);
        }
    }
    let bytes = encode(&kept, &files.bytes()).filter(|bytes| (bytes.len() as u64) < LONGEST);
    let Some(bytes) = bytes else { return Ok(()) };
    let place = folder.state();
    let temporary = place.with_extension(format!("state.{}.new", std::process::id()));
    let done = files::fresh(&temporary)
        .and_then(|mut file| file.write_all(&bytes))
        .and_then(|()| files::rename(&temporary, &place));
    if done.is_err() {
        let _ = files::remove(&temporary);
    }
    done
}

/// The bytes of the file: [`MAGIC`], a check sum of the rest, the files that it is of, the state.
fn encode(kept: &CachedState, files: &[u8]) -> Option<Vec<u8>> {
    let body = postcard::to_stdvec(&(files, kept)).ok()?;
    Some([MAGIC, &xxh3_64(&body).to_le_bytes(), &*body].concat())
}

/// The state in bytes that were written for these files; `None` for all others.
fn decode(bytes: &[u8], files: &[u8]) -> Option<CachedState> {
    let (sum, body) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (of, state): (&[u8], _) = postcard::take_from_bytes(body).ok()?;
    if of != files || xxh3_64(body).to_le_bytes() != *sum {
        return None;
    }
    let (kept, rest) = postcard::take_from_bytes(state).ok()?;
    rest.is_empty().then_some(kept)
}

#[cfg(test)]
#[path = "state_file_tests.rs"]
mod tests;
