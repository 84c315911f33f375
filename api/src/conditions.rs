//! Types of a Preview's conditions, and their reasons: stable words that tools may rely on.

/// The target is there and can be cloned.
pub const TARGET_RESOLVED: &str = "TargetResolved";
/// As many pods as wanted run the newest revision, and their containers are ready.
pub const PODS_READY: &str = "PodsReady";
/// Every ready pod of the target steers keyed requests to it: acknowledged by the agents.
pub const ROUTES_PROGRAMMED: &str = "RoutesProgrammed";
/// All of it: keyed requests reach the preview.
pub const READY: &str = "Ready";
/// Things to know that do not keep it from being ready.
pub const WARNINGS: &str = "Warnings";

/// Reasons of conditions that are not of a refusal: those are in the error types of their modules.
pub mod reason {
    /// `Ready`: keyed requests reach the preview.
    pub const READY: &str = "Ready";
    /// `TargetResolved`: the clone is applied.
    pub const CLONED: &str = "Cloned";
    /// Not looked at yet.
    pub const PENDING: &str = "Pending";
    /// The time to live is over.
    pub const EXPIRED: &str = "Expired";
    /// An older Preview holds this key and target.
    pub const CONFLICT: &str = "Conflict";
    /// There is no such workload.
    pub const TARGET_NOT_FOUND: &str = "TargetNotFound";
    /// A foreign object has the name of the clone.
    pub const NAME_TAKEN: &str = "NameTaken";
    /// The API server refused the clone.
    pub const CLONE_REJECTED: &str = "CloneRejected";
    /// The API server could not be asked; tried again.
    pub const API_ERROR: &str = "ApiError";
    /// `PodsReady`.
    pub const PODS_READY: &str = "PodsReady";
    /// Pods are being created or replaced.
    pub const UPDATING: &str = "Updating";
    /// `replicas` is 0.
    pub const SCALED_TO_ZERO: &str = "ScaledToZero";
    /// It sleeps while nobody uses it.
    pub const ASLEEP: &str = "Asleep";
    /// The image cannot be pulled.
    pub const IMAGE_PULL_FAILED: &str = "ImagePullFailed";
    /// A container ends again and again.
    pub const CRASH_LOOP: &str = "CrashLoop";
    /// A container cannot be created, e.g. for want of a Secret.
    pub const CONTAINER_CONFIG: &str = "ContainerConfig";
    /// No node takes the pod.
    pub const UNSCHEDULABLE: &str = "Unschedulable";
    /// No node has been looked for yet, say since a ResourceClaim of the pod is missing.
    pub const NOT_SCHEDULED: &str = "NotScheduled";
    /// The namespace's ResourceQuota is used up.
    pub const QUOTA_EXCEEDED: &str = "QuotaExceeded";
    /// A LimitRange forbids it.
    pub const LIMIT_RANGE: &str = "LimitRange";
    /// The namespace's Pod Security level forbids it.
    pub const POD_SECURITY: &str = "PodSecurity";
    /// An admission webhook or policy refused the pod.
    pub const ADMISSION_REFUSED: &str = "AdmissionRefused";
    /// The pod could not be created for another reason.
    pub const POD_CREATE_FAILED: &str = "PodCreateFailed";
    /// A container runs and is not ready yet.
    pub const CONTAINERS_NOT_READY: &str = "ContainersNotReady";
    /// `RoutesProgrammed`: every agent has acknowledged.
    pub const PROGRAMMED: &str = "Programmed";
    /// Waiting for acknowledgements.
    pub const PROGRAMMING: &str = "Programming";
    /// `incoming.mode` is off.
    pub const OFF: &str = "Off";
    /// The target has no ready pod: there is nothing to steer.
    pub const NO_TARGET_PODS: &str = "NoTargetPods";
    /// No agent runs on a node.
    pub const NO_AGENT: &str = "NoAgent";
    /// The agent of a node is not ready.
    pub const AGENT_NOT_READY: &str = "AgentNotReady";
    /// Too much is wanted of one node.
    pub const NODE_FULL: &str = "NodeFull";
    /// Nothing listens on any of the steered ports.
    pub const NOTHING_LISTENS: &str = "NothingListens";
    /// `Warnings`: several.
    pub const SEVERAL: &str = "Several";
    /// Traffic that cannot be matched by a header: TLS or HTTP/2.
    pub const TRAFFIC_NOT_MATCHED: &str = "TrafficNotMatched";
    /// New connections went to the app, whatever they carried, since an agent could not take them.
    pub const CONNECTIONS_PASSED_ON: &str = "ConnectionsPassedOn";
    /// Requests with the key went to the app, since they could not be read beyond doubt.
    pub const REQUESTS_LOST: &str = "RequestsLost";
    /// Connections that were open before the route bypass the preview.
    pub const OLD_CONNECTIONS: &str = "OldConnections";
}

/// Whether what has this reason may go away by waiting alone.
#[must_use]
pub fn is_passing(why: &str) -> bool {
    use reason as r;
    [
        r::PENDING,
        r::API_ERROR,
        r::TARGET_NOT_FOUND,
        r::UPDATING,
        r::UNSCHEDULABLE,
        r::NOT_SCHEDULED,
        r::CONTAINERS_NOT_READY,
        r::SCALED_TO_ZERO,
        r::PROGRAMMING,
        r::NO_TARGET_PODS,
        r::NO_AGENT,
        r::AGENT_NOT_READY,
    ]
    .contains(&why)
}
