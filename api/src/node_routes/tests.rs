use super::*;

#[test]
fn what_is_written_is_read_again() {
    let spec = NodeRoutesSpec { agent_pod_uid: Some("u".into()), table: "{}".into() };
    let mut object = NodeRoutes::new("node-1", spec);
    object.status = Some(NodeRoutesStatus {
        instance: Some(Instance { pod_uid: "u".into(), started_at: "2030-01-01T00:00:00Z".parse().unwrap() }),
        observed_generation: Some(3),
        previews: vec![
            RouteStatus { name: "staging/a".into(), revision: Some("a1".into()), ..RouteStatus::default() },
            RouteStatus {
                name: "staging/b".into(),
                revision: Some("b1".into()),
                refused: None,
                failures: vec![TargetFailure {
                    target: "staging/app-0".into(),
                    reason: "NoBtf".into(),
                    message: "x".into(),
                }],
            },
            RouteStatus { name: "staging/c".into(), revision: Some("c1".into()), ..RouteStatus::default() },
        ],
        ..NodeRoutesStatus::default()
    });
    let text = serde_json::to_string(&object).unwrap();
    assert!(
        text.contains(r#""live":"staging/a a1\nstaging/c c1\n","previews":[{"name":"staging/b""#),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<NodeRoutes>(&text).unwrap(), object);
}

#[test]
fn an_acknowledgement_is_of_one_state_of_an_object() {
    let object = NodeRoutesStatus::default().replacing("node-1", "u", 17);
    let metadata = serde_json::json!({ "name": "node-1", "uid": "u", "resourceVersion": "17" });
    assert_eq!(object["metadata"], metadata);
    assert!(serde_json::from_value::<NodeRoutes>(object).is_ok(), "an object of its kind");
}

#[test]
fn the_schema_is_one_that_a_cluster_takes() {
    for schema in [schemars::schema_for!(NodeRoutesSpec), schemars::schema_for!(NodeRoutesStatus)] {
        let schema = schema.to_value().to_string();
        assert!(
            !schema.contains("\"additionalProperties\":false"),
            "structural schemas have additionalProperties for maps only: {schema}"
        );
    }
}
