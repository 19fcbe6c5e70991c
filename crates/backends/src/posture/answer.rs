//! The first thing that a server says: a ServerHello, an alert, or something that is no TLS. Nothing else is read.

use crossfade_gates::posture::Version;

/// As much is looked at; a ServerHello has some 100 bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 4096;

/// What was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It takes the offer, or goes on with it.
    Hello {
        /// The version that it chooses.
        version: Version,
        /// The suite that it chooses.
        suite: u16,
    },
    /// It refuses, with this alert.
    Alert(u8),
    /// What was said is no TLS.
    Foreign,
}

/// What bytes amount to. `None`: more are needed.
pub(super) fn parse(bytes: &[u8]) -> Option<Answer> {
    let mut message = Vec::new();
    let mut rest = bytes;
    // A handshake message may come in several records.
    loop {
        let Some((head, after)) = rest.split_at_checked(5) else {
            return if plausible(rest) { None } else { Some(Answer::Foreign) };
        };
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        if !plausible(head) || length == 0 || length > (1 << 14) {
            return Some(Answer::Foreign);
        }
        let whole = after.len() >= length;
        let content = &after[..length.min(after.len())];
        match head[0] {
            21 if message.is_empty() => match content {
                [_, description, ..] => return Some(Answer::Alert(*description)),
                _ if whole => return Some(Answer::Foreign),
                _ => return None,
            },
            22 => message.extend_from_slice(content),
            _ => return Some(Answer::Foreign),
        }
        match server_hello(&message) {
            Progress::Done(answer) => return Some(answer),
            Progress::More if !whole => return None,
            Progress::More => rest = &after[length..],
        }
    }
}

enum Progress {
    Done(Answer),
    More,
}

/// Whether this can be the beginning of a record.
fn plausible(head: &[u8]) -> bool {
    let kind = head.first().is_none_or(|kind| matches!(kind, 21 | 22));
    kind && head.get(1).is_none_or(|major| *major == 3) && head.get(2).is_none_or(|minor| *minor <= 4)
}

fn server_hello(message: &[u8]) -> Progress {
    let foreign = Progress::Done(Answer::Foreign);
    match message.first() {
        None => return Progress::More,
        Some(2) => {}
        Some(_) => return foreign,
    }
    let Some((head, body)) = message.split_at_checked(4) else { return Progress::More };
    let length = usize::from(head[1]) << 16 | usize::from(head[2]) << 8 | usize::from(head[3]);
    if length > ANSWER_BYTES_MAX {
        return foreign;
    }
    let Some(body) = body.get(..length) else { return Progress::More };
    Progress::Done(read_server_hello(body).unwrap_or(Answer::Foreign))
}

/// `legacy_version, random, session id, suite, compression, extensions`.
fn read_server_hello(body: &[u8]) -> Option<Answer> {
    let legacy = u16::from_be_bytes([*body.first()?, *body.get(1)?]);
    let session = usize::from(*body.get(34)?);
    if session > 32 {
        return None;
    }
    let rest = body.get(35 + session..)?;
    let suite = u16::from_be_bytes([*rest.first()?, *rest.get(1)?]);
    let extensions = rest.get(3..)?;
    let version = match extensions.split_at_checked(2) {
        None => legacy,
        Some((length, list)) => {
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            selected_version(list.get(..length)?)?.unwrap_or(legacy)
        }
    };
    let version = match version {
        0x0300 => Version::Ssl30,
        0x0301 => Version::Tls10,
        0x0302 => Version::Tls11,
        0x0303 => Version::Tls12,
        0x0304 => Version::Tls13,
        _ => return None,
    };
    Some(Answer::Hello { version, suite })
}

/// What the extension `supported_versions` says, if it is there.
fn selected_version(mut list: &[u8]) -> Option<Option<u16>> {
    while !list.is_empty() {
        let (head, rest) = list.split_at_checked(4)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let content = rest.get(..length)?;
        if head[..2] == [0, 43] {
            let [major, minor] = content else { return None };
            return Some(Some(u16::from_be_bytes([*major, *minor])));
        }
        list = &rest[length..];
    }
    Some(None)
}

/// An alert's name.
pub(super) fn alert(description: u8) -> String {
    format!("{:?}", rustls::AlertDescription::from(description))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A ServerHello in one record.
    pub(crate) fn server_hello(version: u16, suite: u16) -> Vec<u8> {
        let mut body = version.min(0x0303).to_be_bytes().to_vec();
        body.extend([9; 32]);
        body.extend([0, (suite >> 8) as u8, suite as u8, 0]);
        if version == 0x0304 {
            body.extend([0, 6, 0, 43, 0, 2, 3, 4]);
        }
        let mut record =
            vec![22, 3, 1.min(version as u8), 0, body.len() as u8 + 4, 2, 0, 0, body.len() as u8];
        record.extend(body);
        record
    }

    #[test]
    fn what_servers_say_is_understood() {
        for (number, version) in [
            (0x0300, Version::Ssl30),
            (0x0301, Version::Tls10),
            (0x0303, Version::Tls12),
            (0x0304, Version::Tls13),
        ] {
            let answer = Answer::Hello { version, suite: 0xC02F };
            assert_eq!(parse(&server_hello(number, 0xC02F)), Some(answer));
        }
        assert_eq!(parse(&[21, 3, 1, 0, 2, 2, 40]), Some(Answer::Alert(40)));
        assert_eq!(alert(40), "HandshakeFailure");
        for foreign in [
            &b"HTTP/1.0 400 Bad Request"[..],
            b"SSH-2.0",
            &[0, 0, 6, 4, 0, 0, 0, 0, 0],
            &[22, 3, 3, 0, 0],
            &[22, 3, 3, 0, 4, 11, 0, 0, 0],
            &[22, 3, 3, 0xFF, 0xFF],
            &[23, 3, 3, 0, 1, 0],
            &[22, 3, 3, 0, 4, 2, 0xFF, 0, 0],
            &[22, 3, 3, 0, 4, 2, 0, 0, 0],
        ] {
            assert_eq!(parse(foreign), Some(Answer::Foreign), "{foreign:?}");
        }
    }

    #[test]
    fn an_answer_in_pieces_is_waited_for() {
        let whole = server_hello(0x0304, 0x1301);
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), None, "{length}");
        }
        // In two records.
        let (first, second) = whole[5..].split_at(20);
        let mut pieces = vec![22, 3, 3, 0, 20];
        pieces.extend(first);
        pieces.extend([22, 3, 3, 0, second.len() as u8]);
        pieces.extend(second);
        assert_eq!(parse(&pieces), parse(&whole));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            parse(&bytes);
        }

        /// What differs from a ServerHello in a few bytes gets further in.
        #[test]
        fn nor_do_damaged_answers(
            at in prop::collection::vec((0usize..60, any::<u8>()), 0..4),
            cut in 0usize..80,
        ) {
            let mut bytes = server_hello(0x0304, 0x1301);
            for (at, byte) in at {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            bytes.truncate(cut);
            parse(&bytes);
        }

        /// More bytes never turn an answer into another one.
        #[test]
        fn what_follows_an_answer_is_not_read(more in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut bytes = server_hello(0x0303, 0xC02F);
            let answer = parse(&bytes);
            bytes.extend(more);
            prop_assert_eq!(parse(&bytes), answer);
        }
    }
}
