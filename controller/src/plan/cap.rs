//! An object of the API server has a size, so a node's routes have one too.

use byway_api::NodeRoutesSpec;

/// Most bytes of a spec. etcd takes 1.5 MiB, and managed fields and the status need room as well.
const MOST: usize = 1 << 20;

/// Leaves out previews, the newest first, until the rest fits; and their names.
pub(super) fn cap(mut spec: NodeRoutesSpec) -> (NodeRoutesSpec, Vec<String>) {
    let mut out = Vec::new();
    while size(&spec) > MOST
        && let Some(last) = spec.previews.pop()
    {
        for target in &mut spec.targets {
            target.previews.retain(|name| *name != last.name);
        }
        spec.targets.retain(|target| target.armed || !target.previews.is_empty());
        out.push(last.name);
    }
    (spec, out)
}

/// Bytes of its JSON, or an upper bound where that is far from the limit: counting is quicker than writing.
fn size(spec: &NodeRoutesSpec) -> usize {
    const PREVIEW: usize = 8 << 10;
    const NAME: usize = 1 << 9;
    let names: usize = spec.targets.iter().map(|it| it.previews.len() + 2).sum();
    let rough = spec.previews.len() * PREVIEW + names * NAME;
    // The size of a match has no such bound.
    if rough <= MOST && spec.previews.iter().all(|it| it.match_.is_none()) {
        return rough;
    }
    serde_json::to_vec(spec).map_or(usize::MAX, |json| json.len())
}
