//! Files that only their owner can read, their stamps, and properties of file systems.
//!
//! The folder may belong to a different user than the process, for example if root in a container works for a user of
//! the host. A file or link that this user creates must not redirect the process. Therefore this module looks up names
//! relative to a descriptor of their folder, does not follow symbolic links, creates files exclusively, and changes the
//! owner only of files that it has created.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use super::file_facts::{FileFacts, FileSystem, FileType, Inode};
use super::fork::lock;
use super::system::{self, MORE_OPEN_FILES, absolute_if_exists, shown};
pub use super::system::{
    expect_writable, for_sqlite, is_gone, is_open_to_others, is_out_of_files, log_version, may_read, read_at, write_at,
};

/// Converts file system bytes (WTF-8 on Windows) to a path.
#[must_use]
pub fn path_from_bytes(bytes: impl Into<Vec<u8>>) -> PathBuf {
    system::named(bytes.into())
}

/// Converts a path to file system bytes (WTF-8 on Windows).
#[must_use]
pub fn bytes_of<P: AsRef<Path> + ?Sized>(path: &P) -> &[u8] {
    path.as_ref().as_os_str().as_encoded_bytes()
}

/// Maximum number of attempts to open or create a file that other processes create and remove at the same time.
const CREATE_ATTEMPTS: u32 = 8;

/// Opens a file for reading and writing; creates it with mode 0600 if it is missing.
///
/// # Errors
/// Operating system errors; [`io::ErrorKind::AlreadyExists`] if something other than a regular file is at the path.
pub fn open_or_create(path: &Path) -> io::Result<File> {
    for _ in 0..CREATE_ATTEMPTS {
        match open_existing(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => return done,
        }
        let folder = parent(path)?;
        failpoint!(Make(path));
        match folder.create(name_in(path)?) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {} // another process was faster
            done => return done.map_err(|error| explain_obstacle(error, path)),
        }
    }
    Err(obstacle_error(
        path,
        "is repeatedly created and removed by another program; stop that program",
    ))
}

/// Opens an existing file for reading and writing.
///
/// # Errors
/// Operating system errors; [`io::ErrorKind::AlreadyExists`] if something other than a regular file is at the path.
pub fn open_existing(path: &Path) -> io::Result<File> {
    open(path, true)
}

/// Opens an existing file for reading.
///
/// # Errors
/// Operating system errors; [`io::ErrorKind::AlreadyExists`] if something other than a regular file is at the path.
pub fn open_for_reading(path: &Path) -> io::Result<File> {
    open(path, false)
}

/// Opens one of the host's files for reading, such as a passfile or a certificate file.
///
/// # Errors
/// Operating system errors; [`io::ErrorKind::InvalidInput`] if the path does not lead to a regular file.
pub fn open_host_file(path: &Path) -> io::Result<File> {
    // Opening a pipe would wait for a writer.
    if path.metadata()?.is_file() {
        return File::open(path);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

/// Creates a file with mode 0600 for writing, and first removes an existing file.
///
/// # Errors
/// Operating system errors; [`io::ErrorKind::AlreadyExists`] if a directory is at the path, or its folder is a link.
pub fn create_new(path: &Path) -> io::Result<File> {
    let (folder, name) = (parent(path)?, name_in(path)?);
    match folder.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(explain_obstacle(error, path)),
        _ => {}
    }
    failpoint!(Make(path));
    folder.create(name).map_err(|error| explain_obstacle(error, path))
}

/// Writes a file under a temporary name and renames it to `path`, so that other processes never read an incomplete one.
///
/// # Errors
/// As [`create_new`].
pub fn write_whole(path: &Path, temporary: &Path, bytes: &[u8], syncs: bool) -> io::Result<()> {
    let written = create_new(temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        if syncs {
            sync(&file, temporary)?;
        }
        drop(file);
        rename(temporary, path)
    });
    if written.is_err() {
        let _ = remove(temporary);
    }
    written
}

/// Creates a temporary file. Removes the file's name at once if the system allows this; otherwise the system removes
/// the file when it is closed.
///
/// # Errors
/// Operating system errors; [`io::ErrorKind::AlreadyExists`] if a directory is at the path, or its folder is a link.
pub fn create_temporary(path: &Path) -> io::Result<File> {
    let file = create_new(path)?;
    system::remove_when_closed(file, || remove(path))
}

/// Returns a unique path for a temporary file beside `path`. If the process is killed, plexindex later removes the
/// file, which it recognizes by the suffix.
pub fn temporary_beside(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{number}.new", std::process::id()));
    path.with_file_name(name)
}

/// A file under a temporary name. Dropping this value removes the file, unless [`TemporaryFile::persist`] has renamed
/// it.
pub struct TemporaryFile {
    pub file: File,
    name: Option<PathBuf>,
}

