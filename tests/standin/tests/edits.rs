//! Edits by PUT.

use crate::common::{Client, rows};
use plexindex_standin::{FIRST_KEY, LibrarySpec, Standin};
use serde_json::json;

const ALL: &str = "/library/sections/1/all?type=1&sort=id";

fn server(movies: u32) -> Standin {
    Standin::builder().library(LibrarySpec::movies(movies)).start().unwrap()
}

#[test]
fn edits_are_applied_as_plex_does() {
    let server = server(20);
    let mut client = Client::new(&server);
    let (a, b) = (FIRST_KEY, FIRST_KEY + 1);
    let reply = client.put(&format!(
        "/library/sections/1/all?genre%5B0%5D.tag.tag=Noir&genre.locked=1&id={a}%2C{b}&label%5B0%5D.tag.tag=to%20watch\
         &summary.value=S&title.locked=1&title.value=New%20Title&type=1&year.value=1999"
    ));
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(reply.header("content-type"), Some("text/html"));
    let rows_of =
        |client: &mut Client, key: u64| rows(&client.get(&format!("/library/metadata/{key}")).container())[0].clone();
    for key in [a, b] {
        let row = rows_of(&mut client, key);
        assert_eq!(
            (&row["title"], &row["summary"], &row["year"]),
            (&json!("New Title"), &json!("S"), &json!(1999))
        );
        assert!(row["Genre"].as_array().unwrap().iter().any(|t| t["tag"] == "Noir"));
        assert!(row["Genre"].as_array().unwrap().len() > 1);
        assert_eq!(row["Label"][0]["tag"], "To Watch");
        assert_eq!(
            row["Field"],
            json!([{"locked": true, "name": "genre"}, {"locked": true, "name": "title"}])
        );
    }
    assert_eq!(
        client
            .get("/library/sections/1/all?type=1&label=To%20Watch")
            .keys()
            .len(),
        2
    );
    client.put(&format!(
        "/library/sections/1/all?type=1&id={a}&label%5B%5D.tag.tag-=To%2520Watch&title.locked=0"
    ));
    let row = rows_of(&mut client, a);
    assert!(row.get("Label").is_none() && row["Field"].as_array().unwrap().len() == 1);
    // Labels are stripped from listings.
    assert!(rows(&client.get(ALL).container())[1].get("Label").is_none());
    for (target, status) in [
        ("/library/sections/1/all?type=1&id=99&title.value=x".to_owned(), 404),
        (format!("/library/sections/1/all?type=1&id={a},99&title.value=x"), 404),
        (format!("/library/sections/1/all?type=4&id={a}&title.value=x"), 400),
        (format!("/library/sections/1/all?id={a}&title.value=x"), 400),
        (format!("/library/sections/9/all?type=1&id={a}&title.value=x"), 404),
        (
            format!(
                "/library/sections/1/all?type=1&id={a}&title.value={}",
                "x".repeat(31_000)
            ),
            400,
        ),
    ] {
        let reply = client.put(&target);
        assert_eq!(reply.status, status, "{:.80}", target);
        assert!(reply.text().starts_with("<html>"));
    }
    assert_eq!(rows_of(&mut client, a)["title"], "New Title");
    assert_eq!(
        client.put("/library/sections/1/all?type=1&studio.value=All").status,
        200
    );
    assert!(rows(&client.get(ALL).container()).iter().all(|r| r["studio"] == "All"));
    assert_eq!(
        client.put(&format!("/library/metadata/{b}?title.value=Direct")).status,
        200
    );
    assert_eq!(rows_of(&mut client, b)["title"], "Direct");
}
