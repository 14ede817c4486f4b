"""The two worlds as native Gymnasium vector environments, compiled with numba.

Each is, bit for bit, a ``SyncVectorEnv`` of the scalar environments.
"""

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import error
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from toolenv_gym import arguments, episodes, render, rules
from toolenv_gym.compiled import target_batch
from toolenv_gym.env import ToolArithEnv, ToolArithMemoryEnv
from toolenv_gym.episodes import Words
from toolenv_gym.guidance import UNGUIDED
from toolenv_gym.infos import UNREAD, LazyInfos
from toolenv_gym.observation import LENGTH
from toolenv_gym.streams import WIDTH as STREAM_WIDTH
from toolenv_gym.streams import Streams, to_generator, to_row
from toolenv_gym.tokens import ANS, N_TOKENS

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_KEYS = (
    "stage", "target", "graded_target", "guidance", "accumulator", "accumulator_full", "memory",
    "memory_full", "steps", "tokens", "action_mask", "is_success", "reached_target",
)  # fmt: skip


def _unread(*keys: str) -> dict[str, Any]:
    """Return what a LazyInfos starts with: the keys and their masks."""
    return {name: UNREAD for key in keys for name in (key, f"_{key}")}


_STATE = _unread(*_KEYS)
_RESTARTED = _unread("final_obs", "final_info", *_KEYS)


