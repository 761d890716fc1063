//! The server's name, which is not in the database.

use std::fs;
use std::path::Path;

use zeroize::Zeroize;

/// Where it is kept.
const FILE: &str = "Preferences.xml";
/// As what.
const ATTRIBUTE: &str = " ProcessedMachineIdentifier=\"";

/// The machine identifier of the server whose folder this is; `None` where that may not be read. The file holds the server's
/// own token too: nothing else of it is looked at or kept.
pub fn machine_identifier(folder: &Path) -> Option<String> {
    let mut text = fs::read(folder.join(FILE)).ok()?;
    let found = std::str::from_utf8(&text).ok().and_then(|text| {
        let (_, behind) = text.split_once(ATTRIBUTE)?;
        let (name, _) = behind.split_once('"')?;
        let is_name = (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_name.then(|| name.to_owned())
    });
    text.zeroize();
    found
}

#[cfg(test)]
#[path = "preferences_tests.rs"]
mod tests;
