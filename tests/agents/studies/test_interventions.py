"""Interventions and probes on policies whose answers are known by construction."""

import runpy
import sys

import numpy as np
import pytest
import torch as th
from conftest import ROOT
from reference import described, digits_of
from running import begin
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO

from agents.common.files import read_rows
from agents.studies.interventions.runs import (
    STUDIED,
    all_plans,
    digit_ceiling,
    intervene,
    interventions,
    linear_probe,
    load_policy,
    plan_rows,
    play,
    probe,
    probe_targets,
    states_along,
    token_tree,
    untrained_like,
)
from agents.toolarith.algorithms import make_model, make_training_env
from agents.toolarith.evaluation import Episodes, greedy_episodes
from agents.toolarith.explanation import emitted_tokens, sample_problems
from agents.toolarith.model_files import new_model
from agents.toolarith.policy import ToolArithGruPolicy
from toolenv_gym import oracle, worlds
from toolenv_gym.oracle import Task
from toolenv_gym.tokens import ADD, ANS, CTX, MUL, RCL, STO, SUB

PLAN = (MUL, ADD, STO, MUL, RCL, SUB, ANS)
SHORT = (MUL, ADD, SUB, ANS, ANS, ANS, ANS)  # what follows an ANS is never played
BATCH = 250

# Units of the hand-built network: one that tells a beginning from the rest, one that is marked in
# h0, and two counters of the steps, of which the mark chooses one.
SIZE, BEGUN, MARK, FIRST_COUNTER, SECOND_COUNTER = 16, 0, 1, 2, 9


def make_small_model():
    env = make_training_env("recurrent_ppo", "ToolArithMemory-v0", (0, 1, 2), 2, 0)
    return RecurrentPPO(
        ToolArithGruPolicy, env, policy_kwargs={"hidden_size": SIZE}, device="cpu", n_steps=8
    )


@th.no_grad()
def plays(policy, unmarked, marked=SHORT, marking_digit=None, marking_stage=None):
    """Let a policy count its steps and play one plan, or if its h0 is marked, another.

    It reads no tokens, and where a plan's token is not admitted it answers. All units are
    saturated: the counters' unit k is 1 after step k, else -1, and 0 in h0.

    :param marking_digit: h0 is marked if this digit is among those shown
    :param marking_stage: h0 is marked if this is the stage
    """
    for parameter in policy.parameters():
        parameter.zero_()
    embeddings = policy.features_extractor
    if marking_digit is not None:
        embeddings.token_embedding.weight[marking_digit, MARK] = 60.0
    if marking_stage is not None:
        embeddings.stage_embedding.weight[marking_stage, MARK] = 60.0
    gru = policy.lstm_actor
    gru.bias_ih_l0[:SIZE] = 50.0  # the reset gates let all through
    gru.bias_ih_l0[SIZE : 2 * SIZE] = -50.0  # the update gates keep nothing
    bias, weight = gru.bias_ih_l0[2 * SIZE :], gru.weight_hh_l0[2 * SIZE :]
    bias[BEGUN] = 40.0
    for counter, plan, sign in ((FIRST_COUNTER, unmarked, -1), (SECOND_COUNTER, marked, 1)):
        bias[counter] = -20.0 * sign
        weight[counter, MARK] = 40.0 * sign
        weight[counter, BEGUN] = -80.0
        for k, token in enumerate(plan):
            if k:
                bias[counter + k] = -20.0
                weight[counter + k, counter + k - 1] = 40.0
            policy.action_net.weight[token, counter + k] = 1.0
            policy.action_net.bias[token] += 1.0
    policy.action_net.bias[ANS] += 1.0
    return policy


@pytest.fixture(scope="module")
def model():
    return make_small_model()


@pytest.fixture
def problems(monkeypatch):
    """Some problems, in four batches, in place of all."""
    problems = sample_problems(STUDIED, 4 * BATCH, seed=0)
    monkeypatch.setattr("agents.studies.interventions.runs.BATCH", BATCH)
    monkeypatch.setattr(
        "agents.studies.interventions.runs._problems",
        lambda task: problems // 10 ** (2 - task.stage),  # fewer digits are shown
    )
    return problems


def digits_of_all(problems):
    """Return the digits of problems of stage 2, shape (n, 5)."""
    return np.array([digits_of(2, number) for number in problems.tolist()])


def of_another(values):
    """Return the values of the episodes before, in each batch."""
    return np.roll(values.reshape(4, BATCH, *values.shape[1:]), 1, axis=1).reshape(values.shape)


