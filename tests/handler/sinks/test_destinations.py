"""An address names one destination, and every other address is refused with the forms that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.aws import LocalAWS
from handler.errors import Backend
from handler.records import Origin
from handler.sinks import DESTINATIONS, FIELDS, Destination, failure_destination_from, form_pattern, parse_address, sink_from
from tests.conftest import ROOT
from tests.handler.sinks.examples import EXAMPLES
from tests.handler.sinks.fake_api import fake_api
from tests.handler.sinks.results import result

SINKS = [row for row in DESTINATIONS if row.sink]
FAILURE_DESTINATIONS = [row for row in DESTINATIONS if row.failures]
GOOD = {
    "s3://bucket": "s3_shards",
    "s3://bucket/": "s3_shards",
    "s3://my.bucket/prefix?format=parquet": "s3_shards",
    "https://sqs.eu-west-1.amazonaws.com/123456789012/queue.fifo": "sqs",
    "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/queue": "sqs",
    "http://127.0.0.1:5000/123456789012/queue": "sqs",
    "arn:aws-cn:events:cn-north-1:123456789012:event-bus/default": "eventbridge",
    "dynamodb://an embedding?format=binary": "write_back",
}
BAD = [
    "",
    "bucket/prefix",
    "s3://",
    "s3://B/prefix",
    "s3://bucket/prefix?format=csv",
    "s3://bucket/prefix?fromat=jsonl",
    "s3://bucket/prefix?format=jsonl&compression=gzip",
    "https://example.com/queue",
    "arn:aws:sqs:us-east-1:123456789012:queue",
    "arn:aws:sns:us-east-1:123456789012:topic",
    "s3vectors://bucket",
    "arn:aws:s3vectors:eu-west-1:123456789012:bucket/vectors",
    "dynamodb://",
    "http://[",
]


def readers(uri: str) -> list[str]:
    """Return the names of the destinations that read an address."""
    return [row.name for row in DESTINATIONS if parse_address(uri, row.forms, row.formats)]


@pytest.mark.parametrize("row", DESTINATIONS, ids=lambda row: row.name)
def test_every_destination_has_a_module_a_test_and_an_example_of_each_form(row: Destination) -> None:
    """Whoever adds a row must add these, too."""
    assert (ROOT / f"handler/sinks/{row.name}.py").exists()
    assert (ROOT / f"tests/handler/sinks/test_{row.name}.py").exists()
    assert len(EXAMPLES[row.name]) == len(row.forms)
    for form, uri in zip(row.forms, EXAMPLES[row.name], strict=True):
        assert re.fullmatch(form_pattern(form), uri)
        assert readers(uri) == [row.name]


def test_there_is_no_example_of_a_destination_that_does_not_exist() -> None:
    """A removed row takes its example with it."""
    assert EXAMPLES.keys() == {row.name for row in DESTINATIONS}


@pytest.mark.parametrize("uri", GOOD)
def test_variants_of_an_address_are_read_by_one_destination(uri: str) -> None:
    """A variant has no prefix, another partition, or the host of a local emulator."""
    assert readers(uri) == [GOOD[uri]]


def test_every_field_of_a_form_is_one_that_the_grammar_knows() -> None:
    """A misspelled field would be unknown, and a field that no form uses must be removed."""
    words = {word for row in DESTINATIONS for form in row.forms for word in re.findall(r"[A-Z_]{3,}", form)}
    assert words == FIELDS.keys()


@given(st.sampled_from([form for row in DESTINATIONS for form in row.forms]), st.data())
def test_an_address_made_of_a_form_and_its_fields_is_read_back(form: str, data: st.DataObject) -> None:
    """Parsing returns the fields, whatever they hold."""
    fields = sorted(set(re.findall(r"[A-Z_]{3,}", form)))
    values = {name: data.draw(st.from_regex(FIELDS[name], fullmatch=True).filter(lambda text: "?" not in text)) for name in fields}
    uri = re.sub(r"[A-Z_]{3,}", lambda word: values[word[0]], form.replace("[", "").replace("]", ""))
    address = parse_address(uri, (form,), ())
    assert address is not None
    for field in values.keys() - {"PREFIX", "REGION", "HOST"}:
        assert address[field] == values[field]


def tables(first_cell: str) -> Iterator[list[str]]:
    """Yield the cells of each row, header included, of the documentation's tables whose header begins with this cell."""
    for path in [ROOT / "README.md", *sorted((ROOT / "handler").rglob("*.md"))]:
        inside = False
        for line in Path(path).read_text().splitlines():
            inside = line.startswith("|") and (inside or line.startswith(f"| {first_cell} |"))
            if inside:
                yield line.strip("|").split("|")


