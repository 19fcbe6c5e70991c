//! A ClientHello of our own: the TLS library cannot offer what is weak.
//!
//! ```text
//! record     22   version: 2 bytes   length: 2   the handshake message
//! message    1    length: 3   client_version: 2   random: 32   session id: 1 + 32   suites: 2 + 2n   compression: 1 + 1
//!            extensions: 2 + n, each   type: 2   length: 2   the content
//! ```
//! Sources: RFC 6101 (SSL 3.0), RFC 5246 (TLS 1.2), RFC 8446 (TLS 1.3), and the registry of cipher suites at IANA.

use crossfade_gates::posture::{Family, Version};

/// What is offered.
#[derive(Clone, Debug)]
pub(super) struct Offer<'a> {
    /// The newest version, and in TLS 1.3 the only one.
    pub(super) version: Version,
    /// The suites.
    pub(super) suites: &'a [u16],
    /// The name that is asked for; none for an address.
    pub(super) name: Option<&'a str>,
    /// What makes this hello unlike others.
    pub(super) random: [u8; 32],
}

/// Suites of TLS 1.3.
pub(super) const TLS13: [u16; 5] = [0x1301, 0x1302, 0x1303, 0x1304, 0x1305];

/// The suites of a family, up to TLS 1.2.
pub(super) const fn suites(family: Family) -> &'static [u16] {
    match family {
        Family::Null => &[
            0x0001, 0x0002, 0x002C, 0x002D, 0x002E, 0x003B, 0x00B0, 0x00B1, 0x00B4, 0x00B5, 0x00B8, 0x00B9,
            0xC001, 0xC006, 0xC00B, 0xC010, 0xC039, 0xC03A, 0xC03B,
        ],
        Family::Export => &[
            0x0003, 0x0006, 0x0008, 0x000B, 0x000E, 0x0011, 0x0014, 0x0026, 0x0027, 0x0028, 0x0029, 0x002A,
            0x002B, 0x0062, 0x0063, 0x0064, 0x0065,
        ],
        Family::Anonymous => &[
            0x0017, 0x0018, 0x0019, 0x001A, 0x001B, 0x0034, 0x003A, 0x0046, 0x006C, 0x006D, 0x0089, 0x009B,
            0x00A6, 0x00A7, 0x00BF, 0x00C5, 0xC015, 0xC016, 0xC017, 0xC018, 0xC019,
        ],
        Family::Rc4 => &[
            0x0004, 0x0005, 0x0020, 0x0024, 0x0066, 0x008A, 0x008E, 0x0092, 0xC002, 0xC007, 0xC00C, 0xC011,
            0xC033,
        ],
        Family::Des => &[
            0x0007, 0x0009, 0x000A, 0x000C, 0x000D, 0x000F, 0x0010, 0x0012, 0x0013, 0x0015, 0x0016, 0x001E,
            0x001F, 0x0021, 0x0022, 0x0023, 0x0025, 0x008B, 0x008F, 0x0093, 0xC003, 0xC008, 0xC00D, 0xC012,
            0xC034,
        ],
        Family::StaticRsa => &[
            0x002F, 0x0035, 0x003C, 0x003D, 0x0041, 0x0084, 0x0096, 0x009C, 0x009D, 0x00BA, 0x00C0, 0xC03C,
            0xC03D, 0xC050, 0xC051, 0xC07A, 0xC07B, 0xC09C, 0xC09D, 0xC0A0, 0xC0A1,
        ],
        Family::CbcSha1 => &[
            0x0032, 0x0033, 0x0038, 0x0039, 0x0044, 0x0045, 0x0087, 0x0088, 0x0099, 0x009A, 0xC009, 0xC00A,
            0xC013, 0xC014,
        ],
        Family::Aead => &[
            0x009E, 0x009F, 0xC02B, 0xC02C, 0xC02F, 0xC030, 0xC09E, 0xC09F, 0xC0AC, 0xC0AD, 0xCCA8, 0xCCA9,
            0xCCAA,
        ],
    }
}

/// All suites up to TLS 1.2, the strongest first; one hello holds them.
pub(super) fn every_suite() -> Vec<u16> {
    Family::ALL.iter().rev().flat_map(|family| suites(*family)).copied().collect()
}

/// The version as two bytes; TLS 1.3 is only named in an extension.
pub(super) const fn wire(version: Version) -> u16 {
    match version {
        Version::Ssl30 => 0x0300,
        Version::Tls10 => 0x0301,
        Version::Tls11 => 0x0302,
        Version::Tls12 => 0x0303,
        Version::Tls13 => 0x0304,
    }
}

