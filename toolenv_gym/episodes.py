"""Many episodes as the columns of one array of words, and the kernels that play them.

A column of uint64 words is all that an episode is, beside its random stream:

- word 0: the eight numbers of its observation, a byte each from the lowest; in the last byte the
  stage takes the lowest 2 bits, then come 5 bits with the number of tokens played, and the highest
  bit tells that the episode is over;
- the further words: the tokens played, a byte each from the lowest.

The machine is not stored: it follows from the digits shown and the tokens, and it is worked out
only when ``[ANS]`` is to be scored or somebody asks. Hidden digits count as 0; no rule reads them.
"""

import numpy as np
import numpy.typing as npt

from toolenv_gym import rules
from toolenv_gym.compiled import kernel, load_digits, store_machine
from toolenv_gym.observation import LENGTH, PREVIOUS, STAGE, observe
from toolenv_gym.streams import Streams, draw_below
from toolenv_gym.tokens import ANS, N_TOKENS

Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Rewards = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Draws = npt.NDArray[np.uint32]

# What step_episodes returns if it refused, having changed nothing.
BAD_TOKEN = -1
EPISODE_OVER = -2

_ONE = np.uint64(1)
_BYTE = np.uint64(8)
_BYTE_MASK = np.uint64(0xFF)
_PREVIOUS_SHIFT = np.uint64(8 * PREVIOUS)
_PREVIOUS_MASK = np.uint64(0xFF << 8 * PREVIOUS)
_STAGE_SHIFT = np.uint64(8 * STAGE)
_STAGE_MASK = np.uint64(0b11)
_STEPS_SHIFT = np.uint64(8 * STAGE + 2)
_STEPS_MASK = np.uint64(0b11111)
_ONE_STEP = np.uint64(1 << 8 * STAGE + 2)
_OVER_SHIFT = np.uint64(63)
_SHOWN_MASK = np.uint64((1 << 8 * STAGE + 2) - 1)  # all but the steps and the end


def n_words(max_steps: int) -> int:
    """Return how many words an episode needs for a budget of tokens and one more."""
    return 2 + max_steps // 8


def _blank_words() -> tuple[np.uint64, ...]:
    """Return word 0 of a new episode on the problem 0 0 0 0 0, by stage."""
    shifts = _BYTE * np.arange(LENGTH, dtype=np.uint64)
    shown = [observe([0] * 5, stage).astype(np.uint64) for stage in range(rules.N_STAGES)]
    return tuple(np.bitwise_or.reduce(numbers << shifts) for numbers in shown)


_BLANK = _blank_words()


@kernel
def first_word(stage: int, digits: rules.Digits) -> np.uint64:
    """Return word 0 of a new episode: the context begins with the digits shown."""
    a, b, c, d, e = digits
    all_five = np.uint64(a | b << 8 | c << 16 | d << 24 | e << 32)
    return _BLANK[stage] | all_five & (_ONE << np.uint64(8 * rules.shown_digits(stage))) - _ONE


@kernel
def _stage(word: np.uint64) -> int:
    return np.int64(word >> _STAGE_SHIFT & _STAGE_MASK)


@kernel
def _steps(word: np.uint64) -> int:
    return np.int64(word >> _STEPS_SHIFT & _STEPS_MASK)


@kernel
def _token(words: Words, i: int, step: int) -> int:
    word = words[1 + (step >> 3), i]
    return np.int64(word >> np.uint64(8 * (step & 7)) & _BYTE_MASK)


@kernel
def _digit(word: np.uint64, k: int) -> int:
    """Return digit k if it is shown, else 0."""
    shown = k < rules.shown_digits(_stage(word))
    return np.int64(word >> np.uint64(8 * k) & _BYTE_MASK) if shown else 0


@kernel
def _digits(word: np.uint64) -> rules.Digits:
    return _digit(word, 0), _digit(word, 1), _digit(word, 2), _digit(word, 3), _digit(word, 4)


@kernel
def _machine(rule_set: int, words: Words, i: int) -> rules.Machine:
    """Return the machine after the tokens that episode i holds."""
    word = words[0, i]
    digits, stage = _digits(word), _stage(word)
    machine = rules.START
    for step in range(_steps(word)):
        machine = rules.transition(rule_set, digits, stage, machine, _token(words, i, step))
    return machine


@kernel
def _show(word: np.uint64, observations: Integers, i: int) -> None:
    word &= _SHOWN_MASK
    for k in range(LENGTH):
        observations[i, k] = np.int64(word >> np.uint64(8 * k) & _BYTE_MASK)


@kernel
def _start(words: Words, i: int, word: np.uint64) -> None:
    """Make episode i a new episode."""
    words[0, i] = word
    for k in range(1, len(words)):
        words[k, i] = np.uint64(0)


@kernel
def append_tokens(max_steps: int, before: Words, after: Words, tokens: Integers) -> None:
    """Write ``before`` with one more token in each episode to ``after``."""
    for i in range(len(tokens)):
        word = before[0, i]
        over = rules.is_last(max_steps, _steps(word), tokens[i])
        token = np.uint64(tokens[i])
        word = (word & ~_PREVIOUS_MASK | token << _PREVIOUS_SHIFT) + _ONE_STEP
        after[0, i] = word | np.uint64(over) << _OVER_SHIFT
    for k in range(1, len(before)):
        for i in range(len(tokens)):
            place = _steps(before[0, i]) - 8 * (k - 1)
            token = np.uint64(tokens[i]) << np.uint64(8 * (place & 7))
            after[k, i] = before[k, i] | (token if place >> 3 == 0 else np.uint64(0))


