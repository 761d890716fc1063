//! Files on Windows. Other programs can rename or remove an open file. Opening a file does not follow links. New files
//! and folders can be used only by their owner, the system and administrators.

use std::ffi::{OsStr, OsString, c_void};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::os::windows::io::{AsRawHandle, FromRawHandle};
use std::path::{Component, Path, PathBuf, Prefix};
use std::ptr::null_mut;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    CloseHandle, ERROR_ACCESS_DENIED, ERROR_BAD_NET_NAME, ERROR_BAD_NETPATH, ERROR_CALL_NOT_IMPLEMENTED,
    ERROR_CANT_ACCESS_FILE, ERROR_DELETE_PENDING, ERROR_DIRECTORY, ERROR_INVALID_DRIVE, ERROR_INVALID_FUNCTION,
    ERROR_LOCK_VIOLATION, ERROR_NOT_SUPPORTED, ERROR_SHARING_VIOLATION, ERROR_TOO_MANY_OPEN_FILES, FALSE, GENERIC_READ,
    GENERIC_WRITE, INVALID_HANDLE_VALUE, LocalFree, MAX_PATH, TRUE,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, CREATE_NEW, CreateDirectoryW, CreateFileW, DELETE, FILE_ADD_FILE,
    FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_REPARSE_POINT, FILE_ATTRIBUTE_TAG_INFO,
    FILE_BASIC_INFO, FILE_DISPOSITION_INFO, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_ID_INFO,
    FILE_INFO_BY_HANDLE_CLASS, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_STANDARD_INFO,
    FILE_TYPE_DISK, FILE_TYPE_PIPE, FileAttributeTagInfo, FileBasicInfo, FileDispositionInfo, FileIdInfo,
    FileStandardInfo, GetDiskFreeSpaceExW, GetDriveTypeW, GetFileInformationByHandle, GetFileInformationByHandleEx,
    GetFileType, GetVolumeInformationW, GetVolumePathNameW, SetFileInformationByHandle,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetCurrentThread, OpenProcessToken, OpenThreadToken};
use windows_sys::Win32::System::WindowsProgramming::{DRIVE_NO_ROOT_DIR, DRIVE_REMOTE};

use super::super::file_facts::{FileFacts, FileSystem, FileType, Inode};

/// Converts WTF-8 to a path. WTF-8 is UTF-8 that can also contain unpaired surrogates, in three bytes each.
pub fn named(bytes: Vec<u8>) -> PathBuf {
    match String::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => OsString::from_wide(&utf16(error.as_bytes())).into(),
    }
}

/// Converts WTF-8 to UTF-16. Replaces invalid bytes with U+FFFD.
fn utf16(mut bytes: &[u8]) -> Vec<u16> {
    let mut units = Vec::with_capacity(bytes.len());
    while let Some(first) = bytes.utf8_chunks().next() {
        units.extend(first.valid().encode_utf16());
        bytes = &bytes[first.valid().len()..];
        match bytes {
            [] => break,
            // An unpaired surrogate in three bytes, which contain its upper 4, middle 6 and lower 6 bits.
            [0xED, high @ 0xA0..=0xBF, low @ 0x80..=0xBF, remaining @ ..] => {
                units.push(0xD000 | u16::from(high & 0x3F) << 6 | u16::from(low & 0x3F));
                bytes = remaining;
            }
            [_, remaining @ ..] => {
                units.push(0xFFFD);
                bytes = remaining;
            }
        }
    }
    units
}

/// A folder, identified by its path, for operations on its entries. Renaming the folder redirects these operations,
/// since Windows cannot create a file relative to a handle.
pub struct OpenFolder(PathBuf);

/// Checks that a path is a folder and not a link, for operations on the folder's entries.
pub fn parent_folder(path: &Path) -> io::Result<OpenFolder> {
    match facts(path, false)?.kind {
        FileType::Folder => Ok(OpenFolder(path.to_owned())),
        FileType::Link => Err(error(ERROR_CANT_ACCESS_FILE)),
        _ => Err(error(ERROR_DIRECTORY)),
    }
}

