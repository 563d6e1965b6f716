"""Random secrets that are shown once, such as keys and the tokens of sessions, of which only digests are stored.

The digest is a plain SHA-256. Slow hashes such as argon2 protect passwords, which people choose and others can guess. A
secret of 256 random bits cannot be guessed however fast the hash is; and a slow hash would let anybody who sends wrong
ones keep the processor busy.
"""

from base64 import urlsafe_b64encode
from hashlib import sha256

ENTROPY_BYTES = 32
"""Random bytes of a secret."""


def spelled(entropy: bytes) -> str:
    """The secret made of random bytes, in characters that URLs and headers may have."""
    assert len(entropy) == ENTROPY_BYTES
    return urlsafe_b64encode(entropy).rstrip(b"=").decode()


def digest(secret: str) -> bytes:
    """What is stored of a secret. What anybody presents has one, whatever it is."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()
