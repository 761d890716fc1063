//! The candidates of one kind of match, and their order.

use smallvec::SmallVec;

use super::resolution::LIMIT;

/// A path that fits, with what is needed to rank it.
#[derive(Clone, Copy)]
pub struct RankedHit<'v, H> {
    pub library: usize,
    pub rating_key: &'v str,
    pub path: &'v [u8],
    /// Whose item the answer shows; `None` when only the key is known.
    pub item: Option<H>,
}

/// The best candidates so far: a better rank throws out all that came before, a worse one is ignored.
pub struct Candidates<'v, H> {
    found: SmallVec<[RankedHit<'v, H>; LIMIT]>,
    /// Distinct items of the best rank, those that found no room included.
    pub total: usize,
    /// The best rank.
    pub rank: usize,
    /// An item was offered more than once at that rank: several of its files fit.
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
        if self.found.len() < LIMIT {
            self.found.push(candidate);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &RankedHit<'v, H>> {
        self.found.iter()
    }

    /// The one that was offered first: the best when it is the only one.
    pub fn first(&self) -> Option<&RankedHit<'v, H>> {
        self.found.first()
    }

    /// All were found by the same listed path, or there is one only.
    pub fn are_of_one_path(&self) -> bool {
        let place = |one: &RankedHit<'v, H>| (one.library, one.path);
        let first = self.first().map(place);
        self.total == self.found.len() && self.iter().all(|one| Some(place(one)) == first)
    }

    pub fn is_of_one_library(&self) -> bool {
        let mut libraries = self.iter().map(|candidate| candidate.library);
        let first = libraries.next();
        libraries.all(|library| Some(library) == first)
    }

    /// Gives `each` the candidates, best first: the longest common end, then the longest common beginning, byte by byte as
    /// they were given. Those that are equal in that come by library and key, a number's order for numbers: in whatever order
    /// a segment has them, each process gives the same answer.
    pub fn in_order(&self, path: &[u8], each: impl FnMut(&RankedHit<'v, H>)) {
        if let [only] = &self.found[..] {
            return [only].into_iter().for_each(each);
        }
        // Sorted without allocating, and without moving candidates about.
        let likeness = |one: &RankedHit<'v, H>| (common_end(path, one.path), common_beginning(path, one.path));
        let place = |one: &RankedHit<'v, H>| (one.library, one.rating_key.len(), one.rating_key);
        let mut order: SmallVec<[_; LIMIT]> = self.iter().map(|one| (likeness(one), one)).collect();
        order.sort_unstable_by(|(a, one), (b, other)| b.cmp(a).then_with(|| place(one).cmp(&place(other))));
        order.into_iter().map(|(_, candidate)| candidate).for_each(each);
    }
}

/// How many bytes two paths have in common at the beginning; eight at a time where that is possible.
fn common_beginning(a: &[u8], b: &[u8]) -> usize {
    let words = a.chunks_exact(8).zip(b.chunks_exact(8)).take_while(|(a, b)| a == b);
    let same = words.count() * 8;
    let rest = a[same..].iter().zip(&b[same..]).take_while(|(a, b)| a == b);
    same + rest.count()
}

/// The same at the end.
fn common_end(a: &[u8], b: &[u8]) -> usize {
    let words = a.rchunks_exact(8).zip(b.rchunks_exact(8)).take_while(|(a, b)| a == b);
    let same = words.count() * 8;
    let (a, b) = (&a[..a.len() - same], &b[..b.len() - same]);
    let rest = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b);
    same + rest.count()
}