impl TemporaryFile {
    /// Creates the file under a unique name in the same folder as `path`.
    pub fn create_beside(path: &Path) -> io::Result<Self> {
        let name = temporary_beside(path);
        Ok(Self {
            file: create_new(&name)?,
            name: Some(name),
        })
    }

    /// Renames the file to `path`. If there is a file at `path` already, keeps that file instead, because processes may
    /// have mapped it, and removes the temporary file.
    pub fn persist(mut self, path: &Path) -> io::Result<()> {
        if path.symlink_metadata().is_ok_and(|facts| facts.is_file()) {
            return Ok(());
        }
        let renamed = self.name.as_ref().map_or(Ok(()), |name| rename(name, path));
        if renamed.is_ok() {
            self.name = None;
        }
        renamed
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = remove(name);
        }
    }
}

/// Syncs a file to disk. `path`: the file's path, for a failpoint that a test has installed.
///
/// # Errors
/// Operating system errors.
pub fn sync(file: &File, path: &Path) -> io::Result<()> {
    failpoint!(Sync(path));
    system::sync(file)
}

/// Syncs the names in a folder to disk, so that a power cut does not undo a rename or removal.
///
/// # Errors
/// Operating system errors.
pub fn sync_names(path: &Path) -> io::Result<()> {
    failpoint!(SyncNames(path));
    system::sync_names(path).map_err(|error| explain_obstacle(error, path))
}

/// Opens the file on which an existing folder is locked: the folder itself, or, on Windows, a file in the folder.
///
/// # Errors
/// Operating system errors.
pub fn open_folder_lock(path: &Path) -> io::Result<File> {
    system::lock_of_folder(path).map_err(|error| explain_obstacle(error, path))
}

/// Removes a file or link.
///
/// # Errors
/// Operating system errors; [`io::ErrorKind::AlreadyExists`] if a directory is at the path, or its folder is a link.
pub fn remove(path: &Path) -> io::Result<()> {
    let folder = parent(path)?;
    failpoint!(Remove(path));
    folder
        .remove(name_in(path)?)
        .map_err(|error| explain_obstacle(error, path))
}

/// Renames a file within its folder. Replaces an existing file. If `to` is a directory, first renames it to a name that
/// ends in `.broken`.
///
/// # Errors
/// Operating system errors.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (folder, name) = (parent(to)?, name_in(to)?);
    failpoint!(Rename(from, to));
    let from = name_in(from)?;
    match folder.rename(from, name) {
        Err(_) if FileFacts::of(to).is_ok_and(|facts| facts.kind == FileType::Folder) => {
            let number = u32::from_le_bytes(random_bytes()?);
            let broken_name = format!("{}.{number:x}.broken", name.to_string_lossy());
            folder.rename(name, broken_name.as_ref())?;
            log::warn!("{} was a directory; renamed it to {broken_name}", to.display());
            folder.rename(from, name)
        }
        renamed => renamed,
    }
}

impl FileFacts {
    /// Reads a file's or link's facts, without following links.
    ///
    /// # Errors
    /// Operating system errors.
    pub fn of(path: &Path) -> io::Result<Self> {
        system::facts(path, false)
    }

    /// Reads a file's facts, following links.
    ///
    /// # Errors
    /// Operating system errors.
    pub fn of_target(path: &Path) -> io::Result<Self> {
        system::facts(path, true)
    }
}

impl Inode {
    /// Returns an open file's identity.
    ///
    /// # Errors
    /// Operating system errors.
    pub fn of_open(file: &File) -> io::Result<Self> {
        system::facts_of_open(file).map(|facts| facts.inode)
    }

    /// Returns a file's or link's identity, without following links; `None` if it cannot be read.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        FileFacts::of(path).ok().map(|facts| facts.inode)
    }

    /// Returns the identity of a file and its content, which is another one after each write.
    #[must_use]
    pub fn of_content(path: &Path) -> Option<Self> {
        let facts = FileFacts::of(path).ok()?;
        let (seconds, nanoseconds) = facts.written;
        let since = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
        Some(Self {
            made: UNIX_EPOCH.checked_add(since),
            ..facts.inode
        })
    }

    /// Returns a file's identity, following links; `None` if it cannot be read.
    #[must_use]
    pub fn of_target(path: &Path) -> Option<Self> {
        FileFacts::of_target(path).ok().map(|facts| facts.inode)
    }
}

