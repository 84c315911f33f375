//! `start`: from flags and a file to a Preview that requests reach.

use std::path::Path;
use std::time::Duration;

use byway_api::{Preview, PreviewSpec, Ttl};
use jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::secrets::SecretApi;
use super::{Done, print_end};
use crate::args::{EventFormat, Global, StartArgs, What};
use crate::client::{Cluster, FIELD_MANAGER, failure};
use crate::draft::{Draft, File, draft};
use crate::events::{Event, Step};
use crate::exit::{Exit, Failure};
use crate::place::{Place, Wanted, place};
use crate::progress::Progress;
use crate::reach::Reach;
use crate::{keys, output, pods, text, wait, words};

/// How long to wait where nobody says.
const TIMEOUT: Duration = Duration::from_secs(300);

pub(super) async fn run(global: &Global, args: &StartArgs) -> Done {
    let mut progress = Progress::new(super::how(args.output));
    let ready = Ready::prepare(global, &args.what, args.name.as_deref(), &mut progress).await?;
    if args.dry_run {
        ready.try_out().await?;
        if !ready.draft.secrets.0.is_empty() {
            progress.warn("the Secret that it names for its secret files is not made either");
        }
        ready.print(args.output)?;
        return Ok(Exit::Ok.code());
    }
    let preview = ready.apply(&mut progress).await?;
    if args.no_wait {
        print_end(args.output, std::slice::from_ref(&preview), &result(&preview))?;
        return Ok(Exit::Ok.code());
    }
    let waited = tokio::select! {
        waited = ready.wait(preview.clone(), &mut progress) => waited,
        _ = tokio::signal::ctrl_c() => Err(interrupted(&preview)),
    };
    progress.pause();
    let preview = waited?;
    ready.tidy(&preview, &mut progress).await;
    progress.tell(&Event::ready(&preview));
    print_end(args.output, std::slice::from_ref(&preview), &result(&preview))?;
    Ok(Exit::Ok.code())
}

/// Everything that is needed to make the Preview: the API server would take it.
pub(super) struct Ready {
    pub(super) cluster: Cluster,
    pub(super) api: Api<Preview>,
    pub(super) place: Place,
    pub(super) draft: Draft,
    namespace: String,
    pub(super) timeout: Duration,
}

impl Ready {
    /// Loads, connects, and asks whether it would be taken. Changes nothing.
    pub(super) async fn prepare(
        global: &Global,
        what: &What,
        name: Option<&str>,
        progress: &mut Progress,
    ) -> Result<Self, Failure> {
        let text = what.file.as_deref().map(read).transpose()?;
        let file = what.file.as_deref().zip(text.as_deref()).map(|(path, text)| File { path, text });
        let draft = draft(file.as_ref(), what, global)?;
        progress.tell(&Event::new(Step::Loaded, format!("configuration loaded: {}", draft.source)));
        draft.warnings.iter().for_each(|it| progress.warn(it));

        let cluster = Cluster::find(global).await?;
        let namespace = match (&draft.namespace, cluster.is_namespace_given) {
            (Some(namespace), false) => namespace.clone(),
            _ => cluster.namespace.clone(),
        };
        let api = cluster.previews(&namespace);
        let there = api.list(&ListParams::default()).await.map_err(|error| failure(&error))?.items;
        progress.tell(&Event::new(
            Step::Connected,
            format!("connected to {}, namespace {namespace}", cluster.name),
        ));

        let name = name.or(draft.name.as_deref());
        let wanted = Wanted { name, key: draft.key()?, target: draft.target()?, image: draft.image() };
        let make = || keys::make(keys::user().as_deref(), draft.image(), &mut fastrand::Rng::new());
        let place = place(wanted, &there, Timestamp::now(), make)?;
        let timeout = draft.timeout.unwrap_or(TIMEOUT);
        let mut ready = Self { cluster, api, place, draft, namespace, timeout };
        ready.complete()?;
        Ok(ready)
    }

    /// Puts in what the place decides, and what is always sent: a field that one start leaves out must not keep the
    /// value of another one.
    fn complete(&mut self) -> Result<(), Failure> {
        let ttl = self.draft.ttl()?;
        let (place, spec) = (&self.place, &mut self.draft.spec);
        spec.remove("key");
        if place.sends_key {
            spec.insert("key".into(), json!(place.key));
        }
        spec.remove("target");
        if let Some(target) = &place.target {
            spec.insert("target".into(), json!(target));
        }
        spec.insert("ttl".into(), json!(ttl));
        self.draft.secrets.name_in(spec, &place.name);
        if place.before.is_some() {
            spec.insert("renewedAt".into(), json!(seconds(Timestamp::now())));
        }
        // A regex that does not compile is told before anything is made. What this version does not know, and whether the
        // key may be missing, is for the server to say.
        if let Ok(spec) = serde_json::from_value::<PreviewSpec>(Value::Object(spec.clone())) {
            let problem = spec.check(&place.key, true).err();
            if let Some(problem) = problem {
                return Err(Failure::new(Exit::Invalid, problem.code(), format!("spec.{problem}")));
            }
        }
        Ok(())
    }

    pub(super) fn object(&self) -> Value {
        self.draft.object(&self.namespace, &self.place.name)
    }

    /// What would be sent, as a file that can be started.
    fn print(&self, format: Option<EventFormat>) -> Result<(), Failure> {
        match format {
            None | Some(EventFormat::Yaml) => output::print(&output::yaml(&self.object())?),
            Some(EventFormat::Json) => output::print(&output::json(&self.object())?),
            Some(EventFormat::Name) => output::print(&format!("preview.byway.dev/{}\n", self.place.name)),
        }
    }

