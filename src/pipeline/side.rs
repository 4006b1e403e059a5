//! Whether a lesion lies on the side that its code says (DICOM PS3.16 CID 244).
//!
//! A side comes from the segmentation, the structure set or the protocol, and each of them may be about another patient or
//! the other leg. It is held against what else tells a side: the codes of the lesion's other drawings, the laterality in
//! the headers of the images that it was drawn on, and its place. A lesion lies on the other side when its centroid is more
//! than a centimetre beyond both the middle of the body (at its height) and the origin of the patient's axes: a scan of one
//! limb has no middle of the body, and a patient who lies off the table's middle no origin in it. x grows to the left
//! (PS3.3 C.7.6.2.1.1).

#![allow(clippy::cast_precision_loss)] // voxel indices

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::error::PipelineError;
use super::lesions::Lesion;
use super::regions::Region;
use super::remarks::Remarks;
use super::roles::Role;
use crate::dicom::attributes;
use crate::dicom::codes::read_code_item;
use crate::finding::FindingKind;
use crate::image::{Mask, Volume};
use crate::volume::Units;

/// How far on the other side a centroid has to be.
const BEYOND_MM: f64 = 10.0;
/// CT numbers of the body; air and most of the lungs are below.
const BODY_HU_MIN: f32 = -400.0;
/// Other bodies are brighter than this share of the image's mean: air has next to nothing.
const BODY_SHARE_OF_MEAN: f64 = 0.5;
/// Points in which the body is looked for: the middle is known to well below a millimetre.
const POINTS_MAX: usize = 200_000;

/// Left or right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

impl Side {
    /// SNOMED CT, and the older SRT, codes. Bilateral and unilateral say nothing that a place could contradict.
    fn of_code(value: &str) -> Option<Self> {
        match value {
            "7771000" | "G-A101" => Some(Self::Left),
            "24028007" | "G-A100" => Some(Self::Right),
            _ => None,
        }
    }

    /// L or R of a header; B (both) and U (unpaired) are none.
    fn of_header(value: &str) -> Option<Self> {
        match value {
            "L" => Some(Self::Left),
            "R" => Some(Self::Right),
            _ => None,
        }
    }

