//! Runs the C programs of `tests/c` against the header and the shared object, each with a stand-in server and a folder
//! of its own; and the C++ programs of `tests/cpp` and `examples/cpp` against `bindings/cpp`. Each is compiled once,
//! with one compiler and one standard. `make check-deep` runs the ignored tests too: valgrind, sanitizers, other
//! compilers and standards.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use plexindex_standin::{Action, FIRST_KEY, Fault, ItemSpec, Kind, LibrarySpec, Standin, Token};

use crate::compile::{self, C, CPP, Tool, lacks};

/// What `path N` and `key N` count: the generated movies.
const MOVIES: u32 = 1200;

/// A token that cannot stand in a file by chance.
const TOKEN: &str = "s3cret-Token-of-the-C-programs";

/// The programs, each a test of its own; `every_program_is_run` compares this with the folder. These tests and the
/// others run under valgrind too.
macro_rules! programs {
    ($($name:ident),*; $($other:ident),*) => {
        const PROGRAMS: &[&str] = &["ask", "example", $(stringify!($name)),*];
        $(#[test]
        fn $name() {
            Run::new(stringify!($name)).passes(&[]);
        })*
        mod valgrind {
            $(#[test]
            #[ignore = "make check-deep"]
            fn $name() {
                super::under_valgrind(super::$name);
            })*
            $(#[test]
            #[ignore = "make check-deep"]
            fn $other() {
                super::under_valgrind(super::$other);
            })*
        }
    };
}

programs! {
    copies,
    log,
    memory,
    reload,
    renewal;
    an_answer_grows_its_memory,
    example,
    the_example_in_c,
    the_example_of_a_plug_in_runs
}

/// The server of one program, with these movies besides.
fn serve(movies: Vec<ItemSpec>) -> Standin {
    let movie = |title: &str, path: &str| ItemSpec::file(title, path);
    let exact = ItemSpec {
        guid: Some("plex://movie/000000000000000000000001".to_owned()),
        guids: vec!["imdb://tt0000001".to_owned(), "tmdb://1".to_owned()],
        ..movie("Exact", "/data/movies/Exact (2001)/Exact (2001).mkv")
            .key(900_001)
            .year(2001)
            .version("/data/movies/Exact (2001)/Exact (2001) 4K.mkv")
    };
    let episode = |number: u32, title: &str| {
        let path = format!("/data/tv/The Show/Season 02/The Show - S02E0{number}.mkv");
        ItemSpec::episode("The Show", 2, number, title, &path)
    };
    let twin = |letter: char, key| {
        let path = format!("/data/movies/Twins {letter}/twin.mkv");
        movie(&format!("Twin {letter}"), &path).key(key)
    };
    Standin::builder()
        .token(TOKEN)
        .library(LibrarySpec::movies(MOVIES).plain().title("Movies"))
        .library(LibrarySpec::shows(40).plain().title("Shows"))
        .library(LibrarySpec::movies(5).plain().title("Slow").locations(["/data/slow"]))
        .items(1, [exact, twin('A', 900_002), twin('B', 900_003)])
        .items(1, movies)
        .items(
            2,
            [
                episode(1, "First"),
                episode(2, "Second"),
                episode(3, "Third").key(900_013),
            ],
        )
        .serve()
}

/// The path of a generated movie.
fn path_of(standin: &Standin, number: u32) -> String {
    assert!(number < MOVIES);
    let state = standin.read();
    let library = state.library(1).expect("the movies are section 1");
    let item = library
        .get(FIRST_KEY + u64::from(number))
        .expect("generated movies are numbered from the first key on");
    item.files().next().expect("a plain movie has a file").to_owned()
}

