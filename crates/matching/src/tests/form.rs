use std::cmp::Ordering;

use proptest::prelude::*;

use crate::{FoldRule, Form, lies_under};

fn back(form: Form<'_>) -> Vec<String> {
    form.rev_components()
        .map(|component| String::from_utf8(component.bytes().collect()).expect("text"))
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
    fn lazy_folding_equals_eager_folding(path in "[aAB/\\\\.]{0,24}", other in "[aAB/\\\\.]{0,24}") {
        let folded = |path: &str| path.to_lowercase().replace('\\', "/");
        let (a, b) = (folded(&path), folded(&other));
        let lazily = Form::new(path.as_bytes(), FoldRule::Windows);
        prop_assert!(lazily.equals(a.as_bytes()));
        prop_assert_eq!(lazily.equals(b.as_bytes()), a == b);
        prop_assert_eq!(back(lazily), back(Form::from_folded(a.as_bytes())));
        let common = a.split('/').filter(|c| !c.is_empty()).rev()
            .zip(b.split('/').filter(|c| !c.is_empty()).rev()).take_while(|(x, y)| x == y).count();
        prop_assert_eq!(lazily.common_components(Form::from_folded(b.as_bytes())), common);
        let other = Form::new(other.as_bytes(), FoldRule::Windows);
        prop_assert_eq!([other.common_components(lazily), lazily.common_components(other)], [common; 2]);
    }
}

#[test]
fn forms_are_compared_as_their_bytes_are() {
    let windows = Form::new(b"C:\\Films\\A FILM.mkv", FoldRule::Windows);
    assert!(windows.compare(Form::from_folded(b"c:/films/a film.mkv")).is_eq());
    assert!(windows.compare(Form::from_folded(b"c:/films/b")).is_lt());
    for (folder, order) in [
        (&b"c:/films"[..], Ordering::Equal),
        (b"c:", Ordering::Equal),
        (b"c:/film", Ordering::Greater),
        (b"c:/films/a film.mkv", Ordering::Less),
        (b"c:/films/a", Ordering::Less),
        (b"", Ordering::Greater),
    ] {
        assert_eq!(windows.compare_to_folder(folder), order, "{folder:?}");
    }
}
