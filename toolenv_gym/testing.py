"""A checker for vector environments; Gymnasium's own ``check_env`` takes single ones only.

:func:`check_vector_env` runs these checks, each in every autoreset mode, the simplest first:

| check | what must hold |
|-------|----------------|
| attributes | a ``VectorEnv``: batched spaces, autoreset mode, ``render_mode``, ``closed`` |
| reset | observations of the space and its dtype; seeds as an int or a list give equal streams |
| seeds | those read before the first reset are set, and that reset plays from them |
| step | observations, float64 rewards, bool flags; equal seeds and actions give equal steps |
| infos | arrays of one row a sub-environment, each key with its mask ``_key`` |
| returned arrays | they are the caller's: neither side sees what the other writes later |
| autoreset | what the mode promises when episodes end |
| modes agree | the episodes end and begin with the same observations in every mode |
| bad actions | too many actions and actions outside of the space raise |
| copies | a deep copy in the middle of episodes continues identically |
| SyncVectorEnv | everything returned equals, to the last bit, what ``SyncVectorEnv`` returns |
| settings | what the sub-environments have is read and set as in a ``SyncVectorEnv`` |

A failed check raises an ``AssertionError``. Gymnasium's vectorised single environments pass, its
native vector environment of the cart pole does not:

```python
>>> import gymnasium as gym
>>> from gymnasium.vector import AutoresetMode, SyncVectorEnv
>>> from toolenv_gym.testing import check_vector_env
>>> def make_single():
...     return gym.make("CartPole-v1")
>>> def make_env(mode):
...     return SyncVectorEnv([make_single] * 3, autoreset_mode=mode)
>>> check_vector_env(make_env, make_single)
>>> def make_native(mode):
...     return gym.make_vec("CartPole-v1", num_envs=3)
>>> check_vector_env(make_native, modes=[AutoresetMode.NEXT_STEP])
Traceback (most recent call last):
AssertionError: attributes (NEXT_STEP): closed is False after close(), it must be True

```
"""

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NoReturn

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

__all__ = ["check_vector_env"]

MakeVectorEnv = Callable[[AutoresetMode], VectorEnv[Any, Any, Any]]
MakeEnv = Callable[[], gym.Env[Any, Any]]
Mask = npt.NDArray[np.bool_]
Returned = dict[str, Any]  # what a reset or a step returned, by name


