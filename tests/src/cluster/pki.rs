//! The cluster's certificate authority, and kubeconfig files for those who hold a certificate of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::{Value, json};

/// A certificate authority and the folder of everything that it signed.
pub(super) struct Pki {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    pub(super) fn new(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&dir)?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "byway-test-cluster");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        fs::write(dir.join("ca.crt"), params.self_signed(&key)?.pem())?;

        // What service accounts' tokens are signed with, and checked with.
        let accounts = KeyPair::generate()?;
        fs::write(dir.join("accounts.key"), accounts.serialize_pem())?;
        fs::write(dir.join("accounts.pub"), accounts.public_key_pem())?;
        Ok(Self { dir, issuer: Issuer::new(params, key) })
    }

    /// The path of a file as an argument.
    pub(super) fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Makes `NAME.crt` and `NAME.key`: a certificate of `user`, a member of `group`, which also serves the
    /// given names and addresses.
    pub(super) fn sign(&self, name: &str, user: &str, group: Option<&str>, serves: &[String]) -> Result<()> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(serves)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        fs::write(self.file(&format!("{name}.crt")), params.signed_by(&key, &self.issuer)?.pem())?;
        fs::write(self.file(&format!("{name}.key")), key.serialize_pem())?;
        Ok(())
    }

    /// Signs a certificate for `user` and writes a kubeconfig with it, in which the API server is at `server`.
    pub(super) fn kubeconfig(
        &self,
        name: &str,
        user: &str,
        group: Option<&str>,
        server: &str,
    ) -> Result<PathBuf> {
        self.sign(name, user, group, &[])?;
        let file = self.dir.join(format!("{name}.yaml"));
        let cluster = json!({ "server": server, "certificate-authority": self.file("ca.crt") });
        let certificate = self.file(&format!("{name}.crt"));
        let key = self.file(&format!("{name}.key"));
        write_kubeconfig(&file, &cluster, &json!({ "client-certificate": certificate, "client-key": key }))?;
        Ok(file)
    }
}

/// Writes a kubeconfig. JSON is YAML, too.
pub(super) fn write_kubeconfig(file: &Path, cluster: &Value, user: &Value) -> Result<()> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "byway", "cluster": cluster }],
        "users": [{ "name": "user", "user": user }],
        "contexts": [{ "name": "byway", "context": { "cluster": "byway", "user": "user" } }],
        "current-context": "byway",
    });
    Ok(fs::write(file, serde_json::to_vec_pretty(&config)?)?)
}
