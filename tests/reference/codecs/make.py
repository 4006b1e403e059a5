"""Streams of one small image in every codec, for the tests of src/dicom/codec: pip install numpy imagecodecs pillow; python make.py

value(x, y) = (7 x x + 13 x y + 5 (x xor y)) mod 2^bits on 23 x 17 pixels; signed images have 2^(bits - 1) subtracted.
Smooth images (for lossy codecs) are 2^(bits - 2) (1 + sin(x / 4) cos(y / 5) / 2), rounded.
"""

import io

import imagecodecs as ic
import numpy as np
from PIL import Image

y, x = np.mgrid[0:17, 0:23]


def image(bits, signed=False):
    values = (7 * x * x + 13 * x * y + 5 * (x ^ y)) % (1 << bits)
    if signed:
        return (values - (1 << (bits - 1))).astype(np.int16)
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


def smooth(bits):
    values = np.rint((1 << (bits - 2)) * (1 + np.sin(x / 4) * np.cos(y / 5) / 2))
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


streams = {
    "jpeg_baseline_8.jpg": ic.jpeg8_encode(smooth(8), level=95),
    "jpeg_extended_12.jpg": ic.jpeg8_encode(smooth(12), level=95, bitspersample=12),
    "j2k_lossless_16_signed.j2k": ic.jpeg2k_encode(image(16, True), level=0, codecformat="j2k", reversible=True),
    "j2k_lossless_12.j2k": ic.jpeg2k_encode(image(12), level=0, codecformat="j2k", reversible=True, bitspersample=12),
    "j2k_irreversible_12.j2k": ic.jpeg2k_encode(smooth(12), level=90, codecformat="j2k", reversible=False),
    "htj2k_lossless_16.j2k": ic.htj2k_encode(image(16), reversible=True),
    "htj2k_lossless_16_signed.j2k": ic.htj2k_encode(image(16, True), reversible=True),
    "jpegls_lossless_8.jls": ic.jpegls_encode(image(8)),
    "jpegls_lossless_16.jls": ic.jpegls_encode(image(16)),
    "jpegxl_lossless_8.jxl": ic.jpegxl_encode(image(8), lossless=True),
    "jpegxl_lossless_12.jxl": ic.jpegxl_encode(image(12), lossless=True, bitspersample=12),
    "jpegxl_lossless_16.jxl": ic.jpegxl_encode(image(16), lossless=True),
}
for predictor in range(1, 8):
    name = f"jpeg_lossless_16_{predictor}.jpg"
    streams[name] = ic.jpeg8_encode(image(16), lossless=True, predictor=predictor, bitspersample=16)
streams["jpeg_lossless_12.jpg"] = ic.jpeg8_encode(image(12), lossless=True, predictor=4, bitspersample=12)
streams["jpeg_lossless_8.jpg"] = ic.jpeg8_encode(image(8), lossless=True, predictor=1)
progressive = io.BytesIO()
Image.fromarray(smooth(8)).save(progressive, "jpeg", progressive=True)
streams["jpeg_progressive_8.jpg"] = progressive.getvalue()
restarts = io.BytesIO()
Image.fromarray(smooth(8)).save(restarts, "jpeg", quality=95, restart_marker_blocks=2)
streams["jpeg_baseline_8_restarts.jpg"] = restarts.getvalue()
for name, stream in streams.items():
    with open(name, "wb") as file:
        file.write(stream)
