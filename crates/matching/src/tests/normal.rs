use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use crate::NormalPath;
use crate::normal::{form_tag, normal_form, one_spelling};

fn form(path: &str) -> String {
    String::from_utf8(normal_form(path.as_bytes())).expect("the form of text is text")
}

#[test]
fn spellings_of_one_path_have_one_form() {
    for (one, other) in [
        ("/Media/Film.MKV", "/media/film.mkv"),
        ("/m/Caf\u{e9}.mkv", "/m/cafe\u{301}.mkv"),
        ("/m/CAFE\u{301}.mkv", "/m/caf\u{e9}.mkv"),
        ("/m/\u{212b}.mkv", "/m/\u{e5}.mkv"),
        (r"C:\Media\x.mkv", "c:/media/x.mkv"),
        (r"\\?\C:\Media\x.mkv", r"c:\media\x.mkv"),
        (r"C:\Media/Films\x.mkv", r"c:\media\films\x.mkv"),
        (r"C:\Media\x.mkv.", r"c:\media\x.mkv"),
        (r"C:\Media\x.mkv ", r"c:\media\x.mkv"),
        (r"E:\\x.mkv", "e:/x.mkv"),
        (r"\\Server\Share\x.mkv", r"\\?\UNC\server\share\x.mkv"),
        (r"\\Server\Share\x.mkv", "//server/share/x.mkv"),
        (r"\a \ ", "/a"),
        (r"C:\Medi\é.mkv", "c:/medi/e\u{301}.mkv"),
        (r"S:\\Silo\Season 01\x.mkv", r"S:\Silo\Season 01\x.mkv"),
        (r"F:\TV\.\x.mkv", "f:/tv/x.mkv"),
        (r"\\nas\\tv\x.mkv\", r"\\nas\tv\x.mkv"),
        (r"\\?\C:\\Media\.\x.mkv", r"c:\media\x.mkv"),
        ("/data/movies//É/./x.mkv//", "/data/movies/e\u{301}/x.mkv"),
        ("/data/movies/x.mkv/", "/data/movies/x.mkv"),
        ("/data/movies/x.mkv/.", "/data/movies/x.mkv"),
        ("///data/./x.mkv", "/data/x.mkv"),
        ("//", "/"),
    ] {
        assert_eq!(form(one), form(other), "{one} and {other}");
    }
}

#[test]
fn only_what_may_name_another_file_is_another_spelling() {
    let is_same = |one: &str, other: &str| NormalPath::with(one.as_bytes(), |one| one.has_spelling(other.as_bytes()));
    for (one, other) in [
        ("/m//x.mkv", "/m/./x.mkv/"),
        (r"D:\m\x.mkv", "d:/m/x.mkv"),
        (r"D:\m\x.mkv", r"\\?\d:\m\x.mkv"),
        (r"D:\m\x.mkv", r"D:\m\.\x.mkv. "),
        (r"\\nas\m\x.mkv", r"\\?\UNC\nas/m\x.mkv"),
        (r"\\nas\m\x.mkv", "//nas/m/x.mkv"),
    ] {
        assert!(is_same(one, other) && is_same(other, one), "{one} and {other}");
        assert_eq!(one_spelling(one.as_bytes()), one_spelling(other.as_bytes()));
    }
    for (one, other) in [
        ("/m/x.mkv", "/m/X.mkv"),
        ("/m/\u{e9}.mkv", "/m/e\u{301}.mkv"),
        (r"D:\m\x.mkv", r"D:\M\x.mkv"),
        (r"\\?\UNC\nas\m\x.mkv", r"\\?\UNC\Nas\m\x.mkv"),
        (r"/m\x.mkv", "/m/x.mkv"),
    ] {
        assert!(!is_same(one, other) && !is_same(other, one), "{one} and {other}");
        assert_ne!(one_spelling(one.as_bytes()), one_spelling(other.as_bytes()));
    }
    for path in ["/", "//", r"\\?\D:\m\x. ", "//nas/m/x.", r"//nas/m\x", ""] {
        let one = one_spelling(path.as_bytes());
        assert!(is_same(path, str::from_utf8(&one).expect("text")) && one.is_empty() == path.is_empty());
    }
}

#[test]
fn different_paths_have_different_forms() {
    for (one, other) in [
        (r"/m/AC\DC.mkv", "/m/AC/DC.mkv"),
        ("/m/x.mkv", "/m/x.mkv "),
        ("/m/x", "/m/x."),
        ("/m/\u{3c3}.mkv", "/m/\u{3c2}.mkv"),
        ("/m/ss.mkv", "/m/\u{df}.mkv"),
        ("/m/\u{131}.mkv", "/m/i.mkv"),
        ("C:x.mkv", "C:/x.mkv"),
        (r"1:\x.mkv", "1:/x.mkv"),
        ("//m/x.mkv", "/m/x.mkv"),
        ("/m/../x.mkv", "/x.mkv"),
        (r"/m/a\\b.mkv", r"/m/a\b.mkv"),
    ] {
        assert_ne!(form(one), form(other), "{one} and {other}");
    }
}

#[test]
fn one_letter_may_become_two() {
    assert_eq!(form("/İ.mkv"), "/i\u{307}.mkv");
}

#[test]
fn sigma_is_lowered_without_context() {
    assert_eq!(form("/ΟΔΟΣ.mkv"), "/οδοσ.mkv");
}

#[test]
fn a_path_that_is_not_utf8_is_its_own_form() {
    let path = b"/Media/caf\xe9/X.mkv";
    NormalPath::with(path, |normal| {
        assert_eq!(normal.form(), path);
        assert!(!normal.is_utf8());
    });
}

#[test]
fn long_paths_work_and_agree_with_short_ones() {
    for length in [
        0, 1, 31, 32, 33, 255, 256, 257, 4095, 4096, 12_287, 12_288, 13_000, 65_536, 70_000,
    ] {
        let ascii = "X".repeat(length);
        assert_eq!(normal_form(ascii.as_bytes()), "x".repeat(length).as_bytes());
        let greek = "\u{a7}\u{391}".repeat(length / 4);
        assert_eq!(form(&greek), "\u{a7}\u{3b1}".repeat(length / 4));
    }
}

#[test]
fn the_tag_names_form_and_tables() {
    assert_eq!(form_tag() >> 16, 2);
    assert!(form_tag() & 0xFFFF > 0x1000, "both Unicode versions are in it");
}

/// The definition of the normal form, implemented literally.
fn defined(text: &str) -> String {
    let folded: String = text.nfc().flat_map(char::to_lowercase).nfc().collect();
    let names: Vec<&str> = folded.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let root = if folded.starts_with("//") && !folded.starts_with("///") && !names.is_empty() {
        "//"
    } else {
        "/"
    };
    root.to_owned() + &names.join("/")
}

proptest! {
    #[test]
    fn posix_forms_are_as_defined(text in "/\\PC{0,300}") {
        prop_assert_eq!(form(&text), defined(&text));
    }

    #[test]
    fn letters_with_marks_are_as_defined(text in "/[aAeEıİΣσς\u{300}-\u{345}Å\u{212b}ﬁǅ가-힣ᄀ-ᅳ]{0,80}") {
        prop_assert_eq!(form(&text), defined(&text));
    }
}

/// Compares every character with Python's tables. Skipped without Python; the literal definition is always tested.
#[test]
fn python_agrees() {
    let script = r#"
import sys, unicodedata as u
out = []
for c in range(0x20, 0x110000):
    if 0xD800 <= c < 0xE000: continue
    x = chr(c)
    if u.category(x) in ("Cn", "Co") or x in "./": continue
    for text in (x, "A" + x, x + "\u0301", "\u0391" + x + "b"):
        out.append(text + "\n" + u.normalize("NFC", u.normalize("NFC", text).lower()))
sys.stdout.buffer.write("\0".join(out).encode())
"#;
    let Ok(output) = std::process::Command::new("python3").args(["-c", script]).output() else {
        return;
    };
    let text = String::from_utf8(output.stdout).expect("Python writes UTF-8");
    let mut compared = 0;
    let mut differing_roots = Vec::new();
    for pair in text.split('\0') {
        let Some((path, wanted)) = pair.split_once('\n') else {
            continue;
        };
        compared += 1;
        let ours = form(&format!("/{path}"));
        // Python lowers a capital sigma by its context; the normal form does not.
        if ours != format!("/{wanted}") && !path.contains('Σ') {
            differing_roots.push(path.to_owned());
        }
    }
    assert!(
        compared > 100_000 || !output.status.success(),
        "only {compared} compared"
    );
    assert_eq!(differing_roots, Vec::<String>::new());
}
