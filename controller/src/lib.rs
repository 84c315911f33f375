//! The control plane: from Previews to what they own and to NodeRoutes.
#![forbid(unsafe_code)]

pub mod clone;