class ToolArithVectorEnv(VectorEnv[Integers, Integers, npt.NDArray[Any]]):
    """``ToolArith-v0``, ``num_envs`` times side by side, for ``gymnasium.make_vec``.

    For the same seeds and actions it gives exactly what a ``SyncVectorEnv`` of the scalar
    environments gives, each sub-environment having its own random stream; only it is much faster,
    and its infos are computed one by one when they are read. See :class:`toolenv_gym.ToolArithEnv`
    for the world. All arrays that it returns are the caller's to keep and to change.

    ``reset(options=...)`` takes, beside ``"digits"`` (one problem, or one a sub-environment, shape
    (num_envs, 5)) and ``"stage"`` (one, or one a sub-environment), the ``"reset_mask"`` of
    Gymnasium's vector environments: a bool array of those to be reset, the others go on.

    ``np_random`` gives copies of the random generators: drawing from them changes nothing.

    :param num_envs: at least 1
    :param stage: see :class:`toolenv_gym.ToolArithEnv`, as are the next three
    :param max_steps: budget of tokens
    :param shaping: weight of the milestones in the reward
    :param render_mode: ``render()`` gives a tuple of a frame for each sub-environment
    :param autoreset_mode: ``NEXT_STEP``, ``SAME_STEP`` or ``DISABLED``, see Gymnasium
    """

    metadata: dict[str, Any] = ToolArithEnv.metadata
    scalar_class: ClassVar[type[ToolArithEnv]] = ToolArithEnv

    def __init__(
        self,
        num_envs: int = 1,
        stage: arguments.Stage = 0,
        max_steps: int = rules.MAX_STEPS,
        shaping: float = rules.SHAPING,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:
        self.num_envs = arguments.check_num_envs(num_envs)
        scalar = self.scalar_class(stage, max_steps, shaping, render_mode)  # checks them
        self.rule_set = scalar.rule_set
        self.max_steps, self.shaping = scalar.max_steps, scalar.shaping
        self.render_mode = scalar.render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = self.metadata | {"autoreset_mode": self.autoreset_mode}
        self.single_observation_space = scalar.observation_space
        self.single_action_space = scalar.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.guidances: tuple[int, ...] = (UNGUIDED,)
        self.set_stage(stage)
        self._seeds: list[int | None] = [None] * self.num_envs
        self._streams: Streams = np.zeros((self.num_envs, STREAM_WIDTH), dtype=np.uint64)
        self._words = np.zeros((episodes.n_words(self.max_steps), self.num_envs), dtype=np.uint64)
        self._started = False
        self._rules = (
            self.rule_set,
            self.shaping,
            self.max_steps,
            self.autoreset_mode == AutoresetMode.SAME_STEP,
            self.autoreset_mode == AutoresetMode.NEXT_STEP,
        )

    def set_stage(self, stage: arguments.Stage) -> None:
        """Change the stage or stages that resets draw from; the present episodes go on."""
        self.stages = arguments.check_stages(stage)
        self._set_blanks()

    def set_guidance(self, steps: int | Sequence[int] | None) -> None:
        """Have masks guide from the next resets on: see :class:`toolenv_gym.ToolArithEnv`."""
        self.guidances = arguments.check_guidances(steps)
        self._set_blanks()

    def _set_blanks(self) -> None:
        """Work out the words in which episodes begin, by guidance and stage."""
        self._table = np.array(
            [
                [episodes.blank_word(stage, steps) for stage in range(rules.N_STAGES)]
                for steps in self.guidances
            ]
        )
        # Those that a reset draws from: the stages to each guidance.
        self._blanks = self._table[:, self.stages].ravel()

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Integers, dict[str, Any]]:
        """Start episodes; see the class for ``options``.

        :param seed: an int s for s, s + 1, ..., or one or None for each sub-environment
        """
        seeds = self._check_seeds(seed)
        mask, digits, stages = self._check_options(options)
        chosen = np.flatnonzero(mask)
        digits, stages = digits[chosen], stages[chosen]
        self._seed(chosen, seeds)
        self._words = self._words.copy()  # earlier infos read the old ones
        drawn = episodes.draw_starts(self._streams, chosen, len(self._blanks))
        choices, problems = rules.split_draw(drawn)  # type: ignore[arg-type]  # arrays go as well
        free_digits = np.stack(rules.digits_of(problems), axis=1)
        digits = np.where(digits < 0, free_digits.astype(np.int64), digits)
        guidance, free_stages = np.divmod(choices, len(self.stages))
        stages = np.where(stages < 0, np.array(self.stages)[free_stages], stages)
        episodes.start_episodes(self._words, chosen, self._table[guidance, stages], digits)
        self._started = True
        infos = LazyInfos.unread(_STATE, _Infos(self.rule_set, self.max_steps, self._words, mask))
        return episodes.observe_episodes(self._words), infos

    def step(
        self, actions: Integers
    ) -> tuple[Integers, npt.NDArray[np.float64], Flags, Flags, dict[str, Any]]:
        """Play one token in each sub-environment.

        :param actions: integers 0 to 17, shape (num_envs,)
        :return: observations int64 (num_envs, 8), rewards float64, terminations and truncations
            bool (num_envs,), infos
        """
        if not self._started:
            raise error.ResetNeeded("The episodes are not started: call reset() before step().")
        tokens = self._check_actions(actions)
        before, n = self._words, self.num_envs
        after = np.empty_like(before)
        observations = np.empty((n, LENGTH), dtype=np.int64)
        rewards = np.empty(n)
        terminations = np.empty(n, dtype=np.bool_)
        n_ended = episodes.step_episodes(
            *self._rules,
            self._blanks,
            self._streams,
            before,
            after,
            tokens,
            observations,
            rewards,
            terminations,
        )
        if n_ended < 0:
            self._refuse(n_ended, tokens)
        self._words = after
        infos = self._step_infos(before, after, tokens, n_ended)
        return observations, rewards, terminations, np.zeros(n, dtype=np.bool_), infos

    def action_masks(self) -> Flags:
        """Return which tokens have an effect, or the guidance admits, shape (num_envs, 18)."""
        self._check_started()
        masks: Flags = episodes.mask_episodes(self.rule_set, self._words)
        return masks

    def render(self) -> tuple[Any, ...] | None:
        """Return a frame for each sub-environment; see ``render_mode``."""
        self._check_started()
        if self.render_mode is None:
            return None
        draw = render.to_text if self.render_mode == "ansi" else render.to_picture
        reader = _Infos(self.rule_set, self.max_steps, self._words)
        return tuple(draw(reader.view(i, self.shaping)) for i in range(len(self)))

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return a value for each sub-environment: of an attribute, or of one call of a method."""
        value = getattr(self, _SCALAR_NAMES.get(name, name))
        if callable(value):
            value = value(*args, **kwargs)
        if name in _PER_ENV and value is not None:  # nothing is rendered without a render_mode
            return tuple(value)
        return (value,) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return an attribute of each sub-environment."""
        return self.call(name)

    def __len__(self) -> int:
        return self.num_envs

    @property
    def np_random_seed(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """The seeds of the sub-environments; None where none was ever reset."""
        return tuple(self._seeds)

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """A copy of each sub-environment's random generator."""
        return tuple(to_generator(stream) for stream in self._streams)

    def _check_started(self) -> None:
        if not self._started:
            raise error.ResetNeeded("The episodes are not started: call reset() first.")

    def _check_actions(self, actions: Any) -> Integers:
        """Return a copy of the actions as int64, which the infos will read."""
        tokens = np.array(actions)
        if tokens.shape != (self.num_envs,) or tokens.dtype.kind not in "iu":
            raise error.InvalidAction(
                f"The actions must be tokens, integers 0 to {N_TOKENS - 1}, of shape "
                f"({self.num_envs},), got {tokens.dtype} of shape {tokens.shape}"
            )
        return tokens.astype(np.int64, copy=False)

    def _refuse(self, status: int, tokens: Integers) -> None:
        if status == episodes.BAD_TOKEN:
            bad = np.flatnonzero((tokens < 0) | (tokens >= N_TOKENS))
            raise error.InvalidAction(
                f"The actions must be tokens, integers 0 to {N_TOKENS - 1}, got "
                f"{tokens[bad[0]]} for sub-environment {bad[0]}"
            )
        over = np.flatnonzero(episodes.are_over(self._words))
        raise error.ResetNeeded(
            f"The episodes of sub-environments {over.tolist()} are over: reset them with "
            f"options={{'reset_mask': ...}} before step()."
        )

    def _check_seeds(self, seed: Any) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, (Sequence, np.ndarray)):
            if len(seed) != self.num_envs:
                raise ValueError(
                    f"seed must be an int or one for each of {self.num_envs} sub-environments, "
                    f"got {len(seed)} of them"
                )
            return [None if one is None else arguments.check_seed(one) for one in seed]
        first = arguments.check_seed(seed)
        return list(range(first, first + self.num_envs))

    def _check_options(self, options: dict[str, Any] | None) -> tuple[Flags, Integers, Integers]:
        """Return which episodes to reset, and the digits and stages that are fixed, else -1."""
        options = options or {}
        unknown = set(options) - {"reset_mask", "digits", "stage"}
        if unknown:
            raise ValueError(
                f"reset options are 'reset_mask', 'digits' and 'stage', got {sorted(unknown)}"
            )
        mask = np.ones(self.num_envs, dtype=np.bool_)
        if "reset_mask" in options:
            mask = arguments.check_reset_mask(options["reset_mask"], self.num_envs)
        if not (self._started or mask.all()):
            raise error.ResetNeeded("The first reset must start all sub-environments.")
        digits, stages = np.full((self.num_envs, 5), -1), np.full(self.num_envs, -1)
        if "digits" in options:
            digits = arguments.check_digits_of_each(options["digits"], self.num_envs)
        if "stage" in options:
            stages = arguments.check_stage_of_each(options["stage"], self.num_envs)
        return mask, digits, stages

    def _seed(self, chosen: Integers, seeds: list[int | None]) -> None:
        """Give new random streams to the chosen episodes that have a seed or never had a stream."""
        for i in chosen.tolist():
            if seeds[i] is not None or self._seeds[i] is None:
                generator, self._seeds[i] = seeding.np_random(seeds[i])
                self._streams[i] = to_row(generator)

    def _step_infos(self, before: Words, after: Words, tokens: Integers, n_ended: int) -> LazyInfos:
        state = _Infos(self.rule_set, self.max_steps, after)
        if n_ended and self.autoreset_mode == AutoresetMode.SAME_STEP:
            return LazyInfos.unread(_RESTARTED, _RestartInfos(state, before, tokens))
        return LazyInfos.unread(_STATE, state)


