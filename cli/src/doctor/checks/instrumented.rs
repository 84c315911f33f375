//! Whether the target looks as if it passed keys on.

use k8s_openapi::api::core::v1::Container;

use crate::doctor::facts::{Facts, TargetFacts};
use crate::doctor::finding::Findings;

/// Languages whose automatic instrumentation passes `baggage` on without more ado, and those that need code.
const BY_ITSELF: [&str; 4] = ["java", "nodejs", "python", "dotnet"];

pub(super) fn propagation(facts: &Facts, findings: &mut Findings) {
    let Some(Ok(source)) = facts.target.as_ref().and_then(TargetFacts::source) else { return };
    let containers: Vec<&Container> = source.spec.containers.iter().collect();
    let var = |name: &str| {
        let mut vars = containers.iter().flat_map(|container| container.env.iter().flatten());
        vars.find(|var| var.name == name).map(|var| var.value.clone().unwrap_or_default())
    };
    let has = |list: &str| list.split(',').any(|one| one.trim().eq_ignore_ascii_case("baggage"));
    let mut signs = Vec::new();
    for name in [
        "OTEL_PROPAGATORS",
        "DD_TRACE_PROPAGATION_STYLE",
        "DD_TRACE_PROPAGATION_STYLE_EXTRACT",
        "DD_TRACE_PROPAGATION_STYLE_INJECT",
    ] {
        // A value from elsewhere cannot be read here.
        let Some(list) = var(name).filter(|list| !list.is_empty()) else { continue };
        if has(&list) {
            signs.push(format!("{name} has baggage in it"));
        } else {
            findings
                .warning(format!("{name} is {list}: it lacks baggage, so a key in baggage is lost; add it"));
        }
    }
    let annotations = source.meta.annotations.iter().flatten();
    for (name, value) in annotations.filter(|(_, value)| *value != "false") {
        if let Some(language) = name.strip_prefix("instrumentation.opentelemetry.io/inject-") {
            let more =
                if BY_ITSELF.contains(&language) { "" } else { ", which may need a propagator set in code" };
            signs.push(format!("OpenTelemetry is injected for {language} ({value}){more}"));
        }
        if name.starts_with("admission.datadoghq.com/") && name.ends_with("-lib.version") {
            signs.push(format!("Datadog's tracer is injected ({name})"));
        }
    }
    let agents = ["JAVA_TOOL_OPTIONS", "NODE_OPTIONS", "PYTHONPATH", "CORECLR_PROFILER_PATH"];
    for name in agents {
        let value = var(name).unwrap_or_default().to_ascii_lowercase();
        if ["opentelemetry", "dd-java-agent", "dd-trace", "ddtrace"].iter().any(|word| value.contains(word)) {
            signs.push(format!("{name} loads a tracer"));
        }
    }
    let mut otel = containers.iter().flat_map(|container| container.env.iter().flatten());
    if signs.is_empty() && otel.any(|var| var.name.starts_with("OTEL_") || var.name.starts_with("DD_")) {
        signs.push("variables of a tracer are set".to_owned());
    }
    if !findings.all.is_empty() {
        return;
    }
    if signs.is_empty() {
        findings.unknown("no sign of a tracer was found: whether it passes a key on cannot be seen from outside. It matters only if it calls other services");
    } else {
        findings.ok(format!("{}: baggage is probably passed on", signs.join("; ")));
    }
}
