//! gzip, with a cap on what comes out.
//!
//! libdeflate is three times faster than a streaming decoder, but it has to be given the whole output buffer, and it
//! stops after the first member of a file that may have several. So the buffer grows from a guess up to the cap, and
//! what may have a second member goes to the streaming decoder: a second member has to begin with the magic bytes,
//! and where these occur nowhere, there is none. The size at the end of the file (ISIZE) is a hint, never believed.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use libdeflater::{DecompressionError, Decompressor};
use memchr::memmem;

/// Why nothing came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GunzipError {
    #[error("the body is not valid gzip")]
    Invalid,
    #[error("the body is larger than the limit of {limit} bytes after decompression")]
    TooLarge { limit: usize },
}

/// A decompressor and the buffer that it writes to. One for each worker: fresh pages cost more than the work.
pub(crate) struct Gunzip {
    decompressor: Decompressor,
    /// Its length is its capacity; only as much as was written is ever shown.
    buffer: Vec<u8>,
    limit: usize,
}

const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
const FIRST_BYTES: usize = 64 << 10;
/// OTLP shrinks about tenfold; a first guess beyond this ratio is not made on the word of ISIZE alone.
const RATIO_BELIEVED: usize = 32;
/// A buffer larger than this is given back after use.
const KEPT_BYTES: usize = 8 << 20;

impl Gunzip {
    /// `limit`: the most that may come out, in bytes.
    pub(crate) fn new(limit: usize) -> Gunzip {
        Gunzip { decompressor: Decompressor::new(), buffer: Vec::new(), limit }
    }

    /// What `packed` holds. Costs at most memory for `limit` bytes and one, whatever it is.
    pub(crate) fn unpack(&mut self, packed: &[u8]) -> Result<&[u8], GunzipError> {
        let body = packed.get(MAGIC.len()..).ok_or(GunzipError::Invalid)?;
        let written =
            if memmem::find(body, &MAGIC).is_some() { self.stream(packed)? } else { self.at_once(packed)? };
        Ok(self.buffer.get(..written).unwrap_or_default())
    }

    /// Gives a large buffer back: to be called after each use.
    pub(crate) fn tidy(&mut self) {
        if self.buffer.capacity() > KEPT_BYTES {
            self.buffer = Vec::new();
        }
    }

    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    fn at_once(&mut self, packed: &[u8]) -> Result<usize, GunzipError> {
        let believed = packed.len().saturating_mul(RATIO_BELIEVED);
        let mut room = isize_hint(packed).min(believed).max(FIRST_BYTES).min(self.limit);
        loop {
            self.make_room(room);
            let out = self.buffer.get_mut(..room).unwrap_or_default();
            match self.decompressor.gzip_decompress(packed, out) {
                // Bytes after the only member are no gzip; its own end says how long it is.
                Ok(written) if isize_hint(packed) != written => return Err(GunzipError::Invalid),
                Ok(written) => return Ok(written),
                Err(DecompressionError::BadData) => return Err(GunzipError::Invalid),
                Err(DecompressionError::InsufficientSpace) if room == self.limit => {
                    return Err(GunzipError::TooLarge { limit: self.limit });
                }
                Err(DecompressionError::InsufficientSpace) => room = room.saturating_mul(4).min(self.limit),
            }
        }
    }

    fn stream(&mut self, packed: &[u8]) -> Result<usize, GunzipError> {
        let mut decoder = MultiGzDecoder::new(packed);
        // One more than may come out: whoever fills that has too much.
        let most = self.limit.saturating_add(1);
        self.make_room(FIRST_BYTES.min(most));
        let mut written = 0;
        loop {
            if written == self.buffer.len() {
                if written >= most {
                    return Err(GunzipError::TooLarge { limit: self.limit });
                }
                let room = written.saturating_mul(2).min(most);
                self.buffer.reserve_exact(room - written);
                self.buffer.resize(room, 0);
            }
            let out = self.buffer.get_mut(written..).unwrap_or_default();
            match decoder.read(out).map_err(|_| GunzipError::Invalid)? {
                0 => break,
                read => written += read,
            }
        }
        if written > self.limit {
            return Err(GunzipError::TooLarge { limit: self.limit });
        }
        Ok(written)
    }

    /// At least so much room, whatever was in it before. The old buffer goes first: never are both held.
    fn make_room(&mut self, room: usize) {
        if self.buffer.len() < room {
            self.buffer = Vec::new();
            self.buffer = vec![0; room];
        }
    }
}

