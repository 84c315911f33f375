//! How connections to a target's port reach their app: straight, or through the agent.

use std::fmt;

pub(crate) use byway_abi::direct::Why;
use byway_abi::{DIRECT, WHY};
use clap::ValueEnum;

use crate::snapshot::Routes;

/// What is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Wanted {
    /// Straight where the kernel and the port allow it.
    #[default]
    Auto,
    /// Straight; the agent does not start where the kernel cannot.
    Direct,
    /// Through the agent.
    Proxy,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Direct,
    Proxy(Why),
}

impl Mode {
    /// As agents tell it.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Direct => byway_api::ways::DIRECT,
            Self::Proxy(why) => why.code(),
        }
    }

    /// As the map of ports has it.
    pub(crate) const fn bits(self) -> u32 {
        match self {
            Self::Direct => DIRECT,
            Self::Proxy(why) => (why as u32) << WHY,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("direct"),
            Self::Proxy(why) => write!(f, "proxy ({})", why.code()),
        }
    }
}

/// Of a port with these routes. `possible`: the target's interfaces have the programs.
pub(crate) fn choose(possible: Result<(), Why>, routes: &Routes, port: u16, speaks_http2: bool) -> Mode {
    let why_not = if let Err(why) = possible {
        Some(why)
    } else if routes.is_own() {
        Some(Why::NoApp)
    } else if routes.at(port).table.has_keyless() {
        Some(Why::Keyless)
    } else {
        speaks_http2.then_some(Why::Http2)
    };
    why_not.map_or(Mode::Direct, Mode::Proxy)
}
