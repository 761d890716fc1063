//! Tests of what a hit reads, and of the ladder over it.

mod against;
mod apart;
mod damage;
mod folders;
mod image;
mod ladder;
mod naive;
mod overlay;
mod page;
mod random;
mod right;
mod swap;

use std::sync::Arc;

use super::{Image, LibraryFacts, LibraryView};
use crate::matching::Mappings;
use crate::model::Item;
use against::{listing, movie};

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
