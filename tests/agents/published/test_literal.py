"""The literal program against its trace, and the fast one against the literal."""

import json

import pytest
import torch as th
from conftest import ROOT

from agents.published.a2c import PublishedA2C, Settings
from agents.published.literal import LiteralA2C, context_of, run_program

TRACE = json.loads((ROOT / "tests/data/published_trace_seed0.json").read_text())


def parameters(program):
    return dict(program.network.state_dict())


def test_the_published_trace():
    """All of it on the torch that made it; elsewhere rounding may flip a later action."""
    whole = th.__version__ == TRACE["torch"]
    program = LiteralA2C()
    evaluations = iter(TRACE["evaluations"])
    for expected in TRACE["updates"] if whole else TRACE["updates"][:10]:
        assert program.next_stage() == expected["stage"]
        mean_return, loss = program.update()
        assert mean_return == expected["mean_reward"]
        assert loss == pytest.approx(expected["loss"], abs=1e-4)
        if program.updates % 5 == 0:
            assert program.evaluate(128) == next(evaluations)["mean_reward"]
    if whole:
        for expected in TRACE["samples"]:
            problem, tokens = program.sample(expected["stage"])
            assert context_of(problem) == [*expected["context"], 10]
            assert tokens == expected["tokens"]
        assert program.evaluate(1_000) == TRACE["final_mean_reward"]
        sums = {name: value.double().sum().item() for name, value in parameters(program).items()}
        assert sums == pytest.approx(TRACE["parameter_sums_after_60_updates"], abs=1e-3)


def test_its_printed_lines():
    program = LiteralA2C()
    program.updates = 55
    evaluation, *samples, final = run_program(program)
    assert evaluation.startswith("ep=60 stage=2 acc=")
    assert len(samples) == 15
    assert samples[-1].startswith("stage=2 [")
    assert final.startswith("Final greedy accuracies → T0=")


@pytest.mark.parametrize("done", [0, 30, 50])
def test_the_fast_program_is_the_literal_one(done):
    """With a seed other than the trace's, at each stage: the same actions, so the same returns."""
    reports, weights = [], []
    for make in (lambda: LiteralA2C(seed=3), lambda: PublishedA2C(Settings(seed=3))):
        program = make()
        program.updates = done
        reports.append([program.update() for _ in range(8)])
        weights.append(parameters(program))
    for (literal_return, literal_loss), (fast_return, fast_loss) in zip(*reports, strict=True):
        assert fast_return == literal_return
        assert fast_loss == pytest.approx(literal_loss, abs=1e-4)
    th.testing.assert_close(*weights, atol=1e-6, rtol=1e-4)
