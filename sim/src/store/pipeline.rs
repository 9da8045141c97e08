//! stub
pub(crate) fn is_stage(_: &str) -> bool {
    false
}
