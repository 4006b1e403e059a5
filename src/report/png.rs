//! PNG files (ISO/IEC 15948): eight bits per channel, no filter, one compressed block.

use std::io::Write as _;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

/// A picture of red, green and blue, row by row from the top left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rgb {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<[u8; 3]>,
}

impl Rgb {
    /// A picture of one colour.
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Self { width, height, pixels: vec![colour; width * height] }
    }

    /// Lays another picture on this one; what reaches beyond is cut.
    pub fn put(&mut self, other: &Self, left: usize, top: usize) {
        for (y, row) in other.pixels.chunks(other.width.max(1)).enumerate() {
            for (x, pixel) in row.iter().enumerate() {
                if left + x < self.width && top + y < self.height {
                    self.pixels[(top + y) * self.width + left + x] = *pixel;
                }
            }
        }
    }

    /// The file.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        let side = |n: usize| u32::try_from(n).map_err(std::io::Error::other);
        let mut header = Vec::with_capacity(13);
        header.extend(side(self.width)?.to_be_bytes());
        header.extend(side(self.height)?.to_be_bytes());
        // Eight bits, true colour, the one compression, the one set of filters, not interlaced.
        header.extend([8, 2, 0, 0, 0]);
        let mut data = ZlibEncoder::new(Vec::new(), Compression::default());
        for row in self.pixels.chunks(self.width.max(1)) {
            data.write_all(&[0])?;
            data.write_all(row.as_flattened())?;
        }
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        chunk(&mut file, *b"IHDR", &header)?;
        chunk(&mut file, *b"IDAT", &data.finish()?)?;
        chunk(&mut file, *b"IEND", &[])?;
        Ok(file)
    }
}

fn chunk(file: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) -> std::io::Result<()> {
    file.extend(u32::try_from(data.len()).map_err(std::io::Error::other)?.to_be_bytes());
    let mut sum = Crc::new();
    sum.update(&kind);
    sum.update(data);
    file.extend(kind);
    file.extend(data);
    file.extend(sum.sum().to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_picture_is_a_signature_and_three_chunks_with_its_rows_inside() {
        let mut picture = Rgb::filled(3, 2, [1, 2, 3]);
        picture.put(&Rgb::filled(2, 5, [9, 9, 9]), 2, 1);
        let file = picture.encode().unwrap();
        assert_eq!(&file[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(&file[12..16], b"IHDR");
        assert_eq!(&file[16..24], &[0, 0, 0, 3, 0, 0, 0, 2]);
        let length = u32::from_be_bytes(file[33..37].try_into().unwrap()) as usize;
        let mut rows = Vec::new();
        flate2::read::ZlibDecoder::new(&file[41..41 + length]).read_to_end(&mut rows).unwrap();
        assert_eq!(rows, [0, 1, 2, 3, 1, 2, 3, 1, 2, 3, 0, 1, 2, 3, 1, 2, 3, 9, 9, 9]);
        assert_eq!(&file[file.len() - 12..file.len() - 4], &[0, 0, 0, 0, b'I', b'E', b'N', b'D']);
        // The checksum of an empty end chunk is the same in every file.
        assert_eq!(&file[file.len() - 4..], &[0xAE, 0x42, 0x60, 0x82]);
    }
}
