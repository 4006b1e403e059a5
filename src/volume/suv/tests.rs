use super::*;
use approx::assert_relative_eq;
use jiff::civil::{DateTime, date};

const F18_HALF_LIFE_S: f64 = 6586.2;

fn at(hour: i8, minute: i8, second: i8) -> DateTime {
    date(2024, 1, 31).at(hour, minute, second, 0)
}

/// 70 kg, 400 MBq at 10:00, scanned at 11:00, corrected to the start.
fn header() -> SuvHeader {
    let slice =
        SliceTiming { acquired_at: Some(at(11, 0, 0)), frame_reference_s: Some(150.0), frame_duration_s: Some(300.0) };
    SuvHeader {
        units: "BQML".into(),
        corrected_image: vec!["ATTN".into(), "DECY".into()],
        decay_correction: "START".into(),
        weight: Some(70.0),
        dose: Some(4e8),
        half_life_s: Some(F18_HALF_LIFE_S),
        administered_at: Some(at(10, 0, 0)),
        series_at: Some(at(11, 0, 0)),
        slices: vec![slice; 2],
        ..SuvHeader::default()
    }
}

fn suv(header: &SuvHeader) -> Result<Suv, SuvError> {
    suv_bw(header, &SuvSettings::default())
}

/// 70 kg and 400 MBq after this many seconds.
fn factor_after(uptake_s: f64) -> f64 {
    70_000.0 / (4e8 * (-uptake_s / F18_HALF_LIFE_S).exp2())
}

#[test]
fn the_dose_decays_to_the_start_of_the_scan() {
    let found = suv(&header()).unwrap();
    assert_eq!(found.rule, SuvRule::Start(ReferenceTime::Series));
    assert_eq!(found.factors.len(), 2);
    assert_relative_eq!(found.factors[0], factor_after(3600.0), max_relative = 1e-12);
    assert_eq!(found.uptake_s, Some(3600.0));
    assert!(found.remarks.is_empty(), "{:?}", found.remarks);
}

#[test]
fn an_image_corrected_to_the_administration_needs_no_time() {
    let header = SuvHeader {
        decay_correction: "ADMIN".into(),
        half_life_s: None,
        administered_at: None,
        series_at: None,
        slices: vec![SliceTiming::default()],
        ..header()
    };
    assert_relative_eq!(suv(&header).unwrap().factors[0], 70_000.0 / 4e8);
}

#[test]
fn an_uncorrected_image_is_corrected_slice_by_slice() {
    let mut header = header();
    header.decay_correction = "NONE".into();
    header.corrected_image = vec!["ATTN".into()];
    header.slices[1].acquired_at = Some(at(11, 30, 0));
    let found = suv(&header).unwrap();
    assert_eq!(found.rule, SuvRule::BySlice);
    // The mean over a frame of 300 s is the activity 149.2 s after its start, not at its middle.
    let lambda = std::f64::consts::LN_2 / F18_HALF_LIFE_S;
    let average_s = (lambda * 300.0 / (1.0 - (-lambda * 300.0).exp())).ln() / lambda;
    assert!(average_s > 149.0 && average_s < 150.0, "{average_s}");
    assert_relative_eq!(found.factors[0], factor_after(3600.0 + average_s), max_relative = 1e-12);
    assert_relative_eq!(found.factors[1], factor_after(5400.0 + average_s), max_relative = 1e-12);
    // Half-lives so long that nothing decays must not divide by zero.
    header.half_life_s = Some(1e18);
    assert_relative_eq!(suv(&header).unwrap().factors[0], 70_000.0 / 4e8, max_relative = 1e-9);
}

#[test]
fn missing_or_zero_values_are_errors_and_never_defaults() {
    let changes: [fn(&mut SuvHeader); 9] = [
        |h| h.weight = None,
        |h| h.weight = Some(0.0),
        |h| h.dose = None,
        |h| h.dose = Some(0.0),
        |h| h.half_life_s = None,
        |h| h.half_life_s = Some(0.0),
        |h| h.administered_at = None,
        |h| h.decay_correction.clear(),
        |h| h.units.clear(),
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut header = header();
        change(&mut header);
        assert!(suv(&header).is_err(), "change {n}");
    }
    for missing in ["ATTN", "DECY"] {
        let mut header = header();
        header.corrected_image.retain(|value| value != missing);
        assert_eq!(suv(&header), Err(SuvError::NotCorrected { missing }));
    }
}

#[test]
fn a_series_time_after_the_acquisition_is_not_believed() {
    let mut header = header();
    header.series_at = Some(at(11, 30, 0));
    let found = suv(&header).unwrap();
    assert_eq!(found.rule, SuvRule::Start(ReferenceTime::FrameReference));
    assert_relative_eq!(found.factors[0], factor_after(3600.0 - 0.8), max_relative = 1e-4);
    // The candidate that was not believed lies 20 % off: that is remarked on.
    assert!(found.remarks.iter().any(|(kind, _)| *kind == FindingKind::DecayReferenceAmbiguous));
    for slice in &mut header.slices {
        slice.frame_reference_s = None;
    }
    let found = suv(&header).unwrap();
    assert_eq!(found.rule, SuvRule::Start(ReferenceTime::EarliestAcquisition));
    assert!(found.remarks.iter().any(|(kind, _)| *kind == FindingKind::DecayReferenceAssumed));
}

