//! A process forks while its threads open stores and make connections.

use super::*;

/// Forks while another thread makes the first connection of an index; the child makes its own.
pub fn connecting(words: &[&str]) {
    let (path, key) = (words[3], words[4]);
    let forks: u64 = words[5].parse().expect("a number");
    for number in 0..forks {
        let index = Arc::new(open_at(words));
        let refresh = |index: &Index| {
            let in_time = index.query().timeout(Duration::from_secs(15));
            in_time.libraries().map_err(|error| error.message)?;
            match in_time.server() {
                Ok(_) if key_of(index, path, false) == key => Ok(()),
                Ok(_) => Err("another key".to_owned()),
                Err(error) => Err(error.message),
            }
        };
        let code = std::thread::scope(|scope| {
            let first = scope.spawn(|| refresh(&index));
            // At another moment of its work each time.
            std::thread::sleep(Duration::from_micros(50 * number));
            let code = wait_for(fork(|| told_past_locks(refresh(&index))));
            first.join().expect("no panic").expect("the parent goes on");
            code
        });
        expect_well(number, code);
    }
    say("done");
    told();
}

#[test]
fn a_fork_may_come_while_a_thread_makes_the_first_connection() {
    let at = Scene::movies(120);
    let (path, key) = path_of(&at.server, 1, 3);
    let forks = rounds("PLEXINDEX_FORKS", 25, 1).to_string();
    at.worker("fork while connecting", &[&path, &key, &forks]).done();
}

/// Forks while other threads open and close stores; the child opens one, and then sees that other code has it open.
pub fn opening(words: &[&str]) {
    let forks: u64 = words[3].parse().expect("a number");
    let stop = AtomicBool::new(false);
    let opened = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    open_at(words).close().expect("closes");
                    opened.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for number in 0..forks {
            // At another moment of their work each time.
            let before = opened.load(Ordering::SeqCst);
            until("a store was opened", || opened.load(Ordering::SeqCst) > before);
            std::thread::sleep(Duration::from_micros(70 * number));
            let code = wait_for(fork(|| told_past_locks(opened_by_child(words))));
            expect_well(number, code);
        }
        stop.store(true, Ordering::SeqCst);
    });
    say("done");
    told();
}

fn opened_by_child(words: &[&str]) -> Result<(), String> {
    let open = || try_open(options_at(words), &clock());
    let index = open().map_err(|error| error.message)?;
    index.close().map_err(|error| error.message)?;
    // What threads of the parent had open is not open here.
    let folder = std::path::Path::new(words[0]);
    let _other = std::fs::File::open(folder.join("plexindex-1.db")).map_err(|error| error.to_string())?;
    match open() {
        Err(error) if error.message.contains("another copy") => Ok(()),
        Err(error) => Err(error.message),
        Ok(_) => Err("it was not seen that other code has the database open".to_owned()),
    }
}

#[test]
fn a_fork_may_come_while_threads_open_and_close_stores() {
    let at = Scene::movies(10);
    let forks = rounds("PLEXINDEX_FORKS", 25, 1);
    at.worker("fork while opening", &[&forks.to_string()]).done();
    assert_sound(at.folder());
}
