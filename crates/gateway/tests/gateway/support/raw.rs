//! Clients that do what a sound client would not.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Version};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::client::conn::{http1 as conn1, http2 as conn2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A body of these chunks; and then its end, or nothing for ever.
pub(crate) struct Chunks {
    chunks: std::vec::IntoIter<Bytes>,
    ends: bool,
}

impl Chunks {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Chunks {
        Chunks { chunks: vec![bytes.into()].into_iter(), ends: true }
    }

    pub(crate) fn all(chunks: Vec<Bytes>) -> Chunks {
        Chunks { chunks: chunks.into_iter(), ends: true }
    }

    pub(crate) fn endless(bytes: impl Into<Bytes>) -> Chunks {
        Chunks { chunks: vec![bytes.into()].into_iter(), ends: false }
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.chunks.next() {
            Some(chunk) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Headers and trailers.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn request(path: &str, method: Method, headers: &[(&str, &str)], body: Chunks) -> Request<Chunks> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    request
}

async fn collect(response: http::Response<hyper::body::Incoming>) -> Reply {
    let (head, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let mut headers = head.headers;
    headers.extend(collected.trailers().cloned().unwrap_or_default());
    Reply { status: head.status.as_u16(), headers, body: collected.to_bytes() }
}

/// A POST over HTTP/2, with the headers that gRPC wants unless others are given.
pub(crate) async fn grpc(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: Chunks) -> Reply {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        conn2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let path = format!("http://{address}{path}");
    let mut request = request(&path, Method::POST, headers, body);
    *request.version_mut() = Version::HTTP_2;
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    }
    collect(sender.send_request(request).await.unwrap()).await
}

/// A request over HTTP/1.1.
pub(crate) async fn http1(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Chunks,
) -> Reply {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = conn1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = request(path, method, headers, body);
    request.headers_mut().insert("host", "gateway".parse().unwrap());
    collect(sender.send_request(request).await.unwrap()).await
}

/// Bytes over TCP, then the end of our side. Returns all that comes back.
pub(crate) async fn http_raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // A reset is an answer too.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
