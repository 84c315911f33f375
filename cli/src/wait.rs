//! Waits for what a Preview shall become: ready, or gone.

use std::pin::pin;
use std::time::Duration;

use byway_api::{Preview, conditions};
use futures::StreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Config, Event as Seen, watcher};
use kube::{Api, ResourceExt as _};
use tokio::time::Instant;

use crate::client::{failure, watch_failure};
use crate::events::{Event, Step};
use crate::exit::{Exit, Failure};
use crate::fix::fix_of;
use crate::progress::Progress;
use crate::{pods, words};

/// So long a failure must last before it counts: the first pull of an image may fail, and the next one not.
const GRACE: Duration = Duration::from_secs(5);
/// The same of a target that is not there: it may come a moment later, out of the same `kubectl apply`.
const TARGET: Duration = Duration::from_secs(15);
/// So long it must stay ready: a container without a readiness probe is ready the moment that it starts, also one that
/// ends the next.
const SETTLE: Duration = Duration::from_secs(1);
/// Between looks at what is being deleted.
const PAUSE: Duration = Duration::from_millis(300);

/// Why it is not ready, and how it looked last.
#[derive(Debug)]
pub struct NotReady {
    /// What to say.
    pub failure: Failure,
    /// As it was seen last.
    pub last: Preview,
}

/// How a Preview becomes ready.
const STEPS: [(&str, Step); 3] = [
    (conditions::TARGET_RESOLVED, Step::Cloned),
    (conditions::PODS_READY, Step::PodsReady),
    (conditions::ROUTES_PROGRAMMED, Step::Routed),
];

/// How many of the steps have been told of one generation of a Preview.
#[derive(Debug, Default)]
struct Told(usize);

/// What a look at a Preview says.
#[derive(Debug, PartialEq)]
enum Verdict {
    Ready,
    Waiting,
    /// Waiting will not help: reason and message.
    Failing(String, String),
}

/// Waits until this generation of a Preview is ready.
///
/// # Errors
///
/// When it is not in time, has failed, is deleted, or cannot be watched.
pub async fn ready(
    api: &Api<Preview>,
    preview: Preview,
    timeout: Duration,
    progress: &mut Progress,
) -> Result<Preview, Box<NotReady>> {
    let (name, uid) = (preview.name_any(), preview.uid());
    let generation = preview.metadata.generation.unwrap_or_default();
    let deadline = Instant::now() + timeout;
    let (mut last, mut told) = (preview, Told::default());
    let (mut failing, mut ready): (Option<Instant>, Option<Instant>) = (None, None);
    let only = Config::default().fields(&format!("metadata.name={name}"));
    let mut seen = pin!(watcher(api.clone(), only).default_backoff());
    let mut is_there = true;
    progress.tell(&Event::waiting(&last));
    loop {
        let ends = [failing.map(|since| since + grace(&last)), ready.map(|since| since + SETTLE)];
        let until = ends.into_iter().flatten().fold(deadline, Instant::min);
        let event = tokio::select! {
            event = seen.next() => event,
            () = tokio::time::sleep_until(until) => {
                let failure = match judge(&last, generation) {
                    Verdict::Ready => return Ok(last),
                    Verdict::Failing(reason, message) => has_failed(&last, &reason, message),
                    _ => not_in_time(&last, timeout),
                };
                return Err(Box::new(NotReady { failure, last }));
            }
        };
        match event {
            Some(Ok(Seen::Apply(now) | Seen::InitApply(now))) if now.uid() == uid => {
                is_there = true;
                last = now;
            }
            Some(Ok(Seen::Init)) => {
                is_there = false;
                continue;
            }
            Some(Ok(Seen::InitDone)) if is_there => continue,
            Some(Ok(_)) | None => {
                let failure = Failure::new(
                    Exit::NotFound,
                    "Deleted",
                    format!("Preview {name} was deleted while it was waited for"),
                );
                return Err(Box::new(NotReady { failure, last }));
            }
            Some(Err(error)) => {
                let failure = watch_failure(&error);
                if matches!(failure.exit, Exit::NotAllowed | Exit::NotInstalled | Exit::Invalid) {
                    return Err(Box::new(NotReady { failure, last }));
                }
                // The API server may come back: until then nothing is known.
                progress.tell(&Event::new(Step::Waiting, failure.message).because(&failure.reason));
                continue;
            }
        }
        told.news(&last, generation).iter().for_each(|event| progress.tell(event));
        match judge(&last, generation) {
            Verdict::Ready => {
                failing = None;
                ready.get_or_insert_with(Instant::now);
            }
            Verdict::Waiting => {
                (failing, ready) = (None, None);
                progress.tell(&Event::waiting(&last));
            }
            Verdict::Failing(..) => {
                ready = None;
                failing.get_or_insert_with(Instant::now);
                progress.tell(&Event::waiting(&last));
            }
        }
    }
}

