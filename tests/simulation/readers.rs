//! Readers of the feed: each applies what it is told to what it has, a few pages now and then, by any handle of its user, and
//! keeps its token and what it has from time to time. After a kill it goes on from there. At the end it has what is listed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::index::{ChangeKind, Changes};
use plexindex::Item;

use super::*;

/// Readers of all users.
const READERS: usize = 4;

/// Where a reader is, and what it has.
#[derive(Clone, Default)]
struct Place {
    /// Empty: it begins with a full listing.
    token: String,
    /// By section and rating key.
    items: BTreeMap<String, BTreeMap<String, Item>>,
    /// The same for one who keeps the items of each file: by section, then path and rating key.
    files: BTreeMap<String, BTreeMap<(String, String), Item>>,
    /// Titles of libraries to be listed again, by section.
    again: BTreeMap<String, String>,
}

pub struct Reader {
    who: Who,
    now: Place,
    kept: Place,
}

/// What an item says wherever it stands.
fn shown(mut item: Item) -> Item {
    (item.path, item.section, item.library_title) = (None, None, None);
    item
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl Place {
    fn apply(&mut self, page: Changes) {
        for change in page.changes {
            let (title, section) = (change.library_title, change.section);
            let path = change.path.as_deref().map(text).unwrap_or_default();
            let from = change.from.as_deref().map(text).unwrap_or_default();
            let item = change.item.map(shown);
            let items = self.items.entry(section.clone()).or_default();
            let files = self.files.entry(section.clone()).or_default();
            match &item {
                None => files.clear(),
                Some(item) => {
                    let before = change.from_key.as_ref().unwrap_or(&item.rating_key);
                    files.remove(&(from, before.clone()));
                    files.remove(&(path.clone(), before.clone()));
                    if change.kind != ChangeKind::Removed && !path.is_empty() {
                        files.insert((path, item.rating_key.clone()), item.clone());
                    }
                }
            }
            if let Some(key) = change.from_key {
                items.remove(&key);
            }
            match (change.kind, item) {
                (ChangeKind::Removed, Some(item)) => {
                    items.remove(&item.rating_key);
                }
                (_, Some(item)) => {
                    items.insert(item.rating_key.clone(), item);
                }
                (_, None) => {
                    items.clear();
                    self.again.insert(section, title);
                }
            }
        }
        self.token = page.cursor;
    }
}

pub fn readers() -> Vec<Reader> {
    (0..READERS)
        .map(|number| Reader {
            who: Who {
                url: 0,
                user: number / 2,
            },
            now: Place::default(),
            kept: Place::default(),
        })
        .collect()
}

/// Nothing was fetched, perhaps because the server refused the token. What is stored is given whatever the token.
fn has_nothing(error: &Error) -> bool {
    let is_refused = || error.status == Status::Unauthorized && error.to_string().starts_with("the store is empty");
    error.status == Status::NotFetched || is_refused()
}

impl World {
    /// The processes were killed: what readers have learned since they kept it is lost.
    pub(super) fn readers_killed(&mut self) {
        for reader in &mut self.readers {
            reader.now = reader.kept.clone();
        }
    }

    /// A reader reads some pages, and may keep what it has.
    pub(super) fn read_on(&mut self) -> Result<(), String> {
        let which = self.word(3, READERS);
        let Some(at) = self.handle_for(which) else {
            return Ok(());
        };
        for _ in 0..self.word(5, 4) {
            if !self.read_page(which, at, 1 + self.word(3, 6))? {
                break;
            }
        }
        if self.word(5, 3) == 0 {
            let reader = &mut self.readers[which];
            reader.kept = reader.now.clone();
        }
        Ok(())
    }

    fn handle_for(&self, which: usize) -> Option<usize> {
        let who = self.readers[which].who;
        let of_its = (0..self.handles.len()).filter(|at| self.handles[*at].who == who);
        let of_its: Vec<usize> = of_its.collect();
        (!of_its.is_empty()).then(|| of_its[self.word(4, of_its.len())])
    }

    /// Gives whether there is more.
    fn read_page(&mut self, which: usize, at: usize, limit: usize) -> Result<bool, String> {
        let token = self.readers[which].now.token.clone();
        let page = self.handles[at]
            .index
            .query()
            .offline()
            .changes_page(&token, token.is_empty(), limit);
        match page {
            Ok(page) => {
                if page.more && page.cursor == token {
                    return Err(format!("the feed goes nowhere from {token}"));
                }
                self.say(&format!("reader {which} hears of {} changes", page.changes.len()));
                *self
                    .counts
                    .entry("changes that readers heard of".to_owned())
                    .or_default() += page.changes.len() as u64;
                let more = page.more;
                self.readers[which].now.apply(page);
                Ok(more)
            }
            Err(error) if error.status == Status::ListAgain => {
                self.say(&format!("reader {which} has to list again"));
                self.count("readers that begin anew");
                self.readers[which].now = Place::default();
                Ok(true)
            }
            Err(error) if has_nothing(&error) => Ok(false),
            Err(error) if self.full.is_some() && is_of_the_disk(error.status) => Ok(false),
            Err(error) => Err(format!("the feed from '{token}': {:?}: {error}", error.status)),
        }
    }

    /// The items of a library as they are listed; `None` where it was never fetched, or went.
    fn listed(&self, at: usize, title: &str) -> Result<Option<BTreeMap<String, Item>>, String> {
        let library = self.handle_of(at, Some(title))?.expect("named");
        let mut items = BTreeMap::new();
        let mut cursor = 0;
        loop {
            let (page, last) = match library.page(cursor, 5) {
                Err(error) if error.status == Status::NotFetched => return Ok(None),
                Err(error) if self.full.is_some() && is_of_the_disk(error.status) => return Ok(None),
                page => page.map_err(|error| format!("the items of {title}: {:?}: {error}", error.status))?,
            };
            let Some(last) = last else {
                return Ok(Some(items));
            };
            cursor = last;
            items.extend(page.into_iter().map(|item| (item.rating_key.clone(), shown(item))));
        }
    }

    /// Each reader reads to the end, and has what is listed.
    pub(super) fn readers_have_all(&mut self) -> Result<(), String> {
        for which in 0..READERS {
            let Some(at) = self.handle_for(which) else {
                continue;
            };
            let mut pages = 0;
            // The end of a full listing is where the changes since begin.
            let mut ends = 0;
            while ends < 2 {
                ends += usize::from(!self.read_page(which, at, 1 + pages % 7)?);
                pages += 1;
                if pages > 10_000 {
                    return Err("the feed does not end".to_owned());
                }
            }
            let known: BTreeSet<(String, String)> = self.known(at)?;
            'again: for (section, title) in std::mem::take(&mut self.readers[which].now.again) {
                let (mut anew, mut is_lost) = (Place::default(), false);
                let library = self.handle_of(at, Some(&title))?;
                loop {
                    let full = anew.token.is_empty();
                    let query = self.handles[at].asks(library.as_ref(), None, true);
                    let page = query.changes_page(&anew.token, full, 3);
                    drop(query);
                    match page {
                        // It went, or this is an empty folder in the place of one that comes back: it is still to be listed.
                        Err(error) if has_nothing(&error) || self.full.is_some() && is_of_the_disk(error.status) => {
                            self.readers[which].now.again.insert(section, title);
                            continue 'again;
                        }
                        // This call found its segment to be lost: the next one says so, or has another one.
                        Err(error) if error.status == Status::ListAgain && !is_lost => {
                            (is_lost, anew) = (true, Place::default());
                        }
                        Err(error) => return Err(format!("{title} anew: {:?}: {error}", error.status)),
                        Ok(page) => {
                            let more = page.more;
                            anew.apply(page);
                            if !more {
                                break;
                            }
                        }
                    }
                }
                let items = anew.items.remove(&section).unwrap_or_default();
                let files = anew.files.remove(&section).unwrap_or_default();
                self.readers[which].now.items.insert(section.clone(), items);
                self.readers[which].now.files.insert(section, files);
            }
            for (title, section) in known {
                let Some(listed) = self.listed(at, &title)? else {
                    continue;
                };
                self.count("listings that readers have");
                let has = self.readers[which].now.items.get(&section).cloned().unwrap_or_default();
                if has != listed {
                    let differs = |one: &BTreeMap<String, Item>, other: &BTreeMap<String, Item>| {
                        let rows = one.iter().filter(|(key, item)| other.get(*key) != Some(item));
                        rows.map(|(key, item)| format!("{key} {:?}", item.paths))
                            .collect::<Vec<_>>()
                    };
                    return Err(format!(
                        "reader {which} of '{title}', by handle {}: it has {:?}, and listed is {:?}",
                        self.handles[at].number,
                        differs(&has, &listed),
                        differs(&listed, &has)
                    ));
                }
                let of_each = |item: &Item| {
                    let key = item.rating_key.clone();
                    let file = |path: &PathBuf| ((text(path), key.clone()), item.clone());
                    item.paths.iter().flatten().map(file).collect::<Vec<_>>()
                };
                let listed: BTreeMap<(String, String), Item> = listed.values().flat_map(of_each).collect();
                let has = self.readers[which].now.files.get(&section).cloned().unwrap_or_default();
                if has != listed {
                    let paths = |files: &BTreeMap<(String, String), Item>| files.keys().cloned().collect::<Vec<_>>();
                    return Err(format!(
                        "reader {which} of '{title}', by handle {}: it has the files {:?}, and listed are {:?}",
                        self.handles[at].number,
                        paths(&has),
                        paths(&listed)
                    ));
                }
            }
        }
        Ok(())
    }

    /// Title and section of the libraries that a handle knows.
    fn known(&self, at: usize) -> Result<BTreeSet<(String, String)>, String> {
        match self.handles[at].index.query().offline().libraries() {
            Ok(rows) => Ok(rows.into_iter().map(|row| (row.title, row.section)).collect()),
            Err(_) => Ok(BTreeSet::new()), // none was ever fetched
        }
    }
}
