"""Write the tables of settings for deployments without the template: `python -m tests.infra.by_hand`.

The tables are in handler/DEPLOYING.md, between `<!-- template: NAME -->` and `<!-- end -->`. A test checks them.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.conftest import ROOT
from tests.infra.transformed import Template, listed, of_type, transformed

GUIDE = ROOT / "handler/DEPLOYING.md"
ALIAS = {"ApiFunctionAliaslive": "the function's alias", "PipelineFunctionAliaslive": "the function's alias"}
NOT_BY_HAND = {"InstancesFunction"}
"""The pipeline function again, on instances."""
CONDITIONS = {
    "ModelInLayer": "without `ModelUri`", "AuthIsIam": "with Auth: iam", "HasKey": "with `KmsKeyArn`", "HasVpc": "in a VPC",
    "HasDataKeys": "with `DataKmsKeyArns`", "HasBulk": "with `CorpusBucket`", "HasCacheKeySecret": "with `CacheKeySecretArn`",
    "HasRerankerUri": "with `RerankerUri`",
    "HasQueue": "source: a queue, bucket or bus", "HasSourceBucket": "source: a bucket", "HasKinesis": "source: Kinesis",
    "HasTableStream": "source: a table's stream",
    "SinkIsS3": "sink: S3", "SinkIsQueue": "sink: a queue", "SinkIsBus": "sink: a bus", "SinkIsS3Vectors": "sink: S3 Vectors",
    "SinkIsTable": "sink: a table", "WritesIndex": "sink: S3 Vectors", "HasIndex": "with an index to search",
    "MakesIndex": "with `Search`", "SplitsForSearch": "with `Search` and no `ChunkTokens`",
}  # fmt: skip
"""When a condition is met, if its name does not say so."""


def shown(value: Any) -> str:  # noqa: ANN401, C901, PLR0911 - JSON, and a function of CloudFormation a line
    """Return a value as text, in which parameters and resources have their names."""
    match value:
        case {"Ref": "AWS::NoValue"}:
            return ""
        case {"Fn::If": ["HasInstances", _, value]}:
            return shown(value)
        case {"Ref": name}:
            return ALIAS.get(name, re.sub(r"^(\w+Layer)[0-9a-f]{10}$", r"\1", name))
        case {"Fn::GetAtt": [name, *_]}:
            return str(name)
        case {"Fn::Sub": [text, values]}:
            return re.sub(r"\$\{(\w+)\}", lambda found: shown(values[found[1]]) if found[1] in values else found[0], text)
        case {"Fn::Sub": text}:
            return str(text)
        case {"Fn::If": [condition, yes, no]}:
            return "; ".join(part for part in (f"{when(condition)}: {shown(yes)}" if shown(yes) else "", shown(no)) if part)
        case {"Fn::Join": [_, {"Fn::Split": [_, text]}]}:
            return shown(text)
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(shown(part) for part in parts)
        case {"Fn::Select": [place, _]}:
            return f"part {place} of its ARN"
        case list():
            return ", ".join(filter(None, map(shown, value)))
    return str(value)


def when(condition: str) -> str:
    """Return in words when a condition is met."""
    words = CONDITIONS.get(condition) or re.sub(r"^(Has|Is)", "", condition)
    return words if " " in words else f"with {words}"


def code(text: str) -> str:
    """Return text as code, or nothing."""
    return f"`{text}`" if text else ""


def functions(template: Template) -> Iterator[tuple[str, ...]]:
    """Yield the settings of each function."""
    yield ("function", "handler", "runtime", "memory, MB", "time-out, s", "layers", "concurrency")
    for name, function in functions_of(template):
        given = function["Properties"]
        memory = template["Parameters"][given["MemorySize"]["Ref"]]["Default"]
        reserved = shown(given.get("ReservedConcurrentExecutions", "unreserved"))
        layers = ", ".join(dict.fromkeys(re.findall(r"\w+Layer", shown(given["Layers"]))))
        yield (name, code(given["Handler"]), given["Runtime"], str(memory), str(given["Timeout"]), layers, reserved)


def environment(template: Template) -> Iterator[tuple[str, ...]]:
    """Yield the variables of both functions."""
    given = {name: function["Properties"]["Environment"]["Variables"] for name, function in functions_of(template)}
    yield ("variable", *given)
    for variable in sorted({variable for variables in given.values() for variable in variables} - {"SETTINGS"}):
        yield (code(variable), *(value_of(variable, variables) for variables in given.values()))


def value_of(variable: str, variables: dict[str, Any]) -> str:
    """Return what a function's variable is set to."""
    if variable not in variables:
        return ""
    return "one of the sinks in handler/README.md" if variable == "SINK" else code(shown(variables[variable]).replace("`", ""))


