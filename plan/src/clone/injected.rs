//! What admission puts into a pod. A clone of a Pod goes without it: admission puts it into the clone anew, and an
//! injector that finds its own mark does nothing.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::{Container, NodeSelectorTerm, Pod, PodSpec, Probe, Toleration, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::pod::{containers, containers_mut, is_native_sidecar};
use super::sidecars::CONSUL_PROXY;
use crate::rows::IN_CONSUL;

#[cfg(test)]
mod tests;

/// Something that changes pods on their way into the cluster.
struct Injector {
    /// A label or annotation, present only on pods that it has changed.
    mark: &'static str,
    containers: &'static [&'static str],
    /// Beginnings of the names of volumes that it mounts into the app's containers.
    volumes: &'static [&'static str],
    /// Labels and annotations.
    metadata: &'static [&'static str],
}

/// The pod as Consul found it.
const CONSUL_ORIGINAL: &str = "consul.hashicorp.com/original-pod";
/// Where Kuma's proxy answers probes: `/8080/ready` there is `/ready` on port 8080.
const KUMA_PROBES: &str = "kuma.io/application-probe-proxy-port";

const INJECTORS: &[Injector] = &[
    Injector {
        mark: IN_CONSUL,
        containers: &[CONSUL_PROXY, "copy-consul-bin", "consul-connect-inject-init", "envoy-sidecar"],
        volumes: &["consul-connect-inject-data"],
        metadata: &[
            "consul.hashicorp.com/connect-inject-managed-by",
            IN_CONSUL,
            "consul.hashicorp.com/consul-k8s-version",
            CONSUL_ORIGINAL,
            "consul.hashicorp.com/redirect-traffic-config",
            "consul.hashicorp.com/transparent-proxy-status",
        ],
    },
    Injector {
        mark: "dapr.io/sidecar-injected",
        containers: &["daprd"],
        volumes: &["dapr-"],
        metadata: &["dapr.io/metrics-enabled", "dapr.io/sidecar-injected"],
    },
    Injector {
        mark: "sidecar.istio.io/status",
        containers: &["istio-proxy", "istio-init", "istio-validation", "enable-core-dump"],
        volumes: &["istio-", "istiod-ca-cert", "workload-socket", "credential-socket", "workload-certs"],
        metadata: &[
            "istio.io/rev",
            "kubectl.kubernetes.io/default-container",
            "kubectl.kubernetes.io/default-logs-container",
            "security.istio.io/tlsMode",
            "service.istio.io/canonical-name",
            "service.istio.io/canonical-revision",
            "sidecar.istio.io/status",
        ],
    },
    Injector {
        mark: "kuma.io/sidecar-injected",
        containers: &["kuma-sidecar", "kuma-init", "kuma-validation"],
        volumes: &["kuma-"],
        metadata: &[
            "kuma.io/envoy-admin-port",
            "kuma.io/sidecar-injected",
            "kuma.io/sidecar-uid",
            "kuma.io/transparent-proxying",
            "kuma.io/transparent-proxying-inbound-port",
            "kuma.io/transparent-proxying-ip-family-mode",
            "kuma.io/transparent-proxying-outbound-port",
            KUMA_PROBES,
            "kuma.io/virtual-probes",
            "kuma.io/virtual-probes-port",
        ],
    },
    Injector {
        mark: "linkerd.io/proxy-version",
        containers: &["linkerd-proxy", "linkerd-init", "linkerd-network-validator", "linkerd-debug"],
        volumes: &["linkerd-"],
        metadata: &[
            "linkerd.io/control-plane-ns",
            "linkerd.io/created-by",
            "linkerd.io/identity-mode",
            "linkerd.io/proxy-version",
            "linkerd.io/trust-root-sha256",
            "linkerd.io/workload-ns",
        ],
    },
    Injector {
        mark: "vault.hashicorp.com/agent-inject-status",
        containers: &["vault-agent", "vault-agent-init"],
        volumes: &["home-init", "home-sidecar", "vault-secrets", "vault-config", "vault-tls-secrets"],
        metadata: &["vault.hashicorp.com/agent-inject-status"],
    },
];

