//! Comparing secrets without telling, by the time it takes, where they differ.

/// False at once where the lengths differ: a length is no secret here.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}