def check_vector_env(
    make_env: MakeVectorEnv,
    make_single: MakeEnv | None = None,
    *,
    modes: Sequence[AutoresetMode] = tuple(AutoresetMode),
    steps: int = 200,
    seed: int = 0,
    copies: bool = True,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Check that a vector environment keeps the conventions of Gymnasium.

    Settings, and equality with ``SyncVectorEnv``, are checked if ``make_single`` is given. Infos
    have to be reproducible too, without times of the clock.

    :param make_env: returns a new vector environment in the autoreset mode given
    :param make_single: returns a new single environment, a sub-environment of the vector one
    :param modes: the autoreset modes that the environment offers
    :param steps: random steps played in a run; some episode must end within them
    :param seed: seed of the environments and of the actions
    :param copies: whether deep copies must work; pass False for an environment with processes or
        windows, such as ``AsyncVectorEnv``, whose pipes do not survive an attempt
    :param settings: attributes that ``set_attr`` can change, with a value for all
        sub-environments; one that the vector environment shows itself is set there as well
    :raises AssertionError: if a check fails; the message says which, what was seen and what would
        be right
    """
    for name, check in CHECKS.items():
        for mode in modes:
            trial = _Trial(
                make_env, make_single, modes, mode, steps, seed, copies, settings or {}, ExitStack()
            )
            _run(check, trial, f"{name} ({mode.name})")


class _FailureError(AssertionError):
    """What a check has to say; :func:`_run` adds where."""


@dataclasses.dataclass(frozen=True)
class _Trial:
    """All that a check needs: its environments, which are closed at its end, and how to play."""

    make_env: MakeVectorEnv
    make_single: MakeEnv | None
    modes: Sequence[AutoresetMode]
    mode: AutoresetMode
    steps: int
    seed: int
    copies: bool
    settings: Mapping[str, Any]
    stack: ExitStack

    def make(self) -> Any:
        """Return a new environment; ``Any``, as ``VectorEnv`` annotates no list of seeds."""
        env = self.make_env(self.mode)
        if not isinstance(env, VectorEnv):
            _fail(f"make_env returned {env!r}, it must return a gymnasium.vector.VectorEnv")
        self.stack.callback(env.close)
        return env

    def make_sync(self, num_envs: int) -> SyncVectorEnv:
        """Return what the environment is compared with."""
        assert self.make_single is not None
        sync = SyncVectorEnv([self.make_single] * num_envs, autoreset_mode=self.mode)
        self.stack.callback(sync.close)
        return sync

    def actions(self, env: Any, stream: int = 0) -> list[Any]:
        """Return random actions for the whole run, the same for every environment."""
        space = batch_space(env.single_action_space, env.num_envs)
        space.seed(self.seed + stream)
        return [space.sample() for _ in range(self.steps)]

    def play(self, env: Any) -> Iterator[Returned]:
        """Reset with the seed and play the whole run, yield what each call returns."""
        yield _reset(env, seed=self.seed)
        yield from _play_on(env, self.mode, self.actions(env))

    def play_to_an_end(self, env: Any) -> tuple[Returned, Mask]:
        """Reset with the seed and play until an episode ends.

        :return: what the last step returned, and which sub-environments ended
        """
        _reset(env, seed=self.seed)
        for actions in self.actions(env):
            returned = _step(env, actions)
            done = _done(returned)
            if done.any():
                return returned, done
        _fail(f"no episode ended within {self.steps} steps of random actions: raise steps")


def _run(check: Callable[[_Trial], None], trial: _Trial, name: str) -> None:
    """Run one check; whatever goes wrong becomes an error that names it."""
    try:
        with trial.stack:
            check(trial)
    except _FailureError as failure:
        raise AssertionError(f"{name}: {failure}") from None
    except Exception as error:
        raise AssertionError(f"{name}: the environment raised {error!r}") from error


def _fail(message: str) -> NoReturn:
    raise _FailureError(message)


# ------------------------------------------------------------------------------- the checks


def _check_attributes(trial: _Trial) -> None:
    env = trial.make()
    if not (isinstance(env.num_envs, int) and env.num_envs > 0):
        _fail(f"num_envs is {env.num_envs!r}, it must be a positive int")
    for name in ("observation_space", "action_space"):
        _require_space(env, name, batch_space(getattr(env, f"single_{name}"), env.num_envs))
    mode = env.metadata.get("autoreset_mode")
    if mode is not trial.mode:
        _fail(f'metadata["autoreset_mode"] is {mode!r}, it must be {trial.mode}')
    render_modes = env.metadata.get("render_modes", [])
    if env.render_mode not in (None, *render_modes):
        _fail(f"render_mode is {env.render_mode!r}, it must be None or one of {render_modes}")
    if env.closed is not False:
        _fail(f"closed is {env.closed!r} in a new environment, it must be False")
    env.close()
    if env.closed is not True:
        _fail(f"closed is {env.closed!r} after close(), it must be True")


def _check_reset(trial: _Trial) -> None:
    env, twin = trial.make(), trial.make()
    seed = trial.seed
    first = _reset(env, seed=seed)
    _require_same(first, _reset(twin, seed=seed), f"reset(seed={seed}) of two environments")
    what = f"reset() of two environments after reset(seed={seed})"
    _require_same(_reset(env), _reset(twin), what)
    seeds = [seed + i for i in range(env.num_envs)]
    what = f"reset(seed={seeds}) after reset(seed={seed}), which means the same"
    _require_same(_reset(env, seed=seeds), first, what)
    seeds = [seed] * env.num_envs
    alike = _rows(env, _reset(env, seed=seeds))
    what = f"sub-environments with the same seed, reset(seed={seeds})"
    _require_same({"observations": alike}, {"observations": [alike[0]] * env.num_envs}, what)


def _check_seeds(trial: _Trial) -> None:
    env, twin = trial.make(), trial.make()
    generators, seeds = env.unwrapped.np_random, env.unwrapped.np_random_seed
    several = isinstance(seeds, tuple)  # one for each sub-environment, as in a SyncVectorEnv
    listed = list(seeds) if several else [seeds]
    if None in listed:
        _fail(f"np_random_seed is {seeds} before the first reset, it must hold integers")
    for generator, seed in zip(generators if several else [generators], listed, strict=True):
        right = seeding.np_random(seed)[0].bit_generator.state
        what = "a generator of np_random before the first reset, beside its seed"
        _require_same({"state": generator.bit_generator.state}, {"state": right}, what)
    what = "reset() after np_random_seed was read, which must play from these seeds"
    _require_same(_reset(env), _reset(twin, seed=listed if several else seeds), what)
    what = "np_random_seed after a reset() without a seed, which must keep it"
    _require_same({"seeds": env.unwrapped.np_random_seed}, {"seeds": seeds}, what)


def _check_step(trial: _Trial) -> None:
    what = "two environments with equal seeds and actions"
    _require_same_run(trial.play(trial.make()), trial.play(trial.make()), what)


def _check_infos(trial: _Trial) -> None:
    env = trial.make()
    for returned in trial.play(env):
        _require_masks(returned["infos"], env.num_envs, "infos")


def _check_returned_arrays(trial: _Trial) -> None:
    kept = list(trial.play(trial.make()))
    what = "returned values looked at after later steps, which must not change them"
    _require_same_run(kept, trial.play(trial.make()), what)
    overwritten = _overwriting(trial.play(trial.make()))
    what = "steps after all returned arrays were overwritten, which must not matter"
    _require_same_run(overwritten, trial.play(trial.make()), what)


def _check_autoreset(trial: _Trial) -> None:
    trial.play_to_an_end(trial.make())  # without an end there would be nothing to check
    if trial.mode is AutoresetMode.NEXT_STEP:
        _check_next_step(trial)
    elif trial.mode is AutoresetMode.SAME_STEP:
        _check_same_step(trial)
    else:
        _check_disabled(trial)


def _check_next_step(trial: _Trial) -> None:
    env, twin = trial.make(), trial.make()
    _reset(env, seed=trial.seed)
    _reset(twin, seed=trial.seed)
    over = np.zeros(env.num_envs, dtype=np.bool_)
    for actions, others in zip(trial.actions(env), trial.actions(env, stream=1), strict=True):
        returned = _step(env, actions)
        for name in ("rewards", "terminations", "truncations"):
            if returned[name][over].any():
                _fail(
                    f"the step after an episode's end returned {name} {returned[name]}, these must "
                    f"be 0 in the sub-environments that it reset, {np.flatnonzero(over)}"
                )
        _require_no_final(returned["infos"])
        what = "the step after an episode's end, which must ignore the action there"
        _require_same(_step(twin, _choose(env, over, others, actions)), returned, what)
        over = _done(returned)


def _check_same_step(trial: _Trial) -> None:
    env = trial.make()
    _reset(env, seed=trial.seed)
    for returned in _play_on(env, trial.mode, trial.actions(env)):
        infos = returned["infos"]
        done = _done(returned)
        if done.any():
            _require_final(infos, done)
            _require_final_observations(infos["final_obs"], done, env)
        else:
            _require_no_final(infos)


def _check_disabled(trial: _Trial) -> None:
    env = trial.make()
    first = _rows(env, _reset(env, seed=trial.seed))
    returned, done = trial.play_to_an_end(env)
    before = _rows(env, returned)
    # With the seed given, the observations of the rows that are reset are known.
    returned = _reset(env, seed=trial.seed, options={"reset_mask": done.copy()})
    right = [new if reset else old for reset, new, old in zip(done, first, before, strict=True)]
    what = f"a reset with the reset_mask {done}, which must reset these sub-environments only"
    _require_same({"observations": _rows(env, returned)}, {"observations": right}, what)
    for key, value in returned["infos"].items():
        if key.startswith("_") and (value & ~done).any():
            _fail(f"{what}: infos[{key!r}] is {value}")
    _require_bad_masks_raise(env)


def _check_modes_agree(trial: _Trial) -> None:
    reference = dataclasses.replace(trial, mode=trial.modes[0])
    what = f"the first end of an episode, other than in mode {reference.mode.name}"
    _require_same(_first_end(trial), _first_end(reference), what)


def _check_bad_actions(trial: _Trial) -> None:
    env = trial.make()
    _reset(env, seed=trial.seed)
    longer = batch_space(env.single_action_space, env.num_envs + 1).sample()
    what = f"step() of {env.num_envs} sub-environments with {env.num_envs + 1} actions"
    _require_raises(functools.partial(env.step, longer), what)
    outside = _outside(env.single_action_space)
    if outside is not None:
        # A new one: nothing is promised of an environment after bad actions.
        other = trial.make()
        _reset(other, seed=trial.seed)
        actions = np.array(trial.actions(other)[0])
        actions[-1] = outside
        what = f"step() with the actions {actions}, of which the last is outside of the space,"
        _require_raises(functools.partial(other.step, actions), what)


def _check_copies(trial: _Trial) -> None:
    if not trial.copies:
        return
    env = trial.make()
    actions = _play_half(trial, env)
    twin = copy.deepcopy(env)
    trial.stack.callback(twin.close)
    played = list(_play_on(env, trial.mode, actions))
    half = trial.steps // 2
    what = f"a deep copy made after {half} steps, which must continue as the original does"
    _require_same_run(_play_on(twin, trial.mode, actions), played, what)


def _check_equality(trial: _Trial) -> None:
    if trial.make_single is None:
        return
    env = trial.make()
    sync = trial.make_sync(env.num_envs)
    _require_space(env, "observation_space", sync.observation_space)
    _require_space(env, "action_space", sync.action_space)
    seeds = [trial.seed + 10 * i for i in range(env.num_envs)]
    # One after the other in the same two environments: resets in the middle of episodes too.
    for seed in (trial.seed, seeds, None):
        what = f"after reset(seed={seed})"
        _require_same(_reset(env, seed=seed), _reset(sync, seed=seed), what)
        run, right = (_play_on(each, trial.mode, trial.actions(env)) for each in (env, sync))
        _require_same_run(run, right, what)


def _check_settings(trial: _Trial) -> None:
    if trial.make_single is None:
        return
    _require_same_attributes(trial)
    for name, value in trial.settings.items():
        _require_heeded(trial, name, value, _set_attr, "set_attr()")
        if hasattr(trial.make().unwrapped, name):
            _require_heeded(trial, name, value, _assign, "assignment")


CHECKS: dict[str, Callable[[_Trial], None]] = {
    "attributes": _check_attributes,
    "reset": _check_reset,
    "seeds": _check_seeds,
    "step": _check_step,
    "infos": _check_infos,
    "returned arrays": _check_returned_arrays,
    "autoreset": _check_autoreset,
    "modes agree": _check_modes_agree,
    "bad actions": _check_bad_actions,
    "copies": _check_copies,
    "SyncVectorEnv": _check_equality,
    "settings": _check_settings,
}


# ------------------------------------------------------------------------------- playing


def _reset(env: Any, **arguments: Any) -> Returned:
    """Reset, check the form of what is returned, and return it by name."""
    returned = env.reset(**arguments)
    if not (isinstance(returned, tuple) and len(returned) == 2):
        _fail(f"reset() returned {returned!r}, it must return a tuple (observations, infos)")
    named = dict(zip(("observations", "infos"), returned, strict=True))
    _require_form(env, named, "reset()")
    return named


def _step(env: Any, actions: Any) -> Returned:
    """Step, check the form of what is returned, and return it by name."""
    names = ("observations", "rewards", "terminations", "truncations", "infos")
    returned = env.step(actions)
    if not (isinstance(returned, tuple) and len(returned) == len(names)):
        _fail(f"step() returned {returned!r}, it must return a tuple ({', '.join(names)})")
    named = dict(zip(names, returned, strict=True))
    _require_form(env, named, "step()")
    _require_array(named["rewards"], np.float64, env.num_envs, "rewards")
    _require_array(named["terminations"], np.bool_, env.num_envs, "terminations")
    _require_array(named["truncations"], np.bool_, env.num_envs, "truncations")
    return named


def _play_on(env: Any, mode: AutoresetMode, actions: Iterable[Any]) -> Iterator[Returned]:
    """Play the actions, yield what each step returns, and each reset that DISABLED asks for."""
    for each in actions:
        returned = _step(env, each)
        done = _done(returned)  # before the yield, after which the flags may be overwritten
        yield returned
        if mode is AutoresetMode.DISABLED and done.any():
            yield _reset(env, options={"reset_mask": done})


def _done(returned: Returned) -> Mask:
    """Return which sub-environments' episodes a step ended."""
    done: Mask = returned["terminations"] | returned["truncations"]
    return done


def _rows(env: Any, returned: Returned) -> list[Any]:
    """Return the observation of each sub-environment."""
    return list(iterate(env.observation_space, returned["observations"]))


def _choose(env: Any, mask: Mask, actions: Any, others: Any) -> Any:
    """Return a batch of ``actions`` where ``mask`` is set, of ``others`` elsewhere."""
    pairs = zip(iterate(env.action_space, actions), iterate(env.action_space, others), strict=True)
    rows = [one if chosen else other for chosen, (one, other) in zip(mask, pairs, strict=True)]
    return _batch(env.single_action_space, rows)


def _batch(space: spaces.Space[Any], rows: list[Any]) -> Any:
    """Return the batch of members of a single space."""
    empty: Any = create_empty_array(space, len(rows))
    return concatenate(space, rows, empty)


def _outside(space: spaces.Space[Any]) -> Any:
    """Return an action outside of a discrete space, None for a space of another kind."""
    if isinstance(space, spaces.Discrete):
        return space.start + space.n
    if isinstance(space, spaces.MultiDiscrete):
        return space.start + space.nvec
    return None


def _first_end(trial: _Trial) -> Returned:
    """Return the last observations of the first episodes that end, and the first ones after."""
    env = trial.make()
    returned, done = trial.play_to_an_end(env)
    last = first = _rows(env, returned)
    if trial.mode is AutoresetMode.SAME_STEP:
        last = list(returned["infos"]["final_obs"])
    elif trial.mode is AutoresetMode.NEXT_STEP:
        first = _rows(env, _step(env, trial.actions(env)[0]))
    else:
        first = _rows(env, _reset(env, options={"reset_mask": done}))
    ended = np.flatnonzero(done)
    space = env.single_observation_space
    return {
        "sub-environments": ended,
        "last observations": _batch(space, [last[i] for i in ended]),
        "next observations": _batch(space, [first[i] for i in ended]),
    }


def _play_half(trial: _Trial, env: Any) -> list[Any]:
    """Reset with the seed, play the first half of the run and return the actions that are left."""
    actions = trial.actions(env)
    half = len(actions) // 2
    _reset(env, seed=trial.seed)
    for _ in _play_on(env, trial.mode, actions[:half]):
        pass
    return actions[half:]


def _set_attr(env: Any, name: str, value: Any) -> None:
    """Set an attribute through the vector environment's method."""
    env.unwrapped.set_attr(name, [value] * env.num_envs)


def _assign(env: Any, name: str, value: Any) -> None:
    """Set an attribute of the vector environment itself."""
    setattr(env.unwrapped, name, value)


def _overwriting(run: Iterable[Returned]) -> Iterator[Returned]:
    """Yield what is returned; overwrite it when the next is asked for."""
    for returned in run:
        yield returned
        _overwrite(returned)


def _overwrite(value: Any) -> None:
    """Change every entry of every array in ``value``; read-only ones are safe."""
    parts = _parts(value)
    if isinstance(value, np.ndarray) and value.flags.writeable:
        if value.dtype == np.object_:
            value.fill(None)
        elif value.dtype == np.bool_:
            np.logical_not(value, out=value)
        elif np.issubdtype(value.dtype, np.number):
            np.add(value, 1, out=value, casting="unsafe")
    elif parts is not None:
        for part in parts.values():
            _overwrite(part)


# ------------------------------------------------------------------------------- requirements


def _require_space(env: Any, name: str, right: spaces.Space[Any]) -> None:
    if getattr(env, name) != right:
        _fail(f"{name} is {getattr(env, name)}, it must be {right}")


def _require_form(env: Any, returned: Returned, call: str) -> None:
    """Require observations of the space, dtypes included, and infos that are a dict."""
    observations, space = returned["observations"], env.observation_space
    if observations not in space or not _has_dtypes(space, observations):
        _fail(f"{call} returned observations {_describe(observations)}, they must be in {space}")
    if not isinstance(returned["infos"], dict):
        _fail(f"{call} returned infos {_describe(returned['infos'])}, they must be a dict")


def _has_dtypes(space: spaces.Space[Any], value: Any) -> bool:
    """Return whether the arrays have the space's dtypes: ``in`` lets those pass that can be cast.

    :param value: in the space
    """
    if isinstance(space, spaces.Dict):
        return all(_has_dtypes(space[key], value[key]) for key in space)
    if isinstance(space, spaces.Tuple):
        return all(_has_dtypes(each, part) for each, part in zip(space, value, strict=True))
    if isinstance(space, (spaces.Box, spaces.MultiDiscrete, spaces.MultiBinary)):
        return isinstance(value, np.ndarray) and value.dtype == space.dtype
    return True


def _require_array(value: Any, dtype: type[np.generic], num_envs: int, name: str) -> None:
    """Require an array of one value a sub-environment."""
    right = isinstance(value, np.ndarray) and value.dtype == dtype and value.shape == (num_envs,)
    if not right:
        _fail(
            f"{name}: {_describe(value)}, must be an array of {np.dtype(dtype)} of shape "
            f"({num_envs},)"
        )


def _require_masks(infos: dict[str, Any], num_envs: int, at: str) -> None:
    """Require arrays of one row a sub-environment, each with its mask, in nested dicts too."""
    for key, value in infos.items():
        if key.startswith("_"):
            continue
        if f"_{key}" not in infos:
            _fail(f"{at}[{key!r}] has no mask, {at}['_{key}'] must tell which rows are set")
        _require_array(infos[f"_{key}"], np.bool_, num_envs, f"{at}['_{key}']")
        if isinstance(value, dict):
            _require_masks(value, num_envs, f"{at}[{key!r}]")
        elif not (isinstance(value, np.ndarray) and value.shape[:1] == (num_envs,)):
            _fail(f"{at}[{key!r}]: {_describe(value)}, must be an array of {num_envs} rows")


def _require_no_final(infos: dict[str, Any]) -> None:
    for key in ("final_obs", "final_info"):
        if key in infos:
            _fail(f"infos has {key!r}, it belongs to steps of mode SAME_STEP that end an episode")


def _require_final(infos: dict[str, Any], done: Mask) -> None:
    for key in ("final_obs", "final_info"):
        if key not in infos:
            _fail(f"infos has no {key!r} although episodes ended: {done}")
        mask = infos[f"_{key}"]
        if not np.array_equal(mask, done):
            _fail(f"infos['_{key}'] is {mask}, it must mark the episodes that ended: {done}")


def _require_final_observations(final: Any, done: Mask, env: Any) -> None:
    _require_array(final, np.object_, env.num_envs, "infos['final_obs']")
    space = env.single_observation_space
    for i, observation in enumerate(final):
        if done[i] and (observation not in space or not _has_dtypes(space, observation)):
            _fail(f"infos['final_obs'][{i}] is {_describe(observation)}, it must be in {space}")
        if not done[i] and observation is not None:
            _fail(f"infos['final_obs'][{i}] is {observation!r}, it must be None: no episode ended")


def _require_bad_masks_raise(env: Any) -> None:
    bad = {
        "of int64": np.ones(env.num_envs, dtype=np.int64),
        "that is too long": np.ones(env.num_envs + 1, dtype=np.bool_),
        "that is nowhere True": np.zeros(env.num_envs, dtype=np.bool_),
    }
    for how, mask in bad.items():
        call = functools.partial(env.reset, options={"reset_mask": mask})
        _require_raises(call, f"reset() with a reset_mask {how}, {mask},")


def _require_raises(call: Callable[[], Any], what: str) -> None:
    try:
        call()
    except Exception:
        return
    _fail(f"{what} raised nothing, it must raise an error")


def _require_same_run(run: Iterable[Returned], right: Iterable[Returned], what: str) -> None:
    """Require that every call of two runs returned the same; they may be played in turn."""
    for i, (seen, expected) in enumerate(zip(run, right, strict=True)):
        _require_same(seen, expected, f"{what} (call {i})")


def _require_same(seen: Returned, right: Returned, what: str) -> None:
    difference = _difference(seen, right, "")
    if difference:
        _fail(f"{what}: {difference}")


def _require_same_attributes(trial: _Trial) -> None:
    """Require that ``get_attr`` returns what a SyncVectorEnv does, or raises AttributeError."""
    env = trial.make()
    if not hasattr(env.unwrapped, "get_attr"):
        return
    sync, twin = trial.make_sync(env.num_envs), trial.make_sync(env.num_envs)
    for each in (env, sync, twin):
        _play_half(trial, each)
    single = sync.envs[0].unwrapped
    for name in dir(single):
        if name.startswith("_") or callable(getattr(single, name)):
            continue
        right = sync.get_attr(name)
        if _difference(twin.get_attr(name), right, name):
            continue  # an object that equals itself only
        try:
            seen = env.unwrapped.get_attr(name)
        except AttributeError:
            continue
        _require_same({name: seen}, {name: right}, f"get_attr({name!r})")


def _require_heeded(
    trial: _Trial, name: str, value: Any, change: Callable[[Any, str, Any], None], way: str
) -> None:
    """Require that an attribute set in mid-episode acts as it does in a SyncVectorEnv."""
    env = trial.make()
    sync = trial.make_sync(env.num_envs)
    actions = _play_half(trial, env)
    _play_half(trial, sync)
    change(env, name, value)
    _set_attr(sync, name, value)
    what = f"after {name} was set to {value!r} by {way}"
    _require_same({name: env.unwrapped.get_attr(name)}, {name: sync.get_attr(name)}, what)
    run, right = (_play_on(each, trial.mode, actions) for each in (env, sync))
    _require_same_run(run, right, what)


# ------------------------------------------------------------------------------- comparing


def _difference(seen: Any, right: Any, at: str) -> str:
    """Return where and how two values differ first, empty if they are the same to the last bit.

    Gymnasium's ``data_equivalence`` only says whether, and tells a subclass of dict from a dict.
    """
    parts, right_parts = _parts(seen), _parts(right)
    if parts is None or right_parts is None:
        return "" if _equal(seen, right) else f"{at} is {seen!r}, it must equal {right!r}"
    if parts.keys() != right_parts.keys():
        return f"{at} has {list(parts)}, it must have {list(right_parts)}"
    for key, part in parts.items():
        difference = _difference(part, right_parts[key], f"{at}[{key!r}]" if at else str(key))
        if difference:
            return difference
    return ""


def _parts(value: Any) -> dict[Any, Any] | None:
    """Return what a container holds, None for anything else."""
    if isinstance(value, dict):
        return dict(value.items())  # computes what a subclass computes lazily
    if isinstance(value, (tuple, list)):
        return dict(enumerate(value))
    if isinstance(value, np.ndarray) and value.dtype == np.object_:
        return {index: part for index, part in np.ndenumerate(value)}
    return None


def _equal(first: Any, second: Any) -> bool:
    """Return whether two values are of one type and equal, NaN to NaN too."""
    if type(first) is not type(second):
        return False
    if isinstance(first, np.ndarray):
        inexact = np.issubdtype(first.dtype, np.inexact)
        return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=inexact)
    return bool(first == second) or bool(first != first and second != second)


def _describe(value: Any) -> str:
    """Return a value with its dtype and shape if it is an array."""
    if isinstance(value, np.ndarray):
        return f"{value} ({value.dtype} of shape {value.shape})"
    return f"{value!r} ({type(value).__name__})"
