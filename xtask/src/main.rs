//! The list of what a developer can do here.
fn main() {}
