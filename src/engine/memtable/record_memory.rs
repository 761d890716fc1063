//! What a process keeps in memory of one table of records: the entries of a host's table, or a library's confirmed
//! matches. It is a cache of rows in the database: nothing is lost with it.
//!
//! A hash table of 64-bit slots leads to records in chunks that never change. One thread at a time changes the memory,
//! under a lock; readers take no lock and allocate nothing. A slot has, from its highest bit: a tag from the key's hash
//! (27 bits), whether the record is outdated (1), the number of the record's chunk (22), and its position there in
//! words of four bytes (14). 0 is an empty slot, because chunks are counted from 1. A larger array of slots needs only
//! the tags.
//!
//! A record has a [`RecordHead`], the key, and the payload.
//!
//! All handles of the process share the memories of a database.
//!
//! Handles read newer commits at different times, so two rules keep a memory as new as every snapshot that uses it:
//! - Before a handle's snapshot has a commit, the handle marks in the memory what the commit changed
//!   ([`RecordMemories::follow`]). So the memory has followed at least the commits of each snapshot.
//! - A record is added only if the memory has followed no commit since the record was read ([`RecordMemory::put`]).
//!   Otherwise, the mark of a newer commit would be lost.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use once_cell::race::OnceBox;
use xxhash_rust::xxh3::xxh3_64;

use super::AppendLog;
use crate::engine::record_rows::ChangedRecord;
use crate::error::Result;
use crate::model::{Sequence, TableId};
use crate::platform::files::Inode;
use crate::platform::fork::{self, ForkLock, HeldLock, lock, lock_for_fork};

/// Number of slots in the first array. Each further array has twice as many.
const FIRST_SLOTS: usize = 64;
/// Number of arrays: the largest has as many slots as there are tags.
const SIZES: usize = 22;
/// Number of low bits of a slot that contain a position, a chunk, and whether the record is outdated.
const POSITION_BITS: u32 = 14;
const CHUNK_BITS: u32 = 22;
const OUTDATED: u64 = 1 << (POSITION_BITS + CHUNK_BITS);
const TAG_SHIFT: u32 = POSITION_BITS + CHUNK_BITS + 1;
/// Size of a word, in which positions are counted.
const WORD: usize = 4;
/// Length of a chunk, after which the next record begins a new one.
const CHUNK_BYTES: usize = 1 << 15;
/// Approximate number of bytes that a chunk takes besides its records.
const CHUNK_OVERHEAD: usize = 48;
/// Number of records that a step of loading reads, which takes less than a millisecond.
pub const LOADED_PER_STEP: usize = 512;

/// The length of a key, whether it is stored in another spelling, which is equal if the case of A to Z is ignored, and the
/// length of a payload, if the record has one: encoded with `postcard`.
type RecordHead = (usize, bool, Option<usize>);

/// Maximum size of a memory. With more bytes, the owner renews it, and asks the database from then on.
const MAX_BYTES: usize = if usize::BITS > 32 { 256 << 20 } else { 64 << 20 };
/// Size up to which replaced records do not matter.
const MIN_WASTE: usize = 1 << 20;
/// Number of questions about unknown keys per step of loading: a process that asks only a few never loads.
const QUESTIONS_PER_STEP: u32 = 64;

/// What a memory has for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<'m> {
    /// Only the database knows.
    Unknown,
    /// The table has no such key.
    Absent,
    /// The record as it was when the memory was last filled with it.
    Record(KnownRecord<'m>),
}

/// A record in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownRecord<'m> {
    /// The key, or its spelling from [`NewRecord::spelling`].
    pub key: &'m [u8],
    /// The payload; `None` if the table has no such key.
    pub payload: Option<&'m [u8]>,
    /// Whether no later commit has changed the key.
    pub is_current: bool,
}

/// The last key that was loaded; `None` before the first.
#[derive(PartialEq, Eq)]
pub struct LoadAfter(pub Option<Vec<u8>>);

/// A record to add.
pub struct NewRecord<'r> {
    pub key: &'r [u8],
    pub hash: u64,
    /// Another spelling to store in place of the key, which differs only in the case of the letters A to Z.
    pub spelling: Option<&'r [u8]>,
    /// The payload; `None` if the table has no such key.
    pub payload: Option<Cow<'r, [u8]>>,
}

impl<'r> NewRecord<'r> {
    /// Creates a record whose key is stored as it is.
    pub fn new(key: &'r [u8], payload: Option<impl Into<Cow<'r, [u8]>>>) -> Self {
        Self {
            key,
            hash: xxh3_64(key),
            spelling: None,
            payload: payload.map(Into::into),
        }
    }
}

