//! A strict DICOMweb server: it takes nothing that the standard does not allow, and answers as it is told.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use radiomicsd::dicom::facts;
use radiomicsd::net::Stream;
use radiomicsd::net::deliver::Timeouts;
use radiomicsd::net::stow::WebServer;
use radiomicsd::net::tls::{TlsClient, TlsServer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// How a request is answered.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Everything is stored: 200.
    Stored,
    /// Those that are named fail for that reason, the others are stored: 202, or 409 where none is.
    Failing(Vec<(String, u16)>),
    /// Those that are named fail for that reason, without a word of the others: 202.
    Vague(Vec<(String, u16)>),
    /// Everything is dropped, and nothing said of it: 200 with empty lists.
    Dropping,
    /// A status and no more.
    Status(u16),
    /// Nothing comes.
    Stall,
    /// The connection ends in the middle of the answer.
    Abort,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub headers: HashMap<String, String>,
    pub instances: Vec<String>,
}

#[derive(Debug, Default)]
struct Inner {
    replies: VecDeque<Reply>,
    requests: Vec<Received>,
    stored: HashMap<String, Vec<u8>>,
    n_stored: usize,
    wrong: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Web {
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

impl Web {
    /// A server that gives these answers in turn, and takes everything after them.
    pub async fn start(tls: Option<TlsServer>, replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Inner { replies: replies.iter().cloned().collect(), ..Inner::default() };
        let web = Self { address: listener.local_addr().unwrap(), inner: Arc::new(Mutex::new(inner)) };
        let serving = web.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (web, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => web.serve(Stream::Plain(stream)).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                web.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        web
    }

    /// It as a destination, with little patience.
    pub fn server(&self, tls: Option<TlsClient>) -> WebServer {
        let wait = Duration::from_secs(1);
        WebServer {
            name: "TEST".to_owned(),
            address: self.address.to_string(),
            host: self.address.to_string(),
            path: "/dicom-web/studies".to_owned(),
            token_file: None,
            timeouts: Timeouts { connect: wait, association: wait, response: wait, write: wait },
            tls: tls.map(|tls| tls.for_another_protocol()),
        }
    }

    pub fn requests(&self) -> Vec<Received> {
        self.inner.lock().unwrap().requests.clone()
    }

    /// The file that it has under this instance.
    pub fn file(&self, instance: &str) -> Option<Vec<u8>> {
        self.inner.lock().unwrap().stored.get(instance).cloned()
    }

    /// How often it stored something, each time that an instance came again included.
    pub fn n_stored(&self) -> usize {
        self.inner.lock().unwrap().n_stored
    }

    /// Panics where a request broke a rule.
    pub fn assert_no_rule_was_broken(&self) {
        assert_eq!(self.inner.lock().unwrap().wrong, Vec::<String>::new());
    }

    async fn serve(&self, mut stream: Stream) {
        let Some((head, body)) = read_request(&mut stream).await else { return };
        let files = match parse(&head, &body) {
            Ok(files) => files,
            Err(reason) => {
                self.inner.lock().unwrap().wrong.push(reason);
                answer(&mut stream, 400, None).await;
                return;
            }
        };
        let instances: Vec<String> = files.iter().map(|(uid, _)| uid.clone()).collect();
        let reply = {
            let mut inner = self.inner.lock().unwrap();
            let received = Received { headers: head.headers, instances };
            inner.requests.push(received);
            inner.replies.pop_front().unwrap_or(Reply::Stored)
        };
        let failing = match &reply {
            Reply::Stored | Reply::Dropping => Vec::new(),
            Reply::Failing(failing) | Reply::Vague(failing) => failing.clone(),
            Reply::Status(status) => return answer(&mut stream, *status, None).await,
            Reply::Stall => return tokio::time::sleep(Duration::from_secs(30)).await,
            Reply::Abort => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").await;
                return;
            }
        };
        let reason = |uid: &String| failing.iter().find(|(failed, _)| failed == uid).map(|(_, reason)| *reason);
        let (mut failed, mut referenced) = (Vec::new(), Vec::new());
        for (uid, bytes) in files {
            let instance = json!({ "vr": "UI", "Value": [&uid] });
            if let Some(reason) = reason(&uid) {
                let reason = json!({ "vr": "US", "Value": [reason] });
                failed.push(json!({ "00081155": instance, "00081197": reason }));
                continue;
            }
            if !matches!(reply, Reply::Vague(_) | Reply::Dropping) {
                let mut inner = self.inner.lock().unwrap();
                inner.stored.insert(uid.clone(), bytes);
                inner.n_stored += 1;
                referenced.push(json!({ "00081155": instance }));
            }
        }
        let status = match (failed.is_empty(), referenced.is_empty() && !matches!(reply, Reply::Vague(_))) {
            (true, _) => 200,
            (false, false) => 202,
            (false, true) => 409,
        };
        let sequence = |items: Vec<Value>| json!({ "vr": "SQ", "Value": items });
        let body = json!({ "00081198": sequence(failed), "00081199": sequence(referenced) });
        answer(&mut stream, status, Some(body)).await;
    }
}

struct Head {
    line: String,
    headers: HashMap<String, String>,
}

async fn read_request(stream: &mut Stream) -> Option<(Head, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = find(&bytes, b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = text.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    (body.len() == length).then_some((Head { line, headers }, body))
}

async fn answer(stream: &mut Stream, status: u16, body: Option<Value>) {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/dicom+json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// The files of a request that keeps to PS3.18 10.5 and RFC 2387.
fn parse(head: &Head, body: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    if head.line != "POST /dicom-web/studies HTTP/1.1" {
        return Err(head.line.clone());
    }
    for (name, value) in [("accept", "application/dicom+json"), ("host", "127.0.0.1")] {
        if !head.headers.get(name).is_some_and(|given| given.starts_with(value)) {
            return Err(format!("header {name}"));
        }
    }
    let content_type = head.headers.get("content-type").cloned().unwrap_or_default();
    let boundary = content_type
        .strip_prefix("multipart/related; type=\"application/dicom\"; boundary=")
        .filter(|boundary| (1..=70).contains(&boundary.len()))
        .ok_or("content type")?;
    let (open, close) = (format!("--{boundary}\r\n"), format!("--{boundary}--\r\n"));
    let (mut files, mut rest) = (Vec::new(), body);
    loop {
        if rest == close.as_bytes() {
            return Ok(files);
        }
        rest = rest.strip_prefix(open.as_bytes()).ok_or("no boundary")?;
        let end = find(rest, b"\r\n\r\n").ok_or("no headers")?;
        let headers = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 4..];
        let length = find(rest, format!("\r\n--{boundary}").as_bytes()).ok_or("no end")?;
        let (file, after) = rest.split_at(length);
        rest = &after[2..];
        let facts = facts::from_bytes(file, &[]).map_err(|error| error.to_string())?;
        if headers != format!("Content-Type: application/dicom\r\nContent-Length: {length}") {
            return Err(headers);
        }
        files.push((facts.sop_instance.to_string(), file.to_vec()));
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
