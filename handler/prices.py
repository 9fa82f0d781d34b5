"""The prices of AWS in dollars. handler/cache/cost.py uses them for single requests, `make cost` for a month.

Law: nothing but numbers with their units: us-east-1, on demand, Linux, without the free tier, as listed in June 2026.
"""

from dataclasses import dataclass

DATE = "2026-06"
REGION = "us-east-1"
HOURS_A_MONTH = 730
SECONDS_A_MONTH = HOURS_A_MONTH * 3600


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars for one of each unit. A read unit has half the price, because reads are eventually consistent."""

    gigabyte_second: float = 0.0000166667
    lambda_request: float = 0.20e-6
    http_api_request: float = 1.00e-6
    read_unit: float = 0.125e-6 / 2
    write_unit: float = 0.625e-6
    table_gigabyte_month: float = 0.25
    log_gigabyte: float = 0.50
    secret_month: float = 0.40
    alarm_month: float = 0.10
    metric_month: float = 0.30
    dashboard_month: float = 3.00
    trace: float = 5.00e-6
    snapshot_gigabyte_second: float = 0.0000015046
    restored_gigabyte: float = 0.0001397998
    state_transition: float = 0.025e-3
    express_request: float = 1.00e-6
    express_gigabyte_second: float = 0.0000166667
    put_object: float = 0.005e-3
    queue_request: float = 0.40e-6


X86_64 = Prices()
ARM64 = Prices(gigabyte_second=0.0000133334)
ARCHITECTURES = {"x86_64": X86_64, "arm64": ARM64}

ALWAYS_ON_HOUR = {"m7g.large, 2 vCPUs": 0.0816, "g5.xlarge, one GPU": 1.006}
"""The price of an hour of typical EC2 machines for a model, without disks, a load balancer and a second machine."""

INDEX_GIGABYTE_MONTH, INDEX_WRITTEN_GIGABYTE, INDEX_QUERY = 0.06, 0.20, 2.50e-6
"""The prices of an index of S3 Vectors: keys, vectors and metadata that it keeps, the same when they are written, and one query."""
INDEX_LEAST_WRITTEN_BYTES = 128 * 1024
"""A write is billed as this many bytes at least."""
INDEX_READ_TERABYTE = {100_000: 0.004, 10_000_000: 0.002, float("inf"): 0.0004}
"""The price of a terabyte that a query reads: keys, vectors and filterable metadata of the whole index. Each price is for the
vectors up to that number. A response of up to 512 KB is free."""
