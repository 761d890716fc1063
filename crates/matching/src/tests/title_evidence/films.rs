//! Title evidence for films: title and year.

use super::*;

#[test]
fn title_and_year_confirm_a_film() {
    names(
        &film("Big Buck Bunny", 2008),
        &[
            ("Big Buck Bunny (2008).mkv", Confirms),
            ("big.buck.bunny.2008.1080p.BluRay.x264-GRP.mkv", Confirms),
            ("Big_Buck_Bunny_2008.mkv", Confirms),
            // Remakes have the same title.
            ("Big_Buck_Bunny.mkv", Neutral),
            ("[Group] Big Buck Bunny [1080p].mkv", Neutral),
            ("[Group] Big Buck Bunny 2008 [1080p].mkv", Confirms),
            ("01 - Big Buck Bunny (2008).mkv", Confirms),
            ("2008 - Big Buck Bunny.mkv", Confirms),
            ("Blender - Big Buck Bunny (2008).mkv", Confirms),
            ("Big Buck Bunny Remastered 2008 2160p.mkv", Confirms),
            ("Big.Buck.Bunny.720p.mkv", Neutral),
            ("Big Buck Bunny (2009).mkv", Confirms),
            ("Big Buck Bunny (2003).mkv", Contradicts),
            ("Big Buck Bunny (2020) 1080p.mkv", Contradicts),
            ("Big Buck Bunny II.mkv", Neutral),
            ("Big Buck Bunny 2 (2008).mkv", Neutral),
            ("Big Buck Bunny Part 2 2008.mkv", Neutral),
            ("Big Buck Bunny and Friends.mkv", Neutral),
            ("Big Buck Bunny (Making of).mkv", Neutral),
            ("Son of Big Buck Bunny.mkv", Neutral),
            ("Blender - Big Buck Bunny.mkv", Neutral),
            ("BigBuckBunnyhood.mkv", Neutral),
            ("movie.mkv", Neutral),
        ],
    );
}

#[test]
fn a_folder_confirms_a_film_if_names_below_it_agree() {
    check(
        &film("Big Buck Bunny", 2008),
        &[
            (
                "/nas/Big Buck Bunny (2008)/movie.mkv",
                "/p/Big Buck Bunny/movie.mkv",
                Confirms,
            ),
            (
                "/nas/Big Buck Bunny (2008)/BDMV/STREAM/00012.m2ts",
                "/p/bbb/BDMV/STREAM/00012.m2ts",
                Confirms,
            ),
            (
                "/nas/Big Buck Bunny/BDMV/STREAM/00012.m2ts",
                "/p/Big Buck Bunny/BDMV/STREAM/00012.m2ts",
                Neutral,
            ),
            (
                "/nas/Big Buck Bunny/Disc 2/BDMV/STREAM/00012.m2ts",
                "/p/Big Buck Bunny/Disc 1/BDMV/STREAM/00012.m2ts",
                Neutral,
            ),
            (
                "/nas/Big Buck Bunny/CD2/movie.avi",
                "/p/Big Buck Bunny/CD1/movie.avi",
                Neutral,
            ),
            (
                "/nas/Big Buck Bunny/new/movie.mkv",
                "/p/Big Buck Bunny/movie.mkv",
                Neutral,
            ),
            (
                "/nas/Big Buck Bunny/extra/movie.mkv",
                "/p/Big Buck Bunny/movie.mkv",
                Contradicts,
            ),
            (
                "/nas/Big Buck Bunny/Trailers/Big Buck Bunny.mkv",
                "/p/Big Buck Bunny/Big Buck Bunny.mkv",
                Contradicts,
            ),
            (
                "/nas/Big Buck Bunny (1999)/movie.mkv",
                "/p/Big Buck Bunny (2008)/movie.mkv",
                Contradicts,
            ),
            // A folder with a generic name is not the film's.
            (
                "/nas/other/x/Big Buck Bunny (2008).mkv",
                "/p/Big Buck Bunny/Big Buck Bunny (2008).mkv",
                Confirms,
            ),
            (
                "/nas/Shorts/Big Buck Bunny (2008).mkv",
                "/p/Big Buck Bunny/Big Buck Bunny (2008).mkv",
                Confirms,
            ),
            // A remake's path is the same.
            (
                "/nas/b/Big Buck Bunny/Big Buck Bunny.mkv",
                "/p/Big Buck Bunny/Big Buck Bunny.mkv",
                Neutral,
            ),
            // A year counts in a folder that both paths have, not in one that only the queried path has.
            ("/nas/2008/Big Buck Bunny.mkv", "/p/2008/Big Buck Bunny.mkv", Confirms),
            ("/nas/archive 2008/Big Buck Bunny.mkv", "/p/Big Buck Bunny.mkv", Neutral),
            // A year apart means another film of that title, unless both paths have it.
            (
                "/nas/Big Buck Bunny (2009)/movie.mkv",
                "/p/Big Buck Bunny (2008)/movie.mkv",
                Contradicts,
            ),
            (
                "/nas/Big Buck Bunny (2009)/movie.mkv",
                "/p/Big Buck Bunny (2009)/movie.mkv",
                Confirms,
            ),
            ("/nas/1999/Big Buck Bunny.mkv", "/p/2008/Big Buck Bunny.mkv", Neutral),
            (
                "/nas/1999/Big Buck Bunny (2008).mkv",
                "/p/2008/Big Buck Bunny (2008).mkv",
                Confirms,
            ),
            ("/nas/Big Buck Bunny Collection/movie.mkv", "/p/a/movie.mkv", Neutral),
        ],
    );
}

