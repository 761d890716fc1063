use super::machine_identifier;

#[test]
fn only_the_machine_identifier_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |text: &str| std::fs::write(folder.path().join("Preferences.xml"), text).expect("written");
    assert_eq!(machine_identifier(folder.path()), None, "there is no such file");
    write(
        "<?xml version=\"1.0\"?>\n<Preferences OldestPreviousVersion=\"1\" MachineIdentifier=\"a-b-c\" \
         ProcessedMachineIdentifier=\"0123456789abcdef0123456789abcdef01234567\" PlexOnlineToken=\"secret\"/>",
    );
    assert_eq!(
        machine_identifier(folder.path()).as_deref(),
        Some("0123456789abcdef0123456789abcdef01234567")
    );
    for none in [
        "",
        "<Preferences/>",
        "<P ProcessedMachineIdentifier=\"\"/>",
        "<P ProcessedMachineIdentifier=\"a b\"/>",
    ] {
        write(none);
        assert_eq!(machine_identifier(folder.path()), None, "{none}");
    }
}
