//! etcd, the API server, the controller manager and the scheduler.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use socket2::{Domain, Socket, Type};

use super::binaries;
use super::daemon::Daemon;
use super::forward::Forwarder;
use super::network::{self, API_PORT, API_SERVICE, CONTROL_V4, CONTROL_V6};
use super::pki::Pki;
use crate::{Netns, spawn};

/// A control plane. Dropped, it is gone.
#[derive(Debug)]
pub(super) struct ControlPlane {
    // Dropped in this order.
    clients: Vec<Daemon>,
    pub(super) api_server: Daemon,
    _etcd: Daemon,
    door: Door,
    /// Of the administrator, for the machine's own namespace.
    pub(super) kubeconfig: PathBuf,
}

/// Where it runs, and how the machine gets to its API server.
#[derive(Debug)]
enum Door {
    /// In the machine's own namespace. The socket never listens: it keeps the port from others, while the API
    /// server is down, too.
    Port { port: u16, _reserved: Socket },
    /// In a namespace of its own, where nodes can be connected.
    Inside(Arc<Netns>, Forwarder),
}

impl ControlPlane {
    /// Starts etcd and the API server; what needs them comes later.
    pub(super) fn start(dir: &Path, logs: &Path, pki: &Pki, inside: bool, more: &[String]) -> Result<Self> {
        let door = if inside { Door::inside()? } else { Door::port()? };
        let serves = [CONTROL_V4, CONTROL_V6, API_SERVICE, "127.0.0.1", "::1", "localhost"];
        let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let serves: Vec<String> = serves.iter().chain(&names).map(|&name| name.to_owned()).collect();
        pki.sign("apiserver", "kube-apiserver", None, &serves)?;
        pki.sign("kubelet-client", "kube-apiserver", Some("system:masters"), &[])?;
        let kubeconfig = pki.kubeconfig("admin", "admin", Some("system:masters"), &door.outer_url())?;

        let socket = dir.join("etcd.sock");
        let etcd = door.daemon("etcd", logs, etcd_args(dir, &socket))?;
        etcd.wait(Duration::from_secs(30), || socket.exists())?;
        let mut args = door.api_server_args(dir, pki, &socket);
        args.extend_from_slice(more);
        let api_server = door.daemon("kube-apiserver", logs, args)?;
        Ok(Self { clients: Vec::new(), api_server, _etcd: etcd, door, kubeconfig })
    }

    /// Waits for the API server, which `ready` asks.
    pub(super) fn wait_ready(&self, ready: impl FnMut() -> bool) -> Result<()> {
        self.api_server.wait(Duration::from_secs(90), ready)
    }

    /// Starts the controller manager. It takes nodes that were silent for `grace` for dead.
    pub(super) fn start_manager(&mut self, dir: &Path, logs: &Path, pki: &Pki, grace: &str) -> Result<()> {
        let more = vec![
            format!("--service-account-private-key-file={}", pki.file("accounts.key")),
            format!("--root-ca-file={}", pki.file("ca.crt")),
            "--use-service-account-credentials=true".to_owned(),
            "--allocate-node-cidrs=false".to_owned(),
            format!("--node-monitor-grace-period={grace}"),
            // Within the default limits it needs four seconds to start.
            "--kube-api-qps=500".to_owned(),
            "--kube-api-burst=1000".to_owned(),
        ];
        self.start_client("kube-controller-manager", dir, logs, pki, more)
    }

    /// Starts the scheduler.
    pub(super) fn start_scheduler(&mut self, dir: &Path, logs: &Path, pki: &Pki) -> Result<()> {
        self.start_client("kube-scheduler", dir, logs, pki, vec![])
    }

    /// Starts what needs the API server: it gives up if that is not there soon.
    fn start_client(
        &mut self,
        name: &str,
        dir: &Path,
        logs: &Path,
        pki: &Pki,
        more: Vec<String>,
    ) -> Result<()> {
        let config = pki.kubeconfig(name, &format!("system:{name}"), None, &self.door.inner_url())?;
        let mut args = vec![
            format!("--kubeconfig={}", config.display()),
            format!("--cert-dir={}", dir.display()),
            "--leader-elect=false".to_owned(),
            // Nobody asks for their metrics, and their ports would be those of another cluster.
            "--secure-port=0".to_owned(),
        ];
        args.extend(more);
        self.clients.push(self.door.daemon(name, logs, args)?);
        Ok(())
    }

