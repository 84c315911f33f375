//! What tests of both ways to ask a preview have in common.

use std::sync::Arc;

use byway_api::PreviewRoute;
use serde_json::json;

use crate::snapshot::Preview;

/// The port of the app.
pub(super) const PORT: u16 = 80;

/// A preview with one pod, which listens at a port of its own.
pub(super) fn preview(pod: &str, listens_at: u16) -> Arc<Preview> {
    let entry: PreviewRoute = serde_json::from_value(json!({
        "name": "demo/redesign",
        "key": "pr-1",
        "copiesPercent": 100,
        "previewPorts": { PORT.to_string(): listens_at },
        "backends": [{ "ips": [pod] }],
    }))
    .unwrap();
    let route = entry.compile().unwrap();
    Arc::new(Preview::new(entry, route))
}
