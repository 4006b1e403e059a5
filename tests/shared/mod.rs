//! What several test programs share: where the reference data are, and the programs that play the other side.
#![allow(dead_code, reason = "each test program takes a part of it")]

pub mod archive;
pub mod validators;

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// Says something with the name of the test, past the harness, which keeps what passing tests print to itself.
pub fn aloud(what: &str) {
    let thread = std::thread::current();
    // Nobody reads it when the stream is closed.
    let _ = writeln!(std::io::stderr().lock(), "{}: {what}", thread.name().unwrap_or("a test"));
}

/// Says that a test, or a part of it, did not run; where `RADIOMICSD_REQUIRE_ALL` is set, as in CI, that is a failure.
pub fn skipped(what: &str) {
    aloud(&format!("skipped: {what}"));
    assert!(std::env::var_os("RADIOMICSD_REQUIRE_ALL").is_none(), "not run, and everything is required: {what}");
}

/// The reference data, where they are.
pub fn reference() -> Option<PathBuf> {
    let fallback = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let path = std::env::var_os("RADIOMICSD_REFERENCE").map_or(fallback, PathBuf::from);
    if path.join("data").is_dir() {
        return Some(path);
    }
    skipped("the reference data are absent");
    None
}

/// A program of dcmtk. Another toolkit installs programs of the same names: each candidate is asked who it is.
pub fn dcmtk(name: &str) -> Option<Command> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    for directory in std::env::split_paths(&paths) {
        let program = directory.join(name);
        let answer = Command::new(&program).arg("--version").output();
        if answer.is_ok_and(|answer| String::from_utf8_lossy(&answer.stdout).contains("dcmtk")) {
            let mut command = Command::new(program);
            command.stdin(Stdio::null());
            return Some(command);
        }
    }
    skipped(&format!("{name} of dcmtk is not installed"));
    None
}

/// Python with pynetdicom, where installed, to run this script.
pub fn pynetdicom(script: &str) -> Option<Command> {
    let probe = Command::new("python3").args(["-c", "import pynetdicom"]).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        skipped("pynetdicom is not installed");
        return None;
    }
    let mut command = Command::new("python3");
    command.args(["-c", script]).stdin(Stdio::null());
    Some(command)
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What a program of poppler says of a PDF; nothing where it is not installed.
pub fn poppler(program: &str, arguments: &[&str], file: &Path) -> Option<String> {
    let mut command = Command::new(program);
    let command = command.args(arguments).arg(file).stdin(Stdio::null());
    let command = if program == "pdftotext" { command.arg("-") } else { command };
    let Ok(output) = command.output() else {
        skipped("poppler is not installed");
        return None;
    };
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{program}: {errors}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The file in an Encapsulated PDF.
pub fn encapsulated(object: &InMemDicomObject) -> Vec<u8> {
    let length: u32 = object.element(tags::ENCAPSULATED_DOCUMENT_LENGTH).unwrap().to_int().unwrap();
    let mut bytes = object.element(tags::ENCAPSULATED_DOCUMENT).unwrap().to_bytes().unwrap().into_owned();
    bytes.truncate(length as usize);
    bytes
}

/// Everything that a program printed.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a program that must succeed.
pub fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    said(&output)
}