/// What the memories of a database's tables have in common. Locked only for an instant, while a thread changes memories.
#[derive(Default)]
pub struct Filling {
    /// What each commit up to this one changed is marked in all memories.
    pub followed: Sequence,
    /// The memories that a snapshot uses. A table has several while some snapshots use one that must be renewed.
    pub memories: Vec<(TableId, Weak<RecordMemory>)>,
}

/// What a memory knows of the keys without a record. Only the database knows them.
const PARTIAL: u8 = 0;
/// The table has no such keys.
const COMPLETE: u8 = 1;
/// The memory knows nothing any more, because it has not followed some commit.
const LOST: u8 = 2;

/// The records of one table that a process knows.
pub struct RecordMemory {
    filling: Arc<Mutex<Filling>>,
    arrays: [OnceBox<Vec<AtomicU64>>; SIZES],
    /// Number of arrays; the last one is current.
    array_count: AtomicU32,
    chunks: AppendLog<Box<[u8]>>,
    /// [`PARTIAL`], [`COMPLETE`] or [`LOST`].
    state: AtomicU8,
    /// The change sequence at which the newest record was read.
    newest: AtomicU64,
    /// Whether the memory was renewed because a table is too large, and therefore never loads it.
    never_loads: bool,
    /// Number of outdated records.
    outdated: AtomicU32,
    questions: AtomicU32,
    // The rest is only used with `filling` locked.
    is_loading: AtomicBool,
    chunk_count: AtomicU32,
    used_slots: AtomicUsize,
    bytes: AtomicUsize,
    wasted_bytes: AtomicUsize,
    /// The last key that was loaded; keys are loaded in order. `None` before the first.
    loaded_upto: Mutex<Option<Vec<u8>>>,
}

impl RecordMemory {
    /// Creates an empty memory, without allocating more. `never_loads`: whether the table is too large.
    pub fn new(filling: Arc<Mutex<Filling>>, never_loads: bool) -> Self {
        Self {
            filling,
            arrays: std::array::from_fn(|_| OnceBox::new()),
            array_count: AtomicU32::new(0),
            chunks: AppendLog::new(),
            state: AtomicU8::new(PARTIAL),
            newest: AtomicU64::new(0),
            never_loads,
            outdated: AtomicU32::new(0),
            questions: AtomicU32::new(0),
            is_loading: AtomicBool::new(false),
            chunk_count: AtomicU32::new(0),
            used_slots: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            wasted_bytes: AtomicUsize::new(0),
            loaded_upto: Mutex::default(),
        }
    }

    /// Returns whether a key without a record is not in the table.
    #[inline]
    pub fn is_complete(&self) -> bool {
        self.state.load(Ordering::Acquire) == COMPLETE
    }

    /// Returns the last commit that the memory has followed. What is read from now on may be [put](Self::put) with it.
    pub fn followed(&self) -> Sequence {
        lock(&self.filling).followed
    }