def until_answer(tokens):
    """Return a sequence up to its first ANS, filled up with -1."""
    tokens = tuple(tokens)
    end = tokens.index(ANS) + 1 if ANS in tokens else 7
    return (tokens[:end] + (-1,) * 7)[:7]


def expect(episodes, tokens):
    """Compare episodes with the tokens that they should have, graded by the reference."""
    np.testing.assert_array_equal(episodes.tokens, [until_answer(row) for row in tokens])
    returns = [
        described(2, digits_of(2, number), emitted_tokens(row))[0]
        for number, row in zip(episodes.problems, episodes.tokens, strict=True)
    ]
    np.testing.assert_allclose(episodes.returns, returns, atol=1e-12)
    np.testing.assert_array_equal(episodes.success, np.array(returns) >= 1)


def test_untouched_episodes_are_the_greedy_ones(env_id):
    """A network with large random weights, that chooses by the digits, against its predict."""
    env = make_training_env("recurrent_ppo", env_id, (0, 1, 2), 2, 0)
    random = make_model("recurrent_ppo", env, 0, "cpu")
    with th.no_grad():
        random.policy.lstm_actor.weight_hh_l0.mul_(4)
    for stage in range(3):
        task = Task(worlds.WORLDS[env_id], stage)
        numbers = sample_problems(task, 60, seed=0)
        played = play(random.policy, task, numbers)
        assert len(np.unique(played.tokens, axis=0)) > 5
        for given, expected in zip(played, greedy_episodes(random, task, numbers), strict=True):
            np.testing.assert_array_equal(given, expected)


def test_interventions_on_a_fixed_plan(model, problems):
    """Only masks and resets matter to it: a reset has it play the plan from its beginning."""
    policy = plays(model.policy, PLAN)
    expected = {("masked", "STO and RCL"): (MUL, ADD, ANS), ("masked", "STO"): (MUL, ADD, ANS)}
    expected |= {("masked", "RCL"): (MUL, ADD, STO, MUL, ANS)}
    for k in range(1, 7):
        expected["state reset to h0", f"after step {k}"] = PLAN[:k] + PLAN[: 7 - k]
        expected["state swapped", f"after step {k}"] = PLAN
    expected["context of another problem", ""] = PLAN
    expected |= {("stage embedding", f"of stage {stage}"): PLAN for stage in (0, 1)}

    tried = interventions(STUDIED)
    assert {(each.name, each.detail) for each in tried} == set(expected)
    for each in tried:
        tokens = expected[each.name, each.detail]
        expect(play(policy, STUDIED, problems, each), [tokens] * len(problems))

    rows = {(row["intervention"], row["detail"]): row for row in intervene(policy, STUDIED)}
    untouched = rows.pop(("untouched", ""))
    assert (untouched["success_rate"], untouched["same_tokens"]) == (1.0, 1.0)
    assert (untouched["stage"], untouched["problems"]) == (2, len(problems))
    assert untouched["most_frequent_tokens"] == "MUL ADD STO MUL RCL SUB ANS"
    assert set(rows) == set(expected)
    for key, row in rows.items():
        assert row["same_tokens"] == float(expected[key] == PLAN)
        assert row["their_frequency"] == 1.0


@pytest.mark.parametrize(
    ("detail", "tokens", "success"),
    [
        ("STO and RCL", (MUL, ADD, ANS), 0.19),  # right where d or e is 0
        ("RCL", (MUL, ADD, STO, MUL, ANS), None),
    ],
)
def test_masked_tokens_on_all_problems(model, detail, tokens, success):
    numbers = STUDIED.numbers
    (masked,) = (each for each in interventions(STUDIED) if each.detail == detail)
    episodes = play(plays(model.policy, PLAN), STUDIED, numbers, masked)
    assert episodes.returns.mean() == pytest.approx(oracle.mean_return(STUDIED, tokens))
    if success is None:  # the answer is d*e
        a, b, c, d, e = digits_of_all(numbers).T
        success = (a * b + c == 2 * d * e).mean()
    assert episodes.success.mean() == pytest.approx(success)


