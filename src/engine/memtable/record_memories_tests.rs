use super::*;
use crate::engine::memtable::{Known, LoadAfter, NewRecord};

const TABLE: TableId = TableId(1);
const KEY: &[u8] = b"key";

/// What a handle does under its lock, in steps between which other handles and processes may do anything.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Another process commits. Each commit changes the key; the first one creates it.
    Commit,
    /// Reads newer commits from the database, marks what they changed (`false`: which cannot be told), and has them.
    Read,
    Follow(bool),
    Advance,
    /// Asks the database for the key.
    Begin,
    Ask,
    Put,
    /// Loads the table: the key, or that there are no more.
    BeginLoad,
    Load,
    /// Commits, and adds the commit to its snapshot.
    OwnCommit,
    Publish,
}
use Step::*;

struct Handle {
    snapshot: Option<u64>,
    memory: Option<Arc<RecordMemory>>,
    since: Option<u64>,
    upto: u64,
    read_at: Sequence,
    found: u64,
    after: Option<LoadAfter>,
}

struct World {
    memories: RecordMemories,
    /// The last commit in the database, which is also the key's value; 0: the key does not exist.
    committed: u64,
    handles: Vec<Handle>,
}

impl World {
    fn step(&mut self, who: usize, step: Step) {
        let Self {
            memories,
            committed,
            handles,
        } = self;
        let handle = &mut handles[who];
        match (step, &handle.memory) {
            (Commit, _) => *committed += 1,
            (Read, _) => {
                let (followed, has_any) = memories.held();
                handle.since = handle.snapshot.or(has_any.then_some(followed.0));
                handle.upto = *committed;
            }
            (Follow(is_told), _) => {
                let since = handle.since.unwrap_or(handle.upto);
                let changed = (since + 1..=handle.upto).map(|sequence| ChangedRecord {
                    sequence: Sequence(sequence),
                    table: TABLE,
                    key: KEY.to_vec(),
                    library: None,
                });
                let changed: Vec<ChangedRecord> = changed.collect();
                let changed = (is_told && handle.since.is_some()).then_some(&changed[..]);
                memories.follow(Sequence(since), Sequence(handle.upto), changed);
            }
            (Advance, _) => {
                handle.snapshot = Some(handle.upto);
                if handle.memory.as_ref().is_none_or(|memory| memory.must_renew()) {
                    handle.memory = Some(memories.memory(TABLE));
                }
            }
            (OwnCommit, _) => {
                *committed += 1;
                handle.upto = *committed;
            }
            (Publish, Some(_)) if handle.snapshot == Some(handle.upto - 1) => {
                let changed = ChangedRecord {
                    sequence: Sequence(handle.upto),
                    table: TABLE,
                    key: KEY.to_vec(),
                    library: None,
                };
                memories.follow(Sequence(handle.upto - 1), Sequence(handle.upto), Some(&[changed]));
                handle.snapshot = Some(handle.upto);
            }
            (Begin, Some(memory)) => handle.read_at = memory.followed(),
            (Ask, _) => handle.found = *committed,
            (Put, Some(memory)) => {
                let value = handle.found.to_le_bytes();
                let payload = (handle.found > 0).then_some(&value[..]);
                memory.put(handle.read_at, [NewRecord::new(KEY, payload)]);
            }
            (BeginLoad, Some(memory)) => {
                handle.read_at = memory.followed();
                handle.after = (0..200).find_map(|_| memory.count_question());
            }
            (Load, Some(memory)) => {
                let Some(after) = &handle.after else { return };
                let value = handle.found.to_le_bytes();
                let is_found = handle.found > 0 && after.0.is_none();
                let records = is_found.then(|| NewRecord::new(KEY, Some(&value)));
                memory.load(handle.read_at, after, records, is_found.then_some(KEY));
            }
            (Publish | Begin | Put | BeginLoad | Load, _) => {}
        }
    }

    /// Nothing that is known is older than the snapshot of any handle.
    fn check(&self, order: &[usize]) {
        for (who, handle) in self.handles.iter().enumerate() {
            let (Some(snapshot), Some(memory)) = (handle.snapshot, &handle.memory) else {
                continue;
            };
            let value = match memory.find(KEY, xxh3_64(KEY)) {
                Known::Record(record) if record.is_current => record.payload.map_or(0, |payload| {
                    u64::from_le_bytes(payload.try_into().expect("eight bytes"))
                }),
                Known::Absent => 0,
                Known::Record(_) | Known::Unknown => continue,
            };
            assert!(
                value >= snapshot,
                "handle {who} at {snapshot} sees {value} after {order:?}"
            );
        }
    }
}

