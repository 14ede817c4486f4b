"""Infos of vector environments that are computed when they are read."""

import functools
from collections.abc import Callable, ItemsView, Iterator, ValuesView
from typing import Any

import numpy as np
import numpy.typing as npt

from toolenv_gym import episodes, render, rules
from toolenv_gym.compiled import target_batch
from toolenv_gym.episodes import Flags, Integers, Words
from toolenv_gym.tokens import ANS

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


_KEYS = (
    "stage", "target", "graded_target", "guidance", "accumulator", "accumulator_full", "memory",
    "memory_full", "steps", "tokens", "action_mask", "is_success", "reached_target",
)  # fmt: skip


def _unread(*keys: str) -> dict[str, Any]:
    """Return what a LazyInfos starts with: the keys and their masks."""
    return {name: UNREAD for key in keys for name in (key, f"_{key}")}


# What the infos of a step or a reset start with, and of a step that ended and began episodes.
STATE = _unread(*_KEYS)
RESTARTED = _unread("final_obs", "final_info", *_KEYS)


class StateInfos:
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
        one = StateInfos(self.rule_set, self.max_steps, self.words[:, i : i + 1])
        stages, digits, machines, steps = one._unpacked
        machine = rules.Machine(*np.ravel(machines).tolist())
        stage, problem = int(stages[0]), tuple(digits[0].tolist())
        tokens = tuple(episodes.tokens_of(one.words, steps[0])[0].tolist())
        over = bool(episodes.are_terminated(one.words)[0])
        answered = over and tokens[-1] == ANS
        return render.View(
            rule_set=self.rule_set,
            digits=problem,
            stage=stage,
            tokens=tokens,
            machine=machine,
            max_steps=max(self.max_steps, len(tokens)),
            reward=rules.answer_reward(self.rule_set, shaping, problem, stage, machine)
            if answered
            else 0.0,
            over=over,
        )


class RestartInfos:
    """Computes the infos of a step in which episodes ended and new ones began.

    :param state: infos of the episodes after the step
    :param time_limit: steps after which they are truncated
    :param before: the episodes before it
    :param tokens: that were played
    """

    def __init__(self, state: StateInfos, time_limit: int, before: Words, tokens: Integers) -> None:
        self._state, self._time_limit = state, time_limit
        self._before, self._tokens = before, tokens

    @functools.cached_property
    def _ended(self) -> Words:
        """The episodes with their last tokens, before any began anew."""
        ended = np.empty_like(self._before)
        limits = self._state.max_steps, self._time_limit
        episodes.append_tokens(*limits, self._before, ended, self._tokens)
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
            return LazyInfos.unread(STATE, StateInfos(state.rule_set, state.max_steps, ended, over))
        return over
