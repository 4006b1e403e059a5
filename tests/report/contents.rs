//! What is in the documents.

use std::time::Duration;

use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, OpenFileOptions};
use radiomicsd::dicom::attributes::{items, numbers as numbers_of, texts};
use radiomicsd::dicom::codes::concepts as c;
use radiomicsd::dicom::part10::{Keep, header_of};
use radiomicsd::dicom::sr::{Content, Item, SrClass, read_content};
use radiomicsd::dicom::write::{part10, put_bytes, put_text, put_texts, put_uid};
use radiomicsd::finding::FindingKind;
use radiomicsd::report::{
    CaseResult, Document, DocumentKind, Space, Wanted, documents, documents_wanted, features_csv, report_json,
};

use super::cases::{Plan, case, uid};

pub fn open(document: &Document) -> DefaultDicomObject {
    OpenFileOptions::new().from_reader(&document.bytes[..]).unwrap()
}

fn sr(documents: &[Document]) -> DefaultDicomObject {
    open(documents.iter().find(|document| document.kind == DocumentKind::Sr).unwrap())
}

fn text(object: &DefaultDicomObject, tag: dicom_core::Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().into_owned()
}

pub fn root_of_sr(documents: &[Document]) -> Item {
    read_content(&sr(documents)).unwrap()
}

pub fn groups(root: &Item) -> Vec<Item> {
    root.child(&c::IMAGING_MEASUREMENTS).unwrap().children.clone()
}

