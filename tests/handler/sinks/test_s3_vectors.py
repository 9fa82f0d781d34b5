"""An index of S3 Vectors stores each vector under its record's id, and one bad vector keeps no other out."""

import json
import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import botocore.session
import numpy as np
import pytest

from events.aws import LocalAWS
from handler.embedding.manifest import Manifest
from handler.errors import Backend
from handler.pipeline.ports import DeletingSink, DocumentSink, ModelBound
from handler.records import NO_ORIGIN, Deleted, Failure, Origin, Result
from handler.service import Service
from handler.sinks import sink_from
from handler.sinks.s3_vectors import MOST_CALLS, S3Vectors, to_storable
from handler.vector_index import MODEL_TAG, model_of
from tests.handler.sinks.fake_api import Answer, FakeApi, fake_api
from tests.handler.sinks.results import result, results

ARN = "arn:aws:s3vectors:us-east-1:123456789012:bucket/bucket/index/passages"
INDEX = {"index": {"indexArn": ARN, "dimension": 4, "distanceMetric": "cosine"}}


@pytest.fixture
def index(aws: LocalAWS) -> tuple[Any, dict[str, str]]:
    """A client, and the names of an empty index of four dimensions that compares by cosine."""
    client = aws.client("s3vectors")
    names = {"vectorBucketName": f"bucket-{uuid4().hex}", "indexName": "passages"}
    client.create_vector_bucket(vectorBucketName=names["vectorBucketName"])
    client.create_index(**names, dataType="float32", dimension=4, distanceMetric="cosine")
    return client, names


def uri(names: dict[str, str]) -> str:
    """Return the address of an index."""
    return f"s3vectors://{names['vectorBucketName']}/{names['indexName']}"


def test_vectors_are_put_under_their_ids_with_their_metadata(index: tuple[Any, dict[str, str]]) -> None:
    """701 vectors take two calls. Nested metadata is stored as JSON, and null is left out."""
    client, names = index
    written = result("ä", lang="fr", pages=[1, 2], nothing=None, nested={"a": 1}, mixed=[1, None])
    sink = sink_from(uri(names))
    assert sink.write([written, *results(700)]) == []
    (kept,) = client.get_vectors(**names, keys=["ä"], returnData=True, returnMetadata=True)["vectors"]
    assert np.array(kept["data"]["float32"], np.float32).tobytes() == written.vector.tobytes()
    assert kept["metadata"] == {"lang": "fr", "pages": [1, 2], "nested": '{"a":1}', "mixed": "[1,null]"}
    assert len(client.list_vectors(**names, maxResults=1000)["vectors"]) == 701


def test_an_arn_names_an_index_in_another_region(aws: LocalAWS) -> None:
    """The function's own region has no index of that name."""
    session = botocore.session.get_session()
    session.set_credentials("local", "local")
    client = session.create_client("s3vectors", "eu-west-1", endpoint_url=aws.endpoint)
    names = {"vectorBucketName": f"bucket-{uuid4().hex}", "indexName": "passages"}
    client.create_vector_bucket(vectorBucketName=names["vectorBucketName"])
    client.create_index(**names, dataType="float32", dimension=4, distanceMetric="cosine")
    arn = client.get_index(**names)["index"]["indexArn"]
    assert ":eu-west-1:" in arn
    assert sink_from(arn).write([result("a")]) == []
    assert len(client.list_vectors(**names)["vectors"]) == 1


def test_a_repeat_overwrites_and_the_later_of_two_results_with_one_id_is_kept(index: tuple[Any, dict[str, str]]) -> None:
    """The id is the key."""
    client, names = index
    sink = sink_from(uri(names))
    later = result("a", np.array([1, 2, 3, 4], np.float32))
    sink.write([result("a")])
    assert sink.write([result("a"), later]) == []
    (kept,) = client.get_vectors(**names, keys=["a"], returnData=True)["vectors"]
    assert kept["data"]["float32"] == [1, 2, 3, 4]


