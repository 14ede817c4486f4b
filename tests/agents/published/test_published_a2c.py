"""The published program: its trace, its loss, its switches, its memory."""

import dataclasses
import itertools
import json
import random
import subprocess
import sys

import numpy as np
import pytest
import torch as th
from conftest import ROOT
from reference import described, published
from torch.utils._python_dispatch import TorchDispatchMode

from agents.common.files import read_rows
from agents.published.a2c import (
    FINAL_PROBLEMS,
    Network,
    Problems,
    PublishedA2C,
    Rollout,
    Settings,
    contexts_of,
    draw_digits,
    draw_problems,
    draw_samples,
    evaluate_stages,
    published_mean,
    roll_out,
    run_program,
    sample,
    score,
    sequence_loss,
)

TRACE = json.loads((ROOT / "tests/data/published_trace_seed0.json").read_text())
ANS, CTX, EOS = 14, 10, 17


# ------------------------------------------------------------------------------- the trace


def parameter_sums(program):
    return {
        name: value.double().sum().item() for name, value in program.network.state_dict().items()
    }


def test_the_published_trace():
    """All of it on the torch that made it; elsewhere rounding may flip a later action."""
    whole = th.__version__ == TRACE["torch"]
    program = PublishedA2C(Settings())
    assert parameter_sums(program) == pytest.approx(TRACE["parameter_sums_at_start"], rel=1e-9)
    reports = run_program(program)
    evaluations = iter(TRACE["evaluations"])
    for expected in TRACE["updates"] if whole else TRACE["updates"][:10]:
        report = next(reports)
        assert (report.update, report.stage) == (expected["update"], expected["stage"])
        assert report.mean_return == expected["mean_reward"]
        assert report.loss == pytest.approx(expected["loss"], abs=1e-4)
        if report.update % 5 == 0:
            given = [published_mean(outcomes.returns) for outcomes in report.evaluations]
            assert given == next(evaluations)["mean_reward"]
    if whole:
        assert next(reports, None) is None
        assert [sample._asdict() for sample in draw_samples(program)] == TRACE["samples"]
        final = [
            published_mean(outcomes.returns)
            for outcomes in evaluate_stages(program, FINAL_PROBLEMS)
        ]
        assert final == TRACE["final_mean_reward"]
        sums = TRACE["parameter_sums_after_60_updates"]
        assert parameter_sums(program) == pytest.approx(sums, abs=1e-3)


def published_lines():
    """Return the lines that the program printed: its form, with the figures of its trace."""
    lines = []
    for evaluation in TRACE["evaluations"]:
        update = TRACE["updates"][evaluation["update"] - 1]
        t0, t1, t2 = evaluation["mean_reward"]
        lines.append(
            f"ep={update['update']:02d} stage={update['stage']} acc={update['mean_reward']:.3f} "
            f"| eval T0={t0:.3f} T1={t1:.3f} T2={t2:.3f} loss={update['loss']:.3f}"
        )
    return lines


