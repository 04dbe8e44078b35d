"""Damage that a file may take: bytes by chance, or inside its container with every checksum right.

A ZIP or a FLAC that is damaged byte by byte fails at its first checksum, and what lies behind would
never be tried. So half of the inputs are taken apart, damaged inside, and put together again.
"""

import ast
import copy
import io
import json
import zipfile
from itertools import pairwise
from xml.etree import ElementTree

WHOLE = set()  # HDF5 files that may be opened to be changed; a damaged one could end this process

# What a number, a name or a list may turn into.
ODD = (
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    0.5,
    1e-320,
    1e308,
    float("nan"),
    float("inf"),
    10**9,
    -(2**63),
)
ODD += (10**400, "", "x", "two\nlines", "\x1b[2J", "\ud800", "../../x", "/etc/passwd", "é" * 999)
ODD += ([], {}, [[]], [1, "x"], {"": []})
XML_TEXTS = "0 1 2 3 -1 0.5 7/3 1e9 999999999 1e-9 nan inf C H x".split() + ["", "start", "stop"]
WORDS = tuple(
    b"NaN inf -1 1e999 0x1 65535 4294967295 \xff\xff\xff\xff \x00\x00\x00\x00".split(b" ")
)


def by_bytes(data, rng, words=WORDS):
    """Data with one to four small changes; words: what may be written into them."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(data) + 1)
        stop = min(len(data), start + rng.choice((1, 1, 2, 4, 16, 256)))
        change = rng.randrange(6)
        if change == 0:
            data[start:stop] = b""
        elif change == 1:
            data[start:start] = data[start:stop]
        elif change == 2:
            data[start:stop] = rng.choice(words)
        elif change == 3:
            data[start:start] = rng.choice(words)
        elif change == 4:
            data[start:stop] = rng.randbytes(stop - start)
        elif start < len(data):
            data[start] ^= 1 << rng.randrange(8)
    if rng.random() < 0.05:
        del data[rng.randrange(len(data) + 1) :]
    return bytes(data)


def inside(data, rng, raw=by_bytes):
    """Data with a change inside its container. raw(data, rng) changes what is none."""
    try:
        if data[:2] == b"PK":
            return _inside_zip(data, rng, raw)
        if data[:1] == b"{":
            return _inside_json(data, rng)
        if data[:5] == b"<?xml":
            return _inside_xml(data, rng)
        if data[:6] == b"\x93NUMPY":
            return _inside_npy(data, rng, raw)
        if data in WHOLE and rng.random() < 0.5:
            return _inside_hdf5(data, rng)
    except Exception:  # it is damaged already
        return raw(data, rng)
    if data[:4] == b"OggS":
        return _ogg_checksums(raw(data, rng))
    if data[:4] == b"fLaC":
        return _flac_checksums(raw(data, rng))
    return raw(data, rng)


def _inside_zip(data, rng, raw):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(files))
    change = rng.randrange(8)
    if change == 0:
        del files[name]
    elif change == 1:
        files[rng.choice(("../x", "/x", "x" * 999, "other.npy"))] = files[name]
    elif change == 2:
        files[name] = files[rng.choice(sorted(files))]
    else:
        files[name] = inside(files[name], rng, raw)
    stored = rng.random() < 0.8
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as new:
        for name, content in files.items():
            new.writestr(zipfile.ZipInfo(name), content, new.compression)
    return made.getvalue()


def _inside_json(data, rng):
    """One value or name replaced, left out, doubled or wrapped; of several lines in one of them."""
    lines = data.decode().split("\n")
    number = 0
    if len(lines) > 1 and lines[1][:1] == "{":
        number = rng.randrange(len([line for line in lines if line]))
        root = [json.loads(lines[number])]
    else:
        root = [json.loads(data)]
    places = []

    def walk(node):
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(root)
    node, key = rng.choice(places)
    change = rng.randrange(8)
    if change == 0 and node is not root:
        del node[key]
    elif change == 1:
        for _ in range(rng.choice((1, 1, 2000))):
            node[key] = [node[key]]
    elif change == 2:
        node[key] = rng.choice(places)[0][0] if isinstance(node, list) else str(node[key])
    elif change == 3 and isinstance(node, dict):
        node[str(rng.choice(ODD))] = node.pop(key)
    else:
        node[key] = rng.choice(ODD)
    text = _json(root[0])
    if len(lines) > 1 and lines[1][:1] == "{":
        lines[number] = text
        text = "\n".join(lines)
    return text.encode("utf-8", "surrogatepass")


def _inside_xml(data, rng):
    """One element doubled, left out, moved, renamed or with another text."""
    root = ElementTree.fromstring(data)
    elements = list(root.iter())
    one, other = rng.choice(elements), rng.choice(elements)
    change = rng.randrange(8)
    if change == 0 and len(one):
        one.remove(rng.choice(list(one)))
    elif change == 1 and len(one):
        one.append(copy.deepcopy(rng.choice(list(one))))
    elif change == 2:
        one.insert(rng.randrange(len(one) + 1), copy.deepcopy(other))
    elif change == 3:
        one.tag = other.tag
    elif change == 4 and one.attrib:
        one.set(rng.choice(sorted(one.attrib)), rng.choice(XML_TEXTS))
    else:
        one.text = rng.choice(XML_TEXTS)
    return b"<?xml version='1.0'?>\n" + ElementTree.tostring(root)


def _json(value):
    """As json.dumps, however deep it is nested."""
    if isinstance(value, list) and len(value) == 1:
        depth = 0
        while isinstance(value, list) and len(value) == 1:
            value, depth = value[0], depth + 1
        return "[" * depth + _json(value) + "]" * depth
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    return json.dumps(value)


def _inside_npy(data, rng, raw):
    """A header that says something else, of the right length; or other numbers."""
    start = 10 + int.from_bytes(data[8:10], "little")
    header, body = data[10:start], data[start:]
    if rng.random() < 0.5:
        return data[:start] + raw(body, rng)
    shape = [rng.choice((0, 1, 2, 3, 8, -1, 10**6, 2**32, 10**18)) for _ in range(rng.randrange(4))]
    kind = rng.choice(
        ("<f8", "<f4", ">f4", "<f2", "<i8", "|O", "<U9", "<c8", "<f16", "|V0", "<M8[s]")
    )
    spoken = ast.literal_eval(header.decode())
    change = rng.randrange(3)
    if change != 0:
        spoken["shape"] = tuple(shape)
    if change != 1:
        spoken["descr"] = kind
    text = repr(spoken).encode()
    if rng.random() < 0.2:
        text = raw(text, rng)
    return data[:8] + (len(text) + 1).to_bytes(2, "little") + text + b"\n" + body


def _inside_hdf5(data, rng):
    """One of the arrays replaced by what HDF5 can do besides: links, huge shapes, other types."""
    import h5py

    file, names = io.BytesIO(data), []
    with h5py.File(file, "r+") as new:
        new.visititems(lambda name, node: names.append(name) if hasattr(node, "shape") else None)
        name = rng.choice(sorted(names))
        shape, numbers = new[name].shape, new[name][()]
        del new[name]
        change = rng.randrange(10)
        if change == 0:
            new[name] = h5py.ExternalLink(rng.choice(("/etc/passwd", "model.keras")), name)
        elif change == 1:
            new[name] = h5py.SoftLink(rng.choice(("/", f"/{name}", *names)))
        elif change == 2:
            new[name] = new["/"]
        elif change == 3:
            new.create_dataset(name, rng.choice(((10**9,), (10**5, 10**5), ())), "f4")
        elif change == 4:
            new.create_dataset(name, data=numbers, chunks=True, compression="gzip")
        elif change == 5:
            new.create_dataset(name, shape, "f4", external=[("/etc/passwd", 0, 10**6)])
        elif change == 6:
            new.create_dataset(
                name, data=numbers.astype(rng.choice(("f8", "f2", "i4", "c8", "S9")))
            )
        elif change == 7:
            new.create_dataset(name, shape, h5py.string_dtype())
        elif change == 8:
            new.create_dataset(name, data=numbers * rng.choice((float("nan"), 1e38, 0.0)))
        else:
            layout = h5py.VirtualLayout(shape, "f4")
            layout[...] = h5py.VirtualSource("/etc/passwd", name, shape)
            new.create_virtual_dataset(name, layout)
    return file.getvalue()


def _ogg_checksums(data):
    """Every page's own checksum made right (RFC 3533)."""
    data, start = bytearray(data), 0
    while (start := data.find(b"OggS", start)) >= 0 and start + 27 < len(data):
        segments = data[start + 27 : start + 27 + data[start + 26]]
        stop = start + 27 + len(segments) + sum(segments)
        data[start + 22 : start + 26] = bytes(4)
        data[start + 22 : start + 26] = _crc(data[start:stop], 0x04C11DB7, 32).to_bytes(4, "little")
        start += 4
    return bytes(data)