def test_the_metadata_of_the_vectors_that_exist_is_read(index: tuple[Any, dict[str, str]]) -> None:
    """One call reads 100 ids. An id that no index accepts has no vector."""
    _, names = index
    sink = sink_from(uri(names))
    assert isinstance(sink, DocumentSink)
    assert sink.write([*results(250), result("with", page=7)]) == []
    found = sink.read_metadata([*map(str, range(300)), "with", "", "x" * 1025, "with"])
    assert found == {**{str(number): {} for number in range(250)}, "with": {"page": 7}}


def test_vectors_of_deleted_records_are_deleted(index: tuple[Any, dict[str, str]]) -> None:
    """703 ids take two calls. An id that is not in the index, or cannot be, is no failure."""
    client, names = index
    sink = sink_from(uri(names))
    assert isinstance(sink, DeletingSink)
    sink.write(results(702))
    gone = [Deleted(name, "deleted") for name in [*map(str, range(2, 702)), "never there", "k" * 1025, ""]]
    assert sink.delete(gone) == []
    assert {kept["key"] for kept in client.list_vectors(**names)["vectors"]} == {"0", "1"}


def test_a_vector_that_could_not_be_deleted_is_retried(aws: LocalAWS) -> None:
    """The sentence has the name of AWS's error, and nothing of its message."""
    del aws
    failures: list[Failure] = []
    gone = [Deleted("a", "deleted", Origin("1")), Deleted("b", "deleted", Origin("2"))]

    def answer(asked: Any) -> tuple[int, Any]:  # noqa: ANN401 - JSON
        return (400, {"__type": "AccessDeniedException", "message": "no"}) if "keys" in asked else (200, INDEX)

    def delete(_: FakeApi) -> None:
        sink = sink_from("s3vectors://bucket/passages")
        assert isinstance(sink, DeletingSink)
        failures.extend(sink.delete(gone))

    at(answer, delete)
    error = "The index passages did not accept it: AccessDeniedException"
    assert failures == [Failure(one.id, error, "Backend", transient=True, origin=one.origin) for one in gone]


UNFIT: list[tuple[Result, str]] = [
    (result("z", np.zeros(4, np.float32)), "The index passages compares by cosine, which is undefined for a vector of zeros"),
    (result("n", np.array([1, np.nan, 0, 0], np.float32)), "The vector has a number that is not finite"),
    (result("d", np.ones(5, np.float32)), "The index passages takes vectors of 4 numbers; this one has 5"),
    (result("k" * 1025), "An id must have 1 to 1024 characters in an index; this one has 1025"),
    (result(""), "An id must have 1 to 1024 characters in an index; this one has 0"),
    (
        result("m", None, "", NO_ORIGIN, **{f"field{number}": 1 for number in range(51)}),
        "A vector may have 50 fields of metadata in an index; this one has 51",
    ),
    (result("b", note="x" * 50_000), "A vector may have 40960 bytes of metadata in an index; this one has 50011"),
    (result("f", note="x" * 3000), "A vector may have 2048 bytes of filterable metadata in an index; this one has 3011"),
]


@pytest.mark.parametrize(("unfit", "sentence"), UNFIT, ids=[one.record.id[:1] for one, _ in UNFIT])
def test_an_unfit_vector_is_refused_with_the_reason(index: tuple[Any, dict[str, str]], unfit: Result, sentence: str) -> None:
    """It is refused before the call, so that the others are put."""
    client, names = index
    assert sink_from(uri(names)).write([*results(2), unfit, result("last")]) == [
        Failure(unfit.record.id, sentence, "Validation", transient=False)
    ]
    assert {kept["key"] for kept in client.list_vectors(**names)["vectors"]} == {"0", "1", "last"}


def at(answer: Answer, use: Callable[[FakeApi], None]) -> FakeApi:
    """Use an index with these responses; return the requests that it received."""
    with fake_api(answer) as api, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", api.endpoint)
        use(api)
    return api


