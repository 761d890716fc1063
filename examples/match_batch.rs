//! Which items are these files? `find /media -type f | cargo run --example match_batch -- URL TOKEN CACHE LIBRARY`
//!
//! The names are read as bytes, one a line: they need not be UTF-8.

use std::ffi::OsString;
use std::io::{BufRead, stdin};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use plexindex::{Index, Options, Token};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, folder, library] = given.as_slice() else {
        return Err("give URL, TOKEN, CACHE and LIBRARY, and one path a line".into());
    };
    let lines: Vec<Vec<u8>> = stdin().lock().split(b'\n').collect::<Result<_, _>>()?;
    let paths: Vec<PathBuf> = lines.into_iter().map(|line| OsString::from_vec(line).into()).collect();

    let index = Index::open(Options {
        server_url: Some(url.clone()),
        token: Token::new(token),
        ..Options::new(folder)
    })?;
    let library = index.library(library)?;
    let answers = library
        .query()
        .progress(|so_far| {
            eprintln!("{} items of {} so far", so_far.items, so_far.library.unwrap_or("…"));
            ControlFlow::Continue(())
        })
        .match_paths(&paths)?;
    for (path, answer) in paths.iter().zip(answers) {
        let path = path.display();
        match answer {
            Err(refused) => println!("{path}: {refused}"),
            Ok(found) => match found.sure() {
                Some(item) => println!("{path}: {item} ({})", item.key),
                None => println!("{path}: not sure, {} candidates", found.total),
            },
        }
    }
    println!("{} requests were sent", index.stats()?.all_requests());
    Ok(())
}
