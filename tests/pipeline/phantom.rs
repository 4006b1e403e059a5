//! The synthetic patient, whose truth is prescribed.

use approx::assert_relative_eq;
use radiomicsd::case::{Grouper, Standing};
use radiomicsd::dicom::facts;
use radiomicsd::finding::FindingKind;
use radiomicsd::image::Volume;
use radiomicsd::phantom::{Drawing, LesionSettings, PhantomSettings, Scan};
use radiomicsd::report::{
    CaseResult, DocumentKind, MeasurementGroup, Space, Wanted, documents_wanted, features_csv, verify,
};

use crate::support::{Case, TRUST, block, config, findings_of, patient, value};

const WIDTHS: [&str; 3] = [
    "fwhm_mm = [1.0, 1.0, 3.0]\nnormalise = { method = \"hu\", window = [-500.0, 400.0] }",
    "fwhm_mm = [6.5, 6.5, 6.3]",
    "fwhm_mm = [1.1, 1.1, 4.0]",
];

/// Volume of the region on the series' own grid.
#[allow(clippy::cast_precision_loss)]
fn volume_mm3(group: &MeasurementGroup) -> f64 {
    group.mask.count() as f64 * group.mask.geometry.voxel_volume_mm3()
}

#[test]
fn each_role_has_the_prescribed_lesion_in_its_own_unit() {
    let (phantom, patient) = patient(&PhantomSettings::default());
    let truth = &phantom.truth.lesions[0];
    let result = Case::of_patient(&patient, config(TRUST, WIDTHS)).run();

    assert_eq!(result.lesions.len(), 1);
    assert_eq!(result.lesions[0].names, ["GTV_CT", "GTV_PT"]);
    for (role, scan, unit, volume_tolerance) in
        [("CT", Scan::Ct, "[hnsf'U]", 0.02), ("PT", Scan::Pet, "g/ml{SUVbw}", 0.06), ("MR_T1", Scan::Mr, "1", 0.03)]
    {
        let native = block(&result, role, Space::Native);
        assert_relative_eq!(volume_mm3(native), truth.volume_mm3, max_relative = volume_tolerance);
        assert_eq!(native.drawn_on.role, if scan == Scan::Mr { "CT" } else { role });
        let mean = native.values.iter().find(|measured| measured.tag == "stat_mean").unwrap();
        assert_eq!(mean.unit, unit);
        if scan != Scan::Mr {
            // What the image holds of it, up to the interpolation onto the isotropic grid.
            let tolerance = 0.05 * truth.in_scan(scan).mean.abs() + 0.05 * truth.in_scan(scan).sd;
            assert!((mean.value - truth.in_scan(scan).mean).abs() <= tolerance, "{role}: {}", mean.value);
        }
    }
    // The mesh of the isotropic grid, against a volume that is exact.
    let mesh = value(block(&result, "CT", Space::Native), "morph_volume");
    assert_relative_eq!(mesh, truth.volume_mm3, max_relative = 0.02);
    // Hounsfield units do not come from the image alone: the prescription is the reference.
    assert_relative_eq!(value(block(&result, "CT", Space::Native), "stat_mean"), truth.mean.hu, epsilon = 2.0);
}

#[test]
fn what_grouping_hands_out_is_measured() {
    let (_, patient) = patient(&PhantomSettings::tiny());
    let mut case = Case::of_patient(&patient, config(TRUST, WIDTHS));
    let expected = case.run();
    let mut grouper = Grouper::new(case.config.case, vec![case.config.protocols[0].rules()]);
    let now = expected.created_at;
    for file in case.files.values() {
        grouper.add(&facts::read(&file.path, &[]).unwrap(), now);
    }
    let change = grouper.finish(now).pop().unwrap();
    let Standing::Ready(spec) = change.standing else { panic!("{:?}", change.standing) };
    case.spec = *spec;
    let result = case.run();
    assert_eq!(result.case_id, change.id.0);
    assert_eq!(result.inputs_digest, expected.inputs_digest);
    let values = |result: &CaseResult| -> Vec<_> { result.groups.iter().map(|group| group.values.clone()).collect() };
    assert_eq!(values(&result), values(&expected));
}

