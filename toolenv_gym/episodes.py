"""Many episodes as the columns of one array of words, and the kernels that play them.

A column of uint64 words is all that an episode is, beside its random stream:

- word 0: the eight numbers of its observation, a byte each from the lowest. The last token of the
  context leaves the highest bit of its byte, which tells that the episode was truncated. The
  previous token takes 5 bits of its byte, above it 3 bits hold the guidance (7 for none). The stage
  takes 2 bits of its byte, then come 5 bits with the number of tokens played, and the highest bit
  tells that the episode was terminated;
- the further words: the tokens played, a byte each from the lowest.

The machine is not stored: it follows from the digits shown and the tokens, and it is worked out
only when ``[ANS]`` is to be scored or somebody asks. Hidden digits count as 0; no rule reads them.
"""

import numpy as np
import numpy.typing as npt

from toolenv_gym import rules
from toolenv_gym.compiled import kernel, load_digits, mask_machine, store_machine
from toolenv_gym.guidance import UNGUIDED, guided_token
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
_PREVIOUS_MASK = np.uint64(0b11111 << 8 * PREVIOUS)
_TOKEN_MASK = np.uint64(0b11111)
_ANS = np.uint64(ANS)
_GUIDANCE_SHIFT = np.uint64(8 * PREVIOUS + 5)
_GUIDANCE_MASK = np.uint64(0b111)
_NO_GUIDANCE = 0b111
_STAGE_SHIFT = np.uint64(8 * STAGE)
_STAGE_MASK = np.uint64(0b11)
_STEPS_SHIFT = np.uint64(8 * STAGE + 2)
_STEPS_MASK = np.uint64(0b11111)
_ONE_STEP = np.uint64(1 << 8 * STAGE + 2)
_TERMINATED_SHIFT = np.uint64(63)
_TRUNCATED_SHIFT = np.uint64(8 * PREVIOUS - 1)
_TERMINATED = np.uint64(1 << 63)
_TRUNCATED = np.uint64(1 << 8 * PREVIOUS - 1)
_OVER_MASK = _TERMINATED | _TRUNCATED
# All but the guidance, the steps and the end.
_SHOWN_MASK = np.uint64(
    ((1 << 8 * STAGE + 2) - 1) & ~(0b111 << 8 * PREVIOUS + 5 | 1 << 8 * PREVIOUS - 1)
)


def n_words(max_steps: int) -> int:
    """Return how many words an episode needs for a budget of tokens and one more."""
    return 2 + max_steps // 8


def blank_word(stage: int, guidance: int) -> np.uint64:
    """Return word 0 of a new episode on the problem 0 0 0 0 0."""
    shifts = _BYTE * np.arange(LENGTH, dtype=np.uint64)
    shown: np.uint64 = np.bitwise_or.reduce(observe([0] * 5, stage).astype(np.uint64) << shifts)
    bits = _NO_GUIDANCE if guidance == UNGUIDED else guidance
    return shown | np.uint64(bits) << _GUIDANCE_SHIFT


@kernel
def first_word(blank: np.uint64, digits: rules.Digits) -> np.uint64:
    """Return word 0 of a new episode: the context begins with the digits shown."""
    a, b, c, d, e = digits
    all_five = np.uint64(a | b << 8 | c << 16 | d << 24 | e << 32)
    shown = rules.shown_digits(_stage(blank))
    return blank | all_five & (_ONE << np.uint64(8 * shown)) - _ONE


@kernel
def _stage(word: np.uint64) -> int:
    return np.int64(word >> _STAGE_SHIFT & _STAGE_MASK)


@kernel
def _steps(word: np.uint64) -> int:
    return np.int64(word >> _STEPS_SHIFT & _STEPS_MASK)


@kernel
def _guidance(word: np.uint64) -> int:
    bits = np.int64(word >> _GUIDANCE_SHIFT & _GUIDANCE_MASK)
    return UNGUIDED if bits == _NO_GUIDANCE else bits


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
def append_tokens(
    max_steps: int, time_limit: int, before: Words, after: Words, tokens: Integers
) -> None:
    """Write ``before`` with one more token in each episode to ``after``."""
    for i in range(len(tokens)):
        word = before[0, i]
        last = rules.is_last(max_steps, _steps(word), tokens[i])
        late = _steps(word) + 1 >= time_limit
        token = np.uint64(tokens[i])
        word = (word & ~_PREVIOUS_MASK | token << _PREVIOUS_SHIFT) + _ONE_STEP
        word |= np.uint64(last) << _TERMINATED_SHIFT | np.uint64(late) << _TRUNCATED_SHIFT
        after[0, i] = word
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
def draw_starts(streams: Streams, chosen: Integers, n_choices: int) -> Draws:
    """Make the draw of a reset for each episode that is chosen by index."""
    drawn = np.empty(len(chosen), dtype=np.uint32)
    for j in range(len(chosen)):
        drawn[j] = draw_below(streams, chosen[j], rules.draw_range(n_choices))
    return drawn