def refusing(*keys: str, code: str = "ValidationException") -> Answer:
    """Make an index that refuses every call with one of these keys."""

    def answer(asked: Any) -> tuple[int, Any]:  # noqa: ANN401 - JSON
        if "vectors" not in asked:
            return 200, INDEX
        if {vector["key"] for vector in asked["vectors"]} & set(keys):
            return 400, {"__type": code, "message": f"Invalid record {asked['vectors'][0]['key']}"}
        return 200, {}

    return answer


@pytest.mark.parametrize("code", ["ValidationException", "SerializationException"])
def test_the_vector_that_makes_a_call_fail_is_found_and_the_others_are_put(aws: LocalAWS, code: str) -> None:
    """The call is halved until the vector is alone. The failure has no words of AWS, which may quote what was sent."""
    del aws
    failures: list[Failure] = []
    api = at(
        refusing("123", "499", code=code), lambda _: failures.extend(sink_from("s3vectors://bucket/passages").write(results(500)))
    )
    assert [(failure.id, failure.transient) for failure in failures] == [("123", False), ("499", False)]
    assert failures[0].error == f"The index passages refuses it: {code}"
    put = {
        vector["key"]
        for asked in api.requests
        if "vectors" in asked and not {"123", "499"} & {vector["key"] for vector in asked["vectors"]}
        for vector in asked["vectors"]
    }
    assert put == {str(number) for number in range(500)} - {"123", "499"}
    assert len(api.requests) < 40


def test_an_index_that_refuses_everything_gets_a_limited_number_of_calls(aws: LocalAWS) -> None:
    """Vectors that were not tried are retried."""
    del aws
    failures: list[Failure] = []
    everything = refusing(*map(str, range(500)))
    api = at(everything, lambda _: failures.extend(sink_from("s3vectors://bucket/passages").write(results(500))))
    assert len(api.requests) == 1 + MOST_CALLS
    assert {failure.id for failure in failures} == set(map(str, range(500)))
    assert any(failure.transient for failure in failures)


def test_calls_stay_within_20_mib(aws: LocalAWS) -> None:
    """Numbers are sent as short decimals that read back as the same float32."""
    del aws
    vectors = np.random.default_rng(1).standard_normal((500, 256), np.float32)
    large = [result(str(number), vector, note="x" * 40_000) for number, vector in enumerate(vectors)]
    described = INDEX["index"] | {"dimension": 256, "metadataConfiguration": {"nonFilterableMetadataKeys": ["note"]}}
    failures: list[Failure] = []

    def answer(asked: Any) -> tuple[int, Any]:  # noqa: ANN401 - JSON
        return (200, {}) if "vectors" in asked else (200, {"index": described})

    api = at(answer, lambda _: failures.extend(sink_from("s3vectors://bucket/passages").write(large)))
    assert failures == []
    calls = [asked for asked in api.requests if "vectors" in asked]
    assert len(calls) == 2
    assert all(len(json.dumps(asked)) < 20 * 1024 * 1024 for asked in calls)
    read = [vector["data"]["float32"] for asked in calls for vector in asked["vectors"]]
    assert np.array(read, np.float32).tobytes() == vectors.tobytes()


def test_without_the_right_to_describe_the_index_it_is_written_to(aws: LocalAWS) -> None:
    """The index refuses unfit vectors itself then. A vector of zeros is always refused before the call."""
    del aws

    def answer(asked: Any) -> tuple[int, Any]:  # noqa: ANN401 - JSON
        return (200, {}) if "vectors" in asked else (403, {"__type": "AccessDeniedException", "message": "no"})

    def use(_: FakeApi) -> None:
        sink = sink_from("s3vectors://bucket/passages")
        assert sink.write([result("a", note="x" * 3000)]) == []
        (failure,) = sink.write([result("z", np.zeros(4, np.float32))])
        assert not failure.transient

    at(answer, use)


def bound(index: tuple[Any, dict[str, str]], service: Service, searched: str = "") -> S3Vectors:
    """Return a sink of the index whose model is checked."""
    sink = sink_from(uri(index[1]))
    assert isinstance(sink, S3Vectors)
    sink.check_model(lambda: service.manifest, searched)
    return sink


