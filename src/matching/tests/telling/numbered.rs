//! Episodes and tracks: told by title and number.

use super::*;

#[test]
fn an_episode_is_told_by_show_season_and_number() {
    names(
        &episode("Game of Thrones", 1, 2),
        &[
            ("Game of Thrones - S01E02 - The Kingsroad.mkv", Tells),
            ("Game.of.Thrones.S01E02.1080p.mkv", Tells),
            ("Game.of.Thrones.1x02.mkv", Tells),
            ("Game of Thrones S01 E02.mkv", Tells),
            ("Game of Thrones Season 1 Episode 2.mkv", Tells),
            ("[Group] Game of Thrones - S01E02.mkv", Tells),
            ("HBO - Game of Thrones S01E02.mkv", Tells),
            ("Game of Thrones S01E01E02.mkv", Tells),
            ("Game of Thrones S01E01-E03.mkv", Tells),
            ("Game of Thrones S01E03.mkv", Against),
            ("Game of Thrones S02E02.mkv", Against),
            ("Game of Thrones 102.mkv", Nothing),
            ("Game of Thrones - 2.mkv", Nothing),
            ("Game of Thrones 2011-04-24.mkv", Nothing),
            ("Game of Thrones Origins S01E02.mkv", Nothing),
            ("The Making of Game of Thrones S01E02.mkv", Nothing),
            ("S01E02.mkv", Nothing),
        ],
    );
    check(
        &episode("Game of Thrones", 1, 2),
        &[
            (
                "/n/Game of Thrones/Season 1/S01E02.mkv",
                "/p/x/Season 01/S01E02.mkv",
                Tells,
            ),
            ("/n/Game of Thrones/S01/E02.mkv", "/p/x/y/E02.mkv", Tells),
            ("/n/Game of Thrones/E02.mkv", "/p/x/y/E02.mkv", Nothing),
            (
                "/n/Game of Thrones (2011)/Season 1/S01E02.mkv",
                "/p/Game of Thrones (2011)/S1/S01E02.mkv",
                Tells,
            ),
            ("/n/Game of Thrones/Season 2/S01E02.mkv", "/p/x/S01E02.mkv", Against),
            ("/n/Other Show/Season 1/S01E02.mkv", "/p/x/Season 1/S01E02.mkv", Nothing),
            ("/n/Season 1/S01E02.mkv", "/p/Season 1/S01E02.mkv", Nothing),
            ("/n/Game of Thrones/a/b/c/S01E02.mkv", "/p/x/S01E02.mkv", Nothing),
        ],
    );
    names(
        &episode("Marvel's Agents of S.H.I.E.L.D.", 4, 17),
        &[
            ("Marvels.Agents.of.SHIELD.S04E17.mkv", Tells),
            ("Marvels Agents of S.H.I.E.L.D. 4x17.mkv", Tells),
        ],
    );
    names(
        &episode("24", 2, 3),
        &[("24.S02E03.mkv", Tells), ("24 - S02E04.mkv", Against)],
    );
    check(
        &episode("Lost", 1, 1),
        &[
            ("/n/Lost/Season 1/S01E01.mkv", "/p/Lost/Series 1/S01E01.mkv", Nothing),
            ("/n/q/Lost S01E01.mkv", "/p/Lost/Lost S01E01.mkv", Tells),
        ],
    );
    check(
        &episode("Naruto", 1, 137),
        &[("/n/Naruto - 137.mkv", "/p/Naruto/Naruto - 137.mkv", Nothing)],
    );
    check(
        &episode("Game of Thrones", 0, 1),
        &[
            ("/n/Game of Thrones/Specials/S00E01.mkv", "/p/x/S00E01.mkv", Tells),
            ("/n/Game of Thrones/Specials/E01.mkv", "/p/x/E01.mkv", Tells),
        ],
    );
}

