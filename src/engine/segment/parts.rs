//! Writes the parts that follow the records in a listing's segment.

use std::io;
use std::sync::mpsc::sync_channel;

use super::hash_table::{self, HashTableBuilder};
use super::layout::{BLOCK, SegmentHeader, SegmentPart};
use super::name_table::NameTableBuilder;
use super::record::{self, TWIN};
use super::segment_writer::SegmentWriter;
use super::sorter::PairSorter;
use super::spool::Spool;
use super::suffix_groups::SuffixGroups;

/// Runs both closures and returns their results. If `with_thread` is true, `first` runs on a new thread in parallel,
/// unless no thread can be started.
pub fn run_both<A: Send, B>(
    with_thread: bool,
    first: impl FnOnce() -> io::Result<A> + Send,
    second: impl FnOnce() -> io::Result<B>,
) -> io::Result<(A, B)> {
    if !with_thread {
        return Ok((first()?, second()?));
    }
    std::thread::scope(|scope| {
        // The thread receives the closure only after a successful start. Otherwise the closure runs on this thread.
        let (tx, rx) = sync_channel(1);
        let work = move || {
            rx.recv()
                .map_err(io::Error::other)
                .and_then(|first: Box<dyn FnOnce() -> _ + Send>| first())
        };
        match std::thread::Builder::new().spawn_scoped(scope, work) {
            Ok(thread) => {
                let _ = tx.send(Box::new(first) as _);
                let second = second();
                let first = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                Ok((first?, second?))
            }
            Err(_) => Ok((first()?, second()?)),
        }
    })
}

/// Writes the path table. Returns a sorter with the entries whose hash has the same upper half as another entry's hash.
/// The second number of each pair is unused.
pub fn put_paths(paths: PairSorter, head: &mut SegmentHeader, body: &mut SegmentWriter) -> io::Result<PairSorter> {
    let mut hash_twins = PairSorter::new(&body.place());
    let mut previous: Option<(u32, u32)> = None;
    head.path_homes = hash_table::home_slot_count(paths.len()) as u64;
    head.paths = put_table(paths, body, |hash, entry| {
        let upper_hash = hash_table::upper(hash);
        let previous = previous.replace((upper_hash, entry));
        if let Some((_, previous_entry)) = previous.filter(|(known, _)| *known == upper_hash) {
            hash_twins.push(u64::from(previous_entry), 0)?;
            hash_twins.push(u64::from(entry), 0)?;
        }
        Ok(())
    })?;
    Ok(hash_twins)
}

/// Writes the table of rating keys. `keys` contains the hash of each rating key, with its item's first entry.
pub fn put_keys(keys: PairSorter, head: &mut SegmentHeader, body: &mut SegmentWriter) -> io::Result<()> {
    head.key_homes = hash_table::home_slot_count(keys.len()) as u64;
    head.keys = put_table(keys, body, |_, _| Ok(()))?;
    Ok(())
}

/// Sorts pairs of a hash and an entry, and writes them as a hash table. Also calls `each` with every pair in order.
pub fn put_table(
    pairs: PairSorter,
    body: &mut SegmentWriter,
    mut each: impl FnMut(u64, u32) -> io::Result<()>,
) -> io::Result<SegmentPart> {
    let (begin, mut slots) = (body.position(), HashTableBuilder::new(pairs.len()));
    pairs.for_each_sorted(|hash, entry| {
        each(hash, entry)?;
        slots.put(hash, entry, body)
    })?;
    slots.end(body)?;
    body.end_part(begin, 8)
}

/// Writes the name table, in which lookups find the paths with the same last components, and its directory. `names`
/// contains the hash of each file name, with the entry of its path.
pub fn put_names(names: PairSorter, head: &mut SegmentHeader, body: &mut SegmentWriter) -> io::Result<()> {
    let place = body.place();
    let mut builder = NameTableBuilder::new(names.len(), &place);
    let mut sorted = Spool::new(&place);
    // Among entries with equal hashes, the order depends on all components of the path (`usize::MAX`).
    let mut groups = SuffixGroups::new(&place, |entry, _: &[u32; 2], form: &mut Vec<u8>| {
        record::form_at(body, entry, form).map(|()| usize::MAX)
    });
    let mut write = |[upper_hash, entry]: [u32; 2]| sorted.put(&builder.element(upper_hash, entry)?);
    names.for_each_sorted(|hash, entry| {
        let upper_hash = hash_table::upper(hash);
        groups.put(upper_hash, entry, [upper_hash, entry], &mut write)
    })?;
    groups.finish(&mut write)?;
    head.names = body.part(&sorted, 8)?;
    head.directory = body.part(&builder.end()?, 4)?;
    Ok(())
}

/// Sets the flag [`TWIN`] in entries whose hash has the same upper half as another entry's hash, so that a lookup of
/// any other entry can stop at the first entry that it finds.
pub fn mark_shared_hashes(hash_twins: PairSorter, body: &mut SegmentWriter) -> io::Result<()> {
    let mut offsets: Vec<usize> = Vec::new();
    hash_twins.for_each_sorted(|entry, _| {
        let offset = usize::try_from(entry).unwrap_or(usize::MAX).saturating_mul(4);
        // One call marks all entries of a block, because each call rewrites the block.
        if offsets.last().is_some_and(|last| offset / BLOCK != last / BLOCK) {
            body.set_bits(&offsets, TWIN)?;
            offsets.clear();
        }
        offsets.push(offset);
        Ok(())
    })?;
    body.set_bits(&offsets, TWIN)
}
