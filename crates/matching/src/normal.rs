//! The normal form of a path, version 2: `NFC(lower(NFC(path)))`, with `/` between the components, and without
//! redundant components ([`remove_redundant_components`]) and trailing separators. Listed paths, requested paths and
//! locations all have this form.
//!
//! - Lower-casing ignores context and language: `Σ` becomes `σ` even at the end of a word, where Python's `str.lower()`
//!   returns `ς`. Only `İ` becomes two characters, `i` and a combining dot, as in Python.
//! - `\` is a separator only in paths that start like Windows paths: `X:\`, `X:/`, `\\server`. The long spellings
//!   `\\?\X:\…` and `\\?\UNC\server\…` have the same normal form as the short spellings.
//! - In a path that is not UTF-8, all names are unchanged, so the path matches only itself.
//! - Everything else is unchanged, such as trailing dots and spaces on a POSIX system.
//!
//! Lower-casing follows the Unicode version of the Rust standard library, and NFC the version of the crate
//! `unicode-normalization`. [`form_tag`] combines both versions, and all files derived from normal forms store this
//! tag. A build with different versions rebuilds files with a different tag, so plexindex never compares normal forms
//! from two versions.

use smallvec::{Array, SmallVec};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use xxhash_rust::xxh3::xxh3_64;

/// Maximum length of a path in bytes. Windows allows as many UTF-16 units, and POSIX systems allow 4,096 bytes.
pub const MAX_PATH: usize = 32_767;
/// The version of the rules for normal forms.
pub const FORM: u32 = 2;

/// Returns [`FORM`] and the two Unicode versions as one number, the Unicode versions in eight bits each, for the header
/// of files derived from normal forms.
#[must_use]
pub const fn form_tag() -> u32 {
    let lower = char::UNICODE_VERSION.0 as u32;
    let compose = unicode_normalization::UNICODE_VERSION.0 as u32;
    FORM << 16 | lower << 8 | compose
}

/// Maximum length in bytes of a path that is folded in a [`FoldBuffer`]. A small buffer is cheap to zero.
const SHORT_PATH: usize = 256;
/// Number of bytes folded or compared at once, chosen so that the compiler uses vector instructions.
const VECTOR: usize = 32;
/// Memory for the normal form of a longer path in a fast lookup. Folding may triple the length, so a path of 4 KiB needs
/// no heap memory.
type LookupMemory = [u8; 16 * 1024];
/// Memory for the normal form of a longer path elsewhere, where calls nest: a host's thread may have a stack of 64 KiB.
type NestedMemory = [u8; 4 * 1024];

/// Buffer for the folded form of a short path.
#[derive(Clone, Copy)]
pub(super) struct FoldBuffer([u8; SHORT_PATH]);

impl FoldBuffer {
    pub(super) const ZEROED: Self = Self([0; SHORT_PATH]);
}