/// Annotations by which networks, runtimes and policies tell what they did to one pod.
const OF_ONE_POD: &[&str] = &[
    "cni.projectcalico.org/containerID",
    "cni.projectcalico.org/podIP",
    "k8s.ovn.org/",
    "k8s.v1.cni.cncf.io/network-status",
    "k8s.v1.cni.cncf.io/networks-status",
    "kubernetes.io/config.",
    "kubernetes.io/limit-ranger",
    "kubernetes.io/psp",
    "openshift.io/scc",
    "ovn.kubernetes.io/",
    "vpc.amazonaws.com/",
];

const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Names of containers that an injector may have made, whether or not it did.
pub(super) fn present(spec: &PodSpec) -> Vec<String> {
    containers(spec).map(|container| &container.name).filter(|name| is_known(name)).cloned().collect()
}

/// Whether injectors give a container this name.
pub(super) fn is_known(name: &str) -> bool {
    INJECTORS.iter().any(|injector| injector.containers.contains(&name))
}

/// Whether an init container ends before the ordinary ones start, and is one that nobody injected.
pub(super) fn runs_first(container: &Container) -> bool {
    !is_native_sidecar(container) && !is_known(&container.name)
}

/// Makes of a pod what was asked for when it was made; gives the names of the containers that went.
pub(super) fn strip(meta: &mut ObjectMeta, spec: &mut PodSpec) -> Vec<String> {
    let mut gone = Vec::new();
    for injector in INJECTORS {
        let is_marked =
            [&meta.annotations, &meta.labels].into_iter().flatten().any(|of| of.contains_key(injector.mark));
        let is_injected = |container: &Container| injector.containers.contains(&container.name.as_str());
        // A gateway's only container is the injected one, and it is the app.
        if !is_marked || spec.containers.iter().all(is_injected) {
            continue;
        }
        restore_probes(meta, spec);
        gone.extend(containers(spec).filter(|c| is_injected(c)).map(|c| c.name.clone()));
        remove_containers(meta, spec, &is_injected);
        remove_volumes(spec, &|volume| injector.volumes.iter().any(|prefix| volume.name.starts_with(prefix)));
        for of in [&mut meta.annotations, &mut meta.labels].into_iter().flatten() {
            of.retain(|key, _| !injector.metadata.contains(&key.as_str()));
        }
    }
    strip_what_kubernetes_adds(meta, spec);
    gone
}

/// Removes containers, the volumes that only they mounted, and annotations that name them.
pub(super) fn remove_containers(
    meta: &mut ObjectMeta,
    spec: &mut PodSpec,
    which: &dyn Fn(&Container) -> bool,
) {
    let before = mounted(spec);
    let named: Vec<String> = containers(spec).filter(|c| which(c)).map(|c| c.name.clone()).collect();
    spec.containers.retain(|container| !which(container));
    if let Some(init) = &mut spec.init_containers {
        init.retain(|container| !which(container));
    }
    spec.init_containers.take_if(|init| init.is_empty());
    let after = mounted(spec);
    remove_volumes(spec, &|volume| before.contains(&volume.name) && !after.contains(&volume.name));
    if let Some(annotations) = &mut meta.annotations {
        // An AppArmor profile for a container that is not there makes the pod invalid.
        annotations.retain(|key, _| {
            key.strip_prefix(APPARMOR).is_none_or(|name| !named.iter().any(|gone| gone == name))
        });
    }
}

fn remove_volumes(spec: &mut PodSpec, which: &dyn Fn(&Volume) -> bool) {
    let Some(volumes) = &mut spec.volumes else { return };
    let gone: HashSet<String> = volumes.iter().filter(|v| which(v)).map(|v| v.name.clone()).collect();
    volumes.retain(|volume| !gone.contains(&volume.name));
    for container in containers_mut(spec) {
        if let Some(mounts) = &mut container.volume_mounts {
            mounts.retain(|mount| !gone.contains(&mount.name));
        }
    }
}

fn mounted(spec: &PodSpec) -> HashSet<String> {
    let mounts = containers(spec).flat_map(|c| c.volume_mounts.iter().flatten()).map(|m| &m.name);
    let devices = containers(spec).flat_map(|c| c.volume_devices.iter().flatten()).map(|d| &d.name);
    mounts.chain(devices).cloned().collect()
}

