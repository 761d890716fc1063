//! The answers and items of the Rust API, as owned values.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::answer::Answer;
use super::media::{MatchedFile, Media, known, media_of, non_empty};
use crate::error::{Error, Result, Status};
use crate::matching::{ItemRef, byte_string};
use crate::model::{self, Confidence, ItemType, MatchKind, Reason};
use crate::platform::files::path_from_bytes;
use crate::source::SourceKind;

/// The status of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MatchStatus {
    /// Exactly one item matches.
    Found,
    /// Several items match equally well; the candidates are sorted, best first.
    Ambiguous,
    /// No known item matches. [`Match::reason`](crate::Match::reason) is the reason, such as
    /// [`Reason::NotFetched`](crate::Reason::NotFetched) if the library was never fetched completely.
    NotFound,
    /// The timeout passed before an answer was available. Repeat the query: plexindex resumes the work.
    NotYet,
    /// The server did not respond before the timeout, and repeating the query would fail again. Fetch the library once
    /// without a timeout, using [`Library::refresh`](crate::Library::refresh).
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
/// The JSON uses the field names, except `age_ms` for `age`, and omits fields that are `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Match {
    /// The status of the query.
    pub status: MatchStatus,
    /// The kind of match that found the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_kind: Option<MatchKind>,
    /// The confidence of the match. Edit an item only if the confidence is [`Confidence::High`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// The reason for a miss or for several items, or the evidence for a suffix match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Matching items, best first, at most 16.
    pub candidates: Vec<Item>,
    /// The item's file, as Plex lists it; `None` in answers that are not for a path, without a single item, or if Plex was
    /// not asked about files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<MatchedFile>,
    /// Number of matching items.
    pub total: usize,
    /// An explanation for users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the answer may be out of date, because the listing has expired or something is doubted. Retry a stale
    /// [`MatchStatus::NotFound`] later.
    pub stale: bool,
    /// Time since plexindex last checked that the listing is current. `None` without a listing, or if the clock was set
    /// back.
    #[serde(
        rename = "age_ms",
        serialize_with = "as_millis",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub age: Option<Duration>,
}

impl Match {
    /// Returns the item if exactly one item matches; otherwise `None`.
    #[must_use]
    pub fn item(&self) -> Option<&Item> {
        self.candidates.first().filter(|_| self.status == MatchStatus::Found)
    }

    /// Returns the item if exactly one item matches; otherwise `None`.
    #[must_use]
    pub fn into_item(mut self) -> Option<Item> {
        (self.status == MatchStatus::Found && !self.candidates.is_empty()).then(|| self.candidates.swap_remove(0))
    }

    /// Copies an answer into owned values.
    ///
    /// # Errors
    /// Returns the error of a lookup that failed in a batch.
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
                path: (!found.path.is_empty()).then(|| path_from_bytes(found.path)),
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
            file: answer.item().and_then(|found| answer.file(found)),
            total: answer.total,
            message: non_empty(answer.message),
            stale: answer.stale,
            age: answer.age_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        })
    }
}

/// The answer for a folder: the show or item that all files below the folder belong to, or the reason why there is not
/// exactly one.
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
/// The JSON merges the fields of `answer` with the other fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Folder {
    /// The answer with the item, which is the show or artist, the season or album if it contains all files, or the only
    /// item. Otherwise up to 16 candidates below the folder.
    #[serde(flatten)]
    pub answer: Match,
    /// [`ItemType::Show`], [`ItemType::Season`], [`ItemType::Artist`], [`ItemType::Album`], or the type of the folder's
    /// only item; otherwise `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ItemType>,
    /// Number of items below the folder; 0 if several folders match.
    pub items: u64,
    /// Number of listed files below the folder; 0 if several folders match.
    pub files: u64,
}

impl Folder {
    /// Returns the show, season, artist, album or item if exactly one matches; otherwise `None`.
    #[must_use]
    pub fn item(&self) -> Option<&Item> {
        self.answer.item()
    }

    /// Copies a folder's answer into owned values.
    ///
    /// # Errors
    /// Returns the error in the answer, if the lookup failed.
    #[doc(hidden)]
    pub fn of(answer: &Answer<'_>) -> Result<Self> {
        Ok(Self {
            answer: Match::of(answer)?,
            kind: Some(answer.folder.kind).filter(|kind| *kind != ItemType::Other),
            items: answer.folder.items,
            files: answer.folder.files,
        })
    }
}

