//! Iterates over the components of paths in normal form, last first, without allocating that form.

use std::cmp::Ordering;

/// The transformation from stored bytes to the normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// None: the bytes are the form.
    None,
    /// ASCII lower-casing: the path is ASCII.
    Ascii,
    /// ASCII lower-casing, and `\` separates: the path is ASCII and begins like a Windows one.
    Windows,
}

/// The normal form of a path, computed from the path's own bytes where possible.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    bytes: &'a [u8],
    fold: Fold,
}

impl<'a> Form<'a> {
    /// Creates the form that `fold` makes of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8], fold: Fold) -> Self {
        Self { bytes, fold }
    }

    /// Wraps bytes that are in normal form already.
    #[must_use]
    pub fn from_folded(bytes: &'a [u8]) -> Self {
        Self::new(bytes, Fold::None)
    }

    /// Returns whether the form equals these bytes.
    #[must_use]
    pub fn equals(self, form: &[u8]) -> bool {
        self.bytes.len() == form.len()
            && match self.fold {
                Fold::None => self.bytes == form,
                Fold::Ascii => self.bytes.iter().zip(form).all(|(a, b)| a.to_ascii_lowercase() == *b),
                Fold::Windows => self.bytes.iter().zip(form).all(|(a, b)| fold_windows(*a) == *b),
            }
    }

    /// The form's bytes.
    pub fn bytes(self) -> impl Iterator<Item = u8> + 'a {
        let fold = self.fold;
        self.bytes.iter().map(move |byte| folded(fold, *byte))
    }

    /// Compares two forms bytewise. The caller knows that the first `from` bytes are equal.
    #[must_use]
    pub fn compare(self, other: Form<'_>, from: usize) -> Ordering {
        let at = self.common_prefix_length(other, from);
        self.byte(at).cmp(&other.byte(at))
    }

    /// Compares the path with the range of paths below `folder`, in byte order: `Equal` means below. `folder` is in
    /// normal form without trailing separator; the first `from` bytes are known to be equal. Also returns the length of
    /// the common prefix.
    #[must_use]
    pub fn compare_to_folder(self, folder: &[u8], from: usize) -> (Ordering, usize) {
        let at = self.common_prefix_length(Form::from_folded(folder), from);
        let wanted = folder.get(at).copied().unwrap_or(b'/');
        let order = match self.byte(at) {
            Some(own) if at == folder.len() && own == wanted => Ordering::Equal,
            own => own.cmp(&Some(wanted)),
        };
        (order, at)
    }

    /// Length of the common prefix. The first `from` bytes are known to be equal.
    fn common_prefix_length(self, other: Form<'_>, from: usize) -> usize {
        let mut at = from;
        while let (Some(own), Some(others)) = (self.word(at), other.word(at)) {
            if own != others {
                return at + (own ^ others).leading_zeros() as usize / 8;
            }
            at += 8;
        }
        let rest = |form: Form<'_>| form.bytes.len().saturating_sub(at);
        let least = rest(self).min(rest(other));
        (at..at + least)
            .find(|at| self.byte(*at) != other.byte(*at))
            .unwrap_or(at + least)
    }

    #[inline]
    fn byte(self, at: usize) -> Option<u8> {
        self.bytes.get(at).map(|byte| folded(self.fold, *byte))
    }

    /// The next eight folded bytes, big endian; `None` near the end and for Windows paths.
    #[inline]
    fn word(self, at: usize) -> Option<u64> {
        let word = u64::from_be_bytes(*self.bytes.get(at..)?.first_chunk()?);
        match self.fold {
            Fold::None => Some(word),
            Fold::Ascii => Some(lower(word)),
            Fold::Windows => None,
        }
    }

    /// Returns the form's first `components` components, without the separator behind them.
    #[must_use]
    pub fn leading_components(self, components: usize) -> Vec<u8> {
        let form: Vec<u8> = self.bytes().collect();
        let end = end_of_components(&form, components, |byte| byte == b'/');
        form[..end].to_vec()
    }

    /// Iterates over the components, last first; empty ones, as between repeated separators, are skipped.
    #[must_use]
    pub fn rev_components(self) -> RevComponents<'a> {
        RevComponents {
            rest: self.bytes,
            windows: self.fold == Fold::Windows,
            lower: self.fold != Fold::None,
        }
    }

    /// Number of components that two forms share at their ends.
    #[must_use]
    pub fn common_components(self, other: Form<'_>) -> usize {
        self.rev_components()
            .zip(other.rev_components())
            .take_while(|(a, b)| a.equals(*b))
            .count()
    }
}

/// Offset of the end of the first `components` components of a path; empty ones do not count.
pub fn end_of_components(path: &[u8], components: usize, separates: impl Fn(u8) -> bool) -> usize {
    let mut left = components;
    let mut inside = false;
    for (at, byte) in path.iter().enumerate() {
        if separates(*byte) {
            if inside && left == 0 {
                return at;
            }
            inside = false;
        } else if !inside {
            if left == 0 {
                return at;
            }
            inside = true;
            left -= 1;
        }
    }
    path.len()
}

