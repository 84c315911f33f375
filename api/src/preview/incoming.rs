//! Which requests reach the preview, and how.

use serde::{Deserialize, Serialize};

use super::schema;
use crate::absent::yes;
use crate::derives::{JsonSchema, KubeSchema};
use crate::{ExistingConnections, Match, OnUnreachable};

/// Which requests reach the preview, and how.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(schema::EVERY_WAY_HAS_THE_KEY).message(schema::KEYLESS),
    validation = Rule::new("!has(self.sample) || self.mode == 'mirror'").message("sample is for incoming.mode mirror alone: leave it out"),
    validation = Rule::new("!has(self.portMapping) || !has(self.ports) || size(self.ports) == 0 || self.portMapping.all(m, m.port in self.ports)")
        .message("portMapping names a port that is not in incoming.ports: add it there, or take it out here"),
)]
pub struct Incoming {
    /// How requests come to the preview.
    #[serde(default)]
    pub mode: Mode,
    /// Of mode mirror: of how many connections of a hundred the requests are copied. Left out: of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::percent")]
    pub sample: Option<u8>,
    /// The ports to steer. Left out: the container's ports and what Services send to the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::ports")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub ports: Vec<u16>,
    /// Of these the ports that are not steered: requests to them stay with the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::ports")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub ignore_ports: Vec<u16>,
    /// Where the preview listens for a steered port, if it does not at the same one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["port".into()]))]
    pub port_mapping: Vec<PortMapping>,
    /// What a request must look like. Left out: the key in the header x-byway-key, a baggage member or a cookie byway-key.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub match_: Option<Match>,
    /// Who answers when no pod of the preview can be reached.
    #[serde(default)]
    pub on_unreachable: OnUnreachable,
    /// What happens to connections that were open before the route.
    #[serde(default)]
    pub existing_connections: ExistingConnections,
    /// Whether answers of the preview get the header x-byway-preview.
    #[serde(default = "yes")]
    #[schemars(schema_with = "schema::response_header")]
    pub response_header: bool,
}

impl Default for Incoming {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            sample: None,
            ports: Vec::new(),
            ignore_ports: Vec::new(),
            port_mapping: Vec::new(),
            match_: None,
            on_unreachable: OnUnreachable::default(),
            existing_connections: ExistingConnections::default(),
            response_header: true,
        }
    }
}

/// How requests come to the preview.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Keyed requests go to the preview instead of the app.
    #[default]
    Steal,
    /// The app answers everything, and the preview gets copies: of GET and HEAD, unless match names a method. No key is needed.
    Mirror,
    /// None: the preview only runs.
    Off,
}

/// A port of the target, and that of the preview to which its requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortMapping {
    /// The port that is steered.
    #[schemars(schema_with = "schema::port")]
    pub port: u16,
    /// The port of the preview's container.
    #[schemars(schema_with = "schema::port")]
    pub preview_port: u16,
}

impl Incoming {
    /// Where the preview listens for requests to `port`.
    #[must_use]
    pub fn preview_port(&self, port: u16) -> u16 {
        self.port_mapping.iter().find(|it| it.port == port).map_or(port, |it| it.preview_port)
    }
}
