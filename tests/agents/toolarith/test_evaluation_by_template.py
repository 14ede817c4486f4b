"""Evaluation where problems have templates, splits and reveals."""

import itertools

import gymnasium as gym
import numpy as np
import pytest

from agents.toolarith.algorithms import make_model, make_training_env
from agents.toolarith.evaluation import evaluate, greedy_episodes
from agents.toolarith.explanation import explain_episodes, sample_problems
from agents.toolarith.settings import TrainSettings
from toolenv_gym import worlds
from toolenv_gym.observation import observation_space
from toolenv_gym.oracle import Task
from toolenv_gym.tokens import ADD, ANS, CTX, EOS, MUL, RCL, STO, SUB, TOOL_TOKENS
from toolenv_gym.worlds import expression


class Reader:
    """Plays the one-pass plan from what lies ahead, and remembers only whether it has stored."""

    observation_space = observation_space(expression)

    def __init__(self, stores=True):
        self.stores = stores

    def predict(self, observations, stored, starts, deterministic=True):
        stored = np.zeros(len(observations), bool) if stored is None else stored
        tokens = [self.token(*row) for row in zip(observations.tolist(), stored, strict=True)]
        return np.array(tokens), stored | (np.array(tokens) == STO)

    def token(self, observation, stored):
        first, second, third, *_, previous, _ = observation
        if first < 10:  # no digit was taken yet
            return MUL if second == MUL else ADD
        if first == CTX:
            return RCL if stored and previous != RCL else ANS
        if first == MUL or third != MUL or not self.stores:
            return first
        if previous != STO:
            return STO
        return MUL if first == ADD else SUB


class Mixer:
    """Chooses tokens by all that it is shown, without sense."""

    observation_space = observation_space(expression)
    weights = np.random.default_rng(0).integers(100, size=16)
    choices = (*TOOL_TOKENS, ANS)

    def predict(self, observations, state, starts, deterministic=True):
        return np.array(self.choices)[observations @ self.weights % len(self.choices)], None


def play_in_the_env(model, task):
    """Return the successes of episodes played one by one, by template."""
    env = gym.make(task.rules.NAME, stage=task.stage, reveal=task.reveal).unwrapped
    successes = {}
    for number in task.numbers.tolist():
        observation, info = env.reset(options={"problem": number})
        state, ended = None, False
        while not ended:
            (token,), state = model.predict(observation[np.newaxis], state, None)
            observation, _, ended, _, info = env.step(token)
        successes.setdefault(info["template"], []).append(info["is_success"])
    return successes


@pytest.mark.parametrize("reveal", expression.REVEALS)
@pytest.mark.parametrize("model", [Reader(), Mixer()])
def test_all_problems_are_those_of_the_env(model, reveal):
    task = Task(expression, 0, reveal=reveal)
    score, successes = evaluate(model, task), play_in_the_env(model, task)
    assert score.problems == 300
    assert not score.is_sample
    assert score.success_by_template == {
        template: pytest.approx(np.mean(found)) for template, found in successes.items()
    }
    every = [success for found in successes.values() for success in found]
    assert score.success_rate == score.mean_return == pytest.approx(np.mean(every))
    if isinstance(model, Reader):
        assert score.success_rate == (reveal == "ahead")


