//! The picture of one lesion: a row of three planes for each role that it was measured on, and one of the PET on the
//! reference where a trusted registration says where it lies.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // pixels

use std::sync::Arc;

use super::panel::{self, SIDE, Shown};
use super::planes::{self, NAMES};
use super::text::{self, Colour, Style};
use super::window::Window;
use crate::dicom::product;
use crate::dicom::uid::Uid;
use crate::image::{Geometry, Interpolation, Mask, Transform, Volume, resample};
use crate::math::linalg::{self, Vec3};
use crate::report::evaluate::RESEARCH_USE;
use crate::report::png::Rgb;
use crate::report::{CaseResult, ImageSeries, Lesion, MeasurementGroup, colour, summary};

/// Pixels of a sheet from side to side; pages of numbers have the same.
pub(super) const WIDTH: usize = LABELS + 3 * (SIDE + GAP);
/// Pixels of the column that says what the rows are.
const LABELS: usize = 132;
/// Pixels between panels.
const GAP: usize = 6;
/// Pixels above the panels, and below.
pub(super) const HEAD: usize = 74;
const COLUMN_NAMES: usize = 22;
pub(super) const FOOT: usize = 30;

pub(super) const GROUND: Colour = [16, 18, 22];
pub(super) const TEXT: Colour = [225, 228, 232];
pub(super) const FAINT: Colour = [150, 156, 164];
pub(super) const RED: Colour = [255, 92, 80];

/// The planes show this many times the lesion's longest side, within these limits.
const SURROUNDINGS: f64 = 2.0;
const SIDE_MM: [f64; 2] = [80.0, 400.0];

/// A role on which the lesion was measured, with what its pictures need.
struct Row<'a> {
    image: &'a ImageSeries,
    group: &'a MeasurementGroup,
    volume: &'a Arc<Volume<f32>>,
    /// The middle of the region in the space of the role.
    centre: Vec3,
    window: Window,
    inverted: bool,
}

