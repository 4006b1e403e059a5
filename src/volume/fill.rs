//! From frames in order to voxels: read, rescaled, and placed on the grid, slice by slice on all threads.

use rayon::prelude::*;

use super::VOXELS_MAX;
use super::error::VolumeError;
use super::frame::{Frame, Reading, Source};
use super::pixels::{PixelBuffers, PixelError, PixelSource};
use super::regular;
use super::samples::{self, Rescale};
use super::series::SlicePadding;
use super::stack::{Layout, Stack};
use crate::dicom::part10::FormatError;
use crate::image::Volume;

/// Reads, rescales and places every slice.
pub(super) fn fill(
    sources: &[Source],
    ordered: &[&Frame],
    stack: &Stack,
    factors: Option<&[f64]>,
    reading: &Reading<'_>,
) -> Result<(Volume<f32>, Vec<SlicePadding>), VolumeError> {
    let [width, height] = ordered.first().ok_or(VolumeError::Empty)?.shape.size;
    let [nx, ny, nz] = stack.geometry.size;
    let n_voxels = (nx as u64).saturating_mul(ny as u64).saturating_mul(nz.max(ordered.len()) as u64);
    if n_voxels > VOXELS_MAX {
        return Err(VolumeError::TooLarge(n_voxels));
    }
    let slice_voxels = nx * ny;
    let mut values = zeroed(slice_voxels * ordered.len())?;
    let outcomes: Vec<Result<usize, PixelError>> = values
        .par_chunks_exact_mut(slice_voxels)
        .zip(ordered)
        .enumerate()
        .map_init(Scratch::default, |scratch, (k, (out, frame))| {
            let factor = factors.and_then(|factors| factors.get(k)).copied().unwrap_or(1.0);
            let source = &sources[frame.source].pixels;
            match &stack.layout {
                Layout::Sheared(offsets) => {
                    scratch.slice.resize(width * height, 0.0);
                    let n_padding = decode(source, frame, factor, &mut scratch.buffers, &mut scratch.slice)?;
                    let slice = ndarray::ArrayView2::from_shape((height, width), &scratch.slice);
                    if let (Ok(slice), Some(offset)) = (slice, offsets.get(k)) {
                        regular::shear(slice, *offset, nx, out);
                    }
                    Ok(n_padding)
                }
                Layout::Regular | Layout::Interpolated(_) => decode(source, frame, factor, &mut scratch.buffers, out),
            }
        })
        .collect();
    let mut padding = Vec::new();
    for (k, outcome) in outcomes.into_iter().enumerate() {
        let n_voxels = outcome.map_err(|error| refused_pixels(error, reading))?;
        if n_voxels > 0 {
            let factor = factors.and_then(|factors| factors.get(k)).copied().unwrap_or(1.0);
            padding.push(SlicePadding {
                slice: k,
                n_voxels,
                value: samples::padding_quantity(ordered[k].padding, ordered[k].rescale.as_ref(), factor),
            });
        }
    }
    let volume = place(values, stack, ordered.len())?;
    Ok((volume, padding))
}

/// Memory that one thread reuses.
#[derive(Default)]
struct Scratch {
    buffers: PixelBuffers,
    slice: Vec<f32>,
}

/// One frame as quantities; how many pixels are padding.
fn decode(
    source: &PixelSource,
    frame: &Frame,
    factor: f64,
    buffers: &mut PixelBuffers,
    out: &mut [f32],
) -> Result<usize, PixelError> {
    let big_endian = source.read(&frame.shape, buffers)?;
    let identity = Rescale::Linear { slope: 1.0, intercept: 0.0 };
    let rescale = frame.rescale.as_ref().unwrap_or(&identity);
    Ok(samples::to_quantity(&buffers.words, big_endian, frame.shape.samples, frame.padding, rescale, factor, out))
}

/// Whether two frames hold the same numbers: then one of them is a copy.
pub(super) fn are_copies(sources: &[Source], a: &Frame, b: &Frame) -> bool {
    let words = |frame: &Frame| {
        let mut buffers = PixelBuffers::default();
        sources.get(frame.source)?.pixels.read(&frame.shape, &mut buffers).ok().map(|big| (big, buffers.words))
    };
    a.rescale == b.rescale
        && a.shape.samples == b.shape.samples
        && words(a).is_some_and(|found| Some(found) == words(b))
}

/// Zeros that the system gives page by page as they are written, or an error where it has none left.
fn zeroed(n: usize) -> Result<Vec<f32>, VolumeError> {
    let mut reserved: Vec<f32> = Vec::new();
    reserved.try_reserve_exact(n).map_err(|_| VolumeError::Memory(n))?;
    drop(reserved);
    Ok(vec![0.0; n])
}

/// From the slices in order to the volume on its grid.
fn place(values: Vec<f32>, stack: &Stack, n_slices: usize) -> Result<Volume<f32>, VolumeError> {
    let n_values = values.len();
    let whole = || VolumeError::Memory(n_values);
    match &stack.layout {
        Layout::Regular | Layout::Sheared(_) => Volume::from_values(stack.geometry, values).ok_or_else(whole),
        Layout::Interpolated(places) => {
            let [nx, ny, _] = stack.geometry.size;
            let geometry = crate::image::Geometry { size: [nx, ny, n_slices], ..stack.geometry };
            let slices = Volume::from_values(geometry, values).ok_or_else(whole)?;
            Ok(regular::interpolate(&slices, places, stack.geometry))
        }
    }
}

/// No policy can make up pixels that are not there.
fn refused_pixels(error: PixelError, reading: &Reading<'_>) -> VolumeError {
    match error {
        PixelError::Io(kind) => VolumeError::Format(FormatError::Io(kind.into())),
        error => reading.refused(error.kind(), error.to_string()),
    }
}
