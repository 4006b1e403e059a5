//! NIfTI-1 files (.nii, .nii.gz) as volumes and masks.
//!
//! The research format beside DICOM: one file, a header of 348 bytes and an array. Its world is right-anterior-superior;
//! x and y are negated on the way to LPS and back. The sform is used where its code is not 0, else the qform, else the
//! voxel spacing alone (NIfTI-1.1, methods 3, 2 and 1). Not read: header/image pairs, NIfTI-2, several volumes in one
//! file, complex and colour voxels, sheared grids.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "voxel values are stored as f32")]
#![deny(clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::error::{Duty, Fault, Retry};
use crate::image::{Geometry, GeometryError, Mask, Volume};
use crate::math::linalg::{self, Mat3, Vec3};

/// Bytes of the header.
const HEADER_BYTES: usize = 348;

/// The most voxels that are read: 4 GiB as `f32`.
const MAX_VOXELS: u64 = 1 << 30;

/// The most bytes that may lie between header and voxels.
const MAX_OFFSET: u64 = 1 << 26;

/// Why a NIfTI file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum NiftiError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a file of this kind.
    #[error("not a single-file NIfTI-1 image: {0}")]
    Format(String),
    /// The header describes something impossible or unsupported.
    #[error("NIfTI header: {field} is {found}, expected {expected}")]
    Header {
        /// The header's field.
        field: &'static str,
        /// What it holds.
        found: String,
        /// What can be read.
        expected: &'static str,
    },
    /// Fewer bytes than the header says.
    #[error("NIfTI voxels end after {found} bytes, {expected} expected")]
    Truncated {
        /// Bytes that are there.
        found: u64,
        /// Bytes that the header promises.
        expected: u64,
    },
    /// The grid is impossible.
    #[error("NIfTI grid: {0}")]
    Geometry(#[from] GeometryError),
}

impl Duty for NiftiError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } => Fault::Internal,
            _ => Fault::Data,
        }
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

/// Reads an image; `.nii` and `.nii.gz` are told apart by their bytes.
///
/// # Errors
/// When the file cannot be read, is no NIfTI-1 image of one volume, or is shorter than its header says.
pub fn read_image(path: &Path) -> Result<Volume<f32>, NiftiError> {
    let io = |source| NiftiError::Io { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(io)?;
    decode(std::io::BufReader::new(file)).map_err(|error| match error {
        DecodeError::Io(source) => io(source),
        DecodeError::Nifti(error) => error,
    })
}

/// Reads a mask: every voxel that is not 0 is inside.
///
/// # Errors
/// As [`read_image`].
pub fn read_mask(path: &Path) -> Result<Mask, NiftiError> {
    let image = read_image(path)?;
    Ok(Volume { voxels: image.voxels.mapv(|value| value.abs() > 0.0), geometry: image.geometry })
}

/// Writes an image as 32-bit floats, compressed where the name ends in `.gz`.
///
/// # Errors
/// When the grid is too large for the format, or the file cannot be written.
pub fn write_image(path: &Path, image: &Volume<f32>) -> Result<(), NiftiError> {
    let header = header(&image.geometry, 16, 32)?;
    write(path, &header, image.voxels.iter().flat_map(|value| value.to_le_bytes()))
}

/// Writes a mask as bytes of 0 and 1, compressed where the name ends in `.gz`.
///
/// # Errors
/// As [`write_image`].
pub fn write_mask(path: &Path, mask: &Mask) -> Result<(), NiftiError> {
    let header = header(&mask.geometry, 2, 8)?;
    write(path, &header, mask.voxels.iter().map(|inside| u8::from(*inside)))
}

/// A reader's failure or the bytes' own fault.
enum DecodeError {
    Io(std::io::Error),
    Nifti(NiftiError),
}

impl From<std::io::Error> for DecodeError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<NiftiError> for DecodeError {
    fn from(error: NiftiError) -> Self {
        Self::Nifti(error)
    }
}

fn decode(mut reader: impl Read) -> Result<Volume<f32>, DecodeError> {
    let mut start = [0; 2];
    let found = read_up_to(&mut reader, &mut start)?;
    let whole = start.get(..found).unwrap_or_default().chain(reader);
    if start == [0x1f, 0x8b] { decode_plain(GzDecoder::new(whole)) } else { decode_plain(whole) }
}

/// Fills the buffer as far as there are bytes.
fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut bytes = Vec::new();
    reader.by_ref().take(buffer.len() as u64).read_to_end(&mut bytes)?;
    buffer.iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
    Ok(bytes.len())
}

