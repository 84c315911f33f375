//! Which pods of a preview get its requests.

use crate::rows::PreviewPodRow;
use crate::standing::Standing;
use crate::world::World;

/// The pods of the newest revision whose containers are ready; while it has none, those of the one before.
pub(super) fn choose<'a>(
    world: &World,
    standing: &Standing,
    pods: &[&'a PreviewPodRow],
) -> Vec<&'a PreviewPodRow> {
    let can_serve =
        |it: &&&PreviewPodRow| it.containers_ready && !it.pod.terminating && !it.pod.ips.is_empty();
    let serving: Vec<&PreviewPodRow> = pods.iter().filter(can_serve).copied().collect();
    let wanted = world.clones.get(&standing.uid).and_then(|it| it.revision());
    let revision = serving
        .iter()
        .find(|it| wanted == Some(&*it.revision))
        .or_else(|| newest(&serving))
        .map(|it| it.revision.clone());
    serving.into_iter().filter(|it| Some(&it.revision) == revision.as_ref()).collect()
}

/// The pod that was created last.
fn newest<'a, 'b>(pods: &'b [&'a PreviewPodRow]) -> Option<&'b &'a PreviewPodRow> {
    pods.iter().max_by_key(|it| (it.created, it.pod.uid.clone()))
}
