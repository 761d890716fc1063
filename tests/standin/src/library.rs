//! A library: its rows in the order of their rating keys, and values derived from them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use crate::generate::Generator;
use crate::lock;
use crate::model::{Item, ItemType, LibraryKind};
use crate::spec::ItemSpec;

/// How a library's `contentChangedAt` behaves (Plex API notes §2: a counter, often useless).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContentClock {
    /// Rises by one for each row added, removed or given other files.
    Normal,
    /// Stays at its value.
    Frozen,
}

/// One row: an index of the generator, or an item of its own.
#[derive(Clone, Debug)]
pub(crate) enum Row {
    Gen(u32),
    Own(Box<Item>),
}

/// The rows of one type, ascending by rating key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub rows: Vec<Row>,
}

type Children = HashMap<u64, Vec<(ItemType, u32)>>;

#[derive(Default)]
struct Derived {
    version: u64,
    orders: HashMap<(ItemType, String), Arc<Vec<u32>>>,
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
    /// How `contentChangedAt` moves.
    pub content_clock: ContentClock,
    /// The true counter of changes.
    pub content: u64,
    pub(crate) generator: Option<Generator>,
    pub(crate) tables: BTreeMap<ItemType, Table>,
    pub(crate) version: u64,
    pub(crate) staged: Vec<ItemSpec>,
    /// A container was edited: links of generated rows are looked up.
    pub(crate) relink: bool,
    derived: Mutex<Derived>,
}

impl Library {
    pub(crate) fn empty(key: u32, kind: LibraryKind, title: String, uuid: String) -> Self {
        Library {
            key,
            uuid,
            kind,
            title,
            locations: Vec::new(),
            created_at: 0,
            scanned_at: 0,
            refreshing: false,
            content_clock: ContentClock::Normal,
            content: 0,
            generator: None,
            tables: kind.types().iter().map(|t| (*t, Table::default())).collect(),
            version: 1,
            staged: Vec::new(),
            relink: false,
            derived: Mutex::default(),
        }
    }

    pub(crate) fn generated(key: u32, uuid: String, generator: Generator) -> Self {
        let spec = generator.spec();
        let mut library = Library::empty(key, spec.kind, spec.title.clone(), uuid);
        for (kind, table) in &mut library.tables {
            table.rows = generator.indexes(*kind).map(Row::Gen).collect();
        }
        library.content = u64::from(spec.items);
        library.generator = Some(generator);
        library
    }

    /// How many items of a type it has.
    pub fn count(&self, kind: ItemType) -> usize {
        self.tables.get(&kind).map_or(0, |t| t.rows.len())
    }

    /// How many items with files it has.
    pub fn leaves(&self) -> usize {
        self.kind
            .types()
            .iter()
            .filter(|t| t.is_leaf())
            .map(|t| self.count(*t))
            .sum()
    }

    /// The spec that made it.
    pub fn generator(&self) -> Option<&Generator> {
        self.generator.as_ref()
    }

    fn source(&self) -> &Generator {
        // Rows of the kind Gen exist only in libraries that were made by one.
        self.generator.as_ref().expect("a generated row has a generator")
    }

    fn row_key(&self, kind: ItemType, row: &Row) -> u64 {
        match row {
            Row::Gen(i) => self.source().key(kind, *i),
            Row::Own(item) => item.key,
        }
    }

    pub(crate) fn row(&self, kind: ItemType, at: u32) -> &Row {
        &self.tables[&kind].rows[at as usize]
    }

    pub(crate) fn key_at(&self, kind: ItemType, at: u32) -> u64 {
        self.row_key(kind, self.row(kind, at))
    }

