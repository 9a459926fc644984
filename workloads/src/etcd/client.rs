use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use prost::Message;
use results::ErrorKind;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::messages::{
    PutRequest, PutResponse, RangeRequest, RangeResponse, StatusRequest, StatusResponse,
};

const PUT: &str = "/etcdserverpb.KV/Put";
const RANGE: &str = "/etcdserverpb.KV/Range";
const STATUS: &str = "/etcdserverpb.Maintenance/Status";

/// Calls one member over one connection, which is made again when it broke; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Client(Grpc<Channel>);

impl Client {
    /// A client that connects with its first call; needs a tokio runtime around it.
    pub(super) fn lazy(server: SocketAddr, patience: Duration) -> Client {
        Client(Grpc::new(endpoint(server, patience).connect_lazy()))
    }

    /// A client that is connected.
    pub(super) async fn connect(
        server: SocketAddr,
        patience: Duration,
    ) -> Result<Client, tonic::transport::Error> {
        let channel = endpoint(server, patience).connect().await?;
        Ok(Client(Grpc::new(channel)))
    }

    pub(super) async fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), Status> {
        let _: PutResponse = self.call(PUT, PutRequest { key, value }).await?;
        Ok(())
    }

    pub(super) async fn get(&mut self, key: Vec<u8>) -> Result<Option<Vec<u8>>, Status> {
        let mut response: RangeResponse = self.call(RANGE, RangeRequest { key }).await?;
        Ok(response.kvs.pop().map(|pair| pair.value))
    }

    pub(super) async fn status(&mut self) -> Result<StatusResponse, Status> {
        self.call(STATUS, StatusRequest {}).await
    }

    async fn call<Q, P>(&mut self, path: &'static str, request: Q) -> Result<P, Status>
    where
        Q: Message + 'static,
        P: Message + Default + 'static,
    {
        let ready = self.0.ready().await;
        ready.map_err(|error| Status::from_error(error.into()))?;
        let codec = ProstCodec::<Q, P>::default();
        let path = PathAndQuery::from_static(path);
        let response = self.0.unary(Request::new(request), path, codec).await?;
        Ok(response.into_inner())
    }
}

fn endpoint(server: SocketAddr, patience: Duration) -> Endpoint {
    Endpoint::from_shared(format!("http://{server}"))
        .expect("a socket address makes a valid authority")
        .connect_timeout(patience)
        .tcp_nodelay(true)
}

/// What kind of error a call failed with.
pub(super) fn kind(status: &Status) -> ErrorKind {
    if status.source().is_some() {
        return ErrorKind::Connection;
    }
    let text = status.message();
    match status.code() {
        Code::DeadlineExceeded => ErrorKind::Timeout,
        Code::ResourceExhausted => ErrorKind::Overload,
        _ if text.contains("no leader") || text.contains("leader changed") => {
            ErrorKind::ClusterDown
        }
        _ if text.contains("request timed out") => ErrorKind::Timeout,
        Code::Unavailable if !text.contains("etcdserver") => ErrorKind::Connection,
        _ => ErrorKind::Server,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        for (code, text, expected) in [
            (
                Code::Unavailable,
                "etcdserver: no leader",
                ErrorKind::ClusterDown,
            ),
            (
                Code::Unavailable,
                "etcdserver: leader changed",
                ErrorKind::ClusterDown,
            ),
            (
                Code::Unavailable,
                "etcdserver: request timed out",
                ErrorKind::Timeout,
            ),
            (
                Code::Unavailable,
                "tcp connect error",
                ErrorKind::Connection,
            ),
            (
                Code::ResourceExhausted,
                "etcdserver: too many requests",
                ErrorKind::Overload,
            ),
            (
                Code::OutOfRange,
                "etcdserver: mvcc: required revision",
                ErrorKind::Server,
            ),
        ] {
            assert_eq!(kind(&Status::new(code, text)), expected, "{text}");
        }
    }
}
