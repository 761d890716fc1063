//! Sanitizes invalid JSON from servers.
//!
//! Titles and file names come from disks and web sites, and may contain bytes that are not UTF-8, raw control
//! characters, or, where a tool truncated a title, half a surrogate pair. A JSON parser rejects such text, so a single
//! title would make the whole library unreadable. So this module first replaces the invalid parts.

/// Replaces the bytes and escapes that JSON forbids, and returns the sanitized text.
pub(super) fn sanitize(bytes: &mut Vec<u8>) -> &str {
    // JSON allows control characters only as white space between strings, so a space is a valid replacement everywhere.
    for byte in bytes.iter_mut() {
        *byte = (*byte).max(b' ');
    }
    if std::str::from_utf8(bytes).is_err() {
        *bytes = String::from_utf8_lossy(bytes).into_owned().into_bytes();
    }
    let offsets = std::str::from_utf8(bytes).map(find_lone_surrogates).unwrap_or_default();
    for offset in offsets {
        if let Some(escape) = bytes.get_mut(offset..offset + ESCAPE_LENGTH) {
            escape.copy_from_slice(b"\\ufffd");
        }
    }
    // Checking UTF-8 once for the whole body is several times faster than once per string.
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Length of an escape such as `\ud83d`.
const ESCAPE_LENGTH: usize = 6;

/// Returns the offsets of all escapes that are only half of a surrogate pair, which JSON parsers reject.
fn find_lone_surrogates(text: &str) -> Vec<usize> {
    let mut lone_offsets = Vec::new();
    let mut searched = 0;
    // `str::find` is several times faster than a loop over bytes.
    while let Some(index) = text.get(searched..).and_then(|unsearched| unsearched.find('\\')) {
        let escape = searched + index;
        let next_unit = || parse_code_unit(text, escape + ESCAPE_LENGTH);
        // A pair is a first half (D800 to DBFF) and a second half (DC00 to DFFF).
        searched = escape
            + match parse_code_unit(text, escape) {
                Some(0xD800..=0xDBFF) if matches!(next_unit(), Some(0xDC00..=0xDFFF)) => 2 * ESCAPE_LENGTH,
                Some(0xD800..=0xDFFF) => {
                    lone_offsets.push(escape);
                    ESCAPE_LENGTH
                }
                Some(_) => ESCAPE_LENGTH,
                None => 2, // a short escape, such as `\n`
            };
    }
    lone_offsets
}

/// Parses the escape `\uXXXX` at this offset as a UTF-16 code unit; `None` if the text at this offset is different.
fn parse_code_unit(text: &str, offset: usize) -> Option<u16> {
    let digits = text.get(offset..offset + ESCAPE_LENGTH)?.strip_prefix("\\u")?;
    // Rejects a sign, which the integer parser accepts.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
#[path = "sanitize_tests.rs"]
mod tests;
