//! Walking paths by component, from the end, in their normal form, without writing that form anywhere.

use std::cmp::Ordering;

/// What turns the bytes at hand into the normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Nothing: they are the form.
    Done,
    /// ASCII lower-casing: the path is ASCII.
    Ascii,
    /// ASCII lower-casing, and `\` separates: the path is ASCII and begins like a Windows one.
    Windows,
}

/// The normal form of a path, read through the path's own bytes where that is possible.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    bytes: &'a [u8],
    fold: Fold,
}

impl<'a> Form<'a> {
    /// The form that `fold` makes of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8], fold: Fold) -> Self {
        Self { bytes, fold }
    }

    /// Bytes that are a form already.
    #[must_use]
    pub fn done(bytes: &'a [u8]) -> Self {
        Self::new(bytes, Fold::Done)
    }

    /// Whether this form has exactly these bytes.
    #[must_use]
    pub fn is(self, form: &[u8]) -> bool {
        self.bytes.len() == form.len()
            && match self.fold {
                Fold::Done => self.bytes == form,
                Fold::Ascii => self.bytes.iter().zip(form).all(|(a, b)| a.to_ascii_lowercase() == *b),
                Fold::Windows => self.bytes.iter().zip(form).all(|(a, b)| windows(*a) == *b),
            }
    }

    /// The form's bytes.
    pub fn bytes(self) -> impl Iterator<Item = u8> + 'a {
        let fold = self.fold;
        self.bytes.iter().map(move |byte| folded(fold, *byte))
    }

    /// The order of the forms' bytes, which are the same up to `from`.
    #[must_use]
    pub fn order(self, other: Form<'_>, from: usize) -> Ordering {
        let at = self.same_until(other, from);
        self.byte(at).cmp(&other.byte(at))
    }

    /// Equal when the path lies below a folder, which is in normal form and ends in no separator; else whether it comes
    /// before or behind all that does, in the order of bytes. The first `from` bytes are the same; gives how many are, too.
    #[must_use]
    pub fn below(self, folder: &[u8], from: usize) -> (Ordering, usize) {
        let at = self.same_until(Form::done(folder), from);
        let wanted = folder.get(at).copied().unwrap_or(b'/');
        let order = match self.byte(at) {
            Some(own) if at == folder.len() && own == wanted => Ordering::Equal,
            own => own.cmp(&Some(wanted)),
        };
        (order, at)
    }

    /// Where two forms differ first, or one ends; they are the same up to `from`.
    fn same_until(self, other: Form<'_>, from: usize) -> usize {
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

    /// Eight bytes, where there are as many.
    #[inline]
    fn word(self, at: usize) -> Option<u64> {
        let word = u64::from_be_bytes(*self.bytes.get(at..)?.first_chunk()?);
        match self.fold {
            Fold::Done => Some(word),
            Fold::Ascii => Some(lower(word)),
            Fold::Windows => None,
        }
    }

    /// The bytes of its first components, without what separates them from the next one.
    #[must_use]
    pub fn first(self, components: usize) -> Vec<u8> {
        let form: Vec<u8> = self.bytes().collect();
        let end = end_of(&form, components, |byte| byte == b'/');
        form[..end].to_vec()
    }

    /// Its components from the last to the first; empty ones, as between repeated separators, do not count.
    #[must_use]
    pub fn back(self) -> Back<'a> {
        Back {
            rest: self.bytes,
            windows: self.fold == Fold::Windows,
            lower: self.fold != Fold::Done,
        }
    }

    /// How many components two forms have in common, from the end.
    #[must_use]
    pub fn common(self, other: Form<'_>) -> usize {
        self.back().zip(other.back()).take_while(|(a, b)| a.same(*b)).count()
    }
}

/// Where the first so many components of a path end; empty ones do not count.
pub fn end_of(path: &[u8], components: usize, separates: impl Fn(u8) -> bool) -> usize {
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

/// Eight bytes in ASCII lower case: each of `A` to `Z` gets its bit.
#[inline]
fn lower(word: u64) -> u64 {
    const EACH: u64 = u64::from_be_bytes([1; 8]);
    const HIGH: u64 = EACH << 7;
    // The highest bit of a byte says whether it is so. Without the bytes' own ones no sum reaches the next byte.
    let low = word & !HIGH;
    let not_before_a = low + EACH * u64::from(0x80 - b'A');
    let behind_z = low + EACH * u64::from(0x7F - b'Z');
    word | ((not_before_a & !behind_z & !word & HIGH) >> 2)
}

#[inline]
fn folded(fold: Fold, byte: u8) -> u8 {
    match fold {
        Fold::Done => byte,
        Fold::Ascii => byte.to_ascii_lowercase(),
        Fold::Windows => windows(byte),
    }
}

fn windows(byte: u8) -> u8 {
    if byte == b'\\' { b'/' } else { byte.to_ascii_lowercase() }
}

/// Iterator over components, last first.
#[derive(Clone)]
pub struct Back<'a> {
    rest: &'a [u8],
    windows: bool,
    lower: bool,
}

impl<'a> Iterator for Back<'a> {
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
    /// The same bytes in their form?
    #[must_use]
    pub fn same(self, other: Component<'_>) -> bool {
        let lower = |one: &[u8], folded: &[u8]| one.iter().zip(folded).all(|(a, b)| a.to_ascii_lowercase() == *b);
        self.bytes.len() == other.bytes.len()
            && match (self.lower, other.lower) {
                (false, false) => self.bytes == other.bytes,
                (true, true) => self.bytes.eq_ignore_ascii_case(other.bytes),
                (true, false) => lower(self.bytes, other.bytes),
                (false, true) => lower(other.bytes, self.bytes),
            }
    }

    /// The order of the forms' bytes: total, and the same in every process.
    #[must_use]
    pub fn order(self, other: Component<'_>) -> std::cmp::Ordering {
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

    /// The bytes of a form that is already folded; as they are otherwise.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }
}

/// Whether a path lies under a folder, both in normal form: the folder's components are the path's first ones, and the
/// path has more. A folder with a root (`/`) has only paths with a root under it.
#[must_use]
pub fn lies_under(path: &[u8], folder: &[u8]) -> bool {
    let rooted = |form: &[u8]| form.first() == Some(&b'/');
    if folder.is_empty() || rooted(path) != rooted(folder) {
        return false;
    }
    // What nearly every path in a folder is; which components are empty does not matter then.
    if let Some([b'/', first, ..]) = path.strip_prefix(folder)
        && *first != b'/'
    {
        return true;
    }
    let mut inner = components(path);
    components(folder).all(|component| inner.next() == Some(component)) && inner.next().is_some()
}

fn components(form: &[u8]) -> impl Iterator<Item = &[u8]> {
    form.split(|byte| *byte == b'/')
        .filter(|component| !component.is_empty())
}
