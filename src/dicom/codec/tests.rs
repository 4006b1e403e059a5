use super::*;
use crate::dicom::dataset::Keep;
use crate::dicom::part10::{Part10, StoredPixels};

const FORMAT_16: FrameFormat = FrameFormat { columns: 23, rows: 17, word_bytes: 2 };
const FORMAT_8: FrameFormat = FrameFormat { word_bytes: 1, ..FORMAT_16 };

/// A stream of `tests/reference/codecs`, where a script says how it was made.
fn stream(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/codecs");
    std::fs::read(folder.join(name)).unwrap()
}

/// The image of that script: 7 x x + 13 x y + 5 (x xor y), modulo 2^bits, as words.
fn image(bits: u32, signed: bool) -> Vec<u8> {
    let value = |x: i32, y: i32| {
        let value = (7 * x * x + 13 * x * y + 5 * (x ^ y)) % (1 << bits);
        if signed { value - (1 << (bits - 1)) } else { value }
    };
    let samples = (0..17).flat_map(|y| (0..23).map(move |x| value(x, y)));
    let word_bytes = if bits <= 8 { 1 } else { 2 };
    samples.flat_map(|sample| sample.to_le_bytes()[..word_bytes].to_vec()).collect()
}

fn lossless() -> Vec<(&'static str, Codec, u32, bool)> {
    let mut streams = vec![
        ("jpeg_lossless_16_1.jpg", Codec::Jpeg, 16, false),
        ("jpeg_lossless_16_2.jpg", Codec::Jpeg, 16, false),
        ("jpeg_lossless_16_3.jpg", Codec::Jpeg, 16, false),
        ("jpeg_lossless_16_4.jpg", Codec::Jpeg, 16, false),
        ("jpeg_lossless_16_5.jpg", Codec::Jpeg, 16, false),
        ("jpeg_lossless_16_6.jpg", Codec::Jpeg, 16, false),
        ("jpeg_lossless_16_7.jpg", Codec::Jpeg, 16, false),
        ("jpeg_lossless_12.jpg", Codec::Jpeg, 12, false),
        ("jpeg_lossless_8.jpg", Codec::Jpeg, 8, false),
        ("j2k_lossless_16_signed.j2k", Codec::Jpeg2000, 16, true),
        ("j2k_lossless_12.j2k", Codec::Jpeg2000, 12, false),
        ("htj2k_lossless_16.j2k", Codec::Jpeg2000, 16, false),
        ("htj2k_lossless_16_signed.j2k", Codec::Jpeg2000, 16, true),
        ("jpegxl_lossless_8.jxl", Codec::JpegXl, 8, false),
        ("jpegxl_lossless_12.jxl", Codec::JpegXl, 12, false),
        ("jpegxl_lossless_16.jxl", Codec::JpegXl, 16, false),
    ];
    if cfg!(feature = "jpegls") {
        streams.push(("jpegls_lossless_8.jls", Codec::JpegLs, 8, false));
        streams.push(("jpegls_lossless_16.jls", Codec::JpegLs, 16, false));
    }
    streams
}

fn format(bits: u32) -> FrameFormat {
    if bits <= 8 { FORMAT_8 } else { FORMAT_16 }
}

#[test]
fn every_lossless_codec_gives_back_every_sample() {
    for (name, codec, bits, signed) in lossless() {
        let mut words = vec![7];
        codec.decode(&stream(name), &format(bits), &mut words).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(words, image(bits, signed), "{name}");
    }
}

#[test]
fn samples_of_eight_bits_fill_words_of_sixteen() {
    let wide: Vec<u8> = image(8, false).into_iter().flat_map(|byte| [byte, 0]).collect();
    for (name, codec, bits, _) in lossless() {
        let mut words = Vec::new();
        if bits == 8 {
            codec.decode(&stream(name), &FORMAT_16, &mut words).unwrap();
            assert_eq!(words, wide, "{name}");
        } else {
            let error = codec.decode(&stream(name), &FORMAT_8, &mut words).unwrap_err();
            assert!(matches!(error, CodecError::Mismatch { .. }), "{name}: {error}");
        }
    }
}