def test_the_documentation_has_a_row_for_each_sink_with_the_rights_it_needs() -> None:
    """It has no row for a sink that does not exist."""
    documented = [frozenset(re.findall(r"`([a-z0-9]+:[A-Z]\w+)`", cells[-1])) for cells in tables("`SINK`")]
    assert sorted(map(sorted, filter(None, documented))) == sorted(sorted(row.rights) for row in SINKS)


@pytest.mark.parametrize("row", FAILURE_DESTINATIONS, ids=lambda row: row.name)
def test_the_documentation_names_each_failure_destination(row: Destination) -> None:
    """The row of the setting FAILURE_DESTINATION contains the last word of each title."""
    rows = [cells for cells in tables("environment variable") if cells[0].strip() == "`FAILURE_DESTINATION`"]
    assert rows
    assert all(row.title.split()[-1] in cells[-1].lower() for cells in rows)


@pytest.mark.parametrize("row", SINKS, ids=lambda row: row.name)
def test_a_module_s_docstring_names_the_rights_of_its_sink(row: Destination) -> None:
    """Whoever reads the file finds them there."""
    docstring = (ROOT / f"handler/sinks/{row.name}.py").read_text().split('"""')[1]
    assert set(re.findall(r"[a-z0-9]+:[A-Z]\w+", docstring)) >= row.rights


@pytest.mark.parametrize("row", SINKS, ids=lambda row: row.name)
def test_every_sink_has_each_record_retried_if_a_right_is_missing(row: Destination, aws: LocalAWS) -> None:
    """A missing right is not the record's fault, and its source keeps the record."""
    del aws
    origin = Origin("handle")
    for uri in EXAMPLES[row.name]:
        with fake_api(lambda _: (403, {"__type": "AccessDeniedException"})) as api, pytest.MonkeyPatch.context() as environment:
            environment.setenv("AWS_ENDPOINT_URL", api.endpoint)
            sink = sink_from(uri)
            assert sink.write([]) == []
            failures = sink.write([result("a", origin=origin), result("b")])
        assert [(failure.id, failure.transient) for failure in failures] == [("a", True), ("b", True)]
        assert failures[0].origin is origin


@pytest.mark.parametrize("uri", BAD)
def test_any_other_address_is_refused_with_the_forms_that_exist(uri: str) -> None:
    """The sentence ends with the value that was given."""
    with pytest.raises(Backend) as refused:
        sink_from(uri)
    sentence = str(refused.value)
    assert sentence.startswith(
        "SINK must be an S3 prefix (s3://BUCKET[/PREFIX]?format=jsonl or parquet), an SQS queue (https://HOST"
    )
    assert sentence.endswith(f"; it is {uri!r}")
    assert all(form in sentence for row in SINKS for form in row.forms)


@pytest.mark.parametrize("uri", ["dynamodb://a", "s3vectors://bucket/index", "s3://bucket/failures?format=jsonl"])
def test_a_failure_destination_that_does_not_exist_is_refused_with_the_name_of_its_setting(uri: str) -> None:
    """Not every sink takes failures, and failures have no choice of formats."""
    with pytest.raises(
        Backend, match=r"^FAILURE_DESTINATION must be an S3 prefix \(s3://BUCKET\[/PREFIX\]\), .*; it is "
    ) as refused:
        failure_destination_from(uri, "FAILURE_DESTINATION")
    assert str(refused.value).endswith(repr(uri))


@pytest.mark.parametrize("row", FAILURE_DESTINATIONS, ids=lambda row: row.name)
def test_every_failure_destination_is_made_of_its_address(row: Destination, aws: LocalAWS) -> None:
    """Each of its forms makes one."""
    del aws
    for uri in EXAMPLES[row.name]:
        assert failure_destination_from(uri).write([]) == []


def test_a_destination_s_region_is_that_of_its_address(aws: LocalAWS) -> None:
    """A queue's URL or an ARN names it; for any other address it comes from the environment."""
    regions = []

    def connect(service: str, **settings: object) -> object:
        regions.append((service, settings["region"]))
        return aws.client(service)

    sink_from("https://sqs.eu-west-1.amazonaws.com/123456789012/queue", connect=connect)
    sink_from("http://127.0.0.1:5000/123456789012/queue", connect=connect)
    sink_from("arn:aws:events:eu-west-2:123456789012:event-bus/default", connect=connect)
    sink_from("arn:aws:s3vectors:eu-west-3:123456789012:bucket/vectors/index/passages", connect=connect)
    failure_destination_from("arn:aws:sns:eu-north-1:123456789012:failures", connect=connect)
    assert regions == [
        ("sqs", "eu-west-1"),
        ("sqs", None),
        ("events", "eu-west-2"),
        ("s3vectors", "eu-west-3"),
        ("sns", "eu-north-1"),
    ]
