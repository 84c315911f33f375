//! From watch events to changes of the node's object: pure, so that stale, duplicate and unreadable ones are tested
//! without a server.

use byway_api::{NodeRoutes, NodeRoutesStatus, NodeTable, Target};
use kube::{api::DynamicObject, runtime::watcher::Event};
use serde::Deserialize;
use serde_json::Value;

use super::{BadDocument, Change, Document, UnreadableTarget, check_names};
use crate::node_routes::{Object, version_of};

#[cfg(test)]
mod tests;

/// Follows one object through a watch.
pub(super) struct Follower {
    name: String,
    object: Option<Object>,
    /// The API has said whether there is an object.
    answered: bool,
    /// The object was in the list that is being read.
    listed: bool,
    /// Counts the lists.
    list: u64,
    /// The latest of this watch.
    version: u64,
}

impl Follower {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), object: None, answered: false, listed: false, list: 0, version: 0 }
    }

    pub(super) fn object(&self) -> Option<&Object> {
        self.object.as_ref()
    }

    /// What an event means; nothing, if it is stale or of another object.
    pub(super) fn take(&mut self, event: Event<DynamicObject>) -> Option<Result<Change, BadDocument>> {
        match event {
            Event::Init => {
                // What is listed is true, whatever was seen before: a server may have been set back to a backup.
                (self.listed, self.version) = (false, 0);
                self.list += 1;
                None
            }
            Event::InitApply(object) => self.see(object, true),
            Event::InitDone if !self.listed => self.gone(),
            Event::InitDone => None,
            Event::Apply(object) => self.see(object, false),
            Event::Delete(object) if self.is_mine(&object) && !self.is_stale(&object) => {
                self.version = version_of(&object.metadata);
                self.gone()
            }
            Event::Delete(_) => None,
        }
    }

    /// A server that ignores the selector must not have us steer for another node.
    fn is_mine(&self, object: &DynamicObject) -> bool {
        object.metadata.name.as_deref() == Some(&self.name)
    }

    fn is_stale(&self, object: &DynamicObject) -> bool {
        version_of(&object.metadata) < self.version
    }

    fn gone(&mut self) -> Option<Result<Change, BadDocument>> {
        let news = self.object.take().is_some() || !self.answered;
        self.answered = true;
        news.then(|| Ok(Change::Document(Document::default())))
    }

    fn see(&mut self, mut object: DynamicObject, listed: bool) -> Option<Result<Change, BadDocument>> {
        if !self.is_mine(&object) || (!listed && self.is_stale(&object)) {
            return None;
        }
        self.listed |= listed;
        self.answered = true;
        self.version = version_of(&object.metadata);
        let spec = object.data["spec"].take();
        let seen = Object {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            generation: object.metadata.generation,
            version: self.version,
            list: self.list,
            agent_pod_uid: spec["agentPodUid"].as_str().map(str::to_owned),
            status: NodeRoutesStatus::deserialize(&object.data["status"]).ok(),
        };
        let before = self.object.replace(seen.clone());
        let same = before.is_some_and(|b| b.uid == seen.uid && b.generation == seen.generation);
        if same && seen.generation.is_some() {
            return Some(Ok(Change::Seen)); // only a status or a label has changed
        }
        Some(table(&spec).and_then(read).map(Change::Document))
    }
}

fn bad(what: impl std::fmt::Display) -> BadDocument {
    BadDocument(format!("the node's {} cannot be used: {what}", NodeRoutes::KIND))
}

/// The table that an object's spec holds.
fn table(spec: &Value) -> Result<Value, BadDocument> {
    let text = spec["table"].as_str().ok_or_else(|| bad("spec.table is not a text"))?;
    serde_json::from_str(text).map_err(|error| bad(format!("spec.table: {error}")))
}

/// Reads a table. One preview or target that this version cannot read does not take the others down, and fields that
/// are not known here are passed over: the controller may be newer.
pub(super) fn read(table: Value) -> Result<Document, BadDocument> {
    let mut rest = table.clone();
    let targets = rest.get_mut("targets").map(Value::take).unwrap_or_default();
    if let Some(fields) = rest.as_object_mut() {
        fields.remove("targets");
    }
    let mut read = NodeTable::deserialize(rest).map_err(bad)?;
    let mut unreadable = Vec::new();
    for target in targets.as_array().into_iter().flatten() {
        match Target::deserialize(target) {
            Ok(target) => read.targets.push(target),
            Err(error) => unreadable.push(UnreadableTarget {
                name: target["name"].as_str().unwrap_or_default().to_owned(),
                previews: Vec::deserialize(&target["previews"]).unwrap_or_default(),
                error: error.to_string(),
            }),
        }
    }
    check_names(&read).map_err(bad)?;
    Ok(Document { spec: read, unreadable, raw: Some(table) })
}
