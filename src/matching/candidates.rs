//! The candidates of a rung, and which of them come first.

use super::outcome::LIMIT;
use super::view::View;

/// A path that fits, with what is needed to rank it.
pub struct Candidate<'v, L: View + 'v> {
    pub library: usize,
    pub rating_key: &'v str,
    pub path: &'v [u8],
    /// Whose item the answer shows; `None` when only the key is known.
    pub item: Option<L::Hit<'v>>,
}

impl<'v, L: View + 'v> Clone for Candidate<'v, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<'v, L: View + 'v> Copy for Candidate<'v, L> {}

/// The best candidates so far: a better rank throws out all that came before, a worse one is ignored.
pub struct Candidates<'v, L: View + 'v> {
    found: [Option<Candidate<'v, L>>; LIMIT],
    length: usize,
    /// Distinct items of the best rank, those that found no room included.
    pub total: usize,
    /// The best rank.
    pub rank: usize,
    /// An item was offered more than once at that rank: several of its files fit.
    pub repeated: bool,
}

impl<'v, L: View + 'v> Candidates<'v, L> {
    pub fn new() -> Self {
        Self {
            found: [None; LIMIT],
            length: 0,
            total: 0,
            rank: 0,
            repeated: false,
        }
    }

    pub fn offer(&mut self, rank: usize, candidate: Candidate<'v, L>) {
        if rank < self.rank {
            return;
        }
        if rank > self.rank {
            self.rank = rank;
            self.length = 0;
            self.total = 0;
            self.repeated = false;
        }
        let same =
            |known: &Candidate<'v, L>| known.library == candidate.library && known.rating_key == candidate.rating_key;
        if self.iter().any(same) {
            self.repeated = true;
            return;
        }
        self.total += 1;
        if let Some(free) = self.found.get_mut(self.length) {
            *free = Some(candidate);
            self.length += 1;
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Candidate<'v, L>> {
        self.found[..self.length].iter().flatten()
    }

    /// The one that was offered first: the best when it is the only one.
    pub fn first(&self) -> Option<&Candidate<'v, L>> {
        self.iter().next()
    }

    /// All were found by the same listed path, or there is one only.
    pub fn are_of_one_path(&self) -> bool {
        let place = |one: &Candidate<'v, L>| (one.library, one.path);
        let first = self.first().map(place);
        self.total == self.length && self.iter().all(|one| Some(place(one)) == first)
    }

    pub fn is_of_one_library(&self) -> bool {
        let mut libraries = self.iter().map(|candidate| candidate.library);
        let first = libraries.next();
        libraries.all(|library| Some(library) == first)
    }

    /// Gives `each` the candidates, best first: the longest common end, then the longest common beginning, byte by byte as
    /// they were given. Those that are equal in that come by library and key, a number's order for numbers: in whatever order
    /// an image has them, each process gives the same answer.
    pub fn in_order(&self, path: &[u8], each: impl FnMut(&Candidate<'v, L>)) {
        if self.length == 1 {
            self.iter().for_each(each);
            return;
        }
        // Sorted without allocating, and without moving candidates about.
        let mut order = [((0, 0), None); LIMIT];
        let order = &mut order[..self.length];
        for (slot, candidate) in order.iter_mut().zip(self.iter()) {
            let likeness = (common_end(path, candidate.path), common_beginning(path, candidate.path));
            *slot = (likeness, Some(candidate));
        }
        let place = |one: Option<&Candidate<'v, L>>| one.map(|one| (one.library, one.rating_key.len(), one.rating_key));
        order.sort_unstable_by(|(a, one), (b, other)| b.cmp(a).then_with(|| place(*one).cmp(&place(*other))));
        order.iter().filter_map(|(_, candidate)| *candidate).for_each(each);
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
