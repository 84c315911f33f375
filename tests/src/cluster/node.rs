//! A node: namespaces and cgroups of its own, with containerd, kubelet and kube-proxy in them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::binaries::{built, installed};
use super::builder::ProxyMode;
use super::cgroups::Cgroups;
use super::daemon::Daemon;
use super::machine::Machine;
use super::network::{self, API_PORT, CONTROL_V4, NodeNetwork};
use super::pki::Pki;
use crate::{Image, Netns, eventually, process, spawn};

const CONTAINERD: &str = "/run/containerd/containerd.sock";
const PAUSE: &str = "localhost/pause:1";
const BUSYBOX: &str = "localhost/busybox:1";

/// A node. Dropped, it is gone, as when a machine dies.
#[derive(Debug)]
pub struct Node {
    machine: Machine,
    // Dropped in this order.
    daemons: Vec<Daemon>,
    init: Daemon,
    _cgroups: Cgroups,
    _netns: Netns,
}

impl Node {
    /// As the API server knows it. No other cluster on this machine has a node of this name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.machine.name
    }

    /// To run programs on it, also from another process.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// See [`Machine::command`].
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.machine.command(program)
    }

    /// Kills its PID 1 and waits until nothing of it runs: the machine dies, without a word to anybody.
    pub fn kill(&self) {
        self.init.kill();
    }

    /// The last lines of what kubelet says.
    pub(super) fn kubelet_log(&self) -> String {
        self.daemons.iter().map(Daemon::tail).next_back().unwrap_or_default()
    }
}

/// What all nodes of a cluster have in common.
pub(super) struct NodeSetup<'a> {
    dir: &'a Path,
    logs: &'a Path,
    pki: &'a Pki,
    control: &'a Netns,
    proxy: ProxyMode,
    images: [PathBuf; 2],
}

impl<'a> NodeSetup<'a> {
    pub(super) fn new(
        dir: &'a Path,
        logs: &'a Path,
        pki: &'a Pki,
        control: &'a Netns,
        proxy: ProxyMode,
    ) -> Result<Self> {
        let images = [dir.join("pause.tar"), dir.join("busybox.tar")];
        let busybox = installed("busybox")?;
        // What holds a pod's namespaces only sleeps.
        let sleep = "trap exit TERM; while :; do busybox sleep 3600 & wait; done";
        Image::new(PAUSE).busybox(&busybox)?.entrypoint(["/bin/sh", "-c", sleep]).write(&images[0])?;
        Image::new(BUSYBOX).busybox(&busybox)?.entrypoint(["/bin/sh"]).write(&images[1])?;
        Ok(Self { dir, logs, pki, control, proxy, images })
    }

    /// Starts a node, up to the point where its kubelet goes on alone.
    pub(super) fn start(&self, index: usize) -> Result<Node> {
        let short = format!("node{index}");
        let netns = Netns::new(&short)?;
        let name = netns.path().file_name().and_then(OsStr::to_str).unwrap_or(&short).to_owned();
        let network = NodeNetwork::new(index)?;
        network.connect(&netns, self.control)?;
        let cgroups = Cgroups::new(&name)?;
        let dir = self.dir.join(&short);
        fs::create_dir_all(dir.join("cni"))?;

        let init = self.start_init(&short, &name, &netns)?;
        let machine = Machine { init: self.first_process(&init)?, name };
        let mut node = Node { machine, daemons: Vec::new(), init, _cgroups: cgroups, _netns: netns };
        self.start_containerd(&short, &dir, &network, &mut node)?;
        for image in &self.images {
            node.machine.load_image(image)?;
        }
        self.start_proxy(&short, &mut node)?;
        self.start_kubelet(&short, &dir, &network, &mut node)?;
        Ok(node)
    }

    fn start_init(&self, short: &str, name: &str, netns: &Netns) -> Result<Daemon> {
        let namespace = netns.path().to_path_buf();
        let name = name.to_owned();
        Daemon::start(&format!("{short}-init"), self.logs, move || {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net={}", namespace.display()));
            command.args(["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"]);
            command.args(["sh", "-c", include_str!("init.sh")]).env("NODE_NAME", &name);
            spawn::tied(&mut command);
            command
        })
    }