#[test]
fn lossy_streams_of_8_and_12_bits_come_near_the_image() {
    for (name, codec, bits, tolerance) in [
        ("jpeg_baseline_8.jpg", Codec::Jpeg, 8, 3.0),
        ("jpeg_baseline_8_restarts.jpg", Codec::Jpeg, 8, 3.0),
        ("jpeg_extended_12.jpg", Codec::Jpeg, 12, 40.0),
        ("j2k_irreversible_12.j2k", Codec::Jpeg2000, 12, 10.0),
    ] {
        let mut words = Vec::new();
        let format = format(bits);
        codec.decode(&stream(name), &format, &mut words).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (at, word) in words.chunks_exact(format.word_bytes).enumerate() {
            let found = word.iter().rev().fold(0u32, |word, byte| (word << 8) | u32::from(*byte));
            let (x, y) = (f64::from(u32::try_from(at % 23).unwrap()), f64::from(u32::try_from(at / 23).unwrap()));
            let expected = f64::from(1u32 << (bits - 2)) * (1.0 + (x / 4.0).sin() * (y / 5.0).cos() / 2.0);
            assert!((f64::from(found) - expected).abs() <= tolerance, "{name} at {x}, {y}: {found} not {expected}");
        }
    }
}

#[test]
fn retired_processes_are_refused_by_name_and_lossy_wavelets_are_recognised() {
    let mut words = Vec::new();
    let error = Codec::Jpeg.decode(&stream("jpeg_progressive_8.jpg"), &FORMAT_8, &mut words).unwrap_err();
    assert_eq!(error, CodecError::Unsupported("JPEG with frame type 2".to_owned()));
    assert_eq!(Codec::of("1.2.840.10008.1.2.4.53"), None);
    assert!(describe("1.2.840.10008.1.2.4.53").contains("spectral selection (retired)"));
    assert!(is_irreversible(&stream("j2k_irreversible_12.j2k")));
    assert!(!is_irreversible(&stream("j2k_lossless_12.j2k")));
    assert!(!is_irreversible(&stream("htj2k_lossless_16.j2k")));
}

#[test]
fn a_stream_of_another_size_is_refused() {
    for (name, codec, bits, _) in lossless() {
        let other = FrameFormat { columns: 17, rows: 23, ..format(bits) };
        let error = codec.decode(&stream(name), &other, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, CodecError::Mismatch { .. }), "{name}: {error}");
    }
}

#[test]
fn a_stream_cut_anywhere_is_refused_or_whole() {
    for (name, codec, bits, signed) in lossless() {
        let whole = stream(name);
        for length in 0..whole.len() {
            let mut words = Vec::new();
            if codec.decode(&whole[..length], &format(bits), &mut words).is_ok() {
                assert_eq!(words, image(bits, signed), "{name} cut at {length} of {}", whole.len());
            }
        }
    }
}

#[test]
fn a_stream_with_one_wrong_byte_never_panics() {
    for (name, codec, bits, _) in lossless() {
        let whole = stream(name);
        for at in 0..whole.len() {
            for value in [0x00, 0x80, 0xFF] {
                let mut broken = whole.clone();
                broken[at] = value;
                let _ = codec.decode(&broken, &format(bits), &mut Vec::new());
            }
        }
    }
}

#[test]
fn runs_are_unpacked_from_the_highest_byte_plane_to_the_lowest() {
    let format = FrameFormat { columns: 5, rows: 1, word_bytes: 2 };
    let mut encoded = vec![0u8; 64];
    encoded[0] = 2;
    encoded[4] = 64;
    encoded[8] = 66;
    encoded.extend([0xFC, 1]); // five times 1
    encoded.extend([2, 10, 11, 12, 0x80, 0xFF, 13]); // three literals, a no-operation, twice 13
    let mut words = Vec::new();
    Codec::Rle.decode(&encoded, &format, &mut words).unwrap();
    assert_eq!(words, [10, 1, 11, 1, 12, 1, 13, 1, 13, 1]);
    for length in 0..encoded.len() {
        assert!(Codec::Rle.decode(&encoded[..length], &format, &mut words).is_err(), "cut at {length}");
    }
    encoded[0] = 1;
    assert!(matches!(Codec::Rle.decode(&encoded, &format, &mut words), Err(CodecError::Mismatch { .. })));
}