    /// Returns whether every key is known, so that nobody need ask.
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.is_complete() && self.outdated.load(Ordering::Acquire) == 0
    }

    /// Returns the change sequence at which the newest record was read: a snapshot of an earlier sequence must not use it.
    #[inline]
    pub fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// Returns what is known of a key. `hash`: the xxh3 hash of the key.
    #[inline]
    pub fn find(&self, key: &[u8], hash: u64) -> Known<'_> {
        // Read this first: whoever sees a complete memory also sees all of its records.
        let without_record = match self.state.load(Ordering::Acquire) {
            COMPLETE => Known::Absent,
            PARTIAL => Known::Unknown,
            _ => return Known::Unknown,
        };
        let Some(slots) = self.slots() else {
            return without_record;
        };
        for index in probes(hash >> TAG_SHIFT, slots.len()) {
            let slot = slots[index].load(Ordering::Acquire);
            if slot == 0 {
                break;
            }
            if slot >> TAG_SHIFT == hash >> TAG_SHIFT
                && let Some(record) = self.record_at(slot, key)
            {
                return Known::Record(record);
            }
        }
        without_record
    }

    /// Returns whether the database need not be asked about a key.
    pub fn knows(&self, key: &[u8], hash: u64) -> bool {
        match self.find(key, hash) {
            Known::Unknown => false,
            Known::Absent => true,
            Known::Record(record) => record.is_current,
        }
    }

    /// Returns the current array of slots; `None` before the first record.
    #[inline]
    fn slots(&self) -> Option<&[AtomicU64]> {
        let count = self.array_count.load(Ordering::Acquire) as usize;
        Some(self.arrays.get(count.checked_sub(1)?)?.get()?)
    }

    /// Returns the record of a slot if it has this key.
    #[inline]
    fn record_at(&self, slot: u64, key: &[u8]) -> Option<KnownRecord<'_>> {
        let number = (slot >> POSITION_BITS) & ((1 << CHUNK_BITS) - 1);
        let position = (slot & ((1 << POSITION_BITS) - 1)) as usize * WORD;
        let record = self.chunks.get(number as usize)?.get(position..)?;
        let ((key_length, is_spelled, payload_length), rest): (RecordHead, _) =
            postcard::take_from_bytes(record).ok()?;
        let (stored, rest) = rest.split_at_checked(key_length)?;
        let is_equal = stored == key || is_spelled && stored.eq_ignore_ascii_case(key);
        is_equal.then_some(KnownRecord {
            key: stored,
            payload: payload_length.and_then(|length| rest.get(..length)),
            is_current: slot & OUTDATED == 0,
        })
    }

    /// Adds records, or replaces earlier ones. `read_at`: the change sequence at which they were read, or an earlier one. If
    /// the memory has followed a later commit, adds nothing, because that commit may have changed them. Returns whether it has
    /// added them; if there is no room, the database stays to be asked.
    pub fn put<'r>(&self, read_at: Sequence, records: impl IntoIterator<Item = NewRecord<'r>>) -> bool {
        let filling = lock(&self.filling);
        let is_current = filling.followed <= read_at && self.state.load(Ordering::Relaxed) != LOST;
        if is_current {
            self.add(read_at, records);
        }
        is_current
    }

    /// Adds the next records of a step of loading like [`Self::put`]: those after `after` up to the key `last`. `last`:
    /// `None` if there are no more, so that all keys are loaded.
    pub fn load<'r>(
        &self,
        read_at: Sequence,
        after: &LoadAfter,
        records: impl IntoIterator<Item = NewRecord<'r>>,
        last: Option<&[u8]>,
    ) {
        let filling = lock(&self.filling);
        let mut loaded_upto = lock(&self.loaded_upto);
        // Another handle may have loaded them.
        if filling.followed > read_at || *loaded_upto != after.0 || self.state.load(Ordering::Relaxed) != PARTIAL {
            return;
        }
        self.add(read_at, records);
        match last {
            Some(last) => *loaded_upto = Some(last.to_vec()),
            None if self.must_renew() => {}
            None => self.state.store(COMPLETE, Ordering::Release),
        }
    }

    /// Adds records. The caller has locked `filling`, as for all that follow.
    fn add<'r>(&self, read_at: Sequence, records: impl IntoIterator<Item = NewRecord<'r>>) {
        let mut chunk = Vec::new();
        let mut positions = Vec::new();
        self.newest.fetch_max(read_at.0, Ordering::Release);
        for record in records {
            append(&record, &mut chunk, &mut positions);
            if chunk.len() >= CHUNK_BYTES {
                self.publish(&mut chunk, &mut positions, 0);
            }
        }
        self.publish(&mut chunk, &mut positions, 0);
    }

    /// Marks a key as changed by a later commit, so that the database is asked again. Until then, the memory keeps its
    /// record for those who read an earlier snapshot. The caller has locked `filling`.
    pub fn outdate(&self, key: &[u8], hash: u64) {
        if let Some(slot) = self.slot_of(key, hash) {
            if slot.load(Ordering::Relaxed) & OUTDATED == 0 {
                self.outdated.fetch_add(1, Ordering::Release);
                slot.fetch_or(OUTDATED, Ordering::Release);
            }
        } else if self.is_complete() || self.is_loading.load(Ordering::Relaxed) {
            // The key is new, and loading may already have passed it.
            let (mut chunk, mut positions) = (Vec::new(), Vec::new());
            let record = NewRecord {
                key,
                hash,
                spelling: None,
                payload: None,
            };
            self.outdated.fetch_add(1, Ordering::Release);
            append(&record, &mut chunk, &mut positions);
            self.publish(&mut chunk, &mut positions, OUTDATED);
        }
    }

    /// Forgets all, because the memory has not followed some commit. The caller has locked `filling`.
    pub fn lose(&self) {
        self.state.store(LOST, Ordering::Release);
    }

    /// Counts a question that the database had to answer. If the process keeps asking, loads the next records: `read` returns
    /// those after a key, at most [`LOADED_PER_STEP`] keys, if they are as at the change sequence `read_at`. If that fails, a
    /// later question loads them.
    pub fn load_more<T>(
        &self,
        read_at: Sequence,
        read: impl FnOnce(Option<&[u8]>) -> Result<Option<Vec<(Vec<u8>, T)>>>,
        to_record: impl Fn(&(Vec<u8>, T)) -> NewRecord<'_>,
    ) {
        if let Some(after) = self.count_question()
            && let Ok(Some(rows)) = read(after.0.as_deref())
        {
            let last = rows.last().map(|(last, _)| &last[..]);
            self.load(read_at, &after, rows.iter().map(to_record), last);
        }
    }

    /// Counts a question that the database had to answer. Returns after which key some must be loaded now, if any must.
    pub fn count_question(&self) -> Option<LoadAfter> {
        let before = self.questions.fetch_add(1, Ordering::Relaxed);
        let is_due = before > 0 && before.is_multiple_of(questions_per_step());
        if !is_due || self.never_loads || self.state.load(Ordering::Relaxed) != PARTIAL {
            return None;
        }
        let _filling = lock(&self.filling);
        // From now on, a new key gets a record, because loading may have passed it.
        self.is_loading.store(true, Ordering::Relaxed);
        Some(LoadAfter(lock(&self.loaded_upto).clone()))
    }

    /// Returns whether the memory is lost or too large, or half of it has been replaced.
    pub fn must_renew(&self) -> bool {
        let [bytes, wasted] = [&self.bytes, &self.wasted_bytes].map(|count| count.load(Ordering::Relaxed));
        bytes > MAX_BYTES || wasted > bytes / 2 && bytes > MIN_WASTE || self.state.load(Ordering::Relaxed) == LOST
    }

    /// Returns whether the memory that takes the place of this one must not load the table, because it is too large.
    pub fn has_too_large_table(&self) -> bool {
        let [bytes, wasted] = [&self.bytes, &self.wasted_bytes].map(|count| count.load(Ordering::Relaxed));
        self.never_loads || bytes - wasted.min(bytes) > MAX_BYTES / 2
    }

    /// Returns the number of bytes that the memory takes.
    #[cfg(any(test, feature = "testing"))]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Publishes a chunk and the slots of its records, and begins a new one. Stops if there is no room.
    fn publish(&self, chunk: &mut Vec<u8>, positions: &mut Vec<Position>, flags: u64) {
        if chunk.is_empty() {
            return;
        }
        let number = u64::from(self.chunk_count.load(Ordering::Relaxed)) + 1;
        let chunk = std::mem::take(chunk).into_boxed_slice();
        self.bytes.fetch_add(chunk.len() + CHUNK_OVERHEAD, Ordering::Relaxed);
        if number >> CHUNK_BITS != 0 || !self.chunks.set(usize::try_from(number).unwrap_or(usize::MAX), chunk) {
            return self.give_up();
        }
        self.chunk_count.fetch_add(1, Ordering::Relaxed);
        for Position { hash, at, length, key } in positions.drain(..) {
            let slot = hash >> TAG_SHIFT << TAG_SHIFT | flags | number << POSITION_BITS | (at / WORD) as u64;
            if let Some(known) = self.slot_of(&key, hash) {
                let before = known.swap(slot, Ordering::Release);
                if before & OUTDATED != 0 {
                    self.outdated.fetch_sub(1, Ordering::Release);
                }
                self.wasted_bytes.fetch_add(length, Ordering::Relaxed);
            } else if !self.insert(slot) {
                return self.give_up();
            }
        }
    }

    /// Forgets all, because there is no room: the memory counts as too large.
    fn give_up(&self) {
        self.bytes.store(usize::MAX / 2, Ordering::Relaxed);
        self.lose();
    }

    /// Returns the slot of a key; `None` if the key has no record.
    fn slot_of(&self, key: &[u8], hash: u64) -> Option<&AtomicU64> {
        let slots = self.slots()?;
        for index in probes(hash >> TAG_SHIFT, slots.len()) {
            let slot = slots[index].load(Ordering::Relaxed);
            if slot == 0 {
                return None;
            }
            if slot >> TAG_SHIFT == hash >> TAG_SHIFT && self.record_at(slot, key).is_some() {
                return Some(&slots[index]);
            }
        }
        None
    }

    /// Inserts the slot of a new key. Returns `false` if there is no room.
    fn insert(&self, slot: u64) -> bool {
        let used = self.used_slots.load(Ordering::Relaxed) + 1;
        if self.slots().is_none_or(|slots| used > slots.len() / 8 * 7) && !self.grow() {
            return false;
        }
        let Some(slots) = self.slots() else { return false };
        self.used_slots.store(used, Ordering::Relaxed);
        insert_in(slots, slot)
    }

    /// Copies the slots to an array of twice the size. Returns `false` if there is no room.
    fn grow(&self) -> bool {
        let count = self.array_count.load(Ordering::Relaxed);
        let length = FIRST_SLOTS << count;
        let mut slots: Vec<AtomicU64> = Vec::new();
        if count as usize >= SIZES || slots.try_reserve_exact(length).is_err() {
            return false;
        }
        slots.resize_with(length, AtomicU64::default);
        for slot in self.slots().unwrap_or_default() {
            let slot = slot.load(Ordering::Relaxed);
            if slot != 0 {
                insert_in(&slots, slot);
            }
        }
        self.bytes.fetch_add(length * size_of::<u64>(), Ordering::Relaxed);
        if self.arrays[count as usize].set(Box::new(slots)).is_err() {
            return false;
        }
        self.array_count.store(count + 1, Ordering::Release);
        true
    }
}

