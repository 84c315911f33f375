//! The programs that clusters get: what they are built from, and what their images say.

/// The node agent.
pub(crate) const AGENT: &str = "byway-agent";
/// The controller.
pub(crate) const CONTROLLER: &str = "byway-controller";
/// The kubectl plugin.
pub(crate) const CLI: &str = "byway-cli";

/// A program in an image of its own.
pub(crate) struct Program {
    /// Its package.
    pub(crate) package: &'static str,
    /// Its file, which names the image.
    pub(crate) name: &'static str,
    /// Who runs it.
    pub(crate) user: &'static str,
    /// For whoever looks at the image.
    pub(crate) title: &'static str,
}

/// All of them. The `Containerfile` has a target for each.
pub(crate) const PROGRAMS: &[Program] = &[
    Program { package: AGENT, name: AGENT, user: "0:0", title: "Byway node agent" },
    Program { package: CONTROLLER, name: CONTROLLER, user: "65532:65532", title: "Byway controller" },
    Program { package: CLI, name: "kubectl-preview", user: "65532:65532", title: "Byway's kubectl plugin" },
];

/// The packages of all of them.
pub(crate) fn packages() -> Vec<&'static str> {
    PROGRAMS.iter().map(|program| program.package).collect()
}
