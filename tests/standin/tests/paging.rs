//! Windows, orders and filters of listings.

use crate::common::{Client, rows};
use plexindex_standin::{Config, FIRST_KEY, FileFilter, ItemSpec, LibrarySpec, Standin};

fn server(movies: u32) -> Standin {
    Standin::builder()
        .library(LibrarySpec::movies(movies).plain())
        .start()
        .unwrap()
}

#[test]
fn pages_cover_the_library_once() {
    let server = server(250);
    let mut client = Client::new(&server);
    let mut keys = Vec::new();
    loop {
        let reply = client.page("/library/sections/1/all?type=1&sort=id", keys.len() as u64, 100);
        let container = reply.container();
        assert_eq!(container["totalSize"], 250);
        assert_eq!(container["offset"], keys.len());
        assert_eq!(reply.header("x-plex-container-total-size"), Some("250"));
        assert_eq!(
            reply.header("x-plex-container-start"),
            Some(keys.len().to_string().as_str())
        );
        let page = reply.keys();
        assert_eq!(container["size"], page.len());
        if page.is_empty() {
            break;
        }
        keys.extend(page);
    }
    assert_eq!(keys, (FIRST_KEY..FIRST_KEY + 250).collect::<Vec<_>>());
}

#[test]
fn a_size_without_a_start_is_ignored() {
    let server = server(30);
    let mut client = Client::new(&server);
    let reply = client.get_with("/library/sections/1/all?type=1", &[("X-Plex-Container-Size", "10")]);
    let container = reply.container();
    assert_eq!(container["size"], 30);
    assert!(container.get("totalSize").is_none());
    let reply = client.get("/library/sections/1/all?X-Plex-Container-Start=5&X-Plex-Container-Size=10");
    assert_eq!(reply.container()["size"], 10);
    assert_eq!(reply.container()["offset"], 5);
}

#[test]
fn size_zero_counts_the_type_asked_for() {
    let server = Standin::builder()
        .library(LibrarySpec::shows(85).plain())
        .start()
        .unwrap();
    let mut client = Client::new(&server);
    let mut count = |target: &str| client.page(target, 0, 0).container()["totalSize"].clone();
    assert_eq!(count("/library/sections/1/all"), 3);
    assert_eq!(count("/library/sections/1/all?type=2"), 3);
    assert_eq!(count("/library/sections/1/all?type=3"), 9);
    assert_eq!(count("/library/sections/1/all?type=4"), 85);
    assert_eq!(count("/library/sections/1/all?type=1"), 0);
    assert_eq!(client.get("/library/sections/1/all?type=2,4").status, 400);
}

#[test]
fn orders() {
    let server = server(60);
    let mut client = Client::new(&server);
    let mut listed = |sort: &str, field: &str| -> Vec<String> {
        let reply = client.get(&format!("/library/sections/1/all?type=1{sort}"));
        rows(&reply.container())
            .iter()
            .map(|row| row[field].to_string().to_lowercase())
            .collect()
    };
    for sort in ["", "&sort=titleSort"] {
        let titles = listed(sort, "title");
        assert!(titles.is_sorted(), "{sort}: {titles:?}");
    }
    for (sort, field) in [
        ("&sort=addedAt:desc", "addedAt"),
        ("&sort=movie.updatedAt:desc", "updatedAt"),
        ("&sort=id:desc", "ratingKey"),
    ] {
        let mut values = listed(sort, field);
        values.reverse();
        assert!(values.is_sorted(), "{sort}");
    }
    assert!(listed("&sort=id", "ratingKey").is_sorted());
}

