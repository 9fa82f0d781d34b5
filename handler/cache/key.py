"""The key of a vector: a digest over everything that decides it and nothing else. The text itself is never stored.

normalize, dimensions and encoding stay out of it, because they derive from one pooled vector.
"""

import hashlib

type Key = bytes

DIGEST_BYTES = 32
LENGTH_BYTES = 8


class CacheKeys:
    """The keys of one encoder's vectors in one codec."""

    def __init__(self, encoder: str, codec: str, secret: str = "") -> None:
        """Make keys for these two fingerprints.

        Args:
            encoder: fingerprint of whatever turns texts into vectors.
            codec: version of what turns vectors into rows.
            secret: with it, who may read the table cannot test which texts are in it.
        """
        # BLAKE2b takes a key of at most 64 bytes, which is what it digests a secret of any length to.
        key = hashlib.blake2b(secret.encode()).digest() if secret else b""
        self._digest = hashlib.blake2b(key=key, digest_size=DIGEST_BYTES)
        for field in (encoder, codec):
            _add(self._digest, field)

    def key(self, prompt: str, text: str, truncation: str) -> Key:
        """The key of a text's vector.

        Args:
            prompt: what is put before the text; apart from it, since a model may leave the prompt out of its pool.
            text: the text.
            truncation: which end was cut and to how many tokens; empty if nothing was cut.
        """
        digest = self._digest.copy()
        for field in (prompt, text, truncation):
            _add(digest, field)
        return digest.digest()


def _add(digest: hashlib.blake2b, field: str) -> None:
    """Add a field with its length before it, so that no two lists of fields give the same bytes."""
    content = field.encode("utf-8", "surrogatepass")
    digest.update(len(content).to_bytes(LENGTH_BYTES))
    digest.update(content)
