"""The key of a vector: a digest of everything that decides the vector. The text itself is never stored.

normalize, dimensions and encoding are not part of it: the results for all of their values are computed from one pooled vector.
"""

import hashlib

type Key = bytes

DIGEST_BYTES = 32
LENGTH_BYTES = 8


class CacheKeys:
    """Computes the keys of one encoder's vectors in one codec."""

    def __init__(self, encoder: str, codec: str, secret: str = "") -> None:
        """Compute keys for one encoder and one codec.

        Args:
            encoder: the encoder's fingerprint.
            codec: the codec's version.
            secret: a reader of the table who does not know it cannot test which texts are in the table. Empty for no secret.
        """
        # A key of BLAKE2b has at most 64 bytes, so a secret of any length is digested to 64 bytes first.
        key = hashlib.blake2b(secret.encode()).digest() if secret else b""
        self._digest = hashlib.blake2b(key=key, digest_size=DIGEST_BYTES)
        for field in (encoder, codec):
            _add(self._digest, field)

    def key(self, prompt: str, text: str, truncation: str) -> Key:
        """Return the key of a text's vector.

        Args:
            prompt: the text that is put before `text`. It is a field of its own, because some models leave it out of the pool.
            text: the text.
            truncation: the truncated end and the number of tokens that are kept; empty if nothing was truncated.
        """
        digest = self._digest.copy()
        for field in (prompt, text, truncation):
            _add(digest, field)
        return digest.digest()


def _add(digest: hashlib.blake2b, field: str) -> None:
    """Add the length of a field and then the field, so that two different lists of fields never give the same bytes."""
    content = field.encode("utf-8", "surrogatepass")
    digest.update(len(content).to_bytes(LENGTH_BYTES))
    digest.update(content)
