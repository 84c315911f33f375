//! Lines of `/proc/PID/cgroup` as kubelets of all kinds leave them.

use super::{Processes, pods_of};

const UID: &str = "2b6e5c1a-7f0d-4f5e-9a63-1c2d3e4f5a6b";
const STATIC: &str = "4f2a1e6d9c0b7a8f3e5d1c2b4a697883";

fn pods(cgroups: &str) -> Vec<String> {
    let mut found: Vec<String> = pods_of(cgroups).collect();
    found.dedup();
    found
}

#[test]
fn every_driver_and_hierarchy() {
    let id = "9c1f0d6f3b5f4c7f8a5f9d7e6b1a2c3d4e5f60718293a4b5c6d7e8f901234567";
    let escaped = UID.replace('-', "_");
    for (what, line) in [
        (
            "containerd, systemd, v2",
            format!(
                "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{escaped}.slice/cri-containerd-{id}.scope"
            ),
        ),
        (
            "containerd, systemd, v2, guaranteed",
            format!("0::/kubepods.slice/kubepods-pod{escaped}.slice/cri-containerd-{id}.scope"),
        ),
        ("containerd, cgroupfs, v2", format!("0::/kubepods/besteffort/pod{UID}/{id}")),
        ("containerd, cgroupfs, v2, guaranteed", format!("0::/kubepods/pod{UID}/{id}")),
        (
            "CRI-O, systemd, v2",
            format!(
                "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{escaped}.slice/crio-{id}.scope"
            ),
        ),
        (
            "CRI-O, systemd, v2, with a cgroup of its own",
            format!(
                "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{escaped}.slice/crio-{id}.scope/container"
            ),
        ),
        (
            "CRI-O's conmon",
            format!(
                "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{escaped}.slice/crio-conmon-{id}.scope"
            ),
        ),
        (
            "containerd, systemd, in its own slice",
            format!(
                "0::/system.slice/containerd.service/kubepods-burstable-pod{escaped}.slice:cri-containerd:{id}"
            ),
        ),
        (
            "a node made of a container",
            format!(
                "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{escaped}.slice/cri-containerd-{id}.scope"
            ),
        ),
        (
            "seen from another cgroup namespace",
            format!("0::/../../kubepods.slice/kubepods-pod{escaped}.slice/cri-containerd-{id}.scope"),
        ),
        (
            "cgroupfs, v1",
            format!(
                "11:memory:/kubepods/burstable/pod{UID}/{id}\n10:cpu,cpuacct:/kubepods/burstable/pod{UID}/{id}\n1:name=systemd:/kubepods/burstable/pod{UID}/{id}"
            ),
        ),
        (
            "systemd, v1",
            format!(
                "12:cpuset:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{escaped}.slice/cri-containerd-{id}.scope\n1:name=systemd:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{escaped}.slice/cri-containerd-{id}.scope"
            ),
        ),
        ("hybrid", format!("4:memory:/kubepods/besteffort/pod{UID}/{id}\n0::/")),
        ("a named hierarchy with a colon", format!("1:name=a:/kubepods/pod{UID}/{id}:x")),
    ] {
        assert_eq!(pods(&line), [UID], "{what}: {line}");
    }
}

#[test]
fn static_pods_have_another_kind_of_uid() {
    assert_eq!(pods(&format!("0::/kubepods/burstable/pod{STATIC}/abc")), [STATIC]);
    let slice = format!(
        "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC}.slice/cri-containerd-a.scope"
    );
    assert_eq!(pods(&slice), [STATIC]);
}

#[test]
fn what_is_no_pod() {
    for line in [
        "0::/",
        "0::/init.scope",
        "0::/system.slice/podman.service",
        "0::/machine.slice/libpod-0123456789abcdef.scope",
        "0::/kubepods.slice/kubepods-burstable.slice",
        "0::/user.slice/pods/podium",
        "nonsense",
        "",
    ] {
        assert_eq!(pods(line), [""; 0], "{line}");
    }
}

#[test]
fn a_node_within_a_pod() {
    let inner = "11111111-2222-3333-4444-555555555555";
    assert_eq!(pods(&format!("0::/kubepods/pod{UID}/abc/kubepods/pod{inner}/def")), [UID, inner]);
}

#[test]
fn a_uid_is_whole() {
    let line = |uid: &str| format!("0::/kubepods/pod{uid}/abc");
    let longer = format!("{UID}0");
    let processes = Processes::collect([(7, line(UID)), (8, line(&longer)), (9, line(UID))].into_iter());
    assert_eq!(processes.of_pod(UID), [7, 9]);
    assert_eq!(processes.of_pod(&longer), [8]);
    assert_eq!(processes.of_pod("other"), [0; 0]);
}