/// Appends a record to an unpublished chunk.
fn append(record: &NewRecord<'_>, chunk: &mut Vec<u8>, positions: &mut Vec<Position>) {
    let key = record.spelling.unwrap_or(record.key);
    let at = chunk.len();
    let head: RecordHead = (
        key.len(),
        record.spelling.is_some(),
        record.payload.as_ref().map(|payload| payload.len()),
    );
    if let Ok(with_head) = postcard::to_extend(&head, std::mem::take(chunk)) {
        *chunk = with_head; // no number is too large
    }
    chunk.extend_from_slice(key);
    chunk.extend_from_slice(record.payload.as_deref().unwrap_or_default());
    positions.push(Position {
        hash: record.hash,
        at,
        length: chunk.len() - at,
        key: record.key.to_vec(),
    });
    chunk.resize(chunk.len().next_multiple_of(WORD), 0);
}

/// A record in an unpublished chunk.
struct Position {
    hash: u64,
    at: usize,
    length: usize,
    key: Vec<u8>,
}

/// Stores a slot in the first empty place for its tag. Returns `false` if there is none.
fn insert_in(slots: &[AtomicU64], slot: u64) -> bool {
    let mut empty = probes(slot >> TAG_SHIFT, slots.len()).filter(|index| slots[*index].load(Ordering::Relaxed) == 0);
    empty
        .next()
        .map(|index| slots[index].store(slot, Ordering::Release))
        .is_some()
}

