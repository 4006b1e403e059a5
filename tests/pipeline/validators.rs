//! Every validator that there is, on the documents of the synthetic and of a real patient; skipped aloud where they are not
//! set up.

use radiomicsd::dicom::sr::SrClass;
use radiomicsd::phantom::{MrStudy, PhantomSettings};
use radiomicsd::report::{CaseResult, Wanted, documents_wanted};

use crate::sarcoma;
use crate::shared::validators;
use crate::support::{Case, TRUST, config, patient, reference};

fn validate(name: &str, result: &CaseResult) {
    let wanted = Wanted { sr_classes: SrClass::ALL.to_vec(), ..Wanted::default() };
    validators::validate(&format!("pipeline/{name}"), &documents_wanted(result, &wanted).unwrap());
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
