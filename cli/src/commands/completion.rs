//! `completion`: a script for a shell.

use clap::CommandFactory as _;

use super::Done;
use crate::args::{Cli, CompletionArgs};
use crate::exit::Exit;
use crate::output;

pub(super) fn run(args: &CompletionArgs) -> Done {
    let mut command = Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "kubectl-preview", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok.code())
}
