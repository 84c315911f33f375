//! How connections to a target's port reach their app: straight, or through the agent.

use std::fmt;

use clap::ValueEnum;

use crate::snapshot::Routes;

/// What is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Wanted {
    /// Straight where the kernel and the port allow it.
    Auto,
    /// Straight; the agent does not start where the kernel cannot.
    Direct,
    /// Through the agent.
    #[default]
    Proxy,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Direct,
    Proxy(Why),
}

/// Why connections go through the agent from their first byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The agent was told so.
    Told,
    /// The kernel lacks something, or no program could be attached.
    Kernel,
    /// Requests without a key are for nobody here.
    NoApp,
    /// A route needs no key, so every head has to be read.
    Keyless,
    /// HTTP/2 is spoken here.
    Http2,
}

impl Why {
    /// The stable code, as in `debug routes`.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Told => "Told",
            Self::Kernel => "Kernel",
            Self::NoApp => "NoApp",
            Self::Keyless => "Keyless",
            Self::Http2 => "Http2",
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
