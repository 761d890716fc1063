//! The state file: what opening reads of the database, kept beside it. A process that asks only what is known opens no
//! `SQLite`.
//!
//! It is of one change sequence, and is believed only while the version page shows that sequence, and the database and its
//! log are the files that they were, unchanged, on the same run of the machine. Whatever else is the case, `SQLite` is opened.
//! So nothing has to be removed or repaired when it is out of date.

use std::io::{Read, Write};

use rusqlite::types::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::folder::StoreFolder;
use crate::engine::version_page::{PageState, VersionPage};
use crate::model::Sequence;
use crate::platform::clock::coarse_ms;
use crate::platform::files;
use crate::platform::stamp::{Compared, FileStamp, boot};

/// The file's first bytes, with the number of its form.
const MAGIC: &[u8; 8] = b"PLXSTAT3";
/// Of the check sum behind all else.
const SUM: usize = 8;
/// A file that is longer is not read.
const LONGEST: u64 = 1 << 22;
/// Most are shorter, and are read at once.
const USUAL: usize = 1 << 14;
/// Users of one store whose states are kept.
const VIEWS: usize = 8;

/// What was kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CachedState {
    /// What the cells stand for.
    pub form: String,
    pub id: u64,
    pub secret: [u8; 32],
    /// The change sequence that all of it is of.
    pub sequence: Sequence,
    pub views: Vec<CachedView>,
}

/// URL and user; none for what a process without a server finds.
pub type CachedEndpoint = Option<(String, Vec<u8>)>;

/// What one endpoint leads to, as the cells of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CachedView {
    pub endpoint: CachedEndpoint,
    pub identity: Option<i64>,
    /// When the identity was last noted to be used, Unix ms; `i64::MAX`: that is not noted.
    pub used_ms: i64,
    /// The segments of what hosts recorded.
    pub manifest: Vec<Value>,
    pub libraries: Vec<Vec<Value>>,
    pub changes: Vec<Vec<Value>>,
}

/// The files of a store as they are now: `None` where that does not tell whether they are as they were.
pub struct StoreFiles {
    pub database: FileStamp,
    pub log: [FileStamp; 2],
    /// On the clock of lookups, before the first was looked at.
    pub looked_ms: u64,
    boot: Vec<u8>,
}

impl StoreFiles {
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

    fn bytes(&self) -> Vec<u8> {
        let [wal, shm] = &self.log;
        [&*self.boot, &self.database.bytes, b"\n", &wal.bytes, b"\n", &shm.bytes].concat()
    }
}

/// What the state file of a folder says, if it may be believed: with the page that says so, and the files that it is of.
pub fn find(folder: &StoreFolder) -> Option<(CachedState, VersionPage, StoreFiles)> {
    let mut bytes = Vec::with_capacity(USUAL);
    let file = files::readable(&folder.state()).ok()?;
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    let files = StoreFiles::of(folder)?;
    let kept = read(&bytes, &files.bytes())?;
    let page = VersionPage::existing(&folder.page(), kept.id).ok()??;
    (page.state() == PageState::Equal(kept.sequence.0)).then_some((kept, page, files))
}