def test_interventions_on_a_plan_that_depends_on_a_digit(model, problems):
    """It plays the short plan where a 0 is shown, and goes by what it is given of another's."""
    policy = plays(model.policy, PLAN, SHORT, marking_digit=0)
    own = np.where((digits_of_all(problems) == 0).any(axis=1)[:, np.newaxis], SHORT, PLAN)
    other = of_another(own)
    assert 0.3 < (own[:, 2] == STO).mean() < 0.9
    expect(play(policy, STUDIED, problems), own)
    rows = {(row["intervention"], row["detail"]): row for row in intervene(policy, STUDIED)}
    for each in interventions(STUDIED):
        if each.name == "context of another problem":
            expected = other
        elif each.name == "state swapped":
            k = int(each.detail.split()[-1])
            expected = np.concatenate([own[:, :k], other[:, k:]], axis=1)
        elif each.name == "state reset to h0":
            k = int(each.detail.split()[-1])
            expected = np.concatenate([own[:, :k], own[:, : 7 - k]], axis=1)
        else:
            continue
        episodes = play(policy, STUDIED, problems, each)
        expect(episodes, expected)
        row = rows[each.name, each.detail]
        same = [until_answer(a) == until_answer(b) for a, b in zip(own, expected, strict=True)]
        assert row["same_tokens"] == pytest.approx(np.mean(same))
        assert row["success_rate"] == episodes.success.mean()
        assert row["mean_return"] == pytest.approx(episodes.returns.mean())


def test_another_context_on_all_problems(model):
    """Without a 0 in the other problem the full plan is played, else MUL ADD SUB ANS."""
    policy = plays(model.policy, PLAN, SHORT, marking_digit=0)
    (another,) = (each for each in interventions(STUDIED) if each.name.startswith("context"))
    numbers = np.random.default_rng(1).permutation(STUDIED.numbers)
    success = play(policy, STUDIED, numbers, another).success.mean()
    right_anyway = 0.19  # d is 0 or e is 1
    assert success == pytest.approx(0.9**5 + (1 - 0.9**5) * right_anyway, abs=0.005)
    # By the own context: of the problems with a 0, those with d = 0, or with e = 1 and another 0.
    right = 0.9**5 + 0.1 + 0.1 * (0.9 - 0.9**4)
    assert play(policy, STUDIED, numbers).success.mean() == pytest.approx(right)


def test_another_stage_embedding(model, problems):
    """The stage is shown otherwise, the digits d and e still are."""
    policy = plays(model.policy, PLAN, (MUL, ADD, ANS), marking_stage=0)
    rows = {row["detail"]: row for row in intervene(policy, STUDIED)}
    d, e = digits_of_all(problems)[:, 3:].T
    assert rows["of stage 0"]["success_rate"] == pytest.approx((d * e == 0).mean())
    assert rows["of stage 0"]["most_frequent_tokens"] == "MUL ADD ANS"
    assert rows["of stage 0"]["same_tokens"] == 0.0
    assert rows["of stage 1"]["success_rate"] == rows["of stage 1"]["same_tokens"] == 1.0
    assert rows[""]["success_rate"] == 1.0

    policy = plays(model.policy, SHORT, PLAN, marking_digit=8)
    eight = (digits_of_all(problems) == 8).any(axis=1)  # in d and e as well
    (stage_0,) = (each for each in interventions(STUDIED) if each.detail == "of stage 0")
    expected = np.where(eight[:, np.newaxis], PLAN, SHORT)
    expect(play(policy, STUDIED, problems, stage_0), expected)


def test_plans_of_all_stages(model):
    policy = plays(model.policy, PLAN, (MUL, ADD, ANS), marking_stage=0)
    assert [(row["stage"], row["tokens"], row["episodes"]) for row in all_plans(policy)] == [
        (0, "MUL ADD ANS", 1_000),
        (1, "MUL ADD STO MUL RCL SUB ANS", 10_000),
        (2, "MUL ADD STO MUL RCL SUB ANS", 100_000),
    ]


def test_counts_of_plans_and_their_tree():
    tokens = [[MUL, ANS, -1], [ADD, MUL, MUL], [MUL, ANS, -1], [MUL, ADD, ANS], [MUL, ANS, -1]]
    success = np.array([True, False, False, True, False])
    episodes = Episodes(np.zeros(5, int), np.array(tokens), np.zeros(5), success, success)
    rows = plan_rows(1, episodes)
    assert [list(row.values()) for row in rows] == [
        [1, "MUL ANS", 3, pytest.approx(0.6), pytest.approx(1 / 3)],
        [1, "MUL ADD ANS", 1, pytest.approx(0.2), 1.0],
        [1, "ADD MUL MUL", 1, pytest.approx(0.2), 0.0],
    ]
    tree = token_tree([*rows, {"tokens": "MUL ANS", "episodes": 5}])
    assert tree == {
        (): 1.0,
        ("MUL",): 0.9,
        ("MUL", "ANS"): 0.8,
        ("MUL", "ADD"): 0.1,
        ("MUL", "ADD", "ANS"): 0.1,
        ("ADD",): 0.1,
        ("ADD", "MUL"): 0.1,
        ("ADD", "MUL", "MUL"): 0.1,
    }