@kernel
def show_episodes(words: Words, observations: Integers) -> None:
    """Write the observations, shape (n, 8)."""
    for i in range(len(observations)):
        _show(words[0, i], observations, i)


@kernel
def draw_starts(streams: Streams, chosen: Integers, n_stages: int) -> Draws:
    """Make the draw of a reset for each episode that is chosen by index."""
    drawn = np.empty(len(chosen), dtype=np.uint32)
    for j in range(len(chosen)):
        drawn[j] = draw_below(streams, chosen[j], rules.draw_range(n_stages))
    return drawn


@kernel
def step_episodes(
    rule_set: int,
    shaping: float,
    max_steps: int,
    same_step: bool,
    next_step: bool,
    stages: Integers,
    streams: Streams,
    before: Words,
    after: Words,
    actions: Integers,
    observations: Integers,
    rewards: Rewards,
    terminations: Flags,
) -> int:
    """Play a token in each of n episodes.

    :param same_step: whether episodes that end start anew at once
    :param next_step: whether those that are over start anew instead of playing
    :param stages: that new episodes draw from
    :param streams: of the episodes, updated
    :param before: the episodes, left as they are
    :param after: shape of ``before``; this and what follows is written
    :return: how many episodes ended, or ``BAD_TOKEN`` or ``EPISODE_OVER``
    """
    n = len(actions)
    bad = False
    for i in range(n):
        bad |= (actions[i] < 0) | (actions[i] >= N_TOKENS)
    if bad:
        return BAD_TOKEN
    # Simple loops over all, which LLVM vectorises, gather the few episodes where more is to be
    # done: with random tokens a branch would be mispredicted at each of them.
    append_tokens(max_steps, before, after, actions)
    n_over = n_ended = 0
    for i in range(n):
        was_over = before[0, i] >> _OVER_SHIFT != 0
        ended = (after[0, i] >> _OVER_SHIFT != 0) & (not was_over)
        terminations[i] = ended
        rewards[i] = 0.0
        n_over += was_over
        n_ended += ended
    if n_over and not next_step:
        return EPISODE_OVER
    show_episodes(after, observations)
    scored, started = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    n_scored = n_started = 0
    for i in range(n):
        scored[n_scored] = started[n_started] = i
        n_scored += terminations[i] & (actions[i] == ANS)  # the other tokens earn nothing
        n_started += terminations[i] if same_step else before[0, i] >> _OVER_SHIFT != 0
    for i in scored[:n_scored]:
        digits, stage = _digits(before[0, i]), _stage(before[0, i])
        machine = _machine(rule_set, before, i)
        rewards[i] = rules.answer_reward(rule_set, shaping, digits, stage, machine)
    drawn = draw_starts(streams, started[:n_started], len(stages))
    for j in range(n_started):
        index, problem = rules.split_draw(drawn[j])
        word = first_word(stages[index], rules.digits_of(problem))
        _start(after, started[j], word)
        _show(word, observations, started[j])
    return n_ended


@kernel
def start_episodes(
    words: Words,
    chosen: Integers,
    stages: Integers,
    drawn: Draws,
    fixed_stages: Integers,
    fixed_digits: Integers,
) -> None:
    """Begin new episodes.

    :param chosen: which, by index
    :param stages: that are drawn from
    :param drawn: a draw for each of these
    :param fixed_stages: for every episode the stage that it must have, or -1
    :param fixed_digits: for every episode the digits that it must have, or -1
    """
    for j in range(len(chosen)):
        i = chosen[j]
        index, problem = rules.split_draw(drawn[j])
        stage, digits = stages[index], rules.digits_of(problem)
        if fixed_stages[i] >= 0:
            stage = fixed_stages[i]
        if fixed_digits[i, 0] >= 0:
            digits = load_digits(fixed_digits, i)
        _start(words, i, first_word(stage, digits))


@kernel
def unpack_episodes(rule_set: int, words: Words) -> tuple[Integers, Integers, Integers, Integers]:
    """Return the stages (n,), the digits shown (n, 5), the machines (n, 5) and the steps (n,)."""
    n = words.shape[1]
    stages, steps = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    digits, machines = np.empty((n, 5), dtype=np.int64), np.empty((n, 5), dtype=np.int64)
    for i in range(n):
        word = words[0, i]
        stages[i], steps[i] = _stage(word), _steps(word)
        for k in range(5):
            digits[i, k] = _digit(word, k)
        store_machine(machines, i, _machine(rule_set, words, i))
    return stages, digits, machines, steps


@kernel
def tokens_of(words: Words, i: int) -> list[int]:
    """Return the tokens that episode i holds."""
    return [_token(words, i, step) for step in range(_steps(words[0, i]))]


def observe_episodes(words: Words) -> Integers:
    """Return the observations, shape (n, 8)."""
    observations = np.empty((words.shape[1], LENGTH), dtype=np.int64)
    show_episodes(words, observations)
    return observations


def are_over(words: Words) -> Flags:
    """Tell which episodes are over, shape (n,)."""
    over: Flags = words[0] >> _OVER_SHIFT != 0
    return over


def last_tokens(words: Words) -> Integers:
    """Return the previous tokens, shape (n,)."""
    return (words[0] >> _PREVIOUS_SHIFT & _BYTE_MASK).astype(np.int64)