/// Iterates over the places for a tag in an array of this length.
#[inline]
fn probes(tag: u64, length: usize) -> impl Iterator<Item = usize> {
    let first = usize::try_from(tag).unwrap_or(0);
    (0..length).map(move |step| (first + step) & (length - 1))
}

/// Returns the number of questions per step of loading. Tests load at once, or never (`PLEXINDEX_TEST_MEMORY`).
fn questions_per_step() -> u32 {
    #[cfg(feature = "testing")]
    {
        static TESTED: once_cell::sync::Lazy<u32> =
            once_cell::sync::Lazy::new(|| match std::env::var("PLEXINDEX_TEST_MEMORY").as_deref() {
                Ok("early") => 1,
                Ok("never") => u32::MAX,
                _ => QUESTIONS_PER_STEP,
            });
        *TESTED
    }
    #[cfg(not(feature = "testing"))]
    QUESTIONS_PER_STEP
}

/// The memories of the databases that this process has open. Locked only for an instant, as are the memories.
static OPEN: Mutex<OpenMemories> = Mutex::new(Vec::new());

type OpenMemories = Vec<(DatabaseKey, Weak<StoreMemories>)>;

/// A database: its id and its file. A copy of a database has the same id.
pub type DatabaseKey = (u64, Inode);

/// The memories of a database.
#[derive(Default)]
pub struct StoreMemories {
    pub matches: RecordMemories,
    pub entries: RecordMemories,
}