def test_targets_of_the_probes():
    problems = np.array([75_846, 99, 75_846])
    tokens = np.array([PLAN, PLAN, (MUL, ADD, ANS, -1, -1, -1, -1)])
    targets = probe_targets(STUDIED, problems, tokens)
    empty = 10
    np.testing.assert_array_equal(targets["memory_full"][:2], [[0, 0, 0, 1, 1, 1, 0]] * 2)
    np.testing.assert_array_equal(
        targets["accumulator"][:2],
        [[empty, 5, 3, empty, 4, 3, 9], [empty, 0, 0, empty, 1, 0, 9]],  # -81 modulo 10 is 9
    )
    np.testing.assert_array_equal(targets["accumulator"][2, :3], [empty, 5, 3])
    np.testing.assert_array_equal(targets["steps_taken"], [range(7)] * 3)
    np.testing.assert_array_equal(targets["digit_d"], [[4] * 7, [9] * 7, [4] * 7])


def test_states_are_those_of_the_gru(model):
    policy = untrained_like(model.policy, seed=3)
    problems, tokens = (
        sample_problems(STUDIED, 9, seed=0),
        np.random.default_rng(0).integers(18, size=(9, 7)),
    )
    states = states_along(policy, STUDIED, problems, tokens)
    inputs = th.as_tensor(np.concatenate([np.full((9, 1), CTX), tokens[:, :-1]], axis=1))
    weights = policy.features_extractor.token_embedding.weight
    shown = th.as_tensor(np.concatenate([digits_of_all(problems), np.full((9, 1), CTX)], axis=1))
    stage = policy.features_extractor.stage_embedding.weight[2]
    with th.no_grad():
        start = th.tanh(weights[shown].mean(dim=1) + stage)
        expected, _ = policy.lstm_actor(weights[inputs].transpose(0, 1), start.unsqueeze(0))
    np.testing.assert_allclose(states, expected.transpose(0, 1), atol=1e-6)


def test_untrained_networks(model):
    state = th.get_rng_state()
    first, again, other = (untrained_like(model.policy, seed) for seed in (0, 0, 1))
    assert th.equal(state, th.get_rng_state())
    for a, b, c in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert a.shape == c.shape
        assert th.equal(a, b)
    assert not th.equal(first.action_net.weight, other.action_net.weight)
    assert first.lstm_output_dim == SIZE


def test_linear_probe():
    """What the states contain linearly is read off, what they do not is guessed."""
    generator = np.random.default_rng(0)
    classes = generator.integers(5, size=600)
    unrelated = (generator.uniform(size=600) < 0.8).astype(int)
    fitted = np.arange(600) < 400
    directions = generator.normal(size=(5, 12)).astype(np.float32)
    noise = generator.normal(size=(600, 12)).astype(np.float32)
    targets = {"classes": classes, "unrelated": unrelated}
    usual = (unrelated[400:] == 1).mean()

    scores = linear_probe(directions[classes] + 0.01 * noise, targets, fitted)
    assert scores["classes"] == (1.0, pytest.approx(0.2, abs=0.08))
    assert scores["unrelated"] == (pytest.approx(usual, abs=0.05), usual)

    most = np.bincount(classes[:400]).argmax()
    constant = linear_probe(np.ones((600, 12), dtype=np.float32), targets, fitted)
    assert constant["classes"] == ((classes[400:] == most).mean(),) * 2
    assert constant["unrelated"] == (usual, usual)


