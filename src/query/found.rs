//! Answers and items as owned values, for the Rust API.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::answer::{Answer, FolderFacts};
use crate::error::{Error, Result, Status};
use crate::matching::{ItemRef, byte_string};
use crate::model::{self, Confidence, ItemType, MatchKind, Reason};
use crate::platform::files::named;
use crate::source::Kind;

/// The outcome of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MatchStatus {
    /// There is exactly one item.
    Found,
    /// Several items match equally well. The candidates list them, best first.
    Ambiguous,
    /// No known item matches. [`Match::reason`](crate::Match::reason) says why: with
    /// [`Reason::NotFetched`](crate::Reason::NotFetched) the library was never fetched completely.
    NotFound,
    /// The deadline passed before the answer was found. Repeat the query: plexindex continues where this query stopped.
    NotYet,
    /// Nothing came from the server before the deadline, and the same query would end so again: the server is silent,
    /// or too slow. Fetch the library once without a deadline: [`Library::refresh`](crate::Library::refresh).
    NeedsWarm,
}

enum_names! { MatchStatus:
    Found "found", Ambiguous "ambiguous", NotFound "not_found", NotYet "not_yet", NeedsWarm "needs_warm"
}

/// The answer to a query: one item, or the reason why there is no single item.
///
/// ```
/// # fn print(found: plexindex::Match) {
/// match found.item() {
///     Some(item) => println!("{item}: {}", item.key),
///     None => println!("{}", found.message.as_deref().unwrap_or_default()),
/// }
/// # }
/// ```
///
/// The JSON has the fields under these names, except `age_ms` for `age`. It omits fields that are `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Match {
    /// The outcome of the query.
    pub status: MatchStatus,
    /// How plexindex found the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_kind: Option<MatchKind>,
    /// Only [`Confidence::High`] is safe to write to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// Why there is no single item, or what supports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Matching items, best first, at most 16.
    pub candidates: Vec<Item>,
    /// Number of matching items.
    pub total: usize,
    /// An explanation for users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The listing has expired and was not renewed: the server did not answer, or a much smaller listing awaits
    /// confirmation. Retry a stale [`MatchStatus::NotFound`] later.
    pub stale: bool,
    /// Time since the listing was last known to be current; `None` without a listing, or after setting back the clock.
    #[serde(
        rename = "age_ms",
        serialize_with = "as_millis",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub age: Option<Duration>,
}

impl Match {
    /// The item, if there is exactly one.
    #[must_use]
    pub fn item(&self) -> Option<&Item> {
        self.candidates.first().filter(|_| self.status == MatchStatus::Found)
    }

    /// The item, if there is exactly one.
    #[must_use]
    pub fn into_item(mut self) -> Option<Item> {
        (self.status == MatchStatus::Found && !self.candidates.is_empty()).then(|| self.candidates.swap_remove(0))
    }

    /// Copies an answer.
    ///
    /// # Errors
    /// The error in the answer, if a lookup of a batch failed.
    #[doc(hidden)]
    pub fn of(answer: &Answer<'_>) -> Result<Self> {
        let status = match answer.status {
            Status::Ok => MatchStatus::Found,
            Status::Ambiguous => MatchStatus::Ambiguous,
            Status::NotFound => MatchStatus::NotFound,
            Status::NotYet => MatchStatus::NotYet,
            Status::NeedsWarm => MatchStatus::NeedsWarm,
            error => return Err(Error::new(error, answer.message)),
        };
        let candidates = answer.candidates().iter().map(|found| {
            let library = answer.library(found);
            Item {
                path: (!found.path.is_empty()).then(|| named(found.path)),
                section: library.map(|library| library.section.clone()),
                library_title: library.map(|library| library.title.clone()),
                ..Item::of_ref(&found.item, answer.kind)
            }
        });
        Ok(Self {
            status,
            match_kind: Some(answer.match_kind).filter(|match_kind| *match_kind != MatchKind::None),
            confidence: Some(answer.confidence).filter(|confidence| *confidence != Confidence::None),
            reason: Some(answer.reason).filter(|reason| *reason != Reason::None),
            candidates: candidates.collect(),
            total: answer.total,
            message: non_empty(answer.message),
            stale: answer.stale,
            age: answer.age_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        })
    }
}

/// The answer for a folder: the show or item that owns all files below the folder, or the reason why there is none.
///
/// ```
/// # fn print(folder: plexindex::Folder) {
/// match folder.item() {
///     Some(show) => println!("{show}: {} items in {} files", folder.items, folder.files),
///     None => println!("{}", folder.answer.message.as_deref().unwrap_or_default()),
/// }
/// # }
/// ```
///
/// The JSON has the fields of the answer and these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Folder {
    /// The item: the show or artist, the season or album if all files are in one, or the only item. Otherwise up to 16
    /// candidates below the folder.
    #[serde(flatten)]
    pub answer: Match,
    /// [`ItemType::Show`], [`ItemType::Season`], [`ItemType::Artist`], [`ItemType::Album`], or the type of its only
    /// item; otherwise `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ItemType>,
    /// Number of items below the folder; 0 if several folders match.
    pub items: u64,
    /// Number of listed files below the folder; 0 if several folders match.
    pub files: u64,
}

