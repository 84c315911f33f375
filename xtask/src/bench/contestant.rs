//! Who takes part.

use std::fmt;

/// What stands between client and app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contestant {
    /// Nothing, and no agent runs.
    Direct,
    /// The agent, with this many routes on the target.
    Byway { routes: u32 },
    /// The same, with connections that go straight to the app until they are keyed.
    Straight { routes: u32 },
    /// The agent, with the target steered ahead of any route.
    Armed,
    /// The agent, which shows a preview copies of all requests.
    Mirroring,
    /// haproxy, steered to by the agent's program.
    Haproxy,
    /// nginx, steered to by the agent's program.
    Nginx,
    /// envoy, steered to by the agent's program.
    Envoy,
}

/// What clients speak, and apps and proxies with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    /// Without TLS, and gRPC over it.
    Http2,
}

impl Protocol {
    pub(super) const ALL: [Self; 2] = [Self::Http1, Self::Http2];

    /// Who takes part in a comparison.
    pub(super) fn contestants(self) -> Vec<Contestant> {
        use Contestant::{Direct, Envoy, Haproxy, Nginx};
        let (byway, straight) = (Contestant::BYWAY, Contestant::STRAIGHT);
        match self {
            Self::Http1 => vec![Direct, straight, byway, Haproxy, Nginx],
            Self::Http2 => vec![Direct, byway, Haproxy, Nginx, Envoy],
        }
    }
}

impl Contestant {
    pub(super) const BYWAY: Self = Self::Byway { routes: 1 };
    pub(super) const STRAIGHT: Self = Self::Straight { routes: 1 };

    pub(super) fn is_proxy(self) -> bool {
        matches!(self, Self::Haproxy | Self::Nginx | Self::Envoy)
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Direct => f.pad("direct"),
            Self::BYWAY => f.pad("byway"),
            Self::Byway { routes } => f.pad(&format!("byway, {routes} routes")),
            Self::STRAIGHT => f.pad("straight"),
            Self::Straight { routes } => f.pad(&format!("straight, {routes} routes")),
            Self::Armed => f.pad("byway, armed"),
            Self::Mirroring => f.pad("mirroring"),
            Self::Haproxy => f.pad("haproxy"),
            Self::Nginx => f.pad("nginx"),
            Self::Envoy => f.pad("envoy"),
        }
    }
}
