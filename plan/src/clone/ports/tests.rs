use crate::clone::testing::{alone, key, plain, pods, preview, reasons, said, service, source};
use crate::clone::{Refusal, Source, Surroundings, of_target};
use byway_api::TargetKind;

fn steered(target: &Source, spec: &str, services: &[(&str, &str)]) -> Result<Vec<u16>, Refusal> {
    let services: Vec<_> =
        services.iter().map(|(selector, ports)| service("my-app", selector, ports)).collect();
    let around = Surroundings { services: &services, ..Surroundings::default() };
    of_target(&preview(spec), &key(), target, &around).map(|clone| clone.ports)
}

#[test]
fn given_ports_are_taken_as_they_are() {
    assert_eq!(
        steered(&plain("{}"), "{incoming: {ports: [9000, 80, 15021]}}", &[]).unwrap(),
        [80, 9000, 15021]
    );
    assert_eq!(steered(&plain("{}"), "{incoming: {mode: 'off', ports: [80]}}", &[]).unwrap(), [0; 0]);
}

#[test]
fn ports_that_are_ignored_stay_with_the_target() {
    let services = [("{app: my-app}", "[{port: 80, targetPort: 8080}, {port: 9090}]")];
    assert_eq!(steered(&plain("{}"), "{incoming: {ignorePorts: [9090, 1]}}", &services).unwrap(), [8080]);
    let spec = "{incoming: {ports: [80, 81], ignorePorts: [81]}}";
    assert_eq!(steered(&plain("{}"), spec, &[]).unwrap(), [80]);
    let spec = "{incoming: {ports: [80], ignorePorts: [80]}}";
    assert!(matches!(steered(&plain("{}"), spec, &[]), Err(Refusal::AllPortsIgnored)));
}

#[test]
fn ports_of_the_container_and_of_services_are_found() {
    let target = source(
        TargetKind::Deployment,
        "spec: {initContainers: [{name: migrate, ports: [{containerPort: 1, name: side}]}, \
           {name: proxy, restartPolicy: Always, ports: [{containerPort: 7070, name: side}]}], \
         containers: [{name: app, ports: [{containerPort: 8080, name: http}, {containerPort: 53, protocol: UDP, name: dns}]}, \
           {name: metrics, ports: [{containerPort: 9090, name: metrics}, {containerPort: 9091}]}]}",
    );
    let spec = "{target: {kind: Deployment, name: my-app, container: app}}";
    assert_eq!(steered(&target, spec, &[]).unwrap(), [8080]);
    let services = [
        (
            "{app: my-app}",
            "[{port: 80, targetPort: http}, {port: 1, targetPort: side}, {port: 2, targetPort: none}]",
        ),
        ("{app: my-app, rollouts-pod-template-hash: abc}", "[{port: 9, targetPort: metrics, protocol: TCP}]"),
        (
            "{app: my-app}",
            "[{port: 5005}, {port: 53, targetPort: dns, protocol: UDP}, {port: 6, targetPort: 6006}]",
        ),
        ("{app: other}", "[{port: 4444}]"),
        ("{}", "[{port: 5555}]"),
    ];
    assert_eq!(steered(&target, spec, &services).unwrap(), [5005, 6006, 7070, 8080, 9090]);
    assert_eq!(reasons(&alone(spec, &target).unwrap()), ["InitContainers", "NotSteered"]);
}

/// The app calls its own sidecar, with the key of the request that it serves: that is no request for the preview.
#[test]
fn ports_of_daprs_sidecar_are_left_alone() {
    let dapr = "[{name: dapr-http, port: 80, targetPort: 3500}, {name: dapr-grpc, port: 50001}, {name: dapr-internal, port: 50002}, \
                 {name: dapr-metrics, port: 9090}]";
    let app = "[{name: http, port: 80, targetPort: 8081}]";
    let services = [("{app: my-app}", dapr), ("{app: my-app}", app)];
    assert_eq!(steered(&plain("{}"), "{}", &services).unwrap(), [8080, 8081]);
    // Who names one means it.
    assert_eq!(steered(&plain("{}"), "{incoming: {ports: [3500]}}", &services).unwrap(), [3500]);
}

#[test]
fn nothing_to_steer_is_refused() {
    let target = source(TargetKind::Deployment, "spec: {containers: [{name: worker}]}");
    let refusal = steered(&target, "{}", &[]).unwrap_err();
    assert_eq!(refusal.code(), "NoPorts");
    assert_eq!(
        refusal.to_string(),
        "container worker of Deployment my-app names no TCP port, and no Service sends to one: set incoming.ports, or incoming.mode to off"
    );
    assert_eq!(steered(&target, "{incoming: {mode: 'off'}}", &[]).unwrap(), [0; 0]);
}

#[test]
fn too_many_are_refused() {
    let ports: Vec<String> = (1..=33).map(|port| format!("{{containerPort: {port}}}")).collect();
    let target = source(
        TargetKind::Deployment,
        &format!("spec: {{containers: [{{name: app, ports: [{}]}}]}}", ports.join(", ")),
    );
    let refusal = steered(&target, "{}", &[]).unwrap_err();
    assert_eq!(refusal.code(), "TooManyPorts");
    assert!(refusal.to_string().contains("33 ports would be steered, at most 32"), "{refusal}");
    assert_eq!(steered(&target, "{incoming: {ports: [1]}}", &[]).unwrap(), [1]);
}

#[test]
fn a_proxys_own_ports_are_left_alone_where_it_is() {
    let with = "spec: {containers: [{name: app, ports: [{containerPort: 8080}]}, {name: istio-proxy, ports: [{containerPort: 15090}]}]}";
    let services = [("{app: my-app}", "[{port: 15021}, {port: 80, targetPort: 8080}]")];
    assert_eq!(steered(&source(TargetKind::Deployment, with), "{}", &services).unwrap(), [8080]);
    assert_eq!(steered(&plain("{}"), "{}", &services).unwrap(), [8080, 15021]);
}

#[test]
fn a_preview_may_listen_elsewhere() {
    let target = plain(
        "{containers: [{name: app, image: 'my-app:1', ports: [{containerPort: 8080, name: http}, {containerPort: 8080, protocol: UDP}, {containerPort: 9090, name: other}], readinessProbe: {httpGet: {port: 8080}}, livenessProbe: {tcpSocket: {port: http}}, startupProbe: {grpc: {port: 8080}}}]}",
    );
    let spec = "{incoming: {portMapping: [{port: 8080, previewPort: 9090}, {port: 81, previewPort: 82}]}}";
    let clone = alone(spec, &target).unwrap();
    assert_eq!(clone.ports, [8080, 9090], "what is steered is the target's");
    let (pod, meta) = pods(&clone);
    let container = &pod["containers"][0];
    assert_eq!(
        container["ports"],
        serde_json::json!([
            { "containerPort": 9090, "name": "http" },
            { "containerPort": 8080, "protocol": "UDP" },
        ])
    );
    assert_eq!(container["readinessProbe"]["httpGet"]["port"], 9090);
    assert_eq!(container["livenessProbe"]["tcpSocket"]["port"], "http");
    assert_eq!(container["startupProbe"]["grpc"]["port"], 9090);
    assert_eq!(
        meta["annotations"]["traffic.sidecar.istio.io/excludeInboundPorts"], "9090",
        "agents call there"
    );
    let message = said(&clone, "MappingUnused");
    assert!(message.contains("port 81,"), "{message}");
}
