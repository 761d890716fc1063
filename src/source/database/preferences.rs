//! Reads the server's machine identifier, which is not in the database.

use std::fs;
use std::path::Path;

use zeroize::Zeroize;

/// File with the server's preferences.
const FILE: &str = "Preferences.xml";
/// Attribute of the machine identifier.
const ATTRIBUTE: &str = " ProcessedMachineIdentifier=\"";

/// Reads the machine identifier from the server's folder; `None` if it is not readable. The file also holds the
/// server's own token, so nothing else is parsed or kept.
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
