//! The candidates of one kind of match, and their order.

use smallvec::SmallVec;

use super::resolution::MAX_CANDIDATES;

/// A matching path with the facts that rank it.
#[derive(Clone, Copy)]
pub struct RankedHit<'v, H> {
    pub library: usize,
    pub rating_key: &'v str,
    pub path: &'v [u8],
    /// The listed hit that the answer shows; `None` when only the key is known.
    pub item: Option<H>,
}

/// Keeps the candidates of the best rank: a better rank replaces them, a worse one is ignored.
pub struct Candidates<'v, H> {
    found: SmallVec<[RankedHit<'v, H>; MAX_CANDIDATES]>,
    /// Number of distinct items of the best rank, including those beyond [`MAX_CANDIDATES`].
    pub total: usize,
    /// The best rank.
    pub rank: usize,
    /// An item was offered more than once at that rank, since several of its files match.
    pub repeated: bool,
}

impl<'v, H: Copy> Candidates<'v, H> {
    pub fn new() -> Self {
        Self {
            found: SmallVec::new(),
            total: 0,
            rank: 0,
            repeated: false,
        }
    }

    pub fn offer(&mut self, rank: usize, candidate: RankedHit<'v, H>) {
        if rank < self.rank {
            return;
        }
        if rank > self.rank {
            self.rank = rank;
            self.found.clear();
            self.total = 0;
            self.repeated = false;
        }
        let same =
            |known: &RankedHit<'v, H>| known.library == candidate.library && known.rating_key == candidate.rating_key;
        if self.iter().any(same) {
            self.repeated = true;
            return;
        }
        self.total += 1;
        if self.found.len() < MAX_CANDIDATES {
            self.found.push(candidate);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &RankedHit<'v, H>> {
        self.found.iter()
    }

    /// Returns the candidate that was offered first; it is the best if it is the only one.
    pub fn first(&self) -> Option<&RankedHit<'v, H>> {
        self.found.first()
    }

    /// Returns whether all candidates have the same listed path.
    pub fn share_path(&self) -> bool {
        let place = |one: &RankedHit<'v, H>| (one.library, one.path);
        let first = self.first().map(place);
        self.total == self.found.len() && self.iter().all(|one| Some(place(one)) == first)
    }

    pub fn share_library(&self) -> bool {
        let mut libraries = self.iter().map(|candidate| candidate.library);
        let first = libraries.next();
        libraries.all(|library| Some(library) == first)
    }

    /// Calls `each` for the candidates, best first: by longest common suffix, then by longest common prefix, in raw
    /// bytes. Ties are ordered by library and key (numeric keys by value), so every process gives the same answer
    /// whatever the order in the segment.
    pub fn for_each_ranked(&self, path: &[u8], each: impl FnMut(&RankedHit<'v, H>)) {
        if let [only] = &self.found[..] {
            return [only].into_iter().for_each(each);
        }
        // Sorts references: no allocation, and candidates are not moved.
        let likeness = |one: &RankedHit<'v, H>| (common_end(path, one.path), common_beginning(path, one.path));
        let place = |one: &RankedHit<'v, H>| (one.library, one.rating_key.len(), one.rating_key);
        let mut order: SmallVec<[_; MAX_CANDIDATES]> = self.iter().map(|one| (likeness(one), one)).collect();
        order.sort_unstable_by(|(a, one), (b, other)| b.cmp(a).then_with(|| place(one).cmp(&place(other))));
        order.into_iter().map(|(_, candidate)| candidate).for_each(each);
    }
}

/// Length of the common prefix in bytes; compares eight bytes at a time where possible.
fn common_beginning(a: &[u8], b: &[u8]) -> usize {
    let words = a.chunks_exact(8).zip(b.chunks_exact(8)).take_while(|(a, b)| a == b);
    let same = words.count() * 8;
    let rest = a[same..].iter().zip(&b[same..]).take_while(|(a, b)| a == b);
    same + rest.count()
}

/// Length of the common suffix in bytes.
fn common_end(a: &[u8], b: &[u8]) -> usize {
    let words = a.rchunks_exact(8).zip(b.rchunks_exact(8)).take_while(|(a, b)| a == b);
    let same = words.count() * 8;
    let (a, b) = (&a[..a.len() - same], &b[..b.len() - same]);
    let rest = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b);
    same + rest.count()
}
