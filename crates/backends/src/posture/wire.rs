//! One hello, one answer; and one line of plain text, and what comes back.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use crossfade_gates::posture::{Fact, Transport, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answer::{ANSWER_BYTES_MAX, Answer, alert, parse};
use super::hello::{Offer, TLS13, every_suite, hello};

/// Whom to ask, and how long to wait for each answer.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) host: String,
    pub(super) port: u16,
    /// The name to ask for in a hello; none for an address.
    pub(super) name: Option<String>,
    pub(super) patience: Duration,
    pub(super) random: [u8; 32],
}

/// What became of a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Answer(Answer),
    /// The connection ended without a word.
    Nothing,
    /// Nobody listens.
    Closed,
    /// Too long, or something broke.
    Failed(String),
}

impl Peer {
    /// Offers, and hears.
    pub(super) async fn offer(&self, version: Version, suites: &[u16]) -> Said {
        let name = self.name.as_deref();
        let hello = hello(&Offer { version, suites, name, random: self.random });
        let mut bytes = match self.exchange(&hello, |bytes| parse(bytes).is_some()).await {
            Ok(bytes) => bytes,
            Err(said) => return said,
        };
        bytes.truncate(ANSWER_BYTES_MAX);
        match parse(&bytes) {
            Some(answer) => Said::Answer(answer),
            None if bytes.is_empty() => Said::Nothing,
            None => Said::Answer(Answer::Foreign),
        }
    }

    /// What is spoken here.
    pub(super) async fn transport(&self) -> Fact<Transport> {
        let mut quiet = false;
        for (version, suites) in [(Version::Tls13, TLS13.to_vec()), (Version::Tls12, every_suite())] {
            match self.offer(version, &suites).await {
                Said::Answer(Answer::Hello { .. } | Answer::Alert(_)) => return Fact::Known(Transport::Tls),
                Said::Closed => return Fact::Known(Transport::Closed),
                Said::Answer(Answer::Foreign) => break,
                Said::Nothing => quiet = true,
                Said::Failed(why) => return Fact::Unknown(why),
            }
        }
        // Older servers hang up on what they do not know; so do those that speak no TLS.
        if quiet
            && let Said::Answer(Answer::Hello { .. } | Answer::Alert(_)) =
                self.offer(Version::Tls10, &every_suite()).await
        {
            return Fact::Known(Transport::Tls);
        }
        match self.plain_answer().await {
            Fact::Known(Plain::Served | Plain::Declined) => Fact::Known(Transport::Plain),
            Fact::Known(Plain::Nothing) => {
                Fact::Unknown("what answers speaks neither TLS nor HTTP".to_owned())
            }
            Fact::Unknown(why) => Fact::Unknown(why),
        }
    }

