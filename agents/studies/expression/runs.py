"""What agents in ``ToolArithExpression-v0`` go by: greedy episodes with something tampered with.

Of every template the same number of problems is played, a fixed sample. An intervention shows the
network another problem than the one that it is graded on, takes tokens from it, or changes its
hidden state between two steps. The world itself is never tampered with: it plays and grades the
true problem. Which tokens have an effect does not depend on digits or operators, so that the head
stands where it would stand on the problem that is shown.

What is given of another problem comes from one of the same stage and of another template.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch as th

from agents.common.files import Row
from agents.recurrent.gru_policy import GruActorCriticPolicy
from agents.toolarith.evaluation import Episodes, Integers, joined, played_envs
from agents.toolarith.saved_models import load_model
from agents.toolarith.stepping import read
from toolenv_gym import oracle
from toolenv_gym.guidance import plan_length
from toolenv_gym.oracle import Task
from toolenv_gym.problems import played_count, problem_batches
from toolenv_gym.sequences import machines_along, play_sequences
from toolenv_gym.starts import problems_per_template
from toolenv_gym.tokens import ANS, RCL, STO, TOOLS_WITHOUT_REGISTER
from toolenv_gym.worlds import expression

TAMPERED_STAGES = (0, 1, 2, 3)  # those with templates that are trained on
PER_TEMPLATE = 100  # problems that are played, of each template
BATCH = 20_000  # episodes played side by side, about: bounds the memory
SEED = 0  # of who is given what of whom

OPERATORS = "operators of another problem shown"
DIGITS = "digits of another problem shown"
MASKED = "masked STO and RCL"
RESET = "state reset"
SWAPPED = "state swapped"

Flags = npt.NDArray[np.bool_]
Change: TypeAlias = Callable[[int, th.Tensor, th.Tensor, Integers], th.Tensor]


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


# ------------------------------------------------------------------------------- episodes


def _own(numbers: Integers, others: Integers, choices: int) -> Integers:
    return numbers


def _kept(step: int, hidden: th.Tensor, start: th.Tensor, givers: Integers) -> th.Tensor:
    return hidden


@dataclass(frozen=True)
class Intervention:
    """One way to tamper with an agent; by default none.

    :param excluded: tokens that are never admitted
    :param show: given the numbers of the true problems and of others, int64, shape (n,), and how
        many choices of digits there are, returns the numbers of those that are shown
    :param change: given the number of a step, 1 for the first, the states after it and those in
        which the episodes started, float32, shape (layers, n, d), and for each episode which one
        gives it something, int64, shape (n,), returns the states that the next step begins with
    """

    excluded: tuple[int, ...] = ()
    show: Callable[[Integers, Integers, int], Integers] = _own
    change: Change = _kept


UNTOUCHED = Intervention()
SHOWING = {  # a problem's number is that of its template and then its digits
    OPERATORS: Intervention(
        show=lambda own, others, choices: others // choices * choices + own % choices
    ),
    DIGITS: Intervention(
        show=lambda own, others, choices: own // choices * choices + others % choices
    ),
}
WITHOUT_REGISTER = Intervention(excluded=(STO, RCL))


def reset_after(after: int) -> Intervention:
    """Return the intervention that sets the states back to the first ones after a step."""
    return Intervention(
        change=lambda step, hidden, start, givers: start if step == after else hidden
    )


def swap_after(after: int) -> Intervention:
    """Return the intervention that gives each episode the state of another one after a step."""
    return Intervention(
        change=lambda step, hidden, start, givers: hidden[:, givers] if step == after else hidden
    )


def sample(task: Task) -> Integers:
    """Return the numbers of the problems that are played: each template once in every round.

    In its round an episode is given what it is given by the one before it, the first by the last.

    :return: int64, shape (rounds, templates)
    """
    n_templates = task.rules.n_templates(task.stage)
    count = played_count(task, n_templates * PER_TEMPLATE)
    (numbers,) = problem_batches(task, count, count)
    return np.random.default_rng(SEED).permuted(numbers.reshape(n_templates, -1).T, axis=1)


def givers(rounds: Integers) -> Integers:
    """Return for each of the episodes, one round after the other, the place of its giver."""
    return np.roll(np.arange(rounds.size).reshape(rounds.shape), 1, axis=1).ravel()


def play(
    policy: GruActorCriticPolicy,
    task: Task,
    rounds: Integers,
    intervention: Intervention = UNTOUCHED,
) -> Episodes:
    """Play one greedy episode of a tampered-with policy on each problem, in batches.

    :param rounds: the numbers of the true problems, shape (rounds, templates)
    """
    size = max(BATCH // rounds.shape[1], 1)
    parts = [
        _play(policy, task, rounds[start : start + size], intervention)
        for start in range(0, len(rounds), size)
    ]
    return joined(parts)


@th.no_grad()
def _play(
    policy: GruActorCriticPolicy, task: Task, rounds: Integers, intervention: Intervention
) -> Episodes:
    numbers, giving = rounds.ravel(), givers(rounds)
    n, steps = len(numbers), task.world.max_steps
    shown = intervention.show(numbers, numbers[giving], task.problems_per_template)
    envs = played_envs(task.world, task.reveal, n)
    observations, _ = envs.reset(options={"stage": task.stage, "problem": shown})
    tokens = np.full((n, steps), -1)
    over = np.zeros(n, dtype=np.bool_)
    start = hidden = policy.initial_state(th.as_tensor(observations))
    for step in range(steps):
        logits, hidden = read(policy, th.as_tensor(observations), hidden)
        logits[:, list(intervention.excluded)] = -th.inf
        hidden = intervention.change(step + 1, hidden, start, giving)
        emitted = logits.argmax(dim=1).numpy()
        tokens[~over, step] = emitted[~over]
        observations, _, ended, _, _ = envs.step(emitted)
        over |= ended  # what these environments play from now on does not count
        if over.all():
            break
    return graded(task, numbers, tokens)


def graded(task: Task, numbers: Integers, tokens: Integers) -> Episodes:
    """Return the episodes in which some tokens, filled up with -1, are played on problems."""
    stages = np.full(len(numbers), task.stage)
    return Episodes(numbers, tokens, *play_sequences(task.world, stages, numbers, tokens))


# ---------------------------------------------------------------------------------- plans


@functools.cache
def plan(stage: int, template: int) -> tuple[int, ...]:
    """Return the shortest plan of a template, its ``[ANS]`` included."""
    problem = expression.problem_at(stage, template * problems_per_template(expression, stage))
    steps = range(plan_length(expression, problem))
    return tuple(expression.plan_token(problem, step) for step in steps)


@functools.cache
def plan_with_state(stage: int, template: int, after: int, stored: bool) -> tuple[int, ...]:
    """Return what is played by an agent that reads all but one thing off the tape.

    Of all that a plan depends on, only whether something is stored can be seen neither in what lies
    ahead of the head nor in the previous token. An agent whose state holds nothing but that
    plays the plan; given another state after some step, it goes on with the plan, and has
    forgotten, or believes, that something is stored, until it stores again or recalls.

    :param after: the number of the step, 1 for the first
    :param stored: what it believes then. The token of the step itself is yet to be read
    """
    tokens = plan(stage, template)
    if RCL in tokens[:after]:
        return tokens
    recalls = stored or STO in tokens[after - 1 :]
    begun = tuple(token for token in tokens if token not in (RCL, ANS))
    return (*begun, RCL, ANS) if recalls else (*begun, ANS)


def filled(sequences: Sequence[Sequence[int]]) -> Integers:
    """Return sequences filled up with -1, shape (n, ``expression.MAX_STEPS``)."""
    rows = np.full((len(sequences), expression.MAX_STEPS), -1)
    for row, sequence in zip(rows, sequences, strict=True):
        row[: len(sequence)] = sequence
    return rows


@functools.cache
def solves(stage: int, template: int, tokens: tuple[int, ...]) -> bool:
    """Tell whether some tokens solve all problems of a template.

    Every digit is taken once, so that answer and target are linear in each digit: they are the same
    on all problems if they are on those with the digits 0 and 1.
    """
    n = expression.n_digits(stage)
    digits = np.array([int(f"{case:b}") for case in range(2**n)])
    task = Task(expression, stage)
    numbers = template * task.problems_per_template + digits
    return bool(graded(task, numbers, filled([tokens] * len(numbers))).success.all())


def templates_of(task: Task, numbers: Integers) -> Integers:
    """Return the numbers of the templates of problems."""
    return numbers // task.problems_per_template


def plans_of(task: Task, numbers: Integers) -> Integers:
    """Return the shortest plans of problems, filled up with -1."""
    of_template = filled([plan(task.stage, t) for t in range(task.rules.n_templates(task.stage))])
    return of_template[templates_of(task, numbers)]


def operators_text(stage: int, template: int) -> str:
    """Return the operators of a template: ``+*-``."""
    digits = [template // 3**place % 3 for place in reversed(range(stage + 1))]
    return "".join(expression.SYMBOLS[digit] for digit in digits)


def same(tokens: Integers, others: Integers) -> Flags:
    """Return which rows are the same, shape (n,)."""
    alike: Flags = (tokens == others).all(axis=1)
    return alike


# ---------------------------------------------------------------------------------- rows


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
    cases = {"untouched": UNTOUCHED} | SHOWING | {MASKED: WITHOUT_REGISTER}
    for name, intervention in cases.items():
        episodes = play(policy, task, rounds, intervention)
        others = numbers[givers(rounds)]
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


def change_states(policy: GruActorCriticPolicy, task: Task) -> Iterator[Row]:
    """Reset the states to the first ones, and swap them, after each step.

    Only those episodes count that play the plan and go on after the step if they are untouched, and
    of the swapped ones those to whose givers that applies as well.

    :return: a row for each intervention, step, and what the register held before the token of that
        step, in the episode (``stored``) and in the one that the state comes from (``given``; a
        first state has stored nothing): with counts of episodes, of those that succeeded, of those
        with the tokens of the untouched agent (``same``), and of those with the tokens of
        :func:`plan_with_state` (``expected``) and that would succeed if these were always played
        (``by_expected``)
    """
    rounds = sample(task)
    numbers, giving = rounds.ravel(), givers(rounds)
    untouched = play(policy, task, rounds)
    stages = np.full(len(numbers), task.stage)
    machines = machines_along(task.world, stages, numbers, untouched.tokens)
    full = machines[:, :, 2].astype(np.bool_)
    planned = same(untouched.tokens, plans_of(task, numbers))
    longest = int((untouched.tokens >= 0).sum(axis=1).max())
    for after in range(1, longest):
        stored = full[:, after - 1]
        going_on = planned & (untouched.tokens[:, after] >= 0)
        cases = {
            RESET: (reset_after(after), np.zeros_like(stored), going_on),
            SWAPPED: (swap_after(after), stored[giving], going_on & going_on[giving]),
        }
        for name, (intervention, given, counts) in cases.items():
            episodes = play(policy, task, rounds, intervention)
            expected = _expected(task, numbers, after, given)
            counted = {
                "success": episodes.success,
                "same": same(episodes.tokens, untouched.tokens),
                "expected": same(episodes.tokens, expected),
                "by_expected": graded(task, numbers, expected).success,
            }
            for own, other in ((0, 0), (1, 0), (0, 1), (1, 1)):
                which = counts & (stored == own) & (given == other)
                if which.any():
                    yield {
                        "intervention": name,
                        "after_step": after,
                        "stage": task.stage,
                        "stored": own,
                        "given": other,
                        "episodes": int(which.sum()),
                        **{key: int(flags[which].sum()) for key, flags in counted.items()},
                    }


def _expected(task: Task, numbers: Integers, after: int, given: Flags) -> Integers:
    cases = zip(templates_of(task, numbers).tolist(), given.tolist(), strict=True)
    return filled([plan_with_state(task.stage, template, after, bit) for template, bit in cases])


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
