//! What a climb asks of one library. `engine::view` implements it; tests implement it by a linear scan.

use super::normal::{Normal, Spelling};
use super::outcome::{Found, ItemRef};
use crate::model::Rung;

/// When a fact became known: at which change sequence, then the order of changes on top of the images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// The change sequence: of a listing's facts when it began to answer, of a single item when it came, of a match when it
    /// was recorded.
    pub sequence: u64,
    /// 0 for what an image says; later changes count up.
    pub order: u64,
}

/// The first entry that is listed under a hash, as its view numbers them; `None` where there is none, or it cannot be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct First(pub Option<std::num::NonZero<u32>>);

/// One library as the ladder sees it. All of it is lock-free and allocates nothing.
pub trait View {
    /// A path of an item, listed or recorded: cheap to copy, decoded when it is answered.
    type Hit<'v>: Copy
    where
        Self: 'v;

    /// Whether a listing was ever completed.
    fn fetched(&self) -> bool;

    /// Whether the path lies under one of the library's folders.
    fn owns(&self, path: &Normal<'_>) -> bool;

    /// How many of a listed path's components lie below the library's folder; 0 when it lies in none. Of folders within
    /// each other the outer one counts.
    fn below(&self, listed: &Normal<'_>) -> usize;

    /// Whether it has confirmed matches or recent changes: if not, the first rung is not even tried.
    fn may_be_recorded(&self) -> bool;

    /// The rating key of the one item that lists exactly these bytes, and [`Rung::Confirmed`] when it is recorded with it as
    /// well, else [`Rung::Exact`]. A shortcut for what most lookups are. `None` says nothing, then the ladder is climbed: it
    /// is all that is given as soon as anything else might have a say.
    fn sole<'v>(&'v self, path: &Normal<'_>, first: First) -> Option<(&'v str, Rung)>;

    /// The same for a path that is not ASCII, as it is spelled.
    fn sole_spelled<'v>(&'v self, path: &Spelling<'_>, first: First) -> Option<(&'v str, Rung)>;

    /// The normal form of the one path that is listed in this spelling, where that is kept. `first`: of the spelling's hash.
    fn form_of<'v>(&'v self, path: &Spelling<'_>, first: First) -> Option<&'v [u8]>;

    /// Says that paths with this hash are about to be asked for, so that what tells where they are is on its way.
    /// Changes nothing.
    fn expect(&self, hash: u64);

    /// Where a path of this hash is listed first, and that this is about to be read: its path and form, of so many bytes.
    fn first(&self, hash: u64, length: usize) -> First;

    /// The listed path of this entry.
    fn listed_first(&self, first: First) -> Option<Self::Hit<'_>>;

    /// The confirmed matches whose path has this normal form.
    fn recorded<'v>(&'v self, path: &Normal<'_>, each: impl FnMut(Self::Hit<'v>));

    /// The listed paths with this normal form, each with whether the raw bytes are the same too.
    fn listed<'v>(&'v self, path: &Normal<'_>, each: impl FnMut(Self::Hit<'v>, bool));

    /// The listed paths that a server-to-host rule turns into a path with this normal form, each with whether the raw
    /// bytes are the same too.
    fn mapped<'v>(&'v self, path: &Normal<'_>, each: impl FnMut(Self::Hit<'v>, bool));

    /// The listed paths with the longest common end, of at least `least` components (and one): `each` gets the number
    /// of components, the same in all calls, and a path; some 16 distinct items at least when there are as many.
    /// Returns how many further paths have that end too.
    fn alike<'v>(&'v self, path: &Normal<'_>, least: usize, each: impl FnMut(usize, Self::Hit<'v>)) -> usize;

    /// A path of the listed item with this rating key. An item without files has an empty one.
    fn find<'v>(&'v self, rating_key: &str) -> Option<Self::Hit<'v>>;

    /// The rating key of its item, and the path in the spelling of who listed or recorded it.
    fn facts<'v>(&'v self, hit: Self::Hit<'v>) -> (&'v str, &'v [u8]);

    /// Its item; of a confirmed match only the key is known.
    fn item<'v>(&'v self, hit: Self::Hit<'v>) -> ItemRef<'v>;

    /// [`View::item`] and the path of [`View::facts`] for the price of one, written where they are wanted: they are large.
    fn show<'v>(&'v self, hit: Self::Hit<'v>, found: &mut Found<'v>) {
        found.item = self.item(hit);
        found.path = self.facts(hit).1;
    }

    /// When it became known.
    fn stamp(&self, hit: Self::Hit<'_>) -> Stamp;

    /// Whether the question's path, the answer's path or the item was invalidated and not confirmed since.
    fn is_unverified(&self, question: &Normal<'_>, path: &[u8], rating_key: &str) -> bool;

    /// A check sum did not agree: what was found, or not found, means nothing, and the image must be made anew.
    fn broken(&self) -> bool;
}
