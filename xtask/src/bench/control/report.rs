//! The tables, and which goals were reached.

use std::fmt;

use serde_json::Value;

/// What was found, to be shown.
pub(super) struct Report<'a>(pub(super) &'a Value);

/// Milliseconds from a pod whose containers are ready to the last acknowledgement, for 99 of 100 changes on 20 nodes.
const WAY: f64 = 250.0;
/// Bytes of the controller's memory, at its highest.
const MEMORY: f64 = (128 << 20) as f64;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

fn mib(value: &Value) -> f64 {
    number(value) / f64::from(1 << 20)
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "NOT reached" }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latencies = self.0["latency"].as_array().map_or(&[][..], Vec::as_slice);
        if !latencies.is_empty() {
            writeln!(
                f,
                "\nfrom a preview's pod whose containers are ready to the last agent's acknowledgement"
            )?;
            writeln!(f, "{:>6} {:>9} {:>8} {:>8} {:>8}", "nodes", "previews", "p50 ms", "p99 ms", "max ms")?;
        }
        for it in latencies {
            let [nodes, previews] = [&it["nodes"], &it["previews"]].map(number);
            let [p50, p99, max] = [&it["p50_ms"], &it["p99_ms"], &it["max_ms"]].map(number);
            writeln!(f, "{nodes:>6} {previews:>9} {p50:>8.0} {p99:>8.0} {max:>8.0}")?;
        }
        for it in latencies {
            let per_change = it["operations_per_change"].as_object().into_iter().flatten();
            let texts: Vec<String> = per_change.map(|(what, n)| format!("{what} {:.1}", number(n))).collect();
            writeln!(f, "operations per change, {} nodes: {}", it["nodes"], texts.join(", "))?;
        }
        if !self.0["scale"].is_null() {
            self.scale(f)?;
        }
        writeln!(f, "\n{:<52} {:<16}", "goal", "found")?;
        for it in latencies.iter().filter(|it| it["nodes"] == 20) {
            let p99 = number(&it["p99_ms"]);
            let goal = format!("99 of 100 routes live within {WAY} ms, 20 nodes");
            writeln!(f, "{goal:<52} {:<16} {}", format!("{p99:.0} ms"), verdict(p99 < WAY))?;
        }
        if !self.0["scale"].is_null() {
            self.goals(f)?;
        }
        Ok(())
    }
}

impl Report<'_> {
    fn scale(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = &self.0["scale"];
        let (previews, pods, nodes) = (&scale["previews"], &scale["pods"], &scale["nodes"]);
        writeln!(f, "\nthe controller with {previews} previews, {pods} pods and {nodes} nodes")?;
        writeln!(
            f,
            "{:<28} {:>12} {:>10} {:>10} {:>14}",
            "", "processors", "RSS MiB", "peak MiB", "operations/s"
        )?;
        for (name, field) in [("at rest", "rest"), ("10 pods replaced a second", "churn")] {
            let it = &scale[field];
            writeln!(
                f,
                "{name:<28} {:>12.3} {:>10.1} {:>10.1} {:>14.2}",
                number(&it["cores"]),
                mib(&it["rss"]),
                mib(&it["peak"]),
                number(&it["operations_per_second"]),
            )?;
        }
        let restart = &scale["restart"];
        writeln!(
            f,
            "{:<28} {:>12} {:>10.1} {:>10.1} {:>14}",
            "started anew",
            "",
            mib(&restart["rss"]),
            mib(&restart["peak"]),
            format!("{} writes", restart["writes"]),
        )
    }

    fn goals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = &self.0["scale"];
        let peak =
            ["rest", "churn", "restart"].map(|it| number(&scale[it]["peak"])).into_iter().fold(0.0, f64::max);
        let found = format!("{:.0} MiB", peak / f64::from(1 << 20));
        writeln!(f, "{:<52} {found:<16} {}", "below 128 MiB at any time", verdict(peak < MEMORY))?;
        let (rest, anew) = (number(&scale["rest"]["operations"]), number(&scale["restart"]["writes"]));
        let found = format!("{rest} and {anew}");
        writeln!(
            f,
            "{:<52} {found:<16} {}",
            "no write at rest, none after a start",
            verdict(rest + anew == 0.0)
        )
    }
}
