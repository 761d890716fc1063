//! The members of a folder: shows and artists with files below the folder, their season or album, and single items.

use super::form::end_of_components;
use super::normal::Shape;
use super::resolution::{FoundItem, GuidRef, ItemRef, OnDisk};
use crate::model::{Item, ItemType};

/// A season or album, with the fields that Plex reports for each of its items.
#[derive(Clone, Copy, Debug)]
pub struct Season<'v> {
    /// Season number; -1 for an album, and for a season without a number.
    pub number: i32,
    /// Rating key; empty if unknown, as for hidden seasons.
    pub rating_key: &'v str,
    /// Title.
    pub title: &'v str,
    /// Scalar GUID.
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

    /// Returns the season or album of an item, without the season number.
    #[must_use]
    pub fn of(item: &'v Item) -> Self {
        Self {
            number: -1,
            rating_key: &item.season_rating_key,
            title: &item.season_title,
            guid: GuidRef::Text(&item.season_guid),
        }
    }

    /// Returns whether both are the same season of one show: their rating keys are equal, or if both have no rating
    /// key, their numbers.
    pub fn is_same(&self, other: &Self) -> bool {
        self.rating_key == other.rating_key && (!self.rating_key.is_empty() || self.number == other.number)
    }
}

/// A show or artist with files below a folder, represented by one of its items; or an item without a show.
#[derive(Clone, Copy, Debug)]
pub struct FolderMember<'v> {
    /// The item, or one of the show's items below the folder.
    pub item: ItemRef<'v>,
    /// The listed path of `item`.
    pub path: &'v [u8],
    /// Number of the path's components below the folder.
    pub below: usize,
    /// Whether the member is the item's show or artist, not the item.
    pub is_show: bool,
    /// The season or album of all the show's items below the folder; `None` if they are in several.
    pub season: Option<Season<'v>>,
}

impl<'v> FolderMember<'v> {
    /// Creates a member from an item and its season or album. For the other arguments, see the fields.
    #[must_use]
    pub fn new(item: ItemRef<'v>, season: Season<'v>, path: &'v [u8], below: usize, is_show: bool) -> Self {
        // For a track, `item.season` is the disc.
        let number = if item.kind == ItemType::Episode {
            item.season
        } else {
            -1
        };
        Self {
            item,
            path,
            below,
            is_show,
            season: Some(Season { number, ..season }),
        }
    }

    /// Adds the season of another item of the show. If the seasons differ, the member has no season afterwards.
    pub fn merge_season(&mut self, other: Option<Season<'v>>) {
        self.season = self
            .season
            .filter(|season| other.is_some_and(|other| season.is_same(&other)));
    }

    /// Returns whether both are the same show, or the same item.
    pub fn is_same(&self, other: &Self) -> bool {
        if self.is_show {
            other.is_show && self.item.show_rating_key == other.item.show_rating_key
        } else {
            !other.is_show && self.item.rating_key == other.item.rating_key
        }
    }

    /// Returns the folder's path as the server spells it, extended by the first `extra` components below the folder.
    pub fn folder_path(&self, extra: usize) -> &'v [u8] {
        let separator = if Shape::of(self.path).windows { b'\\' } else { b'/' };
        let is_separator = |byte: u8| byte == b'/' || byte == separator;
        let components = self.path.split(|byte| is_separator(*byte));
        let component_count = components.filter(|component| !component.is_empty()).count();
        let kept_components = component_count.saturating_sub(self.below) + extra;
        if kept_components == 0 {
            // The folder is the root, which consists of separators only.
            return &self.path[..self.path.iter().take_while(|byte| is_separator(**byte)).count()];
        }
        &self.path[..end_of_components(self.path, kept_components, is_separator)]
    }

    /// Returns the item that the answer shows; a member without a show is its own item. If the member
    /// `has_whole_folder`, the answer shows the season or album of all its files, if they share one, at the folder's
    /// path. Otherwise it shows the show or artist, at the path of its entry in the folder.
    pub fn found_item(&self, library: usize, has_whole_folder: bool) -> FoundItem<'v> {
        let season = self.season.filter(|_| has_whole_folder).unwrap_or(Season::NONE);
        let is_track = self.item.kind == ItemType::Track;
        let item = if !self.is_show {
            self.item
        } else if season.rating_key.is_empty() {
            ItemRef {
                kind: if is_track { ItemType::Artist } else { ItemType::Show },
                title: self.item.show_title,
                guid: self.item.show_guid,
                season: season.number,
                key_only: false,
                ..ItemRef::key_only(self.item.show_rating_key)
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
        FoundItem {
            library,
            item,
            path: self.folder_path(usize::from(!has_whole_folder)),
            on_disk: OnDisk::Assumed,
        }
    }
}
