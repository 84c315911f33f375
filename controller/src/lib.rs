//! The control plane: from Previews to NodeRoutes. Not in this version; the agent takes its routes from a file.
#![forbid(unsafe_code)]