#[test]
fn deflated_frames_are_inflated_and_must_have_their_length() {
    use std::io::Write;
    let format = FrameFormat { columns: 3, rows: 2, word_bytes: 1 };
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&[1, 2, 3, 4, 5, 6]).unwrap();
    let encoded = encoder.finish().unwrap();
    let mut words = Vec::new();
    Codec::Deflate.decode(&encoded, &format, &mut words).unwrap();
    assert_eq!(words, [1, 2, 3, 4, 5, 6]);
    assert!(Codec::Deflate.decode(&encoded, &FrameFormat { rows: 3, ..format }, &mut words).is_err());
    assert!(Codec::Encapsulated.decode(&[1, 2, 3], &format, &mut words).is_err());
}

/// Encapsulated pixel data of a file that has nothing else.
fn encapsulated(table: &[u32], fragments: &[&[u8]]) -> StoredPixels {
    let mut bytes = vec![0; 128];
    bytes.extend_from_slice(b"DICM\x02\0\x10\0UI\x16\x001.2.840.10008.1.2.4.50");
    bytes.extend_from_slice(b"\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF");
    let mut item = |content: &[u8]| {
        bytes.extend_from_slice(b"\xFE\xFF\x00\xE0");
        bytes.extend_from_slice(&u32::try_from(content.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(content);
    };
    item(&table.iter().flat_map(|offset| offset.to_le_bytes()).collect::<Vec<u8>>());
    fragments.iter().for_each(|fragment| item(fragment));
    bytes.extend_from_slice(b"\xFE\xFF\xDD\xE0\0\0\0\0");
    Part10::from_bytes(bytes, Keep::All).unwrap().pixels.unwrap()
}

fn streams(stored: &StoredPixels, n_frames: u32, extended: &[u64]) -> Result<Vec<Vec<u8>>, &'static str> {
    let fragments = Fragments::of(stored, n_frames, extended)?;
    let mut stream = Vec::new();
    let read = |frame| fragments.read(stored, frame, &mut stream).map(|()| stream.clone());
    (0..n_frames).map(read).collect::<std::io::Result<_>>().map_err(|_| "io")
}

#[test]
fn fragments_are_told_apart_by_number_by_table_or_by_the_start_of_a_stream() {
    let start = b"\xFF\xD8\xFF\xC0abcd";
    // One frame in three fragments, no table.
    let stored = encapsulated(&[], &[start, b"ef", b"gh"]);
    assert_eq!(streams(&stored, 1, &[]).unwrap(), [b"\xFF\xD8\xFF\xC0abcdefgh"]);
    // One fragment for each frame.
    assert_eq!(streams(&stored, 3, &[]).unwrap(), [start.to_vec(), b"ef".to_vec(), b"gh".to_vec()]);
    // Two frames in three fragments: by either table, or by the marker.
    let whole = [start.to_vec(), b"\xFF\xD8\xFF\xC0abcdef".to_vec()];
    let parts: [&[u8]; 3] = [start, start, b"ef"];
    assert_eq!(streams(&encapsulated(&[0, 16], &parts), 2, &[]).unwrap(), whole);
    assert_eq!(streams(&encapsulated(&[], &parts), 2, &[0, 16]).unwrap(), whole);
    assert_eq!(streams(&encapsulated(&[], &parts), 2, &[]).unwrap(), whole);
    // Nothing tells.
    let stored = encapsulated(&[], &[b"abcdefgh", b"abcdefgh", b"abcdefgh"]);
    assert!(streams(&stored, 2, &[]).is_err());
    assert!(streams(&encapsulated(&[0, 5], &parts), 2, &[]).is_err());
    assert!(streams(&encapsulated(&[], &[]), 1, &[]).is_err());
}
