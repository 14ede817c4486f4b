"""The checker of vector environments tells each way to break one."""

import re

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from tampered_envs import (
    DISABLED,
    NEXT_STEP,
    CopiesShareAll,
    DeafToSettings,
    InfosOfAll,
    KeepsReturnedFlags,
    LateInfos,
    NeverClosed,
    OneBuffer,
    OwnAttributes,
    PlaysTheIgnoredAction,
    SeedsAnew,
    ShowsASetting,
    SkipsAnEpisode,
    Uncopyable,
    all_rows,
    bare_number,
    cart_pole,
    changed_infos,
    changed_step,
    final_changed,
    first_seed,
    fresh,
    halve,
    infos_without,
    make_single,
    maker,
    noise,
    nothing,
    pay_for_ends,
    set_on_make,
    spread,
    tampered,
    zero_generators,
)

from toolenv_gym.testing import CHECKS, check_vector_env

BROKEN = {
    "num_envs is a float": (
        set_on_make("num_envs", 3.0),
        "attributes (NEXT_STEP)",
        "num_envs is 3.0, it must be a positive int",
    ),
    "no single space": (
        tampered(made=lambda env: delattr(env, "single_action_space")),
        "attributes (NEXT_STEP)",
        "raised AttributeError.*single_action_space",
    ),
    "single observation space": (
        tampered(made=lambda env: setattr(env, "observation_space", env.single_observation_space)),
        "attributes (NEXT_STEP)",
        "observation_space is MultiDiscrete.* it must be Box",
    ),
    "single action space": (
        set_on_make("action_space", spaces.Discrete(18)),
        "attributes (NEXT_STEP)",
        r"action_space is Discrete\(18\), it must be MultiDiscrete",
    ),
    "no autoreset mode": (
        set_on_make("metadata", {}),
        "attributes (NEXT_STEP)",
        r'metadata\["autoreset_mode"\] is None, it must be AutoresetMode.NEXT_STEP',
    ),
    "always the same autoreset mode": (
        set_on_make("metadata", {"autoreset_mode": NEXT_STEP}),
        "attributes (SAME_STEP)",
        "is <AutoresetMode.NEXT_STEP.*it must be AutoresetMode.SAME_STEP",
    ),
    "unknown render mode": (
        set_on_make("render_mode", "paper"),
        "attributes (NEXT_STEP)",
        r"render_mode is 'paper', it must be None or one of \['ansi', 'rgb_array'\]",
    ),
    "closed at first": (
        set_on_make("closed", True),
        "attributes (NEXT_STEP)",
        "closed is True in a new environment, it must be False",
    ),
    "never closed": (
        NeverClosed,
        "attributes (NEXT_STEP)",
        r"closed is False after close\(\), it must be True",
    ),
    "reset without infos": (
        tampered(on_reset=lambda env, observations, infos: observations),
        "reset (NEXT_STEP)",
        r"reset\(\) returned array.*, it must return a tuple \(observations, infos\)",
    ),
    "narrow observations": (
        tampered(on_reset=lambda env, observations, infos: (observations.astype(np.int16), infos)),
        "reset (NEXT_STEP)",
        r"observations .*\(int16 of shape \(3, 8\)\), they must be in Box",
    ),
    "one observation": (
        tampered(on_reset=lambda env, observations, infos: (observations[0], infos)),
        "reset (NEXT_STEP)",
        r"observations .*\(int64 of shape \(8,\)\), they must be in Box",
    ),
    "a list of infos": (
        tampered(on_reset=lambda env, observations, infos: (observations, [infos])),
        "reset (NEXT_STEP)",
        r"reset\(\) returned infos .*\(list\), they must be a dict",
    ),
    "deaf to seeds": (
        tampered(seed=nothing),
        "reset (NEXT_STEP)",
        r"reset\(seed=0\) of two environments: observations is .* it must equal",
    ),
    "infos by chance": (
        changed_infos(noise=noise),
        "reset (NEXT_STEP)",
        r"reset\(seed=0\) of two environments: infos\['noise'\] is .* it must equal",
    ),
    "unseeded resets seed anew": (
        tampered(seed=fresh),
        "reset (NEXT_STEP)",
        r"reset\(\) of two environments after reset\(seed=0\): observations is",
    ),
    "no list of seeds": (
        tampered(seed=bare_number),
        "reset (NEXT_STEP)",
        "the environment raised TypeError",
    ),
    "seeds 10 apart": (
        tampered(seed=spread),
        "reset (NEXT_STEP)",
        r"reset\(seed=\[0, 1, 2\]\) after reset\(seed=0\), which means the same: observations",
    ),
    "first seed only": (
        tampered(seed=first_seed),
        "reset (NEXT_STEP)",
        r"with the same seed, reset\(seed=\[0, 0, 0\]\): observations\[1\] is",
    ),
    "no seeds before the first reset": (
        tampered(np_random_seed=property(lambda env: (None,) * 3)),
        "seeds (NEXT_STEP)",
        r"np_random_seed is \(None, None, None\) before the first reset, it must hold integers",
    ),
    "degenerate generators": (
        tampered(np_random=property(zero_generators)),
        "seeds (NEXT_STEP)",
        r"a generator of np_random before the first reset, beside its seed: state\['state'\]",
    ),
    "seeds that are forgotten": (
        SeedsAnew,
        "seeds (NEXT_STEP)",
        r"reset\(\) after np_random_seed was read, which must play from these seeds: observations",
    ),
    "four values a step": (
        tampered(on_step=lambda env, *returned: returned[:2] + returned[3:]),
        "step (NEXT_STEP)",
        r"step\(\) returned .*, it must return a tuple \(observations, rewards, terminations",
    ),
    "observations outside of the space": (
        changed_step(observations=lambda observations: observations + 18),
        "step (NEXT_STEP)",
        r"step\(\) returned observations .*, they must be in Box",
    ),
    "rewards in float32": (
        changed_step(rewards=lambda rewards: rewards.astype(np.float32)),
        "step (NEXT_STEP)",
        r"rewards: .*\(float32 of shape \(3,\)\), must be an array of float64 of shape \(3,\)",
    ),
    "a list of rewards": (
        changed_step(rewards=lambda rewards: rewards.tolist()),
        "step (NEXT_STEP)",
        r"rewards: .*\(list\), must be an array of float64",
    ),
    "a column of terminations": (
        changed_step(terminations=lambda terminations: terminations[:, np.newaxis]),
        "step (NEXT_STEP)",
        r"terminations: .*\(bool of shape \(3, 1\)\), must be an array of bool of shape \(3,\)",
    ),
    "truncations in int8": (
        changed_step(truncations=lambda truncations: truncations.astype(np.int8)),
        "step (NEXT_STEP)",
        r"truncations: .*\(int8 of shape \(3,\)\), must be an array of bool",
    ),
    "rewards by chance": (
        changed_step(rewards=noise),
        "step (NEXT_STEP)",
        r"two environments with equal seeds and actions \(call 1\): rewards is",
    ),
    "no mask": (
        infos_without("_stage"),
        "infos (NEXT_STEP)",
        r"infos\['stage'\] has no mask, infos\['_stage'\] must tell which rows are set",
    ),
    "a mask in int8": (
        changed_infos(_stage=lambda infos: infos["_stage"].astype(np.int8)),
        "infos (NEXT_STEP)",
        r"infos\['_stage'\]: .*\(int8 .*, must be an array of bool",
    ),
    "a list in the infos": (
        changed_infos(stage=lambda infos: infos["stage"].tolist()),
        "infos (NEXT_STEP)",
        r"infos\['stage'\]: .*\(list\), must be an array of 3 rows",
    ),
    "too many rows": (
        changed_infos(tools=lambda infos: np.zeros(4), _tools=all_rows),
        "infos (NEXT_STEP)",
        r"infos\['tools'\]: .*\(float64 of shape \(4,\)\), must be an array of 3 rows",
    ),
    "a nested dict without masks": (
        changed_infos(tools=lambda infos: {"used": np.zeros(3)}, _tools=all_rows),
        "infos (NEXT_STEP)",
        r"infos\['tools'\]\['used'\] has no mask",
    ),
    "one buffer for all observations": (
        OneBuffer,
        "returned arrays (NEXT_STEP)",
        r"looked at after later steps, which must not change them \(call 0\): observations is",
    ),
    "infos computed too late": (
        LateInfos,
        "returned arrays (NEXT_STEP)",
        r"looked at after later steps, which must not change them \(call 1\): infos",
    ),
    "flags that the caller may overwrite": (
        KeepsReturnedFlags,
        "returned arrays (NEXT_STEP)",
        "steps after all returned arrays were overwritten, which must not matter",
    ),
    "a reward for the reset": (
        changed_step(rewards=lambda rewards: rewards + 1),
        "autoreset (NEXT_STEP)",
        "the step after an episode's end returned rewards .*, these must be 0",
    ),
    "an action for the reset": (
        PlaysTheIgnoredAction,
        "autoreset (NEXT_STEP)",
        "the step after an episode's end, which must ignore the action there: observations",
    ),
    "final_obs in another mode": (
        changed_infos(final_obs=lambda infos: np.full(3, None), _final_obs=all_rows),
        "autoreset (NEXT_STEP)",
        "infos has 'final_obs', it belongs to steps of mode SAME_STEP that end an episode",
    ),
    "no final_obs": (
        infos_without("final_obs", "_final_obs"),
        "autoreset (SAME_STEP)",
        "infos has no 'final_obs' although episodes ended: ",
    ),
    "no final_info": (
        infos_without("final_info", "_final_info"),
        "autoreset (SAME_STEP)",
        "infos has no 'final_info' although episodes ended: ",
    ),
    "final_obs of all": (
        final_changed(lambda infos: infos["_final_obs"].fill(True)),
        "autoreset (SAME_STEP)",
        r"infos\['_final_obs'\] is \[ True  True  True\], it must mark the episodes that ended",
    ),
    "final_obs without None": (
        final_changed(lambda infos: np.putmask(infos["final_obs"], ~infos["_final_obs"], 0)),
        "autoreset (SAME_STEP)",
        r"infos\['final_obs'\]\[\d\] is 0, it must be None: no episode ended",
    ),
    "final_obs as one array": (
        final_changed(lambda infos: infos.update(final_obs=np.zeros((3, 8)))),
        "autoreset (SAME_STEP)",
        r"infos\['final_obs'\]: .*\(float64 of shape \(3, 8\)\), must be an array of object",
    ),
    "final_obs outside of the space": (
        final_changed(halve),
        "autoreset (SAME_STEP)",
        r"infos\['final_obs'\]\[\d\] is .*\(float64 .*, it must be in MultiDiscrete",
    ),
    "a reset_mask that is not looked at": (
        tampered(mask=all_rows),
        "autoreset (DISABLED)",
        r"which must reset these sub-environments only: observations\[\d\] is",
    ),
    "infos of all": (
        InfosOfAll,
        "autoreset (DISABLED)",
        r"which must reset these sub-environments only: infos\['_stage'\] is",
    ),
    "a reset_mask of integers": (
        tampered(mask=lambda env, mask: mask.astype(np.bool_)),
        "autoreset (DISABLED)",
        r"reset\(\) with a reset_mask of int64, \[1 1 1\], raised nothing",
    ),
    "a reset_mask that is cut": (
        tampered(mask=lambda env, mask: mask[:3]),
        "autoreset (DISABLED)",
        r"reset\(\) with a reset_mask that is too long, .*, raised nothing",
    ),
    "a reset_mask of nothing": (
        tampered(mask=lambda env, mask: mask if mask.any() else all_rows()),
        "autoreset (DISABLED)",
        r"reset\(\) with a reset_mask that is nowhere True, .*, raised nothing",
    ),
    "an episode is skipped": (
        SkipsAnEpisode,
        "modes agree (SAME_STEP)",
        "the first end of an episode, other than in mode NEXT_STEP: next observations is",
    ),
    "actions that are cut": (
        tampered(actions=lambda env, actions: actions[:3]),
        "bad actions (NEXT_STEP)",
        r"step\(\) of 3 sub-environments with 4 actions raised nothing, it must raise",
    ),
    "actions that are clipped": (
        tampered(actions=lambda env, actions: actions.clip(0, 17)),
        "bad actions (NEXT_STEP)",
        r"step\(\) with the actions \[.* 18\], of which the last is outside .* raised nothing",
    ),
    "copies that share all": (
        CopiesShareAll,
        "copies (NEXT_STEP)",
        "a deep copy made after 15 steps, which must continue as the original does",
    ),
    "no copies": (Uncopyable, "copies (NEXT_STEP)", "raised TypeError.*processes cannot be copied"),
    "set_attr that does nothing": (
        DeafToSettings,
        "settings (NEXT_STEP)",
        r"after shaping was set to 1.5 by set_attr\(\): shaping\[0\] is 0.2, it must equal 1.5",
    ),
    "a setting that does nothing": (
        ShowsASetting,
        "settings (NEXT_STEP)",
        r"after shaping was set to 1.5 by assignment: shaping\[0\] is 0.2, it must equal 1.5",
    ),
    "attributes of its own": (
        OwnAttributes,
        "settings (NEXT_STEP)",
        r"get_attr\('action_space'\): action_space\[0\] is MultiDiscrete.*, it must equal Discrete",
    ),
    "other rewards": (
        tampered(on_step=pay_for_ends),
        "SyncVectorEnv (NEXT_STEP)",
        r"after reset\(seed=0\) \(call \d+\): rewards is .* it must equal",
    ),
    "more infos": (
        changed_infos(tools=lambda infos: np.zeros(3), _tools=lambda infos: infos["_stage"].copy()),
        "SyncVectorEnv (NEXT_STEP)",
        r"after reset\(seed=0\): infos has .*'tools'.*, it must have",
    ),
    "infos of another dtype": (
        changed_infos(stage=lambda infos: infos["stage"].astype(np.int32)),
        "SyncVectorEnv (NEXT_STEP)",
        r"after reset\(seed=0\): infos\['stage'\] is .*int32.* it must equal",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_each_way_to_break_one_is_told(how):
    broken, check, message = BROKEN[how]
    modes = [mode for mode in AutoresetMode if mode is NEXT_STEP or mode.name in check]
    with pytest.raises(AssertionError, match=rf"(?s)^{re.escape(check)}: .*{message}"):
        check_vector_env(
            maker(broken), make_single, modes=modes, steps=30, settings={"shaping": 1.5}
        )


def test_a_time_limit_that_is_not_kept_is_told():
    def single():
        return gym.wrappers.TimeLimit(make_single(), 2)

    endless = changed_step(truncations=np.zeros_like)
    with pytest.raises(AssertionError, match=r"(?s)SyncVectorEnv .*: truncations is .* must equal"):
        check_vector_env(maker(endless, single), single, modes=[NEXT_STEP], steps=30)


def test_every_check_has_been_seen_to_fail():
    assert {check.split(" (")[0] for _, check, _ in BROKEN.values()} == set(CHECKS)


def test_what_is_no_vector_environment():
    with pytest.raises(AssertionError, match=r"returned <.*>, it must return a gymnasium.vector"):
        check_vector_env(lambda mode: make_single())


def test_other_spaces_than_those_of_the_single_environment():
    message = r"(?s)SyncVectorEnv .* observation_space is .* it must be"
    with pytest.raises(AssertionError, match=message):
        check_vector_env(maker(SyncVectorEnv), cart_pole, steps=40)


def test_episodes_must_end():
    with pytest.raises(AssertionError, match=r"no episode ended within 5 steps .*: raise steps"):
        check_vector_env(maker(SyncVectorEnv, cart_pole), steps=5)


def test_only_the_modes_offered_are_checked():
    broken = BROKEN["no final_obs"][0]
    check_vector_env(maker(broken), modes=[NEXT_STEP, DISABLED], steps=40)


def test_copies_may_be_left_out():
    check_vector_env(maker(Uncopyable), make_single, steps=40, copies=False)
