//! `list`: a flat table.

use byway_api::{Preview, conditions};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::Done;
use crate::args::{Global, ListArgs};
use crate::client::Cluster;
use crate::select::{self, Selection};
use crate::{output, words};

pub(super) async fn run(global: &Global, args: &ListArgs) -> Done {
    let selection = Selection::new(&args.which)?;
    let cluster = Cluster::find(global).await?;
    let (found, lack) = select::shown(&cluster, &args.which, &selection, args.failed).await?;
    let text = super::shown(args.output, &found, |is_wide| table(&found, Timestamp::now(), is_wide))?;
    super::print_found(&cluster, args.which.all_namespaces, &text, lack)
}

fn table(found: &[Preview], now: Timestamp, is_wide: bool) -> String {
    let mut head = vec!["NAMESPACE", "NAME", "KEY", "TARGET", "STATUS"];
    if is_wide {
        head.extend(["REASON", "PODS", "ROUTES", "IMAGE"]);
    }
    let rows: Vec<Vec<String>> = found.iter().map(|it| row(it, now, is_wide)).collect();
    output::table(&head, &rows)
}

fn row(preview: &Preview, now: Timestamp, is_wide: bool) -> Vec<String> {
    let mut row = vec![
        preview.namespace().unwrap_or_default(),
        preview.name_any(),
        words::key_of(preview).map(String::from).unwrap_or_default(),
        words::target_of(preview),
        words::state(preview, now),
    ];
    if is_wide {
        let status = preview.status.clone().unwrap_or_default();
        let reason = words::condition(preview, conditions::READY).map(|it| it.reason.clone());
        let ready = status.pods.iter().filter(|it| it.ready).count();
        let routes = status.routes.map(|it| format!("{}/{}", it.programmed, it.wanted));
        row.extend([
            reason.unwrap_or_else(|| "-".to_owned()),
            format!("{ready}/{}", preview.spec.replicas),
            routes.unwrap_or_else(|| "-".to_owned()),
            preview.spec.image.clone(),
        ]);
    }
    row
}
