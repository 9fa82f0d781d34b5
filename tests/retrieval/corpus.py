"""A corpus with questions whose answers are known: the topics of Python's own documentation, which every installation has.

questions.json has one object a question, written for this corpus: `document` is the id of the only document that answers it, and
`passage` is a phrase of the place that does, with single spaces.

Law: knows the texts and the questions, and nothing of models or of searching.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics

QUESTIONS = Path(__file__).with_name("questions.json")
COLLECTIONS = {"compound", "execmodel", "specialnames"}
"""Topics that are other topics, one after the other."""
PARTS = {"augassign", "dynamic-features", "else", "id-classes", "in", "typesseq-mutable"}
"""Topics that another topic contains. With these and the collections, a question would have several right documents."""


@dataclass(frozen=True, slots=True)
class Document:
    """One topic."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the id of the document that answers it, and a phrase of the passage that does."""

    question: str
    document: str
    passage: str

    def find(self, text: str) -> tuple[int, int]:
        """Return where the passage begins and ends in the text of its document, in characters.

        Raises:
            LookupError: the text does not have the passage, or has it more than once.
        """
        found = list(re.finditer(r"\s+".join(map(re.escape, self.passage.split())), text))
        if len(found) != 1:
            msg = f"{self.document} has {self.passage!r} {len(found)} times, not once"
            raise LookupError(msg)
        return found[0].span()


def documents() -> Mapping[str, Document]:
    """Return the documents by their ids, in the order of the ids. Their text depends on the release of Python."""
    names = sorted(topics.keys() - COLLECTIONS - PARTS)
    texts = {name: topics[name].strip() for name in names}
    return {name: Document(name, text.partition("\n")[0].replace('"', ""), text) for name, text in texts.items()}


def questions() -> list[Question]:
    """Read the questions, in the order of the file."""
    return [Question(**fields) for fields in json.loads(QUESTIONS.read_text("utf-8"))]
