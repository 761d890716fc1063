//! Other processes for tests: the test program runs itself again, and the two exchange lines.
//!
//! A test file that needs them has an ignored test called `worker` that calls [`play`] with its roles. Without the
//! environment variable that names a role it does nothing, so `--ignored` may run it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::index::Index;
use crate::number;
use plexindex::model::Token;
use plexindex::options::Options;
use plexindex_standin::Standin;

const ROLE: &str = "PLEXINDEX_TEST_ROLE";
/// Begins lines of the protocol; the test harness prints others.
pub const MARK: &str = "\u{1}";
/// Longer than any answer takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `done`, checking every millisecond.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a test shall run for long: `make check-deep`.
pub fn is_deep() -> bool {
    std::env::var_os("PLEXINDEX_TEST_DEEP").is_some()
}

/// Rounds of a test: `quick`, in a deep run so many times as many, or as the variable says.
pub fn rounds(variable: &str, quick: u64, times: u64) -> u64 {
    let usual = quick * if is_deep() { times } else { 1 };
    let rounds = choice(variable, usual);
    println!("{variable}={rounds}");
    rounds
}

/// A number: `usual`, or as the variable says.
pub fn choice(variable: &str, usual: u64) -> u64 {
    number(variable).unwrap_or(usual)
}

/// A process that plays a role.
pub struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    said: Receiver<String>,
    kept: VecDeque<String>,
}

/// The program of the next worker: this one. With `PLEXINDEX_TEST_OTHER` every second worker is that program, which was
/// built for addresses of another width: `make test-arm`.
fn program() -> PathBuf {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    match std::env::var_os("PLEXINDEX_TEST_OTHER") {
        Some(other) if STARTED.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) => other.into(),
        _ => std::env::current_exe().expect("this program has a path"),
    }
}

impl Worker {
    /// Starts one with the role and its arguments, separated by spaces.
    pub fn start<const N: usize>(role: &str, words: [&str; N]) -> Self {
        Self::start_with(role, &words)
    }

    /// Starts one with this folder, this server, and more words.
    pub fn at(role: &str, folder: &Path, server: &Standin, more: &[&str]) -> Self {
        let place = place(folder, server);
        let words: Vec<&str> = place.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Self::start_with(role, &words)
    }

    /// Starts one with any number of arguments.
    pub fn start_with(role: &str, words: &[impl AsRef<str>]) -> Self {
        Self::start_in(role, words, &[])
    }

    /// The same, with variables in its environment.
    pub fn start_in(role: &str, words: &[impl AsRef<str>], variables: &[(&str, &str)]) -> Self {
        let all: Vec<&str> = std::iter::once(role).chain(words.iter().map(AsRef::as_ref)).collect();
        let mut child = Command::new(program())
            .args(["worker", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(ROLE, all.join("\n"))
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts once more");
        let output = child.stdout.take().expect("its output");
        let (say, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { break };
                // The harness prints the test's name without an end of line before the first words.
                if let Some((_, words)) = line.split_once(MARK)
                    && say.send(words.to_owned()).is_err()
                {
                    break;
                }
            }
        });
        Self {
            input: child.stdin.take(),
            child,
            said,
            kept: VecDeque::new(),
        }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn tell(&mut self, words: &str) {
        let input = self.input.as_mut().expect("it listens");
        // A dead worker reads nothing; waiting for its answer fails.
        let _ = input.write_all(format!("{words}\n").as_bytes());
    }

    /// Its next line; `None` if it ended.
    pub fn next(&mut self) -> Option<String> {
        if let Some(words) = self.kept.pop_front() {
            return Some(words);
        }
        match self.said.recv_timeout(PATIENCE) {
            Ok(words) => Some(words),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("a worker hangs: it said nothing for {PATIENCE:?}"),
        }
    }

    pub fn hear(&mut self) -> String {
        self.next().expect("a worker ended before it was asked to")
    }

    /// Sends it a line and waits for its answer.
    pub fn ask(&mut self, words: &str) -> String {
        self.tell(words);
        self.hear()
    }

    /// Its lines that were not read yet.
    pub fn heard(&mut self) -> Option<String> {
        self.kept.pop_front().or_else(|| self.said.try_recv().ok())
    }

    /// Kills it at whatever instruction it is. Returns its lines that were not read yet.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("killed");
        self.child.wait().expect("it is gone");
        let kept = std::mem::take(&mut self.kept);
        kept.into_iter().chain(self.said.iter()).collect()
    }

    /// Waits until it says that it is done, and until it ends.
    pub fn done(mut self) {
        assert_eq!(self.hear(), "done");
        self.end();
    }

    /// Closes its input and waits until it ends.
    pub fn end(mut self) {
        self.input = None;
        let mut status = None;
        until("a worker ends", || {
            status = self.child.try_wait().expect("its state");
            status.is_some()
        });
        let status = status.expect("it ended");
        assert!(status.success(), "a worker failed: {status}");
    }
}

/// Hears these words of each.
pub fn hear_all(workers: &mut [Worker], words: &str) {
    for worker in workers {
        assert_eq!(worker.hear(), words);
    }
}

