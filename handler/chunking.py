"""Split a long text into chunks that fit into a model: at paragraph, then sentence, then word borders.

Theory of operation

1. The text is tokenized once, to know where its tokens start. The number of tokens between two places is then a subtraction.
2. A chunk ends at the last paragraph border that fits, if the chunk is then at least half full; else at the last such sentence
   border; else at the last word border. A word is split only if it is longer than a whole chunk, and then never inside a character
   as readers see it (a letter with its accents, a family of emoji), unless even that is longer than a chunk.
3. The tokens of a part can differ from those of the same place in the whole text. So every chunk is counted once more as the model
   will read it, with its prompt and the special tokens. If it is too long, it ends earlier.
4. The next chunk begins before the end of the last one, by as many whole words as fit into the overlap. If the next word would not
   fit into the chunk with them, it begins with fewer words.

Blanks at both ends of a chunk are left out. The same text always has the same chunks.

Law: pure functions of a text; knows tokens by their places and numbers only.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from handler.text_borders import find_paragraphs, find_sentences, find_words, is_between_characters

LEAST_TOKENS = 32
"""The least tokens of a chunk that may be asked for."""
LEAST_TEXT_TOKENS = 16
"""The least tokens that a prompt and the special tokens must leave for the text of a chunk. Hardly any character takes as many."""
MOST_CODE_POINTS = 64
"""A longer character, such as a letter with a hundred accents, may be split."""


@dataclass(frozen=True, slots=True)
class Chunking:
    """The options of splitting a text: chunks have at most `tokens` tokens, and share at most `overlap` tokens with the one before.

    `tokens` counts the prompt and the special tokens as well; 0 means that the text is not split. If `keeps_text`, each result
    has its chunk's text in its metadata.
    """

    tokens: int = 0
    overlap: int = 0
    keeps_text: bool = False

    @property
    def fault(self) -> str:
        """A sentence about options that cannot be used; empty if they can."""
        if self.tokens and self.tokens < LEAST_TOKENS:
            return f"`chunk_tokens` must be at least {LEAST_TOKENS}, or 0 for no splitting. Given: {self.tokens}"
        if self.overlap < 0 or (self.tokens and self.overlap > self.tokens // 2):
            return f"`chunk_overlap` must be from 0 to half of `chunk_tokens`. Given: {self.overlap}"
        return ""


WHOLE = Chunking()
"""Texts are not split."""


@dataclass(frozen=True, slots=True)
class ChunkOptions:
    """The options of splitting that a record has itself. None stands for the option of the deployment."""

    tokens: int | None = None
    overlap: int | None = None
    keeps_text: bool | None = None

    def over(self, default: Chunking) -> Chunking:
        """Return these options, completed by those of the deployment."""
        return Chunking(
            default.tokens if self.tokens is None else self.tokens,
            default.overlap if self.overlap is None else self.overlap,
            default.keeps_text if self.keeps_text is None else self.keeps_text,
        )


NO_CHUNK_OPTIONS = ChunkOptions()


class Chunk(NamedTuple):
    """A part of a text: its characters from `start` to before `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """The tokens of one text: where they start in it, and a function that counts those of a part as the model will read it."""

    starts: Sequence[int]
    count: Callable[[str], int]

    def before(self, place: int) -> int:
        """Return the number of tokens that start before a place in the text."""
        return bisect_left(self.starts, place)

    def between(self, begin: int, end: int) -> int:
        """Return the number of tokens that start between two places in the text."""
        return self.before(end) - self.before(begin)

    def reach(self, place: int, most: int) -> int:
        """Return the last place up to which at most `most` tokens start from `place` on. It can be far beyond the text's end."""
        index = self.before(place) + most
        return self.starts[index] if index < len(self.starts) else FAR


FAR = 1 << 62


class NoRoom(ValueError):  # noqa: N818 - the caller makes a sentence of it
    """One character has more tokens than a chunk may have. `place` is where it is."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


def split(text: str, tokens: TokenCounts, limit: int, overlap: int) -> list[Chunk]:
    """Split a text into chunks of at most `limit` tokens as `tokens.count` counts them; a blank text has none.

    Args:
        text: the text.
        tokens: its tokens.
        limit: the most tokens of a chunk.
        overlap: the most tokens that a chunk shares with the one before it.

    Raises:
        NoRoom: a single character has more than `limit` tokens.
    """
    return list(_Splitter(text, tokens, limit, overlap).chunks())


class _Splitter:
    """The borders and the tokens of one text.

    In its methods, the chunk in question begins at `begin`, and the chunks before it have covered the text up to `covered`. Between
    the two is the overlap.
    """

    def __init__(self, text: str, tokens: TokenCounts, limit: int, overlap: int) -> None:
        self._text = text
        self._tokens = tokens
        self._limit = limit
        self._overlap = overlap
        self._room = max(0, limit - tokens.count(""))
        self._begin = len(text) - len(text.lstrip())
        self._end = len(text.rstrip())
        self._levels = (find_paragraphs(text), find_sentences(text))
        self._words = find_words(text)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks in their order."""
        begin = covered = self._begin
        while covered < self._end:
            if end := self._find_border(begin, covered):
                is_inside_word = False
            elif begin < covered and self._next_border(covered, covered):
                begin = min(covered, self._next_word(begin))  # a word would fit if fewer words before it were repeated
                continue
            else:
                begin, end = self._cut_word(begin, covered)
                is_inside_word = True
            chunk = Chunk(begin, self._trim(end))
            yield chunk
            covered = self._skip_blanks(end)
            begin = self._begin_next(chunk, covered, is_inside_word=is_inside_word)

    def _find_border(self, begin: int, covered: int) -> int:
        """Return the border at which the chunk ends; 0 if not even one word after `covered` fits into it."""
        ends = (self._last_border(borders, begin, covered, self._room // 2) for borders in self._levels)
        return next(filter(None, ends), 0) or self._last_border(self._words, begin, covered) or self._next_border(begin, covered)

    def _last_border(self, borders: Sequence[int], begin: int, covered: int, least: int = 0) -> int:
        """Return the last border after `covered` at which the chunk fits and has at least `least` tokens; 0 if there is none.

        The end of the text is a border of every kind, and may leave the chunk with fewer tokens.
        """
        most = self._room
        while True:
            reach = self._tokens.reach(begin, most)
            end = self._end if reach >= self._end else _last_up_to(borders, reach)
            has = self._tokens.between(begin, end)
            if end <= covered or (has < least and end < self._end):
                return 0
            excess = self._count(begin, end) - self._limit
            if excess <= 0:
                return end
            if not has:
                return 0
            most = max(0, has - excess)  # it has more tokens by itself than in the whole text: it must end earlier

    def _next_border(self, begin: int, covered: int) -> int:
        """Return the end of the first word after `covered` if the chunk fits with it; 0 if not.

        By itself, the chunk can have fewer tokens than its place in the whole text.
        """
        end = self._next_word(covered)
        is_near = self._tokens.between(begin, end) <= 2 * self._limit  # the whole rest is not counted again for each part of a word
        return end if is_near and self._count(begin, end) <= self._limit else 0

    def _cut_word(self, begin: int, covered: int) -> tuple[int, int]:
        """Return where a chunk begins and ends that holds as much as fits of the word at `covered`, which is longer than a chunk.

        It ends between two whole characters if any such place after `covered` fits.
        """
        for start, may_end in ((begin, is_between_characters), (covered, is_between_characters), (covered, lambda *_: True)):
            reach = min(self._next_character(self._tokens.reach(start, self._room)), self._next_word(covered))
            for end in range(reach, covered, -1):
                if may_end(self._text, end) and self._count(start, end) <= self._limit:
                    return start, end
        raise NoRoom(covered)

    def _begin_next(self, last: Chunk, covered: int, *, is_inside_word: bool) -> int:
        """Return where the chunk after `last` begins: before `covered`, by as many whole words as fit into the overlap.

        If the last chunk ends inside a word, characters count as words do.
        """
        if not self._overlap:
            return covered
        shared = max(0, self._tokens.before(last.end) - self._overlap)
        first, after = bisect_right(self._words, last.start), bisect_left(self._words, covered)
        index = bisect_left(self._words, shared, first, after, key=self._tokens.before)
        if index < after:
            return self._words[index]
        if is_inside_word and shared < len(self._tokens.starts):
            earliest = max(last.start + 1, self._tokens.starts[shared])
            return next((place for place in range(earliest, covered) if self._may_begin(place, shared)), covered)
        return covered

    def _next_word(self, place: int) -> int:
        """Return where the next word after a place begins, or the end of the text."""
        index = bisect_right(self._words, place)
        return min(self._end, self._words[index]) if index < len(self._words) else self._end

    def _may_begin(self, place: int, shared: int) -> bool:
        """Return whether a chunk may begin at a place inside a word, if `shared` tokens before it may not be repeated."""
        is_border = is_between_characters(self._text, place) and not self._text[place].isspace()
        return is_border and self._tokens.before(place) >= shared

    def _next_character(self, place: int) -> int:
        """Return the first place after `place` at which a character begins. Not all of its tokens may count at its end."""
        last = min(place + MOST_CODE_POINTS, self._end)
        return next((end for end in range(place + 1, last) if is_between_characters(self._text, end)), last)

    def _count(self, begin: int, end: int) -> int:
        return self._tokens.count(self._text[begin : self._trim(end)])

    def _trim(self, end: int) -> int:
        while end and self._text[end - 1].isspace():
            end -= 1
        return end

    def _skip_blanks(self, place: int) -> int:
        while place < self._end and self._text[place].isspace():
            place += 1
        return place


def _last_up_to(borders: Sequence[int], place: int) -> int:
    index = bisect_right(borders, place)
    return borders[index - 1] if index else 0