#[test]
fn uptake_is_relative_to_what_the_protocol_says() {
    let (phantom, patient) = patient(&PhantomSettings::tiny());
    let native = format!("{TRUST}\nfeatures = {{ space = [\"native\"], families = [\"intensity\"] }}");
    let mean = |kind: &str| {
        let suv = format!("normalise = {{ method = \"suv\", kind = \"{kind}\" }}");
        let result = Case::of_patient(&patient, config(&native, ["", &suv, ""])).run();
        let block = block(&result, "PT", Space::Native).values.clone();
        block.into_iter().find(|measured| measured.tag == "stat_mean").unwrap()
    };
    let (by_weight, by_lean_mass) = (mean("bw"), mean("lbm"));
    assert_eq!((by_weight.unit.as_str(), by_lean_mass.unit.as_str()), ("g/ml{SUVbw}", "g/ml{SUVlbm}"));
    // Morgan and Bray for women: 1.07 W - 148 (W / H)^2, kilograms and centimetres.
    let (weight, height) = (phantom.settings.patient.weight_kg, 100.0 * phantom.settings.patient.size_m);
    let lean_mass = 1.07 * weight - 148.0 * (weight / height).powi(2);
    assert_relative_eq!(by_lean_mass.value / by_weight.value, lean_mass / weight, max_relative = 1e-5);
}

#[test]
fn drawings_of_one_role_each_are_one_lesion_whatever_their_names() {
    let drawing = |scan| Drawing { label: format!("{scan:?}"), on: vec![scan], ..Drawing::default() };
    let settings =
        PhantomSettings { drawings: [Scan::Pet, Scan::Ct].map(drawing).to_vec(), ..PhantomSettings::default() };
    let (_, patient) = patient(&settings);
    let result = Case::of_patient(&patient, config(TRUST, WIDTHS)).run();
    assert_eq!(result.lesions.len(), 1);
    assert_eq!(block(&result, "PT", Space::Native).drawn_on.role, "PT");
    assert_eq!(block(&result, "PT", Space::Aligned).drawn_on.role, "CT", "the reference's drawing serves all");
    assert_eq!(block(&result, "MR_T1", Space::Native).drawn_on.role, "CT");
}

#[test]
fn a_lesion_that_is_drawn_on_pet_alone_is_carried_to_the_other_roles() {
    let mut settings = PhantomSettings::default();
    settings.drawings[0].on = vec![Scan::Pet];
    let (phantom, patient) = patient(&settings);
    let result = Case::of_patient(&patient, config(TRUST, WIDTHS)).run();
    for role in ["CT", "PT", "MR_T1"] {
        for space in [Space::Native, Space::Aligned] {
            assert_eq!(block(&result, role, space).drawn_on.role, "PT");
        }
    }
    let carried = volume_mm3(block(&result, "CT", Space::Native));
    assert_relative_eq!(carried, phantom.truth.lesions[0].volume_mm3, max_relative = 0.06);
}

/// A lesion beside the default one.
fn second(centre_mm: [f64; 3], volume_mm3: f64) -> LesionSettings {
    LesionSettings { name: "SECOND".to_owned(), centre_mm, volume_mm3, ..LesionSettings::default() }
}

#[test]
fn two_lesions_are_matched_one_to_one_and_numbered_the_same_in_any_order() {
    let mut settings = PhantomSettings::tiny();
    settings.lesions.push(second([-40.0, 10.0, 0.0], 9_000.0));
    settings.drawings = [Scan::Ct, Scan::Pet]
        .map(|scan| Drawing { label: format!("{scan:?}"), on: vec![scan], ..Drawing::default() })
        .to_vec();
    let (_, patient) = patient(&settings);
    let aligned = format!("{TRUST}\nfeatures = {{ space = [\"aligned\"] }}");
    let mut case = Case::of_patient(&patient, config(&aligned, WIDTHS));
    let result = case.run();
    let names: Vec<_> = result.lesions.iter().map(|lesion| (lesion.number, lesion.names[0].as_str())).collect();
    assert_eq!(names, [(1, "GTV"), (2, "SECOND")]);
    assert_eq!(result.groups.len(), 6);
    assert!(result.groups.iter().all(|group| group.space == Space::Aligned && group.drawn_on.role == "CT"));
    case.spec.annotations.reverse();
    assert_eq!(features_csv(&case.run()).unwrap(), features_csv(&result).unwrap());
}

#[test]
fn a_region_around_another_one_stays_a_lesion_of_its_own() {
    let mut settings = PhantomSettings::tiny();
    let centre_mm = settings.lesions[0].centre_mm;
    settings.lesions.push(second(centre_mm, 40_000.0));
    let (_, patient) = patient(&settings);
    let native = format!("{TRUST}\nfeatures = {{ space = [\"native\"], families = [\"intensity\"] }}");
    let result = Case::of_patient(&patient, config(&native, WIDTHS)).run();
    let names: Vec<_> = result.lesions.iter().map(|lesion| lesion.names.join(" ")).collect();
    assert_eq!(names, ["GTV_CT GTV_PT", "SECOND_CT SECOND_PT"]);
    assert!(result.findings.iter().all(|finding| finding.kind != FindingKind::LesionAmbiguous));
}

