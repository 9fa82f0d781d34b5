"""The condition FILTER on the metadata of a record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from events.embed.progress import Refused
from handler.encoding import to_json


@dataclass(frozen=True, slots=True)
class Filter:
    """The condition that a field has a value."""

    field: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `field=value`; everything after the first equals sign is the value.

        Raises:
            Refused: the text has another form.
        """
        field, equals, value = text.partition("=")
        if not (field and equals):
            msg = f"FILTER must be field=value, as in FILTER=lang=en. Given: {text}"
            raise Refused(msg)
        return cls(field, value)

    @property
    def needle(self) -> str:
        """A text that the JSON of all metadata that fulfil the condition has in it; empty if there may be none."""
        is_plain = self.value.isascii() and self.value.isprintable() and not set(self.value) & {'"', "\\"}
        return self.value if is_plain else ""

    def accepts(self, metadata: Mapping[str, Any]) -> bool:
        """Return True if the field is the value as text or in JSON, or is a list that has such a value."""
        if self.field not in metadata:
            return False
        found = metadata[self.field]
        return any(self._is_value(each) for each in (found if isinstance(found, list) else [found]))

    def _is_value(self, found: object) -> bool:
        return found == self.value if isinstance(found, str) else to_json(found).decode() == self.value
