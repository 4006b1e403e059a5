//! The daemon as a process of its own, on ports that the system chose.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_radiomicsd");
/// How long anything may take before a test gives up: a case with misregistration errors on a busy machine without the optimiser.
const PATIENCE: Duration = Duration::from_secs(300);

/// A protocol for the synthetic patient: CT and PET required, MR where it comes.
pub const PROTOCOL: &str = r#"
[[protocol]]
name = "pet-ct-mr"
reference = "CT"
roi = { names = ["^GTV"] }
finding = { type = "108369006|SCT|Neoplasm", site = "818983003|SCT|Abdomen" }
features = { families = ["morphology", "local", "intensity", "histogram"] }
  [[protocol.input]]
  role = "CT"
  modality = "CT"
  exclude = { ImageType = "LOCALIZER" }
  fwhm_mm = [1.0, 1.0, 3.0]
  normalise = { method = "hu", window = [-500.0, 400.0] }
  [[protocol.input]]
  role = "PT"
  modality = "PT"
  required = true
  fwhm_mm = [6.0, 6.0, 6.0]
  [[protocol.input]]
  role = "MR_T1"
  modality = "MR"
  fwhm_mm = [1.1, 1.1, 4.0]
"#;

/// The same with the errors of means alone: without thirty motions of every role.
pub fn quick_protocol() -> String {
    PROTOCOL.replace("features =", "registration = { error_draws = 0 }\nfeatures =")
}

/// A daemon with its storage, which outlives the process.
pub struct Daemon {
    directory: tempfile::TempDir,
    configuration: String,
    process: Option<Child>,
    /// How long its files may grow, in blocks of the shell's `ulimit -f`.
    pub file_blocks_max: Option<u64>,
    /// More of its environment.
    pub environment: Vec<(&'static str, String)>,
    pub dicom: u16,
    pub http: u16,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("the daemon's last words:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

impl Daemon {
    /// A running daemon with short waits and this configuration appended.
    pub fn start(more: &str) -> Self {
        Self::start_with("series_settle = \"300ms\"\ncase_settle = \"700ms\"\ncase_deadline = \"60s\"", more)
    }

    /// The same with other waits.
    pub fn start_with(waits: &str, more: &str) -> Self {
        let configuration = format!(
            "[dicom]\nlisten = \"127.0.0.1:0\"\naccept_unknown_peers = true\nidle_timeout = \"10s\"\n\
             [storage]\ndirectory = \"storage\"\nreserve_bytes = 0\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[case]\n{waits}\n{more}"
        );
        let mut daemon = Self {
            directory: tempfile::tempdir().unwrap(),
            configuration,
            process: None,
            file_blocks_max: None,
            environment: Vec::new(),
            dicom: 0,
            http: 0,
        };
        daemon.run();
        daemon
    }

    /// Lines of its log with that text, over all its processes.
    pub fn log_lines(&self, text: &str) -> usize {
        std::fs::read_to_string(self.path("log")).unwrap_or_default().lines().filter(|line| line.contains(text)).count()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces the text of the configuration; takes effect at the next start or reload.
    pub fn configure(&mut self, from: &str, to: &str) {
        assert!(self.configuration.contains(from), "{from}");
        self.configuration = self.configuration.replace(from, to);
        std::fs::write(self.path("radiomicsd.toml"), &self.configuration).unwrap();
    }

    /// Starts the process and waits until it is ready.
    pub fn run(&mut self) {
        self.run_without_waiting_for_readiness();
        wait_for("readiness", || self.get("/ready").is_some_and(|(status, _)| status == 200).then_some(()));
    }

    /// Starts the process and waits until its ports are bound.
    pub fn run_without_waiting_for_readiness(&mut self) {
        std::fs::write(self.path("radiomicsd.toml"), &self.configuration).unwrap();
        let addresses = self.path("addresses");
        let _ = std::fs::remove_file(&addresses);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let mut program = match self.file_blocks_max {
            Some(blocks) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -f {blocks}; exec \"$0\" \"$@\""), PROGRAM]);
                shell
            }
            None => Command::new(PROGRAM),
        };
        let child = program
            .arg("serve")
            .arg("--config")
            .arg(self.path("radiomicsd.toml"))
            .arg("--addresses")
            .arg(&addresses)
            .args(["--log", "json"])
            .env("RADIOMICSD_LOG", "info")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
        let text = wait_for("the addresses", || {
            let text = std::fs::read_to_string(&addresses).ok()?;
            (text.lines().count() == 2).then_some(text)
        });
        let port = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.rsplit_once(':').unwrap().1.parse().unwrap()
        };
        (self.dicom, self.http) = (port("dicom="), port("http="));
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// SIGKILL, at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap().success());
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.process.take().unwrap().wait().unwrap()
    }

    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// GET over a connection of its own: status and body; nothing where nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }

    /// PUT of a JSON body, with a token or without: the status.
    pub fn put(&self, path: &str, token: Option<&str>, json: &str) -> u16 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let token = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
        let head = "Host: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n";
        write!(stream, "PUT {path} HTTP/1.1\r\n{head}{token}Content-Length: {}\r\n\r\n{json}", json.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// One value of `/metrics`, labels included in the name.
    pub fn metric(&self, name: &str) -> u64 {
        let (status, text) = self.get("/metrics").unwrap();
        assert_eq!(status, 200);
        let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    /// A command of the program, asked of this daemon.
    pub fn ask(&self, arguments: &[&str]) -> std::process::Output {
        let http = format!("127.0.0.1:{}", self.http);
        Command::new(PROGRAM).args(arguments).args(["--http", &http]).output().unwrap()
    }

    /// The cases as the command line tells them.
    pub fn cases(&self) -> Vec<Value> {
        let output = self.ask(&["cases", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        list["cases"].as_array().unwrap().clone()
    }

    /// Waits until there is a case of which this is true.
    pub fn wait_for_case(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || self.cases().into_iter().find(|case| holds(case)))
    }

    pub fn wait_for_state(&self, state: &str) -> Value {
        self.wait_for_case(state, |case| case["state"] == state)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap()
    }

    /// The files of one revision of one case.
    pub fn result(&self, case: &Value, revision: u32) -> PathBuf {
        let id = case["id"].as_str().unwrap();
        self.path("storage").join("results").join(id).join(revision.to_string())
    }

    /// Every file below a folder of the storage.
    pub fn files(&self, folder: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.path("storage").join(folder), &mut files);
        files
    }
}

pub fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

/// Waits until something is there.
pub fn wait_for<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
