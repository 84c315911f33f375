//! What the CRD itself refuses, and in which words; what it fills in; and how `kubectl` shows it.

use byway_sim::said;
use serde_json::{Value, json};

use crate::stage::{Space, preview, shared};

/// The API server refuses a Preview with these fields, and says all of this.
fn refused(space: &Space<'_>, more: Value, words: &[&str]) {
    let error = space.try_apply(preview("bad", more.clone())).expect_err(&more.to_string());
    let said = said(&error);
    assert!(
        words.iter().all(|word| said.contains(word)),
        "{more} is refused with {said:?}, without {words:?}"
    );
}

fn taken(space: &Space<'_>, more: Value) {
    if let Err(error) = space.try_apply(preview("good", more.clone())) {
        panic!("{more}: {error:#}");
    }
    space.delete("Preview", "good");
}

const KEY: &str = "spec.key: Invalid value";
const TTL: &str = "ttl must be a duration between 60s and 720h such as 90m or 1h30m, or never";
const KEYLESS: &str = "every way through a match must name {{ key }} in a header matcher, e.g. { header: { name: x-traffic, exact: \"{{ key }}\" } }";

/// Files, labels, other values and ports, and sleep.
fn what_is_new(space: &Space<'_>) {
    let files = |one: Value| json!({ "files": [one] });
    let one = "a file needs exactly one of text, binary, configMapKeyRef and secretKeyRef";
    refused(space, files(json!({ "path": "/a" })), &[one]);
    refused(space, files(json!({ "path": "/a", "text": "a", "binary": "aGk=" })), &[one]);
    refused(space, files(json!({ "path": "/a", "binary": "%" })), &["spec.files[0].binary"]);
    for path in ["a", "/", "/a/", "/a//b", "/a/..", "/../a", "/a/./b", "/a:b"] {
        refused(space, files(json!({ "path": path, "text": "a" })), &["spec.files[0].path"]);
    }
    let twice = json!({ "files": [{ "path": "/a", "text": "a" }, { "path": "/a", "text": "b" }] });
    refused(space, twice, &["duplicate"]);
    taken(space, files(json!({ "path": "/etc/.a/b c", "text": "" })));
    taken(space, files(json!({ "path": "/a", "text": "b".repeat(262_144) })));
    taken(space, files(json!({ "path": "/a", "secretKeyRef": { "name": "b", "key": "c" } })));
    taken(space, files(json!({ "path": "/a", "configMapKeyRef": { "name": "b", "key": "c" } })));
    taken(space, json!({ "labels": { "keep": ["a*"], "drop": ["b"], "set": { "c": "d" } } }));
    refused(space, json!({ "labels": { "keep": [""] } }), &["spec.labels.keep[0]"]);
    taken(space, json!({ "envMapping": [{ "names": ".+", "value": "" }] }));
    refused(space, json!({ "envMapping": [{ "names": "", "value": "" }] }), &["spec.envMapping[0].names"]);
    let mapping = |more: Value| json!({ "incoming": { "portMapping": [{ "port": 80, "previewPort": 81 }], "ports": more } });
    taken(space, mapping(json!([])));
    taken(space, mapping(json!([80, 90])));
    refused(space, mapping(json!([90])), &["portMapping names a port that is not in incoming.ports"]);
    let zero = json!({ "incoming": { "portMapping": [{ "port": 80, "previewPort": 0 }] } });
    refused(space, zero, &["spec.incoming.portMapping[0].previewPort"]);
    let targetless = json!({ "target": null, "incoming": { "ports": [80], "portMapping": [{ "port": 80, "previewPort": 81 }] } });
    refused(space, targetless, &["portMapping needs a target"]);
    let mirror = |more: Value| {
        let mut incoming = json!({ "mode": "mirror" });
        incoming.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "incoming": incoming })
    };
    taken(space, mirror(json!({ "sample": 1, "match": { "method": "POST" } })));
    refused(space, mirror(json!({ "sample": 101 })), &["spec.incoming.sample"]);
    refused(space, json!({ "incoming": { "sample": 50 } }), &["sample is for incoming.mode mirror alone"]);
    let targetless = json!({ "target": null, "incoming": { "mode": "mirror", "ports": [80] } });
    refused(space, targetless, &["incoming.mode mirror needs a target"]);
    let idle = |more: Value| json!({ "idle": more });
    taken(space, idle(json!({})));
    taken(space, idle(json!({ "sleepAfter": "30s", "startAsleep": true, "wakeTimeout": "10m" })));
    for (field, values) in [("sleepAfter", ["29s", "721h", "never"]), ("wakeTimeout", ["0s", "601s", "1d"])] {
        for value in values {
            refused(space, idle(json!({ field: value })), &[&format!("{field} must be a duration between")]);
        }
    }
    let needs = "idle needs a target and incoming.mode steal";
    refused(space, json!({ "target": null, "idle": {}, "incoming": { "ports": [80] } }), &[needs]);
    refused(space, json!({ "idle": {}, "incoming": { "mode": "off" } }), &[needs]);
}

