"""Renew state after an environment is restored from a snapshot (Lambda's SnapStart).

All restored environments start with the same connections, which are closed, and the same state of every random number generator.

Law: knows nothing of the state that is renewed.
"""

from collections.abc import Callable, Mapping


def is_taken(environment: Mapping[str, str]) -> bool:
    """Return whether Lambda takes a snapshot of this environment after its initialization."""
    return environment.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def after_restore(environment: Mapping[str, str], *renewals: Callable[[], None]) -> None:
    """Make Lambda call `renewals` in each environment that is restored from the snapshot of this environment."""
    if not is_taken(environment):
        return
    from snapshot_restore_py import register_after_restore  # noqa: PLC0415 - only Lambda's runtime has this package

    for renewal in renewals:
        register_after_restore(renewal)
