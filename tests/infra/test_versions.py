"""A deployment publishes a version whenever code, libraries, model or settings change, and everything invokes it by its alias."""

import json
import re
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.infra.transformed import UPLOADED, every, functions, of_type, statements, transformed_each

VERSIONED = ["ApiFunction", "PipelineFunction", "InstancesFunction"]


@pytest.mark.parametrize("function", VERSIONED)
def test_another_model_is_another_version_and_the_alias_moves_to_it(function: str) -> None:
    """Other libraries and other code are a new version, too. The same uploads give the same version."""
    uploads = [UPLOADED, UPLOADED, *(UPLOADED | {folder: "changed"} for folder in UPLOADED)]
    made = transformed_each(*((uploaded, {}) for uploaded in uploads))
    before, again, *after = (published(template, function) for template in made)
    assert before == again
    assert before not in after


def version(template: Mapping[str, Any], function: str) -> str:
    """Return the name in the template of the version behind the alias. A new name makes a new version."""
    alias = template["Resources"][f"{function}Aliaslive"]
    name: str = alias["Properties"]["FunctionVersion"]["Fn::GetAtt"][0]
    assert template["Resources"][name]["Type"] == "AWS::Lambda::Version"
    return name


def published(template: Mapping[str, Any], function: str) -> str:
    """Return the identity of a version: its name in the template, and its properties, which CloudFormation cannot change."""
    name = version(template, function)
    return f"{name} {template['Resources'][name]['Properties']}"


CONDITIONS_OF_SETTINGS = {
    "HasSnapStart": {"SnapStart"}, "HasTracing": {"Tracing"},
    "ModelInLayer": {"ModelUri"}, "HasQueue": {"Queue", "SourceBucket", "SourceBus"}, "HasSourceBucket": {"SourceBucket"},
    "HasBulk": {"CorpusBucket"}, "SinkIsS3": {"SinkArn"}, "SinkIsQueue": {"SinkArn"}, "SinkIsS3Vectors": {"SinkArn"},
    "SinkIsTable": {"SinkArn"}, "HasVpc": {"VpcSubnetIds"}, "HasKey": {"KmsKeyArn"}, "AuthIsIam": {"Auth"},
    "MakesIndex": {"Search"}, "SplitsForSearch": {"Search", "ChunkTokens"}, "HasReservedConcurrency": set(),
}  # fmt: skip
"""The parameters that decide each condition of a function's properties. Reserved concurrency does not belong to a version."""


def decisive(function: Mapping[str, Any], parameters: Mapping[str, Any]) -> set[str]:
    """Return the parameters that a function's configuration depends on."""
    versioned = {**function, "ReservedConcurrentExecutions": None}
    found = set(every(versioned, "Ref")) | set(re.findall(r"\$\{(\w+)\}", str(versioned)))
    conditions = [CONDITIONS_OF_SETTINGS[condition] for condition in re.findall(r"'Fn::If': \['(\w+)'", str(versioned))]
    return (found & parameters.keys()).union(*conditions)


def test_another_setting_is_another_configuration_and_another_version(template: dict[str, Any]) -> None:
    """SAM sees only a parameter's name, and Lambda publishes no version of an unchanged function.

    So every value is in the settings, and their number is in the version's description and in the function's environment. Were it
    in only one of them, the alias would stay behind, or the stack would roll back ("A version for this Lambda function exists").
    """
    settings = template["Resources"]["Settings"]["Properties"]
    content, lists = settings["Content"]["Fn::Sub"]
    written = set(re.findall(r"\$\{(\w+)\}", content)) - lists.keys() | set(every(lists, "Ref"))
    needed: set[str] = set()
    for name in VERSIONED:
        function = functions(template)[name]
        needed |= decisive(function, template["Parameters"])
        assert function["Environment"]["Variables"]["SETTINGS"] == {"Ref": "Settings"}
        text, values = template["Resources"][version(template, name)]["Properties"]["Description"]["Fn::Sub"]
        assert set(re.findall(r"\$\{(\w+)\}", text)) == {"Settings", "Libraries", "Model"}
        assert values.keys() == {"Libraries", "Model"}
    assert written - {"Release"} == needed


def test_other_settings_replace_the_resource_and_do_not_change_it(template: dict[str, Any]) -> None:
    """CloudFormation replaces settings whose content changed, which gives them a new number."""
    (schemas,) = (ROOT / "build/sam").rglob("cfnlint/data/schemas")  # AWS's own, which cfn-lint brings along
    settings = json.loads((schemas / "providers/us-east-1.json").read_text())["AWS::AppConfig::HostedConfigurationVersion"]
    schema = json.loads((schemas / f"resources/{settings}.json").read_text())
    create_only = {path.rpartition("/")[2] for path in schema["createOnlyProperties"]}
    assert template["Resources"]["Settings"]["Properties"].keys() <= create_only


