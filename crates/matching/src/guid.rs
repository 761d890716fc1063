//! Parses the spellings of a GUID, so that a query finds an item by each of them.

use std::borrow::Cow;

use crate::model::{Item, ItemType};

/// A clause for messages, with the spellings that [`RequestedGuid::parse`] accepts.
pub const ACCEPTED_SPELLINGS: &str = "; a GUID is spelled as 'tt0073195', 'imdb://tt0073195', 'tmdb://603', \
                                      'tvdb://episode/349232', 'mbid://…', 'plex://movie/…' or \
                                      'com.plexapp.agents.imdb://tt0073195', or as an address on imdb.com, \
                                      themoviedb.org or thetvdb.com that contains the number";

/// A GUID as a host asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedGuid {
    /// The spelling that all spellings of the GUID share.
    pub canonical: String,
    /// The type that the GUID's item must have, if the spelling names one; [`ItemType::Other`] if not.
    pub kind: ItemType,
}

impl RequestedGuid {
    /// Parses a GUID. Returns `None` if the spelling is unknown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let address = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        if let Some(address) = address {
            return Self::parse_address(address);
        }
        if imdb_number(&text).is_some() {
            return Some(Self::of("imdb", &text, ItemType::Other));
        }
        let (scheme, id) = split_scheme(&text)?;
        let (kind, number) = match id.split_once('/') {
            Some((word, number)) if is_number(number) => (kind_of(word)?, number),
            _ => (ItemType::Other, id),
        };
        match scheme {
            "tmdb" | "tvdb" => Some(Self::of(scheme, number, kind)),
            _ => Some(Self::of(scheme, id, ItemType::Other)),
        }
    }

    /// Creates the GUID for the items of a show with this GUID, in its canonical spelling.
    #[must_use]
    pub const fn of_show(canonical: String) -> Self {
        Self {
            canonical,
            kind: ItemType::Show,
        }
    }

    /// Creates the GUID for a string of any spelling, which finds only items with this string.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        Self {
            canonical: Self::canonical_of(text).into_owned(),
            kind: ItemType::Other,
        }
    }

    /// Returns the spelling that all spellings of an item's GUID share.
    #[must_use]
    pub fn canonical_of(guid: &str) -> Cow<'_, str> {
        // Fast path: nearly all GUIDs that a server lists.
        let is_usual = ["plex://", "imdb://tt", "tmdb://", "tvdb://", "mbid://"]
            .iter()
            .any(|prefix| guid.starts_with(prefix));
        if is_usual && !guid.bytes().any(|byte| byte == b'?' || byte.is_ascii_uppercase()) {
            return Cow::Borrowed(guid);
        }
        let guid = guid.to_ascii_lowercase();
        Cow::Owned(match split_scheme(&guid) {
            Some((scheme, id)) => Self::of(scheme, id, ItemType::Other).canonical,
            None => guid,
        })
    }

    /// Returns whether an item, its season or album, or its show or artist has this GUID and the requested type.
    #[must_use]
    pub fn is_of(&self, item: &Item) -> bool {
        match self.kind {
            ItemType::Other => self.is_of_item(item) || self.equals(&item.season_guid) || self.equals(&item.show_guid),
            ItemType::Show => self.equals(&item.show_guid),
            ItemType::Season => self.equals(&item.season_guid),
            _ => self.is_of_item(item),
        }
    }

    /// Returns whether an item itself has this GUID and the requested type.
    #[must_use]
    pub fn is_of_item(&self, item: &Item) -> bool {
        (self.kind == ItemType::Other || self.kind == item.kind)
            && (self.equals(&item.guid) || item.guids.iter().any(|guid| self.equals(guid)))
    }

    /// Returns whether the GUID can be a show's.
    #[must_use]
    pub fn may_be_of_show(&self) -> bool {
        matches!(self.kind, ItemType::Other | ItemType::Show)
    }

    /// Returns whether a server's spelling of a GUID is this GUID.
    #[must_use]
    pub fn equals(&self, guid: &str) -> bool {
        !guid.is_empty() && Self::canonical_of(guid) == self.canonical
    }

    /// Returns whether another item can have the same GUID, because the site numbers films, shows and episodes
    /// separately.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        self.kind != ItemType::Other
            || !["tmdb://", "tvdb://"]
                .iter()
                .any(|scheme| self.canonical.starts_with(scheme))
    }

    /// Creates the GUID for a lower-case scheme and ID. Old agents put their name before the ID, and a language after
    /// it.
    fn of(scheme: &str, id: &str, kind: ItemType) -> Self {
        let id = id.split('?').next().unwrap_or_default();
        let agent = scheme.strip_prefix("com.plexapp.agents.");
        let site = match agent.unwrap_or(scheme) {
            "imdb" if imdb_number(id).is_some() => Some("imdb"),
            "themoviedb" | "tmdb" if is_number(id) => Some("tmdb"),
            "thetvdb" | "tvdb" if is_number(id) => Some("tvdb"),
            _ => None,
        };
        let id = match site {
            Some("imdb") => format!("tt{}", imdb_number(id).unwrap_or_default()),
            _ => id.to_owned(),
        };
        Self {
            canonical: format!("{}://{id}", site.unwrap_or(scheme)),
            kind,
        }
    }

    /// Parses a web address without its scheme.
    fn parse_address(address: &str) -> Option<Self> {
        let (host, rest) = address.split_once('/')?;
        let host = host.trim_start_matches("www.").trim_start_matches("m.");
        let (path, arguments) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.split('#').next().unwrap_or_default();
        let parts: Vec<&str> = path
            .split('/')
            .filter(|part| !part.is_empty() && *part != "dereferrer")
            .collect();
        match (host, parts.as_slice()) {
            ("imdb.com", [.., "title", id] | [.., "title", id, _]) => {
                imdb_number(id)?;
                Some(Self::of("imdb", id, ItemType::Other))
            }
            // The name follows the number: `603-the-matrix`.
            ("themoviedb.org", [kind, id]) => {
                let number = id.split('-').next().filter(|number| is_number(number))?;
                Some(Self::of("tmdb", number, kind_of(kind)?))
            }
            ("thetvdb.com", [kind, number]) if is_number(number) => Some(Self::of("tvdb", number, kind_of(kind)?)),
            ("thetvdb.com", _) => {
                let argument = |name: &str| {
                    let mut pairs = arguments.split('&').filter_map(|pair| pair.split_once('='));
                    pairs.find_map(|(key, value)| (key == name).then_some(value))
                };
                let number = argument("id").filter(|number| is_number(number))?;
                Some(Self::of("tvdb", number, kind_of(argument("tab")?)?))
            }
            _ => None,
        }
    }
}

