//! How long a series takes to become a volume, and how much memory.
//!
//! `cargo bench --bench volume -- make FOLDER` writes a CT of 512 x 512 x 600 there (315 MB); `cargo bench --bench volume --
//! read FOLDER...` reads each folder as one series (a PET becomes SUV) and prints the seconds of all of them together and the
//! most memory beyond that at the start. `benches/volume.py` runs both beside SimpleITK's series reader.

use std::path::{Path, PathBuf};
use std::time::Instant;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;
use radiomicsd::finding::{FindingKind, Policies, Policy};
use radiomicsd::volume::SeriesVolume;

const SIZE: u16 = 512;
const N_SLICES: u32 = 600;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    match arguments.split_first() {
        Some((command, [folder])) if command == "make" => make(Path::new(folder)),
        Some((command, folders)) if command == "read" && !folders.is_empty() => read(folders),
        _ => {
            println!("usage: cargo bench --bench volume -- make FOLDER | read FOLDER...");
            Ok(())
        }
    }
}

/// A CT whose slices are written in no order.
fn make(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    for index in 0..N_SLICES {
        let z = index * 7 % N_SLICES;
        let mut object = InMemDicomObject::new_empty();
        for (tag, vr, value) in [
            (tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE.to_owned()),
            (tags::SOP_INSTANCE_UID, VR::UI, format!("2.25.1{index:04}")),
            (tags::STUDY_INSTANCE_UID, VR::UI, "2.25.2".to_owned()),
            (tags::SERIES_INSTANCE_UID, VR::UI, "2.25.3".to_owned()),
            (tags::FRAME_OF_REFERENCE_UID, VR::UI, "2.25.4".to_owned()),
            (tags::MODALITY, VR::CS, "CT".to_owned()),
            (tags::IMAGE_POSITION_PATIENT, VR::DS, format!("-250\\-250\\{}", f64::from(z) * 1.25)),
            (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0".to_owned()),
            (tags::PIXEL_SPACING, VR::DS, "0.9765625\\0.9765625".to_owned()),
            (tags::SLICE_THICKNESS, VR::DS, "1.25".to_owned()),
            (tags::RESCALE_SLOPE, VR::DS, "1".to_owned()),
            (tags::RESCALE_INTERCEPT, VR::DS, "-1024".to_owned()),
            (tags::RESCALE_TYPE, VR::LO, "HU".to_owned()),
            (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2".to_owned()),
        ] {
            object.put_str(tag, vr, value);
        }
        for (tag, value) in [
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::ROWS, SIZE),
            (tags::COLUMNS, SIZE),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 16),
            (tags::HIGH_BIT, 15),
            (tags::PIXEL_REPRESENTATION, 1),
        ] {
            object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        let pixel = |k: u32| u16::try_from((k.wrapping_mul(2_654_435_761) >> 20) % 3000).unwrap_or(0);
        let pixels = (0..u32::from(SIZE) * u32::from(SIZE)).map(|k| pixel(k + 977 * z)).collect();
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels)));
        let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        object.with_meta(meta)?.write_to_file(folder.join(format!("{index:04}.dcm")))?;
    }
    Ok(())
}

fn read(folders: &[String]) -> Result<(), Failure> {
    let policies = Policies::new([(FindingKind::TooFewSlices, Policy::Accept)]);
    let before = memory_mib("VmRSS:")?;
    let begun = Instant::now();
    let mut volumes = Vec::new();
    for folder in folders {
        let files: Vec<PathBuf> =
            std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
        volumes.push(SeriesVolume::read(&files, "X", &policies)?);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let most = memory_mib("VmHWM:")? - before;
    let voxels: usize = volumes.iter().map(|series| series.volume.geometry.n_voxels()).sum();
    let volume_mib = voxels as f64 * 4.0 / f64::from(1 << 20);
    println!("{seconds:.3} s, {most:.0} MiB, {:.2} times the {volume_mib:.0} MiB of the volume", most / volume_mib);
    Ok(())
}

/// A line of the process's status.
fn memory_mib(name: &str) -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}
