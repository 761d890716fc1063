//! Reads files that contain secrets, such as a passfile.

use std::io::{self, Read};
use std::path::Path;

use crate::platform::open_host_file;
use zeroize::Zeroizing;

use crate::system;

/// The result of reading a file with secrets.
#[derive(Debug, PartialEq, Eq)]
pub enum SecretFile {
    /// The bytes, wiped when dropped.
    Content(Zeroizing<Vec<u8>>),
    /// Other users can read or write the file, so it was not read.
    OpenToOthers,
}

/// Reads a file with secrets, unless other users can read or write it.
///
/// # Errors
/// Operating system errors, as for [`open_host_file`].
pub fn read(path: &Path) -> io::Result<SecretFile> {
    let mut file = open_host_file(path)?;
    if system::is_open_to_others(&file)? {
        return Ok(SecretFile::OpenToOthers);
    }
    // Reserve the whole size, because a vector that grows leaves unwiped copies of the secret behind.
    let capacity = usize::try_from(file.metadata()?.len()).unwrap_or(0).saturating_add(1);
    let mut content = Zeroizing::new(Vec::with_capacity(capacity));
    file.read_to_end(&mut content)?;
    Ok(SecretFile::Content(content))
}
