use crate::clone::testing::{alone, plain};

#[test]
fn what_nobody_can_have_a_preview_of_is_refused() {
    for (spec, code) in [
        ("{hostNetwork: true}", "TargetUsesHostNetwork"),
        ("{os: {name: windows}}", "UnsupportedOS"),
        ("{nodeSelector: {kubernetes.io/os: windows}}", "UnsupportedOS"),
        ("{containers: []}", "NoTemplate"),
    ] {
        assert_eq!(alone("{}", &plain(spec)).unwrap_err().code(), code, "{spec}");
    }
    for spec in ["{hostNetwork: false}", "{os: {name: linux}}", "{nodeSelector: {kubernetes.io/os: linux}}"] {
        alone("{}", &plain(spec)).unwrap();
    }
}

#[test]
fn a_preview_has_no_preview() {
    let mut source = plain("{}");
    source.meta.labels.as_mut().unwrap().insert("byway.dev/preview".to_owned(), "other".to_owned());
    let refusal = alone("{}", &source).unwrap_err();
    assert_eq!(refusal.code(), "TargetIsPreview");
    assert_eq!(
        refusal.to_string(),
        "Deployment my-app is itself a preview: make the target of Preview other the target"
    );
}
