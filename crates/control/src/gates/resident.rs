//! How much memory this process has in use.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::sync::OnceLock;

/// In bytes, as the kernel counts them; `None` where it does not say so in `/proc`.
pub(crate) fn resident() -> Option<u64> {
    thread_local! {
        /// Asked again and again within an evaluation: it stays open.
        static COUNTS: RefCell<Option<File>> = RefCell::new(File::open("/proc/self/statm").ok());
    }
    let pages = COUNTS.with_borrow_mut(|counts| {
        let counts = counts.as_mut()?;
        let mut line = [0; 128];
        counts.rewind().ok()?;
        let length = counts.read(&mut line).ok()?;
        let line = std::str::from_utf8(line.get(..length)?).ok()?;
        line.split(' ').nth(1)?.parse::<u64>().ok()
    });
    pages?.checked_mul(page_bytes()?)
}

/// A page's size: what the kernel handed to the process under `AT_PAGESZ`.
fn page_bytes() -> Option<u64> {
    const AT_PAGESZ: usize = 6;
    const WORD: usize = size_of::<usize>();
    static BYTES: OnceLock<Option<u64>> = OnceLock::new();
    *BYTES.get_or_init(|| {
        let words = std::fs::read("/proc/self/auxv").ok()?;
        let word = |bytes: &[u8]| Some(usize::from_ne_bytes(bytes.try_into().ok()?));
        let size = words.chunks_exact(2 * WORD).find(|pair| word(&pair[..WORD]) == Some(AT_PAGESZ))?;
        word(&size[WORD..]).map(|bytes| bytes as u64)
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_in_use_is_seen() {
        assert!(page_bytes().unwrap().is_power_of_two());
        let before = resident().unwrap();
        let used = vec![1_u8; 64 << 20];
        // Other tests give some back meanwhile.
        assert!(resident().unwrap() > before + (16 << 20) && used.iter().all(|byte| *byte == 1));
    }
}
