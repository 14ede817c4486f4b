"""Many episodes as the columns of one array of words, and the kernels that play them.

A column of uint64 words is all that an episode is, beside its random stream:

- word 0: twelve numbers of 5 bits, from the lowest: the previous token, the stage, the number of
  tokens played, the guidance (31 for none), and the first eight tokens of the context. Of the bits
  above them the highest tells that the episode was terminated, the next that it was truncated;
- if the world's context is longer, words of twelve more tokens of it, 5 bits each;
- in the place after the context's last token, 5 bits for where the machine stands: its head and
  which registers are full. They are kept up where the context is shown from the head on, else 0;
- the further words: the tokens played, a byte each from the lowest.

Beyond that the machine is not stored: it follows from the problem and the tokens, and it is worked
out only when ``[ANS]`` is to be scored or somebody asks. Neither is the problem: it is read off the
context.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from toolenv_gym.compiled import part, store_machine, world_kernel
from toolenv_gym.guidance import UNGUIDED, guided_token, plan_length
from toolenv_gym.observation import AHEAD, ALWAYS, first_shown, length
from toolenv_gym.rules import START, Machine, Problem, Rules, World, answer_reward, holds, is_last
from toolenv_gym.starts import draw_range, drawn_number, draws_per_problem
from toolenv_gym.tokens import ANS, CTX, EOS, N_TOKENS, TOOL_TOKENS
from toolenv_gym.vector.streams import Streams, draw_below

Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Rewards = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# What step_episodes returns if it refused, having changed nothing.
BAD_TOKEN = -1
EPISODE_OVER = -2

_FIELD = np.uint64(0b11111)
_STAGE_SHIFT = np.uint64(5)
_STEPS_SHIFT = np.uint64(10)
_GUIDANCE_SHIFT = np.uint64(15)
_CONTEXT_PLACE = 4  # of the context's first token among the twelve numbers
_NO_GUIDANCE = 0b11111
_ONE_STEP = np.uint64(1 << 10)
_ANS = np.uint64(ANS)
_TERMINATED_SHIFT = np.uint64(63)
_TRUNCATED_SHIFT = np.uint64(62)
_TERMINATED = np.uint64(1 << 63)
_TRUNCATED = np.uint64(1 << 62)
_OVER = _TERMINATED | _TRUNCATED
_BYTE = np.uint64(0xFF)


# ------------------------------------------------------------------------------------- layout


@part
def _first_token_word(rules: Rules) -> int:
    """Return in which word the tokens played begin."""
    return 1 + (rules.CONTEXT_LENGTH + _CONTEXT_PLACE) // 12


def n_words(rules: Rules, max_steps: int) -> int:
    """Return how many words an episode needs for a budget of tokens and one more."""
    return _first_token_word(rules) + 1 + max_steps // 8


def blank_words(stages: npt.ArrayLike, guidances: npt.ArrayLike) -> Words:
    """Return word 0 of new episodes without their contexts, given arrays that broadcast."""
    guidances = np.where(np.asarray(guidances) == UNGUIDED, _NO_GUIDANCE, guidances)
    words: Words = (CTX | np.asarray(stages) << 5 | guidances << 15).astype(np.uint64)
    return words


@part
def _stage(word: np.uint64) -> int:
    return np.int64(word >> _STAGE_SHIFT & _FIELD)


@part
def _steps(word: np.uint64) -> int:
    return np.int64(word >> _STEPS_SHIFT & _FIELD)


@part
def _guidance(word: np.uint64) -> int:
    bits = np.int64(word >> _GUIDANCE_SHIFT & _FIELD)
    return UNGUIDED if bits == _NO_GUIDANCE else bits


@part
def _token(rules: Rules, words: Words, i: int, step: int) -> int:
    """Return the token that episode i played after ``step`` others."""
    word = words[_first_token_word(rules) + (step >> 3), i]
    return np.int64(word >> np.uint64(8 * (step & 7)) & _BYTE)


@part
def _context(words: Words, i: int, k: int) -> int:
    """Return token k of the context of episode i."""
    place = k + _CONTEXT_PLACE
    return np.int64(words[place // 12, i] >> np.uint64(5 * (place % 12)) & _FIELD)


@part
def _position(rules: Rules, words: Words, i: int) -> int:
    """Return where the machine of episode i stands: see :func:`_machine_at`."""
    return _context(words, i, rules.CONTEXT_LENGTH)


@part
def _machine_at(position: int) -> Machine:
    """Return the machine that stands somewhere, with zeros in its registers."""
    return Machine(position & 1, 0, position >> 1 & 1, 0, position >> 2)


def _next_positions(rules: Rules) -> npt.NDArray[np.uint8]:
    """Return where the machine stands after a token, by stage, position and token.

    The problem does not matter to it: the first of each stage stands for all.
    """
    positions = np.empty((rules.N_STAGES, 32, N_TOKENS), dtype=np.uint8)
    for stage, position, token in np.ndindex(positions.shape):
        problem = rules.problem_at(stage, 0)
        acc_full, _, memory_full, _, head = rules.transition(problem, _machine_at(position), token)
        positions[stage, position, token] = acc_full | memory_full << 1 | head << 2
    return positions


# ------------------------------------------------------------------------------ one episode


@part
def _problem(rules: Rules, words: Words, i: int, context: Integers) -> Problem:
    """Return the problem of episode i.

    :param context: to work with, shape (CONTEXT_LENGTH,)
    """
    for k in range(rules.CONTEXT_LENGTH):
        context[k] = _context(words, i, k)
    return rules.read_context(_stage(words[0, i]), context)


@part
def _machine(rules: Rules, problem: Problem, words: Words, i: int) -> Machine:
    """Return the machine after the tokens that episode i holds."""
    machine = START
    for step in range(_steps(words[0, i])):
        machine = rules.transition(problem, machine, _token(rules, words, i, step))
    return machine


@part
def _show(rules: Rules, words: Words, i: int, observations: Integers) -> None:
    """Write the observation of episode i."""
    # Word 0 is read once: else LLVM would expect every number written to change it.
    word = words[0, i]
    for k in range(min(rules.CONTEXT_LENGTH, 12 - _CONTEXT_PLACE)):
        observations[i, k] = np.int64(word >> np.uint64(5 * (k + _CONTEXT_PLACE)) & _FIELD)
    for k in range(12 - _CONTEXT_PLACE, rules.CONTEXT_LENGTH):
        observations[i, k] = _context(words, i, k)
    # The previous token and the stage; places counted from the end would be worked out each time.
    observations[i, rules.CONTEXT_LENGTH] = np.int64(word & _FIELD)
    observations[i, rules.CONTEXT_LENGTH + 1] = _stage(word)


@part
def _start(rules: Rules, words: Words, i: int, blank: np.uint64, number: int) -> None:
    """Make episode i a new one, on a problem by its number."""
    row, place, word = 0, _CONTEXT_PLACE, blank
    for token in rules.context(rules.problem_at(_stage(blank), number)):
        word |= np.uint64(token) << np.uint64(5 * place)
        place += 1
        if place == 12:
            words[row, i] = word
            row, place, word = row + 1, 0, np.uint64(0)
    words[row, i] = word
    for k in range(row + 1, len(words)):
        words[k, i] = np.uint64(0)


# ------------------------------------------------------------------------ the passes of a step


@part
def _are_tokens(actions: Integers) -> bool:
    bad = False
    for i in range(len(actions)):
        bad |= (actions[i] < 0) | (actions[i] >= N_TOKENS)
    return not bad


@part
def _append(
    rules: Rules, max_steps: int, time_limit: int, before: Words, after: Words, tokens: Integers
) -> None:
    """Write ``before`` with one more token in each episode to ``after``."""
    for i in range(len(tokens)):
        word = before[0, i]
        last = is_last(max_steps, _steps(word), tokens[i])
        late = _steps(word) + 1 >= time_limit
        word = (word & ~_FIELD | np.uint64(tokens[i])) + _ONE_STEP
        word |= np.uint64(last) << _TERMINATED_SHIFT | np.uint64(late) << _TRUNCATED_SHIFT
        after[0, i] = word
    first = _first_token_word(rules)
    for k in range(1, first):
        for i in range(len(tokens)):
            after[k, i] = before[k, i]
    for k in range(first, len(before)):
        for i in range(len(tokens)):
            place = _steps(before[0, i]) - 8 * (k - first)
            token = np.uint64(tokens[i]) << np.uint64(8 * (place & 7))
            after[k, i] = before[k, i] | (token if place >> 3 == 0 else np.uint64(0))


@part
def _flag(
    before: Words, after: Words, rewards: Rewards, terminations: Flags, truncations: Flags
) -> tuple[int, int]:
    """Write which episodes end, and no reward yet; return how many were over and how many end."""
    n_over = n_ended = 0
    for i in range(len(rewards)):
        was_over = before[0, i] & _OVER != 0
        terminated = (after[0, i] & _TERMINATED != 0) & (not was_over)
        truncated = (after[0, i] & _TRUNCATED != 0) & (not was_over)
        terminations[i], truncations[i] = terminated, truncated
        rewards[i] = 0.0
        n_over += was_over
        n_ended += terminated | truncated
    return n_over, n_ended


@part
def _move(
    rules: Rules,
    next_positions: npt.NDArray[np.uint8],
    before: Words,
    after: Words,
    tokens: Integers,
) -> None:
    """Write to ``after`` where the machines stand after one more token in each episode."""
    place = rules.CONTEXT_LENGTH + _CONTEXT_PLACE
    row, shift = place // 12, np.uint64(5 * (place % 12))
    for i in range(len(tokens)):
        position = _position(rules, before, i)
        moved = np.uint64(next_positions[_stage(before[0, i]), position, tokens[i]])
        after[row, i] = after[row, i] & ~(_FIELD << shift) | moved << shift


@part
def _show_all(rules: Rules, reveal: int, words: Words, observations: Integers) -> None:
    if reveal == ALWAYS:
        for i in range(len(observations)):
            _show(rules, words, i, observations)
    else:
        _show_rest(rules, reveal, words, observations)


@part
def _show_rest(rules: Rules, reveal: int, words: Words, observations: Integers) -> None:
    """Write the observations, the contexts moved to the front as far as they are not shown."""
    # Padded, so that as many tokens are copied from wherever it is: a branch would be mispredicted.
    context = np.full(2 * rules.CONTEXT_LENGTH, EOS)
    for i in range(len(observations)):
        word = words[0, i]
        machine = _machine_at(_position(rules, words, i))
        first = first_shown(rules, reveal, _stage(word), machine, _steps(word))
        for k in range(rules.CONTEXT_LENGTH):
            context[k] = _context(words, i, k)
        for k in range(rules.CONTEXT_LENGTH):
            observations[i, k] = context[first + k]
        observations[i, rules.CONTEXT_LENGTH] = np.int64(word & _FIELD)
        observations[i, rules.CONTEXT_LENGTH + 1] = _stage(word)


@part
def _gather(ending: Words, actions: Integers, terminations: Flags) -> tuple[Integers, Integers]:
    """Return which episodes answered, and which of ``ending`` are over and start anew."""
    n = len(actions)
    scored, started = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    n_scored = n_started = 0
    for i in range(n):
        scored[n_scored] = started[n_started] = i
        n_scored += terminations[i] & (actions[i] == ANS)  # the other tokens earn nothing
        n_started += ending[0, i] & _OVER != 0
    return scored[:n_scored], started[:n_started]


@part
def _score(world: World, words: Words, scored: Integers, rewards: Rewards) -> None:
    """Write what the answers earn, given the episodes before them."""
    context = np.empty(world.rules.CONTEXT_LENGTH, dtype=np.int64)
    for i in scored:
        problem = _problem(world.rules, words, i, context)
        machine = _machine(world.rules, problem, words, i)
        rewards[i] = answer_reward(world, problem, machine)


# ------------------------------------------------------------------------------------ kernels


@world_kernel
def step_episodes(rules: Rules) -> Callable[..., int]:
    n_draws, draws_per = draw_range(rules), draws_per_problem(rules)
    next_positions = _next_positions(rules)

    def kernel(
        shaping: float,
        max_steps: int,
        time_limit: int,
        reveal: int,
        split: int,
        same_step: bool,
        next_step: bool,
        templates: Integers,
        blanks: Words,
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

        Simple loops over all, which LLVM vectorises, gather the few episodes where more is to be
        done: with random tokens a branch would be mispredicted at each of them.

        :param time_limit: tokens after which an episode is truncated
        :param reveal: how much of the context is shown
        :param same_step: whether episodes that end start anew at once
        :param next_step: whether those that are over start anew instead of playing
        :param templates: see :func:`toolenv_gym.starts.drawn_number`, as for ``split``
        :param blanks: a blank word for each choice that new episodes draw from
        :param streams: of the episodes, updated
        :param before: the episodes, left as they are
        :param after: shape of ``before``; this and what follows is written
        :return: how many episodes ended, or ``BAD_TOKEN`` or ``EPISODE_OVER``
        """
        if not _are_tokens(actions):
            return BAD_TOKEN
        _append(rules, max_steps, time_limit, before, after, actions)
        n_over, n_ended = _flag(before, after, rewards, terminations, truncations)
        if n_over and not next_step:
            return EPISODE_OVER
        if reveal == AHEAD:
            _move(rules, next_positions, before, after, actions)
        _show_all(rules, reveal, after, observations)
        ending = after if same_step else before
        scored, started = _gather(ending, actions, terminations)
        _score(World(rules, shaping, max_steps), before, scored, rewards)
        drawn = draw_below(streams, started, len(blanks) * n_draws)
        for j in range(len(started)):
            blank = blanks[drawn[j] // np.uint64(n_draws)]
            rest = np.int64(drawn[j] % np.uint64(n_draws))
            number = drawn_number(rules, draws_per, split, templates, _stage(blank), rest)
            _start(rules, after, started[j], blank, number)
            _show(rules, after, started[j], observations)
        return n_ended

    return kernel


@world_kernel
def append_tokens(rules: Rules) -> Callable[[int, int, int, Words, Words, Integers], None]:
    next_positions = _next_positions(rules)

    def kernel(
        max_steps: int, time_limit: int, reveal: int, before: Words, after: Words, tokens: Integers
    ) -> None:
        """Write ``before`` with one more token in each episode to ``after``."""
        _append(rules, max_steps, time_limit, before, after, tokens)
        if reveal == AHEAD:
            _move(rules, next_positions, before, after, tokens)

    return kernel


@world_kernel
def drawn_numbers(rules: Rules) -> Callable[[int, Integers, Integers, Integers], Integers]:
    draws_per = draws_per_problem(rules)

    def kernel(split: int, templates: Integers, stages: Integers, drawn: Integers) -> Integers:
        """Return the numbers of the problems that n draws stand for, given their stages."""
        numbers = np.empty(len(stages), dtype=np.int64)
        for j in range(len(stages)):
            numbers[j] = drawn_number(rules, draws_per, split, templates, stages[j], drawn[j])
        return numbers

    return kernel


@world_kernel
def start_episodes(rules: Rules) -> Callable[[Words, Integers, Words, Integers], None]:
    def kernel(words: Words, chosen: Integers, blanks: Words, numbers: Integers) -> None:
        """Begin new episodes.

        :param chosen: which, by index
        :param blanks: the blank word of each of these
        :param numbers: the number of the problem of each of these
        """
        for j in range(len(chosen)):
            _start(rules, words, chosen[j], blanks[j], numbers[j])

    return kernel


@world_kernel
def show_episodes(rules: Rules) -> Callable[[int, Words, Integers], None]:
    def kernel(reveal: int, words: Words, observations: Integers) -> None:
        """Write the observations, shape (n, length)."""
        _show_all(rules, reveal, words, observations)

    return kernel


@world_kernel
def mask_episodes(rules: Rules) -> Callable[[Words], Flags]:
    def kernel(words: Words) -> Flags:
        """Return which tokens have an effect, or are admitted by the guidance, shape (n, 18)."""
        n = words.shape[1]
        masks = np.zeros((n, N_TOKENS), dtype=np.bool_)
        context = np.empty(rules.CONTEXT_LENGTH, dtype=np.int64)
        for i in range(n):
            word = words[0, i]
            problem, guidance = _problem(rules, words, i, context), _guidance(word)
            if guidance == UNGUIDED:
                machine = _machine(rules, problem, words, i)
                masks[i, ANS] = True
                for tool in TOOL_TOKENS:
                    masks[i, tool] = rules.has_effect(_stage(word), machine, tool)
                continue
            token = guided_token(rules, problem, guidance, _steps(word))
            masks[i] = token < 0
            masks[i, token] = True
        return masks

    return kernel


@world_kernel
def machines_of(rules: Rules) -> Callable[[Words], Integers]:
    def kernel(words: Words) -> Integers:
        """Return the machines, shape (n, 5)."""
        machines = np.empty((words.shape[1], 5), dtype=np.int64)
        context = np.empty(rules.CONTEXT_LENGTH, dtype=np.int64)
        for i in range(words.shape[1]):
            problem = _problem(rules, words, i, context)
            store_machine(machines, i, _machine(rules, problem, words, i))
        return machines

    return kernel


@world_kernel
def facts_of(rules: Rules) -> Callable[[Words], Integers]:
    def kernel(words: Words) -> Integers:
        """Return what follows from the problems alone, shape (4, n).

        It is the templates, the described and the graded targets, and the lengths of the plans.
        """
        facts = np.empty((4, words.shape[1]), dtype=np.int64)
        context = np.empty(rules.CONTEXT_LENGTH, dtype=np.int64)
        for i in range(words.shape[1]):
            problem = _problem(rules, words, i, context)
            facts[0, i] = rules.template_of(problem)
            facts[1, i] = rules.described_target(problem)
            facts[2, i] = rules.graded_target(problem)
            facts[3, i] = plan_length(rules, problem)
        return facts

    return kernel


@world_kernel
def outcomes_of(rules: Rules) -> Callable[[Words], tuple[Flags, Flags]]:
    def kernel(words: Words) -> tuple[Flags, Flags]:
        """Tell which episodes answered the graded and which the described target."""
        n = words.shape[1]
        correct, reached = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        context = np.empty(rules.CONTEXT_LENGTH, dtype=np.int64)
        for i in range(n):
            if words[0, i] & _FIELD == _ANS:
                problem = _problem(rules, words, i, context)
                machine = _machine(rules, problem, words, i)
                correct[i] = holds(machine, rules.graded_target(problem))
                reached[i] = holds(machine, rules.described_target(problem))
        return correct, reached

    return kernel


@world_kernel
def tokens_of(rules: Rules) -> Callable[[Words, int], Integers]:
    def kernel(words: Words, max_steps: int) -> Integers:
        """Return the first ``max_steps`` tokens of each episode, then -1, shape (n, max_steps)."""
        n = words.shape[1]
        tokens = np.full((n, max_steps), -1)
        for i in range(n):
            for step in range(min(_steps(words[0, i]), max_steps)):
                tokens[i, step] = _token(rules, words, i, step)
        return tokens

    return kernel


def observe_episodes(rules: Rules, reveal: int, words: Words) -> Integers:
    """Return the observations, shape (n, length)."""
    observations = np.empty((words.shape[1], length(rules)), dtype=np.int64)
    show_episodes(rules)(reveal, words, observations)
    return observations


def stages_of(words: Words) -> Integers:
    """Return the stage of each episode, shape (n,)."""
    return (words[0] >> _STAGE_SHIFT & _FIELD).astype(np.int64)


def steps_of(words: Words) -> Integers:
    """Return how many tokens each episode has played, shape (n,)."""
    return (words[0] >> _STEPS_SHIFT & _FIELD).astype(np.int64)


def guidances_of(words: Words) -> Integers:
    """Return the guided steps of each episode, -1 for none, shape (n,)."""
    bits = (words[0] >> _GUIDANCE_SHIFT & _FIELD).astype(np.int64)
    return np.where(bits == _NO_GUIDANCE, UNGUIDED, bits)


def are_over(words: Words) -> Flags:
    """Tell which episodes are over, terminated or truncated, shape (n,)."""
    over: Flags = words[0] & _OVER != 0
    return over


def are_terminated(words: Words) -> Flags:
    """Tell which episodes are terminated, shape (n,)."""
    terminated: Flags = words[0] >> _TERMINATED_SHIFT != 0
    return terminated
