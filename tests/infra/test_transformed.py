"""The transformed template agrees with the code that it deploys and with the rules of AWS."""

import ast
import importlib
import json
import re
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import botocore.session
import pytest
import yaml

from handler.config import KeySettings, Settings
from handler.errors import PUBLIC
from handler.http.routes import PAGE_PATHS, ROUTES
from handler.http.search import TEXT
from handler.pipeline_settings import PipelineSettings
from handler.vector_index import METRIC, MODEL_TAG
from tests.conftest import INT8, ROOT
from tests.infra.transformed import UPLOADED, every, listed, of_type, statements, transformed, transformed_each

NOT_OURS = {"OPENBLAS_NUM_THREADS", "SETTINGS"}
"""Variables that the handler does not read: a library reads one, and the other only changes the configuration."""
LEFT_AT_THEIR_DEFAULTS = {
    "AUTO_TRUNCATE", "MAX_CLIENT_BATCH_SIZE", "THREADS", "CACHE_MEMORY_MB", "CACHE_BUDGET_MS",  # for whoever changes template.yaml
    "MODEL_TMP", "KERNELS", "RERANKER_DIR",
    "API_KEYS", "CACHE_KEY_SECRET",  # of a laptop: deployed, they are in secrets
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_MAX_CONCURRENCY",  # Lambda sets them
}  # fmt: skip


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """Return the template with a canary, which adds resources; all others are there under conditions."""
    return transformed(Canary="true")


class Recording(dict[str, str]):
    """An empty environment that records which variables were read."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as dict has it
        self.asked.add(name)
        return default

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return False


def functions(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the functions' properties by their names."""
    return {name: function["Properties"] for name, function in of_type(template, "AWS::Lambda::Function").items()}


def test_every_handler_exists_and_can_be_called(template: dict[str, Any]) -> None:
    """Lambda gets it by name."""
    for properties in functions(template).values():
        module, _, name = properties["Handler"].rpartition(".")
        assert callable(getattr(importlib.import_module(module), name))


def test_every_variable_is_read_and_every_setting_can_be_set(template: dict[str, Any]) -> None:
    """A variable that nobody reads, or a setting that the template cannot set, is a wrong name."""
    environment = Recording()
    for settings in (Settings, KeySettings, PipelineSettings):
        settings.from_environment(environment)
    given = {name for properties in functions(template).values() for name in properties["Environment"]["Variables"]}
    assert given - NOT_OURS == environment.asked - LEFT_AT_THEIR_DEFAULTS


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


# --- Permissions -------------------------------------------------------------------------------------------------

CALLS = {
    "batch_get_item": "dynamodb:BatchGetItem",
    "batch_write_item": "dynamodb:BatchWriteItem",
    "get_secret_value": "secretsmanager:GetSecretValue",
    "get_object": "s3:GetObject",
    "head_object": "s3:GetObject",
    "put_object": "s3:PutObject",
    "change_message_visibility_batch": "sqs:ChangeMessageVisibility",
    "send_message": "sqs:SendMessage",
    "send_message_batch": "sqs:SendMessage",
    "put_events": "events:PutEvents",
    "put_vectors": "s3vectors:PutVectors",
    "delete_vectors": "s3vectors:DeleteVectors",
    "get_index": "s3vectors:GetIndex",
    "get_vectors": "s3vectors:GetVectors",
    "query_vectors": "s3vectors:QueryVectors",
    "list_tags_for_resource": "s3vectors:ListTagsForResource",
    "tag_resource": "s3vectors:TagResource",
    "update_item": "dynamodb:UpdateItem",
    "query": None,  # the query of a rerank request: DynamoDB's is never called
    "publish_batch": None,  # failures to a topic, for whoever sets FAILURE_DESTINATION to one: the template has a queue
}
"""The methods of AWS's clients that handler/ calls, and the permission that each needs."""
LAMBDA_S_OWN = {
    "logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords",
    "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
    "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary", "kinesis:ListShards", "kinesis:ListStreams",
    "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream", "dynamodb:ListStreams",
    "s3:GetObjectVersion",  # get_object of a version
    "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
    "kms:Decrypt", "kms:GenerateDataKey",
}  # fmt: skip
"""Permissions that Lambda uses for the function by its role, and those that a call needs besides the one of its own name."""
MAKES_404_OF_MISSING_OBJECTS = "s3:ListBucket"
"""No call needs it, but without it S3 responds 403 instead of 404 to a read of an object that does not exist."""
WITHOUT_RESOURCES = {
    "xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets",
    "dynamodb:ListStreams", "kinesis:ListStreams",
    "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
}  # fmt: skip
"""Actions that AWS allows for no narrower resource than "*"."""