/// Does what a program asks for with a line that begins with `@`; see check.h.
fn obey(standin: &Standin, command: &str) -> String {
    let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
    let number = || -> u32 { rest.parse().expect("a number") };
    match verb {
        // How many requests the server has had.
        "requests" => standin.stats().total.to_string(),
        // Path and key of a generated movie.
        "path" => path_of(standin, number()),
        "key" => format!("/library/metadata/{}", FIRST_KEY + u64::from(number())),
        // A fault, as the stand-in's control endpoint takes it; and no more faults.
        "fault" => {
            standin.fault(serde_json::from_str(rest).expect("a fault"));
            "broken".to_owned()
        }
        "heal" => {
            standin.clear_faults();
            "healed".to_owned()
        }
        // How many listen to the server's events.
        "listeners" => standin.listeners().to_string(),
        // The shared object.
        "library" => compile::library().display().to_string(),
        // So many rounds, or as many as are bearable under valgrind.
        "rounds" => (if valgrind() { number().div_ceil(4) } else { number() }).to_string(),
        _ => panic!("the harness knows no {verb:?}"),
    }
}

thread_local! {
    static VALGRIND: Cell<bool> = const { Cell::new(false) };
}

/// Whether the running test starts its programs under valgrind.
fn valgrind() -> bool {
    VALGRIND.get()
}

fn under_valgrind(test: fn()) {
    if lacks(("VALGRIND", "valgrind")) {
        return;
    }
    VALGRIND.set(true);
    test();
    // The next test may run in this thread.
    VALGRIND.set(false);
}

/// One program: compiled, with its server and its folder.
struct Run {
    name: &'static str,
    standin: Standin,
    folder: tempfile::TempDir,
}

/// How a program ended.
struct Ended {
    status: ExitStatus,
    output: String,
    errors: String,
}

impl Run {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            standin: serve(Vec::new()),
            // No hidden folder, in which each file would be a copy.
            folder: tempfile::Builder::new().prefix("capi").tempdir().expect("a folder"),
        }
    }

    /// Compiles it strictly. `reload.c` and `copies.c` load the library at run time, all others are linked with it.
    fn compiled(&self) -> PathBuf {
        let source = format!("tests/c/{}.c", self.name);
        if ["reload", "copies"].contains(&self.name) {
            return self.compiled_from(&source, C, "c11", &["-ldl"]);
        }
        self.linked(&source, C, "c11", &[])
    }

    /// Compiles a source of this repository with this compiler, and links it with the library.
    fn linked(&self, source: &str, compiler: Tool, standard: &str, more: &[&str]) -> PathBuf {
        let arguments = compile::link_arguments();
        let arguments: Vec<&str> = arguments
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        self.compiled_from(source, compiler, standard, &arguments)
    }

    fn compiled_from(&self, source: &str, compiler: Tool, standard: &str, more: &[&str]) -> PathBuf {
        let program = self.folder.path().join(self.name);
        let more = [more, &["-pthread"]].concat();
        compile::compile_with(compiler, standard, &compile::repository(source), &program, &more);
        program
    }

    /// Runs it to its end as `program URL TOKEN CACHE …`, answering its questions.
    fn ends(&self, arguments: &[&str]) -> Ended {
        self.program_ends(&self.compiled(), arguments)
    }

    /// The same, of a program that is there.
    fn program_ends(&self, program: &Path, arguments: &[&str]) -> Ended {
        let store = self.folder.path().join("store");
        fs::create_dir_all(&store).expect("a folder");
        let errors = self.folder.path().join("errors");
        let mut child = start(program)
            .arg(self.standin.url())
            .args([OsStr::new(TOKEN), there(&store).as_os_str()])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).expect("a file"))
            .spawn()
            .expect("the program starts");
        let mut input = child.stdin.take().expect("piped");
        let mut output = String::new();
        for line in BufReader::new(child.stdout.take().expect("piped")).split(b'\n') {
            let line = String::from_utf8_lossy(&line.expect("a line")).into_owned();
            let line = line.trim_end_matches('\r');
            if let Some(command) = line.strip_prefix('@') {
                // A program that ended meanwhile needs no reply.
                let _ = writeln!(input, "{}", obey(&self.standin, command));
            } else {
                output += line;
                output.push('\n');
            }
        }
        let status = child.wait().expect("a child");
        let errors = fs::read(errors).expect("the errors");
        // wine speaks of itself there.
        let errors = String::from_utf8_lossy(&errors);
        let errors: Vec<&str> = errors.lines().filter(|line| !line.starts_with("wine: ")).collect();
        Ended {
            status,
            output,
            errors: head((errors.join("\n") + "\n").trim_start()),
        }
    }

    fn passes(&self, arguments: &[&str]) -> String {
        self.program_passes(&self.compiled(), arguments)
    }

    fn program_passes(&self, program: &Path, arguments: &[&str]) -> String {
        let Ended { status, output, errors } = self.program_ends(program, arguments);
        println!("{output}{errors}");
        assert!(status.success(), "{}: {status}\n{output}\n{errors}", self.name);
        if compile::runner().is_some() {
            return output.replace('\\', "/");
        }
        output
    }
}

