//! Which processes belong to which pod: `/proc/PID/cgroup`, cgroups(7).
//!
//! kubelet names a pod's cgroup after its UID: `pod<UID>` with the cgroupfs driver, a slice that ends so with the
//! systemd driver, which writes `-` in a UID as `_`. In hybrid hierarchies a process has a line for each.

use std::{collections::HashMap, fs};

#[cfg(test)]
mod tests;

/// The processes of all pods, as of one look at `/proc`.
#[derive(Debug, Default)]
pub(crate) struct Processes(HashMap<String, Vec<u32>>);

impl Processes {
    /// Looks at every process: a few microseconds each.
    pub(crate) fn scan() -> Self {
        let ids = fs::read_dir("/proc").into_iter().flatten();
        let mut ids: Vec<u32> = ids.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect();
        ids.sort_unstable();
        Self::collect(ids.into_iter().filter_map(|pid| {
            // Who has ended meanwhile has none.
            fs::read_to_string(format!("/proc/{pid}/cgroup")).ok().map(|cgroups| (pid, cgroups))
        }))
    }

    fn collect(processes: impl Iterator<Item = (u32, String)>) -> Self {
        let mut of_pods: HashMap<String, Vec<u32>> = HashMap::new();
        for (pid, cgroups) in processes {
            for uid in pods_of(&cgroups) {
                let of_pod = of_pods.entry(uid).or_default();
                if of_pod.last() != Some(&pid) {
                    of_pod.push(pid);
                }
            }
        }
        Self(of_pods)
    }

    /// Those of a pod, the lowest first: mostly the one that holds the pod's namespaces.
    pub(super) fn of_pod(&self, uid: &str) -> &[u32] {
        self.0.get(uid).map_or(&[], Vec::as_slice)
    }
}

/// The UIDs of the pods that a process belongs to: more than one where a node runs in a pod.
fn pods_of(cgroups: &str) -> impl Iterator<Item = String> {
    let paths = cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    // containerd that is told a slice, and has not been told of systemd, makes a folder `SLICE:cri-containerd:ID`.
    paths.flat_map(|path| path.split(['/', ':'])).filter_map(pod_of)
}

/// The UID in one part of a cgroup's path. A static pod's is 32 hexadecimal digits.
fn pod_of(part: &str) -> Option<String> {
    let uid = match part.strip_suffix(".slice") {
        // `kubepods-burstable-podUID.slice`, on some distributions below another prefix.
        Some(slice) => slice.rsplit_once("-pod").map(|(_, uid)| uid.replace('_', "-"))?,
        None => part.strip_prefix("pod")?.to_owned(),
    };
    let is_uid = uid.len() >= 8 && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_uid.then_some(uid)
}
