//! `explain`: why a request may not have reached a preview.

use std::fmt::Write as _;

use byway_api::{NodeRoutes, Preview};
use jiff::Timestamp;
use kube::Api;
use kube::api::ListParams;
use serde::Serialize;

use super::Done;
use crate::args::{ExplainArgs, Global, StructuredFormat, Which};
use crate::client::Cluster;
use crate::exit::Exit;
use crate::explain::{Finding, Weight, findings};
use crate::select::{self, Selection};
use crate::{output, words};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained {
    namespace: String,
    name: String,
    state: String,
    /// Whether what agents say could be read.
    nodes_read: bool,
    findings: Vec<Finding>,
}

pub(super) async fn run(global: &Global, args: &ExplainArgs) -> Done {
    let selection = Selection::new(&Which::one(args.name.as_ref(), args.key.as_ref()))?;
    let cluster = Cluster::find(global).await?;
    let found = select::some(&cluster, false, &selection).await?;
    // They are of the whole cluster: who may only look at a namespace cannot read them, and does without.
    let nodes: Api<NodeRoutes> = Api::all(cluster.client.clone());
    let nodes = nodes.list(&ListParams::default()).await.ok().map(|it| it.items);
    let explained: Vec<Explained> = found.iter().map(|it| explain(it, nodes.as_deref())).collect();
    output::print(&match args.output {
        Some(StructuredFormat::Json) => output::json(&explained)?,
        Some(StructuredFormat::Yaml) => output::yaml(&explained)?,
        None => explained.iter().map(text).collect::<Vec<_>>().join("\n"),
    })?;
    Ok(Exit::Ok.code())
}

fn explain(preview: &Preview, nodes: Option<&[NodeRoutes]>) -> Explained {
    use kube::ResourceExt as _;
    let now = Timestamp::now();
    Explained {
        namespace: preview.namespace().unwrap_or_default(),
        name: preview.name_any(),
        state: words::state(preview, now),
        nodes_read: nodes.is_some(),
        findings: findings(preview, nodes, now),
    }
}

fn text(it: &Explained) -> String {
    let mut text = format!("Preview {}/{} {}.\n", it.namespace, it.name, words::is(&it.state));
    for (weight, head) in [
        (Weight::Broken, "Requests do not reach it, because"),
        (Weight::Some, "Some requests may not reach it, because"),
        (Weight::Check, "What to check if a request does not reach it"),
    ] {
        let found: Vec<&Finding> = it.findings.iter().filter(|it| it.weight == weight).collect();
        if found.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{head}:");
        for finding in found {
            let _ = writeln!(text, "- {} ({})", finding.message, finding.reason);
            if let Some(fix) = &finding.fix {
                let _ = writeln!(text, "  {fix}");
            }
        }
    }
    if !it.nodes_read {
        text.push_str(
            "\nWhat the nodes' agents count could not be read: that needs the right to list noderoutes.\n",
        );
    }
    text
}