#[test]
fn keys_and_images() {
    let space = shared().space("keys");
    let words =
        "a key has 1 to 63 letters, digits, '.', '_' or '-', and begins and ends with a letter or digit";
    for key in ["-a", "a-", ".a", "a b", "a/b", "ä", "a\n"] {
        refused(&space, json!({ "key": key }), &[KEY, words]);
    }
    refused(&space, json!({ "key": "" }), &[KEY]);
    refused(&space, json!({ "key": "a".repeat(64) }), &["spec.key: Too long: may not be more than 63"]);
    for key in ["a", "A.b_c-d", "1", &"a".repeat(63)] {
        taken(&space, json!({ "key": key }));
    }
    refused(&space, json!({ "image": null }), &["spec.image: Required value"]);
    refused(&space, json!({ "image": "" }), &["spec.image: Invalid value"]);
    refused(&space, json!({ "image": "a b" }), &["image must be the name of an image, without blanks"]);
    refused(&space, json!({ "image": "a".repeat(513) }), &["spec.image", "may not be more than 512"]);
    for name in ["BYWAY_KEY", "BYWAY_PREVIEW"] {
        let ours = "BYWAY_KEY and BYWAY_PREVIEW are set to the preview's own: leave them out of env";
        refused(&space, json!({ "env": [{ "name": "A" }, { "name": name, "value": "x" }] }), &[ours]);
    }
    taken(&space, json!({ "env": [{ "name": "BYWAY_KEYS", "value": "x".repeat(4096) }] }));
    taken(&space, json!({ "incoming": { "ports": [80, 81], "ignorePorts": [81] } }));
    refused(&space, json!({ "incoming": { "ignorePorts": [0] } }), &["spec.incoming.ignorePorts[0]"]);
    what_is_new(&space);
    taken(&space, json!({ "unsetEnv": ["AWS_*", "?", "x".repeat(512)] }));
    refused(&space, json!({ "unsetEnv": [""] }), &["spec.unsetEnv[0]"]);
    refused(
        &space,
        json!({ "unsetEnv": ["x".repeat(513)] }),
        &["spec.unsetEnv[0]", "may not be more than 512"],
    );
    refused(&space, json!({ "unsetEnv": vec!["A"; 101] }), &["spec.unsetEnv: Too many: 101"]);
    let env = |more: Value| json!({ "env": [more] });
    let long = "x".repeat(513);
    let too_long = "Too long: may not be more than 512 bytes";
    refused(&space, env(json!({ "name": long })), &["spec.env[0].name", too_long]);
    let value = env(json!({ "name": "A", "value": "x".repeat(4097) }));
    refused(&space, value, &["spec.env[0].value: Too long: may not be more than 4096 bytes"]);
    for (from, field) in [
        (json!({ "secretKeyRef": { "name": "a", "key": long } }), "secretKeyRef.key"),
        (json!({ "configMapKeyRef": { "name": long, "key": "a" } }), "configMapKeyRef.name"),
        (json!({ "fieldRef": { "fieldPath": long } }), "fieldRef.fieldPath"),
        (json!({ "resourceFieldRef": { "resource": "limits.cpu", "divisor": long } }), "divisor"),
    ] {
        refused(
            &space,
            env(json!({ "name": "A", "valueFrom": from })),
            &["spec.env[0].valueFrom", field, too_long],
        );
    }
    taken(
        &space,
        env(
            json!({ "name": "A", "valueFrom": { "resourceFieldRef": { "resource": "limits.cpu", "divisor": 1 } } }),
        ),
    );
}