@kernel
def step_episodes(
    rule_set: int,
    shaping: float,
    max_steps: int,
    time_limit: int,
    same_step: bool,
    next_step: bool,
    blanks: npt.NDArray[np.uint64],
    streams: Streams,
    before: Words,
    after: Words,
    actions: Integers,
    observations: Integers,
    rewards: Rewards,
    terminations: Flags,
    truncations: Flags,
) -> int:
    """Play a token in each of n episodes.

    :param time_limit: tokens after which an episode is truncated
    :param same_step: whether episodes that end start anew at once
    :param next_step: whether those that are over start anew instead of playing
    :param blanks: a blank word for each choice that new episodes draw from
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
    append_tokens(max_steps, time_limit, before, after, actions)
    n_over = n_ended = 0
    for i in range(n):
        was_over = before[0, i] & _OVER_MASK != 0
        terminated = (after[0, i] & _TERMINATED != 0) & (not was_over)
        truncated = (after[0, i] & _TRUNCATED != 0) & (not was_over)
        terminations[i], truncations[i] = terminated, truncated
        rewards[i] = 0.0
        n_over += was_over
        n_ended += terminated | truncated
    if n_over and not next_step:
        return EPISODE_OVER
    show_episodes(after, observations)
    scored, started = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    n_scored = n_started = 0
    for i in range(n):
        scored[n_scored] = started[n_started] = i
        n_scored += terminations[i] & (actions[i] == ANS)  # the other tokens earn nothing
        n_started += (after[0, i] if same_step else before[0, i]) & _OVER_MASK != 0
    for i in scored[:n_scored]:
        digits, stage = _digits(before[0, i]), _stage(before[0, i])
        machine = _machine(rule_set, before, i)
        rewards[i] = rules.answer_reward(rule_set, shaping, digits, stage, machine)
    drawn = draw_starts(streams, started[:n_started], len(blanks))
    for j in range(n_started):
        choice, problem = rules.split_draw(drawn[j])
        word = first_word(blanks[choice], rules.digits_of(problem))
        _start(after, started[j], word)
        _show(word, observations, started[j])
    return n_ended


@kernel
def start_episodes(
    words: Words, chosen: Integers, blanks: npt.NDArray[np.uint64], digits: Integers
) -> None:
    """Begin new episodes.

    :param chosen: which, by index
    :param blanks: the blank word of each of these
    :param digits: the digits of each of these, shape (n_chosen, 5)
    """
    for j in range(len(chosen)):
        _start(words, chosen[j], first_word(blanks[j], load_digits(digits, j)))


@kernel
def mask_episodes(rule_set: int, words: Words) -> Flags:
    """Return which tokens have an effect, or are admitted by the guidance, shape (n, 18)."""
    n = words.shape[1]
    masks = np.zeros((n, N_TOKENS), dtype=np.bool_)
    for i in range(n):
        stage, guidance = _stage(words[0, i]), _guidance(words[0, i])
        if guidance == UNGUIDED:
            mask_machine(rule_set, stage, _machine(rule_set, words, i), masks[i])
            continue
        token = guided_token(rule_set, stage, guidance, _steps(words[0, i]))
        masks[i] = token < 0
        masks[i, token] = True
    return masks


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
def tokens_of(words: Words, max_steps: int) -> Integers:
    """Return the first ``max_steps`` tokens of each episode, then -1, shape (n, max_steps)."""
    n = words.shape[1]
    tokens = np.full((n, max_steps), -1)
    for i in range(n):
        for step in range(min(_steps(words[0, i]), max_steps)):
            tokens[i, step] = _token(words, i, step)
    return tokens


@kernel
def outcomes(rule_set: int, words: Words) -> tuple[Flags, Flags]:
    """Tell which episodes answered the graded and which the described target, shape (n,) each."""
    n = words.shape[1]
    correct, reached = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    for i in range(n):
        word = words[0, i]
        if word >> _PREVIOUS_SHIFT & _TOKEN_MASK == _ANS:
            digits, stage, machine = _digits(word), _stage(word), _machine(rule_set, words, i)
            correct[i] = rules.is_correct(rule_set, digits, stage, machine)
            reached[i] = rules.reached_target(digits, stage, machine)
    return correct, reached


def observe_episodes(words: Words) -> Integers:
    """Return the observations, shape (n, 8)."""
    observations = np.empty((words.shape[1], LENGTH), dtype=np.int64)
    show_episodes(words, observations)
    return observations


def guidances(words: Words) -> Integers:
    """Return the guided steps of each episode, -1 for none, shape (n,)."""
    bits = (words[0] >> _GUIDANCE_SHIFT & _GUIDANCE_MASK).astype(np.int64)
    return np.where(bits == _NO_GUIDANCE, UNGUIDED, bits)


def are_over(words: Words) -> Flags:
    """Tell which episodes are over, terminated or truncated, shape (n,)."""
    over: Flags = words[0] & _OVER_MASK != 0
    return over


def are_terminated(words: Words) -> Flags:
    """Tell which episodes are terminated, shape (n,)."""
    terminated: Flags = words[0] >> _TERMINATED_SHIFT != 0
    return terminated
