//! Admission webhooks of the cluster: one that refuses, then one that is dead.

use std::fs;
use std::process::Command;

use byway_tests::{Running, Scratch, eventually, tied};
use k8s_openapi::ByteString;
use serde_json::json;

use crate::stage::{PATIENCE, phase, shared};

/// Refuses whatever it is asked; says its port.
const REFUSES: &str = r#"
import http.server, json, ssl, sys

class Webhook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"uid": review["request"]["uid"], "allowed": False, "status": {"message": "not on Fridays"}}
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print("port", server.server_port, flush=True)
server.serve_forever()
"#;

#[test]
fn a_webhook_that_refuses_the_pods_or_is_dead_is_named() {
    let space = shared().labelled_space("webhook", &json!({ "asks-a-webhook": "yes" }));
    space.deployment("app", 1);
    space.wait_pods("app=app", 1);

    let scratch = Scratch::new("webhook").unwrap();
    let [certificate, key] = ["tls.crt", "tls.key"].map(|name| scratch.path().join(name));
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", REFUSES]).args([&certificate, &key]);
    tied(&mut python);
    let mut server = Running::spawn("webhook", &mut python).unwrap();
    let port = || server.log().trim().strip_prefix("port ")?.parse::<u16>().ok();
    let port = eventually(PATIENCE, port).unwrap_or_else(|| panic!("{}", server.log()));
    space
        .kube()
        .apply(&json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": { "name": "friday.webhooks.test" },
            "webhooks": [{
                "name": "friday.webhooks.test", "admissionReviewVersions": ["v1"], "sideEffects": "None", "timeoutSeconds": 2,
                "namespaceSelector": { "matchLabels": { "asks-a-webhook": "yes" } },
                "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] }],
                "clientConfig": {
                    "url": format!("https://127.0.0.1:{port}/"), "caBundle": ByteString(made.cert.pem().into_bytes()),
                },
            }],
        }))
        .unwrap();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "generateName": "probe-", "namespace": space.name },
        "spec": { "containers": [{ "name": "a", "image": "a:1" }] },
    });
    let refuses = || space.kube().create(&pod).is_err().then_some(()); // it takes the API server a moment to know it
    assert!(eventually(PATIENCE, refuses).is_some());

    space.preview("pr-1", json!({}));
    let said = space.wait_not_ready("pr-1", "PodsReady", "AdmissionRefused");
    assert!(
        said.contains("admission webhook \"friday.webhooks.test\" denied the request: not on Fridays"),
        "{said}"
    );

    server.kill();
    space.preview("pr-2", json!({}));
    let said = space.wait_not_ready("pr-2", "PodsReady", "AdmissionRefused");
    assert!(said.contains("failed calling webhook \"friday.webhooks.test\""), "{said}");
    assert_eq!(phase(&space.get("Preview", "pr-2").unwrap()), "Failed");

    space.kube().delete("ValidatingWebhookConfiguration", "", "friday.webhooks.test").unwrap();
    space.wait_ready("pr-2");
}
