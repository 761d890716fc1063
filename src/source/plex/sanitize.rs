//! Sanitizes invalid JSON that servers send.
//!
//! Titles and file names come from disks and web sites: bytes that are not UTF-8, raw control characters, halves of
//! surrogate pairs where a tool cut a title at its 100th code unit. A parser must reject each, which would make the
//! whole library unreadable for ever. So they are replaced first, one for one.

/// Replaces what JSON forbids.
pub(super) fn sanitize(bytes: &mut Vec<u8>) -> &str {
    // Control characters are white space or illegal between strings, and illegal in strings: a space fits everywhere.
    for byte in bytes.iter_mut() {
        *byte = (*byte).max(b' ');
    }
    if std::str::from_utf8(bytes).is_err() {
        *bytes = String::from_utf8_lossy(bytes).into_owned().into_bytes();
    }
    let lone = std::str::from_utf8(bytes).map(lone_surrogates).unwrap_or_default();
    for at in lone {
        if let Some(escape) = bytes.get_mut(at..at + ESCAPE) {
            escape.copy_from_slice(b"\\ufffd");
        }
    }
    // Checking UTF-8 once for the body is several times faster than per string.
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Length of an escape such as `\ud83d`.
const ESCAPE: usize = 6;

/// Returns the offsets of escapes of lone surrogates.
fn lone_surrogates(text: &str) -> Vec<usize> {
    let mut lone = Vec::new();
    let mut at = 0;
    // `str::find` is several times faster than a loop over bytes.
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        let here = at + found;
        at = here
            + match unit(text, here) {
                Some(0xD800..=0xDBFF) if matches!(unit(text, here + ESCAPE), Some(0xDC00..=0xDFFF)) => 2 * ESCAPE,
                Some(0xD800..=0xDFFF) => {
                    lone.push(here);
                    ESCAPE
                }
                Some(_) => ESCAPE,
                None => 2,
            };
    }
    lone
}

/// Parses the code unit of the escape at this offset.
fn unit(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + ESCAPE)?.strip_prefix("\\u")?;
    // Rejects a sign, which the integer parser accepts.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
#[path = "sanitize_tests.rs"]
mod tests;