#[test]
fn two_shows_of_one_title_are_told_by_their_year_or_country() {
    let file = "Season 1/Doctor Who - S01E01.mkv";
    for (asked, listed, verdict) in [
        ("Doctor Who (2005)", "Doctor Who (2005)", Tells),
        ("Doctor Who (1963)", "Doctor Who (2005)", Against),
        ("Doctor Who (1963)", "Doctor Who", Against),
        ("Doctor Who (2010)", "Doctor Who", Tells),
    ] {
        let (asked, listed) = (format!("/n/{asked}/{file}"), format!("/p/{listed}/{file}"));
        check(&episode("Doctor Who", 1, 1), &[(&asked, &listed, verdict)]);
    }
    check(
        &episode("The Office", 1, 1),
        &[
            (
                "/n/The Office (UK)/S01E01.mkv",
                "/p/The Office (US)/S01E01.mkv",
                Nothing,
            ),
            ("/n/The Office US/S01E01.mkv", "/p/The Office/S01E01.mkv", Nothing),
        ],
    );
    // A film of the show's title has no number.
    names(
        &film("Firefly Serenity", 2005),
        &[("Firefly Serenity S01E01.mkv", Nothing)],
    );
}

#[test]
fn a_track_is_told_by_title_artist_and_the_album_s_folder() {
    let intro = track("The Nobodies", "Intro", 1);
    let listed = "/p/The Nobodies/First/01 - Intro.flac";
    check(
        &intro,
        &[
            ("/n/The Nobodies/First/01 - Intro.flac", listed, Tells),
            ("/n/Nobodies, The/First/01 - Intro.flac", listed, Tells),
            ("/n/The Nobodies/Second/01 - Intro.flac", listed, Nothing),
            ("/n/Others/First/01 - Intro.flac", listed, Nothing),
            ("/n/The Nobodies and Friends/First/01 - Intro.flac", listed, Nothing),
            (
                "/n/The Nobodies/Second/CD1/01 - Intro.flac",
                "/p/The Nobodies/First/CD1/01 - Intro.flac",
                Nothing,
            ),
            (
                "/n/x/Second/CD1/The Nobodies - 01 - Intro.flac",
                "/p/x/First/CD1/The Nobodies - 01 - Intro.flac",
                Nothing,
            ),
            (
                "/n/First/The Nobodies - Intro.flac",
                "/p/x/First/The Nobodies - Intro.flac",
                Tells,
            ),
            (
                "/n/Second/The Nobodies - Intro.flac",
                "/p/First/The Nobodies - Intro.flac",
                Nothing,
            ),
            // An album in the file's name.
            (
                "/n/The Nobodies - First - 01 - Intro.flac",
                "/p/The Nobodies - First - 01 - Intro.flac",
                Tells,
            ),
            (
                "/n/The Nobodies - First - 1-01 - Intro.flac",
                "/p/The Nobodies - First - 1-01 - Intro.flac",
                Tells,
            ),
            (
                "/n/The Nobodies - First - Intro.flac",
                "/p/The Nobodies - First - Intro.flac",
                Tells,
            ),
            (
                "/n/The Nobodies - 01 - Intro.flac",
                "/p/The Nobodies - 01 - Intro.flac",
                Nothing,
            ),
            (
                "/n/The Nobodies - CD1 - 01 - Intro.flac",
                "/p/The Nobodies - CD1 - 01 - Intro.flac",
                Nothing,
            ),
            (
                "/n/The Nobodies - Unknown Album - 01 - Intro.flac",
                "/p/The Nobodies - Unknown Album - 01 - Intro.flac",
                Nothing,
            ),
            (
                "/n/The Nobodies - First - 02 - Intro.flac",
                "/p/The Nobodies - First - 02 - Intro.flac",
                Against,
            ),
            (
                "/n/The Nobodies/First/01.flac",
                "/p/The Nobodies/First/01.flac",
                Nothing,
            ),
            (
                "/n/The Nobodies/First/02 - Intro.flac",
                "/p/x/First/02 - Intro.flac",
                Against,
            ),
            (
                "/n/The Nobodies/First/1-01 Intro.flac",
                "/p/x/First/1-01 Intro.flac",
                Tells,
            ),
            (
                "/n/The Nobodies/First/101 Intro.flac",
                "/p/x/First/101 Intro.flac",
                Tells,
            ),
            (
                "/n/The Nobodies/First/01 Intro (Live).flac",
                "/p/x/First/01 Intro (Live).flac",
                Nothing,
            ),
        ],
    );
}