impl OpenFolder {
    /// Creates a file that only its owner can use; fails if the name exists.
    pub fn create(&self, name: &OsStr) -> io::Result<File> {
        retry_while_held(&HELD, || create_file(&self.0.join(name)))
    }

    /// Removes a file or a link from the folder.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        retry_while_held(&HELD, || fs::remove_file(self.0.join(name)))
    }

    /// Renames a file within the folder, and replaces an existing file.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        // A rename, unlike other operations, reports an open target as ACCESS_DENIED.
        let retried_errors = [&HELD[..], &[ERROR_ACCESS_DENIED]].concat();
        retry_while_held(&retried_errors, || fs::rename(self.0.join(from), self.0.join(to)))
    }
}

/// Errors for a file that another program has open without sharing, or that is about to be removed.
const HELD: [u32; 3] = [ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION, ERROR_DELETE_PENDING];

/// Repeats `call` for up to half a second while it fails with one of the errors in `held`, since antivirus programs and
/// indexers briefly open new files.
fn retry_while_held<T>(held: &[u32], mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    const LONGEST: Duration = Duration::from_millis(256);
    let mut pause = Duration::from_millis(1);
    loop {
        match call() {
            Err(error) if pause <= LONGEST && is_one_of(&error, held) => {
                std::thread::sleep(pause);
                pause *= 2;
            }
            done => return done,
        }
    }
}

/// Reads the header of the write-ahead log's index, which shows each commit, since Windows updates file times only when
/// a file is closed. No SQLite lock covers the header. Returns `None` if the header cannot be read.
pub fn log_version(index: &Path) -> Option<[u8; 48]> {
    let (file, mut header) = (open(index, false).ok()?, [0; 48]);
    read_from(&file, &mut header, 0).ok()?;
    Some(header)
}

/// Opens a file, a folder, or a link itself instead of its target, for reading; if `writes` is `true`, also for
/// writing.
pub fn open(path: &Path, writes: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // BACKUP_SEMANTICS also opens folders; the caller checks the type.
    let flags = FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS;
    options.read(true).write(writes).custom_flags(flags).open(path)
}

/// Marks the file for removal when it is closed. Until then, the name exists, but the file cannot be opened again.
pub fn remove_when_closed(file: File, _: impl FnOnce() -> io::Result<()>) -> io::Result<File> {
    let disposition = FILE_DISPOSITION_INFO { DeleteFile: true };
    let size = u32::try_from(size_of_val(&disposition)).unwrap_or(0);
    // SAFETY: the handle is open, and the struct belongs to this information class.
    expect(unsafe {
        SetFileInformationByHandle(
            file.as_raw_handle(),
            FileDispositionInfo,
            (&raw const disposition).cast(),
            size,
        )
    })?;
    Ok(file)
}

/// Runs `call`, which moves the file position, and restores the position.
fn keep_position(mut file: &File, call: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let position = file.stream_position()?;
    call()?;
    file.seek(SeekFrom::Start(position)).map(drop)
}

/// Reads bytes at this offset until `to` is full.
pub fn read_at(file: &File, to: &mut [u8], at: u64) -> io::Result<()> {
    keep_position(file, || read_from(file, to, at))
}

/// Writes bytes at this offset.
pub fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    keep_position(file, || write_to(file, bytes, at))
}

/// Reads bytes at this offset until `to` is full, and moves the file position.
fn read_from(file: &File, mut to: &mut [u8], mut at: u64) -> io::Result<()> {
    while !to.is_empty() {
        let read = file.seek_read(to, at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to = &mut to[read..];
        at += read as u64;
    }
    Ok(())
}

/// Writes bytes at this offset, and moves the file position.
fn write_to(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = file.seek_write(bytes, at)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        at += written as u64;
    }
    Ok(())
}