#[test]
fn cpp_calls() {
    calls(CPP, "c++17", &[]);
}

/// The program of all calls, with this compiler.
fn calls(compiler: Tool, standard: &str, more: &[&str]) {
    if lacks(compiler) {
        return;
    }
    let run = Run::new("calls");
    let program = run.linked("tests/cpp/calls.cpp", compiler, standard, more);
    run.program_passes(&program, &[]);
}

/// Other compilers and standards, and sanitizers.
mod deep {
    use super::*;

    const GCC: Tool = ("CXX", "g++");
    const CLANG: Tool = ("CLANGXX", "clang++");
    const SANITIZERS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

    /// The sanitizers, where this compiler has their libraries, which distributions pack apart.
    fn sanitizers(tool: Tool) -> &'static [&'static str] {
        if lacks(tool) {
            return &[];
        }
        let compiler = compile::named(tool);
        let folder = tempfile::tempdir().expect("a folder");
        let source = folder.path().join("empty.cpp");
        fs::write(&source, "int main() { return 0; }\n").expect("a file");
        let mut command = Command::new(&compiler);
        command
            .args(SANITIZERS)
            .arg(&source)
            .arg("-o")
            .arg(folder.path().join("empty"));
        if compile::run(&mut command, tool.0).status.success() {
            &SANITIZERS
        } else {
            compile::skipped(&format!(
                "{compiler} has no sanitizers, which clang has from libclang-rt-dev"
            ));
            &[]
        }
    }

    #[test]
    #[ignore = "make check-deep"]
    fn cpp_calls_with_gcc() {
        calls(GCC, "c++20", sanitizers(GCC));
    }

    #[test]
    #[ignore = "make check-deep"]
    fn cpp_calls_with_clang() {
        calls(CLANG, "c++17", sanitizers(CLANG));
    }

    #[test]
    #[ignore = "make check-deep"]
    fn cpp_compiles_with_either_standard() {
        let run = Run::new("match");
        for (compiler, standard) in [(GCC, "c++17"), (CLANG, "c++20")] {
            if !lacks(compiler) {
                run.linked("examples/cpp/match.cpp", compiler, standard, WARNINGS);
            }
        }
    }

    #[test]
    #[ignore = "make check-deep"]
    fn the_example_in_cpp() {
        example_in_cpp(GCC, sanitizers(GCC));
    }

    #[test]
    #[ignore = "make check-deep"]
    fn the_readme_s_commands_compile_and_run_the_example_in_cpp() {
        if !lacks(CPP) {
            let said = compile_and_run("bindings/cpp/README.md", "<!-- c++ -->\n```sh\n");
            assert!(said.starts_with("INVALID_ARGUMENT: "), "{said}");
        }
    }
}

/// What hosts also turn on, which must accept the headers.
const WARNINGS: &[&str] = &["-Wshadow", "-Wconversion"];