/// The result of lower-casing a path's ASCII letters in a single pass. This pass does not look for redundant
/// components: no normal form has any, so a lookup of a path that does finds nothing.
#[derive(Clone, Copy)]
pub(super) enum FoldedPath<'a> {
    /// The normal form of an ASCII path.
    Ascii(NormalPath<'a>),
    /// The exact bytes of a non-ASCII path, because computing the normal form would be slow.
    ExactBytes(ExactBytes<'a>),
    /// A path that is too long for a [`FoldBuffer`], or starts with a `\\?\` prefix that the normal form drops.
    NotFolded,
}

impl<'a> FoldedPath<'a> {
    /// Lower-cases the ASCII letters of a path into `buffer`, and hashes the result. Returns the normal form of an
    /// ASCII path, or only the exact bytes and the hash of any other path.
    // This function is inlined, because copying the result immediately after the writes would stall the CPU.
    #[inline(always)]
    #[allow(clippy::inline_always)] // measured: saves a seventh of the time of a batch
    pub(super) fn of(path: &'a [u8], buffer: &'a mut FoldBuffer) -> Self {
        match fold_short(path, &mut buffer.0) {
            Some((true, hash, length)) => Self::Ascii(NormalPath {
                raw: path,
                form: &buffer.0[..length],
                hash,
                is_text: true,
            }),
            Some((false, hash, _)) => Self::ExactBytes(ExactBytes { raw: path, hash }),
            None => Self::NotFolded,
        }
    }

    /// Returns the hash under which a segment indexes the path; `None` if the path was not folded.
    #[inline]
    pub(super) fn hash(&self) -> Option<u64> {
        match self {
            Self::Ascii(normal) => Some(normal.hash),
            Self::ExactBytes(spelling) => Some(spelling.hash),
            Self::NotFolded => None,
        }
    }

    /// Returns the approximate number of bytes that a segment stores for the path, for prefetching. For a non-ASCII
    /// path, a segment also stores the normal form.
    #[inline]
    pub(super) fn stored_length(&self, path: &[u8]) -> usize {
        match self {
            Self::Ascii(_) => path.len(),
            _ => 2 * path.len(),
        }
    }
}

/// The exact bytes of a short non-ASCII path. Segments also index such paths by the hash of these bytes, so that a
/// lookup with the same bytes needs no normal form.
#[derive(Clone, Copy)]
pub struct ExactBytes<'a> {
    raw: &'a [u8],
    hash: u64,
}

impl<'a> ExactBytes<'a> {
    /// Returns the path as the caller passed it.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Returns the hash of the path with ASCII letters lower-cased.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Returns the hash of a path's bytes with ASCII letters lower-cased, by which segments index a short non-ASCII
    /// path; `None` for all other paths.
    #[must_use]
    pub fn hash_of(path: &[u8]) -> Option<u64> {
        let mut buffer = FoldBuffer::ZEROED;
        match FoldedPath::of(path, &mut buffer) {
            FoldedPath::ExactBytes(spelling) => Some(spelling.hash),
            _ => None,
        }
    }
}

/// A path with its normal form and the normal form's hash. Valid only within the closure passed to
/// [`NormalPath::with`].
#[derive(Clone, Copy)]
pub struct NormalPath<'a> {
    raw: &'a [u8],
    form: &'a [u8],
    hash: u64,
    is_text: bool,
}

