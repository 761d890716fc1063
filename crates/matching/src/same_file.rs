//! Decides by the size of a file which listed file it is. The same name and the same size to the byte are the very file,
//! wherever it is mounted, unless chance or a rule of the format could make other files equal, too. Listed files show
//! whether that can be: a size that files of other names have distinguishes nothing, and a name says the less the more files
//! have it, the more their sizes gather, and the larger the steps between these are. Then folders must agree, too. No list
//! of names or extensions is needed.
//!
//! [`PathResolver::add_lookalikes`] compares names in which people, shells or other systems have changed characters:
//! quotes and dashes that look alike, what Windows forbids and SMB, rclone and Windows replace, and bytes that are not
//! UTF-8, which Plex replaces.

use std::cell::OnceCell;
use std::iter;
use std::ops::{Deref, RangeInclusive};

use xxhash_rust::xxh3::xxh3_64;

use super::candidates::{Candidates, RankedHit};
use super::form::{Form, Relation};
use super::normal::{NormalPath, normal_form};
use super::resolution::{LibraryIndex, Resolution, has_unfetched_of_kind};
use super::resolver::{HitOf, LibraryGroup, MAX_COMPARED, PathResolver, SimilarityOf};
use super::words::likeness;
use crate::model::{Confidence, LibraryKind, MatchKind, Reason};

/// Smaller files are no evidence: subtitles, pictures and texts are too often equal in size.
const MIN_SIZE: u64 = 1 << 20;
/// Smaller files, such as tracks and photos, must have the same folder's name, too.
const FOLDER_BELOW: u64 = 16 << 20;
/// A file of another name is a candidate from this size on.
const MIN_RENAMED_SIZE: u64 = 100 << 20;
/// Of smaller files, such as uncompressed tracks, one that has its name alone must have its folder's, too.
const ALONE_BELOW: u64 = 64 << 20;
/// Bytes of a disk's sector: many files have whole ones, or whole blocks of twice as many, or of four times.
const SECTOR: u64 = 512;
/// Bytes of a packet of a stream and of a broadcast: many files have whole ones.
const PACKETS: [u64; 2] = [192, 188];
/// By chance, two numbers have a divisor of at least so many bytes in common only about once in as many pairs.
const MIN_STEP: u64 = 64;
/// A step to the power of the pairs that have it, at least: by chance, it is so large about once in as many samples.
const MIN_RARITY: u64 = 1 << 17;
/// Number of listed sizes that show a step, and of files around a listed one whose sizes are compared with its own.
const STEP_SIZES: usize = 17;
/// Number of listed sizes that show whether the others of a format have whole blocks.
const ENOUGH_SIZES: usize = 4;
/// The constant bit rates of MP3, and those of sound that is not compressed, in units of 100 bit/s.
const CONSTANT_RATES: [u64; 11] = [640, 960, 1280, 1600, 1920, 2240, 2560, 3200, 14_112, 15_360, 23_040];
/// What a file may have beside its sound: names and titles, but no pictures.
const MAX_TAGS: u64 = 4 << 10;
/// Two sizes are nearly the same within one part in so many, and how many may be so by chance: the closer, the more it says.
const NEARLY: [(u64, u64); 5] = [(128, 0), (512, 1), (4096, 3), (1 << 15, 4), (1 << 18, 5)];
/// Duration of a frame of sound or of a picture in ms, at least.
const FRAME_MS: f64 = 20.0;
/// Files whose durations differ by so many ms show the bytes of a millisecond.
const MIN_LONGER_MS: u64 = 2_000;
/// Number of files of other durations that show whether sizes follow from these.
const ENOUGH_DURATIONS: usize = 3;
/// What is cut at a round size ends less than one part in so many of its unit below: a megabyte, ten, a gibibyte.
const CUT: u64 = 2048;
/// Maximum number of a path's components to compare.
const MAX_COMPONENTS: usize = 16;
/// Maximum number of files of one size that are compared. More distinguish nothing.
const MAX_OF_SIZE: usize = 64;

