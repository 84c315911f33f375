use kube::core::response::StatusDetails;

use super::*;

fn status(code: u16, message: &str) -> Status {
    Status { code, message: message.to_owned(), ..Status::failure(message, "") }
}

fn details(json: serde_json::Value) -> Option<StatusDetails> {
    serde_json::from_value(json).unwrap()
}

#[test]
fn each_refusal_has_its_exit_code() {
    let exit = |code| refused(&status(code, "no")).exit;
    assert_eq!(exit(401), Exit::NotAllowed);
    assert_eq!(exit(403), Exit::NotAllowed);
    assert_eq!(exit(400), Exit::Invalid);
    assert_eq!(exit(404), Exit::NotInstalled);
    assert_eq!(exit(409), Exit::Failed);
    assert_eq!(exit(503), Exit::Unreachable);
    let named = |kind: &str| {
        let details = details(serde_json::json!({ "name": "x", "kind": kind }));
        refused(&Status { details, ..status(404, "not found") })
    };
    assert_eq!(named("previews").exit, Exit::NotFound);
    assert_eq!(
        (named("namespaces").exit, named("namespaces").reason.as_str()),
        (Exit::NotFound, "NamespaceNotFound")
    );
}

#[test]
fn a_policy_speaks_for_itself() {
    let said = "previews.byway.dev \"a\" is forbidden: ValidatingAdmissionPolicy 'byway' with binding 'byway' denied request: a Preview runs an image: joe may not create pods in demo";
    assert_eq!(
        refused(&status(403, said)).message,
        "a Preview runs an image: joe may not create pods in demo"
    );
}

#[test]
fn what_is_invalid_is_said_field_by_field() {
    let details = details(serde_json::json!({ "name": "x", "causes": [
        { "field": "spec.ttl", "message": "Invalid value: \"5s\": ttl must be a duration" },
        { "field": "spec", "message": "Invalid value: \"object\": a preview without a target needs incoming.ports" },
        { "field": "<nil>", "message": "Invalid value: null: some validation rules were not checked" },
    ] }));
    let said = refused(&Status { details, ..status(422, "Preview.byway.dev \"x\" is invalid: []") });
    assert_eq!(said.exit, Exit::Invalid);
    let lines: Vec<&str> = said.message.lines().collect();
    assert_eq!(lines[0], "spec.ttl: ttl must be a duration");
    assert_eq!(lines[1], "spec: a preview without a target needs incoming.ports");
}

#[test]
fn what_does_not_fit_the_schema_is_the_users_and_not_the_servers() {
    let head = "failed to create typed patch object (demo/a; byway.dev/v1alpha1, Kind=Preview): ";
    let said = refused(&status(500, &format!("{head}.spec.imag: field not declared in schema")));
    assert_eq!((said.exit, said.message.as_str()), (Exit::Invalid, "spec.imag: there is no such field"));
    let several = "errors:\n  .spec.a: field not declared in schema\n  .spec.b: field not declared in schema";
    let said = refused(&status(500, &format!("{head}{several}")));
    assert_eq!(said.message, "spec.a: there is no such field\nspec.b: there is no such field");
    assert_eq!(refused(&status(500, "etcd is away")).exit, Exit::Unreachable);
}
