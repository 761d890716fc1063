//! The shows and seasons of a library, or the artists and albums, gathered from its listed items.

use std::collections::HashMap;

use serde::Serialize;

use super::media::non_empty;
use crate::model;

/// A show or artist. A field is `None` if Plex did not report a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Show {
    /// Rating key.
    pub rating_key: String,
    /// Title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// GUID, such as `plex://show/…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// Number of listed episodes or tracks.
    pub items: u64,
}

/// A season or album. A field is `None` if Plex did not report a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Season {
    /// Rating key.
    pub rating_key: String,
    /// Rating key of the show or artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub show_rating_key: Option<String>,
    /// Number of the season (0 is 'Specials'); `None` for an album.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// GUID, such as `plex://season/…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// Number of listed episodes or tracks.
    pub items: u64,
}

/// Gathers shows and seasons.
#[derive(Default)]
pub struct ShowsAndSeasons {
    /// The shows or artists.
    pub shows: Vec<Show>,
    /// The seasons or albums.
    pub seasons: Vec<Season>,
    /// Positions in `shows` and `seasons` by rating key.
    positions: [HashMap<String, usize>; 2],
}

impl ShowsAndSeasons {
    /// Sorts the shows by title, and the seasons by show, number and title.
    pub fn sort(&mut self) {
        self.shows
            .sort_by(|a, b| (&a.title, &a.rating_key).cmp(&(&b.title, &b.rating_key)));
        self.seasons.sort_by(|a, b| {
            let of_a = (&a.show_rating_key, a.number, &a.title, &a.rating_key);
            of_a.cmp(&(&b.show_rating_key, b.number, &b.title, &b.rating_key))
        });
        self.positions = <[HashMap<String, usize>; 2]>::default();
    }

    /// Counts an item for its show and season. A film has neither, and Plex reports no key of a hidden season.
    pub fn add(&mut self, item: &model::Item) {
        let [show_positions, season_positions] = &mut self.positions;
        if let Some(key) = non_empty(item.show_rating_key.as_str()) {
            let position = *show_positions.entry(key).or_insert(self.shows.len());
            if position == self.shows.len() {
                self.shows.push(Show {
                    rating_key: item.show_rating_key.clone(),
                    title: non_empty(item.show_title.as_str()),
                    guid: non_empty(item.show_guid.as_str()),
                    items: 0,
                });
            }
            self.shows[position].items += 1;
        }
        if let Some(key) = non_empty(item.season_rating_key.as_str()) {
            let position = *season_positions.entry(key).or_insert(self.seasons.len());
            if position == self.seasons.len() {
                // The number of a track is that of its disc.
                let number = Some(item.season).filter(|_| item.kind == model::ItemType::Episode);
                self.seasons.push(Season {
                    rating_key: item.season_rating_key.clone(),
                    show_rating_key: non_empty(item.show_rating_key.as_str()),
                    number: number.and_then(|number| u32::try_from(number).ok()),
                    title: non_empty(item.season_title.as_str()),
                    guid: non_empty(item.season_guid.as_str()),
                    items: 0,
                });
            }
            self.seasons[position].items += 1;
        }
    }
}
