//! Pictures and the PDF: where things lie in them, that they stay as a person saw them, and that other programs open them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_dictionary_std::tags;
use dicom_object::OpenFileOptions;
use radiomicsd::finding::{Finding, FindingKind};
use radiomicsd::image::{Geometry, Volume};
use radiomicsd::report::{
    CaseResult, Document, DocumentKind, Lesion, MeasurementGroup, Space, Wanted, documents_wanted,
};
use sha2::{Digest as _, Sha256};

use super::cases::{Plan, case, mask};
use super::shared::{encapsulated, poppler};

/// Pixels of a panel, and where the first one begins.
const SIDE: usize = 288;
const FIRST: [usize; 2] = [132, 96];
/// Rows above what a page is about.
const HEAD: usize = 74;
/// From panel to panel.
const PITCH: usize = 294;

/// Balls of high values to the left, behind and above the middle of the first lesion, seen in each image.
fn markers(geometry: Geometry) -> [[f64; 3]; 3] {
    let region = mask(geometry, 1);
    let (mut sum, mut n) = ([0.0; 3], 0.0);
    for ((z, y, x), _) in region.voxels.indexed_iter().filter(|(_, inside)| **inside) {
        let at = geometry.voxel_to_world([x as f64, y as f64, z as f64]);
        (0..3).for_each(|axis| sum[axis] += at[axis]);
        n += 1.0;
    }
    let centre = sum.map(|axis| axis / n);
    [0, 1, 2].map(|axis| {
        let mut at = centre;
        at[axis] += 12.0;
        at
    })
}

fn volume(geometry: Geometry, modality: &str) -> Volume<f32> {
    let (below, lesion, marker) = match modality {
        "CT" => (-100.0, 60.0, 700.0),
        "PT" => (1.0, 4.0, 9.0),
        _ => (-0.5, 0.5, 3.0),
    };
    let (region, markers) = (mask(geometry, 1), markers(geometry));
    let mut volume = Volume::filled(geometry, below);
    for ((z, y, x), value) in volume.voxels.indexed_iter_mut() {
        let at = geometry.voxel_to_world([x as f64, y as f64, z as f64]);
        let near = |marker: &[f64; 3]| (0..3).map(|axis| (at[axis] - marker[axis]).powi(2)).sum::<f64>() < 64.0;
        if markers.iter().any(near) {
            *value = marker;
        } else if region.voxels[[z, y, x]] {
            *value = lesion;
        }
    }
    volume
}

/// The case with images, so that pictures can be made of it.
pub fn with_volumes(mut case: CaseResult) -> CaseResult {
    let volumes =
        case.images.iter().map(|image| (image.role.clone(), Arc::new(volume(image.geometry, &image.modality))));
    case.volumes = volumes.collect();
    case
}

fn wanted() -> Wanted {
    Wanted { kinds: vec![DocumentKind::Picture, DocumentKind::Pdf], ..Wanted::default() }
}

fn made(case: CaseResult) -> Vec<Document> {
    documents_wanted(&with_volumes(case), &wanted()).unwrap()
}

struct Pixels {
    width: usize,
    bytes: Vec<u8>,
}

impl Pixels {
    fn of(document: &Document) -> Self {
        let object = OpenFileOptions::new().from_reader(&document.bytes[..]).unwrap();
        let side = |tag| usize::from(object.element(tag).unwrap().to_int::<u16>().unwrap());
        let (width, height) = (side(tags::COLUMNS), side(tags::ROWS));
        let bytes = object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
        Self { width, bytes: bytes[..3 * width * height].to_vec() }
    }

    /// Red, green and blue at a place of a panel, from its middle to the right and down.
    fn at(&self, row: usize, column: usize, [right, down]: [isize; 2]) -> [u8; 3] {
        let place =
            |first: usize, n: usize, from: isize| (first + n * PITCH + SIDE / 2).checked_add_signed(from).unwrap();
        let index = place(FIRST[1], row, down) * self.width + place(FIRST[0], column, right);
        self.bytes[3 * index..3 * index + 3].try_into().unwrap()
    }
}

