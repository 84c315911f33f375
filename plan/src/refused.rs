//! What an API server says of what it does not take.

use byway_api::conditions::reason;

/// Sorts what it says of a pod or Deployment: a reason, and what to do.
pub fn create_failure(said: &str) -> (&'static str, &'static str) {
    let has = |text: &str| said.contains(text);
    if has("exceeded quota") || has("failed quota") {
        (reason::QUOTA_EXCEEDED, "free some of the namespace's ResourceQuota, or ask for more")
    } else if has("violates PodSecurity") {
        (reason::POD_SECURITY, "change the target's securityContext, or the namespace's level")
    } else if has("admission webhook")
        || has("failed calling webhook")
        || has("ValidatingAdmissionPolicy")
        || has("denied request")
    {
        (reason::ADMISSION_REFUSED, "the clone has to meet the same policy as the target")
    } else if has("usage per ") || has("per Container") || has("per Pod") {
        (reason::LIMIT_RANGE, "set resources on the target within the namespace's LimitRange")
    } else {
        (reason::POD_CREATE_FAILED, "the message is the API server's")
    }
}
