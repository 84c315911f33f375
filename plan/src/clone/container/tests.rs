use super::repository;
use crate::clone::testing::{key, preview, service, source};
use crate::clone::{Refusal, Surroundings, of_target};
use byway_api::TargetKind;

/// The container that has the Preview's image.
fn chosen(template: &str, spec: &str, services: &[(&str, &str)]) -> Result<String, Refusal> {
    let target = source(TargetKind::Deployment, template);
    let services: Vec<_> =
        services.iter().map(|(selector, ports)| service("my-app", selector, ports)).collect();
    let around = Surroundings { services: &services, ..Surroundings::default() };
    let clone = of_target(&preview(spec), &key(), &target, &around)?;
    let pods = clone.deployment.spec.unwrap().template.spec.unwrap().containers;
    let image = preview(spec).spec.image;
    Ok(pods.into_iter().find(|c| c.image.as_ref() == Some(&image)).unwrap().name)
}

const TWO: &str = "spec: {containers: [{name: nginx, image: 'nginx:1', ports: [{containerPort: 80, name: http}]}, \
                   {name: php, image: 'php:8', ports: [{containerPort: 9000}]}]}";

#[test]
fn a_named_container_is_taken() {
    let named = |name: &str| format!("{{target: {{kind: Deployment, name: my-app, container: {name}}}}}");
    assert_eq!(chosen(TWO, &named("php"), &[]).unwrap(), "php");
    let refusal = chosen(TWO, &named("ruby"), &[]).unwrap_err();
    assert_eq!(refusal.code(), "NoSuchContainer");
    assert_eq!(
        refusal.to_string(),
        "Deployment my-app has no container \"ruby\": set target.container to one of nginx, php"
    );
}

#[test]
fn another_tag_of_the_same_image_says_which() {
    for image in ["php:8-fpm", "php", "php@sha256:00", "php:8@sha256:00"] {
        assert_eq!(chosen(TWO, &format!("{{image: '{image}'}}"), &[]).unwrap(), "php", "{image}");
    }
    assert_eq!(chosen(TWO, "{image: 'other/php:8'}", &[]).unwrap_err().code(), "AmbiguousContainer");
    assert_eq!(repository("localhost:5000/a/b"), "localhost:5000/a/b");
    assert_eq!(repository("localhost:5000/a/b:1@sha256:0"), "localhost:5000/a/b");
}

#[test]
fn an_annotation_says_which() {
    let annotated =
        format!("{{metadata: {{annotations: {{kubectl.kubernetes.io/default-container: php}}}}, {TWO}}}");
    let services = [("{app: my-app}", "[{port: 80, targetPort: http}]")];
    assert_eq!(chosen(&annotated, "{}", &services).unwrap(), "php");
}

#[test]
fn the_only_one_that_serves_is_taken() {
    assert_eq!(chosen(TWO, "{}", &[("{app: my-app}", "[{port: 80, targetPort: http}]")]).unwrap(), "nginx");
    assert_eq!(chosen(TWO, "{incoming: {ports: [9000]}}", &[]).unwrap(), "php");
    let one_names_ports = "spec: {containers: [{name: app, ports: [{containerPort: 80}]}, {name: logs}]}";
    assert_eq!(chosen(one_names_ports, "{}", &[]).unwrap(), "app");
}

#[test]
fn nobody_is_guessed() {
    let both = [("{app: my-app}", "[{port: 80, targetPort: http}, {port: 9000}]")];
    for services in [&both[..], &[]] {
        let refusal = chosen(TWO, "{}", services).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "Deployment my-app has the containers nginx, php, and it is not plain which one gets the image: \
             name it in target.container"
        );
    }
}

#[test]
fn sidecars_are_not_meant() {
    let template = |name: &str| {
        format!(
            "spec: {{containers: [{{name: {name}, ports: [{{containerPort: 4180}}]}}, {{name: app, ports: [{{containerPort: 8080}}]}}]}}"
        )
    };
    let services = [("{app: my-app}", "[{port: 80, targetPort: 4180}]")];
    for name in ["istio-proxy", "queue-proxy", "oauth2-proxy"] {
        assert_eq!(chosen(&template(name), "{}", &services).unwrap(), "app");
    }
}
