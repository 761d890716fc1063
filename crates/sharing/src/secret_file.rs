//! Files with secrets that a person keeps.

use std::io::{self, Read};
use std::path::Path;

use crate::platform::given;
use zeroize::Zeroizing;

use crate::system;

/// What a file with secrets holds.
#[derive(Debug, PartialEq, Eq)]
pub enum SecretFile {
    /// Its content.
    Content(Zeroizing<Vec<u8>>),
    /// Other users can read or write it, so it keeps no secret. It was not read.
    OpenToOthers,
}

/// Reads a file with secrets.
///
/// # Errors
/// As [`given`].
pub fn read(path: &Path) -> io::Result<SecretFile> {
    let mut file = given(path)?;
    if system::is_open_to_others(&file)? {
        return Ok(SecretFile::OpenToOthers);
    }
    // With room for all of it, so that no copy is left behind as it grows.
    let room = usize::try_from(file.metadata()?.len()).unwrap_or(0).saturating_add(1);
    let mut content = Zeroizing::new(Vec::with_capacity(room));
    file.read_to_end(&mut content)?;
    Ok(SecretFile::Content(content))
}
