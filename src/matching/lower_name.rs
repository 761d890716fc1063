//! Rules for the names of system folders, samples and extras. [`crate::disk`] skips these files as Plex's scanner does,
//! and title evidence counts them against a match.

/// A name in lower case.
#[derive(Clone, Copy)]
pub struct LowerName<'n>(pub &'n [u8]);

impl LowerName<'_> {
    pub fn is(&self, name: &[u8]) -> bool {
        self.0 == name
    }

    pub fn begins(&self, with: &[u8]) -> bool {
        self.0.starts_with(with)
    }

    pub fn has(&self, part: &[u8]) -> bool {
        let begins = |at: &usize| self.0[*at] == part[0] && self.0[*at..].starts_with(part);
        (0..self.0.len()).any(|at| begins(&at))
    }

    /// Returns whether the name is `name` with at most one more character.
    fn is_about(&self, name: &[u8]) -> bool {
        self.0.strip_prefix(name).is_some_and(is_one_or_none)
    }

    pub fn is_system_folder(&self) -> bool {
        const BEGIN: [&[u8]; 6] = [
            b"@eadir",
            b"lost+found",
            b".appledouble",
            b"@recycle",
            b"#recycle",
            b"@recently-snapshot",
        ];
        BEGIN.into_iter().any(|begin| self.begins(begin)) || self.0.ends_with(b".itlp") || self.has(b".photoslibrary")
    }

    pub fn is_root_system_folder(&self) -> bool {
        const BEGIN: [&[u8]; 4] = [
            b"$recycle.bin",
            b"system volume information",
            b"temporary items",
            b"network trash folder",
        ];
        BEGIN.into_iter().any(|begin| self.begins(begin))
    }

    /// Returns whether a folder holds copies: deleted files, thumbnails, other versions of listed files.
    pub fn is_copies_folder(&self) -> bool {
        const BEGIN: [&[u8]; 3] = [b".trash", b".recycle", b"plex versions"];
        BEGIN.into_iter().any(|begin| self.begins(begin))
            || self.is_system_folder()
            || self.is_root_system_folder()
            || self.is_being_unpacked()
    }

    pub fn is_being_unpacked(&self) -> bool {
        self.has(b"_unpack_") || self.has(b"_failed_")
    }

    pub fn is_samples_folder(&self) -> bool {
        self.begins(b"sample") || self.begins(b"!sample")
    }

    /// Returns whether an extras folder's name is also common as a folder for media, such as `Other`.
    pub fn is_common_folder_name(&self) -> bool {
        const ABOUT: [&[u8]; 3] = [b"scene", b"short", b"other"];
        ABOUT.into_iter().any(|name| self.is_about(name))
    }

    pub fn is_extras_folder(&self) -> bool {
        const ABOUT: [&[u8]; 6] = [b"interview", b"scene", b"trailer", b"featurette", b"short", b"other"];
        // Must be a whole word: 'Extras of it', not 'Extraction'.
        let extra = self
            .0
            .strip_prefix(b"extra")
            .map(|rest| rest.strip_prefix(b"s").unwrap_or(rest));
        extra.is_some_and(|rest| !rest.first().is_some_and(|byte| is_word_byte(*byte)))
            || self.begins(b"bonus")
            || self.has(b"bonus disc")
            || ABOUT.into_iter().any(|name| self.is_about(name))
            || self.0.strip_prefix(b"deleted").is_some_and(is_deleted)
            || self.0.strip_prefix(b"behind").is_some_and(is_behind_the_scenes)
    }

    /// Returns whether the name ends in 'sample' as a word of its own.
    pub fn has_sample_suffix(&self) -> bool {
        const ENDS: [&[u8]; 3] = [b"-sample", b".sample", b"_sample"];
        ENDS.into_iter().any(|end| self.0.ends_with(end))
    }

    pub fn is_sample(&self) -> bool {
        let separates = |byte: Option<&u8>| byte.is_some_and(|byte| b"-._ ".contains(byte));
        let mut at = 0;
        while let Some(found) = self.0[at..].windows(6).position(|window| window == b"sample") {
            let begin = at + found;
            let before = begin.checked_sub(1).and_then(|before| self.0.get(before));
            if separates(before) || separates(self.0.get(begin + 6)) {
                return true;
            }
            at = begin + 1;
        }
        false
    }

    pub fn is_extra(&self) -> bool {
        const ENDS: [&[u8]; 8] = [
            b"-trailer.",
            b"-deleted.",
            b"-behindthescenes.",
            b"-interview.",
            b"-scene.",
            b"-featurette.",
            b"-short.",
            b"-other.",
        ];
        self.is_about(b"trailer") || self.begins(b"movie-trailer") || ENDS.into_iter().any(|end| self.has(end))
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Returns whether `rest` has at most one character.
fn is_one_or_none(rest: &[u8]) -> bool {
    rest.len() <= 1 || std::str::from_utf8(rest).is_ok_and(|rest| rest.chars().count() == 1)
}

/// Strips `word`, and at most one character before it; returns the rest.
fn strip_word<'n>(rest: &'n [u8], word: &[u8]) -> Option<&'n [u8]> {
    let one = rest.strip_prefix(word);
    one.or_else(|| rest.get(1..)?.strip_prefix(word))
}

/// Matches the rest after 'deleted': nothing, one character, or 'scenes', each word after at most one character.
fn is_deleted(rest: &[u8]) -> bool {
    is_one_or_none(rest) || strip_word(rest, b"scene").is_some_and(is_one_or_none)
}

fn is_behind_the_scenes(rest: &[u8]) -> bool {
    let the = strip_word(rest, b"the");
    the.and_then(|rest| strip_word(rest, b"scenes"))
        .is_some_and(<[u8]>::is_empty)
}
