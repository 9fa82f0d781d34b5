"""The settings of a pipeline, which are read once: where its records come from, how long texts are split, where the results go.

Law: frozen values made from a mapping, as those of handler/config.py are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from handler.chunking import Chunking
from handler.config import output_dtype, search_index_arn
from handler.environment import read_boolean, read_whole
from handler.errors import Backend


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """The inputs and outputs of a pipeline; handler/README.md lists the environment variables."""

    text_field: str
    sink: str
    failure_destination: str
    continuation_queue: str
    inputs: tuple[str, ...]
    output_dtype: str
    chunking: Chunking
    search_index_arn: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            Backend: a value cannot be used, or an output lies in an input; the sentence names both.
        """
        settings = cls(
            text_field=environment.get("TEXT_FIELD", "").strip() or "inputs",
            sink=environment.get("SINK", "").strip(),
            failure_destination=environment.get("FAILURE_DESTINATION", "").strip(),
            continuation_queue=environment.get("CONTINUATION_QUEUE", "").strip(),
            inputs=tuple(place.strip() for place in environment.get("INPUT", "").split(",") if place.strip()),
            output_dtype=output_dtype(environment),
            chunking=chunking(environment),
            search_index_arn=search_index_arn(environment),
        )
        for name, output in settings.outputs.items():
            settings.check_output(name, output)
        return settings

    def check_output(self, name: str, output: str) -> None:
        """Check that objects written to `output` are not read again as inputs. `name` is the setting that holds `output`.

        Raises:
            Backend: they would be read again; the sentence names both places.
        """
        for place in self.inputs:
            if overlap(place, output):
                msg = f"{name} {output} must lie outside of INPUT {place}: what is written there would be read again"
                raise Backend(msg)

    @property
    def outputs(self) -> Mapping[str, str]:
        """The outputs by the names of their environment variables."""
        named = {"SINK": self.sink, "FAILURE_DESTINATION": self.failure_destination}
        return {name: output for name, output in named.items() if output}


def chunking(environment: Mapping[str, str]) -> Chunking:
    """Return the options of splitting of records that have none of their own.

    Raises:
        Backend: CHUNK_TOKENS, CHUNK_OVERLAP or CHUNK_TEXT has a value that cannot be used.
    """
    read = Chunking(
        tokens=read_whole(environment, "CHUNK_TOKENS", default=0),
        overlap=read_whole(environment, "CHUNK_OVERLAP", default=0),
        keeps_text=read_boolean(environment, "CHUNK_TEXT", default=False),
    )
    if read.fault:
        msg = read.fault.replace("`chunk_tokens`", "CHUNK_TOKENS").replace("`chunk_overlap`", "CHUNK_OVERLAP")
        raise Backend(msg)
    return read


def overlap(place: str, output: str) -> bool:
    """Return whether objects written to `output` are read from `place`. As in S3, the prefix `in` includes `in-vectors/`."""
    if not place.startswith("s3://"):
        return place == output
    place = place if place.count("/") > BARE_BUCKET_SLASHES else place + "/"
    output = output.partition("?")[0].rstrip("/") + "/"
    return output.startswith(place) or place.startswith(output)


BARE_BUCKET_SLASHES = 2
"""The number of slashes in `s3://bucket`."""