    pub(crate) fn title_at(&self, kind: ItemType, at: u32) -> Cow<'_, str> {
        match self.row(kind, at) {
            Row::Gen(i) => Cow::Owned(self.source().title(kind, *i)),
            Row::Own(item) => Cow::Borrowed(&item.title),
        }
    }

    pub(crate) fn sort_title_at(&self, kind: ItemType, at: u32) -> String {
        match self.row(kind, at) {
            Row::Gen(i) => {
                let title = self.source().title(kind, *i);
                if kind == ItemType::Movie
                    && let Some(rest) = title.strip_prefix("The ")
                {
                    return rest.to_lowercase();
                }
                title.to_lowercase()
            }
            Row::Own(item) => item.sort_title().to_lowercase(),
        }
    }

    pub(crate) fn guid_at(&self, kind: ItemType, at: u32) -> Cow<'_, str> {
        match self.row(kind, at) {
            Row::Gen(i) => Cow::Owned(self.source().guid(kind, *i)),
            Row::Own(item) => Cow::Borrowed(&item.guid),
        }
    }

    pub(crate) fn added_at(&self, kind: ItemType, at: u32) -> i64 {
        match self.row(kind, at) {
            Row::Gen(i) => self.source().added_at(*i),
            Row::Own(item) => item.added_at,
        }
    }

    /// Whether any of the row's paths satisfies a condition.
    pub(crate) fn any_file(&self, kind: ItemType, at: u32, mut wanted: impl FnMut(&str) -> bool) -> bool {
        match self.row(kind, at) {
            Row::Gen(i) => self.source().paths(*i).iter().flatten().any(|p| wanted(p)),
            Row::Own(item) => item.files().any(wanted),
        }
    }

    pub(crate) fn first_path(&self, kind: ItemType, at: u32) -> Option<String> {
        match self.row(kind, at) {
            Row::Gen(i) if kind.is_leaf() => self.source().path(*i),
            Row::Gen(_) => None,
            Row::Own(item) => item.files().next().map(str::to_owned),
        }
    }

    pub(crate) fn item_at(&self, kind: ItemType, at: u32) -> Cow<'_, Item> {
        match self.row(kind, at) {
            Row::Gen(i) => {
                let mut item = self.source().item(kind, *i);
                if self.relink {
                    for link in [&mut item.parent, &mut item.grandparent].into_iter().flatten() {
                        if let Some(found) = self.get(link.key) {
                            link.title.clone_from(&found.title);
                        }
                    }
                }
                Cow::Owned(item)
            }
            Row::Own(item) => Cow::Borrowed(item),
        }
    }

    pub(crate) fn parent_at(&self, kind: ItemType, at: u32) -> Option<u64> {
        match self.row(kind, at) {
            Row::Gen(i) => self.source().parent_key(kind, *i),
            Row::Own(item) => item.parent.as_ref().map(|l| l.key),
        }
    }

    /// Where an item is.
    pub(crate) fn find(&self, key: u64) -> Option<(ItemType, u32)> {
        self.tables.iter().find_map(|(kind, table)| {
            table
                .rows
                .binary_search_by_key(&key, |row| self.row_key(*kind, row))
                .ok()
                .map(|at| (*kind, at as u32))
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
            self.tables.get_mut(&kind)?.rows[at as usize] = Row::Own(Box::new(item));
        }
        self.version += 1;
        match &mut self.tables.get_mut(&kind)?.rows[at as usize] {
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
        let mut rows = std::mem::take(&mut self.tables.entry(kind).or_default().rows);
        let at = rows.partition_point(|row| self.row_key(kind, row) < key);
        rows.insert(at, Row::Own(Box::new(item)));
        self.tables.entry(kind).or_default().rows = rows;
        self.version += 1;
        true
    }

    /// Removes an item, its children, and containers that become empty. Returns the removed keys.
    pub(crate) fn remove(&mut self, key: u64) -> Vec<u64> {
        let Some((kind, at)) = self.find(key) else {
            return Vec::new();
        };
        let parent = self.parent_at(kind, at);
        let mut removed = vec![key];
        let children: Vec<u64> = if kind.is_leaf() {
            Vec::new()
        } else {
            self.child_keys(key)
        };
        if let Some(table) = self.tables.get_mut(&kind) {
            table.rows.remove(at as usize);
        }
        self.version += 1;
        for child in children {
            removed.extend(self.remove(child));
        }
        if let Some(parent) = parent
            && self.find(parent).is_some()
            && self.child_keys(parent).is_empty()
        {
            removed.extend(self.remove(parent));
        }
        removed
    }

    fn child_keys(&self, key: u64) -> Vec<u64> {
        self.children()
            .get(&key)
            .map(|rows| rows.iter().map(|(k, at)| self.key_at(*k, *at)).collect())
            .unwrap_or_default()
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
                    for at in 0..table.rows.len() as u32 {
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
    pub(crate) fn order(&self, kind: ItemType, name: &str, make: impl FnOnce(&Self) -> Vec<u32>) -> Arc<Vec<u32>> {
        let id = (kind, name.to_owned());
        if let Some(order) = self.derived().orders.get(&id) {
            return order.clone();
        }
        // Made without the lock: a million titles take a second.
        let order = Arc::new(make(self));
        self.derived().orders.insert(id, order.clone());
        order
    }

    /// Counts a change of the content.
    pub(crate) fn count_change(&mut self, rows: u64) {
        if self.content_clock != ContentClock::Frozen {
            self.content += rows;
        }
    }

    /// Something that listings show has changed.
    pub(crate) fn bump(&mut self) {
        self.version += 1;
    }
}
