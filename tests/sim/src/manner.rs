//! How pods shall behave.

use std::time::Duration;

use jiff::Timestamp;

use crate::pod::PodView;

/// Which pods.
#[derive(Clone, Debug, Default)]
pub struct Pods {
    namespace: Option<String>,
    name: Option<String>,
    image: Option<String>,
}

impl Pods {
    /// Those that run this image.
    #[must_use]
    pub fn of_image(image: &str) -> Self {
        Self { image: Some(image.to_owned()), ..Self::default() }
    }

    /// Those whose names start so.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..Self::default() }
    }

    /// Only those of a namespace.
    #[must_use]
    pub fn of_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    fn has(&self, pod: &PodView) -> bool {
        let is = |wanted: &Option<String>, found: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(found);
        is(&self.namespace, &|it| pod.metadata.namespace.as_deref() == Some(it))
            && is(&self.name, &|it| pod.metadata.name.as_deref().is_some_and(|name| name.starts_with(it)))
            && is(&self.image, &|it| pod.spec.containers.iter().any(|container| container.image == it))
    }
}

/// What a pod does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Does {
    /// It runs, and its containers are ready so long after it was bound.
    RunsAfter(Duration),
    /// It runs, and its containers are not ready.
    IsNotReady,
    /// No node takes it.
    IsUnschedulable,
    /// The scheduler does not even try it, as where a ResourceClaim of it is missing.
    IsNotTried,
    /// Its image cannot be pulled.
    ImagePullFails,
    /// Its container ends again and again.
    CrashLoops,
    /// Its container cannot be created for want of a Secret.
    LacksSecret,
    /// It runs, and needs so long to end.
    EndsAfter(Duration),
    /// Its container is started again: it runs since then.
    RestartedAt(Timestamp),
}

/// All that is said of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) does: Does,
    pub(crate) ends_after: Duration,
    pub(crate) restarted: Option<Timestamp>,
    /// Its node is: nothing happens there, and its pods are not ready.
    pub(crate) is_dead: bool,
}

impl Default for Manner {
    fn default() -> Self {
        let does = Does::RunsAfter(Duration::ZERO);
        Self { does, ends_after: Duration::ZERO, restarted: None, is_dead: false }
    }
}

/// What was said, in its order.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<(Pods, Does)>,
    pub(crate) dead: Vec<String>,
    pub(crate) cordoned: Vec<String>,
}

impl Rules {
    pub(crate) fn say(&mut self, pods: Pods, does: Does) {
        self.rules.push((pods, does));
    }

    /// What was said last counts.
    pub(crate) fn of(&self, pod: &PodView) -> Manner {
        let mut manner = Manner::default();
        for (_, does) in self.rules.iter().filter(|(pods, _)| pods.has(pod)) {
            match does {
                Does::EndsAfter(time) => manner.ends_after = *time,
                Does::RestartedAt(time) => manner.restarted = Some(*time),
                does => manner.does = does.clone(),
            }
        }
        let node = pod.spec.node_name.as_deref();
        manner.is_dead = self.dead.iter().any(|dead| Some(dead.as_str()) == node);
        manner
    }
}
