use super::*;

const README: &str = include_str!("../../../../README.md");

#[test]
fn the_commands_are_those_of_the_page() {
    let commands = commands("http://10.0.0.1/").unwrap();
    let expected = [
        "helm install byway charts/byway -n byway --create-namespace --wait",
        "kubectl preview doctor -n staging deployment/my-app",
        "kubectl preview start -n staging -t deployment/my-app -i localhost/shop:v2 -k pr-42",
        "curl -si -H 'baggage: byway-key=pr-42' http://10.0.0.1/",
    ];
    assert_eq!(commands, expected);
}

/// It is shorter there, but says the same.
#[test]
fn the_readme_does_not_differ() {
    let [install, ..] = commands("-").unwrap();
    assert!(README.contains(&format!("    {install} ")), "{install}");
    for part in [
        "kubectl preview start -n staging -t deployment/",
        " -k pr-42",
        "curl -H 'baggage: byway-key=pr-42' ",
    ] {
        assert!(README.contains(part), "{part}");
    }
}
