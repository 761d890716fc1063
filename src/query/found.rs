//! Answers and items in the Rust API, as owned values.

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
    /// Several items match equally well; they are the candidates, best first.
    Ambiguous,
    /// No item matches as far as is known. [`Match::reason`](crate::Match::reason) says why: with
    /// [`Reason::NotFetched`](crate::Reason::NotFetched) the library was never fetched, or not yet completely.
    NotFound,
    /// The deadline passed first. The same query continues where this one stopped.
    NotYet,
    /// Nothing came from the server before the deadline, and the same query would end so again: the server is silent, or
    /// too slow. Fetch the library once without a deadline: [`Library::refresh`](crate::Library::refresh).
    NeedsWarm,
}

enum_names! { MatchStatus:
    Found "found", Ambiguous "ambiguous", NotFound "not_found", NotYet "not_yet", NeedsWarm "needs_warm"
}

/// The answer to a question: one item, or why there is no single one.
///
/// ```
/// # fn told(found: plexindex::Match) {
/// match found.item() {
///     Some(item) => println!("{item}: {}", item.key),
///     None => println!("{}", found.message.as_deref().unwrap_or_default()),
/// }
/// # }
/// ```
///
/// Its JSON has these fields by their names, but `age_ms` for the age, without those that are `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Match {
    /// The outcome of the question.
    pub status: MatchStatus,
    /// How it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_kind: Option<MatchKind>,
    /// How likely it is to be the right item. Only [`Confidence::High`] is safe to write to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// Why there is no single item, or what supports the one found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// All items that match, best first, at most 16 of them.
    pub candidates: Vec<Item>,
    /// Number of items that match.
    pub total: usize,
    /// A sentence for users, if there is more to say than the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The listing behind the answer has expired. It was not renewed: the server could not be asked, or it lists so much
    /// less that the old listing is kept until a second one confirms it. A [`MatchStatus::NotFound`] without this is as
    /// sure as an answer can be. With it, the server may have the file: ask again when it answers.
    pub stale: bool,
    /// Time since the listing behind the answer was last seen to be current; `None` if no listing answered, or if the clock
    /// was set back since then.
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
    /// The error that the answer stands for, if it does.
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
            message: known(answer.message),
            stale: answer.stale,
            age: answer.age_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        })
    }
}

/// The answer for a folder: the show or item that owns all files below it, or why there is no single one.
///
/// ```
/// # fn told(folder: plexindex::Folder) {
/// match folder.item() {
///     Some(show) => println!("{show}: {} items in {} files", folder.items, folder.files),
///     None => println!("{}", folder.answer.message.as_deref().unwrap_or_default()),
/// }
/// # }
/// ```
///
/// Its JSON has the fields of the answer, and its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Folder {
    /// The item: the show or artist, the season or album if all files are in one, or the only item. Otherwise up to 16
    /// candidates below the folder.
    #[serde(flatten)]
    pub answer: Match,
    /// The kind of the folder: a [`Show`](ItemType::Show), a [`Season`](ItemType::Season), an [`Artist`](ItemType::Artist), an
    /// [`Album`](ItemType::Album), or the kind of its only item. `None` for any other folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ItemType>,
    /// Number of items with a file below the folder. 0 if several folders match.
    pub items: u64,
    /// Number of listed files below it; 0 in the same case.
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

/// An item: a film, an episode, a track, a clip or a photo. Shows, seasons, artists and albums own no files: they are items
/// only in the answer for a [`Folder`].
///
/// A field that the server did not report is `None`. An item is displayed as its title, with its year or its show.
///
/// Its JSON has these fields by their names, but `library` for the library's title, without those that are `None`. A path
/// that is not UTF-8 is `{"bytes": "<Base64>"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Item {
    /// Path to fetch it from the server, such as `/library/metadata/1002`.
    pub key: String,
    /// Plex's `ratingKey`: the end of `key`, an opaque text.
    pub rating_key: String,
    /// Type of the item.
    pub kind: ItemType,
    /// Title of the item itself, not of its show. Also `None` if a confirmed match names an item that no listing has:
    /// only the keys are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Year of release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<i32>,
    /// Title of its show, or of a track's or album's artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_title: Option<String>,
    /// Rating key of its show or artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_rating_key: Option<String>,
    /// GUID of its show or artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_guid: Option<String>,
    /// Season of an episode (0 is 'Specials'), disc of a track. In a [`Folder`]: the number of a season; for a show,
    /// the season of all episodes below the folder if the server has no key for that season.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub season: Option<u32>,
    /// Number of an episode or a track.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub episode: Option<u32>,
    /// Its GUID, such as `plex://movie/…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// Its external ids, such as `imdb://…`, in the server's order. Answers leave them out: [`Library::item`] and
    /// [`Library::items`] have them.
    ///
    /// [`Library::item`]: crate::Library::item
    /// [`Library::items`]: crate::Library::items
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guids: Option<Vec<String>>,
    /// All its files as the server spells them. Set where `guids` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<PathBuf>>,
    /// In an answer: the listed path that matched, as the server spells it; for a
    /// [`Confirmed`](MatchKind::Confirmed) match the recorded path, as the host spells it. In a
    /// [`Change`](crate::Change): its path.
    #[serde(
        serialize_with = "byte_string::path_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<byte_string::ByteString>"))]
    pub path: Option<PathBuf>,
    /// In an answer and a change: the section id of its library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// In an answer and a change: the title of its library.
    #[serde(rename = "library", skip_serializing_if = "Option::is_none")]
    pub library_title: Option<String>,
}

impl Item {
    /// A stored item with all its files and external ids.
    pub(crate) fn of(item: model::Item, kind: &Kind) -> Self {
        let shown = Self::of_ref(&ItemRef::from(&item), kind);
        Self {
            guids: Some(item.guids),
            paths: Some(item.parts.into_iter().map(named).collect()),
            ..shown
        }
    }

    fn of_ref(item: &ItemRef<'_>, kind: &Kind) -> Self {
        Self {
            key: kind.key(item.rating_key),
            rating_key: item.rating_key.to_owned(),
            kind: item.kind,
            title: known(item.title),
            year: (item.year != 0).then_some(item.year),
            show_title: known(item.show_title),
            show_rating_key: known(item.show_rating_key),
            show_guid: known(item.show_guid.to_string()),
            season: u32::try_from(item.season).ok(),
            episode: u32::try_from(item.episode).ok(),
            guid: known(item.guid.to_string()),
            guids: None,
            paths: None,
            path: None,
            section: None,
            library_title: None,
        }
    }
}

/// Serializes a time in milliseconds.
#[allow(clippy::ref_option)] // serde's shape
pub fn as_millis<S: Serializer>(time: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
    time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        .serialize(out)
}

/// `None` for an empty text, which stands for an unknown value.
pub fn known(text: impl Into<String>) -> Option<String> {
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