def test_reproduce_prints_the_published_lines(tmp_path):
    lines = published_lines()
    assert lines[2] == "ep=15 stage=0 acc=0.067 | eval T0=1.057 T1=0.160 T2=0.072 loss=-0.346"
    command = [sys.executable, ROOT / "scripts" / "reproduce.py", "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = [line for line in done.stdout.splitlines() if line.startswith(("ep=", "Final"))]
    if th.__version__ == TRACE["torch"]:
        assert printed == [*lines, "Final greedy accuracies → T0=1.061, T1=0.000, T2=0.176"]
    else:
        assert printed[:2] == lines[:2]
    rows = read_rows(tmp_path / "evaluations.csv")
    assert len(rows) == 12 * 3
    assert rows[6]["mean_return"] == pytest.approx(1.05703125)  # update 15, stage 0
    assert (tmp_path / "learning_curve.png").exists()


def test_means_are_printed_in_single_precision():
    """The program prints 1.062 here; the mean of the same returns in double precision is 1.0625."""
    reports = run_program(PublishedA2C(Settings(seed=7)))
    (report,) = (report for report in itertools.islice(reports, 20) if report.update == 20)
    assert f"{report.evaluations[0].returns.mean():.3f}" == "1.063"
    assert "| eval T0=1.062 " in report.line()


def test_random_numbers_are_drawn_as_published():
    ours, pythons = random.Random(3), random.Random(3)
    for n in (1, 5, 999):
        assert draw_digits(ours, n).tolist() == [pythons.randint(0, 9) for _ in range(n)]
        assert ours.getstate() == pythons.getstate()
    logits = th.randn(500, 18, generator=th.Generator().manual_seed(0))
    th.manual_seed(1)
    drawn = sample(logits)
    th.manual_seed(1)
    assert th.equal(drawn, th.distributions.Categorical(logits=logits).sample())


# ------------------------------------------------------------------------------- the network


def mixed_problems(n=40, seed=0):
    return draw_problems(random.Random(seed), n, None)


def test_contexts_are_padded_to_the_longest():
    problems = Problems(np.array([[7, 5, 8, 4, 6], [1, 2, 3, 4, 5]]), np.array([0, 1]))
    assert contexts_of(problems).tolist() == [[7, 5, 8, CTX, EOS], [1, 2, 3, 4, CTX]]
    assert contexts_of(Problems(problems.digits, np.array([0, 0]))).shape == (2, 4)


def test_the_batch_average_is_the_published_broadcast():
    network = Network(8, own_context=False)
    problems = mixed_problems()
    contexts, stages = th.as_tensor(contexts_of(problems)), th.as_tensor(problems.stages)
    means = network.emb(contexts).mean(dim=1)  # (B, d)
    literal = th.tanh((means + network.stage_emb(stages).unsqueeze(1)).mean(dim=1))  # (B, B, d)
    states, numbers = network.start(contexts, stages)
    th.testing.assert_close(states[numbers], literal, atol=1e-6, rtol=1e-5)


def test_own_context_sees_nothing_but_its_own():
    network = Network(8, own_context=True)
    problems = mixed_problems()
    states, numbers = network.start(
        th.as_tensor(contexts_of(problems)), th.as_tensor(problems.stages)
    )
    together = states[numbers]
    for i in range(len(problems.stages)):
        alone = Problems(problems.digits[i : i + 1], problems.stages[i : i + 1])
        context = th.as_tensor(contexts_of(alone))  # not padded
        expected = th.tanh(
            network.emb(context[0]).mean(dim=0) + network.stage_emb.weight[alone.stages[0]]
        )
        th.testing.assert_close(together[i], expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("own_context", [False, True])
def test_a_rollout_is_the_gru_that_reads_its_own_tokens(own_context):
    network = Network(12, own_context)
    problems = mixed_problems()
    start = network.start(th.as_tensor(contexts_of(problems)), th.as_tensor(problems.stages))
    rollout = roll_out(network, *start, steps=7, greedy=False)
    hidden = start[0][start[1]]
    first = th.full((len(hidden), 1), CTX)
    outputs, _ = network.rnn(
        network.emb(th.cat([first, rollout.tokens[:, :-1]], dim=1)), hidden.unsqueeze(0)
    )
    th.testing.assert_close(rollout.logits, network.pi(outputs), atol=1e-6, rtol=1e-5)
    th.testing.assert_close(rollout.values, network.v(outputs)[..., 0], atol=1e-6, rtol=1e-5)
    greedy = roll_out(network, *start, steps=7, greedy=True)
    assert th.equal(greedy.tokens, greedy.logits.argmax(dim=2))


# ------------------------------------------------------------------------------- the scores


@pytest.mark.parametrize(
    ("switches", "evaluator", "graded"),
    [
        ({}, published, None),
        ({"described_grading": True}, published, "described"),
        ({"described_rules": True}, described, None),
        ({"described_rules": True, "described_grading": True}, described, None),
    ],
)
def test_scores(switches, evaluator, graded):
    settings = Settings(seven_steps=True, **switches)
    problems = mixed_problems(2_000)
    # The first tokens of plans, then anything.
    tokens = np.random.default_rng(0).choice([11, 12, 13, 14, 15, 16, 3], size=(2_000, 7))
    tokens[:, 0] = 11
    outcomes = score(settings.rules, problems, tokens)
    for i, (digits, stage) in enumerate(
        zip(problems.digits.tolist(), problems.stages, strict=True)
    ):
        value, steps, register = evaluator(stage, digits, tokens[i].tolist())
        answered = register is not None and tokens[i, steps - 1] == ANS
        a, b, c, d, e = digits
        target = [a * b + c, a * b + c - d, a * b + c - d * e][stage]
        before = [a * b, a * b + c, a * b + c - d][stage]
        assert outcomes.reached_target[i] == (answered and register == target)
        if graded == "described" and answered:
            value += float(register == target) - float(register == before)
        assert outcomes.returns[i] == pytest.approx(value, abs=1e-12)
        if graded == "described" or evaluator is described:
            assert outcomes.success[i] == outcomes.reached_target[i]
        else:
            assert outcomes.success[i] == (answered and register == before)
    assert outcomes.success.any()
    assert not outcomes.success.all()


# ------------------------------------------------------------------------------- the loss


def literal_loss(settings, tokens, logits, values, returns, fixed_values):
    """The loss, element by element; advantages are taken from ``fixed_values``."""
    n, steps = tokens.shape
    policy, fit, entropies, counted_steps = 0.0, 0.0, 0.0, 0
    for i in range(n):
        row = tokens[i].tolist()
        answer = row.index(ANS) if ANS in row else steps - 1
        counted = range(answer + 1) if settings.loss_until_answer else range(steps)
        to_go = [returns[i] if t <= answer else 0.0 for t in range(steps)]
        log_probs = [logits[i, t] - np.logaddexp.reduce(logits[i, t]) for t in range(steps)]
        for t in counted:
            p = np.exp(log_probs[t])
            entropies -= (p * np.log(p + 1e-9)).sum()
        counted_steps += len(counted)
        if settings.per_step_values:
            for t in counted:
                policy -= log_probs[t][row[t]] * (to_go[t] - fixed_values[i, t]) / n
                fit += (values[i, t] - to_go[t]) ** 2
        else:
            advantage = returns[i] - sum(fixed_values[i, t] for t in counted)
            policy -= sum(log_probs[t][row[t]] for t in counted) * advantage / n
            fit += (sum(values[i, t] for t in counted) - returns[i]) ** 2
    fit /= counted_steps if settings.per_step_values else n
    weight = settings.value_weight, settings.entropy_weight
    return policy + weight[0] * fit - weight[1] * entropies / counted_steps


def numpy_forward(network, contexts, stages, tokens):
    """Logits and values of a network, from its parameters alone."""
    w = {name: value.numpy() for name, value in network.state_dict().items()}

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    means = w["emb.weight"][contexts].mean(axis=(0, 1))
    hidden = np.tanh(means + w["stage_emb.weight"][stages])
    read = np.concatenate([np.full((len(tokens), 1), CTX), tokens[:, :-1]], axis=1)
    logits, values = [], []
    for column in read.T:
        from_x = w["emb.weight"][column] @ w["rnn.weight_ih_l0"].T + w["rnn.bias_ih_l0"]
        from_h = hidden @ w["rnn.weight_hh_l0"].T + w["rnn.bias_hh_l0"]
        (r_x, z_x, n_x), (r_h, z_h, n_h) = (np.split(g, 3, axis=1) for g in (from_x, from_h))
        new = np.tanh(n_x + sigmoid(r_x + r_h) * n_h)
        update = sigmoid(z_x + z_h)
        hidden = (1 - update) * new + update * hidden
        logits.append(hidden @ w["pi.weight"].T + w["pi.bias"])
        values.append((hidden @ w["v.weight"].T + w["v.bias"])[:, 0])
    return np.stack(logits, axis=1), np.stack(values, axis=1)


@pytest.mark.parametrize("loss_until_answer", [False, True])
@pytest.mark.parametrize("per_step_values", [False, True])
def test_gradients_against_finite_differences(loss_until_answer, per_step_values):
    settings = Settings(loss_until_answer=loss_until_answer, per_step_values=per_step_values)
    th.manual_seed(0)
    network = Network(3, own_context=False).double()
    problems = draw_problems(random.Random(0), 5, 1)
    contexts = contexts_of(problems)
    states, numbers = network.start(th.as_tensor(contexts), th.as_tensor(problems.stages))
    rollout = roll_out(network, states, numbers, steps=6, greedy=False)
    rollout.tokens[:3, 2] = ANS  # after the fact: then the outputs must be computed anew
    tokens = rollout.tokens.numpy()
    returns = np.array([1.1, 0.05, 0.0, 0.2, 0.0])

    gates = network.input_gates()
    hidden, outputs = states[numbers], []
    for column in th.nn.functional.pad(rollout.tokens[:, :-1], (1, 0), value=CTX).T:
        hidden = network.step(gates, column, hidden)
        outputs.append(hidden)
    output = th.stack(outputs, dim=1)
    rollout = Rollout(rollout.tokens, network.pi(output), network.v(output).squeeze(2))
    loss = sequence_loss(settings, rollout, th.as_tensor(returns))
    loss.backward()

    fixed = rollout.values.detach().numpy().copy()

    def value():
        logits, values = numpy_forward(network, contexts, problems.stages, tokens)
        return literal_loss(settings, tokens, logits, values, returns, fixed)

    assert loss.item() == pytest.approx(value(), abs=1e-12)
    epsilon = 1e-6
    for name, parameter in network.named_parameters():
        flat = parameter.detach().flatten()
        assert flat.data_ptr() == parameter.data_ptr()
        for i in range(len(flat)):
            kept = flat[i].item()
            ends = []
            for shift in (epsilon, -epsilon):
                flat[i] = kept + shift
                ends.append(value())
            flat[i] = kept
            slope = (ends[0] - ends[1]) / (2 * epsilon)
            assert parameter.grad.flatten()[i].item() == pytest.approx(slope, abs=1e-7), name


def test_no_gradient_after_the_answer():
    tokens = th.tensor([[11, ANS, 3, 11, ANS, 12], [11, 12, 13, 3, 3, 3]])
    returns = th.tensor([1.05, 0.0])
    for switch, per_step in ((True, True), (True, False), (False, True), (False, False)):
        logits = th.randn(2, 6, 18, generator=th.Generator().manual_seed(0)).requires_grad_()
        values = th.ones(2, 6, requires_grad=True)
        settings = Settings(loss_until_answer=switch, per_step_values=per_step)
        sequence_loss(settings, Rollout(tokens, logits, values), returns).backward()
        for gradient in (logits.grad[0, 2:], values.grad[0, 2:]):
            assert (gradient == 0).all() == switch
        for gradient in (logits.grad[0, :2], logits.grad[1], values.grad[0, :2], values.grad[1]):
            assert (gradient != 0).any()


# ------------------------------------------------------------------------------- the switches

LOSS_SWITCHES = ("loss_until_answer", "per_step_values", "entropy_weight", "learning_rate")
CHANGES = {"entropy_weight": 0.05, "learning_rate": 1e-3}


@pytest.mark.parametrize("name", LOSS_SWITCHES)
def test_switches_of_the_loss_leave_the_first_rollout_alone(name):
    reports, weights = [], []
    for switch in ({}, {name: CHANGES.get(name, True)}):
        program = PublishedA2C(Settings(batch_size=64, **switch))
        reports.append([program.update() for _ in range(3)])
        weights.append(program.network.pi.weight)
    assert reports[0][0][0] == reports[1][0][0]  # the mean return of the first batch
    assert not th.equal(*weights)


@pytest.mark.parametrize("name", ["described_grading", "described_rules"])
def test_switches_of_the_world_change_the_returns_only(name):
    programs = [PublishedA2C(Settings(**switch)) for switch in ({}, {name: True})]
    problems = [program.draw(500, 2) for program in programs]
    np.testing.assert_array_equal(problems[0].digits, problems[1].digits)
    tokens = [program.greedy(problems[0])[0] for program in programs]
    np.testing.assert_array_equal(*tokens)
    assert programs[0].settings.rules != programs[1].settings.rules


def test_seven_steps():
    for seven, steps in ((False, 6), (True, 7)):
        program = PublishedA2C(Settings(seven_steps=seven))
        assert program.greedy(program.draw(3, 0))[0].shape == (3, steps)


def test_stages_in_blocks_or_mixed():
    blocks = PublishedA2C(Settings(updates=60, batch_size=2, hidden_size=2))
    stages = []
    for _ in range(60):
        stages.append(blocks.next_stage())
        blocks.update()
    assert stages == [0] * 30 + [1] * 20 + [2] * 10
    mixed = PublishedA2C(Settings(mixed_stages=True))
    assert mixed.next_stage() is None
    assert set(mixed.draw(100, None).stages) == {0, 1, 2}


def test_every_switch_is_off_as_published():
    switches = {field.name: field.default for field in dataclasses.fields(Settings)}
    on = [name for name, default in switches.items() if default is True]
    assert on == []
    assert Settings().steps == 6


# ------------------------------------------------------------------------------- the memory


class Bytes(TorchDispatchMode):
    """Sums the bytes of everything that torch computes, and the largest single result."""

    def __init__(self):
        super().__init__()
        self.total = self.largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, th.Tensor):
                size = tensor.numel() * tensor.element_size()
                self.total += size
                self.largest = max(self.largest, size)
        return result


@pytest.mark.parametrize("own_context", [False, True])
def test_memory_grows_linearly_with_the_batch(own_context):
    totals, largest = [], []
    for size in (1_000, 2_000, 3_000):
        program = PublishedA2C(Settings(batch_size=size, own_context=own_context))
        with Bytes() as measured:
            program.update()
        totals.append(measured.total)
        largest.append(measured.largest)
    assert totals[2] - totals[1] == pytest.approx(totals[1] - totals[0], rel=0.01)
    # The gates' gradients of all steps; the published contexts would be 500 times as large.
    assert largest[2] <= 3_000 * 6 * 3 * 96 * 4


@pytest.mark.skipif(not th.cuda.is_available(), reason="this machine has no CUDA device")
def test_cuda():
    program = PublishedA2C(Settings(device="cuda"))
    reports = [program.update() for _ in range(5)]
    assert np.isfinite(reports).all()
    assert program.network.emb.weight.device.type == "cuda"
