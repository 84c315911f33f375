//! Who finds pods by a label or annotation of their own, and what becomes of it in a clone.
//!
//! Services, budgets and workloads are seen, and what they select by is changed (see [`labels`](super::labels)). What is
//! here acts on a name that its maker gave it: a clone that kept it would be called, counted, pruned or given a name in the
//! target's place. Each row is one of `docs/isolation.md` too; a test holds the two together.

#[cfg(test)]
mod tests;

/// What becomes of a label or annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is as in the target.
    Kept,
    /// It is left out.
    Dropped,
    /// It names an address that one pod can have: it is left out, which is said.
    Address,
    /// Its entries name such addresses: these are left out, which is said.
    Addresses,
    /// Dapr's id: the preview has another one, which is said.
    DaprId,
    /// The steered ports are added to it.
    PortsAdded,
    /// The steered ports are taken out of it.
    PortsTaken,
    /// Whether Consul injects its proxy.
    ConsulInject,
}

impl Fate {
    /// As the page has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Dropped => "left out",
            Self::Address => "left out, and said",
            Self::Addresses => "its addresses are left out, and said",
            Self::DaprId => "one of its own, and said",
            Self::PortsAdded => "with the steered ports",
            Self::PortsTaken => "without the steered ports",
            Self::ConsulInject => "`false`, unless a Service selects the preview; said",
        }
    }
}

/// What becomes of some of one maker.
#[derive(Debug)]
pub struct Row {
    /// Whose they are.
    pub of: &'static str,
    /// Labels or annotations; `*` at the beginning or end of one stands for anything.
    pub names: &'static [&'static str],
    /// What becomes of them.
    pub fate: Fate,
    /// Why: half a sentence.
    pub why: &'static str,
}

