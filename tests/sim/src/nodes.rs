//! Nodes without machines.

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

/// Makes nodes, all of them ready.
pub(crate) async fn create(client: &Client, names: &[String]) -> Result<()> {
    let api: Api<Node> = Api::all(client.clone());
    let create = |name: &String| {
        let (api, node) = (api.clone(), node(name));
        async move {
            let node: Node = serde_json::from_value(node)?;
            api.create(&PostParams::default(), &node).await?;
            anyhow::Ok(())
        }
    };
    stream::iter(names.iter().map(create)).buffer_unordered(32).try_collect().await
}

fn node(name: &str) -> serde_json::Value {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let room = json!({ "cpu": "1000", "memory": "1000Gi", "pods": "1000", "ephemeral-storage": "1000Gi" });
    json!({
        "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" } },
        "status": {
            "capacity": room, "allocatable": room,
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Simulated", "message": "no kubelet is here",
                "lastHeartbeatTime": now, "lastTransitionTime": now,
            }],
        },
    })
}