/// Returns the step between sizes that this one shows: whole blocks, or whole packets. Where listed sizes have whole blocks,
/// these are as large as a third of them show. `listed`: as [`Sample::sizes`].
fn step_of_format<'s>(size: u64, listed: &(impl Iterator<Item = &'s (u64, u64)> + Clone)) -> u64 {
    let (largest, count) = (size & size.wrapping_neg(), listed.clone().count());
    if largest < SECTOR {
        return PACKETS
            .into_iter()
            .find(|packet| size.is_multiple_of(*packet))
            .unwrap_or(1);
    }
    let is_shown = |block: &u64| listed.clone().filter(|other| other.0.is_multiple_of(*block)).count() * 3 >= count;
    let mut blocks = iter::successors(Some(largest), |block| Some(block / 2)).take_while(|block| *block >= SECTOR);
    let shown = blocks.find(is_shown).filter(|_| count >= ENOUGH_SIZES);
    shown.unwrap_or(largest)
}

/// Returns the step that the differences of listed sizes have in common, such as frames of one length behind a head; 1 if
/// they show none. `listed`: as [`Sample::sizes`].
fn step_of(size: u64, listed: &[(u64, u64)]) -> u64 {
    // Without a head, the size itself is a multiple, too.
    let gaps: Vec<u64> = listed
        .iter()
        .map(|other| other.0.abs_diff(size))
        .chain([size])
        .collect();
    // Two files of one size show no step.
    let pairs = gaps.windows(2).filter(|pair| pair[0] != pair[1]);
    let common = pairs.map(|pair| gcd(pair[0], pair[1]));
    let steps: Vec<u64> = common.filter(|step| *step >= MIN_STEP).collect();
    // The largest that many pairs have in common, and that chance hardly gives to so many.
    let is_shown = |step: &u64| {
        let count = steps.iter().filter(|other| other.is_multiple_of(*step)).count();
        count * 3 >= listed.len() && step.saturating_pow(u32::try_from(count).unwrap_or(u32::MAX)) >= MIN_RARITY
    };
    steps.iter().copied().filter(is_shown).max().unwrap_or(1)
}

/// Returns the listed files whose durations differ from that of `file`. `file`, `listed`: as [`Sample::sizes`].
fn of_other_duration(file: (u64, u64), listed: &[(u64, u64)]) -> impl Iterator<Item = &(u64, u64)> {
    let differs = move |other: &&(u64, u64)| other.1.abs_diff(file.1) >= MIN_LONGER_MS && other.1.min(file.1) > 0;
    listed.iter().filter(differs)
}

