use super::*;

fn settings(selector: &str) -> Result<Settings, clap::Error> {
    let args = ["byway-controller", "--namespace", "byway", "--preview-namespaces", selector];
    Ok(Cli::try_parse_from(args)?.settings)
}

#[test]
fn there_may_be_previews_where_the_selector_says_and_never_where_byway_is() {
    let not_system = r#"{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["kube-system"]}]}"#;
    let of_team =
        r#"{"matchLabels":{"team":"shop"},"matchExpressions":[{"key":"frozen","operator":"DoesNotExist"}]}"#;
    let may = |by: &str, name: &str, more: &[&str]| {
        let mut labels: BTreeMap<_, _> = [("kubernetes.io/metadata.name".to_owned(), name.to_owned())].into();
        labels.extend(more.iter().map(|it| (*it).to_owned()).zip(["shop".to_owned(), "yes".to_owned()]));
        settings(by).unwrap().has_previews(name, &labels)
    };
    assert!(may(not_system, "demo", &[]) && !may(not_system, "kube-system", &[]));
    assert!(may(of_team, "kube-system", &["team"]) && !may(of_team, "demo", &[]));
    assert!(!may(of_team, "demo", &["team", "frozen"]));
    assert!(may("{}", "demo", &[]) && !may("{}", "byway", &[]));
    assert!(
        settings("").is_err() && settings(r#"{"matchExpressions":[{"key":"a","operator":"Is"}]}"#).is_err()
    );
}
