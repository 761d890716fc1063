//! Tests of what a hit reads, and of the ladder over it.

mod damage;
mod image;
mod ladder;
mod naive;
mod overlay;
mod page;
mod random;
mod right;
mod swap;

use std::sync::Arc;

use super::{Image, ImageBuilder, ImageKind, ImageMeta, LibraryFacts, LibraryView};
use crate::matching::Mappings;
use crate::model::{Item, ItemType};

/// A movie with these files.
pub fn movie(rating_key: &str, parts: &[&str]) -> Item {
    Item {
        rating_key: rating_key.into(),
        kind: ItemType::Movie,
        title: format!("Title {rating_key}"),
        year: 1999,
        season: -1,
        episode: -1,
        guid: "plex://movie/5d776825880197001ec90a2f".into(),
        parts: parts.iter().map(|path| (*path).to_owned()).collect(),
        ..Item::default()
    }
}

/// The bytes of a listing's image, of generation 1.
pub fn listing(items: &[Item], mappings: &Mappings) -> Vec<u8> {
    let mut builder = ImageBuilder::new(ImageMeta {
        library: "uuid".into(),
        generation: 1,
        sequence: 7,
        mappings: mappings.clone(),
        ..ImageMeta::default()
    });
    for item in items {
        builder.push(item);
    }
    builder.finish_in_memory().expect("an image is made")
}

/// An image of confirmed matches: path, rating key, generation.
pub fn matches(recorded: &[(&[u8], &str, u64)]) -> Vec<u8> {
    let mut builder = ImageBuilder::new(ImageMeta {
        kind: ImageKind::Matches,
        library: "uuid".into(),
        ..ImageMeta::default()
    });
    for (path, rating_key, sequence) in recorded {
        builder.push_match(path, rating_key, *sequence);
    }
    builder.finish_in_memory().expect("an image is made")
}

/// A fetched library with these folders and items, without matches.
pub fn library(locations: &[&str], items: &[Item], mappings: &Mappings) -> LibraryView {
    let facts = LibraryFacts {
        uuid: "uuid".into(),
        locations: locations.iter().map(|path| (*path).to_owned()).collect(),
        listed_at: 1,
        fetched: true,
    };
    let image = Image::from_bytes(listing(items, mappings)).expect("an image opens");
    LibraryView::new(facts, mappings, Some(Arc::new(image)), None, Arc::default())
}
