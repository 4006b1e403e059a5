//! One plane of one image, with the outline of the region, the directions, a scale and the mark of research use.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // pixels

use super::planes::EDGES;
use super::text::{self, Colour, Style};
use super::window::{Window, byte};
use crate::image::{Geometry, Interpolation, Mask, Transform, Volume, resample, resample_mask};
use crate::report::png::Rgb;

/// Pixels of the side of a panel.
pub(super) const SIDE: usize = 288;

/// What lies over every picture of a patient.
pub(in crate::report) const WATERMARK: &str = "RESEARCH USE ONLY";

const WHITE: Colour = [255; 3];

/// An image and how it is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    pub volume: &'a Volume<f32>,
    pub window: Window,
    /// High values are black.
    pub inverted: bool,
    /// From the space of the plane to that of the image.
    pub map: &'a Transform,
}

impl Shown<'_> {
    fn values(&self, plane: &Geometry) -> Volume<f32> {
        resample(self.volume, plane, self.map, Interpolation::Linear)
    }
}

/// A plane of an image in grey.
pub(super) fn grey(shown: &Shown<'_>, plane: &Geometry) -> Rgb {
    let values = shown.values(plane);
    let pixel = |value: &f32| {
        let share = shown.window.share(*value);
        // Where there is no image it is dark, whatever the scale.
        [byte(if shown.inverted && value.is_finite() { 1.0 - share } else { share }); 3]
    };
    Rgb { width: plane.size[0], height: plane.size[1], pixels: values.voxels.iter().map(pixel).collect() }
}

/// A plane of an image in grey under another in the colours of heat: the more, the less is let through.
pub(super) fn overlaid(below: &Shown<'_>, above: &Shown<'_>, plane: &Geometry) -> Rgb {
    let mut picture = grey(below, plane);
    for (pixel, value) in picture.pixels.iter_mut().zip(&above.values(plane).voxels) {
        let share = above.window.share(*value);
        let cover = (2.0 * share).min(1.0) * 0.7;
        for (channel, heat) in pixel.iter_mut().zip([3.0 * share, 3.0 * share - 1.0, 3.0 * share - 2.0]) {
            *channel = byte(f32::from(*channel) / 255.0 * (1.0 - cover) + heat.clamp(0.0, 1.0) * cover);
        }
    }
    picture
}

/// Draws the rim of a region where the plane cuts it.
pub(super) fn outline(picture: &mut Rgb, mask: &Mask, map: &Transform, plane: &Geometry, colour: Colour) {
    let cut = resample_mask(mask, plane, map);
    let [width, height, _] = plane.size;
    let inside = |x: usize, y: usize| x < width && y < height && cut.voxels[[0, y, x]];
    for y in 0..height {
        for x in 0..width {
            let within =
                inside(x.wrapping_sub(1), y) && inside(x + 1, y) && inside(x, y.wrapping_sub(1)) && inside(x, y + 1);
            if inside(x, y) && !within {
                text::blend(picture, x, y, colour, 255);
            }
        }
    }
}

/// Directions at the edges, the mark of research use, and a bar of a round length.
pub(super) fn annotate(picture: &mut Rgb, plane: usize, step_mm: f64) {
    let style = Style::bold(WHITE);
    let [left, right, top, bottom] = EDGES[plane].map(|letter| letter.to_string());
    let (width, height) = (picture.width, picture.height);
    let (middle_x, middle_y) = (width / 2, (height / 2).saturating_sub(style.line() / 2));
    letter(picture, 3, middle_y, &left);
    letter(picture, width.saturating_sub(style.letter() + 3), middle_y, &right);
    letter(picture, middle_x - style.letter() / 2, 2, &top);
    letter(picture, middle_x - style.letter() / 2, height.saturating_sub(style.line() + 2), &bottom);
    let mark = Style::bold([255, 60, 60]).watermark();
    text::write_about(picture, middle_x, height.saturating_sub(2 * style.line() + 8), WATERMARK, mark);
    bar(picture, step_mm);
}

/// A white letter on a dark ground: it is read on white and on black.
fn letter(picture: &mut Rgb, left: usize, top: usize, letter: &str) {
    let style = Style::bold(WHITE);
    for y in top..top + style.line() {
        for x in left.saturating_sub(1)..=left + style.letter() {
            text::blend(picture, x, y, [0; 3], 150);
        }
    }
    text::write(picture, left, top, letter, style);
}

/// The longest round length that is no longer than a third of the panel, with its number.
fn bar(picture: &mut Rgb, step_mm: f64) {
    let third_mm = picture.width as f64 * step_mm / 3.0;
    let length_mm = [5.0, 10.0, 20.0, 50.0, 100.0].into_iter().rev().find(|length| *length <= third_mm);
    let Some(length_mm) = length_mm else { return };
    let length = (length_mm / step_mm).round() as usize;
    let (left, top) = (6, picture.height.saturating_sub(8));
    text::fill(picture, [left - 1, top - 1], [length + 2, 5], [0; 3]);
    text::fill(picture, [left, top], [length, 3], WHITE);
    let style = Style::bold(WHITE);
    let label = format!("{length_mm} mm");
    let above = top.saturating_sub(style.line() + 1);
    for (n, one) in label.chars().enumerate() {
        letter(picture, left + n * style.letter(), above, &one.to_string());
    }
}
