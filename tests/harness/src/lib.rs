//! quorate-harness