class ToolArithMemoryVectorEnv(ToolArithVectorEnv):
    """``ToolArithMemory-v0``, ``num_envs`` times side by side: see :class:`ToolArithVectorEnv`."""

    scalar_class: ClassVar[type[ToolArithEnv]] = ToolArithMemoryEnv


_PER_ENV = {"action_masks", "np_random", "np_random_seed", "render"}
_SCALAR_NAMES = {
    "observation_space": "single_observation_space",
    "action_space": "single_action_space",
}


class _Infos:
    """Computes infos of episodes as ``VectorEnv._add_info`` would collect them.

    :param mask: those that give infos, all if None
    """

    def __init__(
        self, rule_set: int, max_steps: int, words: Words, mask: Flags | None = None
    ) -> None:
        self.rule_set, self.max_steps = rule_set, max_steps
        self.words, self.mask = words, mask

    def __call__(self, key: str) -> Any:
        name = key.removeprefix("_")
        if key != name:
            return np.ones(self.words.shape[1], np.bool_) if self.mask is None else self.mask.copy()
        values: npt.NDArray[Any] = getattr(self, f"_{name}")()
        if self.mask is not None:
            values[~self.mask] = 0
        return values

    @functools.cached_property
    def _unpacked(self) -> tuple[Integers, Integers, rules.Machine, Integers]:
        """The stages, digits, machines and steps; each field of the machines has shape (n,)."""
        stages, digits, machines, steps = episodes.unpack_episodes(self.rule_set, self.words)
        return stages, digits, rules.Machine(*machines.T), steps

    def _stage(self) -> Integers:
        return self._unpacked[0].copy()

    def _steps(self) -> Integers:
        return self._unpacked[3].copy()

    def _targets(self) -> tuple[Integers, Integers]:
        stages, digits, _, _ = self._unpacked
        targets: tuple[Integers, Integers] = target_batch(self.rule_set, stages, digits)
        return targets

    def _target(self) -> Integers:
        return self._targets()[0]

    def _graded_target(self) -> Integers:
        return self._targets()[1]

    def _accumulator(self) -> Integers:
        return np.array(self._unpacked[2].acc)

    def _accumulator_full(self) -> Flags:
        return np.array(self._unpacked[2].acc_full, dtype=np.bool_)

    def _memory(self) -> Integers:
        return np.array(rules.memory_content(self.rule_set, self._unpacked[2]))

    def _memory_full(self) -> Flags:
        return np.array(self._unpacked[2].memory_full, dtype=np.bool_)

    def _tokens(self) -> Integers:
        tokens: Integers = episodes.tokens_of(self.words, self.max_steps)
        return tokens

    def _action_mask(self) -> npt.NDArray[np.int8]:
        masks: Flags = episodes.mask_episodes(self.rule_set, self.words)
        return masks.view(np.int8)

    def _guidance(self) -> Integers:
        return episodes.guidances(self.words)

    def _is_success(self) -> Flags:
        correct: Flags = episodes.outcomes(self.rule_set, self.words)[0]
        return correct

    def _reached_target(self) -> Flags:
        reached: Flags = episodes.outcomes(self.rule_set, self.words)[1]
        return reached

    def view(self, i: int, shaping: float) -> render.View:
        """Return what is drawn of episode i."""
        one = _Infos(self.rule_set, self.max_steps, self.words[:, i : i + 1])
        stages, digits, machines, steps = one._unpacked
        machine = rules.Machine(*np.ravel(machines).tolist())
        stage, problem = int(stages[0]), tuple(digits[0].tolist())
        tokens = tuple(one._tokens()[0, : steps[0]].tolist())
        over = bool(episodes.are_over(one.words)[0])
        answered = over and tokens[-1] == ANS
        return render.View(
            rule_set=self.rule_set,
            digits=problem,
            stage=stage,
            tokens=tokens,
            machine=machine,
            max_steps=self.max_steps,
            reward=rules.answer_reward(self.rule_set, shaping, problem, stage, machine)
            if answered
            else 0.0,
            over=over,
        )


class _RestartInfos:
    """Computes the infos of a step in which episodes ended and new ones began.

    :param state: infos of the episodes after the step
    :param before: the episodes before it
    :param tokens: that were played
    """

    def __init__(self, state: _Infos, before: Words, tokens: Integers) -> None:
        self._state, self._before, self._tokens = state, before, tokens

    @functools.cached_property
    def _ended(self) -> Words:
        """The episodes with their last tokens, before any began anew."""
        ended = np.empty_like(self._before)
        episodes.append_tokens(self._state.max_steps, self._before, ended, self._tokens)
        return ended

    def __call__(self, key: str) -> Any:
        if not key.removeprefix("_").startswith("final_"):
            return self._state(key)
        ended = self._ended
        over = episodes.are_over(ended)
        if key == "final_obs":
            observations = episodes.observe_episodes(ended)
            final = np.full(len(over), None, dtype=object)
            for i in np.flatnonzero(over):
                final[i] = observations[i].copy()
            return final
        if key == "final_info":
            state = self._state
            return LazyInfos.unread(_STATE, _Infos(state.rule_set, state.max_steps, ended, over))
        return over
