//! What lies below a folder, by whose it is: a show or artist, a season or album of one, or an item.

use super::form::end_of;
use super::normal::Shape;
use super::resolution::{FoundItem, GuidRef, ItemRef};
use crate::model::{Item, ItemType};

/// A season or album, as one of its items tells.
#[derive(Clone, Copy, Debug)]
pub struct Season<'v> {
    /// Of a season; -1: none.
    pub number: i32,
    /// Rating key; empty where it is not known, as of hidden seasons.
    pub rating_key: &'v str,
    /// Title.
    pub title: &'v str,
    /// Scalar GUID.
    pub guid: GuidRef<'v>,
}

impl<'v> Season<'v> {
    /// None.
    pub const NONE: Self = Self {
        number: -1,
        rating_key: "",
        title: "",
        guid: GuidRef::NONE,
    };

    /// An item's, but for its number.
    #[must_use]
    pub fn of(item: &'v Item) -> Self {
        Self {
            number: -1,
            rating_key: &item.season_rating_key,
            title: &item.season_title,
            guid: GuidRef::Text(&item.season_guid),
        }
    }

    pub fn is(&self, other: &Self) -> bool {
        self.rating_key == other.rating_key && (!self.rating_key.is_empty() || self.number == other.number)
    }
}

/// Whose what is below a folder is: a show or artist, known by one of its files, or an item that has none.
#[derive(Clone, Copy, Debug)]
pub struct FolderMember<'v> {
    /// One of its items.
    pub item: ItemRef<'v>,
    /// The path of that one which lies below the folder, as it is listed.
    pub path: &'v [u8],
    /// How many components of the path are below the folder.
    pub below: usize,
    /// Whether the item's show is meant.
    pub of_show: bool,
    /// The season or album that all its items are of; `None` where they differ.
    pub season: Option<Season<'v>>,
}

impl<'v> FolderMember<'v> {
    /// One that is known by this item, which is of this season or album.
    #[must_use]
    pub fn new(item: ItemRef<'v>, season: Season<'v>, path: &'v [u8], below: usize, of_show: bool) -> Self {
        // Of a track it is the disc.
        let number = if item.kind == ItemType::Episode {
            item.season
        } else {
            -1
        };
        Self {
            item,
            path,
            below,
            of_show,
            season: Some(Season { number, ..season }),
        }
    }

    /// Another of its items has this season.
    pub fn meets(&mut self, season: Option<Season<'v>>) {
        self.season = self.season.filter(|own| season.is_some_and(|other| own.is(&other)));
    }

    pub fn is(&self, other: &Self) -> bool {
        if self.of_show {
            other.of_show && self.item.show_rating_key == other.item.show_rating_key
        } else {
            !other.of_show && self.item.rating_key == other.item.rating_key
        }
    }

    /// The path of the folder, or of what lies in it and has all that is known of this.
    pub fn folder(&self, more: usize) -> &'v [u8] {
        let form = if Shape::of(self.path).windows { b'\\' } else { b'/' };
        let separates = |byte: u8| byte == b'/' || byte == form;
        let inside = |part: &&[u8]| !part.is_empty();
        let components = self.path.split(|byte| separates(*byte)).filter(inside).count();
        let keep = components.saturating_sub(self.below) + more;
        if keep == 0 {
            // Above all folders is the root.
            return &self.path[..self.path.iter().take_while(|byte| separates(**byte)).count()];
        }
        &self.path[..end_of(self.path, keep, separates)]
    }

    /// As an answer shows it. `is_folder`: the whole folder is its own, so it is the season or album that all below it is of.
    /// One of several in a folder is the show or artist, and its path is that of what lies in the folder.
    pub fn shown(&self, library: usize, is_folder: bool) -> FoundItem<'v> {
        let season = self.season.filter(|_| is_folder).unwrap_or(Season::NONE);
        let is_track = self.item.kind == ItemType::Track;
        let item = if !self.of_show {
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
            path: self.folder(usize::from(!is_folder)),
        }
    }
}