/// Calls `run` with each order of steps: the number of the program that each step comes from.
fn each_order(left: &mut [usize], order: &mut Vec<usize>, run: &mut impl FnMut(&[usize])) {
    if left.iter().all(|steps| *steps == 0) {
        return run(order);
    }
    for who in 0..left.len() {
        if left[who] > 0 {
            left[who] -= 1;
            order.push(who);
            each_order(left, order, run);
            order.pop();
            left[who] += 1;
        }
    }
}

/// Runs the programs of two handles and of another process in each order.
fn check_all(has_snapshot: [bool; 2], programs: [&[Step]; 3]) {
    let mut count = 0;
    each_order(&mut programs.map(<[Step]>::len), &mut Vec::new(), &mut |order| {
        let memories = RecordMemories::default();
        let handles = [has_snapshot[0], has_snapshot[1], false].map(|has_snapshot| Handle {
            snapshot: has_snapshot.then_some(0),
            memory: has_snapshot.then(|| memories.memory(TABLE)),
            since: None,
            upto: 0,
            read_at: Sequence(0),
            found: 0,
            after: None,
        });
        let mut world = World {
            memories,
            committed: 0,
            handles: handles.into(),
        };
        let mut next = [0; 3];
        for (number, who) in order.iter().enumerate() {
            world.step(*who, programs[*who][next[*who]]);
            next[*who] += 1;
            world.check(&order[..=number]);
        }
        count += 1;
    });
    assert!(count > 1_000, "{count}");
}

/// All interleavings of what two handles and another process do: no handle ever takes for current what is older than its
/// snapshot.
#[test]
fn what_handles_share_is_as_new_as_each_of_their_snapshots() {
    let asks: &[Step] = &[Begin, Ask, Put, Read, Follow(true), Advance];
    let follows: &[Step] = &[Read, Follow(true), Advance, Begin, Ask, Put];
    let loses: &[Step] = &[Read, Follow(false), Advance, Begin, Ask, Put];
    let writes: &[Step] = &[OwnCommit, Publish, Begin, Ask, Put];
    let loads: &[Step] = &[BeginLoad, Ask, Load, BeginLoad, Ask, Load];
    let commit: &[Step] = &[Commit];
    check_all([true, true], [asks, follows, commit]);
    check_all([true, true], [asks, loses, commit]);
    check_all([true, true], [writes, follows, commit]);
    check_all([true, true], [writes, writes, &[Commit, Commit]]);
    check_all([true, true], [loads, &follows[..3], &[Commit, Commit]]);
    check_all([true, true], [loads, &writes[..2], &[Commit, Commit]]);
    // A handle that joins.
    check_all([true, false], [asks, follows, commit]);
    check_all([true, false], [writes, follows, commit]);
    check_all([false, false], [follows, loses, commit]);
}

#[test]
fn a_memory_lives_while_a_snapshot_uses_it() {
    let memories = RecordMemories::default();
    let memory = memories.memory(TABLE);
    assert!(Arc::ptr_eq(&memory, &memories.memory(TABLE)));
    assert_eq!(memories.held(), (Sequence(0), true));
    memory.put(Sequence(0), [NewRecord::new(KEY, Some(b"value"))]);
    drop(memory);
    assert_eq!(memories.held(), (Sequence(0), false));
    assert!(!memories.memory(TABLE).knows(KEY, xxh3_64(KEY)));
}

#[test]
fn a_database_that_was_restored_shares_nothing_with_what_it_replaced() {
    let memories = RecordMemories::default();
    memories.follow(Sequence(9), Sequence(9), None);
    let memory = memories.memory(TABLE);
    memory.put(Sequence(9), [NewRecord::new(KEY, Some(b"of the future"))]);
    memories.follow(Sequence(9), Sequence(5), None);
    assert!(!memory.knows(KEY, xxh3_64(KEY)));
    assert!(!Arc::ptr_eq(&memory, &memories.memory(TABLE)));
    assert_eq!(memories.held().0, Sequence(5));
    // A handle that has not noticed does not know what the restored database has changed since.
    let memory = memories.memory(TABLE);
    memory.put(Sequence(5), [NewRecord::new(KEY, Some(b"restored"))]);
    memories.follow(Sequence(9), Sequence(10), Some(&[]));
    assert!(!memory.knows(KEY, xxh3_64(KEY)));
}
