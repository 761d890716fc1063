//! Which item is this file? `cargo run --example match_file -- URL TOKEN CACHE LIBRARY FILE`

use plexindex::{Index, Options, Token};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, folder, library, file] = given.as_slice() else {
        return Err("give URL, TOKEN, CACHE, LIBRARY and FILE".into());
    };
    let index = Index::open(Options {
        server_url: Some(url.clone()),
        token: Token::new(token),
        ..Options::new(folder) // creates the folder, and sends no request
    })?;
    let found = index.library(library)?.match_path(file)?; // fetches the library if necessary
    match found.sure() {
        Some(item) => println!("{}: {item}", item.key),
        None => println!("not sure: {}", found.message.as_deref().unwrap_or_default()),
    }
    Ok(())
}
