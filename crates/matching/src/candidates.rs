//! The items that match a path equally well, and their order.

use smallvec::SmallVec;

use super::resolution::MAX_CANDIDATES;

/// The matching path of a listed file or of a confirmed match, with its item.
#[derive(Clone, Copy)]
pub struct RankedHit<'v, H> {
    /// Index of the library among the resolver's libraries.
    pub library: usize,
    pub rating_key: &'v str,
    pub path: &'v [u8],
    /// The item in the listing; `None` for a confirmed match whose item is not listed.
    pub item: Option<H>,
}

/// The candidates with the best rank so far.
pub struct Candidates<'v, H> {
    hits: SmallVec<[RankedHit<'v, H>; MAX_CANDIDATES]>,
    /// Number of distinct items with the best rank, including items beyond [`MAX_CANDIDATES`].
    pub total: usize,
    /// The best rank. The rank of a suffix match is the number of common components. Other matches have rank 1 if the
    /// bytes are equal, and rank 0 if only the normal forms are equal.
    pub rank: usize,
}

impl<'v, H: Copy> Candidates<'v, H> {
    pub fn new() -> Self {
        Self {
            hits: SmallVec::new(),
            total: 0,
            rank: 0,
        }
    }

    /// Adds a candidate if no earlier candidate has a better [rank](Candidates::rank). Drops the earlier candidates if
    /// the new rank is better. Does not add an item twice. `None`, a
    /// candidate in a damaged segment, adds nothing.
    pub fn add_candidate(&mut self, rank: usize, candidate: Option<RankedHit<'v, H>>) {
        let Some(candidate) = candidate.filter(|_| rank >= self.rank) else {
            return;
        };
        if rank > self.rank {
            self.rank = rank;
            self.hits.clear();
            self.total = 0;
        }
        let is_same_item =
            |hit: &RankedHit<'v, H>| hit.library == candidate.library && hit.rating_key == candidate.rating_key;
        if self.iter().any(is_same_item) {
            return;
        }
        self.total += 1;
        if self.hits.len() < MAX_CANDIDATES {
            self.hits.push(candidate);
        }
    }

    /// Iterates over the candidates in the order in which they were added, at most [`MAX_CANDIDATES`].
    pub fn iter(&self) -> impl Iterator<Item = &RankedHit<'v, H>> {
        self.hits.iter()
    }

    /// Returns the candidate that was added first; `None` if the list is empty.
    pub fn first(&self) -> Option<&RankedHit<'v, H>> {
        self.hits.first()
    }

    /// Returns whether all candidates have the same path in the same library, like the episodes in one file. Returns
    /// `false` for more than [`MAX_CANDIDATES`] candidates, since the list does not keep all their paths.
    pub fn have_same_path(&self) -> bool {
        let library_and_path = |hit: &RankedHit<'v, H>| (hit.library, hit.path);
        let expected = self.first().map(library_and_path);
        self.total == self.hits.len() && self.iter().all(|hit| Some(library_and_path(hit)) == expected)
    }

    /// Returns whether the first [`MAX_CANDIDATES`] candidates are in the same library, which decides the reason of an
    /// ambiguous answer.
    pub fn have_same_library(&self) -> bool {
        let mut libraries = self.iter().map(|hit| hit.library);
        let expected = libraries.next();
        libraries.all(|library| Some(library) == expected)
    }

    /// Calls `each` for the candidates, best first. Sorts by `title_length`, then by the longest common suffix with the
    /// queried `path`, and then by the longest common prefix, both in raw bytes. The library and the rating key break
    /// ties, so that every process returns the same order. Rating keys are numbers, so shorter keys come first.
    pub fn for_each_ranked(
        &self,
        path: &[u8],
        title_length: impl Fn(&RankedHit<'v, H>) -> usize,
        each: impl FnMut(&RankedHit<'v, H>),
    ) {
        if let [only] = &self.hits[..] {
            return [only].into_iter().for_each(each);
        }
        // Sorting references is faster than moving the candidates.
        let similarity = |hit: &RankedHit<'v, H>| {
            let bytes = (common_suffix(path, hit.path), common_prefix(path, hit.path));
            (title_length(hit), bytes)
        };
        let tie_breaker = |hit: &RankedHit<'v, H>| (hit.library, hit.rating_key.len(), hit.rating_key);
        let mut ranked: SmallVec<[_; MAX_CANDIDATES]> = self.iter().map(|hit| (similarity(hit), hit)).collect();
        ranked.sort_unstable_by(|(a, hit_a), (b, hit_b)| {
            b.cmp(a).then_with(|| tie_breaker(hit_a).cmp(&tie_breaker(hit_b)))
        });
        ranked.into_iter().map(|(_, hit)| hit).for_each(each);
    }
}

/// Returns the length of the common prefix in bytes. Compares eight bytes at a time, for speed.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let equal_words = a.chunks_exact(8).zip(b.chunks_exact(8)).take_while(|(a, b)| a == b);
    let word_bytes = equal_words.count() * 8;
    let equal_bytes = a[word_bytes..].iter().zip(&b[word_bytes..]).take_while(|(a, b)| a == b);
    word_bytes + equal_bytes.count()
}

/// Returns the length of the common suffix in bytes. Compares eight bytes at a time, for speed.
fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let equal_words = a.rchunks_exact(8).zip(b.rchunks_exact(8)).take_while(|(a, b)| a == b);
    let word_bytes = equal_words.count() * 8;
    let (a, b) = (&a[..a.len() - word_bytes], &b[..b.len() - word_bytes]);
    let equal_bytes = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b);
    word_bytes + equal_bytes.count()
}
