//! Entry bundles: entries one after the other, each behind its length as a big-endian `u16`.

/// The longest entry that a bundle can hold, in bytes.
pub const ENTRY_LEN_MAX: usize = u16::MAX as usize;

/// An entry that no bundle can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry of {len} bytes is too long: at most {ENTRY_LEN_MAX}")]
pub struct TooLong {
    /// Its length in bytes.
    pub len: usize,
}

/// Bytes at the end of a bundle that are no whole entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("torn at byte {offset}: {left} bytes left, an entry would take {needed}")]
pub struct Torn {
    /// Where the entry that is not whole begins.
    pub offset: usize,
    /// Bytes from there to the end.
    pub left: usize,
    /// Bytes that the entry would take, its length included; 2 if not even that is whole.
    pub needed: usize,
}

/// One entry, and the offset of its length prefix in the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleEntry<'a> {
    /// Where its length prefix begins.
    pub offset: usize,
    /// Its bytes, without the prefix.
    pub bytes: &'a [u8],
}

/// Appends one entry to a bundle.
pub fn push(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), TooLong> {
    let len = u16::try_from(entry.len()).map_err(|_| TooLong { len: entry.len() })?;
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Walks the entries of a bundle; ends after the first error.
pub fn entries(bundle: &[u8]) -> Entries<'_> {
    Entries { rest: bundle, offset: 0 }
}

/// See [`entries`].
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<BundleEntry<'a>, Torn>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        let torn = |needed| Some(Err(Torn { offset: self.offset, left: rest.len(), needed }));
        let Some((prefix, after)) = rest.split_first_chunk::<2>() else { return torn(2) };
        let len = usize::from(u16::from_be_bytes(*prefix));
        let Some((bytes, after)) = after.split_at_checked(len) else { return torn(2 + len) };
        let entry = BundleEntry { offset: self.offset, bytes };
        self.rest = after;
        self.offset += 2 + len;
        Some(Ok(entry))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn layout() {
        let mut bundle = Vec::new();
        for entry in [&b"ab"[..], b"", &[7; 300]] {
            push(&mut bundle, entry).unwrap();
        }
        assert_eq!(&bundle[..8], [0, 2, b'a', b'b', 0, 0, 1, 44]);
        let offsets: Vec<usize> = entries(&bundle).map(|entry| entry.unwrap().offset).collect();
        assert_eq!(offsets, [0, 4, 6]);
    }

    #[test]
    fn longest_entry() {
        let mut bundle = Vec::new();
        push(&mut bundle, &vec![1; ENTRY_LEN_MAX]).unwrap();
        assert_eq!(entries(&bundle).next().unwrap().unwrap().bytes.len(), ENTRY_LEN_MAX);
        assert_eq!(push(&mut bundle, &vec![1; ENTRY_LEN_MAX + 1]), Err(TooLong { len: 65_536 }));
        assert_eq!(bundle.len(), 2 + ENTRY_LEN_MAX, "a refused entry leaves no trace");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_cut_bundle_gives_its_whole_entries_and_the_place_of_the_tear(
            list in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bundle = Vec::new();
            let mut ends = vec![0];
            for entry in &list {
                push(&mut bundle, entry).unwrap();
                ends.push(bundle.len());
            }
            let cut = cut.index(bundle.len() + 1);
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            let read: Vec<_> = entries(&bundle[..cut]).collect();
            for (entry, expected) in read.iter().zip(&list[..whole]) {
                prop_assert_eq!(entry.unwrap().bytes, &expected[..]);
            }
            if ends.contains(&cut) {
                prop_assert_eq!(read.len(), whole);
            } else {
                prop_assert_eq!(read.len(), whole + 1);
                let torn = read[whole].unwrap_err();
                prop_assert_eq!((torn.offset, torn.left), (ends[whole], cut - ends[whole]));
                prop_assert!(torn.needed > torn.left);
            }
        }
    }
}
