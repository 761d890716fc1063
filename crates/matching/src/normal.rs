//! The normal form of a path, version 1: `NFC(lower(NFC(path)))`, with `/` between the components.
//!
//! - Lower-casing maps each character by itself, without context and without a language: `Σ` becomes `σ` also at the
//!   end of a word (Python's `str.lower()` gives `ς` there). A character whose lower case is two characters becomes
//!   both: that is `İ` alone, which becomes `i` and a combining dot, as in Python.
//! - `\` separates only in paths that begin like Windows ones: `X:\`, `X:/`, `\\server`. The long spellings `\\?\X:\…`
//!   and `\\?\UNC\server\…` have the form of their short ones.
//! - A path that is not UTF-8 is its own form: it equals itself only.
//! - Nothing else is changed: repeated separators, trailing dots and spaces stay.
//!
//! Lower-casing follows the Unicode version of the Rust standard library, NFC that of the crate
//! `unicode-normalization`. Both are part of [`form_tag`], which is stored with all data that is derived from forms. A
//! build with other tables sees another tag and derives the data again, so two versions are never compared.

use smallvec::SmallVec;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use xxhash_rust::xxh3::xxh3_64;

/// Longest path in bytes: the limit of Windows, in UTF-16 units. POSIX systems allow 4,096 bytes.
pub const MAX_PATH: usize = 32_767;
/// The version of the normal form.
pub const FORM: u32 = 1;

/// [`FORM`] and the Unicode versions behind it, for the head of derived files.
#[must_use]
pub const fn form_tag() -> u32 {
    let lower = char::UNICODE_VERSION.0 as u32;
    let compose = unicode_normalization::UNICODE_VERSION.0 as u32;
    FORM << 16 | lower << 8 | compose
}

/// Paths up to this length in bytes are folded in a buffer that is cheap to clear.
const SMALL: usize = 256;
/// Bytes folded at once.
const VECTOR: usize = 32;
/// Buffer for other paths. Folding may triple the length of a path, so 4 KiB of path need no heap.
type FormBuffer = SmallVec<[u8; 16 * 1024]>;

/// Buffer for the folded form of a short path.
#[derive(Clone, Copy)]
pub(super) struct FoldBuffer([u8; SMALL]);

impl FoldBuffer {
    /// A cleared buffer.
    pub(super) const EMPTY: Self = Self([0; SMALL]);
}

/// Result of one pass over a short path.
#[derive(Clone, Copy)]
pub(super) enum FoldedPath<'a> {
    /// An ASCII path: its normal form.
    Form(Normal<'a>),
    /// Not ASCII: computing the normal form would cost more than the rest of a lookup.
    Spelling(Spelling<'a>),
    /// Too long, or with an unusual beginning: not folded.
    Other,
}

impl<'a> FoldedPath<'a> {
    // Inlined so that the result is not copied right after it was written: that would stall on the store.
    #[inline(always)]
    #[allow(clippy::inline_always)] // measured: a seventh of a batch
    pub(super) fn of(path: &'a [u8], buffer: &'a mut FoldBuffer) -> Self {
        let (seen, hash) = fold_small(path, &mut buffer.0);
        let raw = path;
        match seen {
            ByteKinds::Ascii => Self::Form(Normal {
                raw,
                form: &buffer.0[..path.len()],
                hash,
                text: true,
            }),
            ByteKinds::Other => Self::Spelling(Spelling { raw, hash }),
            ByteKinds::Nothing => Self::Other,
        }
    }

    /// The hash for the lookup; `None` if the path was not folded.
    #[inline]
    pub(super) fn hash(&self) -> Option<u64> {
        match self {
            Self::Form(normal) => Some(normal.hash),
            Self::Spelling(spelling) => Some(spelling.hash),
            Self::Other => None,
        }
    }

    /// Number of bytes that a segment stores for such a path, including its form if it is not ASCII.
    #[inline]
    pub(super) fn kept(&self, path: &[u8]) -> usize {
        match self {
            Self::Form(_) => path.len(),
            _ => 2 * path.len(),
        }
    }
}

/// A short non-ASCII path in its original spelling. Segments index such paths under the hash of the spelling as well as
/// that of the normal form, so that a lookup in the same spelling needs no normal form.
#[derive(Clone, Copy)]
pub struct Spelling<'a> {
    raw: &'a [u8],
    hash: u64,
}

