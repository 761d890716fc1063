//! The names in folders, read with few calls of the system: a hundred thousand folders take as long as these calls do.

#[cfg(any(target_os = "linux", target_os = "android"))]
use std::ffi::CStr;
use std::fs;
use std::io;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// What a name is, as far as the folder says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Folder,
    Link,
    Other,
    /// The file system does not say.
    Unknown,
}

/// A folder by its device and inode, whatever its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderId(u64, u64);

impl FolderId {
    pub fn of(facts: &fs::Metadata) -> Self {
        Self(facts.dev(), facts.ino())
    }
}

/// Reads folders one after the other.
#[derive(Default)]
pub struct FolderReader {
    /// What the last folder had: all names, and where each ends and what it is.
    names: Vec<u8>,
    ends: Vec<(usize, Kind)>,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    room: Vec<u8>,
    /// The folder above the last one, open once two of its folders were read: what else is in it is found without its path.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    above: (Vec<u8>, Option<OwnedFd>),
}

impl FolderReader {
    /// Which folder it is, and the names in it, but for itself and the one above, in no order.
    ///
    /// # Errors
    /// The operating system's: then nothing is known of the folder.
    pub fn read(&mut self, path: &[u8]) -> io::Result<(FolderId, impl ExactSizeIterator<Item = (&[u8], Kind)>)> {
        self.names.clear();
        self.ends.clear();
        let id = self.fill(path)?;
        let (names, mut start) = (self.names.as_slice(), 0);
        let names = self.ends.iter().map(move |(end, kind)| {
            let name = &names[start..*end];
            start = *end;
            (name, *kind)
        });
        Ok((id, names))
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn fill(&mut self, path: &[u8]) -> io::Result<FolderId> {
        // d_ino, d_off, d_reclen, d_type, and the name with its NUL.
        const LENGTH: usize = 16;
        const TYPE: usize = 18;
        const NAME: usize = 19;
        let folder = fs::File::from(self.open(path)?);
        let id = FolderId::of(&folder.metadata()?);
        self.room.resize(32 << 10, 0);
        loop {
            let (number, room) = (folder.as_raw_fd(), self.room.as_mut_ptr());
            // SAFETY: a plain call, with a descriptor that is open and room for so many bytes.
            let filled = unsafe { libc::syscall(libc::SYS_getdents64, number, room, self.room.len()) };
            let Ok(filled) = usize::try_from(filled) else {
                return Err(io::Error::last_os_error());
            };
            if filled == 0 {
                return Ok(id);
            }
            let mut rest = self.room.get(..filled).unwrap_or_default();
            while let Some(length) = rest.get(LENGTH..).and_then(<[u8]>::first_chunk) {
                let length = usize::from(u16::from_ne_bytes(*length)).max(NAME);
                let Some((entry, behind)) = rest.split_at_checked(length) else {
                    break;
                };
                rest = behind;
                let name = &entry[NAME..];
                let name = &name[..name.iter().position(|byte| *byte == 0).unwrap_or(name.len())];
                if name != b"." && name != b".." {
                    let kind = match entry[TYPE] {
                        libc::DT_DIR => Kind::Folder,
                        libc::DT_LNK => Kind::Link,
                        libc::DT_UNKNOWN => Kind::Unknown,
                        _ => Kind::Other,
                    };
                    self.names.extend_from_slice(name);
                    self.ends.push((self.names.len(), kind));
                }
            }
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn open(&mut self, path: &[u8]) -> io::Result<OwnedFd> {
        use super::walk::{ONLY_A_PLACE, open_at};
        let at = |folder: libc::c_int, name: &[u8], flags| {
            let mut room = [0; 256];
            let long;
            let name = match room.get_mut(..name.len()) {
                Some(place) if name.len() < 256 => {
                    place.copy_from_slice(name);
                    &room[..=name.len()]
                }
                _ => {
                    long = [name, b"\0"].concat();
                    long.as_slice()
                }
            };
            open_at(
                folder,
                CStr::from_bytes_with_nul(name).map_err(io::Error::other)?,
                flags | libc::O_DIRECTORY,
            )
        };
        let cut = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let (above, name) = (&path[..cut], path.get(cut + 1..).unwrap_or_default());
        if above.is_empty() || name.is_empty() {
            return at(libc::AT_FDCWD, path, libc::O_RDONLY);
        }
        if self.above.0 != above {
            self.above = (above.to_vec(), None);
            return at(libc::AT_FDCWD, path, libc::O_RDONLY);
        }
        if self.above.1.is_none() {
            self.above.1 = at(libc::AT_FDCWD, above, ONLY_A_PLACE).ok();
        }
        match &self.above.1 {
            Some(open) => at(open.as_raw_fd(), name, libc::O_RDONLY),
            None => at(libc::AT_FDCWD, path, libc::O_RDONLY),
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn fill(&mut self, path: &[u8]) -> io::Result<FolderId> {
        use super::files::{bytes_of, named};
        let id = FolderId::of(&fs::metadata(named(path))?);
        for entry in fs::read_dir(named(path))? {
            let entry = entry?;
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_dir() => Kind::Folder,
                Ok(kind) if kind.is_symlink() => Kind::Link,
                Ok(_) => Kind::Other,
                Err(_) => Kind::Unknown,
            };
            self.names.extend_from_slice(bytes_of(entry.file_name().as_ref()));
            self.ends.push((self.names.len(), kind));
        }
        Ok(id)
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
