use std::fs;
use std::path::Path;
use std::process::Command;

use super::Step;

/// What is said of a shell's failure, and what the file has.
fn failure(title: &str, script: &str) -> (String, String) {
    let error = Step::start(title).run(Command::new("sh").args(["-c", script])).unwrap_err();
    let said = format!("{error:#}");
    let file = said.split_once("(all that it said: ").unwrap().1.trim_end_matches(')');
    let log = fs::read_to_string(file).unwrap();
    fs::remove_file(file).unwrap();
    (said, log)
}

#[test]
fn a_failure_is_one_line_and_a_file_has_the_rest() {
    let (said, log) = failure(
        "Building a thing, once",
        "for i in $(seq 500); do echo \"x.go:$i:2: could not import sync\"; done; \
         echo 'E: no such package' >&2; echo the end; exit 3",
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("Building a thing, once: exit status: 3: E: no such package ("), "{said}");
    assert_eq!(log.lines().count(), 502, "{log}");
}

#[test]
fn the_first_error_tells_more_than_its_consequences() {
    let cargo = "echo '   Compiling a'; echo 'error[E0432]: unresolved import' >&2; sleep 0.1; \
                 echo 'error: could not compile `a`' >&2; exit 101";
    assert!(failure("Cargo", cargo).0.contains(": error[E0432]: unresolved import ("));
    let last = failure("Anything", "echo begun; echo 'no space left'; echo; exit 1");
    assert!(last.0.contains(": no space left ("), "{}", last.0);
    let silent = failure("Silence", "kill -9 $$");
    assert!(silent.0.starts_with("Silence: signal: 9 (SIGKILL)"), "{}", silent.0);
}

#[test]
fn a_success_leaves_no_file() {
    let title = "Says something and is well";
    Step::start(title).run(Command::new("sh").args(["-c", "echo something"])).unwrap();
    let folder = crate::workspace::target_dir().join("log");
    let name = "says-something-and-is-well";
    let left = fs::read_dir(Path::new(&folder)).unwrap().flatten();
    assert!(!left.into_iter().any(|it| it.file_name().to_string_lossy().starts_with(name)));
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let error = Step::start("Fetching").run(&mut Command::new("no-such-program")).unwrap_err();
    assert!(format!("{error:#}").starts_with("Fetching: cannot run no-such-program"), "{error:#}");
}
