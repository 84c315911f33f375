//! Service meshes in their shape: the real rules of redirection in the pods' namespaces, and haproxy or nginx in the
//! place of the proxy. What the proxy sends on to the app in plain text, from inside the pod, is steered.

mod ambient;
mod sidecar;
mod terminator;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use byway_tests::{Net, Pod, Preview, Routes, Running, Scratch, needs_root};

const PORT: u16 = 8080;
const NAME: &str = "demo/redesign";
const KEYED: &[(&str, &str)] = &[("x-byway-key", "pr-1")];
const APPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/apps/meshes");

/// A node with an app, its preview and a client, all of them in the mesh.
struct Stage {
    net: Net,
    app: Pod,
    preview: Pod,
    client: Pod,
}

impl Stage {
    fn new() -> Option<Self> {
        if needs_root() {
            return None;
        }
        let net = Net::new().unwrap();
        let [app, preview, client] = net.pods(["app", "preview", "client"]).unwrap();
        Some(Self { net, app, preview, client })
    }

    fn preview(&self) -> Preview {
        Preview::new(NAME, "pr-1").backend(&self.preview)
    }

    fn routes(&self, preview: Preview) -> Routes {
        Routes::new().preview(preview).target(&self.app, &[PORT], &[NAME])
    }
}

/// Loads rules into the pod's namespace, with `@NAME@` replaced.
fn load_rules(pod: &Pod, file: &str, values: &[(&str, &str)]) {
    let mut restore =
        pod.command("iptables-restore").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    restore.stdin.take().unwrap().write_all(read(file, values).as_bytes()).unwrap();
    let output = restore.wait_with_output().unwrap();
    assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Starts a proxy in the pod, with a configuration and a certificate of its own, and waits until it listens.
fn start(pod: &Pod, command: &[&str], file: &str, values: &[(&str, &str)], port: u16) -> Running {
    let folder = Scratch::new(file).unwrap();
    fs::write(folder.path().join(file), read(file, values)).unwrap();
    let certified = rcgen::generate_simple_self_signed(["mesh".to_owned()]).unwrap();
    let pem = certified.cert.pem() + &certified.signing_key.serialize_pem();
    fs::write(folder.path().join("mesh.pem"), pem).unwrap();
    let (program, args) = command.split_first().unwrap();
    let mut command = pod.command(program);
    command.args(args).current_dir(folder.path());
    let mut running = Running::spawn(program, &mut command).unwrap().keeping(folder);
    running.wait_listening(port).unwrap();
    running
}

fn read(file: &str, values: &[(&str, &str)]) -> String {
    let text = fs::read_to_string(Path::new(APPS).join(file)).unwrap();
    values.iter().fold(text, |text, (name, value)| text.replace(name, value))
}