const fn row(of: &'static str, names: &'static [&'static str], fate: Fate, why: &'static str) -> Row {
    Row { of, names, fate, why }
}

const TRACKED: &str = "its tools report or delete what is not in their repository";
const ONE_ADDRESS: &str = "an address is one pod's";
const METRICS: &str = "metrics and logs come with the pod's name, and with its label `byway.dev/preview`";
const PLAIN: &str = "agents call in plain text, which the proxy would refuse";
const RESTARTS: &str = "what restarts the target restarts the preview";
const IN_MESH: &str = "what the preview calls goes through the mesh";

/// In the order of whose they are.
pub const TABLE: &[Row] = &[
    row("Antrea", &["ipam.antrea.io/pod-ips"], Fate::Address, ONE_ADDRESS),
    row("ApplySet", &["applyset.kubernetes.io/*"], Fate::Dropped, TRACKED),
    row("Argo CD", &["argocd.argoproj.io/*"], Fate::Dropped, TRACKED),
    row(
        "Calico",
        &[
            "cni.projectcalico.org/floatingIPs",
            "cni.projectcalico.org/hwAddr",
            "cni.projectcalico.org/ipAddrs",
            "cni.projectcalico.org/ipAddrsNoIpam",
        ],
        Fate::Address,
        ONE_ADDRESS,
    ),
    row("Cilium", &["cni.cilium.io/mac-address"], Fate::Address, ONE_ADDRESS),
    row(
        "Consul",
        &["consul.hashicorp.com/connect-inject"],
        Fate::ConsulInject,
        "Consul registers only what a Service selects, and an injected pod waits for that for ever",
    ),
    row(
        "Consul",
        &["consul.hashicorp.com/connect-service", "consul.hashicorp.com/kubernetes-service"],
        Fate::Dropped,
        "the preview would be an instance of the target's service",
    ),
    row("Consul", &["consul.hashicorp.com/transparent-proxy-exclude-inbound-ports"], Fate::PortsAdded, PLAIN),
    row(
        "Dapr",
        &["dapr.io/app-id"],
        Fate::DaprId,
        "Dapr's operator makes a Service for an id, of the workload that had it last: all calls by Dapr would reach the preview",
    ),
    row("Datadog", &["ad.datadoghq.com/*", "tags.datadoghq.com/*"], Fate::Kept, METRICS),
    row("Elastic", &["co.elastic.*"], Fate::Kept, METRICS),
    row(
        "external-dns",
        &["external-dns.alpha.kubernetes.io/*", "external-dns.kubernetes.io/*"],
        Fate::Dropped,
        "the target's name would mean the preview's address, too",
    ),
    row("Fleet", &["fleet.cattle.io/*", "objectset.rio.cattle.io/*"], Fate::Dropped, TRACKED),
    row("Flux", &["helm.toolkit.fluxcd.io/*", "kustomize.toolkit.fluxcd.io/*"], Fate::Dropped, TRACKED),
    row("Helm", &["meta.helm.sh/*"], Fate::Dropped, TRACKED),
    row("Istio", &["traffic.sidecar.istio.io/excludeInboundPorts"], Fate::PortsAdded, PLAIN),
    row(
        "Istio",
        &["traffic.sidecar.istio.io/includeInboundPorts"],
        Fate::PortsTaken,
        "where it lists ports, Istio does not look at those that are excluded",
    ),
    row("kapp", &["kapp.k14s.io/*"], Fate::Dropped, TRACKED),
    row(
        "KEDA",
        &["*.keda.sh/*"],
        Fate::Dropped,
        "a ScaledObject names its workload; a preview has `replicas`",
    ),
    row("Keel", &["keel.sh/*"], Fate::Dropped, "a preview runs the image that it says"),
    row("Keel", &["keel.sh/update-time"], Fate::Kept, RESTARTS),
    row(
        "Knative",
        &["serving.knative.dev/*"],
        Fate::Dropped,
        "its autoscaler counts pods by it, and asks them how busy they are",
    ),
    row("kpt", &["config.k8s.io/*"], Fate::Dropped, TRACKED),
    row(
        "Kube-OVN",
        &["*.kubernetes.io/ip_address", "*.kubernetes.io/ip_pool", "*.kubernetes.io/mac_address"],
        Fate::Address,
        ONE_ADDRESS,
    ),
    row("kubectl", &["kubectl.kubernetes.io/last-applied-configuration"], Fate::Dropped, TRACKED),
    row("kubectl", &["kubectl.kubernetes.io/restartedAt"], Fate::Kept, RESTARTS),
    row("Kuma", &["kuma.io/sidecar-injection"], Fate::Kept, IN_MESH),
    row("Kuma", &["traffic.kuma.io/exclude-inbound-ports"], Fate::PortsAdded, PLAIN),
    row("Linkerd", &["config.linkerd.io/skip-inbound-ports"], Fate::PortsAdded, PLAIN),
    row("Linkerd", &["linkerd.io/inject"], Fate::Kept, IN_MESH),
    row(
        "Multus",
        &["k8s.v1.cni.cncf.io/networks", "v1.multus-cni.io/default-network"],
        Fate::Addresses,
        ONE_ADDRESS,
    ),
    row("OLM", &["olm.*"], Fate::Dropped, "it deletes Deployments that its bundle does not name"),
    row(
        "OpenTelemetry",
        &["instrumentation.opentelemetry.io/*"],
        Fate::Kept,
        "the preview passes keys on as the target does",
    ),
    row("OVN-Kubernetes", &["k8s.ovn.org/primary-udn-ipamclaim"], Fate::Address, ONE_ADDRESS),
    row("Prometheus", &["prometheus.io/*"], Fate::Kept, METRICS),
    row(
        "Reloader",
        &["*reloader.stakater.com/*"],
        Fate::Dropped,
        "it changes the target's template, and the preview follows that",
    ),
    row("Reloader", &["reloader.stakater.com/last-reloaded-from"], Fate::Kept, RESTARTS),
    row("Vault", &["vault.hashicorp.com/*"], Fate::Kept, "the preview needs the same Secrets"),
    row(
        "Velero",
        &["*backup.velero.io/*"],
        Fate::Dropped,
        "volumes would be saved twice, and hooks would run in the preview",
    ),
    row(
        "VerticalPodAutoscaler",
        &["vpaObservedContainers", "vpaUpdates"],
        Fate::Dropped,
        "it tells what was done to one pod",
    ),
];

/// What becomes of a label or annotation of this name. The row that says most of the name counts.
pub(super) fn fate(name: &str) -> Fate {
    let named = TABLE.iter().flat_map(|row| row.names.iter().map(|pattern| (*pattern, row.fate)));
    let covering = named.filter(|(pattern, _)| covers(pattern, name));
    covering.max_by_key(|(pattern, _)| pattern.len()).map_or(Fate::Kept, |(_, fate)| fate)
}

/// Those that this becomes of.
pub(super) fn of_fate(fate: Fate) -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(move |row| row.fate == fate).flat_map(|row| row.names).copied()
}

fn covers(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) => name.contains(pattern.trim_matches('*')),
        (Some(end), None) => name.ends_with(end),
        (None, Some(beginning)) => name.starts_with(beginning),
        (None, None) => name == pattern,
    }
}
