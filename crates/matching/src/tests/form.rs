use proptest::prelude::*;

use crate::{FoldRule, Form, lies_under};

fn back(form: Form<'_>) -> Vec<String> {
    form.rev_components()
        .map(|component| String::from_utf8(component.folded().collect()).expect("text"))
        .collect()
}

#[test]
fn components_come_from_the_end_without_empty_ones() {
    assert_eq!(back(Form::from_folded(b"/a//b/c.mkv/")), ["c.mkv", "b", "a"]);
    assert_eq!(
        back(Form::new(br"\\S\T/x\AC.mkv", FoldRule::Windows)),
        ["ac.mkv", "x", "t", "s"]
    );
    assert_eq!(back(Form::new(br"/M/AC\DC.mkv", FoldRule::Ascii)), [r"ac\dc.mkv", "m"]);
    assert_eq!(back(Form::from_folded(b"///")), Vec::<String>::new());
    assert_eq!(back(Form::from_folded(b"")), Vec::<String>::new());
}

#[test]
fn common_ends_are_counted_in_components() {
    let common = |a: &[u8], b: &[u8]| Form::new(a, FoldRule::Windows).common_components(Form::from_folded(b));
    assert_eq!(common(br"D:\Films\A\x.mkv", b"/mnt/films/a/x.mkv"), 3);
    assert_eq!(common(br"D:\Films\A\x.mkv", b"/mnt/films/b/x.mkv"), 1);
    assert_eq!(common(br"D:\Films\A\x.mkv", b"/mnt/films/a/yx.mkv"), 0);
    assert_eq!(common(b"", b"/a"), 0);
}

#[test]
fn folders_hold_what_lies_below_them() {
    for (path, folder, under) in [
        ("/mnt/media/x.mkv", "/mnt/media", true),
        ("/mnt/media/x.mkv", "/mnt/media/", true),
        ("/mnt//media/x.mkv", "/mnt/media", true),
        ("/mnt/media", "/mnt/media", false),
        ("/mnt/media2/x.mkv", "/mnt/media", false),
        ("/mnt/x.mkv", "/mnt/media", false),
        ("/x.mkv", "/", true),
        ("x.mkv", "/", false),
        ("mnt/x.mkv", "/mnt", false),
        ("c:/media/x.mkv", "c:", true),
        ("c:/media/x.mkv", "c:/", true),
        ("//server/share/x.mkv", "//server/share", true),
        ("/x.mkv", "", false),
    ] {
        assert_eq!(
            lies_under(path.as_bytes(), folder.as_bytes()),
            under,
            "{path} in {folder}"
        );
    }
}

proptest! {
    #[test]
    fn lazy_folding_equals_eager_folding(path in "[aB/\\\\.]{0,24}", other in "[aB/\\\\.]{0,24}") {
        let folded = |path: &str| path.to_lowercase().replace('\\', "/");
        let (a, b) = (folded(&path), folded(&other));
        let lazily = Form::new(path.as_bytes(), FoldRule::Windows);
        prop_assert!(lazily.equals(a.as_bytes()));
        prop_assert_eq!(lazily.equals(b.as_bytes()), a == b);
        prop_assert_eq!(back(lazily), back(Form::from_folded(a.as_bytes())));
        let common = a.split('/').filter(|c| !c.is_empty()).rev()
            .zip(b.split('/').filter(|c| !c.is_empty()).rev()).take_while(|(x, y)| x == y).count();
        prop_assert_eq!(lazily.common_components(Form::from_folded(b.as_bytes())), common);
        prop_assert_eq!(Form::new(other.as_bytes(), FoldRule::Windows).common_components(lazily), common);
    }
}

/// Comparing eight bytes at a time gives the same result as single bytes.
#[test]
fn forms_are_compared_as_their_bytes_are() {
    let paths = [
        "/Mnt/TV/Show A/Season 01/x.mkv",
        "/mnt/tv/show a/season 01/x.mkv",
        "/mnt/tv/show b",
        "/mnt/tv/show ",
        "/mnt/tv/show a!/y",
        "/@[`{Zz/AZaz",
        "",
        "/",
        "C:\\Films\\A FILM.mkv",
        "c:/films/a film.mkv",
    ];
    let form = |path: &'static str| {
        let windows = path.contains('\\');
        Form::new(
            path.as_bytes(),
            if windows { FoldRule::Windows } else { FoldRule::Ascii },
        )
    };
    for one in paths {
        let bytes: Vec<u8> = form(one).bytes().collect();
        assert!(Form::from_folded(&bytes).equals(&bytes) && form(one).equals(&bytes));
        for other in paths {
            let others: Vec<u8> = form(other).bytes().collect();
            assert_eq!(form(one).compare(form(other), 0), bytes.cmp(&others), "{one} {other}");
            let same = bytes.iter().zip(&others).take_while(|(a, b)| a == b).count();
            for from in 0..=same {
                assert_eq!(
                    form(one).compare(Form::from_folded(&others), from),
                    bytes.cmp(&others),
                    "{one} {other} {from}"
                );
                let folder = [&others[..], b"/"].concat();
                let start = &bytes[..bytes.len().min(folder.len())];
                assert_eq!(
                    form(one).compare_to_folder(&others, from),
                    (start.cmp(&folder), same),
                    "{one} {other}"
                );
            }
        }
    }
}
