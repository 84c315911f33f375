//! What agents see on the targets of a Preview.

use byway_api::TargetTraffic;

use crate::routes::Planned;
use crate::world::World;

/// Of each target that is wanted, as far as its agent has said something.
pub(super) fn seen<'a>(world: &'a World, planned: &'a Planned) -> impl Iterator<Item = &'a TargetTraffic> {
    planned.wanted.iter().filter_map(|wanted| {
        let targets = &world.node_routes.get(&wanted.node)?.status.targets;
        targets.iter().find(|it| it.target == wanted.target)
    })
}
