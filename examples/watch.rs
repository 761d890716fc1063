//! Answers from memory while the server tells of changes: `cargo run --example watch -- URL TOKEN CACHE LIBRARY FILE`
//!
//! Each line on the standard input asks for the file again. Its end ends the program.

use std::io::stdin;

use plexindex::{Index, Options, Token};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, folder, library, file] = given.as_slice() else {
        return Err("give URL, TOKEN, CACHE, LIBRARY and FILE".into());
    };
    let index = Index::open(Options {
        server_url: Some(url.clone()),
        token: Token::new(token),
        ..Options::new(folder)
    })?;
    let library = index.library(library)?;
    let _watch = index.watch()?; // ends when it goes
    for _line in stdin().lines() {
        match library.match_path(file) {
            Ok(found) => match found.sure() {
                Some(item) => println!("{item}: {}", item.key),
                None => println!("not sure: {}", found.message.as_deref().unwrap_or_default()),
            },
            // A later call may succeed.
            Err(error) if error.kind().is_transient() => println!("not now: {error}"),
            Err(error) => return Err(error.into()),
        }
    }
    index.close()?;
    Ok(())
}
