//! Specification runners and helpers shared by Quorate's test suites.
pub mod spec;