def test_everything_invokes_the_pipeline_by_its_alias(template: dict[str, Any]) -> None:
    """An update changes code and layers one after the other; a version has both of the same update."""
    resources = template["Resources"]
    alias = {"Fn::If": ["HasInstances", {"Ref": "InstancesFunctionAliaslive"}, {"Ref": "PipelineFunctionAliaslive"}]}
    mappings = of_type(template, "AWS::Lambda::EventSourceMapping").values()
    assert [mapping["Properties"]["FunctionName"] for mapping in mappings] == [alias] * 2
    assert resources["Bulk"]["Properties"]["DefinitionSubstitutions"]["Function"] == alias
    invoking = [right["Resource"] for right in statements(resources["BulkRole"]) if right["Action"] == "lambda:InvokeFunction"]
    assert invoking == [alias]
    assert template["Outputs"]["PipelineFunction"]["Value"] == alias
    for function in ("PipelineFunction", "InstancesFunction"):
        assert resources[f"{function}EventInvokeConfig"]["Properties"]["Qualifier"] == "live"
        assert f"{function}', 'Arn'" not in str(resources)


def test_a_function_on_instances_is_the_same_function(template: dict[str, Any]) -> None:
    """Only memory and place differ. An environment has one vCPU and one invocation at a time, as the number of threads assumes."""
    pipeline, instances = (functions(template)[name] for name in ("PipelineFunction", "InstancesFunction"))
    apart = {"Description", "FunctionName", "MemorySize", "VpcConfig", "CapacityProviderConfig"}
    assert {name for name in pipeline.keys() | instances.keys() if pipeline.get(name) != instances.get(name)} == apart
    place = instances["CapacityProviderConfig"]["LambdaManagedInstancesCapacityProviderConfig"]
    assert place["CapacityProviderArn"] == {"Fn::GetAtt": ["CapacityProvider", "Arn"]}
    memory = template["Parameters"]["InstanceMemorySize"]["Default"]
    assert place["PerExecutionEnvironmentMaxConcurrency"] == memory // (1024 * place["ExecutionEnvironmentMemoryGiBPerVCpu"]) == 1
    provider = template["Resources"]["CapacityProvider"]["Properties"]
    assert provider["InstanceRequirements"]["Architectures"] == [{"Ref": "Architecture"}]
    assert provider["CapacityProviderScalingConfig"]["MaxVCpuCount"] == {"Ref": "InstanceMaxVCpus"}


def test_old_versions_go_with_the_update_that_replaces_them(template: dict[str, Any]) -> None:
    """Otherwise their snapshots would be billed, and layers would pile up."""
    for kind in ("AWS::Lambda::Version", "AWS::Lambda::LayerVersion"):
        assert {resource["DeletionPolicy"] for resource in of_type(template, kind).values()} == {"Delete"}


def test_versions_are_kept_if_the_build_says_so(template: dict[str, Any]) -> None:
    """A deletion policy cannot be a parameter of CloudFormation, so `make build` writes it."""
    commands = [
        subprocess.run(["make", "--dry-run", "build", *given], cwd=ROOT, text=True, capture_output=True, check=True).stdout
        for given in ([], ["KEEP_VERSIONS=true"])
    ]
    found = [re.findall(r"s/(VersionDeletionPolicy: \w+)/(VersionDeletionPolicy: \w+)/", command) for command in commands]
    assert found == [[], [("VersionDeletionPolicy: Delete", "VersionDeletionPolicy: Retain")]]
    assert (ROOT / "template.yaml").read_text().count("VersionDeletionPolicy: Delete\n") == len(functions(template))


def test_the_http_api_calls_the_alias(template: dict[str, Any]) -> None:
    """Otherwise a canary and a snapshot would have no effect."""
    uris = list(every(template["Resources"]["HttpApi"], "uri"))
    assert uris
    assert all("ApiFunctionAliaslive" in str(uri) for uri in uris)


def test_alarms_that_exist_roll_the_canary_back(template: dict[str, Any]) -> None:
    """CodeDeploy moves the alias, and watches the three alarms of the HTTP function."""
    update = template["Resources"]["ApiFunctionAliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert update["DeploymentGroupName"] == {"Ref": "ApiFunctionDeploymentGroup"}
    watched = [
        alarm["Ref"]
        for alarms in every(template["Resources"]["ApiFunctionDeploymentGroup"], "Alarms")
        for alarm in every(alarms, "Name")
    ]
    assert watched == ["ServerErrorsAlarm", "ApiErrorsAlarm", "LatencyAlarm"]
    assert "DEPLOYMENT_STOP_ON_ALARM" in str(template["Resources"]["ApiFunctionDeploymentGroup"])
