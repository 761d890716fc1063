//! Title evidence for episodes and tracks: title and number.

use super::*;

#[test]
fn show_season_and_number_confirm_an_episode() {
    names(
        &episode("Game of Thrones", 1, 2),
        &[
            ("Game of Thrones - S01E02 - The Kingsroad.mkv", Confirms),
            ("Game.of.Thrones.S01E02.1080p.mkv", Confirms),
            ("Game.of.Thrones.1x02.mkv", Confirms),
            ("Game of Thrones S01 E02.mkv", Confirms),
            ("Game of Thrones Season 1 Episode 2.mkv", Confirms),
            ("[Group] Game of Thrones - S01E02.mkv", Confirms),
            ("HBO - Game of Thrones S01E02.mkv", Confirms),
            ("Game of Thrones S01E01E02.mkv", Confirms),
            ("Game of Thrones S01E01-E03.mkv", Confirms),
            ("Game of Thrones S01E03.mkv", Contradicts),
            ("Game of Thrones S02E02.mkv", Contradicts),
            ("Game of Thrones 102.mkv", Neutral),
            ("Game of Thrones - 2.mkv", Neutral),
            ("Game of Thrones 2011-04-24.mkv", Neutral),
            ("Game of Thrones Origins S01E02.mkv", Neutral),
            ("The Making of Game of Thrones S01E02.mkv", Neutral),
            ("S01E02.mkv", Neutral),
        ],
    );
    check(
        &episode("Game of Thrones", 1, 2),
        &[
            (
                "/n/Game of Thrones/Season 1/S01E02.mkv",
                "/p/x/Season 01/S01E02.mkv",
                Confirms,
            ),
            ("/n/Game of Thrones/S01/E02.mkv", "/p/x/y/E02.mkv", Confirms),
            ("/n/Game of Thrones/E02.mkv", "/p/x/y/E02.mkv", Neutral),
            (
                "/n/Game of Thrones (2011)/Season 1/S01E02.mkv",
                "/p/Game of Thrones (2011)/S1/S01E02.mkv",
                Confirms,
            ),
            ("/n/Game of Thrones/Season 2/S01E02.mkv", "/p/x/S01E02.mkv", Contradicts),
            ("/n/Other Show/Season 1/S01E02.mkv", "/p/x/Season 1/S01E02.mkv", Neutral),
            ("/n/Season 1/S01E02.mkv", "/p/Season 1/S01E02.mkv", Neutral),
            ("/n/Game of Thrones/a/b/c/S01E02.mkv", "/p/x/S01E02.mkv", Neutral),
        ],
    );
    names(
        &episode("Marvel's Agents of S.H.I.E.L.D.", 4, 17),
        &[
            ("Marvels.Agents.of.SHIELD.S04E17.mkv", Confirms),
            ("Marvels Agents of S.H.I.E.L.D. 4x17.mkv", Confirms),
        ],
    );
    names(
        &episode("24", 2, 3),
        &[("24.S02E03.mkv", Confirms), ("24 - S02E04.mkv", Contradicts)],
    );
    check(
        &episode("Lost", 1, 1),
        &[
            ("/n/Lost/Season 1/S01E01.mkv", "/p/Lost/Series 1/S01E01.mkv", Neutral),
            ("/n/q/Lost S01E01.mkv", "/p/Lost/Lost S01E01.mkv", Confirms),
        ],
    );
    check(
        &episode("Naruto", 1, 137),
        &[("/n/Naruto - 137.mkv", "/p/Naruto/Naruto - 137.mkv", Neutral)],
    );
    check(
        &episode("Game of Thrones", 0, 1),
        &[
            ("/n/Game of Thrones/Specials/S00E01.mkv", "/p/x/S00E01.mkv", Confirms),
            ("/n/Game of Thrones/Specials/E01.mkv", "/p/x/E01.mkv", Confirms),
        ],
    );
}