def calls() -> set[str]:
    """Return the methods of AWS's clients that handler/ uses: every attribute that a client of botocore has."""
    session = botocore.session.get_session()
    services = {action.partition(":")[0] for action in CALLS.values() if action} | {"sns"}
    clients = [session.create_client(service, "us-east-1") for service in services]
    methods = {name for client in clients for name in client.meta.method_to_api_mapping}
    trees = [ast.parse(path.read_text()) for path in (ROOT / "handler").rglob("*.py")]
    return {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & methods


def rights(template: Mapping[str, Any], role: str) -> set[str]:
    """Return the actions that a role allows."""
    return {action for statement in statements(template["Resources"][role]) for action in listed(statement["Action"])}


def test_the_roles_allow_what_the_code_does_and_no_more(template: dict[str, Any]) -> None:
    """A permission without a call is one too many; a call without a permission fails after deployment."""
    assert calls() == CALLS.keys(), "a new call needs a permission, and a line in the table above"
    made = {action for action in CALLS.values() if action}
    granted = (rights(template, "ApiRole") | rights(template, "PipelineRole")) - LAMBDA_S_OWN - {MAKES_404_OF_MISSING_OBJECTS}
    assert granted == made


def test_a_missing_object_can_be_distinguished_from_a_missing_permission(template: dict[str, Any]) -> None:
    """In source and sink, a deleted object is a permanent failure (404), a missing permission is retried (403)."""
    by_condition: dict[str, set[str]] = {}
    for policy in template["Resources"]["PipelineRole"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            condition, *branches = statement.get("Fn::If", ("", statement))
            actions = {action for branch in branches for action in listed(branch.get("Action", []))}
            by_condition[condition] = by_condition.get(condition, set()) | actions
    reading = {condition for condition, actions in by_condition.items() if "s3:GetObject" in actions}
    telling = {condition for condition, actions in by_condition.items() if MAKES_404_OF_MISSING_OBJECTS in actions}
    assert telling == reading - {"ModelInLayer"} == {"HasSourceBucket", "SinkIsS3"}
    bare = [
        statement
        for statement in statements(template["Resources"]["PipelineRole"])
        if statement["Action"] == MAKES_404_OF_MISSING_OBJECTS
    ]
    assert not any("Condition" in statement for statement in bare), "reading an object has no prefix that would meet one"


def test_a_role_is_for_one_function_and_names_its_resources(template: dict[str, Any]) -> None:
    """No action is a pattern, and the resource "*" is only for actions that take no narrower one."""
    assert {name: properties["Role"]["Fn::GetAtt"][0] for name, properties in functions(template).items()} == {
        "ApiFunction": "ApiRole",
        "PipelineFunction": "PipelineRole",
        "InstancesFunction": "PipelineRole",
    }
    for name in ("ApiRole", "PipelineRole", "BulkRole"):
        role = template["Resources"][name]
        assert "ManagedPolicyArns" not in role["Properties"]
        for statement in statements(role):
            assert not any("*" in action for action in listed(statement["Action"]))
            if statement["Resource"] == "*":
                assert set(listed(statement["Action"])) <= WITHOUT_RESOURCES


def test_the_state_machine_may_do_what_a_distributed_map_and_x_ray_need(template: dict[str, Any]) -> None:
    """Step Functions developer guide, "IAM policies for using Distributed Map states" and "X-Ray"."""
    granted: dict[str, set[str]] = {}
    for statement in statements(template["Resources"]["BulkRole"]):
        for action in listed(statement["Action"]):
            resources = {str(resource.get("Fn::Sub", resource) if isinstance(resource, dict) else resource)
                         for resource in listed(statement["Resource"])}  # fmt: skip
            granted.setdefault(action, set()).update(resource.rpartition(":execution:")[2] for resource in resources)
    assert granted["states:DescribeExecution"] == granted["states:StopExecution"] == {
        "${AWS::StackName}-bulk:*", "${AWS::StackName}-bulk/*",
    }  # fmt: skip
    assert granted["states:RedriveExecution"] == {"${AWS::StackName}-bulk/*"}
    sampling = {"xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"}
    assert sampling <= granted.keys()


@pytest.mark.parametrize("source", ["kinesis", "dynamodb"])
def test_a_source_s_file_names_the_rights_that_the_template_gives(template: dict[str, Any], source: str) -> None:
    """Someone who makes a role of their own copies its docstring and handler/README.md."""
    text = (ROOT / f"handler/sources/{source}.py").read_text() + (ROOT / "handler/README.md").read_text()
    granted = {action for action in rights(template, "PipelineRole") & LAMBDA_S_OWN if action.startswith(f"{source}:")}
    assert granted == set(re.findall(rf"\b{source}:(?:Get|Describe|List)\w+", text))


def test_the_http_function_reads_one_secret_and_asks_for_keys(template: dict[str, Any]) -> None:
    """Nothing in the template makes the API public: without a key, API Gateway checks a signature."""
    assert rights(template, "ApiRole") - LAMBDA_S_OWN == {
        "secretsmanager:GetSecretValue",
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
        "s3:GetObject",  # of the models alone, where ModelUri and RerankerUri name them
        "s3vectors:QueryVectors",  # of the index alone, where there is one
        "s3vectors:GetVectors",  # a query with a filter, or with metadata in its response
        "s3vectors:GetIndex",
        "s3vectors:ListTagsForResource",
    }
    variables = functions(template)["ApiFunction"]["Environment"]["Variables"]
    assert variables["API_KEYS_SECRET"] == {"Ref": "ApiKey"}
    assert variables["AUTH"] == {"Fn::If": ["AuthIsIam", "none", "keys"]}
    operations = [path[method] for path in paths(template).values() for method in path]
    signed = {"Fn::If": ["AuthIsIam", [{"sigv4": []}], {"Ref": "AWS::NoValue"}]}
    assert [operation["security"] for operation in operations] == [signed] * len(operations)
    schemes = template["Resources"]["HttpApi"]["Properties"]["Body"]["components"]["securitySchemes"]
    assert schemes["sigv4"]["x-amazon-apigateway-authtype"] == "awsSigv4"


def paths(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the routes of the HTTP API."""
    found: dict[str, Any] = template["Resources"]["HttpApi"]["Properties"]["Body"]["paths"]
    return found


def test_what_strangers_may_read_has_routes_and_rates_of_its_own(template: dict[str, Any]) -> None:
    """Otherwise visitors of the pages could use up the rate of callers with a key, and the account would pay."""
    for path in PAGE_PATHS | {"/"}:
        route = re.sub(r"^/docs/.+", "/docs/{asset}", path)
        assert paths(template)[route].keys() == {"get"}
        (settings,) = every(template["Resources"]["HttpApiApiGatewayDefaultStage"], f"GET {route}")
        assert settings == {"ThrottlingRateLimit": {"Ref": "PagesRate"}, "ThrottlingBurstLimit": {"Ref": "PagesRate"}}
    assert functions(template)["ApiFunction"]["Environment"]["Variables"]["PAGES"] == {"Ref": "Pages"}
    assert paths(template)["$default"]["x-amazon-apigateway-any-method"]["isDefaultRoute"] is True


def test_every_role_has_the_boundary(template: dict[str, Any]) -> None:
    """An account may refuse roles without one. The canary's role that SAM makes would have none."""
    roles = of_type(template, "AWS::IAM::Role")
    assert roles.keys() == {"ApiRole", "PipelineRole", "BulkRole", "CanaryRole", "InstancesRole"}
    boundary = {"Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    assert [role["Properties"].get("PermissionsBoundary") for role in roles.values()] == [boundary] * len(roles)


def test_a_search_has_a_route_and_a_rate_of_its_own(template: dict[str, Any]) -> None:
    """Each search is a query of S3 Vectors, too. The path is one that the function serves."""
    assert paths(template)["/search"].keys() == {"post"}
    assert any("/search" in route.paths for route in ROUTES)
    (settings,) = every(template["Resources"]["HttpApiApiGatewayDefaultStage"], "POST /search")
    assert settings == {"ThrottlingRateLimit": {"Ref": "SearchRate"}, "ThrottlingBurstLimit": {"Ref": "SearchRate"}}


def test_the_index_fits_the_model_and_keeps_the_text_of_passages(template: dict[str, Any]) -> None:
    """The build writes the dimension of its model in the place of the default model's."""
    index = template["Resources"]["SearchIndex"]["Properties"]
    manifest = json.loads((INT8 / "manifest.json").read_text())
    assert index["Dimension"] == {"Fn::If": ["ModelInLayer", manifest["dimension"], {"Ref": "SearchDimension"}]}
    assert (index["DistanceMetric"], index["DataType"]) == (METRIC, "float32")
    assert index["MetadataConfiguration"] == {"NonFilterableMetadataKeys": [TEXT]}
    build = subprocess.run(["make", "--dry-run", "build"], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    find, replace = (re.findall(pattern, build) for pattern in (r"dimension=\$\((sed .*)\)", r'-e "(.*SearchDimension.*?)"'))
    assert subprocess.check_output(["sh", "-c", find[0].replace("ModelLayer/model", str(INT8))], text=True) == "384\n"
    written = yaml.dump({"Default": 384, "Dimension": index["Dimension"], "Other": 384})
    command = ["sh", "-c", f'dimension=768; sed -e "{replace[0]}"']
    built = yaml.safe_load(subprocess.run(command, input=written, text=True, capture_output=True, check=True).stdout)
    assert built == {"Default": 384, "Dimension": {"Fn::If": ["ModelInLayer", 768, {"Ref": "SearchDimension"}]}, "Other": 384}


def test_the_functions_may_use_the_index_of_the_search_and_no_other(template: dict[str, Any]) -> None:
    """The one that reads cannot write, and only the tag of the model can be set."""
    index = {"Fn::If": ["MakesIndex", {"Fn::GetAtt": ["SearchIndex", "IndexArn"]}, {"Ref": "SearchIndexArn"}]}
    written = {"Fn::If": ["MakesIndex", {"Fn::GetAtt": ["SearchIndex", "IndexArn"]}, {"Ref": "SinkArn"}]}
    found = {
        role: [one for one in statements(template["Resources"][role]) if "s3vectors" in str(one["Action"])]
        for role in ("ApiRole", "PipelineRole")
    }
    assert [one["Resource"] for one in found["ApiRole"]] == [index]
    assert not {action for action in listed(found["ApiRole"][0]["Action"]) if re.search(r":(Put|Delete|Tag)", action)}
    assert [one["Resource"] for one in found["PipelineRole"]] == [written, written]
    (tagging,) = (one for one in found["PipelineRole"] if one["Action"] == "s3vectors:TagResource")
    assert tagging["Condition"] == {"ForAllValues:StringEquals": {"aws:TagKeys": [MODEL_TAG]}}
    for name in ("ApiFunction", "PipelineFunction"):
        assert functions(template)[name]["Environment"]["Variables"]["SEARCH_INDEX_ARN"] == index


ENCRYPTED = {
    "AWS::SQS::Queue": "KmsMasterKeyId", "AWS::Logs::LogGroup": "KmsKeyId", "AWS::SecretsManager::Secret": "KmsKeyId",
    "AWS::DynamoDB::Table": "SSESpecification", "AWS::Lambda::Function": "KmsKeyArn",
    "AWS::S3Vectors::VectorBucket": "EncryptionConfiguration",
}  # fmt: skip


def test_one_key_encrypts_whatever_the_stack_keeps(template: dict[str, Any]) -> None:
    """Both functions may use it."""
    for kind, name in ENCRYPTED.items():
        for resource in of_type(template, kind).values():
            condition, value, _ = resource["Properties"][name]["Fn::If"]
            assert condition == "HasKey"
            assert {"Ref": "KmsKeyArn"} in (value, value.get("KMSMasterKeyId"), value.get("KmsKeyArn"))
    for role in ("ApiRole", "PipelineRole"):
        using = [right["Resource"] for right in statements(template["Resources"][role]) if "kms:Decrypt" in right["Action"]]
        assert using == [{"Ref": "KmsKeyArn"}, {"Ref": "DataKmsKeyArns"}]


def test_both_functions_can_be_in_a_vpc(template: dict[str, Any]) -> None:
    """Their roles allow the calls for network interfaces."""
    network = {"SubnetIds": {"Ref": "VpcSubnetIds"}, "SecurityGroupIds": {"Ref": "VpcSecurityGroupIds"}}
    for name in ("ApiFunction", "PipelineFunction"):
        properties = functions(template)[name]
        assert properties["VpcConfig"] == {"Fn::If": ["HasVpc", network, {"Ref": "AWS::NoValue"}]}
        assert "ec2:CreateNetworkInterface" in rights(template, name.replace("Function", "Role"))


def test_a_domain_s_mapping_waits_for_the_stage(template: dict[str, Any]) -> None:
    """It refers to a stage that must exist first."""
    mapping = template["Resources"]["DomainMapping"]
    stage = template["Resources"][mapping["DependsOn"]]["Properties"]
    assert (stage["StageName"], mapping["Properties"]["Stage"]) == ("$default", "$default")


def test_the_defaults_leave_a_new_account_room_for_requests(template: dict[str, Any]) -> None:
    """A new account has a concurrency of 10 for all its functions, until AWS raises it on request."""
    parameters = template["Parameters"]
    assert parameters["PipelineConcurrency"]["Default"] + parameters["BulkConcurrency"]["Default"] <= 10 - 2
    assert parameters["ReservedConcurrency"]["Default"] == -1
    assert "aws lambda get-account-settings" in parameters["PipelineConcurrency"]["Description"]


def test_no_secret_is_in_a_function_s_configuration(template: dict[str, Any]) -> None:
    """Everyone who may read the configuration, such as auditors and deployment tools, would see the secret."""
    assert "{{resolve:" not in str(functions(template))
    assert functions(template)["PipelineFunction"]["Environment"]["Variables"]["CACHE_KEY_SECRET_ARN"] == {
        "Ref": "CacheKeySecretArn"
    }
    for role in ("ApiRole", "PipelineRole"):
        read = [right["Resource"] for right in statements(template["Resources"][role]) if "secretsmanager" in str(right["Action"])]
        assert {"Ref": "CacheKeySecretArn"} in read


@pytest.mark.parametrize(
    ("uri", "layers", "prefixes"),
    [
        ("", ["RuntimeLayer", "ModelLayer"], []),
        ("s3://models/gte-large/int8", ["RuntimeLayer"], ["arn:aws:s3:::models/gte-large/int8/*"]),
    ],
)
def test_a_model_is_either_in_a_layer_or_read_from_one_prefix(
    template: dict[str, Any], uri: str, layers: list[str], prefixes: list[str]
) -> None:
    """With a prefix there is no model layer, and both functions may read the objects under the prefix.

    A digest that was set for an earlier prefix does not apply to the model in the layer.
    """
    known = dict.fromkeys(template["Parameters"], "") | {"ModelUri": uri, "ModelSha256": "0" * 64, "AWS::Partition": "aws"}
    for function, role in {"ApiFunction": "ApiRole", "PipelineFunction": "PipelineRole"}.items():
        properties = resolved(functions(template)[function], known)
        assert [re.sub(r"[0-9a-f]{10}$", "", layer) for layer in properties["Layers"]] == layers
        assert properties["Environment"]["Variables"]["MODEL_URI"] == uri
        assert properties["Environment"]["Variables"]["MODEL_SHA256"] == (uri and "0" * 64)
        (policy,) = resolved(template["Resources"][role]["Properties"]["Policies"], known)
        read = [right for right in policy["PolicyDocument"]["Statement"] if right and "s3:GetObject" in listed(right["Action"])]
        assert [right["Resource"] for right in read] == prefixes
    layer_versions = of_type(template, "AWS::Lambda::LayerVersion")
    conditions = {re.sub(r"[0-9a-f]{10}$", "", name): layer.get("Condition") for name, layer in layer_versions.items()}
    assert conditions == {"RuntimeLayer": None, "ModelLayer": "ModelInLayer"}


@pytest.mark.parametrize(
    ("uri", "prefixes"), [("", []), ("s3://models/rerankers/minilm", ["arn:aws:s3:::models/rerankers/minilm/*"])]
)
def test_the_http_function_alone_reads_the_reranker_from_its_prefix(
    template: dict[str, Any], uri: str, prefixes: list[str]
) -> None:
    """The model stays in its layer. The pipeline function embeds only."""
    given = {"RerankerUri": uri, "RerankerSha256": "1" * 64, "AWS::Partition": "aws"}
    known = dict.fromkeys(template["Parameters"], "") | given
    api, pipeline = (
        resolved(functions(template)[name], known)["Environment"]["Variables"] for name in ("ApiFunction", "PipelineFunction")
    )
    assert (api["RERANKER_URI"], api["RERANKER_SHA256"], api["MODEL_URI"]) == (uri, "1" * 64, "")
    assert not any(name.startswith("RERANKER") for name in pipeline)
    for role, expected in {"ApiRole": prefixes, "PipelineRole": []}.items():
        (policy,) = resolved(template["Resources"][role]["Properties"]["Policies"], known)
        read = [right for right in policy["PolicyDocument"]["Statement"] if right and "s3:GetObject" in listed(right["Action"])]
        assert [right["Resource"] for right in read] == expected


def resolved(value: Any, known: dict[str, str]) -> Any:  # noqa: ANN401, PLR0911 - JSON, and a function of CloudFormation a line
    """Resolve CloudFormation's functions. The conditions of models are as `known` has them, all others are false.

    Unknown references keep their names.
    """
    again = partial(resolved, known=known)
    met = {"ModelInLayer": not known["ModelUri"], "HasRerankerUri": bool(known["RerankerUri"])}
    match value:
        case {"Fn::If": [condition, yes, no]}:
            return again(yes if met.get(condition) else no)
        case {"Ref": "AWS::NoValue"}:
            return None
        case {"Ref": name}:
            return known.get(name, name)
        case {"Fn::Split": [separator, text]}:
            return again(text).split(separator)
        case {"Fn::Join": [separator, parts]}:
            return separator.join(again(parts))
        case {"Fn::Sub": [text, values]}:
            return re.sub(r"\$\{([\w:]+)\}", lambda found: (known | again(values))[found[1]], text)
        case dict():
            return {name: again(item) for name, item in value.items()}
        case list():
            return [again(item) for item in value]
    return value


# --- Rules of AWS ------------------------------------------------------------------------------------------


def test_times_fit_into_each_other(template: dict[str, Any]) -> None:
    """The HTTP API waits 30 s. A message stays invisible for six times the function's timeout."""
    api, pipeline = (functions(template)[name] for name in ("ApiFunction", "PipelineFunction"))
    assert api["Timeout"] == 29
    assert pipeline["Timeout"] == 900
    assert template["Resources"]["SourceQueue"]["Properties"]["VisibilityTimeout"] >= 6 * pipeline["Timeout"]


def test_every_event_that_fails_for_good_is_kept(template: dict[str, Any]) -> None:
    """Each kind has a queue of its own, because each is returned in another way. A failed record does not fail its batch.

    StartMessageMoveTask works only for a queue whose messages all came from another queue.
    """
    letters, of_queue, of_rules, of_stream = (
        {"Fn::GetAtt": [f"{kind}DeadLetters", "Arn"]} for kind in ("", "Queue", "Rule", "Stream")
    )
    resources = template["Resources"]
    assert resources["SourceQueue"]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"] == of_queue
    targets = [target for rule in of_type(template, "AWS::Events::Rule").values() for target in rule["Properties"]["Targets"]]
    assert [target["DeadLetterConfig"]["Arn"] for target in targets] == [of_rules] * 2
    assert resources["SourceStreamMapping"]["Properties"]["DestinationConfig"]["OnFailure"]["Destination"] == of_stream
    assert resources["RuleDeadLettersPolicy"]["Properties"]["Queues"] == [{"Ref": "RuleDeadLetters"}]
    assert resources["PipelineFunctionEventInvokeConfig"]["Properties"]["DestinationConfig"]["OnFailure"]["Destination"] == letters
    for mapping in of_type(template, "AWS::Lambda::EventSourceMapping").values():
        assert mapping["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    retention = {queue["Properties"]["MessageRetentionPeriod"] for queue in of_type(template, "AWS::SQS::Queue").values()}
    assert retention == {14 * 24 * 60 * 60}


def test_a_stream_waits_for_a_sink_for_most_of_the_day_that_it_keeps_its_records(template: dict[str, Any]) -> None:
    """A number of attempts would be used up within minutes, and only a position in the stream would be left."""
    mapping = template["Resources"]["SourceStreamMapping"]["Properties"]
    day = 24 * 60 * 60
    assert mapping["MaximumRetryAttempts"] == -1
    assert day - 2 * 60 * 60 <= mapping["MaximumRecordAgeInSeconds"] < day
    assert mapping["BisectBatchOnFunctionError"] is True


def test_a_state_machine_retries_errors_that_may_pass_and_no_others(template: dict[str, Any]) -> None:
    """Errors are matched by the names that the function raises them with."""
    definition = template["Resources"]["Bulk"]["Properties"]["Definition"]
    assert definition["States"]["Defaults"]["Parameters"]["defaults"]["use_cache"] is False
    maps = [state for state in definition["States"].values() if state["Type"] == "Map"]
    assert [state["ItemReader"]["ReaderConfig"]["InputType"] for state in maps] == ["JSONL", "CSV", "PARQUET", "PARQUET"]
    for state in maps:
        again = {name for retry in every(state, "ErrorEquals") for name in retry}
        ours = {name for name in again if not name.startswith(("Lambda.", "Sandbox."))}
        assert ours == {"Unfinished", "Internal"} < PUBLIC.keys()
        assert state["ItemBatcher"]["BatchInput"] == {"text_field.$": "$.text_field", "use_cache.$": "$.use_cache"}
        (task,) = state["ItemProcessor"]["States"].values()
        given = task["Parameters"]["Payload"]["BatchInput"]
        assert {name: given[name] for name in ("text_field.$", "use_cache.$")} == {
            "text_field.$": "$.BatchInput.text_field",
            "use_cache.$": "$.BatchInput.use_cache",
        }
        assert {"ItemBatcher", "ResultWriter", "MaxConcurrencyPath", "ToleratedFailurePercentagePath"} <= state.keys()


RULE_FUNCTIONS: dict[str, Callable[[list[Any]], bool]] = {
    "Fn::Equals": lambda given: str(given[0]) == str(given[1]),
    "Fn::Contains": lambda given: given[1] in given[0],
    "Fn::Not": lambda given: not given[0],
    "Fn::And": all,
    "Fn::Or": any,
}


def comes_to(value: Any, parameters: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
    """Evaluate a rule's function as CloudFormation does."""
    match value:
        case {"Ref": str(name)}:
            return parameters[name]
        case {"Fn::Join": [separator, listing]}:
            return separator.join(comes_to(listing, parameters).split(","))
        case dict():
            ((name, given),) = value.items()
            return RULE_FUNCTIONS[name](comes_to(given, parameters))
        case list():
            return [comes_to(one, parameters) for one in value]
        case _:
            return value


BULK = {"CorpusBucket": "corpus", "CorpusPrefix": "passages/", "ReceiptsBucket": "receipts", "SinkArn": "arn:aws:s3:::vectors/all"}


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({}, ""),
        ({"SourceBucket": "documents", "ReceiptsBucket": "documents"}, "SourceBucket"),
        ({"CorpusBucket": "corpus"}, "needs a ReceiptsBucket"),
        ({"VpcSubnetIds": "subnet-1,subnet-2"}, "need each other"),
        ({"VpcSecurityGroupIds": "sg-1"}, "need each other"),
        ({"VpcSubnetIds": "subnet-1", "VpcSecurityGroupIds": "sg-1"}, ""),
        ({"Instances": "true"}, "need VpcSubnetIds"),
        ({"DomainName": "embeddings.example.com"}, "needs a CertificateArn"),
        ({"SnapStart": "true"}, ""),
        ({"EphemeralStorage": "1024"}, ""),
        ({"SnapStart": "true", "EphemeralStorage": "1024"}, "SnapStart allows"),
        ({"MonthlyBudget": "50"}, "needs a BudgetEmail"),
        (BULK, ""),
        (BULK | {"SinkArn": "", "Search": "true"}, ""),
        ({"Search": "true", "SourceBucket": "documents"}, ""),
        ({"Search": "true", "SinkArn": "arn:aws:s3:::vectors/all"}, "Leave SearchIndexArn and SinkArn empty"),
        ({"Search": "true", "SearchIndexArn": "arn:aws:s3vectors:…"}, "Leave SearchIndexArn and SinkArn empty"),
        ({"Search": "true", "OutputDtype": "int8"}, "takes float32 only"),
        (BULK | {"SinkArn": ""}, "needs a ReceiptsBucket and a SinkArn"),
        (BULK | {"ReceiptsBucket": "corpus"}, ""),
        (BULK | {"CorpusPrefix": ""}, ""),
        (BULK | {"ReceiptsBucket": "corpus", "CorpusPrefix": ""}, "within the corpus"),
        (BULK | {"ReceiptsBucket": "corpus", "CorpusPrefix": "receipts/"}, "within the corpus"),
    ],
)
def test_a_deployment_that_would_read_its_own_output_or_is_half_of_one_is_refused_before_it_begins(
    template: dict[str, Any], given: dict[str, str], refused: str
) -> None:
    """The template's rules refuse it. Only the function can check a sink, because rules cannot split an ARN."""
    parameters = {name: str(parameter.get("Default", "")) for name, parameter in template["Parameters"].items()} | given
    said = [
        assertion["AssertDescription"]
        for rule in template["Rules"].values()
        if comes_to(rule["RuleCondition"], parameters)
        for assertion in rule["Assertions"]
        if not comes_to(assertion["Assert"], parameters)
    ]
    assert bool(said) == bool(refused)
    assert refused in "".join(said)


def test_a_switch_is_off_until_someone_turns_it_on(template: dict[str, Any]) -> None:
    """Resources that cost something without requests have a condition that the defaults do not meet."""
    defaults = {name: str(parameter.get("Default", "")) for name, parameter in template["Parameters"].items()}
    assert {defaults[name] for name in ("Alarms", "Dashboard", "Canary", "SnapStart", "Tracing", "Queue")} == {"false"}
    for kind in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::StepFunctions::StateMachine"):
        assert all("Condition" in resource for resource in of_type(template, kind).values())
    assert "AWS::CodeDeploy::DeploymentGroup" not in str(transformed())


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


def test_alarms_and_dashboard_watch_metrics_that_are_written(template: dict[str, Any]) -> None:
    """An alarm on a metric that nobody writes would never go off."""
    written = set(
        re.findall(
            r'"([A-Z][A-Za-z]+)":', "".join((ROOT / f"handler/{name}.py").read_text() for name in ("telemetry", "cache/metrics"))
        )
    )
    alarms = of_type(template, "AWS::CloudWatch::Alarm").values()
    ours = {alarm["Properties"]["MetricName"] for alarm in alarms if alarm["Properties"]["Namespace"] == "EmbeddingsOnLambda"}
    assert ours == {"ServerErrors", "CacheErrors"}
    dashboard = template["Resources"]["OperationsDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0]
    shown = set(re.findall(r'\["EmbeddingsOnLambda", "(\w+)"', dashboard)) | {"ServerErrors", "CacheMisses"}
    assert ours | shown <= written


def test_access_logging_does_not_lengthen_the_account_s_resource_policy(template: dict[str, Any]) -> None:
    """API Gateway adds to it every log group that is not under /aws/vendedlogs/, and fails once it has 5,120 characters."""
    destination = next(every(template["Resources"]["HttpApiApiGatewayDefaultStage"], "DestinationArn"))
    group = template["Resources"][destination["Fn::GetAtt"][0]]["Properties"]
    assert group["LogGroupName"]["Fn::Sub"].startswith("/aws/vendedlogs/")


def test_access_logs_hold_neither_bodies_nor_headers(template: dict[str, Any]) -> None:
    """Bodies and headers contain texts and keys."""
    (line,) = every(template["Resources"]["HttpApiApiGatewayDefaultStage"], "Format")
    assert not re.search(r"body|header|authorizer|queryString", line, re.IGNORECASE)