fn decode_plain(mut reader: impl Read) -> Result<Volume<f32>, DecodeError> {
    let mut bytes = [0; HEADER_BYTES];
    let found = read_up_to(&mut reader, &mut bytes)?;
    if found < HEADER_BYTES {
        return Err(NiftiError::Format(format!("{found} bytes, the header alone has {HEADER_BYTES}")).into());
    }
    let header = Header::parse(&bytes)?;
    let skip = header.offset - HEADER_BYTES as u64;
    let skipped = std::io::copy(&mut reader.by_ref().take(skip), &mut std::io::sink())?;
    let expected = header.kind.bytes() as u64 * header.voxels;
    let mut data = Vec::new();
    if skipped == skip {
        reader.take(expected).read_to_end(&mut data)?;
    }
    if (data.len() as u64) < expected {
        return Err(NiftiError::Truncated { found: data.len() as u64, expected }.into());
    }
    let values = header.values(&data);
    let found = values.len();
    Volume::from_values(header.geometry, values)
        .ok_or_else(|| NiftiError::Truncated { found: found as u64, expected: header.voxels }.into())
}

/// The numbers that a voxel may be stored as.
#[derive(Debug, Clone, Copy)]
enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl Kind {
    fn of(code: i16) -> Result<Self, NiftiError> {
        Ok(match code {
            2 => Self::U8,
            4 => Self::I16,
            8 => Self::I32,
            16 => Self::F32,
            64 => Self::F64,
            256 => Self::I8,
            512 => Self::U16,
            768 => Self::U32,
            1024 => Self::I64,
            1280 => Self::U64,
            _ => return Err(header_error("datatype", code, "an integer or real type of at most 64 bits")),
        })
    }

    const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

fn header_error(field: &'static str, found: impl ToString, expected: &'static str) -> NiftiError {
    NiftiError::Header { field, found: found.to_string(), expected }
}

struct Header {
    big_endian: bool,
    geometry: Geometry,
    voxels: u64,
    kind: Kind,
    offset: u64,
    slope: f64,
    intercept: f64,
}

impl Header {
    fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, NiftiError> {
        let big_endian = match bytes.first_chunk() {
            Some([0x5c, 1, 0, 0]) => false,
            Some([0, 0, 1, 0x5c]) => true,
            Some([0x1c, 2, 0, 0] | [0, 0, 2, 0x1c]) => return Err(NiftiError::Format("NIfTI-2".to_owned())),
            _ => return Err(NiftiError::Format("the first four bytes are not its header size".to_owned())),
        };
        let fields = Fields { bytes, big_endian };
        match bytes.last_chunk() {
            Some(b"n+1\0") => {}
            Some(b"ni1\0") => return Err(NiftiError::Format("a header whose voxels are in another file".to_owned())),
            _ => return Err(NiftiError::Format("no magic n+1 at byte 344".to_owned())),
        }
        let size = size(&fields)?;
        let voxels = size.iter().try_fold(1u64, |product, n| product.checked_mul(*n as u64));
        let Some(voxels) = voxels.filter(|voxels| *voxels <= MAX_VOXELS) else {
            return Err(header_error("dim", format!("{size:?}"), "at most 2^30 voxels"));
        };
        let offset = fields.float(108);
        if !(352.0..=MAX_OFFSET as f64).contains(&offset) || offset.fract() > 0.0 {
            return Err(header_error("vox_offset", offset, "a whole number of bytes from 352 to 2^26"));
        }
        let (slope, intercept) = (fields.float(112), fields.float(116));
        if !slope.is_finite() || !intercept.is_finite() {
            return Err(header_error("scl_slope or scl_inter", "not finite", "a finite number"));
        }
        // A slope of 0 means that the stored values are the values (NIfTI-1.1).
        let (slope, intercept) = if slope.abs() > 0.0 { (slope, intercept) } else { (1.0, 0.0) };
        let geometry = geometry(&fields, size)?;
        #[allow(clippy::cast_sign_loss, reason = "checked to be at least 352 above")]
        let offset = offset as u64;
        Ok(Self { big_endian, geometry, voxels, kind: Kind::of(fields.int(70))?, offset, slope, intercept })
    }

    /// The values of all voxels, scaled.
    fn values(&self, data: &[u8]) -> Vec<f32> {
        match self.kind {
            Kind::U8 => self.scaled(data, |b: [u8; 1]| f64::from(u8::from_le_bytes(b))),
            Kind::I8 => self.scaled(data, |b: [u8; 1]| f64::from(i8::from_le_bytes(b))),
            Kind::U16 => self.scaled(data, |b: [u8; 2]| f64::from(u16::from_le_bytes(b))),
            Kind::I16 => self.scaled(data, |b: [u8; 2]| f64::from(i16::from_le_bytes(b))),
            Kind::U32 => self.scaled(data, |b: [u8; 4]| f64::from(u32::from_le_bytes(b))),
            Kind::I32 => self.scaled(data, |b: [u8; 4]| f64::from(i32::from_le_bytes(b))),
            Kind::U64 => self.scaled(data, |b: [u8; 8]| u64::from_le_bytes(b) as f64),
            Kind::I64 => self.scaled(data, |b: [u8; 8]| i64::from_le_bytes(b) as f64),
            Kind::F32 => self.scaled(data, |b: [u8; 4]| f64::from(f32::from_le_bytes(b))),
            Kind::F64 => self.scaled(data, |b: [u8; 8]| f64::from_le_bytes(b)),
        }
    }

    fn scaled<const N: usize>(&self, data: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f32> {
        let value = |bytes: &[u8; N]| {
            let mut bytes = *bytes;
            if self.big_endian {
                bytes.reverse();
            }
            (number(bytes) * self.slope + self.intercept) as f32
        };
        data.as_chunks().0.iter().map(value).collect()
    }
}

/// Numbers of the header by their byte.
struct Fields<'a> {
    bytes: &'a [u8; HEADER_BYTES],
    big_endian: bool,
}

impl Fields<'_> {
    /// A 16-bit integer; 0 past the end, which no caller asks for.
    fn int(&self, at: usize) -> i16 {
        let bytes = self.bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
        if self.big_endian { i16::from_be_bytes(bytes) } else { i16::from_le_bytes(bytes) }
    }

    /// A 32-bit real.
    fn float(&self, at: usize) -> f64 {
        let bytes = self.bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
        f64::from(if self.big_endian { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) })
    }
}

