//! The audit file: one message a line, appended.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

/// It names patients: for this user and group.
const MODE: u32 = 0o640;

/// A file of audit messages. Opened anew for every batch, so that it may be rotated away at any time.
#[derive(Debug)]
pub(super) struct AuditFile;

impl AuditFile {
    /// Appends messages; they are on the disk when this returns.
    pub(super) fn append(path: &Path, messages: &[Arc<str>]) -> io::Result<()> {
        let mut text = String::new();
        for message in messages {
            text.push_str(message);
            text.push('\n');
        }
        let mut file = OpenOptions::new().append(true).create(true).mode(MODE).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()
    }
}
