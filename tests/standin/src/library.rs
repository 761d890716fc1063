//! A library: its rows in the order of their rating keys, and values derived from them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use crate::generate::Generator;
use crate::listing::Order;
use crate::lock;
use crate::model::{Item, ItemType, LibraryKind};

/// One row: an index of the generator, or an item of its own.
#[derive(Clone, Debug)]
pub(crate) enum Row {
    Gen(u32),
    Own(Box<Item>),
}

type Children = HashMap<u64, Vec<(ItemType, u32)>>;

#[derive(Default)]
struct Derived {
    version: u64,
    orders: HashMap<(ItemType, Order), Arc<Vec<u32>>>,
    children: Option<Arc<Children>>,
}

/// A folder of a library.
#[derive(Clone, Debug, PartialEq)]
pub struct Location {
    /// `Location.id`.
    pub id: u32,
    /// The path as the server sees it.
    pub path: String,
}

/// A library (a Plex section) and its items.
pub struct Library {
    /// The section id.
    pub key: u32,
    /// Its uuid.
    pub uuid: String,
    /// Its kind.
    pub kind: LibraryKind,
    /// Its title.
    pub title: String,
    /// Its folders.
    pub locations: Vec<Location>,
    /// When it was made, epoch seconds.
    pub created_at: i64,
    /// The last scan, epoch seconds.
    pub scanned_at: i64,
    /// Whether a scan runs.
    pub refreshing: bool,
    /// `contentChangedAt` (Plex API notes §2: a counter): rises by one for each row added, removed or given other
    /// files.
    pub content: u64,
    /// `contentChangedAt` stays as it is.
    pub is_content_frozen: bool,
    pub(crate) generator: Generator,
    /// The rows of each type, ascending by rating key.
    pub(crate) tables: BTreeMap<ItemType, Vec<Row>>,
    pub(crate) version: u64,
    derived: Mutex<Derived>,
}

impl Library {
    pub(crate) fn new(key: u32, uuid: String, generator: Generator, locations: Vec<Location>, now: i64) -> Self {
        let spec = generator.spec();
        let rows = |kind: &ItemType| (*kind, (0..generator.count(*kind)).map(Row::Gen).collect());
        Library {
            key,
            uuid,
            kind: spec.kind,
            title: spec.title.clone(),
            locations,
            created_at: now - 5_000_000,
            scanned_at: now - 3_600,
            refreshing: false,
            content: u64::from(spec.items),
            is_content_frozen: false,
            tables: spec.kind.types().iter().map(rows).collect(),
            generator,
            version: 1,
            derived: Mutex::default(),
        }
    }

    /// How many items of a type it has.
    pub fn count(&self, kind: ItemType) -> usize {
        self.tables.get(&kind).map_or(0, Vec::len)
    }

    fn row_key(&self, kind: ItemType, row: &Row) -> u64 {
        match row {
            Row::Gen(i) => self.generator.key(kind, *i),
            Row::Own(item) => item.key,
        }
    }

    pub(crate) fn row(&self, kind: ItemType, at: u32) -> &Row {
        &self.tables[&kind][at as usize]
    }

    pub(crate) fn key_at(&self, kind: ItemType, at: u32) -> u64 {
        self.row_key(kind, self.row(kind, at))
    }

