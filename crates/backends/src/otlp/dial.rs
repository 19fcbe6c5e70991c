//! Opening connections, remembering them, and cutting all of them at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Protocol;
use super::endpoint::Endpoint;
use super::line::{Leash, Line, Meter};
use crate::tls::{Alpn, Stream};

/// An open connection.
pub(crate) type Channel = Stream<Line>;

/// Opens the connections of one client and holds a leash on each.
#[derive(Debug)]
pub(crate) struct Dialer {
    endpoint: Endpoint,
    connect_timeout: Duration,
    meter: Arc<Meter>,
    open: Mutex<Open>,
}

/// Invariant: `leashes` holds every connection that was opened in this epoch and has not ended.
#[derive(Debug, Default)]
struct Open {
    epoch: u64,
    next_id: u64,
    leashes: BTreeMap<u64, Arc<Leash>>,
}

/// A connection, from its opening to its end. Dropping it lets go of the leash.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) id: u64,
    dialer: Arc<Dialer>,
}

/// Leave to send to an environment. It ends when the client is severed; whoever asks again gets a new one.
///
/// Taken when it is decided that a request goes to an environment, and handed in when it is sent, it makes sure that
/// what was decided before a fence is not sent after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    epoch: u64,
}

/// Why no connection came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DialError {
    Failed(String),
    /// The client was severed while the connection was being opened.
    Severed,
}

impl Dialer {
    pub(crate) fn new(endpoint: Endpoint, connect_timeout: Duration) -> Arc<Dialer> {
        Arc::new(Dialer { endpoint, connect_timeout, meter: Meter::new(), open: Mutex::default() })
    }

    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Leave to send, until the next [`sever`](Dialer::sever).
    pub(crate) fn lease(&self) -> Lease {
        Lease { epoch: self.lock().epoch }
    }

    /// Whether a lease still holds.
    pub(crate) fn honour(&self, lease: Lease) -> Result<(), DialError> {
        if self.lock().epoch == lease.epoch { Ok(()) } else { Err(DialError::Severed) }
    }

    /// Opens a connection. The ticket has to live as long as the connection does.
    pub(crate) async fn dial(self: &Arc<Self>, lease: Lease) -> Result<(Channel, Ticket), DialError> {
        let (line, ticket) = self.dial_line(lease).await?;
        let Some(tls) = self.endpoint.tls() else { return Ok((Stream::Plain(line), ticket)) };
        let alpn = match self.endpoint.protocol() {
            Protocol::Grpc => Alpn::H2,
            Protocol::HttpProtobuf | Protocol::HttpJson => Alpn::Http1,
        };
        // The line is on its leash already: a fence cuts the handshake too.
        let shaken = timeout(self.connect_timeout, tls.connect(line, self.endpoint.host(), alpn)).await;
        self.honour(lease)?;
        match shaken {
            Ok(Ok(stream)) => Ok((Stream::Tls(Box::new(stream)), ticket)),
            Ok(Err(fault)) => Err(DialError::Failed(self.blame(&fault))),
            Err(_) => {
                let silence = format!("no answer to the TLS handshake in {:?}", self.connect_timeout);
                Err(DialError::Failed(self.blame(&silence)))
            }
        }
    }

    async fn dial_line(self: &Arc<Self>, lease: Lease) -> Result<(Line, Ticket), DialError> {
        self.honour(lease)?;
        let stream = self.connect().await.map_err(DialError::Failed)?;
        let line =
            Line::new(stream, Arc::clone(&self.meter)).map_err(|e| DialError::Failed(self.blame(&e)))?;
        let mut open = self.lock();
        if open.epoch != lease.epoch {
            return Err(DialError::Severed);
        }
        let id = open.next_id;
        open.next_id += 1;
        open.leashes.insert(id, line.leash());
        Ok((line, Ticket { id, dialer: Arc::clone(self) }))
    }

    /// Opens a TCP connection and closes it again. Sends nothing.
    pub(crate) async fn knock(&self) -> Result<(), String> {
        self.connect().await.map(drop)
    }

    /// Cuts every connection, those that are being opened included. Returns when no write can succeed any more.
    pub(crate) fn sever(&self) {
        let leashes = {
            let mut open = self.lock();
            open.epoch += 1;
            std::mem::take(&mut open.leashes)
        };
        for leash in leashes.values() {
            leash.cut();
        }
    }

    async fn connect(&self) -> Result<TcpStream, String> {
        let address = (self.endpoint.host(), self.endpoint.port());
        match timeout(self.connect_timeout, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.blame(&error)),
            Err(_) => {
                Err(format!("cannot connect to {}: no answer in {:?}", self.endpoint, self.connect_timeout))
            }
        }
    }

    fn blame(&self, error: &dyn fmt::Display) -> String {
        format!("cannot connect to {}: {error}", self.endpoint)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().expect("nothing panics while it holds this lock")
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.dialer.lock().leashes.remove(&self.id);
    }
}
