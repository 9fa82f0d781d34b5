"""Dollars for the index of a search in S3 Vectors: what is kept, what is written, and what each search reads."""

from dataclasses import dataclass
from itertools import pairwise

from handler.prices import (
    INDEX_GIGABYTE_MONTH,
    INDEX_LEAST_WRITTEN_BYTES,
    INDEX_QUERY,
    INDEX_READ_TERABYTE,
    INDEX_WRITTEN_GIGABYTE,
    X86_64,
)

from .bill import MILLION
from .tables import Table

GIGABYTE, TERABYTE = 1024**3, 1024**4
"""As the examples of the price list count."""
NUMBERS_BYTES, KEY_BYTES, FILTERABLE_BYTES, TEXT_BYTES = 384 * 4, 20, 125, 738
"""A vector of the default model; and the mean key, fields and text of the 565 passages of tests/retrieval's corpus, which
`make deploy PARAMETERS="Search=true …"` would make: at most 256 tokens, of which 32 overlap."""
SIZES = (10_000, 100_000, MILLION, 10 * MILLION)


@dataclass(frozen=True, slots=True)
class Index:
    """An index: its vectors, the bytes of one, and those of one that a search reads, which leave out the text."""

    vectors: int
    stored_bytes: float
    read_bytes: float

    @property
    def month(self) -> float:
        """Return dollars a month for keeping it."""
        return self.vectors * self.stored_bytes / GIGABYTE * INDEX_GIGABYTE_MONTH

    @property
    def writing(self) -> float:
        """Return dollars for writing all of it once, many vectors to a request."""
        return self.vectors * self.stored_bytes / GIGABYTE * INDEX_WRITTEN_GIGABYTE

    @property
    def search(self) -> float:
        """Return dollars for one search, whose results are not large. Each tier has a price for its own vectors."""
        limits = pairwise((0, *INDEX_READ_TERABYTE))
        vectors = ((max(0, min(self.vectors, end) - begin), INDEX_READ_TERABYTE[end]) for begin, end in limits)
        read = sum(number * self.read_bytes / TERABYTE * price for number, price in vectors)
        return INDEX_QUERY + read


def index_of(passages: int) -> Index:
    """Return the index of this many passages of documents."""
    read = NUMBERS_BYTES + KEY_BYTES + FILTERABLE_BYTES
    return Index(passages, read + TEXT_BYTES, read)


def index_table() -> Table:
    """Make the table of an index by its number of passages."""
    searches = X86_64.lambda_request + X86_64.http_api_request
    least_kilobytes = INDEX_LEAST_WRITTEN_BYTES // 1024
    least = INDEX_LEAST_WRITTEN_BYTES / GIGABYTE * INDEX_WRITTEN_GIGABYTE * MILLION
    rows = [(size, index.month, index.writing, index.search * MILLION) for size in SIZES for index in [index_of(size)]]
    return Table(
        "The index of a search",
        [
            f"{NUMBERS_BYTES // 4} numbers, {KEY_BYTES + FILTERABLE_BYTES} bytes of key and fields, {TEXT_BYTES} bytes of text;",
            f"the request of a search is billed like any other (${searches * MILLION:.2f} a million, and the function's time);",
            f"a write is billed as {least_kilobytes} KB at least: a million documents put one by one cost ${least:.2f} or more;",
            "reads and deletions of single vectors are not counted",
        ],
        {"passages": ",d", "$ a month": ",.3f", "$ to write once": ",.3f", "$ a million searches": ",.2f"},
        rows,
    )
