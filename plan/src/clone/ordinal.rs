//! What a StatefulSet's pods know themselves by: their ordinal and their name, which a clone's pods do not have.

use byway_api::{Preview, TargetKind};
use k8s_openapi::api::core::v1::{Container, EnvVar, PodSpec};

use super::{Source, Warning, pod::containers};

#[cfg(test)]
mod tests;

/// Labels that a StatefulSet gives each of its pods, and that a Deployment does not.
const OF_MEMBER: [&str; 2] = [
    "metadata.labels['apps.kubernetes.io/pod-index']",
    "metadata.labels['statefulset.kubernetes.io/pod-name']",
];
/// Ends in the ordinal, of a StatefulSet.
const POD_NAME: &str = "metadata.name";
/// How scripts ask for it, beside `HOSTNAME`.
const ASKS: [&str; 4] = ["$(hostname", "`hostname", "/etc/hostname", "HOSTNAME"];

/// What a container takes from its pod's ordinal or name.
#[derive(Default)]
struct Taken {
    /// Variables that are empty in the preview, as `NAME of container CONTAINER`.
    empty: Vec<String>,
    /// Variables that hold the name of the preview's pod, the same.
    named: Vec<String>,
    /// Commands that read the host name or such a variable, as `container CONTAINER reads HOSTNAME`.
    commands: Vec<String>,
}

/// For a StatefulSet: what of its identity the preview's pods lack, and who asks for it. What the Preview sets is settled.
pub(super) fn warning(spec: &PodSpec, source: &Source, preview: &Preview, chosen: &str) -> Option<Warning> {
    if source.kind != TargetKind::StatefulSet {
        return None;
    }
    let mut taken = Taken::default();
    for container in containers(spec) {
        let is_chosen = container.name == chosen;
        let set: Vec<&str> = match is_chosen {
            true => preview.spec.env.iter().map(|var| var.name.as_str()).collect(),
            false => Vec::new(),
        };
        let mut container = container.clone();
        if is_chosen {
            container.command = preview.spec.command.clone().or(container.command);
            container.args = preview.spec.args.clone().or(container.args);
        }
        of_container(&container, &set, &mut taken);
    }
    Some(Warning { reason: "NoStableIdentity", message: taken.message(chosen) })
}

impl Taken {
    fn message(&self, chosen: &str) -> String {
        let Self { empty, named, commands } = self;
        let said = [
            (empty, "without an ordinal these variables are empty: "),
            (named, "the name of the preview's pod, which ends in no ordinal, is in "),
            (commands, "by command or arguments, "),
        ];
        let said: Vec<String> = said
            .into_iter()
            .filter(|(who, _)| !who.is_empty())
            .map(|(who, what)| format!("{what}{}", who.join(", ")))
            .collect();
        let what = "the preview's pods have no stable names or ordinals";
        if said.is_empty() {
            return format!(
                "{what}: an app that goes by its host name, or joins a cluster by it, needs that set in spec.env"
            );
        }
        format!(
            "{what}: {}. Set such variables of container {chosen} in spec.env, to an ordinal or a name that no member has, and spec.command or spec.args where a host name is read",
            said.join("; ")
        )
    }
}

fn of_container(container: &Container, set: &[&str], taken: &mut Taken) {
    let of = |name: &str| format!("{name} of container {}", container.name);
    let env: Vec<&EnvVar> =
        container.env.iter().flatten().filter(|var| !set.contains(&var.name.as_str())).collect();
    let mut named: Vec<&str> = Vec::new();
    for var in &env {
        match source_of(var) {
            Some(path) if OF_MEMBER.contains(&path) => taken.empty.push(of(&var.name)),
            Some(POD_NAME) => taken.named.push(of(&var.name)),
            // A variable that is made of one.
            None if named.iter().any(|name| mentions(var.value.as_deref().unwrap_or_default(), name)) => {
                taken.named.push(of(&var.name));
            }
            _ => continue,
        }
        named.push(&var.name);
    }
    let scripts = container.command.iter().flatten().chain(container.args.iter().flatten());
    for text in scripts {
        let asked = ASKS.into_iter().find(|ask| text.contains(ask)).map(|_| "HOSTNAME");
        let asked = asked.filter(|_| !set.contains(&"HOSTNAME"));
        for name in named.iter().copied().filter(|name| mentions(text, name)).chain(asked) {
            let reads = format!("container {} reads {name}", container.name);
            if !taken.commands.contains(&reads) {
                taken.commands.push(reads);
            }
        }
    }
}

fn source_of(var: &EnvVar) -> Option<&str> {
    Some(var.value_from.as_ref()?.field_ref.as_ref()?.field_path.as_str())
}

/// Whether a text refers to a variable, as Kubernetes or a shell does.
fn mentions(text: &str, name: &str) -> bool {
    let refers = |before: &str| {
        text.match_indices(before).any(|(at, _)| {
            let rest = &text[at + before.len()..];
            rest.strip_prefix(name)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
        })
    };
    refers("$(") || refers("${") || refers("$")
}