/// The examples in C++ say what they find, and what is wrong.
#[test]
fn cpp_examples() {
    if lacks(CPP) {
        return;
    }
    let run = Run::new("example");
    let known = "/data/movies/Exact (2001)/Exact (2001).mkv";
    let program = run.linked("examples/cpp/match.cpp", CPP, "c++17", WARNINGS);
    assert_eq!(
        run.program_passes(&program, &["Movies", known]),
        "/library/metadata/900001: Exact\n"
    );
    let several = run.program_passes(&program, &["Movies", "/else/twin.mkv"]);
    assert!(several.starts_with("not sure, AMBIGUOUS: 2 items"), "{several}");
    assert!(several.contains("\n  /data/movies/Twins A/twin.mkv\n"), "{several}");
    let ended = run.program_ends(&program, &["Holiday", known]);
    assert!(!ended.status.success());
    assert!(ended.errors.contains("LIBRARY_NOT_FOUND: "), "{}", ended.errors);
    let ended = run.program_ends(&program, &[]);
    assert_eq!(ended.errors, "match URL TOKEN CACHE LIBRARY FILE\n");

    let folder = run.folder.path().join("files/Exact (2001)");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("Exact (2001).mkv"), "").expect("a file");
    fs::write(folder.join("unknown.mkv"), "").expect("a file");
    let program = run.linked("examples/cpp/batch.cpp", CPP, "c++17", &[]);
    let files = there(folder.parent().expect("a folder"));
    let files = files.to_str().expect("text");
    let output = run.program_passes(&program, &["Movies", files]);
    let found = format!("not sure  {files}/Exact (2001)/Exact (2001).mkv\n  /library/metadata/900001 Exact\n");
    let unknown = format!("not sure  {files}/Exact (2001)/unknown.mkv\n");
    assert!(output.contains(&found), "{output}");
    assert!(output.contains(&unknown), "{output}");
    assert_eq!(output.len(), found.len() + unknown.len(), "{output}");
    let missing = format!("{files}/none");
    let ended = run.program_ends(&program, &["Movies", &missing]);
    assert!(!ended.status.success());
    assert!(ended.errors.starts_with(&missing), "{}", ended.errors);
    let ended = run.program_ends(&program, &["Holiday", files]);
    assert!(!ended.status.success());
    assert!(ended.errors.contains("LIBRARY_NOT_FOUND: "), "{}", ended.errors);
}