#[test]
fn aligned_images_have_one_resolution_one_grid_and_the_right_anatomy() {
    let (phantom, patient) = patient(&PhantomSettings::default());
    let truth = &phantom.truth.lesions[0];
    let result = Case::of_patient(&patient, config(TRUST, WIDTHS)).run();
    let step =
        |role: &str, key: &str| block(&result, role, Space::Aligned).diagnostics["steps"]["initial"][key].clone();
    for role in ["PT", "MR_T1"] {
        assert_eq!(step(role, "roi")["morphological_voxels"], step("CT", "roi")["morphological_voxels"]);
        assert_eq!(step(role, "image")["dimensions"], step("CT", "image")["dimensions"]);
    }
    let n_voxels = step("CT", "roi")["morphological_voxels"].as_f64().unwrap();
    assert_relative_eq!(n_voxels, truth.volume_mm3, max_relative = 0.02);
    // Blurred to 6.5 mm, the CT's texture and its noise fade, its mean does not move far.
    let (native, aligned) = (block(&result, "CT", Space::Native), block(&result, "CT", Space::Aligned));
    assert!(value(aligned, "stat_var") < 0.5 * value(native, "stat_var"));
    assert!((value(aligned, "stat_mean") - value(native, "stat_mean")).abs() < 25.0);
    let (native, aligned) = (block(&result, "PT", Space::Native), block(&result, "PT", Space::Aligned));
    assert_relative_eq!(value(aligned, "stat_mean"), value(native, "stat_mean"), max_relative = 0.05);
    let target = &aligned.diagnostics["alignment"]["target_fwhm_mm"];
    assert_relative_eq!(target[0].as_f64().unwrap(), 6.5, epsilon = 0.01);
}

#[test]
fn a_patient_without_mr_is_measured_on_ct_and_pet() {
    let (_, mut patient) = patient(&PhantomSettings::tiny());
    patient.series.retain(|series| series.name != "MR");
    let result = Case::of_patient(&patient, config(TRUST, WIDTHS)).run();
    let roles: Vec<_> = result.images.iter().map(|image| image.role.as_str()).collect();
    assert_eq!(roles, ["CT", "PT"]);
    assert_eq!(result.groups.len(), 4);
}

#[test]
fn contours_that_name_absent_images_are_measured_all_the_same_and_remarked_on() {
    let (_, clean) = patient(&PhantomSettings::tiny());
    let mut lost = clean.clone();
    lost.refer_to_absent_images();
    let expected = Case::of_patient(&clean, config(TRUST, WIDTHS)).run();
    let found = Case::of_patient(&lost, config(TRUST, WIDTHS)).run();
    assert_eq!(features_csv(&found).unwrap(), features_csv(&expected).unwrap());
    for role in ["CT", "PT"] {
        assert_eq!(findings_of(&expected, role), []);
        assert_eq!(findings_of(&found, role), [FindingKind::UnresolvedSopReference]);
    }
}

#[test]
fn a_structure_set_that_names_absent_series_is_placed_by_geometry_and_frame() {
    let (_, clean) = patient(&PhantomSettings::tiny());
    let mut lost = clean.clone();
    lost.refer_to_absent_series();
    let expected = Case::of_patient(&clean, config(TRUST, WIDTHS)).run();
    let found = Case::of_patient(&lost, config(TRUST, WIDTHS)).run();
    assert_eq!(features_csv(&found).unwrap(), features_csv(&expected).unwrap());
}

#[test]
fn what_a_lesion_is_comes_from_the_protocol_where_its_drawing_does_not_say_it() {
    let (_, patient) = patient(&PhantomSettings::tiny());
    let said = Case::of_patient(&patient, config(TRUST, WIDTHS)).run();
    assert_eq!((&said.lesions[0].finding, &said.lesions[0].site), (&None, &None), "never a default");
    let codes = "finding = { type = \"108369006|SCT|Neoplasm\", site = \"10200004|SCT|Liver\" }";
    let said = Case::of_patient(&patient, config(&format!("{TRUST}\n{codes}"), WIDTHS)).run();
    assert_eq!(said.lesions[0].finding.as_ref().unwrap().meaning, "Neoplasm");
    assert_eq!(said.lesions[0].site.as_ref().unwrap().value, "10200004");
}