/// Returns the bytes of a frame, if listed files show that each millisecond has the same number of bytes behind a head of one
/// length: 1 if they do not. `file`, `listed`: as [`Sample::sizes`].
#[allow(clippy::cast_precision_loss)] // sizes and durations are far below 2^53
fn frame_of(file: (u64, u64), listed: &[(u64, u64)]) -> u64 {
    let gaps: Vec<(f64, f64)> = of_other_duration(file, listed)
        .map(|other| (other.0 as f64 - file.0 as f64, other.1 as f64 - file.1 as f64))
        .collect();
    // Both ends of a gap may be cut within a frame.
    let is_shown = |rate: &f64| {
        let on_line = gaps
            .iter()
            .filter(|(bytes, ms)| (bytes - rate * ms).abs() <= 2.0 * FRAME_MS * rate);
        let count = on_line.count();
        count >= ENOUGH_DURATIONS && count * 3 >= gaps.len()
    };
    let rates = gaps.iter().map(|(bytes, ms)| bytes / ms).filter(|rate| *rate > 0.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    let shown = rates.filter(is_shown).map(|rate| (rate * FRAME_MS) as u64).min();
    shown.unwrap_or(1).max(1)
}

/// Returns the greatest common divisor.
fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Returns whether discs, cards, recorders or programs may give this size to many files, even if only one is listed: they cut
/// or reserve files at a round size, or a little below: the rounder, the more.
fn may_be_of_many(size: u64) -> bool {
    let binary = (20..=30).step_by(2).map(|bits| 1 << bits);
    let mut units = binary.chain((6..=9).map(|digits| 10_u64.pow(digits)));
    units.any(|unit| (unit - size % unit) % unit <= unit / CUT)
}

/// Returns whether a file's size may follow from its duration, as that of sound at a constant bit rate does. Tracks of like
/// length then have one size by chance: there are only some 10,000.
fn may_follow_from_duration(size: u64, duration_ms: u64) -> bool {
    let mut of_rates = CONSTANT_RATES.iter().map(|rate| duration_ms.saturating_mul(*rate) / 80);
    of_rates.any(|sound| sound.abs_diff(size) <= MAX_TAGS)
}

/// Sizes that show how the sizes of other files may be spread: of the files of a name, or of those beside a file.
#[derive(Default)]
struct Sample {
    count: u64,
    /// How many have nearly the queried file's size, for each of [`NEARLY`].
    near: [u64; NEARLY.len()],
    /// Some of them, each with the file's duration in ms; 0 if it is unknown.
    sizes: Vec<(u64, u64)>,
}

impl Sample {
    /// Adds a file that has another size than the queried one.
    fn add(&mut self, size: u64, other: u64, duration_ms: impl FnOnce() -> u64) {
        let gap = size.abs_diff(other);
        self.count += 1;
        for ((part, _), near) in NEARLY.iter().zip(&mut self.near) {
            *near += u64::from(gap <= size / part);
        }
        // A file of two episodes is listed twice.
        if self.sizes.len() < STEP_SIZES && self.sizes.last().is_none_or(|last| last.0 != other) {
            self.sizes.push((other, duration_ms()));
        }
    }

    /// Returns how closely the sizes gather around the queried one, times [`Self::count`]: at least once, if they are spread
    /// over twice their magnitude.
    fn gathered(&self) -> u64 {
        let near = NEARLY.iter().zip(self.near);
        let gathered = near.map(|((part, chance), near)| part * near.saturating_sub(*chance));
        gathered.fold(self.count, u64::max)
    }
}

/// What is listed of a name.
#[derive(Default)]
struct Named<'v> {
    /// How many files have so many last components of the queried path, from one on.
    agreeing: [u64; MAX_COMPONENTS],
    /// The other sizes of the name.
    others: Sample,
    has_unknown: bool,
    /// The paths out of scope that have the queried file's size.
    elsewhere: Vec<&'v [u8]>,
}

impl Named<'_> {
    /// Returns whether chance hardly gives this size to a file that is not listed but has as many last components, for one
    /// of these numbers: at most once in a million, or four times, if the folders have the same name, too. Sizes differ by
    /// steps, and spread over twice their magnitude at least, unless those of the name gather, or those of the files beside
    /// the listed one. `file`: as [`Sample::sizes`].
    fn is_rare(&self, file: (u64, u64), beside: &Sample, mut components: RangeInclusive<usize>) -> bool {
        let (size, samples) = (file.0, [&self.others, beside]);
        let steps = samples.map(|sample| step_of(size, &sample.sizes).max(frame_of(file, &sample.sizes)));
        let all = samples.iter().flat_map(|sample| &sample.sizes);
        let step = steps[0].max(steps[1]).max(step_of_format(size, &all));
        components.any(|components| {
            let possible = size >> if components > 1 { 17 } else { 19 };
            let weight = self.agreeing[components - 1].saturating_mul(step);
            samples.iter().all(|sample| {
                weight.saturating_mul(sample.gathered().max(1)) <= possible.saturating_mul(sample.count.max(1))
            })
        })
    }
}

