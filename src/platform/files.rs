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

/// Returns the path with these bytes: those of the file system, or WTF-8 on Windows.
#[must_use]
pub fn named(bytes: impl Into<Vec<u8>>) -> PathBuf {
    system::named(bytes.into())
}

/// Returns the bytes of a path.
#[must_use]
pub fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// Maximum number of attempts if other processes create and remove the file meanwhile.
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
        reach!(Make(path));
        match folder.create(name_in(path)?) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {} // another process was faster
            done => return done.map_err(|error| name_obstacle(error, path)),
        }
    }
    Err(in_the_way(
        path,
        "keeps being created and removed: find the program that does it",
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

/// Opens a file that a host names: a password file, certificates.
///
/// # Errors
/// Errors of the operating system, and [`io::ErrorKind::InvalidInput`] if it is no regular file.
pub fn given(path: &Path) -> io::Result<File> {
    // A pipe is not opened, since that waits for a writer.
    if path.metadata()?.is_file() {
        return File::open(path);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
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
    reach!(Make(path));
    folder.create(name).map_err(|error| name_obstacle(error, path))
}

/// Creates a temporary file that goes when it is closed. Its name goes at once, where a system allows that.
///
/// # Errors
/// As [`open_or_create`].
pub fn unnamed(path: &Path) -> io::Result<File> {
    let file = fresh(path)?;
    system::remove_when_closed(file, || remove(path))
}

/// Fills `to` from this offset, without moving the file position. On one thread: another may see it moved meanwhile.
///
/// # Errors
/// Errors of the operating system; the end of the file.
pub fn read_at(file: &File, to: &mut [u8], at: u64) -> io::Result<()> {
    system::read_at(file, to, at)
}

/// Overwrites bytes at this offset, as [`read_at`] reads.
///
/// # Errors
/// Errors of the operating system.
pub fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    system::write_at(file, bytes, at)
}

/// Returns what changes with each commit to a write-ahead log whose index this is, where the log's times may not: Windows
/// sets those when the file is closed. `None` on other systems, where closing the index would free the locks on it.
#[must_use]
pub fn log_version(index: &Path) -> Option<[u8; 48]> {
    system::log_version(index)
}

/// Syncs a file to disk.
///
/// # Errors
/// Errors of the operating system.
pub fn sync(file: &File, path: &Path) -> io::Result<()> {
    reach!(Sync(path));
    system::sync(file)
}

/// Syncs the names in a folder to disk.
///
/// # Errors
/// Errors of the operating system.
pub fn sync_names(path: &Path) -> io::Result<()> {
    reach!(SyncNames(path));
    system::sync_names(path).map_err(|error| name_obstacle(error, path))
}

/// Opens what stands for an existing folder when it is locked: the folder, or a file in it.
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
    reach!(Remove(path));
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
    reach!(Rename(from, to));
    let from = name_in(from)?;
    match folder.rename(from, name) {
        Err(_) if FileFacts::of(to).is_ok_and(|facts| facts.kind == FileType::Folder) => {
            let number = u32::from_le_bytes(random()?);
            let aside = format!("{}.{number:x}.broken", name.to_string_lossy());
            folder.rename(name, aside.as_ref())?;
            log::warn!("{} was a directory; it is renamed to {aside}", to.display());
            folder.rename(from, name)
        }
        done => done,
    }
}

impl FileFacts {
    /// Reads the facts of this name; links are not followed.
    ///
    /// # Errors
    /// Errors of the operating system.
    pub fn of(path: &Path) -> io::Result<Self> {
        system::facts(path, false)
    }

    /// Reads the facts of what this name leads to; links are followed.
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

    /// Returns the current file of this name; links are not followed.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        FileFacts::of(path).ok().map(|facts| facts.inode)
    }

    /// Returns the file that a name leads to; links are followed.
    #[must_use]
    pub fn of_target(path: &Path) -> Option<Self> {
        FileFacts::of_target(path).ok().map(|facts| facts.inode)
    }
}

/// Returns the current files of these names in a folder; `None` for missing ones.
///
/// # Errors
/// As [`open_or_create`].
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
    // Check the length first: the parents of a path that is too long may be short enough, and would be created and
    // stay.
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

/// Opens the folder of a file.
fn parent(path: &Path) -> io::Result<system::OpenFolder> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    system::parent_folder(folder).map_err(|error| name_obstacle(error, folder))
}

/// The name of a file in its folder.
fn name_in(path: &Path) -> io::Result<&OsStr> {
    path.file_name().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn open(path: &Path, writes: bool) -> io::Result<File> {
    name_in(path)?;
    let file = system::open(path, writes).map_err(|error| name_obstacle(error, path))?;
    match system::facts_of_open(&file)?.kind {
        FileType::File => Ok(file),
        kind => Err(wrong_type_error(path, kind)),
    }
}

/// Returns an error that names the link or the wrong type in the path, if that is the cause; else the error itself.
fn name_obstacle(error: io::Error, path: &Path) -> io::Error {
    if !system::may_be_an_obstacle(&error) {
        return error;
    }
    let is_link = |name: &&Path| FileFacts::of(name).is_ok_and(|facts| facts.kind == FileType::Link);
    if let Some(link) = path.ancestors().find(is_link) {
        return in_the_way(link, "a symbolic link: remove it");
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

fn in_the_way(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is {what}", path.display()))
}

fn wrong_type_error(path: &Path, kind: FileType) -> io::Error {
    let what = match kind {
        FileType::Link => "a symbolic link",
        FileType::Folder => "a directory",
        FileType::Pipe => "a pipe",
        FileType::File | FileType::Other => "no regular file",
    };
    in_the_way(path, &format!("{what}: remove it"))
}

/// Returns the file system of this directory.
#[must_use]
pub fn disk(directory: &Path) -> Disk {
    #[cfg(feature = "testing")]
    if super::testing::is_network_simulated() {
        return Disk {
            shares_memory: false,
            ..system::disk(directory)
        };
    }
    system::disk(directory)
}

/// Returns whether the error proves that the file does not exist. Missing rights or a hanging mount prove nothing.
#[must_use]
pub fn is_gone(error: &io::Error) -> bool {
    system::is_gone(error)
}

/// Returns whether the permissions allow this user to read a file. Opens the file on Windows only.
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
