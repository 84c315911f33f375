//! Every key of mirrord's configuration that is known here, and what becomes of it.
//!
//! This table decides: what is in it as refused is refused, what is in it as ignored is warned about, what is not in it is
//! an error. `docs/mirrord.md` has the same table, and a test compares.

use crate::fields::{plain, similar};

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It becomes this of the Preview, or of the command.
    Honoured(&'static str),
    /// It cannot be done; and what to do instead.
    Refused {
        /// The reason.
        why: &'static str,
        /// The alternative.
        instead: &'static str,
    },
    /// Its name of older versions, and what to write today.
    Renamed(&'static str),
    /// As refused, unless the command line has this flag, which then decides.
    Flag {
        /// The flag, with its dashes.
        flag: &'static str,
    },
    /// It has no bearing on a preview, for this reason: a warning names it.
    Ignored(&'static str),
}

/// A key that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Members are separated by dots; `[]` stands for each entry of a list.
    pub path: &'static str,
    /// What becomes of it.
    pub fate: Fate,
}

const fn honoured(path: &'static str, becomes: &'static str) -> Known {
    Known { path, fate: Fate::Honoured(becomes) }
}

const fn refused(path: &'static str, why: &'static str, instead: &'static str) -> Known {
    Known { path, fate: Fate::Refused { why, instead } }
}

const fn renamed(path: &'static str, today: &'static str) -> Known {
    Known { path, fate: Fate::Renamed(today) }
}

const fn ignored(path: &'static str, why: &'static str) -> Known {
    Known { path, fate: Fate::Ignored(why) }
}

/// No local process.
const LOCAL: &str = "it is about a local process, and a preview has none";
/// mirrord's parts.
const PARTS: &str = "it is about mirrord's own parts, which are not used";
const TLS: &str = "TLS is not read: it passes through to the app";
const TLS_INSTEAD: &str = "end TLS before the target, or rely on the origin of calls within an environment";
const KEYLESS: &str = "it lets requests through without the key";
const KEYLESS_INSTEAD: &str = "use it in `all_of`, beside a `header` that names `{{ key }}`";

const WORKLOAD: &str = "`spec.target`, as in `target.path`";
const UNSERVED: &str = "it serves no requests that could be steered";
const UNSERVED_INSTEAD: &str = "name the workload that serves";
const NO_TEMPLATE: &str = "it has no pod template to clone";
const NO_TEMPLATE_INSTEAD: &str = "name the workload whose pods it selects, e.g. `deployment/NAME`";
const OLD_AGENT: &str = "it is of older versions, and about mirrord's own parts, which are not used";

const BODY: &str = "only the head of a request is read";
const BODY_INSTEAD: &str = "send the key in a header";
const JQ: &str = "headers are compared one by one";
const JQ_INSTEAD: &str = "use `header_filter`, a regex on `Name: value`";

/// All of them, as they are documented.
pub const KEYS: &[Known] = &[
    honoured("$schema", "nothing: it is for editors"),
    honoured("key", "`spec.key`; `--key` and `MIRRORD_KEY` go before it"),
    honoured(
        "target",
        "`spec.target`: a text as `target.path`, or an object with it, or with the workload itself, `{ deployment: NAME, container: NAME }`. Left out, or `targetless`: a preview without a target, which needs `ports`",
    ),
    honoured(
        "target.path",
        "`deployment/NAME`, `statefulset/NAME`, `daemonset/NAME`, `replicaset/NAME`, `pod/NAME` or `rollout/NAME`, with `/container/NAME` if need be; or an object, `{ deployment: NAME, container: NAME }`",
    ),
    honoured("target.namespace", "the Preview's namespace"),
    honoured("target.deployment", WORKLOAD),
    honoured("target.stateful_set", WORKLOAD),
    honoured("target.daemon_set", WORKLOAD),
    honoured("target.replica_set", WORKLOAD),
    honoured("target.rollout", WORKLOAD),
    honoured("target.pod", WORKLOAD),
    honoured("target.container", "`spec.target.container`, beside one of these"),
    refused("target.job", UNSERVED, UNSERVED_INSTEAD),
    refused("target.cron_job", UNSERVED, UNSERVED_INSTEAD),
    refused("target.workflow", UNSERVED, UNSERVED_INSTEAD),
    refused("target.service", NO_TEMPLATE, NO_TEMPLATE_INSTEAD),
    refused("target.labels", NO_TEMPLATE, NO_TEMPLATE_INSTEAD),
    honoured("feature", "the sections below"),
    honoured("feature.preview", "the keys below"),
    honoured("feature.preview.image", "`spec.image`"),
    honoured(
        "feature.preview.ttl_mins",
        "`spec.ttl`: a number of minutes, or `infinite`. Between 1 minute and 30 days; not together with `ttl_secs`",
    ),
    honoured("feature.preview.ttl_secs", "the same in seconds"),
    honoured("feature.preview.creation_timeout_secs", "how long `start` waits"),
    honoured("feature.preview.replicas", "`spec.replicas`, at most 20"),
    honoured(
        "feature.preview.labels",
        "`spec.labels`. Whatever is asked for, labels by which somebody selects the target have a value of the preview's own",
    ),
    honoured(
        "feature.preview.labels.include",
        "`spec.labels.keep`: labels that are left out by default stay",
    ),
    honoured("feature.preview.labels.exclude", "`spec.labels.drop`"),
    honoured("feature.preview.idle", "`spec.idle`. Needs a target and the mode `steal`"),
    honoured("feature.preview.idle.start_idle", "`startAsleep`"),
    honoured(
        "feature.preview.idle.sleep_after_secs",
        "`sleepAfter`; left out: `30m`. It sleeps up to two minutes later, since agents tell once a minute what was used",
    ),
    honoured("feature.preview.idle.wake_timeout_secs", "`wakeTimeout`; left out: `90s`"),
    honoured(
        "feature.preview.config_mounts",
        "`spec.files`, which stand in the Preview: together at most 512 KiB. Each is mounted read-only",
    ),
    honoured("feature.preview.config_mounts[].mount_at", "`path`"),
    honoured("feature.preview.config_mounts[].type", "`text` or `binary` (base64), beside `payload`"),
    honoured("feature.preview.config_mounts[].payload", "`text` or `binary`"),
    honoured(
        "feature.preview.config_mounts[].from_file",
        "`text` or `binary`, as what is in the file; the path is from where the command runs",
    ),
    honoured(
        "feature.preview.secret_mounts",
        "`spec.files` with a `secretKeyRef` each: the command makes a Secret of them, with your rights, that goes with the Preview",
    ),
    honoured("feature.preview.secret_mounts[].mount_at", "`path`"),
    honoured("feature.preview.secret_mounts[].type", "`text` or `binary` (base64), beside `payload`"),
    honoured("feature.preview.secret_mounts[].payload", "what is in the Secret"),
    honoured(
        "feature.preview.secret_mounts[].from_file",
        "what is in the Secret; the path is from where the command runs",
    ),
    honoured("feature.env", "the keys below; `true` is the default, `false` is `exclude: \"*\"`"),
    honoured(
        "feature.env.include",
        "nothing more: a clone has the whole environment of its target but for `exclude`, so what is asked for is there; a warning says so unless it is `*`",
    ),
    honoured("feature.env.exclude", "`spec.unsetEnv`; what `override` or `env_file` sets stays"),
    honoured("feature.env.override", "`spec.env`, literally: `$(NAME)` is no reference"),
    honoured(
        "feature.env.env_file",
        "`spec.env`; what `override` names goes before it. The path is from where the command runs",
    ),
    honoured(
        "feature.env.mapping",
        "`spec.envMapping`, in the order of the names: a regular expression in linear time, and the value of each variable whose name it is found in. What `envFrom` brings in is not known, which a warning of the Preview says",
    ),
    honoured("feature.env.unset", "as `exclude`"),
    ignored("feature.env.load_from_process", LOCAL),
    honoured("feature.network", "the keys below; `true` is the default, `false` is as `incoming: false`"),
    honoured("feature.network.incoming", "a mode, an object, `true` for the default or `false` for `off`"),
    honoured(
        "feature.network.incoming.mode",
        "`spec.incoming.mode`: `steal`, which is the default here, `mirror` or `off`. Of mode `mirror` a filter need not name the key, and without one GET and HEAD are copied",
    ),
    honoured("feature.network.incoming.ports", "`spec.incoming.ports`; left out: all that the target serves"),
    honoured("feature.network.incoming.ignore_ports", "`spec.incoming.ignorePorts`"),
    honoured(
        "feature.network.incoming.port_mapping",
        "`spec.incoming.portMapping`: pairs of the port where the preview listens and the one that is steered",
    ),
    refused("feature.network.incoming.listen_ports", LOCAL, "leave it out"),
    refused(
        "feature.network.incoming.ignore_localhost",
        "what a pod sends to itself is never taken, and the rest always is",
        "leave it out",
    ),
    refused(
        "feature.network.incoming.on_concurrent_steal",
        "previews of other keys do not disturb each other, and of two with one key and target the older one holds",
        "leave it out",
    ),
    refused("feature.network.incoming.tls_delivery", TLS, TLS_INSTEAD),
    refused("feature.network.incoming.https_delivery", TLS, TLS_INSTEAD),
    honoured(
        "feature.network.incoming.http_filter",
        "`spec.incoming.match`, of the one filter in it. Left out: the key in the header `x-byway-key`, a baggage member or a cookie `byway-key`",
    ),
    honoured("feature.network.incoming.http_filter.header_filter", "`headerFilter`: must name `{{ key }}`"),
    honoured(
        "feature.network.incoming.http_filter.path_filter",
        "a `path.regex` that ignores case. Alone it is refused, since it lets requests through without the key: use it in `all_of`. The query is not looked at",
    ),
    honoured(
        "feature.network.incoming.http_filter.method_filter",
        "`method`. Alone it is refused, as `path_filter`",
    ),
    honoured("feature.network.incoming.http_filter.all_of", "`all`: a `header` in it must name `{{ key }}`"),
    honoured("feature.network.incoming.http_filter.all_of[].header", "`headerFilter`"),
    honoured("feature.network.incoming.http_filter.all_of[].path", "`path.regex`"),
    honoured("feature.network.incoming.http_filter.all_of[].method", "`method`"),
    refused("feature.network.incoming.http_filter.all_of[].body", BODY, BODY_INSTEAD),
    refused("feature.network.incoming.http_filter.all_of[].header_jq", JQ, JQ_INSTEAD),
    honoured(
        "feature.network.incoming.http_filter.any_of",
        "`any`: each entry must be a `header` that names `{{ key }}`",
    ),
    honoured("feature.network.incoming.http_filter.any_of[].header", "`headerFilter`"),
    refused("feature.network.incoming.http_filter.any_of[].path", KEYLESS, KEYLESS_INSTEAD),
    refused("feature.network.incoming.http_filter.any_of[].method", KEYLESS, KEYLESS_INSTEAD),
    refused("feature.network.incoming.http_filter.any_of[].body", BODY, BODY_INSTEAD),
    refused("feature.network.incoming.http_filter.any_of[].header_jq", JQ, JQ_INSTEAD),
    honoured(
        "feature.network.incoming.http_filter.ports",
        "`spec.incoming.ports`, with those of `incoming.ports`: the filter holds for all of them. mirrord's default of 80 and 8080 is not taken over",
    ),
    renamed(
        "feature.network.incoming.http_header_filter",
        "its `filter` as `feature.network.incoming.http_filter.header_filter`, its `ports` as `feature.network.incoming.http_filter.ports`",
    ),
    refused("feature.network.incoming.http_filter.body_filter", BODY, BODY_INSTEAD),
    refused("feature.network.incoming.http_filter.header_filter_jq", JQ, JQ_INSTEAD),
    ignored("feature.network.outgoing", "a preview runs in the cluster: what it calls, it calls from there"),
    ignored("feature.network.dns", "a preview runs in the cluster: what it calls, it calls from there"),
    ignored("feature.network.ipv6", PARTS),
    ignored("feature.fs", LOCAL),
    ignored("feature.hostname", LOCAL),
    ignored("feature.magic", LOCAL),
    ignored(
        "feature.copy_target",
        "a preview is a copy of its target, and the target is never scaled down for it",
    ),
    refused(
        "feature.split_queues",
        "a key guards requests, not messages: a preview would take its share of everybody's",
        "let the preview read from a queue of its own, by a variable in `feature.env.override`",
    ),
    refused(
        "feature.db_branches",
        "a preview uses the databases of its target",
        "make a branch by other means, and name it by a variable in `feature.env.override`",
    ),
    Known { path: "kube_context", fate: Fate::Flag { flag: "--context" } },
    Known { path: "kubeconfig", fate: Fate::Flag { flag: "--kubeconfig" } },
    refused(
        "profile",
        "a profile is kept in mirrord's own objects, which are not read",
        "write what it says into the file",
    ),
    ignored("accept_invalid_certificates", "the kubeconfig says how the cluster is reached"),
    ignored("use_proxy", "the environment says how the cluster is reached"),
    ignored("agent", PARTS),
    ignored("api", PARTS),
    ignored("baggage", PARTS),
    ignored("ci", PARTS),
    ignored("connect_agent_name", OLD_AGENT),
    ignored("connect_agent_port", OLD_AGENT),
    ignored("connect_tcp", PARTS),
    ignored("container", LOCAL),
    ignored("experimental", PARTS),
    ignored("external_proxy", PARTS),
    ignored("internal_proxy", PARTS),
    ignored("multi_cluster", PARTS),
    ignored("operator", PARTS),
    ignored("sip_binaries", LOCAL),
    ignored("skip_build_tools", LOCAL),
    ignored("skip_extra_build_tools", LOCAL),
    ignored("skip_processes", LOCAL),
    ignored("skip_sip", LOCAL),
    ignored("startup_retry", PARTS),
    ignored("telemetry", PARTS),
    ignored("traceparent", PARTS),
];

/// What is known of a key, if anything.
pub(super) fn find(path: &str) -> Option<&'static Known> {
    KEYS.iter().find(|known| known.path == path)
}

/// Whether keys below this one are known, and others therefore are not.
pub(super) fn has_members(path: &str) -> bool {
    KEYS.iter().any(|known| is_below(known.path, path))
}

/// The key that was probably meant: one of the same name elsewhere, else the most similar one beside it.
pub(super) fn nearest(path: &str) -> Option<&'static str> {
    let split = |path: &'static str| path.rsplit_once('.').unwrap_or(("", path));
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let beside = || KEYS.iter().map(|known| known.path).filter(|path| split(path).0 == parent);
    let same = |path: &&'static str| plain(split(path).1) == plain(name);
    let elsewhere = || KEYS.iter().map(|known| known.path).find(same);
    let slip = || {
        let last = similar(name, beside().map(|path| split(path).1))?;
        beside().find(|path| split(path).1 == last)
    };
    beside().find(same).or_else(elsewhere).or_else(slip)
}

fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.starts_with(['.', '[']))
}