fn size(fields: &Fields) -> Result<[usize; 3], NiftiError> {
    let dimensions = fields.int(40);
    if !(1..=7).contains(&dimensions) {
        return Err(header_error("dim[0]", dimensions, "1 to 7"));
    }
    let along = |axis: i16| if axis <= dimensions { fields.int(40 + 2 * axis.unsigned_abs() as usize) } else { 1 };
    if let Some(more) = (4..=7).map(along).find(|n| *n != 1) {
        return Err(header_error("dim[4..]", more, "one volume"));
    }
    let mut size = [0; 3];
    for (n, axis) in size.iter_mut().zip(1..) {
        *n = usize::try_from(along(axis)).unwrap_or(0);
        if *n == 0 {
            return Err(header_error("dim[1..4]", along(axis), "at least 1 voxel along each axis"));
        }
    }
    Ok(size)
}

fn geometry(fields: &Fields, size: [usize; 3]) -> Result<Geometry, NiftiError> {
    let vector = |at: usize| [fields.float(at), fields.float(at + 4), fields.float(at + 8)];
    let (columns, origin): (Mat3, Vec3) = if fields.int(254) > 0 {
        let rows = [280, 296, 312];
        (linalg::transpose(&rows.map(vector)), rows.map(|row| fields.float(row + 12)))
    } else {
        let spacing = vector(80);
        let turn = if fields.int(252) > 0 { quaternion(vector(256)) } else { linalg::IDENTITY };
        let handed = if fields.int(252) > 0 && fields.float(76) < 0.0 { -1.0 } else { 1.0 };
        let origin = if fields.int(252) > 0 { vector(268) } else { [0.0; 3] };
        let [x, y, z] = linalg::transpose(&turn);
        let [dx, dy, dz] = spacing;
        ([linalg::scale(dx, x), linalg::scale(dy, y), linalg::scale(handed * dz, z)], origin)
    };
    let spacing = columns.map(linalg::norm);
    let [x, y, z] = columns;
    let [dx, dy, dz] = spacing;
    let directions = [linalg::scale(1.0 / dx, x), linalg::scale(1.0 / dy, y), linalg::scale(1.0 / dz, z)];
    Ok(Geometry::new(size, spacing, turned(origin), directions.map(turned))?)
}

