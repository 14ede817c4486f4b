"""Interventions in the world of expressions on policies whose tokens are known by construction."""

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from conftest import ROOT
from reference import expression, expression_plan, templates_of
from running import begin, run_script
from stable_baselines3 import PPO

from agents.common.files import read_rows
from agents.studies.expression.playing import (
    UNTOUCHED,
    givers,
    operators_text,
    plan,
    play,
    played,
    sample,
    solves,
)
from agents.studies.expression.runs import (
    DIGITS,
    MASKED,
    OPERATORS,
    SHOWING,
    WITHOUT_REGISTER,
    intervene,
    load_policy,
    templates,
)
from agents.studies.expression.states import RESET, SWAPPED, change_states, plan_from
from agents.studies.expression.tables import kinds_played, page_markdown
from agents.toolarith.evaluation import greedy_episodes
from agents.toolarith.explanation import emitted_tokens
from agents.toolarith.model_files import new_model
from toolenv_gym import worlds
from toolenv_gym.oracle import Task
from toolenv_gym.tokens import ADD, ANS, CTX, MUL, RCL, STO, SUB

EACH = 3  # problems of each template


@pytest.fixture(autouse=True)
def few_problems(monkeypatch):
    monkeypatch.setattr("agents.studies.expression.playing.PER_TEMPLATE", EACH)
    monkeypatch.setattr("agents.studies.expression.playing.BATCH", 100)  # stage 3: a round each


def ahead(stage):
    return Task(worlds.expression, stage, reveal="ahead")


class Scripted:
    """A policy with one number as its state; where its token is not admitted it answers.

    :param choose: given what is shown, the previous token and the state, returns a token and the
        next state
    """

    def __init__(self, choose):
        self._choose = choose

    def initial_state(self, observations):
        return th.zeros(1, len(observations), 1)

    def get_distribution(self, observations, states, episode_starts):
        assert not episode_starts.any()
        logits, hidden = th.zeros(len(observations), 18), th.zeros_like(states[0])
        for i, (*shown, previous, _) in enumerate(observations.tolist()):
            token, hidden[0, i, 0] = self._choose(shown, previous, int(states[0][0, i, 0]))
            logits[i, ANS] += 1
            logits[i, token] += 2
        return SimpleNamespace(distribution=SimpleNamespace(logits=logits)), (hidden, hidden)


def read_tape(shown, previous, stored):
    """Play the plan off what lies ahead, keeping whether something is stored."""
    stored = previous == STO or (stored and previous != RCL)
    if shown[0] == CTX:
        return (RCL if stored else ANS), stored
    sign, product = (ADD, shown[1]) if shown[0] < CTX else (shown[0], shown[2])
    if sign == MUL or (product == MUL and shown[0] < CTX):
        return MUL, stored
    if product != MUL:
        return sign, stored
    if previous != STO:
        return STO, stored
    return (MUL if sign == ADD else SUB), stored


def recite(tokens):
    """Return what plays the same tokens on every problem, counting its steps."""
    return lambda shown, previous, step: (tokens[min(step, len(tokens) - 1)], step + 1)


READER = Scripted(read_tape)


