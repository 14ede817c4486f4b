"""The vector environments: one class, which plays any world, and a subclass a world."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import error
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from toolenv_gym import arguments, observation, render, starts
from toolenv_gym.env import ToolArithEnv, ToolArithExpressionEnv, ToolArithMemoryEnv
from toolenv_gym.rules import Rules, World
from toolenv_gym.tokens import N_TOKENS
from toolenv_gym.vector import episodes
from toolenv_gym.vector.episodes import Flags, Integers, Words
from toolenv_gym.vector.infos import RESTARTED, STATE, LazyInfos, RestartInfos, StateInfos
from toolenv_gym.vector.streams import WIDTH as STREAM_WIDTH
from toolenv_gym.vector.streams import Streams, draw_below, to_generator, to_row

# What can be set, what is the same in all sub-environments, and what each has for itself.
_SETTINGS = ("stages", "guidances", "max_steps", "shaping", "render_mode")
_COMMON = {
    *_SETTINGS, "set_stage", "set_guidance", "has_wrapper_attr", "observation_space",
    "action_space", "metadata", "world", "reveal", "split",
}  # fmt: skip
_PER_ENV = {"action_masks", "np_random", "np_random_seed", "problem_text", "render"}
_INT, _BOOL = np.dtype(np.int64), np.dtype(np.bool_)  # made once: it saves time in every step
_SYNC_HAS = 'gymnasium.make_vec(..., vectorization_mode="sync") has an environment for each.'


def _setting(name: str) -> Any:
    """Return a setting of the scalar environment as an attribute of the vector environment."""

    def get(env: "ToolArithVectorEnv") -> Any:
        return getattr(env._scalar, name)

    def set_and_apply(env: "ToolArithVectorEnv", value: Any) -> None:
        setattr(env._scalar, name, value)
        env._apply_settings()

    return property(get, set_and_apply)


class ToolArithVectorEnv(VectorEnv[Integers, Integers, npt.NDArray[Any]]):
    """``ToolArith-v0``, ``num_envs`` times side by side, for ``gymnasium.make_vec``.

    For the same seeds and actions it gives exactly what a ``SyncVectorEnv`` of the scalar
    environments gives, each sub-environment having its own random stream; only it is much faster.
    See :class:`toolenv_gym.ToolArithEnv` for the world. All arrays that it returns are the caller's
    to keep and to change, unless ``copy=False``.

    ``reset(options=...)`` takes the options of the scalar environment, each of one problem or with
    one for each sub-environment (``"digits"`` of shape (num_envs, 5) in this world), and the
    ``"reset_mask"`` of Gymnasium's vector environments: a bool array of those to be reset, the
    others go on.

    There are no sub-environments behind it, hence these differences from ``SyncVectorEnv``:

    - ``infos`` are a :class:`~toolenv_gym.vector.infos.LazyInfos`, a subclass of ``dict`` that
      computes values when they are read. Gymnasium's ``data_equivalence`` compares types too: give
      it ``dict(infos)``, and ``dict(infos["final_info"])``;
    - the attributes ``stages``, ``guidances``, ``max_steps``, ``shaping`` and ``render_mode`` may
      be set, here or with ``set_attr``, and hold as in the scalar environment, but each is one for
      all sub-environments; no other attribute can be set;
    - ``call`` and ``get_attr`` reach these, ``set_stage``, ``set_guidance``, ``has_wrapper_attr``,
      ``action_masks``, ``render``, ``problem_text``, the spaces, ``metadata``, ``world``,
      ``reveal``, ``split``, ``np_random`` and ``np_random_seed``. They, and ``set_attr``, raise
      AttributeError for anything else;
    - ``np_random`` gives copies of the random generators: drawing from them changes nothing.

    :param num_envs: at least 1
    :param stage: see :class:`toolenv_gym.ToolArithEnv`, as are the next three
    :param max_steps: budget of tokens
    :param shaping: weight of the milestones in the reward
    :param render_mode: ``render()`` gives a tuple of a frame for each sub-environment
    :param autoreset_mode: ``NEXT_STEP``, ``SAME_STEP`` or ``DISABLED``, see Gymnasium
    :param max_episode_steps: steps after which an episode is truncated, as Gymnasium's
        ``TimeLimit`` does; None or -1 for no limit but ``max_steps``, which terminates
    :param copy: whether the observations, rewards and flags returned are the caller's to keep. If
        not, they are written into arrays made once, and hold until the next reset or step; infos
        are kept in any case. ``SyncVectorEnv`` does so with its observations
    :param reveal: how much of the context is shown, see the scalar environment
    """

    metadata: dict[str, Any] = ToolArithEnv.metadata
    scalar_class: ClassVar[type[ToolArithEnv]] = ToolArithEnv

    def __init__(
        self,
        num_envs: int = 1,
        stage: arguments.Stage = 0,
        max_steps: int | None = None,
        shaping: float | None = None,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        copy: bool = True,
        reveal: str = "always",
    ) -> None:
        scalar = self.scalar_class(stage, max_steps, shaping, render_mode, reveal)
        self._set_up(scalar, num_envs, autoreset_mode, max_episode_steps, copy)

    def _set_up(
        self,
        scalar: ToolArithEnv,
        num_envs: int,
        autoreset_mode: str | AutoresetMode,
        max_episode_steps: int | None,
        copy: bool,
    ) -> None:
        """Make everything.

        :param scalar: a scalar environment, which is never played: it holds the settings
        """
        self.num_envs = arguments.check_num_envs(num_envs)
        self._scalar = scalar
        self._autoreset_mode = AutoresetMode(autoreset_mode)
        self._time_limit = arguments.check_time_limit(max_episode_steps)
        self.metadata = self.metadata | {"autoreset_mode": self.autoreset_mode}
        self.single_observation_space = self._scalar.observation_space
        self.single_action_space = self._scalar.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._seeds: list[int | None] = [None] * self.num_envs
        self._streams: Streams = np.zeros((self.num_envs, STREAM_WIDTH), dtype=np.uint64)
        self._words: Words = np.zeros((0, self.num_envs), dtype=np.uint64)
        self._started = False
        rules = self._scalar.world.rules
        self._step_episodes = episodes.step_episodes(rules)
        self._n_entries = observation.length(rules)
        self._reveal = observation.REVEALS.index(self.reveal)
        self._templates = starts.template_table(rules, self.split)
        self._apply_settings()
        self._last_shaping = self.shaping
        self._copy = copy
        self._results = self._new_results()

    stages = _setting("stages")
    guidances = _setting("guidances")
    max_steps = _setting("max_steps")
    shaping = _setting("shaping")
    render_mode = _setting("render_mode")

    @property
    def _rules(self) -> Rules:
        return self._world.rules

    @property
    def world(self) -> World:
        """The rules and the settings that they are played with."""
        return self._world

    @property
    def autoreset_mode(self) -> AutoresetMode:
        """What happens when an episode ends; it is chosen when the environment is made."""
        return self._autoreset_mode

    def set_stage(self, stage: arguments.Stage) -> None:
        """Change the stage or stages that resets draw from; the present episodes go on."""
        self.stages = stage

    def set_guidance(self, free_tokens: int | Sequence[int] | None) -> None:
        """Have masks guide from the next resets on: see :class:`toolenv_gym.ToolArithEnv`."""
        self.guidances = free_tokens

    @property
    def reveal(self) -> str:
        """How much of the context is shown; it is chosen when the environment is made."""
        return self._scalar.reveal

    @property
    def split(self) -> str:
        """The set of templates that resets draw from, likewise."""
        return self._scalar.split

    @property
    def problem_text(self) -> tuple[str, ...]:
        """The present problem of each sub-environment as people read it."""
        self._check_started()
        reader = StateInfos(self.world, self._words)
        return tuple(self._rules.problem_text(reader.problem(i)) for i in range(self.num_envs))

    def _apply_settings(self) -> None:
        """Work out what steps and resets need of the settings."""
        world = self._world = self._scalar.world
        rules = world.rules
        self._settings = (
            world.shaping,
            world.max_steps,
            self._time_limit,
            self._reveal,
            rules.SPLITS.index(self.split),
            self._autoreset_mode == AutoresetMode.SAME_STEP,
            self._autoreset_mode == AutoresetMode.NEXT_STEP,
        )
        # Word 0 of new episodes, for each choice that a reset draws from.
        guidances = np.array(self.guidances)[:, np.newaxis]
        self._blanks = episodes.blank_words(self.stages, guidances).ravel()
        missing = episodes.n_words(world.rules, world.max_steps) - len(self._words)
        if missing > 0:  # the episodes in progress may become longer
            self._words = np.pad(self._words, ((0, missing), (0, 0)))

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
        mask, fixed_stages, fixed_problems = self._check_options(options)
        chosen = np.flatnonzero(mask)
        self._seed(chosen, seeds)
        self._words = self._words.copy()  # earlier infos read the old ones
        n_draws = starts.draw_range(self._rules)
        drawn = draw_below(self._streams, chosen, len(self._blanks) * n_draws)
        choices, rest = np.divmod(drawn.astype(np.int64), n_draws)
        guidances, places = np.divmod(choices, len(self.stages))
        fixed = fixed_stages[chosen]
        stages = np.where(fixed < 0, np.array(self.stages)[places], fixed)
        split = self._rules.SPLITS.index(self.split)
        numbers = episodes.drawn_numbers(self._rules)(split, self._templates, stages, rest)
        numbers = fixed_problems.numbers(chosen, stages, numbers)
        blanks = episodes.blank_words(stages, np.array(self.guidances)[guidances])
        episodes.start_episodes(self._rules)(self._words, chosen, blanks, numbers)
        self._started = True
        infos = LazyInfos.unread(STATE, StateInfos(self.world, self._words, mask))
        observations, *_ = self._new_results() if self._copy else self._results
        episodes.show_episodes(self._rules)(self._reveal, self._words, observations)
        return observations, infos

    def step(
        self, actions: Integers
    ) -> tuple[Integers, npt.NDArray[np.float64], Flags, Flags, dict[str, Any]]:
        """Play one token in each sub-environment.

        :param actions: integers 0 to 17, shape (num_envs,)
        :return: observations int64 (num_envs, length), rewards float64, terminations and
            truncations bool (num_envs,), infos
        """
        if not self._started:
            raise error.ResetNeeded("The episodes are not started: call reset() before step().")
        tokens = self._check_actions(actions)
        before = self._words
        after = np.empty_like(before)  # earlier infos read the old ones
        results = self._new_results() if self._copy else self._results
        n_ended = self._step_episodes(
            *self._settings,
            self._templates,
            self._blanks,
            self._streams,
            before,
            after,
            tokens,
            *results,
        )
        if n_ended < 0:
            self._refuse(n_ended, tokens)
        self._words, self._last_shaping = after, self._settings[0]
        return *results, self._step_infos(before, after, tokens, n_ended)

    def action_masks(self) -> Flags:
        """Return which tokens have an effect, or the guidance admits, shape (num_envs, 18)."""
        self._check_started()
        return StateInfos(self.world, self._words).action_masks()

    def render(self) -> tuple[Any, ...]:
        """Return a frame for each sub-environment; see ``render_mode``."""
        self._check_started()
        if self.render_mode is None:
            return (None,) * self.num_envs
        draw = render.to_text if self.render_mode == "ansi" else render.to_picture
        reader = StateInfos(self.world, self._words)
        return tuple(draw(reader.view(i, self._last_shaping)) for i in range(self.num_envs))

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return a value for each sub-environment: of an attribute, or of one call of a method.

        :param name: see the class
        :raises AttributeError: the environment has no such attribute, or none for each of them
        """
        if name in _PER_ENV:
            values = getattr(self, name)
            return tuple(values(*args, **kwargs) if callable(values) else values)
        value = getattr(self._scalar, name)
        if name not in _COMMON:
            raise AttributeError(f"{self} has no {name!r} of each sub-environment. {_SYNC_HAS}")
        if callable(value):
            value = value(*args, **kwargs)
            self._apply_settings()
        return (value,) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return an attribute of each sub-environment."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of all sub-environments.

        :param name: see the class
        :param values: the value for all, or a list or a tuple with the value of each, all equal
        :raises AttributeError: this attribute cannot be set
        :raises ValueError: the values differ, or they are not one for each sub-environment
        """
        if name not in _SETTINGS:
            raise AttributeError(
                f"{self} can set {', '.join(_SETTINGS)} of its sub-environments, got {name!r}. "
                f"{_SYNC_HAS}"
            )
        if isinstance(values, (list, tuple)):
            if len(values) != self.num_envs:
                raise ValueError(
                    f"a list or a tuple of values must have one for each of {self.num_envs} "
                    f"sub-environments, got {len(values)} of them: {values}"
                )
            if any(value != values[0] for value in values):
                raise ValueError(
                    f"{self} has one {name} for all sub-environments, got {values}. {_SYNC_HAS}"
                )
            values = values[0]
        setattr(self, name, values)

    def __len__(self) -> int:
        return self.num_envs

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seeds of the sub-environments, chosen now where none was given before."""
        self._seed_all()
        return tuple(seed for seed in self._seeds if seed is not None)

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """A copy of each sub-environment's random generator, seeded now if it never was."""
        self._seed_all()
        return tuple(to_generator(stream) for stream in self._streams)

    def state(self) -> dict[str, npt.NDArray[np.uint64]]:
        """Return the episodes and the random generators, for :meth:`restore` to go on from.

        The settings are not in it, nor the seeds that the generators once had.
        """
        self._check_started()
        return {"episodes": self._words.copy(), "streams": self._streams.copy()}

    def restore(self, state: dict[str, npt.NDArray[np.uint64]]) -> None:
        """Go on from what :meth:`state` gave, in an environment with the same settings.

        :raises KeyError or ValueError: it is no such state, or of another number of environments
        """
        words, streams = (np.array(state[name]) for name in ("episodes", "streams"))
        for given, own, fits in (
            (words, self._words, words.shape[1:] == self._words.shape[1:]),
            (streams, self._streams, streams.shape == self._streams.shape),
        ):
            if given.dtype != own.dtype or not fits:
                raise ValueError(
                    f"a state of {self.num_envs} environments has {own.dtype} of shape "
                    f"{own.shape}, got {given.dtype} of shape {given.shape}"
                )
        self._seed_all()
        self._words, self._streams = words, streams
        self._started = True
        self._apply_settings()

    def _new_results(self) -> tuple[Integers, npt.NDArray[np.float64], Flags, Flags]:
        """Return arrays for observations, rewards, terminations and truncations."""
        n = self.num_envs
        return (
            np.empty((n, self._n_entries), _INT),
            np.empty(n),
            np.empty(n, _BOOL),
            np.empty(n, _BOOL),
        )

    def _check_started(self) -> None:
        if not self._started:
            raise error.ResetNeeded("The episodes are not started: call reset() first.")

    def _check_actions(self, actions: Any) -> Integers:
        """Return the actions as int64."""
        tokens = np.asarray(actions)
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

    def _check_options(
        self, options: dict[str, Any] | None
    ) -> tuple[Flags, Integers, starts.FixedProblems]:
        """Return which episodes to reset, the stages fixed, else -1, and the problems fixed."""
        options = starts.check_options(self._rules, options, "reset_mask")
        mask = np.ones(self.num_envs, dtype=np.bool_)
        if "reset_mask" in options:
            mask = arguments.check_reset_mask(options["reset_mask"], self.num_envs)
        if not (self._started or mask.all()):
            raise error.ResetNeeded("The first reset must start all sub-environments.")
        stages = np.full(self.num_envs, -1)
        if "stage" in options:
            stages = arguments.check_stage_of_each(
                self._rules, options["stage"], self.split, self.num_envs
            )
        return mask, stages, starts.FixedProblems(self._rules, options, self.stages, stages)

    def _seed(self, chosen: Integers, seeds: list[int | None]) -> None:
        """Give new random streams to the chosen episodes that have a seed or never had a stream."""
        for i in chosen.tolist():
            if seeds[i] is not None or self._seeds[i] is None:
                generator, self._seeds[i] = seeding.np_random(seeds[i])
                self._streams[i] = to_row(generator)

    def _seed_all(self) -> None:
        """Give random streams to the episodes that never had one."""
        self._seed(np.arange(self.num_envs), [None] * self.num_envs)

    def _step_infos(self, before: Words, after: Words, tokens: Integers, n_ended: int) -> LazyInfos:
        state = StateInfos(self._world, after)
        _, _, time_limit, reveal, _, same_step, _ = self._settings
        if n_ended and same_step:
            restart = RestartInfos(state, time_limit, reveal, before, tokens.copy())  # read later
            return LazyInfos.unread(RESTARTED, restart)
        return LazyInfos.unread(STATE, state)