impl<'a> NormalPath<'a> {
    /// Computes the normal form of `path`, and passes the result to `then`. Allocates memory for a normal form longer than
    /// 4 KiB, and otherwise like [`NormalPath::with_cached_form`].
    #[inline]
    pub fn with<R>(path: &[u8], then: impl FnOnce(&NormalPath<'_>) -> R) -> R {
        Self::with_form_in::<NestedMemory, R>(path, |_, _| None, then)
    }

    /// Computes the normal form of `path` on the stack, and passes the result to `then`. For a short non-ASCII path,
    /// first calls `cached_form`, because computing its normal form takes longer than the rest of a lookup. On a cache
    /// hit, `cached_form` writes the normal form to the buffer and returns its length; on a miss, `cached_form` returns
    /// `None`. Allocates memory only for paths with redundant components, for normal forms longer than 16 KiB, and for
    /// letters with more than four combining marks.
    #[inline]
    pub fn with_cached_form<R>(
        path: &[u8],
        cached_form: impl FnOnce(&ExactBytes<'_>, &mut [u8]) -> Option<usize>,
        then: impl FnOnce(&NormalPath<'_>) -> R,
    ) -> R {
        Self::with_form_in::<LookupMemory, R>(path, cached_form, then)
    }

    #[inline]
    fn with_form_in<A: Array<Item = u8>, R>(
        path: &[u8],
        cached_form: impl FnOnce(&ExactBytes<'_>, &mut [u8]) -> Option<usize>,
        then: impl FnOnce(&NormalPath<'_>) -> R,
    ) -> R {
        let mut buffer = FoldBuffer::ZEROED;
        let spelling = match FoldedPath::of(path, &mut buffer) {
            _ if may_have_redundant_components(path) => None,
            FoldedPath::Ascii(normal) => return then(&normal),
            FoldedPath::ExactBytes(spelling) => Some(spelling),
            FoldedPath::NotFolded => None,
        };
        // A pointer to the closure reduces the number of copies of the closure's code from five to two.
        let mut then = Some(then);
        let mut result = None;
        let mut call_then = |normal: &NormalPath<'_>| result = then.take().map(|then| then(normal));
        let mut cached = FoldBuffer::ZEROED;
        let length = spelling.and_then(|spelling| cached_form(&spelling, &mut cached.0));
        match length.and_then(|length| cached.0.get(..length)) {
            Some(form) => call_then(&NormalPath::new(path, form, true)),
            None => with_computed_form::<A>(path, &mut call_then),
        }
        match result {
            Some(result) => result,
            None => unreachable!("with_computed_form calls its closure exactly once"),
        }
    }

    /// Creates a value from a path and its normal form, and hashes the normal form. `is_text`: the path is UTF-8.
    #[inline]
    fn new(raw: &'a [u8], form: &'a [u8], is_text: bool) -> Self {
        let hash = xxh3_64(form);
        Self {
            raw,
            form,
            hash,
            is_text,
        }
    }

    /// Returns the path as the caller passed it, but without redundant components.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Returns whether `other` has the same [`spelling`] as this path, apart from redundant components.
    #[must_use]
    pub fn has_spelling(&self, other: &[u8]) -> bool {
        other == self.raw || {
            let tidied = remove_redundant_components(other);
            spelling(tidied.as_deref().unwrap_or(other)).eq(spelling(self.raw))
        }
    }

    /// Returns the normal form.
    #[must_use]
    pub fn form(&self) -> &'a [u8] {
        self.form
    }

    /// Returns the normal form's hash (xxh3, 64 bits), which is the same in every process.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Returns whether the path is UTF-8. A path that is not UTF-8 matches only itself.
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        self.is_text
    }
}

/// Returns the bytes of a path without what never tells two files apart: separators at the end and, in a Windows path, the
/// kind of separator, `\\?\`, and the case of the drive's letter.
pub(super) fn spelling(path: &[u8]) -> impl Iterator<Item = u8> {
    let shape = PathShape::of(path);
    let is_separator = |byte: &u8| *byte == b'/' || (shape.windows && *byte == b'\\');
    let end = path
        .iter()
        .rposition(|byte| !is_separator(byte))
        .map_or(0, |last| last + 1);
    let rest = &path[shape.dropped_bytes.min(end)..end];
    let has_drive = shape.windows && rest.get(1) == Some(&b':');
    let bytes = rest.iter().enumerate().map(move |(at, byte)| match byte {
        b'\\' if shape.windows => b'/',
        drive if at == 0 && has_drive => drive.to_ascii_lowercase(),
        other => *other,
    });
    shape.replacement.bytes().chain(bytes)
}

/// Returns the normal form of a path on the heap.
#[must_use]
pub fn normal_form(path: &[u8]) -> Vec<u8> {
    NormalPath::with(path, |normal| normal.form().to_vec())
}

/// Returns one path for all that have the same [`spelling`], as Windows writes it; the path itself if there is none.
#[must_use]
pub fn one_spelling(path: &[u8]) -> Vec<u8> {
    NormalPath::with(path, |normal| {
        let mut one: Vec<u8> = spelling(normal.raw()).collect();
        if PathShape::of(normal.raw()).windows || one.starts_with(b"//") {
            let separators = one.iter_mut().filter(|byte| **byte == b'/');
            separators.for_each(|byte| *byte = b'\\');
            one.iter_mut().take(1).for_each(u8::make_ascii_uppercase);
        }
        let is_path = !one.is_empty() && normal.has_spelling(&one); // not the root
        if is_path { one } else { normal.raw().to_vec() }
    })
}

/// Computes the normal form of any path, and passes the result to `then`. Slower than [`FoldedPath::of`], which handles
/// only short ASCII paths.
#[cold]
#[inline(never)]
fn with_computed_form<A: Array<Item = u8>>(path: &[u8], then: &mut dyn FnMut(&NormalPath<'_>)) {
    let tidied = remove_redundant_components(path);
    let path = tidied.as_deref().unwrap_or(path);
    let Ok(text) = std::str::from_utf8(path) else {
        return then(&NormalPath::new(path, &path[..length_without_separators(path)], false));
    };
    let shape = PathShape::of(path);
    let mut form = SmallVec::<A>::new();
    form.extend_from_slice(shape.replacement.as_bytes());
    fold_runs(text.get(shape.dropped_bytes..).unwrap_or_default(), &mut form);
    if shape.windows {
        unify_separators(&mut form);
    }
    form.truncate(length_without_separators(&form));
    then(&NormalPath::new(path, &form, true));
}

/// Returns the length of a normal form without its trailing separators; the root keeps its separator.
fn length_without_separators(form: &[u8]) -> usize {
    let last = form.iter().rposition(|byte| *byte != b'/');
    last.map_or(form.len().min(1), |last| last + 1)
}

/// Lower-cases the ASCII letters of a short path into `out`. Returns whether the whole path is ASCII, and the hash and
/// the length of the result without trailing separators. Returns `None` if the path is too long, or if its normal form
/// drops a prefix.
fn fold_short(path: &[u8], out: &mut [u8; SHORT_PATH]) -> Option<(bool, u64, usize)> {
    let shape = PathShape::of(path);
    if path.len() > SHORT_PATH || shape.dropped_bytes != 0 {
        return None;
    }
    let out = &mut out[..path.len()];
    // The bitwise OR of all bytes is ASCII only if every byte is ASCII.
    let mut all_bits = [0; VECTOR];
    // The loop folds only whole vectors. The first call folds the last vector of the path, which can overlap the
    // previous vector; the overlapping results are equal.
    if let (Some(from), Some(to)) = (path.last_chunk(), out.last_chunk_mut()) {
        lower_ascii_vector(from, to, &mut all_bits);
        for (from, to) in path.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
            lower_ascii_vector(from, to, &mut all_bits);
        }
    } else {
        for (from, to) in path.iter().zip(&mut *out) {
            all_bits[0] |= *from;
            *to = from.to_ascii_lowercase();
        }
    }
    if shape.windows {
        unify_separators(out);
    }
    let length = length_without_separators(out);
    Some((all_bits.is_ascii(), xxh3_64(&out[..length]), length))
}

/// Lower-cases the ASCII letters of the vector `from` into `to`. Combines the bytes of `from` into `seen_bits` with a
/// bitwise OR, so that the caller can tell whether any byte was not ASCII.
#[inline]
fn lower_ascii_vector(from: &[u8; VECTOR], to: &mut [u8; VECTOR], seen_bits: &mut [u8; VECTOR]) {
    for ((from, to), bits) in from.iter().zip(to).zip(seen_bits) {
        *bits |= *from;
        *to = from.to_ascii_lowercase();
    }
}

/// Replaces each `\` with `/`.
pub fn unify_separators(form: &mut [u8]) {
    for byte in form {
        if *byte == b'\\' {
            *byte = b'/';
        }
    }
}

/// Appends the NFC, lower-case form of `text` to `form`, one run of non-ASCII characters at a time. A quick check
/// recognizes runs that are in NFC before and after lower-casing; almost all runs are. Any other run can combine with
/// the preceding ASCII character, so the function normalizes that character again together with the run.
fn fold_runs(text: &str, form: &mut SmallVec<impl Array<Item = u8>>) {
    let mut remaining = text;
    while !remaining.is_empty() {
        let ascii_length = remaining.bytes().take_while(u8::is_ascii).count();
        let (ascii, tail) = remaining.split_at(ascii_length);
        let run_length = tail.find(|c: char| c.is_ascii()).unwrap_or(tail.len());
        let (run, tail) = tail.split_at(run_length);
        remaining = tail;
        form.extend_from_slice(ascii.as_bytes());
        let lower_chars = || run.chars().flat_map(char::to_lowercase);
        if is_composed(run.chars()) && is_composed(lower_chars()) {
            push_all(lower_chars(), form);
            continue;
        }
        let preceding_char = ascii.chars().next_back();
        form.truncate(form.len() - usize::from(preceding_char.is_some()));
        let extended_run = preceding_char.into_iter().chain(run.chars());
        push_all(extended_run.nfc().flat_map(char::to_lowercase).nfc(), form);
    }
    form.make_ascii_lowercase();
}

/// Returns whether the characters are in NFC; `false` also if the quick check cannot decide.
fn is_composed(chars: impl Iterator<Item = char> + Clone) -> bool {
    // Fast path: common ideographs and all characters below the first combining mark are always composed.
    let is_always_composed = |c: char| matches!(c, ..'\u{300}' | '\u{4E00}'..='\u{9FFF}');
    chars.clone().all(is_always_composed) || is_nfc_quick(chars) == IsNormalized::Yes
}

/// Appends characters to `form`, encoded as UTF-8.
fn push_all(chars: impl Iterator<Item = char>, form: &mut SmallVec<impl Array<Item = u8>>) {
    chars.for_each(|c| form.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()));
}

/// The separators and names of a path, by the rules of the operating system that the path belongs to.
struct PathRules {
    /// Number of leading bytes that are always kept.
    root_length: usize,
    /// Whether `\` is a separator, like `/`.
    windows: bool,
    /// Whether Windows ignores trailing dots and spaces, as in all its paths except those that start with `\\?\`.
    ignores_trailing_dots: bool,
}

/// Removes empty components and `.` from a path, and all but one trailing separator. Returns `None` if there is nothing
/// to remove. Keeps `..`, because its target depends on symbolic links, and keeps two leading separators, which may
/// precede the name of a network server. From a Windows path, also removes trailing dots and spaces that Windows
/// ignores: see 'Trim characters' in Microsoft's 'File path formats on Windows systems'.
#[must_use]
pub fn remove_redundant_components(path: &[u8]) -> Option<Vec<u8>> {
    if path.first() == Some(&b'/') && !may_be_untidy(path) {
        return None;
    }
    // A path such as `\films\a.mkv` is relative to the current Windows drive. The result has slashes, because plexindex
    // treats paths that start with a single `\` as relative.
    let is_drive_relative = matches!(path, [b'\\', next, rest @ ..] if *next != b'\\' && rest.contains(&b'\\'));
    let rules = PathRules::of(path, is_drive_relative);
    let (root, below_root) = path.split_at(rules.root_length.min(path.len()));
    if !is_drive_relative && rules.is_tidy(below_root) {
        return None;
    }
    let (root, separator) = match rules.windows {
        true if is_drive_relative => (&b"/"[..], b'/'),
        true if path.contains(&b'\\') => (root, b'\\'),
        _ => (root, b'/'),
    };
    let mut names: Vec<_> = rules.names(below_root).filter(|name| !name.is_empty()).collect();
    // Without redundant names, the last name can be a different one.
    while let Some(name) = names.pop_if(|name| rules.ignores_trailing_dots && **name != *b"..") {
        let trimmed = trim_end(name);
        if !trimmed.is_empty() {
            names.push(trimmed);
            break;
        }
    }
    let mut tidied = root.to_vec();
    for name in names {
        tidied.extend_from_slice(name);
        tidied.push(separator);
    }
    if !below_root.last().is_some_and(|byte| rules.is_separator(*byte)) && tidied.len() > root.len() {
        tidied.pop();
    }
    // A path such as `.` has no names. Without a redundant part, the root can be a different one.
    (!tidied.is_empty()).then(|| remove_redundant_components(&tidied).unwrap_or(tidied))
}

/// Returns `false` if a path certainly has no redundant parts.
#[inline]
pub fn may_have_redundant_components(path: &[u8]) -> bool {
    if path.first() == Some(&b'/') {
        may_be_untidy(path)
    } else {
        remove_redundant_components(path).is_some()
    }
}

/// Returns whether a POSIX path may have redundant parts. This check without branches is enough for most paths; it also
/// finds hidden files such as `/.nfo`.
#[inline]
fn may_be_untidy(path: &[u8]) -> bool {
    let (bytes, next) = (&path[..path.len().saturating_sub(1)], path.get(1..).unwrap_or_default());
    let mut found = [0; VECTOR];
    let add = |found: &mut u8, byte: u8, next: u8| {
        // `.` and `/` differ only in the last bit.
        *found |= u8::from(byte == b'/') & u8::from(next | 1 == b'/');
    };
    // The first call compares the last pairs, which can overlap the previous ones.
    if let (Some(bytes_end), Some(next_end)) = (bytes.last_chunk(), next.last_chunk::<VECTOR>()) {
        let chunks = bytes.as_chunks::<VECTOR>().0.iter().zip(next.as_chunks::<VECTOR>().0);
        for (bytes, next) in std::iter::once((bytes_end, next_end)).chain(chunks) {
            for ((found, byte), next) in found.iter_mut().zip(bytes).zip(next) {
                add(found, *byte, *next);
            }
        }
    } else {
        for (byte, next) in bytes.iter().zip(next) {
            add(&mut found[0], *byte, *next);
        }
    }
    found != [0; VECTOR]
}

impl PathRules {
    fn of(path: &[u8], is_drive_relative: bool) -> Self {
        let windows = is_drive_relative || PathShape::of(path).windows;
        Self {
            windows,
            root_length: match path {
                [b'\\', b'\\', b'?', b'\\', ..] => 4,
                [b'\\', b'\\', ..] => 2,
                _ if is_drive_relative => 1,
                _ if windows => 3, // `C:\`
                // POSIX treats three or more leading slashes as one, but allows a special meaning for two.
                [b'/', b'/', b'/', ..] => 1,
                [b'/', b'/', ..] => 2,
                [b'/', ..] => 1,
                _ => 0,
            },
            ignores_trailing_dots: windows && !path.starts_with(br"\\?\"),
        }
    }

    fn is_separator(&self, byte: u8) -> bool {
        byte == b'/' || (self.windows && byte == b'\\')
    }

    /// Returns the names below the root without the parts that the operating system ignores; an empty name for a
    /// redundant component.
    fn names<'p>(&self, below_root: &'p [u8]) -> impl Iterator<Item = &'p [u8]> {
        let (windows, ignores_trailing_dots) = (self.windows, self.ignores_trailing_dots);
        let is_separator = move |byte: &u8| *byte == b'/' || (windows && *byte == b'\\');
        let last_name = below_root.iter().rposition(move |byte| !is_separator(byte));
        let mut end = 0;
        below_root.split(is_separator).map(move |name| {
            let is_last = last_name.is_none_or(|last| end + name.len() > last);
            end += name.len() + 1;
            match name {
                b"." => b"",
                b".." => name,
                _ if !ignores_trailing_dots => name,
                // Windows removes all trailing dots and spaces from the last component, but only a single dot from the
                // others.
                _ if is_last => trim_end(name),
                [stem @ .., b'.'] if !stem.ends_with(b".") => stem,
                _ => name,
            }
        })
    }

    /// Returns whether the part of a path below its root has nothing to remove.
    fn is_tidy(&self, below_root: &[u8]) -> bool {
        let without_separator = match below_root {
            [names @ .., last] if self.is_separator(*last) => names,
            _ => below_root,
        };
        below_root.is_empty()
            || self
                .names(without_separator)
                .zip(without_separator.split(|byte| self.is_separator(*byte)))
                .all(|(name, original)| !name.is_empty() && name.len() == original.len())
    }
}

/// Removes dots and spaces from the end of a name.
fn trim_end(name: &[u8]) -> &[u8] {
    let last = name.iter().rposition(|byte| !matches!(byte, b'.' | b' '));
    last.map_or(b"", |last| &name[..=last])
}

/// The kind of path (Windows or POSIX) and the prefix that the normal form replaces. Both depend on the path's first
/// bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathShape {
    /// Whether `\` is a separator, like `/`.
    pub windows: bool,
    /// Number of leading bytes that the normal form drops.
    pub(super) dropped_bytes: usize,
    /// The string that replaces the dropped bytes.
    pub(super) replacement: &'static str,
}