impl<'a> Spelling<'a> {
    /// The path as it was given.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The hash of the path with ASCII letters lower-cased.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Returns the second hash under which segments index this path; `None` for most paths.
    #[must_use]
    pub fn hash_of(path: &[u8]) -> Option<u64> {
        let mut buffer = FoldBuffer::EMPTY;
        match FoldedPath::of(path, &mut buffer) {
            FoldedPath::Spelling(spelling) => Some(spelling.hash),
            _ => None,
        }
    }
}

/// A path with its normal form and the hash of that form. Lives as long as the closure given to [`Normal::with`].
#[derive(Clone, Copy)]
pub struct Normal<'a> {
    raw: &'a [u8],
    form: &'a [u8],
    hash: u64,
    text: bool,
}

impl<'a> Normal<'a> {
    /// Folds `path` on the stack and hands it to `then`. Allocates only for forms beyond some 12 KiB, or for letters
    /// with more than four combining marks.
    #[inline]
    pub fn with<R>(path: &[u8], then: impl FnOnce(&Normal<'_>) -> R) -> R {
        Self::with_cached_form(path, |_, _| None, then)
    }

    /// [`Normal::with`] with a cache: `cached_form` may write the stored normal form of a non-ASCII path and return its
    /// length. Computing that form takes longer than the rest of a lookup.
    #[inline]
    pub fn with_cached_form<R>(
        path: &[u8],
        cached_form: impl FnOnce(&Spelling<'_>, &mut [u8]) -> Option<usize>,
        then: impl FnOnce(&Normal<'_>) -> R,
    ) -> R {
        // Not UTF-8: keys of exact tables end in such a byte.
        if path.last().is_some_and(|byte| *byte >= 0xF8) {
            return then(&Normal::new(path, path, false));
        }
        let mut buffer = FoldBuffer::EMPTY;
        let spelling = match FoldedPath::of(path, &mut buffer) {
            FoldedPath::Form(normal) => return then(&normal),
            FoldedPath::Spelling(spelling) => Some(spelling),
            FoldedPath::Other => None,
        };
        // Called through a pointer, so that the closure is compiled twice and not five times.
        let mut then = Some(then);
        let mut result = None;
        let mut give = |normal: &Normal<'_>| result = then.take().map(|then| then(normal));
        let mut cached = FoldBuffer::EMPTY;
        let length = spelling.and_then(|spelling| cached_form(&spelling, &mut cached.0));
        match length.and_then(|length| cached.0.get(..length)) {
            Some(form) => give(&Normal::new(path, form, true)),
            None => with_folded(path, &mut give),
        }
        match result {
            Some(result) => result,
            None => unreachable!("with_folded calls its closure exactly once"),
        }
    }

    #[inline]
    fn new(raw: &'a [u8], form: &'a [u8], text: bool) -> Self {
        let hash = xxh3_64(form);
        Self { raw, form, hash, text }
    }

    /// The path as it was given.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The normal form.
    #[must_use]
    pub fn form(&self) -> &'a [u8] {
        self.form
    }

    /// The hash of the normal form: xxh3, 64 bits, the same in every process.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Returns whether the path is UTF-8; other paths equal themselves only.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.text
    }
}

/// Returns the normal form on the heap.
#[must_use]
pub fn normal_form(path: &[u8]) -> Vec<u8> {
    Normal::with(path, |normal| normal.form().to_vec())
}

#[cold]
#[inline(never)]
fn with_folded(path: &[u8], then: &mut dyn FnMut(&Normal<'_>)) {
    let Ok(text) = std::str::from_utf8(path) else {
        return then(&Normal::new(path, path, false));
    };
    let shape = Shape::of(path);
    let mut form = FormBuffer::new();
    form.extend_from_slice(shape.lead.as_bytes());
    fold_runs(text.get(shape.skip..).unwrap_or_default(), &mut form);
    if shape.windows {
        unify_separators(&mut form);
    }
    then(&Normal::new(path, &form, true));
}

/// The kind of a path's beginning: whether `\` separates, and which prefix the form replaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// `\` separates.
    pub windows: bool,
    /// Number of leading bytes that the form drops.
    skip: usize,
    /// The text that replaces them.
    lead: &'static str,
}

impl Shape {
    /// Classifies a path by its first few bytes.
    #[inline]
    #[must_use]
    pub fn of(path: &[u8]) -> Self {
        // Fast path: nearly all paths begin with a slash.
        if path.first() == Some(&b'/') {
            return Self::POSIX;
        }
        Self::of_windows(path)
    }

