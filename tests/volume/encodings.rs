//! One slice, one series in many transfer syntaxes: what was not lost is the same, what was lost says so, and what nothing
//! decodes is refused by name.

use std::path::{Path, PathBuf};

use radiomicsd::finding::{FindingKind, Policies, Policy};
use radiomicsd::volume::{SeriesVolume, VolumeError};

use crate::support::{assert_geometry, digest, files, reference, truth, with_padding};

/// Truth table and the end of the file's name.
const LOSSLESS: [(&str, &str); 9] = [
    ("cs_BigEndianExplicit", "1.2.840.10008.1.2.2.dcm"),
    ("cs_DeflatedExplicitVRLittleEndian", "1.2.840.10008.1.2.1.99.dcm"),
    ("cs_JPEG2000LosslessOnly", "1.2.840.10008.1.2.4.90.dcm"),
    ("cs_JPEGLSLossless", "1.2.840.10008.1.2.4.80.dcm"),
    ("cs_JPEGProcess14", "1.2.840.10008.1.2.4.57.dcm"),
    ("cs_JPEGProcess14SV1", "1.2.840.10008.1.2.4.70.dcm"),
    ("cs_LittleEndianExplicit", "_1.2.840.10008.1.2.1.dcm"),
    ("cs_LittleEndianImplicit", "_1.2.840.10008.1.2.dcm"),
    ("cs_RLELossless", "1.2.840.10008.1.2.5.dcm"),
];

/// Truth table, the end of the file's name, and how far one value may lie from another decoder's.
const LOSSY: [(&str, &str, f64); 4] = [
    ("cs_JPEG2000", "1.2.840.10008.1.2.4.91.dcm", 2.0),
    ("cs_JPEGLSLossy", "1.2.840.10008.1.2.4.81.dcm", 0.0),
    ("cs_JPEGProcess1", "1.2.840.10008.1.2.4.50.dcm", 33.0),
    ("cs_JPEGProcess2_4", "1.2.840.10008.1.2.4.51.dcm", 2.1),
];

const SERIES: [(&str, &str); 5] = [
    ("d2n_generic_compressed_001", "series_compressed"),
    ("d2n_generic_compressed_j2k_001", "series_compressed_j2k"),
    ("d2n_generic_compressed_jpeg_001", "series_compressed_jpeg"),
    ("d2n_generic_compressed_jpegls_001", "series_compressed_jpegls"),
    ("d2n_generic_compressed_rle_001", "series_compressed_rle"),
];

/// JPEG-LS is decoded only where the feature is on.
fn is_left_out(name: &str) -> bool {
    !cfg!(feature = "jpegls") && name.to_lowercase().contains("jpegls")
}

fn file(reference: &Path, end: &str) -> PathBuf {
    let folder = reference.join("data/transfer_syntaxes");
    let found = files(&folder).into_iter().find(|path| path.to_string_lossy().ends_with(end));
    found.unwrap_or_else(|| panic!("no file that ends with {end}"))
}

/// One slice is no volume; here it is accepted.
fn one_slice(path: &Path) -> Result<SeriesVolume, VolumeError> {
    let policies = Policies::new([(FindingKind::TooFewSlices, Policy::Accept)]);
    SeriesVolume::read(&[path.to_owned()], "CT", &policies)
}

fn assert_unsupported(result: Result<SeriesVolume, VolumeError>, name: &str) {
    let error = result.map(|_| ()).unwrap_err();
    let finding = error.finding().unwrap_or_else(|| panic!("{name}: {error}"));
    assert_eq!(finding.kind, FindingKind::UnsupportedTransferSyntax, "{name}: {error}");
}

#[test]
fn nine_lossless_encodings_of_one_slice_give_one_checksum() {
    let Some(reference) = reference() else { return };
    let mut digests = Vec::new();
    for (name, end) in LOSSLESS {
        let truth = truth(&reference, name);
        let result = one_slice(&file(&reference, end));
        if is_left_out(name) {
            eprintln!("skipped: {name}, built without the feature jpegls");
            assert_unsupported(result, name);
            continue;
        }
        let series = result.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_geometry(&series.volume.geometry, &truth);
        let found = digest(&with_padding(&series));
        assert_eq!(found, truth["sha256_f32_zyx"].as_str().unwrap(), "{name}");
        assert!(series.findings.iter().all(|finding| finding.kind != FindingKind::LossyCompression), "{name}");
        digests.push(found);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
}

#[test]
fn lossy_encodings_are_found_and_their_values_are_near_those_of_another_decoder() {
    let Some(reference) = reference() else { return };
    for (name, end, tolerance) in LOSSY {
        let truth = truth(&reference, name);
        let result = one_slice(&file(&reference, end));
        if is_left_out(name) {
            assert_unsupported(result, name);
            continue;
        }
        let series = result.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(series.findings.iter().any(|finding| finding.kind == FindingKind::LossyCompression), "{name}");
        let volume = values(&with_padding(&series));
        let mean = volume.iter().sum::<f64>() / volume.len() as f64;
        let expected = truth["mean"].as_f64().unwrap();
        assert!((mean - expected).abs() <= 0.05 * tolerance.max(1.0), "{name}: mean {mean}, expected {expected}");
        for voxel in truth["voxels"].as_array().unwrap() {
            let [x, y] = [0, 1].map(|axis| usize::try_from(voxel["xyz"][axis].as_u64().unwrap()).unwrap());
            let (found, expected) = (volume[y * 512 + x], voxel["value"].as_f64().unwrap());
            assert!((found - expected).abs() <= tolerance, "{name} at {x}, {y}: {found}, expected {expected}");
        }
    }
}

#[test]
fn retired_jpeg_processes_are_refused_by_name() {
    let Some(reference) = reference() else { return };
    for (name, end, words) in [
        ("cs_JPEGProcess6_8", "1.2.840.10008.1.2.4.53.dcm", "spectral selection (retired)"),
        ("cs_JPEGProcess10_12", "1.2.840.10008.1.2.4.55.dcm", "full progression (retired)"),
    ] {
        let result = one_slice(&file(&reference, end));
        assert!(result.as_ref().unwrap_err().to_string().contains(words), "{name}");
        assert_unsupported(result, name);
    }
}

#[test]
fn compressed_series_are_the_series_that_they_were() {
    let Some(reference) = reference() else { return };
    for (name, folder) in SERIES {
        let truth = truth(&reference, name);
        let folder = reference.join("data/transfer_syntaxes").join(folder).join("001");
        let result = SeriesVolume::read(&files(&folder), "MR", &Policies::default());
        if is_left_out(name) {
            assert_unsupported(result, name);
            continue;
        }
        let series = result.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_geometry(&series.volume.geometry, &truth);
        assert_eq!(digest(&series.volume), truth["sha256_f32_zyx"].as_str().unwrap(), "{name}");
        assert_eq!(series.findings, [], "{name}");
    }
}

#[test]
fn other_writers_of_jpeg_2000_are_read() {
    let Some(reference) = reference() else { return };
    for name in ["CT1_J2KR", "CT2_J2KR"] {
        let series = one_slice(&file(&reference, name)).unwrap();
        assert!(series.findings.iter().all(|finding| finding.kind != FindingKind::LossyCompression), "{name}");
    }
}

fn values(volume: &radiomicsd::image::Volume<f32>) -> Vec<f64> {
    volume.voxels.iter().map(|value| f64::from(*value)).collect()
}
