//! The folder of a store, and the paths of its files.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, Result, Status};
use crate::platform::MAX_DATABASE_PATH;
use crate::platform::files::{self, Inode};
use crate::platform::local_path::canonical;
use crate::platform::map::MapMode;
use crate::platform::mutex::lock;
use crate::platform::open_files;

/// Prefix of all file names.
pub const NAME: &str = "plexindex-1";
/// End of the name of a damaged database.
pub const BROKEN: &str = ".broken";
/// Maximum length of the folder's path in bytes. The longest name in the folder that SQLite opens is
/// `/plexindex-1.db.4194304.new`, with the largest process id of Linux.
const MAX_FOLDER_BYTES: usize = MAX_DATABASE_PATH - "/plexindex-1.db.4194304.new".len();
/// Maximum wait for another process that is creating or renaming the database, or creating the client identifier.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(20);

/// A store's folder, with the paths of its files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StoreFolder {
    path: Arc<Path>,
    /// Paths of the database, `-wal` and `-shm`.
    database_files: Arc<[PathBuf; 3]>,
    shares_memory: bool,
    /// Inode of a damaged database, which the next call renames to `.broken`.
    broken: Arc<Mutex<Option<Inode>>>,
}

impl StoreFolder {
    /// Opens the folder at `path`, and creates it if it is missing.
    ///
    /// # Errors
    /// [`Status::Store`] if the folder cannot be created, or `path` is a file.
    pub fn open(path: &Path) -> Result<Self> {
        let metadata = path.metadata();
        if metadata.as_ref().is_ok_and(|metadata| !metadata.is_dir()) {
            return Err(Error::new(
                Status::Store,
                format!("cache_dir {} is a file; remove it, or choose a folder", path.display()),
            ));
        }
        let folder = Self {
            path: path.into(),
            database_files: Arc::default(),
            shares_memory: false,
            broken: Arc::default(),
        };
        folder.expect_short_path()?;
        if metadata.is_err() {
            files::create_private_dirs(path).map_err(|error| folder.cannot("create", &error))?;
        }
        // Use an absolute path, because the host may change its working directory.
        let path = canonical(path).map_err(|error| folder.cannot("find", &error))?;
        let disk = files::file_system_of(&path);
        Ok(Self {
            shares_memory: disk.shares_memory,
            database_files: ["", "-wal", "-shm"]
                .map(|suffix| path.join(format!("{NAME}.db{suffix}")))
                .into(),
            path: path.into(),
            ..folder
        })
    }

    /// Fails if SQLite could not open the database because of the length of its path.
    fn expect_short_path(&self) -> Result<()> {
        // A link can make the path shorter, so resolve the part that exists.
        let resolved = self.path.ancestors().find_map(|existing| {
            let missing = self.path.strip_prefix(existing).ok()?;
            Some(canonical(existing).ok()?.join(missing))
        });
        let length = resolved.map_or(0, |path| path.as_os_str().len());
        if length <= MAX_FOLDER_BYTES {
            return Ok(());
        }
        Err(Error::new(
            Status::Store,
            format!(
                "cannot use cache_dir {}: its path has {length} bytes, but may have at most {MAX_FOLDER_BYTES}; choose \
                 a shorter path",
                self.path.display()
            ),
        ))
    }

    /// Returns the same folder, but treats its file system as one without shared memory.
    #[cfg(test)]
    pub fn without_shared_memory(self) -> Self {
        Self {
            shares_memory: false,
            ..self
        }
    }