/// A movie, episode, track, clip or photo; in the answer for a folder, also a show, season, artist or album.
///
/// A field is `None` if the server did not report a value. `Display` shows the title, with the year or the show.
///
/// The JSON uses the field names, except `library` for `library_title`, and omits fields that are `None`. A path that
/// is not UTF-8 is `{"bytes": "<Base64>"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Item {
    /// Plex's `key`: the item's path in the server's API, such as `/library/metadata/1002`.
    pub key: String,
    /// Plex's `ratingKey`: the last part of `key`.
    pub rating_key: String,
    /// Type of the item.
    pub kind: ItemType,
    /// Title of the item itself. Also `None` for a confirmed match whose item is not listed.
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
    /// Season number of an episode (0 is 'Specials'), or disc number of a track. For a season folder, the season
    /// number, even if the item is the show because the season has no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub season: Option<u32>,
    /// Episode number or track number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub episode: Option<u32>,
    /// GUID of the item, such as `plex://movie/…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// External IDs, such as `imdb://…`; `None` in answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guids: Option<Vec<String>>,
    /// Rating key of the season or album; `None` in answers, like the two fields below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub season_rating_key: Option<String>,
    /// Title of the season or album.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub season_title: Option<String>,
    /// GUID of the season or album.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub season_guid: Option<String>,
    /// When Plex added the item, in Unix seconds; `None` in answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added_at: Option<u64>,
    /// Title of the edition; `None` in answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// Duration in milliseconds; `None` in answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The versions of the item, with their files; `None` in answers, and if Plex was not asked about files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<Vec<Media>>,
    /// Paths of all files, in the server's spelling; `None` in answers.
    #[serde(serialize_with = "byte_string::paths", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<byte_string::ByteString>>"))]
    pub paths: Option<Vec<PathBuf>>,
    /// The listed path that matched, in the server's spelling; for a [`MatchKind::Confirmed`] match, the recorded path;
    /// in a change of the feed, the path of the added, changed or removed file.
    #[serde(
        serialize_with = "byte_string::path_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<byte_string::ByteString>"))]
    pub path: Option<PathBuf>,
    /// Section ID of the library, in answers and changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// Title of the library, in answers and changes.
    #[serde(rename = "library", skip_serializing_if = "Option::is_none")]
    pub library_title: Option<String>,
    /// Whether the item is in the server's trash. Only `items.list` with `trashed` returns such items.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub trashed: bool,
}

impl Item {
    /// Converts a listed item, with all files and external IDs.
    pub(crate) fn of(item: model::Item, kind: &SourceKind) -> Self {
        let without_ids = Self::of_ref(&ItemRef::from(&item), kind);
        let facts = item.facts.0.as_deref();
        Self {
            added_at: facts.and_then(|facts| known(facts.added_at)),
            edition: facts.and_then(|facts| non_empty(facts.edition.as_str())),
            duration_ms: facts.and_then(|facts| known(facts.duration_ms)),
            media: media_of(&item),
            season_rating_key: non_empty(item.season_rating_key),
            season_title: non_empty(item.season_title),
            season_guid: non_empty(item.season_guid),
            guids: Some(item.guids),
            trashed: item.trashed,
            paths: Some(item.parts.into_iter().map(|part| path_from_bytes(part.0)).collect()),
            ..without_ids
        }
    }

    /// Converts an item in an answer, without files and external IDs. Unknown values, which are empty strings, 0 or -1,
    /// become `None`.
    fn of_ref(item: &ItemRef<'_>, kind: &SourceKind) -> Self {
        Self {
            key: kind.key(item.rating_key),
            rating_key: item.rating_key.to_owned(),
            kind: item.kind,
            title: non_empty(item.title),
            year: (item.year != 0).then_some(item.year),
            show_title: non_empty(item.show_title),
            show_rating_key: non_empty(item.show_rating_key),
            show_guid: non_empty(item.show_guid),
            season: u32::try_from(item.season).ok(),
            episode: u32::try_from(item.episode).ok(),
            guid: non_empty(item.guid),
            guids: None,
            season_rating_key: None,
            season_title: None,
            season_guid: None,
            added_at: None,
            edition: None,
            duration_ms: None,
            media: None,
            paths: None,
            path: None,
            section: None,
            library_title: None,
            trashed: false,
        }
    }
}

/// Serializes an optional duration in milliseconds.
#[allow(clippy::ref_option)] // serde requires this signature
pub fn as_millis<S: Serializer>(time: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
    time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        .serialize(out)
}

impl fmt::Display for Item {
    /// Writes the title, with the show and the number, or with the year; the key if the title is unknown.
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
