//! Files that nobody else may read, and what kind of disk they are on.

use std::ffi::CString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::Path;

/// Opens a file for reading and writing, made with mode 0600 when it is missing.
///
/// # Errors
/// The operating system's.
pub fn private(path: &Path) -> io::Result<File> {
    let made = !path.exists();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    if made {
        give_to_owner(path);
    }
    Ok(file)
}

/// Makes a directory and its parents with mode 0700; an existing one is left as it is.
///
/// # Errors
/// The operating system's.
pub fn private_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    // Each in turn, so that each belongs to the owner of the one above it.
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        private_dir(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => give_to_owner(path),
        // Another process was faster; or it is a file, and then whoever uses it will see.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// When root (in a container) made `path`, hands it to whom its directory belongs: the host's own user must be able to
/// go on without root. Failure is fine: then nothing is worse than before.
pub fn give_to_owner(path: &Path) {
    // SAFETY: takes no argument and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return;
    }
    if let Some(parent) = path.parent()
        && let Ok(owner) = parent.metadata()
        && owner.uid() != 0
    {
        let _ = chown(path, Some(owner.uid()), Some(owner.gid()));
    }
}

/// Whether memory shared between processes, and so WAL, can be relied upon in this directory: not on network file
/// systems and FUSE unions.
#[must_use]
pub fn shares_memory(directory: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        // statfs(2): NFS, SMB, CIFS, SMB2, FUSE, 9P, Coda, AFS, Ceph.
        const REMOTE: [i64; 9] = [
            0x6969,
            0x517B,
            0xFF53_4D42,
            0xFE53_4D42,
            0x6573_5546,
            0x0102_1997,
            0x7375_7245,
            0x5346_414F,
            0x00C3_6400,
        ];
        let Ok(name) = CString::new(directory.as_os_str().as_bytes()) else {
            return false;
        };
        // SAFETY: `name` is NUL-terminated, and the struct is plain data that the call fills in.
        let kind = unsafe {
            let mut facts: libc::statfs = std::mem::zeroed();
            if libc::statfs(name.as_ptr(), &raw mut facts) != 0 {
                return true;
            }
            facts.f_type
        };
        #[allow(clippy::unnecessary_cast, clippy::cast_lossless)] // its type differs by platform
        let kind = (kind as i64) & 0xFFFF_FFFF;
        !REMOTE.contains(&kind)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = CString::new(directory.as_os_str().as_bytes());
        true
    }
}

/// Random bytes from the operating system.
///
/// # Errors
/// The operating system's.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    use std::io::Read;
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
