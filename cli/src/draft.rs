//! From flags and a file to the Preview that is asked for, as it will be sent: a function of values.
//!
//! It stays JSON until the API server has seen it: a field that this version does not know is the server's to judge.

use std::path::Path;
use std::time::Duration;

use byway_api::{Key, PreviewTarget, Ttl};
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use crate::args::{self, Global, What};
use crate::exit::Failure;
use crate::files::{Files, Secrets};
use crate::mirrord::Outside;
use crate::unique::Unique;
use crate::{fields, files, mirrord, text};

/// A Preview that is asked for. Its key and name may be missing still.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Of the file, or the command line.
    pub name: Option<String>,
    /// Of the file; the command line's goes before it.
    pub namespace: Option<String>,
    /// Labels and annotations of a file.
    pub metadata: Map<String, Value>,
    /// What will be sent.
    pub spec: Map<String, Value>,
    /// What is to be kept in a Secret.
    pub secrets: Secrets,
    /// How long to wait.
    pub timeout: Option<Duration>,
    /// To be told.
    pub warnings: Vec<String>,
    /// Where it comes from, in words.
    pub source: String,
}

/// A file, or standard input.
pub struct File<'a> {
    /// As it was given.
    pub path: &'a Path,
    /// What is in it.
    pub text: &'a str,
}

/// What file and flags ask for. Flags go before the file.
///
/// # Errors
///
/// When one of them is wrong, or they do not make a whole.
pub fn draft(file: Option<&File<'_>>, what: &What, global: &Global) -> Result<Draft, Failure> {
    let mut draft = match file {
        Some(file) => read(file, what, global)?,
        None => Draft::empty("flags"),
    };
    draft.set_flags(what)?;
    draft.check().map_err(|failure| draft.misspelt().unwrap_or(failure))?;
    Ok(draft)
}

impl Draft {
    fn empty(source: impl Into<String>) -> Self {
        Self {
            name: None,
            namespace: None,
            metadata: Map::new(),
            spec: Map::new(),
            secrets: Secrets::default(),
            timeout: None,
            warnings: Vec::new(),
            source: source.into(),
        }
    }

