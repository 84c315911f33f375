use super::*;

#[test]
fn names_are_kubernetes_own() {
    for name in ["a", "web-1", "web.v2.example", "0", &"a".repeat(253)] {
        assert_eq!(object_name(name), Ok(name.to_owned()));
    }
    for name in
        ["", "<changeme>", "My-App", "a_b", "-a", "a-", "a..b", ".a", "ä", "a b", "a/b", &"a".repeat(254)]
    {
        let said = object_name(name).unwrap_err();
        assert!(said.contains("is no name") && said.contains(name), "{name:?}: {said}");
    }
    assert!(namespace("team.a").is_err() && container("web.1").is_err(), "no dots in these");
    assert!(namespace("${NAMESPACE}").unwrap_err().ends_with("Put the real one in its place"));
}

#[test]
fn images_have_names_of_their_own() {
    for name in [
        "web",
        "registry.example:5000/team/web:pr-1",
        "[fd00::1]:5000/web",
        "web@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "Registry.Example/web_app:V1.0__2",
    ] {
        assert_eq!(image(name), Ok(name.to_owned()));
    }
    for name in ["", "registry.example/<image>", "web:$TAG", "web:{{ tag }}", "we b", "wéb", &"a".repeat(513)]
    {
        assert!(image(name).unwrap_err().contains("is not the name of an image"), "{name:?}");
    }
    assert!(image("registry.example/<image>").unwrap_err().contains("no image has '<' in its name"));
}
