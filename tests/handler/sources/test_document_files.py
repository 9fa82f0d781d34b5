"""A Markdown, HTML or text file is one document with a title, and its text is what readers see."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.errors import Validation
from handler.sources.documents import HTML, MARKDOWN, MOST_DOCUMENT_BYTES, TEXT, find_document_kind, read_document
from handler.sources.html_text import read_html


def read(content: bytes, kind: str) -> dict[str, str]:
    """Read a document in parts of a few bytes."""
    parts = (content[begin : begin + 7] for begin in range(0, len(content), 7))
    return read_document(parts, "guide/a", kind, "inputs")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.md", MARKDOWN),
        ("b.c/A.MARKDOWN", MARKDOWN),
        ("a.html.gz", HTML),
        ("a.htm", HTML),
        ("a.txt", TEXT),
        ("a.jsonl", None),
        ("md", None),
        ("a/.md", None),
        ("", None),
    ],
)
def test_the_ending_of_a_name_says_whether_the_file_is_one_document(name: str, kind: str | None) -> None:
    """Where texts are not split, each line of a text file is a record, as it always was."""
    assert find_document_kind(name, is_text_document=True) == kind
    assert find_document_kind(name, is_text_document=False) == (None if kind == TEXT else kind)


@pytest.mark.parametrize(
    ("content", "title", "text"),
    [
        ("# Title #\n\nText.", "Title", "# Title #\n\nText."),
        ("Title\n=====\nText.", "Title", "Title\n=====\nText."),
        ("Text.\n```\n# no heading\n```\n## Later", "Later", "Text.\n```\n# no heading\n```\n## Later"),
        ("Text only.", None, "Text only."),
        ('---\ntags: [a]\ntitle: "In front"\n---\n# Title\nText.', "In front", "# Title\nText."),
        ("+++\ntitle = 'In front'\n+++\nText.", "In front", "Text."),
        ("---\ntags: [a]\n---\n# Title\n", "Title", "# Title\n"),
        ("---\nA rule, and no fields.\n---\nText.", None, "---\nA rule, and no fields.\n---\nText."),
        ("---\ntitle: never ends\n", None, "---\ntitle: never ends\n"),
        ("#hashtag\n", None, "#hashtag\n"),
    ],
)
def test_markdown_stays_as_it_is_without_its_front_matter(content: str, title: str | None, text: str) -> None:
    """The title is that of the front matter, or the first heading outside of code."""
    expected = {"path": "guide/a", "inputs": text} | ({"title": title} if title else {})
    assert read(content.encode(), MARKDOWN) == read(content.encode("utf-8-sig"), MARKDOWN) == expected


PAGE = """<!doctype html><html><head><title>A &amp; B
</title><style>p { color: red }</style><script>if (a < b) document.write("<p>no</p>")</script></head>
<body><h1>Head<b>ing</b></h1><p>One
 two <i>three</i>, four.<p>Five<br>six
<ul><li>a</li><li>b<li>c</ul><table><tr><td>x<td>y<tr><th>z</table>
<pre>  keep
   this</pre>tail<svg><title>no</title>no</svg><template>no</template> end</body></html>"""


def test_html_becomes_the_text_that_readers_see() -> None:
    """Paragraphs are separated by blank lines. Scripts, styles and drawings are left out; end tags may be missing."""
    assert read(PAGE.encode(), HTML) == {
        "title": "A & B",
        "path": "guide/a",
        "inputs": "Heading\n\nOne two three, four.\n\nFive\nsix\n\n- a\n- b\n- c\n\nx y\nz\n\n  keep\n   this\n\ntail end",
    }


def test_a_page_without_a_title_has_its_first_heading() -> None:
    """Blanks in it are one each."""
    assert read_html("<h1>The \n <i>first</i></h1><h1>Second</h1>").title == "The first"


@given(
    st.lists(
        st.sampled_from(
            ["<p>", "</p>", "<script>", "</script>", "<!--", "-->", "<td", ">", "&amp", "a", "<pre>", "</title>", "<title>"]
        )
    )
)
def test_no_page_raises(parts: list[str]) -> None:
    """Whatever is missing or wrong in it, as in a browser."""
    read_html("".join(parts))


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), min_size=1))
def test_every_word_of_a_page_is_in_its_text(words: list[str]) -> None:
    """They keep their order."""
    assert read_html("<p>" + "</p><p>".join(words) + "</p>").text.split() == words


def test_plain_text_has_no_title() -> None:
    """A gzip is decompressed, whatever its name."""
    assert read(gzip.compress(b"Text.\n"), TEXT) == {"path": "guide/a", "inputs": "Text.\n"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"caf\xe9", r"^The document is not UTF-8: .* \(0xe9\) after 3 bytes\. Convert it first, for example: iconv "),
        ("Text.".encode("utf-16"), "^The document is not UTF-8 but UTF-16. Convert it first: iconv "),
        (b"x" * (MOST_DOCUMENT_BYTES + 1), "^The document has more than 8000000 bytes, the most of one document: divide it "),
        (gzip.compress(b"x" * (MOST_DOCUMENT_BYTES + 1), mtime=0), "^The document has more than 8000000 bytes"),
        (gzip.compress(b"Text.", mtime=0)[:-4], "^The document cannot be decompressed: "),
    ],
)
def test_a_document_that_cannot_be_read_is_refused_with_what_to_do(content: bytes, sentence: str) -> None:
    """No text is guessed."""
    with pytest.raises(Validation, match=sentence):
        read_document(iter([content]), "a", TEXT, "inputs")
