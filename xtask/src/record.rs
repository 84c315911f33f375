//! `cargo xtask record`: the demo as a picture that moves, for the README.
//!
//! The demo runs as it does for everybody. What it prints is kept with the time of each line, and becomes an SVG in which
//! the lines come at their times; where nothing can move, all of them are there.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anstyle_svg::Term;
use anyhow::{Context as _, Result, ensure};

use crate::workspace;

#[cfg(test)]
mod tests;

/// The picture, below the root of the workspace.
const PICTURE: &str = "docs/images/demo.svg";
/// What a user types.
const PROMPT: &str = "\x1b[1m$ cargo xtask demo\x1b[0m";
/// The first line that is not of a build.
const FIRST: &str = "  client";

pub(crate) fn run() -> Result<()> {
    let mut demo = Command::new(std::env::current_exe()?)
        .arg("demo")
        .env("CLICOLOR_FORCE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("the demo does not start")?;
    let lines = read(BufReader::new(demo.stdout.take().context("the demo has no output")?))?;
    let status = demo.wait()?;
    ensure!(status.success(), "the demo failed, so there is nothing to show: the reason is above");
    let path = workspace::root().join(PICTURE);
    std::fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
    std::fs::write(&path, draw(&lines)?)?;
    println!("wrote {PICTURE}");
    Ok(())
}

/// A line, and when it came after the first one.
struct Line {
    after: Duration,
    text: String,
}

/// From the first line of the demo itself on.
fn read(output: impl BufRead) -> Result<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    let mut start = None;
    for text in output.lines() {
        let text = text.context("the demo's output cannot be read")?;
        println!("{text}");
        if start.is_none() && !plain(&text).starts_with(FIRST) {
            continue;
        }
        let after = start.get_or_insert_with(Instant::now).elapsed();
        lines.push(Line { after, text });
    }
    ensure!(!lines.is_empty(), "the demo printed no line that begins with {FIRST:?}");
    Ok(lines)
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// Each line of the drawing is hidden until its time.
fn draw(lines: &[Line]) -> Result<String> {
    let texts: Vec<&str> =
        [PROMPT, ""].into_iter().chain(lines.iter().map(|line| line.text.as_str())).collect();
    let drawing = Term::new().render_svg(&texts.join("\n"));
    let (head, body) = drawing.split_once("  </style>\n").context("the drawing has no style")?;
    let mut out = format!(
        "{head}    @keyframes wait {{ from {{ visibility: hidden }} }}\n    \
         @media (prefers-reduced-motion: reduce) {{ tspan {{ animation: none !important }} }}\n  </style>\n"
    );
    let mut times = [Duration::ZERO; 2].into_iter().chain(lines.iter().map(|line| line.after));
    const LINE: &str = "    <tspan ";
    for line in body.lines() {
        match line.strip_prefix(LINE) {
            Some(rest) => {
                let at = times.next().context("the drawing has more lines than were printed")?;
                let hidden = at.as_millis();
                writeln!(out, "{LINE}style=\"animation: wait {hidden}ms step-end\" {rest}")?;
            }
            None => writeln!(out, "{line}")?,
        }
    }
    ensure!(times.next().is_none(), "the drawing has fewer lines than were printed");
    Ok(out)
}