#[test]
fn year_or_country_distinguishes_shows_of_one_title() {
    let file = "Season 1/Doctor Who - S01E01.mkv";
    for (asked, listed, verdict) in [
        ("Doctor Who (2005)", "Doctor Who (2005)", Confirms),
        ("Doctor Who (1963)", "Doctor Who (2005)", Contradicts),
        ("Doctor Who (1963)", "Doctor Who", Contradicts),
        ("Doctor Who (2010)", "Doctor Who", Confirms),
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
                Neutral,
            ),
            ("/n/The Office US/S01E01.mkv", "/p/The Office/S01E01.mkv", Neutral),
        ],
    );
    // A film with the show's title has no episode number.
    names(
        &film("Firefly Serenity", 2005),
        &[("Firefly Serenity S01E01.mkv", Neutral)],
    );
}

#[test]
fn title_artist_and_album_folder_confirm_a_track() {
    let intro = track("The Nobodies", "Intro", 1);
    let listed = "/p/The Nobodies/First/01 - Intro.flac";
    check(
        &intro,
        &[
            ("/n/The Nobodies/First/01 - Intro.flac", listed, Confirms),
            ("/n/Nobodies, The/First/01 - Intro.flac", listed, Confirms),
            ("/n/The Nobodies/Second/01 - Intro.flac", listed, Neutral),
            ("/n/Others/First/01 - Intro.flac", listed, Neutral),
            ("/n/The Nobodies and Friends/First/01 - Intro.flac", listed, Neutral),
            (
                "/n/The Nobodies/Second/CD1/01 - Intro.flac",
                "/p/The Nobodies/First/CD1/01 - Intro.flac",
                Neutral,
            ),
            (
                "/n/x/Second/CD1/The Nobodies - 01 - Intro.flac",
                "/p/x/First/CD1/The Nobodies - 01 - Intro.flac",
                Neutral,
            ),
            (
                "/n/First/The Nobodies - Intro.flac",
                "/p/x/First/The Nobodies - Intro.flac",
                Confirms,
            ),
            (
                "/n/Second/The Nobodies - Intro.flac",
                "/p/First/The Nobodies - Intro.flac",
                Neutral,
            ),
            // An album in the file's name.
            (
                "/n/The Nobodies - First - 01 - Intro.flac",
                "/p/The Nobodies - First - 01 - Intro.flac",
                Confirms,
            ),
            (
                "/n/The Nobodies - First - 1-01 - Intro.flac",
                "/p/The Nobodies - First - 1-01 - Intro.flac",
                Confirms,
            ),
            (
                "/n/The Nobodies - First - Intro.flac",
                "/p/The Nobodies - First - Intro.flac",
                Confirms,
            ),
            (
                "/n/The Nobodies - 01 - Intro.flac",
                "/p/The Nobodies - 01 - Intro.flac",
                Neutral,
            ),
            (
                "/n/The Nobodies - CD1 - 01 - Intro.flac",
                "/p/The Nobodies - CD1 - 01 - Intro.flac",
                Neutral,
            ),
            (
                "/n/The Nobodies - Unknown Album - 01 - Intro.flac",
                "/p/The Nobodies - Unknown Album - 01 - Intro.flac",
                Neutral,
            ),
            (
                "/n/The Nobodies - First - 02 - Intro.flac",
                "/p/The Nobodies - First - 02 - Intro.flac",
                Contradicts,
            ),
            (
                "/n/The Nobodies/First/01.flac",
                "/p/The Nobodies/First/01.flac",
                Neutral,
            ),
            (
                "/n/The Nobodies/First/02 - Intro.flac",
                "/p/x/First/02 - Intro.flac",
                Contradicts,
            ),
            (
                "/n/The Nobodies/First/1-01 Intro.flac",
                "/p/x/First/1-01 Intro.flac",
                Confirms,
            ),
            (
                "/n/The Nobodies/First/101 Intro.flac",
                "/p/x/First/101 Intro.flac",
                Confirms,
            ),
            (
                "/n/The Nobodies/First/01 Intro (Live).flac",
                "/p/x/First/01 Intro (Live).flac",
                Neutral,
            ),
        ],
    );
}
