//! What nodes must have, and pods on them.

use std::collections::BTreeSet;

use kube::ResourceExt as _;

use crate::doctor::facts::Facts;
use crate::doctor::finding::Findings;
use crate::words::few;

/// The oldest kernel whose programs do what the agent needs.
const OLDEST: (u32, u32) = (5, 15);

/// Words by which sandboxes with a network stack of their own are known.
const SANDBOXES: [(&str, &str); 5] = [
    ("gvisor", "gVisor"),
    ("runsc", "gVisor"),
    ("kata", "Kata Containers"),
    ("firecracker", "Firecracker"),
    ("confidential", "Kata Containers"),
];

pub(super) fn kernel(facts: &Facts, findings: &mut Findings) {
    let nodes = facts.nodes_that_matter();
    let Some(nodes) = findings.see(&nodes) else { return };
    let (mut kernels, mut untested, mut bad) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for node in nodes {
        let Some(info) = node.status.as_ref().and_then(|status| status.node_info.as_ref()) else { continue };
        let name = node.name_any();
        if info.operating_system != "linux" {
            bad.push(format!("{name} runs {}", info.operating_system));
        } else if !["amd64", "arm64"].contains(&info.architecture.as_str()) {
            bad.push(format!("{name} has the architecture {}", info.architecture));
        } else if version(&info.kernel_version).is_some_and(|version| version < OLDEST) {
            bad.push(format!("{name} has the kernel {}", info.kernel_version));
        }
        if info.architecture == "arm64" {
            untested.insert(node.name_any());
        }
        kernels.insert(info.kernel_version.as_str());
    }
    if !untested.is_empty() {
        let names: Vec<String> = untested.into_iter().collect();
        findings.warning(format!("arm64, on which nothing was tested: {}", few(&names)));
    }
    if bad.is_empty() && kernels.is_empty() {
        findings.unknown("no node says which kernel it has");
    } else if bad.is_empty() {
        findings.ok(format!("the nodes run Linux {}", few(&kernels.into_iter().collect::<Vec<_>>())));
    } else {
        findings.problem(format!("{}: targets there cannot have previews", few(&bad)));
    }
}

/// `5.15` of `5.15.0-1051-aws`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

pub(super) fn features(facts: &Facts, findings: &mut Findings) {
    let nodes = facts.nodes_that_matter();
    let (Some(routes), Some(nodes)) = (findings.see(&facts.routes), findings.see(&nodes)) else { return };
    let matter: BTreeSet<String> = nodes.iter().map(|node| node.name_any()).collect();
    let mut heard = 0;
    for routes in routes.iter().filter(|routes| matter.contains(&routes.name_any())) {
        let Some(status) = &routes.status else { continue };
        heard += usize::from(status.instance.is_some());
        if let Some(failure) = &status.failure {
            findings.problem(format!("{}: {}: {}", routes.name_any(), failure.reason, failure.message));
        }
    }
    if findings.all.is_empty() {
        match heard {
            0 => findings
                .unknown("no agent has said anything yet: they are asked when the first preview needs them"),
            _ => findings.ok(format!(
                "the agents that have spoken found all that they need: {heard} of {}",
                matter.len()
            )),
        }
    }
}

pub(super) fn sandbox(facts: &Facts, findings: &mut Findings) {
    let Some(target) = &facts.target else { return };
    let Some(Ok(source)) = target.source() else { return };
    let Some(class) = &source.spec.runtime_class_name else {
        findings.ok("its pods name no RuntimeClass, and so run in no sandbox");
        return;
    };
    let Some(runtimes) = findings.see(&facts.runtimes) else { return };
    let handler =
        runtimes.iter().find(|runtime| runtime.name_any() == *class).map(|runtime| runtime.handler.as_str());
    let words = format!("{class} {}", handler.unwrap_or_default()).to_ascii_lowercase();
    match (SANDBOXES.iter().find(|(word, _)| words.contains(word)), handler) {
        (Some((_, sandbox)), _) => {
            findings.problem(format!(
                "its RuntimeClass {class} is {sandbox}, whose connections cannot be steered"
            ));
        }
        (None, Some(handler)) => findings.ok(format!(
            "its RuntimeClass {class} has the handler {handler}, which is not known as a sandbox"
        )),
        (None, None) => findings.problem(format!("there is no RuntimeClass {class}: its pods cannot start")),
    }
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn kernels_are_compared_as_numbers() {
        assert_eq!(version("5.15.0-1051-aws"), Some((5, 15)));
        assert_eq!(version("6.1.0"), Some((6, 1)));
        assert_eq!(version("6.18-rc1+"), Some((6, 18)));
        assert_eq!(version("odd"), None);
    }
}
