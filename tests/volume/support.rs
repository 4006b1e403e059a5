//! The reference data and what is compared with it.

use std::path::{Path, PathBuf};

pub use crate::shared::reference;
use radiomicsd::image::{Geometry, Mask, Volume};
use radiomicsd::math::linalg::{self, Vec3};
use radiomicsd::volume::SeriesVolume;
use sha2::{Digest, Sha256};

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
    // The tables have the directions as the headers round them; a grid has them orthonormal, the row as it is.
    let vector = |key: &str| -> Vec3 { numbers(key).try_into().unwrap() };
    let unit = |v: Vec3| linalg::scale(1.0 / linalg::norm(v), v);
    let (row, column) = (unit(vector("row_dir")), vector("col_dir"));
    let column = unit(linalg::sub(column, linalg::scale(linalg::dot(row, column), row)));
    near(&geometry.directions[0], &row, 1e-12, "row direction");
    near(&geometry.directions[1], &column, 1e-12, "column direction");
    near(&geometry.directions[2], &linalg::cross(row, column), 1e-12, "normal");
    near(&geometry.directions[2], &vector("normal"), 1e-4, "normal of the table");
}

/// The files of a ZIP archive, deflated or stored, written to a folder.
pub fn unzip(archive: &Path, folder: &Path) -> Vec<PathBuf> {
    use std::io::Read;
    let bytes = std::fs::read(archive).unwrap();
    let word = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let long = |at: usize| word(at) + (word(at + 2) << 16);
    // The end of the central directory: how many entries there are, and where they start.
    let end = (0..bytes.len() - 21).rev().find(|at| bytes[*at..].starts_with(b"PK\x05\x06")).unwrap();
    let mut entry = long(end + 16);
    let mut paths = Vec::new();
    for index in 0..word(end + 10) {
        let (method, n_packed, local) = (word(entry + 10), long(entry + 20), long(entry + 42));
        let start = local + 30 + word(local + 26) + word(local + 28);
        let packed = &bytes[start..start + n_packed];
        let mut content = Vec::new();
        match method {
            0 => content.extend_from_slice(packed),
            _ => drop(flate2::read::DeflateDecoder::new(packed).read_to_end(&mut content).unwrap()),
        }
        let path = folder.join(index.to_string());
        std::fs::write(&path, content).unwrap();
        paths.push(path);
        entry += 46 + word(entry + 28) + word(entry + 30) + word(entry + 32);
    }
    paths
}