/// The last four bytes: the length of the last member, modulo 2^32, if they are what they should be.
fn isize_hint(packed: &[u8]) -> usize {
    packed.last_chunk::<4>().map_or(0, |le| u32::from_le_bytes(*le) as usize)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn check(packed: &[u8], limit: usize, expect: Result<&[u8], GunzipError>) {
        assert_eq!(Gunzip::new(limit).unpack(packed), expect);
    }

    #[test]
    fn unpacks_up_to_the_limit_and_not_beyond() {
        let plain = vec![7; 300_000];
        let packed = gzip(&plain);
        check(&packed, 300_000, Ok(&plain));
        check(&packed, 1 << 20, Ok(&plain));
        check(&packed, 299_999, Err(GunzipError::TooLarge { limit: 299_999 }));
        check(&gzip(b""), 1, Ok(b""));
    }

    #[test]
    fn every_member_counts() {
        let two = [gzip(b"one"), gzip(b"two")].concat();
        check(&two, 6, Ok(b"onetwo"));
        check(&two, 5, Err(GunzipError::TooLarge { limit: 5 }));
        // The end of this file is right for its first member too: length and checksum are the same.
        let twins = [gzip(b"same"), gzip(b"same")].concat();
        check(&twins, 100, Ok(b"samesame"));
    }

    #[test]
    fn the_magic_bytes_may_occur_inside_a_member() {
        let plain = [0x1f, 0x8b, 8, 0, 1, 0x1f, 0x8b, 8];
        let mut stored = GzEncoder::new(Vec::new(), Compression::none());
        stored.write_all(&plain).unwrap();
        check(&stored.finish().unwrap(), 100, Ok(&plain));
    }

    #[test]
    fn a_lying_size_is_not_believed() {
        let plain = vec![1; 100_000];
        for lie in [0u32, 1, 99_999, u32::MAX] {
            let mut packed = gzip(&plain);
            let end = packed.len() - 4;
            packed[end..].copy_from_slice(&lie.to_le_bytes());
            check(&packed, 1 << 20, Err(GunzipError::Invalid));
        }
        let mut tiny = gzip(b"x");
        let end = tiny.len() - 4;
        tiny[end..].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut gunzip = Gunzip::new(64 << 20);
        assert_eq!(gunzip.unpack(&tiny), Err(GunzipError::Invalid));
        assert!(gunzip.buffer.len() <= FIRST_BYTES, "a tiny body must not reserve what it claims");
    }

    #[test]
    fn a_bomb_costs_at_most_the_limit() {
        const LIMIT: usize = 1_000_000;
        let bomb = gzip(&vec![0; 32 << 20]);
        let mut gunzip = Gunzip::new(LIMIT);
        assert_eq!(gunzip.unpack(&bomb), Err(GunzipError::TooLarge { limit: LIMIT }));
        assert!(gunzip.buffer.capacity() <= LIMIT, "{}", gunzip.buffer.capacity());
        let two = [bomb.clone(), bomb].concat();
        assert_eq!(gunzip.unpack(&two), Err(GunzipError::TooLarge { limit: LIMIT }));
        assert!(gunzip.buffer.capacity() <= LIMIT + 1, "{}", gunzip.buffer.capacity());
        let members = gzip(&vec![0; LIMIT / 2]).repeat(3);
        let mut fresh = Gunzip::new(LIMIT);
        assert_eq!(fresh.unpack(&members), Err(GunzipError::TooLarge { limit: LIMIT }));
        assert!(fresh.buffer.capacity() <= LIMIT + 1, "{}", fresh.buffer.capacity());
    }

    #[test]
    fn a_large_buffer_is_given_back_after_use() {
        let mut gunzip = Gunzip::new(64 << 20);
        for (plain, kept) in [(100_000, true), (KEPT_BYTES + 1, false)] {
            let packed = gzip(&vec![0; plain]);
            for packed in [packed.clone(), packed.repeat(2)] {
                assert!(gunzip.unpack(&packed).is_ok());
                gunzip.tidy();
                assert_eq!(gunzip.buffer.capacity() > 0, kept, "{plain}");
            }
        }
    }

    #[test]
    fn what_is_not_gzip_is_refused() {
        let whole = gzip(b"hello");
        for length in 0..whole.len() {
            check(&whole[..length], 100, Err(GunzipError::Invalid));
        }
        check(b"plain text, and long enough to be a header", 100, Err(GunzipError::Invalid));
        check(&[whole.as_slice(), b"tail"].concat(), 100, Err(GunzipError::Invalid));
        check(&[whole.as_slice(), &MAGIC].concat(), 100, Err(GunzipError::Invalid));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn agrees_with_the_streaming_decoder(
            members in prop::collection::vec(prop::collection::vec(0u8..4, 0..2000), 1..4),
            flip in prop::option::of(any::<(prop::sample::Index, u8)>()),
        ) {
            let mut packed: Vec<u8> = members.iter().flat_map(|plain| gzip(plain)).collect();
            if let Some((at, bits)) = flip {
                let at = at.index(packed.len());
                packed[at] ^= bits;
            }
            let mut truth = Vec::new();
            let sound = MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut truth).is_ok();
            match Gunzip::new(1 << 20).unpack(&packed) {
                Ok(plain) => prop_assert!(sound && plain == truth),
                Err(_) => prop_assert!(!sound),
            }
        }
    }
}
