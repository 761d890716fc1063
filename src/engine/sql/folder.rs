//! The folder of a store, and the paths of its files.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, Result, Status};
use crate::platform::files::{self, Inode};
use crate::platform::local_path::canonical;
use crate::platform::map::MapMode;
use crate::platform::mutex::lock;
use crate::platform::open_files;

/// Prefix of all file names. It ends with the format number, so processes that use another format have their own files.
pub const NAME: &str = "plexindex-1";
/// Longest wait for another process that makes or renames a database, or makes the client identifier.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(20);

/// The folder of a store, with the paths of its files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StoreFolder {
    path: Arc<Path>,
    /// The database, `-wal` and `-shm`.
    database_files: Arc<[PathBuf; 3]>,
    shares_memory: bool,
    /// A database that was found to be broken, and must be renamed.
    broken: Arc<Mutex<Option<Inode>>>,
}

impl StoreFolder {
    /// Opens the folder at `path`, and creates it if it is missing.
    ///
    /// # Errors
    /// [`Status::Store`] if it cannot be created, or is a file.
    pub fn open(path: &Path) -> Result<Self> {
        let there = path.metadata();
        if there.as_ref().is_ok_and(|facts| !facts.is_dir()) {
            return Err(Error::new(
                Status::Store,
                format!("cache_dir {} is a file: remove it, or name a folder", path.display()),
            ));
        }
        let folder = Self {
            path: path.into(),
            database_files: Arc::default(),
            shares_memory: false,
            broken: Arc::default(),
        };
        if there.is_err() {
            files::private_dir(path).map_err(|error| folder.cannot("make", &error))?;
        }
        // Absolute: a host may change its working directory later.
        let path = canonical(path).map_err(|error| folder.cannot("find", &error))?;
        let disk = files::disk(&path);
        Ok(Self {
            shares_memory: disk.shares_memory,
            database_files: ["", "-wal", "-shm"]
                .map(|end| path.join(format!("{NAME}.db{end}")))
                .into(),
            path: path.into(),
            ..folder
        })
    }

    /// The same folder, treated as if its file system could not share memory.
    #[cfg(test)]
    pub fn without_shared_memory(self) -> Self {
        Self {
            shares_memory: false,
            ..self
        }
    }

    /// Returns the error for an operation on the folder that failed. `verb` names the operation.
    pub fn cannot(&self, verb: &str, error: &io::Error) -> Error {
        let full = files::is_full(error);
        let status = if full { Status::StoreFull } else { Status::Store };
        let remedy = match error.kind() {
            _ if open_files::is_out_of_files(error) => "", // the text of the error has the remedy
            _ if full => "; free some space, or choose another cache_dir",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "; choose a cache_dir that this user may write"
            }
            // The message names the file that is in the way, and how to solve it.
            _ if files::is_in_the_way(error) => "; then try again",
            _ => "; choose another cache_dir",
        };
        Error::new(
            status,
            format!(
                "cannot {verb} cache_dir {}: {}{remedy}",
                self.path.display(),
                open_files::text_of(error)
            ),
        )
        .because_io(error)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether its file system lets processes share memory.
    pub fn shares_memory(&self) -> bool {
        self.shares_memory
    }

    /// Returns how segments are read: mapped, unless the host or the file system forbids it.
    pub fn map_mode(&self, no_mmap: bool) -> MapMode {
        if no_mmap || !self.shares_memory {
            MapMode::Read
        } else {
            MapMode::Map
        }
    }

    /// The database.
    pub fn database(&self) -> &Path {
        &self.database_files[0]
    }

    /// `-wal` and `-shm`.
    pub fn log(&self) -> [&Path; 2] {
        [&self.database_files[1], &self.database_files[2]]
    }

    /// The version page.
    pub fn page(&self) -> PathBuf {
        self.path.join(format!("{NAME}.page"))
    }

    /// The state file.
    pub fn state(&self) -> PathBuf {
        self.path.join(format!("{NAME}.state"))
    }

    /// The lock file for fetching `what`.
    pub fn fetch_lock(&self, what: &str) -> PathBuf {
        self.path.join(format!("{NAME}-{what}.lock"))
    }

    /// The lock on the database itself.
    pub fn store_lock(&self) -> PathBuf {
        self.fetch_lock("store")
    }

    /// A temporary file to try a lock with. Sweeping removes it after a kill.
    pub fn trial(&self) -> PathBuf {
        self.path.join(format!("{NAME}.trial.{}.new", std::process::id()))
    }

    /// Bytes that all files of the store take.
    pub fn disk_bytes(&self) -> u64 {
        self.bytes_of(|_| true)
    }

    /// Total size in bytes of the store's files whose names satisfy `which`.
    pub fn bytes_of(&self, which: impl Fn(&str) -> bool) -> u64 {
        fs::read_dir(&self.path).map_or(0, |entries| {
            entries
                .flatten()
                .filter(|entry| {
                    let name = entry.file_name();
                    let name = name.to_string_lossy();
                    name.starts_with("plexindex") && which(&name)
                })
                .filter_map(|entry| entry.metadata().ok())
                .map(|facts| facts.len())
                .sum()
        })
    }

    /// A file that `SQLite` keeps beside the database.
    pub fn companion(&self, end: &str) -> PathBuf {
        self.path.join(format!("{NAME}.db{end}"))
    }

    /// Marks this database file as broken; `None` removes the mark.
    pub fn mark_broken(&self, file: Option<Inode>) {
        *lock(&self.broken) = file;
    }

    /// The broken database that must be renamed.
    pub fn broken(&self) -> Option<Inode> {
        *lock(&self.broken)
    }

    /// Returns whether the disk or the user's quota is full, by writing a file.
    pub fn is_full(&self) -> bool {
        let path = self.path.join(format!("{NAME}.room.{}.new", std::process::id()));
        let tried = files::fresh(&path).and_then(|mut file| file.write_all(&vec![0; 1 << 16]));
        let _ = files::remove(&path);
        tried.is_err_and(|error| files::is_full(&error))
    }
}
