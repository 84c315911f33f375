//! How large an acknowledgement may be: the API server refuses an object that etcd does not take (1.5 MiB), of which
//! the table may be half, and an agent that is refused says nothing at all.

use byway_api::{NodeRoutesStatus, Refusal, RouteStatus};

/// Most failures that are told one by one.
const MOST_FAILURES: usize = 500;
/// Most bytes of all of it, if counts of requests are among them: those can wait, see [`super::word`].
const MOST_WITH_REQUESTS: usize = 640 << 10;
/// Most bytes of a message. One of the kernel's verifier has up to a mebibyte.
const MOST_MESSAGE: usize = 512;

/// The same, if it is larger than that in fewer words.
pub(crate) fn bounded(mut status: NodeRoutesStatus) -> NodeRoutesStatus {
    let mut room = MOST_FAILURES;
    for preview in &mut status.previews {
        match room.checked_sub(preview.failures.len()) {
            Some(rest) => room = rest,
            None => sum_up(preview),
        }
        preview.failures.iter_mut().for_each(|it| shorten(&mut it.message));
        preview.refused.iter_mut().for_each(|it| shorten(&mut it.message));
    }
    status.failure.iter_mut().for_each(|it| shorten(&mut it.message));
    if !status.requests.is_empty() && len(&status) > MOST_WITH_REQUESTS {
        status.requests.clear();
        status.more_requests = true;
    }
    status
}

fn len(status: &NodeRoutesStatus) -> usize {
    // Values that cannot fail to serialise.
    serde_json::to_vec(status).map_or(usize::MAX, |text| text.len())
}

/// A target that is not among the failures is live, so where not all of them are named the preview is refused as a
/// whole.
fn sum_up(preview: &mut RouteStatus) {
    let failures = std::mem::take(&mut preview.failures);
    let count = failures.len();
    preview.refused = failures.into_iter().next().map(|first| Refusal {
        revision: preview.revision.take().unwrap_or_default(),
        reason: first.reason,
        message: format!("it is not live on {count} pods here, too many to name: read the agent's log"),
    });
}

fn shorten(message: &mut String) {
    if message.len() > MOST_MESSAGE {
        message.truncate(message.floor_char_boundary(MOST_MESSAGE));
        message.push_str("... the rest is in the agent's log");
    }
}

#[cfg(test)]
mod tests {
    use byway_api::{Failure, PreviewRequests, TargetFailure};

    use super::*;

    fn preview(name: usize, failures: usize) -> RouteStatus {
        let failure = |target| TargetFailure {
            target: format!("some-team-{name:04}/some-deployment-5d4f8c7b9d-{target:05}"),
            reason: "AttachFailed".to_owned(),
            message: "é".repeat(10_000),
        };
        RouteStatus {
            name: format!("some-team-{name:04}/preview"),
            revision: Some("0123456789abcdef".to_owned()),
            refused: None,
            failures: (0..failures).map(failure).collect(),
        }
    }

    #[test]
    fn however_much_fails_it_can_be_said() {
        let previews = (0..1000).map(|n| preview(n, 110)).collect();
        let failure = Failure { reason: "NotPermitted".to_owned(), message: "x".repeat(1 << 20) };
        let one = PreviewRequests { preview: "some-team/preview".to_owned(), ..PreviewRequests::default() };
        let requests = vec![one; 10_000];
        let failure = Some(failure);
        let status = bounded(NodeRoutesStatus { previews, failure, requests, ..NodeRoutesStatus::default() });
        assert!(len(&status) < 700 << 10, "{}", len(&status));
        assert!(status.requests.is_empty() && status.more_requests, "what was said before stands");
        // Whoever has failures has not lost them all, and none is live where it is not.
        assert!(status.previews.iter().all(|it| it.refused.is_some() || it.failures.len() == 110));
        let (told, summed_up) = (&status.previews[0], &status.previews[999]);
        assert_eq!((told.revision.is_some(), told.failures.len()), (true, 110));
        assert!(told.failures[0].message.starts_with("éé"));
        let refused = summed_up.refused.as_ref().unwrap();
        assert_eq!((&*refused.reason, &*refused.revision), ("AttachFailed", "0123456789abcdef"));
        assert!(summed_up.revision.is_none() && refused.message.contains("110 pods"), "{}", refused.message);
    }

    #[test]
    fn what_is_small_stays_as_it_is() {
        let mut one = preview(1, 3);
        one.failures.iter_mut().for_each(|it| it.message.truncate(MOST_MESSAGE));
        let requests = vec![PreviewRequests { preview: "a/b".to_owned(), ..PreviewRequests::default() }];
        let status =
            NodeRoutesStatus { previews: vec![one, preview(2, 0)], requests, ..NodeRoutesStatus::default() };
        assert_eq!(bounded(status.clone()), status);
    }
}
