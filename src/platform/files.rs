//! Files that only their owner may read, and properties of file systems.
//!
//! The folder may belong to another user than the process, for example if root in a container works for a user of the
//! host. No file or link of that user may redirect this process. So names are looked up in a descriptor of their
//! folder, symbolic links are not followed, files are created exclusively, and only files created here change owner.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

pub use super::file_facts::{Disk, FileFacts, FileType, Inode};
use super::system::files as system;

/// Converts bytes of the file system (WTF-8 on Windows) to a path.
#[must_use]
pub fn named(bytes: impl Into<Vec<u8>>) -> PathBuf {
    system::named(bytes.into())
}

/// Converts a path to bytes of the file system (WTF-8 on Windows).
#[must_use]
pub fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// Maximum number of attempts to open or create a file that other processes create and remove meanwhile.
const CREATE_ATTEMPTS: u32 = 8;

/// Opens a file for reading and writing; creates it with mode 0600 if it is missing.
///
/// # Errors
/// Errors of the operating system; [`io::ErrorKind::AlreadyExists`] if the name is not that of a file.
pub fn open_or_create(path: &Path) -> io::Result<File> {
    for _ in 0..CREATE_ATTEMPTS {
        match existing(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => return done,
        }
        let folder = parent(path)?;
        failpoint!(Make(path));
        match folder.create(name_in(path)?) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {} // another process was faster
            done => return done.map_err(|error| name_obstacle(error, path)),
        }
    }
    Err(in_the_way(
        path,
        "is created and removed by another program again and again; stop that program",
    ))
}

/// Opens an existing file for reading and writing.
///
/// # Errors
/// As [`open_or_create`].
pub fn existing(path: &Path) -> io::Result<File> {
    open(path, true)
}

/// Opens an existing file for reading.
///
/// # Errors
/// As [`open_or_create`].
pub fn readable(path: &Path) -> io::Result<File> {
    open(path, false)
}

/// Opens a file of the host for reading, such as a passfile or certificates.
///
/// # Errors
/// Errors of the operating system, and [`io::ErrorKind::InvalidInput`] unless it is a regular file.
pub fn open_host_file(path: &Path) -> io::Result<File> {
    // Opening a pipe would wait for a writer.
    if path.metadata()?.is_file() {
        return File::open(path);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

/// Creates a file with mode 0600 for writing; removes an existing one first.
///
/// # Errors
/// As [`open_or_create`].
pub fn fresh(path: &Path) -> io::Result<File> {
    let (folder, name) = (parent(path)?, name_in(path)?);
    match folder.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(name_obstacle(error, path)),
        _ => {}
    }
    failpoint!(Make(path));
    folder.create(name).map_err(|error| name_obstacle(error, path))
}

/// Creates a temporary file that the system removes when it is closed, or at once if the system allows that.
///
/// # Errors
/// As [`open_or_create`].
pub fn unnamed(path: &Path) -> io::Result<File> {
    let file = fresh(path)?;
    system::remove_when_closed(file, || remove(path))
}

/// Fills `to` from this offset and keeps the file position. Only one thread may use the file meanwhile: on Windows,
/// another thread would see the position move.
///
/// # Errors
/// Errors of the operating system; the end of the file.
pub fn read_at(file: &File, to: &mut [u8], offset: u64) -> io::Result<()> {
    system::read_at(file, to, offset)
}

/// Overwrites bytes at this offset; see [`read_at`].
///
/// # Errors
/// Errors of the operating system.
pub fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    system::write_at(file, bytes, offset)
}

/// Returns the header of a write-ahead log's index, which changes with each commit. Windows needs it, since it updates
/// file times only when a file is closed. `None` on other systems, where closing the index would release this process's
/// locks.
#[must_use]
pub fn log_version(index: &Path) -> Option<[u8; 48]> {
    system::log_version(index)
}

/// Syncs a file to disk.
///
/// # Errors
/// Errors of the operating system.
pub fn sync(file: &File, path: &Path) -> io::Result<()> {
    failpoint!(Sync(path));
    system::sync(file)
}

/// Syncs the names in a folder to disk.
///
/// # Errors
/// Errors of the operating system.
pub fn sync_names(path: &Path) -> io::Result<()> {
    failpoint!(SyncNames(path));
    system::sync_names(path).map_err(|error| name_obstacle(error, path))
}

/// Opens the file to lock for an existing folder: the folder itself, or a file in it on Windows.
///
/// # Errors
/// Errors of the operating system.
pub fn lock_of_folder(path: &Path) -> io::Result<File> {
    system::lock_of_folder(path).map_err(|error| name_obstacle(error, path))
}

/// Removes a file, or a link.
///
/// # Errors
/// As [`open_or_create`].
pub fn remove(path: &Path) -> io::Result<()> {
    let folder = parent(path)?;
    failpoint!(Remove(path));
    folder
        .remove(name_in(path)?)
        .map_err(|error| name_obstacle(error, path))
}

/// Renames a file within its folder. Replaces an existing file; renames an existing directory to `.broken`.
///
/// # Errors
/// Errors of the operating system.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (folder, name) = (parent(to)?, name_in(to)?);
    failpoint!(Rename(from, to));
    let from = name_in(from)?;
    match folder.rename(from, name) {
        Err(_) if FileFacts::of(to).is_ok_and(|facts| facts.kind == FileType::Folder) => {
            let number = u32::from_le_bytes(random()?);
            let aside = format!("{}.{number:x}.broken", name.to_string_lossy());
            folder.rename(name, aside.as_ref())?;
            log::warn!("{} was a directory; renamed it to {aside}", to.display());
            folder.rename(from, name)
        }
        renamed => renamed,
    }
}

