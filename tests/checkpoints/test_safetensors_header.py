"""Headers of safetensors files: the round trip, and files that are broken in every way."""

import json
import random
import struct
import tracemalloc

import pytest
import torch
from safetensors.torch import load_file, save_file

from mergescale.checkpoints.safetensors_header import ITEM_BYTES, encode_header, read_header

TENSORS = [
    ("a", "F32", (2, 3)),
    ("empty", "F16", (0, 7)),
    ("number", "I64", ()),
    ("model.layers.0.ü \n\"'/.weight", "BF16", (5,)),
    ("mask", "BOOL", (3,)),
]


def whole_file(header, data=b"", length=None):
    """The bytes of a file with this header: text, bytes, or anything that is JSON."""
    if not isinstance(header, bytes):
        header = (header if isinstance(header, str) else json.dumps(header)).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def overwrite(file, content):
    """New content without truncating to nothing, after which some file systems write at once."""
    with file.open("r+b") as stream:
        stream.write(content)
        stream.truncate()


def entry(dtype="U8", shape=(4,), offsets=(0, 4)):
    return {
        "dtype": dtype,
        "shape": list(shape) if isinstance(shape, tuple) else shape,
        "data_offsets": list(offsets) if isinstance(offsets, tuple) else offsets,
    }


@pytest.fixture
def valid(tmp_path):
    """A file with tensors of several kinds, as the engine writes it."""
    head, starts = encode_header(TENSORS, {"format": "pt"})
    size = starts["mask"] + 3
    file = tmp_path / "valid.safetensors"
    file.write_bytes(head + bytes(size - len(head)))
    return file


def test_what_is_written_is_read_again(valid):
    found = read_header(valid)
    assert [(t.name, t.dtype, t.shape) for t in found] == TENSORS
    _, starts = encode_header(TENSORS, {"format": "pt"})
    assert {t.name: t.offset for t in found} == starts
    assert found[0].offset % 8 == 0
    assert all(t.bytes == t.elements * ITEM_BYTES[t.dtype] for t in found)


def test_the_reference_implementation_reads_what_is_written(valid):
    found = load_file(valid)
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == {
        name: shape for name, _, shape in TENSORS
    }
    assert found["number"].dtype == torch.int64 and found["mask"].dtype == torch.bool


def test_what_the_reference_implementation_writes_is_read(tmp_path):
    weights = {"b": torch.zeros(3, 2), "a": torch.zeros((), dtype=torch.bfloat16)}
    save_file(weights, tmp_path / "x.safetensors", metadata={"format": "pt"})
    found = {t.name: (t.dtype, t.shape) for t in read_header(tmp_path / "x.safetensors")}
    assert found == {"b": ("F32", (3, 2)), "a": ("BF16", ())}


def test_a_file_without_tensors_has_none(tmp_path):
    (tmp_path / "x").write_bytes(whole_file({}))
    assert read_header(tmp_path / "x") == []


