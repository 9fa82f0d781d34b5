"""What has to be made anew where an environment was restored from a snapshot (Lambda's SnapStart).

Every restored environment wakes with the same connections, which no longer lead anywhere, and with the same state of every random
generator. Law: knows nothing of what is renewed.
"""

from collections.abc import Callable, Mapping


def is_taken(environment: Mapping[str, str]) -> bool:
    """Whether this environment will be snapshotted once it is initialised."""
    return environment.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def after_restore(environment: Mapping[str, str], *renewals: Callable[[], None]) -> None:
    """Have Lambda call `renewals` in each environment that is made of this one's snapshot."""
    if not is_taken(environment):
        return
    from snapshot_restore_py import register_after_restore  # noqa: PLC0415 - the managed runtime brings it, and no one else needs it

    for renewal in renewals:
        register_after_restore(renewal)