/// Keeps what was read at a change sequence. Nothing is kept where that could not be told from what comes later. `is_still`
/// says whether nothing was committed since.
pub fn keep(
    folder: &StoreFolder,
    mut kept: CachedState,
    files: &StoreFiles,
    is_still: impl Fn() -> bool,
) -> std::io::Result<()> {
    if !files.are_settled() || !is_still() {
        return Ok(());
    }
    // What other users' processes kept of the same moment stays.
    let found = find(folder)
        .filter(|(other, ..)| (&other.form, other.id, other.sequence) == (&kept.form, kept.id, kept.sequence));
    if let Some((other, ..)) = found {
        let is_new = |view: &CachedView| kept.views.iter().all(|own| own.endpoint != view.endpoint);
        let others: Vec<CachedView> = other.views.into_iter().filter(is_new).collect();
        kept.views.extend(others);
        kept.views.truncate(VIEWS);
    }
    let bytes = written(&kept, &files.bytes());
    if bytes.len() as u64 >= LONGEST {
        return Ok(());
    }
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

fn written(kept: &CachedState, files: &[u8]) -> Vec<u8> {
    let mut to = Vec::from(MAGIC);
    put_bytes(&mut to, files);
    put_bytes(&mut to, kept.form.as_bytes());
    to.extend_from_slice(&kept.id.to_le_bytes());
    to.extend_from_slice(&kept.secret);
    to.extend_from_slice(&kept.sequence.0.to_le_bytes());
    put_count(&mut to, kept.views.len());
    for view in &kept.views {
        let (url, who) = match &view.endpoint {
            Some((url, who)) => (Value::Text(url.clone()), Value::Blob(who.clone())),
            None => (Value::Null, Value::Null),
        };
        let identity = view.identity.map_or(Value::Null, Value::Integer);
        put_cells(&mut to, &[url, who, identity, Value::Integer(view.used_ms)]);
        put_cells(&mut to, &view.manifest);
        for rows in [&view.libraries, &view.changes] {
            put_count(&mut to, rows.len());
            for cells in rows {
                put_cells(&mut to, cells);
            }
        }
    }
    let sum = xxh3_64(&to).to_le_bytes();
    to.extend_from_slice(&sum);
    to
}

/// What bytes say that were written for these files; `None` for all others.
fn read(bytes: &[u8], files: &[u8]) -> Option<CachedState> {
    let (bytes, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM)?)?;
    let mut from = bytes.strip_prefix(MAGIC)?;
    if take_bytes(&mut from)? != files || xxh3_64(bytes).to_le_bytes() != sum {
        return None;
    }
    let from = &mut from;
    let mut kept = CachedState {
        form: String::from_utf8(take_bytes(from)?.to_vec()).ok()?,
        id: u64::from_le_bytes(*take(from)?),
        secret: *take(from)?,
        sequence: Sequence(u64::from_le_bytes(*take(from)?)),
        views: Vec::new(),
    };
    for _ in 0..take_count(from)? {
        let head: [Value; 4] = take_cells(from)?.try_into().ok()?;
        let (endpoint, identity, used_ms) = match head {
            [Value::Text(url), Value::Blob(who), identity, Value::Integer(used)] => (Some((url, who)), identity, used),
            [Value::Null, Value::Null, identity, Value::Integer(used)] => (None, identity, used),
            _ => return None,
        };
        let identity = match identity {
            Value::Integer(identity) => Some(identity),
            _ => None,
        };
        let manifest = take_cells(from)?;
        let libraries = take_rows(from)?;
        let changes = take_rows(from)?;
        kept.views.push(CachedView {
            endpoint,
            identity,
            used_ms,
            manifest,
            libraries,
            changes,
        });
    }
    from.is_empty().then_some(kept)
}

fn put_count(to: &mut Vec<u8>, count: usize) {
    to.extend_from_slice(&(count as u64).to_le_bytes());
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put_count(to, bytes.len());
    to.extend_from_slice(bytes);
}

fn put_cells(to: &mut Vec<u8>, cells: &[Value]) {
    put_count(to, cells.len());
    for cell in cells {
        match cell {
            Value::Null => to.push(0),
            Value::Integer(number) => {
                to.push(1);
                to.extend_from_slice(&number.to_le_bytes());
            }
            Value::Real(number) => {
                to.push(2);
                to.extend_from_slice(&number.to_le_bytes());
            }
            Value::Text(text) => {
                to.push(3);
                put_bytes(to, text.as_bytes());
            }
            Value::Blob(bytes) => {
                to.push(4);
                put_bytes(to, bytes);
            }
        }
    }
}

fn take<'b, const N: usize>(from: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(taken)
}

/// A number of things that follow, each of a byte or more.
fn take_count(from: &mut &[u8]) -> Option<usize> {
    let count = usize::try_from(u64::from_le_bytes(*take(from)?)).ok()?;
    (count <= from.len()).then_some(count)
}

fn take_bytes<'b>(from: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = take_count(from)?;
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}

fn take_cells(from: &mut &[u8]) -> Option<Vec<Value>> {
    (0..take_count(from)?)
        .map(|_| {
            Some(match take(from)? {
                [0] => Value::Null,
                [1] => Value::Integer(i64::from_le_bytes(*take(from)?)),
                [2] => Value::Real(f64::from_le_bytes(*take(from)?)),
                [3] => Value::Text(String::from_utf8(take_bytes(from)?.to_vec()).ok()?),
                [4] => Value::Blob(take_bytes(from)?.to_vec()),
                _ => return None,
            })
        })
        .collect()
}

fn take_rows(from: &mut &[u8]) -> Option<Vec<Vec<Value>>> {
    (0..take_count(from)?).map(|_| take_cells(from)).collect()
}

#[cfg(test)]
#[path = "state_file_tests.rs"]
mod tests;
