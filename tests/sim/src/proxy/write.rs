//! What a request writes, from its method and path.

use std::fmt;
use std::time::Instant;

/// A request that changes something.
#[derive(Clone, Debug)]
pub struct Write {
    /// `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// As in `pods` or `pods/status`.
    pub resource: String,
    /// Empty for what is in none.
    pub namespace: String,
    /// Empty for what is created.
    pub name: String,
    /// When it came.
    pub at: Instant,
}

impl Write {
    /// None, if the request only reads.
    pub(super) fn of(method: &str, path: &str) -> Option<Self> {
        if matches!(method, "GET" | "HEAD" | "OPTIONS") {
            return None;
        }
        let mut parts = path.trim_matches('/').split('/');
        // api/VERSION, or apis/GROUP/VERSION
        let skip = if parts.next() == Some("api") { 1 } else { 2 };
        let mut parts = parts.skip(skip).peekable();
        let mut namespace = "";
        if parts.peek() == Some(&"namespaces") {
            parts.next();
            namespace = parts.next().unwrap_or_default();
        }
        // A namespace itself.
        let mut resource = parts.next().unwrap_or("namespaces").to_owned();
        let name = parts.next().unwrap_or_default().to_owned();
        if let Some(sub) = parts.next() {
            resource = format!("{resource}/{sub}");
        }
        let (method, namespace, at) = (method.to_owned(), namespace.to_owned(), Instant::now());
        Some(Self { method, resource, namespace, name, at })
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}/{}", self.method, self.resource, self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::Write;

    #[test]
    fn requests_tell_what_they_write() {
        let of = |method, path| Write::of(method, path).map(|it| it.to_string());
        let status = "/apis/byway.dev/v1alpha1/namespaces/a/previews/b/status";
        assert_eq!(of("PATCH", status).as_deref(), Some("PATCH previews/status a/b"));
        assert_eq!(of("POST", "/api/v1/namespaces/a/events").as_deref(), Some("POST events a/"));
        let routes = "/apis/byway.dev/v1alpha1/noderoutes/n";
        assert_eq!(of("DELETE", routes).as_deref(), Some("DELETE noderoutes /n"));
        assert_eq!(of("GET", routes), None);
    }
}
