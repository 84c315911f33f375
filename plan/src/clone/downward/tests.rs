use serde_json::json;

use crate::clone::testing::{alone, pods, reasons, source};
use byway_api::TargetKind;

#[test]
fn a_variable_keeps_the_value_of_a_label_that_went() {
    let target = source(
        TargetKind::Deployment,
        "
        metadata: {labels: {team: shop}}
        spec:
          containers:
          - name: app
            image: my-app:1
            ports: [{containerPort: 80}]
            env:
            - {name: APP, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['app']\"}}}
            - {name: TEAM, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['team']\"}}}
            - {name: HASH, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['pod-template-hash']\"}}}
            - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
          volumes:
          - name: info
            downwardAPI: {items: [{path: app, fieldRef: {fieldPath: \"metadata.labels['app']\"}}, {path: all, fieldRef: {fieldPath: metadata.labels}}]}
        ",
    );
    let clone = alone("{}", &target).unwrap();
    let (spec, _) = pods(&clone);
    let env = &spec["containers"][0]["env"];
    assert_eq!(env[2], json!({ "name": "APP", "value": "my-app" }));
    for (at, path) in
        [(3, "metadata.labels['team']"), (4, "metadata.labels['pod-template-hash']"), (5, "metadata.name")]
    {
        assert_eq!(env[at]["valueFrom"]["fieldRef"]["fieldPath"], path);
    }
    assert_eq!(reasons(&clone), ["LabelsDiffer"]);
}