    /// The key, if there is one yet.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn key(&self) -> Result<Option<Key>, Failure> {
        let key = self.spec.get("key").filter(|it| !it.is_null());
        let text = key.map(|it| it.as_str().ok_or_else(|| Failure::invalid("key: write it in quotes")));
        text.transpose()?
            .map(|it| it.parse().map_err(|error| Failure::invalid(format!("key {it:?}: {error}"))))
            .transpose()
    }

    /// The target, if it has one.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn target(&self) -> Result<Option<PreviewTarget>, Failure> {
        let target = self.spec.get("target").filter(|it| !it.is_null());
        let read = target.map(PreviewTarget::deserialize);
        let target = read.transpose().map_err(|error| Failure::invalid(format!("target: {error}")))?;
        let named = target.map(args::named).transpose();
        named.map_err(|message| Failure::invalid(format!("target: {message}")))
    }

    /// The image.
    #[must_use]
    pub fn image(&self) -> &str {
        self.spec.get("image").and_then(Value::as_str).unwrap_or_default()
    }

    /// How long it shall live.
    ///
    /// # Errors
    ///
    /// When that is no time to live.
    pub fn ttl(&self) -> Result<Ttl, Failure> {
        let ttl = self.time("ttl")?;
        ttl.map_or(Ok(Ttl::default()), |it| {
            it.parse().map_err(|error| Failure::invalid(format!("{it:?}: {error}")))
        })
    }

    /// A field that is a time. YAML takes a number for one, which says nothing of its unit.
    fn time(&self, field: &str) -> Result<Option<&str>, Failure> {
        match self.spec.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => {
                let message =
                    format!("spec.{field} is {other}, without a unit: write it as a text, e.g. \"90m\"");
                Err(Failure::invalid(message))
            }
        }
    }

    /// The object to send.
    #[must_use]
    pub fn object(&self, namespace: &str, name: &str) -> Value {
        let mut metadata = self.metadata.clone();
        metadata.insert("name".into(), json!(name));
        metadata.insert("namespace".into(), json!(namespace));
        json!({ "apiVersion": "byway.dev/v1alpha1", "kind": "Preview", "metadata": metadata, "spec": self.spec })
    }

    fn set_flags(&mut self, what: &What) -> Result<(), Failure> {
        let spec = &mut self.spec;
        let mut set = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                spec.insert(field.to_owned(), value);
            }
        };
        // BYWAY_KEY may be set and empty.
        set("key", what.key.as_ref().filter(|it| !it.is_empty()).map(|it| json!(it)));
        set("target", what.target.as_ref().map(|it| json!(it)));
        set("image", what.image.as_ref().map(|it| json!(it)));
        set("imagePullPolicy", what.image_pull_policy.map(|it| json!(it)));
        set("ttl", what.ttl.as_ref().map(|it| json!(it)));
        set("idleTtl", what.idle_ttl.as_ref().map(|it| json!(it)));
        set("replicas", what.replicas.map(|it| json!(it)));
        self.set_env(what)?;
        self.unset_env(what)?;
        self.set_incoming(what)?;
        self.set_idle(what)?;
        self.set_labels(what)?;
        self.set_files(what, &Outside::real())?;
        self.timeout = what.timeout.or(self.timeout);
        Ok(())
    }

    /// A variable of a flag replaces that of the file.
    fn set_env(&mut self, what: &What) -> Result<(), Failure> {
        if what.env.is_empty() {
            return Ok(());
        }
        let env = self.list("env")?;
        for one in &what.env {
            env.retain(|it| it["name"] != json!(one.name));
            env.push(json!({ "name": one.name, "value": one.value }));
        }
        Ok(())
    }

    /// Flags go beyond what the file says.
    fn unset_env(&mut self, what: &What) -> Result<(), Failure> {
        if !what.unset_env.is_empty() {
            self.list("unsetEnv")?.extend(what.unset_env.iter().map(|it| json!(it)));
        }
        Ok(())
    }

    /// One of the spec, made where it is not there.
    fn list(&mut self, name: &str) -> Result<&mut Vec<Value>, Failure> {
        let list = self.spec.entry(name).or_insert_with(|| json!([]));
        list.as_array_mut().ok_or_else(|| Failure::invalid(format!("spec.{name}: it must be a list")))
    }

    /// A file of a flag replaces that of the file at its path.
    fn set_files(&mut self, what: &What, outside: &Outside) -> Result<(), Failure> {
        if what.files.is_empty() && what.secret_files.is_empty() {
            return Ok(());
        }
        let mut all = Files { secrets: std::mem::take(&mut self.secrets), ..Files::default() };
        let list = self.list("files")?;
        // Numbered on from those that are there, so that entries of the Secret have names of their own.
        let there = list.len();
        let of_flags =
            what.files.iter().map(|it| (it, false)).chain(what.secret_files.iter().map(|it| (it, true)));
        for (file, is_secret) in of_flags {
            files::path(&file.path)
                .map_err(|message| Failure::invalid(format!("{}: {message}", file.path)))?;
            let bytes = outside.bytes(&file.local).map_err(|error| {
                Failure::invalid(format!("cannot read {}: {error}", file.local.display()))
            })?;
            list.retain(|it| it["path"] != json!(file.path));
            all.add(there, file.path.clone(), bytes, is_secret);
        }
        list.extend(all.list.iter().map(|it| json!(it)));
        // Of a file that was replaced nothing is sent.
        let is_named = |key: &str| {
            let named = |it: &Value| it.pointer("/secretKeyRef/key").is_some_and(|named| named == key);
            list.iter().any(named)
        };
        all.secrets.0.retain(|key, _| is_named(key));
        self.secrets = all.secrets;
        Ok(())
    }

    fn set_idle(&mut self, what: &What) -> Result<(), Failure> {
        let mut flags = Map::new();
        if let Some(time) = what.sleep_after {
            flags.insert("sleepAfter".into(), json!(seconds(time)));
        }
        if let Some(time) = what.wake_timeout {
            flags.insert("wakeTimeout".into(), json!(seconds(time)));
        }
        if what.start_asleep {
            flags.insert("startAsleep".into(), json!(true));
        }
        if !flags.is_empty() {
            self.object_in("idle")?.extend(flags);
        }
        Ok(())
    }

    fn set_labels(&mut self, what: &What) -> Result<(), Failure> {
        if what.labels.is_empty() {
            return Ok(());
        }
        let labels = self.object_in("labels")?;
        let set = labels.entry("set").or_insert_with(|| json!({}));
        let set =
            set.as_object_mut().ok_or_else(|| Failure::invalid("spec.labels.set: it must be an object"))?;
        set.extend(what.labels.iter().map(|it| (it.name.clone(), json!(it.value))));
        Ok(())
    }

    /// One of the spec, made where it is not there.
    fn object_in(&mut self, name: &str) -> Result<&mut Map<String, Value>, Failure> {
        let object = self.spec.entry(name).or_insert_with(|| json!({}));
        object.as_object_mut().ok_or_else(|| Failure::invalid(format!("spec.{name}: it must be an object")))
    }

    fn set_incoming(&mut self, what: &What) -> Result<(), Failure> {
        let mut flags = Map::new();
        if !what.ports.is_empty() {
            flags.insert("ports".into(), json!(what.ports));
        }
        if !what.ignore_ports.is_empty() {
            flags.insert("ignorePorts".into(), json!(what.ignore_ports));
        }
        if !what.port_mapping.is_empty() {
            flags.insert("portMapping".into(), json!(what.port_mapping));
        }
        if let Some(name) = &what.header {
            flags.insert("match".into(), json!({ "header": { "name": name, "exact": "{{ key }}" } }));
        }
        if let Some(who) = what.on_unreachable {
            flags.insert("onUnreachable".into(), json!(who));
        }
        if let Some(what) = what.existing_connections {
            flags.insert("existingConnections".into(), json!(what));
        }
        if !flags.is_empty() {
            self.object_in("incoming")?.extend(flags);
        }
        Ok(())
    }

    /// What is lacking may be there under a name that nobody knows. Only then it is told here: the API server may know more.
    fn misspelt(&self) -> Option<Failure> {
        let unknown = fields::unknown(&self.spec);
        (!unknown.is_empty()).then(|| Failure::invalid(format!("{}: {}", self.source, unknown.join("\n"))))
    }

    /// What can be told without the API server, in the words of flags.
    fn check(&self) -> Result<(), Failure> {
        if self.image().is_empty() {
            return Err(Failure::invalid("there is no image: give --image IMAGE, or -f FILE").fix(hint()));
        }
        args::image(self.image()).map_err(|message| Failure::invalid(format!("image: {message}")))?;
        if let Some(namespace) = &self.namespace {
            args::namespace(namespace).map_err(Failure::invalid)?;
        }
        let ports = self.spec.get("incoming").and_then(|it| it.get("ports")).and_then(Value::as_array);
        if self.target()?.is_none() && ports.is_none_or(Vec::is_empty) {
            let message = "there is neither a target nor a port: give --target KIND/NAME for a preview of a workload, or --port PORT for a fresh pod";
            return Err(Failure::invalid(message));
        }
        self.key()?;
        self.ttl()?;
        self.time("idleTtl")?;
        self.secrets.check().map_err(Failure::invalid)
    }
}

fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs())
}

fn hint() -> String {
    let usual = ".mirrord/mirrord.json";
    if Path::new(usual).is_file() {
        format!("there is a {usual} here: `-f {usual}` takes what it says")
    } else {
        "e.g. kubectl preview start -t deployment/checkout -i registry.example/checkout:pr-1".to_owned()
    }
}

/// A Preview, or a configuration of mirrord.
fn read(file: &File<'_>, what: &What, global: &Global) -> Result<Draft, Failure> {
    let place = if file.path == Path::new("-") {
        "standard input".to_owned()
    } else {
        file.path.display().to_string()
    };
    if text::is_too_deep(file.text) {
        return Err(Failure::invalid(format!("{place}: it has more than 1000 brackets within one another")));
    }
    if is_preview(file.text) {
        return of_preview(file.text, &place);
    }
    let overrides = mirrord::Overrides {
        key: what.key.clone(),
        target: what.target.clone(),
        namespace: global.namespace.clone(),
        image: what.image.clone(),
        ttl: what.ttl,
        timeout: what.timeout,
        ports: what.ports.clone(),
        context: global.context.clone(),
        kubeconfig: global.kubeconfig.clone(),
    };
    let started = mirrord::read(file.text, file.path, &overrides)
        .map_err(|problems| Failure::invalid(format!("{place}:\n{problems}")))?;
    let Ok(Value::Object(spec)) = serde_json::to_value(&started.spec) else {
        return Err(Failure::invalid(format!("{place}: it makes no Preview")));
    };
    Ok(Draft {
        name: started.name,
        namespace: started.namespace,
        spec,
        secrets: started.secrets,
        timeout: started.timeout,
        warnings: started.warnings,
        ..Draft::empty(format!("{place} (mirrord)"))
    })
}

