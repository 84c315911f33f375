//! What is not cloned, and what to do instead.

/// Why there is no preview of a target. Each message says what to do; [`code`](Refusal::code) is stable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The object is not what its kind promises.
    #[error("{target}: {field} cannot be read ({error}): correct the target")]
    Unreadable {
        /// Kind and name.
        target: String,
        /// Which part.
        field: &'static str,
        /// What the parser said.
        error: String,
    },
    /// Nothing to clone.
    #[error("{target} has no pod template: name the workload that runs the pods")]
    NoTemplate {
        /// Kind and name.
        target: String,
    },
    /// A ReplicaSet that comes and goes with its owner's revisions.
    #[error("ReplicaSet {name} is one revision of {owner_kind} {owner}: make that the target")]
    OwnedReplicaSet {
        /// The ReplicaSet.
        name: String,
        /// Kind of its owner.
        owner_kind: String,
        /// Name of its owner.
        owner: String,
    },
    /// A Rollout that refers to something of which Argo Rollouts takes no template.
    #[error(
        "Rollout {rollout} takes its template from a {kind:?}: only a Deployment, a ReplicaSet or a PodTemplate can be read"
    )]
    WorkloadRef {
        /// The Rollout.
        rollout: String,
        /// What it refers to.
        kind: String,
    },
    /// A Rollout that has pods of its own nowhere.
    #[error("{target} does not say which pods are its own, so none can be steered: set its spec.selector")]
    NoSelector {
        /// Kind and name.
        target: String,
    },
    /// A preview of a preview.
    #[error("{target} is itself a preview: make the target of Preview {preview} the target")]
    TargetIsPreview {
        /// Kind and name.
        target: String,
        /// Of whom.
        preview: String,
    },
    /// Its ports are the node's.
    #[error(
        "{target} uses the node's network, where its ports are taken and nothing can be steered: set hostNetwork to false, or use a preview without a target"
    )]
    TargetUsesHostNetwork {
        /// Kind and name.
        target: String,
    },
    /// Not Linux.
    #[error("{target} runs on Windows, where nothing can be steered: only Linux pods can have previews")]
    UnsupportedOs {
        /// Kind and name.
        target: String,
    },
    /// A volume that the target holds for itself.
    #[error(
        "{target} mounts the PersistentVolumeClaim {claim}, which is {mode} and cannot be shared with a preview: use a ReadWriteMany claim, or a target without it"
    )]
    ClaimNotShareable {
        /// Kind and name.
        target: String,
        /// The claim.
        claim: String,
        /// Its access mode.
        mode: String,
    },
    /// A disk that the target holds for itself.
    #[error(
        "{target} mounts the disk of its volume {volume}, which cannot be shared with a preview: use a ReadWriteMany claim, or a target without it"
    )]
    DiskNotShareable {
        /// Kind and name.
        target: String,
        /// The volume.
        volume: String,
    },
    /// Each pod of a StatefulSet has its own.
    #[error(
        "{target} has the claim templates {templates}, whose volumes cannot be shared: set claimTemplates to emptyDir to start the preview with empty volumes"
    )]
    ClaimTemplates {
        /// Kind and name.
        target: String,
        /// Their names.
        templates: String,
    },
    /// An empty volume is no disk.
    #[error(
        "container {container} of {target} uses the claim template {template} as a block device, which an empty volume cannot replace: use another target"
    )]
    BlockDevice {
        /// Kind and name.
        target: String,
        /// The container.
        container: String,
        /// The template.
        template: String,
    },
    /// Several containers, and none that is plainly meant.
    #[error(
        "{target} has the containers {choices}, and it is not plain which one gets the image: name it in target.container"
    )]
    AmbiguousContainer {
        /// Kind and name.
        target: String,
        /// Their names.
        choices: String,
    },
    /// A name that is none of its containers.
    #[error("{target} has no container {container:?}: set target.container to one of {choices}")]
    NoSuchContainer {
        /// Kind and name.
        target: String,
        /// What was asked for.
        container: String,
        /// Its containers.
        choices: String,
    },
    /// Nothing to steer.
    #[error(
        "container {container} of {target} names no TCP port, and no Service sends to one: set incoming.ports, or incoming.mode to off"
    )]
    NoPorts {
        /// Kind and name.
        target: String,
        /// The container.
        container: String,
    },
    /// Ports, and none of them is to be steered.
    #[error(
        "incoming.ignorePorts names all ports that there are: leave one out, or set incoming.mode to off"
    )]
    AllPortsIgnored,
    /// A Preview without a target that names no ports.
    #[error("a preview without a target needs incoming.ports: name the ports that its image serves")]
    TargetlessWithoutPorts,
    /// More than can be steered.
    #[error(
        "{count} ports would be steered, at most {most} can be: name the ones that matter in incoming.ports"
    )]
    TooManyPorts {
        /// How many.
        count: usize,
        /// The limit.
        most: usize,
    },
}

impl Refusal {
    /// A stable code, the reason of a condition.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "TargetUnreadable",
            Self::NoTemplate { .. } => "NoTemplate",
            Self::OwnedReplicaSet { .. } => "OwnedReplicaSet",
            Self::WorkloadRef { .. } => "UnsupportedWorkloadRef",
            Self::NoSelector { .. } => "NoSelector",
            Self::TargetIsPreview { .. } => "TargetIsPreview",
            Self::TargetUsesHostNetwork { .. } => "TargetUsesHostNetwork",
            Self::UnsupportedOs { .. } => "UnsupportedOS",
            Self::ClaimNotShareable { .. } => "ClaimNotShareable",
            Self::DiskNotShareable { .. } => "DiskNotShareable",
            Self::ClaimTemplates { .. } => "ClaimTemplates",
            Self::BlockDevice { .. } => "BlockDevice",
            Self::AmbiguousContainer { .. } => "AmbiguousContainer",
            Self::NoSuchContainer { .. } => "NoSuchContainer",
            Self::NoPorts { .. } | Self::AllPortsIgnored | Self::TargetlessWithoutPorts => "NoPorts",
            Self::TooManyPorts { .. } => "TooManyPorts",
        }
    }
}