#[test]
fn a_longer_title_is_another_title() {
    names(
        &film("Rocky", 1976),
        &[
            ("Rocky (1976).mkv", Confirms),
            ("Rocky.1976.mkv", Confirms),
            ("Rocky.mkv", Neutral),
            ("Rocky II (1979).mkv", Contradicts),
            ("Rocky II (1976).mkv", Neutral),
            ("Rocky II.mkv", Neutral),
        ],
    );
    names(
        &film("Alien", 1979),
        &[("Aliens (1986).mkv", Contradicts), ("Aliens.mkv", Neutral)],
    );
    names(
        &film("Alien", 1979),
        &[("Alien 3 (1992).mkv", Contradicts), ("Alien.3.mkv", Neutral)],
    );
    names(&film("Alien³", 1992), &[("Alien 3 (1992).mkv", Confirms)]);
    check(
        &film("The Lord of the Rings", 1978),
        &[(
            "/n/The Lord of the Rings Collection/The Two Towers (2002)/movie.mkv",
            "/p/The Lord of the Rings (1978)/movie.mkv",
            Neutral,
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
        names(&film(title, 1995), &[(&name, Neutral)]);
        let name = format!("{title} (1995).mkv");
        names(&film(title, 1995), &[(&name, Confirms)]);
    }
    names(
        &film("1917", 2019),
        &[("1917.2019.1080p.mkv", Confirms), ("1917 (1917).mkv", Contradicts)],
    );
    names(
        &film("Blade Runner 2049", 2017),
        &[
            ("Blade Runner 2049.mkv", Neutral),
            ("Blade Runner 2049 (2017).mkv", Confirms),
        ],
    );
    names(
        &film("Blade Runner", 1982),
        &[("Blade Runner 2049 (2017).mkv", Contradicts)],
    );
    names(
        &film("2012", 2009),
        &[("Home Movies 2012.mkv", Contradicts), ("2012 (2009).mkv", Confirms)],
    );
    check(
        &film("Home Videos", 1975),
        &[("/n/Home Videos/1999/movie.mkv", "/p/Home Videos/movie.mkv", Neutral)],
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
        check(&film(title, 2001), &[(&path("n"), &path("p"), Confirms)]);
    }
    names(&film("踊る大捜査線", 1998), &[("踊る大捜査線2.mkv", Neutral)]);
    names(&film("9/11 the Movie", 2001), &[("911 the Movie.mkv", Neutral)]);
    names(
        &film(&"long ".repeat(200).leak()[..999], 2001),
        &[("long.mkv", Neutral)],
    );
    names(&film("!!!", 2001), &[("!!! (2001).mkv", Neutral)]);
}

#[test]
fn another_edition_or_external_id_contradicts() {
    names(
        &film("King Kong", 1933),
        &[
            ("King Kong {imdb-tt0024216}.mkv", Confirms),
            ("King Kong {edition-Extended}.mkv", Neutral),
        ],
    );
    let two = film("Blade Runner", 1982);
    let (base, name) = ("/n/Blade Runner (1982)", "/movie.mkv");
    for (asked, listed, verdict) in [
        (" {edition-Final Cut}", " {edition-Final Cut}", Confirms),
        (" {edition-Final Cut}", " {edition-Workprint}", Contradicts),
        (" {edition-Final Cut}", "", Contradicts),
        ("", " {edition-Final Cut}", Contradicts),
        (" Directors Cut", "", Contradicts),
        (" {imdb-tt0083658}", "", Confirms),
        (" {imdb-tt0083658}", " {imdb-tt0000001}", Contradicts),
        (" [imdbid-tt0083658]", " [tmdbid-78]", Confirms),
        (" [1080p]", " [2160p]", Confirms),
    ] {
        let (asked, listed) = (format!("{base}{asked}{name}"), format!("/p{base}{listed}{name}"));
        check(&two, &[(&asked, &listed, verdict)]);
    }
}

#[test]
fn an_unmatched_films_title_confirms_only_with_its_year() {
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
                ("Holiday Video Summer.mkv", Neutral),
                ("Holiday Video Summer (2019).mkv", Neutral),
            ],
        );
        let dated = ItemRef { year: 2019, ..video };
        let by_a_program = ItemRef {
            title: "Screen Recording",
            ..dated
        };
        let by_a_phone = ItemRef { title: "VID", ..dated };
        names(&by_a_program, &[("Screen Recording 2019.mkv", Neutral)]);
        names(&by_a_phone, &[("VID (2019).mkv", Neutral)]);
        let show = ItemRef {
            guid: GuidRef::Text(guid),
            ..episode("Home Movies", 1, 1)
        };
        check(
            &show,
            &[("/n/Home Movies/S01E01.mkv", "/p/Home Movies/S01E01.mkv", Neutral)],
        );
        names(&show, &[("Home Movies - S01E01.mkv", Confirms)]);
        names(
            &dated,
            &[
                ("Holiday Video Summer.mkv", Neutral),
                ("Holiday Video Summer (2019).mkv", Confirms),
                ("Holiday.Video.Summer.2019.1080p.mkv", Confirms),
            ],
        );
    }
    for kind in [ItemType::Photo, ItemType::Clip, ItemType::Other] {
        let photo = ItemRef {
            title: "Sunset in the mountains",
            ..item(kind)
        };
        names(&photo, &[("Sunset in the mountains.jpg", Neutral)]);
    }
}