def tags(index: tuple[Any, dict[str, str]]) -> dict[str, str]:
    """Return the tags of an index."""
    client, names = index
    found: dict[str, str] = client.list_tags_for_resource(resourceArn=client.get_index(**names)["index"]["indexArn"])["tags"]
    return found


def test_the_first_write_names_the_model_in_a_tag_of_the_index(index: tuple[Any, dict[str, str]], service: Service) -> None:
    """A start without a write claims nothing. Later writes are not checked again."""
    sink = bound(index, service)
    assert tags(index) == {}
    assert sink.write([result("a")]) == []
    assert tags(index) == {MODEL_TAG: model_of(service.manifest)}
    assert bound(index, service).write([result("b")]) == []


def test_vectors_of_another_model_are_refused_at_start_and_at_the_first_write(
    index: tuple[Any, dict[str, str]], service: Service
) -> None:
    """The write fails for now: someone may name another index, and then nothing is lost."""
    client, names = index
    early = bound(index, service)
    client.tag_resource(resourceArn=early.arn, tags={MODEL_TAG: "another/model 0123456789abcdef"})
    (failure,) = early.write([result("a")])
    sentence = (
        "The index passages holds vectors of the model another/model 0123456789abcdef, "
        f"and this deployment has {model_of(service.manifest)}: "
    )
    assert failure.error.startswith(sentence)
    assert failure.transient
    assert client.list_vectors(**names)["vectors"] == []
    with pytest.raises(Backend, match="^" + re.escape(sentence)):
        bound(index, service)
    client.untag_resource(resourceArn=early.arn, tagKeys=[MODEL_TAG])
    early.write([result("a")])
    assert early.write([result("a")]) == []
    assert tags(index) == {MODEL_TAG: model_of(service.manifest)}


def test_the_index_of_a_search_must_fit_the_model_exactly(index: tuple[Any, dict[str, str]], service: Service) -> None:
    """An index that is only written to may have fewer dimensions, because records can ask for them; it has 4 here."""
    arn = bound(index, service).arn
    with pytest.raises(Backend, match=r"^The index passages takes vectors of 4 numbers, and those of the model .* have 384: "):
        bound(index, service, searched=arn)


def test_a_model_that_is_not_there_yet_is_checked_before_the_first_write(
    index: tuple[Any, dict[str, str]], service: Service
) -> None:
    """A model in S3 may be loaded later."""
    models = iter([None, service])

    def model() -> Manifest:
        if found := next(models):
            return found.manifest
        msg = "There is no model yet"
        raise Backend(msg)

    sink = sink_from(uri(index[1]))
    assert isinstance(sink, ModelBound)
    sink.check_model(model, "")
    assert sink.write([result("a")]) == []
    assert tags(index) == {MODEL_TAG: model_of(service.manifest)}


def test_without_rights_to_tags_vectors_are_written(aws: LocalAWS, service: Service) -> None:
    """Dimension and distance are still checked."""
    del aws

    def answer(asked: Any) -> tuple[int, Any]:  # noqa: ANN401 - JSON
        if "vectors" in asked:
            return 200, {}
        if "indexName" in asked:
            return 200, INDEX
        return 403, {"__type": "AccessDeniedException", "message": "no"}

    def use(_: FakeApi) -> None:
        sink = sink_from("s3vectors://bucket/passages")
        assert isinstance(sink, ModelBound)
        sink.check_model(lambda: service.manifest, "")
        assert sink.write([result("a")]) == []

    at(answer, use)


def test_metadata_that_is_not_a_finite_number_is_left_out() -> None:
    """JSON writes NaN and infinity as null, and null is left out."""
    assert to_storable({"a": float("nan"), "b": None, "c": True, "d": 1.5, "e": [float("inf")]}) == {
        "c": True,
        "d": 1.5,
        "e": "[null]",
    }
