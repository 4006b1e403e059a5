//! dcmtk's `dcmqrscp` as an archive.

use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{dcmtk, free_port};

/// An archive called ARCHIVE that has what it is sent and moves it to one other node; it ends with this value.
pub struct Archive {
    child: Child,
    pub port: u16,
    _directory: tempfile::TempDir,
}

impl Drop for Archive {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Archive {
    /// An archive that moves to the node of this title and port; nothing where dcmtk is not installed.
    pub fn start(mover: &str, mover_port: u16) -> Option<Self> {
        let mut dcmqrscp = dcmtk("dcmqrscp")?;
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let files = directory.path().join("files");
        std::fs::create_dir(&files).unwrap();
        let configuration = format!(
            "NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n\
             HostTable BEGIN\nmover = ({mover}, 127.0.0.1, {mover_port})\nHostTable END\n\
             VendorTable BEGIN\nVendorTable END\n\
             AETable BEGIN\nARCHIVE {} RW (200, 1024mb) ANY\nAETable END\n",
            files.display()
        );
        let file = directory.path().join("dcmqrscp.cfg");
        std::fs::write(&file, configuration).unwrap();
        dcmqrscp.arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let archive = Self { child: dcmqrscp.spawn().unwrap(), port, _directory: directory };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "waited for dcmqrscp");
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(archive)
    }
}