impl PathShape {
    /// Determines the shape of a path from its first bytes.
    #[inline]
    #[must_use]
    pub fn of(path: &[u8]) -> Self {
        // Fast path: nearly all paths start with `/`.
        if path.first() == Some(&b'/') {
            return Self::POSIX;
        }
        Self::of_windows(path)
    }

    const POSIX: Self = Self {
        windows: false,
        dropped_bytes: 0,
        replacement: "",
    };

    /// Determines the shape of a path that does not start with `/`. `\\?\UNC\server` becomes `//server`, and `\\?\C:\`
    /// becomes `c:/`.
    fn of_windows(path: &[u8]) -> Self {
        let windows = |dropped_bytes, replacement| Self {
            windows: true,
            dropped_bytes,
            replacement,
        };
        match path {
            // The dropped prefixes are `\\?\UNC\` (8 bytes) and `\\?\` (4 bytes).
            [b'\\', b'\\', b'?', b'\\', after_prefix @ ..] => match after_prefix {
                [b'u' | b'U', b'n' | b'N', b'c' | b'C', b'\\', ..] => windows(8, "//"),
                [drive, b':', b'\\', ..] if drive.is_ascii_alphabetic() => windows(4, ""),
                _ => windows(0, ""),
            },
            [b'\\', b'\\', ..] => windows(0, ""),
            [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic() => windows(0, ""),
            _ => Self::POSIX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NormalPath, remove_redundant_components};

    /// Calls nest up to four of them, and a host's thread may have a stack of 64 KiB (docs/c.md).
    #[test]
    fn a_normal_form_takes_little_of_the_stack() {
        let place = 0_u8;
        let taken = NormalPath::with("/é".repeat(200).as_bytes(), |_| {
            let inner = 0_u8;
            (&raw const place).addr() - (&raw const inner).addr()
        });
        assert!(taken < 16 * 1024, "{taken} bytes");
    }

    #[test]
    fn what_changes_nothing_goes() {
        for (path, tidied) in [
            ("/a/b", None),
            ("/a//b", Some("/a/b")),
            ("/a/./b", Some("/a/b")),
            ("///a", Some("/a")),
            ("//a/b", None),
            ("/a/../b", None),
            (r"/a\\b", None),
            (r"D:\a\b", None),
            ("D:/a/b", None),
            (r"D:\", None),
            (r"D:\a\", None),
            (r"D:\a\\b", Some(r"D:\a\b")),
            (r"D:\a\.\b", Some(r"D:\a\b")),
            ("D:/a//./b", Some("D:/a/b")),
            (r"D:/a\.\b", Some(r"D:/a\b")),
            (r"D:\\a\\", Some(r"D:\a\")),
            (r"D:\a\..\b", None),
            (r"D:\a.\b", Some(r"D:\a\b")),
            (r"D:\a \b", None),
            (r"D:\a\b.", Some(r"D:\a\b")),
            (r"D:\a\b. .", Some(r"D:\a\b")),
            (r"D:\a...\b", None),
            (r"\\nas\\share\a", Some(r"\\nas\share\a")),
            (r"\\nas\share\.\a.", Some(r"\\nas\share\a")),
            (r"\\?\D:\a.\b.", None),
            (r"\\?\D:\a\.\b.", Some(r"\\?\D:\a\b.")),
            (r"D:\a. \.", Some(r"D:\a")),
            ("/./a", Some("/a")),
            ("/a/.", Some("/a")),
            ("/a/", None),
            ("/a//", Some("/a/")),
            ("/a/.nfo", None),
            ("./a", Some("a")),
            (".", None),
            ("/", None),
            (r"\a\\b.", Some("/a/b")),
            (r"\a", None),
            (r"\", None),
        ] {
            let found = remove_redundant_components(path.as_bytes()).map(|path| String::from_utf8(path).expect("text"));
            assert_eq!(found.as_deref(), tidied, "{path}");
        }
    }
}