    /// The namespace that nodes are connected to, if it is one of its own.
    pub(super) fn netns(&self) -> Option<&Netns> {
        match &self.door {
            Door::Port { .. } => None,
            Door::Inside(netns, _) => Some(netns),
        }
    }
}

impl Door {
    fn port() -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        // The API server is told to share, too.
        socket.set_reuse_port(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
        Ok(Self::Port { port, _reserved: socket })
    }

    fn inside() -> Result<Self> {
        let netns = Arc::new(Netns::new("control")?);
        network::make_bridge(&netns)?;
        let forwarder = Forwarder::start(&netns, (IpAddr::from(Ipv4Addr::LOCALHOST), API_PORT).into())?;
        Ok(Self::Inside(netns, forwarder))
    }

    /// The API server as the machine sees it.
    fn outer_url(&self) -> String {
        let port = match self {
            Self::Port { port, .. } => *port,
            Self::Inside(_, forwarder) => forwarder.port(),
        };
        format!("https://127.0.0.1:{port}")
    }

    /// The API server as its neighbours see it.
    fn inner_url(&self) -> String {
        match self {
            Self::Port { .. } => self.outer_url(),
            Self::Inside(..) => format!("https://127.0.0.1:{API_PORT}"),
        }
    }

    fn daemon(&self, name: &str, logs: &Path, args: Vec<String>) -> Result<Daemon> {
        let program = binaries::built(name, "kube")?;
        let netns = match self {
            Self::Port { .. } => None,
            Self::Inside(netns, _) => Some(Arc::clone(netns)),
        };
        Daemon::start(name, logs, move || {
            let mut command = match &netns {
                Some(netns) => netns.command(&program),
                None => Command::new(&program),
            };
            if netns.is_none() {
                spawn::tied(&mut command);
            }
            command.args(&args);
            command
        })
    }

    fn api_server_args(&self, dir: &Path, pki: &Pki, etcd: &Path) -> Vec<String> {
        let (bind, port) = match self {
            Self::Port { port, .. } => ("127.0.0.1", *port),
            Self::Inside(..) => ("::", API_PORT),
        };
        let file = |flag: &str, name: &str| format!("--{flag}={}", pki.file(name));
        vec![
            format!("--etcd-servers=unix://{}", etcd.display()),
            format!("--bind-address={bind}"),
            format!("--secure-port={port}"),
            "--permit-port-sharing=true".to_owned(),
            // What the Service `kubernetes` leads to. It may not be of loopback, even where nobody can use it.
            format!("--advertise-address={CONTROL_V4}"),
            format!("--cert-dir={}", dir.display()),
            file("tls-cert-file", "apiserver.crt"),
            file("tls-private-key-file", "apiserver.key"),
            file("client-ca-file", "ca.crt"),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--allow-privileged=true".to_owned(),
            // No kube-proxy runs beside it: it finds the pods of a webhook's Service itself.
            "--enable-aggregator-routing=true".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            file("service-account-signing-key-file", "accounts.key"),
            file("service-account-key-file", "accounts.pub"),
            file("kubelet-client-certificate", "kubelet-client.crt"),
            file("kubelet-client-key", "kubelet-client.key"),
            file("kubelet-certificate-authority", "ca.crt"),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            format!("--service-cluster-ip-range={}", network::SERVICES),
        ]
    }
}

/// It listens on a socket in a folder of ours: no port to be in somebody's way, and nobody else gets in.
fn etcd_args(dir: &Path, socket: &Path) -> Vec<String> {
    // Where others would find it: it wants an answer, and nobody asks.
    let nowhere = "http://127.0.0.1:2380";
    vec![
        "--name=etcd".to_owned(),
        format!("--data-dir={}", dir.join("etcd").display()),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
        format!("--listen-client-urls=unix://{}", socket.display()),
        format!("--advertise-client-urls={nowhere}"),
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        format!("--initial-advertise-peer-urls={nowhere}"),
        format!("--initial-cluster=etcd={nowhere}"),
    ]
}