class ToolArithMemoryVectorEnv(ToolArithVectorEnv):
    """``ToolArithMemory-v0``, ``num_envs`` times side by side: see :class:`ToolArithVectorEnv`."""

    scalar_class: ClassVar[type[ToolArithEnv]] = ToolArithMemoryEnv


class ToolArithExpressionVectorEnv(ToolArithVectorEnv):
    """``ToolArithExpression-v0``, ``num_envs`` times: see :class:`ToolArithVectorEnv`.

    There is no ``shaping``.

    :param num_envs: at least 1
    :param stage: see :class:`toolenv_gym.ToolArithExpressionEnv`, as are the next two
    :param max_steps: budget of tokens
    :param render_mode: ``render()`` gives a tuple of a frame for each sub-environment
    :param autoreset_mode: see :class:`ToolArithVectorEnv`, as are the next two
    :param max_episode_steps: steps after which an episode is truncated
    :param copy: whether what is returned is the caller's to keep
    :param reveal: how much of the context is shown
    :param split: the set of templates that resets draw from
    """

    scalar_class = ToolArithExpressionEnv

    def __init__(
        self,
        num_envs: int = 1,
        stage: arguments.Stage = 0,
        max_steps: int | None = None,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        copy: bool = True,
        reveal: str = "always",
        split: str = "all",
    ) -> None:
        scalar = ToolArithExpressionEnv(stage, max_steps, render_mode, reveal, split)
        self._set_up(scalar, num_envs, autoreset_mode, max_episode_steps, copy)
