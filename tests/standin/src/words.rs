//! The words that generated titles are made of.

use std::sync::LazyLock;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident: $text:literal;)*) => {
        $($(#[$doc])* pub static $name: LazyLock<Vec<&str>> = LazyLock::new(|| $text.split(", ").collect());)*
    };
}

words! {
    /// 64 adjectives: bits 0–5 of a title's number.
    ADJECTIVES: "\
        Amber, Ancient, Autumn, Bitter, Blazing, Blue, Bold, Brave, Bright, Broken, Burning, Calm, Cold, Crimson, \
        Crooked, Curious, Dark, Deep, Distant, Electric, Empty, Endless, Faded, Fallen, Final, First, Forgotten, \
        Frozen, Gentle, Gilded, Golden, Green, Hidden, Hollow, Humble, Idle, Iron, Jagged, Last, Little, Lonely, \
        Lost, Lucky, Marble, Midnight, Misty, Narrow, Northern, Paper, Patient, Quiet, Restless, Royal, Sacred, \
        Scarlet, Secret, Silent, Silver, Southern, Stolen, Velvet, Wandering, Wild, Winter";
    /// 64 nouns: bits 6–11 of a title's number.
    NOUNS: "\
        Anchor, Archive, Arrow, Bell, Bridge, Candle, Canyon, Captain, Castle, Circus, Clock, Comet, Compass, \
        Crown, Dancer, Desert, Dream, Engine, Falcon, Feather, Forest, Fortune, Garden, Ghost, Giant, Harbor, \
        Harvest, Heart, Horizon, Hunter, Island, Journey, Kingdom, Lantern, Letter, Machine, Map, Mask, Mirror, \
        Mountain, Ocean, Orchard, Parade, Pilot, Prince, Promise, Rain, Raven, River, Road, Shadow, Signal, \
        Sparrow, Storm, Stranger, Summer, Theatre, Tide, Tower, Train, Valley, Voyage, Whisper, Window";
    /// 32 places: bits 12–16 of a title's number, as the title has them.
    /// Three are not ASCII; a plain library uses `PLACES_PLAIN` for those.
    PLACES: "\
        Aberdeen, Alberta, Bergen, Bristol, Cairo, Cordoba, Dakota, Delphi, Edinburgh, Florence, Galway, Geneva, \
        Havana, Ithaca, Jakarta, Kyoto, Lisbon, Malm\u{f6}, Memphis, Nairobi, Orl\u{e9}ans, Oslo, Prague, Quebec, \
        Riga, Santiago, Tangier, Utrecht, Verona, Warsaw, York, \u{6771}\u{4eac}";
    /// `PLACES` with ASCII names only.
    PLACES_PLAIN: "\
        Aberdeen, Alberta, Bergen, Bristol, Cairo, Cordoba, Dakota, Delphi, Edinburgh, Florence, Galway, Geneva, \
        Havana, Ithaca, Jakarta, Kyoto, Lisbon, Malmo, Memphis, Nairobi, Orleans, Oslo, Prague, Quebec, Riga, \
        Santiago, Tangier, Utrecht, Verona, Warsaw, York, Tokyo";
    /// `PLACES` as file names spell them: `Malmö` is decomposed (NFD), as a disk filled by a Mac
    /// would have it, `Orléans` is composed (NFC).
    PLACES_ON_DISK: "\
        Aberdeen, Alberta, Bergen, Bristol, Cairo, Cordoba, Dakota, Delphi, Edinburgh, Florence, Galway, Geneva, \
        Havana, Ithaca, Jakarta, Kyoto, Lisbon, Malmo\u{308}, Memphis, Nairobi, Orl\u{e9}ans, Oslo, Prague, \
        Quebec, Riga, Santiago, Tangier, Utrecht, Verona, Warsaw, York, \u{6771}\u{4eac}";
    /// Genres, studios, content ratings and people of generated items.
    GENRES: "\
        Action, Adventure, Animation, Comedy, Crime, Documentary, Drama, Family, Fantasy, Mystery, Romance, \
        Thriller";
    /// Studios (movies) and networks (shows).
    STUDIOS: "\
        Blue Lantern Pictures, Harbor Light Films, Northern Sky Studio, Paper Moon Productions, Quiet Road \
        Entertainment, Silver Tide Media, Tall Tower Television, Winter Garden Films";
    /// Content ratings.
    RATINGS: "\
        G, PG, PG-13, R, NR, TV-14";
    /// Countries.
    COUNTRIES: "\
        Canada, France, Japan, Netherlands, Norway, United States of America";
    /// Given names of people.
    GIVEN: "\
        Ada, Boris, Clara, Daniel, Elena, Frank, Greta, Henry, Ines, Jonas, Karin, Luis, Maria, Nils, Olga, Peter";
    /// Family names of people.
    FAMILY: "\
        Abel, Brandt, Castro, Duval, Eriksen, Fischer, Grant, Hughes, Ivanova, Jensen, Keller, Larsen, Moreau, \
        Novak, Olsen, Parker";
}

/// Summaries, some 300 bytes each.
pub const SUMMARIES: [&str; 4] = [
    "A reluctant mapmaker inherits a house at the edge of a town that appears on no map. While she measures its rooms, the neighbours tell her stories that do not agree, and each of them seems to have known her for years. What begins as an inventory turns into a search for the one door that nobody mentions.",
    "Two brothers who have not spoken since the war are forced to share a lighthouse for a single winter. The lamp fails, the boat does not come, and the signals from the far shore answer questions that they never sent. A quiet story about stubbornness, weather, and the price of keeping a light burning for others.",
    "When the last night train is cancelled, its passengers decide to walk. Over eleven hours and forty kilometres they trade seats, secrets and shoes, lose a suitcase that everyone claims, and arrive at a station where the clock runs backwards. An ensemble piece, funny until it is not, and then funny again.",
    "An engineer who repairs church bells discovers that one of them has been recast from something older. Following the metal from village to village, she meets those who would rather have silence. The film was shot in one valley over four seasons, with the people who live there playing versions of themselves.",
];
/// Taglines.
pub const TAGLINES: [&str; 4] = [
    "Some doors are only drawn on the wall.",
    "One winter. One lamp. No answer.",
    "The longest way home is together.",
    "Listen to what it was before.",
];