/// From RAS to LPS and back.
fn turned([x, y, z]: Vec3) -> Vec3 {
    [-x, -y, z]
}

/// The rotation of the unit quaternion (a, b, c, d), of which a is at least 0 and not stored.
fn quaternion([b, c, d]: Vec3) -> Mat3 {
    let a = (1.0 - b * b - c * c - d * d).max(0.0).sqrt();
    [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ]
}

/// The header of a little-endian file with voxels of this type, with its sform in scanner space, and four bytes that say
/// that no extension follows.
fn header(geometry: &Geometry, datatype: i16, bits: i16) -> Result<Vec<u8>, NiftiError> {
    let mut bytes = vec![0; HEADER_BYTES + 4];
    let mut put = |at: usize, value: &[u8]| {
        bytes.iter_mut().skip(at).zip(value).for_each(|(to, from)| *to = *from);
    };
    put(0, &348i32.to_le_bytes());
    put(40, &3i16.to_le_bytes());
    for axis in 4..8 {
        put(40 + 2 * axis, &1i16.to_le_bytes());
    }
    put(70, &datatype.to_le_bytes());
    put(72, &bits.to_le_bytes());
    put(76, &1f32.to_le_bytes());
    put(108, &352f32.to_le_bytes());
    put(112, &1f32.to_le_bytes());
    // Millimetres.
    put(123, &[2]);
    put(254, &1i16.to_le_bytes());
    put(344, b"n+1\0");
    let origin = turned(geometry.origin_mm);
    for (axis, ((n, spacing), direction)) in
        geometry.size.iter().zip(geometry.spacing_mm).zip(geometry.directions).enumerate()
    {
        let Ok(n) = i16::try_from(*n) else {
            return Err(header_error("dim", n, "at most 32767 voxels along an axis"));
        };
        put(42 + 2 * axis, &n.to_le_bytes());
        put(80 + 4 * axis, &(spacing as f32).to_le_bytes());
        for (row, element) in linalg::scale(spacing, turned(direction)).iter().enumerate() {
            put(280 + 16 * row + 4 * axis, &(*element as f32).to_le_bytes());
        }
    }
    for (row, element) in origin.iter().enumerate() {
        put(292 + 16 * row, &(*element as f32).to_le_bytes());
    }
    Ok(bytes)
}

fn write(path: &Path, header: &[u8], voxels: impl Iterator<Item = u8>) -> Result<(), NiftiError> {
    let io = |source| NiftiError::Io { path: path.to_owned(), source };
    let file = std::io::BufWriter::new(std::fs::File::create(path).map_err(io)?);
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz")) {
        let mut encoder = GzEncoder::new(file, Compression::default());
        put_all(&mut encoder, header, voxels).map_err(io)?;
        encoder.finish().and_then(|mut file| file.flush()).map_err(io)
    } else {
        let mut file = file;
        put_all(&mut file, header, voxels).and_then(|()| file.flush()).map_err(io)
    }
}

