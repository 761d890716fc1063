//! Sanitizes invalid JSON from servers.
//!
//! Titles and file names come from disks and web sites, and may contain bytes that are not UTF-8, raw control
//! characters, or half a surrogate pair: tools truncate titles, and Python writes a byte that is not UTF-8 as such a
//! half. A JSON parser rejects such text, so a single title would make the whole library unreadable. So this module
//! first encodes the invalid parts as valid text, and [`decode`] restores the bytes of a string.
//!
//! A byte that is not UTF-8 becomes [`MARK`] and the character with the byte's number, and a mark becomes two marks. So
//! each mark begins a pair, and no two byte strings have the same encoding.

/// A code point that Unicode reserves for the inside of programs.
const MARK: char = '\u{FDD0}';
/// Length of an escape such as `\ud83d`.
const ESCAPE_LENGTH: usize = 6;

/// Encodes the bytes and escapes that JSON forbids, and returns valid text.
pub(super) fn sanitize(bytes: &mut Vec<u8>) -> &str {
    let is_valid = |text: &str| !text.contains(MARK) && !has_invalid_escape(text);
    if bytes.iter().any(|byte| *byte < b' ') || !std::str::from_utf8(bytes).is_ok_and(is_valid) {
        *bytes = encode(bytes).into_bytes();
    }
    // Checking UTF-8 once for the whole body is several times faster than once per string.
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Returns the bytes of a string from sanitized JSON.
pub(super) fn decode(text: String) -> Vec<u8> {
    if !text.contains(MARK) {
        return text.into_bytes();
    }
    let mut pieces = text.split(MARK);
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    while let Some(piece) = pieces.next() {
        let mut chars = piece.chars();
        if let Some(byte) = chars.next().and_then(|c| u8::try_from(c).ok()) {
            bytes.push(byte);
            bytes.extend_from_slice(chars.as_str().as_bytes());
        } else {
            // Two marks: the split returns an empty piece between them.
            bytes.extend_from_slice(MARK.encode_utf8(&mut [0; 4]).as_bytes());
            bytes.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
        }
    }
    bytes
}

/// Returns a string from sanitized JSON, with U+FFFD for bytes that are not UTF-8.
pub(super) fn decode_lossy(text: String) -> String {
    if !text.contains(MARK) {
        return text;
    }
    String::from_utf8_lossy(&decode(text)).into_owned()
}

/// Encodes a whole body.
fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut is_in_string = false;
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(c) = rest.chars().next() {
            let length = if c == '\\' {
                push_escape(rest, &mut out)
            } else {
                is_in_string ^= c == '"';
                push_char(c, is_in_string, &mut out);
                c.len_utf8()
            };
            rest = rest.get(length..).unwrap_or_default();
        }
        for byte in chunk.invalid() {
            out.extend([MARK, char::from(*byte)]);
        }
    }
    out
}

/// Appends a character. JSON allows control characters only as white space between strings.
fn push_char(c: char, is_in_string: bool, out: &mut String) {
    match c {
        MARK => out.extend([MARK, MARK]),
        '\0' => out.push(' '), // no name contains a NUL
        ..' ' if is_in_string => out.push_str(&json_escape(c.into())),
        ..' ' => out.push(' '),
        _ => out.push(c),
    }
}

/// Returns the escape for a UTF-16 code unit.
fn json_escape(unit: u32) -> String {
    format!("\\u{unit:04x}")
}

/// Appends the escape at the start of `text`, and returns its length in `text`.
fn push_escape(text: &str, out: &mut String) -> usize {
    let mut length = ESCAPE_LENGTH;
    match parse_code_unit(text, 0) {
        Some(half) if is_lone_half(text, 0) => match u8::try_from(half.wrapping_sub(0xDC00)) {
            Ok(byte @ 0x80..) => out.extend([MARK, char::from(byte)]),
            _ => out.push(char::REPLACEMENT_CHARACTER),
        },
        Some(unit) if u32::from(unit) == u32::from(MARK) => out.extend([MARK, MARK]),
        unit => {
            // A pair, another code unit, or a short escape such as `\n`.
            length = match unit {
                Some(0xD800..=0xDBFF) => 2 * ESCAPE_LENGTH,
                Some(_) => ESCAPE_LENGTH,
                None => 1 + text.chars().nth(1).map_or(0, char::len_utf8),
            };
            out.push_str(text.get(..length).unwrap_or(text));
        }
    }
    length
}

/// Returns whether the escape at this offset is only half of a surrogate pair, which JSON parsers reject: a first half
/// (D800 to DBFF) without a second half (DC00 to DFFF), or a second half.
fn is_lone_half(text: &str, offset: usize) -> bool {
    match parse_code_unit(text, offset) {
        Some(0xD800..=0xDBFF) => !matches!(parse_code_unit(text, offset + ESCAPE_LENGTH), Some(0xDC00..=0xDFFF)),
        unit => matches!(unit, Some(0xDC00..=0xDFFF)),
    }
}

/// Returns whether the text has an escape for a mark or for half of a surrogate pair.
fn has_invalid_escape(text: &str) -> bool {
    let mut searched = 0;
    // `str::find` is several times faster than a loop over bytes.
    while let Some(index) = text.get(searched..).and_then(|unsearched| unsearched.find('\\')) {
        let escape = searched + index;
        let unit = parse_code_unit(text, escape);
        if is_lone_half(text, escape) || unit.is_some_and(|unit| u32::from(unit) == u32::from(MARK)) {
            return true;
        }
        searched = escape
            + match unit {
                Some(0xD800..=0xDBFF) => 2 * ESCAPE_LENGTH,
                Some(_) => ESCAPE_LENGTH,
                None => 2, // a short escape, such as `\n`
            };
    }
    false
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
