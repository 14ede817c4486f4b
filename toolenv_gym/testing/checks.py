"""The checks, the simplest first."""

import copy
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from toolenv_gym.testing.comparing import difference_of
from toolenv_gym.testing.failures import fail
from toolenv_gym.testing.playing import (
    Trial,
    assign,
    choose,
    done_of,
    first_end,
    outside_of,
    overwriting,
    play_half,
    play_on,
    reset,
    rows_of,
    set_attr,
    step,
)
from toolenv_gym.testing.requirements import (
    require_bad_masks_raise,
    require_final,
    require_final_observations,
    require_masks,
    require_no_final,
    require_raises,
    require_same,
    require_same_run,
    require_space,
)


def _check_attributes(trial: Trial) -> None:
    env = trial.make()
    if not (isinstance(env.num_envs, int) and env.num_envs > 0):
        fail(f"num_envs is {env.num_envs!r}, it must be a positive int")
    for name in ("observation_space", "action_space"):
        require_space(env, name, batch_space(getattr(env, f"single_{name}"), env.num_envs))
    mode = env.metadata.get("autoreset_mode")
    if mode is not trial.mode:
        fail(f'metadata["autoreset_mode"] is {mode!r}, it must be {trial.mode}')
    render_modes = env.metadata.get("render_modes", [])
    if env.render_mode not in (None, *render_modes):
        fail(f"render_mode is {env.render_mode!r}, it must be None or one of {render_modes}")
    if env.closed is not False:
        fail(f"closed is {env.closed!r} in a new environment, it must be False")
    env.close()
    if env.closed is not True:
        fail(f"closed is {env.closed!r} after close(), it must be True")


def _check_reset(trial: Trial) -> None:
    env, twin = trial.make(), trial.make()
    seed = trial.seed
    first = reset(env, seed=seed)
    require_same(first, reset(twin, seed=seed), f"reset(seed={seed}) of two environments")
    what = f"reset() of two environments after reset(seed={seed})"
    require_same(reset(env), reset(twin), what)
    seeds = [seed + i for i in range(env.num_envs)]
    what = f"reset(seed={seeds}) after reset(seed={seed}), which means the same"
    require_same(reset(env, seed=seeds), first, what)
    seeds = [seed] * env.num_envs
    alike = rows_of(env, reset(env, seed=seeds))
    what = f"sub-environments with the same seed, reset(seed={seeds})"
    require_same({"observations": alike}, {"observations": [alike[0]] * env.num_envs}, what)


def _check_seeds(trial: Trial) -> None:
    env, twin = trial.make(), trial.make()
    generators, seeds = env.unwrapped.np_random, env.unwrapped.np_random_seed
    several = isinstance(seeds, tuple)  # one for each sub-environment, as in a SyncVectorEnv
    listed = list(seeds) if several else [seeds]
    if None in listed:
        fail(f"np_random_seed is {seeds} before the first reset, it must hold integers")
    for generator, seed in zip(generators if several else [generators], listed, strict=True):
        right = seeding.np_random(seed)[0].bit_generator.state
        what = "a generator of np_random before the first reset, beside its seed"
        require_same({"state": generator.bit_generator.state}, {"state": right}, what)
    what = "reset() after np_random_seed was read, which must play from these seeds"
    require_same(reset(env), reset(twin, seed=listed if several else seeds), what)
    what = "np_random_seed after a reset() without a seed, which must keep it"
    require_same({"seeds": env.unwrapped.np_random_seed}, {"seeds": seeds}, what)


def _check_step(trial: Trial) -> None:
    what = "two environments with equal seeds and actions"
    require_same_run(trial.play(trial.make()), trial.play(trial.make()), what)


def _check_infos(trial: Trial) -> None:
    env = trial.make()
    for returned in trial.play(env):
        require_masks(returned["infos"], env.num_envs, "infos")


def _check_returned_arrays(trial: Trial) -> None:
    kept = list(trial.play(trial.make()))
    what = "returned values looked at after later steps, which must not change them"
    require_same_run(kept, trial.play(trial.make()), what)
    overwritten = overwriting(trial.play(trial.make()))
    what = "steps after all returned arrays were overwritten, which must not matter"
    require_same_run(overwritten, trial.play(trial.make()), what)


def _check_autoreset(trial: Trial) -> None:
    trial.play_to_an_end(trial.make())  # without an end there would be nothing to check
    if trial.mode is AutoresetMode.NEXT_STEP:
        _check_next_step(trial)
    elif trial.mode is AutoresetMode.SAME_STEP:
        _check_same_step(trial)
    else:
        _check_disabled(trial)


def _check_next_step(trial: Trial) -> None:
    env, twin = trial.make(), trial.make()
    reset(env, seed=trial.seed)
    reset(twin, seed=trial.seed)
    over = np.zeros(env.num_envs, dtype=np.bool_)
    for actions, others in zip(trial.actions(env), trial.actions(env, stream=1), strict=True):
        returned = step(env, actions)
        for name in ("rewards", "terminations", "truncations"):
            if returned[name][over].any():
                fail(
                    f"the step after an episode's end returned {name} {returned[name]}, these must "
                    f"be 0 in the sub-environments that it reset, {np.flatnonzero(over)}"
                )
        require_no_final(returned["infos"])
        what = "the step after an episode's end, which must ignore the action there"
        require_same(step(twin, choose(env, over, others, actions)), returned, what)
        over = done_of(returned)