#[test]
fn titles_and_dates_filter_and_the_unknown_is_ignored() {
    let server = server(200);
    let mut client = Client::new(&server);
    let all = client.get("/library/sections/1/all?type=1&sort=id").container();
    let all = rows(&all);
    let title = all[7]["title"].as_str().unwrap();
    let encoded = title.to_uppercase().replace(' ', "%20");
    let found = client
        .get(&format!("/library/sections/1/all?type=1&title={encoded}"))
        .container();
    assert_eq!(rows(&found).len(), 1);
    assert_eq!(rows(&found)[0]["title"], title);
    let since = all[150]["addedAt"].as_i64().unwrap();
    for operator in [">=", "%3E%3E="] {
        let reply = client.get(&format!(
            "/library/sections/1/all?type=1&sort=id&addedAt{operator}{since}"
        ));
        assert_eq!(reply.keys().len(), 50, "{operator}");
    }
    let reply = client.get("/library/sections/1/all?type=1&updatedAt>=9999999999");
    assert_eq!(reply.keys().len(), 0);
    let reply = client.get("/library/sections/1/all?type=1&nonsense=1&lastViewedAt>=9999999999");
    assert_eq!(reply.keys().len(), 200);
    let guid = all[3]["guid"].as_str().unwrap();
    let reply = client.get(&format!("/library/sections/1/all?type=1&guid={guid}"));
    assert_eq!(reply.keys(), [FIRST_KEY + 3]);
    let external = client.get("/library/sections/1/all?type=1&guid=imdb://tt1000001");
    assert_eq!(external.keys().len(), 0);
}

#[test]
fn the_file_filter_has_modes() {
    let server = Standin::builder()
        .library(LibrarySpec::shows(40).plain())
        .start()
        .unwrap();
    let mut client = Client::new(&server);
    let paths = client.control("GET", "paths?library=1&start=13&count=1", "");
    let path = paths[0]["path"].as_str().unwrap();
    let name = path.rsplit('/').next().unwrap().replace(' ', "%20");
    let typed = format!("/library/sections/1/all?type=4&file={name}");
    let mode = |mode| server.config(|c: &mut Config| c.file_filter = mode);
    assert_eq!(client.get(&typed).keys().len(), 1);
    mode(FileFilter::Ignored);
    assert_eq!(client.get(&typed).keys().len(), 40);
    mode(FileFilter::Nothing);
    assert_eq!(client.get(&typed).keys().len(), 0);
}

#[test]
fn exclusions_are_advisory() {
    let server = server(3);
    let mut client = Client::new(&server);
    let target = "/library/sections/1/all?type=1&includeGuids=1\
                  &excludeElements=Genre,Country,Director,Writer,Role,Producer,Image&excludeFields=summary,tagline";
    let slim = rows(&client.get(target).container());
    assert!(slim[0].get("Genre").is_none() && slim[0].get("summary").is_none());
    assert!(slim[0]["Media"][0]["Part"][0]["file"].is_string());
    assert!(slim[0]["Guid"][0]["id"].is_string());
    server.config(|c| c.exclusions = false);
    let full = rows(&client.get(target).container());
    assert!(full[0]["Genre"].is_array() && full[0]["summary"].is_string());
}

#[test]
fn rows_shift_between_pages() {
    let server = server(20);
    let mut client = Client::new(&server);
    server
        .change(|s| {
            s.shift_before_page(
                1,
                2,
                vec![FIRST_KEY],
                vec![ItemSpec::file("Late", "/data/movies/Late.mkv")],
            )
        })
        .unwrap();
    let all = "/library/sections/1/all?type=1&sort=id";
    let first = client.page(all, 0, 10).keys();
    assert_eq!(first.last(), Some(&(FIRST_KEY + 9)));
    let second = client.page(all, 10, 10);
    assert_eq!(second.container()["totalSize"], 20);
    // The row FIRST_KEY + 10 slipped into the first page and is not seen.
    assert_eq!(second.keys().first(), Some(&(FIRST_KEY + 11)));
    assert_eq!(second.keys().last(), Some(&(FIRST_KEY + 20)));
}

#[test]
fn orders_that_are_not_known_are_refused_and_excluded_fields_are_not_sorted_by() {
    let server = server(60);
    let mut client = Client::new(&server);
    for sort in ["nonsense", "id:up", "addedAt:desc,nonsense"] {
        let reply = client.get(&format!("/library/sections/1/all?type=1&sort={sort}"));
        assert_eq!(reply.status, 400, "{sort}");
    }
    let by_title = client.get("/library/sections/1/all?type=1").keys();
    let mut sorted = |more: &str| {
        client
            .get(&format!("/library/sections/1/all?type=1&sort=addedAt:desc{more}"))
            .keys()
    };
    assert_ne!(sorted(""), by_title);
    assert_ne!(sorted("&excludeFields=summary"), by_title);
    assert_eq!(sorted("&excludeFields=summary,addedAt"), by_title);
}
