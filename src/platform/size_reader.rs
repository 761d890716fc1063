//! Reads the sizes of a host's files. A file may be on a dead network mount, where the system call never returns, so it
//! runs on a thread of its own, and the caller waits only for a limited time. While a call hangs, no other is made.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::clock::Deadline;
use super::file_facts::{FileFacts, FileType};
use super::files::path_from_bytes;
use super::fork::{ForkLock, lock, lock_for_fork};
use super::thread::Worker;

/// Maximum wait without an earlier deadline.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Returns the size of the regular file at a path; 0 if it cannot be read.
type Read = fn(&[u8]) -> u64;

/// Reads sizes on a thread, which starts with the first question.
pub struct SizeReader {
    shared: Arc<Shared>,
    worker: Mutex<Option<Worker>>,
    read: Read,
}

impl Default for SizeReader {
    fn default() -> Self {
        Self::new(stat)
    }
}

fn stat(path: &[u8]) -> u64 {
    let facts = FileFacts::of_target(&path_from_bytes(path)).ok();
    let file = facts.filter(|facts| facts.kind == FileType::File);
    file.map_or(0, |file| file.length)
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The path to read next.
    asked: Option<Vec<u8>>,
    /// The size of the last path; 0 if it cannot be read.
    read: Option<u64>,
    /// Whether a thread waits for a size.
    is_taken: bool,
    /// Whether the caller has given up before the size was read.
    is_abandoned: bool,
    is_closed: bool,
}

impl SizeReader {
    fn new(read: Read) -> Self {
        Self {
            shared: Arc::default(),
            worker: Mutex::default(),
            read,
        }
    }

    /// Returns the size in bytes of the regular file at `path`; `None` if there is no such file on this machine, if it is
    /// empty, if another call hangs, or if the size is not known by the deadline.
    pub fn size_of(&self, path: &[u8], deadline: Deadline) -> Option<u64> {
        let limit = Instant::now() + deadline.wait(LONGEST_WAIT);
        // A relative path, or one of another system, is a file that only the server can have.
        let is_here = path_from_bytes(path).is_absolute() && !path.contains(&0);
        if !is_here || deadline.has_passed() || !self.start() {
            return None;
        }
        let is_free = |state: &State| !state.is_taken;
        let mut state = self.wait_until(limit, |state| state.is_abandoned || is_free(state))?;
        if !is_free(&state) {
            return None;
        }
        (state.asked, state.read, state.is_taken) = (Some(path.to_vec()), None, true);
        drop(state);
        self.shared.changed.notify_all();
        let waited = self.wait_until(limit, |state| state.read.is_some());
        let mut state = waited.unwrap_or_else(|| lock(&self.shared.state));
        if state.read.is_none() {
            // The thread has not begun, or the system call hangs.
            if state.asked.take().is_some() {
                state.is_taken = false;
            } else {
                state.is_abandoned = true;
            }
            drop(state);
            self.shared.changed.notify_all();
            return None;
        }
        state.is_taken = false;
        let size = state.read.take().filter(|size| *size > 0);
        drop(state);
        self.shared.changed.notify_all();
        size
    }

    /// Waits until the state is as expected; `None` after the limit.
    fn wait_until(
        &self,
        limit: Instant,
        is_expected: impl Fn(&State) -> bool,
    ) -> Option<std::sync::MutexGuard<'_, State>> {
        let mut state = lock(&self.shared.state);
        while !is_expected(&state) {
            let left = limit
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero())?;
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(state)
    }

    /// Starts the thread if this process does not have it. Returns `false` if no thread can be started.
    fn start(&self) -> bool {
        let mut worker = lock(&self.worker);
        if worker.as_ref().is_some_and(Worker::is_in_this_process) {
            return true;
        }
        *lock(&self.shared.state) = State::default();
        let (shared, read) = (Arc::clone(&self.shared), self.read);
        *worker = Worker::spawn(move || shared.run(read));
        worker.is_some()
    }

    /// Acquires the locks before a fork.
    pub fn lock_for_fork<T>(owner: &Arc<T>, reader: fn(&T) -> &Self) -> [Box<dyn ForkLock>; 2]
    where
        T: Send + Sync + 'static,
    {
        [
            Box::new(lock_for_fork(owner, move |owner| &reader(owner).worker)),
            Box::new(lock_for_fork(owner, move |owner| &reader(owner).shared.state)),
        ]
    }
}

