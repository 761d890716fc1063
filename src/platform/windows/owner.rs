//! Files and folders that only their owner, the system and administrators can use.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::FromRawHandle;
use std::path::{Component, Path, Prefix};
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{
    CloseHandle, FALSE, GENERIC_READ, GENERIC_WRITE, INVALID_HANDLE_VALUE, LocalFree, TRUE,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_NEW, CreateDirectoryW, CreateFileW, DELETE, FILE_ATTRIBUTE_NORMAL, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetCurrentThread, OpenProcessToken, OpenThreadToken};

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
pub fn create_file(path: &Path) -> io::Result<File> {
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
pub fn create_folder(path: &Path) -> io::Result<()> {
    let (path, owner) = (verbatim(path)?, OwnerOnly::new()?);
    let attributes = owner.attributes();
    // SAFETY: the path ends with a NUL, and the attributes outlive the call.
    expect(unsafe { CreateDirectoryW(path.as_ptr(), &raw const attributes) })
}

/// Converts the result of a Windows function to a `Result`. 0 means failure.
pub fn expect(success: i32) -> io::Result<()> {
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
