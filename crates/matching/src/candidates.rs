//! The items that match a path equally well, and their order.

use smallvec::SmallVec;

use super::resolution::MAX_CANDIDATES;

/// A listed or recorded path that matches, with its item.
#[derive(Clone, Copy)]
pub struct RankedHit<'v, H> {
    /// Index of the library's view.
    pub library: usize,
    pub rating_key: &'v str,
    /// The listed or recorded path.
    pub path: &'v [u8],
    /// The item's entry in the listing; `None` for a confirmed match whose item is not listed.
    pub item: Option<H>,
}

/// A list that keeps only the candidates of the best rank.
pub struct Candidates<'v, H> {
    hits: SmallVec<[RankedHit<'v, H>; MAX_CANDIDATES]>,
    /// Number of distinct items of the best rank, including those beyond [`MAX_CANDIDATES`].
    pub total: usize,
    /// The best rank. For a suffix match, the number of common components. For other matches, 1 if the bytes are equal,
    /// and 0 if only the normal forms are equal.
    pub rank: usize,
    /// Whether several files of one item have the best rank.
    pub has_repeated_item: bool,
}

impl<'v, H: Copy> Candidates<'v, H> {
    /// Creates an empty list.
    pub fn new() -> Self {
        Self {
            hits: SmallVec::new(),
            total: 0,
            rank: 0,
            has_repeated_item: false,
        }
    }

    /// Adds a candidate. A rank better than before replaces the earlier candidates; a worse rank is ignored. See
    /// [`Candidates::rank`].
    pub fn offer(&mut self, rank: usize, candidate: RankedHit<'v, H>) {
        if rank < self.rank {
            return;
        }
        if rank > self.rank {
            self.rank = rank;
            self.hits.clear();
            self.total = 0;
            self.has_repeated_item = false;
        }
        let is_same_item =
            |hit: &RankedHit<'v, H>| hit.library == candidate.library && hit.rating_key == candidate.rating_key;
        if self.iter().any(is_same_item) {
            self.has_repeated_item = true;
            return;
        }
        self.total += 1;
        if self.hits.len() < MAX_CANDIDATES {
            self.hits.push(candidate);
        }
    }

    /// Iterates over the candidates in the order in which they were offered, at most [`MAX_CANDIDATES`].
    pub fn iter(&self) -> impl Iterator<Item = &RankedHit<'v, H>> {
        self.hits.iter()
    }

    /// Returns the candidate that was offered first, which need not be the best.
    pub fn first(&self) -> Option<&RankedHit<'v, H>> {
        self.hits.first()
    }

    /// Returns whether all candidates have the same listed path. Returns `false` if there were more than
    /// [`MAX_CANDIDATES`], since their paths are not known.
    pub fn share_path(&self) -> bool {
        let library_and_path = |hit: &RankedHit<'v, H>| (hit.library, hit.path);
        let expected = self.first().map(library_and_path);
        self.total == self.hits.len() && self.iter().all(|hit| Some(library_and_path(hit)) == expected)
    }

    /// Returns whether the candidates are in the same library. Does not see candidates beyond [`MAX_CANDIDATES`].
    pub fn share_library(&self) -> bool {
        let mut libraries = self.iter().map(|hit| hit.library);
        let expected = libraries.next();
        libraries.all(|library| Some(library) == expected)
    }

    /// Calls `each` for the candidates, best first: by longest common suffix with `path`, then by longest common
    /// prefix, in raw bytes. Library and rating key break ties, shorter keys first as they are numbers. So every
    /// process gives the same answer, whatever the order in the segment.
    pub fn for_each_ranked(&self, path: &[u8], each: impl FnMut(&RankedHit<'v, H>)) {
        if let [only] = &self.hits[..] {
            return [only].into_iter().for_each(each);
        }
        // Sorts references, since moving the candidates themselves takes longer.
        let similarity = |hit: &RankedHit<'v, H>| (common_suffix(path, hit.path), common_prefix(path, hit.path));
        let tie_breaker = |hit: &RankedHit<'v, H>| (hit.library, hit.rating_key.len(), hit.rating_key);
        let mut ranked: SmallVec<[_; MAX_CANDIDATES]> = self.iter().map(|hit| (similarity(hit), hit)).collect();
        ranked.sort_unstable_by(|(a, hit_a), (b, hit_b)| {
            b.cmp(a).then_with(|| tie_breaker(hit_a).cmp(&tie_breaker(hit_b)))
        });
        ranked.into_iter().map(|(_, hit)| hit).for_each(each);
    }
}

/// Returns the length of the common prefix in bytes. Compares eight bytes at a time while they are equal.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let equal_words = a.chunks_exact(8).zip(b.chunks_exact(8)).take_while(|(a, b)| a == b);
    let word_bytes = equal_words.count() * 8;
    let equal_bytes = a[word_bytes..].iter().zip(&b[word_bytes..]).take_while(|(a, b)| a == b);
    word_bytes + equal_bytes.count()
}

/// Returns the length of the common suffix in bytes. Compares eight bytes at a time while they are equal.
fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let equal_words = a.rchunks_exact(8).zip(b.rchunks_exact(8)).take_while(|(a, b)| a == b);
    let word_bytes = equal_words.count() * 8;
    let (a, b) = (&a[..a.len() - word_bytes], &b[..b.len() - word_bytes]);
    let equal_bytes = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b);
    word_bytes + equal_bytes.count()
}
