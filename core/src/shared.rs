//! The one kind of shared pointer that the core uses.

/// [`alloc::sync::Arc`]; on targets without atomic compare-and-swap (such as `riscv32imc`), which have one thread of
/// execution only, [`alloc::rc::Rc`] under the same name.
#[cfg(target_has_atomic = "ptr")]
pub use alloc::sync::Arc;

#[cfg(not(target_has_atomic = "ptr"))]
pub use alloc::rc::Rc as Arc;
