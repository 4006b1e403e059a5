//! What features are worth when image and region change as little as they would in a repeated scan.

use radiomicsd::dicom::codes::concepts as c;
use radiomicsd::dicom::sr::{Content, read_content};
use radiomicsd::phantom::PhantomSettings;
use radiomicsd::report::{DocumentKind, Space, documents, report_json};

use crate::support::{Case, TRUST, config, patient};

#[test]
fn the_spread_of_each_native_value_stands_beside_it_and_in_the_report() {
    let (_, patient) = patient(&PhantomSettings::tiny());
    let protocol = format!("{TRUST}\nfeatures = {{ families = [\"intensity\"], perturb = {{ count = 3 }} }}");
    let result = Case::of_patient(&patient, config(&protocol, ["", "", ""])).run();
    let mut n_native = 0;
    for group in &result.groups {
        let told = group.diagnostics["perturbations"]["features"].as_array();
        let is_native = group.space == Space::Native;
        assert_eq!(told.is_some(), is_native, "{} {:?}", group.role, group.space);
        let says = group.parameters.iter().any(|line| line.starts_with("perturbations=3 draws from seed 1"));
        assert_eq!(says, is_native);
        for measured in &group.values {
            let is_it = |one: &&serde_json::Value| {
                one["tag"] == measured.tag.as_str() && one["filter"] == measured.filter.as_str()
            };
            let sd = told.and_then(|told| told.iter().find(is_it)?["sd"].as_f64());
            assert_eq!(measured.within_lesion_sd, sd, "{} {}", group.role, measured.tag);
        }
        let mean = group.values.iter().find(|measured| measured.tag == "stat_mean").unwrap();
        assert_eq!(mean.within_lesion_sd.is_some_and(|sd| sd > 0.0), is_native);
        n_native += group.values.iter().filter(|measured| measured.within_lesion_sd.is_some()).count();
    }
    let documents = documents(&result).unwrap();
    let report = documents.iter().find(|document| document.kind == DocumentKind::Sr).unwrap();
    let report = dicom_object::OpenFileOptions::new().from_reader(&report.bytes[..]).unwrap();
    let root = read_content(&report).unwrap();
    let spreads = root.walk().filter(|item| item.concept.is(&c::WITHIN_LESION_SD));
    let spreads = spreads.filter(|item| matches!(&item.content, Content::Num(number) if number.value >= 0.0));
    assert_eq!(spreads.filter(|item| item.child(&c::FEATURE).is_some()).count(), n_native);
    let json = report_json(&result);
    let first = &json["blocks"][0]["features"][0];
    assert_eq!(first["within_lesion_sd"].as_f64(), result.groups[0].values[0].within_lesion_sd);
}
