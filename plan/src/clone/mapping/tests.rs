use serde_json::{Value, json};

use crate::clone::testing::{alone, plain, pods, reasons, said};

fn clone(more: &str, spec: &str) -> crate::clone::Children {
    let container = format!("{{name: app, image: 'my-app:1', ports: [{{containerPort: 80}}], {more}}}");
    alone(
        spec,
        &plain(&format!(
            "{{containers: [{container}, {{name: logs, image: logs, env: [{{name: A_MS, value: b}}]}}]}}"
        )),
    )
    .unwrap()
}

const ENV: &str = "env: [{name: A_MS, value: '1'}, {name: B_MS, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: C, value: '3'}]";

fn env(spec: &str) -> Value {
    let mut all = pods(&clone(ENV, spec)).0["containers"][0]["env"].take();
    all.as_array_mut().unwrap().drain(..2);
    all
}

#[test]
fn the_first_that_fits_a_name_gives_the_value() {
    let spec = "{envMapping: [{names: 'A', value: a}, {names: '_MS$', value: ''}, {names: '^S', value: no}]}";
    assert_eq!(
        env(spec),
        json!([{ "name": "A_MS", "value": "a" }, { "name": "B_MS", "value": "" }, { "name": "C", "value": "3" }])
    );
    let other = pods(&clone(ENV, spec)).0["containers"][1]["env"].as_array().unwrap().clone();
    assert!(other.contains(&json!({ "name": "A_MS", "value": "b" })), "of a sidecar nothing is changed");
}

#[test]
fn what_is_set_and_what_is_taken_out_goes_before_it() {
    let spec = "{envMapping: [{names: '.', value: x}], unsetEnv: [A_*], env: [{name: C, value: c}]}";
    assert_eq!(env(spec), json!([{ "name": "B_MS", "value": "x" }, { "name": "C", "value": "c" }]));
}

#[test]
fn what_env_from_brings_in_is_told() {
    let from = "envFrom: [{configMapRef: {name: conf}}]";
    assert!(said(&clone(from, "{envMapping: [{names: a, value: b}]}"), "EnvFrom").contains("envMapping"));
    assert_eq!(reasons(&clone(from, "{}")), [""; 0]);
    assert_eq!(reasons(&clone(ENV, "{envMapping: [{names: a, value: b}]}")), [""; 0]);
}