#[test]
fn a_time_that_is_meant_as_reference_wins_where_it_is_plausible() {
    let mut header = header();
    header.ge_scan_at = Some(at(10, 55, 0));
    let found = suv(&header).unwrap();
    assert_eq!(found.rule, SuvRule::Start(ReferenceTime::GeScan));
    assert_relative_eq!(found.factors[0], factor_after(3300.0), max_relative = 1e-12);
    for implausible in [at(9, 59, 0), date(2024, 2, 2).at(11, 0, 0, 0)] {
        header.ge_scan_at = Some(implausible);
        assert_eq!(suv(&header).unwrap().rule, SuvRule::Start(ReferenceTime::Series));
    }
}

#[test]
fn an_injection_before_midnight_belongs_to_the_day_before() {
    let mut header = header();
    header.administered_at = None;
    header.administered_time = Some(jiff::civil::time(23, 30, 0, 0));
    header.series_at = Some(date(2024, 2, 1).at(0, 30, 0, 0));
    for slice in &mut header.slices {
        slice.acquired_at = header.series_at;
    }
    assert_eq!(suv(&header).unwrap().uptake_s, Some(3600.0));
}

#[test]
fn a_shifted_administration_date_is_remarked_on_and_its_time_of_day_used() {
    for day in [30, 29, 1] {
        let mut header = header();
        header.administered_at = Some(date(2024, if day == 1 { 2 } else { 1 }, day).at(10, 0, 0, 0));
        let found = suv(&header).unwrap();
        assert_eq!(found.uptake_s, Some(3600.0), "day {day}");
        assert!(found.remarks.iter().any(|(kind, _)| *kind == FindingKind::AdministrationDateShifted));
    }
}

#[test]
fn an_injection_clock_one_minute_late_is_refused_and_does_not_become_a_day() {
    let mut header = header();
    header.administered_at = Some(at(11, 1, 0));
    assert!(matches!(suv(&header), Err(SuvError::Uptake { found_s, .. }) if found_s > 86_000.0));
    header.administered_at = None;
    header.administered_time = Some(jiff::civil::time(11, 1, 0, 0));
    assert!(matches!(suv(&header), Err(SuvError::Uptake { .. })));
}

#[test]
fn a_tracer_that_lives_for_days_may_be_imaged_after_days() {
    let mut header = header();
    header.half_life_s = Some(282_240.0); // Zr-89
    header.administered_at = Some(date(2024, 1, 27).at(11, 0, 0, 0));
    assert_eq!(suv(&header).unwrap().uptake_s, Some(4.0 * 86_400.0));
}

#[test]
fn a_small_dose_is_megabecquerel_unless_the_site_says_otherwise() {
    let mut header = header();
    header.dose = Some(400.0);
    let found = suv(&header).unwrap();
    assert_relative_eq!(found.factors[0], factor_after(3600.0), max_relative = 1e-12);
    assert_eq!(found.remarks[0].0, FindingKind::DoseUnitAssumed);
    let found = suv_bw(&header, &SuvSettings { small_dose_is_mbq: false }).unwrap();
    assert_relative_eq!(found.factors[0], 1e6 * factor_after(3600.0), max_relative = 1e-12);
}

#[test]
fn weight_in_grams_and_size_in_centimetres_are_recognised() {
    let mut header = header();
    header.weight = Some(70_000.0);
    header.size = Some(175.0);
    let found = suv(&header).unwrap();
    assert_relative_eq!(found.factors[0], factor_after(3600.0), max_relative = 1e-12);
    assert_eq!(found.body, Some(Body { weight_kg: 70.0, size_m: Some(1.75), sex: None }));
    assert_eq!(found.remarks.iter().filter(|(kind, _)| *kind == FindingKind::BodyUnitAssumed).count(), 2);
}

#[test]
fn values_that_are_suv_already_are_only_converted_to_body_weight() {
    let mut header = SuvHeader { units: "GML".into(), weight: None, dose: None, ..header() };
    assert_eq!(suv(&header).unwrap().factors, [1.0, 1.0]);
    header.suv_type = "LBMJANMA".into();
    assert!(matches!(suv(&header), Err(SuvError::Missing { .. })));
    header.weight = Some(75.0);
    header.size = Some(1.85);
    header.sex = Some(Sex::Male);
    assert_relative_eq!(suv(&header).unwrap().factors[0], 75_000.0 / 60_915.335_886_519_744, max_relative = 1e-12);
    header.suv_type = "SOMETHING".into();
    assert_eq!(suv(&header), Err(SuvError::Units));
    header.units = "CM2ML".into();
    header.suv_type = "BSA".into();
    assert_relative_eq!(suv(&header).unwrap().factors[0], 75_000.0 / 19_813.758_427_117_766, max_relative = 1e-12);
}

#[test]
fn counts_become_suv_by_the_vendors_factors_only() {
    let mut header = SuvHeader { units: "CNTS".into(), philips_suv_factor: Some(5e-4), ..header() };
    assert_eq!(suv(&header).unwrap().factors, [5e-4, 5e-4]);
    header.philips_suv_factor = Some(0.0);
    assert_eq!(suv(&header), Err(SuvError::Counts));
    header.philips_activity_factor = Some(2.0);
    assert_relative_eq!(suv(&header).unwrap().factors[0], 2.0 * factor_after(3600.0), max_relative = 1e-12);
    header.philips_activity_factor = Some(0.0);
    assert_eq!(suv(&header), Err(SuvError::Counts));
}
