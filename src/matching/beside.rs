//! The words that names of media have beside titles.

use super::numbered::is_disc_word;
use super::words::{Gap, Words, number, year};

/// Which of the words that make an edition of a film this is, if any: each has a number of its own, below 32.
pub fn edition(word: &[u8]) -> Option<u32> {
    Some(match word {
        b"edition" => 0,
        b"cut" => 1,
        b"extended" => 2,
        b"unrated" => 3,
        b"uncut" => 4,
        b"uncensored" => 5,
        b"remastered" => 6,
        b"restored" => 7,
        b"theatrical" => 8,
        b"directors" => 9,
        b"final" => 10,
        b"redux" => 11,
        b"imax" => 12,
        b"ultimate" => 13,
        b"fanedit" => 14,
        b"3d" => 15,
        _ => return None,
    })
}

/// Words of folders that tell nothing of what is in them, sorted.
pub const GENERAL: &[&[u8]] = &[
    b"album",
    b"albums",
    b"android",
    b"apr",
    b"april",
    b"archive",
    b"archives",
    b"artist",
    b"artists",
    b"audio",
    b"aug",
    b"august",
    b"avchd",
    b"backup",
    b"backups",
    b"bdmv",
    b"bilder",
    b"bluray",
    b"bonus",
    b"camera",
    b"cameras",
    b"canon",
    b"cd",
    b"clip",
    b"clips",
    b"complete",
    b"completed",
    b"data",
    b"dcim",
    b"dec",
    b"december",
    b"disc",
    b"disk",
    b"disks",
    b"dji",
    b"download",
    b"downloads",
    b"drive",
    b"dvd",
    b"extras",
    b"feature",
    b"features",
    b"feb",
    b"february",
    b"file",
    b"files",
    b"film",
    b"filme",
    b"films",
    b"folder",
    b"fotos",
    b"galaxy",
    b"gopro",
    b"home",
    b"huawei",
    b"image",
    b"images",
    b"img",
    b"ipad",
    b"iphone",
    b"jan",
    b"january",
    b"jul",
    b"july",
    b"jun",
    b"june",
    b"libraries",
    b"library",
    b"main",
    b"mar",
    b"march",
    b"may",
    b"media",
    b"misc",
    b"mnt",
    b"mobile",
    b"movie",
    b"movies",
    b"music",
    b"musik",
    b"nas",
    b"neuer",
    b"new",
    b"nikon",
    b"nov",
    b"november",
    b"oct",
    b"october",
    b"old",
    b"ordner",
    b"other",
    b"phone",
    b"photo",
    b"photos",
    b"pics",
    b"picture",
    b"pictures",
    b"pixel",
    b"playlist",
    b"plex",
    b"private",
    b"recording",
    b"recordings",
    b"roll",
    b"sample",
    b"samsung",
    b"saved",
    b"scan",
    b"scans",
    b"screenshots",
    b"season",
    b"seasons",
    b"sep",
    b"sept",
    b"september",
    b"serien",
    b"series",
    b"share",
    b"shared",
    b"shows",
    b"sony",
    b"sorted",
    b"specials",
    b"stream",
    b"television",
    b"temp",
    b"title",
    b"tmp",
    b"track",
    b"tracks",
    b"ts",
    b"tv",
    b"unknown",
    b"unsorted",
    b"untitled",
    b"upload",
    b"uploads",
    b"usb",
    b"various",
    b"video",
    b"videos",
    b"volume",
    b"whatsapp",
];

pub fn is_general(word: &[u8]) -> bool {
    GENERAL.binary_search(&word).is_ok()
}

/// Words that describe a file, and are in no title.
pub const ABOUT: [&[u8]; 20] = [
    b"4k", b"uhd", b"hdr", b"bluray", b"bdrip", b"brrip", b"bdremux", b"remux", b"webrip", b"webdl", b"web", b"hdtv",
    b"hdrip", b"dvdrip", b"dvd", b"x264", b"x265", b"h264", b"h265", b"hevc",
];

/// Whether a title is at its end before this word: nothing follows, or what names have behind a title.
pub fn ends_title(words: &Words, at: usize) -> bool {
    let word = words.word(at);
    at >= words.len()
        || year(word).is_some()
        || words.before(at) == Gap::Bracket
        || is_about(word)
        || is_disc_word(word)
}

/// Whether a word describes a file: `x264`, `1080p`.
pub fn is_about(word: &[u8]) -> bool {
    let lines = word.strip_suffix(b"p").or(word.strip_suffix(b"i"));
    ABOUT.contains(&word) || lines.is_some_and(|digits| digits.len() >= 3 && number(digits).is_some())
}

/// Whether a word behind a title makes it another title: `II`, `3`, `Part`.
pub fn is_sequel(word: &[u8]) -> bool {
    let roman = !word.is_empty() && word.iter().all(|letter| b"ivx".contains(letter));
    let digit = word.first().is_some_and(u8::is_ascii_digit);
    roman || digit || [&b"part"[..], b"pt", b"vol", b"volume", b"chapter", b"episode"].contains(&word)
}
