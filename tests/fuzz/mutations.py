"""Changes to files and JSON values, by a seeded generator: the same seed gives the same cases on every computer."""

from __future__ import annotations

import random
from typing import Any

WEIRD: list[Any] = [
    None, True, False, 0, -1, 1.5, 2**64, 10**400, float("nan"), float("inf"), "", "..", "../../x", "/etc/passwd",
    "a\0b", "\ud800", "x" * 5000, "CON", "~nobody", [], {}, [[[[]]]], {"": {}}, [None] * 50, "https://example.org/x",
]  # fmt: skip


def mutate_bytes(chance: random.Random, data: bytes) -> bytes:
    """One to four changes: flipped bits, other bytes, a cut, a block removed, doubled, zeroed or moved."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        if not changed:
            break
        place, length = chance.randrange(len(changed)), chance.choice((1, 2, 4, 16, 200))
        match chance.randrange(8):
            case 0 | 1:
                changed[place] ^= 1 << chance.randrange(8)
            case 2:
                changed[place : place + length] = chance.randbytes(min(length, len(changed) - place))
            case 3:
                del changed[place:]
            case 4:
                del changed[place : place + length]
            case 5:
                changed[place:place] = changed[place : place + length]
            case 6:
                changed[place : place + length] = bytes(min(length, len(changed) - place))
            case _:
                changed[place : place + 4] = chance.choice(
                    (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x80")
                )
    return bytes(changed)


def mutate_json(chance: random.Random, value: Any) -> Any:
    """A value in which some parts are gone or others."""
    if chance.random() < 0.08:
        return chance.choice(WEIRD)
    if isinstance(value, dict):
        return {
            key if chance.random() < 0.98 else str(chance.choice(WEIRD)): mutate_json(chance, item)
            for key, item in value.items()
            if chance.random() < 0.97
        }
    if isinstance(value, list):
        return [mutate_json(chance, item) for item in value if chance.random() < 0.97]
    return value
