//! Service meshes before the target.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use crate::doctor::facts::{Facts, TargetFacts};
use crate::doctor::finding::Findings;

const CONSUL: &str = "consul-dataplane";
/// The containers of meshes' sidecars.
const SIDECARS: [(&str, &str); 4] =
    [(CONSUL, "Consul"), ("istio-proxy", "Istio"), ("kuma-sidecar", "Kuma"), ("linkerd-proxy", "Linkerd")];

const AMBIENT: &str = "istio.io/dataplane-mode";

pub(super) fn mesh(facts: &Facts, findings: &mut Findings) {
    let Some(target) = &facts.target else { return };
    let pods = target.own_pods();
    let sidecar = |name: &str| pods.iter().any(|pod| has_container(pod, name));
    let mut found = false;
    for (container, mesh) in SIDECARS {
        if sidecar(container) {
            found = true;
            let own = match container {
                CONSUL => "the preview itself has no sidecar, unless a Service selects it",
                _ => "the preview's own sidecar leaves the steered ports alone",
            };
            findings.warning(format!(
                "its pods have a sidecar of {mesh}: keys in headers work, but who calls is hidden from the agent, so calls from previews need the key; {own}"
            ));
        }
    }
    if is_ambient(facts, target, &pods) {
        found = true;
        findings.warning(
            "it is in Istio's ambient mesh: agents call a preview's pods in plain text, which a PeerAuthentication with STRICT refuses; allow it there for pods with the label byway.dev/preview",
        );
    }
    if let Some(groups) = findings.see(&facts.groups)
        && groups.iter().any(|group| group == "cilium.io")
    {
        found = true;
        findings.unknown(
            "the cluster runs Cilium: a policy of its own with rules for HTTP sends requests through a proxy on the node, which hides who calls",
        );
    }
    if !found && target.pods.seen().is_some() {
        findings.ok("no service mesh was found before it");
    }
}

fn has_container(pod: &Pod, name: &str) -> bool {
    let Some(spec) = &pod.spec else { return false };
    spec.containers
        .iter()
        .chain(spec.init_containers.iter().flatten())
        .any(|container| container.name == name)
}

/// The pod's own label goes before the namespace's.
fn is_ambient(facts: &Facts, target: &TargetFacts, pods: &[&Pod]) -> bool {
    let of = |labels: &BTreeMap<String, String>| labels.get(AMBIENT).cloned();
    let of_space = facts.space.seen().and_then(|space| of(space.as_ref()?.metadata.labels.as_ref()?));
    let template = target.source().and_then(Result::ok).and_then(|source| of(source.meta.labels.as_ref()?));
    let of_pod = pods.first().and_then(|pod| of(pod.labels())).or(template);
    of_pod.or(of_space).is_some_and(|mode| mode == "ambient")
}
