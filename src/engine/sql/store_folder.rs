//! The folder of a store, the paths and names of its files, its keyed hashes, the client identifier, and errors that
//! name the folder.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::ErrorCode;

use crate::engine::segment::INDEX_SUFFIX;
use crate::error::{Error, Result, Status};
use crate::model::{Generation, LibraryId, OWN_IDENTIFIER, Sequence};
use crate::platform::MAX_DATABASE_PATH;
use crate::platform::clock::Deadline;
use crate::platform::files::{self, Inode, canonical};
use crate::platform::lock::{FileLock, lock_holder};

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
    pub shares_memory: bool,
    pub is_read_only: bool,
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
            is_read_only: false,
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
            is_read_only: false,
            database_files: ["", "-wal", "-shm"]
                .map(|suffix| path.join(format!("{NAME}.db{suffix}")))
                .into(),
            path: path.into(),
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

    /// Returns the same folder for reading only, or `error` if there is no database. As long as no process changes the
    /// files, they need no locks and no shared memory.
    ///
    /// # Errors
    /// Also those of [`Self::expect_no_log`].
    pub fn for_reading(self, error: &io::Error) -> Result<Self> {
        if self.find_database()?.is_none() {
            return Err(self.cannot("write to", error));
        }
        self.expect_no_log()?;
        Ok(Self {
            shares_memory: false,
            is_read_only: true,
            ..self
        })
    }

    /// Fails if the database's last changes are only in its log, which SQLite cannot read without writing.
    pub fn expect_no_log(&self) -> Result<()> {
        let Some(suffix) = self.log_with_content() else {
            return Ok(());
        };
        Err(Error::new(
            Status::Store,
            format!(
                "cannot read cache_dir {}, which this user cannot write to: {NAME}.db{suffix} has changes that are \
                 not in the database yet; open and close the index once where the folder can be written",
                self.path.display()
            ),
        ))
    }

    fn log_with_content(&self) -> Option<&'static str> {
        let has_content = |suffix: &&str| {
            let metadata = self.companion(suffix).symlink_metadata();
            metadata.is_ok_and(|metadata| metadata.len() > 0)
        };
        ["-wal", "-journal"].into_iter().find(has_content)
    }

    /// Returns the identity of the database that SQLite can read now; `None` if there is none. In a folder for reading only,
    /// a database that a process has changed is another one.
    pub fn database_file(&self) -> Option<Inode> {
        if !self.is_read_only {
            return Inode::of(self.database());
        }
        let is_complete = self.log_with_content().is_none();
        is_complete.then(|| Inode::of_content(self.database()))?
    }

    /// Returns the error for a failed operation on the folder. `operation`: a verb phrase that can follow 'cannot' and
    /// precede the folder's name, such as 'write to'.
    pub fn cannot(&self, operation: &str, error: &io::Error) -> Error {
        let is_full = files::is_full(error);
        let status = if is_full { Status::StoreFull } else { Status::Store };
        let remedy = match error.kind() {
            _ if files::is_out_of_files(error) => "", // the error's own text has the remedy
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
                files::text_of(error)
            ),
        )
        .with_io_source(error)
    }

    /// Returns an error of the store in this folder. `what`: what happened, and a remedy.
    pub fn error(&self, what: &str) -> Error {
        Error::new(Status::Store, format!("store in {}: {what}", self.path.display()))
    }

    /// Returns the folder's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
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

    /// Returns the path of the lock file with this name.
    pub fn lock_path(&self, name: &str) -> PathBuf {
        self.path.join(format!("{NAME}-{name}.lock"))
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
        let files = self.files().unwrap_or_default().into_iter();
        let counted = files.filter(|(name, _)| is_counted(name));
        counted.filter_map(|(_, file)| Some(file.metadata().ok()?.len())).sum()
    }

    /// Returns the names and the entries of the store's files.
    pub fn files(&self) -> io::Result<Vec<(String, fs::DirEntry)>> {
        let entries = fs::read_dir(&self.path)?.flatten();
        let named = entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry)));
        Ok(named.filter(|(name, _)| name.starts_with("plexindex")).collect())
    }

    /// Returns the path of the database file with a suffix such as `-journal`.
    pub fn companion(&self, suffix: &str) -> PathBuf {
        self.path.join(format!("{NAME}.db{suffix}"))
    }

    /// Returns the names of the damaged databases in the folder.
    pub fn broken_databases(&self) -> Vec<String> {
        let names = self.files().unwrap_or_default().into_iter().map(|(name, _)| name);
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

/// Returns whether the error means that the file is a damaged database, is not a database, or is used up.
pub fn is_broken(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Returns whether a read failed because the file was too short. SQLite reports this only for the WAL.
fn is_short_read(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ)
}

/// Returns whether a call failed because another process or thread had locked the store. The store and the server are
/// then intact, so the call can succeed as soon as the lock is free.
pub fn is_locked(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<rusqlite::ffi::Error>());
    cause.is_some_and(|cause| matches!(cause.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Converts a SQLite error to an error for users, which states the folder, the cause and a remedy.
pub fn explain(error: &rusqlite::Error, folder: &StoreFolder) -> Error {
    if is_short_read(error) {
        return folder.error(&format!(
            "{} was removed, truncated or replaced while processes had it open; stop these processes, then try again",
            folder.wal_and_shm()[0].display()
        ));
    }
    let code = error.sqlite_error_code();
    // On shared memory and some file systems, a full disk causes a plain I/O error.
    let is_full = code == Some(ErrorCode::DiskFull) || code == Some(ErrorCode::SystemIoFailure) && folder.is_full();
    let held_by;
    let remedy = match code {
        _ if is_full => "the disk is full; free some space, or choose another cache_dir",
        Some(ErrorCode::SystemIoFailure) => {
            "plexindex cannot read or write a file; look for a file size limit (ulimit -f), a quota or a failing disk"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "plexindex cannot write to the store; check the owner and permissions of the folder and its files"
        }
        Some(ErrorCode::CannotOpen) => {
            "plexindex cannot open the store; check that its folder exists, and that the folder and the files in it \
             belong to this user"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => match folder.lock_holder() {
            Some(process) => {
                held_by = format!("process {process} keeps it locked; if this process hangs, resume or end it");
                &held_by
            }
            None => "another process or thread keeps it locked; try again, and look for a hung process",
        },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "the database is damaged; the next call renames it to .broken and creates a new one"
        }
        Some(ErrorCode::SchemaChanged) => "update plexindex, or choose another cache_dir",
        _ if matches!(error, rusqlite::Error::QueryReturnedNoRows) => {
            "another call cleared or recreated the data during this call; try again"
        }
        _ => "try again, or choose another cache_dir",
    };
    let mut explained = folder.error(&format!("{error}; {remedy}"));
    if is_full {
        explained.status = Status::StoreFull;
    }
    match error.sqlite_error() {
        Some(cause) => explained.with_source(*cause),
        None => explained,
    }
}

impl StoreFolder {
    /// Returns the id of another process that holds SQLite's lock for writing; `None` if it cannot be known.
    fn lock_holder(&self) -> Option<u32> {
        // The positions of the locks are part of SQLite's file formats.
        if self.shares_memory {
            lock_holder(self.wal_and_shm()[1], 120, 1)
        } else {
            lock_holder(self.database(), 1 << 30, 512)
        }
    }

    /// Returns this folder's client identifier. Creates the identifier only once, because each new identifier registers
    /// a device with Plex, and Plex may email the user about a new device.
    pub fn client_identifier(&self) -> Result<String> {
        let path = self.path().join("plexindex-client-id");
        let cannot = |error: io::Error| self.cannot("store the client identifier in", &error);
        // Reading needs no lock, because the file gets its name only when it is complete.
        if let Ok(text) = read_text(&path)
            && is_identifier(&text)
        {
            return Ok(text);
        }
        // Go on without the lock at the timeout, and on a file system without locks. Two processes that start at the
        // same time may then both register a device.
        let _lock = FileLock::acquire(&self.lock_path("client"), Deadline::after(LOCK_TIMEOUT), &|| false)
            .or_else(|error| FileLock::is_unsupported(&error).then_some(None).ok_or(error))
            .map_err(cannot)?;
        // Read again, because another process may have created the identifier before this process got the lock. Never
        // replace a file without read permission, because it may contain a valid identifier.
        match read_text(&path) {
            Ok(text) if is_identifier(&text) => return Ok(text),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(cannot(error)),
            // The file is missing or contains no valid identifier.
            _ => {}
        }
        let random: [u8; 16] = files::random_bytes().map_err(cannot)?;
        let identifier = format!("{OWN_IDENTIFIER}{:032x}", u128::from_le_bytes(random));
        let temporary = self.path().join(format!("{NAME}.client.{}.new", std::process::id()));
        files::write_whole(&path, &temporary, identifier.as_bytes(), true).map_err(cannot)?;
        Ok(identifier)
    }
}

/// Reads at most 256 bytes of a file, which is more than the length of an identifier, and trims whitespace.
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    files::open_for_reading(path)?.take(256).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// Returns whether a string can be an identifier (ASCII letters, digits and `-`). If not, plexindex replaces the file.
fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Returns the name of a listing's segment as a database has it; `None` if the text is empty, or no file can have the name.
pub fn listing_name(text: &str) -> Option<String> {
    (text.starts_with(NAME) && !text.contains(['/', '\\'])).then(|| text.to_owned())
}

/// Suffix of segment files.
const SUFFIX: &str = ".segment";
/// Suffix of the files with the stored pages of unfinished listings.
pub const ITEMS_SUFFIX: &str = ".items";

/// Age, in seconds, at which plexindex removes an unreferenced segment. Until then, a process may publish the segment.
const UNNAMED_KEPT_S: u64 = 60;
/// Age, in seconds, at which plexindex removes a temporary file. Until then, a process may still be writing the file.
const TEMPORARY_KEPT_S: u64 = 600;

impl StoreFolder {
    /// Returns the path of a listing's segment for hosts with these mappings. Hosts with other mappings build their own
    /// segment from the same items. `mappings`: the digest of the mappings.
    pub fn listing_segment(&self, name: &str, mappings: u64) -> PathBuf {
        self.path().join(format!("{name}-{mappings:x}{SUFFIX}"))
    }

    /// Returns the paths of a segment's files, one for each set of mappings. All files have the same items.
    pub fn files_of_segment(&self, name: &str) -> Result<Vec<PathBuf>> {
        let is_of_segment = |file: &str| file.ends_with(SUFFIX) && referenced_name(file) == Some(name);
        let files = self.files().map_err(|error| self.cannot("read", &error))?;
        let of_segment = files.into_iter().filter(|(name, _)| is_of_segment(name));
        Ok(of_segment.map(|(_, file)| file.path()).collect())
    }
}

/// Returns a new name for a library's segment. `sequence`: the change sequence up to which the segment is complete. A random
/// number makes it unique, since generation and sequence may repeat after a power cut.
pub fn new_listing_name(library: LibraryId, generation: Generation, sequence: Sequence) -> String {
    let generation = generation.0.max(0); // a negative number stands for an evicted listing
    format!("{NAME}-l{library}-{generation}-{sequence}-{:x}", random_number())
}

/// Returns a number that makes a name unique; 0 if the system has no random numbers.
pub fn random_number() -> u32 {
    u32::from_le_bytes(files::random_bytes().unwrap_or_default())
}

/// Returns the name by which the database references a file: the segment name for a segment or an index of it, and the file
/// name for a listing's pages. `None` for other files.
pub fn referenced_name(file: &str) -> Option<&str> {
    if !file.starts_with(NAME) {
        return None;
    }
    if file.ends_with(ITEMS_SUFFIX) {
        return Some(file);
    }
    // An earlier build had sizes beside the segment, too.
    let segment = [INDEX_SUFFIX, ".sizes"]
        .iter()
        .find_map(|suffix| file.strip_suffix(suffix));
    let name = segment.unwrap_or(file).strip_suffix(SUFFIX)?;
    Some(name.rsplit_once('-')?.0) // without the digest of the mappings
}

/// Returns whether no process can still be writing, publishing or opening an unreferenced file. True if the time of its
/// last modification is unknown or in the future.
pub fn is_abandoned(name: &str, file: &fs::DirEntry) -> bool {
    let kept_s = if is_temporary(name) {
        TEMPORARY_KEPT_S
    } else {
        UNNAMED_KEPT_S
    };
    let changed = file.metadata().and_then(|metadata| metadata.modified());
    let age = changed.ok().and_then(|changed| changed.elapsed().ok());
    age.is_none_or(|age| age.as_secs() >= kept_s)
}

/// Returns whether a file is unfinished, or a cache of earlier builds.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(NAME) && (name.contains(".new") || name.contains(".state"))
}

/// The key for a store's keyed hashes.
pub struct StoreKey<'s>(pub(super) &'s [u8; 32]);

impl StoreKey<'_> {
    /// Returns the keyed hash of a token, which the store saves instead of the token. Without the store's key, the hash
    /// reveals nothing about the token.
    #[must_use]
    pub fn fingerprint(&self, token: &str) -> Vec<u8> {
        self.keyed(token.as_bytes()).to_vec()
    }

    /// Returns the keyed hash of `bytes`, which nobody can compute without the store's key.
    #[must_use]
    pub fn keyed(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(self.0, bytes).as_bytes()
    }

    /// Returns the keyed hash of a listing segment's name. A segment file contains this hash, which proves that this
    /// store wrote the file for this listing.
    #[must_use]
    pub fn name_mac(&self, name: &str) -> u64 {
        let mut name_mac = [0; 8];
        name_mac.copy_from_slice(&self.keyed(name.as_bytes())[..8]);
        u64::from_le_bytes(name_mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sql::for_tests::opened;

    #[test]
    fn a_complete_identifier_is_read_without_the_lock() {
        let (_kept, store) = opened();
        let made = store.folder.client_identifier().expect("made");
        let lock = store.folder.lock_path("client");
        let held = FileLock::acquire(&lock, Deadline::NONE, &|| false).expect("locks work");
        assert!(held.is_some());
        let begun = std::time::Instant::now();
        assert_eq!(store.folder.client_identifier().expect("read"), made);
        assert!(begun.elapsed() < LOCK_TIMEOUT / 2, "it waited for the lock");
    }

    #[test]
    fn a_segment_of_a_database_is_in_the_folder() {
        let name = format!("{NAME}-l30064771072-3-18446744073709551615-ab");
        assert_eq!(listing_name(&name), Some(name));
        for other in [
            "",
            "l1-2-3-4",
            "plexindex-1-l1/../../a",
            "plexindex-1\\a",
            "../plexindex-1",
        ] {
            assert_eq!(listing_name(other), None, "{other}");
        }
    }
}
