//! What is shown while a command waits: ticks for people on standard error, events for programs.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::events::{Event, Step};
use crate::exit::Failure;

/// Where events go.
pub struct Progress {
    how: How,
    spinner: Option<ProgressBar>,
    last: String,
}

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Lines on standard error, with a spinner where that is a terminal.
    People,
    /// An event per line on standard output.
    Programs,
    /// An event per line on standard error: standard output belongs to the command of `run`.
    ProgramsBeside,
}

impl Progress {
    /// Nothing is shown yet.
    #[must_use]
    pub fn new(how: How) -> Self {
        Self { how, spinner: None, last: String::new() }
    }

    /// Shows an event.
    pub fn tell(&mut self, event: &Event) {
        match self.how {
            How::Programs => self.tell_programs(event, &mut io::stdout().lock()),
            How::ProgramsBeside => self.tell_programs(event, &mut io::stderr().lock()),
            How::People => self.tell_people(event),
        }
    }

    /// A warning.
    pub fn warn(&mut self, message: &str) {
        self.tell(&Event::new(Step::Warning, message));
    }

    /// The end of a command that failed. People read it last, with what to do.
    pub fn fail(&mut self, failure: &Failure) {
        let event = Event::failed(failure);
        self.tell(&event);
    }

    /// Takes the spinner away, before something else is written.
    pub fn pause(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }

    /// What waits says the same again and again: once is enough.
    fn is_news(&mut self, event: &Event) -> bool {
        if event.event != Step::Waiting {
            self.last.clear();
            return true;
        }
        let said = format!("{:?} {}", event.reason, event.message);
        let is_news = said != self.last;
        self.last = said;
        is_news
    }

    fn tell_programs(&mut self, event: &Event, to: &mut dyn io::Write) {
        if self.is_news(event) {
            // Whoever has closed the pipe wants no more.
            let _ = writeln!(to, "{}", event.line()).and_then(|()| to.flush());
        }
    }

    fn tell_people(&mut self, event: &Event) {
        if !self.is_news(event) {
            return;
        }
        let message = event.message.as_str();
        match event.event {
            Step::Waiting if is_lively() => {
                self.spinner.get_or_insert_with(spinner).set_message(message.to_owned());
            }
            Step::Waiting => say(&format!("  ... {message}")),
            _ => {
                self.pause();
                say(&people(event));
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.pause();
    }
}

/// An event as a line, or some.
fn people(event: &Event) -> String {
    let message = &event.message;
    match event.event {
        Step::Warning => format!("{} {message}", paint("!", "33")),
        Step::Log => format!("    {message}"),
        Step::Failed => {
            let fix = event.fix.as_deref().filter(|it| !message.contains(it));
            let fix = fix.map(|it| format!("\n  what to do: {it}")).unwrap_or_default();
            format!("{} {message}{fix}", paint("error:", "31"))
        }
        _ => format!("{} {message}", paint("✓", "32")),
    }
}

fn paint(text: &str, colour: &str) -> String {
    if is_lively() && is_coloured() { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

fn is_lively() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|it| it != "dumb")
}

/// <https://no-color.org>
fn is_coloured() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
}

fn spinner() -> ProgressBar {
    let template = if is_coloured() {
        "{spinner:.cyan} {wide_msg} {elapsed:.dim}"
    } else {
        "{spinner} {wide_msg} {elapsed}"
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn say(line: &str) {
    // Standard error may be closed: then nobody reads it.
    let _ = writeln!(io::stderr(), "{line}");
}