/// Meshes make their proxies answer the probes of the app. Istio keeps the originals in the proxy's environment, Consul in
/// an annotation, and Kuma writes them into the path.
fn restore_probes(meta: &ObjectMeta, spec: &mut PodSpec) {
    let annotation = |name: &str| meta.annotations.as_ref().and_then(|all| all.get(name));
    let istio = istios_probes(spec);
    let consul = annotation(CONSUL_ORIGINAL).and_then(|text| serde_json::from_str::<Pod>(text).ok());
    let consul = consul.and_then(|pod| pod.spec);
    let kuma = annotation(KUMA_PROBES).and_then(|port| port.parse().ok());
    for container in containers_mut(spec) {
        let originals = consul.iter().flat_map(containers).find(|other| other.name == container.name);
        for (which, probe) in probes_mut(container).into_iter().enumerate() {
            let Some(probe) = probe else { continue };
            let path = probe.http_get.as_ref().and_then(|get| get.path.clone()).unwrap_or_default();
            let original = originals.and_then(|it| probes(it)[which].cloned());
            let original = original.or_else(|| serde_json::from_value(istio.get(&path)?.clone()).ok());
            if let Some(original) = original {
                probe.http_get = original.http_get;
                probe.tcp_socket = original.tcp_socket;
                probe.grpc = original.grpc;
            } else if let (Some(get), Some(proxy)) = (&mut probe.http_get, kuma)
                && get.port == IntOrString::Int(proxy)
                && let Some((port, path)) = path.strip_prefix('/').and_then(|path| path.split_once('/'))
                && let Ok(port) = port.parse()
            {
                get.port = IntOrString::Int(port);
                get.path = Some(format!("/{path}"));
            }
        }
    }
}

/// By the path at which the proxy answers for them.
fn istios_probes(spec: &PodSpec) -> serde_json::Map<String, Value> {
    let env = containers(spec).filter(|c| c.name == "istio-proxy").flat_map(|c| c.env.iter().flatten());
    let kept = env.filter(|var| var.name == "ISTIO_KUBE_APP_PROBERS").find_map(|var| var.value.as_deref());
    kept.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn probes(of: &Container) -> [Option<&Probe>; 3] {
    [&of.startup_probe, &of.readiness_probe, &of.liveness_probe].map(Option::as_ref)
}

fn probes_mut(of: &mut Container) -> [Option<&mut Probe>; 3] {
    [&mut of.startup_probe, &mut of.readiness_probe, &mut of.liveness_probe].map(Option::as_mut)
}

fn strip_what_kubernetes_adds(meta: &mut ObjectMeta, spec: &mut PodSpec) {
    remove_volumes(spec, &|volume| volume.name.starts_with("kube-api-access-") && volume.projected.is_some());
    if let Some(tolerations) = &mut spec.tolerations {
        tolerations.retain(|toleration| !is_default(toleration));
    }
    if let Some(annotations) = &mut meta.annotations {
        annotations.retain(|key, _| !OF_ONE_POD.iter().any(|prefix| key.starts_with(prefix)));
        // Istio sends scrapes to its proxy.
        if annotations.get("prometheus.io/port").is_some_and(|port| port == "15020") {
            annotations.retain(|key, _| !key.starts_with("prometheus.io/"));
        }
    }
    spec.ephemeral_containers = None;
    // Of the pod's RuntimeClass, and refused when it differs from that.
    spec.overhead = None;
    // A DaemonSet binds each of its pods to a node by name.
    let node = spec.affinity.as_mut().and_then(|affinity| affinity.node_affinity.as_mut());
    if let Some(node) = node
        && let Some(required) = &mut node.required_during_scheduling_ignored_during_execution
    {
        for term in &mut required.node_selector_terms {
            term.match_fields.take_if(|fields| fields.iter().all(|field| field.key == "metadata.name"));
        }
        required.node_selector_terms.retain(|term| *term != NodeSelectorTerm::default());
        if required.node_selector_terms.is_empty() {
            node.required_during_scheduling_ignored_during_execution = None;
        }
    }
}

/// What the DefaultTolerationSeconds plugin gives every pod.
fn is_default(toleration: &Toleration) -> bool {
    let key = toleration.key.as_deref().unwrap_or_default();
    matches!(key, "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable")
        && toleration.toleration_seconds == Some(300)
}
