//! Istio's ambient mode: ztunnel works in the pod's namespace, on bytes, and calls the app from the address of the real
//! client.

use byway_tests::{Agent, App, Http, Pod, Running};

use crate::{KEYED, PORT, Stage, load_rules, start};

fn join(pod: &Pod) -> Running {
    load_rules(pod, "ambient.rules", &[]);
    for args in
        ["rule add fwmark 0x111/0xfff pref 32764 lookup 100", "route add local 0.0.0.0/0 dev lo table 100"]
    {
        assert!(pod.command("ip").args(args.split(' ')).status().unwrap().success(), "{args}");
    }
    start(pod, &["haproxy", "-db", "-f", "ztunnel.cfg"], "ztunnel.cfg", &[], 15001)
}

#[test]
fn what_ztunnel_sends_on_is_steered_and_keeps_its_origin() {
    let Some(stage) = Stage::new() else { return };
    let [outside, member] = stage.net.pods(["outside", "member"]).unwrap();
    let _app = App::start(&stage.app, "STABLE", "0.0.0.0:8080").unwrap();
    let _preview = App::start(&stage.preview, "PREVIEW", "0.0.0.0:8080").unwrap();
    let _tunnels = [&stage.app, &stage.client, &stage.preview, &member].map(join);
    for agent in [false, true] {
        let routes = stage.routes(stage.preview()).environment("pr-1", &[&member]);
        let _agent = agent.then(|| Agent::start(&stage.net, &routes).unwrap());
        // Through a tunnel, and from a pod that is not in the mesh.
        for client in [&stage.client, &outside] {
            let mut http = Http::new(client.connect((stage.app.ipv4, PORT)).unwrap());
            for _ in 0..20 {
                let answer = http.get("/", &[]).unwrap().text();
                assert!(answer.starts_with(&format!("STABLE {}:", client.ipv4)), "{}: {answer}", client.name);
                let answer = http.get("/", KEYED).unwrap().text();
                assert!(
                    answer.starts_with(if agent { "PREVIEW " } else { "STABLE " }),
                    "{}: {answer}",
                    client.name
                );
            }
        }
        let mut http = Http::new(member.connect((stage.app.ipv4, PORT)).unwrap());
        let answer = http.get("/", &[]).unwrap().text();
        assert!(answer.starts_with(if agent { "PREVIEW " } else { "STABLE " }), "by its origin: {answer}");
    }
}
