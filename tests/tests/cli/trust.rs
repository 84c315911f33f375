//! Whom the plugin takes for the API server: whom kubectl takes. A real API server shows several certificates, each to who
//! asks for its name; the kubeconfig says which name that is, and what to trust.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use byway_tests::{Cluster, Scratch, kube_bin};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use serde_json::{Value, json};

use crate::command::command;

/// What a certificate is like.
type Change = fn(&mut CertificateParams);

/// A name for which the server shows a certificate, and whose that is. All are their own issuer, but for the leaf's.
const SHOWN: [(&str, &str, Change); 6] = [
    ("own.test", "own.test", ca),
    ("plain.test", "plain.test", |_| ()),
    ("leaf.test", "leaf.test", |_| ()),
    ("expired.test", "expired.test", |it| {
        (it.not_before, it.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    }),
    ("clients.test", "clients.test", |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
    ("alias.test", "own.test", ca),
];

/// The name that is asked for, what is trusted, and what the plugin says if that is not enough.
const CASES: [(&str, &[&str], Option<&str>); 12] = [
    ("own.test", &["own.test"], None),
    ("plain.test", &["plain.test"], None),
    ("leaf.test", &["leaf.test"], None),
    ("leaf.test", &["own.test", "leaf.test"], None),
    ("leaf.test", &["authority"], None),
    (
        "own.test",
        &["alias.test"],
        Some("neither signed by the certificate that the kubeconfig trusts, nor that one"),
    ),
    ("leaf.test", &["own.test", "plain.test"], Some("neither signed by")),
    ("own.test", &["authority"], Some("neither signed by")),
    ("alias.test", &["alias.test"], Some("for another name")),
    ("expired.test", &["expired.test"], Some("it has expired")),
    ("expired.test", &["plain.test", "expired.test"], Some("it has expired")),
    ("clients.test", &["clients.test"], Some("it is not for servers")),
];

#[test]
fn the_servers_own_certificate_is_trusted_as_kubectl_trusts_it() {
    let folder = Scratch::new("trust").unwrap();
    let file = |name: &str, kind: &str| folder.path().join(format!("{name}.{kind}"));
    let authority = authority();
    let mut builder = Cluster::builder();
    for (name, of, change) in SHOWN {
        let key = KeyPair::generate().unwrap();
        let params = params(of, change);
        let certificate = match name {
            "leaf.test" => params.signed_by(&key, &authority.1).unwrap(),
            _ => params.self_signed(&key).unwrap(),
        };
        fs::write(file(name, "crt"), certificate.pem()).unwrap();
        fs::write(file(name, "key"), key.serialize_pem()).unwrap();
        builder = builder.serves(name, &file(name, "crt"), &file(name, "key"));
    }
    fs::write(file("authority", "crt"), authority.0.pem()).unwrap();
    let cluster = builder.start().unwrap();

    for (name, trusted, refused) in CASES {
        let trusted: Vec<_> = trusted.iter().map(|it| file(it, "crt")).collect();
        let kubeconfig = kubeconfig(cluster.kubeconfig(), name, &trusted, folder.path());
        let kubectl = Command::new(kube_bin().unwrap().join("kubectl"))
            .args(["get", "--raw", "/version", "--kubeconfig"])
            .arg(&kubeconfig)
            .output()
            .unwrap();
        let plugin = command(&kubeconfig).arg("list").output().unwrap();
        let what =
            format!("{name}, trusting {trusted:?}\nkubectl: {}plugin: {}", said(&kubectl), said(&plugin));
        assert_eq!(kubectl.status.success(), refused.is_none(), "{what}");
        // Nothing is installed there, which is what a server that is trusted says.
        let (code, word) = refused.map_or((9, "not installed"), |word| (8, word));
        assert_eq!(plugin.status.code(), Some(code), "{what}");
        assert!(said(&plugin).contains(word), "{what}");
        assert!(!said(&plugin).contains("VPN"), "it is no matter of the network: {what}");
    }
}

fn ca(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

fn params(name: &str, change: Change) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2090, 1, 1));
    change(&mut params);
    params
}

fn authority() -> (Certificate, Issuer<'static, KeyPair>) {
    let (key, params) = (KeyPair::generate().unwrap(), params("authority", ca));
    (params.self_signed(&key).unwrap(), Issuer::new(params, key))
}

/// The administrator's, but for whom it trusts.
fn kubeconfig(of: &Path, name: &str, trusted: &[PathBuf], folder: &Path) -> PathBuf {
    let mut config: Value = serde_json::from_slice(&fs::read(of).unwrap()).unwrap();
    let bundle: String = trusted.iter().map(|it| fs::read_to_string(it).unwrap()).collect();
    let (file, authority) = (folder.join("kubeconfig"), folder.join("bundle.crt"));
    fs::write(&authority, bundle).unwrap();
    let cluster = &mut config["clusters"][0]["cluster"];
    cluster["tls-server-name"] = json!(name);
    cluster["certificate-authority"] = json!(authority);
    fs::write(&file, config.to_string()).unwrap();
    file
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
