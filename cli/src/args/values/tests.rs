use super::*;

#[test]
fn a_target_is_written_as_for_kubectl_and_mirrord() {
    let it = |text| target(text).map(|it| (it.kind, it.name, it.container));
    let app = "app".to_owned();
    assert_eq!(it("deployment/app"), Ok((TargetKind::Deployment, app.clone(), None)));
    assert_eq!(it("deployments.apps/app"), Ok((TargetKind::Deployment, app.clone(), None)));
    assert_eq!(it("StatefulSet/app"), Ok((TargetKind::StatefulSet, app.clone(), None)));
    assert_eq!(it("po/app/container/web"), Ok((TargetKind::Pod, app.clone(), Some("web".to_owned()))));
    for wrong in ["app", "deployment/", "deployment/app/web", "deployment/app/container/", "a/b/c/d/e"] {
        assert!(it(wrong).is_err(), "{wrong}");
    }
    assert!(it("service/app").unwrap_err().contains("use deployment, statefulset"));
}

#[test]
fn a_duration_has_units() {
    for (text, seconds) in [("90s", 90), ("5m", 300), ("1h30m", 5400), ("60", 60), ("0s", 0)] {
        assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
    for wrong in ["", "m", "5d", "5m3", "99999999999999999999h", "-1s"] {
        assert!(duration(wrong).unwrap_err().contains("such as 90s"), "{wrong}");
    }
}

#[test]
fn a_time_that_would_be_refused_later_is_refused_at_once() {
    type Parse = fn(&str) -> Result<Duration, String>;
    for (parse, good, bad, says) in [
        (patience as Parse, ["1", "720h"], ["0", "721h"], "between 1s and 720h"),
        (sleep_after, ["30s", "720h"], ["29s", "18446744073709551615"], "between 30s and 720h"),
        (wake_timeout, ["1s", "10m"], ["0s", "601"], "between 1s and 10m"),
    ] {
        good.iter().for_each(|it| assert!(parse(it).is_ok(), "{it}"));
        bad.iter().for_each(|it| assert!(parse(it).unwrap_err().contains(says), "{it}: {:?}", parse(it)));
    }
}

#[test]
fn a_variable_may_hold_anything_behind_the_first_equals_sign() {
    assert_eq!(env("A=b=c").unwrap(), EnvVarArg { name: "A".into(), value: "b=c".into() });
    assert_eq!(env("A=").unwrap().value, "");
    assert!(env("A").is_err() && env("=b").is_err());
}
