"""TensorBoard's event files: records in a frame each, with a message of protobuf's in them.

A record is its length (8 bytes, little endian), a checksum of that (4), the message, and a checksum of the message (4).
Only the first checksum is compared: it tells a file that is something else, or broken, before its length is believed.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

FRAME = 8 + 4  # bytes before a message; 4 more follow it
VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5  # how protobuf writes a field
FLOAT, DOUBLE = 1, 2  # types of tensors
Field = int | bytes
Fields = dict[int, list[Field]]


class NotARecordError(Exception):
    """The bytes are no record, or no event."""


@dataclass(frozen=True)
class Scalars:
    """The scalars of a record: when it was written, at which step, and the values by tag."""

    at: float
    step: int
    values: dict[str, float]


def messages(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The messages of whole records, each with the place where its record ends; one that is cut off ends them.

    Raises:
        NotARecordError: What follows is not a record.
    """
    start = 0
    while start + FRAME <= len(data):
        length, checksum = struct.unpack_from("<QI", data, start)
        if checksum != masked_crc(data[start : start + 8]):
            raise NotARecordError
        end = start + FRAME + length + 4
        if end > len(data):
            return
        yield data[start + FRAME : end - 4], end
        start = end


def scalars(message: bytes, plugins: dict[str, str]) -> Scalars | None:
    """The scalars of an event; None if it has none. `plugins`, by tag, is kept from call to call.

    Raises:
        NotARecordError: The message is not an event.
    """
    try:
        event = _fields(message)
        values = [_scalar(_bytes(value), plugins) for summary in event.get(5, []) for value in _summary(summary)]
        found = {tag: value for one in values if one is not None for tag, value in [one]}
        at = struct.unpack("<d", _bytes(event[1][-1]))[0]
    except (IndexError, KeyError, ValueError, struct.error) as error:
        raise NotARecordError from error
    step = int(event.get(2, [0])[-1])
    return Scalars(at, step - (1 << 64 if step >> 63 else 0), found) if found else None


def masked_crc(data: bytes) -> int:
    """The checksum of these files: CRC-32C, rotated and moved."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def _summary(summary: Field) -> list[Field]:
    return _fields(_bytes(summary)).get(1, [])


def _scalar(data: bytes, plugins: dict[str, str]) -> tuple[str, float] | None:
    """The tag and the value of a summary, in its old form or in its new one, a tensor."""
    value = _fields(data)
    tag = _bytes(value[1][-1]).decode() if 1 in value else ""
    for metadata in value.get(9, []):
        for plugin in _fields(_bytes(metadata)).get(1, []):
            plugins[tag] = _bytes(_fields(_bytes(plugin)).get(1, [b""])[-1]).decode()
    if 2 in value:
        return tag, struct.unpack("<f", _bytes(value[2][-1]))[0]
    if 8 in value and plugins.get(tag, "scalars") == "scalars":
        number = _of_tensor(_fields(_bytes(value[8][-1])))
        return None if number is None else (tag, number)
    return None


def _of_tensor(tensor: Fields) -> float | None:
    """The number in a tensor that has one, of a type that metrics have."""
    kind = tensor.get(1, [0])[-1]
    if kind not in (FLOAT, DOUBLE):
        return None
    typed = b"".join(_bytes(part) for part in tensor.get(5 if kind == FLOAT else 6, []))
    content = typed or b"".join(_bytes(part) for part in tensor.get(4, []))
    code = "<f" if kind == FLOAT else "<d"
    return struct.unpack(code, content)[0] if len(content) == struct.calcsize(code) else None


def _fields(data: bytes) -> Fields:
    """The fields of a message, by number: a number where it is a varint, else its bytes."""
    fields: Fields = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == VARINT:
            value: Field
            value, at = _varint(data, at)
        elif kind in (EIGHT, FOUR, BYTES):
            size = 8 if kind == EIGHT else 4
            if kind == BYTES:
                size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError
            value, at = data[at : at + size], at + size
        else:
            raise ValueError
        fields.setdefault(key >> 3, []).append(value)
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return number, at


def _bytes(field: Field) -> bytes:
    if isinstance(field, bytes):
        return field
    raise ValueError
