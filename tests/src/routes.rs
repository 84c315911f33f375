//! The document that tells an agent what to route, built step by step.

use std::net::IpAddr;
use std::path::Path;

use byway_api::{Backend, Environment, NodeTable, NodeTableFile, PreviewRoute, Target, Unkeyed};
use serde::{Serialize, Serializer};

use crate::Pod;

/// A [`NodeTableFile`] for the one node that there is.
#[derive(Clone, Debug, Default)]
pub struct Routes(pub NodeTable);

/// A preview in it.
#[derive(Clone, Debug)]
pub struct Preview(pub PreviewRoute);

impl Routes {
    /// The node's name in every document.
    pub const NODE: &str = "node-1";

    /// Routes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a preview; where two match, the one that was added first gets the request.
    #[must_use]
    pub fn preview(mut self, preview: Preview) -> Self {
        self.0.previews.push(preview.0);
        self
    }

    /// Steers `ports` of a pod, for the previews of these names.
    #[must_use]
    pub fn target(self, pod: &Pod, ports: &[u16], previews: &[&str]) -> Self {
        self.target_at(&pod.name, pod.netns(), &pod.ips(), ports, previews)
    }

    /// The same with every value given, also wrong ones.
    #[must_use]
    pub fn target_at(
        mut self,
        name: &str,
        netns: &Path,
        ips: &[IpAddr],
        ports: &[u16],
        previews: &[&str],
    ) -> Self {
        self.0.targets.push(Target {
            http2: Vec::new(),
            pod_uid: None,
            netns: Some(netns.to_owned()),
            name: name.to_owned(),
            ips: ips.to_vec(),
            ports: ports.to_vec(),
            previews: previews.iter().map(|&preview| preview.to_owned()).collect(),
            unkeyed: Unkeyed::App,
            armed: false,
        });
        self
    }

    /// Steers `ports` of a pod ahead of any preview.
    #[must_use]
    pub fn armed(self, pod: &Pod, ports: &[u16]) -> Self {
        let mut routes = self.target(pod, ports, &[]);
        routes.0.targets.iter_mut().filter(|it| it.name == pod.name).for_each(|it| it.armed = true);
        routes
    }

    /// Says that HTTP/2 is spoken on these ports of a target.
    #[must_use]
    pub fn speaking_http2(mut self, target: &Pod, ports: &[u16]) -> Self {
        let targets = self.0.targets.iter_mut().filter(|it| it.name == target.name);
        targets.for_each(|it| it.http2 = ports.to_vec());
        self
    }

    /// What these pods call belongs to the environment of `key`.
    ///
    /// # Panics
    ///
    /// When `key` is none.
    #[must_use]
    pub fn environment(mut self, key: &str, pods: &[&Pod]) -> Self {
        let ips = pods.iter().flat_map(|pod| pod.ips()).collect();
        self.0.environments.push(Environment { key: key.parse().expect("a key"), ips });
        self
    }

    /// The whole document. To write one that no controller would write, change its JSON.
    #[must_use]
    pub fn document(&self) -> NodeTableFile {
        NodeTableFile::new(Self::NODE, self.0.clone())
    }
}

impl Serialize for Routes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document().serialize(serializer)
    }
}

impl Preview {
    /// A preview without backends, keyed by the default carriers.
    #[must_use]
    pub fn new(name: &str, key: &str) -> Self {
        Self(PreviewRoute::new(name, "1", key))
    }

    /// Adds a pod that answers for it.
    #[must_use]
    pub fn backend(mut self, pod: &Pod) -> Self {
        self.0.backends.push(Backend { name: Some(pod.name.clone()), ips: pod.ips().to_vec() });
        self
    }

    /// Changes anything else, say `|p| p.on_unreachable = OnUnreachable::Stable`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut PreviewRoute)) -> Self {
        change(&mut self.0);
        self
    }
}