    /// Returns the error for a failed operation on the folder. `operation`: a verb phrase that can follow 'cannot' and
    /// precede the folder's name, such as 'write to'.
    pub fn cannot(&self, operation: &str, error: &io::Error) -> Error {
        let is_full = files::is_full(error);
        let status = if is_full { Status::StoreFull } else { Status::Store };
        let remedy = match error.kind() {
            _ if open_files::is_out_of_files(error) => "", // the error's own text has the remedy
            _ if is_full => "; free some space, or choose another cache_dir",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "; choose a cache_dir that this user can write to"
            }
            // The error's own text names the file to remove.
            _ if files::is_obstacle_error(error) => "; then try again",
            _ => "; choose another cache_dir",
        };
        Error::new(
            status,
            format!(
                "cannot {operation} cache_dir {}: {}{remedy}",
                self.path.display(),
                open_files::text_of(error)
            ),
        )
        .with_io_source(error)
    }

    /// Returns the folder's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether processes can share memory through files in this folder.
    pub fn shares_memory(&self) -> bool {
        self.shares_memory
    }

    /// Returns how to read segments: mapped, unless the host (`no_mmap`) or the file system rules out mapping.
    pub fn map_mode(&self, no_mmap: bool) -> MapMode {
        if no_mmap || !self.shares_memory {
            MapMode::Read
        } else {
            MapMode::Map
        }
    }

    /// Returns the path of the database.
    pub fn database(&self) -> &Path {
        &self.database_files[0]
    }

    /// Returns the paths of the WAL and its index: `-wal` and `-shm`.
    pub fn wal_and_shm(&self) -> [&Path; 2] {
        [&self.database_files[1], &self.database_files[2]]
    }

    /// Returns the path of the version page.
    pub fn page(&self) -> PathBuf {
        self.path.join(format!("{NAME}.page"))
    }

    /// Returns the path of the state file.
    pub fn state(&self) -> PathBuf {
        self.path.join(format!("{NAME}.state"))
    }

    /// Returns the path of the lock file with this name.
    pub fn lock_path(&self, name: &str) -> PathBuf {
        self.path.join(format!("{NAME}-{name}.lock"))
    }

    /// Returns the path of the lock file for creating and renaming the database.
    pub fn store_lock(&self) -> PathBuf {
        self.lock_path("store")
    }

    /// Returns the path of a temporary file with which this process tests file locks in this folder.
    pub fn lock_trial_path(&self) -> PathBuf {
        self.path.join(format!("{NAME}.trial.{}.new", std::process::id()))
    }

    /// Returns the total size of the store's files in bytes.
    pub fn disk_bytes(&self) -> u64 {
        self.bytes_of(|_| true)
    }

    /// Returns the total size, in bytes, of the store's files whose names satisfy `is_counted`.
    pub fn bytes_of(&self, is_counted: impl Fn(&str) -> bool) -> u64 {
        fs::read_dir(&self.path).map_or(0, |entries| {
            entries
                .flatten()
                .filter(|entry| {
                    let name = entry.file_name();
                    let name = name.to_string_lossy();
                    name.starts_with("plexindex") && is_counted(&name)
                })
                .filter_map(|entry| entry.metadata().ok())
                .map(|metadata| metadata.len())
                .sum()
        })
    }

    /// Returns the path of the database file with a suffix such as `-journal`.
    pub fn companion(&self, suffix: &str) -> PathBuf {
        self.path.join(format!("{NAME}.db{suffix}"))
    }

    /// Marks a database file as broken, so that the next call renames it to `.broken`. `None` removes the mark.
    pub fn mark_broken(&self, file: Option<Inode>) {
        *lock(&self.broken) = file;
    }

    /// Returns the inode of the broken database, which the next call renames; `None` if no database is broken.
    pub fn broken(&self) -> Option<Inode> {
        *lock(&self.broken)
    }

    /// Returns the names of the damaged databases in the folder.
    pub fn broken_databases(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return Vec::new();
        };
        let names = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let is_broken = |name: &String| name.starts_with(&format!("{NAME}.db.")) && name.ends_with(BROKEN);
        let mut names: Vec<String> = names.filter(is_broken).collect();
        names.sort();
        names
    }

    /// Returns a name that no damaged database in the folder has. SQLite finds a database's write-ahead log if its name
    /// is the database's name with the suffix `-wal`.
    pub fn unused_broken_name(&self) -> String {
        let numbered = (2_u32..).map(|number| format!("{NAME}.db.{number}{BROKEN}"));
        let mut names = std::iter::once(format!("{NAME}.db{BROKEN}")).chain(numbered);
        let is_unused = |name: &String| self.path.join(name).symlink_metadata().is_err();
        names.find(is_unused).unwrap_or_default() // the names do not end
    }

    /// Returns whether the disk or the user's quota is full. Writes a temporary file to find out.
    pub fn is_full(&self) -> bool {
        // Enough to need at least one new block of the file system.
        const TEST_BYTES: usize = 1 << 16;
        let path = self.path.join(format!("{NAME}.room.{}.new", std::process::id()));
        let result = files::create_new(&path).and_then(|mut file| file.write_all(&vec![0; TEST_BYTES]));
        let _ = files::remove(&path);
        result.is_err_and(|error| files::is_full(&error))
    }
}