fn judge(preview: &Preview, generation: i64) -> Verdict {
    if !words::is_about(preview, generation) {
        return Verdict::Waiting;
    }
    match words::condition(preview, conditions::READY) {
        Some(ready) if ready.status == "True" => Verdict::Ready,
        // It may come by itself; but who waits here has most often misspelt it.
        Some(ready) if is_without_target(preview) || !conditions::is_passing(&ready.reason) => {
            Verdict::Failing(ready.reason.clone(), ready.message.clone())
        }
        _ => Verdict::Waiting,
    }
}

fn grace(preview: &Preview) -> Duration {
    if is_without_target(preview) { TARGET } else { GRACE }
}

fn is_without_target(preview: &Preview) -> bool {
    let ready = words::condition(preview, conditions::READY);
    ready.is_some_and(|it| it.reason == conditions::reason::TARGET_NOT_FOUND)
}

impl Told {
    /// What is new, in the order in which people think of it: agents may be done before the pods are.
    fn news(&mut self, preview: &Preview, generation: i64) -> Vec<Event> {
        if !words::is_about(preview, generation) {
            return Vec::new();
        }
        let steps = STEPS.iter().skip(self.0);
        let is = |type_: &str| words::condition(preview, type_).filter(|it| it.status == "True");
        let done = steps.map_while(|(type_, step)| Some((is(type_)?, *step)));
        let routes = preview.status.as_ref().and_then(|it| it.routes).unwrap_or_default();
        let event = |(condition, step): (&Condition, Step)| {
            let message = match step {
                Step::Routed if routes.wanted > 0 => {
                    format!("routes programmed: {} of {}", routes.programmed, routes.wanted)
                }
                _ => condition.message.clone(),
            };
            Event { reason: Some(condition.reason.clone()), ..Event::new(step, message).of(preview) }
        };
        let news: Vec<Event> = done.map(event).collect();
        self.0 += news.len();
        news
    }
}

fn has_failed(last: &Preview, reason: &str, message: String) -> Failure {
    Failure { fix: fix_of(reason, last), ..Failure::new(Exit::PreviewFailed, reason, message) }
}

fn not_in_time(last: &Preview, timeout: Duration) -> Failure {
    let time = words::span(timeout);
    match words::condition(last, conditions::READY) {
        Some(ready) => {
            let message = format!("not ready after {time}: {}", ready.message);
            let fix = fix_of(&ready.reason, last);
            Failure { fix, ..Failure::new(Exit::NotInTime, &ready.reason, message) }
        }
        None => Failure::new(
            Exit::NotInTime,
            conditions::reason::PENDING,
            format!("not ready after {time}: the controller has not looked at it"),
        )
        .fix("look whether Byway's controller runs: `kubectl get pods -n byway`"),
    }
}