/// Whether somebody meant to write an object of Kubernetes, well or not.
fn is_preview(text: &str) -> bool {
    let mut documents = serde_yaml_ng::Deserializer::from_str(text);
    if let Some(Ok(Value::Object(first))) = documents.next().map(Value::deserialize) {
        return ["apiVersion", "kind"].iter().any(|it| first.contains_key(*it));
    }
    // It cannot be read: the one who tells what is wrong is to speak of what was meant.
    let begins = |line: &str| {
        let line = line.trim_start_matches([' ', '\t', '{', '-', '"', '\'']);
        ["apiVersion", "kind"].iter().any(|it| {
            line.strip_prefix(it)
                .is_some_and(|rest| rest.trim_start_matches(['"', '\'', ' ']).starts_with(':'))
        })
    };
    text.lines().any(|line| line.split(',').any(begins))
}

fn of_preview(text: &str, place: &str) -> Result<Draft, Failure> {
    let wrong = |message: String| Failure::invalid(format!("{place}: {message}"));
    let documents = serde_yaml_ng::Deserializer::from_str(text).map(Unique::deserialize);
    let documents: Vec<Unique> =
        documents.collect::<Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
    let mut objects: Vec<Value> =
        documents.into_iter().map(|Unique(it)| it).filter(|it| !it.is_null()).collect();
    let (Some(mut object), true) = (objects.pop(), objects.is_empty()) else {
        return Err(wrong("it must hold one Preview: start others with files of their own".to_owned()));
    };
    let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
    if (version, kind) != (Some("byway.dev/v1alpha1"), Some("Preview")) {
        let found = format!("{} {}", version.unwrap_or("no apiVersion"), kind.unwrap_or("no kind"));
        return Err(wrong(format!("it must be a Preview of byway.dev/v1alpha1: it is {found}")));
    }
    let object = object.as_object_mut().ok_or_else(|| wrong("it must be an object".to_owned()))?;
    let mut take = |field: &str| match object.remove(field) {
        Some(Value::Object(map)) => Ok(map),
        None => Ok(Map::new()),
        Some(_) => Err(wrong(format!("{field} must be an object"))),
    };
    let (mut metadata, spec) = (take("metadata")?, take("spec")?);
    // What `kubectl get -o yaml` prints can be given as it is.
    take("status")?;
    for field in ["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"] {
        metadata.remove(field);
    }
    object.retain(|field, _| field != "apiVersion" && field != "kind");
    if let Some((field, _)) = object.iter().next() {
        return Err(wrong(format!("unknown field {field:?}: beside metadata and spec there is none")));
    }
    let mut text = |field: &str| match metadata.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(format!("metadata.{field}: write it in quotes"))),
    };
    let (name, namespace) = (text("name")?, text("namespace")?);
    Ok(Draft { name, namespace, metadata, spec, ..Draft::empty(place) })
}

#[cfg(test)]
mod tests;