/// The picture, and the slices of the images that it shows; nothing where no image of the lesion is at hand.
pub(super) fn sheet(case: &CaseResult, lesion: &Lesion) -> Option<(Rgb, Vec<(Uid, Uid)>)> {
    let groups = case.images.iter().filter_map(|image| {
        let group = summary::group(case, lesion.number, &image.role)?;
        Some((image, group, case.volumes.get(&image.role)?, extent(&group.mask)?))
    });
    let groups: Vec<_> = groups.collect();
    let longest = groups.iter().map(|(_, _, _, (_, side))| *side).fold(0.0, f64::max);
    let side_mm = (SURROUNDINGS * longest).clamp(SIDE_MM[0], SIDE_MM[1]);
    let rows: Vec<Row> = groups
        .into_iter()
        .map(|(image, group, volume, (centre, _))| {
            let (window, inverted) = scale(image, group, volume, centre, side_mm);
            Row { image, group, volume, centre, window, inverted }
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let fused = fused(case, &rows);
    let n_rows = rows.len() + usize::from(fused.is_some());
    let height = HEAD + COLUMN_NAMES + n_rows * (SIDE + GAP) + FOOT;
    let mut sheet = Rgb::filled(WIDTH, height, GROUND);
    frame(&mut sheet, case, &summary::title(lesion), "Outline: the region that was measured");
    for (column, name) in NAMES.into_iter().enumerate() {
        let middle = LABELS + column * (SIDE + GAP) + SIDE / 2;
        text::write_about(&mut sheet, middle, HEAD, name, Style::plain(FAINT));
    }
    let colour = colour::srgb_of_lesion(lesion.number);
    for (n, row) in rows.iter().enumerate() {
        let shown = Shown { volume: row.volume, window: row.window, inverted: row.inverted, map: &Transform::Identity };
        let panels = panels(row, side_mm, colour, |plane| panel::grey(&shown, plane));
        put_row(&mut sheet, n, &label(row), &panels);
    }
    if let Some(fused) = &fused {
        let row = fused.row;
        let below = Shown { volume: row.volume, window: row.window, inverted: row.inverted, map: &Transform::Identity };
        let above = Shown { volume: fused.pet.volume, window: fused.pet.window, inverted: false, map: fused.map };
        let panels = panels(row, side_mm, colour, |plane| panel::overlaid(&below, &above, plane));
        put_row(&mut sheet, rows.len(), &fused_label(fused), &panels);
    }
    let shown = rows.iter().filter_map(|row| slice_at(row.image, row.centre)).collect();
    Some((sheet, shown))
}

/// Title, the mark of research use, and the name of the program on a page.
pub(super) fn frame(page: &mut Rgb, case: &CaseResult, title: &str, second: &str) {
    let (width, height) = (page.width, page.height);
    text::write(page, 12, 12, title, Style::heading(TEXT));
    text::write_to(page, width - 12, 16, panel::WATERMARK, Style::bold(RED));
    text::write(page, 12, 44, second, Style::plain(FAINT));
    let made =
        format!("{} {}, protocol {}, revision {}", product::MODEL, product::VERSION, case.protocol, case.revision);
    text::write_to(page, width - 12, 44, &made, Style::plain(FAINT));
    text::write(page, 12, height - 23, RESEARCH_USE, Style::bold(RED));
}

/// The panels of one row: the planes through the middle of the region, its outline on them.
fn panels(row: &Row, side_mm: f64, colour: Colour, draw: impl Fn(&Geometry) -> Rgb) -> [Rgb; 3] {
    let step_mm = side_mm / SIDE as f64;
    let mut number = 0;
    around(row.centre, side_mm).map(|plane| {
        let mut picture = draw(&plane);
        panel::outline(&mut picture, &row.group.mask, &Transform::Identity, &plane, colour);
        panel::annotate(&mut picture, number, step_mm);
        number += 1;
        picture
    })
}

fn around(centre: Vec3, side_mm: f64) -> [Geometry; 3] {
    let half = [side_mm / 2.0; 3];
    planes::through(centre, linalg::sub(centre, half), linalg::add(centre, half), side_mm / SIDE as f64)
}

fn put_row(sheet: &mut Rgb, number: usize, label: &[String], panels: &[Rgb; 3]) {
    let top = HEAD + COLUMN_NAMES + number * (SIDE + GAP);
    let mut line = top + 4;
    let most = (LABELS - 14) / Style::plain(TEXT).letter();
    for (n, words) in label.iter().enumerate() {
        let style = if n == 0 { Style::bold(TEXT) } else { Style::plain(FAINT) };
        for part in text::wrapped(words, most) {
            text::write(sheet, 10, line, &part, style);
            line += style.line() + 2;
        }
        line += 4;
    }
    for (column, picture) in panels.iter().enumerate() {
        sheet.put(picture, LABELS + column * (SIDE + GAP), top);
    }
}

/// What a row shows, in the units of its image.
fn label(row: &Row) -> Vec<String> {
    let unit = summary::intensity_unit(row.group);
    let unit = match (row.image.modality.as_str(), unit) {
        ("CT", "[hnsf'U]") => "HU",
        (_, unit) if summary::is_suv(unit) => "SUV",
        _ => "",
    };
    let ends = [row.window.low, row.window.high].map(end);
    let [white, black] = if row.inverted { ["white", "black"] } else { ["black", "white"] };
    let mut label = vec![row.image.role.clone()];
    label.push(format!("{} {unit} {white}", ends[0]));
    label.push(format!("{} {unit} {black}", ends[1]));
    if row.group.drawn_on.role != row.image.role {
        label.push(format!("region carried from {}", row.group.drawn_on.role));
    } else if row.group.drawn_on.automatic {
        label.push("region by a rule".to_owned());
    }
    label
}

/// An end of a window: two digits behind the point where it is not whole.
fn end(value: f32) -> String {
    if value.fract().abs() < f32::EPSILON { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// The middle of a region in patient space, and the longest side of its box in mm; nothing where it is empty.
fn extent(mask: &Mask) -> Option<(Vec3, f64)> {
    let (mut sum, mut n) = ([0.0; 3], 0.0);
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    for ((z, y, x), _) in mask.voxels.indexed_iter().filter(|(_, inside)| **inside) {
        let index = [x as f64, y as f64, z as f64];
        sum = linalg::add(sum, index);
        n += 1.0;
        for axis in 0..3 {
            (low[axis], high[axis]) = (low[axis].min(index[axis]), high[axis].max(index[axis]));
        }
    }
    if n < 1.0 {
        return None;
    }
    let sides = (0..3).map(|axis| (high[axis] - low[axis] + 1.0) * mask.geometry.spacing_mm[axis]);
    Some((mask.geometry.voxel_to_world(linalg::scale(1.0 / n, sum)), sides.fold(0.0, f64::max)))
}

/// The values that are black and white, and whether high ones are black, as the modality is usually read.
fn scale(
    image: &ImageSeries,
    group: &MeasurementGroup,
    volume: &Volume<f32>,
    centre: Vec3,
    side_mm: f64,
) -> (Window, bool) {
    let unit = summary::intensity_unit(group);
    match image.modality.as_str() {
        "CT" if unit == "[hnsf'U]" && in_lung(volume, centre, side_mm) => (Window::LUNG, false),
        "CT" if unit == "[hnsf'U]" => (Window::SOFT_TISSUE, false),
        "PT" if summary::is_suv(unit) => (Window::SUV, true),
        "PT" => (Window::of(volume), true),
        _ => (Window::of(volume), false),
    }
}

/// Whether most of the patient around the lesion is lung: its window shows a nodule's surroundings, soft tissue's does not.
fn in_lung(ct: &Volume<f32>, centre: Vec3, side_mm: f64) -> bool {
    const AIR_HU: f32 = -960.0;
    const LUNG_HU: f32 = -500.0;
    let [transverse, ..] = around(centre, side_mm);
    let values = resample(ct, &transverse, &Transform::Identity, Interpolation::Nearest).voxels;
    let of = |below: f32| values.iter().filter(|value| (AIR_HU..below).contains(*value)).count();
    2 * of(LUNG_HU) > of(f32::INFINITY)
}

/// The PET on the reference.
struct Fused<'a> {
    row: &'a Row<'a>,
    pet: &'a Row<'a>,
    map: &'a Transform,
    estimated: bool,
}

/// A PET in SUV that is registered to a reference of another modality, both with the lesion.
fn fused<'a>(case: &'a CaseResult, rows: &'a [Row<'a>]) -> Option<Fused<'a>> {
    let row = rows.iter().find(|row| row.image.role == case.reference_role && row.image.modality != "PT")?;
    let pets = case.registrations.iter().filter(|registration| registration.trusted).filter_map(|registration| {
        let pet = rows.iter().find(|row| row.image.role == registration.role && row.image.modality == "PT")?;
        Some(Fused { row, pet, map: &registration.fixed_to_moving, estimated: registration.estimated })
    });
    pets.into_iter().next()
}

fn fused_label(fused: &Fused) -> Vec<String> {
    let window = fused.pet.window;
    let [low, high] = [window.low, window.high].map(end);
    let how = if fused.estimated { "registered by the images" } else { "registered by the headers" };
    vec![
        format!("{} on {}", fused.pet.image.role, fused.row.image.role),
        format!("{low} clear"),
        format!("{high} white hot"),
        how.to_owned(),
    ]
}

/// The slice nearest to a point.
fn slice_at(image: &ImageSeries, point: Vec3) -> Option<(Uid, Uid)> {
    let z = image.geometry.world_to_voxel(point)[2].round().max(0.0) as usize;
    image.slices.get(z).or_else(|| image.slices.last()).cloned()
}
