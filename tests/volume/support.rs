//! The reference data and what is compared with it.

use std::path::{Path, PathBuf};

use radiomicsd::image::{Geometry, Mask, Volume};
use radiomicsd::volume::SeriesVolume;
use sha2::{Digest, Sha256};

/// The folder that holds `data/` and `reference/`, or `None` with a word on standard error.
pub fn reference() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("RADIOMICSD_REFERENCE").map_or(beside, PathBuf::from);
    if folder.join("data/truth").is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: reference data absent");
    None
}

/// A truth table by its name.
pub fn truth(reference: &Path, name: &str) -> serde_json::Value {
    let path = reference.join(format!("data/truth/{name}.json"));
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
}

/// The files of a folder, by name. Not sorted on purpose: the order of files must not matter.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

/// SHA-256 over the values as little-endian float32 in z, y, x order.
pub fn digest(volume: &Volume<f32>) -> String {
    hex(volume.voxels.iter().flat_map(|value| value.to_le_bytes()))
}

/// SHA-256 over the mask as bytes 0 and 1 in z, y, x order.
pub fn mask_digest(mask: &Mask) -> String {
    hex(mask.voxels.iter().map(|inside| u8::from(*inside)))
}

fn hex(bytes: impl Iterator<Item = u8>) -> String {
    let bytes: Vec<u8> = bytes.collect();
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The volume as the truth tables have it: padding as the number that it is stored as.
pub fn with_padding(series: &SeriesVolume) -> Volume<f32> {
    let mut volume = series.volume.clone();
    for padding in &series.origin.padding {
        let mut slice = volume.voxels.index_axis_mut(ndarray::Axis(0), padding.slice);
        let missing = slice.iter().filter(|value| value.is_nan()).count();
        assert_eq!(missing, padding.n_voxels, "slice {}", padding.slice);
        slice.mapv_inplace(|value| if value.is_nan() { padding.value } else { value });
    }
    volume
}

/// Size, spacing, origin and directions as in a truth table.
pub fn assert_geometry(geometry: &Geometry, truth: &serde_json::Value) {
    let numbers = |key: &str| -> Vec<f64> {
        truth[key].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    let near = |found: &[f64], expected: &[f64], tolerance: f64, what: &str| {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= tolerance, "{what}: {found} is not {expected}");
        }
    };
    let size: Vec<f64> = geometry.size.iter().map(|n| f64::from(u32::try_from(*n).unwrap())).collect();
    near(&size, &numbers("dims_xyz"), 0.0, "size");
    near(&geometry.spacing_mm, &numbers("spacing_xyz"), 1e-4, "spacing");
    near(&geometry.origin_mm, &numbers("origin_xyz"), 1e-9, "origin");
    near(&geometry.directions[0], &numbers("row_dir"), 1e-5, "row direction");
    near(&geometry.directions[1], &numbers("col_dir"), 1e-5, "column direction");
    near(&geometry.directions[2], &numbers("normal"), 1e-5, "normal");
}
