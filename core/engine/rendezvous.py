"""Weighted rendezvous hashing: which server a key belongs to. If a server joins or leaves, only its own keys move.

Thaler and Ravishankar, "A name-based mapping scheme for rendezvous" (1996); weights as in Schindelhauer and Schomaker,
"Weighted distributed hash tables" (2005).
"""

import math
from hashlib import blake2b
from typing import Final

BITS: Final = 52
"""A hash of so many bits, and a half, is exact as a float."""


def affinity(server: str, weight: float, key: str) -> float:
    """How close a key is to a server; it belongs to the closest. Of many keys, each server gets a share in proportion
    to its weight, which is above 0.
    """
    digest = blake2b(f"{server}\n{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    number = int.from_bytes(digest) >> (64 - BITS)
    return -weight / math.log((number + 0.5) / 2**BITS)
