//! Packed external ids and GUIDs. For an id of a known kind, a record contains only the kind and the number.
//!
//! The first byte of a packed id encodes the index of its prefix in [`PREFIXES`] and the format of the rest ([`TEXT`]
//! …).

use super::checked_bytes::ReadResult;
use super::fields::{RecordReader, put_bytes};
use super::layout::put_varint;
use crate::platform::bytes::from_hex;

/// Prefixes of known ids. Their order is part of the file format, so new prefixes must come last.
const PREFIXES: [&str; 11] = [
    "",
    "plex://movie/",
    "plex://episode/",
    "plex://track/",
    "plex://show/",
    "plex://artist/",
    "plex://clip/",
    "imdb://tt",
    "tmdb://",
    "tvdb://",
    "mbid://",
];

/// Formats in which an id is stored after its prefix. Their numbers are part of the file format. `TEXT` is a string.
/// `NUMBER` is a number as a varint, after its count of decimal digits, because it can have leading zeros. `PLEX` is 24
/// hexadecimal digits in 12 bytes. `UUID` is 16 bytes.
const TEXT: usize = 0;
const NUMBER: usize = 1;
const PLEX: usize = 2;
const UUID: usize = 3;
const KINDS: usize = 4; // number of formats
/// Maximum number of decimal digits that always fit into a `u64`.
const DIGITS: usize = 19;
/// Positions of the dashes in a UUID.
const DASHES: [usize; 4] = [8, 13, 18, 23];

/// Appends an id in the shortest encoding that decodes to the same string.
pub fn put_id(out: &mut Vec<u8>, id: &str) {
    let mut known = PREFIXES.iter().enumerate().skip(1);
    let known = known.find_map(|(index, prefix)| Some((index, id.strip_prefix(prefix)?)));
    let (prefix, rest) = known.unwrap_or((0, id));
    // The first byte combines the prefix and the format.
    let mut put_format = |format: usize| out.push(u8::try_from(prefix * KINDS + format).unwrap_or(0));
    if let Some(number) = number(rest) {
        put_format(NUMBER);
        out.push(u8::try_from(rest.len()).unwrap_or(0));
        put_varint(out, number);
    } else if let Some(bytes) = from_hex::<12>(rest.as_bytes()) {
        put_format(PLEX);
        out.extend_from_slice(&bytes);
    } else if let Some(bytes) = uuid(rest) {
        put_format(UUID);
        out.extend_from_slice(&bytes);
    } else {
        put_format(TEXT);
        put_bytes(out, rest.as_bytes());
    }
}

/// Parses a string of decimal digits. Returns `None` for any other string, or if there are more than [`DIGITS`] digits.
fn number(text: &str) -> Option<u64> {
    if !(1..=DIGITS).contains(&text.len()) {
        return None;
    }
    // The length check prevents an overflow.
    text.bytes().try_fold(0, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
}

/// Parses a UUID with lower-case digits. Returns `None` for any other string.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let dashes = text.match_indices('-').map(|(at, _)| at);
    (text.len() == 36 && dashes.eq(DASHES)).then(|| from_hex(text.replace('-', "").as_bytes()))?
}

/// Converts up to 16 big-endian bytes to a number; the standard functions accept only exactly 16.
fn from_big_endian(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Returns a prefix with a number of `digits` decimal digits; `None` for more than [`DIGITS`] digits, or too few for
/// the number. `format!` takes several times as long, and most items have several such ids.
fn with_digits(prefix: &str, digits: usize, mut number: u64) -> Option<String> {
    let mut text = [b'0'; DIGITS];
    let text = text.get_mut(..digits)?;
    for digit in text.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    let text = std::str::from_utf8(text).ok()?;
    (number == 0).then(|| [prefix, text].concat())
}

/// Reads an id that [`put_id`] wrote.
pub fn read_id(reader: &mut RecordReader<'_>) -> ReadResult<String> {
    let file = reader.file;
    let first_byte = usize::from(reader.byte()?);
    let prefix = PREFIXES.get(first_byte / KINDS).ok_or_else(|| file.mark_damaged())?;
    Ok(match first_byte % KINDS {
        NUMBER => {
            let digits = usize::from(reader.byte()?);
            with_digits(prefix, digits, reader.varint()?).ok_or_else(|| file.mark_damaged())?
        }
        PLEX => format!("{prefix}{:024x}", from_big_endian(reader.take(12)?)),
        UUID => {
            let mut digits = format!("{:032x}", from_big_endian(reader.take(16)?));
            for at in DASHES {
                digits.insert(at, '-');
            }
            format!("{prefix}{digits}")
        }
        _ => format!("{prefix}{}", reader.text()?),
    })
}