impl<'v, V: Deref<Target: LibraryIndex + 'v>> PathResolver<'v, '_, V> {
    /// Adds the files in scope that have the name and the size of the queried file to `candidates`. Returns kind, confidence
    /// and reason if the size distinguishes; otherwise, the files are only candidates.
    pub(super) fn add_same_files(
        &self,
        candidates: &mut Candidates<'v, HitOf<'v, V>>,
    ) -> Option<(MatchKind, Confidence, Reason)> {
        let least = if self.size() < FOLDER_BELOW { 2 } else { 1 };
        let named = self.named(least, candidates)?;
        let is_telling = self.size() >= MIN_SIZE && !may_be_of_many(self.size()) && !named.has_unknown;
        let first = candidates.first()?;
        let is_one_file = candidates.total == 1 || candidates.have_same_path();
        let is_elsewhere = is_one_file && named.elsewhere.iter().any(|path| *path != first.path);
        let common = Relation::of(&self.path, first.path).common_components;
        let is_alone = self.size() < ALONE_BELOW && named.agreeing[0] > 1 && common < 2;
        let is_called_wrong = || self.fetched().any(|(_, view)| view.is_called_wrong(&self.path));
        if !is_telling
            || is_alone
            || is_elsewhere
            || is_called_wrong()
            || self.is_owned_elsewhere()
            // Where many files have the name, so many folders must have the same name, too, that chance is small.
            || self.is_by_chance(&named, first, least)
        {
            return None;
        }
        let match_kind = if common >= 2 {
            MatchKind::Suffix
        } else {
            MatchKind::FileName
        };
        let kind = self.libraries()[first.library].kind();
        let mut owners = self.libraries_of(LibraryGroup::Owners);
        let is_unfetched = has_unfetched_of_kind(self.libraries(), self.scope(), kind)
            || self.is_owned() && owners.any(|(_, view)| !view.is_fetched());
        candidates.rank = common;
        Some(if is_unfetched {
            (match_kind, Confidence::Low, Reason::NotFetched)
        } else {
            (match_kind, Confidence::High, Reason::SameFile)
        })
    }