def operators_of(stage, number):
    return templates_of(stage)[number // 10 ** (stage + 2)]


def digits_of(stage, number):
    return [int(digit) for digit in f"{number % 10 ** (stage + 2):0{stage + 2}}"]


def expect(stage, episodes, tokens):
    """Compare episodes with the tokens that they should have, graded by the reference."""
    assert [list(emitted_tokens(row)) for row in episodes.tokens] == [list(row) for row in tokens]
    returns = [
        expression(digits_of(stage, number), operators_of(stage, number), row)[0]
        for number, row in zip(episodes.problems.tolist(), tokens, strict=True)
    ]
    np.testing.assert_array_equal(episodes.returns, returns)
    return sum(returns)


@pytest.mark.parametrize("stage", range(4))
def test_each_is_given_something_of_another_template(stage):
    rounds = sample(ahead(stage))
    assert rounds.shape == (EACH, 3 ** (stage + 1))
    played = rounds // 10 ** (stage + 2)
    for of_round in played:
        assert sorted(of_round) == list(range(3 ** (stage + 1)))
    assert (played.ravel() != played.ravel()[givers(rounds)]).all()
    assert len(np.unique(rounds)) == rounds.size


@pytest.mark.parametrize("stage", range(4))
def test_a_reader_of_the_tape(stage):
    """It plays the plan of what it is shown, and answers where it may not store."""
    task = ahead(stage)
    rounds = sample(task)
    numbers = rounds.ravel().tolist()
    others = np.roll(rounds, 1, axis=1).ravel().tolist()
    own, given = (
        [expression_plan(operators_of(stage, number)) for number in some]
        for some in (numbers, others)
    )
    cut = [[*tokens[: tokens.index(STO)], ANS] if STO in tokens else tokens for tokens in own]
    counts = {
        "untouched": expect(stage, play(READER, task, rounds, UNTOUCHED), own),
        OPERATORS: expect(stage, play(READER, task, rounds, SHOWING[OPERATORS]), given),
        DIGITS: expect(stage, play(READER, task, rounds, SHOWING[DIGITS]), own),
        MASKED: expect(stage, play(READER, task, rounds, WITHOUT_REGISTER), cut),
    }
    assert counts["untouched"] == counts[DIGITS] == len(numbers)
    assert counts[OPERATORS] < 0.2 * len(numbers)

    rows = list(intervene(READER, task))
    for name, successes in counts.items():
        chosen = [row for row in rows if row["intervention"] == name]
        assert [row["operators"] for row in chosen] == templates_of(stage)
        assert sum(row["success"] for row in chosen) == successes
        assert all(row["episodes"] == EACH for row in chosen)
        if name != MASKED:
            assert all(row["plan_shown"] == EACH == row["possible"] for row in chosen)
            assert all(row["by_plan_shown"] == row["success"] for row in chosen)
        if name in ("untouched", DIGITS):
            assert all(row["same"] == EACH for row in chosen)
    masked = [row for row in rows if row["intervention"] == MASKED]
    assert all(row["same"] == EACH * (not row["needs_register"]) for row in masked)
    for row in masked:
        assert row["success"] <= row["possible_by_operators"] <= row["possible"]
    assert all(row["possible_by_operators"] == EACH for row in masked if not row["needs_register"])


def test_what_is_possible_without_the_register():
    """At stage 1 without STO and RCL: by any sequence of up to three tools, as many as digits."""
    tools = (MUL, ADD, SUB)
    sequences = [(x, y, ANS) for x in tools for y in tools]
    sequences += [(x, y, z, ANS) for x in tools for y in tools for z in tools]
    returns = {operators: [] for operators in templates_of(1)}  # of each problem, by sequence
    for number in sample(ahead(1)).ravel().tolist():
        operators, digits = operators_of(1, number), digits_of(1, number)
        returns[operators].append([expression(digits, operators, each)[0] for each in sequences])
    for row in intervene(READER, ahead(1)):
        if row["intervention"] == MASKED:
            of_template = np.array(returns[row["operators"]])
            assert row["possible"] == of_template.max(axis=1).sum()
            assert row["possible_by_operators"] == of_template.sum(axis=0).max()


def test_a_plan_goes_on_as_the_state_says():
    """By hand, at stages 1 to 3: what is played after a step by one who goes by a machine."""
    number = {operators: i for i, operators in enumerate(templates_of(1))}
    product, total = tuple(expression_plan("+*")), (ADD, ADD, ADD, ANS)
    assert product == (ADD, STO, MUL, RCL, ANS)
    assert plan_from(1, ADD, number["+*"], 0, 0, 0) == product
    assert plan_from(1, STO, number["+*"], 1, 0, 1) == product[1:]
    assert plan_from(1, MUL, number["+*"], 0, 0, 1) == (MUL, ANS)  # forgot that it stored
    assert plan_from(1, MUL, number["+*"], 0, 1, 1) == product[2:]
    assert plan_from(1, RCL, number["+*"], 1, 0, 3) == (RCL, ANS)  # what it recalled is plain
    assert plan_from(1, ADD, number["++"], 1, 1, 1) == (ADD, ADD, RCL, ANS)
    assert plan_from(1, ADD, number["++"], 0, 0, 0) == total
    assert plan_from(1, ADD, number["++"], 1, 0, 2) == (ADD, ANS)  # takes its place for a later one
    assert plan_from(1, STO, number["++"], 0, 0, 0) == (STO, *total)  # nothing to store
    assert plan_from(1, STO, -1, 0, 0, 0) == (STO,)
    twice = templates_of(3).index("-*-*")
    tokens = tuple(expression_plan("-*-*"))
    assert plan_from(3, tokens[4], twice, 1, 0, 3) == tokens[4:]


@pytest.mark.parametrize("stage", range(4))
def test_states_of_a_reader_of_the_tape(stage):
    """It loses what it stored, or recalls nothing in vain, and plays the rest of the plan."""
    task = ahead(stage)
    rows = list(change_states(READER, task))
    assert all(row["expected"] == row["episodes"] for row in rows)
    assert all(row["by_expected"] == row["success"] for row in rows)
    alike = [row for row in rows if row["stored"] == row["given"]]
    assert all(row["success"] == row["same"] == row["episodes"] for row in alike)
    told = [row for row in rows if not row["stored"] and row["given"]]
    assert all(row["success"] == row["episodes"] for row in told)
    lost = [row for row in rows if row["stored"] and not row["given"]]
    if stage:
        assert sum(row["success"] for row in lost) < sum(row["episodes"] for row in lost)
    if stage > 1:  # at stage 1 none that stores nothing is as long
        assert sum(row["same"] for row in told) < sum(row["episodes"] for row in told)
    longest = max(len(expression_plan(operators)) for operators in templates_of(stage))
    assert {row["after_step"] for row in rows} == set(range(1, longest))
    for after in range(1, longest):
        resets = [r for r in rows if (r["intervention"], r["after_step"]) == (RESET, after)]
        lengths = [len(expression_plan(operators)) for operators in templates_of(stage)]
        assert sum(row["episodes"] for row in resets) == EACH * sum(n > after for n in lengths)


def advance(n_digits, head, acc_full, memory_full, token):
    """Return where the head is and which registers are full, from the description alone."""
    if token == STO and acc_full:
        return head, 0, 1
    if token == RCL and memory_full:
        return head, 1, 0
    taken = {ADD: 1, SUB: 1, MUL: 2 - acc_full}.get(token)
    if taken is None or head + taken > n_digits:
        return head, acc_full, memory_full
    return head + taken, 1, memory_full


def keep_place(shown, previous, code):
    """Play the plan off the whole context, keeping the place and which registers are full."""
    n_digits = (shown.index(CTX) + 1) // 2
    kept = code // 4, code // 2 % 2, code % 2
    if previous != CTX:
        kept = advance(n_digits, *kept, previous)
    head, acc_full, memory_full = kept
    emptied = STO if head and not acc_full else CTX
    token, _ = read_tape(shown[max(2 * head - 1, 0) :], emptied, memory_full)
    return token, 4 * head + 2 * acc_full + memory_full


def keep_all(shown, previous, code):
    """Keep the problem as well: its operators, of which there are four at most, by their number."""
    if previous == CTX:
        operators = [token - MUL + 1 for token in shown[1 : shown.index(CTX) : 2]]
        code = 32 * sum(4**place * kind for place, kind in enumerate(operators))
    if not code:
        return ANS, 0
    kinds = [code // 32 // 4**place % 4 for place in range(4)]
    context = [0, *(token for kind in kinds if kind for token in (MUL + kind - 1, 0)), CTX]
    token, place = keep_place(context, previous, code % 32)
    return token, code - code % 32 + place


@pytest.mark.parametrize(("reveal", "choose"), [("always", keep_place), ("once", keep_all)])
@pytest.mark.parametrize("stage", range(4))
def test_states_of_one_that_keeps_what_it_has_to(stage, reveal, choose):
    """It goes on as what it is given says, be it of its own problem or of its giver's."""
    policy, task = Scripted(choose), Task(worlds.expression, stage, reveal=reveal)
    plans = [expression_plan(operators_of(stage, n)) for n in sample(task).ravel().tolist()]
    expect(stage, play(policy, task, sample(task)), plans)
    rows = list(change_states(policy, task))
    assert {row["part"] for row in rows} == {"whole"}
    known = [row for row in rows if reveal == "always" or row["intervention"] == SWAPPED]
    assert all(row["expected"] == row["episodes"] for row in known)
    assert all(row["by_expected"] == row["success"] for row in known)
    assert all(row["success"] == row["same"] == row["episodes"] for row in rows if row["alike"])
    assert any(row["alike"] for row in rows) == (reveal == "always")
    if stage:  # without memory of its own a+b is played from anywhere
        others = [row for row in rows if not row["alike"]]
        assert sum(row["success"] for row in others) < sum(row["episodes"] for row in others)


def test_parts_of_a_read_head(monkeypatch):
    """A network with large random weights, its state changed by hand between calls of predict."""
    model = new_model("recurrent_ppo", worlds.expression.NAME, device="cpu", network="read_head")
    with th.no_grad():
        for weight in (model.policy.lstm_actor.reader.weight_hh_l0, model.policy.action_net.weight):
            weight.mul_(30)
    task = Task(worlds.expression, 2, reveal="always")
    rounds = sample(task)
    numbers, giving, n = rounds.ravel(), givers(rounds), rounds.size
    monkeypatch.setattr(
        "agents.studies.expression.states.plans_of",
        lambda task, numbers: play(model.policy, task, rounds).tokens,  # as if these were the plans
    )
    rows = list(change_states(model.policy, task))
    untouched = play(model.policy, task, rounds).tokens
    for layer, part in enumerate(("mover", "reader", "place")):
        envs = gym.make_vec(worlds.expression.NAME, n, stage=2, reveal="always")
        observations, _ = envs.reset(options={"stage": 2, "problem": numbers})
        state, tokens = None, np.full(untouched.shape, -1)
        over = np.zeros(n, np.bool_)
        for step in range(untouched.shape[1]):
            emitted, state = model.predict(
                observations, state, np.full(n, step == 0), deterministic=True
            )
            if step == 1:
                state[0][layer] = state[0][layer, giving]
            tokens[~over, step] = emitted[~over]
            observations, _, ended, _, _ = envs.step(emitted)
            over |= ended
        counts = (untouched[:, 2] >= 0) & (untouched[giving, 2] >= 0)
        alike = (tokens == untouched).all(axis=1)
        chosen = [
            row
            for row in rows
            if (row["part"], row["intervention"], row["after_step"]) == (part, SWAPPED, 2)
        ]
        assert sum(row["episodes"] for row in chosen) == counts.sum() > 0
        assert sum(row["same"] for row in chosen) == (counts & alike).sum()
        assert (counts & alike).sum() < counts.sum()


def test_interventions_on_what_recites():
    """Only masks and resets matter to it: a reset has it begin anew. It plays one plan of 81."""
    tokens = tuple(expression_plan("*+*+"))
    policy, task = Scripted(recite(tokens)), ahead(3)
    rounds = sample(task)
    for intervention in (UNTOUCHED, *SHOWING.values()):
        expect(3, play(policy, task, rounds, intervention), [tokens] * rounds.size)
    expect(3, play(policy, task, rounds, WITHOUT_REGISTER), [(MUL, ANS)] * rounds.size)
    for after in range(1, 6):
        begun = np.tile(tokens[:after], (rounds.size, 1))
        first = policy.initial_state(begun)
        anew = [emitted for emitted, _ in played(policy, task, rounds.ravel(), begun, first)]
        assert np.transpose(anew).tolist() == [list(tokens)] * rounds.size
    rows = list(change_states(policy, task))
    assert {row["intervention"] for row in rows} == {RESET}  # no two of a round play their plans
    assert not any(row["same"] for row in rows)
    assert [row["episodes"] for row in rows] == [EACH] * 5
    assert [row["stored"] for row in rows] == [0, 0, 1, 1, 1]


def test_what_is_played_on_each_template():
    """One sequence for all solves a*b+c*d+e as fast as can be, and a*b with idle tokens."""
    policy = Scripted(recite((MUL, STO, MUL, RCL, ADD, ANS)))
    of_stage_3 = {row["operators"]: row for row in templates(policy, ahead(3))}
    right = {
        operators for operators, row in of_stage_3.items() if not row["by_digits"] + row["failed"]
    }
    assert right == {"*+*+"}
    as_fast = of_stage_3["*+*+"]
    assert (as_fast["as_long"], as_fast["success"], as_fast["stores_as_planned"]) == (EACH,) * 3
    assert all(row["stores"] == EACH for row in of_stage_3.values())
    of_stage_0 = {row["operators"]: row for row in templates(policy, ahead(0))}
    assert of_stage_0["*"]["longer"] == EACH
    assert of_stage_0["+"]["by_digits"] + of_stage_0["+"]["failed"] == EACH
    assert of_stage_0["+"]["by_digits"] == of_stage_0["+"]["success"]

    for stage in range(5):
        rows = [{"model": "reader"} | row for row in templates(READER, ahead(stage))]
        assert kinds_played(rows) == [[3 ** (stage + 1), 0, 0, 0, 0]]
        for row in rows:
            assert row["as_planned"] == row["success"] == row["stores_as_planned"] == EACH
            assert row["stores"] == EACH * row["needs_register"]
    assert sum(row["needs_register"] for row in rows) == 180


def test_a_plan_that_goes_by_a_digit(monkeypatch):
    """It leaves out a last digit that is 0: right, but by no plan of the template."""

    def skip_zero(shown, previous, stored):
        return read_tape([CTX] if shown[1:3] == [0, CTX] else shown, previous, stored)

    monkeypatch.setattr("agents.studies.expression.playing.PER_TEMPLATE", 100)  # all of stage 0
    rows = {row["operators"]: row for row in templates(Scripted(skip_zero), ahead(0))}
    counts = [rows["-"][name] for name in ("episodes", "success", "as_planned", "by_digits")]
    assert counts == [100, 100, 90, 10]
    assert rows["*"]["as_planned"] == 100


@pytest.mark.parametrize("stage", range(4))
def test_plans_and_operators_of_templates(stage):
    for template, operators in enumerate(templates_of(stage)):
        assert operators_text(stage, template) == operators
        assert list(plan(stage, template)) == expression_plan(operators)
        assert solves(stage, template, plan(stage, template))


def test_what_solves_a_template_is_told_from_what_is_right_by_chance():
    """a + b*c by (a + b) * c is right where a or c - 1 is 0: of eight cases with 0 and 1, most."""
    template = templates_of(1).index("+*")
    assert solves(1, template, (ADD, STO, MUL, RCL, RCL, ANS))
    assert not solves(1, template, (ADD, ADD, MUL, ANS))
    assert not solves(1, template, (ADD, STO, MUL, RCL))  # without an answer
    assert not solves(1, templates_of(1).index("+-"), (ADD, ADD, ADD, ANS))
    assert solves(1, templates_of(1).index("-+"), (ADD, SUB, ADD, ANS))


def test_untouched_episodes_are_the_greedy_ones():
    """A network with large random weights against its predict."""
    model = new_model("recurrent_ppo", worlds.expression.NAME, device="cpu", network="next_tokens")
    with th.no_grad():
        model.policy.lstm_actor.weight_hh_l0.mul_(4)
    task = ahead(2)
    rounds = sample(task)
    played = play(model.policy, task, rounds)
    assert len(np.unique(played.tokens, axis=0)) > 5
    expected = greedy_episodes(model, task, rounds.ravel())
    for given, known in zip(played, expected, strict=True):
        np.testing.assert_array_equal(given, known)


def saved_run(folder, **settings):
    """Return the folder of a run with an untrained model."""
    run = begin(folder, env="ToolArithExpression-v0", **settings)
    new_model(run.settings.algo, run.settings.env, device="cpu", network=run.settings.network).save(
        run.model
    )
    return folder


SCRIPT = ROOT / "scripts" / "expression_interventions.py"


def test_script(monkeypatch, tmp_path):
    folders = [saved_run(tmp_path / name) for name in ("first", "second")]
    monkeypatch.setattr("agents.studies.expression.playing.PER_TEMPLATE", 1)
    monkeypatch.setattr("agents.studies.expression.runs.TAMPERED_STAGES", (0, 1))
    out = tmp_path / "results"
    assert run_script(monkeypatch, SCRIPT, *folders, "--out", out) == 0
    kinds = ("interventions", "states", "templates")
    files = {"interventions.csv", "templates.csv", "tables.md", "interventions.png"}
    assert {file.name for file in out.iterdir()} == files
    results = {kind: read_rows(out / f"{kind}.csv") for kind in kinds}
    assert page_markdown(results) == (out / "tables.md").read_text()
    assert results.pop("states") == []  # they play no plan
    for rows in results.values():
        assert {row["model"] for row in rows} == {"first", "second"}
    assert len(results["interventions"]) == 2 * 4 * (3 + 9)
    assert len(results["templates"]) == 2 * (120 + 243 + 729)


def test_models_that_are_shown_more_or_less(monkeypatch, tmp_path):
    folders = [saved_run(tmp_path / reveal, reveal=reveal) for reveal in ("ahead", "once")]
    message = str(run_script(monkeypatch, SCRIPT, *folders))
    assert "got ahead (ahead), once (once)" in message


def test_models_that_cannot_be_studied(monkeypatch, tmp_path):
    ppo = PPO("MlpPolicy", "ToolArith-v0", n_steps=8, batch_size=8, device="cpu")
    ppo.save(tmp_path / "ppo.zip")
    begin(tmp_path / "other", algo="recurrent_ppo")
    new_model("recurrent_ppo").save(tmp_path / "other" / "model.zip")
    with pytest.raises(ValueError, match="is no run on ToolArithExpression-v0"):
        load_policy(tmp_path / "other")
    folder = begin(tmp_path / "ppo", env="ToolArithExpression-v0", algo="ppo").folder
    new_model("ppo", "ToolArithExpression-v0").save(folder / "model.zip")
    with pytest.raises(ValueError, match=r"has a ActorCriticPolicy, .* networks with GRUs"):
        load_policy(folder)
    for arguments in ((), (folder, folder), (folder,), (tmp_path / "nothing",)):
        assert str(run_script(monkeypatch, SCRIPT, *arguments)).startswith("error: ")
