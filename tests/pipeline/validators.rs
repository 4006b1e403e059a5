//! Every validator that there is, on the documents of the synthetic and of a real patient; skipped aloud where they are not
//! set up.

use std::path::{Path, PathBuf};
use std::process::Command;

use radiomicsd::dicom::sr::SrClass;
use radiomicsd::phantom::{MrStudy, PhantomSettings};
use radiomicsd::report::{CaseResult, Wanted, documents_wanted};

use crate::sarcoma;
use crate::support::{Case, TRUST, config, patient, reference};

/// The validators' script, where it can run.
fn script() -> Option<PathBuf> {
    let cache = std::env::var_os("VALIDATE_SR_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache/validate_sr")))?;
    let script = reference()?.join("tools/validate_sr/validate_sr.sh");
    let ready = script.is_file() && cache.join("venv/bin/dciodvfy").is_file();
    if !ready {
        crate::shared::skipped("the validators are not set up");
    }
    ready.then_some(script)
}

/// Writes the documents where they can be looked at afterwards, and runs all validators on each.
fn validate(name: &str, result: &CaseResult) {
    let Some(script) = script() else { return };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pipeline").join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let wanted = Wanted { sr_classes: SrClass::ALL.to_vec(), ..Wanted::default() };
    for document in documents_wanted(result, &wanted).unwrap() {
        let file = folder.join(format!("{}.dcm", document.name));
        std::fs::write(&file, &document.bytes).unwrap();
        let output = Command::new(&script).arg(&file).output().unwrap();
        let verdict = String::from_utf8_lossy(&output.stdout).into_owned();
        println!("{verdict}");
        assert!(output.status.success(), "{}:\n{verdict}", file.display());
    }
}

#[test]
fn the_documents_of_a_real_patient_pass_every_validator() {
    let Some(reference) = reference() else { return };
    let paths = sarcoma::paths(&reference.join("data/sts/STS_001"));
    let codes = "finding = { type = \"108369006|SCT|Neoplasm\", site = \"61685007|SCT|Lower limb\" }";
    validate("STS_001", &Case::of_paths(&paths, config(&format!("{TRUST}\n{codes}"), ["", "", ""])).run());
}

#[test]
fn the_documents_of_a_synthetic_patient_of_two_studies_pass_every_validator() {
    let mut settings = PhantomSettings::tiny();
    settings.mr.study = MrStudy::Own { days_later: 3 };
    validate("phantom", &Case::of_patient(&patient(&settings).1, config(TRUST, ["", "", ""])).run());
}
