//! bench/languages/README.md

use std::time::Instant;
use std::{env, fs};

use plexindex::{Index, Mapping, Options, Token, Ttl};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = env::args().skip(1).collect();
    let [store, host, server, pairs, rounds] = given.as_slice() else {
        return Err("bench/languages/README.md says what to give".into());
    };
    let index = Index::open(Options {
        server_url: Some(env::var("PLEX_URL")?),
        token: Token::new(&env::var("PLEX_TOKEN")?),
        mappings: vec![Mapping::host_to_server(host, server)],
        library_ttl: Ttl::Forever,
        ..Options::new(store)
    })?;
    let movies = index.library("Movies")?;
    let text = fs::read_to_string(pairs)?;
    let mut pairs: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('\t')).collect();
    let mut state = 1_u64;
    let mut times = Vec::new();
    for round in 0..=rounds.parse::<usize>()? {
        for at in (1..pairs.len()).rev() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            pairs.swap(at, usize::try_from(state >> 33)? % (at + 1));
        }
        let mut wrong = 0;
        let begun = Instant::now();
        for (path, key) in &pairs {
            wrong += usize::from(movies.lookup_key(path).as_deref().unwrap_or_default() != *key);
        }
        let took = begun.elapsed();
        if wrong > 0 {
            return Err(format!("{wrong} answers are wrong").into());
        }
        if round > 0 {
            times.push(took.as_secs_f64() * 1e9 / f64::from(u32::try_from(pairs.len())?));
        }
    }
    println!("{times:?}");
    Ok(())
}
