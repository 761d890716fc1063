//! Rules for the names of system folders, samples and extras. A disk walk skips these files and folders, as Plex's
//! scanner does.

use once_cell::race::OnceBox;
use regex::bytes::Regex;

/// The name of a file or folder, in lower case.
#[derive(Clone, Copy)]
pub struct LowerName<'n>(pub &'n [u8]);

/// Defines a method for each regular expression. In a pattern, `?1` matches nothing, one character or one non-UTF-8
/// byte.
macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident: $pattern:literal;)*) => {
        impl LowerName<'_> {
            $($(#[$doc])*
            pub fn $rule(&self) -> bool {
                // This cell has no lock, because another thread may fork during the initialization, and the lock would
                // stay locked in the child.
                static PATTERN: OnceBox<Option<Regex>> = OnceBox::new();
                let pattern = PATTERN.get_or_init(|| {
                    Box::new(Regex::new(&format!("(?s){}", $pattern.replace("?1", "(?:.|(?-u:.))?"))).ok())
                });
                pattern.as_ref().is_some_and(|pattern| pattern.is_match(self.0))
            })*
        }
    };
}

rules! {
    /// Returns whether folders with this name contain extras. Matches 'Extra' only as a whole word, not in
    /// 'Extraction'.
    is_extras_folder: r"(?x) ^extras?(?:$|(?-u:[^0-9A-Za-z_\x80-\xff])) | ^bonus | bonus\ disc
        | ^(?:interview|scene|trailer|featurette|short|other)?1$
        | ^deleted(?:(?-u:.)?scene)??1$ | ^behind(?-u:.)?the(?-u:.)?scenes$";
    /// Returns whether files with this name are samples.
    is_sample: "[-._ ]sample|sample[-._ ]";
    /// Returns whether files with this name are extras.
    is_extra: r"^trailer?1$|^movie-trailer|-(?:trailer|deleted|behindthescenes|interview|scene|featurette|short|other)\.";
}

// A walk over a disk compares each folder's name, and a regular expression would take longer than to read the folder.
impl LowerName<'_> {
    /// Returns whether the name equals `name`, a string in lower case.
    pub fn equals(&self, name: &[u8]) -> bool {
        self.0 == name
    }

    /// Returns whether the name starts with `prefix`, a string in lower case.
    pub fn starts_with(&self, prefix: &[u8]) -> bool {
        self.0.starts_with(prefix)
    }

    /// Returns whether the name contains `part`, a string in lower case.
    fn contains(&self, part: &[u8]) -> bool {
        self.0.windows(part.len()).any(|window| window == part)
    }

    /// Returns whether operating systems or NAS devices store system files in folders with this name.
    pub fn is_system_folder(&self) -> bool {
        const STARTS: [&[u8]; 6] = [
            b"@eadir",
            b"lost+found",
            b".appledouble",
            b"@recycle",
            b"#recycle",
            b"@recently-snapshot",
        ];
        STARTS.iter().any(|start| self.starts_with(start))
            || self.0.ends_with(b".itlp")
            || self.contains(b".photoslibrary")
    }

    /// Returns whether operating systems store system files in root folders with this name.
    pub fn is_root_system_folder(&self) -> bool {
        const STARTS: [&[u8]; 4] = [
            b"$recycle.bin",
            b"system volume information",
            b"temporary items",
            b"network trash folder",
        ];
        STARTS.iter().any(|start| self.starts_with(start))
    }

    /// Returns whether download programs unpack archives into folders with this name.
    pub fn is_being_unpacked(&self) -> bool {
        self.contains(b"_unpack_") || self.contains(b"_failed_")
    }

    /// Returns whether folders with this name contain samples.
    pub fn is_samples_folder(&self) -> bool {
        self.0.strip_prefix(b"!").unwrap_or(self.0).starts_with(b"sample")
    }
}
