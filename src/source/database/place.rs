//! The location and state of the database file.
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use once_cell::race::OnceBox;
use rusqlite::ErrorCode;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result, Status};
use crate::platform::clock::Clock;
use crate::platform::files::{self, Inode};
use crate::platform::foreign::ReadOnlyWalVfs;
use crate::platform::local_path::canonical;
use crate::platform::stamp::{Compared, FileStamp};

use super::slice_lock::SliceLock;

/// File name of the database.
const NAME: &str = "com.plexapp.plugins.library.db";
/// Its path in the folder 'Plex Media Server'.
const IN_FOLDER: &str = "Plug-in Support/Databases/com.plexapp.plugins.library.db";
/// The database file of a Plex Media Server.
pub struct DatabaseFile {
    /// Path given by the host: the file, or a folder.
    named: PathBuf,
    /// Resolved path, set once the file was found.
    file: OnceBox<PathBuf>,
    pub(super) vfs: Option<ReadOnlyWalVfs>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) slices: Arc<SliceLock>,
}

/// State of the database and its companion files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent facts
pub struct FileState {
    /// Identity of the file.
    pub file: u64,
    /// Changes with every write to the files.
    pub stamp: u64,
    /// Whether the next write would change `stamp`.
    pub is_settled: bool,
    pub(super) log: bool,
    pub(super) shared: bool,
    /// A rollback journal exists: a change is in progress, or was interrupted.
    pub(super) journal: bool,
}

#[cfg(test)]
impl FileState {
    pub fn for_tests(stamp: u64, is_settled: bool) -> Self {
        Self {
            file: 1,
            stamp,
            is_settled,
            log: false,
            shared: false,
            journal: false,
        }
    }
}

impl std::fmt::Debug for DatabaseFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.display().fmt(f)
    }
}

impl DatabaseFile {
    pub fn new(named: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            named: named.to_owned(),
            file: OnceBox::new(),
            vfs: ReadOnlyWalVfs::new(),
            clock,
            slices: Arc::default(),
        }
    }

    /// Returns the resolved path without symbolic links, since the log lies next to the real file. If the host gave a
    /// folder, finds the file in it.
    pub fn file(&self) -> Result<&Path> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let found = canonical(&self.named).and_then(|found| {
            if fs::metadata(&found)?.is_dir() {
                find_in_folder(&found)
            } else {
                Ok(found)
            }
        });
        match found {
            Ok(found) => Ok(self.file.get_or_init(|| Box::new(found))),
            Err(error) => Err(self.io_error(&error)),
        }
    }

    /// Returns the folder 'Plex Media Server', if the file is in its usual place there.
    pub fn folder(&self) -> Option<&Path> {
        let file = self.file().ok()?;
        file.ends_with(IN_FOLDER).then(|| file.ancestors().nth(3)).flatten()
    }

    /// Reads the state of the files from their metadata alone.
    pub fn state(&self) -> Result<FileState> {
        let file = self.file()?;
        let database = FileStamp::of(file, Compared::All).ok_or_else(|| match fs::metadata(file) {
            Ok(_) => self.error(
                Status::NotPlex,
                "is not a regular file: give Plex's database, or the folder 'Plex Media Server'",
            ),
            Err(error) => self.io_error(&error),
        })?;
        let log = FileStamp::of(&companion_path(file, "-wal"), Compared::All);
        let log_index = companion_path(file, "-shm");
        let shared = Inode::of(&log_index).is_some();
        // In the journal modes that keep the file, an empty one is inactive.
        let journal = fs::symlink_metadata(companion_path(file, "-journal")).is_ok_and(|facts| facts.len() > 0);
        let mut facts = database.bytes;
        let mut is_settled = database.is_settled;
        if let Some(log) = &log {
            facts.push(0);
            facts.extend(&log.bytes);
            is_settled &= log.is_settled;
            facts.extend(files::log_version(&log_index).iter().flatten());
        }
        Ok(FileState {
            file: xxh3_64(format!("{:?}", database.file).as_bytes()),
            stamp: xxh3_64(&facts),
            is_settled,
            log: log.is_some(),
            shared,
            journal,
        })
    }

    pub(super) fn sqlite_error(&self, error: &rusqlite::Error) -> Error {
        let (status, remedy) = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::CannotOpen | ErrorCode::ReadOnly)
                if self.state().is_ok() && self.is_readable() =>
            {
                (Status::Starting, "its server is starting or stopping: try again")
            }
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (
                Status::Forbidden,
                "it and its -wal and -shm must be readable by this user: join the group that Plex's files belong to",
            ),
            Some(ErrorCode::NotADatabase) => (
                Status::NotPlex,
                "it is not a database: give com.plexapp.plugins.library.db",
            ),
            Some(ErrorCode::DatabaseCorrupt) => (
                Status::BadAnswer,
                "it is damaged, or was copied while it was written: use server_url instead",
            ),
            _ => (Status::ServerError, "try again, or use server_url instead"),
        };
        // For a file that cannot be opened, the text contains the URI.
        let text = error.to_string();
        let text = text.split(": file:").next().unwrap_or_default();
        Error::new(status, format!("Plex's database {}: {text}; {remedy}", self.display()))
    }

    /// Returns whether this user may read all existing files, by their permissions; opens nothing.
    fn is_readable(&self) -> bool {
        self.file().is_ok_and(|file| {
            ["", "-wal", "-shm"]
                .into_iter()
                .map(|end| companion_path(file, end))
                // It may go meanwhile.
                .all(|one| files::may_read(&one) || Inode::of(&one).is_none())
        })
    }

    /// Creates an error about this file.
    pub(super) fn error(&self, status: Status, problem: &str) -> Error {
        Error::new(status, format!("{} {problem}", self.display()))
    }

    fn io_error(&self, error: &std::io::Error) -> Error {
        let (status, remedy) = match error.kind() {
            std::io::ErrorKind::NotFound => (
                Status::Connect,
                "it does not exist: give com.plexapp.plugins.library.db, or the folder 'Plex Media Server' that \
                 contains it",
            ),
            std::io::ErrorKind::PermissionDenied => (
                Status::Forbidden,
                "it and the folders above it must be readable by this user: join the group that Plex's files belong to",
            ),
            _ => (Status::Connect, "check that its disk is mounted"),
        };
        Error::new(status, format!("Plex's database {}: {error}; {remedy}", self.display())).because_io(error)
    }

    pub fn display(&self) -> std::path::Display<'_> {
        self.file.get().map_or(self.named.as_path(), PathBuf::as_path).display()
    }
}

/// Finds the database in the folder 'Plex Media Server', or in its own folder.
fn find_in_folder(folder: &Path) -> std::io::Result<PathBuf> {
    let absent = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    let found = canonical(&folder.join(IN_FOLDER));
    if !found.as_ref().is_err_and(absent) {
        return found;
    }
    canonical(&folder.join(NAME)).map_err(|error| {
        if absent(&error) {
            std::io::Error::new(
                error.kind(),
                format!("neither {NAME} nor {IN_FOLDER} is in this folder"),
            )
        } else {
            error
        }
    })
}

/// Returns the path of a companion file, such as `-wal`.
pub(super) fn companion_path(file: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(end);
    name.into()
}