    /// The process id of a node's PID 1, once its file systems are there.
    fn first_process(&self, init: &Daemon) -> Result<u32> {
        let first = || process::children(init.pid()).first().copied();
        let ready = |pid: u32| Path::new(&format!("/proc/{pid}/root/run/node/ready")).exists();
        init.wait(Duration::from_secs(20), || first().is_some_and(ready))?;
        first().context("a node's PID 1 has ended")
    }

    fn start_containerd(
        &self,
        short: &str,
        dir: &Path,
        network: &NodeNetwork,
        node: &mut Node,
    ) -> Result<()> {
        let plugins = installed("host-local")?;
        let plugins = plugins.parent().unwrap_or(Path::new("/")).display();
        let config = dir.join("containerd.toml");
        let cni = dir.join("cni");
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
                        "ranges": [[{ "subnet": network.pods_v4 }], [{ "subnet": network.pods_v6 }]],
                        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
                    },
                },
                { "type": "portmap", "capabilities": { "portMappings": true } },
            ],
        });
        fs::write(cni.join("10-pods.conflist"), pods.to_string())?;
        self.daemon(
            short,
            node,
            "containerd",
            &installed("containerd")?,
            vec![format!("--config={}", config.display())],
        )?;
        let answers = || {
            let asked = node.command("ctr").arg("version").output();
            asked.is_ok_and(|output| output.status.success()).then_some(())
        };
        let answered = eventually(Duration::from_secs(30), answers);
        answered.with_context(|| format!("containerd does not answer: {}", node.kubelet_log()))
    }

    fn start_proxy(&self, short: &str, node: &mut Node) -> Result<()> {
        let server = format!("https://{CONTROL_V4}:{API_PORT}");
        let config = self.pki.kubeconfig(&format!("{short}-proxy"), "system:kube-proxy", None, &server)?;
        let mode = match self.proxy {
            ProxyMode::Nftables => "nftables",
            ProxyMode::Iptables => "iptables",
        };
        let mut args = vec![
            format!("--kubeconfig={}", config.display()),
            format!("--hostname-override={}", node.name()),
            format!("--proxy-mode={mode}"),
            format!("--cluster-cidr={}", network::PODS),
        ];
        // Limits of the machine, which a node has no business with.
        let limits = ["max-per-core", "min", "tcp-timeout-established", "tcp-timeout-close-wait"];
        args.extend(limits.map(|limit| format!("--conntrack-{limit}=0")));
        self.daemon(short, node, "kube-proxy", &built("kube-proxy", "nodes")?, args)
    }

    fn start_kubelet(&self, short: &str, dir: &Path, network: &NodeNetwork, node: &mut Node) -> Result<()> {
        let NodeNetwork { ipv4, ipv6, .. } = network;
        let name = node.name().to_owned();
        self.pki.sign(short, &name, None, &[ipv4.clone(), ipv6.clone(), name.clone()])?;
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
        let file = dir.join("kubelet.json");
        fs::write(&file, config.to_string())?;
        self.daemon(
            short,
            node,
            "kubelet",
            &built("kubelet", "nodes")?,
            vec![
                format!("--config={}", file.display()),
                format!("--kubeconfig={}", kubeconfig.display()),
                format!("--hostname-override={name}"),
                format!("--node-ip={ipv4},{ipv6}"),
            ],
        )
    }

    fn daemon(
        &self,
        short: &str,
        node: &mut Node,
        name: &str,
        program: &Path,
        args: Vec<String>,
    ) -> Result<()> {
        let (machine, program) = (node.machine.clone(), program.to_path_buf());
        let daemon = Daemon::start(&format!("{short}-{name}"), self.logs, move || {
            let mut command = machine.command(&program);
            command.args(&args);
            spawn::tied(&mut command);
            command
        })?;
        node.daemons.push(daemon);
        Ok(())
    }
}
