//! The page of all commands and flags, made from the command line's definition.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use crate::args::Cli;

/// `docs/cli-help.md`.
#[must_use]
pub fn page() -> String {
    let mut root = Cli::command();
    // Filled in as by a call: global flags are then those of each command.
    root.build();
    let mut page = String::from(
        "# Commands and flags\n\nWhich commands are there, and what does each flag mean? Made by `cargo xtask generate` from the command line's\ndefinition; [cli.md](cli.md) tells how to use them.\n",
    );
    let globals: Vec<&Arg> = root.get_arguments().filter(|it| it.is_global_set()).collect();
    page.push_str("\n## All commands\n\n");
    flags(&mut page, globals.iter().copied());
    for command in root.get_subcommands().filter(|it| !it.is_hide_set()) {
        describe(&mut page, command);
    }
    page
}

fn describe(page: &mut String, command: &Command) {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = write!(page, "\n## {}\n\n{about}.\n\n    {usage}\n\n", command.get_name());
    let aliases: Vec<&str> = command.get_visible_aliases().collect();
    if !aliases.is_empty() {
        let _ = write!(page, "Also: `{}`.\n\n", aliases.join("`, `"));
    }
    flags(page, command.get_arguments().filter(|it| !it.is_global_set()));
}

fn flags<'a>(page: &mut String, args: impl Iterator<Item = &'a Arg>) {
    let is_told = |it: &&Arg| !it.is_hide_set() && !["help", "version"].contains(&it.get_id().as_str());
    let args: Vec<&Arg> = args.filter(is_told).collect();
    if args.is_empty() {
        return;
    }
    page.push_str("| flag | meaning |\n|---|---|\n");
    for arg in args {
        let _ = writeln!(page, "| {} | {} |", name(arg), cell(&meaning(arg)));
    }
}

fn name(arg: &Arg) -> String {
    let value = || {
        let names = arg.get_value_names().unwrap_or_default();
        let value =
            names.first().map_or_else(|| arg.get_id().to_string().to_uppercase(), ToString::to_string);
        if arg.get_num_args().is_some_and(|it| it.takes_values()) {
            format!(" {value}")
        } else {
            String::new()
        }
    };
    match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("`-{short}`, `--{long}{}`", value()),
        (Some(short), None) => format!("`-{short}{}`", value()),
        (None, Some(long)) => format!("`--{long}{}`", value()),
        (None, None) => format!("`{}`", value().trim()),
    }
}

fn meaning(arg: &Arg) -> String {
    let mut meaning = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|it| !it.is_hide_set())
        .map(|it| match it.get_help() {
            Some(help) => format!("`{}` ({help})", it.get_name()),
            None => format!("`{}`", it.get_name()),
        })
        .collect();
    if !values.is_empty() && arg.get_num_args().is_some_and(|it| it.takes_values()) {
        let _ = write!(meaning, ": {}", values.join(", "));
    }
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|it| it.to_string_lossy().into_owned()).collect();
    if !defaults.is_empty() && arg.get_num_args().is_some_and(|it| it.takes_values()) {
        let _ = write!(meaning, " [default: {}]", defaults.join(" "));
    }
    if let Some(env) = arg.get_env() {
        let _ = write!(meaning, " [also `${}`]", env.display());
    }
    meaning
}

/// A table's own characters.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_command_and_flag_is_told() {
        let page = super::page();
        for text in [
            "## start\n",
            "`-t`, `--target TARGET`",
            "## doctor\n",
            "`$BYWAY_KEY`",
            "Also: `clean`",
            "kubectl preview run",
        ] {
            assert!(page.contains(text), "{text} is not in\n{page}");
        }
        assert!(!page.contains("guard") && !page.contains("--help"), "{page}");
    }
}
