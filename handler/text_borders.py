"""Find the places in a text at which paragraphs, sentences, words and characters begin.

Such a place is a border. Blanks before it belong to neither side.

Law: pure functions. The patterns are compiled at first use, because a cold start needs none of them.
"""

import re
import unicodedata

BLANKLESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""The scripts that are written without blanks, as ranges of a regular expression: Thai, Lao, Burmese, Khmer, Kana and Han."""
JOINER = "\u200d"
VIRAMA = 9
"""The combining class of the sign that joins an Indic consonant to the next one."""
FIRST, VOWEL, LAST, OPEN, CLOSED = "FVLOC"
"""Parts of Korean syllables: first consonants, vowels, last consonants, and whole syllables without or with a last consonant."""
KOREAN_JOINS = {FIRST: FIRST + VOWEL + OPEN + CLOSED, VOWEL: VOWEL + LAST, OPEN: VOWEL + LAST, LAST: LAST, CLOSED: LAST}
"""By part: the parts that belong to the same syllable if they follow it (Unicode Standard Annex 29, GB6 to GB8)."""
FLAG_LETTERS = frozenset(map(chr, range(0x1F1E6, 0x1F200)))
MOST_FLAG_LETTERS = 64
"""No more letters of flags in a row are counted, so that a text of nothing else does not take hours."""
EXTENDING = frozenset(
    [
        JOINER,
        "\u200c",
        "\uff9e",
        "\uff9f",
        *map(chr, range(0x1F3FB, 0x1F400)),  # skin tones
        *map(chr, range(0xE0020, 0xE0080)),  # the letters of regional flags
    ]
)
"""The characters besides combining marks that belong to the one before them."""
PARAGRAPH = r"\n[^\S\n]*\n\s*|\n(?=#{1,6} )"
"""A blank line, or the line end before a heading of Markdown."""
SENTENCE = r"""(?x)
    (?<!\b\w)[.!?\u2026] ["')\]\u00bb\u2019\u201d]* \s+  # but a single letter with a dot is an initial
    | [\u3002\uff01\uff1f][\u300d\u300f\u201d\uff09]* \s*
    | \n[^\S\n]* (?=[-*+>|]\ |\d+[.)]\ )  # the line end before an item of a list
"""
"""The end of a sentence, with the blanks after it."""
WORD = rf"\s+|(?<=\S)(?=[{BLANKLESS}])|(?<=[{BLANKLESS}])(?=\S)"
"""The blanks between two words, or the place before or after a character of a script that is written without blanks."""


def find_paragraphs(text: str) -> list[int]:
    """Return the places at which paragraphs begin."""
    return [match.end() for match in re.finditer(PARAGRAPH, text)]


def find_sentences(text: str) -> list[int]:
    """Return the places at which sentences begin. A small letter begins none: the dot before it belongs to an abbreviation."""
    ends = (match.end() for match in re.finditer(SENTENCE, text))
    return [end for end in ends if not text[end : end + 1].islower() and is_between_characters(text, end)]


def find_words(text: str) -> list[int]:
    """Return the places at which words begin. Each character of a script that is written without blanks is a word.

    A word begins wherever a sentence does: some end without a blank.
    """
    words = {match.end() for match in re.finditer(WORD, text) if is_between_characters(text, match.end())}
    return sorted(words.union(find_sentences(text)))


def is_between_characters(text: str, place: int) -> bool:
    """Return False inside a character as readers see it: before an accent, around a joiner, between the letters of a flag.

    An accent after a blank stands by itself.
    """
    if not 0 < place < len(text):
        return True
    before, after = text[place - 1], text[place]
    if after.isascii() or before.isspace():
        return not (before == "\r" and after == "\n")
    kind = unicodedata.category(after)[0]
    last = text[max(0, place - 2)] if before == JOINER else before
    return not (
        after in EXTENDING
        or kind == "M"
        or unicodedata.combining(last) == VIRAMA
        or (before == JOINER and kind != "L")
        or _korean_kind(after) in KOREAN_JOINS.get(_korean_kind(before), "")
        or (after in FLAG_LETTERS and _count_flag_letters(text, place) % 2)
    )


def _korean_kind(character: str) -> str:
    """Return the part of a Korean syllable that a character is; a blank if it is none."""
    match ord(character):
        case code if 0x1100 <= code < 0x1160:  # noqa: PLR2004 - the blocks of Unicode are written nowhere else
            return FIRST
        case code if 0x1160 <= code < 0x11A8:  # noqa: PLR2004
            return VOWEL
        case code if 0x11A8 <= code < 0x1200:  # noqa: PLR2004
            return LAST
        case code if 0xAC00 <= code < 0xD7A4:  # noqa: PLR2004
            return CLOSED if (code - 0xAC00) % 28 else OPEN
    return " "


def _count_flag_letters(text: str, place: int) -> int:
    """Return the number of letters of flags right before a place. Two of them are one flag."""
    begin = place
    while begin > max(0, place - MOST_FLAG_LETTERS) and text[begin - 1] in FLAG_LETTERS:
        begin -= 1
    return place - begin
