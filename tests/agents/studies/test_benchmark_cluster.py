"""The benchmark on a Ray cluster of two nodes, of which one is killed in the middle."""

import functools
import os
import sys
import time
from collections import Counter

import pytest
from benchmark_runs import JOBS, result
from notes import note, noted

from agents.common.cluster import on_cluster
from agents.common.parallel import RETRIES
from agents.studies.benchmark.results import ROWS, Store, read_table
from agents.studies.benchmark.running import run_missing
from agents.studies.benchmark.runs import definition

ray = pytest.importorskip("ray", reason="Ray is not installed")
from ray.cluster_utils import Cluster  # noqa: E402

# Ray leaves files and sockets of its processes open.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

QUICK = {"health_check_period_ms": 500}  # it takes a few of them to find a node dead


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of one node with one core."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # for its workers to find this file
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": QUICK}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()


def note_node(folder, job):
    """Note who runs what, and return the node."""
    node = ray.get_runtime_context().get_node_id()
    note(folder / "begun", f"{job.seed} {node}")
    return node


def hang_on(folder, first_node, hyperparams, job):
    """Run a job, but on any node other than the first never come to an end."""
    if note_node(folder, job) != first_node:
        time.sleep(600)
    return result(job, definition(job, hyperparams))


def refused(folder, hyperparams, job):
    note_node(folder, job)
    raise ValueError(f"cannot run {job.seed}")


def crash(folder):
    note(folder / "begun", "crash")
    os._exit(1)


def on_second_node(folder, first_node):
    """Return the seeds of the jobs that were begun on another node than the first."""
    begun = [line.split() for line in noted(folder / "begun")]
    return [seed for seed, node in begun if node != first_node]


def test_a_node_is_killed_and_every_run_finishes_none_of_them_twice(tmp_path, cluster):
    first = cluster.head_node.node_id
    second = cluster.add_node(num_cpus=1)
    store = Store(tmp_path / "out", tmp_path / "finished")
    running = run_missing(
        JOBS,
        store,
        tmp_path,
        functools.partial(on_cluster, address=cluster.address),
        functools.partial(hang_on, tmp_path, first),
    )
    counts = [next(running), next(running)]  # the second when one is finished
    for _ in range(600):
        if on_second_node(tmp_path, first):
            break
        time.sleep(0.1)
    (lost,) = on_second_node(tmp_path, first)  # one core: it has one run, and that hangs
    cluster.remove_node(second, allow_graceful=False)
    counts += list(running)

    assert counts == [(done, 6) for done in range(7)]
    begun = Counter(line.split()[0] for line in noted(tmp_path / "begun"))
    assert begun == {str(job.seed): 1 for job in JOBS} | {lost: 2}
    store.gather()
    seeds = read_table(tmp_path / "out" / ROWS)["seed"].tolist()
    assert seeds == [seed for job in JOBS for seed in (job.seed, job.seed)]  # two checkpoints each

    again = run_missing(JOBS, store, tmp_path, functools.partial(on_cluster, address="no.such:1"))
    assert next(again) == (6, 6)


def test_an_error_of_a_run_comes_back_and_is_not_tried_again(tmp_path, cluster):
    running = run_missing(
        JOBS[:1],
        Store(tmp_path / "out", tmp_path / "finished"),
        tmp_path,
        functools.partial(on_cluster, address=cluster.address),
        functools.partial(refused, tmp_path),
    )
    with pytest.raises(ValueError, match="cannot run 0"):
        list(running)
    assert len(noted(tmp_path / "begun")) == 1


def test_a_call_that_always_kills_its_worker_ends_in_an_error(tmp_path, cluster):
    with pytest.raises(ChildProcessError, match="lost 4 times with its worker"):
        list(on_cluster([functools.partial(crash, tmp_path)], cluster.address))
    assert len(noted(tmp_path / "begun")) == 1 + RETRIES