#[test]
fn times_to_live() {
    let space = shared().space("ttl");
    for ttl in ["", "59s", "721h", "1d", "90", "Never", "1h 30m", "-5m", "1.5h"] {
        refused(&space, json!({ "ttl": ttl }), &["spec.ttl: Invalid value", TTL]);
    }
    for ttl in ["60s", "90m", "1h30m", "720h", "never"] {
        taken(&space, json!({ "ttl": ttl }));
    }
    refused(&space, json!({ "ttl": "1s".repeat(17) }), &["may not be more than 32"]);
    let idle = "idleTtl must be a duration between 5m and 720h such as 30m or 2h; leave it out for none";
    for ttl in ["4m59s", "721h", "1d", "never", ""] {
        refused(&space, json!({ "idleTtl": ttl }), &["spec.idleTtl: Invalid value", idle]);
    }
    for ttl in ["5m", "300s", "1h30m", "720h"] {
        taken(&space, json!({ "idleTtl": ttl }));
    }
    refused(&space, json!({ "renewedAt": "yesterday" }), &["spec.renewedAt", "date-time"]);
}

#[test]
fn targets_and_ports() {
    let space = shared().space("ports");
    let kind = json!({ "target": { "kind": "CronJob", "name": "app" } });
    refused(
        &space,
        kind,
        &["spec.target.kind: Unsupported value: \"CronJob\"", "\"Deployment\"", "\"Rollout\""],
    );
    refused(&space, json!({ "target": { "kind": "Pod" } }), &["spec.target.name: Required value"]);
    refused(&space, json!({ "target": { "kind": "Pod", "name": "" } }), &["spec.target.name: Invalid value"]);
    for (field, most) in [("name", 253), ("container", 63)] {
        let mut target = json!({ "kind": "Pod", "name": "app" });
        target[field] = json!("a".repeat(most));
        taken(&space, json!({ "target": target }));
        target[field] = json!("a".repeat(most + 1));
        let wanted = format!("spec.target.{field}: Too long: may not be more than {most} bytes");
        refused(&space, json!({ "target": target }), &[&wanted]);
    }
    for (field, refusal) in [
        (json!({ "claimTemplates": "share" }), "spec.claimTemplates: Unsupported value: \"share\""),
        (json!({ "imagePullPolicy": "always" }), "spec.imagePullPolicy: Unsupported value: \"always\""),
        (
            json!({ "incoming": { "onUnreachable": "retry" } }),
            "spec.incoming.onUnreachable: Unsupported value: \"retry\"",
        ),
        (
            json!({ "incoming": { "existingConnections": "close" } }),
            "spec.incoming.existingConnections: Unsupported value: \"close\"",
        ),
    ] {
        refused(&space, field, &[refusal]);
    }
    let without = "a preview without a target needs incoming.ports: name the ports that its image serves";
    refused(&space, json!({ "target": null }), &[without]);
    refused(&space, json!({ "target": null, "incoming": { "ports": [] } }), &[without]);
    taken(&space, json!({ "target": null, "incoming": { "ports": [8080] } }));
    for port in [0, -1, 65_536] {
        refused(
            &space,
            json!({ "incoming": { "ports": [port] } }),
            &["spec.incoming.ports[0]: Invalid value"],
        );
    }
    refused(&space, json!({ "incoming": { "ports": [80, 80] } }), &["spec.incoming.ports", "uplicate"]);
    let many: Vec<u16> = (1..=33).collect();
    refused(
        &space,
        json!({ "incoming": { "ports": many } }),
        &["spec.incoming.ports: Too many: 33: must have at most 32 items"],
    );
    refused(
        &space,
        json!({ "incoming": { "mode": "take" } }),
        &["spec.incoming.mode: Unsupported value: \"take\""],
    );
    for replicas in [-1, 21] {
        refused(&space, json!({ "replicas": replicas }), &["spec.replicas: Invalid value"]);
    }
    taken(&space, json!({ "replicas": 20 }));
    refused(&space, json!({ "command": vec!["a"; 101] }), &["spec.command: Too many: 101"]);
    refused(&space, json!({ "args": ["a".repeat(4097)] }), &["spec.args[0]", "may not be more than 4096"]);
    let env: Vec<Value> = (0..101).map(|n| json!({ "name": format!("A{n}") })).collect();
    refused(&space, json!({ "env": env }), &["spec.env: Too many: 101"]);
    let twice = json!([{ "name": "A", "value": "1" }, { "name": "A", "value": "2" }]);
    refused(&space, json!({ "env": twice }), &["uplicate"]);
    refused(&space, json!({ "colour": "green" }), &["spec.colour: field not declared in schema"]);
    refused(&space, json!({ "incoming": { "port": [1] } }), &["incoming.port: field not declared in schema"]);
    let long = "n".repeat(64);
    let error = space.try_apply(preview(&long, json!({ "key": "k" }))).unwrap_err();
    assert!(said(&error).contains("the name may have at most 63 characters: shorten it"), "{error:#}");
}