/// Syncs a file to disk.
pub fn sync(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Does nothing, since the file system's journal contains the names, and Windows has no call to sync the journal.
#[allow(clippy::unnecessary_wraps)] // other systems have errors
pub fn sync_names(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Opens a file in the folder, since Windows cannot lock a folder.
pub fn lock_of_folder(path: &Path) -> io::Result<File> {
    let folder = parent_folder(path)?;
    let name = "plexindex-folder.lock";
    let open = || open(&folder.0.join(name), true);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match folder.create(name.as_ref()) {
            // Another process has already created this name.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => open(),
            made => made,
        },
        opened => opened,
    }
}

/// Creates one folder that only its owner can use, in an existing parent.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    match retry_while_held(&HELD, || create_folder(path)) {
        // Another process has already created this name.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Reads a file's facts. If the file is a link and `follows` is `false`, reads the link's own facts.
pub fn facts(path: &Path, follows: bool) -> io::Result<FileFacts> {
    let link_flag = if follows { 0 } else { FILE_FLAG_OPEN_REPARSE_POINT };
    let flags = FILE_FLAG_BACKUP_SEMANTICS | link_flag;
    // Metadata requires no access right.
    let file = OpenOptions::new().access_mode(0).custom_flags(flags).open(path)?;
    facts_of_open(&file)
}

/// Reads an open file's facts.
pub fn facts_of_open(file: &File) -> io::Result<FileFacts> {
    let basic: FILE_BASIC_INFO = information(file, FileBasicInfo)?;
    let standard: FILE_STANDARD_INFO = information(file, FileStandardInfo)?;
    Ok(FileFacts {
        inode: inode_of(file)?,
        kind: kind_of(file, basic.FileAttributes)?,
        length: u64::try_from(standard.EndOfFile).unwrap_or(0),
        written: unix_time(basic.LastWriteTime),
        changed: unix_time(basic.ChangeTime),
    })
}

/// Returns an open file's identity. No creation time is needed, since a file's number contains a sequence number, which
/// changes when the rest of the number is reused.
fn inode_of(file: &File) -> io::Result<Inode> {
    let Ok(id) = information::<FILE_ID_INFO>(file, FileIdInfo) else {
        return older_inode_of(file);
    };
    Ok(Inode {
        device: id.VolumeSerialNumber,
        number: u128::from_le_bytes(id.FileId.Identifier),
        made: None,
    })
}

/// Returns an open file's identity. For Samba, FAT and the drivers that support only this older call.
fn older_inode_of(file: &File) -> io::Result<Inode> {
    let mut information = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and the call fills in a local struct.
    expect(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut information) })?;
    Ok(Inode {
        device: information.dwVolumeSerialNumber.into(),
        number: u128::from(information.nFileIndexHigh) << 32 | u128::from(information.nFileIndexLow),
        made: None,
    })
}

/// Returns a file's type. Only a reparse point that stands for another name is a link. Other reparse points are,
/// for example, files in a cloud.
fn kind_of(file: &File, attributes: u32) -> io::Result<FileType> {
    const IS_NAME_SURROGATE: u32 = 0x2000_0000;
    // SAFETY: the handle is open.
    match unsafe { GetFileType(file.as_raw_handle()) } {
        FILE_TYPE_DISK => {}
        FILE_TYPE_PIPE => return Ok(FileType::Pipe),
        _ => return Ok(FileType::Other),
    }
    if attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        let tag: FILE_ATTRIBUTE_TAG_INFO = information(file, FileAttributeTagInfo)?;
        if tag.ReparseTag & IS_NAME_SURROGATE != 0 {
            return Ok(FileType::Link);
        }
    }
    Ok(match attributes & FILE_ATTRIBUTE_DIRECTORY {
        0 => FileType::File,
        _ => FileType::Folder,
    })
}

/// Returns the information of this class about an open file. `T` must be the struct for the class.
fn information<T: Default>(file: &File, class: FILE_INFO_BY_HANDLE_CLASS) -> io::Result<T> {
    let mut information = T::default();
    let size = u32::try_from(size_of::<T>()).unwrap_or(0);
    let output: *mut c_void = (&raw mut information).cast();
    // SAFETY: the handle is open, and the call writes at most `size` bytes of numbers into a local struct.
    expect(unsafe { GetFileInformationByHandleEx(file.as_raw_handle(), class, output, size) })?;
    Ok(information)
}

/// Converts a time in units of 100 ns since 1601 to seconds and nanoseconds since 1970.
fn unix_time(time: i64) -> (i64, i64) {
    const SECOND: i64 = 10_000_000;
    const SECONDS_1601_TO_1970: i64 = 11_644_473_600;
    let since = time - SECONDS_1601_TO_1970 * SECOND;
    (since.div_euclid(SECOND), since.rem_euclid(SECOND) * 100)
}

