use serde_json::{Value, json};

use super::*;

/// With the context, cluster and user `a`, changed so.
fn kubeconfig(change: impl FnOnce(&mut Value)) -> Kubeconfig {
    let mut text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{ "name": "c", "cluster": { "server": "https://127.0.0.1:1" } }],
        "contexts": [{ "name": "a", "context": { "cluster": "c", "user": "u" } }],
        "users": [{ "name": "u", "user": { "token": "x" } }],
    });
    change(&mut text);
    Kubeconfig::from_yaml(&text.to_string()).unwrap()
}

fn said(done: Result<(), Failure>) -> String {
    let failure = done.unwrap_err();
    assert_eq!((failure.exit, failure.reason.as_str()), (Exit::Unreachable, "NoKubeconfig"));
    format!("{}; {}", failure.message, failure.fix.expect("what to do"))
}

#[test]
fn a_server_without_a_scheme_is_named_with_its_cluster() {
    for server in ["127.0.0.1:33247", "notaurl", "//127.0.0.1", "ftp://a", "https://", "https://a b"] {
        let read = kubeconfig(|it| it["clusters"][0]["cluster"]["server"] = json!(server));
        let said = said(check(&read, "a"));
        assert!(said.contains("the server of the cluster \"c\" needs https://"), "{said}");
        assert!(said.contains(server), "{said}");
    }
    for server in [json!(""), json!(null)] {
        let said = said(check(&kubeconfig(|it| it["clusters"][0]["cluster"]["server"] = server), "a"));
        assert!(said.contains("the cluster \"c\" has no server"), "{said}");
    }
    for server in ["https://127.0.0.1:1", "http://localhost:8001", "https://a.example/k8s/clusters/c-1"] {
        let read = kubeconfig(|it| it["clusters"][0]["cluster"]["server"] = json!(server));
        check(&read, "a").unwrap();
    }
}

#[test]
fn what_a_context_names_must_be_there() {
    let context = |field: &str, value: Value| kubeconfig(|it| it["contexts"][0]["context"][field] = value);
    let said_of = |read: &Kubeconfig, name: &str| said(check(read, name));
    let user = said_of(&context("user", json!("x")), "a");
    assert!(user.contains("the user \"x\" of the context a is not in it"), "{user}");
    let cluster = said_of(&context("cluster", json!("x")), "a");
    assert!(cluster.contains("the cluster \"x\" of the context a is not in it"), "{cluster}");
    let other = said_of(&kubeconfig(|_| ()), "b");
    assert!(other.contains("there is no context b in it; give --context with one that it has: a"), "{other}");
    let none = said_of(&kubeconfig(|_| ()), "");
    assert!(none.contains("it has no current context"), "{none}");
    // kubectl asks as nobody then.
    for nobody in [json!(""), json!(null)] {
        check(&context("user", nobody), "a").unwrap();
    }
}

#[test]
fn a_plugin_that_is_not_there_is_named_with_how_to_install_it() {
    let why = std::io::Error::from(std::io::ErrorKind::NotFound);
    let exec = |hint: Option<&str>| ExecConfig {
        command: Some("no-plugin".to_owned()),
        install_hint: hint.map(str::to_owned),
        ..ExecConfig::default()
    };
    let hinted = said(Err(without_plugin(&exec(Some("\nbrew install it\n")), &why)));
    assert!(hinted.contains("no-plugin, which is not installed; install it: brew install it"), "{hinted}");
    let plain = said(Err(without_plugin(&exec(None), &why)));
    assert!(plain.contains("install no-plugin"), "{plain}");
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let denied = said(Err(without_plugin(&exec(None), &denied)));
    assert!(denied.contains("no-plugin, which cannot be run: permission denied"), "{denied}");
}

#[test]
fn of_a_provider_it_says_what_is_used_in_its_place() {
    for (name, wanted) in [
        ("gcp", "gke-gcloud-auth-plugin"),
        ("azure", "kubelogin convert-kubeconfig"),
        ("oidc", "not supported without an id-token"),
        ("other", "the auth-provider other is not supported"),
    ] {
        let provider = AuthProviderConfig { name: name.to_owned(), ..AuthProviderConfig::default() };
        let said = said(Err(unsupported(&provider)));
        assert!(said.contains(wanted) && said.contains("exec plugin"), "{said}");
    }
}
