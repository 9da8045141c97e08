//! quorate-cli
