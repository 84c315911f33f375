use serde_json::{Value, json};

use crate::clone::Children;
use crate::clone::testing::{alone, plain, pods, reasons, said};

const FROM: &str = "envFrom: [{secretRef: {name: db}}]";

fn clone(more: &str, spec: &str) -> Children {
    let target = plain(&format!(
        "{{containers: [{{name: app, image: 'my-app:1', ports: [{{containerPort: 80}}], {more}}}]}}"
    ));
    alone(spec, &target).unwrap()
}

/// Without those that are always there.
fn env(children: &Children) -> Value {
    let mut all = pods(children).0["containers"][0]["env"].take();
    all.as_array_mut().unwrap().drain(..2);
    all
}

const ENV: &str = "env: [{name: AWS_KEY, value: a}, {name: AWS_ID, value: b}, {name: LAWS, value: c}, {name: PORT, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]";

#[test]
fn what_is_named_goes_and_what_is_set_stays() {
    let names = |spec: &str| {
        let env = env(&clone(ENV, spec));
        env.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("{}"), ["AWS_KEY", "AWS_ID", "LAWS", "PORT"]);
    assert_eq!(names("{unsetEnv: [AWS_*]}"), ["LAWS", "PORT"]);
    assert_eq!(names("{unsetEnv: [AWS_I?, PORT, NONE, aws_key, '?']}"), ["AWS_KEY", "LAWS"]);
    assert_eq!(names("{unsetEnv: ['*']}"), [""; 0]);
    assert_eq!(names("{unsetEnv: ['*'], env: [{name: LAWS, value: d}]}"), ["LAWS"]);
    assert_eq!(reasons(&clone(ENV, "{unsetEnv: ['*']}")), [""; 0]);
}

#[test]
fn of_env_from_a_name_is_emptied_and_a_pattern_is_told() {
    let both =
        clone(&format!("{ENV}, {FROM}"), "{unsetEnv: [AWS_*, PORT, URL], env: [{name: URL, value: x}]}");
    assert_eq!(
        env(&both),
        json!([
            { "name": "LAWS", "value": "c" },
            { "name": "PORT", "value": "" },
            { "name": "URL", "value": "x" },
        ])
    );
    let message = said(&both, "EnvFrom");
    assert!(message.contains("PORT are set to an empty text"), "{message}");
    assert!(message.contains("AWS_* are there still"), "{message}");
    assert!(said(&clone(FROM, "{unsetEnv: [A]}"), "EnvFrom").ends_with("set to an empty text"));
    assert_eq!(reasons(&clone(FROM, "{}")), [""; 0]);
}

#[test]
fn only_the_container_with_the_image_loses_any() {
    let target = plain(
        "{containers: [{name: app, image: 'my-app:1', ports: [{containerPort: 80}], env: [{name: A, value: b}]}, {name: logs, image: logs, env: [{name: A, value: b}]}]}",
    );
    let pods = pods(&alone("{unsetEnv: [A]}", &target).unwrap()).0;
    let has = |n: usize| pods["containers"][n]["env"].as_array().unwrap().iter().any(|it| it["name"] == "A");
    assert!(!has(0) && has(1));
}
