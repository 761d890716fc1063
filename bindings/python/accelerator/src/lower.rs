//! Python's `str.lower()` for the letters that most names are written in. Rust has the same rules and other versions of
//! their tables, so this lowers only what no version since Python 3.10's changes, and leaves the rest to Python.

/// Maximum length of a name in bytes, including its NUL: the library looks up no longer one.
pub const ROOM: usize = 257;

/// Returns whether every Python since 3.10 lowers the character as Rust does. These blocks are full, or their scripts
/// have no case. Greek is excluded, since lowering a sigma depends on its context.
fn is_settled(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{24F}'        // Latin
        | '\u{300}'..='\u{36F}'     // combining marks
        | '\u{400}'..='\u{4FF}'     // Cyrillic
        | '\u{5D0}'..='\u{5EA}'     // Hebrew
        | '\u{620}'..='\u{64A}'     // Arabic
        | '\u{1E00}'..='\u{1EFF}'   // Latin
        | '\u{2010}'..='\u{2027}'   // dashes and quotes
        | '\u{3000}'..='\u{30FF}'   // punctuation, Hiragana, Katakana
        | '\u{4E00}'..='\u{9FA5}'   // ideographs
        | '\u{AC00}'..='\u{D7A3}'   // Hangul
        | '\u{FF00}'..='\u{FF20}'   // wide punctuation and digits
    )
}

/// Returns whether the character is its own lower case.
fn has_no_case(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{5D0}'..='\u{64A}' | '\u{2010}'..='\u{D7A3}' | '\u{FF00}'..='\u{FF20}')
}

/// Writes the text as Python lowers it, and a NUL. ASCII is left to the library. Returns the length without the NUL;
/// `None` for the fallback to Python.
pub fn lower(text: &str, room: &mut [u8; ROOM]) -> Option<usize> {
    let (mut from, mut length) = (text, 0);
    let mut put = |bytes: &[u8]| {
        let end = length + bytes.len();
        room.get_mut(length..end)?.copy_from_slice(bytes);
        length = end;
        Some(())
    };
    loop {
        let plain = from.bytes().position(|byte| !byte.is_ascii()).unwrap_or(from.len());
        put(&from.as_bytes()[..plain])?;
        from = &from[plain..];
        let Some(c) = from.chars().next() else {
            break;
        };
        if !is_settled(c) {
            return None;
        }
        let mut utf8 = [0; 4];
        if has_no_case(c) {
            put(c.encode_utf8(&mut utf8).as_bytes())?;
        } else {
            for lower in c.to_lowercase() {
                put(lower.encode_utf8(&mut utf8).as_bytes())?;
            }
        }
        from = &from[c.len_utf8()..];
    }
    put(&[0])?;
    Some(length - 1)
}
