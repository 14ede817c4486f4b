"""What all worlds have in common: an episode's machine, its end, its reward; what each has to give.

A world is a module of :mod:`toolenv_gym.worlds`; :class:`World` adds the settings that it is played
with. An episode runs on a :class:`Machine`, one :func:`play` a token.

The scalar environment, the compiled kernels, the oracle and the tests all run these functions and
those of the worlds, so they keep to the subset of Python that numba compiles, and import neither
NumPy nor Gymnasium.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from toolenv_gym.tokens import ANS


class Machine(NamedTuple):
    """The state that tokens change. Empty registers hold 0.

    The head is the index of the next digit to be taken, in worlds whose machine has one.
    """

    acc_full: int
    acc: int
    memory_full: int
    memory: int
    head: int


START = Machine(0, 0, 0, 0, 0)


Problem = Any  # a named tuple of the world's own; its first field is the stage


class Rules(Protocol):
    """What the module of a world has to give.

    Each stage has one template or more, and all problems of a template are planned alike. Problems
    are numbered from 0 in each stage, template by template, each with as many of them; those of one
    stage differ in what is shown. A template says what is asked for, not what tokens do: the
    machine runs alike on the first problems of all templates of a stage, on the second ones, and so
    on. A reset draws a stage uniformly from those set, and a problem uniformly from those of its
    templates that the split admits.
    """

    __name__: str

    def __hash__(self) -> int: ...

    NAME: str  # which is drawn on the calculator
    N_STAGES: int  # at most 31
    CONTEXT_LENGTH: int  # tokens
    MAX_STEPS: int  # default budget of tokens
    MAX_BUDGET: int  # highest budget, at most 30
    SHAPING: float  # default weight of the shaped score in the reward; 0 if there is no such score
    REVEALS: tuple[str, ...]  # what can be shown, of those that toolenv_gym.observation lists
    SPLITS: tuple[str, ...]  # sets of templates that resets can draw from, the first "all"

    # Returns a problem with other values in some fields, given by keyword: as these are the options
    # of a reset, they are checked. It is not compiled.
    change_problem: Callable[..., Problem]

    def n_templates(self, stage: int) -> int:
        """Return how many templates a stage has."""

    def template_of(self, problem: Problem) -> int:
        """Return the number of a problem's template in its stage."""

    def in_split(self, split: str, stage: int, template: int) -> bool:
        """Tell whether a split has a template, by its number. It is not compiled."""

    def n_problems(self, stage: int) -> int:
        """Return how many problems a stage has."""

    def problem_at(self, stage: int, number: int) -> Problem:
        """Return a problem of a stage by its number."""

    def number_of(self, problem: Problem) -> int:
        """Return the number of a problem."""

    def context(self, problem: Problem) -> tuple[int, ...]:
        """Return the tokens that show a problem, ``CONTEXT_LENGTH`` of them."""

    def read_context(self, stage: int, context: Sequence[int]) -> Problem:
        """Return the problem that a context shows, a tuple or an array."""

    def n_passed(self, stage: int, machine: Machine) -> int:
        """Return how many tokens of the context the head has passed; 0 if there is no head."""

    def has_effect(self, stage: int, machine: Machine, token: int) -> bool:
        """Tell whether a tool token has an effect in this state of the machine.

        The answer must not depend on the numbers in the registers. A token without effect leaves
        the machine as it is; one with effect may still leave it alike (adding 0).
        """

    def transition(self, problem: Problem, machine: Machine, token: int) -> Machine:
        """Return the machine after a token.

        Where the head is then, at most 7, and which registers are full must depend neither on the
        problem, but for its stage, nor on the numbers in the registers.
        """

    def described_target(self, problem: Problem) -> int:
        """Return the target that a problem describes."""

    def graded_target(self, problem: Problem) -> int:
        """Return the target that an answer has to be."""

    def shaped_score(self, problem: Problem, machine: Machine) -> float:
        """Return what an answer earns, times the shaping, beside 1 for the graded target."""

    def rewarded_answers(self, problem: Problem) -> tuple[int, ...]:
        """Return all values of the accumulator that may earn anything."""

    def plan_token(self, problem: Problem, step: int) -> int:
        """Return the token of a problem's plan after ``step`` others, ``[ANS]`` beyond its end."""

    def problem_text(self, problem: Problem) -> str:
        """Return the problem as it is described to people.

        Where a machine has a read head, the digits are those of the context, in their order.
        """

    def graded_text(self, problem: Problem) -> str:
        """Return what is graded instead of the problem described, empty if nothing else is."""

    def memory_text(self, machine: Machine) -> str:
        """Return what people are shown of a full memory."""


class World(NamedTuple):
    """A world and the settings that it is played with.

    :param rules: a module of :mod:`toolenv_gym.worlds`, or one like these
    :param shaping: weight of the milestones in the reward
    :param max_steps: budget of tokens
    """

    rules: Rules
    shaping: float
    max_steps: int

    def __reduce__(self) -> tuple[Any, ...]:
        # A module itself cannot be pickled, or copied.
        return _world, (self.rules.__name__, self.shaping, self.max_steps)


def _world(name: str, shaping: float, max_steps: int) -> World:
    rules: Any = importlib.import_module(name)
    return World(rules, shaping, max_steps)


def holds(machine: Machine, value: int) -> bool:
    """Tell whether the accumulator is full and holds a value, such as the graded target."""
    return machine.acc_full == 1 and machine.acc == value


def answer_reward(world: World, problem: Problem, machine: Machine) -> float:
    """Return the reward of ``[ANS]``: 1 for the graded target plus ``shaping`` times the shape."""
    correct = 1.0 if holds(machine, world.rules.graded_target(problem)) else 0.0
    return correct + world.shaping * world.rules.shaped_score(problem, machine)


def highest_reward(world: World, problem: Problem) -> float:
    """Return the highest reward that any accumulator could earn on a problem."""
    highest = 0.0
    for answer in world.rules.rewarded_answers(problem):
        machine = Machine(1, answer, 0, 0, 0)
        highest = max(highest, answer_reward(world, problem, machine))
    return highest


def is_last(max_steps: int, steps: int, token: int) -> bool:
    """Tell whether a token ends the episode, ``steps`` tokens having been played before it.

    There may be more of them than ``max_steps``, if that was lowered in between.
    """
    return token == ANS or steps + 1 >= max_steps


def play(
    world: World, problem: Problem, machine: Machine, steps: int, token: int
) -> tuple[Machine, float, bool]:
    """Play one token.

    :param problem: a problem of the world
    :param steps: tokens played before this one
    :return: the machine, the reward and whether the episode is over: ``[ANS]`` ends it with its
        reward, the last token of the budget (which is still executed) with 0.
    """
    over = is_last(world.max_steps, steps, token)
    if token == ANS:
        return machine, answer_reward(world, problem, machine), over
    return world.rules.transition(problem, machine, token), 0.0, over