/// Every way through a match needs the key in a header.
#[test]
fn matches_without_a_key() {
    let space = shared().space("matches");
    let header = |value: Value| json!({ "header": value });
    let keyed = header(json!({ "name": "x-traffic", "exact": "{{ key }}" }));
    let path = json!({ "path": { "prefix": "/api" } });
    let method = json!({ "method": "GET" });
    let matching = |value: &Value| json!({ "incoming": { "match": value } });
    for keyless in [
        path.clone(),
        method.clone(),
        header(json!({ "name": "x-traffic", "exact": "me" })),
        header(json!({ "name": "x-traffic", "regex": ".*" })),
        json!({ "headerFilter": "x-traffic: me" }),
        json!({ "all": [path, method] }),
        json!({ "any": [keyed, path] }),
        json!({ "any": [path] }),
        json!({ "all": [{ "header": { "name": "key", "exact": "key" } }, path] }),
    ] {
        refused(&space, matching(&keyless), &[KEYLESS]);
    }
    for good in [
        keyed.clone(),
        header(json!({ "name": "x-traffic", "exact": "{{key}}" })),
        header(json!({ "name": "x-traffic", "regex": "^{{ key }}(,|$)" })),
        json!({ "headerFilter": "x-traffic: {{ key }}" }),
        json!({ "all": [keyed, path, method] }),
        json!({ "any": [keyed, header(json!({ "name": "x-other", "exact": "{{ key }}" }))] }),
    ] {
        taken(&space, matching(&good));
    }
    // What an object holds must hold together, so one with a key is enough.
    let mut both = keyed.clone();
    both["path"] = path["path"].clone();
    taken(&space, matching(&both));
    let one_of_two = "a header matcher must have exactly one of exact and regex";
    let one_of_three = "a path matcher must have exactly one of exact, prefix and regex";
    let with_path = |path: Value| json!({ "header": keyed["header"], "path": path });
    for (bad, words) in [
        (json!({}), "a match must name a header, headerFilter, path, method, all or any"),
        (
            json!({ "all": [keyed, {}] }),
            "an entry of all or any must name a header, headerFilter, path or method",
        ),
        (
            json!({ "any": [keyed, {}] }),
            "an entry of all or any must name a header, headerFilter, path or method",
        ),
        (header(json!({ "name": "a", "exact": "{{ key }}", "regex": "{{ key }}" })), one_of_two),
        (header(json!({ "name": "a" })), one_of_two),
        (json!({ "all": [{ "header": { "name": "a" } }] }), one_of_two),
        (with_path(json!({})), one_of_three),
        (with_path(json!({ "exact": "/a", "prefix": "/a" })), one_of_three),
        (
            header(json!({ "name": "a b", "exact": "{{ key }}" })),
            "the name of a header is made of letters, digits",
        ),
        (
            json!({ "header": keyed["header"], "method": "get" }),
            "a method is written as it is sent, in capitals",
        ),
        (
            json!({ "any": [{ "header": keyed["header"], "method": "G T" }] }),
            "a method is written as it is sent, in capitals",
        ),
        (header(json!({ "name": "a", "exact": "k".repeat(1025) })), "may not be more than 1024"),
        (header(json!({ "name": "a".repeat(129), "exact": "{{ key }}" })), "header.name: Too long"),
        (
            with_path(json!({ "prefix": "a".repeat(1025) })),
            "path.prefix: Too long: may not be more than 1024",
        ),
        (json!({ "header": keyed["header"], "method": "A".repeat(33) }), "method: Too long"),
        (
            json!({ "all": vec![keyed.clone(); 33] }),
            "spec.incoming.match.all: Too many: 33: must have at most 32 items",
        ),
    ] {
        refused(&space, matching(&bad), &["spec.incoming.match", words]);
    }
}

