//! `stop`: ends previews. What is not there any more is as it should be.

use std::io::{IsTerminal as _, Write as _};
use std::pin::pin;

use byway_api::Preview;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Preconditions};
use tokio::time::Instant;

use super::{Done, print_end};
use crate::args::{Global, StopArgs};
use crate::client::{Cluster, failure};
use crate::events::{Event, Step};
use crate::exit::{Exit, Failure};
use crate::progress::Progress;
use crate::select::{self, Selection};
use crate::{wait, words};

pub(super) async fn run(global: &Global, args: &StopArgs) -> Done {
    let mut progress = Progress::new(super::how(args.output));
    let selection = Selection::new(&args.which)?;
    match (selection.is_all(), args.all) {
        (true, false) => {
            return Err(Failure::usage("which preview? give NAME, --key, --glob or --target, or --all"));
        }
        (false, true) => {
            return Err(Failure::usage("--all ends all previews: leave it out to end those that are named"));
        }
        _ => {}
    }
    let cluster = Cluster::find(global).await?;
    let found = select::list(&cluster, args.which.all_namespaces, &selection).await?;
    if found.is_empty() {
        let place = cluster.place(args.which.all_namespaces);
        let message = format!("there is no {} in {place}: nothing to end", selection.words());
        progress.tell(&Event::new(Step::Stopped, message));
        return Ok(Exit::Ok.code());
    }
    if args.all && !args.yes {
        confirm(&found)?;
    }
    for preview in &found {
        let api = cluster.previews(&preview.namespace().unwrap_or_default());
        let mut params = DeleteParams::background();
        params.preconditions = Some(Preconditions { uid: preview.uid(), resource_version: None });
        match api.delete(&preview.name_any(), &params).await {
            // Another one of its name is not what was asked for.
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {}
            Err(error) => return Err(failure(&error)),
            Ok(_) => {
                let message = format!("ending {} (key {})", words::full_name(preview), key(preview));
                progress.tell(&Event::new(Step::Stopping, message).of(preview));
            }
        }
    }
    if !args.no_wait {
        let deadline = Instant::now() + args.timeout;
        let mut interrupt = pin!(tokio::signal::ctrl_c());
        for preview in &found {
            let api = cluster.previews(&preview.namespace().unwrap_or_default());
            let full = words::full_name(preview);
            progress.tell(&Event::new(Step::Waiting, format!("waiting for the end of {full}")));
            tokio::select! {
                done = wait::gone(&api, &cluster.client, preview, deadline) => done?,
                _ = &mut interrupt => return Err(interrupted()),
            }
            progress.tell(&Event::new(Step::Stopped, format!("{full} is gone")).of(preview));
        }
    }
    progress.pause();
    let names: String = found.iter().map(|it| format!("{}\n", words::full_name(it))).collect();
    print_end(args.output, &found, &names)?;
    Ok(Exit::Ok.code())
}

fn key(preview: &Preview) -> String {
    words::key_of(preview).map(String::from).unwrap_or_default()
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, "Interrupted", "interrupted; what is being ended goes on ending")
}

/// Asks before all of a namespace, or of the cluster, is ended.
fn confirm(found: &[Preview]) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!("--all would end {} previews: say --yes as well", found.len())));
    }
    let names: Vec<String> = found.iter().map(words::full_name).collect();
    let mut error = std::io::stderr();
    let _ = write!(error, "This ends {}: {}\nGo on? [y/N] ", found.len(), names.join(", "));
    let _ = error.flush();
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    if ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    Err(Failure::new(Exit::Interrupted, "Interrupted", "nothing was ended"))
}