fn named<'a>(documents: &'a [Document], name: &str) -> &'a Document {
    documents.iter().find(|document| document.name == name).unwrap()
}

#[test]
fn left_is_on_the_right_the_back_below_and_the_head_above_in_every_image() {
    let documents = made(case(&Plan::default()));
    let pixels = Pixels::of(named(&documents, "picture-1"));
    // Twelve millimetres in panels of 80 mm.
    let far = 43;
    let markers = [[[far, 0], [0, far]], [[far, 0], [0, -far]], [[far, 0], [0, -far]]];
    // CT, PET with high values black, MR.
    for (row, is_marker) in
        [(0, (|grey: u8| grey > 240) as fn(u8) -> bool), (1, |grey| grey < 100), (2, |grey| grey > 240)]
    {
        for (column, markers) in markers.into_iter().enumerate() {
            for [right, down] in markers {
                let grey = |at| pixels.at(row, column, at)[0];
                assert!(is_marker(grey([right, down])), "row {row}, column {column}, {right} {down}");
                assert!(!is_marker(grey([-right, -down])), "row {row}, column {column}, {right} {down}");
            }
        }
    }
    // The PET on the CT lies where its registration says: turned and shifted by some millimetres, hot where it is high.
    let hot = |n: usize| pixels.bytes[3 * n] > 200 && pixels.bytes[3 * n + 2] < 120 && pixels.bytes[3 * n + 1] > 80;
    let fused = (FIRST[1] + 3 * PITCH) * pixels.width;
    assert!((fused..pixels.bytes.len() / 3).filter(|n| hot(*n)).count() > 100);
}

/// The pixels as they were when a person looked at them last: whoever changes them looks again, at the PNG that the test
/// leaves in the build's folder: letters at the right edges, windows, outlines, numbers, no word cut.
const GOLDEN: [(&str, &str); 2] = [
    ("picture-1", "33dff659674838c6147c46e979bf6d096b3e57a965c11d5b4a1d640d3f930548"),
    ("picture-1-numbers", "fbad200411bf73b210b274c318af55e8074e8f0071a6c7a6fbd0a53d80e64cbd"),
];

#[test]
fn pictures_are_pixel_by_pixel_those_that_a_person_looked_at() {
    let of_one_lesion = case(&Plan { lesions: 1, ..Plan::default() });
    let documents = made(of_one_lesion.clone());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report/pictures");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, file) in radiomicsd::report::plain_files(&with_volumes(of_one_lesion), &wanted()).unwrap() {
        std::fs::write(folder.join(name), file).unwrap();
    }
    for (name, expected) in GOLDEN {
        let pixels = Pixels::of(named(&documents, name));
        // Without the head of the page, where the version stands.
        let digest = Sha256::digest(&pixels.bytes[3 * pixels.width * HEAD..]);
        let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, expected, "{name}: look at {}", folder.display());
    }
}

#[test]
fn the_same_result_gives_the_same_bytes_and_says_nothing_of_the_patient() {
    let documents = made(case(&Plan::default()));
    assert_eq!(documents, made(case(&Plan::default())));
    let kinds: Vec<_> = documents.iter().map(|document| document.name.as_str()).collect();
    let pictures = ["picture-1", "picture-1-numbers", "picture-2", "picture-2-numbers"];
    assert_eq!(kinds, [&["seg-CT", "seg-PT", "seg-MR_T1"][..], &pictures, &["pdf"]].concat());
    for document in documents.iter().filter(|document| document.kind != DocumentKind::Seg) {
        let object = OpenFileOptions::new().from_reader(&document.bytes[..]).unwrap();
        assert_eq!(object.element(tags::BURNED_IN_ANNOTATION).unwrap().to_str().unwrap(), "NO");
    }
    // Another patient with the same images: the same pixels.
    let another = made(case(&Plan { patient_name: "Smith^Jo", ..Plan::default() }));
    for name in pictures {
        assert_eq!(Pixels::of(named(&documents, name)).bytes, Pixels::of(named(&another, name)).bytes);
    }
}