@pytest.mark.parametrize("stage", range(6))
def test_a_reader_of_what_lies_ahead_solves_every_stage(stage):
    seen = []
    task = Task(expression, stage, reveal="ahead")
    score = evaluate(Reader(), task, problems=100, on_batch=seen.append)
    n_templates = 3 ** (stage + 1)
    assert score.success_rate == score.optimum == score.normalized_return == 1.0
    assert score.success_by_template == dict.fromkeys(range(n_templates), 1.0)
    assert score.is_sample
    assert sum(seen) == score.problems == n_templates * -(-100 // n_templates)
    if stage > 0:  # who is shown all, and reads only its beginning, begins again and again
        assert evaluate(Reader(), Task(expression, stage), problems=100).success_rate < 0.5


@pytest.mark.parametrize(
    ("algo", "history", "reveal"),
    [("ppo", 5, "ahead"), ("recurrent_ppo_lstm", 1, "once"), ("maskable_ppo", 12, "always")],
)
def test_learners_are_shown_the_same_in_training_and_evaluation(algo, history, reveal):
    """An untrained learner plays in its own training environment as it does here."""
    shown = {"history": history, "reveal": reveal, "split": "train"}
    env = make_training_env(algo, expression.NAME, (1,), n_envs=1, seed=0, **shown)
    model = make_model(algo, env, seed=0, device="cpu")
    task = Task(expression, 1, reveal=reveal, split="train")
    problems = sample_problems(task, 8, seed=0)
    episodes = greedy_episodes(model, task, problems)
    for problem, tokens in zip(problems, episodes.tokens, strict=True):
        env.set_options({"problem": problem})
        observation, state, start, played, done = env.reset(), None, np.array([True]), [], [False]
        while not done[0]:
            action, state = model.predict(observation, state, start, deterministic=True)
            observation, _, done, _ = env.step(action)
            played, start = [*played, action[0]], np.array([False])
        assert tokens[tokens >= 0].tolist() == played


def test_the_split_is_played_and_who_never_stores_fails_where_it_is_needed():
    task = Task(expression, 2, reveal="ahead", split="test")
    score = evaluate(Reader(stores=False), task, problems=700)
    assert list(score.success_by_template) == [1, 5, 9, 13, 17, 21, 25]
    for template, success in score.success_by_template.items():
        operators = [template // 9, template // 3 % 3, template % 3]
        # A product after another term, with * as 0.
        needs = any(left != 0 == right for left, right in itertools.pairwise(operators))
        assert (success < 0.5) == needs
        assert success == 1.0 or needs


def test_problems_may_lie_outside_the_split():
    task = Task(expression, 2, reveal="ahead", split="train")
    held_out = np.array([12_345, 54_321, 99_999])  # of templates 1, 5 and 9
    assert greedy_episodes(Reader(), task, held_out).success.all()


def test_what_an_agent_is_evaluated_on():
    def tasks_of(world, stages, reveal):
        settings = TrainSettings(env=f"ToolArith{world}-v0", stage=stages, reveal=reveal)
        return settings.evaluation_tasks

    tasks = tasks_of("Expression", (1, 0, 3, 2), "ahead")
    assert [(task.stage, task.split) for task in tasks] == [
        *((stage, "train") for stage in (0, 1, 2, 3)),
        *((stage, "test") for stage in (2, 3, 4, 5)),
    ]
    assert {task.reveal for task in tasks} == {"ahead"}
    assert tasks_of("Memory", (2, 0, 2), "once") == [
        Task(worlds.memory, stage, reveal="once") for stage in (0, 2)
    ]


def test_rows_name_the_split():
    measures = ("mean_return", "optimum", "success_rate", "reached_target_rate")
    ones = [(name, 1) for name in measures]
    score = evaluate(Reader(), Task(expression, 1, reveal="ahead"), problems=9)
    assert list(score.row.items()) == [("stage", 1), ("split", "all"), ("problems", 9), *ones]


def test_explained_episodes():
    task = Task(expression, 1, reveal="ahead")
    problem = expression.Problem(1, (3, 4, 5, 0, 0, 0, 0), (SUB, MUL, *[EOS] * 4))
    problems = np.array([expression.number_of(problem)])
    (row,) = explain_episodes(task, greedy_episodes(Reader(), task, problems))
    assert row == {
        "stage": "1",
        "problem": "3 - 4*5",
        "target": "-17",
        "graded": "-17",
        "tokens": "ADD STO SUB MUL RCL ANS",
        "answer": "-17",
        "reward": "1.000",
        "optimal plan": "ADD STO SUB MUL RCL ANS (1.000)",
    }


def test_plans_are_explained_where_a_search_would_take_long():
    task = Task(expression, 5, reveal="ahead", split="test")
    numbers = sample_problems(task, 5, seed=0)
    rows = explain_episodes(task, greedy_episodes(Reader(), task, numbers))
    assert all(row["optimal plan"] == f"{row['tokens']} (1.000)" for row in rows)


def test_problems_to_be_explained_are_of_the_split():
    numbers = sample_problems(Task(expression, 3, split="test"), 50, seed=0)
    assert {number // 100_000 % 4 for number in numbers.tolist()} == {1}
