//! Whether Byway works in this cluster, asked from outside of what it is made of: for `helm test`.

use std::time::{Duration, Instant};

use byway_api::{NodeRoutes, Preview, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use crate::uninstall::CONTROLLER;
use crate::write::is_gone;

#[cfg(test)]
mod tests;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[error("Byway does not work here:{}", .0.iter().map(|one| format!("\n  {one}")).collect::<String>())]
pub struct Faults(Vec<String>);

/// Looks until all is well.
///
/// # Errors
///
/// When something is still wrong after `patience`.
pub async fn run(client: Client, namespace: &str, patience: Duration) -> Result<(), Faults> {
    let until = Instant::now() + patience;
    loop {
        let faults = faults(&client, namespace).await;
        if faults.is_empty() {
            tracing::info!("the kinds are served, a controller leads, and every agent is ready");
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Faults(faults));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn faults(client: &Client, namespace: &str) -> Vec<String> {
    let few = ListParams::default().limit(1);
    let mut faults = Vec::new();
    let previews = Api::<Preview>::all(client.clone()).list_metadata(&few).await;
    faults.extend(of_kind("previews.byway.dev", previews.err()));
    let routes = Api::<NodeRoutes>::all(client.clone()).list_metadata(&few).await;
    faults.extend(of_kind("noderoutes.byway.dev", routes.err()));

    match Api::<Deployment>::namespaced(client.clone(), namespace).get(CONTROLLER).await {
        Ok(controller) => faults.extend(of_controller(&controller)),
        Err(error) => faults.push(format!("the Deployment {CONTROLLER} cannot be read: {error}")),
    }
    match Api::<Lease>::namespaced(client.clone(), namespace).get(CONTROLLER).await {
        Ok(lease) => faults.extend(of_lease(&lease, Timestamp::now())),
        Err(error) => faults.push(format!("no controller has led yet: {error}")),
    }
    let agent = names::AGENT_COMPONENT;
    match Api::<DaemonSet>::namespaced(client.clone(), namespace).get(agent).await {
        Ok(agents) => {
            let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
            let label = format!("{}={agent}", names::COMPONENT_LABEL);
            let pods = pods.list(&ListParams::default().labels(&label)).await;
            faults.extend(of_agents(&agents, &pods.map(|list| list.items).unwrap_or_default()));
        }
        Err(error) => faults.push(format!("the DaemonSet {agent} cannot be read: {error}")),
    }
    faults
}

fn of_kind(name: &str, error: Option<kube::Error>) -> Option<String> {
    let error = error?;
    Some(if is_gone(&error) {
        format!("{name} is not served: install the chart with crds.enabled, or apply its CRDs")
    } else {
        format!("{name} cannot be listed: {error}")
    })
}

fn of_controller(controller: &Deployment) -> Option<String> {
    let wanted = controller.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let available = controller.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0);
    (available < wanted.max(1)).then(|| {
        format!("{available} of {wanted} controllers are available: see their pods' events and logs")
    })
}

fn of_lease(lease: &Lease, now: Timestamp) -> Option<String> {
    let spec = lease.spec.as_ref()?;
    let lives = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or(0).into());
    let end =
        spec.renew_time.as_ref().map(|renewed| renewed.0.saturating_add(lives).unwrap_or(Timestamp::MAX));
    let held = spec.holder_identity.as_ref().is_some_and(|holder| !holder.is_empty());
    let leads = held && end.is_some_and(|end| end > now);
    (!leads).then(|| "no controller leads: see the controllers' logs".to_owned())
}

fn of_agents(agents: &DaemonSet, pods: &[Pod]) -> Vec<String> {
    let status = agents.status.clone().unwrap_or_default();
    if status.observed_generation.unwrap_or(0) < agents.metadata.generation.unwrap_or(0) {
        return vec!["the agents are just being changed".to_owned()];
    }
    if status.desired_number_scheduled == 0 {
        return vec!["no node is to have an agent: see agent.nodeSelector and agent.affinity".to_owned()];
    }
    let mut faults = Vec::new();
    if status.number_ready < status.desired_number_scheduled {
        let (ready, wanted) = (status.number_ready, status.desired_number_scheduled);
        faults.push(format!("{ready} of {wanted} agents are ready"));
        faults.extend(pods.iter().filter_map(unready));
    }
    let updated = status.updated_number_scheduled.unwrap_or(0);
    if updated < status.desired_number_scheduled {
        faults.push(format!("{updated} agents are of this version: an update is under way"));
    }
    faults
}

/// Where an agent is not ready, and what its pod says about it.
fn unready(pod: &Pod) -> Option<String> {
    let status = pod.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    if conditions.iter().any(|it| it.type_ == "Ready" && it.status == "True") {
        return None;
    }
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("no node yet");
    let mut containers = status.container_statuses.iter().flatten();
    let waits = containers.find_map(|it| it.state.as_ref()?.waiting.as_ref()?.reason.clone());
    let said = || conditions.iter().find(|it| it.status == "False").and_then(|it| it.message.clone());
    let why = waits.or_else(said).unwrap_or_else(|| "it starts".to_owned());
    Some(format!("{node}: {}: {why}", pod.name_any()))
}
