//! `doctor`: looks whether a cluster, a namespace and a target in it can have previews, before anybody tries.
//!
//! `fetch` asks the API server, `facts` holds the answers, and each of the `checks` is a function of these: it says of one
//! thing that it is well, or what is amiss and what to do. What this user may not see is said too, and is no error. What the
//! target's clone would be is asked of the controller's own code.

use serde::Serialize;

pub mod checks;
pub mod facts;
mod fetch;
mod finding;
mod quantity;
#[cfg(test)]
mod tests;

pub use checks::CHECKS;
pub use facts::{Facts, Look};
pub use finding::{Finding, Level};

use crate::args::{DoctorArgs, Global, StructuredFormat};
use crate::client::Cluster;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::words::count;

/// Runs it. With a problem it ends as failed, with warnings as done.
///
/// # Errors
///
/// When the cluster cannot be asked at all, or there is no such Preview.
pub async fn run(global: &Global, args: &DoctorArgs) -> Result<Exit, Failure> {
    let findings = look(global, args).await?;
    let report = Report { worst: worst(&findings), findings: &findings };
    match args.output {
        None => output::print(&text(&findings, args.verbose))?,
        Some(StructuredFormat::Json) => output::print(&output::json(&report)?)?,
        Some(StructuredFormat::Yaml) => output::print(&output::yaml(&report)?)?,
    }
    Ok(if report.worst == Level::Problem { Exit::Failed } else { Exit::Ok })
}

/// All that there is to say.
///
/// # Errors
///
/// As [`run`].
pub async fn look(global: &Global, args: &DoctorArgs) -> Result<Vec<Finding>, Failure> {
    let cluster = Cluster::find(global).await?;
    Ok(checks::run(&fetch::fetch(&cluster, args).await?))
}

/// For programs.
#[derive(Serialize)]
struct Report<'a> {
    worst: Level,
    findings: &'a [Finding],
}

fn worst(findings: &[Finding]) -> Level {
    findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
}

/// For people: the worst last, where they look first.
fn text(findings: &[Finding], verbose: bool) -> String {
    let mut text = String::new();
    let mut shown: Vec<&Finding> = findings.iter().collect();
    shown.sort_by_key(|finding| finding.level);
    for finding in shown.iter().filter(|finding| verbose || finding.level != Level::Ok) {
        text.push_str(&format!("{:<9}{}: {}\n", finding.level.word(), finding.code, finding.message));
        if let Some(fix) = &finding.fix {
            text.push_str(&format!("{:<9}-> {fix}\n", ""));
        }
    }
    let of = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (problems, warnings) = (count(of(Level::Problem), "problem"), count(of(Level::Warning), "warning"));
    let (unknown, well) = (of(Level::Unknown), of(Level::Ok));
    text.push_str(&format!("{problems}, {warnings}, {unknown} unknown, {well} well\n"));
    text
}