    pub(crate) fn title_at(&self, kind: ItemType, at: u32) -> Cow<'_, str> {
        match self.row(kind, at) {
            Row::Gen(i) => Cow::Owned(self.generator.title(kind, *i)),
            Row::Own(item) => Cow::Borrowed(&item.title),
        }
    }

    pub(crate) fn sort_title_at(&self, kind: ItemType, at: u32) -> String {
        let title = self.title_at(kind, at).to_lowercase();
        title.strip_prefix("the ").map_or_else(|| title.clone(), str::to_owned)
    }

    /// Whether any of the row's paths satisfies a condition.
    pub(crate) fn any_file(&self, kind: ItemType, at: u32, mut wanted: impl FnMut(&str) -> bool) -> bool {
        match self.row(kind, at) {
            Row::Gen(i) => self.generator.paths(*i).iter().flatten().any(|p| wanted(p)),
            Row::Own(item) => item.files().any(wanted),
        }
    }

    pub(crate) fn first_path(&self, kind: ItemType, at: u32) -> Option<String> {
        match self.row(kind, at) {
            Row::Gen(i) if kind.is_leaf() => self.generator.path(*i),
            Row::Gen(_) => None,
            Row::Own(item) => item.files().next().map(str::to_owned),
        }
    }

    pub(crate) fn item_at(&self, kind: ItemType, at: u32) -> Cow<'_, Item> {
        match self.row(kind, at) {
            Row::Gen(i) => Cow::Owned(self.generator.item(kind, *i)),
            Row::Own(item) => Cow::Borrowed(item),
        }
    }

    pub(crate) fn parent_at(&self, kind: ItemType, at: u32) -> Option<u64> {
        match self.row(kind, at) {
            Row::Gen(i) => self.generator.parent_key(kind, *i),
            Row::Own(item) => item.parent.as_ref().map(|l| l.key),
        }
    }

    /// Where an item is.
    pub(crate) fn find(&self, key: u64) -> Option<(ItemType, u32)> {
        self.tables.iter().find_map(|(kind, table)| {
            let found = table.binary_search_by_key(&key, |row| self.row_key(*kind, row));
            found.ok().map(|at| (*kind, at as u32))
        })
    }

    /// An item.
    pub fn get(&self, key: u64) -> Option<Cow<'_, Item>> {
        self.find(key).map(|(kind, at)| self.item_at(kind, at))
    }

    /// The item, as one of its own, to change it. Bumps the version.
    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut Item> {
        let (kind, at) = self.find(key)?;
        if let Row::Gen(_) = self.row(kind, at) {
            let item = self.item_at(kind, at).into_owned();
            self.tables.get_mut(&kind)?[at as usize] = Row::Own(Box::new(item));
        }
        self.version += 1;
        match &mut self.tables.get_mut(&kind)?[at as usize] {
            Row::Own(item) => Some(item),
            Row::Gen(_) => None,
        }
    }

    /// Inserts an item; `false` when its key is taken here.
    pub(crate) fn insert(&mut self, item: Item) -> bool {
        let kind = item.kind;
        let key = item.key;
        if self.find(key).is_some() {
            return false;
        }
        let mut rows = std::mem::take(self.tables.entry(kind).or_default());
        let at = rows.partition_point(|row| self.row_key(kind, row) < key);
        rows.insert(at, Row::Own(Box::new(item)));
        *self.tables.entry(kind).or_default() = rows;
        self.version += 1;
        true
    }

    /// Removes an item without children, and containers that become empty. Returns the removed keys.
    pub(crate) fn remove(&mut self, key: u64) -> Vec<u64> {
        let Some((kind, at)) = self.find(key) else {
            return Vec::new();
        };
        let parent = self.parent_at(kind, at);
        let mut removed = vec![key];
        if let Some(table) = self.tables.get_mut(&kind) {
            table.remove(at as usize);
        }
        self.version += 1;
        if let Some(parent) = parent
            && self.find(parent).is_some()
            && self.child_keys(parent).is_empty()
        {
            removed.extend(self.remove(parent));
        }
        removed
    }

    fn child_keys(&self, key: u64) -> Vec<u64> {
        let children = self.children();
        let rows = children.get(&key).into_iter().flatten();
        rows.map(|(kind, at)| self.key_at(*kind, *at)).collect()
    }

    fn derived(&self) -> std::sync::MutexGuard<'_, Derived> {
        let mut derived = lock(&self.derived);
        if derived.version != self.version {
            *derived = Derived {
                version: self.version,
                ..Derived::default()
            };
        }
        derived
    }

    /// The rows below each container, by the container's rating key, in row order.
    pub(crate) fn children(&self) -> Arc<Children> {
        let mut derived = self.derived();
        derived
            .children
            .get_or_insert_with(|| {
                let mut map = Children::new();
                for (kind, table) in &self.tables {
                    for at in 0..table.len() as u32 {
                        if let Some(parent) = self.parent_at(*kind, at) {
                            map.entry(parent).or_default().push((*kind, at));
                        }
                    }
                }
                Arc::new(map)
            })
            .clone()
    }

    /// The leaves below a container, by season and number.
    pub(crate) fn leaves_below(&self, key: u64) -> Vec<(ItemType, u32)> {
        let children = self.children();
        let mut leaves = Vec::new();
        for (kind, at) in children.get(&key).into_iter().flatten() {
            if kind.is_leaf() {
                leaves.push((*kind, *at));
            } else {
                let below = self.key_at(*kind, *at);
                leaves.extend(children.get(&below).into_iter().flatten().copied());
            }
        }
        leaves
    }

    /// The rows of a type in an order; computed once for each version of the library.
    pub(crate) fn order(&self, kind: ItemType, order: Order, make: impl FnOnce(&Self) -> Vec<u32>) -> Arc<Vec<u32>> {
        if let Some(rows) = self.derived().orders.get(&(kind, order)) {
            return rows.clone();
        }
        // Made without the lock: a million titles take a second.
        let rows = Arc::new(make(self));
        self.derived().orders.insert((kind, order), rows.clone());
        rows
    }

    /// Counts a change of the content.
    pub(crate) fn count_change(&mut self, rows: u64) {
        self.content += rows * u64::from(!self.is_content_frozen);
    }
}