def _flac_checksums(data):
    """The checksum of every frame's head and of every frame made right (RFC 9639)."""
    data = bytearray(data)
    starts = [i for i in range(4, len(data) - 6) if data[i] == 0xFF and data[i + 1] & 0xFE == 0xF8]
    for start, stop in pairwise([*starts, len(data)]):
        first = data[start + 4]
        head = 4 + max(1, 8 - (first ^ 0xFF).bit_length())  # the frame's number, like UTF-8
        head += {6: 1, 7: 2}.get(data[start + 2] >> 4, 0)  # its length
        head += {12: 1, 13: 2, 14: 2}.get(data[start + 2] & 15, 0)  # its rate
        if start + head + 3 < stop:
            data[start + head] = _crc(data[start : start + head], 0x07, 8)
            data[stop - 2 : stop] = _crc(data[start : stop - 2], 0x8005, 16).to_bytes(2, "big")
    return bytes(data)


_TABLES = {}


def _crc(data, polynomial, bits):
    table = _TABLES.get(bits)
    if table is None:
        table = _TABLES[bits] = []
        for byte in range(256):
            rest = byte << (bits - 8)
            for _ in range(8):
                rest = (rest << 1) ^ (polynomial if rest >> (bits - 1) else 0)
                rest &= (1 << bits) - 1
            table.append(rest)
    rest, mask = 0, (1 << bits) - 1
    for byte in data:
        rest = (rest << 8 & mask) ^ table[(rest >> (bits - 8)) ^ byte]
    return rest
