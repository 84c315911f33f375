use crate::clone::testing::{alone, plain, reasons, said};

fn with(container: &str) -> String {
    format!("{{containers: [{{name: app, ports: [{{containerPort: 8080}}], {container}}}]}}")
}

#[test]
fn a_claim_by_name_is_shared_and_one_from_a_template_is_not() {
    let clone = alone("{}", &plain("{resourceClaims: [{name: gpu, resourceClaimName: the-gpu}]}")).unwrap();
    assert!(said(&clone, "ResourceClaimShared").contains("ResourceClaims the-gpu are shared"));
    let own = "{resourceClaims: [{name: gpu, resourceClaimTemplateName: one-gpu}]}";
    assert!(alone("{}", &plain(own)).unwrap().warnings.is_empty());
}

#[test]
fn a_device_that_many_pods_have_is_shared_and_one_of_its_own_is_not() {
    for (container, shared) in [
        ("resources: {limits: {nvidia.com/gpu.shared: 1}}", Some("nvidia.com/gpu.shared")),
        (
            "resources: {requests: {aliyun.com/gpu-mem: 3}, limits: {aliyun.com/gpu-mem: 3}}",
            Some("aliyun.com/gpu-mem"),
        ),
        ("resources: {limits: {nvidia.com/gpu: 1, nvidia.com/gpumem: 3000}}", Some("nvidia.com/gpumem")),
        ("env: [{name: NVIDIA_VISIBLE_DEVICES, value: all}]", Some("NVIDIA_VISIBLE_DEVICES=all")),
        ("resources: {limits: {nvidia.com/gpu: 1}}, env: [{name: NVIDIA_VISIBLE_DEVICES, value: all}]", None),
        ("env: [{name: NVIDIA_VISIBLE_DEVICES, value: none}]", None),
        ("resources: {limits: {nvidia.com/gpu: 1, memory: 1Gi}}", None),
        ("resources: {limits: {amd.com/gpu: 1}}", None),
    ] {
        let clone = alone("{}", &plain(&with(container))).unwrap();
        match shared {
            Some(device) => {
                assert!(said(&clone, "DeviceShared").contains(&format!(": {device}.")), "{container}");
            }
            None => assert_eq!(reasons(&clone), [""; 0], "{container}"),
        }
    }
}
