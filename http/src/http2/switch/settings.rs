//! What the client has said of itself. Lines are told the same.

use super::{MOST_TOLD, Switch, flow};
use crate::http2::frame::{self, kind, setting};

/// Settings of a client that are remembered.
const MOST_SETTINGS: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Settings(Vec<(u16, u32)>);

impl Settings {
    pub(super) fn set(&mut self, id: u16, value: u32) {
        if let Some((_, old)) = self.0.iter_mut().find(|(known, _)| *known == id) {
            *old = value;
        } else if self.0.len() < MOST_SETTINGS {
            self.0.push((id, value));
        }
    }

    /// What it takes on a new stream.
    pub(super) fn window(&self) -> i64 {
        let window = self.0.iter().find(|(id, _)| *id == setting::INITIAL_WINDOW_SIZE);
        window.map_or(flow::USUAL, |(_, value)| i64::from(*value))
    }

    /// As a line has to be told.
    pub(super) fn for_line(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        frame::add_setting(&mut payload, setting::ENABLE_PUSH, 0);
        self.0.iter().for_each(|(id, value)| add_for_line(&mut payload, *id, *value));
        payload
    }
}

/// Pushing is home's, and how lines encode and cut is between them and the switch.
fn add_for_line(payload: &mut Vec<u8>, id: u16, value: u32) {
    if !matches!(id, setting::ENABLE_PUSH | setting::HEADER_TABLE_SIZE | setting::MAX_FRAME_SIZE) {
        frame::add_setting(payload, id, value);
    }
}

impl Switch {
    pub(super) fn client_settings(&mut self, payload: &[u8]) {
        let before = self.settings.window();
        let mut for_lines = Vec::new();
        for (id, value) in frame::settings(payload) {
            self.settings.set(id, value);
            add_for_line(&mut for_lines, id, value);
        }
        for line in self.lines.iter_mut().filter(|_| !for_lines.is_empty()) {
            if line.out.len() < MOST_TOLD {
                frame::write(&mut line.out.bytes, kind::SETTINGS, 0, 0, &for_lines);
            } else {
                line.owes_settings = true;
            }
        }
        let change = self.settings.window() - before;
        if change != 0 && self.away > 0 {
            self.client_window_changes(change);
        }
    }
}
