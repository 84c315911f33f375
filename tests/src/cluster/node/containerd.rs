//! The container runtime, and the network of its pods.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::{CONTAINERD, NodeSetup, PAUSE, Site};
use crate::cluster::binaries::installed;
use crate::cluster::daemon::Daemon;
use crate::cluster::network::NodeNetwork;

impl NodeSetup<'_> {
    /// Starts it and waits until it answers.
    pub(super) fn start_containerd(&self, site: &Site) -> Result<Daemon> {
        let plugins = installed("host-local")?;
        let plugins = plugins.parent().unwrap_or(Path::new("/"));
        let config = site.dir.join("containerd.toml");
        let cni = site.dir.join("cni");
        fs::create_dir(&cni)?;
        fs::write(&config, settings(plugins, &cni))?;
        fs::write(cni.join("10-pods.conflist"), pod_network(&site.network).to_string())?;
        let args = vec![format!("--config={}", config.display())];
        let containerd = self.daemon(site, installed("containerd")?, args)?;
        containerd.wait(Duration::from_secs(30), || {
            let asked = site.machine.command("ctr").arg("version").output();
            asked.is_ok_and(|output| output.status.success())
        })?;
        Ok(containerd)
    }
}

/// Whose containers are images of the node, and whose pods' networks are made by `plugins` as `cni` says.
fn settings(plugins: &Path, cni: &Path) -> String {
    // Without CAP_SYS_RESOURCE, as in a container, nobody may lower an oom_score_adj.
    format!(
        r#"
version = 2
root = "/run/node/containerd"
[grpc]
  address = "{CONTAINERD}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{}"
    conf_dir = "{}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"#,
        plugins.display(),
        cni.display()
    )
}

/// A bridge of the node with both families. Packets keep their addresses on the way to other nodes.
fn pod_network(network: &NodeNetwork) -> Value {
    let ranges = [[json!({ "subnet": network.pods_v4 })], [json!({ "subnet": network.pods_v6 })]];
    let bridge = json!({
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": true,
        "hairpinMode": true,
        "ipam": {
            "type": "host-local",
            "dataDir": "/run/cni",
            "ranges": ranges,
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
        },
    });
    let ports = json!({ "type": "portmap", "capabilities": { "portMappings": true } });
    json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports] })
}