/// Returns the error with this Windows error code.
fn error(code: u32) -> io::Error {
    io::Error::from_raw_os_error(code.cast_signed())
}

/// Returns whether an error has one of these Windows error codes.
fn is_one_of(error: &io::Error, codes: &[u32]) -> bool {
    let code = error.raw_os_error().map(i32::cast_unsigned);
    code.is_some_and(|code| codes.contains(&code))
}

/// Returns whether a link or a wrong file type may have caused an error.
pub fn may_be_an_obstacle(error: &io::Error) -> bool {
    is_one_of(error, &[ERROR_ACCESS_DENIED, ERROR_CANT_ACCESS_FILE, ERROR_DIRECTORY])
}

/// Returns whether an error proves that a file does not exist.
pub fn is_gone(error: &io::Error) -> bool {
    // The standard library reports an unreachable share or drive as a missing file.
    let is_unreachable = is_one_of(error, &[ERROR_BAD_NETPATH, ERROR_BAD_NET_NAME, ERROR_INVALID_DRIVE]);
    !is_unreachable
        && matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
        )
}

/// Returns whether an error means that a file system does not support locks.
pub fn has_no_locks(error: &io::Error) -> bool {
    is_one_of(
        error,
        &[ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED, ERROR_CALL_NOT_IMPLEMENTED],
    )
}

/// Returns `None`, since Windows does not tell which process holds a lock.
pub fn lock_holder(_: &Path, _: u64, _: u64) -> Option<u32> {
    None
}

/// Returns whether an error means that the limit on open files is reached.
pub fn is_out_of_files(error: &io::Error) -> bool {
    is_one_of(error, &[ERROR_TOO_MANY_OPEN_FILES])
}

/// The remedy for too many open files.
pub const MORE_OPEN_FILES: &str = "close programs that have many files open";

/// Returns whether this user can open a file for reading.
pub fn may_read(path: &Path) -> bool {
    File::open(path).is_ok()
}

/// Checks that this user is allowed to create files in a folder, by opening the folder with this right.
pub fn expect_writable(folder: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options
        .access_mode(FILE_ADD_FILE)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    options.open(folder).map(drop)
}

/// Returns the properties of a directory's volume. If they are unavailable, memory is treated as not shared.
pub fn disk(directory: &Path) -> FileSystem {
    volume(directory).unwrap_or_default()
}

/// Reads the properties of a directory's volume.
fn volume(directory: &Path) -> io::Result<FileSystem> {
    let path = verbatim(directory)?;
    // The root can be as long as the path.
    let mut root = vec![0_u16; path.len().max(MAX_PATH as usize + 1)];
    let mut name = [0_u16; MAX_PATH as usize + 1];
    let mut free = 0;
    let length = |text: &[u16]| u32::try_from(text.len()).unwrap_or(0);
    // SAFETY: each string ends with a NUL, and each call writes at most as many units as its length argument.
    unsafe {
        expect(GetVolumePathNameW(path.as_ptr(), root.as_mut_ptr(), length(&root)))?;
        let (no_text, no_number) = (null_mut(), null_mut());
        let has_name = GetVolumeInformationW(
            root.as_ptr(),
            no_text,
            0,
            no_number,
            no_number,
            no_number,
            name.as_mut_ptr(),
            length(&name),
        );
        let has_free = GetDiskFreeSpaceExW(path.as_ptr(), &raw mut free, null_mut(), null_mut());
        let end = name.iter().position(|unit| *unit == 0).unwrap_or(0);
        let drive = GetDriveTypeW(root.as_ptr());
        Ok(FileSystem {
            kind: (has_name != 0).then(|| String::from_utf16_lossy(&name[..end])),
            // Network file systems do not share memory.
            shares_memory: drive > DRIVE_NO_ROOT_DIR && drive != DRIVE_REMOTE,
            free: (has_free != 0).then_some(free),
        })
    }
}