    /// The side on which a lesion surely lies, if it does: x in mm, the body's middle at its height.
    fn of_place(x_mm: f64, middle_mm: f64) -> Option<Self> {
        if x_mm > middle_mm + BEYOND_MM && x_mm > BEYOND_MM {
            return Some(Self::Left);
        }
        (x_mm < middle_mm - BEYOND_MM && x_mm < -BEYOND_MM).then_some(Self::Right)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

/// Holds the side of every lesion that has one against what else tells it.
///
/// # Errors
/// When they contradict each other, and the site does not accept that.
pub(super) fn check(
    lesions: &[Lesion],
    regions: &[Region],
    roles: &[Role<'_>],
    remarks: &mut Remarks<'_>,
) -> Result<(), PipelineError> {
    let mut usable = true;
    for lesion in lesions {
        let code = lesion.told.laterality.as_ref().and_then(|code| Side::of_code(&code.value));
        let Some(side) = code else { continue };
        for region in lesion.drawn.iter().map(|idx| &regions[*idx]) {
            let role = &roles[region.role];
            for (other, told_by) in others(region, role) {
                if other != side {
                    let detail =
                        format!("its code says {}, {told_by} on {} says {}", side.word(), role.name(), other.word());
                    usable &= remarks.find(FindingKind::LateralityConflict, &lesion.subject(), detail);
                }
            }
        }
    }
    if usable { Ok(()) } else { Err(PipelineError::SideConflict { findings: remarks.findings.clone() }) }
}

/// Every other sign of a side that a drawing has.
fn others(region: &Region, role: &Role<'_>) -> Vec<(Side, &'static str)> {
    let code = region.laterality.as_ref().and_then(|code| Side::of_code(&code.value));
    let place = place(&region.mask, &role.volume, role.units);
    [
        (code, "the code of its drawing"),
        (of_header(&role.series.header), "the header of the images"),
        (place, "its place"),
    ]
    .into_iter()
    .filter_map(|(side, told_by)| Some((side?, told_by)))
    .collect()
}

/// Image Laterality (0020,0062), Laterality (0020,0060), Frame Laterality (0020,9072), or the modifier of the Anatomic
/// Region (0008,2220).
fn of_header(header: &InMemDicomObject) -> Option<Side> {
    let shared = attributes::first_item(header, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let frame = shared.and_then(|groups| attributes::first_item(groups, tags::FRAME_ANATOMY_SEQUENCE));
    let letter = |object, tag| Side::of_header(&attributes::code_string(object, tag));
    let modifier = |object| {
        let region = attributes::first_item(object, tags::ANATOMIC_REGION_SEQUENCE)?;
        let item = attributes::first_item(region, tags::ANATOMIC_REGION_MODIFIER_SEQUENCE)?;
        Side::of_code(&read_code_item(item)?.value)
    };
    letter(header, tags::IMAGE_LATERALITY)
        .or_else(|| letter(header, tags::LATERALITY))
        .or_else(|| letter(frame?, tags::FRAME_LATERALITY))
        .or_else(|| modifier(header))
}

/// On which side of the body a region lies, where that is sure.
fn place(mask: &Mask, image: &Volume<f32>, units: Units) -> Option<Side> {
    let (mut sum, mut n) = ([0.0; 3], 0usize);
    let (mut first, mut last) = (usize::MAX, 0);
    for ((z, y, x), inside) in mask.voxels.indexed_iter() {
        if *inside {
            for (sum, index) in sum.iter_mut().zip([x, y, z]) {
                *sum += index as f64;
            }
            n += 1;
            (first, last) = (first.min(z), last.max(z));
        }
    }
    if n == 0 {
        return None;
    }
    let centroid = image.geometry.voxel_to_world(sum.map(|sum| sum / n as f64));
    Side::of_place(centroid[0], middle_of_body(image, units, first..=last)?)
}

/// The median x of the body in some slices; `None` where there is none.
fn middle_of_body(image: &Volume<f32>, units: Units, slices: std::ops::RangeInclusive<usize>) -> Option<f64> {
    let [columns, rows, _] = image.geometry.size;
    let every = (columns * rows * slices.clone().count() / POINTS_MAX).max(1);
    let points = || {
        let of_slice = |z| (0..rows).flat_map(move |y| (0..columns).map(move |x| [x, y, z]));
        slices.clone().flat_map(of_slice).step_by(every)
    };
    let value = |[x, y, z]: [usize; 3]| image.voxels.get((z, y, x)).copied().filter(|value| value.is_finite());
    let lowest = match units {
        Units::Hounsfield => f64::from(BODY_HU_MIN),
        _ => {
            let (sum, n) = points().filter_map(value).fold((0.0, 0usize), |(sum, n), v| (sum + f64::from(v), n + 1));
            BODY_SHARE_OF_MEAN * sum / n.max(1) as f64
        }
    };
    let body = points().filter(|at| value(*at).is_some_and(|value| f64::from(value) > lowest));
    let mut xs: Vec<f64> = body.map(|at| image.geometry.voxel_to_world(at.map(|n| n as f64))[0]).collect();
    let middle = xs.len() / 2;
    if xs.is_empty() {
        return None;
    }
    Some(*xs.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::write::{put_items, put_text};
    use crate::image::Geometry;
    use crate::math::linalg::IDENTITY;

    /// A body of 200 mm whose middle is at `middle_mm`, in a field of view of 400 mm whose middle is at `field_mm`.
    fn body(middle_mm: f64, field_mm: f64) -> Volume<f32> {
        let grid = Geometry::new([200, 50, 3], [2.0; 3], [field_mm - 199.0, 0.0, 0.0], IDENTITY).unwrap();
        let mut image = Volume::filled(grid, -1000.0f32);
        for ((_, _, x), value) in image.voxels.indexed_iter_mut() {
            if (grid.voxel_to_world([x as f64, 0.0, 0.0])[0] - middle_mm).abs() < 100.0 {
                *value = 40.0;
            }
        }
        image
    }

    fn lesion_at(image: &Volume<f32>, x_mm: f64) -> Mask {
        let mut mask = Mask::filled(image.geometry, false);
        let at = image.geometry.world_to_voxel([x_mm, 20.0, 2.0]);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let index = at.map(|index| index.round() as usize);
        mask.voxels[[index[2], index[1], index[0]]] = true;
        mask
    }

    #[test]
    fn a_place_tells_a_side_only_beyond_the_middle_of_the_body_and_the_origin() {
        let side = |middle, field, x| {
            let image = body(middle, field);
            place(&lesion_at(&image, x), &image, Units::Hounsfield)
        };
        assert_eq!(side(0.0, 0.0, 50.0), Some(Side::Left));
        assert_eq!(side(0.0, 0.0, -50.0), Some(Side::Right));
        assert_eq!(side(0.0, 0.0, 6.0), None, "near the middle");
        assert_eq!(side(-60.0, 0.0, -30.0), None, "left in a patient who lies 6 cm to the right");
        assert_eq!(side(120.0, 120.0, 80.0), None, "the inner side of a left leg alone in its scan");
        assert_eq!(side(120.0, 120.0, 160.0), Some(Side::Left));
    }

    #[test]
    fn the_body_of_an_image_without_a_scale_is_what_is_bright() {
        let mut image = body(30.0, 0.0);
        image.voxels.mapv_inplace(|value| if value > 0.0 { 900.0 } else { 20.0 });
        let middle = middle_of_body(&image, Units::Arbitrary, 0..=2).unwrap();
        assert!((middle - 30.0).abs() <= 2.0, "{middle}");
        image.voxels.fill(f32::NAN);
        assert_eq!(middle_of_body(&image, Units::Arbitrary, 0..=2), None);
    }

    #[test]
    fn headers_tell_a_side_in_four_places() {
        let mut header = InMemDicomObject::new_empty();
        assert_eq!(of_header(&header), None);
        let mut modifier = InMemDicomObject::new_empty();
        for (tag, text) in
            [(tags::CODE_VALUE, "24028007"), (tags::CODING_SCHEME_DESIGNATOR, "SCT"), (tags::CODE_MEANING, "Right")]
        {
            put_text(&mut modifier, tag, text);
        }
        let mut region = InMemDicomObject::new_empty();
        put_items(&mut region, tags::ANATOMIC_REGION_MODIFIER_SEQUENCE, vec![modifier]);
        put_items(&mut header, tags::ANATOMIC_REGION_SEQUENCE, vec![region]);
        assert_eq!(of_header(&header), Some(Side::Right));
        let mut frame = InMemDicomObject::new_empty();
        put_text(&mut frame, tags::FRAME_LATERALITY, "L");
        let mut shared = InMemDicomObject::new_empty();
        put_items(&mut shared, tags::FRAME_ANATOMY_SEQUENCE, vec![frame]);
        put_items(&mut header, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]);
        assert_eq!(of_header(&header), Some(Side::Left));
        put_text(&mut header, tags::LATERALITY, "R");
        assert_eq!(of_header(&header), Some(Side::Right));
        put_text(&mut header, tags::IMAGE_LATERALITY, "L");
        assert_eq!(of_header(&header), Some(Side::Left));
        put_text(&mut header, tags::IMAGE_LATERALITY, "U");
        assert_eq!(of_header(&header), Some(Side::Right), "unpaired says nothing, the series does");
    }
}
