//! The members of a folder: the shows, artists and single items with files below the folder. If the server does not
//! tell a show's or artist's rating key, each of its seasons or albums is a member.

use super::mapping_proposals::split_last;
use super::path_shape::PathShape;
use super::resolution::{FoundItem, GuidRef, ItemRef};
use crate::model::{Item, ItemType};

/// A season or album, with the fields that Plex repeats in each episode or track.
#[derive(Clone, Copy, Debug)]
pub struct Season<'v> {
    /// Season number; -1 for an album or for a season without a number.
    pub number: i32,
    /// Rating key; empty if unknown, as in shows with hidden seasons.
    pub rating_key: &'v str,
    /// Title.
    pub title: &'v str,
    /// GUID in Plex's `guid` attribute.
    pub guid: GuidRef<'v>,
}

impl<'v> Season<'v> {
    /// No season.
    pub const NONE: Self = Self {
        number: -1,
        rating_key: "",
        title: "",
        guid: GuidRef::NONE,
    };

    /// Returns an item's season or album. The number is -1, because [`FolderMember::new`] sets the number.
    #[must_use]
    pub fn of(item: &'v Item) -> Self {
        Self {
            number: -1,
            rating_key: &item.season_rating_key,
            title: &item.season_title,
            guid: GuidRef::Text(&item.season_guid),
        }
    }

    /// Returns whether two seasons of one show are the same. Compares the rating keys, or the numbers if both rating
    /// keys are empty.
    pub fn is_same(&self, other: &Self) -> bool {
        self.rating_key == other.rating_key && (!self.rating_key.is_empty() || self.number == other.number)
    }
}

/// A show or artist (or a season or album whose show or artist has no key) that has files below a folder, represented
/// by one of these files' items; or a single item without a show.
#[derive(Clone, Copy, Debug)]
pub struct FolderMember<'v> {
    /// The single item, or one of the show's items below the folder.
    pub item: ItemRef<'v>,
    /// The listed path of `item`.
    pub path: &'v [u8],
    /// Number of the path's components below the folder.
    pub components_below: usize,
    /// The rating key of the show or artist of `item`, or of its season or album; empty if the member is `item` itself.
    pub group_key: &'v str,
    /// The season or album of all the show's items below the folder; `None` if there are several seasons.
    pub season: Option<Season<'v>>,
}

impl<'v> FolderMember<'v> {
    /// Creates a member from an item and its season or album. `path`: the item's listed path, which has
    /// `components_below` components below the folder.
    #[must_use]
    pub fn new(item: ItemRef<'v>, season: Season<'v>, path: &'v [u8], components_below: usize) -> Self {
        // A track has the disc number in `item.season`, so only an episode has a season number.
        let number = if item.kind == ItemType::Episode {
            item.season
        } else {
            -1
        };
        Self {
            item,
            path,
            components_below,
            group_key: [item.show_rating_key, season.rating_key]
                .into_iter()
                .find(|key| !key.is_empty())
                .unwrap_or_default(),
            season: Some(Season { number, ..season }),
        }
    }

    /// Adds the season of another item in the show. Sets `season` to `None` if the seasons differ.
    pub fn merge_season(&mut self, other: Option<Season<'v>>) {
        self.season = self
            .season
            .filter(|season| other.is_some_and(|other| season.is_same(&other)));
    }

    /// Returns whether two members are the same show or the same single item.
    pub fn is_same(&self, other: &Self) -> bool {
        self.group_key == other.group_key
            && (!self.group_key.is_empty() || self.item.rating_key == other.item.rating_key)
    }

    /// Returns the folder's path as the server spells it, extended by the next `extra` components of the member's path.
    pub fn folder_path(&self, extra: usize) -> &'v [u8] {
        let windows = PathShape::of(self.path).windows;
        let mut remaining = self.components_below.saturating_sub(extra);
        let mut folder = self.path;
        while remaining > 0 || folder.ends_with(b"/.") || (windows && folder.ends_with(br"\.")) {
            let (parent, name) = split_last(folder, windows);
            if name.is_empty() {
                break;
            }
            remaining -= usize::from(name != b".");
            folder = parent;
        }
        if !folder.is_empty() {
            return folder;
        }
        // The folder is the root folder, which consists only of separators.
        let is_separator = |byte: &&u8| **byte == b'/' || (windows && **byte == b'\\');
        &self.path[..self.path.iter().take_while(is_separator).count()]
    }

    /// Returns the item that represents the member in an answer, and its path; `library` is the index of its library. A
    /// single item represents itself. `has_whole_folder` means that the folder has no other member. Then returns the
    /// common season or album if there is one, with the folder's path. Otherwise returns the show or artist, or the
    /// season or album if the show or artist has no key, with the path of the file or folder, directly in the folder,
    /// that contains its files.
    pub fn found_item(&self, library: usize, has_whole_folder: bool) -> FoundItem<'v> {
        let is_season = |season: &Season<'_>| has_whole_folder || season.rating_key == self.group_key;
        let season = self.season.filter(is_season).unwrap_or(Season::NONE);
        let is_track = self.item.kind == ItemType::Track;
        let item = if self.group_key.is_empty() {
            self.item
        } else if season.rating_key.is_empty() {
            ItemRef {
                kind: if is_track { ItemType::Artist } else { ItemType::Show },
                title: self.item.show_title,
                guid: self.item.show_guid,
                season: season.number,
                key_only: false,
                ..ItemRef::key_only(self.group_key)
            }
        } else {
            ItemRef {
                kind: if is_track { ItemType::Album } else { ItemType::Season },
                title: season.title,
                guid: season.guid,
                show_title: self.item.show_title,
                show_rating_key: self.item.show_rating_key,
                show_guid: self.item.show_guid,
                season: season.number,
                key_only: false,
                ..ItemRef::key_only(season.rating_key)
            }
        };
        FoundItem::new(library, item, self.folder_path(usize::from(!has_whole_folder)))
    }
}
