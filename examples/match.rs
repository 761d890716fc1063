//! Which item is this file? `cargo run --example match -- URL TOKEN FOLDER LIBRARY FILE`

use plexindex::{error::Error, index::Index, model::Token, options::Options};

fn main() -> Result<(), Error> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, folder, library, file] = given.as_slice() else {
        panic!("give URL, TOKEN, FOLDER, LIBRARY and FILE");
    };
    let index = Index::open(Options {
        cache_dir: folder.into(), // is made; nothing is fetched
        server_url: Some(url.clone()),
        token: Token::new(token),
        ..Options::default()
    })?;
    let found = index.library(library)?.match_path(file.as_bytes())?; // fetches the library where it must
    match found.item {
        Some(item) => println!("{}: {}", item.key, item.item.title),
        None => println!("{}: {}", found.status.name(), found.message),
    }
    index.close()
}
