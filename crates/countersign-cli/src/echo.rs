//! The built-in echo API of `--demo`: says what reached it, so that everybody sees what the gateway passes on.

use crate::output::Failure;
use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use serde_json::{Map, Value, json};
use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

const LARGEST_BODY: usize = 1 << 20;

/// Ends with [`Echo::stop`], or with the runtime.
#[derive(Debug)]
pub struct Echo {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Echo {
    /// On this port of loopback, or where that is taken on a free one.
    pub async fn start(port: u16) -> Result<Self, Failure> {
        let failed = |e: std::io::Error| Failure::failed(format!("cannot start the echo API: {e}"));
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?,
        };
        let address = listener.local_addr().map_err(failed)?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(accept(listener, stop.clone()));
        Ok(Self { address, stop, task })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// After the answers in flight.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

async fn accept(listener: TcpListener, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // out of descriptors, or a caller who left: the next one may do better
                Err(_) => {
                    tokio::task::yield_now().await;
                    continue;
                }
            },
        };
        let service = hyper::service::service_fn(answer);
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let _ = connection.await;
        });
    }
    graceful.shutdown().await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let mut headers = Map::new();
    for name in parts.headers.keys() {
        let values: Vec<_> = parts
            .headers
            .get_all(name)
            .iter()
            .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
            .collect();
        headers.insert(name.to_string(), json!(values.join(", ")));
    }
    let mut answer = json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path_and_query().map_or("/", |p| p.as_str()),
        "headers": headers,
    });
    if let (Ok(body), Some(members)) =
        (Limited::new(body, LARGEST_BODY).collect().await, answer.as_object_mut())
    {
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        if !text.is_empty() {
            members.insert("body".into(), Value::String(text));
        }
    }
    let mut response = Response::new(Full::new(Bytes::from(format!("{answer:#}\n"))));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    Ok(response)
}