    const POSIX: Self = Self {
        windows: false,
        skip: 0,
        lead: "",
    };

    fn of_windows(path: &[u8]) -> Self {
        let windows = |skip, lead| Self {
            windows: true,
            skip,
            lead,
        };
        match path {
            [b'\\', b'\\', b'?', b'\\', rest @ ..] => match rest {
                [b'u' | b'U', b'n' | b'N', b'c' | b'C', b'\\', ..] => windows(8, "//"),
                [drive, b':', b'\\', ..] if drive.is_ascii_alphabetic() => windows(4, ""),
                _ => windows(0, ""),
            },
            [b'\\', b'\\', ..] => windows(0, ""),
            [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic() => windows(0, ""),
            _ => Self::POSIX,
        }
    }

    /// Returns whether the form of an ASCII path has the same length, so that it need not be stored.
    #[must_use]
    pub fn keeps_length(self) -> bool {
        self.skip == 0
    }
}

/// The kinds of bytes in a path.
#[derive(Clone, Copy)]
enum ByteKinds {
    /// Only ASCII.
    Ascii,
    Other,
    /// Not scanned.
    Nothing,
}

/// Lower-cases the ASCII letters of a short path that begins like a POSIX one or with a drive, and hashes the result.
/// Does nothing for other paths.
fn fold_small(path: &[u8], out: &mut [u8; SMALL]) -> (ByteKinds, u64) {
    let shape = Shape::of(path);
    if path.len() > SMALL || !shape.keeps_length() {
        return (ByteKinds::Nothing, 0);
    }
    let out = &mut out[..path.len()];
    let mut seen = [0; VECTOR];
    // Whole vectors only. The last one ends where the path does: it overlaps the one before, with equal results.
    if let (Some(from), Some(to)) = (path.last_chunk(), out.last_chunk_mut()) {
        fold_vector(from, to, &mut seen);
        for (from, to) in path.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
            fold_vector(from, to, &mut seen);
        }
    } else {
        for (from, to) in path.iter().zip(&mut *out) {
            seen[0] |= *from;
            *to = from.to_ascii_lowercase();
        }
    }
    if shape.windows {
        unify_separators(out);
    }
    let ascii = seen.is_ascii();
    (if ascii { ByteKinds::Ascii } else { ByteKinds::Other }, xxh3_64(out))
}

#[inline]
fn fold_vector(from: &[u8; VECTOR], to: &mut [u8; VECTOR], seen: &mut [u8; VECTOR]) {
    for ((from, to), seen) in from.iter().zip(to).zip(seen) {
        *seen |= *from;
        *to = from.to_ascii_lowercase();
    }
}

/// Replaces each `\` by `/`.
pub(super) fn unify_separators(form: &mut [u8]) {
    for byte in form {
        if *byte == b'\\' {
            *byte = b'/';
        }
    }
}

/// Composes and lower-cases text, one run of non-ASCII characters at a time. Almost all runs are in NFC before and
/// after lower-casing, which a quick check detects. Other runs are composed together with the preceding ASCII
/// character, which they may combine with.
fn fold_runs(text: &str, form: &mut FormBuffer) {
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = rest.bytes().take_while(u8::is_ascii).count();
        let (plain, tail) = rest.split_at(ascii);
        let end = tail.find(|c: char| c.is_ascii()).unwrap_or(tail.len());
        let (other, tail) = tail.split_at(end);
        rest = tail;
        form.extend_from_slice(plain.as_bytes());
        let lower = || other.chars().flat_map(char::to_lowercase);
        if is_composed(other.chars()) && is_composed(lower()) {
            push_all(lower(), form);
            continue;
        }
        let before = plain.chars().next_back();
        form.truncate(form.len() - usize::from(before.is_some()));
        let run = before.into_iter().chain(other.chars());
        push_all(run.nfc().flat_map(char::to_lowercase).nfc(), form);
    }
    form.make_ascii_lowercase();
}

/// Returns whether text is in NFC; also `false` if the quick check is undecided.
fn is_composed(chars: impl Iterator<Item = char> + Clone) -> bool {
    // Fast path: characters below the first combining mark and common ideographs are always composed.
    let alone = |c: char| matches!(c, ..'\u{300}' | '\u{4E00}'..='\u{9FFF}');
    chars.clone().all(alone) || is_nfc_quick(chars) == IsNormalized::Yes
}

fn push_all(chars: impl Iterator<Item = char>, form: &mut FormBuffer) {
    chars.for_each(|c| form.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()));
}