    /// Whether anything comes of connecting: nothing does where packets are dropped, or rejected on the way. A name that leads nowhere
    /// says nothing of the machine.
    pub(super) async fn takes_connections(&self) -> bool {
        let unreachable = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::PermissionDenied
            )
        };
        match timeout(self.patience, TcpStream::connect((self.host.as_str(), self.port))).await {
            Ok(Err(error)) => !unreachable(&error),
            answer => answer.is_ok(),
        }
    }

    /// Whether a port that speaks TLS serves plain text too.
    pub(super) async fn takes_plain(&self) -> Fact<bool> {
        match self.plain_answer().await {
            Fact::Known(plain) => Fact::Known(plain == Plain::Served),
            Fact::Unknown(why) => Fact::Unknown(why),
        }
    }

    /// What is said to HTTP in plain text: HTTP/2, or HTTP/1.1.
    async fn plain_answer(&self) -> Fact<Plain> {
        const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        match self.exchange(PREFACE, |bytes| bytes.len() >= 9).await {
            // SETTINGS, on stream 0.
            Ok(bytes) if matches!(bytes.get(3..9), Some([4, 0, 0, 0, 0, 0])) => {
                return Fact::Known(Plain::Served);
            }
            Err(Said::Closed) => return Fact::Known(Plain::Nothing),
            Err(Said::Failed(why)) => return Fact::Unknown(why),
            Ok(_) | Err(_) => {}
        }
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nUser-Agent: crossfade\r\nConnection: close\r\n\r\n",
            self.name.as_deref().unwrap_or(&self.host)
        );
        match self.exchange(request.as_bytes(), |bytes| bytes.windows(2).any(|two| two == b"\r\n")).await {
            Ok(bytes) => Fact::Known(http1(&bytes)),
            Err(Said::Failed(why)) => Fact::Unknown(why),
            Err(_) => Fact::Known(Plain::Nothing),
        }
    }

    /// Writes, and reads until there is enough, the other side ends, or the time is up. What came before an end counts.
    async fn exchange(&self, out: &[u8], enough: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, Said> {
        let silent = || Said::Failed(format!("no answer within {:?}", self.patience));
        let address = (self.host.as_str(), self.port);
        let mut stream = match timeout(self.patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(Said::Closed),
            Ok(Err(error)) => return Err(Said::Failed(format!("cannot connect: {error}"))),
            Err(_) => return Err(Said::Failed(format!("no connection within {:?}", self.patience))),
        };
        let mut bytes = BytesMut::with_capacity(ANSWER_BYTES_MAX);
        let hear = async {
            // A server may answer, and end, before it has read everything.
            let _ = stream.write_all(out).await;
            while bytes.len() < ANSWER_BYTES_MAX && !enough(&bytes) {
                match stream.read_buf(&mut bytes).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        };
        match timeout(self.patience, hear).await {
            Ok(()) => Ok(bytes.to_vec()),
            // A peer that says something, and then waits for more, has said it.
            Err(_) if !bytes.is_empty() => Ok(bytes.to_vec()),
            Err(_) => Err(silent()),
        }
    }
}

/// What is said to plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plain {
    /// Nothing that is HTTP.
    Nothing,
    /// In HTTP, that it is to be spoken otherwise: 400, as Go and nginx say it on a TLS port, or the way to another address.
    Declined,
    /// It is served, or refused for another reason.
    Served,
}

fn http1(bytes: &[u8]) -> Plain {
    let Some(rest) = bytes.strip_prefix(b"HTTP/1.") else { return Plain::Nothing };
    let status = rest.get(2..5).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u16>().ok());
    match status {
        None => Plain::Nothing,
        Some(300..=400 | 426 | 497) => Plain::Declined,
        Some(_) => Plain::Served,
    }
}

/// Whether a version is taken.
pub(super) async fn takes_version(peer: &Peer, version: Version) -> Fact<bool> {
    let suites = if version == Version::Tls13 { TLS13.to_vec() } else { every_suite() };
    match peer.offer(version, &suites).await {
        Said::Answer(Answer::Hello { version: chosen, .. }) => Fact::Known(chosen == version),
        other => refusal(other),
    }
}

/// Whether one of these suites is taken, in whatever version up to TLS 1.2.
pub(super) async fn takes_suites(peer: &Peer, suites: &[u16]) -> Fact<bool> {
    match peer.offer(Version::Tls12, suites).await {
        Said::Answer(Answer::Hello { suite, .. }) if suites.contains(&suite) => Fact::Known(true),
        Said::Answer(Answer::Hello { suite, .. }) => {
            Fact::Unknown(format!("it chose suite {suite:04x}, which was not offered"))
        }
        other => refusal(other),
    }
}

fn refusal(said: Said) -> Fact<bool> {
    match said {
        // Our fault, or its own: that says nothing of the offer.
        Said::Answer(Answer::Alert(description @ (80 | 50 | 20 | 22))) => {
            Fact::Unknown(format!("it answers with the alert {}", alert(description)))
        }
        Said::Answer(Answer::Alert(_)) | Said::Nothing => Fact::Known(false),
        Said::Answer(Answer::Foreign) => Fact::Unknown("it answers with something that is no TLS".to_owned()),
        Said::Answer(Answer::Hello { .. }) => Fact::Known(true),
        Said::Closed => Fact::Unknown("it refuses connections now".to_owned()),
        Said::Failed(why) => Fact::Unknown(why),
    }
}
