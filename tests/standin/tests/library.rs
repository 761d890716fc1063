//! Generated contents, and changes to them.

use std::collections::HashSet;

use crate::common::{Client, rows};
use plexindex_standin::{
    ContentClock, FIRST_KEY, Generator, ItemSpec, ItemType, LibrarySpec, MediaSpec, Standin, Token,
};

#[test]
fn the_same_seed_gives_the_same_library() {
    let spec = LibrarySpec::shows(500).seed(7);
    let a = Generator::new(spec.clone(), 1);
    let b = Generator::new(spec, 1);
    let c = Generator::new(LibrarySpec::shows(500).seed(8), 1);
    assert!((0..500).all(|i| a.path(i) == b.path(i)));
    assert!((0..500).any(|i| a.path(i) != c.path(i)));
}

#[test]
fn paths_are_computable_and_unique() {
    for spec in [
        LibrarySpec::movies(140_000),
        LibrarySpec::shows(20_000),
        LibrarySpec::music(20_000),
        LibrarySpec::photos(5_000),
        LibrarySpec::other_videos(5_000),
    ] {
        let plain = Generator::new(spec.clone().plain(), 1);
        let paths: HashSet<_> = (0..spec.items).filter_map(|i| plain.path(i)).collect();
        assert_eq!(paths.len(), spec.items as usize, "{:?}", spec.kind);
        assert!(paths.iter().all(|p| p.is_ascii()));
    }
    let server = Standin::builder()
        .library(LibrarySpec::shows(100).locations([r"M:\TV", r"\\nas\tv"]))
        .start()
        .unwrap();
    let mut client = Client::new(&server);
    let spec = LibrarySpec::shows(100).locations([r"M:\TV", r"\\nas\tv"]);
    let generator = Generator::new(spec, FIRST_KEY);
    let listed = client.get("/library/sections/1/all?type=4&sort=id").container();
    let paths = client.control("GET", "paths?library=1", "");
    for (i, row) in rows(&listed).iter().enumerate() {
        let path = generator.path(i as u32);
        assert_eq!(row["Media"][0]["Part"][0]["file"].as_str(), path.as_deref());
        assert_eq!(paths[i]["path"].as_str(), path.as_deref());
        assert_eq!(paths[i]["ratingKey"], row["ratingKey"]);
    }
    assert!(generator.path(0).unwrap().starts_with(r"M:\TV\"));
    assert!(generator.path(40).unwrap().starts_with(r"\\nas\tv\"));
}

#[test]
fn odd_items_come_at_their_rates() {
    let generator = Generator::new(LibrarySpec::movies(20_000), 1);
    let items: Vec<_> = (0..20_000).map(|i| generator.item(ItemType::Movie, i)).collect();
    let several = items.iter().filter(|i| i.media.len() > 1).count();
    assert!((450..750).contains(&several), "{several}");
    let stacked = items
        .iter()
        .filter(|i| i.media.iter().any(|m| m.parts.len() > 1))
        .count();
    assert!((60..150).contains(&stacked), "{stacked}");
    assert!((20..70).contains(&items.iter().filter(|i| i.media.is_empty()).count()));
    let repeated = items
        .iter()
        .flat_map(|i| i.files())
        .filter(|f| f.ends_with("/movie.mkv"))
        .count();
    assert!((100..250).contains(&repeated), "{repeated}");
    let shows = Generator::new(LibrarySpec::shows(20_000), 1);
    let shared = (0..19_999)
        .filter(|i| shows.path(*i).is_some() && shows.path(*i) == shows.path(i + 1))
        .count();
    assert!((60..150).contains(&shared), "{shared}");
}

#[test]
fn items_come_and_go_and_the_clocks_move() {
    let server = Standin::builder()
        .library(LibrarySpec::shows(40).plain())
        .start()
        .unwrap();
    let mut client = Client::new(&server);
    let clocks = |client: &mut Client| {
        let sections = client.get("/library/sections").container();
        let library = sections["Directory"][0].clone();
        (
            library["contentChangedAt"].as_u64().unwrap(),
            library["scannedAt"].as_i64().unwrap(),
            library["updatedAt"].as_i64().unwrap(),
        )
    };
    let before = clocks(&mut client);
    let key = server
        .change(|s| {
            s.add_items(
                1,
                vec![ItemSpec::episode("New Show", 2, 5, "Pilot", "/data/tv/n.mkv")],
                true,
            )
        })
        .unwrap()[0];
    let after = clocks(&mut client);
    assert!(after.0 == before.0 + 1 && after.1 > before.1 && after.2 == before.2);
    let row = rows(&client.get(&format!("/library/metadata/{key}")).container())[0].clone();
    assert_eq!(row["grandparentTitle"], "New Show");
    assert_eq!((&row["parentIndex"], &row["index"]), (&2.into(), &5.into()));
    let show = row["grandparentRatingKey"].as_str().unwrap().to_owned();
    assert_eq!(client.get(&format!("/library/metadata/{show}/allLeaves")).keys(), [key]);
    server.change(|s| s.remove_items(&[key], false)).unwrap();
    // The last episode takes season and show along.
    assert_eq!(client.get(&format!("/library/metadata/{show}")).status, 404);
    for (clock, moves) in [
        (ContentClock::Frozen, false),
        (ContentClock::Zero, false),
        (ContentClock::Lag, true),
        (ContentClock::Normal, true),
    ] {
        server
            .change(|s| s.library_mut(1).map(|l| l.content_clock = clock))
            .unwrap();
        let before = clocks(&mut client).0;
        for _ in 0..2 {
            server
                .change(|s| s.add_items(1, vec![ItemSpec::file("X", "/data/tv/x.mkv")], true))
                .unwrap();
        }
        assert_eq!(clocks(&mut client).0 != before, moves, "{clock:?}");
    }
}

#[test]
fn files_change_while_updated_at_stands_still() {
    let server = Standin::builder()
        .library(LibrarySpec::movies(10).plain())
        .start()
        .unwrap();
    let mut client = Client::new(&server);
    let target = format!("/library/metadata/{}?checkFiles=1", FIRST_KEY + 4);
    let before = rows(&client.get(&target).container())[0].clone();
    assert_eq!(before["Media"][0]["Part"][0]["exists"], true);
    server
        .change(|s| {
            s.set_files(
                FIRST_KEY + 4,
                vec![MediaSpec::from("/data/movies/up.2160p.mkv")],
                false,
                true,
            )
        })
        .unwrap();
    let after = rows(&client.get(&target).container())[0].clone();
    assert_eq!(after["updatedAt"], before["updatedAt"]);
    assert_eq!(after["Media"][0]["Part"][0]["file"], "/data/movies/up.2160p.mkv");
    server.change(|s| s.touch(&[FIRST_KEY + 4], None)).unwrap();
    let touched = rows(&client.get(&target).container())[0].clone();
    assert!(touched["updatedAt"].as_i64() > before["updatedAt"].as_i64());
    server
        .change(|s| s.rename_file(FIRST_KEY + 4, "/data/movies/up.2160p.mkv", "/data/movies/r.mkv"))
        .unwrap();
    let renamed = rows(&client.get("/library/sections/1/all?type=1&sort=id").container())[4].clone();
    assert_eq!(renamed["Media"][0]["Part"][0]["file"], "/data/movies/r.mkv");
    server.change(|s| s.set_missing(FIRST_KEY + 4, true)).unwrap();
    let missing = rows(&client.get(&target).container())[0].clone();
    assert_eq!(missing["Media"][0]["Part"][0]["exists"], false);
    assert!(missing["deletedAt"].is_i64());
    assert_eq!(
        client.get("/library/sections/1/all?type=1&trash=1").keys(),
        [FIRST_KEY + 4]
    );
    assert_eq!(client.put("/library/sections/1/emptyTrash").status, 200);
    assert_eq!(client.get(&target).status, 404);
}

#[test]
fn rekeyed_libraries_keep_their_files() {
    let server = Standin::builder().library(LibrarySpec::shows(60)).start().unwrap();
    let mut client = Client::new(&server);
    server
        .change(|s| s.change_item(FIRST_KEY, |i| i.title = "Renamed Show".into()))
        .unwrap();
    server
        .change(|s| {
            s.add_items(
                1,
                vec![ItemSpec::episode("Renamed Show", 1, 99, "Extra", "/x.mkv")],
                true,
            )
        })
        .unwrap();
    let files = |client: &mut Client| -> (Vec<String>, Vec<u64>) {
        let reply = client.get("/library/sections/1/all?type=4&sort=id");
        let rows = rows(&reply.container());
        (
            rows.iter()
                .map(|r| r["Media"][0]["Part"][0]["file"].to_string())
                .collect(),
            reply.keys(),
        )
    };
    let before = files(&mut client);
    server.change(|s| s.rekey_library(1)).unwrap();
    let after = files(&mut client);
    assert_eq!(before.0, after.0);
    assert!(before.1.iter().all(|k| !after.1.contains(k)));
    assert!(after.1.is_sorted());
    let shows = client.get("/library/sections/1/all?type=2&sort=id");
    let renamed = &rows(&shows.container())[0];
    assert_eq!(renamed["title"], "Renamed Show");
    let leaves = client.get(&format!("/library/metadata/{}/allLeaves", shows.keys()[0]));
    assert_eq!(leaves.keys().len(), 41);
    assert!(
        rows(&leaves.container())
            .iter()
            .all(|r| r["grandparentTitle"] == "Renamed Show")
    );
    server.change(|s| s.empty_library(1)).unwrap();
    assert_eq!(files(&mut client).1.len(), 0);
}

#[test]
fn libraries_come_and_go() {
    let server = Standin::builder().library(LibrarySpec::movies(5)).start().unwrap();
    let mut client = Client::new(&server);
    let id = server.change(|s| s.add_library(LibrarySpec::movies(5))).unwrap();
    assert_eq!(id, 2);
    server
        .change(|s| s.set_locations(2, vec!["/mnt/other".into()]))
        .unwrap();
    let sections = client.get("/library/sections").container();
    assert_eq!(sections["Directory"][1]["title"], "Movies 2");
    assert_eq!(sections["Directory"][1]["Location"][0]["path"], "/mnt/other");
    assert_ne!(sections["Directory"][0]["uuid"], sections["Directory"][1]["uuid"]);
    server.change(|s| s.remove_library(1)).unwrap();
    assert_eq!(client.get("/library/sections/1/all").status, 404);
    assert_eq!(client.get("/library/sections").container()["size"], 1);
}

#[test]
fn tokens_see_their_libraries() {
    let server = Standin::builder()
        .library(LibrarySpec::movies(5))
        .library(LibrarySpec::shows(5))
        .tokens([Token::owner("mine"), Token::shared("theirs", [2])])
        .start()
        .unwrap();
    let mut guest = Client::with_token(&server, "theirs");
    assert_eq!(guest.get("/library/sections").container()["size"], 1);
    assert_eq!(guest.get("/library/sections/1/all").status, 403);
    assert_eq!(guest.get("/library/sections/2/all").status, 200);
    assert_eq!(guest.get("/library").status, 403);
    assert_eq!(guest.get(&format!("/library/metadata/{FIRST_KEY}")).status, 404);
    assert_eq!(
        guest.put("/library/sections/2/all?type=4&id=1&title.value=x").status,
        403
    );
    let mut stranger = Client::with_token(&server, "wrong");
    let reply = stranger.get("/");
    assert_eq!(reply.status, 401);
    assert!(reply.text().contains("<h1>401 Unauthorized</h1>"));
    assert_eq!(stranger.get("/identity").status, 200);
    let query = stranger.raw("GET", "/?X-Plex-Token=mine", &[], "").unwrap();
    assert_eq!(query.status, 200);
    assert_eq!(query.header("content-type"), Some("text/xml;charset=utf-8"));
    server.change(|s| s.tokens = vec![Token::owner("new")]);
    assert_eq!(guest.get("/library/sections").status, 401);
}