def functions_of(template: Template) -> list[tuple[str, dict[str, Any]]]:
    """Return the functions by their names."""
    return [(name, function) for name, function in of_type(template, "AWS::Lambda::Function").items() if name not in NOT_BY_HAND]


def rights(template: Template) -> Iterator[tuple[str, ...]]:
    """Yield the statements of all roles except the canary's, whose policy is AWS's own."""
    yield ("role", "when", "actions", "on")
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                condition, *branches = statement.get("Fn::If", ("", statement))
                for met, branch in zip((True, False), branches, strict=False):
                    if "Action" not in branch:
                        continue
                    words = "" if not condition else when(condition) if met else unless(condition)
                    resources = ", ".join(code(shown(resource)) for resource in listed(branch["Resource"]))
                    yield (name, words, ", ".join(code(action) for action in listed(branch["Action"])), resources)


def unless(condition: str) -> str:
    """Return in words when a condition is not met."""
    return "with `ModelUri`" if condition == "ModelInLayer" else f"not {when(condition)}"


LIMITS: dict[str, tuple[str, ...]] = {
    "SourceQueue": ("VisibilityTimeout", "MessageRetentionPeriod", "RedrivePolicy.maxReceiveCount"),
    "SourceQueueMapping": (
        "BatchSize", "MaximumBatchingWindowInSeconds", "FunctionResponseTypes", "ScalingConfig.MaximumConcurrency",
    ),
    "SourceStreamMapping": (
        "BatchSize", "MaximumBatchingWindowInSeconds", "FunctionResponseTypes", "StartingPosition", "MaximumRetryAttempts",
        "MaximumRecordAgeInSeconds", "BisectBatchOnFunctionError",
    ),
    "PipelineFunctionEventInvokeConfig": ("MaximumRetryAttempts",),
    "PipelineFunction": ("RecursiveLoop",),
    "CacheTable": ("KeySchema", "TimeToLiveSpecification.AttributeName", "BillingMode"),
    "SearchIndex": ("DataType", "Dimension", "DistanceMetric", "MetadataConfiguration.NonFilterableMetadataKeys"),
}  # fmt: skip
"""The settings without which events are lost, repeated for ever or never found."""


def limits(template: Template) -> Iterator[tuple[str, ...]]:
    """Yield the settings of everything around the functions."""
    yield ("resource", "setting", "value")
    for name, settings in LIMITS.items():
        for setting in settings:
            value: Any = template["Resources"][name]["Properties"]
            for part in setting.split("."):
                value = value[part]
            if setting == "KeySchema":
                value = "`key`, binary"
            yield (name, setting, shown(value))


TABLES: dict[str, Callable[[Template], Iterator[tuple[str, ...]]]] = {
    "functions": functions, "environment": environment, "rights": rights, "limits": limits,
}  # fmt: skip


def written(guide: str, template: Template) -> str:
    """Return the guide with new tables."""
    for name, rows in TABLES.items():
        head, *body = rows(template)
        lines = [" | ".join(("", *row, "")).strip() for row in (head, ["---"] * len(head), *body)]
        start, end = f"<!-- template: {name} -->", "<!-- end -->"
        before, _, rest = guide.partition(start)
        _, _, after = rest.partition(end)
        guide = "\n".join([before + start, *lines, end]) + after
    return guide


if __name__ == "__main__":
    GUIDE.write_text(written(GUIDE.read_text(), transformed()))