fn put_all(to: &mut impl Write, header: &[u8], voxels: impl Iterator<Item = u8>) -> std::io::Result<()> {
    to.write_all(header)?;
    let mut buffer = Vec::with_capacity(1 << 16);
    for byte in voxels {
        buffer.push(byte);
        if buffer.len() == 1 << 16 {
            to.write_all(&buffer)?;
            buffer.clear();
        }
    }
    to.write_all(&buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn oblique() -> Volume<f32> {
        let turn = linalg::rotation([0.2, -0.1, 0.4]);
        let geometry = Geometry::new([4, 3, 2], [0.9, 1.1, 3.0], [-10.0, 20.0, 5.0], linalg::transpose(&turn)).unwrap();
        Volume::from_values(geometry, (0..24u8).map(|i| f32::from(i) - 7.5).collect()).unwrap()
    }

    #[test]
    fn a_volume_comes_back_as_it_was_written_plain_and_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let image = oblique();
        for name in ["a.nii", "a.nii.gz"] {
            let path = folder.path().join(name);
            write_image(&path, &image).unwrap();
            let back = read_image(&path).unwrap();
            assert_eq!(back.voxels, image.voxels);
            for corner in [[0.0, 0.0, 0.0], [3.0, 2.0, 1.0]] {
                let (found, expected) = (back.geometry.voxel_to_world(corner), image.geometry.voxel_to_world(corner));
                for (f, e) in found.iter().zip(expected) {
                    assert_relative_eq!(*f, e, epsilon = 1e-4);
                }
            }
            let mask = Volume { voxels: image.voxels.mapv(|v| v > 0.0), geometry: image.geometry };
            write_mask(&path, &mask).unwrap();
            assert_eq!(read_mask(&path).unwrap().voxels, mask.voxels);
        }
    }

    #[test]
    fn the_world_of_the_file_is_right_anterior_superior() {
        let mut bytes = header(&oblique().geometry, 2, 8).unwrap();
        // Method 1: spacing alone; then the qform with a quarter turn about z.
        bytes[254] = 0;
        bytes.extend([0; 24]);
        let plain = decode(bytes.as_slice()).map_err(|_| "refused").unwrap().geometry;
        assert_relative_eq!(plain.directions[0][0], -1.0);
        assert_relative_eq!(plain.directions[2][2], 1.0);
        bytes[252] = 1;
        bytes[264..268].copy_from_slice(&std::f32::consts::FRAC_1_SQRT_2.to_le_bytes());
        bytes[268..272].copy_from_slice(&12f32.to_le_bytes());
        let turned = decode(bytes.as_slice()).map_err(|_| "refused").unwrap().geometry;
        assert_relative_eq!(turned.origin_mm[0], -12.0);
        assert_relative_eq!(turned.directions[0][1], -1.0, epsilon = 1e-6);
        assert_relative_eq!(turned.directions[1][0], 1.0, epsilon = 1e-6);
    }

    #[test]
    fn stored_values_are_scaled_in_either_byte_order() {
        let mut bytes = header(&oblique().geometry, 4, 16).unwrap();
        bytes[112..116].copy_from_slice(&2f32.to_le_bytes());
        bytes[116..120].copy_from_slice(&(-5f32).to_le_bytes());
        (0..24i16).for_each(|i| bytes.extend((i - 3).to_le_bytes()));
        let mut swapped = bytes.clone();
        let fields = [(0, 4, 1), (40, 2, 8), (70, 2, 2), (76, 4, 11), (252, 2, 2), (256, 4, 18), (352, 2, 24)];
        for (at, width, count) in fields {
            swapped[at..at + width * count].chunks_mut(width).for_each(<[u8]>::reverse);
        }
        for file in [bytes, swapped] {
            let image = decode(file.as_slice()).map_err(|_| "refused").unwrap();
            assert_relative_eq!(image.voxels[[0, 0, 0]], -11.0);
            assert_relative_eq!(image.voxels[[1, 2, 3]], 35.0);
            assert_relative_eq!(image.geometry.origin_mm[1], 20.0);
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.nii");
        write_image(&path, &oblique()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length} bytes were accepted");
        }
    }

    #[test]
    fn sizes_that_no_file_can_hold_are_refused_before_anything_is_allocated() {
        let mut bytes = header(&oblique().geometry, 64, 64).unwrap();
        for axis in 1..4 {
            bytes[40 + 2 * axis..42 + 2 * axis].copy_from_slice(&i16::MAX.to_le_bytes());
        }
        assert!(matches!(decode(bytes.as_slice()), Err(DecodeError::Nifti(NiftiError::Header { field: "dim", .. }))));
        bytes[42..44].copy_from_slice(&(-4i16).to_le_bytes());
        assert!(decode(bytes.as_slice()).is_err());
    }
}
