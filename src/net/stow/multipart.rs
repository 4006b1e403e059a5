//! A body of several Part-10 files: `multipart/related` (RFC 2387, PS3.18 8.6.1.2.1).

use uuid::Uuid;

/// The frame of one body.
pub(super) struct Multipart {
    boundary: String,
}

impl Multipart {
    /// A boundary of 122 random bits: it stands in no file.
    pub(super) fn new() -> Self {
        Self { boundary: Uuid::new_v4().simple().to_string() }
    }

    pub(super) fn content_type(&self) -> String {
        format!("multipart/related; type=\"application/dicom\"; boundary={}", self.boundary)
    }

    /// One file. Its transfer syntax stands in it: servers are known that drop parts whose type has the parameter.
    pub(super) fn put(&self, body: &mut Vec<u8>, file: &[u8]) {
        let head =
            format!("--{}\r\nContent-Type: application/dicom\r\nContent-Length: {}\r\n\r\n", self.boundary, file.len());
        body.reserve(head.len() + file.len() + 2);
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n");
    }

    pub(super) fn end(&self, body: &mut Vec<u8>) {
        body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_between_boundaries_as_they_are() {
        let parts = Multipart { boundary: "b".to_owned() };
        let mut body = Vec::new();
        parts.put(&mut body, b"one\r\n");
        parts.put(&mut body, b"");
        parts.end(&mut body);
        let head = "Content-Type: application/dicom\r\nContent-Length:";
        let expected = format!("--b\r\n{head} 5\r\n\r\none\r\n\r\n--b\r\n{head} 0\r\n\r\n\r\n--b--\r\n");
        assert_eq!(String::from_utf8(body).unwrap(), expected);
        assert_ne!(Multipart::new().content_type(), Multipart::new().content_type());
    }
}