impl Folder {
    /// The show, season, artist, album or item, if there is exactly one.
    #[must_use]
    pub fn item(&self) -> Option<&Item> {
        self.answer.item()
    }

    /// Copies an answer, as [`Match::of`].
    ///
    /// # Errors
    /// As [`Match::of`].
    #[doc(hidden)]
    pub fn of(answer: &Answer<'_>, facts: FolderFacts) -> Result<Self> {
        Ok(Self {
            answer: Match::of(answer)?,
            kind: Some(facts.kind).filter(|kind| *kind != ItemType::Other),
            items: facts.items,
            files: facts.files,
        })
    }
}

/// A movie, episode, track, clip or photo; for a folder also a show, season, artist or album.
///
/// A field that the server did not report is `None`. An item is displayed as its title, with its year or its show.
///
/// Its JSON has these fields by their names, but `library` for the library's title, without those that are `None`. A
/// path that is not UTF-8 is `{"bytes": "<Base64>"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Item {
    /// Path on the server, such as `/library/metadata/1002`.
    pub key: String,
    /// Plex's `ratingKey`: the end of `key`.
    pub rating_key: String,
    /// Type of the item.
    pub kind: ItemType,
    /// Title of the item itself. Also `None` for a confirmed match whose item no listing has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Year of release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<i32>,
    /// Title of the show or artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_title: Option<String>,
    /// Rating key of the show or artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_rating_key: Option<String>,
    /// GUID of the show or artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_guid: Option<String>,
    /// Season of an episode (0: 'Specials'), or disc of a track. For a folder: the season, even if the server has no
    /// key for it and the item is the show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub season: Option<u32>,
    /// Number of an episode or track.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub episode: Option<u32>,
    /// GUID, such as `plex://movie/…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// External ids, such as `imdb://…`. Only for stored items, not matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guids: Option<Vec<String>>,
    /// All files in the server's spelling. Only for stored items, not matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<PathBuf>>,
    /// The listed path that matched, in the server's spelling; the recorded path of a [`MatchKind::Confirmed`] match;
    /// the path of a change.
    #[serde(
        serialize_with = "byte_string::path_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<byte_string::ByteString>"))]
    pub path: Option<PathBuf>,
    /// Section id of the library, in answers and changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// Title of the library, in answers and changes.
    #[serde(rename = "library", skip_serializing_if = "Option::is_none")]
    pub library_title: Option<String>,
}

impl Item {
    /// Converts a stored item with all files and external ids.
    pub(crate) fn of(item: model::Item, kind: &Kind) -> Self {
        let without_ids = Self::of_ref(&ItemRef::from(&item), kind);
        Self {
            guids: Some(item.guids),
            paths: Some(item.parts.into_iter().map(named).collect()),
            ..without_ids
        }
    }

    /// Converts an item of an answer.
    fn of_ref(item: &ItemRef<'_>, kind: &Kind) -> Self {
        Self {
            key: kind.key(item.rating_key),
            rating_key: item.rating_key.to_owned(),
            kind: item.kind,
            title: non_empty(item.title),
            year: (item.year != 0).then_some(item.year),
            show_title: non_empty(item.show_title),
            show_rating_key: non_empty(item.show_rating_key),
            show_guid: non_empty(item.show_guid.to_string()),
            season: u32::try_from(item.season).ok(),
            episode: u32::try_from(item.episode).ok(),
            guid: non_empty(item.guid.to_string()),
            guids: None,
            paths: None,
            path: None,
            section: None,
            library_title: None,
        }
    }
}

/// Serializes a time in milliseconds.
#[allow(clippy::ref_option)] // serde requires this signature
pub fn as_millis<S: Serializer>(time: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
    time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        .serialize(out)
}

/// Returns `None` for an empty text, which means that the value is unknown.
pub fn non_empty(text: impl Into<String>) -> Option<String> {
    Some(text.into()).filter(|text| !text.is_empty())
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(title) = &self.title else {
            return f.write_str(&self.key);
        };
        if let (ItemType::Show, Some(season)) = (self.kind, self.season) {
            return write!(f, "{title} – Season {season}");
        }
        if let Some(show) = &self.show_title {
            write!(f, "{show} – ")?;
            match (self.kind, self.season, self.episode) {
                (ItemType::Episode, Some(season), Some(episode)) => write!(f, "S{season:02}E{episode:02} – ")?,
                (_, _, Some(number)) => write!(f, "{number} – ")?,
                _ => {}
            }
            return f.write_str(title);
        }
        f.write_str(title)?;
        self.year.map_or(Ok(()), |year| write!(f, " ({year})"))
    }
}
