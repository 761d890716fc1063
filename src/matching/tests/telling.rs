//! What paths tell of items, case by case.

use proptest::prelude::*;

use crate::matching::telling::Verdict::{self, Against, Nothing, Tells};
use crate::matching::telling::{only_root_differs, tells};
use crate::matching::{Form, GuidRef, ItemRef, Normal};
use crate::model::ItemType;

fn item(kind: ItemType) -> ItemRef<'static> {
    ItemRef {
        kind,
        guid: GuidRef::Text("plex://movie/5d776825880197001ec90a2f"),
        key_only: false,
        ..ItemRef::key_only("1")
    }
}

fn film(title: &'static str, year: i32) -> ItemRef<'static> {
    ItemRef {
        title,
        year,
        ..item(ItemType::Movie)
    }
}

fn episode(show_title: &'static str, season: i32, episode: i32) -> ItemRef<'static> {
    ItemRef {
        title: "Pilot",
        show_title,
        season,
        episode,
        year: 2010,
        ..item(ItemType::Episode)
    }
}

fn track(artist: &'static str, title: &'static str, number: i32) -> ItemRef<'static> {
    ItemRef {
        title,
        show_title: artist,
        season: 1,
        episode: number,
        ..item(ItemType::Track)
    }
}

fn common(asked: &Normal<'_>, listed: &Normal<'_>) -> usize {
    Form::done(asked.form()).common(Form::done(listed.form()))
}

/// What `asked` tells of the item that is listed as `listed`.
fn told(item: &ItemRef<'_>, asked: &str, listed: &str) -> Verdict {
    Normal::with(asked.as_bytes(), |asked| {
        Normal::with(listed.as_bytes(), |listed| {
            let common = common(asked, listed);
            assert!(common > 0, "rungs 4 and 5 find the same file name");
            tells(item, asked, listed, common)
        })
    })
}

#[track_caller]
fn check(item: &ItemRef<'_>, cases: &[(&str, &str, Verdict)]) {
    for (asked, listed, verdict) in cases {
        assert_eq!(told(item, asked, listed), *verdict, "{asked} for {listed}");
    }
}

/// The same file in another folder, which says nothing itself.
#[track_caller]
fn names(item: &ItemRef<'_>, cases: &[(&str, Verdict)]) {
    for (name, verdict) in cases {
        let (asked, listed) = (format!("/nas/q/{name}"), format!("/plex/r/{name}"));
        assert_eq!(told(item, &asked, &listed), *verdict, "{name}");
    }
}

#[test]
fn a_film_is_told_by_title_and_year() {
    names(
        &film("Big Buck Bunny", 2008),
        &[
            ("Big Buck Bunny (2008).mkv", Tells),
            ("big.buck.bunny.2008.1080p.BluRay.x264-GRP.mkv", Tells),
            ("Big_Buck_Bunny_2008.mkv", Tells),
            // Remakes have the same title.
            ("Big_Buck_Bunny.mkv", Nothing),
            ("[Group] Big Buck Bunny [1080p].mkv", Nothing),
            ("[Group] Big Buck Bunny 2008 [1080p].mkv", Tells),
            ("01 - Big Buck Bunny (2008).mkv", Tells),
            ("2008 - Big Buck Bunny.mkv", Tells),
            ("Blender - Big Buck Bunny (2008).mkv", Tells),
            ("Big Buck Bunny Remastered 2008 2160p.mkv", Tells),
            ("Big.Buck.Bunny.720p.mkv", Nothing),
            ("Big Buck Bunny (2009).mkv", Tells),
            ("Big Buck Bunny (2003).mkv", Against),
            ("Big Buck Bunny (2020) 1080p.mkv", Against),
            ("Big Buck Bunny II.mkv", Nothing),
            ("Big Buck Bunny 2 (2008).mkv", Nothing),
            ("Big Buck Bunny Part 2 2008.mkv", Nothing),
            ("Big Buck Bunny and Friends.mkv", Nothing),
            ("Big Buck Bunny (Making of).mkv", Nothing),
            ("Son of Big Buck Bunny.mkv", Nothing),
            ("Blender - Big Buck Bunny.mkv", Nothing),
            ("BigBuckBunnyhood.mkv", Nothing),
            ("movie.mkv", Nothing),
        ],
    );
}

#[test]
fn a_folder_tells_a_film_when_nothing_below_it_differs() {
    check(
        &film("Big Buck Bunny", 2008),
        &[
            (
                "/nas/Big Buck Bunny (2008)/movie.mkv",
                "/p/Big Buck Bunny/movie.mkv",
                Tells,
            ),
            (
                "/nas/Big Buck Bunny (2008)/BDMV/STREAM/00012.m2ts",
                "/p/bbb/BDMV/STREAM/00012.m2ts",
                Tells,
            ),
            (
                "/nas/Big Buck Bunny/BDMV/STREAM/00012.m2ts",
                "/p/Big Buck Bunny/BDMV/STREAM/00012.m2ts",
                Nothing,
            ),
            (
                "/nas/Big Buck Bunny/Disc 2/BDMV/STREAM/00012.m2ts",
                "/p/Big Buck Bunny/Disc 1/BDMV/STREAM/00012.m2ts",
                Nothing,
            ),
            (
                "/nas/Big Buck Bunny/CD2/movie.avi",
                "/p/Big Buck Bunny/CD1/movie.avi",
                Nothing,
            ),
            (
                "/nas/Big Buck Bunny/extra/movie.mkv",
                "/p/Big Buck Bunny/movie.mkv",
                Nothing,
            ),
            (
                "/nas/Big Buck Bunny/Trailers/Big Buck Bunny.mkv",
                "/p/Big Buck Bunny/Big Buck Bunny.mkv",
                Against,
            ),
            (
                "/nas/Big Buck Bunny (1999)/movie.mkv",
                "/p/Big Buck Bunny (2008)/movie.mkv",
                Against,
            ),
            // No folder of the film's: any may be called so.
            (
                "/nas/other/x/Big Buck Bunny (2008).mkv",
                "/p/Big Buck Bunny/Big Buck Bunny (2008).mkv",
                Tells,
            ),
            (
                "/nas/Shorts/Big Buck Bunny (2008).mkv",
                "/p/Big Buck Bunny/Big Buck Bunny (2008).mkv",
                Tells,
            ),
            // A remake's path is the same.
            (
                "/nas/b/Big Buck Bunny/Big Buck Bunny.mkv",
                "/p/Big Buck Bunny/Big Buck Bunny.mkv",
                Nothing,
            ),
            // The year is in a folder that both have; not in one that only the path asked for has.
            ("/nas/2008/Big Buck Bunny.mkv", "/p/2008/Big Buck Bunny.mkv", Tells),
            ("/nas/archive 2008/Big Buck Bunny.mkv", "/p/Big Buck Bunny.mkv", Nothing),
            // A year apart is another film of that title, unless both paths have it.
            (
                "/nas/Big Buck Bunny (2009)/movie.mkv",
                "/p/Big Buck Bunny (2008)/movie.mkv",
                Against,
            ),
            (
                "/nas/Big Buck Bunny (2009)/movie.mkv",
                "/p/Big Buck Bunny (2009)/movie.mkv",
                Tells,
            ),
            ("/nas/1999/Big Buck Bunny.mkv", "/p/2008/Big Buck Bunny.mkv", Nothing),
            (
                "/nas/1999/Big Buck Bunny (2008).mkv",
                "/p/2008/Big Buck Bunny (2008).mkv",
                Tells,
            ),
            ("/nas/Big Buck Bunny Collection/movie.mkv", "/p/a/movie.mkv", Nothing),
        ],
    );
}

#[test]
fn a_longer_title_is_another_title() {
    names(
        &film("Rocky", 1976),
        &[
            ("Rocky (1976).mkv", Tells),
            ("Rocky.1976.mkv", Tells),
            ("Rocky.mkv", Nothing),
            ("Rocky II (1979).mkv", Against),
            ("Rocky II (1976).mkv", Nothing),
            ("Rocky II.mkv", Nothing),
        ],
    );
    names(
        &film("Alien", 1979),
        &[("Aliens (1986).mkv", Against), ("Aliens.mkv", Nothing)],
    );
    names(
        &film("Alien", 1979),
        &[("Alien 3 (1992).mkv", Against), ("Alien.3.mkv", Nothing)],
    );
    names(&film("Alien³", 1992), &[("Alien 3 (1992).mkv", Tells)]);
    check(
        &film("The Lord of the Rings", 1978),
        &[(
            "/n/The Lord of the Rings Collection/The Two Towers (2002)/movie.mkv",
            "/p/The Lord of the Rings (1978)/movie.mkv",
            Nothing,
        )],
    );
}

#[test]
fn a_short_word_needs_its_year() {
    for title in [
        "Up",
        "Heat",
        "Children",
        "The Thing",
        "2012",
        "1917",
        "MVI 1234",
        "Брат",
    ] {
        let name = format!("{title}.mkv");
        names(&film(title, 1995), &[(&name, Nothing)]);
        let name = format!("{title} (1995).mkv");
        names(&film(title, 1995), &[(&name, Tells)]);
    }
    names(
        &film("1917", 2019),
        &[("1917.2019.1080p.mkv", Tells), ("1917 (1917).mkv", Against)],
    );
    names(
        &film("Blade Runner 2049", 2017),
        &[
            ("Blade Runner 2049.mkv", Nothing),
            ("Blade Runner 2049 (2017).mkv", Tells),
        ],
    );
    names(
        &film("Blade Runner", 1982),
        &[("Blade Runner 2049 (2017).mkv", Against)],
    );
    names(
        &film("2012", 2009),
        &[("Home Movies 2012.mkv", Against), ("2012 (2009).mkv", Tells)],
    );
    check(
        &film("Home Videos", 1975),
        &[("/n/Home Videos/1999/movie.mkv", "/p/Home Videos/movie.mkv", Nothing)],
    );
}

#[test]
fn words_are_compared_as_people_write_them() {
    for (title, name) in [
        ("Amélie from Montmartre", "amelie.from.montmartre.mkv"),
        ("Fast & Furious", "Fast and Furious.mkv"),
        ("Spider-Man: Homecoming", "Spiderman Homecoming.mkv"),
        ("Ocean's Eleven", "Oceans.Eleven.mkv"),
        ("The Man from U.N.C.L.E.", "The Man from UNCLE.mkv"),
        ("The Matrix Reloaded", "Matrix Reloaded, The.mkv"),
        ("Das weiße Band", "weisse Band, Das.mkv"),
        ("千と千尋の神隠し", "[字幕] 千と千尋の神隠し [1080p].mkv"),
        ("千と千尋の神隠し", "千と千尋の神隠し2001.mkv"),
        ("Ирония судьбы", "Ирония.судьбы.1080p.mkv"),
    ] {
        let path = |root: &str| format!("/{root}/2001/{name}");
        check(&film(title, 2001), &[(&path("n"), &path("p"), Tells)]);
    }
    names(&film("踊る大捜査線", 1998), &[("踊る大捜査線2.mkv", Nothing)]);
    names(&film("9/11 the Movie", 2001), &[("911 the Movie.mkv", Nothing)]);
    names(
        &film(&"long ".repeat(200).leak()[..999], 2001),
        &[("long.mkv", Nothing)],
    );
    names(&film("!!!", 2001), &[("!!! (2001).mkv", Nothing)]);
}

#[test]
fn an_edition_or_a_number_at_a_database_tells_against() {
    names(
        &film("King Kong", 1933),
        &[
            ("King Kong {imdb-tt0024216}.mkv", Tells),
            ("King Kong {edition-Extended}.mkv", Nothing),
        ],
    );
    let two = film("Blade Runner", 1982);
    let (base, name) = ("/n/Blade Runner (1982)", "/movie.mkv");
    for (asked, listed, verdict) in [
        (" {edition-Final Cut}", " {edition-Final Cut}", Tells),
        (" {edition-Final Cut}", " {edition-Workprint}", Against),
        (" {edition-Final Cut}", "", Against),
        ("", " {edition-Final Cut}", Against),
        (" Directors Cut", "", Against),
        (" {imdb-tt0083658}", "", Tells),
        (" {imdb-tt0083658}", " {imdb-tt0000001}", Against),
        (" [imdbid-tt0083658]", " [tmdbid-78]", Tells),
        (" [1080p]", " [2160p]", Tells),
    ] {
        let (asked, listed) = (format!("{base}{asked}{name}"), format!("/p{base}{listed}{name}"));
        check(&two, &[(&asked, &listed, verdict)]);
    }
}

#[test]
fn a_title_made_of_the_file_s_name_tells_with_its_year_only() {
    for guid in [
        "local://1234",
        "tv.plex.agents.none://1234",
        "com.plexapp.agents.none://x?lang=xn",
    ] {
        let video = ItemRef {
            guid: GuidRef::Text(guid),
            ..film("Holiday Video Summer", 0)
        };
        names(
            &video,
            &[
                ("Holiday Video Summer.mkv", Nothing),
                ("Holiday Video Summer (2019).mkv", Nothing),
            ],
        );
        let dated = ItemRef { year: 2019, ..video };
        let by_a_program = ItemRef {
            title: "Screen Recording",
            ..dated
        };
        let by_a_phone = ItemRef { title: "VID", ..dated };
        names(&by_a_program, &[("Screen Recording 2019.mkv", Nothing)]);
        names(&by_a_phone, &[("VID (2019).mkv", Nothing)]);
        let show = ItemRef {
            guid: GuidRef::Text(guid),
            ..episode("Home Movies", 1, 1)
        };
        check(
            &show,
            &[("/n/Home Movies/S01E01.mkv", "/p/Home Movies/S01E01.mkv", Nothing)],
        );
        names(&show, &[("Home Movies - S01E01.mkv", Tells)]);
        names(
            &dated,
            &[
                ("Holiday Video Summer.mkv", Nothing),
                ("Holiday Video Summer (2019).mkv", Tells),
                ("Holiday.Video.Summer.2019.1080p.mkv", Tells),
            ],
        );
    }
    for kind in [ItemType::Photo, ItemType::Clip, ItemType::Other] {
        let photo = ItemRef {
            title: "Sunset in the mountains",
            ..item(kind)
        };
        names(&photo, &[("Sunset in the mountains.jpg", Nothing)]);
    }
}

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

#[test]
fn words_that_tell_nothing_are_sorted() {
    use crate::matching::beside::GENERAL;
    assert!(GENERAL.is_sorted());
    let ripped = track("Unknown Artist", "Track 01", 1);
    let below = "Unknown Artist/Unknown Album/01 Track 01.mp3";
    check(&ripped, &[(&format!("/n/{below}"), &format!("/p/{below}"), Nothing)]);
}

/// The first rule, with the library's folder.
fn root_only(item: &ItemRef<'_>, asked: &str, location: &str, below: &str) -> bool {
    let listed = format!("{location}/{below}");
    Normal::with(asked.as_bytes(), |asked| {
        Normal::with(listed.as_bytes(), |listed| {
            let below = Form::done(below.as_bytes()).back().count();
            only_root_differs(item, asked, listed, common(asked, listed), below)
        })
    })
}

#[test]
fn another_root_is_a_missing_mapping() {
    let one = episode("Some Show", 17, 21);
    for (asked, location, below, wanted) in [
        (
            "/nas/Some Show/Season 17/S17E21.mkv",
            "/tv",
            "Some Show/Season 17/S17E21.mkv",
            true,
        ),
        (
            r"Z:\tv\Some Show\Season 17\S17E21.mkv",
            "/tv",
            "Some Show/Season 17/S17E21.mkv",
            true,
        ),
        (
            "/nas/other/Season 17/S17E21.mkv",
            "/tv",
            "Some Show/Season 17/S17E21.mkv",
            false,
        ),
        // The file's name alone, and what every show has.
        ("/nas/tv/S17E21.mkv", "/tv", "S17E21.mkv", false),
        ("/nas/tv/Season 17/S17E21.mkv", "/tv", "Season 17/S17E21.mkv", false),
        // A folder of the library for each show: its name is what tells.
        ("/nas/Some Show/a/S17E21.mkv", "/tv/Some Show", "a/S17E21.mkv", true),
        ("/nas/Other Show/a/S17E21.mkv", "/tv/Some Show", "a/S17E21.mkv", false),
    ] {
        assert_eq!(root_only(&one, asked, location, below), wanted, "{asked}");
    }
    let photo = item(ItemType::Photo);
    for (asked, below, wanted) in [
        ("/nas/2019 Crete/IMG_0001.JPG", "2019 Crete/IMG_0001.JPG", true),
        ("/nas/2020 Malta/IMG_0001.JPG", "2019 Crete/IMG_0001.JPG", false),
        ("/card/DCIM/100CANON/IMG_0001.JPG", "DCIM/100CANON/IMG_0001.JPG", false),
        (
            "/card/Crete/DCIM/100CANON/IMG_0001.JPG",
            "Crete/DCIM/100CANON/IMG_0001.JPG",
            true,
        ),
    ] {
        assert_eq!(root_only(&photo, asked, "/photos", below), wanted, "{asked}");
    }
    let disc = film("Alien", 1979);
    let stream = "BDMV/STREAM/00012.m2ts";
    assert!(!root_only(
        &disc,
        "/nas/Heat/BDMV/STREAM/00012.m2ts",
        "/films/Alien",
        stream
    ));
    assert!(root_only(
        &disc,
        "/n/Alien (1979)/BDMV/STREAM/00012.m2ts",
        "/films",
        &format!("Alien (1979)/{stream}")
    ));
}

#[test]
fn a_folder_that_tells_nothing_is_no_evidence() {
    let photo = item(ItemType::Photo);
    let number = |folder: &str, name: &str| {
        let asked = format!("/nas/photos/Phone/{folder}/{name}");
        let below = format!("{folder}/{name}");
        root_only(&photo, &asked, "/data/photos", &below)
    };
    for folder in [
        "2019",
        "2019-07",
        "01",
        "2019_07_04",
        "20190704",
        "07 July",
        "Camera Roll",
        "New Folder (3)",
        "Photos",
    ] {
        assert!(!number(folder, "IMG_0001.JPG"), "{folder}");
        assert!(!number(folder, "401.mkv"), "{folder}");
    }
    assert!(number("2019 Crete", "IMG_0001.JPG"));
    // The show's own name is one, whatever it is; of the library's own folder too.
    let of = |title| episode(title, 1, 2);
    assert!(root_only(
        &of("24"),
        "/n/24/Season 01/S01E02.mkv",
        "/tv",
        "24/Season 01/S01E02.mkv"
    ));
    assert!(root_only(
        &of("Ash"),
        "/n/Ash/Season 01/S01E02.mkv",
        "/tv/Ash",
        "Season 01/S01E02.mkv"
    ));
    assert!(root_only(
        &of("24"),
        "/n/24/Season 24/S24E02.mkv",
        "/tv/24",
        "Season 24/S24E02.mkv"
    ));
    assert!(!root_only(
        &of("24"),
        "/n/Ash/Season 24/S24E02.mkv",
        "/tv/24",
        "Season 24/S24E02.mkv"
    ));
    assert!(!root_only(
        &of("Ash"),
        "/n/Elm/Season 01/S01E02.mkv",
        "/tv/Ash",
        "Season 01/S01E02.mkv"
    ));
    assert!(!root_only(
        &of("Ash"),
        "/n/q/Ash/Elm/Season 01/S01E02.mkv",
        "/tv/Ash",
        "Season 01/S01E02.mkv"
    ));
    let unknown = track("Unknown Artist", "Track 01", 1);
    let below = "Unknown Artist/Unknown Album/Track 01.mp3";
    assert!(!root_only(&unknown, &format!("/n/{below}"), "/music", below));
    assert!(!root_only(
        &of("Home"),
        "/home/Season 01/S01E02.mkv",
        "/data/Home",
        "Season 01/S01E02.mkv"
    ));
    // A film that is called by its title has the path of its remakes, unless it is dated.
    let kong = film("King Kong", 1933);
    for (below, wanted) in [
        ("King Kong/King Kong.mkv", false),
        ("King Kong/movie.mkv", false),
        ("Kids/King Kong.mkv", false),
        ("2024/King Kong/King Kong.mkv", false),
        ("King Kong (1933)/King Kong.mkv", true),
        ("King Kong/King Kong (1933).mkv", true),
        ("1933/King Kong/King Kong.mkv", true),
        ("King Kong {imdb-tt0024216}/King Kong.mkv", true),
        ("box 3/film7.mkv", true),
    ] {
        assert_eq!(
            root_only(&kong, &format!("/n/b/{below}"), "/films", below),
            wanted,
            "{below}"
        );
    }
}

/// Letters and digits only, in lower case.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is made of the words of titles: what does not carry the title tells nothing.
    #[test]
    fn no_path_without_the_title_tells(
        title in proptest::sample::select(&["Big Buck Bunny", "Rocky", "The Two Towers", "Lost", "24", "Game of Thrones"][..]),
        kind in proptest::sample::select(&[ItemType::Movie, ItemType::Episode, ItemType::Track, ItemType::Photo][..]),
        asked in proptest::collection::vec("(Big|Buck|Bunny|Rocky|II|Two|Towers|The|Lost|24|Game|of|Thrones|1995|[ ._(-]|S01E02){1,6}", 1..4),
        listed in proptest::collection::vec("(Big|Buck|Bunny|Rocky|II|Two|Towers|1995|[ ._(-]){1,6}", 0..3),
    ) {
        let one = ItemRef { title, show_title: title, season: 1, episode: 2, year: 1995, ..item(kind) };
        let name = asked.last().cloned().unwrap_or_default() + "x.mkv";
        let asked = format!("/n/{}/{name}", asked[..asked.len() - 1].join("/"));
        let listed = format!("/p/{}/{name}", listed.join("/"));
        let verdict = told(&one, &asked, &listed);
        let article = title.strip_prefix("The ").map(|rest| plain(rest) + "the");
        let carries = |text: &str| text.contains(&plain(title)) || article.as_ref().is_some_and(|moved| text.contains(moved));
        if !asked.split('/').any(|name| carries(&plain(name))) {
            prop_assert_ne!(verdict, Tells, "{} for {}", asked, listed);
        }
        if kind == ItemType::Photo {
            prop_assert_eq!(verdict, Nothing);
        }
        if kind == ItemType::Episode && !asked.to_lowercase().contains("s01e02") {
            prop_assert_ne!(verdict, Tells, "{} for {}", asked, listed);
        }
    }
}