impl Shared {
    /// Reads sizes until the reader is dropped.
    fn run(&self, read: Read) {
        let mut state = lock(&self.state);
        loop {
            if state.is_closed {
                return;
            }
            let Some(path) = state.asked.take() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let size = read(&path);
            state = lock(&self.state);
            if std::mem::take(&mut state.is_abandoned) {
                state.is_taken = false;
            } else {
                state.read = Some(size);
            }
            self.changed.notify_all();
        }
    }
}

impl Drop for SizeReader {
    /// Ends the thread. If a system call hangs, the thread is left behind.
    fn drop(&mut self) {
        let Some(worker) = lock(&self.worker).take() else {
            return;
        };
        let mut state = lock(&self.shared.state);
        state.is_closed = true;
        let hangs = state.is_abandoned;
        drop(state);
        self.shared.changed.notify_all();
        if hangs && worker.is_in_this_process() {
            worker.detach();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::SizeReader;
    use crate::platform::clock::Deadline;

    #[test]
    fn sizes_of_regular_files_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).into_os_string().into_encoded_bytes();
        std::fs::write(folder.path().join("film.mkv"), [7; 1234]).expect("a file");
        std::fs::write(folder.path().join("empty.mkv"), b"").expect("a file");
        let reader = SizeReader::default();
        let size_of = |name: &str| reader.size_of(&path(name), Deadline::NONE);
        assert_eq!(size_of("film.mkv"), Some(1234));
        assert_eq!(size_of("empty.mkv"), None);
        assert_eq!(size_of("missing.mkv"), None);
        assert_eq!(size_of(""), None, "a folder");
        assert_eq!(reader.size_of(b"/a\0b", Deadline::NONE), None);
        assert_eq!(reader.size_of(&path("film.mkv"), Deadline::after(Duration::ZERO)), None);
    }

    #[test]
    fn threads_share_one_reader() {
        let folder = tempfile::tempdir().expect("a folder");
        let reader = SizeReader::default();
        std::thread::scope(|scope| {
            for thread in 1..=4_usize {
                let path = folder.path().join(thread.to_string());
                std::fs::write(&path, vec![0; thread]).expect("a file");
                let (reader, path) = (&reader, path.into_os_string().into_encoded_bytes());
                scope.spawn(move || {
                    for _ in 0..200 {
                        assert_eq!(reader.size_of(&path, Deadline::NONE), Some(thread as u64));
                    }
                });
            }
        });
    }

    #[test]
    fn while_a_call_hangs_no_other_is_made() {
        static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
        static MAY_END: AtomicBool = AtomicBool::new(false);
        /// A file system that hangs for one path.
        fn read(path: &[u8]) -> u64 {
            HAS_BEGUN.fetch_or(path == b"/dead", Ordering::SeqCst);
            while path == b"/dead" && !MAY_END.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            7
        }
        let reader = SizeReader::new(read);
        while !HAS_BEGUN.load(Ordering::SeqCst) {
            let dead = reader.size_of(b"/dead", Deadline::after(Duration::from_millis(20)));
            assert_eq!(dead, None);
        }
        // Others get no size, until the call returns.
        assert_eq!(reader.size_of(b"/alive", Deadline::NONE), None);
        MAY_END.store(true, Ordering::SeqCst);
        while reader.size_of(b"/alive", Deadline::NONE) != Some(7) {
            std::thread::yield_now();
        }
    }
}