#[test]
fn a_lesion_in_lung_is_shown_in_the_window_of_lung_and_any_other_in_that_of_soft_tissue() {
    let grey_beside = |around: f32| {
        let mut case = with_volumes(case(&Plan::default()));
        let mut volume = Volume::clone(&case.volumes["CT"]);
        volume.voxels.mapv_inplace(|value| if value < 0.0 { around } else { value });
        case.volumes.insert("CT".into(), Arc::new(volume));
        let documents = documents_wanted(&case, &wanted()).unwrap();
        Pixels::of(named(&documents, "picture-1")).at(0, 0, [30, 30])[0]
    };
    let share = |value: f64, [black, white]: [f64; 2]| (255.0 * (value - black) / (white - black)).round() as u8;
    assert_eq!(grey_beside(-100.0), share(-100.0, [-160.0, 240.0]));
    assert_eq!(grey_beside(-810.0), share(-810.0, [-1350.0, 150.0]));
}

#[test]
fn without_images_there_are_numbers_and_a_summary() {
    let documents = documents_wanted(&case(&Plan { lesions: 1, ..Plan::default() }), &wanted()).unwrap();
    let names: Vec<_> = documents.iter().skip(3).map(|document| document.name.as_str()).collect();
    assert_eq!(names, ["picture-1-numbers", "pdf"]);
}

/// The PDF of a case as a file.
fn pdf(name: &str, documents: &[Document]) -> PathBuf {
    let object = OpenFileOptions::new().from_reader(&named(documents, "pdf").bytes[..]).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report/pictures");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{name}.pdf"));
    std::fs::write(&file, encapsulated(&object)).unwrap();
    file
}

fn n_pages(file: &Path) -> Option<u32> {
    let said = poppler("pdfinfo", &[], file)?;
    said.lines().find_map(|line| line.strip_prefix("Pages:")?.trim().parse().ok())
}

#[test]
fn the_pdf_opens_and_tells_what_was_done_the_numbers_the_warnings_and_the_model() {
    let file = pdf("two-lesions", &made(case(&Plan::default())));
    let Some(text) = poppler("pdftotext", &["-layout"], &file) else { return };
    for words in [
        "For research use only.",
        "Not for diagnosis",
        "Protocol pet-ct-mr, revision 1",
        "PT to CT: registered (mutual information, overlap 0.97)",
        "Lesion 1: Neoplasm, left thigh",
        "SUVbw",
        "gantry tilt (MR_T1): tilt of 3.0 degrees",
        "probability of lung metastasis 0.37 (95 % interval 0.29 to 0.46)",
        "block MR_T1 was missing",
        "Trained on a synthetic cohort.",
    ] {
        assert!(words.split(' ').all(|word| text.contains(word)), "{words}:\n{text}");
    }
    assert!((1..=3).contains(&n_pages(&file).unwrap()));
    let rendered = poppler("pdftoppm", &["-r", "50", "-gray"], &file).unwrap();
    assert!(rendered.starts_with("P5"), "no page was rendered");
}

#[test]
fn a_long_result_has_three_pages_and_says_that_it_is_cut() {
    let mut long = case(&Plan { lesions: 1, ..Plan::default() });
    let (lesion, groups) = (long.lesions[0].clone(), long.groups.clone());
    for number in 2..=20 {
        long.lesions.push(Lesion { number, ..lesion.clone() });
        long.groups.extend(groups.iter().map(|group| MeasurementGroup { lesion: number, ..group.clone() }));
    }
    long.findings.extend((0..150).map(|n| Finding::new(FindingKind::GantryTilt, "MR_T1", format!("tilt {n}"))));
    let documents = made(long);
    assert_eq!(documents.iter().filter(|document| document.kind == DocumentKind::Picture).count(), 24);
    let file = pdf("long", &documents);
    let Some(text) = poppler("pdftotext", &[], &file) else { return };
    assert_eq!(n_pages(&file), Some(3));
    assert!(text.contains("the report holds all"));
    assert!(!text.contains("Lesion 15"));
    assert!(
        n_pages(&pdf(
            "short",
            &made(case(&Plan { lesions: 1, spaces: vec![Space::Native], outputs: false, ..Plan::default() }))
        )) <= Some(2)
    );
}