#[test]
fn stages_without_a_model_say_that_they_did_nothing() {
    let (_, patient) = patient(&PhantomSettings::tiny());
    let mut case = Case::of_patient(&patient, config(TRUST, WIDTHS));
    case.spec.registrations.push(case.spec.annotations[0].instance.clone());
    let result = case.run();
    for note in ["not harmonised: no model", "not fused: no bundle"] {
        assert!(result.notes.iter().any(|found| found == note), "{note}");
    }
    // What was handed out as a registration is a structure set: said, and no more.
    let expected = [FindingKind::AnnotationRefused, FindingKind::NotHarmonised, FindingKind::NotFused];
    assert_eq!(findings_of(&result, ""), expected);
    let stages: Vec<_> = result.timings.iter().map(|timing| timing.stage.as_str()).collect();
    assert_eq!(stages, ["volume", "register", "align", "normalise", "extract", "harmonise", "fuse"]);
}

#[test]
fn the_same_job_gives_the_same_bytes_and_every_document_passes_its_own_check() {
    let (_, patient) = patient(&PhantomSettings::tiny());
    let case = Case::of_patient(&patient, config(TRUST, WIDTHS));
    let wanted = Wanted { kinds: vec![DocumentKind::Sr, DocumentKind::Seg, DocumentKind::Reg], ..Wanted::default() };
    let first = documents_wanted(&case.run(), &wanted).unwrap();
    assert_eq!(first, documents_wanted(&case.run(), &wanted).unwrap());
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let slowly = alone.install(|| case.run());
    assert_eq!(first, documents_wanted(&slowly, &wanted).unwrap(), "the number of threads decides nothing");
    assert!(first.iter().all(|document| verify::verify(&document.bytes).is_empty()));
    let count = |kind| first.iter().filter(|document| document.kind == kind).count();
    assert_eq!((count(DocumentKind::Seg), count(DocumentKind::Sr)), (3, 1));

    // Other settings are another document, other selection rules are not.
    let hash = |protocol: &str| Case::of_patient(&patient, config(protocol, WIDTHS)).run().settings_hash;
    assert_eq!(hash(TRUST), hash(&format!("{TRUST}\nat_deadline = \"park\"")));
    assert_ne!(hash(TRUST), hash(&format!("{TRUST}\ngrid = {{ spacing_mm = 2.0 }}")));
}

#[test]
fn segments_that_were_made_of_drawings_measure_the_same() {
    let (_, patient) = patient(&PhantomSettings::tiny());
    let native = format!("{TRUST}\nfeatures = {{ space = [\"native\"] }}");
    let drawn = Case::of_patient(&patient, config(&native, WIDTHS));
    let expected = drawn.run();
    let folder = tempfile::tempdir().unwrap();
    let mut paths: Vec<_> = drawn.files.values().map(|file| file.path.clone()).collect();
    paths.retain(|path| !path.to_string_lossy().contains("RTSTRUCT"));
    let wanted = Wanted { kinds: vec![DocumentKind::Seg], ..Wanted::default() };
    for document in documents_wanted(&expected, &wanted).unwrap() {
        let path = folder.path().join(format!("{}.dcm", document.name));
        std::fs::write(&path, &document.bytes).unwrap();
        paths.push(path);
    }
    let result = Case::of_paths(&paths, config(&native, WIDTHS)).run();
    assert_eq!(result.lesions.len(), 1, "three segments, one lesion: {:?}", result.lesions);
    for role in ["CT", "PT", "MR_T1"] {
        let (found, expected) = (block(&result, role, Space::Native), block(&expected, role, Space::Native));
        assert_eq!(found.mask, expected.mask);
        assert_eq!(found.values, expected.values);
        assert_eq!(found.drawn_on.role, role);
    }
}

#[test]
fn a_rule_draws_only_where_nobody_did_and_says_so() {
    let (phantom, patient) = patient(&PhantomSettings::default());
    let rule = format!("{TRUST}\nroi = {{ names = [], automatic = \"pet-41-percent\" }}");
    let result = Case::of_patient(&patient, config(&rule, WIDTHS)).run();
    assert_eq!(findings_of(&result, "PT"), [FindingKind::AutomaticRoi]);
    let pet = block(&result, "PT", Space::Native);
    assert!(pet.drawn_on.automatic && pet.drawn_on.name == "pet-41-percent");
    assert!(pet.values.iter().any(|measured| measured.value > 0.0));
    // The hottest thing of this patient is its lesion: the region lies around its middle.
    let centre = phantom.truth.lesions[0].centre_mm;
    let inside = |mask: &Volume<bool>| {
        let [x, y, z] = mask.geometry.world_to_voxel(centre).map(|v| v.round());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        mask.voxels[[z as usize, y as usize, x as usize]]
    };
    assert!(inside(&pet.mask));

    let both = format!("{TRUST}\nroi = {{ names = [\"GTV\"], automatic = \"pet-41-percent\" }}");
    let result = Case::of_patient(&patient, config(&both, WIDTHS)).run();
    assert!(!block(&result, "PT", Space::Native).drawn_on.automatic);
}
