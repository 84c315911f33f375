//! The container runtime, and the network of its pods.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{CONTAINERD, NodeSetup, PAUSE, Site};
use crate::cluster::binaries::installed;
use crate::cluster::daemon::Daemon;

impl NodeSetup<'_> {
    pub(super) fn start_containerd(&self, site: &Site) -> Result<Daemon> {
        let plugins = installed("host-local")?;
        let plugins = plugins.parent().unwrap_or(Path::new("/")).display();
        let config = site.dir.join("containerd.toml");
        let cni = site.dir.join("cni");
        fs::create_dir(&cni)?;
        // Without CAP_SYS_RESOURCE, as in a container, nobody may lower an oom_score_adj.
        let text = format!(
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
    bin_dir = "{plugins}"
    conf_dir = "{}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"#,
            cni.display()
        );
        fs::write(&config, text)?;
        let pods = json!({
            "cniVersion": "1.0.0",
            "name": "pods",
            "plugins": [
                {
                    "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": "/run/cni",
                        "ranges": [[{ "subnet": site.network.pods_v4 }], [{ "subnet": site.network.pods_v6 }]],
                        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
                    },
                },
                { "type": "portmap", "capabilities": { "portMappings": true } },
            ],
        });
        fs::write(cni.join("10-pods.conflist"), pods.to_string())?;
        let args = vec![format!("--config={}", config.display())];
        let containerd = self.daemon(site, installed("containerd")?, args)?;
        containerd.wait(Duration::from_secs(30), || {
            let asked = site.machine.command("ctr").arg("version").output();
            asked.is_ok_and(|output| output.status.success())
        })?;
        Ok(containerd)
    }
}
