//! Items are added, removed and changed: what tests do to a library.

use crate::events::Event;
use crate::generate::{mix, size_from};
use crate::model::{Item, ItemType, LibraryKind, Link, Media, Part};
use crate::spec::{ItemSpec, MediaSpec};
use crate::state::{Outcome, State};
use serde_json::Value;

fn link(item: &Item) -> Link {
    Link {
        key: item.key,
        title: item.title.clone(),
        guid: item.guid.clone(),
        index: item.index,
    }
}

impl State {
    fn container(
        &mut self,
        section: u32,
        kind: ItemType,
        title: &str,
        index: Option<u32>,
        above: Option<&Link>,
    ) -> Outcome<Link> {
        let now = self.now();
        let next = self.next_key;
        let library = self.library_mut(section)?;
        let found = (0..library.count(kind) as u32)
            .find(|at| above.map(|l| l.key) == library.parent_at(kind, *at) && library.title_at(kind, *at) == title);
        if let Some(at) = found {
            return Ok(link(&library.item_at(kind, at)));
        }
        let mut item = Item::new(next, kind, title);
        item.index = index;
        item.added_at = now;
        item.updated_at = Some(now);
        item.parent = above.cloned();
        let made = link(&item);
        library.insert(item);
        self.next_key += 1;
        Ok(made)
    }

    fn build(&mut self, section: u32, spec: ItemSpec) -> Outcome<Item> {
        let now = self.now();
        let library = self.library_mut(section)?;
        let library_kind = library.kind;
        let kind = spec.kind.unwrap_or(library_kind.leaf_type());
        if !library_kind.types().contains(&kind) {
            let of = library_kind.facts().type_name;
            return Err(format!("a library of {of} has no {}", kind.name()));
        }
        if let Some(key) = spec.rating_key
            && self.library_of(key).is_some()
        {
            return Err(format!("there is an item {key} already"));
        }
        let (parent, grandparent) = match kind {
            ItemType::Episode => {
                let name = spec.show.as_deref().unwrap_or("Unknown Show");
                let show = self.container(section, ItemType::Show, name, Some(1), None)?;
                let number = spec.season.unwrap_or(1);
                let title = format!("Season {number}");
                let season = self.container(section, ItemType::Season, &title, Some(number), Some(&show))?;
                (Some(season), Some(show))
            }
            ItemType::Track => {
                let name = spec.show.as_deref().unwrap_or("Unknown Artist");
                let artist = self.container(section, ItemType::Artist, name, None, None)?;
                let name = spec.album.as_deref().unwrap_or("Unknown Album");
                let album = self.container(section, ItemType::Album, name, None, Some(&artist))?;
                (Some(album), Some(artist))
            }
            ItemType::Photo | ItemType::Clip => {
                let name = spec.album.as_deref().unwrap_or("Unknown Album");
                let album = self.container(section, ItemType::Photoalbum, name, None, None)?;
                (Some(album), None)
            }
            _ => (None, None),
        };
        let key = spec.rating_key.unwrap_or(self.next_key);
        self.next_key = self.next_key.max(key + 1);
        let mut item = Item::new(key, kind, spec.title);
        item.clip = library_kind == LibraryKind::OtherVideos;
        item.year = spec.year;
        if let Some(guid) = spec.guid {
            item.guid = guid;
        }
        item.guids = spec.guids;
        item.summary = spec.summary.into();
        item.index = spec.index;
        item.parent = parent;
        item.grandparent = grandparent;
        item.added_at = spec.added_at.unwrap_or(now);
        item.updated_at = match kind {
            ItemType::Track => spec.updated_at,
            _ => Some(spec.updated_at.unwrap_or(item.added_at)),
        };
        item.media = make_media(kind, spec.files, spec.sizes);
        let given = spec.fields.get("duration").and_then(Value::as_u64);
        item.duration = match given.and_then(|duration| u32::try_from(duration).ok()) {
            Some(duration) => duration,
            None if item.media.is_empty() => 0,
            None => 5_400_000,
        };
        item.fields = spec.fields;
        Ok(item)
    }

    /// Adds items. Returns their rating keys. `scanned` moves the library's `scannedAt`, as a scan would.
    pub fn add_items(&mut self, section: u32, specs: Vec<ItemSpec>, scanned: bool) -> Outcome<Vec<u64>> {
        let now = self.tick();
        let mut keys = Vec::with_capacity(specs.len());
        for spec in specs {
            let item = self.build(section, spec)?;
            let (key, kind, title) = (item.key, item.kind, item.title.clone());
            let library = self.library_mut(section)?;
            if !library.insert(item) {
                return Err(format!("there is an item {key} already"));
            }
            library.count_change(1);
            keys.push(key);
            for (state, word) in [(0, "created"), (5, "")] {
                let event = Event::timeline(section, key, kind, &title, state, word, now);
                self.events.push(event);
            }
        }
        if scanned {
            self.library_mut(section)?.scanned_at = now;
        }
        Ok(keys)
    }

