//! The line to the control plane: one JSON request at a time over HTTP/1.1, on one connection.

use std::time::Duration;

use bytes::{Buf, Bytes};
use crossfade_routing::GatewayId;
use crossfade_routing::sync::{Reply, Report};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::uri::{Authority, Uri};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::{ConfigError, RemoteControl};

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Link {
    authority: Authority,
    path: String,
    bearer: HeaderValue,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// Why a report was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("cannot connect to control at {authority}")]
    Connect { authority: Authority, source: std::io::Error },
    #[error("control does not answer")]
    Transport(#[from] hyper::Error),
    #[error("control does not answer within {0:?}")]
    TimedOut(Duration),
    #[error("control answers {status}: {body}")]
    Status { status: u16, body: String },
    #[error("control's answer is larger than {REPLY_BYTES_MAX} bytes")]
    TooLarge,
    #[error("control's answer is no reply")]
    NotAReply(#[from] serde_json::Error),
}

const REPLY_BYTES_MAX: usize = 1 << 20;
/// On top of the time for which control may hold the report.
const PATIENCE: Duration = Duration::from_secs(5);

impl Link {
    pub(crate) fn new(gateway: &GatewayId, control: &RemoteControl) -> Result<Link, ConfigError> {
        let wrong = |what: &str| ConfigError::ControlUrl(format!("{}: {what}", control.url));
        let uri: Uri = control.url.parse().map_err(|_| wrong("not a URL: write http://host:port"))?;
        match (uri.scheme_str(), uri.authority(), uri.path()) {
            (Some("https"), ..) => Err(wrong("TLS is not supported yet: use http://")),
            (Some("http"), Some(authority), "" | "/") => {
                let mut bearer = HeaderValue::from_str(&format!("Bearer {}", control.token.secret()))
                    .map_err(|_| wrong("its token cannot be sent in a header"))?;
                bearer.set_sensitive(true);
                let path = format!("/v1/gateways/{gateway}/sync");
                Ok(Link { authority: authority.clone(), path, bearer, connection: None })
            }
            _ => Err(wrong("write http://host:port, without a path")),
        }
    }

    /// Sends a report and waits for the reply. A call that is dropped closes the connection.
    pub(crate) async fn sync(&mut self, report: &Report) -> Result<Reply, LinkError> {
        let patience = PATIENCE + Duration::from_millis(u64::from(report.wait_ms));
        let connection = self.connection.take();
        let (connection, reply) = timeout(patience, self.exchange(connection, report))
            .await
            .map_err(|_| LinkError::TimedOut(patience))??;
        self.connection = Some(connection);
        Ok(reply)
    }

    async fn exchange(
        &self,
        connection: Option<SendRequest<Full<Bytes>>>,
        report: &Report,
    ) -> Result<(SendRequest<Full<Bytes>>, Reply), LinkError> {
        let mut connection = match connection {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.connect().await?,
        };
        connection.ready().await?;
        let body = Full::new(Bytes::from(serde_json::to_vec(report)?));
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.parse().expect("a gateway's name is safe in a path");
        let host = HeaderValue::from_str(self.authority.as_str()).expect("an authority is a header value");
        request.headers_mut().insert(HOST, host);
        request.headers_mut().insert(AUTHORIZATION, self.bearer.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = connection.send_request(request).await?;
        let (head, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            if let Ok(mut data) = frame?.into_data() {
                if bytes.len() + data.len() > REPLY_BYTES_MAX {
                    return Err(LinkError::TooLarge);
                }
                bytes.extend_from_slice(&data.copy_to_bytes(data.remaining()));
            }
        }
        if !head.status.is_success() {
            let body = String::from_utf8_lossy(&bytes).chars().take(500).collect();
            return Err(LinkError::Status { status: head.status.as_u16(), body });
        }
        Ok((connection, serde_json::from_slice(&bytes)?))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, LinkError> {
        let host = self.authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = self.authority.port_u16().unwrap_or(80);
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(|source| LinkError::Connect { authority: self.authority.clone(), source })?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // Its error is told to the request that was on it.
            let _ = connection.await;
        });
        Ok(sender)
    }
}