    /// Adds the files in scope that have the queried file's size and this many last components of its path, or else its
    /// name. Returns what is listed of the name; `None`, without candidates, if too many files have it, or if no file in
    /// scope has the components.
    fn named(&self, components: usize, candidates: &mut Candidates<'v, HitOf<'v, V>>) -> Option<Named<'v>> {
        let form = Form::from_folded(self.path.form());
        let (mut named, mut elsewhere_named) = (Named::default(), Candidates::new());
        for (library, view) in self.fetched() {
            view.each_named(self.name_hash()?, |listed, hit| {
                let common = listed.common_components(form).min(MAX_COMPONENTS);
                named.agreeing[..common].iter_mut().for_each(|count| *count += 1);
                let size = view.file_size(hit);
                if common > 0 && size != self.size() {
                    named.has_unknown |= size == 0;
                    named.others.add(self.size(), size, || view.duration_ms(hit));
                } else if common > 0 && !self.is_in_scope(library) {
                    named.elsewhere.extend(view.key_and_path(hit).map(|(_, path)| path));
                } else if common > 0 {
                    let found = if common >= components {
                        &mut *candidates
                    } else {
                        &mut elsewhere_named
                    };
                    found.add_candidate(1, Self::candidate(library, view, hit));
                }
                named.agreeing[0] <= MAX_COMPARED as u64
            });
        }
        if named.agreeing[0] > MAX_COMPARED as u64 {
            *candidates = Candidates::new();
            return None;
        }
        if candidates.total == 0 {
            *candidates = elsewhere_named;
            return None;
        }
        Some(named)
    }

    /// Returns how many last components of the queried path all listed files of its size have; 0 if there is none, or
    /// if there are too many.
    fn common_of_size(&self) -> usize {
        let (mut count, mut common) = (0, MAX_COMPONENTS);
        self.each_of_size(self.fetched(), |_, view, hit| {
            count += 1;
            let components = |path| Relation::of(&self.path, path).common_components;
            common = common.min(view.key_and_path(hit).map_or(0, |(_, path)| components(path)));
        });
        let is_few = (1..MAX_OF_SIZE).contains(&count);
        if is_few { common } else { 0 }
    }

    /// Calls `each` for the files of the queried file's size in these libraries, for about [`MAX_OF_SIZE`] of each.
    fn each_of_size(
        &self,
        libraries: impl Iterator<Item = (usize, &'v V::Target)>,
        mut each: impl FnMut(usize, &'v V::Target, HitOf<'v, V>),
    ) {
        for (library, view) in libraries {
            view.each_of_size(self.size(), MAX_OF_SIZE, |hit| each(library, view, hit));
        }
    }

    /// Returns whether chance may give the queried file's size to other files that have at least so many last components:
    /// see [`Named::is_rare`], and [`may_follow_from_duration`].
    fn is_by_chance(&self, named: &Named<'v>, candidate: &RankedHit<'v, HitOf<'v, V>>, least: usize) -> bool {
        let view = &*self.libraries()[candidate.library];
        let duration_ms = candidate.item.map_or(0, |hit| view.duration_ms(hit));
        let mut beside = Sample::default();
        NormalPath::with(candidate.path, |listed| {
            view.each_beside(listed.form(), STEP_SIZES, |other, duration_ms| {
                if ![0, self.size()].contains(&other) {
                    beside.add(self.size(), other, || duration_ms);
                }
            });
        });
        let file = (self.size(), duration_ms);
        let shows = |sample: &Sample| of_other_duration(file, &sample.sizes).count() >= ENOUGH_DURATIONS;
        !named.is_rare(file, &beside, least..=self.common_of_size())
            || may_follow_from_duration(self.size(), duration_ms)
            // What no other track shows: see `frame_of`.
            || view.kind() == LibraryKind::Artist && !shows(&named.others) && !shows(&beside)
    }

    /// Replaces the candidates by the only file in scope that has the queried file's size, if there is one: perhaps it was
    /// renamed. Returns whether there is.
    pub(super) fn add_renamed(&self, candidates: &mut Candidates<'v, HitOf<'v, V>>) -> bool {
        if self.size() < MIN_RENAMED_SIZE {
            return false;
        }
        let mut found = Candidates::new();
        self.each_of_size(self.fetched_in_scope(), |library, view, hit| {
            found.add_candidate(0, Self::candidate(library, view, hit));
        });
        let is_one_file = found.total > 0 && found.have_same_path();
        if is_one_file {
            *candidates = found;
        }
        is_one_file
    }

    /// Returns whether the size of a listed file is known, and another than that of the queried file.
    pub(super) fn has_other_size(&self, candidate: &RankedHit<'v, HitOf<'v, V>>, match_kind: MatchKind) -> bool {
        let view = &*self.libraries()[candidate.library];
        let differs = |hit| !matches!(view.file_size(hit), 0) && view.file_size(hit) != self.size();
        if self.size() == 0 {
            return false;
        }
        if match_kind != MatchKind::Confirmed {
            return candidate.item.is_some_and(differs);
        }
        // A recorded match has the item's first file, which may be another.
        let mut has_other = false;
        view.each_listed(&self.path, |hit, _| has_other |= differs(hit));
        has_other
    }

    /// Compares the size of a candidate with that of the queried file: 2 if they are equal, 1 if one is unknown.
    pub(super) fn size_rank(&self, candidate: &RankedHit<'v, HitOf<'v, V>>) -> u8 {
        let view = &*self.libraries()[candidate.library];
        match candidate.item.map_or(0, |hit| view.file_size(hit)) {
            _ if self.size() == 0 => 1,
            0 => 1,
            size => 2 * u8::from(size == self.size()),
        }
    }
}

