//! The commands, each a file of its own.

use byway_api::Preview;

use crate::args::{Cli, Command, EventFormat, Format};
use crate::client::Cluster;
use crate::exit::{Exit, Failure};
use crate::progress::How;
use crate::{doctor, output};

mod completion;
mod explain;
mod extend;
pub mod guard;
mod list;
mod logs;
mod marked;
mod run;
mod secrets;
mod start;
mod status;
mod stop;
mod version;

/// An exit code, or why there is none better.
pub type Done = Result<u8, Failure>;

/// Does what is asked for.
///
/// # Errors
///
/// With how the program ends.
pub async fn dispatch(cli: &Cli) -> Done {
    let global = &cli.global;
    match &cli.command {
        Command::Start(args) => start::run(global, args).await,
        Command::Status(args) => status::run(global, args).await,
        Command::List(args) => list::run(global, args).await,
        Command::Logs(args) => logs::run(global, args).await,
        Command::Extend(args) => extend::run(global, args).await,
        Command::Stop(args) => stop::run(global, args).await,
        Command::Run(args) => run::run(global, args).await,
        Command::Explain(args) => explain::run(global, args).await,
        Command::Doctor(args) => doctor::run(global, args).await.map(Exit::code),
        Command::Completion(args) => completion::run(args),
        Command::Version(args) => version::run(global, args).await,
        Command::Guard(args) => guard::run(global, args).await,
    }
}

impl Command {
    /// For whom it tells what happens.
    #[must_use]
    pub fn how(&self) -> How {
        match self {
            Self::Start(args) => how(args.output),
            Self::Extend(args) => how(args.output),
            Self::Stop(args) => how(args.output),
            Self::Run(args) if args.output.is_some() => How::ProgramsBeside,
            _ => How::People,
        }
    }
}

fn how(format: Option<EventFormat>) -> How {
    if format == Some(EventFormat::Json) { How::Programs } else { How::People }
}

/// What is printed at the end of a command that told events: nothing more to programs.
fn print_end(format: Option<EventFormat>, previews: &[Preview], text: &str) -> Result<(), Failure> {
    match format {
        Some(EventFormat::Json) => Ok(()),
        Some(EventFormat::Name) => output::print(&previews.iter().map(output::name).collect::<String>()),
        Some(EventFormat::Yaml) => match previews {
            [one] => output::print(&output::yaml(&output::object(one))?),
            several => output::print(&output::yaml(&output::list(several))?),
        },
        None => output::print(text),
    }
}

/// Previews for programs, or in a table for people, which may be wide; empty where there would be its head only.
fn shown(
    format: Option<Format>,
    previews: &[Preview],
    table: impl FnOnce(bool) -> String,
) -> Result<String, Failure> {
    match format {
        Some(Format::Json) => output::json(&output::list(previews)),
        Some(Format::Yaml) => output::yaml(&output::list(previews)),
        Some(Format::Name) => Ok(previews.iter().map(output::name).collect()),
        None | Some(Format::Wide) if previews.is_empty() => Ok(String::new()),
        None | Some(Format::Wide) => Ok(table(format.is_some())),
    }
}

/// Prints what was found. Something that was asked for and is lacking is a failure all the same.
fn print_found(cluster: &Cluster, all: bool, text: &str, lack: Option<Failure>) -> Done {
    output::print(text)?;
    match lack {
        Some(failure) => return Err(failure),
        None if text.is_empty() => say_none(cluster, all),
        None => {}
    }
    Ok(Exit::Ok.code())
}

/// To people: an empty table would say less.
fn say_none(cluster: &Cluster, all: bool) {
    use std::io::Write as _;
    let hint = if all { "" } else { "; -A looks in all namespaces" };
    let line = format!("There is no such preview in {}{hint}.", cluster.place(all));
    let _ = writeln!(std::io::stderr(), "{line}"); // it may be closed
}
