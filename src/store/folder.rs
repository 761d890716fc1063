//! The folder of a store: which file is where, who may read it, and what to do with a broken one.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result, Status};
use crate::platform::files;
use crate::platform::lock::FileLock;

/// The format's major version: part of the file names, so that another major's processes go on with their own.
const NAME: &str = "plexindex-1";
/// What the names of warm files end in.
const WARM: &str = ".warm";

/// How old a warm file that nobody names must be before it is removed.
const YOUNG_S: u64 = 600;

/// Where a store lives. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Folder {
    path: Arc<Path>,
    shares_memory: bool,
    broken: Arc<AtomicBool>,
}

impl Folder {
    /// The folder at `path`, made when missing.
    ///
    /// # Errors
    /// [`Status::Store`] when it cannot be made, or is a file.
    pub fn open(path: &Path) -> Result<Self> {
        if path.exists() && !path.is_dir() {
            return Err(Error::new(
                Status::Store,
                format!("cache_dir {} is a file: name a folder", path.display()),
            ));
        }
        let folder = Self {
            path: path.into(),
            shares_memory: false,
            broken: Arc::default(),
        };
        files::private_dir(path).map_err(|error| folder.cannot("make", &error))?;
        // Absolute: a host may change its working directory later.
        let path = path.canonicalize().map_err(|error| folder.cannot("find", &error))?;
        Ok(Self {
            shares_memory: files::shares_memory(&path),
            path: path.into(),
            ..folder
        })
    }

    /// The error for a folder with which something cannot be done.
    pub fn cannot(&self, verb: &str, error: &io::Error) -> Error {
        let status = if error.kind() == io::ErrorKind::StorageFull {
            Status::StoreFull
        } else {
            Status::Store
        };
        let remedy = match error.kind() {
            io::ErrorKind::StorageFull => "free some space, or choose another cache_dir",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "choose a cache_dir that this user may write"
            }
            _ => "choose another cache_dir",
        };
        Error::new(
            status,
            format!("cannot {verb} cache_dir {}: {error}; {remedy}", self.path.display()),
        )
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its file system lets processes share memory.
    pub fn shares_memory(&self) -> bool {
        self.shares_memory
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.path.join(format!("{NAME}.db"))
    }

    /// The counter page.
    pub fn page(&self) -> PathBuf {
        self.path.join(format!("{NAME}.page"))
    }

    /// The lock that whoever fetches this library holds.
    pub fn fetch_lock(&self, what: &str) -> PathBuf {
        self.path.join(format!("{NAME}-{what}.lock"))
    }

    /// The warm file with this name, as the database has it, made under these mappings: hosts with other rules make
    /// their own from the same rows.
    pub fn warm(&self, name: &str, mappings: u64) -> PathBuf {
        self.path.join(format!("{name}-{mappings:x}{WARM}"))
    }

    /// A name for a warm file: of what it is made and when, so that no two contents ever share one.
    pub fn warm_name(what: &str, library: i64, generation: u64, sequence: u64) -> String {
        format!("{NAME}-{what}{library}-{generation}-{sequence}")
    }

    /// Removes warm files whose name, as the database has it, `keep` does not know: those of older generations, and what a kill left. Processes that
    /// still have one mapped keep it until they let go.
    pub fn sweep_warm(&self, keep: &dyn Fn(&str) -> bool) {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let ours = name.starts_with(NAME) && name.contains(WARM);
            // A young file may be one that another process is about to announce; one that a kill left grows old.
            let young = entry
                .metadata()
                .and_then(|facts| facts.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() < YOUNG_S));
            let stem = name.rsplit_once('-').map_or("", |(stem, _)| stem);
            if ours && !young && !keep(stem) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Bytes that all files of the store take.
    pub fn disk_bytes(&self) -> u64 {
        fs::read_dir(&self.path).map_or(0, |entries| {
            entries
                .flatten()
                .filter(|entry| entry.file_name().to_string_lossy().starts_with("plexindex"))
                .filter_map(|entry| entry.metadata().ok())
                .map(|facts| facts.len())
                .sum()
        })
    }

    /// The identifier under which this installation speaks to Plex: made once and kept, for each new one registers a
    /// device and may mail the user.
    ///
    /// # Errors
    /// [`Status::Store`].
    pub fn client_identifier(&self) -> Result<String> {
        let path = self.path.join("plexindex-client-id");
        let cannot = |error: io::Error| self.cannot("keep the client identifier in", &error);
        let _lock = FileLock::acquire(&self.fetch_lock("client"), None, &|| false).map_err(cannot)?;
        let mut file = files::private(&path).map_err(cannot)?;
        let mut text = String::new();
        let known = file.read_to_string(&mut text).is_ok();
        let text = text.trim();
        if known && !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Ok(text.to_owned());
        }
        let random: [u8; 16] = files::random().map_err(cannot)?;
        let made = format!("plexindex-{:032x}", u128::from_le_bytes(random));
        file.set_len(0).map_err(cannot)?;
        io::Seek::rewind(&mut file).map_err(cannot)?;
        file.write_all(made.as_bytes()).and_then(|()| file.sync_all()).map_err(cannot)?;
        Ok(made)
    }

    /// Notes that `SQLite` called the database broken.
    pub fn mark_broken(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }

    /// Whether the database is to be set aside.
    pub fn set_aside_pending(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    /// Puts a broken database aside under another name, with its companions, so that a new one can be made. What it
    /// held can be fetched again, but for confirmed matches, which is why it is kept.
    ///
    /// # Errors
    /// [`Status::Store`].
    pub fn set_aside(&self) -> Result<()> {
        let cannot = |error: io::Error| self.cannot("set the broken database aside in", &error);
        let database = self.database();
        let before = inode(&database);
        let _lock = FileLock::acquire(&self.fetch_lock("repair"), None, &|| false).map_err(cannot)?;
        // Another process may have done it while we waited.
        if inode(&database) == before {
            for end in ["", "-wal", "-shm", "-journal"] {
                let from = self.path.join(format!("{NAME}.db{end}"));
                let to = self.path.join(format!("{NAME}.db{end}.broken"));
                match fs::rename(&from, &to) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
                    _ => {}
                }
            }
            
        }
        self.broken.store(false, Ordering::SeqCst);
        Ok(())
    }
}

fn inode(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    path.metadata().ok().map(|facts| facts.ino())
}