/// The record.
pub(super) fn hello(offer: &Offer<'_>) -> Vec<u8> {
    let legacy = wire(offer.version).min(0x0303);
    let mut body = Vec::with_capacity(512);
    body.extend(legacy.to_be_bytes());
    body.extend(offer.random);
    // A session id, as TLS 1.3 sends it to get through middleboxes; before, none.
    if offer.version == Version::Tls13 {
        body.push(32);
        body.extend(offer.random.iter().rev());
    } else {
        body.push(0);
    }
    let mut suites = offer.suites.to_vec();
    if offer.version <= Version::Tls12 {
        suites.push(0x00FF); // secure renegotiation, for servers that insist on it
    }
    put16(&mut body, &suites.iter().flat_map(|suite| suite.to_be_bytes()).collect::<Vec<u8>>());
    body.extend([1, 0]); // no compression
    if offer.version > Version::Ssl30 {
        put16(&mut body, &extensions(offer));
    }
    let length = u32::try_from(body.len()).expect("a hello is short").to_be_bytes();
    let mut message = vec![1, length[1], length[2], length[3]];
    message.extend(body);
    let first = if offer.version == Version::Ssl30 { 0x0300u16 } else { 0x0301 };
    let mut record = vec![22];
    record.extend(first.to_be_bytes());
    put16(&mut record, &message);
    record
}

fn extensions(offer: &Offer<'_>) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(name) = offer.name {
        let mut entry = vec![0];
        put16(&mut entry, name.as_bytes());
        let mut list = Vec::new();
        put16(&mut list, &entry);
        put(&mut all, 0, &list);
    }
    // x25519, P-256, P-384, P-521, ffdhe2048
    put(&mut all, 10, &[0, 10, 0, 29, 0, 23, 0, 24, 0, 25, 1, 0]);
    put(&mut all, 11, &[1, 0]);
    if offer.version >= Version::Tls12 {
        // ECDSA, RSA-PSS, RSA PKCS#1 with SHA-2; Ed25519; and, for old servers, SHA-1.
        const SCHEMES: [u16; 13] = [
            0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201,
            0x0202,
        ];
        let mut list = Vec::new();
        put16(&mut list, &SCHEMES.iter().flat_map(|scheme| scheme.to_be_bytes()).collect::<Vec<u8>>());
        put(&mut all, 13, &list);
    }
    put(&mut all, 16, b"\x00\x0c\x02h2\x08http/1.1");
    put(&mut all, 23, &[]);
    if offer.version == Version::Tls13 {
        put(&mut all, 43, &[2, 3, 4]);
        // The base point of x25519 is a public key like any other; nobody computes with it: the answer is all that is wanted.
        let mut share = vec![0, 36, 0, 29, 0, 32, 9];
        share.resize(share.len() + 31, 0);
        put(&mut all, 51, &share);
    }
    all
}

fn put(to: &mut Vec<u8>, kind: u16, content: &[u8]) {
    to.extend(kind.to_be_bytes());
    put16(to, content);
}

fn put16(to: &mut Vec<u8>, content: &[u8]) {
    to.extend(u16::try_from(content.len()).expect("a hello is short").to_be_bytes());
    to.extend(content);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rustls::server::Acceptor;

    use super::*;

    /// What another reader makes of our hello.
    fn read(version: Version, name: Option<&str>) -> (Vec<u16>, Option<String>) {
        let suites = if version == Version::Tls13 { TLS13.to_vec() } else { every_suite() };
        let bytes = hello(&Offer { version, suites: &suites, name, random: [7; 32] });
        let mut acceptor = Acceptor::default();
        acceptor.read_tls(&mut &bytes[..]).unwrap();
        let accepted = acceptor.accept().map_err(|(error, _)| error).unwrap().unwrap();
        let hello = accepted.client_hello();
        let suites = hello.cipher_suites().iter().map(|suite| u16::from(*suite)).collect();
        (suites, hello.server_name().map(str::to_owned))
    }

    #[test]
    fn another_reader_understands_it() {
        for version in [Version::Tls12, Version::Tls13] {
            let (suites, name) = read(version, Some("blue.example"));
            assert_eq!(name.as_deref(), Some("blue.example"));
            let offered = if version == Version::Tls13 { TLS13.to_vec() } else { every_suite() };
            assert_eq!(suites[..offered.len()], offered);
            assert_eq!(read(version, None).1, None);
        }
    }

    #[test]
    fn no_suite_is_in_two_families() {
        let all = every_suite();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(!all.contains(&0) && !all.contains(&0x00FF));
    }

    #[test]
    fn old_versions_say_so_and_ssl_has_no_extensions() {
        let versions = |version| {
            let bytes = hello(&Offer { version, suites: &[0x002F], name: Some("x"), random: [1; 32] });
            (u16::from_be_bytes([bytes[1], bytes[2]]), u16::from_be_bytes([bytes[9], bytes[10]]), bytes.len())
        };
        assert_eq!(versions(Version::Ssl30), (0x0300, 0x0300, 5 + 4 + 2 + 32 + 1 + 2 + 4 + 2));
        assert_eq!(versions(Version::Tls10).1, 0x0301);
        assert_eq!(versions(Version::Tls11).1, 0x0302);
        assert_eq!(versions(Version::Tls13).1, 0x0303);
    }
}
