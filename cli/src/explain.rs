//! Why a request may not have reached a preview, from what is known of it: a function of values.

use byway_api::{
    Mirrored, Mode, NodeRoutes, OnUnreachable, Preview, PreviewStatus, RequestCounts, RouteCounts,
    conditions, loss,
};
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde::Serialize;

use crate::fix::{fix, fix_of};
use crate::reach::Reach;
use crate::warnings::warnings;
use crate::words::{self, count};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Weight {
    /// No request reaches the preview, or not through every pod.
    Broken,
    /// Some requests do not.
    Some,
    /// What has to be right in the request.
    Check,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// A stable word.
    pub reason: String,
    /// What is.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    fn new(weight: Weight, reason: &str, message: impl Into<String>) -> Self {
        Self {
            weight,
            reason: reason.to_owned(),
            message: message.into(),
            fix: fix(reason).map(str::to_owned),
        }
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// All of them, what matters most first. `nodes` is none where they cannot be read.
#[must_use]
pub fn findings(preview: &Preview, nodes: Option<&[NodeRoutes]>, now: Timestamp) -> Vec<Finding> {
    let mut found = ended(preview, now);
    if found.is_empty() {
        found.extend(not_ready(preview));
        found.extend(not_counted(preview));
        found.extend(warned(preview));
        for node in nodes.unwrap_or_default() {
            found.extend(of_node(preview, node));
        }
    }
    found.extend(of_the_request(preview));
    for finding in found.iter_mut().filter(|it| it.fix.as_deref() == fix(&it.reason)) {
        finding.fix = fix_of(&finding.reason, preview);
    }
    found.sort_by_key(|it| it.weight);
    found.dedup();
    found
}

fn ended(preview: &Preview, now: Timestamp) -> Vec<Finding> {
    if preview.metadata.deletion_timestamp.is_some() {
        return vec![Finding::new(Weight::Broken, "Deleted", "it is being deleted").fix("start it again")];
    }
    if words::state(preview, now) == "expired" {
        let at = preview.status.as_ref().and_then(|it| it.expires_at.as_ref());
        let at = at.map(|it| format!(" at {}", it.0)).unwrap_or_default();
        return vec![Finding::new(Weight::Broken, "Expired", format!("it ended{at}"))];
    }
    Vec::new()
}

fn not_ready(preview: &Preview) -> Vec<Finding> {
    if preview.status.is_none() {
        return vec![Finding::new(
            Weight::Broken,
            conditions::reason::PENDING,
            "no controller has looked at it yet",
        )];
    }
    let generation = preview.metadata.generation.unwrap_or_default();
    let mut found = Vec::new();
    if !words::is_about(preview, generation) {
        let message = "its status is about an older spec: no controller has looked at the newest one yet";
        found.push(Finding::new(Weight::Some, conditions::reason::PENDING, message));
    }
    let all = [conditions::TARGET_RESOLVED, conditions::PODS_READY, conditions::ROUTES_PROGRAMMED];
    let troubled = all
        .into_iter()
        .filter_map(|type_| words::condition(preview, type_).filter(|it| it.status == "False"));
    for it in troubled {
        let message = format!("{} is False: {}", it.type_, it.message);
        let finding = Finding::new(Weight::Broken, &it.reason, message);
        // Of a Preview that has no part in it, all conditions say the same.
        if !found.iter().any(|other: &Finding| other.reason == finding.reason) {
            found.push(finding);
        }
    }
    found
}

/// What numbers in the status tell that no condition does, since it is not wrong.
fn not_counted(preview: &Preview) -> Vec<Finding> {
    let mut found = Vec::new();
    if preview.spec.incoming.mode == Mode::Off {
        found.push(Finding::new(Weight::Broken, "Off", "incoming.mode is off: no request is steered to it"));
    }
    let status = preview.status.clone().unwrap_or_default();
    found.extend(of_the_traffic(preview, &status));
    if let Some(RouteCounts { programmed, wanted }) = status.routes.filter(|it| it.programmed < it.wanted) {
        let message = format!(
            "{programmed} of the target's {wanted} pods steer requests to it: what reaches the others goes to the app"
        );
        found.push(Finding::new(Weight::Some, "Programming", message));
    }
    if !status.pods.is_empty()
        && !status.pods.iter().any(|it| it.routed)
        && preview.spec.incoming.mode != Mode::Off
    {
        let message =
            "no request is sent to any of its pods: keyed ones are answered as incoming.onUnreachable says";
        let place = words::place(preview);
        let fix = format!("see `kubectl preview status {place}` and `kubectl preview logs {place}`");
        found.push(Finding::new(Weight::Some, "NotRouted", message).fix(fix));
    }
    found
}

/// What has come, and what became of it.
fn of_the_traffic(preview: &Preview, status: &PreviewStatus) -> Vec<Finding> {
    let mut found = Vec::new();
    // Of what was missed the warning `OldConnections` tells, with what to do.
    let RequestCounts {
        requests,
        unreachable,
        overlapped,
        by_origin,
        missed: _,
        narrowed,
        mirrored,
        ref lost,
    } = status.traffic;
    if preview.spec.incoming.mode == Mode::Mirror {
        return of_the_copies(mirrored);
    }
    found.extend(lost.iter().map(|(code, n)| of_the_lost(code, *n)));
    if overlapped > 0 {
        let requests = count(overlapped, "request");
        let message = format!("{requests} matched it, but went to another preview, which comes first");
        let fix = "give one of them another key, or matches that do not overlap";
        found.push(Finding::new(Weight::Some, "Overlapped", message).fix(fix));
    }
    if narrowed > 0 {
        let requests = count(narrowed, "request");
        let message =
            format!("{requests} had its key, but its match asks for another path, method or header");
        let fix = "send what incoming.match asks for, or take out of it what need not be";
        // Where others reach it, that is what a match is for.
        let weight = if status.traffic.requests == 0 { Weight::Some } else { Weight::Check };
        found.push(Finding::new(weight, "Narrowed", message).fix(fix));
    }
    if unreachable > 0 {
        let who = match preview.spec.incoming.on_unreachable {
            OnUnreachable::Error => "got the answer 502",
            OnUnreachable::Stable => "got an answer of the app",
        };
        let requests = count(unreachable, "request");
        let message = format!("{requests} {who}, since none of its pods could be reached or answered");
        let place = words::place(preview);
        let fix = format!(
            "see `kubectl preview status {place}` and `kubectl preview logs {place}`: do its pods serve these ports, and do NetworkPolicies let agents in? The text of a 502 says what was wrong"
        );
        found.push(Finding::new(Weight::Some, "Unreached", message).fix(fix));
    }
    let last =
        status.last_request_time.as_ref().map(|it| format!(", the last at {}", it.0)).unwrap_or_default();
    let message = match requests + by_origin {
        0 => "no request with its key has come yet, as far as the agents have told".to_owned(),
        all => format!("at least {} reached it{last}", count(all, "request")),
    };
    found.push(Finding { fix: None, ..Finding::new(Weight::Check, "Traffic", message) });
    found
}

/// What a preview was shown.
fn of_the_copies(Mirrored { sent, dropped, status_differs }: Mirrored) -> Vec<Finding> {
    let mut found = Vec::new();
    if dropped > 0 {
        let requests = count(dropped, "request");
        let message = format!("{requests} could not be copied, or the preview did not answer within 10 s");
        let fix =
            "lower incoming.sample, or give the preview more replicas: it is shown what it keeps up with";
        let weight = if sent == 0 { Weight::Some } else { Weight::Check };
        found.push(Finding::new(weight, "CopiesDropped", message).fix(fix));
    }
    let message = match (sent, status_differs) {
        (0, _) => "no copy has been answered yet, as far as the agents have told".to_owned(),
        (_, 0) => {
            format!("at least {} answered, none with another status than the app's", count(sent, "copy"))
        }
        _ => format!(
            "at least {} answered, {status_differs} with another status than the app's",
            count(sent, "copy")
        ),
    };
    found.push(Finding { fix: None, ..Finding::new(Weight::Check, "Traffic", message) });
    found
}

/// What went to the app for one reason.
fn of_the_lost(code: &str, lost: u64) -> Finding {
    let requests = count(lost, "request");
    let (why, fix) = match loss(code) {
        Some(it) => (format!("since {}", it.why), it.fix),
        None => ("for a reason that this version does not know".to_owned(), "upgrade kubectl preview"),
    };
    let message = format!("{requests} with its key went to the app, {why} ({code})");
    Finding::new(Weight::Some, conditions::reason::REQUESTS_LOST, message).fix(fix)
}

/// What was lost is told by reason.
fn warned(preview: &Preview) -> impl Iterator<Item = Finding> {
    let told = warnings(preview).into_iter().filter(|it| it.reason != conditions::reason::REQUESTS_LOST);
    told.map(|it| Finding::new(weight_of(&it.reason), &it.reason, it.message))
}

/// Of a warning: most have nothing to do with requests.
fn weight_of(reason: &str) -> Weight {
    match reason {
        "TrafficNotMatched"
        | "ConnectionsPassedOn"
        | "NothingListens"
        | "NetworkPolicyLost"
        | "NotSteered" => Weight::Some,
        _ => Weight::Check,
    }
}

/// What an agent says.
fn of_node(preview: &Preview, node: &NodeRoutes) -> Vec<Finding> {
    let full = words::full_name(preview);
    let name = node.name_any();
    let mut found = Vec::new();
    let table = match node.spec.read() {
        Ok(table) => table,
        Err(error) => {
            let message = format!("the routes of node {name} cannot be read by this version: {error}");
            return vec![Finding::new(Weight::Check, "BadDocument", message)];
        }
    };
    let targets: Vec<&str> =
        table.targets.iter().filter(|it| it.previews.contains(&full)).map(|it| it.name.as_str()).collect();
    let Some(status) = &node.status else {
        if !targets.is_empty() {
            let message = format!(
                "the agent of node {name} has said nothing yet: requests to pods there go to the app"
            );
            found.push(Finding::new(Weight::Some, "Programming", message));
        }
        return found;
    };
    if targets.is_empty() {
        return found;
    }
    if let Some(failure) = &status.failure {
        found.push(Finding::new(Weight::Some, &failure.reason, format!("node {name}: {}", failure.message)));
    }
    for route in status.previews.iter().filter(|it| it.name == full) {
        if let Some(refused) = &route.refused {
            found.push(Finding::new(
                Weight::Broken,
                &refused.reason,
                format!("the agent of node {name} refuses it: {}", refused.message),
            ));
        }
        for failure in &route.failures {
            found.push(Finding::new(
                Weight::Some,
                &failure.reason,
                format!("{} on node {name}: {}", failure.target, failure.message),
            ));
        }
    }
    for seen in status.targets.iter().filter(|it| targets.contains(&it.target.as_str())) {
        for (count, what) in [(seen.tls, "TLS"), (seen.http2, "HTTP/2 that the app does not speak")] {
            if count > 0 {
                let message = format!(
                    "{} with {what} arrived at {} on node {name}, in which no header can be read: that went to the app",
                    words::count(count, "connection"),
                    seen.target
                );
                found.push(Finding::new(Weight::Some, "TrafficNotMatched", message));
            }
        }
        let status_ports = preview.status.as_ref().map(|it| it.ports.as_slice()).unwrap_or_default();
        for port in seen.not_listening.iter().filter(|it| status_ports.contains(it)) {
            let message = format!("nothing listens on port {port} of {} on node {name}", seen.target);
            found.push(Finding::new(Weight::Some, "NothingListens", message));
        }
    }
    found
}

/// What no status can tell: how the request looked, and how it came.
fn of_the_request(preview: &Preview) -> Vec<Finding> {
    let Some(key) = words::key_of(preview) else { return Vec::new() };
    let reach = Reach::of(&preview.spec, &key);
    let mut found = Vec::new();
    match &reach {
        Reach::Nothing => return found,
        Reach::Copies => {
            let message = "the app answers all requests, keyed or not; the preview is shown copies of GET and HEAD, or of what its match says, and of the connections that incoming.sample takes";
            return vec![Finding::new(Weight::Check, "Mirrored", message)];
        }
        Reach::Match(words) => {
            found.push(Finding::new(
                Weight::Check,
                "NotKeyed",
                format!("only requests like these reach it: {words}"),
            ));
        }
        Reach::Default => {
            let message = format!(
                "a request needs the whole key {key}, in upper and lower case as it is, in the header x-byway-key, a baggage member or a cookie byway-key"
            );
            let line = reach.curl(&key, "URL").unwrap_or_default();
            found.push(
                Finding::new(Weight::Check, "NotKeyed", message)
                    .fix(format!("try it: {line}; an answer of the preview has the header x-byway-preview")),
            );
        }
        Reach::Headers { headers, more } => {
            let more = more.as_ref().map(|it| format!(", and more than that: {it}")).unwrap_or_default();
            let message = format!(
                "a request needs {}{more}; other carriers of the key do not count",
                headers.join(" and ")
            );
            let line = reach.curl(&key, "URL").unwrap_or_default();
            found.push(
                Finding::new(Weight::Check, "NotKeyed", message)
                    .fix(format!("try it: {line}; an answer of the preview has the header x-byway-preview")),
            );
        }
    }
    let ports = preview.status.as_ref().map(|it| it.ports.clone()).unwrap_or_default();
    if !ports.is_empty() {
        let list: Vec<String> = ports.iter().map(ToString::to_string).collect();
        let message = match &list[..] {
            [one] => format!("only the port {one} of the pods is steered"),
            several => format!("only the ports {} of the pods are steered", several.join(", ")),
        };
        found.push(
            Finding::new(Weight::Check, "OtherPort", message)
                .fix("name others with --port or spec.incoming.ports"),
        );
    }
    if preview.spec.target.is_some() {
        let message = "connections that were open before the preview was started stay with the app, and a gateway or client with a pool goes on using them";
        found.push(
            Finding::new(Weight::Check, "OldConnection", message)
                .fix("restart the client, or wait until its pool opens new connections"),
        );
        let message = "a service between the user and the target has to pass the key on";
        found.push(Finding::new(Weight::Check, "NotPropagated", message).fix("docs/propagation.md says how"));
    }
    found
}

#[cfg(test)]
mod tests;