impl<'v, V: Deref<Target: LibraryIndex + 'v>> PathResolver<'v, '_, V> {
    /// Adds the items of listed files with alike names, if nothing matches the path. The candidates have low confidence,
    /// and the reason remains that of the miss.
    ///
    /// Adds the files with the most last components alike: the name, at least. `\` separates components in any path, since
    /// a host may have put a Windows path behind a folder of its own, but first is a part of a name.
    pub(super) fn add_lookalikes(&self, resolution: &mut Resolution<'v>) {
        if resolution.total > 0 || !matches!(resolution.reason, Reason::NotListed | Reason::NoLocation) {
            return;
        }
        let replaced = (!self.path.is_utf8()).then(|| normal_form(String::from_utf8_lossy(self.path.raw()).as_bytes()));
        let form = replaced.as_deref().unwrap_or(self.path.form());
        let words = OnceCell::new();
        let similarity = |hit: &RankedHit<'v, HitOf<'v, V>>, common: usize| self.similarity(&words, hit, common);
        let separators = [&b"/"[..], br"/\"];
        for separators in &separators[..=usize::from(form.contains(&b'\\'))] {
            let names = || {
                let names = form.rsplit(|byte| separators.contains(byte));
                names.filter(|name| !name.is_empty()).take(MAX_COMPONENTS)
            };
            // Without the bytes that are not UTF-8, the end of the path proves nothing, as in a suffix match.
            let is_replaced = |name: &&[u8]| name.windows(3).any(|bytes| bytes == "\u{FFFD}".as_bytes());
            let first_replaced = replaced
                .as_ref()
                .and_then(|_| names().position(|name| is_replaced(&name)));
            let min_components = first_replaced.unwrap_or(0) + 1;
            let is_own_name = replaced.is_none() && separators.len() == 1;
            let hash = if is_own_name {
                self.name_hash()
            } else {
                names().next().map(|name| xxh3_64(&likeness(name)))
            };
            let Some(hash) = hash else { continue };
            for group in self.groups() {
                let mut candidates = Candidates::new();
                self.add_alike(*group, hash, &names, min_components, &mut candidates, &similarity);
                if candidates.total > 0 {
                    (resolution.match_kind, resolution.confidence) = (MatchKind::FileName, Confidence::Low);
                    return self.fill(&candidates, &similarity, resolution);
                }
            }
        }
    }

    /// Adds the listed files with the most last components alike, at least `min_components`. `names` contains the queried
    /// path's components, last first; `hash`: of the first one's likeness.
    fn add_alike<'n, N: Iterator<Item = &'n [u8]>>(
        &self,
        group: LibraryGroup,
        hash: u64,
        names: &impl Fn() -> N,
        min_components: usize,
        candidates: &mut Candidates<'v, HitOf<'v, V>>,
        similarity: SimilarityOf<'_, 'v, HitOf<'v, V>>,
    ) {
        for (library, view) in self.libraries_of(group).filter(|(_, view)| view.is_fetched()) {
            let mut compared = 0;
            view.each_named(hash, |_, hit| {
                compared += 1;
                let Some(candidate) = Self::candidate(library, view, hit) else {
                    return false;
                };
                let alike = NormalPath::with(candidate.path, |listed| {
                    let components = Form::from_folded(listed.form()).rev_components();
                    let alike = components
                        .zip(names())
                        .take_while(|(one, name)| likeness(one.stored()) == likeness(name));
                    alike.count()
                });
                if alike >= min_components
                    && let Some(left_over) = candidates.add_candidate(alike, Some(candidate))
                {
                    candidates.replace_least_similar(left_over, |hit| similarity(hit, alike));
                }
                compared < MAX_COMPARED
            });
        }
    }
}

/// Characters that replace those that Windows forbids in names: the private characters of Macs, Samba, Cygwin and WSL,
/// then those that rclone and people use because they look alike.
const REPLACEMENTS: &str = "\u{F020}\u{F021}\u{F022}\u{F023}\u{F024}\u{F025}\u{F026}\u{F027}\u{F028}\u{F029}\
    \u{F02A}\u{F03A}\u{F03C}\u{F03E}\u{F03F}\u{F05C}\u{F07C}\
    ＂＊：＜＞？＼｜／\u{A789}\u{2236}\u{29F8}\u{2044}";

/// Returns whether a path contains characters that nearly always replace others.
#[must_use]
pub fn has_replaced_characters(path: &[u8]) -> bool {
    !path.is_ascii() && std::str::from_utf8(path).is_ok_and(|path| path.chars().any(|c| REPLACEMENTS.contains(c)))
}

#[cfg(test)]
mod tests {
    use super::{Named, Sample, likeness, may_be_of_many, may_follow_from_duration};

