//! The identifier under which this installation speaks to Plex.

use std::io::{self, Read, Write};
use std::path::Path;

use super::folder::{NAME, PATIENCE, StoreFolder};
use crate::error::Result;
use crate::platform::deadline::Deadline;
use crate::platform::files;
use crate::platform::lock::FileLock;

impl StoreFolder {
    /// The identifier under which this installation speaks to Plex: made once and kept, for each new one registers a
    /// device and may mail the user.
    pub fn client_identifier(&self) -> Result<String> {
        let path = self.path().join("plexindex-client-id");
        let cannot = |error: io::Error| self.cannot("keep the client identifier in", &error);
        // A whole one gets its name at once: it needs no lock.
        if let Ok(text) = read_text(&path)
            && is_identifier(&text)
        {
            return Ok(text);
        }
        // Where locks do not work, two processes that begin at once may register a device each.
        let _lock = FileLock::acquire(&self.fetch_lock("client"), Deadline::after(PATIENCE), &|| false)
            .or_else(|error| FileLock::are_missing(&error).then_some(None).ok_or(error))
            .map_err(cannot)?;
        match read_text(&path) {
            Ok(text) if is_identifier(&text) => return Ok(text),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(cannot(error)),
            // Missing, or no identifier: a new one takes its place.
            _ => {}
        }
        let random: [u8; 16] = files::random().map_err(cannot)?;
        let made = format!("plexindex-{:032x}", u128::from_le_bytes(random));
        let temporary = self.path().join(format!("{NAME}.client.{}.new", std::process::id()));
        let written = files::fresh(&temporary)
            .and_then(|mut file| {
                file.write_all(made.as_bytes())
                    .and_then(|()| files::sync(&file, &temporary))
            })
            .and_then(|()| files::rename(&temporary, &path));
        if written.is_err() {
            let _ = files::remove(&temporary);
        }
        written.map_err(cannot)?;
        Ok(made)
    }
}

/// A short text; the rest of a long one is no use.
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    files::readable(path)?.take(256).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