#[test]
fn key_and_target_stay_as_they_are() {
    let space = shared().space("immutable");
    let key = "key is immutable: make another Preview for another key";
    let target = "target is immutable: make another Preview for another target";
    let again = |name: &str, more: Value, message: &str| {
        let error = space.try_apply(preview(name, more)).unwrap_err();
        assert!(said(&error).contains(message), "{error:#}");
    };
    space.preview("named", json!({}));
    again("named", json!({ "key": "other" }), key);
    again("named", json!({ "key": null }), key);
    again("named", json!({ "target": { "kind": "Pod", "name": "app" } }), target);
    let ports = json!({ "ports": [80] });
    again("named", json!({ "target": null, "incoming": ports }), target);
    space.preview("unnamed", json!({ "key": null, "target": null, "incoming": ports }));
    again("unnamed", json!({ "target": null, "incoming": ports }), key);
    again("unnamed", json!({ "key": null, "incoming": ports }), target);
    // All else may change.
    space.preview(
        "named",
        json!({ "image": "app:newer", "ttl": "2h", "replicas": 2, "env": [{ "name": "A" }] }),
    );
}

#[test]
fn what_is_left_out_is_filled_in() {
    let space = shared().space("defaults");
    let spec = space.preview("pr-1", json!({}))["spec"].clone();
    let incoming = json!({
        "mode": "steal", "onUnreachable": "error", "existingConnections": "leave", "responseHeader": true,
    });
    assert_eq!(spec["ttl"], "1h");
    assert_eq!(spec["replicas"], 1);
    assert_eq!(spec["claimTemplates"], "refuse");
    let without = space.kube().create(&json!({
        "apiVersion": "byway.dev/v1alpha1", "kind": "Preview",
        "metadata": { "name": "pr-2", "namespace": space.name },
        "spec": { "image": "a:1", "target": { "kind": "Pod", "name": "a" }, "incoming": {} },
    }));
    assert_eq!(without.unwrap()["spec"]["incoming"], incoming);
}

#[test]
fn kubectl_shows_previews() {
    let space = shared().space("kubectl");
    let ask = |args: &[&str]| {
        let args = [args, &["-n", &space.name]].concat();
        shared().cluster.ask(args).unwrap()
    };
    space.deployment("app", 1);
    space.preview("pr-1", json!({ "key": "change-kubectl", "ttl": "never" }));
    ask(&["wait", "--for=condition=Ready", "--timeout=30s", "preview/pr-1"]);
    let table = |text: &str| -> Vec<Vec<String>> {
        text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let columns = table(&ask(&["get", "previews"]));
    assert_eq!(columns[0], ["NAME", "KEY", "TARGET", "PHASE", "READY", "LEFT"]);
    assert_eq!(columns[1], ["pr-1", "change-kubectl", "app", "Ready", "True", "never"]);
    let wide = table(&ask(&["get", "bwp", "-o", "wide"]));
    let more = ["KIND", "REASON", "PROGRAMMED", "WANTED", "IMAGE"];
    assert!(more.iter().all(|it| wide[0].contains(&(*it).to_owned())), "{:?}", wide[0]);
    assert!(wide[1].contains(&"app:preview".to_owned()), "{:?}", wide[1]);
    assert!(ask(&["get", "byway"]).contains("preview.byway.dev/pr-1"), "the category");
    let routes = table(&shared().cluster.ask(["get", "noderoutes"]).unwrap());
    assert_eq!(routes[0], ["NAME", "GENERATION", "OBSERVED", "AGENT", "FAILURE"]);
    for field in [
        "spec.key=change-kubectl",
        "spec.target.name=app",
        "spec.target.kind=Deployment",
        "status.key=change-kubectl",
        "status.phase=Ready",
    ] {
        assert_eq!(
            ask(&["get", "previews", "-o", "name", "--field-selector", field]),
            "preview.byway.dev/pr-1\n"
        );
        let other = field.replace('=', "!=");
        assert_eq!(ask(&["get", "previews", "-o", "name", "--field-selector", &other]), "");
    }
    let explained = shared().cluster.ask(["explain", "preview.spec.ttl"]).unwrap();
    assert!(
        explained.contains("How long it lives: `90m`, `1h30m`, between `60s` and `720h`, or `never`"),
        "{explained}"
    );
    let described = ask(&["describe", "preview", "pr-1"]);
    assert!(described.contains("requests with the key reach the preview"), "{described}");
}
