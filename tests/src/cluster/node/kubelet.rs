//! What makes a machine a node of Kubernetes.

use std::fs;

use anyhow::Result;
use serde_json::json;

use super::{CONTAINERD, NodeSetup, ProxyMode, Site};
use crate::cluster::binaries::built;
use crate::cluster::daemon::Daemon;
use crate::cluster::network::{self, API_PORT, CONTROL_V4, NodeNetwork};

impl NodeSetup<'_> {
    pub(super) fn start_proxy(&self, site: &Site) -> Result<Daemon> {
        let server = format!("https://{CONTROL_V4}:{API_PORT}");
        let config =
            self.pki.kubeconfig(&format!("{}-proxy", site.short), "system:kube-proxy", None, &server)?;
        let mode = match self.proxy {
            ProxyMode::Nftables => "nftables",
            ProxyMode::Iptables => "iptables",
        };
        let mut args = vec![
            format!("--kubeconfig={}", config.display()),
            format!("--hostname-override={}", site.machine.name),
            format!("--proxy-mode={mode}"),
            format!("--cluster-cidr={}", network::PODS),
        ];
        // Limits of the machine, which a node has no business with.
        let limits = ["max-per-core", "min", "tcp-timeout-established", "tcp-timeout-close-wait"];
        args.extend(limits.map(|limit| format!("--conntrack-{limit}=0")));
        self.daemon(site, built("kube-proxy", "nodes")?, args)
    }

    pub(super) fn start_kubelet(&self, site: &Site) -> Result<Daemon> {
        let NodeNetwork { ipv4, ipv6, .. } = &site.network;
        let (short, name) = (&site.short, &site.machine.name);
        self.pki.sign(short, name, None, &[ipv4.clone(), ipv6.clone(), name.clone()])?;
        let server = format!("https://{CONTROL_V4}:{API_PORT}");
        let user = format!("system:node:{name}");
        let kubeconfig =
            self.pki.kubeconfig(&format!("{short}-kubelet"), &user, Some("system:nodes"), &server)?;
        let config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": format!("/{name}"),
            "failCgroupV1": false,
            "failSwapOn": false,
            "authentication": {
                "anonymous": { "enabled": false },
                "webhook": { "enabled": true },
                "x509": { "clientCAFile": self.pki.file("ca.crt") },
            },
            "authorization": { "mode": "Webhook" },
            "tlsCertFile": self.pki.file(&format!("{short}.crt")),
            "tlsPrivateKeyFile": self.pki.file(&format!("{short}.key")),
            "containerRuntimeEndpoint": format!("unix://{CONTAINERD}"),
            "resolvConf": "",
            // The disks are the machine's: how full they are is not for a test's node to judge.
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "evictionHard": {
                "memory.available": "50Mi", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
                "imagefs.available": "0%",
            },
            // Tests wait for what kubelet tells.
            "nodeStatusUpdateFrequency": "2s",
            "syncFrequency": "5s",
        });
        let file = site.dir.join("kubelet.json");
        fs::write(&file, config.to_string())?;
        let args = vec![
            format!("--config={}", file.display()),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--hostname-override={name}"),
            format!("--node-ip={ipv4},{ipv6}"),
        ];
        self.daemon(site, built("kubelet", "nodes")?, args)
    }
}