    #[test]
    fn a_constant_bit_rate_says_no_more_than_the_duration() {
        // Four minutes: MP3 at 320 kbit/s with a title, at a variable rate, and with a picture; a track of a CD.
        for (size, is_constant) in [
            (9_601_045, true),
            (9_301_045, false),
            (9_750_045, false),
            (42_336_044, true),
        ] {
            assert_eq!(may_follow_from_duration(size, 240_000), is_constant, "{size}");
        }
    }

    #[test]
    fn files_of_a_name_show_how_many_sizes_are_possible() {
        let of = |count: u64, agreeing: u64, near: u64, sizes: &[u64]| {
            let mut named = Named::default();
            (named.agreeing[0], named.agreeing[1]) = (count, agreeing);
            named.others = Sample {
                count,
                near: [0, near, 0, 0, 0],
                sizes: sizes.iter().map(|size| (*size, 0)).collect(),
            };
            named
        };
        let (film, alone) = (700_000_001, Sample::default());
        let sizes = [1_200_000_019, 800_000_011, 3_100_000_037, 950_000_003];
        assert!(of(1335, 9, 0, &sizes).is_rare((film, 0), &alone, 1..=1));
        assert!(!of(1336, 9, 0, &sizes).is_rare((film, 0), &alone, 1..=1), "more files");
        assert!(
            of(1336, 9, 0, &sizes).is_rare((film, 0), &alone, 2..=2),
            "the folder, too"
        );
        assert!(
            !of(12, 12, 4, &sizes).is_rare((film, 0), &alone, 1..=1),
            "a third is near"
        );
        // A recording of whole packets, a Blu-ray disc's stream, and what is left of a DVD's film.
        let packets = 188 * 7_108_590;
        assert!(
            !of(816, 2, 0, &sizes).is_rare((packets, 0), &alone, 1..=1)
                && of(816, 2, 0, &sizes).is_rare((packets, 0), &alone, 2..=2)
        );
        let stream = 6144 * 3_254_321;
        assert!(
            !of(30, 30, 0, &sizes).is_rare((stream, 0), &alone, 1..=1)
                && of(30, 1, 0, &sizes).is_rare((stream, 0), &alone, 2..=2)
        );
        assert!(!of(1, 1, 0, &[]).is_rare((2048 * 100_001, 0), &alone, 2..=2));
        // Beside other discs' images, one that by chance has larger blocks, and one of a kind.
        let image = 16_384 * 267_001;
        let discs = [2048 * 2_194_021, 2048 * 1_999_999, 2048 * 2_100_003, 4096 * 970_001];
        assert!(
            !of(1, 1, 0, &sizes).is_rare((image, 0), &alone, 1..=1)
                && of(1, 1, 0, &discs).is_rare((image, 0), &alone, 1..=1)
        );
        // Four hours of radio in frames of 418 bytes, nearly, with one picture, and tracks of other rates.
        let radio = |frames: u64| (187_331 + frames * 417_959 / 1_000, frames * 26_122 / 1_000);
        let hour = |named: Named<'_>, track| named.is_rare(track, &alone, 1..=1);
        let of_radio = |tracks: &[(u64, u64)]| {
            let mut named = of(5, 5, 0, &[]);
            named.others.sizes = tracks.to_vec();
            named
        };
        let listed = [135_000, 136_001, 134_500, 137_777].map(radio);
        assert!(!hour(of_radio(&listed), radio(135_502)));
        let others = [1, 2, 3, 4].map(|nth| (listed[nth - 1].0 + 77_777 * nth as u64 * nth as u64, listed[nth - 1].1));
        assert!(hour(of_radio(&others), radio(135_502)));
        // Pictures of one length behind a head.
        let tape = |pictures: u64| 5_131 + 151_728 * pictures;
        assert!(!of(3, 1, 0, &[tape(900), tape(71)]).is_rare((tape(2_222), 0), &alone, 2..=2));
        assert!(
            !of(2, 1, 0, &[144_000 * 7]).is_rare((144_000 * 2_221, 0), &alone, 2..=2),
            "without a head"
        );
        assert!(
            of(1, 1, 0, &[]).is_rare((144_000 * 2_221, 0), &alone, 2..=2),
            "nothing shows it"
        );
        // The files beside it: their steps, and that they gather. Two of six of another kind are among them.
        let beside = |size: u64, others: &[u64]| {
            let mut sample = Sample::default();
            for other in others {
                sample.add(size, *other, || 0);
            }
            of(1, 1, 0, &[]).is_rare((size, 0), &sample, 1..=1)
        };
        let pictures = [tape(900), 41_231_002, tape(71), tape(412), tape(1_300), 98_000_123];
        assert!(!beside(tape(2_222), &pictures) && beside(55_231_001, &pictures));
        // A tape whose sound is cut anywhere, so that only size and duration are in line.
        let scene = |ms: u64| (31_402 + ms * 3_752 + ms % 7 * 90, ms);
        let mut scenes = Sample::default();
        for other in [41_240, 9_700, 133_120, 77_001].map(scene) {
            scenes.add(scene(60_300).0, other.0, || other.1);
        }
        let alone = of(1, 1, 0, &[]);
        assert!(!alone.is_rare(scene(60_300), &scenes, 2..=2), "on the line");
        assert!(
            alone.is_rare((scene(60_300).0 + 9_999_999, 60_300), &scenes, 2..=2),
            "not on it"
        );
        let half_a_cd = [
            366_700_012,
            366_771_234,
            366_690_126,
            183_000_444,
            366_720_008,
            366_810_002,
        ];
        assert!(!beside(366_750_002, &half_a_cd) && beside(512_345_678, &half_a_cd));
        assert!(!beside(2048 * 357_002, &[2048 * 358_100]), "the second of two CDs");
    }

