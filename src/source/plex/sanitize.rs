//! Sanitizes invalid JSON that servers send.
//!
//! Titles and file names come from disks and web sites: bytes that are not UTF-8, raw control characters, halves of
//! surrogate pairs where a tool cut a title at its 100th code unit. A parser must reject each, which would make the
//! whole library unreadable for ever. So they are replaced first, one for one.

use std::io::{self, Read};

/// Sanitizes a piece of JSON; must not be cut within a character or an escape.
pub(super) fn sanitize(bytes: &mut Vec<u8>) {
    // Control characters are white space or illegal between strings, and illegal in strings: a space fits everywhere.
    for byte in bytes.iter_mut() {
        if *byte < b' ' {
            *byte = b' ';
        }
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

/// Number of bytes read and sanitized at once.
const CHUNK: usize = 64 << 10;

/// A reader that sanitizes JSON and buffers it.
pub(super) struct Sanitized<R> {
    inner: R,
    /// Sanitized up to `ready`, raw behind.
    buffer: Vec<u8>,
    ready: usize,
    /// Number of bytes already passed to the caller.
    passed: usize,
    /// `inner` is at its end.
    ended: bool,
}

impl<R: Read> Sanitized<R> {
    /// Reads from `inner`.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            buffer: Vec::with_capacity(2 * CHUNK),
            ready: 0,
            passed: 0,
            ended: false,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        let mut piece = self.buffer.split_off(self.ready);
        while !self.ended && piece.len() < CHUNK {
            let missing = (CHUNK - piece.len()) as u64;
            self.ended = (&mut self.inner).take(missing).read_to_end(&mut piece)? < CHUNK && piece.len() < CHUNK;
        }
        // Neither characters nor `\u` escapes contain a quote, so a piece may end behind one. Without a quote in so
        // much text there is no usable row, and the piece may end anywhere.
        let end = match piece.iter().rposition(|&byte| byte == b'"') {
            Some(quote) if !self.ended => quote + 1,
            _ => piece.len(),
        };
        let rest = piece.split_off(end);
        sanitize(&mut piece);
        self.ready = piece.len();
        self.passed = 0;
        piece.extend_from_slice(&rest);
        self.buffer = piece;
        Ok(())
    }
}

impl<R: Read> Read for Sanitized<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.passed == self.ready {
            if self.ended && self.ready == self.buffer.len() {
                return Ok(0);
            }
            self.refill()?;
        }
        let mut ready = self.buffer.get(self.passed..self.ready).unwrap_or_default();
        let amount = ready.read(buf)?;
        self.passed += amount;
        Ok(amount)
    }
}

#[cfg(test)]
#[path = "sanitize_tests.rs"]
mod tests;