/// Returns a security descriptor in SDDL that grants full access to the user (by SID), the system (SY) and
/// administrators (BA), and inherits no access (P). Files in a folder, including files that SQLite creates, inherit
/// the folder's access (OICI). The descriptor sets the user as the owner, since files from an elevated process would
/// otherwise belong to the administrators.
fn owner_only_sddl() -> io::Result<String> {
    let user = user()?;
    Ok(format!(
        "O:{user}D:P(A;OICI;FA;;;{user})(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
    ))
}

/// Returns the SID of this thread's user, such as `S-1-5-21-…`.
fn user() -> io::Result<String> {
    /// Maximum length of a SID as text.
    const LONGEST: usize = 184;
    // Room for the struct and the longest SID, with the struct's alignment.
    let mut token_user = [0_u64; 16];
    let (mut token, mut length, mut sid_text) = (null_mut(), 0, null_mut());
    let size = u32::try_from(size_of_val(&token_user)).unwrap_or(0);
    // SAFETY: handles are open, and are closed once. The calls fill in local values. The string that Windows allocates
    // ends with a NUL, and is freed once.
    unsafe {
        // Only a thread that impersonates a user has its own token.
        if OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, TRUE, &raw mut token) == FALSE {
            expect(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token))?;
        }
        let buffer = token_user.as_mut_ptr().cast();
        let outcome = expect(GetTokenInformation(token, TokenUser, buffer, size, &raw mut length));
        CloseHandle(token);
        outcome?;
        let user = token_user.as_ptr().cast::<TOKEN_USER>().read().User.Sid;
        expect(ConvertSidToStringSidW(user, &raw mut sid_text))?;
        let text_length = (0..LONGEST).take_while(|offset| *sid_text.add(*offset) != 0).count();
        let text = String::from_utf16_lossy(std::slice::from_raw_parts(sid_text, text_length));
        LocalFree(sid_text.cast());
        Ok(text)
    }
}

/// A security descriptor allocated by Windows.
struct OwnerOnly(PSECURITY_DESCRIPTOR);

impl OwnerOnly {
    /// Creates a security descriptor that gives access only to this thread's user, the system and administrators.
    fn new() -> io::Result<Self> {
        let sddl = wide(OsStr::new(&owner_only_sddl()?));
        let mut descriptor = null_mut();
        // SAFETY: the string ends with a NUL, and the call fills in a local pointer.
        let done = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                sddl.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null_mut(),
            )
        };
        expect(done)?;
        Ok(Self(descriptor))
    }

    /// Returns the attributes with which a new file or folder gets this security descriptor.
    fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
            lpSecurityDescriptor: self.0,
            bInheritHandle: FALSE,
        }
    }
}

impl Drop for OwnerOnly {
    /// Frees the security descriptor.
    fn drop(&mut self) {
        // SAFETY: Windows allocated the descriptor, and nothing uses it any longer.
        unsafe { LocalFree(self.0) };
    }
}

/// Creates a file that only its owner can use, and opens it for reading, writing and removal; fails if the name exists.
fn create_file(path: &Path) -> io::Result<File> {
    let (path, owner) = (verbatim(path)?, OwnerOnly::new()?);
    let attributes = owner.attributes();
    // SAFETY: the path ends with a NUL, and the attributes outlive the call.
    unsafe {
        let handle = CreateFileW(
            path.as_ptr(),
            GENERIC_READ | GENERIC_WRITE | DELETE,
            FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
            &raw const attributes,
            CREATE_NEW,
            FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT,
            null_mut(),
        );
        if handle == INVALID_HANDLE_VALUE {
            return Err(io::Error::last_os_error());
        }
        Ok(File::from_raw_handle(handle))
    }
}

/// Creates a folder that only its owner can use; fails if the name exists.
fn create_folder(path: &Path) -> io::Result<()> {
    let (path, owner) = (verbatim(path)?, OwnerOnly::new()?);
    let attributes = owner.attributes();
    // SAFETY: the path ends with a NUL, and the attributes outlive the call.
    expect(unsafe { CreateDirectoryW(path.as_ptr(), &raw const attributes) })
}

