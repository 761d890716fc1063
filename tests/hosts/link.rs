//! A link to `PostgreSQL` that can be cut: nothing passes any more, and neither side is told.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::cluster::Database;

/// A socket before that of `PostgreSQL`.
pub struct Link {
    folder: TempDir,
    /// Number of messages that still pass, in whichever direction; below 0, the link is cut.
    left: Arc<AtomicI64>,
}

const PORT: u16 = 5432;

/// Passes on what one side sends. A message is lost if the link is cut, and its connection ends once the link is whole.
fn pump(left: &AtomicI64, mut from: &UnixStream, mut to: &UnixStream) {
    let mut bytes = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if left.fetch_sub(1, Ordering::SeqCst) <= 0 || to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    while left.load(Ordering::SeqCst) < 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let _ = to.shutdown(Shutdown::Write);
}

impl Link {
    pub fn to(database: &Database<'_>) -> Self {
        let cluster = database.cluster;
        let engine = cluster.folder().join(format!(".s.PGSQL.{}", cluster.port));
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join(format!(".s.PGSQL.{PORT}"))).expect("bound");
        let left = Arc::new(AtomicI64::new(i64::MAX));
        let link = Self {
            folder,
            left: Arc::clone(&left),
        };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = UnixStream::connect(&engine) else {
                    continue;
                };
                let (client, server) = (Arc::new(client), Arc::new(server));
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (left, from, to) = (Arc::clone(&left), Arc::clone(from), Arc::clone(to));
                    thread::spawn(move || pump(&left, &from, &to));
                }
            }
        });
        link
    }

    /// The address of a database behind it.
    pub fn address(&self, database: &str) -> String {
        format!(
            "postgresql://postgres@/{database}?host={}",
            self.folder.path().display()
        )
    }

    /// Cuts the link now, or lets everything pass again.
    pub fn set_cut(&self, is_cut: bool) {
        self.left.store(if is_cut { -1 } else { i64::MAX }, Ordering::SeqCst);
    }

    /// Cuts the link after this many more messages. The next one is lost.
    pub fn cut_after(&self, messages: u64) {
        self.left.store(messages.cast_signed(), Ordering::SeqCst);
    }

    pub fn is_cut(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0
    }
}
