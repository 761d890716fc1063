//! A process is killed, or the power is cut, while it writes a segment of a table.

use std::collections::BTreeSet;

use super::*;

/// A folder as a process leaves it that is killed at a step, and how many writes had returned.
type Left = (tempfile::TempDir, u32);

/// The folder that is heard, what was left of it at each step, and the writes that returned.
static HEARD: std::sync::Mutex<Option<(PathBuf, Vec<Left>, u32)>> = std::sync::Mutex::new(None);

#[allow(clippy::unnecessary_wraps)] // a failpoint may refuse a step
fn hear(step: failpoint::FileStep<'_>) -> std::io::Result<()> {
    let (at, to) = match step {
        failpoint::FileStep::Make(at) | failpoint::FileStep::Remove(at) => (at, None),
        failpoint::FileStep::Rename(at, to) => (at, Some(to)),
        _ => return Ok(()), // a lock, or what is forced to the disk
    };
    let mut heard = HEARD.lock().expect("no panic");
    // Compared as the system writes them: paths of the index have no `\\?\` on Windows.
    let within = at.parent().and_then(|at| at.canonicalize().ok());
    let is_in = |folder: &PathBuf| within.as_ref() == Some(folder);
    let Some((folder, left, returned)) = heard.as_mut().filter(|(folder, ..)| is_in(folder)) else {
        return Ok(());
    };
    left.push((copy_of(folder), *returned));
    if let Some(to) = to {
        // It has its name, and the manifest does not name it.
        let renamed = copy_of(folder);
        let name = |path: &Path| renamed.path().join(path.file_name().expect("a name"));
        std::fs::rename(name(at), name(to)).expect("renamed");
        left.push((renamed, *returned));
    }
    Ok(())
}

/// What so many writes leave: of each, 600 names, of which the next write removes every third.
fn after(writes: u32) -> BTreeSet<String> {
    let all = (0..writes).flat_map(|write| write * 600..write * 600 + 600);
    let left = all.filter(|name| name % 3 != 0 || name / 600 + 1 == writes);
    let names: BTreeSet<String> = left.map(|name| name.to_string()).collect();
    if names.is_empty() {
        [0.to_string()].into()
    } else {
        names
    }
}

/// At each step of making, naming and merging segments; then the same where the power was cut, which takes what was
/// written to files that were not forced to the disk.
#[test]
fn a_kill_or_a_power_cut_at_any_step_of_a_segment_loses_nothing() {
    failpoint::install(hear);
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().canonicalize().expect("a path");
    let writes = 42_u32;
    {
        let index = open(&place);
        let films = table(&index, "Films");
        put(&films, "0", "0");
        *HEARD.lock().expect("no panic") = Some((place.clone(), Vec::new(), 0));
        for write in 0..writes {
            let first = write * 600;
            let new: Vec<String> = (first..first + 600).map(|name| name.to_string()).collect();
            let old = (first.saturating_sub(600)..first).filter(|name| name % 3 == 0);
            let old: Vec<String> = old.map(|name| name.to_string()).collect();
            let gone = old.iter().map(|name| Op::Remove(&films, name.as_bytes()));
            let put = new.iter().map(|name| Op::Put(&films, name.as_bytes(), name.as_bytes()));
            let ops: Vec<Op<'_>> = gone.chain(put).collect();
            films.tables().write(&ops, &KEEP).expect("stored");
            if let Some((_, _, returned)) = &mut *HEARD.lock().expect("no panic") {
                *returned = write + 1;
            }
        }
    }
    let (_, left, _) = HEARD.lock().expect("no panic").take().expect("heard");
    assert!(left.len() > 60, "{} steps", left.len());
    // Names are counted after each step; some are read, others after the next step, each with the one behind it; all of
    // them after every ninth step.
    let apart = usize::try_from(choice("PLEXINDEX_STEP", 50)).expect("small");
    let all: Vec<BTreeSet<String>> = (0..=writes + 1).map(after).collect();
    for (nth, (folder, returned)) in left.into_iter().enumerate() {
        for is_cut in [false, true] {
            for segment in segments(folder.path()).into_iter().filter(|_| is_cut) {
                std::fs::write(segment, b"").expect("written");
            }
            let index = open(folder.path());
            let films = table(&index, "Films");
            let count = films.count().expect("counted");
            let what = format!("step {nth}, {returned} writes returned, cut: {is_cut}: {count} names");
            let mut may_be = all[returned as usize..].iter().take(2);
            let names = may_be.find(|names| names.len() as u64 == count).expect(&what);
            let mut names = names.iter().peekable();
            let first = names.peek().map(|name| name.as_bytes().to_vec());
            assert_eq!(films.next(None), Ok(first), "{what}");
            for at in 0.. {
                let Some(name) = names.next() else { break };
                if nth % 9 == 0 || at % apart == nth % apart || names.peek().is_none() {
                    assert_eq!(get(&films, name).as_ref(), Some(name), "{what}");
                    let next = names.peek().map(|name| name.as_bytes().to_vec());
                    assert_eq!(films.next(Some(name.as_bytes())), Ok(next), "{what}");
                }
            }
        }
    }
}