    /// Removes items without children, wherever they are, and each container with its last child.
    pub fn remove_items(&mut self, keys: &[u64], scanned: bool) -> Outcome<()> {
        let now = self.tick();
        for key in keys {
            let section = self.section_of(*key)?;
            let library = self.library_mut(section)?;
            let item = library.get(*key).map(|i| (i.kind, i.title.clone()));
            let removed = library.remove(*key);
            library.count_change(removed.len() as u64);
            if scanned {
                library.scanned_at = now;
            }
            let (kind, title) = item.unwrap_or((ItemType::Movie, String::new()));
            for gone in removed {
                self.events
                    .push(Event::timeline(section, gone, kind, &title, 9, "deleted", now));
            }
        }
        Ok(())
    }

    /// Replaces an item's files: renamed, upgraded, merged. `updatedAt` stays the same, as Plex was seen
    /// to do (Plex API notes §3), unless `touch`. `counts`: `contentChangedAt` moves.
    pub fn set_files(&mut self, key: u64, files: Vec<MediaSpec>, touch: bool, counts: bool) -> Outcome<()> {
        let now = self.tick();
        let section = self.section_of(key)?;
        let library = self.library_mut(section)?;
        let item = library.get_mut(key).ok_or_else(|| format!("no item {key}"))?;
        item.media = make_media(item.kind, files, Vec::new());
        if touch {
            item.updated_at = Some(now);
        }
        let (kind, title) = (item.kind, item.title.clone());
        if counts {
            library.count_change(1);
        }
        self.events
            .push(Event::timeline(section, key, kind, &title, 5, "", now));
        Ok(())
    }

    fn item_mut(&mut self, key: u64) -> Outcome<&mut Item> {
        let section = self.section_of(key)?;
        let item = self.library_mut(section)?.get_mut(key);
        item.ok_or_else(|| format!("no item {key}"))
    }

    /// Renames one file of an item; everything else stands still. Episodes that share the file keep the old name.
    pub fn rename_file(&mut self, key: u64, from: &str, to: &str) -> Outcome<()> {
        let item = self.item_mut(key)?;
        let mut found = false;
        for part in item.media.iter_mut().flat_map(|m| &mut m.parts) {
            if part.file == from {
                part.file = to.to_owned();
                found = true;
            }
        }
        if !found {
            return Err(format!("item {key} has no file {from:?}"));
        }
        Ok(())
    }

    /// Moves `updatedAt` of items, to a time or to the server's now.
    pub fn touch(&mut self, keys: &[u64], at: Option<i64>) -> Outcome<()> {
        let now = self.tick();
        for key in keys {
            self.change_item(*key, |item| item.updated_at = Some(at.unwrap_or(now)))?;
        }
        Ok(())
    }

    /// Marks an item's files as missing from the disk, or as there again.
    pub fn set_missing(&mut self, key: u64, missing: bool) -> Outcome<()> {
        let now = self.tick();
        let item = self.item_mut(key)?;
        for part in item.media.iter_mut().flat_map(|m| &mut m.parts) {
            part.missing = missing;
        }
        item.deleted_at = missing.then_some(now);
        Ok(())
    }

    /// Changes an item in place and moves the clocks. The closure must not change its key or type.
    pub fn change_item(&mut self, key: u64, change: impl FnOnce(&mut Item)) -> Outcome<()> {
        let item = self.item_mut(key)?;
        let kind = item.kind;
        change(item);
        (item.key, item.kind) = (key, kind);
        Ok(())
    }
}

/// Returns the size of a file to add, which depends on its path.
fn size_of(file: &str) -> u64 {
    size_from(file.bytes().fold(7, |hash, byte| mix(hash, 5, u64::from(byte))) % 4_000_000_000)
}

/// Media of an item to add. Container and resolution are read from the name.
fn make_media(kind: ItemType, files: Vec<MediaSpec>, sizes: Vec<u64>) -> Vec<Media> {
    let mut sizes = sizes.into_iter();
    files
        .into_iter()
        .map(|spec| {
            let parts = match spec {
                MediaSpec::File(file) => vec![file],
                MediaSpec::Stacked(files) => files,
            };
            let name = parts.first().map_or("", String::as_str);
            let container = name.rsplit_once('.').map_or("", |(_, e)| e).to_lowercase();
            let resolution = match kind {
                ItemType::Track | ItemType::Photo => "",
                _ if name.contains("2160p") => "4k",
                _ if name.contains("720p") => "720",
                _ => "1080",
            };
            Media {
                container: container.into(),
                resolution: resolution.into(),
                analysed: true,
                optimized: None,
                parts: parts
                    .into_iter()
                    .map(|file| Part {
                        size: sizes.next().unwrap_or_else(|| size_of(&file)),
                        file,
                        missing: false,
                    })
                    .collect(),
            }
        })
        .collect()
}
