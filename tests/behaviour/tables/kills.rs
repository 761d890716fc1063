//! A process is killed, or the power is cut, while it writes a segment of a table.

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
    let is_in = |folder: &Path| {
        at.parent()
            .is_some_and(|at| at.canonicalize().is_ok_and(|at| at == folder))
    };
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
fn after(writes: u32) -> std::collections::BTreeSet<u32> {
    let all = (0..writes).flat_map(|write| write * 600..write * 600 + 600);
    all.filter(|name| name % 3 != 0 || name / 600 + 1 == writes).collect()
}

/// At each step of making, naming and merging segments; then the same where the power was cut, which takes what was written to
/// files that were not forced to the disk.
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
            let old: Vec<String> = (first.saturating_sub(600)..first)
                .filter(|name| name % 3 == 0)
                .map(|name| name.to_string())
                .collect();
            let gone = old.iter().map(|name| Op::Remove(&films, name.as_bytes()));
            let put = new.iter().map(|name| Op::Put(&films, name.as_bytes(), name.as_bytes()));
            films
                .tables()
                .write(&gone.chain(put).collect::<Vec<_>>(), &KEEP)
                .expect("stored");
            if let Some((_, _, returned)) = &mut *HEARD.lock().expect("no panic") {
                *returned = write + 1;
            }
        }
    }
    let (_, left, _) = HEARD.lock().expect("no panic").take().expect("heard");
    assert!(left.len() > 60, "{} steps", left.len());
    // Names are counted after each step, and read after some.
    let step = choice("PLEXINDEX_STEP", 3);
    for (nth, (folder, returned)) in left.into_iter().enumerate() {
        for is_cut in [false, true] {
            for segment in segments(folder.path()).into_iter().filter(|_| is_cut) {
                std::fs::write(segment, b"").expect("written");
            }
            let index = open(folder.path());
            let films = table(&index, "Films");
            let count = films.count().expect("counted");
            let counts = [returned, returned + 1].map(|writes| after(writes).len().max(1) as u64);
            assert!(
                counts.contains(&count),
                "step {nth}, {returned} writes returned, cut: {is_cut}: {count} names"
            );
            if !(nth as u64).is_multiple_of(step) {
                continue;
            }
            let mut found = std::collections::BTreeSet::new();
            let mut last = None;
            while let Some(name) = films.next(last.as_deref()).expect("asked") {
                let text = String::from_utf8(name.clone()).expect("a text");
                assert_eq!(get(&films, &text), Some(text.clone()), "step {nth}");
                found.insert(text.parse().expect("a number"));
                last = Some(name);
            }
            let is_right = |writes| found == after(writes) || writes == 0 && found.len() == 1;
            assert!(
                is_right(returned) || is_right(returned + 1),
                "step {nth}, {returned} writes returned, cut: {is_cut}: {} names",
                found.len()
            );
            assert_eq!(count, found.len() as u64, "step {nth}");
        }
    }
}