/// Waits until a Preview is gone, and its pods with it.
///
/// # Errors
///
/// When that takes longer than until `deadline`, or cannot be seen.
pub async fn gone(
    api: &Api<Preview>,
    client: &kube::Client,
    preview: &Preview,
    deadline: Instant,
) -> Result<(), Failure> {
    let (name, namespace) = (preview.name_any(), preview.namespace().unwrap_or_default());
    let late = |what: &str| {
        Failure::new(
            Exit::NotInTime,
            "StillThere",
            format!("{what} of Preview {namespace}/{name} is still there"),
        )
        .fix("wait; if it lasts, see what holds it: kubectl get preview,pods -o yaml, and its finalizers")
    };
    loop {
        match api.get_opt(&name).await {
            Ok(Some(now)) if now.uid() == preview.uid() => {}
            Ok(_) => break,
            Err(error) => {
                let failure = failure(&error);
                if failure.exit != Exit::Unreachable || Instant::now() > deadline {
                    return Err(failure);
                }
            }
        }
        if Instant::now() > deadline {
            return Err(late("the object"));
        }
        tokio::time::sleep(PAUSE).await;
    }
    let Some(deployment) = preview.status.as_ref().and_then(|it| it.deployment.clone()) else {
        return Ok(());
    };
    loop {
        // Who may not read pods has to take the word of the garbage collector.
        let Ok(pods) = pods::list(client, preview).await else { return Ok(()) };
        // A new Preview of that name has a Deployment of its own.
        if !pods.iter().any(|it| it.name_any().starts_with(&format!("{deployment}-"))) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(late("a pod"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn preview(observed: i64, ready: &str, reason: &str) -> Preview {
        let condition = json!({
            "type": "Ready", "status": ready, "reason": reason, "message": "why", "observedGeneration": observed,
            "lastTransitionTime": "2030-01-01T00:00:00Z",
        });
        serde_json::from_value(json!({
            "apiVersion": "byway.dev/v1alpha1", "kind": "Preview", "metadata": { "name": "a" },
            "spec": { "image": "app:2" }, "status": { "observedGeneration": observed, "conditions": [condition] },
        }))
        .unwrap()
    }

    #[test]
    fn only_the_newest_generation_counts() {
        assert_eq!(judge(&preview(1, "True", "Ready"), 2), Verdict::Waiting);
        assert_eq!(judge(&preview(1, "False", "CrashLoop"), 2), Verdict::Waiting);
        assert_eq!(judge(&preview(3, "True", "Ready"), 2), Verdict::Ready);
    }

    #[test]
    fn what_passes_is_waited_for() {
        assert_eq!(judge(&preview(1, "False", "NoTargetPods"), 1), Verdict::Waiting);
        assert_eq!(judge(&preview(1, "False", "Updating"), 1), Verdict::Waiting);
    }

    #[test]
    fn what_lasts_ends_the_wait_and_a_target_may_come_a_little_later() {
        for (reason, seconds) in [("BadMatch", 5), ("TargetNotFound", 15)] {
            let it = preview(1, "False", reason);
            assert_eq!(judge(&it, 1), Verdict::Failing(reason.into(), "why".into()));
            assert_eq!(grace(&it), Duration::from_secs(seconds));
        }
    }

    #[test]
    fn steps_are_told_once_and_in_their_order() {
        let with = |done: &[&str]| {
            let mut it = preview(1, "False", "Updating");
            let conditions = &mut it.status.as_mut().unwrap().conditions;
            for type_ in done {
                let mut condition = conditions[0].clone();
                (condition.type_, condition.status) = ((*type_).to_owned(), "True".to_owned());
                conditions.push(condition);
            }
            it
        };
        let mut told = Told::default();
        let mut news =
            |done: &[&str]| -> Vec<Step> { told.news(&with(done), 1).iter().map(|it| it.event).collect() };
        assert_eq!(news(&["TargetResolved", "RoutesProgrammed"]), [Step::Cloned]);
        assert_eq!(news(&["TargetResolved"]), []);
        let all = ["TargetResolved", "PodsReady", "RoutesProgrammed"];
        assert_eq!(news(&all), [Step::PodsReady, Step::Routed]);
        assert_eq!(news(&all), []);
        assert_eq!(Told::default().news(&with(&all), 2).len(), 0, "of an older generation");
    }

    #[test]
    fn a_failure_keeps_its_reason_and_says_what_to_do() {
        let failure = not_in_time(&preview(1, "False", "NoAgent"), Duration::from_secs(90));
        assert_eq!((failure.exit, failure.reason.as_str()), (Exit::NotInTime, "NoAgent"));
        assert_eq!(failure.message, "not ready after 1m30s: why");
        assert!(failure.fix.unwrap().contains("DaemonSet"));
    }
}
