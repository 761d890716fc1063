//! A small disk that can be filled.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::cluster::NOBODY;

/// A file system in memory, which belongs to `nobody`. It goes with the process.
pub struct Disk {
    folder: TempDir,
    /// Removes the mount as soon as its standard input ends, however this process ends.
    watcher: Child,
}

impl Disk {
    /// Mounts it; `None` if this process may not.
    pub fn new(test: &str, megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let options = format!("size={megabytes}m,mode=700,uid={NOBODY},gid={NOBODY}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("{test} is skipped: this user may mount nothing");
            return None;
        }
        let watcher = Command::new("sh")
            .args(["-c", "cat; umount -l \"$1\"; rmdir \"$1\"", "sh"])
            .arg(folder.path())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        Some(Self { folder, watcher })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves no room.
    pub fn fill(&self) {
        let mut ballast = File::create(self.path().join("ballast")).expect("made");
        let full = loop {
            if let Err(error) = ballast.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    /// Makes room.
    pub fn free(&self) {
        fs::remove_file(self.path().join("ballast")).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}
