//! Several requests as one.

/// Appends to `out` one request that holds the spans of all of these, in their order.
///
/// A concatenation: see the crate's documentation. Every one of them must have passed a [`scan`](crate::scan): the parts
/// of a valid request stay what they are, but half a field would swallow its neighbour.
pub fn merge<'a>(requests: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    for request in requests {
        out.extend_from_slice(request);
    }
}
