//! What the uncertainty of the registration does to features, on the synthetic patient.

use radiomicsd::phantom::PhantomSettings;
use radiomicsd::report::{CaseResult, Space, features_csv, report_json};

use crate::support::{Case, block, config, patient};

const FWHM: [&str; 3] = ["fwhm_mm = [1.0, 1.0, 3.0]", "fwhm_mm = [6.5, 6.5, 6.3]", "fwhm_mm = [1.1, 1.1, 4.0]"];

fn run(draws: usize) -> CaseResult {
    let (_, patient) = patient(&PhantomSettings::default());
    let protocol = format!(
        "registration = {{ transform = \"rigid\", error_draws = {draws} }}\n\
         features = {{ space = [\"native\", \"aligned\"], families = [\"intensity\", \"cross\"] }}"
    );
    Case::of_patient(&patient, config(&protocol, FWHM)).run()
}

#[test]
fn features_measured_through_a_registration_have_an_error_and_those_of_the_drawn_image_have_none() {
    let result = run(4);
    let error = |role: &str, tag: &str| {
        let group = block(&result, role, Space::Aligned);
        let measured = group.values.iter().find(|measured| measured.tag == tag).unwrap();
        (measured.misregistration_error, measured.delta_mm, measured.value)
    };
    for tag in ["stat_mean", "stat_var", "stat_max"] {
        let (of_moved, delta, value) = error("PT", tag);
        assert!(of_moved.is_some_and(|e| e > 0.0 && e < value.abs()), "{tag} {of_moved:?} of {value}");
        // The hottest voxel stays inside the region when that is moved by a millimetre.
        assert!(delta.is_some_and(|d| if tag == "stat_max" { d >= 0.0 } else { d > 0.0 }), "{tag} {delta:?}");
        assert_eq!(error("CT", tag).0, None, "the drawing is on the CT itself");
    }
    assert!(error("CT", "stat_mean").1.is_some(), "what a millimetre does to the mean is always told");
    let crossed = &block(&result, "CT", Space::Aligned).values;
    let crossed: Vec<_> = crossed.iter().filter(|measured| measured.tag.ends_with("_PT")).collect();
    assert!(!crossed.is_empty() && crossed.iter().any(|measured| measured.misregistration_error.is_some()));
    // The drawing is carried onto the MR's own grid.
    let carried = &block(&result, "MR_T1", Space::Native).values;
    assert!(carried.iter().any(|measured| measured.misregistration_error.is_some_and(|error| error > 0.0)));

    let json = report_json(&result);
    let registrations = json["registrations"].as_array().unwrap();
    assert!(
        registrations.iter().all(|one| one["quality"]["uncertainty"]["covariance"].is_array()),
        "{registrations:?}"
    );
    assert!(features_csv(&result).unwrap().lines().any(|line| line.contains(",PT,aligned,") && !line.ends_with(",,")));
    let told = &block(&result, "PT", Space::Aligned).diagnostics["misregistration"];
    assert!(told["mean_second_order"].as_f64() >= told["mean_first_order"].as_f64());
    assert_eq!(told["mean_gradient"].as_array().map(Vec::len), Some(6));
}

#[test]
fn without_draws_the_mean_alone_has_an_error() {
    let result = run(0);
    let group = block(&result, "PT", Space::Aligned);
    let with_error: Vec<&str> =
        group.values.iter().filter(|m| m.misregistration_error.is_some()).map(|m| m.tag.as_str()).collect();
    assert_eq!(with_error, ["stat_mean"]);
}
