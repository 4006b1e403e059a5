//! The validators of reports and segmentations, in an environment of their own that `validate_sr/setup.sh` makes.

use std::path::{Path, PathBuf};
use std::process::Command;

use dicom_dictionary_std::uids;
use radiomicsd::dicom::sr::SrClass;
use radiomicsd::report::Document;

use super::{reference, run, said, skipped};

/// The programs of that environment, where it is set up.
pub fn tools() -> Option<PathBuf> {
    let cache = std::env::var_os("VALIDATE_SR_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache/validate_sr")))?;
    let tools = cache.join("venv/bin");
    if tools.join("dciodvfy").is_file() {
        return Some(tools);
    }
    skipped("the validators are not set up");
    None
}

/// Writes documents into a folder of the build, where they can be looked at afterwards.
pub fn write(folder: &str, documents: &[Document]) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    let file = |document: &Document| {
        let file = folder.join(format!("{}.dcm", document.name));
        std::fs::write(&file, &document.bytes).unwrap();
        file
    };
    documents.iter().map(file).collect()
}

/// Writes documents and runs every validator that there is for each: all of them on reports and segmentations, else
/// `dciodvfy`. Without the validators it says that they did not run.
pub fn validate(folder: &str, documents: &[Document]) {
    let files = write(folder, documents);
    let (Some(tools), Some(reference)) = (tools(), reference()) else { return };
    for (document, file) in documents.iter().zip(&files) {
        let class = document.sop_class.as_str();
        if class != uids::SEGMENTATION_STORAGE && SrClass::from_sop_class(class).is_none() {
            dciodvfy(&tools, file);
            continue;
        }
        let output = Command::new(reference.join("tools/validate_sr/validate_sr.sh")).arg(file).output().unwrap();
        println!("{}", said(&output));
        assert!(output.status.success(), "{}:\n{}", file.display(), said(&output));
    }
}

/// Modules, value types and references of any object: its errors are lines of its output.
pub fn dciodvfy(tools: &Path, file: &Path) {
    let mut dciodvfy = Command::new(tools.join("dciodvfy"));
    dciodvfy.arg(file);
    let text = run(dciodvfy);
    println!("{text}");
    let errors: Vec<_> = text.lines().filter(|line| line.starts_with("Error") || line.starts_with("Abort")).collect();
    assert!(errors.is_empty(), "{}: {errors:?}", file.display());
}
