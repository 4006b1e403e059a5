//! How sharp an image is, and who says so: per axis the configuration, the site's table, the header, the image itself, or
//! what is usual.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use serde::Serialize;

use crate::align::edge_fwhm_mm;
use crate::config::Fwhm;
use crate::dicom::attributes::{number, numbers, text};
use crate::image::{Modality, Psf, Volume};
use crate::table::{ResolutionRow, ResolutionTable, scanner_facts};

/// Who tells the width along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PsfSource {
    /// The protocol.
    Configured,
    /// The site's table.
    Table,
    /// The header.
    Tags,
    /// The image.
    Estimate,
    /// Nobody: what is usual for the modality.
    Assumed,
}

/// The resolution of an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct KnownPsf {
    #[serde(skip)]
    pub(super) psf: Psf,
    pub(super) fwhm_mm: [f64; 3],
    pub(super) source: [PsfSource; 3],
    pub(super) uncertainty_mm: [f64; 3],
}

/// What a source that says no more is good for, as a share of the width.
const UNCERTAINTY_TABLE: f64 = 0.1;
const UNCERTAINTY_TAGS: f64 = 0.15;
const UNCERTAINTY_ESTIMATE: f64 = 0.15;
/// Of PET and MR, whose edges are those of the tissue too.
const UNCERTAINTY_UPPER: f64 = 0.3;
const UNCERTAINTY_ASSUMED: f64 = 0.3;
/// The full width of a Gaussian with the variance of a box of width one: 2 sqrt(2 ln 2) / sqrt(12).
const FWHM_OF_BOX: f64 = 0.679_778;
/// The full width of the sinc that sampling k-space to its edge leaves, in units of the acquired voxel.
const FWHM_OF_ACQUISITION: f64 = 1.2;
/// What the detectors and the positron's range leave of a point before any filter, mm FWHM.
const PET_INTRINSIC_MM: f64 = 4.5;

impl KnownPsf {
    /// Table > tags > estimate > what is usual; a width that the protocol gives comes before all.
    pub(super) fn of(
        given: Fwhm,
        table: &ResolutionTable,
        header: &InMemDicomObject,
        modality: Modality,
        volume: &Volume<f32>,
    ) -> Self {
        if let Fwhm::Given(fwhm_mm) = given {
            let (source, uncertainty_mm) = ([PsfSource::Configured; 3], [0.0; 3]);
            return Self { psf: Psf { fwhm_mm }, fwhm_mm, source, uncertainty_mm };
        }
        let row = table.find(&scanner_facts(header));
        let told = row.map_or([None; 3], ResolutionRow::fwhm_mm);
        let tags = of_tags(header, modality, volume);
        let missing = (0..3).any(|axis| told[axis].or(tags[axis]).is_none());
        let estimate = if missing { edge_fwhm_mm(volume, modality) } else { [None; 3] };
        let of_edges = if modality == Modality::Ct { UNCERTAINTY_ESTIMATE } else { UNCERTAINTY_UPPER };
        let usual = Psf::assumed(modality, &volume.geometry).fwhm_mm;
        let mut known = Self {
            psf: Psf { fwhm_mm: usual },
            fwhm_mm: usual,
            source: [PsfSource::Assumed; 3],
            uncertainty_mm: usual.map(|width| UNCERTAINTY_ASSUMED * width),
        };
        for axis in 0..3 {
            let sources = [
                (told[axis], PsfSource::Table, UNCERTAINTY_TABLE),
                (tags[axis], PsfSource::Tags, UNCERTAINTY_TAGS),
                (estimate[axis], PsfSource::Estimate, of_edges),
            ];
            let Some((width, source, share)) = sources.into_iter().find_map(|(w, s, u)| w.map(|w| (w, s, u))) else {
                continue;
            };
            known.fwhm_mm[axis] = width;
            known.source[axis] = source;
            known.uncertainty_mm[axis] = share * width;
            if let (PsfSource::Table, Some(sure)) = (source, row.and_then(|row| row.uncertainty_mm())) {
                known.uncertainty_mm[axis] = sure;
            }
        }
        known.psf = Psf { fwhm_mm: known.fwhm_mm };
        known
    }

    /// Whether nobody told the width along some axis.
    pub(super) fn is_assumed(&self) -> bool {
        self.source.contains(&PsfSource::Assumed)
    }

    /// Width, source and uncertainty in words.
    pub(super) fn words(&self) -> String {
        let axis = |k: usize| {
            let source = match self.source[k] {
                PsfSource::Configured => "configured",
                PsfSource::Table => "table",
                PsfSource::Tags => "tags",
                PsfSource::Estimate => "estimate",
                PsfSource::Assumed => "assumed",
            };
            format!("{:.2} +- {:.2} ({source})", self.fwhm_mm[k], self.uncertainty_mm[k])
        };
        format!("{} x {} x {} mm FWHM", axis(0), axis(1), axis(2))
    }
}

