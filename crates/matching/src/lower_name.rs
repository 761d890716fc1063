//! Rules for the names of system folders, samples and extras. A walk of the disk skips these files and folders, as
//! Plex's scanner does. Title evidence counts such a name against a match.

use once_cell::race::OnceBox;
use regex::bytes::Regex;

/// The name of a file or folder, in lower case.
#[derive(Clone, Copy)]
pub struct LowerName<'n>(pub &'n [u8]);

/// Defines a method for each rule by a regular expression. In a pattern, `?1` matches nothing, one character, or one
/// byte that is not UTF-8.
macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident: $pattern:literal;)*) => {
        impl LowerName<'_> {
            $($(#[$doc])*
            pub fn $rule(&self) -> bool {
                // This cell is lock-free, since another thread may fork meanwhile.
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
    /// Returns whether an operating system or a NAS keeps its own files in a folder of this name.
    is_system_folder: r"^(?:@eadir|lost\+found|\.appledouble|[@#]recycle|@recently-snapshot)|\.itlp$|\.photoslibrary";
    /// Returns whether an operating system keeps its own files in a folder of this name at the root of a disk.
    is_root_system_folder: r"^(?:\$recycle\.bin|system volume information|temporary items|network trash folder)";
    /// Returns whether a download program unpacks into a folder of this name.
    is_being_unpacked: "_unpack_|_failed_";
    /// Returns whether a folder of this name holds samples.
    is_samples_folder: "^!?sample";
    /// Returns whether both folders of extras and folders of media commonly have this name, such as `Other`.
    is_common_folder_name: "^(?:scene|short|other)?1$";
    /// Returns whether a folder of this name holds extras. 'Extra' must be a whole word: 'Extra Scenes', not
    /// 'Extraction'.
    is_extras_folder: r"(?x) ^extras?(?:$|(?-u:[^0-9A-Za-z_\x80-\xff])) | ^bonus | bonus\ disc
        | ^(?:interview|scene|trailer|featurette|short|other)?1$
        | ^deleted(?:(?-u:.)?scene)??1$ | ^behind(?-u:.)?the(?-u:.)?scenes$";
    /// Returns whether the name ends in the whole word 'sample'.
    has_sample_suffix: "[-._]sample$";
    /// Returns whether a file of this name is a sample.
    is_sample: "[-._ ]sample|sample[-._ ]";
    /// Returns whether a file of this name is an extra.
    is_extra: r"^trailer?1$|^movie-trailer|-(?:trailer|deleted|behindthescenes|interview|scene|featurette|short|other)\.";
}

impl LowerName<'_> {
    /// Returns whether this is the given name.
    pub fn is(&self, name: &[u8]) -> bool {
        self.0 == name
    }

    /// Returns whether the name starts with this prefix.
    pub fn starts_with(&self, prefix: &[u8]) -> bool {
        self.0.starts_with(prefix)
    }

    /// Returns whether a folder of this name holds copies: deleted files, thumbnails, or other versions of listed
    /// files.
    pub fn is_copies_folder(&self) -> bool {
        [&b".trash"[..], b".recycle", b"plex versions"]
            .into_iter()
            .any(|prefix| self.starts_with(prefix))
            || self.is_system_folder()
            || self.is_root_system_folder()
            || self.is_being_unpacked()
    }
}
