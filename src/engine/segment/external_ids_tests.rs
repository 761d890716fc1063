use super::{PREFIXES, PackedReader, put_id};

#[test]
fn an_id_comes_back_as_it_was() {
    let hex = "57cb3d0c48e28585464383f5";
    let uuid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
    for rest in [
        "",
        "0",
        "007",
        "18446744073709551615",
        "99999999999999999999",
        "9999999999999999999",
        "+1",
        "1 ",
        hex,
        uuid,
        &hex.to_uppercase(),
        &uuid.to_uppercase(),
        &hex[1..],
        &uuid.replace('-', "0"),
        "\u{e4}",
        "a\nb",
        "\0",
    ] {
        for prefix in PREFIXES
            .iter()
            .chain(&["plex://season/", "imdb://", "local://", "PLEX://movie/"])
        {
            let id = format!("{prefix}{rest}");
            let mut packed = Vec::new();
            put_id(&mut packed, &id);
            put_id(&mut packed, "");
            let mut reader = PackedReader(&packed);
            let read = [reader.id(), reader.id(), reader.id()];
            assert_eq!(read, [Some(id), Some(String::new()), None]);
        }
    }
}