/// What a header says of the resolution.
///
/// - Slice Thickness (0018,0050) of CT and MR is a box: its width as the Gaussian of the same variance.
/// - An MR's Acquisition Matrix (0018,1310) over its field of view is the voxel that was acquired, whatever was made of it.
/// - A PET's Convolution Kernel (0018,1210) names the filter that was laid on, such as `XYZ Gauss5.00`.
fn of_tags(header: &InMemDicomObject, modality: Modality, volume: &Volume<f32>) -> [Option<f64>; 3] {
    let positive = |value: &f64| value.is_finite() && *value > 0.0;
    let thickness = number(header, tags::SLICE_THICKNESS).ok().flatten().filter(positive);
    // Thick slices that overlap are blunter than their distance; thin ones with gaps are as blunt as they are thick.
    let through = thickness.map(|mm| FWHM_OF_BOX * mm);
    match modality {
        Modality::Ct => [None, None, through],
        Modality::Mr => {
            let [x, y] = acquired_mm(header, volume);
            [x, y, through]
        }
        Modality::Pet => {
            let filter = gauss_mm(&text(header, tags::CONVOLUTION_KERNEL));
            [filter.map(|mm| mm.hypot(PET_INTRINSIC_MM)); 3]
        }
        Modality::Other => [None; 3],
    }
}

/// The acquired voxel of an MR image in the plane, as a full width.
fn acquired_mm(header: &InMemDicomObject, volume: &Volume<f32>) -> [Option<f64>; 2] {
    // Frequency rows, frequency columns, phase rows, phase columns; two of them are 0.
    let matrix = numbers(header, tags::ACQUISITION_MATRIX).unwrap_or_default();
    let &[frequency_rows, frequency_columns, phase_rows, phase_columns] = matrix.as_slice() else { return [None; 2] };
    let (rows, columns) = (frequency_rows.max(phase_rows), frequency_columns.max(phase_columns));
    #[allow(clippy::cast_precision_loss)] // grid sizes
    let width = |axis: usize, n: f64| {
        let field = volume.geometry.size[axis] as f64 * volume.geometry.spacing_mm[axis];
        let acquired = field / n;
        let sane = n > 0.0 && acquired >= 0.5 * volume.geometry.spacing_mm[axis] && acquired < 20.0;
        sane.then_some(FWHM_OF_ACQUISITION * acquired)
    };
    [width(0, columns), width(1, rows)]
}

/// The width of a Gaussian filter that a kernel's name tells.
fn gauss_mm(kernel: &str) -> Option<f64> {
    let lower = kernel.to_lowercase();
    let (_, after) = lower.split_once("gauss")?;
    let digits: String = after
        .trim_start_matches(|c: char| !c.is_ascii_digit())
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    digits.parse().ok().filter(|mm| (0.5..=30.0).contains(mm))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;
    use dicom_core::{DataElement, VR, dicom_value};

    fn volume() -> Volume<f32> {
        let grid = Geometry::new([256, 256, 4], [1.0, 1.0, 5.0], [0.0; 3], IDENTITY).unwrap();
        Volume::filled(grid, 0.0)
    }

    fn header(kernel: &str) -> InMemDicomObject {
        let mut header = InMemDicomObject::new_empty();
        header.put_str(tags::MANUFACTURER, VR::LO, "Maker");
        header.put_str(tags::SLICE_THICKNESS, VR::DS, "5");
        header.put_str(tags::CONVOLUTION_KERNEL, VR::SH, kernel);
        header.put(DataElement::new(tags::ACQUISITION_MATRIX, VR::US, dicom_value!(U16, [0, 128, 192, 0])));
        header
    }

    fn known(modality: Modality, kernel: &str, table: &str) -> KnownPsf {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("psf.csv");
        let columns = "manufacturer,model,reconstruction,kernel,fwhm_x_mm,fwhm_y_mm,fwhm_z_mm,uncertainty_mm\n";
        std::fs::write(&path, format!("{columns}{table}")).unwrap();
        let table = ResolutionTable::read(Some(&path)).unwrap();
        KnownPsf::of(Fwhm::Auto, &table, &header(kernel), modality, &volume())
    }

    #[test]
    fn the_table_comes_before_the_tags_and_these_before_what_is_usual() {
        use PsfSource::{Assumed, Table, Tags};
        let mr = known(Modality::Mr, "", "");
        assert_eq!(mr.source, [Tags; 3]);
        let expected = [2.4, 1.6, 3.398_89];
        assert!(mr.fwhm_mm.iter().zip(expected).all(|(found, e)| (found - e).abs() < 1e-4), "{mr:?}");
        let mr = known(Modality::Mr, "", "Maker,,,,1.5,,,0.1\n");
        assert_eq!(mr.source, [Table, Tags, Tags]);
        assert!((mr.uncertainty_mm[0] - 0.1).abs() < 1e-12);
        let pet = known(Modality::Pet, "XYZ Gauss5.00", "");
        assert_eq!(pet.source, [Tags; 3]);
        assert!((pet.fwhm_mm[0] - 5.0f64.hypot(4.5)).abs() < 1e-9);
        let pet = known(Modality::Pet, "all pass", "");
        assert_eq!((pet.source, pet.is_assumed()), ([Assumed; 3], true));
        let ct = known(Modality::Ct, "B30f", "");
        assert_eq!(ct.source, [Assumed, Assumed, Tags]);
        assert!(ct.words().contains("(tags)") && ct.words().contains("(assumed)"), "{}", ct.words());
    }

    #[test]
    fn the_name_of_a_filter_tells_its_width_or_nothing() {
        assert_eq!(gauss_mm("XYZ Gauss5.00"), Some(5.0));
        assert_eq!(gauss_mm("GAUSS 2.5 mm"), Some(2.5));
        assert_eq!(gauss_mm("Gauss"), None);
        assert_eq!(gauss_mm("Hann 6"), None);
    }
}
