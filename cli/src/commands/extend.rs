//! `extend`: more time for previews.
//!
//! One that lives gets a longer ttl, and its pods stay as they are. One that has ended is renewed, which starts it again.
//! So is one whose ttl may not grow, for a limit of its namespace, though that replaces its pods: a mutable tag is pulled anew.

use byway_api::{Preview, Ttl};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::{Done, print_end};
use crate::args::{ExtendArgs, Global};
use crate::client::{Cluster, FIELD_MANAGER, failure};
use crate::events::{Event, Step};
use crate::exit::{Exit, Failure};
use crate::progress::Progress;
use crate::select::{self, Selection};
use crate::{output, words};

/// The longest ttl.
const MOST: SignedDuration = SignedDuration::from_hours(720);

pub(super) async fn run(global: &Global, args: &ExtendArgs) -> Done {
    let mut progress = Progress::new(super::how(args.output));
    let selection = Selection::new(&args.which)?;
    if selection.is_all() {
        return Err(Failure::usage("which preview? give NAME, --key, --glob or --target"));
    }
    let cluster = Cluster::find(global).await?;
    let found = select::some(&cluster, args.which.all_namespaces, &selection).await?;
    let mut extended = Vec::new();
    for preview in found {
        let now = Timestamp::now();
        let is_over = words::state(&preview, now) == "expired";
        let before = preview.spec.renewed_at.clone();
        let patch = change(&preview, args.ttl, is_over, now);
        let api = cluster.previews(&preview.namespace().unwrap_or_default());
        let anew = renewed(args.ttl.unwrap_or_default(), now);
        let done = write(&api, &preview, patch, anew).await;
        let mut preview = done.map_err(|error| failure(&error))?;
        // The controller has not said so yet.
        let end = end(&preview);
        preview.status.get_or_insert_default().expires_at = end.map(Time);
        let until = end.map_or_else(|| "for ever".to_owned(), |at| format!("until {at}"));
        let again = match is_over {
            true => ", and is started again",
            false if preview.spec.renewed_at != before => {
                ", and begins anew: its namespace limits the ttl, so an image with a mutable tag is pulled again"
            }
            false => "",
        };
        let message = format!("preview {} lives {until}{again}", words::full_name(&preview));
        progress.tell(&Event::new(Step::Extended, message).of(&preview));
        extended.push(preview);
    }
    let rows: Vec<Vec<String>> = extended.iter().map(row).collect();
    print_end(args.output, &extended, &output::table(&["NAME", "NAMESPACE", "EXPIRES"], &rows))?;
    Ok(Exit::Ok.code())
}

fn row(preview: &Preview) -> Vec<String> {
    let until = end(preview).map_or_else(|| "never".to_owned(), |at| at.to_string());
    vec![preview.name_any(), preview.namespace().unwrap_or_default(), until]
}

/// The change that gives a Preview more time. Where nobody says how much: what has ended has again what it had; what lives
/// has an hour from now at least. What it had would be too much after some extensions, which all made its ttl longer.
fn change(preview: &Preview, asked: Option<Ttl>, is_over: bool, now: Timestamp) -> Value {
    match asked {
        _ if is_over => renewed(asked.unwrap_or(preview.spec.ttl), now),
        Some(ttl) => longer(preview, ttl, now),
        None => {
            let end = preview.spec.ttl.end(since(preview, now));
            let is_less = end.zip(Ttl::default().end(now)).is_some_and(|(end, hour)| end < hour);
            if is_less { longer(preview, Ttl::default(), now) } else { json!({}) }
        }
    }
}

/// From when a Preview's ttl counts.
fn since(preview: &Preview, now: Timestamp) -> Timestamp {
    let created = preview.metadata.creation_timestamp.as_ref();
    preview.spec.renewed_at.as_ref().or(created).map_or(now, |it| it.0)
}

fn end(preview: &Preview) -> Option<Timestamp> {
    preview.spec.ttl.end(since(preview, Timestamp::now()))
}

