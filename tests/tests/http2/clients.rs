//! Clients as they come.

use crate::{KEY, NAME, Stage, decided, opaque};

#[test]
fn curl() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let agent = stage.agent();
    let url = format!("http://{}/", stage.to());
    let key = format!("{}: {}", KEY.0, KEY.1);
    let plain = ["-sS", "-i", "--http2-prior-knowledge"];
    let stable = stage.run("curl", &[&plain[..], &[&url]].concat());
    assert!(stable.starts_with("HTTP/2 200") && stable.contains("APP "), "{stable}");
    let keyed = stage.run("curl", &[&plain[..], &["-H", &key, &url]].concat());
    assert!(keyed.contains("PREVIEW ") && keyed.contains(&format!("x-byway-preview: {NAME}")), "{keyed}");
    let cookie = stage.run("curl", &[&plain[..], &["-b", "a=b; byway-key=pr-1", &url]].concat());
    assert!(cookie.contains("PREVIEW "), "{cookie}");
    let head = stage.run("curl", &[&plain[..], &["-I", "-H", &key, &url]].concat());
    assert!(head.contains(&format!("x-byway-preview: {NAME}")), "{head}");
    assert_eq!(opaque(&agent, "Http2"), 0.0);
}

#[test]
fn nghttp_and_h2load() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let agent = stage.agent();
    let url = format!("http://{}", stage.to());
    let key = format!("{}: {}", KEY.0, KEY.1);
    let bytes = stage.run("nghttp", &["-H", &key, &format!("{url}/bytes?3000000")]);
    assert_eq!(bytes.len(), 3_000_000);
    let load = ["-n", "4000", "-c", "4", "-m", "50"];
    for (to, header) in [("app", "x: y"), ("preview", &key)] {
        let before = decided(&agent, to);
        let told = stage.run("h2load", &[&load[..], &["-H", header, &url]].concat());
        assert!(told.contains("4000 succeeded, 0 failed, 0 errored, 0 timeout"), "{told}");
        assert_eq!(decided(&agent, to) - before, 4000.0);
    }
}

/// All bodies wait in the client at once, which are more than the 10 MB that Node lets a session hold unless told otherwise.
const NODE: &str = r"
const http2 = require('http2'), [origin, key] = process.argv.slice(1);
const session = http2.connect(origin, { maxSessionMemory: 100 });
session.on('error', e => { console.error(e); process.exit(1); });
let open = 0, wrong = 0;
for (let i = 0; i < 500; i++) {
  const keyed = i % 3 == 0;
  const stream = session.request({ ':path': '/count', ':method': 'POST', ...(keyed ? { 'x-byway-key': key } : {}) });
  let body = '';
  open++;
  stream.setEncoding('utf8').on('data', d => body += d).on('end', () => {
    if (body != (keyed ? 'PREVIEW ' : 'APP ') + i * 100) { wrong++; console.error(i, body); }
    if (--open == 0) { session.close(); console.log('wrong', wrong); }
  });
  stream.end(Buffer.alloc(i * 100));
}
";

#[test]
fn node_with_many_streams_at_once() {
    let Some(stage) = Stage::new() else { return };
    let _servers = stage.gos();
    let _agent = stage.agent();
    let told = stage.run("node", &["-e", NODE, &format!("http://{}", stage.to()), KEY.1]);
    assert_eq!(told.trim(), "wrong 0");
}
