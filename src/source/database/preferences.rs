//! Reads the server's machine identifier, which the database does not contain.

use std::fs;
use std::path::Path;

use zeroize::Zeroize;

/// File name of the server's preferences.
const PREFERENCES: &str = "Preferences.xml";
/// The text before the machine identifier. The space excludes attributes whose names have the same ending.
const BEFORE_IDENTIFIER: &str = " ProcessedMachineIdentifier=\"";

/// Reads the machine identifier from the server's preferences; `None` if it is unreadable or invalid. The file also
/// contains the server's own token, so this function parses nothing else, and erases the content from memory.
pub fn machine_identifier(server_folder: &Path) -> Option<String> {
    let mut content = fs::read(server_folder.join(PREFERENCES)).ok()?;
    let identifier = std::str::from_utf8(&content).ok().and_then(|xml| {
        let (_, value) = xml.split_once(BEFORE_IDENTIFIER)?;
        let (identifier, _) = value.split_once('"')?;
        let is_alphanumeric = identifier.bytes().all(|byte| byte.is_ascii_alphanumeric());
        ((1..=64).contains(&identifier.len()) && is_alphanumeric).then(|| identifier.to_owned())
    });
    content.zeroize();
    identifier
}

#[cfg(test)]
#[path = "preferences_tests.rs"]
mod tests;
