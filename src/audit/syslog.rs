//! Audit messages to a syslog server (PS3.15 A.6, A.7): RFC 5424 messages over TLS (RFC 5425), TCP (RFC 6587, counted)
//! or UDP (RFC 5426).

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::message::Source;
use crate::clock::Timestamp;
use crate::net::Stream;
use crate::net::tls::TlsClient;

/// Facility 10 (security and authorization), severity 5 (notice).
const PRIORITY: u8 = 10 * 8 + 5;
/// PS3.15 A.6: what kind of message follows.
const MESSAGE_ID: &str = "DICOM+RFC3881";
/// How long the server may take for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// A syslog server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogServer {
    /// Where it is, as `host:port`.
    pub address: String,
    /// How it is reached.
    pub transport: Transport,
}

/// How a syslog server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// RFC 5425.
    Tls(TlsClient),
    /// RFC 6587.
    Tcp,
    /// RFC 5426.
    Udp,
}

/// An open way to a server.
#[derive(Debug)]
pub(super) struct Connection {
    to: SyslogServer,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Stream(Box<Stream>),
    Datagrams(UdpSocket),
}

impl Connection {
    pub(super) async fn open(to: &SyslogServer) -> io::Result<Self> {
        let way = timeout(PATIENCE, open(to)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(Self { to: to.clone(), way })
    }

    pub(super) fn is_to(&self, target: &SyslogServer) -> bool {
        self.to == *target
    }

    /// Ready when the server has closed. Syslog servers say nothing: whatever they say is passed over.
    pub(super) async fn closed(&mut self) {
        let mut bytes = [0; 256];
        match &mut self.way {
            Way::Stream(stream) => while matches!(stream.read(&mut bytes).await, Ok(1..)) {},
            Way::Datagrams(_) => std::future::pending().await,
        }
    }

    /// Sends one message. Syslog has no answers: that the system took it is all that can be known.
    pub(super) async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let sent = async {
            match &mut self.way {
                Way::Datagrams(socket) => socket.send(message).await.map(drop),
                Way::Stream(stream) => {
                    let mut counted = format!("{} ", message.len()).into_bytes();
                    counted.extend_from_slice(message);
                    stream.write_all(&counted).await?;
                    stream.flush().await
                }
            }
        };
        timeout(PATIENCE, sent).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

async fn open(to: &SyslogServer) -> io::Result<Way> {
    if to.transport == Transport::Udp {
        let addresses = tokio::net::lookup_host(&to.address).await?;
        let address = addresses.into_iter().next().ok_or(io::ErrorKind::NotFound)?;
        let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await?;
        socket.connect(address).await?;
        return Ok(Way::Datagrams(socket));
    }
    let stream = TcpStream::connect(&to.address).await?;
    stream.set_nodelay(true)?;
    let stream = match &to.transport {
        Transport::Tls(tls) => tls.connect(stream, &to.address).await?,
        Transport::Tcp | Transport::Udp => Stream::Plain(stream),
    };
    Ok(Way::Stream(Box::new(stream)))
}

/// The RFC 5424 message.
pub(super) fn frame(source: &Source, at: Timestamp, xml: &str) -> Vec<u8> {
    let header =
        format!("<{PRIORITY}>1 {at:.6} {} radiomicsd {} {MESSAGE_ID} - ", plain(&source.host), source.process_id,);
    // RFC 5424 6.4: UTF-8 says so.
    [header.as_bytes(), b"\xEF\xBB\xBF", xml.as_bytes()].concat()
}

/// A host name as RFC 5424 wants it: printable, without spaces, not empty.
fn plain(host: &str) -> String {
    let name: String = host.chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}