/// Splits a GUID into its scheme and its ID: `imdb://tt1`, and for known sites also `imdb:tt1` and `imdb-tt1`.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    if let Some((scheme, id)) = text.split_once("://") {
        return (!scheme.is_empty() && !id.is_empty()).then_some((scheme, id));
    }
    let (site, id) = text.split_once([':', '-', '='])?;
    let is_known = matches!(site, "imdb" | "tmdb" | "themoviedb" | "tvdb" | "thetvdb" | "mbid");
    (is_known && !id.is_empty()).then_some((site, id))
}

/// Returns the type for a word in an address; `None` for an unknown word.
fn kind_of(word: &str) -> Option<ItemType> {
    match word {
        "movie" | "movies" | "film" => Some(ItemType::Movie),
        "show" | "shows" | "series" | "tv" => Some(ItemType::Show),
        "season" | "seasons" => Some(ItemType::Season),
        "episode" | "episodes" => Some(ItemType::Episode),
        _ => None,
    }
}

/// Returns the digits of an `imdb` ID, such as `tt0073195` or `0073195`.
fn imdb_number(id: &str) -> Option<&str> {
    let digits = id.strip_prefix("tt").unwrap_or(id);
    (is_number(digits) && (id.len() > digits.len() || digits.len() >= 7)).then_some(digits)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
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
}
