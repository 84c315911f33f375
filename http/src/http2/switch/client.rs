//! The way from the client: frames for home go on as they came, those of streams that are away leave it here.

use super::{
    Input, Scratch, Step, Stream, Switch,
    block::MOST_BLOCK,
    inlet::{Inlet, Reading},
};
use crate::detect::PREFACE;
use crate::http2::frame::{self, Head, flag, kind, whole};

/// Longest frame beside those of blocks and bodies that is looked at.
const MOST_FRAME: usize = 64 * 1024;

impl Switch {
    /// Takes bytes of the client, up to the next request that is to be decided.
    pub fn client(&mut self, input: &mut Input<'_>, scratch: &mut Scratch) -> Step {
        loop {
            match self.from_client.reading {
                Reading::Head => {
                    let Some(head) = self.from_client.walker.head(&mut input.rest) else { break };
                    self.from_client.reading = self.client_head(&head);
                }
                Reading::Preface(left) => {
                    let Some(bytes) = input.some(left) else { break };
                    self.to_home.bytes.extend_from_slice(bytes);
                    self.from_client.reading = match PREFACE[PREFACE.len() - left..].strip_prefix(bytes) {
                        Some([]) => Reading::Head,
                        Some(rest) => Reading::Preface(rest.len()),
                        None => Reading::Pass(usize::MAX), // whatever it is, it is home's
                    };
                }
                Reading::Pass(0) | Reading::Drop(0) => self.from_client.reading = Reading::Head,
                Reading::Pass(left) => {
                    let Some(passed) = self.to_home.pass(input, left) else { break };
                    self.from_client.reading = Reading::Pass(left - passed);
                }
                Reading::Drop(left) => {
                    let Some(bytes) = input.some(left) else { break };
                    self.from_client.reading = Reading::Drop(left - bytes.len());
                }
                Reading::Whole(head) => {
                    let before = input.rest;
                    let payload = whole(&mut self.from_client.held, &mut input.rest, head.len);
                    self.passes_slowly(&before[..before.len() - input.rest.len()]);
                    let Some(payload) = payload else { break };
                    self.from_client.reading = Reading::Head;
                    self.settle_home();
                    let step = self.client_frame(&head, &payload, scratch);
                    if step != Step::Done {
                        return step;
                    }
                }
                Reading::Padding(head) => {
                    let Some([padding]) = input.some(1) else { break };
                    let (left, padding) = (head.len - 1, usize::from(*padding));
                    let padding = padding.min(left);
                    self.pays_for_padding(head.stream, padding + 1);
                    let ended = head.has(flag::END_STREAM);
                    let stream = head.stream;
                    self.from_client.reading = Reading::Body { stream, left: left - padding, padding, ended };
                }
                Reading::Body { stream, left: 0, padding, ended } => {
                    if ended {
                        self.ends_away(stream, None);
                    }
                    self.from_client.reading = Reading::Drop(padding);
                }
                Reading::Body { stream, left, padding, ended } => {
                    let Some(bytes) = input.some(left) else { break };
                    let left = left - bytes.len();
                    self.body_away(stream, bytes, left == 0);
                    self.from_client.reading = Reading::Body { stream, left, padding, ended };
                }
            }
        }
        self.settle();
        Step::Done
    }

    /// The client sends no more. What has come of a frame is home's, as it would be without the switch.
    pub fn client_ended(&mut self) {
        let Inlet { walker, reading, held, block, slow } = std::mem::take(&mut self.from_client);
        if let Some(block) = block {
            self.to_home.bytes.extend_from_slice(&block.raw);
        }
        if let Reading::Whole(head) = reading
            && slow.is_none()
        {
            self.to_home.bytes.extend_from_slice(&head.raw);
            self.to_home.bytes.extend_from_slice(&held);
        }
        self.to_home.bytes.extend_from_slice(walker.begun());
    }

