//! The items that match a path equally well, and their order.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::form::Form;
use super::normal::NormalPath;
use super::resolution::MAX_CANDIDATES;
use super::words::words_of;

/// Number of names at the end of a path whose words rank the candidates: the file's name and five folders.
const RANKED_NAMES: usize = 6;
/// Number of folders of a listed path whose words are compared, before the components in common.
const RANKED_FOLDERS: usize = 2;
/// Maximum length of an article.
const MAX_ARTICLE: usize = 3;

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

/// How similar a candidate's item and path are to the queried path, the most important field first.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Similarity {
    /// 2 if the sizes of both files are equal, 1 if one is unknown, 0 if they differ.
    size: u8,
    /// Length of the title that names the candidate's files, if a name in the queried path contains the words of that title.
    title: usize,
    /// The share of the letters in the listed folders' names whose words are in the queried path, in thousandths.
    folders: usize,
    /// Length of the longest common suffix in bytes.
    suffix: usize,
    /// Length of the longest common prefix in bytes.
    prefix: usize,
}

impl Similarity {
    /// Compares only the bytes of two paths. `size`: how the sizes compare.
    pub fn of_bytes(path: &[u8], listed: &[u8], size: u8) -> Self {
        Self {
            size,
            suffix: common_suffix(path, listed),
            prefix: common_prefix(path, listed),
            ..Self::default()
        }
    }
}

/// The words in the last names of a queried path, in each name between spaces.
pub struct PathWords(Vec<String>);

impl PathWords {
    pub fn of(path: &NormalPath<'_>) -> Self {
        let names = Form::from_folded(path.form()).rev_components().take(RANKED_NAMES);
        let names = names.filter_map(|name| std::str::from_utf8(name.stored()).ok());
        Self(names.map(words_of).collect())
    }

    /// Adds the words of a candidate's `title`, and of its folders before the last `common` components, to `bytes`.
    pub fn similarity(&self, bytes: Similarity, title: Option<&str>, listed: &[u8], common: usize) -> Similarity {
        let contains = |words: &str| self.0.iter().any(|name| name.contains(words));
        // A name may lack an article, which is a short first word.
        let is_mentioned = |title: &String| {
            let without_article = title[1..].find(' ').filter(|end| *end <= MAX_ARTICLE);
            let rest = without_article
                .map(|end| &title[end + 1..])
                .filter(|rest| rest.len() > 1);
            contains(title) || rest.is_some_and(contains)
        };
        let title = title.map(words_of).filter(is_mentioned);
        let names = listed.rsplit(|byte| matches!(byte, b'/' | b'\\'));
        let folders = names.filter(|name| !name.is_empty()).skip(common).take(RANKED_FOLDERS);
        let (mut equal, mut all) = (0, 0);
        for folder in folders.filter_map(|name| std::str::from_utf8(name).ok()) {
            let words = words_of(folder);
            for (begin, _) in words.match_indices(' ') {
                let Some(length) = words[begin + 1..].find(' ') else {
                    break;
                };
                all += length;
                // With the spaces before and after the word.
                equal += if contains(&words[begin..begin + length + 2]) {
                    length
                } else {
                    0
                };
            }
        }
        Similarity {
            title: title.map_or(0, |title| title.len()),
            folders: equal * 1000 / all.max(1),
            ..bytes
        }
    }
}

/// The candidates with the best rank so far.
pub struct Candidates<'v, H> {
    hits: SmallVec<[RankedHit<'v, H>; MAX_CANDIDATES]>,
    /// The similarity of each hit, once [`Candidates::replace_least_similar`] has computed it; otherwise empty.
    similarities: SmallVec<[Similarity; MAX_CANDIDATES]>,
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
            similarities: SmallVec::new(),
            total: 0,
            rank: 0,
        }
    }

    /// Adds a candidate if no earlier candidate has a better [rank](Candidates::rank). Drops the earlier candidates if
    /// the new rank is better. Does not add an item twice. `None`, a candidate in a damaged segment, adds nothing.
    /// Returns the candidate if the list is full, so that the caller may replace another one.
    pub fn add_candidate(&mut self, rank: usize, candidate: Option<RankedHit<'v, H>>) -> Option<RankedHit<'v, H>> {
        let candidate = candidate.filter(|_| rank >= self.rank)?;
        if rank > self.rank {
            self.rank = rank;
            self.hits.clear();
            self.similarities.clear();
            self.total = 0;
        }
        let is_same_item =
            |hit: &RankedHit<'v, H>| hit.library == candidate.library && hit.rating_key == candidate.rating_key;
        if self.iter().any(is_same_item) {
            return None;
        }
        self.total += 1;
        if self.hits.len() == MAX_CANDIDATES {
            return Some(candidate);
        }
        self.hits.push(candidate);
        None
    }

    /// Replaces the least similar candidate of a full list if `candidate` is more similar to the queried path.
    pub fn replace_least_similar(
        &mut self,
        candidate: RankedHit<'v, H>,
        similarity: impl Fn(&RankedHit<'v, H>) -> Similarity,
    ) {
        if self.similarities.is_empty() {
            self.similarities = self.hits.iter().map(&similarity).collect();
        }
        let similarity = similarity(&candidate);
        let ranked = self.similarities.iter().zip(&self.hits).enumerate();
        let last = ranked.max_by(|(_, a), (_, b)| compare_ranked(*a, *b));
        let Some((index, _)) = last.filter(|(_, last)| compare_ranked((&similarity, &candidate), *last).is_lt()) else {
            return;
        };
        (self.similarities[index], self.hits[index]) = (similarity, candidate);
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

    /// Calls `each` for the candidates, the most similar first.
    pub fn for_each_ranked(
        &self,
        similarity: impl Fn(&RankedHit<'v, H>) -> Similarity,
        each: impl FnMut(&RankedHit<'v, H>),
    ) {
        if let [only] = &self.hits[..] {
            return [only].into_iter().for_each(each);
        }
        // Sorting references is faster than moving the candidates.
        let mut ranked: SmallVec<[_; MAX_CANDIDATES]> = self.iter().map(|hit| (similarity(hit), hit)).collect();
        ranked.sort_unstable_by(|(a, hit_a), (b, hit_b)| compare_ranked((a, hit_a), (b, hit_b)));
        ranked.into_iter().map(|(_, hit)| hit).for_each(each);
    }
}

/// Orders candidates, the most similar first. The library and the rating key break ties, so that every process returns
/// the same order. Rating keys are numbers, so shorter keys come first.
fn compare_ranked<H>(
    (similarity, hit): (&Similarity, &RankedHit<'_, H>),
    (other_similarity, other): (&Similarity, &RankedHit<'_, H>),
) -> Ordering {
    let tie_breaker = (hit.library, hit.rating_key.len(), hit.rating_key);
    let order = other_similarity.cmp(similarity);
    order.then_with(|| tie_breaker.cmp(&(other.library, other.rating_key.len(), other.rating_key)))
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
