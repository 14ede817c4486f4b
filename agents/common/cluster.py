"""Calls on a Ray cluster, when one machine is not enough."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from agents.common.parallel import RETRIES

AUTO = "auto"

Result = TypeVar("Result")


def on_cluster(calls: Sequence[Callable[[], Result]], address: str) -> Iterator[Result]:
    """Make calls on a Ray cluster, a core for each, and yield what each returns as it comes.

    What is lost with a worker or a node is called again on another. Every node needs this project
    and what it needs, in the same versions.

    :param calls: functions without arguments that can be pickled
    :param address: of the cluster's head, as in ``10.0.0.1:6379`` or ``ray://10.0.0.1:10001``;
        ``"auto"`` for the one that ``RAY_ADDRESS`` names or that runs on this machine, or else for
        a new one on this machine that ends with the calls
    :raises ChildProcessError: a call was lost again and again
    :raises ConnectionError: there is no cluster at the address
    :raises ModuleNotFoundError: Ray is not installed
    """
    ray = _ray()
    try:
        ray.init(
            address=None if address == AUTO else address,
            logging_level=logging.WARNING,
            log_to_driver=False,  # what the workers print
        )
    except ray.exceptions.RayError as error:
        raise ConnectionError(f"no Ray cluster answers at {address}: {error}") from error
    try:
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(_call)
        running = [task.remote(call) for call in calls]
        while running:
            (finished,), running = ray.wait(running)
            try:
                result = ray.get(finished)
            except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError) as error:
                raise ChildProcessError(
                    f"a call was lost {1 + RETRIES} times with its worker or node: {error}"
                ) from error
            yield result
    finally:
        ray.shutdown()


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "Ray is not installed: pip install 'toolenv-gym[cluster]' here and on every node"
        ) from None
    return ray


def _call(call: Callable[[], Result]) -> Result:
    return call()