impl StoreMemories {
    /// Returns the memories of a database, which all handles of this process share; without a `database`, new ones.
    pub fn of(database: Option<DatabaseKey>) -> Arc<Self> {
        let Some(key) = database else { return Arc::default() };
        fork::register_last_lock(lock_all);
        let mut open = lock(&OPEN);
        if let Some(known) = open
            .iter()
            .find(|(of, _)| *of == key)
            .and_then(|(_, known)| known.upgrade())
        {
            return known;
        }
        let memories = Arc::default();
        open.retain(|(_, known)| known.strong_count() > 0);
        open.push((key, Arc::downgrade(&memories)));
        memories
    }
}

impl Drop for StoreMemories {
    /// Unregisters the memories.
    fn drop(&mut self) {
        let mut open = lock(&OPEN);
        open.retain(|(_, known)| known.strong_count() > 0);
        if open.is_empty() {
            *open = Vec::new(); // an unloaded library must leave no memory behind
        }
    }
}

/// The memories of all databases, locked during a fork, so that the child inherits no lock of another thread.
struct AllLocked {
    // Unlocked first, because dropping the last user of memories locks it.
    _open: MutexGuard<'static, OpenMemories>,
    _memories: Vec<HeldLock<Mutex<Filling>, Filling>>,
    _owners: Vec<Arc<StoreMemories>>,
}

impl ForkLock for AllLocked {}

/// Locks all memories before a fork. Whoever holds such a lock waits for no other.
fn lock_all() -> Box<dyn ForkLock> {
    let open = lock(&OPEN);
    let owners: Vec<Arc<StoreMemories>> = open.iter().filter_map(|(_, known)| known.upgrade()).collect();
    let both = owners.iter().flat_map(|owner| [&owner.matches, &owner.entries]);
    Box::new(AllLocked {
        _memories: both
            .map(|memories| lock_for_fork(&memories.filling, |filling| filling))
            .collect(),
        _owners: owners,
        _open: open,
    })
}

/// The memories of the tables of one kind.
#[derive(Default)]
pub struct RecordMemories {
    filling: Arc<Mutex<Filling>>,
}

/// Returns the memories of a table, oldest first.
fn of_table(filling: &Filling, table: TableId) -> impl DoubleEndedIterator<Item = Arc<RecordMemory>> {
    let of_table = filling.memories.iter().filter(move |(of, _)| *of == table);
    of_table.filter_map(|(_, memory)| memory.upgrade())
}

impl RecordMemories {
    /// Returns the last commit that the memories have followed, and whether there is any memory.
    pub fn held(&self) -> (Sequence, bool) {
        let filling = lock(&self.filling);
        let is_alive = |(_, memory): &(TableId, Weak<RecordMemory>)| memory.strong_count() > 0;
        (filling.followed, filling.memories.iter().any(is_alive))
    }

    /// Marks what commits changed: `changed`, all changes after `since` and up to `upto`, or `None` if they cannot be told.
    /// The memories then start anew, unless they have followed these commits. Call this before a snapshot contains the commits.
    pub fn follow(&self, since: Sequence, upto: Sequence, changed: Option<&[ChangedRecord]>) {
        let mut filling = lock(&self.filling);
        // After `upto`, there may be other commits than those that were followed: the database was restored.
        let is_older = upto < since;
        match changed {
            Some(changed) if since <= filling.followed && !is_older => {
                for change in changed.iter().filter(|change| change.sequence > filling.followed) {
                    for memory in of_table(&filling, change.table) {
                        memory.outdate(&change.key, xxh3_64(&change.key));
                    }
                }
            }
            _ if upto <= filling.followed && !is_older => {}
            _ => {
                let lost = std::mem::take(&mut filling.memories);
                lost.iter()
                    .filter_map(|(_, memory)| memory.upgrade())
                    .for_each(|memory| memory.lose());
            }
        }
        filling.followed = if is_older { upto } else { upto.max(filling.followed) };
    }

    /// Returns the memory of a table for a new snapshot, whose commits the memories have followed.
    pub fn memory(&self, table: TableId) -> Arc<RecordMemory> {
        let mut filling = lock(&self.filling);
        let newest = of_table(&filling, table).next_back();
        let never_loads = match newest {
            Some(memory) if !memory.must_renew() => return memory,
            Some(full) => full.has_too_large_table(),
            None => false,
        };
        let memory = Arc::new(RecordMemory::new(Arc::clone(&self.filling), never_loads));
        filling.memories.retain(|(_, memory)| memory.strong_count() > 0);
        filling.memories.push((table, Arc::downgrade(&memory)));
        memory
    }
}

#[cfg(test)]
#[path = "record_memory_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "record_memories_tests.rs"]
mod memories_tests;
