//! Who may do what, asked of a real API server with the chart installed: the rights of both accounts, and the
//! policies that say what rights cannot.

mod chart;
mod controller;
mod creators;
mod installed;
mod rights;
mod writers;