/// Lower-cases eight ASCII bytes at once: sets bit 5 of each byte from `A` to `Z`.
#[inline]
fn lower(word: u64) -> u64 {
    const EACH: u64 = u64::from_be_bytes([1; 8]);
    const HIGH: u64 = EACH << 7;
    // The high bit of each byte holds the result of its comparison. It is cleared first, so that no sum carries into
    // the next byte.
    let low = word & !HIGH;
    let not_before_a = low + EACH * u64::from(0x80 - b'A');
    let behind_z = low + EACH * u64::from(0x7F - b'Z');
    word | ((not_before_a & !behind_z & !word & HIGH) >> 2)
}

#[inline]
fn folded(fold: Fold, byte: u8) -> u8 {
    match fold {
        Fold::None => byte,
        Fold::Ascii => byte.to_ascii_lowercase(),
        Fold::Windows => fold_windows(byte),
    }
}

fn fold_windows(byte: u8) -> u8 {
    if byte == b'\\' { b'/' } else { byte.to_ascii_lowercase() }
}

/// Iterator over components, last first.
#[derive(Clone)]
pub struct RevComponents<'a> {
    rest: &'a [u8],
    windows: bool,
    lower: bool,
}

impl<'a> Iterator for RevComponents<'a> {
    type Item = Component<'a>;

    #[inline]
    fn next(&mut self) -> Option<Component<'a>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let cut = if self.windows {
                self.rest.iter().rposition(|byte| matches!(byte, b'/' | b'\\'))
            } else {
                self.rest.iter().rposition(|byte| *byte == b'/')
            };
            let bytes = match cut {
                Some(at) => {
                    let (head, tail) = self.rest.split_at(at);
                    self.rest = head;
                    &tail[1..]
                }
                None => std::mem::take(&mut self.rest),
            };
            if !bytes.is_empty() {
                return Some(Component {
                    bytes,
                    lower: self.lower,
                });
            }
        }
    }
}

/// One component of a form.
#[derive(Clone, Copy, Debug)]
pub struct Component<'a> {
    bytes: &'a [u8],
    lower: bool,
}

impl<'a> Component<'a> {
    /// Returns whether both components have the same normal form.
    #[must_use]
    pub fn equals(self, other: Component<'_>) -> bool {
        let lower = |one: &[u8], folded: &[u8]| one.iter().zip(folded).all(|(a, b)| a.to_ascii_lowercase() == *b);
        self.bytes.len() == other.bytes.len()
            && match (self.lower, other.lower) {
                (false, false) => self.bytes == other.bytes,
                (true, true) => self.bytes.eq_ignore_ascii_case(other.bytes),
                (true, false) => lower(self.bytes, other.bytes),
                (false, true) => lower(other.bytes, self.bytes),
            }
    }

    /// Compares the normal forms bytewise: a total order, the same in every process.
    #[must_use]
    pub fn compare(self, other: Component<'_>) -> std::cmp::Ordering {
        match (self.lower, other.lower) {
            (false, false) => self.bytes.cmp(other.bytes),
            _ => self.folded().cmp(other.folded()),
        }
    }

    /// The form's bytes.
    pub fn folded(self) -> impl Iterator<Item = u8> + 'a {
        let lower = self.lower;
        self.bytes
            .iter()
            .map(move |byte| if lower { byte.to_ascii_lowercase() } else { *byte })
    }

    /// The stored bytes: folded only if the form was made by [`Form::from_folded`].
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }
}

/// Returns whether a path lies under a folder, both in normal form: the folder's components are the path's first ones,
/// and the path has more. A folder with a root (`/`) has only paths with a root under it.
#[must_use]
pub fn lies_under(path: &[u8], folder: &[u8]) -> bool {
    // Fast path for nearly all paths: empty components need no attention here.
    if let Some([b'/', first, ..]) = path.strip_prefix(folder)
        && *first != b'/'
        && !folder.is_empty()
    {
        return true;
    }
    components_below(path, folder).is_some_and(|mut below| below.next().is_some())
}

/// Returns whether a path is a folder or lies under it, both in normal form.
#[must_use]
pub fn lies_at_or_under(path: &[u8], folder: &[u8]) -> bool {
    components_below(path, folder).is_some()
}

fn components_below<'p>(path: &'p [u8], folder: &[u8]) -> Option<impl Iterator<Item = &'p [u8]>> {
    let rooted = |form: &[u8]| form.first() == Some(&b'/');
    if folder.is_empty() || rooted(path) != rooted(folder) {
        return None;
    }
    let mut inner = components(path);
    let starts = components(folder).all(|component| inner.next() == Some(component));
    starts.then_some(inner)
}

fn components(form: &[u8]) -> impl Iterator<Item = &[u8]> {
    form.split(|byte| *byte == b'/')
        .filter(|component| !component.is_empty())
}