/// The lines of an example that keeps a map in this file, in order.
fn map_of(run: &Run, program: &Path, file: &Path) -> Vec<String> {
    let printed = run.program_passes(program, &[file.to_str().expect("text"), "0"]);
    let mut lines: Vec<String> = printed.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A map that is kept by the feed is that of a fresh listing, whatever happened on the server meanwhile.
fn keeps_a_map(run: &Run, program: &Path) {
    let kept = run.folder.path().join("kept");
    let fresh = |name: &str| map_of(run, program, &run.folder.path().join(name));
    // A pair that no listing has stays while the feed tells each change, and goes where all is listed again.
    let planted = "900000\t/planted.mkv".to_owned();
    let plant = || {
        let text = fs::read_to_string(&kept).expect("the map");
        let mut map: Value = serde_json::from_str(&text).expect("JSON");
        map["files"]["/planted.mkv"] = json!({ "900000": true });
        fs::write(&kept, map.to_string()).expect("written");
    };
    let standin = &run.standin;
    let film = |title: &str, key| ItemSpec::file(title, &format!("/data/movies/{title}.mkv")).key(key);
    let with_guid = |title: &str, key| ItemSpec {
        guid: Some("plex://movie/00000000000000000000000a".to_owned()),
        ..film(title, key)
    };
    standin.alter(|state| state.add_items(1, vec![with_guid("Rekeyed", 910_001)], true));
    let begun = map_of(run, program, &kept);
    assert_eq!(begun, fresh("first"));
    assert!(
        begun.contains(&"900002\t/data/movies/Twins A/twin.mkv".to_owned()),
        "{begun:?}"
    );

    plant();
    standin.change(|state| {
        let exact = "/data/movies/Exact (2001)/Exact (2001).mkv";
        let movies = [with_guid("Rekeyed", 910_002), film("Added", 910_003)];
        state.remove_items(&[900_002, 910_001], true).expect("removed");
        state.add_items(1, movies.into(), true).expect("added");
        state
            .set_files(900_001, vec![exact.into()], true, true)
            .expect("one file less");
        let (from, to) = ("/data/movies/Twins B/twin.mkv", "/data/movies/Moved.mkv");
        state.rename_file(900_003, from, to).expect("renamed");
    });
    let changed = map_of(run, program, &kept);
    let mut expected = fresh("second");
    let has = |key: &str, path: &str| changed.contains(&format!("{key}\t/data/movies/{path}.mkv"));
    assert!(
        has("910003", "Added")
            && has("900003", "Moved")
            && has("910002", "Rekeyed")
            && has("900001", "Exact (2001)/Exact (2001)")
    );
    assert!(!has("900002", "Twins A/twin") && !has("900003", "Twins B/twin") && !has("910001", "Rekeyed"));
    assert!(!has("900001", "Exact (2001)/Exact (2001) 4K"));
    expected.push(planted.clone());
    expected.sort();
    assert_eq!(changed, expected);

    // The refresh that learns of a new library lists it, too.
    let new = LibrarySpec::movies(5).plain().title("New").locations(["/data/new"]);
    standin.alter(|state| state.add_library(new));
    let listed = map_of(run, program, &kept);
    assert_eq!(listed.len(), changed.len() - 1 + 5);
    assert_eq!(listed, fresh("third"));

    // A cursor of a store that is no more.
    plant();
    fs::remove_dir_all(run.folder.path().join("store")).expect("a store");
    assert_eq!(map_of(run, program, &kept), listed);
}

/// Compiles an example in C that reads JSON.
fn compiled_example(run: &Run) -> PathBuf {
    run.linked(&format!("examples/c/{}.c", run.name), C, "c99", &["-ljansson"])
}

/// Runs `call` with a server that is no Plex server until a request has failed. The library does not try such a request
/// again: the program has to.
fn while_away<T>(run: &Run, call: impl FnOnce() -> T) -> T {
    let standin = &run.standin;
    standin.fault(
        Fault::new(Action::body("text/html", "<html>Sign in</html>"))
            .on(Kind::Sections)
            .times(0),
    );
    let before = standin.stats().of(Kind::Sections);
    // Dropped when the call ends, also if it panics: a program that cannot start asks for nothing.
    let (ends, ended) = channel::<()>();
    thread::scope(|scope| {
        let _ends = ends;
        scope.spawn(move || {
            let pause = Duration::from_millis(20);
            while standin.stats().of(Kind::Sections) == before
                && ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
            {}
            thread::sleep(Duration::from_millis(200));
            standin.clear_faults();
        });
        call()
    })
}

/// The program waits for a server that is away before anything was listed, and says that a token is refused.
fn waits_for_the_server(run: &Run, program: &Path) {
    let kept = run.folder.path().join("kept");
    let kept = kept.to_str().expect("text");
    run.standin.change(|state| state.tokens = vec![Token::owner("another")]);
    let ended = run.program_ends(program, &[kept, "0"]);
    assert!(!ended.status.success());
    let last = ended.errors.lines().last().unwrap_or_default();
    assert!(last.contains("rejected the token"), "{}", ended.errors);
    run.standin.change(|state| state.tokens = vec![Token::owner(TOKEN)]);
    // Under valgrind each turn takes seconds.
    let time = if valgrind() { "30" } else { "3" };
    let ended = while_away(run, || run.program_ends(program, &[kept, time]));
    assert!(ended.status.success(), "{}", ended.errors);
    assert!(ended.output.lines().count() > 1_000, "{}", ended.errors);
}

#[test]
fn the_example_in_c() {
    if compile::lacks_package("jansson") {
        return;
    }
    let run = Run::new("feed");
    example_feed(&run, &compiled_example(&run));
}

#[test]
fn the_example_in_cpp() {
    example_in_cpp(CPP, &[]);
}

fn example_in_cpp(compiler: Tool, more: &[&str]) {
    if !lacks(compiler) && !compile::lacks_package("nlohmann_json") {
        let run = Run::new("feed");
        example_feed(&run, &run.linked("examples/cpp/feed.cpp", compiler, "c++17", more));
    }
}

fn example_feed(run: &Run, program: &Path) {
    keeps_a_map(run, program);
    waits_for_the_server(&Run::new("feed"), program);
}

/// The plug-in waits for the server, renews its token, records a match, prints what the disk lacks, and ends.
#[test]
fn the_example_of_a_plug_in_runs() {
    if compile::lacks_package("jansson") {
        return;
    }
    let run = Run::new("plugin");
    let token = run.folder.path().join("token");
    let program = compiled_example(&run);
    let mut listed: Vec<String> = run.standin.read().library(1).map_or_else(Vec::new, |movies| {
        let files = movies
            .get(900_001)
            .map(|item| item.files().map(str::to_owned).collect());
        files.unwrap_or_default()
    });
    listed.sort_unstable();
    let media = Path::new(&listed[0]).parent().expect("a folder").display().to_string();
    fs::write(&token, "renewed\n").expect("a token");
    run.standin.change(|state| state.tokens = vec![Token::owner("renewed")]);
    let token = there(&token).display().to_string();
    let arguments = ["Movies", &media, &token, "/imported.mkv", "900001"];
    let output = while_away(&run, || run.program_passes(&program, &arguments));
    let missing: Vec<String> = listed.iter().map(|file| format!("missing\t{file}")).collect();
    assert_eq!(output.lines().collect::<Vec<_>>(), missing);
    // Nothing is below a folder that is not there, and that is no reason not to end.
    let ended = run.program_ends(&program, &["Movies", "/none", &token, "/imported.mkv", "a key"]);
    assert!(!ended.status.success());
    assert!(ended.errors.contains("not imported: "), "{}", ended.errors);
}

/// A folder as a program names it: wine has this machine's below `Z:`.
fn there(folder: &Path) -> PathBuf {
    let drive = if compile::runner().is_some() { "Z:" } else { "" };
    format!("{drive}{}", folder.display()).into()
}

/// What a program said, without the leaks that valgrind finds because a failed check ended it.
fn head(text: &str) -> String {
    match text.split_once("last error message:") {
        Some((check, rest)) => format!("{check}last error message:{}", rest.lines().next().unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The program, under valgrind if that is wanted.
fn start(program: &Path) -> Command {
    if let Some(runner) = compile::runner() {
        let mut command = Command::new(runner);
        command.arg(program.with_extension("exe"));
        return command;
    }
    if !valgrind() {
        return Command::new(program);
    }
    let mut command = Command::new("valgrind");
    command.args([
        "--quiet",
        "--error-exitcode=99",
        "--leak-check=full",
        "--show-leak-kinds=definite,indirect,possible",
        "--errors-for-leak-kinds=definite,indirect,possible",
        "--keep-debuginfo=yes",
        "--num-callers=60",
        // Programs wait for each other: no thread may starve.
        "--fair-sched=yes",
        concat!(
            "--suppressions=",
            env!("CARGO_MANIFEST_DIR"),
            "/../../../tests/c/valgrind.supp"
        ),
    ]);
    command.env("PLEXINDEX_VALGRIND", "1").arg(program);
    command
}

#[test]
fn every_program_is_run() {
    let mut sources: Vec<String> = fs::read_dir(compile::repository("tests/c"))
        .expect("the folder of this test")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    let mut run: Vec<String> = PROGRAMS.iter().map(|name| (*name).to_owned()).collect();
    sources.sort();
    run.sort();
    assert_eq!(sources, run);
}

/// The README's example: finds a file, says why it does not find another, and names what is wrong with the rest.
#[test]
fn example() {
    let run = Run::new("example");
    let known = "/data/movies/Exact (2001)/Exact (2001).mkv";
    assert_eq!(run.passes(&[known]), "sure: /library/metadata/900001\n");
    let ended = run.ends(&["/data/movies/New.mkv"]);
    assert!(ended.output.starts_with("NOT_FOUND: "), "{}", ended.output);
    assert!(ended.output.len() > "NOT_FOUND: \n".len(), "{}", ended.output);
    let ended = run.ends(&[""]);
    assert!(!ended.status.success());
    assert!(ended.output.starts_with("INVALID_ARGUMENT: "), "{}", ended.output);
    assert_eq!(run.ends(&[]).errors, "example URL TOKEN CACHE FILE\n");
}

/// The answer has more candidates than the first memory of `plexindex_buffer_grow` holds.
#[test]
fn an_answer_grows_its_memory() {
    let path = |number: u32| {
        let name = "A Film With a Name That Is Long, ".repeat(7);
        format!("/data/movies/{name}Part {number}/{name}({number})/movie.mkv")
    };
    let films = (1900..1920)
        .map(|year| ItemSpec::file(&format!("A Film, Part {year}"), &path(year)).key(910_000 + u64::from(year)));
    let run = Run {
        standin: serve(films.collect()),
        ..Run::new("ask")
    };
    assert_eq!(
        run.passes(&["/somewhere/else/movie.mkv"]),
        "16 of 20, more than 8192 bytes\n"
    );
}

/// A block of the README between markers.
fn shown<'r>(readme: &'r str, begin: &str) -> &'r str {
    let shown = readme
        .split_once(begin)
        .and_then(|(_, rest)| rest.split_once("```\n<!-- end -->"));
    shown
        .unwrap_or_else(|| panic!("README.md has no block that begins with {begin:?}"))
        .0
}

/// What the READMEs show between the markers are the programs that ran.
#[test]
fn the_readme_shows_the_example() {
    for (page, source, language) in [
        ("docs/c.md", "tests/c/example.c", "c"),
        ("bindings/cpp/README.md", "examples/cpp/match.cpp", "cpp"),
    ] {
        let readme = fs::read_to_string(compile::repository(page)).expect("a README");
        let program = fs::read_to_string(compile::repository(source)).expect("the example");
        let begin = format!("<!-- {source} -->\n```{language}\n");
        assert_eq!(shown(&readme, &begin), program, "copy {source} into {page}");
    }
}

/// The page's commands compile the example, which then runs in any folder.
#[test]
fn the_readme_s_commands_compile_and_run_the_example() {
    let said = compile_and_run("docs/c.md", "<!-- bindings/c/tests/capi_c.rs -->\n```sh\n");
    assert!(said.starts_with("INVALID_ARGUMENT: "), "{said}");
}

/// Runs the commands of a README that follow this: what the program says.
fn compile_and_run(page: &str, begin: &str) -> String {
    let readme = fs::read_to_string(compile::repository(page)).expect("a README");
    let build = tempfile::tempdir().expect("a folder");
    let library = compile::library_folder();
    let commands = shown(&readme, begin)
        .replace("$PWD/target/release", &library.display().to_string())
        .replace("target/release", &library.display().to_string())
        .replace("target/example", &build.path().join("example").display().to_string())
        .replace("target/match", &build.path().join("match").display().to_string())
        .replace("URL TOKEN CACHE LIBRARY FILE", "no-url T cache Movies /a.mkv")
        .replace("URL TOKEN CACHE FILE", "no-url T cache /a.mkv");
    let (compiling, running) = commands.trim_end().split_once('\n').expect("two commands");
    let sh = |command: &str, folder: &Path| {
        let mut sh = Command::new("sh");
        // Cargo names folders there that may hold an older library.
        sh.args(["-c", command])
            .current_dir(folder)
            .env_remove("LD_LIBRARY_PATH");
        sh.output().expect("a shell")
    };
    let compiled = sh(compiling, &compile::repository(""));
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    let ran = sh(running, build.path());
    String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr)
}