impl FileFacts {
    /// Reads the facts of a file or link without following links.
    ///
    /// # Errors
    /// Errors of the operating system.
    pub fn of(path: &Path) -> io::Result<Self> {
        system::facts(path, false)
    }

    /// Reads the facts of a file, following links.
    ///
    /// # Errors
    /// Errors of the operating system.
    pub fn of_target(path: &Path) -> io::Result<Self> {
        system::facts(path, true)
    }
}

impl Inode {
    /// Returns the identity of an open file.
    ///
    /// # Errors
    /// Errors of the operating system.
    pub fn of_open(file: &File) -> io::Result<Self> {
        system::facts_of_open(file).map(|facts| facts.inode)
    }

    /// Returns the identity of a file or link without following links.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        FileFacts::of(path).ok().map(|facts| facts.inode)
    }

    /// Returns the identity of a file, following links.
    #[must_use]
    pub fn of_target(path: &Path) -> Option<Self> {
        FileFacts::of_target(path).ok().map(|facts| facts.inode)
    }
}

/// Returns the identities of these files in a folder; `None` for missing ones. Fails if one is not a regular file.
///
/// # Errors
/// As [`open_or_create`], also if one of them is not a regular file.
pub fn regular<const N: usize>(folder: &Path, names: [&Path; N]) -> io::Result<[Option<Inode>; N]> {
    // Checks that the folder's path contains no link.
    match system::parent_folder(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok([None; N]),
        walked => walked.map_err(|error| name_obstacle(error, folder))?,
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

/// Creates a directory and its parents with mode 0700; an existing one is left unchanged. Follows existing links, since
/// the host chose the folder.
///
/// # Errors
/// Errors of the operating system.
pub fn private_dir(path: &Path) -> io::Result<()> {
    // Check the length first, to leave no parents behind if only the whole path is too long.
    if let Err(error) = path.metadata()
        && error.kind() == io::ErrorKind::InvalidFilename
    {
        return Err(error);
    }
    let named = path.ancestors().filter(|folder| !folder.as_os_str().is_empty());
    let missing: Vec<&Path> = named.take_while(|folder| !folder.is_dir()).collect();
    // Create them one by one, so that each belongs to the owner of its parent.
    missing.into_iter().rev().try_for_each(system::make_private_folder)
}

/// Opens the folder of a file, so that renaming the folder does not redirect the next operation.
fn parent(path: &Path) -> io::Result<system::OpenFolder> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    system::parent_folder(folder).map_err(|error| name_obstacle(error, folder))
}

/// Returns the name of a file in its folder; an error if the path has none.
fn name_in(path: &Path) -> io::Result<&OsStr> {
    path.file_name().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Opens a regular file without following links.
fn open(path: &Path, writes: bool) -> io::Result<File> {
    name_in(path)?;
    let file = system::open(path, writes).map_err(|error| name_obstacle(error, path))?;
    match system::facts_of_open(&file)?.kind {
        FileType::File => Ok(file),
        kind => Err(wrong_type_error(path, kind)),
    }
}

/// Returns an error that names a link or a wrong type in the path, if that may have caused `error`; otherwise returns
/// `error`.
fn name_obstacle(error: io::Error, path: &Path) -> io::Error {
    if !system::may_be_an_obstacle(&error) {
        return error;
    }
    let is_link = |name: &&Path| FileFacts::of(name).is_ok_and(|facts| facts.kind == FileType::Link);
    if let Some(link) = path.ancestors().find(is_link) {
        return in_the_way(link, "is a symbolic link; remove it");
    }
    match FileFacts::of(path) {
        Ok(facts) if facts.kind != FileType::File => wrong_type_error(path, facts.kind),
        _ => error,
    }
}

/// Returns whether the disk or the user's quota is full.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Returns whether the error is one of `in_the_way`: a link or something else has the name of a file.
#[must_use]
pub fn is_in_the_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AlreadyExists && error.raw_os_error().is_none()
}

/// Returns the error for a path that something else occupies. `problem` says what it is, and what to do.
fn in_the_way(path: &Path, problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, format!("{} {problem}", path.display()))
}

/// Returns the error for a path of this type where a regular file is needed.
fn wrong_type_error(path: &Path, kind: FileType) -> io::Error {
    let what = match kind {
        FileType::Link => "a symbolic link",
        FileType::Folder => "a directory",
        FileType::Pipe => "a pipe",
        FileType::File | FileType::Other => "not a regular file",
    };
    in_the_way(path, &format!("is {what}; remove it"))
}

/// Returns the properties of the file system that contains a directory.
#[must_use]
pub fn disk(directory: &Path) -> Disk {
    #[cfg(feature = "testing")]
    if super::failpoints::is_network_simulated() {
        return Disk {
            shares_memory: false,
            ..system::disk(directory)
        };
    }
    system::disk(directory)
}

/// Returns whether the error proves that the file does not exist. Missing permissions or a hanging mount prove nothing.
#[must_use]
pub fn is_gone(error: &io::Error) -> bool {
    system::is_gone(error)
}

/// Returns whether the permissions allow this user to read a file. Opens the file only on Windows.
#[must_use]
pub fn may_read(path: &Path) -> bool {
    system::may_read(path)
}

/// Checks that permissions and mount allow this user to create files in a folder. Does not create a file.
///
/// # Errors
/// Errors of the operating system.
pub fn expect_writable(folder: &Path) -> io::Result<()> {
    system::expect_writable(folder)
}

/// Returns random bytes from the operating system.
///
/// # Errors
/// Errors of the operating system.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
