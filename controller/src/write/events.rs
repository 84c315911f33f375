//! Events: what happened to a Preview, for `kubectl describe`.

use byway_api::conditions::is_passing;
use byway_api::{Phase, Preview};
use byway_plan::identity::ref_of;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};

use super::WriteError;

/// Who reports.
pub fn recorder(client: Client) -> Recorder {
    let instance = std::env::var("POD_NAME").ok();
    Recorder::new(client, Reporter { controller: "byway-controller".to_owned(), instance })
}

/// Reports that a preview came into a phase, with the reason and message of `Ready`. An event that is refused is nothing
/// to try again: its namespace is on its way out, or gone.
///
/// # Errors
///
/// When the API server does not take it.
pub async fn report(
    recorder: Recorder,
    preview: std::sync::Arc<Preview>,
    phase: Phase,
    reason: String,
    message: String,
) -> Result<(), WriteError> {
    let warns = phase == Phase::Failed || (phase == Phase::Degraded && !is_passing(&reason));
    // The API takes a note of 1 KiB.
    let note = message.chars().take(1000).collect();
    let event = Event {
        type_: if warns { EventType::Warning } else { EventType::Normal },
        reason,
        note: Some(note),
        action: phase.as_str().to_owned(),
        secondary: None,
    };
    match recorder.publish(&event, &preview.object_ref(&())).await {
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => {
            tracing::info!(preview = %ref_of(&preview), error = status.message, "an event is not taken");
            Ok(())
        }
        done => Ok(done?),
    }
}
