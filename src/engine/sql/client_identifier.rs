//! The client identifier, by which Plex servers distinguish installations.

use std::io::{self, Read, Write};
use std::path::Path;

use super::store_folder::{LOCK_TIMEOUT, NAME, StoreFolder};
use crate::error::Result;
use crate::model::OWN_IDENTIFIER;
use crate::platform::deadline::Deadline;
use crate::platform::files;
use crate::platform::lock::FileLock;

impl StoreFolder {
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
        let result = files::create_new(&temporary)
            .and_then(|mut file| {
                file.write_all(identifier.as_bytes())
                    .and_then(|()| files::sync(&file, &temporary))
            })
            .and_then(|()| files::rename(&temporary, &path));
        if result.is_err() {
            let _ = files::remove(&temporary);
        }
        result.map_err(cannot)?;
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

#[cfg(test)]
#[path = "client_identifier_tests.rs"]
mod tests;