/// Asks each, which answers with these words.
pub fn ask_all(workers: &mut [Worker], question: &str, words: &str, what: &str) {
    for (number, worker) in workers.iter_mut().enumerate() {
        assert_eq!(worker.ask(question), words, "{what}: {question} of {number}");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A role: a function over the arguments with which the worker was started.
pub type Role = (&'static str, fn(&[&str]));

/// In a worker: plays the role that it was started for.
pub fn play(roles: &[&[Role]]) {
    let Ok(words) = std::env::var(ROLE) else {
        return;
    };
    // Processes that it starts are no workers.
    let words: Vec<&str> = words.split('\n').collect();
    let (_, role) = roles
        .iter()
        .flat_map(|roles| roles.iter())
        .find(|(name, _)| *name == words[0])
        .expect("a role of this file");
    role(&words[1..]);
}

/// In a worker: sends a line.
pub fn say(words: &str) {
    let mut out = std::io::stdout().lock();
    // One write a line, so that a kill leaves whole lines. Without a reader the worker ends.
    if out.write_all(format!("{MARK}{words}\n").as_bytes()).is_err() {
        std::process::exit(1);
    }
    let _ = out.flush();
}

/// In a worker: the next line; `None` if it should end.
pub fn told() -> Option<String> {
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line.trim_end_matches('\n').to_owned()),
    }
}

/// What `setrlimit` takes.
#[cfg(all(unix, target_env = "gnu"))]
type Resource = libc::__rlimit_resource_t;
#[cfg(all(unix, not(target_env = "gnu")))]
type Resource = libc::c_int;

/// In a worker: no more of a resource than this.
#[cfg(unix)]
#[allow(unsafe_code)] // limits have no safe door
pub fn limit(resource: Resource, to: u64) {
    // SAFETY: plain calls on values that live here.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(resource, &raw mut limit), 0);
        limit.rlim_cur = to.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(resource, &raw const limit), 0);
    }
}

/// Forks; the child does `work` and ends with what it gives. Gives the child's process id.
#[cfg(unix)]
#[allow(unsafe_code)] // fork has no safe door
pub fn fork(work: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs `work` and ends at once, whatever happens; nothing that it inherits is dropped.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0, "forked");
        if child == 0 {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(99);
            libc::_exit(code);
        }
        child
    }
}

/// What a child ended with; kills one that hangs.
#[cfg(unix)]
#[allow(unsafe_code)] // as above
pub fn wait_for(child: i32) -> i32 {
    let begun = Instant::now();
    loop {
        let mut state = 0;
        // SAFETY: plain calls on a child of our own.
        let ended = unsafe { libc::waitpid(child, &raw mut state, libc::WNOHANG) };
        if ended == child {
            return if libc::WIFEXITED(state) {
                libc::WEXITSTATUS(state)
            } else {
                -1
            };
        }
        if begun.elapsed() > Duration::from_secs(20) {
            // SAFETY: as above.
            unsafe { libc::kill(child, libc::SIGKILL) };
            return -2;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Opens a file to read and to change it.
pub fn writable(path: impl AsRef<Path>) -> File {
    let opened = File::options().read(true).write(true).open(path);
    opened.expect("opened")
}

/// Reads these bytes of a file.
pub fn read_at(mut file: &File, to: &mut [u8], at: u64) {
    file.seek(SeekFrom::Start(at)).expect("a place");
    file.read_exact(to).expect("read");
}

/// Overwrites these bytes of a file.
pub fn write_at(mut file: &File, bytes: &[u8], at: u64) {
    file.seek(SeekFrom::Start(at)).expect("a place");
    file.write_all(bytes).expect("written");
}

/// The arguments that name the store and the server.
pub fn place(folder: &Path, server: &Standin) -> [String; 3] {
    [folder.display().to_string(), server.url(), server.token()]
}

/// In a worker: the options from those arguments.
pub fn options_at(words: &[&str]) -> Options {
    Options {
        cache_dir: PathBuf::from(words[0]),
        server_url: Some(words[1].to_owned()),
        token: Token::new(words[2]),
        ..Options::default()
    }
}

/// In a worker: an index there.
pub fn open_at(words: &[&str]) -> Index {
    crate::open(options_at(words), &crate::clock())
}

/// Opens the database without the library. No other connection of this process may be open.
pub fn database(folder: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open_with_flags(
        folder.join("plexindex-1.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE,
    )
    .expect("the database opens");
    connection.busy_timeout(PATIENCE).expect("patience");
    connection
}

/// Asserts that SQLite finds no damage in the database.
pub fn assert_sound(folder: &Path) {
    let found: String = database(folder)
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("an answer");
    assert_eq!(found, "ok");
}

/// Random numbers that a seed repeats.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`.
    pub fn roll(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) % limit
    }

    /// A place in what has `length` of them; 0 where that has none.
    pub fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.roll(length.max(1) as u64)).expect("small")
    }

    pub fn any<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.place(all.len())]
    }
}
