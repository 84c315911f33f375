//! What an API server says of what it does not take.

use byway_api::conditions::reason;

/// Sorts what it says of a pod or Deployment.
pub fn create_failure(said: &str) -> &'static str {
    let has = |text: &str| said.contains(text);
    if has("exceeded quota") || has("failed quota") {
        reason::QUOTA_EXCEEDED
    } else if has("violates PodSecurity") {
        reason::POD_SECURITY
    } else if has("admission webhook")
        || has("failed calling webhook")
        || has("ValidatingAdmissionPolicy")
        || has("denied request")
    {
        reason::ADMISSION_REFUSED
    } else if has("usage per ") || has("per Container") || has("per Pod") {
        reason::LIMIT_RANGE
    } else {
        reason::POD_CREATE_FAILED
    }
}

/// What to do about it. Without a target there is none to correct.
pub fn advice(why: &str, has_target: bool) -> &'static str {
    match (why, has_target) {
        (reason::QUOTA_EXCEEDED, _) => "free some of the namespace's ResourceQuota, or ask for more",
        (reason::POD_SECURITY, true) => "change the target's securityContext, or the namespace's level",
        (reason::POD_SECURITY, false) => {
            "change the namespace's level, or give the preview a target, whose securityContext it then has"
        }
        (reason::ADMISSION_REFUSED, true) => "the clone has to meet the same policy as the target",
        (reason::ADMISSION_REFUSED, false) => {
            "a preview without a target has no labels but Byway's own and those of spec.labels.set: set what the policy demands there, or give the preview a target, whose labels and settings it then has"
        }
        (reason::LIMIT_RANGE, true) => "set resources on the target within the namespace's LimitRange",
        (reason::LIMIT_RANGE, false) => {
            "a preview without a target sets no resources: give the LimitRange defaults, or the preview a target, whose resources it then has"
        }
        _ => "the message is the API server's",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_corrected_is_there() {
        for why in [
            reason::QUOTA_EXCEEDED,
            reason::POD_SECURITY,
            reason::ADMISSION_REFUSED,
            reason::LIMIT_RANGE,
            reason::POD_CREATE_FAILED,
        ] {
            let advice = advice(why, false);
            for target in ["the target", "the clone", "on the target"] {
                assert!(!advice.contains(target), "{why}: {advice}");
            }
        }
        assert!(advice(reason::ADMISSION_REFUSED, false).contains("spec.labels.set"));
    }
}
