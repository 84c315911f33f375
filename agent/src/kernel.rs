//! What the agent asks of the kernel: the eBPF object, its programs, and the raw calls that aya lacks.
//!
//! Nothing is pinned. Programs and maps live as long as the process holds them, so that its death, however it comes,
//! leaves the node as if it had never been there.

mod btf;
mod hook;
mod node;
mod record;
pub(crate) mod sys;
mod template;

pub(crate) use btf::{Offsets, OptionBits};
pub(crate) use hook::{FollowError, Hook, HookError, Sight, follow_all};
pub(crate) use node::{Node, NodeError, Steps};
pub(crate) use record::Record;
#[cfg(test)]
pub(crate) use template::Way;
pub(crate) use template::{SteerConstants, Template, TemplateError};

/// The programs, built by `cargo xtask ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/byway.o"));

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(e) = source {
        text = format!("{text}: {e}");
        source = e.source();
    }
    text
}

#[cfg(test)]
mod tests;
