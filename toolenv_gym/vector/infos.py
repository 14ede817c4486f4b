"""Infos of vector environments that are computed when they are read."""

import functools
from collections.abc import Callable, ItemsView, Iterator, ValuesView
from typing import Any

import numpy as np
import numpy.typing as npt

from toolenv_gym import render
from toolenv_gym.observation import ALWAYS, CONTEXT, STAGE
from toolenv_gym.rules import Machine, Problem, World, answer_reward
from toolenv_gym.tokens import ANS
from toolenv_gym.vector import episodes
from toolenv_gym.vector.episodes import Flags, Integers, Words

UNREAD = object()  # stands in a LazyInfos where a value will be


class LazyInfos(dict[str, Any]):
    """A dict whose values are computed one by one, each when it is first read.

    Which keys there are is known at once. It is made, and behaves, as a plain dict, which is what
    copies and pickles of it are.
    """

    _compute: Callable[[str], Any]

    @classmethod
    def unread(cls, values: dict[str, Any], compute: Callable[[str], Any]) -> "LazyInfos":
        """Return infos that are yet to be computed.

        :param values: a value for each key, or :data:`UNREAD`
        :param compute: gives the value of a key that is unread
        """
        infos = cls(values)
        infos._compute = compute
        return infos

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if value is UNREAD:
            value = self[key] = self._compute(key)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 (that is what get does)

    def __iter__(self) -> Iterator[str]:
        # Overridden so that dict(infos) and {**infos} go through __getitem__.
        return super().__iter__()

    def _read_all(self) -> dict[str, Any]:
        return {key: self[key] for key in self}

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        return self._read_all().items()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        return self._read_all().values()

    def copy(self) -> dict[str, Any]:
        return self._read_all()

    def pop(self, key: str, *default: Any) -> Any:
        if key in self:
            self[key]
        return super().pop(key, *default)

    def popitem(self) -> tuple[str, Any]:
        self._read_all()
        return super().popitem()

    def setdefault(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else super().setdefault(key, default)

    def __or__(self, other: Any) -> Any:
        return self._read_all() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._read_all()

    def __eq__(self, other: object) -> bool:
        return self._read_all() == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __repr__(self) -> str:
        return repr(self._read_all())

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (self._read_all(),)


class StateInfos:
    """Computes infos of episodes as ``VectorEnv._add_info`` would collect them.

    :param mask: those that give infos, all if None
    """

    def __init__(self, world: World, words: Words, mask: Flags | None = None) -> None:
        self.world, self.words, self.mask = world, words, mask

    def __call__(self, key: str) -> Any:
        name = key.removeprefix("_")
        if key != name:
            return np.ones(self.words.shape[1], np.bool_) if self.mask is None else self.mask.copy()
        values: npt.NDArray[Any] = _INFOS[name](self)
        if self.mask is not None:
            values[~self.mask] = 0
        return values

    @functools.cached_property
    def machines(self) -> Machine:
        """The machines; each field has shape (n,)."""
        return Machine(*episodes.machines_of(self.world.rules)(self.words).T)

    @functools.cached_property
    def facts(self) -> Integers:
        """The templates, described and graded targets and lengths of the plans, shape (4, n)."""
        return episodes.facts_of(self.world.rules)(self.words)

    @functools.cached_property
    def outcomes(self) -> tuple[Flags, Flags]:
        """Whether the graded and whether the described target was answered, each of shape (n,)."""
        return episodes.outcomes_of(self.world.rules)(self.words)

    def action_masks(self) -> Flags:
        """Return which tokens have an effect, or are admitted by the guidance, shape (n, 18)."""
        return episodes.mask_episodes(self.world.rules)(self.words)

    def tokens(self, max_steps: int) -> Integers:
        """Return the first tokens, then -1, shape (n, max_steps)."""
        return episodes.tokens_of(self.world.rules)(self.words, max_steps)

    def problem(self, i: int) -> Problem:
        """Return the problem of episode i."""
        rules = self.world.rules
        (shown,) = episodes.observe_episodes(rules, ALWAYS, self.words[:, i : i + 1]).tolist()
        return rules.read_context(shown[STAGE], shown[CONTEXT])

    def view(self, i: int, shaping: float) -> render.View:
        """Return what is drawn of episode i."""
        rules = self.world.rules
        one = StateInfos(self.world, self.words[:, i : i + 1])
        problem = self.problem(i)
        machine = Machine(*np.ravel(one.machines).tolist())
        tokens = tuple(one.tokens(int(episodes.steps_of(one.words)[0]))[0].tolist())
        over = bool(episodes.are_terminated(one.words)[0])
        answered = over and tokens[-1] == ANS
        world = self.world._replace(shaping=shaping)
        return render.View(
            rules=rules,
            problem=problem,
            tokens=tokens,
            machine=machine,
            max_steps=max(self.world.max_steps, len(tokens)),
            reward=answer_reward(world, problem, machine) if answered else 0.0,
            over=over,
        )


# What each of the infos is. All are new arrays: they are the caller's to change.
_INFOS: dict[str, Callable[[StateInfos], npt.NDArray[Any]]] = {
    "stage": lambda state: episodes.stages_of(state.words),
    "template": lambda state: state.facts[0].copy(),
    "target": lambda state: state.facts[1].copy(),
    "graded_target": lambda state: state.facts[2].copy(),
    "plan_length": lambda state: state.facts[3].copy(),
    "guidance": lambda state: episodes.guidances_of(state.words),
    "accumulator": lambda state: np.array(state.machines.acc),
    "accumulator_full": lambda state: np.array(state.machines.acc_full, dtype=np.bool_),
    "memory": lambda state: np.array(state.machines.memory),
    "memory_full": lambda state: np.array(state.machines.memory_full, dtype=np.bool_),
    "steps": lambda state: episodes.steps_of(state.words),
    "tokens": lambda state: state.tokens(state.world.max_steps),
    "action_mask": lambda state: state.action_masks().view(np.int8),
    "is_success": lambda state: state.outcomes[0].copy(),
    "reached_target": lambda state: state.outcomes[1].copy(),
}


def _unread(*keys: str) -> dict[str, Any]:
    """Return what a LazyInfos starts with: the keys and their masks."""
    return {name: UNREAD for key in keys for name in (key, f"_{key}")}


# What the infos of a step or a reset start with, and of a step that ended and began episodes.
STATE = _unread(*_INFOS)
RESTARTED = _unread("final_obs", "final_info", *_INFOS)


class RestartInfos:
    """Computes the infos of a step in which episodes ended and new ones began.

    :param state: infos of the episodes after the step
    :param time_limit: steps after which they are truncated
    :param reveal: how much of the context is shown
    :param before: the episodes before it
    :param tokens: that were played
    """

    def __init__(
        self, state: StateInfos, time_limit: int, reveal: int, before: Words, tokens: Integers
    ) -> None:
        self._state, self._time_limit, self._reveal = state, time_limit, reveal
        self._before, self._tokens = before, tokens

    @functools.cached_property
    def _ended(self) -> Words:
        """The episodes with their last tokens, before any began anew."""
        ended = np.empty_like(self._before)
        world = self._state.world
        append_tokens = episodes.append_tokens(world.rules)
        limits = world.max_steps, self._time_limit
        append_tokens(*limits, self._reveal, self._before, ended, self._tokens)
        return ended

    def __call__(self, key: str) -> Any:
        if not key.removeprefix("_").startswith("final_"):
            return self._state(key)
        ended = self._ended
        over = episodes.are_over(ended)
        if key == "final_obs":
            observations = episodes.observe_episodes(self._state.world.rules, self._reveal, ended)
            final = np.full(len(over), None, dtype=object)
            for i in np.flatnonzero(over):
                final[i] = observations[i].copy()
            return final
        if key == "final_info":
            return LazyInfos.unread(STATE, StateInfos(self._state.world, ended, over))
        return over