/// Returns the identities of the files with these paths in `folder`, in the same order; `None` for each missing file.
///
/// # Errors
/// Operating system errors; [`io::ErrorKind::AlreadyExists`] if the folder's path contains a link, or if one of the
/// files is not a regular file.
pub fn regular_file_inodes<const N: usize>(folder: &Path, names: [&Path; N]) -> io::Result<[Option<Inode>; N]> {
    match system::parent_folder(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok([None; N]),
        walked => walked.map_err(|error| explain_obstacle(error, folder))?,
    };
    let mut found = [None; N];
    for (found, name) in found.iter_mut().zip(names) {
        match FileFacts::of(name) {
            Ok(facts) if facts.kind == FileType::File => *found = Some(facts.inode),
            Ok(facts) => return Err(wrong_type_error(name, facts.kind)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Creates a directory and its missing parents with mode 0700. Leaves existing directories unchanged. Follows existing
/// links, since the host chose the path.
///
/// # Errors
/// Operating system errors.
pub fn create_private_dirs(path: &Path) -> io::Result<()> {
    // Check the length first, so that no parents are left behind if only the whole path is too long.
    if let Err(error) = path.metadata()
        && error.kind() == io::ErrorKind::InvalidFilename
    {
        return Err(error);
    }
    let folders = path.ancestors().filter(|folder| !folder.as_os_str().is_empty());
    let missing: Vec<&Path> = folders.take_while(|folder| !folder.is_dir()).collect();
    // Create the directories one by one, so that each gets its parent's owner.
    missing.into_iter().rev().try_for_each(system::make_private_folder)
}

/// Opens the folder that contains the file at `path`, so that renaming the folder does not redirect the next operation.
fn parent(path: &Path) -> io::Result<system::OpenFolder> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    system::parent_folder(folder).map_err(|error| explain_obstacle(error, folder))
}

/// Returns the last component of a path; fails if the path has no file name, like `/` or `..`.
fn name_in(path: &Path) -> io::Result<&OsStr> {
    path.file_name().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Opens a regular file for reading, and also for writing if `writes` is `true`, without following links.
fn open(path: &Path, writes: bool) -> io::Result<File> {
    name_in(path)?;
    let file = system::open(path, writes).map_err(|error| explain_obstacle(error, path))?;
    match system::facts_of_open(&file)?.kind {
        FileType::File => Ok(file),
        kind => Err(wrong_type_error(path, kind)),
    }
}

/// If a link or a wrong file type in the path may have caused `error`, returns an error that describes this obstacle.
/// Otherwise returns `error`.
fn explain_obstacle(error: io::Error, path: &Path) -> io::Error {
    if !system::may_be_an_obstacle(&error) {
        return error;
    }
    let is_link = |name: &&Path| FileFacts::of(name).is_ok_and(|facts| facts.kind == FileType::Link);
    if let Some(link) = path.ancestors().find(is_link) {
        return obstacle_error(link, "is a symbolic link; remove it");
    }
    match FileFacts::of(path) {
        Ok(facts) if facts.kind != FileType::File => wrong_type_error(path, facts.kind),
        _ => error,
    }
}

/// Returns whether the error means that the disk or the user's quota is full.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Returns whether the error comes from `obstacle_error`: a link or a wrong file type is at a file's path. Unlike
/// a system error with this kind, the error has no number.
#[must_use]
pub fn is_obstacle_error(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AlreadyExists && error.raw_os_error().is_none()
}

/// Returns the error for an obstacle at a file's path. `problem`: the kind of obstacle, and the remedy.
fn obstacle_error(path: &Path, problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, format!("{} {problem}", path.display()))
}

/// Returns the error for a path that leads to a file of this type instead of a regular file.
fn wrong_type_error(path: &Path, kind: FileType) -> io::Error {
    let kind_name = match kind {
        FileType::Link => "a symbolic link",
        FileType::Folder => "a directory",
        FileType::Pipe => "a pipe",
        FileType::File | FileType::Other => "not a regular file",
    };
    obstacle_error(path, &format!("is {kind_name}; remove it"))
}

/// Returns the properties of the file system that contains a directory.
#[must_use]
pub fn file_system_of(directory: &Path) -> FileSystem {
    #[cfg(feature = "testing")]
    if super::failpoints::is_network_simulated() {
        return FileSystem {
            shares_memory: false,
            ..system::disk(directory)
        };
    }
    system::disk(directory)
}

/// Returns random bytes from the operating system.
///
/// # Errors
/// Operating system errors.
pub fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// Resolves the links and dots in a path. Removes the prefix `\\?\`, which Windows adds to resolved paths. On a Windows
/// drive whose links cannot be resolved, returns the absolute path.
///
/// # Errors
/// Operating system errors.
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    let path = path.canonicalize().or_else(|error| absolute_if_exists(path, error))?;
    Ok(path_from_bytes(shown(bytes_of(&path))))
}

/// Starts writing a file's dirty pages to disk, without waiting, to shorten the next sync. Ignores errors, since this
/// call makes nothing durable.
pub fn write_out(path: &Path) {
    if let Ok(file) = open_for_reading(path) {
        super::system::write_out(&file);
    }
}

/// Returns a system error's message, with a remedy if the limit on open files is reached.
#[must_use]
pub fn text_of(error: &io::Error) -> String {
    if is_out_of_files(error) {
        return format!("{error}; {MORE_OPEN_FILES}");
    }
    error.to_string()
}

/// A file that no other code in this process had open when it was registered. Drop this value after closing the file.
///
/// POSIX locks belong to a process, and closing any descriptor of a file releases all of the process's locks on the
/// file. Two copies of this library contain two copies of SQLite, which would not see each other's locks, and would
/// release them. The detection works only on Linux. Windows needs no detection, since its locks belong to handles.
#[derive(Debug)]
pub struct ExclusiveOpen(Inode);

/// The files that this copy of the library has open, each with its name and its number of users.
static OPEN: Mutex<Vec<(Inode, PathBuf, u32)>> = Mutex::new(Vec::new());

impl ExclusiveOpen {
    /// Registers a file that this copy of the library is about to open; `None` if other code in this process has the
    /// file open. Does not detect code that opens the file later. `file`: the identity of the file at `path`.
    ///
    /// Some file systems, such as bindfs, change a file's identity while it is open. So if this copy has opened a file
    /// with this name, an open file with the name counts as this copy's own.
    pub fn register(path: &Path, file: Inode) -> Option<Self> {
        let mut open = lock(&OPEN);
        let has_name = open.iter().any(|(_, open_path, _)| open_path == path);
        match open.iter_mut().find(|(open_file, ..)| *open_file == file) {
            Some((.., count)) => *count += 1,
            None if !has_name && system::is_open(path, file) => return None,
            None => open.push((file, path.to_owned(), 1)),
        }
        Some(Self(file))
    }
}

impl Drop for ExclusiveOpen {
    /// Removes one user of the file.
    fn drop(&mut self) {
        let mut open = lock(&OPEN);
        for (.., count) in open.iter_mut().filter(|(open_file, ..)| *open_file == self.0) {
            *count -= 1;
        }
        open.retain(|(.., count)| *count > 0);
        if open.is_empty() {
            *open = Vec::new(); // an unloaded library must leave no memory behind
        }
    }
}

/// Resolution of file times, plus a margin. A second write within this time may leave the stamp unchanged.
const SETTLING_TIME: Duration = Duration::from_millis(50);

/// Initial capacity for a stamp in bytes. No stamp is longer.
const LENGTH: usize = 88;

/// The state of a file at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Identity of the file.
    pub file: Inode,
    /// The encoded attributes.
    pub bytes: Vec<u8>,
    /// Whether the last change is old enough that the next change is certain to alter the stamp. File times have a
    /// limited resolution.
    pub is_settled: bool,
}

impl FileStamp {
    /// Returns a regular file's stamp, which changes when the file changes; `None` if there is no regular file at the
    /// path.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let facts = FileFacts::of(path).ok().filter(|facts| facts.kind == FileType::File)?;
        let times = [facts.written, facts.changed];
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend(facts.inode.bytes());
        bytes.extend(facts.length.to_le_bytes());
        for (seconds, nanoseconds) in times {
            bytes.extend(seconds.to_le_bytes());
            bytes.extend(nanoseconds.to_le_bytes());
        }
        Some(Self {
            file: facts.inode,
            bytes,
            is_settled: times.into_iter().all(is_settled),
        })
    }
}