def test_probes_of_a_network_that_only_counts_its_steps(model, monkeypatch):
    monkeypatch.setattr("agents.studies.interventions.runs.PROBED", 600)
    monkeypatch.setattr("agents.studies.interventions.runs.HELD_OUT", 200)
    policy = plays(model.policy, PLAN)
    rows = probe(policy, untrained_like(policy, seed=0), STUDIED)
    networks = ("trained", "untrained")
    assert len(rows) == 2 * len(networks) * (7 * 8 + 3)
    scores = {
        (row["data"], row["network"], row["target"], row["step"]): (
            row["accuracy"],
            row["majority"],
        )
        for row in rows
    }
    assert scores["greedy", "trained", "memory_full", "all"] == (1.0, pytest.approx(4 / 7))
    for data in ("greedy", "random tokens"):
        assert scores[data, "trained", "steps_taken", "all"] == (1.0, pytest.approx(1 / 7))
        for step in range(1, 8):  # all of a step's states are alike: the usual class is the guess
            for target in ("memory_full", "accumulator", "steps_taken", "digit_a", "digit_e"):
                accuracy, majority = scores[data, "trained", target, step]
                assert accuracy == majority
            questions = (scores[data, name, "accumulator", step][1] for name in networks)
            assert len(set(questions)) == 1  # both networks are asked the same
    # Embeddings drawn at random tell which digits are shown.
    assert scores["greedy", "untrained", "digit_a", 1][0] > 0.2


def test_episodes_that_end_early_are_probed_as_long_as_they_last(model, monkeypatch):
    monkeypatch.setattr("agents.studies.interventions.runs.PROBED", 300)
    monkeypatch.setattr("agents.studies.interventions.runs.HELD_OUT", 100)
    policy = plays(model.policy, SHORT)
    greedy = [row for row in probe(policy, policy, STUDIED) if row["data"] == "greedy"]
    assert list(dict.fromkeys(row["step"] for row in greedy)) == [1, 2, 3, 4, "all"]


def test_ceiling_of_the_digits():
    """The share of the most frequent digit: 1/3, 2/3 and 3/3 of three, 1/5 to 5/5 of five."""
    assert digit_ceiling(0) == pytest.approx((1 * 0.72 + 2 * 0.27 + 3 * 0.01) / 3)
    pairs, triples = 0.504 + 0.108, 0.072 + 0.009
    expected = (1 * 0.3024 + 2 * pairs + 3 * triples + 4 * 0.0045 + 5 * 0.0001) / 5
    assert digit_ceiling(2) == pytest.approx(expected)


def run_script(monkeypatch, *arguments):
    script = ROOT / "scripts" / "interventions.py"
    monkeypatch.syspath_prepend(script.parent)
    monkeypatch.setattr(sys, "argv", [str(script), *map(str, arguments)])
    runpy.run_path(str(script), run_name="__main__")


def test_script(model, problems, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("agents.studies.interventions.runs.PROBED", 300)
    monkeypatch.setattr("agents.studies.interventions.runs.HELD_OUT", 100)
    plays(model.policy, PLAN)
    files = [tmp_path / name for name in ("first", "second")]
    for file in files:
        with file.open("wb") as stream:
            model.save(stream)
    out = tmp_path / "results"
    learner = ("--algo", "maskable_recurrent_ppo")
    run_script(monkeypatch, *files, *learner, "--out", out, "--trust")
    kinds = ("interventions", "plans", "probes")
    files = {f"{kind}.{ending}" for kind in kinds for ending in ("csv", "png")}
    assert {file.name for file in out.iterdir()} == files | {"interventions.md"}
    table = (out / "interventions.md").read_text().splitlines()
    assert table[2] == "| untouched | 100.0 % | 100.0 % |"
    assert len(table) == 2 + 1 + len(interventions(STUDIED))
    rows = read_rows(out / "interventions.csv")
    assert len(rows) == 2 * (1 + len(interventions(STUDIED)))
    assert {row["model"] for row in rows} == {"first", "second"}
    assert [row["success_rate"] for row in rows if row["intervention"] == "untouched"] == [1, 1]
    assert "MUL ADD STO MUL RCL SUB ANS" in capsys.readouterr().out


def test_models_that_cannot_be_studied(monkeypatch, tmp_path):
    ppo = PPO("MlpPolicy", "ToolArith-v0", n_steps=8, batch_size=8, device="cpu")
    ppo.save(tmp_path / "ppo.zip")
    with pytest.raises(ValueError, match=r"has a ActorCriticPolicy, .* ToolArithGruPolicy"):
        load_policy(tmp_path / "ppo.zip", "ppo")
    new_model("recurrent_ppo").save(tmp_path / "model.zip")
    begin(tmp_path, algo="recurrent_ppo")
    with pytest.raises(ValueError, match="trained on ToolArith-v0, the interventions are on"):
        load_policy(tmp_path)
    for arguments in ((), (tmp_path, tmp_path), (tmp_path,), (tmp_path / "nothing",)):
        with pytest.raises(SystemExit, match=r"^error: "):
            run_script(monkeypatch, *arguments)
