"""What agents in ``ToolArithExpression-v0`` go by: greedy episodes with something tampered with.

An intervention shows the network another problem than the one that it is graded on, takes tokens
from it (here), or changes its state (:mod:`agents.studies.expression.states`).
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from agents.common.files import Row
from agents.recurrent.gru_policy import GruActorCriticPolicy
from agents.studies.expression.playing import (
    UNTOUCHED,
    Flags,
    Intervention,
    filled,
    givers,
    graded,
    operators_text,
    plan,
    plans_of,
    play,
    same,
    sample,
    solves,
    templates_of,
)
from agents.studies.expression.states import change_states
from agents.toolarith.evaluation import Integers
from agents.toolarith.saved_models import load_model
from toolenv_gym import oracle
from toolenv_gym.oracle import Task
from toolenv_gym.tokens import ANS, RCL, STO, TOOLS_WITHOUT_REGISTER
from toolenv_gym.worlds import expression

TAMPERED_STAGES = (0, 1, 2, 3)  # those with templates that are trained on

OPERATORS = "operators of another problem shown"
DIGITS = "digits of another problem shown"
MASKED = "masked STO and RCL"
SHOWING = {  # a problem's number is that of its template and then its digits
    OPERATORS: Intervention(
        show=lambda own, others, choices: others // choices * choices + own % choices
    ),
    DIGITS: Intervention(
        show=lambda own, others, choices: own // choices * choices + others % choices
    ),
}
WITHOUT_REGISTER = Intervention(excluded=(STO, RCL))


def load_policy(path: Path) -> tuple[GruActorCriticPolicy, str]:
    """Load the policy of a run.

    :param path: the folder of the run, or a file in it
    :return: the policy, and how much of the problems it was shown
    :raises FileNotFoundError: there is no such file
    :raises ValueError: it holds no policy that can be studied here
    """
    saved = load_model(path, "cpu")
    if saved.run is None or saved.run.settings.env != expression.NAME:
        raise ValueError(f"{path} is no run on {expression.NAME}, which these interventions are on")
    policy = saved.model.policy
    if not isinstance(policy, GruActorCriticPolicy):
        raise ValueError(
            f"{path} has a {type(policy).__name__}, the interventions are on networks with GRUs: "
            "take a run of maskable_recurrent_ppo, recurrent_a2c or recurrent_ppo"
        )
    return policy, saved.run.settings.shown


def load_policies(paths: Sequence[Path]) -> tuple[dict[str, GruActorCriticPolicy], str]:
    """Load the policies of runs, by the names of their folders, that are shown equally much.

    :param paths: see :func:`load_policy`, as for the errors
    :return: the policies, and how much of the problems they were shown
    :raises ValueError: they were shown more or less
    """
    loaded = {path.resolve().name: load_policy(path) for path in paths}
    shown = {reveal for _, reveal in loaded.values()}
    if len(shown) > 1:
        raise ValueError(
            "the tables are on models that were shown equally much, got "
            + ", ".join(f"{name} ({reveal})" for name, (_, reveal) in loaded.items())
        )
    return {name: policy for name, (policy, _) in loaded.items()}, shown.pop()


def study(policy: GruActorCriticPolicy, reveal: str) -> dict[str, list[Row]]:
    """Return the rows of :func:`intervene`, :func:`change_states` and :func:`templates`.

    :param reveal: how much of the problems the policy is shown
    """
    tasks = [Task(expression, stage, reveal=reveal) for stage in range(expression.N_STAGES)]
    tampered = [task for task in tasks if task.stage in TAMPERED_STAGES]
    return {
        "interventions": [row for task in tampered for row in intervene(policy, task)],
        "states": [row for task in tampered for row in change_states(policy, task)],
        "templates": [row for task in tasks for row in templates(policy, task)],
    }


def intervene(policy: GruActorCriticPolicy, task: Task) -> Iterator[Row]:
    """Try all interventions but those on the state, the untouched agent first.

    :return: a row for each intervention and template, with counts of episodes: of those that
        succeeded; of those in which the tokens admitted allow it, to any agent (``possible``) and
        to the best one that reads the operators only (``possible_by_operators``); of those with the
        tokens of the untouched agent (``same``); of those with exactly the plan of the problem
        shown (``plan_shown``), and of those that would succeed if that were always played
        (``by_plan_shown``)
    """
    rounds = sample(task)
    numbers = rounds.ravel()
    all_of_them = np.ones(len(numbers), np.bool_)
    without_register = oracle.best_returns(task, TOOLS_WITHOUT_REGISTER, numbers) == 1
    by_operators = best_by_operators(task, numbers)
    untouched = play(policy, task, rounds)
    others = numbers[givers(rounds)]
    cases = {"untouched": UNTOUCHED} | SHOWING | {MASKED: WITHOUT_REGISTER}
    for name, intervention in cases.items():
        touched = intervention is not UNTOUCHED
        episodes = play(policy, task, rounds, intervention) if touched else untouched
        shown = intervention.show(numbers, others, task.problems_per_template)
        expected = plans_of(task, shown)
        masked = name == MASKED
        counted = {
            "success": episodes.success,
            "possible": without_register if masked else all_of_them,
            "possible_by_operators": by_operators if masked else all_of_them,
            "same": same(episodes.tokens, untouched.tokens),
            "plan_shown": same(episodes.tokens, expected),
            "by_plan_shown": graded(task, numbers, expected).success,
        }
        yield from _by_template(task, numbers, {"intervention": name}, counted)


def best_by_operators(task: Task, numbers: Integers) -> Flags:
    """Return on which problems the best sequences without STO and RCL succeed, one a template.

    They are the best on these very problems. Every token takes a digit at least: longer ones than
    there are digits need not be tried.
    """
    of_template = templates_of(task, numbers)
    n_templates = task.rules.n_templates(task.stage)
    best, counts = np.zeros(len(numbers), np.bool_), np.zeros(n_templates)
    for length in range(1, expression.n_digits(task.stage) + 1):
        for tools in itertools.product(TOOLS_WITHOUT_REGISTER, repeat=length):
            success = graded(task, numbers, filled([(*tools, ANS)] * len(numbers))).success
            successes = np.bincount(of_template, success, n_templates)
            better = (successes > counts)[of_template]
            best[better] = success[better]
            counts = np.maximum(counts, successes)
    return best


def _by_template(
    task: Task, numbers: Integers, case: Row, counted: dict[str, Flags]
) -> Iterator[Row]:
    """Yield for each template whether it needs the register, and how often what holds."""
    played = templates_of(task, numbers)
    n_templates = task.rules.n_templates(task.stage)
    counts = {
        name: np.bincount(played, flags, n_templates).astype(int).tolist()
        for name, flags in ({"episodes": np.ones(len(numbers), np.bool_)} | counted).items()
    }
    for template in range(n_templates):
        yield {
            **case,
            "stage": task.stage,
            "operators": operators_text(task.stage, template),
            "needs_register": int(STO in plan(task.stage, template)),
            **{name: values[template] for name, values in counts.items()},
        }


def templates(policy: GruActorCriticPolicy, task: Task) -> Iterator[Row]:
    """Count what the untouched agent plays on the problems of each template.

    :return: a row for each template, with counts of episodes: of those that succeeded; by what was
        played: the ``plan`` (in ``as_planned``), another sequence that solves all problems of the
        template and is ``as_long`` or ``longer``, or one that does not and succeeded with these
        digits (``by_digits``) or ``failed``; of those in which something was stored, and in which
        it was in exactly the steps where the plan does
    """
    rounds = sample(task)
    episodes = play(policy, task, rounds)
    tokens, plans = episodes.tokens, plans_of(task, episodes.problems)
    as_planned = same(tokens, plans)
    played = templates_of(task, episodes.problems).tolist()
    right = np.array(
        [
            solves(task.stage, template, tuple(row))
            for template, row in zip(played, tokens.tolist(), strict=True)
        ]
    )
    longer = (tokens >= 0).sum(axis=1) > (plans >= 0).sum(axis=1)
    counted = {
        "success": episodes.success,
        "as_planned": as_planned,
        "as_long": right & ~longer & ~as_planned,
        "longer": right & longer,
        "by_digits": ~right & episodes.success,
        "failed": ~right & ~episodes.success,
        "stores": (tokens == STO).any(axis=1),
        "stores_as_planned": same(tokens == STO, plans == STO),
    }
    return _by_template(task, episodes.problems, {}, counted)