DEEP = 100_000
# what is wrong: (the file's bytes, what the sentence must say)
BROKEN = {
    "empty": (b"", "has 0 bytes"),
    "seven bytes": (b"1234567", "has 7 bytes"),
    "header past the end": (whole_file({}, length=3), "should have 3 bytes"),
    "header of 2**63 bytes": (whole_file({}, length=2**63), "should have 9223372036854775808"),
    "header of 2**64-1 bytes": (whole_file({}, length=2**64 - 1), "not a safetensors file"),
    "a pickle": (b"\x80\x02}q\x00(X\x01\x00\x00\x00wq\x01", "not a safetensors file"),
    "header of nothing": (whole_file(b""), "header is corrupt"),
    "not JSON": (whole_file("{a: 1}"), "header is corrupt"),
    "half of JSON": (whole_file('{"a": {"dtype": '), "header is corrupt"),
    "a list": (whole_file("[]"), "it must be a mapping"),
    "a number": (whole_file("1"), "it must be a mapping"),
    "null": (whole_file("null"), "it must be a mapping"),
    "invalid UTF-8": (whole_file(b'{"\xff\xfe": 1}'), "header is corrupt"),
    "UTF-16": (whole_file(json.dumps({"a": entry()}).encode("utf-16"), bytes(4)), "corrupt"),
    "a name twice": (
        whole_file('{"a":%s,"a":%s}' % ((json.dumps(entry()),) * 2), bytes(4)),
        "a is there twice",
    ),
    "a key of an entry twice": (
        whole_file('{"a":{"dtype":"U8","dtype":"I8","shape":[4],"data_offsets":[0,4]}}', bytes(4)),
        "dtype is there twice",
    ),
    "half a letter as a name": (
        whole_file({"\ud800": entry()}, bytes(4)),
        "has a name that is not valid text",
    ),
    "deep nesting": (whole_file("[" * DEEP + "]" * DEEP), "header is corrupt"),
    "deep nesting in an entry": (
        whole_file('{"a":{"dtype":"U8","shape":%s}}' % ("[" * 900 + "]" * 900)),
        "has shape",
    ),
    "an entry that is a list": (whole_file({"a": [1]}), "a must be described by a mapping"),
    "an entry without dtype": (whole_file({"a": {"shape": []}}), "has dtype None"),
    "unknown dtype": (whole_file({"a": entry("F31")}, bytes(4)), "dtype F31, must be one of F64"),
    "dtype of another kind": (whole_file({"a": entry(["U8"])}, bytes(4)), "has dtype ['U8']"),
    "no shape": (whole_file({"a": {"dtype": "U8", "data_offsets": [0, 0]}}), "has shape None"),
    "negative shape": (whole_file({"a": entry(shape=(-2, -2))}, bytes(4)), "shape [-2, -2]"),
    "shape of a fraction": (whole_file({"a": entry(shape=(4.0,))}, bytes(4)), "shape [4.0]"),
    "shape of a boolean": (
        whole_file({"a": entry(shape=(True,), offsets=(0, 1))}, bytes(1)),
        "shape [True]",
    ),
    "shape as text": (whole_file({"a": entry(shape="4")}, bytes(4)), "shape 4"),
    "shape that is not a number": (whole_file('{"a":{"dtype":"U8","shape":[NaN]}}'), "[nan]"),
    "huge shape": (whole_file({"a": entry(shape=(2**62, 2**62))}, bytes(4)), "needs 21267647"),
    "shape beyond 64 bits": (whole_file({"a": entry(shape=(2**64,))}, bytes(4)), "has shape"),
    "shape that overflows to fit": (
        whole_file({"a": entry(shape=(2**32, 2**32, 1), offsets=(0, 0))}),
        "has 0 bytes, but shape",
    ),
    "64 huge dimensions": (whole_file({"a": entry(shape=(2**62,) * 64)}, bytes(4)), "needs"),
    "a million dimensions": (whole_file({"a": entry(shape=(1,) * 10**6)}, bytes(4)), "has shape"),
    "a number of 5000 digits": (
        whole_file('{"a":{"dtype":"U8","shape":[%s]}}' % ("9" * 5000)),
        "header is corrupt",
    ),
    "no offsets": (whole_file({"a": {"dtype": "U8", "shape": [4]}}), "data_offsets None"),
    "three offsets": (whole_file({"a": entry(offsets=(0, 4, 4))}, bytes(4)), "data_offsets"),
    "offsets backwards": (whole_file({"a": entry(offsets=(4, 0))}, bytes(4)), "data_offsets"),
    "negative offsets": (whole_file({"a": entry(offsets=(-4, 0))}, bytes(4)), "data_offsets"),
    "offsets of another size": (
        whole_file({"a": entry(offsets=(0, 5))}, bytes(5)),
        "has 5 bytes, but shape [4] of U8 needs 4",
    ),
    "offsets past the end": (whole_file({"a": entry()}, bytes(3)), "truncated"),
    "offsets far past the end": (
        whole_file({"a": entry(shape=(2**40,), offsets=(0, 2**40))}, bytes(4)),
        "truncated",
    ),
    "overlap": (
        whole_file({"a": entry(), "b": entry(offsets=(2, 6))}, bytes(6)),
        "tensor b begins at byte 2 of the data, but the one before ends at 4",
    ),
    "the same bytes twice": (
        whole_file({"a": entry(), "b": entry()}, bytes(4)),
        "tensor b begins at byte 0",
    ),
    "a gap": (
        whole_file({"a": entry(), "b": entry(offsets=(6, 10))}, bytes(10)),
        "tensor b begins at byte 6",
    ),
    "a gap at the beginning": (
        whole_file({"a": entry(offsets=(2, 6))}, bytes(6)),
        "tensor a begins at byte 2",
    ),
    "trailing bytes": (whole_file({"a": entry()}, bytes(5)), "longer than its header says"),
    "a name with line breaks and escapes": (
        whole_file({"a\n\x1b[31mred": entry("F31")}, bytes(4)),
        "a\\n\\x1b[31mred",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_header_is_one_sentence(tmp_path, name):
    content, said = BROKEN[name]
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_header(file)
    message = str(caught.value)
    assert said in message and str(file) in message
    assert message.isprintable() and len(message) < 500 + len(str(file))


def test_a_truncated_file_is_told_from_a_whole_one_at_every_length(valid):
    content = valid.read_bytes()
    for length in range(len(content)):
        overwrite(valid, content[:length])
        with pytest.raises(ValueError, match="truncated|not a safetensors file"):
            read_header(valid)


def test_what_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        read_header(tmp_path)
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        read_header(tmp_path / "missing")


def test_the_length_of_a_header_is_not_allocated_before_it_is_checked(tmp_path):
    file = tmp_path / "x.safetensors"
    for length in (99_999_999, 10**9, 2**40, 2**63):
        file.write_bytes(whole_file({}, length=length))
        tracemalloc.start()
        with pytest.raises(ValueError):
            read_header(file)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 200_000


def damaged(content, rng):
    """A valid file with some bytes changed, cut off, repeated or taken out."""
    content = bytearray(content)
    head = 8 + struct.unpack("<Q", content[:8])[0]
    for _ in range(rng.randint(1, 4)):
        kind = rng.randrange(6)
        at = rng.randrange(head if rng.random() < 0.9 else len(content)) if content else 0
        if kind == 0 and content:
            content[at % len(content)] = rng.randrange(256)
        elif kind == 1 and content:
            content[at % len(content)] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del content[at:]
        elif kind == 3:
            del content[at : at + rng.randint(1, 8)]
        elif kind == 4:
            content[at:at] = content[at : at + rng.randint(1, 30)]
        else:
            # What JSON is made of finds deeper places than random bytes do.
            content[at : at + 1] = rng.choice(b'0123456789-.eE[]{},:"\\tfnNaIu ').to_bytes()
    if rng.random() < 0.5 and len(content) >= 8:
        # With the length put right, the damage reaches what reads the JSON.
        content[:8] = struct.pack("<Q", max(0, len(content) - 40 - rng.randrange(3)))
    return bytes(content)


def test_random_damage_is_a_sentence_or_tensors_inside_the_file(valid):
    content, rng = valid.read_bytes(), random.Random(0)
    parsed = 0
    read_header(valid)  # what is imported and cached by a first call is not counted
    tracemalloc.start()
    for _ in range(4000):
        broken = damaged(content, rng)
        overwrite(valid, broken)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        try:
            found = read_header(valid)
        except ValueError as error:
            assert str(error).isprintable() and len(str(error)) < 1000
        else:
            parsed += 1
            end = 0
            for tensor in sorted(found, key=lambda t: t.offset):
                assert tensor.offset >= max(8, end)
                end = tensor.offset + tensor.bytes
                assert end <= len(broken)
        # Buffers and python's objects, whatever numbers the header holds.
        assert tracemalloc.get_traced_memory()[1] - before < 100_000 + 10 * len(broken)
    tracemalloc.stop()
    assert 10 < parsed < 3000, "the damage should reach every place"
