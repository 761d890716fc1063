//! Rules for the names of system folders, samples and extras. A walk of the disk skips these files as Plex's scanner
//! does, and title evidence counts them against a match.

use once_cell::race::OnceBox;
use regex::bytes::Regex;

/// A name in lower case.
#[derive(Clone, Copy)]
pub struct LowerName<'n>(pub &'n [u8]);

/// Defines each rule by a pattern. `?1` stands for at most one character, or one byte that is none.
macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident: $pattern:literal;)*) => {
        impl LowerName<'_> {
            $($(#[$doc])*
            pub fn $rule(&self) -> bool {
                // No lock: a fork may happen meanwhile.
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
    /// Returns whether a system keeps its own files in a folder of this name, anywhere.
    is_system_folder: r"^(?:@eadir|lost\+found|\.appledouble|[@#]recycle|@recently-snapshot)|\.itlp$|\.photoslibrary";
    /// Returns whether a system keeps its own files in a folder of this name, at the root of a disk.
    is_root_system_folder: r"^(?:\$recycle\.bin|system volume information|temporary items|network trash folder)";
    /// Returns whether a download is being unpacked there.
    is_being_unpacked: "_unpack_|_failed_";
    /// Returns whether a folder of this name has samples.
    is_samples_folder: "^!?sample";
    /// Returns whether an extras folder's name is also common as a folder for media, such as `Other`.
    is_common_folder_name: "^(?:scene|short|other)?1$";
    /// Returns whether a folder of this name has extras. 'Extra' must be a whole word: 'Extras of it', not 'Extraction'.
    is_extras_folder: r"(?x) ^extras?(?:$|(?-u:[^0-9A-Za-z_\x80-\xff])) | ^bonus | bonus\ disc
        | ^(?:interview|scene|trailer|featurette|short|other)?1$
        | ^deleted(?:(?-u:.)?scene)??1$ | ^behind(?-u:.)?the(?-u:.)?scenes$";
    /// Returns whether the name ends in 'sample' as a word of its own.
    has_sample_suffix: "[-._]sample$";
    /// Returns whether a file of this name is a sample.
    is_sample: "[-._ ]sample|sample[-._ ]";
    /// Returns whether a file of this name is an extra.
    is_extra: r"^trailer?1$|^movie-trailer|-(?:trailer|deleted|behindthescenes|interview|scene|featurette|short|other)\.";
}

impl LowerName<'_> {
    /// Returns whether it is this name.
    pub fn is(&self, name: &[u8]) -> bool {
        self.0 == name
    }

    /// Returns whether it begins with this.
    pub fn begins(&self, with: &[u8]) -> bool {
        self.0.starts_with(with)
    }

    /// Returns whether a folder holds copies: deleted files, thumbnails, other versions of listed files.
    pub fn is_copies_folder(&self) -> bool {
        [&b".trash"[..], b".recycle", b"plex versions"]
            .into_iter()
            .any(|begin| self.begins(begin))
            || self.is_system_folder()
            || self.is_root_system_folder()
            || self.is_being_unpacked()
    }
}