/// The change by which a Preview that lives does so for `ttl` from now on.
fn longer(preview: &Preview, ttl: Ttl, now: Timestamp) -> Value {
    let Ttl::For(length) = ttl else { return json!({ "spec": { "ttl": "never" } }) };
    let total = now.duration_since(since(preview, now)) + length;
    // Whole seconds, rounded up: it shall not be less than was asked for.
    let total = SignedDuration::from_secs(total.as_secs() + i64::from(total.subsec_nanos() > 0));
    if total > MOST {
        return renewed(ttl, now);
    }
    json!({ "spec": { "ttl": Ttl::For(total.max(SignedDuration::from_secs(60))) } })
}

/// Has a Preview that lives do so for `ttl` from now on.
pub(super) async fn lengthen(
    api: &Api<Preview>,
    preview: &Preview,
    ttl: Ttl,
) -> Result<Preview, kube::Error> {
    let now = Timestamp::now();
    write(api, preview, longer(preview, ttl, now), renewed(ttl, now)).await
}

/// Makes the change, or the other one where a limit of the namespace is against the ttl.
async fn write(
    api: &Api<Preview>,
    preview: &Preview,
    change: Value,
    other: Value,
) -> Result<Preview, kube::Error> {
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    match api.patch(&preview.name_any(), &params, &Patch::Merge(&change)).await {
        Err(kube::Error::Api(said)) if said.message.contains("ttl is ") && change != other => {
            api.patch(&preview.name_any(), &params, &Patch::Merge(other)).await
        }
        done => done,
    }
}

/// The change by which a Preview begins anew.
fn renewed(ttl: Ttl, now: Timestamp) -> Value {
    json!({ "spec": { "ttl": ttl, "renewedAt": super::start::seconds(now) } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(renewed_at: Value) -> Preview {
        serde_json::from_value(json!({
            "apiVersion": "byway.dev/v1alpha1", "kind": "Preview",
            "metadata": { "name": "a", "creationTimestamp": "2030-01-01T00:00:00Z" },
            "spec": { "image": "app:2", "renewedAt": renewed_at },
        }))
        .unwrap()
    }

    #[test]
    fn what_lives_lives_longer_without_a_renewal() {
        let now = "2030-01-01T00:30:00.5Z".parse().unwrap();
        let hour: Ttl = "1h".parse().unwrap();
        assert_eq!(longer(&preview(Value::Null), hour, now), json!({ "spec": { "ttl": "1h30m1s" } }));
        let renewed_at = json!("2030-01-01T00:20:00Z");
        assert_eq!(longer(&preview(renewed_at), hour, now), json!({ "spec": { "ttl": "1h10m1s" } }));
        assert_eq!(longer(&preview(Value::Null), Ttl::Never, now), json!({ "spec": { "ttl": "never" } }));
    }

    #[test]
    fn where_nobody_says_how_long_it_is_an_hour_and_never_less_than_before() {
        let now = "2030-01-01T00:30:00Z".parse().unwrap();
        let mut it = preview(Value::Null);
        assert_eq!(change(&it, None, false, now), json!({ "spec": { "ttl": "1h30m" } }));
        it.spec.ttl = "5h".parse().unwrap();
        assert_eq!(change(&it, None, false, now), json!({}));
        assert_eq!(change(&it, Some("1m".parse().unwrap()), false, now), json!({ "spec": { "ttl": "31m" } }));
        let revived = json!({ "spec": { "ttl": "5h", "renewedAt": "2030-01-01T00:30:00Z" } });
        assert_eq!(change(&it, None, true, now), revived);
        let ttl: Ttl = "2h".parse().unwrap();
        let again = renewed(ttl, now);
        assert_eq!(
            change(&it, Some(ttl), true, now),
            again,
            "where that is refused, there is nothing else to try"
        );
        it.spec.ttl = Ttl::Never;
        assert_eq!(change(&it, None, false, now), json!({}));
    }

    #[test]
    fn what_would_be_too_long_begins_anew() {
        let now = "2030-01-30T00:00:00Z".parse().unwrap();
        let patch = longer(&preview(Value::Null), "100h".parse().unwrap(), now);
        assert_eq!(patch, json!({ "spec": { "ttl": "100h", "renewedAt": "2030-01-30T00:00:00Z" } }));
    }
}
