"""Pictures and clips written with nothing but the standard library: PNG, and AVI with one PNG per frame.

Lossless, so the pixels a decoder reads are those that were drawn. The AVI is of the plain kind (RIFF, one video
stream `MPNG`, an index) that FFmpeg, and what is built on it, reads. Sources: the PNG specification (W3C) and
"OpenDML AVI File Format" with its RIFF basics.
"""

import struct
import zlib


def png(image):
    """The bytes of a PNG file of an H x W x 3 uint8 RGB image."""
    height, width, _ = image.shape
    rows = b"".join(b"\x01" + _left_differences(row) for row in image)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 6))
            + chunk(b"IEND", b""))


def _left_differences(row):
    """PNG's filter 1: each pixel minus its left neighbour, modulo 256."""
    out = row.copy()
    out[1:] -= row[:-1]
    return out.tobytes()


def write_avi(path, frames, width, height, fps):
    """Writes a clip; `frames` yields H x W x 3 uint8 RGB images. Returns how many there were."""
    pictures = [png(frame) for frame in frames]
    largest = max(map(len, pictures), default=0)
    main_header = struct.pack("<14I", 1_000_000 // fps, largest * fps, 0, 0x10, len(pictures), 0, 1, largest,
                              width, height, 0, 0, 0, 0)
    stream = b"vidsMPNG" + struct.pack("<10I4H", 0, 0, 0, 1, fps, 0, len(pictures), largest, 0, 0, 0, 0, width, height)
    bitmap = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, b"MPNG", width * height * 3, 0, 0, 0, 0)
    headers = _list(b"hdrl", _chunk(b"avih", main_header)
                    + _list(b"strl", _chunk(b"strh", stream) + _chunk(b"strf", bitmap)))
    movie, index, position = [], [], 4
    for picture in pictures:
        movie.append(_chunk(b"00dc", picture))
        index.append(b"00dc" + struct.pack("<III", 0x10, position, len(picture)))
        position += len(movie[-1])
    body = headers + _list(b"movi", b"".join(movie)) + _chunk(b"idx1", b"".join(index))
    with open(path, "wb") as file:
        file.write(_chunk(b"RIFF", b"AVI " + body))
    return len(pictures)


def _chunk(kind, data):
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _list(kind, data):
    return _chunk(b"LIST", kind + data)