    fn client_head(&mut self, head: &Head) -> Reading {
        if let Some(block) = &self.from_client.block {
            let goes_on = head.kind == kind::CONTINUATION && head.stream == block.stream;
            if goes_on && block.len() + head.len <= MOST_BLOCK {
                self.passes_slowly(&head.raw);
                return Reading::Whole(*head);
            }
            self.is_blind |= goes_on;
            self.give_up_block();
        }
        match head.kind {
            kind::DATA => self.client_data(head),
            kind::HEADERS if head.len > MOST_BLOCK => {
                (self.decoder, self.is_blind) = (None, true);
                if self.mirror.is_some() {
                    self.undecodable_home(head.stream, head.has(flag::END_STREAM));
                    return Reading::Drop(head.len);
                }
                self.pass_home(head)
            }
            kind::HEADERS => Reading::Whole(*head),
            kind::PRIORITY..=kind::WINDOW_UPDATE if head.len <= MOST_FRAME => Reading::Whole(*head),
            _ => self.pass_home(head),
        }
    }

    fn pass_home(&mut self, head: &Head) -> Reading {
        self.settle_home();
        self.to_home.bytes.extend_from_slice(&head.raw);
        Reading::Pass(head.len)
    }

    fn client_data(&mut self, head: &Head) -> Reading {
        match self.streams.get(&head.stream) {
            Some(Stream::Home(_)) if head.has(flag::END_STREAM) => {
                self.ends_at_home(head.stream, true);
                self.pass_home(head)
            }
            Some(Stream::Home(_)) => self.pass_home(head),
            Some(Stream::Away(_)) if head.has(flag::PADDED) && head.len > 0 => Reading::Padding(*head),
            Some(Stream::Away(_)) => {
                let ended = head.has(flag::END_STREAM);
                Reading::Body { stream: head.stream, left: head.len, padding: 0, ended }
            }
            Some(Stream::Gone) => {
                if head.has(flag::END_STREAM) {
                    self.streams.remove(&head.stream);
                }
                self.owed = self.owed.saturating_add(head.len as u32);
                Reading::Drop(head.len)
            }
            None if self.was_away(head.stream) => {
                self.owed = self.owed.saturating_add(head.len as u32);
                Reading::Drop(head.len)
            }
            None => self.pass_home(head),
        }
    }

    /// A stream that was away, is over, and that home would take for one to come.
    pub(super) fn was_away(&self, stream: u32) -> bool {
        stream > self.highest_home && stream <= self.highest && stream % 2 == 1
    }

    fn client_frame(&mut self, head: &Head, payload: &[u8], scratch: &mut Scratch) -> Step {
        let number = if payload.len() == 4 { frame::number(payload) } else { None };
        match (head.kind, number) {
            (kind::HEADERS | kind::CONTINUATION, _) => return self.client_fragment(head, payload, scratch),
            (kind::WINDOW_UPDATE, Some(room)) if head.stream == 0 && room > 0 => {
                self.client_takes(head, payload, room);
            }
            (kind::WINDOW_UPDATE, Some(room)) if self.takes_away(head.stream, room) => return Step::Done,
            (kind::RST_STREAM, Some(_)) if self.is_away(head.stream) => self.client_resets(head, payload),
            (kind::RST_STREAM, Some(_)) => {
                self.leaves_home(head.stream);
                self.raw_home(head, payload);
            }
            (kind::PRIORITY, _) if self.is_away(head.stream) => {}
            (kind::SETTINGS, _) if !head.has(flag::ACK) => {
                self.client_settings(payload);
                self.raw_home(head, payload);
            }
            // Clients of gRPC ask whenever bodies come, and servers end the connection of one that asks where they have
            // said nothing. So what others gave rise to is not home's to hear.
            (kind::PING, _)
                if !head.has(flag::ACK)
                    && payload.len() == 8
                    && self.decoder.is_some()
                    && std::mem::take(&mut self.others_spoke) =>
            {
                frame::write(&mut self.soon_client, kind::PING, flag::ACK, 0, payload);
            }
            (kind::PING, _) if head.has(flag::ACK) && self.drain.is_answered(payload) => self.drains_on(),
            _ => self.raw_home(head, payload),
        }
        Step::Done
    }

    pub(super) fn raw_home(&mut self, head: &Head, payload: &[u8]) {
        self.to_home.bytes.extend_from_slice(&head.raw);
        self.to_home.bytes.extend_from_slice(payload);
    }

    fn is_away(&self, stream: u32) -> bool {
        match self.streams.get(&stream) {
            Some(Stream::Home(_)) => false,
            Some(Stream::Away(_) | Stream::Gone) => true,
            None => self.was_away(stream),
        }
    }
}
