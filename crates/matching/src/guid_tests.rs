use super::RequestedGuid;
use crate::model::ItemType;

#[test]
fn each_spelling_of_a_guid_is_the_same() {
    for (spelling, wanted) in [
        ("tt0073195", "imdb://tt0073195"),
        (" TT0073195 ", "imdb://tt0073195"),
        ("imdb://tt0073195", "imdb://tt0073195"),
        ("IMDB://TT0073195", "imdb://tt0073195"),
        ("imdb:tt0073195", "imdb://tt0073195"),
        ("imdb-tt0073195", "imdb://tt0073195"),
        ("com.plexapp.agents.imdb://tt0073195", "imdb://tt0073195"),
        ("com.plexapp.agents.imdb://tt0073195?lang=en", "imdb://tt0073195"),
        ("https://www.imdb.com/title/tt0073195/", "imdb://tt0073195"),
        (
            "https://m.imdb.com/title/tt0073195/reference?ref_=x",
            "imdb://tt0073195",
        ),
        ("https://www.imdb.com/de/title/tt0073195", "imdb://tt0073195"),
        ("tmdb:603", "tmdb://603"),
        ("com.plexapp.agents.themoviedb://603?lang=de", "tmdb://603"),
        ("TMDB://603", "tmdb://603"),
        ("tvdb=81189", "tvdb://81189"),
        ("com.plexapp.agents.thetvdb://81189", "tvdb://81189"),
        (
            "com.plexapp.agents.thetvdb://81189/1/2?lang=en",
            "com.plexapp.agents.thetvdb://81189/1/2",
        ),
        (
            "plex://movie/5D776825880197001EC90394",
            "plex://movie/5d776825880197001ec90394",
        ),
        ("local://1234", "local://1234"),
        (
            "mbid://b1a9c0e9-d987-4042-ae91-78d6a3267d69",
            "mbid://b1a9c0e9-d987-4042-ae91-78d6a3267d69",
        ),
    ] {
        let parsed = RequestedGuid::parse(spelling).expect("a known spelling");
        assert_eq!(
            (parsed.canonical.as_str(), parsed.kind),
            (wanted, ItemType::Other),
            "{spelling}"
        );
        if !spelling.contains("://www") && spelling.contains("://") && !spelling.starts_with("http") {
            assert_eq!(RequestedGuid::canonical_of(spelling), wanted, "{spelling}");
        }
    }
}

#[test]
fn some_spellings_name_the_type() {
    for (spelling, wanted, kind) in [
        ("tvdb://show/81189", "tvdb://81189", ItemType::Show),
        ("tvdb://episode/349232", "tvdb://349232", ItemType::Episode),
        ("tmdb:movie/603", "tmdb://603", ItemType::Movie),
        (
            "https://www.themoviedb.org/movie/603-the-matrix",
            "tmdb://603",
            ItemType::Movie,
        ),
        (
            "https://www.themoviedb.org/tv/1396?language=de",
            "tmdb://1396",
            ItemType::Show,
        ),
        (
            "https://thetvdb.com/dereferrer/series/81189",
            "tvdb://81189",
            ItemType::Show,
        ),
        ("https://thetvdb.com/series/81189", "tvdb://81189", ItemType::Show),
        (
            "http://thetvdb.com/?tab=series&id=81189",
            "tvdb://81189",
            ItemType::Show,
        ),
        (
            "http://thetvdb.com/?tab=episode&seriesid=1&id=349232",
            "tvdb://349232",
            ItemType::Episode,
        ),
    ] {
        let parsed = RequestedGuid::parse(spelling).expect("a known spelling");
        assert_eq!((parsed.canonical.as_str(), parsed.kind), (wanted, kind), "{spelling}");
        assert!(parsed.is_unique());
    }
}

#[test]
fn other_spellings_are_unknown() {
    for spelling in [
        "",
        "tt",
        "603",
        "The Matrix",
        "imdb:",
        "://x",
        "https://thetvdb.com/series/breaking-bad",
        "https://www.themoviedb.org/tv/1396/season/1/episode/2",
        "https://example.com/title/tt0073195",
        "https://www.imdb.com/name/nm0000001/",
        "tvdb://book/1",
    ] {
        assert_eq!(RequestedGuid::parse(spelling), None, "{spelling}");
    }
}

#[test]
fn only_numbers_of_one_site_can_be_two_things() {
    let is_unique = |spelling: &str| RequestedGuid::parse(spelling).expect("known").is_unique();
    assert!(!is_unique("tvdb://81189") && !is_unique("tmdb://603"));
    assert!(is_unique("tt0073195") && is_unique("plex://show/5d") && is_unique("tvdb://show/81189"));
}