/// Converts the result of a Windows function to a `Result`. 0 means failure.
fn expect(success: i32) -> io::Result<()> {
    if success == FALSE {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Converts a string to NUL-terminated UTF-16, as Windows functions require.
pub fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

/// Returns a path as NUL-terminated UTF-16 with the prefix `\\?\`, so that the path can be longer than 260 characters.
pub fn verbatim(path: &Path) -> io::Result<Vec<u16>> {
    let path = std::path::absolute(path)?;
    let prefix = match path.components().next() {
        Some(Component::Prefix(prefix)) => match prefix.kind() {
            Prefix::Disk(_) => r"\\?\",
            Prefix::UNC(..) => r"\\?\UNC",
            _ => "",
        },
        _ => "",
    };
    let full = wide(path.as_os_str());
    // The prefix replaces one of the two leading backslashes in `\\server\share`.
    let path_units = if prefix.ends_with("UNC") { &full[1..] } else { &full[..] };
    Ok(prefix.encode_utf16().chain(path_units.iter().copied()).collect())
}

#[cfg(test)]
mod tests {
    use std::os::windows::fs::OpenOptionsExt;

    use rusqlite::Connection;
    use windows_sys::Win32::Storage::FileSystem::{FILE_SHARE_READ, FILE_SHARE_WRITE};

    use super::*;

    fn open_without_sharing_its_name(path: &Path) -> File {
        let mut options = OpenOptions::new();
        options.read(true).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE);
        options.open(path).expect("opened")
    }

    #[test]
    fn a_file_that_is_held_for_a_moment_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = parent_folder(folder.path()).expect("opened");
        let steps: [fn(&OpenFolder) -> io::Result<()>; 2] = [
            |inside| inside.rename("one".as_ref(), "other".as_ref()),
            |inside| inside.remove("one".as_ref()),
        ];
        for step in steps {
            let path = folder.path().join("one");
            fs::write(&path, "x").expect("written");
            let held = open_without_sharing_its_name(&path);
            let refused = fs::remove_file(&path).expect_err("it is held");
            assert!(is_one_of(&refused, &HELD), "{refused}");
            std::thread::scope(|scope| {
                let done = scope.spawn(|| step(&inside));
                std::thread::sleep(Duration::from_millis(30));
                drop(held);
                done.join().expect("no panic").expect("the file was free then");
            });
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_file_that_is_held_for_long_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("one");
        fs::write(&path, "x").expect("written");
        let _held = open_without_sharing_its_name(&path);
        let inside = parent_folder(folder.path()).expect("opened");
        assert!(is_one_of(
            &inside.remove("one".as_ref()).expect_err("it is held"),
            &HELD
        ));
    }

    #[test]
    fn each_commit_has_another_version_of_the_log() {
        let folder = tempfile::tempdir().expect("a folder");
        let (database, index) = (folder.path().join("plex.db"), folder.path().join("plex.db-shm"));
        assert_eq!(log_version(&index), None);
        let connection = Connection::open(database).expect("opened");
        connection
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE one (id)")
            .expect("made");
        let mut known = vec![log_version(&index).expect("read")];
        for _ in 0..5 {
            // The log is written from its beginning again, and keeps its length.
            connection
                .execute_batch("PRAGMA wal_checkpoint; INSERT INTO one VALUES (1)")
                .expect("written");
            let version = log_version(&index).expect("read");
            assert!(!known.contains(&version));
            known.push(version);
        }
    }

    #[test]
    fn a_share_that_is_away_is_no_missing_file() {
        assert!(is_gone(&error(2)) && is_gone(&error(3)));
        assert!(
            ![ERROR_BAD_NETPATH, ERROR_BAD_NET_NAME, ERROR_INVALID_DRIVE]
                .iter()
                .any(|code| is_gone(&error(*code)))
        );
    }

    #[test]
    fn both_calls_tell_files_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let inodes = ["a", "b"].map(|name| {
            let path = folder.path().join(name);
            fs::write(&path, name).expect("written");
            let file = open(&path, false).expect("opened");
            assert_eq!(
                inode_of(&file).expect("told"),
                inode_of(&open(&path, false).expect("opened")).expect("told")
            );
            [inode_of(&file).expect("told"), older_inode_of(&file).expect("told")]
        });
        assert!(inodes[0][0] != inodes[1][0] && inodes[0][1] != inodes[1][1]);
    }
}