/// Returns whether a file time, in seconds and nanoseconds since 1970, is old enough that a later change is certain to
/// have a different time.
fn is_settled((seconds, nanoseconds): (i64, i64)) -> bool {
    #[cfg(feature = "testing")]
    if super::failpoints::frozen_ms().is_some() {
        return true; // in a simulation, time stands still
    }
    let moment = u64::try_from(seconds)
        .ok()
        .zip(u32::try_from(nanoseconds).ok())
        .and_then(|(seconds, nanoseconds)| UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds) + SETTLING_TIME));
    moment.is_some_and(|moment| moment <= SystemTime::now())
}

#[cfg(test)]
#[path = "local_path_tests.rs"]
mod local_path_tests;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::FileFacts;

    #[test]
    fn a_file_with_a_reused_inode_number_is_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let made = || {
            fs::write(&path, "").expect("written");
            FileFacts::of(&path).expect("there").inode
        };
        let known = made();
        assert_eq!(made(), known, "it was only written again");
        // Not every file system reuses inode numbers, or stores creation times.
        let again = (0..1000).find_map(|_| {
            fs::remove_file(&path).expect("removed");
            std::thread::yield_now();
            let next = made();
            (next.number == known.number && next.made != known.made).then_some(next)
        });
        match again {
            Some(next) => assert_ne!(next, known),
            None => println!("no number came again"),
        }
    }

    /// A folder stands for a pipe, whose opening would wait: neither is opened.
    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = super::open_host_file(folder.path()).expect_err("refused");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}
