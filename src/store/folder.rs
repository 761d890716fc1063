//! The folder of a store: which file is where, who may read it, and what to do with a broken one.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{connection, explain};
use crate::error::{Error, Result, Status};
use crate::platform::files;
use crate::platform::lock::FileLock;

/// What the files' names begin with. The number is the format's, so that processes with another format go on with files of
/// their own.
const NAME: &str = "plexindex-2";
/// What the names of images end in.
const IMAGE: &str = ".image";

/// How old an image that nobody names must be before it is removed.
const YOUNG_S: u64 = 600;
/// After how many seconds nobody is about to open a file that was replaced.
const REPLACED_S: u64 = 2;

/// How long another process may make or set aside a database.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a store lives. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Folder {
    path: Arc<Path>,
    shares_memory: bool,
    /// The database that was found to be broken and has to be set aside.
    broken: Arc<Mutex<Option<Inode>>>,
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode(u64, u64);

impl Inode {
    /// The file that has this name now.
    pub fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let facts = path.symlink_metadata().ok()?;
        Some(Self(facts.dev(), facts.ino()))
    }
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
                format!("cache_dir {} is a file: remove it, or name a folder", path.display()),
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

    /// The same folder, as if it were on a network.
    #[cfg(test)]
    pub fn without_shared_memory(self) -> Self {
        Self {
            shares_memory: false,
            ..self
        }
    }

    /// The error for a folder with which something cannot be done.
    pub fn cannot(&self, verb: &str, error: &io::Error) -> Error {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let status = if full { Status::StoreFull } else { Status::Store };
        let remedy = match error.kind() {
            _ if full => "free some space, or choose another cache_dir",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "choose a cache_dir that this user may write"
            }
            // What is in the way is named, and what to do about it.
            _ if files::is_in_the_way(error) => "then try again",
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

    /// A file to try a lock with. Its name is one that is swept, should a kill leave it.
    pub fn trial(&self) -> PathBuf {
        self.path.join(format!("{NAME}.trial.{}.new", std::process::id()))
    }

    /// The image with this name, as the database has it, made under these mappings: hosts with other rules make
    /// their own from the same rows.
    pub fn image(&self, name: &str, mappings: u64) -> PathBuf {
        self.path.join(format!("{name}-{mappings:x}{IMAGE}"))
    }

    /// A name for an image: of what it is made and when, so that no two contents ever share one.
    pub fn image_name(what: &str, library: i64, generation: u64, sequence: u64) -> String {
        // Numbers repeat after a power cut; a random one does not.
        let random = u32::from_le_bytes(files::random().unwrap_or_default());
        format!("{NAME}-{what}{library}-{generation}-{sequence}-{random:x}")
    }

    /// Removes images whose name, as the database has it, `keep` does not know: those of older generations, and what
    /// a kill left of these and other files. Processes that still have one mapped keep it until they let go.
    pub fn sweep_images(&self, keep: &dyn Fn(&str) -> bool) {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let ours = name.starts_with(NAME) && (name.contains(IMAGE) || name.contains(".new"));
            // A young file may be one that another process is about to announce; one that a kill left grows old.
            let young = entry
                .metadata()
                .and_then(|facts| facts.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() < YOUNG_S));
            let stem = name.rsplit_once('-').map_or("", |(stem, _)| stem);
            if ours && !young && !keep(stem) {
                let _ = files::remove(&entry.path());
            }
        }
    }

    /// Removes images of a kind and library that another one replaced, which is true up to `sequence`: a host that
    /// records much makes many. Those of the last seconds stay, for who has just read their names; who comes later
    /// finds none, and makes it anew.
    pub fn sweep_replaced(&self, what: &str, library: i64, sequence: u64) {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return;
        };
        let begin = format!("{NAME}-{what}{library}-");
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let upto = name
                .strip_prefix(&begin)
                .and_then(|rest| rest.split('-').nth(1)?.parse::<u64>().ok());
            let old = || {
                let changed = entry.metadata().and_then(|facts| facts.modified());
                changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() >= REPLACED_S))
            };
            if upto.is_some_and(|upto| upto < sequence) && name.ends_with(IMAGE) && old() {
                let _ = files::remove(&entry.path());
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
        let _lock = FileLock::acquire(&self.fetch_lock("client"), Some(Instant::now() + PATIENCE), &|| false)
            .map_err(cannot)?;
        match read_text(&path) {
            Ok(text) if is_identifier(&text) => return Ok(text),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(cannot(error)),
            // Missing, or no identifier: a new one takes its place.
            _ => {}
        }
        let random: [u8; 16] = files::random().map_err(cannot)?;
        let made = format!("plexindex-{:032x}", u128::from_le_bytes(random));
        let temporary = self.path.join(format!("{NAME}.client.{}.new", std::process::id()));
        let written = files::fresh(&temporary)
            .and_then(|mut file| file.write_all(made.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| files::rename(&temporary, &path));
        if written.is_err() {
            let _ = files::remove(&temporary);
        }
        written.map_err(cannot)?;
        Ok(made)
    }

    /// Makes the database when none has its name. It gets the name when it is whole and closed, so nobody ever finds half
    /// of one; and no descriptor of it is closed later, which would free the locks that this process has on it.
    ///
    /// # Errors
    /// [`Status::Store`], [`Status::StoreFull`].
    pub fn make_database(&self) -> Result<()> {
        let cannot = |error: io::Error| self.cannot("make a database in", &error);
        files::private_dir(&self.path).map_err(cannot)?;
        let _alone = self.alone()?;
        let database = self.database();
        if files::regular(&database).map_err(cannot)?.is_some() {
            return Ok(()); // another process was faster
        }
        // Of a database that is not there any more; the new one must not take them for its own.
        for end in COMPANIONS {
            gone(files::remove(&self.companion(end))).map_err(cannot)?;
        }
        let temporary = self.path.join(format!("{NAME}.db.{}.new", std::process::id()));
        drop(files::fresh(&temporary).map_err(cannot)?);
        let done = connection::make(&temporary, self.shares_memory)
            .map_err(|error| explain(&error, self))
            .and_then(|()| files::rename(&temporary, &database).map_err(cannot));
        if done.is_err() {
            let _ = files::remove(&temporary);
        }
        done
    }

    /// The database, if there is one. Something else than a file in its place, or in that of what `SQLite` keeps beside it,
    /// is an error: `SQLite` would follow a link.
    ///
    /// # Errors
    /// [`Status::Store`].
    pub fn find_database(&self) -> Result<Option<Inode>> {
        let regular =
            |end| files::regular(&self.companion(end)).map_err(|error| self.cannot("open the database in", &error));
        for end in COMPANIONS {
            regular(end)?;
        }
        Ok(regular("")?.map(|(device, number)| Inode(device, number)))
    }

    /// Held while the database gets or loses its name. Where locks do not work, nobody has it.
    fn alone(&self) -> Result<Option<FileLock>> {
        let path = self.fetch_lock("store");
        match FileLock::acquire(&path, Some(Instant::now() + PATIENCE), &|| false) {
            Ok(Some(lock)) => Ok(Some(lock)),
            Ok(None) => Err(Error::new(
                Status::Store,
                format!(
                    "store in {}: another process makes or repairs it, and does not come to an end; look for a process \
                     that hangs",
                    self.path.display()
                ),
            )),
            Err(error) if FileLock::are_missing(&error) => Ok(None),
            Err(error) => Err(self.cannot("lock a file in", &error)),
        }
    }

    /// A file that `SQLite` keeps beside the database.
    pub fn companion(&self, end: &str) -> PathBuf {
        self.path.join(format!("{NAME}.db{end}"))
    }

    fn mark(&self) -> MutexGuard<'_, Option<Inode>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that `SQLite` called this file broken.
    pub fn mark_broken(&self, file: Option<Inode>) {
        *self.mark() = file;
    }

    /// The database that is to be set aside.
    pub fn broken(&self) -> Option<Inode> {
        *self.mark()
    }

    /// Puts the database that was found to be broken aside under another name, with its companions, so that a new one
    /// can be made. What it held can be fetched again, but for confirmed matches, which is why it is kept.
    ///
    /// # Errors
    /// [`Status::Store`].
    pub fn set_aside(&self) -> Result<()> {
        let cannot = |error: io::Error| self.cannot("set the broken database aside in", &error);
        let _alone = self.alone()?;
        let broken = self.broken();
        // Another process may have been faster, and then what has the name now is not what was found to be broken.
        if broken.is_some() && Inode::of(&self.database()) == broken {
            // The database first: from then on others find it moved, and make a new one only when we are done.
            for end in std::iter::once("").chain(COMPANIONS) {
                let from = self.companion(end);
                gone(files::rename(&from, &self.companion(&format!("{end}.broken")))).map_err(cannot)?;
            }
            log::warn!(
                "the database in {} was broken; it is set aside as {NAME}.db.broken, and what it held is fetched anew",
                self.path.display()
            );
        }
        *self.mark() = None;
        Ok(())
    }

    /// Whether the disk, or what this user may have of it, is full: tried, not asked.
    pub fn is_full(&self) -> bool {
        let path = self.path.join(format!("{NAME}.room.{}.new", std::process::id()));
        let tried = files::fresh(&path).and_then(|mut file| file.write_all(&vec![0; 1 << 16]));
        let _ = files::remove(&path);
        tried.is_err_and(|error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

/// What `SQLite` puts beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A short text; the rest of a long one is no use.
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    files::readable(path)?.take(256).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The same, but that it is not there is fine.
fn gone(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(error)
        }
    })
}