def _check_same_step(trial: Trial) -> None:
    env = trial.make()
    reset(env, seed=trial.seed)
    for returned in play_on(env, trial.mode, trial.actions(env)):
        infos = returned["infos"]
        done = done_of(returned)
        if done.any():
            require_final(infos, done)
            require_final_observations(infos["final_obs"], done, env)
        else:
            require_no_final(infos)


def _check_disabled(trial: Trial) -> None:
    env = trial.make()
    first = rows_of(env, reset(env, seed=trial.seed))
    returned, done = trial.play_to_an_end(env)
    before = rows_of(env, returned)
    # With the seed given, the observations of the rows that are reset are known.
    returned = reset(env, seed=trial.seed, options={"reset_mask": done.copy()})
    right = [new if reset else old for reset, new, old in zip(done, first, before, strict=True)]
    what = f"a reset with the reset_mask {done}, which must reset these sub-environments only"
    require_same({"observations": rows_of(env, returned)}, {"observations": right}, what)
    for key, value in returned["infos"].items():
        if key.startswith("_") and (value & ~done).any():
            fail(f"{what}: infos[{key!r}] is {value}")
    require_bad_masks_raise(env)


def _check_modes_agree(trial: Trial) -> None:
    reference = dataclasses.replace(trial, mode=trial.modes[0])
    what = f"the first end of an episode, other than in mode {reference.mode.name}"
    require_same(first_end(trial), first_end(reference), what)


def _check_bad_actions(trial: Trial) -> None:
    env = trial.make()
    reset(env, seed=trial.seed)
    longer = batch_space(env.single_action_space, env.num_envs + 1).sample()
    what = f"step() of {env.num_envs} sub-environments with {env.num_envs + 1} actions"
    require_raises(functools.partial(env.step, longer), what)
    outside = outside_of(env.single_action_space)
    if outside is not None:
        # A new one: nothing is promised of an environment after bad actions.
        other = trial.make()
        reset(other, seed=trial.seed)
        actions = np.array(trial.actions(other)[0])
        actions[-1] = outside
        what = f"step() with the actions {actions}, of which the last is outside of the space,"
        require_raises(functools.partial(other.step, actions), what)


def _check_copies(trial: Trial) -> None:
    if not trial.copies:
        return
    env = trial.make()
    actions = play_half(trial, env)
    twin = copy.deepcopy(env)
    trial.stack.callback(twin.close)
    played = list(play_on(env, trial.mode, actions))
    half = trial.steps // 2
    what = f"a deep copy made after {half} steps, which must continue as the original does"
    require_same_run(play_on(twin, trial.mode, actions), played, what)


def _check_equality(trial: Trial) -> None:
    if trial.make_single is None:
        return
    env = trial.make()
    sync = trial.make_sync(env.num_envs)
    require_space(env, "observation_space", sync.observation_space)
    require_space(env, "action_space", sync.action_space)
    seeds = [trial.seed + 10 * i for i in range(env.num_envs)]
    # One after the other in the same two environments: resets in the middle of episodes too.
    for seed in (trial.seed, seeds, None):
        what = f"after reset(seed={seed})"
        require_same(reset(env, seed=seed), reset(sync, seed=seed), what)
        run, right = (play_on(each, trial.mode, trial.actions(env)) for each in (env, sync))
        require_same_run(run, right, what)


def _check_settings(trial: Trial) -> None:
    if trial.make_single is None:
        return
    require_same_attributes(trial)
    for name, value in trial.settings.items():
        require_heeded(trial, name, value, set_attr, "set_attr()")
        if hasattr(trial.make().unwrapped, name):
            require_heeded(trial, name, value, assign, "assignment")


def require_same_attributes(trial: Trial) -> None:
    """Require that ``get_attr`` returns what a SyncVectorEnv does, or raises AttributeError."""
    env = trial.make()
    if not hasattr(env.unwrapped, "get_attr"):
        return
    sync, twin = trial.make_sync(env.num_envs), trial.make_sync(env.num_envs)
    for each in (env, sync, twin):
        play_half(trial, each)
    single = sync.envs[0].unwrapped
    for name in dir(single):
        if name.startswith("_") or callable(getattr(single, name)):
            continue
        right = sync.get_attr(name)
        if difference_of(twin.get_attr(name), right, name):
            continue  # an object that equals itself only
        try:
            seen = env.unwrapped.get_attr(name)
        except AttributeError:
            continue
        require_same({name: seen}, {name: right}, f"get_attr({name!r})")


def require_heeded(
    trial: Trial, name: str, value: Any, change: Callable[[Any, str, Any], None], way: str
) -> None:
    """Require that an attribute set in mid-episode acts as it does in a SyncVectorEnv."""
    env = trial.make()
    sync = trial.make_sync(env.num_envs)
    actions = play_half(trial, env)
    play_half(trial, sync)
    change(env, name, value)
    set_attr(sync, name, value)
    what = f"after {name} was set to {value!r} by {way}"
    require_same({name: env.unwrapped.get_attr(name)}, {name: sync.get_attr(name)}, what)
    run, right = (play_on(each, trial.mode, actions) for each in (env, sync))
    require_same_run(run, right, what)


CHECKS: dict[str, Callable[[Trial], None]] = {
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
