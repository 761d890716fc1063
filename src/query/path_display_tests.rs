use super::extension;

#[test]
fn an_extension_is_short_and_plain() {
    assert_eq!(extension(b"/media/A Film (1999).mkv"), ".mkv");
    assert_eq!(extension(b"D:\\Films\\x.M2TS"), ".M2TS");
    for none in [
        &b"/media/film"[..],
        b"/media.d/film",
        b"/media/.hidden",
        b"/a/b.a secret",
        b"/a/b.",
        b"/a/b.\xff",
    ] {
        assert_eq!(extension(none), "");
    }
}