pub fn group_name(group: &Item) -> &str {
    match &group.child(&c::TRACKING_IDENTIFIER).unwrap().content {
        Content::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

fn numbers(item: &Item) -> Vec<f64> {
    let number = |item: &Item| if let Content::Num(number) = &item.content { Some(number.value) } else { None };
    item.children.iter().filter_map(number).collect()
}

#[test]
fn a_repeated_job_makes_the_same_bytes_and_a_revision_others() {
    let first = case(&Plan::default());
    let again = case(&Plan::default());
    assert_eq!(documents(&first).unwrap(), documents(&again).unwrap());
    for change in [
        |case: &mut CaseResult| case.revision = 2,
        |case: &mut CaseResult| case.inputs_digest = "2".repeat(64),
        |case: &mut CaseResult| case.settings_hash = "3".repeat(64),
        |case: &mut CaseResult| case.installation = "another".into(),
        |case: &mut CaseResult| case.case_id = "case-2".into(),
        // What models made of it: another bundle, other clinical values, another ComBat model.
        |case: &mut CaseResult| case.models[0].version = "2026.2".into(),
        |case: &mut CaseResult| case.models[1].probability = 0.25,
        |case: &mut CaseResult| case.models.clear(),
        |case: &mut CaseResult| case.groups[0].values[0].harmonised_value = Some(0.125),
    ] {
        let mut changed = case(&Plan::default());
        change(&mut changed);
        for (a, b) in documents(&first).unwrap().iter().zip(documents(&changed).unwrap()) {
            assert_ne!(a.sop_instance, b.sop_instance);
        }
    }
}

#[test]
fn segmentations_come_before_the_report_that_refers_to_them() {
    let documents = documents(&case(&Plan::default())).unwrap();
    let names: Vec<_> = documents.iter().map(|document| document.name.as_str()).collect();
    assert_eq!(names, ["seg-CT", "seg-PT", "seg-MR_T1", "sr", "sr-model"]);
    let root = read_content(&sr(&documents)).unwrap();
    for group in groups(&root) {
        let Content::Image(segment) = &group.child(&c::REFERENCED_SEGMENT).unwrap().content else { panic!() };
        let role = group_name(&group).split(' ').nth(2).unwrap();
        let seg = documents.iter().find(|document| document.name == format!("seg-{role}")).unwrap();
        assert_eq!(segment.sop_instance, seg.sop_instance);
    }
}

#[test]
fn one_content_is_encoded_for_each_class_under_its_own_uid() {
    let wanted = Wanted { sr_classes: SrClass::ALL.to_vec(), ..Wanted::default() };
    let documents = documents_wanted(&case(&Plan::default()), &wanted).unwrap();
    let reports: Vec<_> = documents.iter().filter(|document| document.kind == DocumentKind::Sr).collect();
    let reports: Vec<_> = reports.into_iter().filter(|report| !report.name.contains("model")).collect();
    let classes: Vec<_> = reports.iter().map(|report| SrClass::from_sop_class(report.sop_class.as_str())).collect();
    assert_eq!(classes, SrClass::ALL.iter().map(|class| Some(*class)).collect::<Vec<_>>());
    let trees: Vec<_> = reports.iter().map(|report| read_content(&open(report)).unwrap()).collect();
    assert!(trees[0] == trees[1] && trees[1] == trees[2]);
    assert!(reports[0].sop_instance != reports[1].sop_instance && reports[1].sop_instance != reports[2].sop_instance);
    // A series holds instances of one class of reports, as viewers expect.
    assert!(reports[0].series != reports[1].series && reports[1].series != reports[2].series);
    let no_report = Wanted { kinds: vec![DocumentKind::Seg], ..wanted };
    let documents = documents_wanted(&case(&Plan::default()), &no_report).unwrap();
    assert!(documents.iter().all(|document| document.kind == DocumentKind::Seg));
}

#[test]
fn every_value_is_in_the_report_to_the_last_bit() {
    let case = case(&Plan::default());
    let root = read_content(&sr(&documents(&case).unwrap())).unwrap();
    let plain = |group: &Item| !group_name(group).contains("ComBat") && !group_name(group).contains("cross");
    let raw: Vec<_> = groups(&root).into_iter().filter(plain).collect();
    let ordered = [Space::Native, Space::Aligned];
    let expected = ordered.iter().flat_map(|space| case.groups.iter().filter(move |group| group.space == *space));
    let expected: Vec<_> = expected.collect();
    assert_eq!(raw.len(), expected.len());
    for (found, expected) in raw.iter().zip(expected) {
        let values = expected.values.iter().filter(|measured| measured.family != "cross");
        let values = values.flat_map(|v| [Some(v.value), v.misregistration_error, v.within_lesion_sd]).flatten();
        let values: Vec<u64> = values.map(f64::to_bits).collect();
        assert_eq!(numbers(found).into_iter().map(f64::to_bits).collect::<Vec<_>>(), values);
    }
}

#[test]
fn harmonised_values_stand_in_groups_of_their_own_with_their_own_tracking() {
    let root = read_content(&sr(&documents(&case(&Plan::default())).unwrap())).unwrap();
    let groups = groups(&root);
    let harmonised: Vec<_> = groups.iter().filter(|group| group_name(group).contains("ComBat")).collect();
    assert_eq!(harmonised.len(), 12);
    assert!(harmonised.iter().all(|group| numbers(group).len() >= 2));
    let mut tracking: Vec<_> = groups.iter().map(|group| format!("{:?}", group.child(&c::TRACKING_UID))).collect();
    tracking.sort_unstable();
    tracking.dedup();
    assert_eq!(tracking.len(), groups.len());
}

#[test]
fn features_of_two_images_together_stand_in_groups_of_their_own() {
    let root = read_content(&sr(&documents(&case(&Plan::default())).unwrap())).unwrap();
    let groups = groups(&root);
    let cross: Vec<_> = groups.iter().filter(|group| group_name(group).contains("cross-modality")).collect();
    assert_eq!(cross.len(), 12);
    for group in cross {
        assert_eq!(numbers(group).len(), 1);
        let Content::Code(method) = &group.child(&c::MEASUREMENT_METHOD).unwrap().content else { panic!() };
        assert!(method.is(&c::CROSS_METHOD));
    }
}

#[test]
fn the_model_report_has_groups_of_its_own_template_and_says_what_is_missing() {
    let case = case(&Plan::default());
    let documents = documents(&case).unwrap();
    let document = documents.iter().find(|document| document.name == "sr-model").unwrap();
    let report = documents.iter().find(|document| document.name == "sr").unwrap();
    assert_eq!(document.series, report.series);
    let root = read_content(&open(document)).unwrap();
    for (group, output) in groups(&root).iter().zip(&case.models) {
        assert_eq!(group.content, Content::Container { template: Some("1501".into()) });
        let expected = [output.probability, 0.29, 0.46, 0.412, -0.3, 1.0 / 3.0];
        assert_eq!(numbers(group).iter().map(|v| v.to_bits()).collect::<Vec<_>>(), expected.map(f64::to_bits));
        let sources = group.children.iter().filter(|item| item.concept.is(&c::SOURCE_OF_MEASUREMENT));
        assert_eq!(sources.count(), 2);
        let comments =
            format!("{:?}", group.children.iter().filter(|item| item.concept.is(&c::COMMENT)).collect::<Vec<_>>());
        assert!(comments.contains("research use"));
        assert_eq!(comments.contains("block MR_T1 was missing"), output.lesion == 1);
        let Content::Code(quality) = &group.child(&c::QUALITY_ASSESSMENT).unwrap().content else { panic!() };
        assert_eq!(quality.is(&c::QUALITY_WARNINGS), output.lesion == 1);
    }
}

#[test]
fn a_model_that_says_nothing_gives_a_report_with_the_code_of_its_reason_and_no_number() {
    let case = case(&Plan { refused: true, lesions: 1, ..Plan::default() });
    assert!(case.models.is_empty());
    let documents = documents(&case).unwrap();
    let document = documents.iter().find(|document| document.name == "sr-model").unwrap();
    let group = groups(&read_content(&open(document)).unwrap()).remove(0);
    assert_eq!(group.content, Content::Container { template: Some("1501".into()) });
    assert!(numbers(&group).is_empty());
    let Content::Code(reason) = &group.child(&c::REFUSAL_REASON).unwrap().content else { panic!() };
    assert_eq!(reason.meaning, "pattern not validated");
    let Content::Code(quality) = &group.child(&c::QUALITY_ASSESSMENT).unwrap().content else { panic!() };
    assert!(quality.is(&c::QUALITY_REFUSED));
    let said = format!("{group:?}");
    for words in ["pattern_not_validated: the model was not", "bundle_sha256=0000", "research use", "2026.1"] {
        assert!(said.contains(words), "{words}");
    }
    let told = &radiomicsd::report::report_json(&case)["predictions"][0];
    assert_eq!((&told["status"], &told["code"]), (&"refused".into(), &"pattern_not_validated".into()));
}

#[test]
fn site_and_laterality_are_absent_where_nobody_gave_them() {
    let root = read_content(&sr(&documents(&case(&Plan::default())).unwrap())).unwrap();
    for group in groups(&root) {
        let known = group_name(&group).starts_with("Lesion 1");
        let site = group.child(&c::FINDING_SITE);
        assert_eq!(site.is_some(), known);
        assert_eq!(site.is_some_and(|site| site.child(&c::LATERALITY).is_some()), known);
        assert_eq!(group.child(&c::FINDING).is_some(), known);
    }
}

#[test]
fn a_mean_of_hounsfield_units_is_an_attenuation_and_a_filtered_mean_is_not() {
    let root = read_content(&sr(&documents(&case(&Plan::default())).unwrap())).unwrap();
    let groups = groups(&root);
    let has = |name: &str, concept: &radiomicsd::dicom::codes::Coded| {
        let group = groups.iter().find(|group| group_name(group) == name).unwrap();
        group.children.iter().filter(|item| item.concept.is(concept)).count()
    };
    assert_eq!(has("Lesion 1 CT", &c::ATTENUATION_COEFFICIENT), 4);
    assert_eq!(has("Lesion 1 PT", &c::SUV_BW), 4);
    assert_eq!(has("Lesion 1 MR_T1", &c::MR_SIGNAL_INTENSITY), 4);
    let group = groups.iter().find(|group| group_name(group) == "Lesion 1 CT").unwrap();
    let filtered: Vec<_> = group.children.iter().filter(|item| item.child(&c::FILTER).is_some()).collect();
    assert!(filtered.iter().any(|item| item.concept.value == "Q4LE" && item.concept.scheme == "IBSI"));
}

#[test]
fn values_that_share_their_codes_are_told_apart_in_words() {
    let root = read_content(&sr(&documents(&case(&Plan::default())).unwrap())).unwrap();
    let group = groups(&root).into_iter().find(|group| group_name(group) == "Lesion 1 CT").unwrap();
    let words = |id: &str| {
        let items = group.children.iter().filter(|item| item.concept.value == id);
        items.map(|item| item.child(&c::EQUIVALENT_MEANING).map(|item| item.content.clone())).collect::<Vec<_>>()
    };
    let texts = [Some(Content::Text("ivh_v10".into())), Some(Content::Text("ivh_v90".into()))];
    assert_eq!(words("BC2M"), texts);
    assert_eq!(words("RNU0"), [None]);
}

#[test]
fn the_first_algorithm_parameter_is_one_line_of_json_about_the_whole_chain() {
    let case = case(&Plan::default());
    let root = read_content(&sr(&documents(&case).unwrap())).unwrap();
    for group in groups(&root) {
        let Content::Text(line) = &group.child(&c::ALGORITHM_PARAMETERS).unwrap().content else { panic!() };
        let chain: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(chain["settings"], case.settings);
        assert_eq!(chain["inputs_sha256"], case.inputs_digest);
        let parameters = group.children.iter().filter(|item| item.concept.is(&c::ALGORITHM_PARAMETERS));
        assert_eq!(parameters.count(), 3);
    }
}

#[test]
fn findings_notes_and_research_use_are_evaluations_and_warn_the_groups_they_are_about() {
    let root = read_content(&sr(&documents(&case(&Plan::default())).unwrap())).unwrap();
    let evaluations = root.child(&c::QUALITATIVE_EVALUATIONS).unwrap();
    let texts: Vec<_> = evaluations.children.iter().filter(|item| matches!(item.content, Content::Text(_))).collect();
    let all = format!("{texts:?}");
    for expected in
        ["research use", "gantry_tilt (MR_T1): tilt of 3.0 degrees", "not harmonised: no model", "illegal_attribute"]
    {
        assert!(all.contains(expected), "{expected}: {all}");
    }
    assert!(evaluations.child(&c::INTENDED_USE).is_some());
    for group in groups(&root).iter().filter(|group| !group_name(group).contains("ComBat")) {
        let Content::Code(quality) = &group.child(&c::QUALITY_ASSESSMENT).unwrap().content else { panic!() };
        // The CT's Study ID is too long in every header, so every role has a warning.
        assert!(quality.is(&c::QUALITY_WARNINGS));
    }
}

#[test]
fn patient_and_study_are_those_of_the_reference_and_an_illegal_value_is_empty() {
    let case = case(&Plan { patient_name: "Yamada^Tarou=山田^太郎=やまだ^たろう", ..Plan::default() });
    let documents = documents(&case).unwrap();
    for document in &documents {
        let object = open(document);
        assert_eq!(text(&object, tags::SPECIFIC_CHARACTER_SET), "ISO_IR 192");
        assert_eq!(text(&object, tags::PATIENT_NAME), "Yamada^Tarou=山田^太郎=やまだ^たろう");
        assert_eq!(text(&object, tags::PATIENT_ID), "P-001");
        assert_eq!(text(&object, tags::STUDY_ID), "");
        assert_eq!(text(&object, tags::CONTENT_DATE), "20261123");
        assert_eq!(text(&object, tags::CONTENT_TIME), "231323.250000");
        assert!(text(&object, tags::SERIES_DESCRIPTION).contains("research use"));
    }
    let json = report_json(&case);
    let kinds: Vec<_> = json["findings"].as_array().unwrap().iter().map(|finding| finding["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == FindingKind::IllegalAttribute.name()).count(), 3);
}

#[test]
fn names_of_sources_in_other_character_sets_are_written_in_utf8() {
    let sources: [(&str, &[u8], &str); 4] = [
        ("ISO_IR 100", b"Gr\xfcn^J\xfcrgen", "Grün^Jürgen"),
        ("ISO_IR 192", "Grün^Jürgen".as_bytes(), "Grün^Jürgen"),
        ("\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada^Tarou=山田^太郎"),
        ("ISO_IR 144", b"\xbb\xee", "Лю"),
    ];
    for (charset, bytes, name) in sources {
        let mut case = case(&Plan::default());
        let mut source = (*case.images[0].header).clone();
        put_texts(&mut source, tags::SPECIFIC_CHARACTER_SET, charset.split('\\').map(String::from));
        put_bytes(&mut source, tags::PATIENT_NAME, dicom_core::VR::PN, bytes.to_vec());
        put_text(&mut source, tags::SOP_CLASS_UID, uids::CT_IMAGE_STORAGE);
        put_uid(&mut source, tags::SOP_INSTANCE_UID, &uid("source"));
        let file = part10(&source, uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
        case.images[0].header = std::sync::Arc::new(header_of(&file, Keep::All).unwrap().0);
        let report = sr(&documents(&case).unwrap());
        assert_eq!(text(&report, tags::PATIENT_NAME), name, "{charset}");
        assert_eq!(text(&report, tags::SPECIFIC_CHARACTER_SET), "ISO_IR 192");
    }
}

#[test]
fn over_two_studies_the_report_is_in_the_references_and_names_the_other_as_pertinent() {
    let documents = documents(&case(&Plan { other_study: true, ..Plan::default() })).unwrap();
    let place: Vec<_> = documents.iter().map(|document| (document.name.as_str(), document.study.clone())).collect();
    let (own, other) = (uid("study"), uid("study 2"));
    let expected = [("seg-CT", &own), ("seg-PT", &other), ("seg-MR_T1", &own), ("sr", &own), ("sr-model", &own)];
    assert_eq!(place, expected.map(|(name, study)| (name, study.clone())));
    let report = sr(&documents);
    let studies = |tag| {
        let items = report.element(tag).unwrap().items().unwrap().to_vec();
        items
            .iter()
            .map(|item| item.element(tags::STUDY_INSTANCE_UID).unwrap().to_str().unwrap().into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(studies(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE), [own.as_str()]);
    assert_eq!(studies(tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE), [other.as_str()]);
}

#[test]
fn a_revision_goes_into_the_same_series_and_names_its_predecessor() {
    let first = case(&Plan::default());
    let before = documents(&first).unwrap();
    let mut second = case(&Plan::default());
    second.revision = 2;
    second.previous = before.iter().map(Document::reference).collect();
    let after = documents(&second).unwrap();
    assert!(before.iter().zip(&after).all(|(a, b)| a.series == b.series && a.sop_instance != b.sop_instance));
    let report = sr(&after);
    let predecessors = report.element(tags::PREDECESSOR_DOCUMENTS_SEQUENCE).unwrap().items().unwrap();
    let series = predecessors[0].element(tags::REFERENCED_SERIES_SEQUENCE).unwrap().items().unwrap();
    let instances = series[0].element(tags::REFERENCED_SOP_SEQUENCE).unwrap().items().unwrap();
    let instance = instances[0].element(tags::REFERENCED_SOP_INSTANCE_UID).unwrap().to_str().unwrap();
    let replaced = before.iter().find(|document| document.name == "sr").unwrap();
    assert_eq!(instance, replaced.sop_instance.as_str());
    assert_eq!((predecessors.len(), series.len(), instances.len()), (1, 1, 1));
    assert_eq!(text(&report, tags::INSTANCE_NUMBER), "2");
}

#[test]
fn a_report_without_all_that_was_asked_for_is_partial() {
    let mut case = case(&Plan::default());
    assert_eq!(text(&sr(&documents(&case).unwrap()), tags::COMPLETION_FLAG), "COMPLETE");
    case.findings.push(radiomicsd::finding::Finding::new(FindingKind::RoleMissing, "MR_T2", "no series came"));
    assert_eq!(text(&sr(&documents(&case).unwrap()), tags::COMPLETION_FLAG), "PARTIAL");
}

#[test]
fn a_segmentation_holds_the_masks_bit_by_bit() {
    let case = case(&Plan::default());
    let documents = documents(&case).unwrap();
    for image in &case.images {
        let document = documents.iter().find(|document| document.name == format!("seg-{}", image.role)).unwrap();
        let object = open(document);
        let frames = object.element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).unwrap().items().unwrap().to_vec();
        let bytes = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
        let [columns, rows, _] = image.geometry.size;
        let mut voxels = 0;
        for (n, frame) in frames.iter().enumerate() {
            let item = |tag| frame.element(tag).unwrap().items().unwrap()[0].clone();
            let number = item(tags::SEGMENT_IDENTIFICATION_SEQUENCE);
            let lesion = number.element(tags::REFERENCED_SEGMENT_NUMBER).unwrap().to_int::<usize>().unwrap();
            let position = item(tags::PLANE_POSITION_SEQUENCE);
            let position = position.element(tags::IMAGE_POSITION_PATIENT).unwrap().to_multi_float64().unwrap();
            let index = image.geometry.world_to_voxel([position[0], position[1], position[2]]);
            assert!(index[0].abs() < 1e-6 && index[1].abs() < 1e-6);
            let z = index[2].round() as usize;
            let source =
                item(tags::DERIVATION_IMAGE_SEQUENCE).element(tags::SOURCE_IMAGE_SEQUENCE).unwrap().items().unwrap()[0]
                    .clone();
            let source = source.element(tags::REFERENCED_SOP_INSTANCE_UID).unwrap().to_str().unwrap().into_owned();
            assert_eq!(source, image.slices[z].1.as_str());
            let group = case.groups.iter().find(|g| g.role == image.role && g.lesion == lesion).unwrap();
            for y in 0..rows {
                for x in 0..columns {
                    let bit = (n * rows + y) * columns + x;
                    let inside = bytes[bit / 8] >> (bit % 8) & 1 == 1;
                    assert_eq!(inside, group.mask.voxels[[z, y, x]]);
                    voxels += usize::from(inside);
                }
            }
        }
        let expected: usize = case
            .groups
            .iter()
            .filter(|g| g.role == image.role && g.space == Space::Native)
            .map(|g| g.mask.count())
            .sum();
        assert_eq!(voxels, expected);
        assert_eq!(text(&object, tags::SEGMENTS_OVERLAP), "YES");
    }
}

#[test]
fn a_segment_has_the_tracking_uid_of_its_raw_native_group() {
    let documents = documents(&case(&Plan::default())).unwrap();
    let root = read_content(&sr(&documents)).unwrap();
    let plain = |group: &&Item| ["aligned", "ComBat", "cross"].iter().all(|word| !group_name(group).contains(word));
    for group in groups(&root).iter().filter(plain) {
        let name = group_name(group);
        let role = name.split(' ').nth(2).unwrap();
        let seg = open(documents.iter().find(|document| document.name == format!("seg-{role}")).unwrap());
        let segments = seg.element(tags::SEGMENT_SEQUENCE).unwrap().items().unwrap();
        let segment =
            segments.iter().find(|item| item.element(tags::TRACKING_ID).unwrap().to_str().unwrap() == name).unwrap();
        let tracking = segment.element(tags::TRACKING_UID).unwrap().to_str().unwrap().into_owned();
        let Content::UidRef(uid) = &group.child(&c::TRACKING_UID).unwrap().content else { panic!() };
        assert_eq!(uid.as_str(), tracking);
    }
}

#[test]
fn a_segment_is_coded_has_a_colour_and_says_which_program_made_it_where_no_person_drew_it_there() {
    let case = case(&Plan::default());
    let documents = documents(&case).unwrap();
    for image in &case.images {
        let seg = open(documents.iter().find(|document| document.name == format!("seg-{}", image.role)).unwrap());
        let series = items(&seg, tags::REFERENCED_SERIES_SEQUENCE);
        assert_eq!(texts(&series[0], tags::SERIES_INSTANCE_UID), [image.series.as_str()]);
        assert_eq!(items(&series[0], tags::REFERENCED_INSTANCE_SEQUENCE).len(), image.slices.len());
        let segments = items(&seg, tags::SEGMENT_SEQUENCE);
        let colours = segments.iter().map(|one| numbers_of(one, tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE).unwrap());
        let colours: Vec<String> = colours.map(|lab| format!("{lab:?}")).collect();
        assert!(colours[0].matches(", ").count() == 2 && colours[0] != colours[1], "{colours:?}");
        for (segment, lesion) in segments.iter().zip(&case.lesions) {
            let code = |tag| texts(&items(segment, tag)[0], tags::CODE_VALUE).remove(0);
            let kind = code(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE);
            assert_eq!(kind == "108369006", lesion.finding.is_some(), "{kind}");
            assert!(!code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE).is_empty());
            let made = texts(segment, tags::SEGMENT_ALGORITHM_TYPE).remove(0);
            let expected = match (lesion.number, image.role.as_str()) {
                (1, "MR_T1") => "SEMIAUTOMATIC",
                (1, _) => "MANUAL",
                _ => "AUTOMATIC",
            };
            assert_eq!(made, expected);
            let names = texts(segment, tags::SEGMENT_ALGORITHM_NAME);
            assert_eq!(names.iter().any(|name| name.starts_with("radiomicsd")), made != "MANUAL", "{names:?}");
        }
    }
}

#[test]
fn the_table_has_a_row_for_each_value_and_its_numbers_read_back_the_same() {
    let case = case(&Plan::default());
    let table = features_csv(&case).unwrap();
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let values: Vec<_> = case.groups.iter().flat_map(|group| group.values.iter().map(move |v| (group, v))).collect();
    assert_eq!(rows.len(), values.len());
    for (row, (group, measured)) in rows.iter().zip(values) {
        assert_eq!(&row[1], group.lesion.to_string());
        assert_eq!(&row[5], measured.tag);
        assert_eq!(row[11].parse::<f64>().unwrap().to_bits(), measured.value.to_bits());
        assert_eq!(row[13].is_empty(), measured.misregistration_error.is_none());
        assert_eq!(row[14].parse::<f64>().ok(), measured.harmonised_value);
    }
}

#[test]
fn the_json_holds_settings_diagnostics_and_the_same_values() {
    let case = case(&Plan::default());
    let json = report_json(&case);
    assert_eq!(json["settings_sha256"], case.settings_hash);
    assert_eq!(json["blocks"].as_array().unwrap().len(), case.groups.len());
    assert_eq!(json["blocks"][0]["diagnostics"]["initial"]["roi"]["intensity_voxels"], 280);
    assert_eq!(json["blocks"][0]["features"][0]["value"].as_f64(), Some(case.groups[0].values[0].value));
    assert_eq!(json["timings"][0]["stage"], "extract");
}

#[test]
fn a_result_that_contradicts_itself_makes_no_document() {
    let mut other_grid = case(&Plan::default());
    let mask = std::sync::Arc::new(super::cases::mask(other_grid.images[1].geometry, 1));
    other_grid.groups[0].mask = mask;
    let mut no_reference = case(&Plan::default());
    no_reference.reference_role = "US".into();
    let mut no_lesion = case(&Plan::default());
    no_lesion.lesions.pop();
    let mut not_finite = case(&Plan::default());
    not_finite.groups[0].values[0].value = f64::NAN;
    for broken in [other_grid, no_reference, no_lesion, not_finite] {
        assert!(documents(&broken).is_err());
    }
}

/// How long this thread has run: the time that work takes where nothing else is done, as a test cannot ask for.
fn time_run() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// The processor time of ten reports on so many features (the clock counts in ticks of milliseconds), and the bytes of one.
fn written(features: usize) -> (Duration, usize) {
    let spaces = vec![Space::Native];
    let case = case(&Plan { lesions: 1, features, harmonised: false, outputs: false, spaces, ..Plan::default() });
    let size = || {
        let documents = documents(&case).unwrap();
        documents.iter().find(|document| document.kind == DocumentKind::Sr).unwrap().bytes.len()
    };
    let start = time_run();
    let sizes: Vec<usize> = (0..10).map(|_| size()).collect();
    (time_run() - start, sizes[0])
}

#[test]
fn a_long_report_takes_time_in_proportion_and_at_most_a_kilobyte_per_measurement() {
    let ((short, _), (long, size)) = (written(100), written(500));
    super::shared::aloud(&format!(
        "3 x 500 features: {} bytes per measurement, ten take {long:?}; 3 x 100: {short:?}",
        size / 1500
    ));
    assert!(size <= 1500 * 1000, "{size} bytes");
    // A ratio of one run: seconds depend on the machine. What grows with the square takes 25 times as long.
    assert!(long < 12 * short, "{long:?} for five times as many features as {short:?}");
}
