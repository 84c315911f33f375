use super::*;

#[test]
fn what_is_written_is_read_again() {
    let spec = NodeRoutesSpec { agent_pod_uid: Some("u".into()), table: "{}".into() };
    let mut object = NodeRoutes::new("node-1", spec);
    object.status = Some(NodeRoutesStatus {
        instance: Some(Instance { pod_uid: "u".into(), started_at: "2030-01-01T00:00:00Z".parse().unwrap() }),
        observed_generation: Some(3),
        previews: vec![RouteStatus {
            name: "staging/good".into(),
            revision: Some("a1".into()),
            refused: None,
            failures: vec![TargetFailure {
                target: "staging/app-0".into(),
                reason: "NoBtf".into(),
                message: "x".into(),
            }],
        }],
        ..NodeRoutesStatus::default()
    });
    let text = serde_json::to_string(&object).unwrap();
    assert_eq!(serde_json::from_str::<NodeRoutes>(&text).unwrap(), object);
}

#[test]
fn the_schema_is_one_that_a_cluster_takes() {
    for schema in [schemars::schema_for!(NodeRoutesSpec), schemars::schema_for!(NodeRoutesStatus)] {
        let schema = schema.to_value().to_string();
        assert!(
            !schema.contains("additionalProperties"),
            "structural schemas have no additionalProperties: {schema}"
        );
    }
}
