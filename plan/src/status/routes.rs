//! RoutesProgrammed: what the agents said, in a sentence.

use byway_api::conditions::reason;
use byway_api::{Mode, ways};

use super::acks::{Ack, Says};
use super::conditions::Verdict;
use super::seen::seen;
use crate::routes::Planned;
use crate::world::World;

/// Most nodes that a message names one by one.
const NAMED: usize = 5;

/// Where all is well.
pub(super) const fn programmed(mode: Mode) -> &'static str {
    match mode {
        Mode::Mirror => "what comes to every ready pod of the target is copied for the preview",
        Mode::Steal | Mode::Off => "every ready pod of the target steers keyed requests to the preview",
    }
}

pub(super) fn verdict(world: &World, mode: Mode, planned: Option<&Planned>, acks: &[Ack]) -> Verdict {
    let Some(planned) = planned else {
        return Verdict::unknown(reason::PENDING, "the routes wait for the clone");
    };
    if acks.is_empty() {
        return Verdict::no(
            reason::NO_TARGET_PODS,
            "the target has no ready pod, so there is nothing to steer: scale it up, or see why its pods are not ready",
        );
    }
    let done = acks.iter().filter(|it| it.is_programmed()).count();
    if done == acks.len() {
        let steers = programmed(mode).to_owned();
        let said: Vec<String> = std::iter::once(steers).chain(ways::ways(seen(world, planned))).collect();
        return Verdict::yes(reason::PROGRAMMED, said.join("; "));
    }
    let what = match mode {
        Mode::Mirror => "have their requests copied for the preview",
        Mode::Steal | Mode::Off => "steer keyed requests to the preview",
    };
    let counts = format!("{done} of {} pods of the target {what}", acks.len());
    let mut troubles: Vec<(&str, &str)> = acks.iter().filter_map(trouble).collect();
    troubles.dedup();
    let Some((code, _)) = troubles.first() else {
        return Verdict::no(reason::PROGRAMMING, format!("{counts}; waiting for the agents to acknowledge"));
    };
    let more = troubles.len().saturating_sub(NAMED);
    let mut said: Vec<&str> = troubles.iter().take(NAMED).map(|(_, message)| *message).collect();
    let rest = format!("and {more} more");
    if more > 0 {
        said.push(&rest);
    }
    Verdict::no(*code, format!("{counts}; {}", said.join("; ")))
}

fn trouble(ack: &Ack) -> Option<(&str, &str)> {
    match &ack.says {
        Says::Programmed | Says::Nothing => None,
        Says::Failed(code, message) => Some((code, message)),
        Says::Nobody(code, message) => Some((code, message)),
    }
}
