//! Any bytes as numbers, choices and texts. Behind the end all is zero, so every input means something.

use std::path::Path;

/// What is left of an input.
pub struct Input<'d>(pub &'d [u8]);

impl<'d> Input<'d> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let [first, rest @ ..] = self.0 else { return 0 };
        self.0 = rest;
        *first
    }

    pub fn bool(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) | u32::from(self.u16()) << 16
    }

    pub fn u64(&mut self) -> u64 {
        u64::from(self.u32()) | u64::from(self.u32()) << 32
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Up to so many bytes.
    pub fn take(&mut self, length: usize) -> &'d [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// As many bytes as the next byte says.
    pub fn bytes(&mut self) -> &'d [u8] {
        let length = usize::from(self.byte());
        self.take(length)
    }

    /// A number that is likely to be at an edge.
    pub fn number(&mut self) -> i64 {
        match self.byte() {
            0 => 0,
            1 => -1,
            2 => -2,
            3 => i64::MAX,
            4 => i64::MIN,
            5 => i64::from(i32::MAX),
            6 => 1,
            7 => self.u64().cast_signed(),
            small => i64::from(small),
        }
    }
}

/// Bytes with some of them changed: each change is a place, then what stands there from now on.
pub fn patched(whole: &[u8], input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    while !input.is_empty() && !bytes.is_empty() {
        let kind = input.byte();
        let at = input.u32() as usize % bytes.len();
        match kind % 8 {
            0 => bytes[at] ^= 1 << (input.byte() % 8),
            1 => bytes.truncate(at),
            2 => {
                // A block takes another one's place.
                let (from, at) = (input.u32() as usize % bytes.len() / 4096 * 4096, at / 4096 * 4096);
                let length = 4096.min(bytes.len() - from).min(bytes.len() - at);
                bytes.copy_within(from..from + length, at);
            }
            3 => {
                let added = input.bytes();
                bytes.extend_from_slice(added);
            }
            4 => {
                let length = usize::from(input.u16()).min(bytes.len() - at);
                bytes[at..at + length].fill(0);
            }
            _ => {
                let given = input.bytes();
                let length = given.len().min(bytes.len() - at);
                bytes[at..at + length].copy_from_slice(&given[..length]);
            }
        }
    }
    bytes
}

/// A folder in memory where there is one: these targets write with each run. A fuzzer that ends at a crash removes nothing,
/// so it is told where.
pub fn folder() -> tempfile::TempDir {
    if let Some(place) = std::env::var_os("PLEXINDEX_FUZZ_FOLDER") {
        return tempfile::tempdir_in(place).expect("a folder");
    }
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(folder) = tempfile::tempdir_in(memory)
    {
        return folder;
    }
    tempfile::tempdir().expect("a folder")
}
