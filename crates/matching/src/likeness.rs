//! The likeness of a name: its letters and digits, which alike names share.

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use super::form::Form;

/// The part of a name in which alike names are equal.
pub type Likeness = SmallVec<[u8; 512]>;

/// Returns the letters and digits of a name in normal form, with a space between two numbers, because `2 1` is not `21`.
/// Each run of bytes that are not UTF-8, or of the characters with which Plex replaces them, is a letter. Returns the
/// whole name if it has no other letters or digits before its extension.
#[must_use]
pub fn likeness(name: &[u8]) -> Likeness {
    let kept = if name.is_ascii() {
        letters(name.iter().map(|byte| char::from(*byte))) // most names
    } else {
        letters(name.utf8_chunks().flat_map(|chunk| {
            let replaced = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
            chunk.valid().chars().chain(replaced)
        }))
    };
    kept.unwrap_or_else(|| Likeness::from_slice(name))
}

/// Returns the letters and digits; `None` if the name has none but replaced ones before its extension.
fn letters(name: impl Iterator<Item = char>) -> Option<Likeness> {
    // Some apostrophes count as letters in Unicode.
    let is_letter = |c: char| c.is_alphanumeric() && !matches!(c, '\u{2B9}'..='\u{2BF}');
    let mut kept = Likeness::new();
    let (mut last, mut has_gap) = (' ', false);
    // Whether there was a letter or digit, and whether there was one before the last dot.
    let (mut has_letter, mut has_stem) = (false, None);
    for c in name {
        if is_letter(c) {
            has_letter = true;
        } else if c != char::REPLACEMENT_CHARACTER || c == last {
            has_gap = true;
            if c == '.' {
                has_stem = Some(has_letter);
            }
            continue;
        }
        if has_gap && last.is_numeric() && c.is_numeric() {
            kept.push(b' ');
        }
        match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() => kept.push(byte),
            _ => kept.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        (last, has_gap) = (c, false);
    }
    has_stem.unwrap_or(has_letter).then_some(kept)
}

/// Returns the hash of the likeness of a path's file name, the last component of its normal form. `None` if the path has
/// no components.
#[must_use]
pub fn name_hash(form: &[u8]) -> Option<u64> {
    let name = Form::from_folded(form).rev_components().next()?;
    Some(xxh3_64(&likeness(name.bytes())))
}
