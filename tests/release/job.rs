//! Each path of a list is that item: `job URL TOKEN FOLDER LIST`, lines `key<tab>path`.
use plexindex::{Index, Options, Token};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let index = Index::open(Options {
        server_url: Some(given[0].clone()),
        token: Token::new(&given[1]),
        ..Options::new(&given[2])
    })?;
    let movies = index.library("Movies")?;
    let list = std::fs::read_to_string(&given[3])?;
    for line in list.lines() {
        let (key, path) = line.split_once('\t').ok_or("no tab")?;
        let found = movies.match_path(path)?;
        assert_eq!(found.item().map(|item| item.key.to_string()).as_deref(), Some(key), "{path}");
    }
    println!("{} paths right", list.lines().count());
    Ok(())
}
