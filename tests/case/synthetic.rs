//! The synthetic patient in all that an archive may do to it.

use radiomicsd::case::Standing;
use radiomicsd::finding::FindingKind;
use radiomicsd::phantom::{IdentityConflict, MrStudy, PhantomSettings, Scan, follow_up};

use crate::support::{at, facts, grouper, outcome, patient, roles, spec, specs};

#[test]
fn a_patient_with_three_images_and_a_drawing_is_one_case() {
    let patient = patient(&PhantomSettings::tiny());
    let changes = outcome(&facts(&patient));
    let spec = spec(&changes);
    assert_eq!(roles(spec), ["CT", "PT", "MR_T1"]);
    for (input, scan) in spec.inputs.iter().zip(Scan::ALL) {
        let series = patient.scan(scan).unwrap();
        assert_eq!((&input.series, input.instances.len()), (&series.series, series.instances.len()));
    }
    assert_eq!(spec.annotations[0].references.len(), 2);
    assert_eq!(spec.findings, []);
}

#[test]
fn scouts_and_the_ct_of_the_attenuation_correction_are_not_the_ct_and_a_repeated_pet_is_ambiguous() {
    let mut changed = patient(&PhantomSettings::tiny());
    changed.add_attenuation_ct();
    changed.add_localizer().unwrap();
    let found = outcome(&facts(&changed));
    assert_eq!(spec(&found).inputs[0].series, changed.scan(Scan::Ct).unwrap().series);
    assert_eq!(found[0].series.len(), 6);
    changed.add_repeated_series(Scan::Pet);
    let found = outcome(&facts(&changed));
    assert!(matches!(&found[0].standing, Standing::Parked { reason } if reason.contains("the role PT")));
}

#[test]
fn a_missing_slice_is_waited_for_and_comes_in_time() {
    let whole = facts(&patient(&PhantomSettings::tiny()));
    let mut changed = patient(&PhantomSettings::tiny());
    changed.remove_slice(Scan::Mr, 4);
    let mut grouper = grouper();
    facts(&changed).iter().for_each(|facts| grouper.add(facts, at(0)));
    grouper.poll(at(0));
    let changes = grouper.poll(at(60));
    let Standing::Collecting { waits_for } = &changes[0].standing else { panic!("{changes:#?}") };
    assert_eq!(waits_for, "a missing slice of the role MR_T1");
    whole.iter().for_each(|facts| grouper.add(facts, at(600)));
    assert_eq!(specs(&grouper.poll(at(659))).len(), 0);
    assert_eq!(spec(&grouper.poll(at(660))).findings, []);
}

#[test]
fn slices_at_one_position_are_for_the_volume_to_judge() {
    let mut changed = patient(&PhantomSettings::tiny());
    changed.repeat_at_the_same_position(Scan::Pet, 3);
    changed.repeat_under_the_same_uid(Scan::Ct, 3);
    let found = outcome(&facts(&changed));
    let clean = patient(&PhantomSettings::tiny());
    let n = |scan| clean.scan(scan).unwrap().instances.len();
    assert_eq!(spec(&found).inputs[0].instances.len(), n(Scan::Ct));
    assert_eq!(spec(&found).inputs[1].instances.len(), n(Scan::Pet) + 1);
}

#[test]
fn a_structure_set_that_names_absent_series_is_used_by_its_frame_of_reference_with_a_finding() {
    let mut changed = patient(&PhantomSettings::tiny());
    changed.refer_to_absent_series();
    let found = outcome(&facts(&changed));
    assert_eq!(spec(&found).annotations[0].references, []);
    let kinds: Vec<_> = spec(&found).findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [FindingKind::ReferencedSeriesMissing; 2]);
    let mut images = patient(&PhantomSettings::tiny());
    images.refer_to_absent_images();
    assert_eq!(spec(&outcome(&facts(&images))).findings, []);
}

#[test]
fn an_mr_of_another_day_joins_within_the_window_of_study_dates() {
    for (days_later, joins) in [(3, true), (30, true), (31, false)] {
        let mut settings = PhantomSettings::tiny();
        settings.mr.study = MrStudy::Own { days_later };
        let found = outcome(&facts(&patient(&settings)));
        assert_eq!(spec(&found).inputs.len(), if joins { 3 } else { 2 }, "{days_later} days");
        assert_eq!(found.len(), if joins { 1 } else { 2 });
    }
}

#[test]
fn a_follow_up_is_a_case_of_its_own_and_lends_only_what_the_first_lacks() {
    let first = PhantomSettings::tiny();
    let clean = patient(&first);
    for (conflict, joins) in [
        (IdentityConflict::None, true),
        (IdentityConflict::BirthDate, false),
        (IdentityConflict::Sex, false),
        (IdentityConflict::Issuer, false),
    ] {
        let later = patient(&follow_up(&first, 20, conflict));
        let mut all: Vec<_> = facts(&clean).into_iter().filter(|facts| facts.modality != "MR").collect();
        all.extend(facts(&later));
        let found = outcome(&all);
        let of_first = specs(&found).into_iter().find(|s| s.inputs[0].study == all[0].study).unwrap();
        assert_eq!(specs(&found).len(), 2);
        assert_eq!(of_first.inputs.len(), if joins { 3 } else { 2 }, "{conflict:?}");
        assert_eq!(of_first.inputs[1].study, all[0].study);
        let contradicted = of_first.findings.iter().any(|f| f.kind == FindingKind::PatientIdentityConflict);
        assert_eq!(contradicted, matches!(conflict, IdentityConflict::BirthDate | IdentityConflict::Sex));
    }
}