    /// Asks whether it would be taken, unknown fields and all.
    pub(super) async fn try_out(&self) -> Result<(), Failure> {
        let params = PatchParams::apply(FIELD_MANAGER).force().validation_strict().dry_run();
        let done = self.api.patch(&self.place.name, &params, &Patch::Apply(self.object())).await;
        done.map_err(|error| failure(&error))?;
        self.secrets().try_out(&self.draft.secrets, &self.place.name).await
    }

    /// Makes what the Preview refers to, once it is there.
    pub(super) async fn keep_secrets(&self, preview: &Preview) -> Result<(), Failure> {
        self.secrets().keep(&self.draft.secrets, preview).await
    }

    /// Takes away what only the Preview of before has referred to.
    async fn tidy(&self, preview: &Preview, progress: &mut Progress) {
        let Some(before) = &self.place.before else { return };
        if let Err(failure) = self.secrets().tidy(preview, before).await {
            progress.warn(&format!(
                "a Secret with files of an earlier start stays until the Preview goes: {failure}"
            ));
        }
    }

    fn secrets(&self) -> SecretApi {
        SecretApi::new(self.cluster.client.clone(), &self.namespace)
    }

    async fn apply(&self, progress: &mut Progress) -> Result<Preview, Failure> {
        self.try_out().await?;
        let params = PatchParams::apply(FIELD_MANAGER).force().validation_strict();
        let done = self.api.patch(&self.place.name, &params, &Patch::Apply(self.object())).await;
        let preview = done.map_err(|error| failure(&error))?;
        self.keep_secrets(&preview).await?;
        let full = words::full_name(&preview);
        let event = match &self.place.before {
            Some(_) => Event::new(Step::Updated, format!("preview {full} updated: key {}", self.place.key)),
            None => Event::new(Step::Created, format!("preview {full} created: key {}", self.place.key)),
        };
        progress.tell(&event.of(&preview));
        Ok(preview)
    }

    /// Waits until it is ready; what keeps it from that is told with the last words of its containers.
    pub(super) async fn wait(&self, preview: Preview, progress: &mut Progress) -> Result<Preview, Failure> {
        match wait::ready(&self.api, preview, self.timeout, progress).await {
            Ok(preview) => Ok(preview),
            Err(not_ready) => {
                for words in pods::last_words(&self.cluster.client, &not_ready.last).await {
                    progress.tell(
                        &Event::new(Step::Log, format!("last lines of {}:", words.of)).of(&not_ready.last),
                    );
                    for line in words.text.lines() {
                        progress.tell(&Event::new(Step::Log, format!("| {line}")).of(&not_ready.last));
                    }
                }
                Err(not_ready.failure)
            }
        }
    }
}

/// The API keeps whole seconds.
pub(super) fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn read(path: &Path) -> Result<String, Failure> {
    let done = if path == Path::new("-") {
        text::whole(std::io::stdin()).and_then(|bytes| text::decode(&bytes))
    } else {
        text::read(path)
    };
    done.map_err(|error| Failure::invalid(format!("cannot read {}: {error}", path.display())))
}

fn interrupted(preview: &Preview) -> Failure {
    let place = words::place(preview);
    let message = format!("interrupted; the preview {} stays", words::full_name(preview));
    let fix = format!("`kubectl preview status {place}` shows it, `kubectl preview stop {place}` ends it");
    Failure::new(Exit::Interrupted, "Interrupted", message).fix(fix)
}

/// What people want to know of a preview that has been started.
fn result(preview: &Preview) -> String {
    let Some(key) = words::key_of(preview) else { return String::new() };
    let status = preview.status.clone().unwrap_or_default();
    let expires = match (&status.expires_at, preview.spec.ttl) {
        (Some(at), _) => format!("{} (in {})", at.0, words::left(at.0.duration_since(Timestamp::now()))),
        (None, Ttl::Never) => "never".to_owned(),
        (None, ttl) => format!("{ttl} after it was created or renewed"),
    };
    let mut text = String::new();
    for (what, value) in [
        ("key", key.to_string()),
        ("name", preview.name_any()),
        ("namespace", preview.namespace().unwrap_or_default()),
        ("expires", expires),
    ] {
        text.push_str(&format!("{what:<11}{value}\n"));
    }
    let port = status.ports.first().copied().unwrap_or(80);
    let url = status.service.as_ref().map_or_else(
        || "http://YOUR-APP/".to_owned(),
        |it| format!("http://{it}.{}:{port}/", preview.namespace().unwrap_or_default()),
    );
    let reach = Reach::of(&preview.spec, &key);
    text.push('\n');
    text.push_str(&match &reach {
        Reach::Match(words) => format!("requests like these reach it: {words}\n"),
        Reach::Copies => "the app answers all requests; the preview is shown copies of them\n".to_owned(),
        Reach::Nothing => "incoming.mode is off: no request is steered to it\n".to_owned(),
        _ => format!("{}\n", reach.curl(&key, &url).unwrap_or_default()),
    });
    if let Reach::Headers { more: Some(more), .. } = &reach {
        text.push_str(&format!("# if it is like this besides: {more}\n"));
    }
    if let Some(cookie) = reach.cookie(&key) {
        text.push_str(&format!("{cookie}   # in a browser's console, on the app's page\n"));
    }
    text
}
