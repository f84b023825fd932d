//! HTTP/1.1 and HTTP/2 on a connection.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::{Body, Connection, DataPlane, route};

/// Serves one connection until it ends.
pub(super) async fn serve(plane: &Arc<DataPlane>, connection: Connection, stream: TcpStream) {
    let connection = Arc::new(connection);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (plane, connection) = (Arc::clone(plane), Arc::clone(&connection));
        async move {
            let request = request.map(|body| body.map_err(Into::into).boxed());
            let answered = route::respond(&plane, &connection, request).await;
            Ok::<hyper::Response<Body>, Infallible>(answered.response)
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a client's connection ended early");
    }
}