    #[test]
    fn round_sizes_say_less_than_others() {
        // A disc's part, a CD, what a recorder and a card reserve, what recorders cut at 4,000 MB and MiB, and at 2,000 MB
        // to the byte, what programs cut at 650 MB, 1,500 MiB and 2,000 MiB, and 64 KiB below the limit of FAT.
        for size in [
            (1 << 30) - 2048,
            700 << 20,
            20 << 30,
            (4 << 30) - 1,
            3_999_999_860,
            4_194_303_904,
            2_000_000_000,
            650_000_000,
            2_097_151_984,
            (1500 << 20) - 188,
            (4 << 30) - (64 << 10),
        ] {
            assert!(may_be_of_many(size), "{size}");
        }
        // A film, a disc's image, and its stream.
        for size in [700_000_001, 2_294_021 * 2048, 6144 * 3_254_321, 5_000_001] {
            assert!(!may_be_of_many(size), "{size}");
        }
    }

    #[test]
    fn alike_names_have_the_same_letters_and_numbers() {
        for (name, other, expected) in [
            ("it's a – b.mkv", "it’s a - b.mkv", true),
            ("it's.mkv", "itʼs.mkv", true),
            ("“hi”: 2.mkv", "\"hi\" - 2.mkv\r\n", true),
            ("mr. x .mkv", "mr x.mkv.", true),
            ("caf\u{FFFD}\u{FFFD}.mkv", "caf\u{FFFD}.mkv", true),
            ("s01e02-03.mkv", "s01e02 03.mkv", true),
            ("s01e02-03.mkv", "s01e0203.mkv", false),
            ("2 1.mkv", "21.mkv", false),
            ("it's.mkv", "it is.mkv", false),
            ("caf\u{FFFD}.mkv", "caf.mkv", false),
            ("夜の海!.mkv", "夜の海.mkv", true),
            ("?.mkv", "!.mkv", false),
            ("\u{FFFD}.mkv", "\u{FFFD}!.mkv", false),
            (".mkv", "mkv", false),
            ("", "-", false),
        ] {
            let are_alike = likeness(name.as_bytes()) == likeness(other.as_bytes());
            assert_eq!(are_alike, expected, "{name} {other}");
        }
    }
}
