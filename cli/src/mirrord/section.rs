//! A value of the configuration, and where it is.

use serde_json::Value;

/// A value that is there, and its path, e.g. `feature.env.override.REGION`.
#[derive(Clone, Debug)]
pub(super) struct Section<'v> {
    pub(super) value: &'v Value,
    pub(super) path: String,
}

impl<'v> Section<'v> {
    pub(super) const fn root(value: &'v Value) -> Self {
        Self { value, path: String::new() }
    }

    /// A member; null is as good as absent.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Self { value, path: joined(&self.path, name) })
    }

    /// A member of a member.
    pub(super) fn at(&self, names: &[&str]) -> Option<Self> {
        names.iter().try_fold(self.clone(), |section, name| section.get(name))
    }

    /// Members of an object, in the order of their names.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'v str, Self)> {
        let members = self.value.as_object().into_iter().flatten();
        members.map(|(name, value)| (name.as_str(), Self { value, path: joined(&self.path, name) }))
    }

    /// Entries of a list.
    pub(super) fn items(&self) -> impl Iterator<Item = Self> {
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items.map(|(i, value)| Self { value, path: format!("{}[{i}]", self.path) })
    }

    /// What kind of a value it is, for people.
    pub(super) const fn what(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        }
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
