//! A `PostgreSQL` of the tests: a cluster in a temporary folder, on a Unix socket there. It goes with the process.
#![allow(dead_code)] // each test file uses its part

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// `nobody`, since `PostgreSQL` refuses to run as root.
const NOBODY: u32 = 65_534;

/// A running cluster. Its superuser is `postgres`; all roles may connect on the socket without a password.
pub struct Cluster {
    folder: TempDir,
    bin: PathBuf,
    pub port: u16,
    settings: Vec<String>,
    /// Stops the cluster and removes the folder as soon as its standard input ends, however this process ends.
    watcher: Child,
}

/// A database of a cluster.
pub struct Database<'c> {
    pub cluster: &'c Cluster,
    pub name: String,
}

/// Where the programs are; `None` if `PostgreSQL` is not installed, which CI does not allow.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    folders.extend(["/usr/local/bin", "/usr/bin"].map(PathBuf::from));
    let found = folders.into_iter().find(|folder| folder.join("initdb").is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "PostgreSQL is not installed: apt-get install postgresql"
        );
        eprintln!("a test is skipped: PostgreSQL is not installed");
    }
    found
}

/// The cluster that tests share which do nothing to it; `None` if `PostgreSQL` is not installed.
pub fn shared() -> Option<&'static Cluster> {
    static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
    SHARED.get_or_init(|| Cluster::start(&[])).as_ref()
}

/// A cluster of its own for a test that stops it, or says who may connect. It goes with the process.
pub fn alone() -> Option<&'static Cluster> {
    Cluster::start(&[]).map(|cluster| &*Box::leak(Box::new(cluster)))
}

impl Cluster {
    /// Starts a cluster with these settings, such as `ssl=on`; `None` if `PostgreSQL` is not installed.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let cluster = Self::prepare(settings)?;
        cluster.restart();
        Some(cluster)
    }

    /// Makes a cluster and does not start it: a copy of the first one, since `initdb` takes most of a test's time.
    pub fn prepare(settings: &[&str]) -> Option<Self> {
        let bin = programs()?;
        let folder = tempfile::tempdir().expect("made");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("set");
        if is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("given away");
        }
        let data = folder.path().join("data");
        let script = "cat; \"$1/pg_ctl\" stop -D \"$2/data\" -m immediate; rm -rf \"$2\"";
        // In a group of its own: an interrupt of the tests is for all of theirs.
        let watcher = as_nobody("sh")
            .process_group(0)
            .args(["-c", script, "sh"])
            .args([&bin, folder.path()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let cluster = Self {
            bin,
            port: port.expect("a free port").port(),
            settings: settings.iter().map(ToString::to_string).collect(),
            watcher,
            folder,
        };
        let arguments = "--username=postgres --auth=trust --no-sync --wal-segsize=1 --encoding=UTF8 --locale=C";
        let mut initdb = as_nobody(cluster.bin.join("initdb"));
        let version = run(Command::new(cluster.bin.join("initdb")).arg("--version"));
        let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join(version.trim_end());
        if template.is_dir() {
            run(Command::new("cp").arg("-a").args([&template, &data]));
            return Some(cluster);
        }
        run(initdb.arg("-D").arg(&data).args(arguments.split(' ')));
        let made = template.with_extension(std::process::id().to_string());
        run(Command::new("cp").arg("-a").args([&data, &made]));
        // Another process may have been first.
        if fs::rename(&made, &template).is_err() {
            _ = fs::remove_dir_all(&made);
        }
        Some(cluster)
    }

    /// The folder of the socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `pg_ctl`, such as `promote -w`.
    pub fn pg_ctl(&self, arguments: &[&str]) {
        let mut command = as_nobody(self.bin.join("pg_ctl"));
        run(command.arg("-D").arg(self.folder().join("data")).args(arguments));
    }

    /// Starts it after [`Cluster::prepare`] or [`Cluster::is_stopping`].
    pub fn restart(&self) {
        let folder = self.folder().display();
        let port = format!("port={}", self.port);
        let mut settings = vec![&*port, "listen_addresses=127.0.0.1", "fsync=off"];
        settings.extend(self.settings.iter().map(String::as_str));
        let options = format!("-k {folder} -c {}", settings.join(" -c "));
        self.pg_ctl(&["start", "-w", "-l", &format!("{folder}/log"), "-o", &options]);
    }

    /// Kills its processes at whatever instruction they are.
    pub fn kill(&self) {
        let file = fs::read_to_string(self.folder().join("data/postmaster.pid")).expect("it runs");
        let pid = file.lines().next().expect("its process");
        // A stopped one starts no further ones.
        let script = "kill -STOP $1; all=\"$1 $(cat /proc/$1/task/$1/children)\"; kill -KILL $all; \
                      for one in $all; do while [ -e /proc/$one ]; do sleep 0.01; done; done";
        run(Command::new("sh").args(["-c", script, "sh", pid]));
    }

    /// Stops it: `fast` ends sessions, `immediate` is a crash.
    pub fn stop(&self, mode: &str) {
        self.pg_ctl(&["stop", "-w", "-m", mode]);
    }

    /// Sets who may connect how, before what is allowed to all.
    pub fn allow(&self, lines: &str) {
        let path = self.folder().join("data/pg_hba.conf");
        let before = fs::read_to_string(&path).expect("read");
        fs::write(&path, format!("{lines}\n{before}")).expect("written");
        self.pg_ctl(&["reload"]);
        // It is read when the server comes to it: a new session has it.
        self.sql("postgres", "SELECT pg_sleep(0)");
    }

    /// The command `psql` as the superuser.
    pub fn psql(&self, database: &str) -> Command {
        let mut command = Command::new(self.bin.join("psql"));
        let port = self.port.to_string();
        command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres"]);
        command.args(["-p", &port, "-d", database]);
        command.arg("-h").arg(self.folder());
        command
    }

    /// Runs statements as the superuser, and returns what they print.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        run(self.psql(database).args(["-c", statements])).trim_end().into()
    }

    /// Runs statements as the superuser, each in a transaction of its own.
    pub fn each(&self, statements: &[String]) {
        run(self
            .psql("postgres")
            .args(statements.iter().flat_map(|text| ["-c", text])));
    }

    /// Writes a file that only the server may read, and returns its path.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder().join(name);
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        if is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).expect("given away");
        }
        path
    }

    /// Makes an empty database.
    pub fn database(&self) -> Database<'_> {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("hosts_{}", LAST.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        Database { cluster: self, name }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        _ = self.watcher.wait();
    }
}

impl Database<'_> {
    /// Its address for a role, on the socket. Calls wait longer than usual: the machine may be busy.
    pub fn address(&self, role: &str) -> String {
        let (folder, port) = (self.cluster.folder().display(), self.cluster.port);
        format!(
            "postgresql://{role}@:{port}/{}?host={folder}&connect_timeout=30",
            self.name
        )
    }

    /// Runs statements as the superuser, and returns what they print.
    pub fn sql(&self, statements: &str) -> String {
        self.cluster.sql(&self.name, statements)
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|facts| facts.uid() == 0)
}

/// A command as `nobody` if this is root.
pub fn as_nobody(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.current_dir("/");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Runs a command that must succeed, and returns what it prints.
fn run(command: &mut Command) -> String {
    // No pipe for its errors: the server that it starts would keep it open.
    let output = command.stdin(Stdio::null()).output().expect("started");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{command:?}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said.into_owned()
}
