//! The stand-in Plex server as a program: `standin --help`.

use std::io::{ErrorKind, Read, Write};
use std::process::ExitCode;

use plexindex_standin::{Builder, LibrarySpec, Token};

const USAGE: &str = "\
standin: a stand-in Plex Media Server on the loopback address

  --movies N          a library of N movies
  --episodes N        a library of shows with N episodes
  --photos N          a library of N photos
  --seed S            what the libraries are drawn from (default 1)
  --plain             without odd items: one file each, ASCII names
  --spec FILE         a JSON file with libraries, items, tokens, switches; see the README
  --port P            default 0: any free port
  --token T           the owner's token (default standin-token); may be repeated
  --open              no token is needed
  --exit-with-stdin   end when standard input is closed

Prints `standin: URL token=TOKEN` and serves until it is killed.
";

struct Arguments {
    setup: Builder,
    exit_with_stdin: bool,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut setup = Builder::default();
    let mut specs = Vec::new();
    let mut seed = 1;
    let mut plain = false;
    let mut exit_with_stdin = false;
    while let Some(name) = arguments.next() {
        let mut text = || arguments.next().ok_or_else(|| format!("{name} needs a value"));
        let mut number = || text()?.parse::<u32>().map_err(|e| format!("{name}: {e}"));
        match name.as_str() {
            "--movies" => specs.push(LibrarySpec::movies(number()?)),
            "--episodes" => specs.push(LibrarySpec::shows(number()?)),
            "--photos" => specs.push(LibrarySpec::photos(number()?)),
            "--seed" => seed = text()?.parse().map_err(|e| format!("--seed: {e}"))?,
            "--port" => setup.port = text()?.parse().map_err(|e| format!("--port: {e}"))?,
            "--token" => setup.tokens.push(Token::owner(&text()?)),
            "--spec" => {
                let file = text()?;
                let body = std::fs::read(&file).map_err(|e| format!("{file}: {e}"))?;
                let tokens = std::mem::take(&mut setup.tokens);
                let port = setup.port;
                setup = serde_json::from_slice(&body).map_err(|e| format!("{file}: {e}"))?;
                setup.tokens.splice(0..0, tokens);
                if port != 0 {
                    setup.port = port;
                }
            }
            "--plain" => plain = true,
            "--open" => setup.open = true,
            "--exit-with-stdin" => exit_with_stdin = true,
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    for mut spec in specs {
        if spec.items > 0 {
            spec.seed = seed;
            spec.plain = plain;
            setup.libraries.push(spec);
        }
    }
    Ok(Some(Arguments { setup, exit_with_stdin }))
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("standin: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let port = arguments.setup.port;
    let server = match arguments.setup.start() {
        Ok(server) => server,
        Err(error) => {
            eprintln!("standin: {error}");
            if error.kind() == ErrorKind::AddrInUse {
                eprintln!("port {port} is in use: choose another with --port (make standin PORT=0 takes any)");
            }
            return ExitCode::FAILURE;
        }
    };
    let mut out = std::io::stdout();
    let _ = writeln!(out, "standin: {} token={}", server.url(), server.token());
    let _ = out.flush();
    if arguments.exit_with_stdin {
        let mut sink = [0; 4096];
        while !matches!(std::io::stdin().read(&mut sink), Ok(0) | Err(_)) {}
        return ExitCode::SUCCESS;
    }
    // A signal ends the process.
    loop {
        std::thread::park();
    }
}
