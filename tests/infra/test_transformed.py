"""The transformed template agrees with the settings and routes of the code, and with the rules of AWS."""

import importlib
import re
from typing import Any

from handler.config import KeySettings, Settings
from handler.errors import PUBLIC
from handler.http.routes import PAGE_PATHS, ROUTES
from handler.pipeline_settings import PipelineSettings
from tests.conftest import ROOT
from tests.infra.transformed import every, functions, of_type, paths, rights, transformed

NOT_OURS = {"OPENBLAS_NUM_THREADS", "SETTINGS"}
"""Variables that the handler does not read: a library reads one, and the other only changes the configuration."""
LEFT_AT_THEIR_DEFAULTS = {
    "AUTO_TRUNCATE", "MAX_CLIENT_BATCH_SIZE", "THREADS", "CACHE_MEMORY_MB", "CACHE_BUDGET_MS",  # for whoever changes template.yaml
    "MODEL_TMP", "KERNELS", "RERANKER_DIR",
    "API_KEYS", "CACHE_KEY_SECRET",  # of a laptop: deployed, they are in secrets
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_MAX_CONCURRENCY",  # Lambda sets them
}  # fmt: skip


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


def test_what_strangers_may_read_has_routes_and_rates_of_its_own(template: dict[str, Any]) -> None:
    """Otherwise visitors of the pages could use up the rate of callers with a key, and the account would pay."""
    for path in PAGE_PATHS | {"/"}:
        route = re.sub(r"^/docs/.+", "/docs/{asset}", path)
        assert paths(template)[route].keys() == {"get"}
        (settings,) = every(template["Resources"]["HttpApiApiGatewayDefaultStage"], f"GET {route}")
        assert settings == {"ThrottlingRateLimit": {"Ref": "PagesRate"}, "ThrottlingBurstLimit": {"Ref": "PagesRate"}}
    assert functions(template)["ApiFunction"]["Environment"]["Variables"]["PAGES"] == {"Ref": "Pages"}
    assert paths(template)["$default"]["x-amazon-apigateway-any-method"]["isDefaultRoute"] is True


def test_a_search_has_a_route_and_a_rate_of_its_own(template: dict[str, Any]) -> None:
    """Each search is a query of S3 Vectors, too. The path is one that the function serves."""
    assert paths(template)["/search"].keys() == {"post"}
    assert any("/search" in route.paths for route in ROUTES)
    (settings,) = every(template["Resources"]["HttpApiApiGatewayDefaultStage"], "POST /search")
    assert settings == {"ThrottlingRateLimit": {"Ref": "SearchRate"}, "ThrottlingBurstLimit": {"Ref": "SearchRate"}}


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


def test_a_switch_is_off_until_someone_turns_it_on(template: dict[str, Any]) -> None:
    """Resources that cost something without requests have a condition that the defaults do not meet."""
    defaults = {name: str(parameter.get("Default", "")) for name, parameter in template["Parameters"].items()}
    assert {defaults[name] for name in ("Alarms", "Dashboard", "Canary", "SnapStart", "Tracing", "Queue")} == {"false"}
    for kind in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::StepFunctions::StateMachine"):
        assert all("Condition" in resource for resource in of_type(template, kind).values())
    assert "AWS::CodeDeploy::DeploymentGroup" not in str(transformed())


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
