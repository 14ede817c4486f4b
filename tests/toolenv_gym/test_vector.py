"""The compiled vector environments, against ``SyncVectorEnv`` of the scalar ones."""

import copy
import os
import pickle
import shutil
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from conftest import ROOT
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils import seeding
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from toolenv_gym.testing import check_vector_env
from toolenv_gym.tokens import ADD, ANS, MUL, RCL, STO, SUB
from toolenv_gym.vector import ToolArithMemoryVectorEnv, ToolArithVectorEnv, streams
from toolenv_gym.vector.infos import UNREAD, LazyInfos

CLASSES = {"ToolArith-v0": ToolArithVectorEnv, "ToolArithMemory-v0": ToolArithMemoryVectorEnv}
PROBLEM = (7, 5, 8, 4, 6)
MODES = pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)


def make_pair(env_id, mode, num_envs, **settings):
    sync = SyncVectorEnv([lambda: gym.make(env_id, **settings)] * num_envs, autoreset_mode=mode)
    return CLASSES[env_id](num_envs, autoreset_mode=mode, **settings), sync


def same(ours, theirs):
    """Compare what reset or step returned, to the last bit; infos as the plain dicts they equal."""
    ours, theirs = ((*returned[:-1], plain(returned[-1])) for returned in (ours, theirs))
    return data_equivalence(ours, theirs, exact=True)


def plain(infos):
    return {k: plain(v) if isinstance(v, dict) else v for k, v in infos.items()}


def random_tokens(rng, n):
    """Return tokens among which the tools are frequent, so that machines get somewhere."""
    return np.where(rng.random(n) < 0.7, rng.integers(11, 17, n), rng.integers(18, size=n))


def reset_ended(envs, ended):
    """Reset what ended of environments with autoreset disabled."""
    return [env.reset(options={"reset_mask": ended.copy()}) for env in envs]


@pytest.mark.parametrize(
    ("num_envs", "steps", "settings"),
    [
        (1, 3_000, {"stage": (0, 1, 2)}),
        (3, 1_500, {"stage": (2, 0), "max_steps": 9, "shaping": 0.7}),
        (64, 100, {"stage": (0, 1, 2)}),
        (257, 40, {"stage": 2, "max_steps": 16}),
    ],
)
@MODES
def test_equals_sync_vector_env(env_id, mode, num_envs, steps, settings):
    ours, theirs = make_pair(env_id, mode, num_envs, **settings)
    rng = np.random.default_rng(num_envs)
    seeds = [None if i % 5 == 3 else 7 * i for i in range(num_envs)]
    assert same(ours.reset(seed=11), theirs.reset(seed=11))
    # None: the stream goes on, here from the reset above
    assert same(ours.reset(seed=list(seeds)), theirs.reset(seed=list(seeds)))
    for step in range(steps):
        tokens = random_tokens(rng, num_envs)
        results = [env.step(tokens.copy()) for env in (ours, theirs)]
        assert same(*results), step
        ended = results[0][2]
        if mode == AutoresetMode.DISABLED and ended.any():
            assert same(*reset_ended((ours, theirs), ended)), step
        if step == steps // 3:
            ours = pickle.loads(pickle.dumps(ours))
        if step == steps // 2:
            ours = copy.deepcopy(ours)
            for env in (ours, theirs):  # from the next resets on
                env.call("set_stage", (1, 2, 1))


def test_passes_the_checker(env_id):
    check_vector_env(
        lambda mode: CLASSES[env_id](5, stage=(0, 1, 2), autoreset_mode=mode),
        lambda: gym.make(env_id, stage=(0, 1, 2)),
        steps=100,
        settings={"shaping": 1.5, "max_steps": 3, "stages": 2, "guidances": (0, 5)},
    )


def test_make_vec_gives_it_by_default(env_id):
    envs = gym.make_vec(env_id, num_envs=3, stage=1, autoreset_mode=AutoresetMode.SAME_STEP)
    assert type(envs) is CLASSES[env_id]
    assert envs.spec.id == env_id
    assert envs.metadata["autoreset_mode"] is envs.autoreset_mode is AutoresetMode.SAME_STEP
    assert len(envs) == 3
    wrapped = gym.wrappers.vector.RecordEpisodeStatistics(envs)
    wrapped.reset(seed=0)
    _, rewards, terminations, _, infos = wrapped.step(np.full(3, ANS))
    assert terminations.all()
    assert infos["episode"]["l"].tolist() == [1, 1, 1]
    assert infos["episode"]["r"].tolist() == rewards.tolist() == [0, 0, 0]


def test_infos_are_computed_when_they_are_read():
    envs = ToolArithVectorEnv(2)
    _, infos = envs.reset(seed=0)
    unread = [key for key, value in dict.items(infos) if value is UNREAD]
    assert unread == list(infos)
    first = infos["target"]
    envs.step(np.array([MUL, ANS]))
    envs.step(np.array([MUL, ANS]))
    assert infos["target"] is first
    assert infos["steps"].tolist() == [0, 0]  # of the reset, though read after two steps


@MODES
def test_infos_are_arrays_that_tools_can_take(env_id, mode):
    envs = CLASSES[env_id](4, stage=(0, 1, 2), autoreset_mode=mode)
    first = envs.reset(seed=0)[1]
    form = {key: (value.shape, value.dtype) for key, value in first.items()}
    assert form["tokens"] == ((4, 7), np.int64)
    assert not any(dtype.hasobject for _, dtype in form.values())
    rng = np.random.default_rng(0)
    for _ in range(40):
        _, _, ended, _, infos = envs.step(random_tokens(rng, 4))
        running = {key: value for key, value in infos.items() if "final_" not in key}
        assert {key: (value.shape, value.dtype) for key, value in running.items()} == form
        if "final_info" in infos:
            final = infos["final_info"]
            assert {key: (value.shape, value.dtype) for key, value in final.items()} == form
        if mode == AutoresetMode.DISABLED and ended.any():
            envs.reset(options={"reset_mask": ended})


def test_infos_as_tensors(env_id):
    """As Gymnasium's ``NumpyToTorch`` makes them."""
    _, infos = CLASSES[env_id](3, stage=2).reset(seed=0)
    tensors = type(infos)(**{key: torch.from_dlpack(value) for key, value in infos.items()})
    assert {key: tensor.tolist() for key, tensor in tensors.items()} == {
        key: value.tolist() for key, value in infos.items()
    }


def test_masks_are_those_of_the_scalar_environment(env_id):
    envs, scalar = CLASSES[env_id](4, stage=2), gym.make(env_id, stage=2).unwrapped
    envs.reset(seed=0)
    scalar.reset(seed=0)
    for token in (MUL, ADD, STO, MUL, RCL, SUB):
        envs.step(np.full(4, token))
        scalar.step(token)
        assert envs.action_masks().tolist() == [scalar.action_masks().tolist()] * 4


def test_reset_options():
    envs = ToolArithMemoryVectorEnv(3, stage=2)
    observations, infos = envs.reset(seed=3, options={"digits": PROBLEM, "stage": 1})
    assert observations[:, :5].tolist() == [[7, 5, 8, 4, 10]] * 3
    assert infos["target"].tolist() == [39] * 3
    options = {
        "digits": [(1, 2, 3, 4, 5), PROBLEM, (9, 9, 9, 9, 9)],
        "stage": np.array([0, 1, 2]),
        "reset_mask": np.array([True, False, True]),
    }
    envs.step(np.full(3, MUL))
    observations, infos = envs.reset(options=options)
    assert infos["target"].tolist() == [5, 0, 9]  # 1*2 + 3 and 9*9 + 9 - 9*9
    assert infos["_target"].tolist() == [True, False, True]
    assert observations[1].tolist() == [7, 5, 8, 4, 10, 17, MUL, 1]  # went on
    assert "reset_mask" in options


def test_a_fixed_problem_leaves_the_stream_as_it_was(env_id):
    free, fixed = CLASSES[env_id](5, stage=(0, 1, 2)), CLASSES[env_id](5, stage=(0, 1, 2))
    free.reset(seed=8)
    fixed.reset(seed=8, options={"digits": PROBLEM, "stage": 0})
    assert same(free.reset(), fixed.reset())


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([0, 1], r"shape \(3,\), got int64 of shape \(2,\)"),
        (np.zeros((3, 1), dtype=int), r"got int64 of shape \(3, 1\)"),
        ([0.0, 1.0, 2.0], "got float64"),
        ([True, False, True], "got bool"),
        (5, r"got int64 of shape \(\)"),
        ([0, 18, 1], "got 18 for sub-environment 1"),
        ([0, 1, -1], "got -1 for sub-environment 2"),
        (np.array([0, 1, 2**64 - 1], dtype=np.uint64), "got -1 for sub-environment 2"),
    ],
)
def test_bad_actions_change_nothing(env_id, actions, message):
    envs, _ = make_pair(env_id, AutoresetMode.SAME_STEP, 3, stage=(0, 1, 2))
    envs.reset(seed=0)
    envs.step(np.array([MUL, MUL, MUL]))
    untouched = copy.deepcopy(envs)
    with pytest.raises(InvalidAction, match=message):
        envs.step(actions)
    for tokens in ([ADD, ANS, SUB], [ANS, STO, ANS]):
        assert same(envs.step(np.array(tokens)), untouched.step(np.array(tokens)))


@pytest.mark.parametrize(
    ("reset", "exception", "message"),
    [
        ({"seed": [1, 2]}, ValueError, "one for each of 3 sub-environments, got 2"),
        ({"seed": -1}, ValueError, "seed must be an integer of at least 0, got -1"),
        ({"seed": [1, "x", 2]}, TypeError, "seed must be an integer"),
        ({"options": {"digit": PROBLEM}}, ValueError, r"reset options are .* got \['digit'\]"),
        ({"options": {"digits": (1, 2, 3)}}, ValueError, "digits must be five integers"),
        ({"options": {"digits": [PROBLEM] * 2}}, ValueError, "of one problem or of 3, got 2"),
        ({"options": {"stage": 3}}, ValueError, "stage must be 0, 1 or 2, got 3"),
        ({"options": {"stage": (0, 1)}}, ValueError, "one or 3 of them, got 2"),
        ({"options": {"reset_mask": [True] * 3}}, TypeError, "must be a bool array, got list"),
        ({"options": {"reset_mask": np.ones(3)}}, TypeError, "bool array, got float64"),
        ({"options": {"reset_mask": np.ones(2, bool)}}, ValueError, r"must have shape \(3,\)"),
        ({"options": {"reset_mask": np.zeros(3, bool)}}, ValueError, "be True somewhere"),
    ],
)
def test_bad_resets_change_nothing(env_id, reset, exception, message):
    envs = CLASSES[env_id](3, stage=2)
    envs.reset(seed=0)
    untouched = copy.deepcopy(envs)
    with pytest.raises(exception, match=message):
        envs.reset(**reset)
    assert same(envs.step(np.full(3, MUL)), untouched.step(np.full(3, MUL)))
    assert same(envs.reset(), untouched.reset())


def test_what_is_out_of_turn(env_id):
    envs = CLASSES[env_id](2, autoreset_mode=AutoresetMode.DISABLED)
    with pytest.raises(ResetNeeded, match="not started"):
        envs.step([MUL, MUL])
    with pytest.raises(ResetNeeded, match="not started"):
        envs.action_masks()
    with pytest.raises(ResetNeeded, match="first reset must start all"):
        envs.reset(options={"reset_mask": np.array([True, False])})
    envs.reset(seed=0)
    envs.step([ANS, MUL])
    with pytest.raises(ResetNeeded, match=r"sub-environments \[0\] are over"):
        envs.step([MUL, ADD])
    _, infos = envs.reset(options={"reset_mask": np.array([True, False])})
    assert infos["_steps"].tolist() == [True, False]
    assert envs.step([MUL, ADD])[4]["steps"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "exception", "message"),
    [
        ({"num_envs": 0}, ValueError, "num_envs must be an integer of at least 1, got 0"),
        ({"num_envs": 2.0}, TypeError, "num_envs must be an integer"),
        ({"stage": 3}, ValueError, "stage"),
        ({"max_steps": 17}, ValueError, "max_steps"),
        ({"autoreset_mode": "never"}, ValueError, "'never' is not a valid AutoresetMode"),
    ],
)
def test_bad_arguments(arguments, exception, message):
    with pytest.raises(exception, match=message):
        ToolArithVectorEnv(**arguments)


def test_call_and_attributes(env_id):
    envs, sync = make_pair(env_id, AutoresetMode.NEXT_STEP, 3, stage=(0, 1, 2))
    envs.reset(seed=5)
    sync.reset(seed=5)
    for name in ("stages", "max_steps", "shaping", "world", "render_mode", "np_random_seed"):
        assert envs.call(name) == envs.get_attr(name) == sync.call(name)
    for name in ("action_space", "observation_space"):
        assert envs.call(name) == sync.call(name)
    assert np.array_equal(envs.call("action_masks"), sync.call("action_masks"))
    assert envs.call("set_stage", 1) == sync.call("set_stage", 1) == (None, None, None)
    assert envs.np_random_seed == (5, 6, 7)
    for ours, theirs in zip(envs.np_random, sync.np_random, strict=True):
        assert ours.bit_generator.state == theirs.bit_generator.state
    assert envs.call("render") == (None, None, None)
    with pytest.raises(AttributeError, match="colour"):
        envs.call("colour")


@pytest.mark.parametrize("render_mode", ["ansi", "rgb_array"])
def test_frames_are_those_of_the_scalar_environments(env_id, render_mode):
    settings = {"stage": (0, 1, 2), "render_mode": render_mode}
    envs, sync = make_pair(env_id, AutoresetMode.NEXT_STEP, 3, **settings)
    envs.reset(seed=2)
    sync.reset(seed=2)
    for token in (MUL, STO, RCL, ANS):
        envs.step(np.full(3, token))
        sync.step(np.full(3, token))
        assert data_equivalence(envs.render(), sync.render(), exact=True)
    with pytest.raises(gym.error.UnsupportedMode, match="'colour'"):
        CLASSES[env_id](3, render_mode="colour")


narrow, wide = st.integers(2, 2**32), st.integers(2**32, 2**63 - 1)  # 32 bits a draw, and 64


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**64),
    bounds=st.lists(st.one_of(narrow, wide), min_size=1, max_size=40),
)
def test_streams_are_numpys(seed, bounds):
    theirs, _ = seeding.np_random(seed)
    ours = np.array([streams.to_row(theirs)], dtype=np.uint64)
    # so near a power of two, half of all draws are rejected
    for bound in [*bounds, 2**31 + 1, 300_000]:
        (drawn,) = streams.draw_below(ours, np.array([0]), bound)
        assert drawn == theirs.integers(bound)
    assert streams.to_generator(ours[0]).bit_generator.state == theirs.bit_generator.state


def test_works_where_no_cache_can_be_written(tmp_path):
    package = tmp_path / "toolenv_gym"
    shutil.copytree(
        ROOT / "toolenv_gym", package, ignore=lambda *_: ["__pycache__"], dirs_exist_ok=True
    )
    (package / "__pycache__").write_text("a file, in which no folder can be made")
    nowhere = str(package / "__pycache__" / "no")
    folders = {name: nowhere for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME")}
    code = (
        "import gymnasium, toolenv_gym.vector.streams\n"
        "print(toolenv_gym.__file__)\n"
        "envs = gymnasium.make_vec('ToolArith-v0', num_envs=2)\n"
        "print(envs.reset(seed=0)[0].shape)"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=tmp_path,
        env=os.environ | folders,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1:] == ["(2, 8)"], done.stderr
    assert str(tmp_path) in done.stdout  # it was this copy that ran


def test_kernels_are_cached_where_they_can_be():
    assert os.listdir(streams.draw_below._cache.cache_path)


class TestLazyInfos:
    """A LazyInfos is used as the dict that it stands for, each time with nothing read before."""

    @pytest.fixture
    def infos(self):
        self.read = []

        def compute(key):
            self.read.append(key)
            return key.upper()

        return LazyInfos.unread({"a": UNREAD, "b": UNREAD, "c": 3}, compute)

    WHOLE = {"a": "A", "b": "B", "c": 3}

    def test_is_made_as_a_dict_is(self):
        for infos in (
            LazyInfos(self.WHOLE),
            LazyInfos(**self.WHOLE),
            LazyInfos(self.WHOLE.items()),
        ):
            assert infos == self.WHOLE

    def test_reads_each_value_once_and_only_if_asked(self, infos):
        assert "a" in infos
        assert len(infos) == 3
        assert list(infos) == list(infos.keys()) == ["a", "b", "c"]
        assert infos.get("d", 4) == 4
        assert self.read == []
        assert infos["a"] == infos["a"] == infos.get("a") == infos.setdefault("a", 5) == "A"
        assert self.read == ["a"]

    @pytest.mark.parametrize(
        "use",
        [
            dict,
            copy.copy,
            copy.deepcopy,
            lambda infos: pickle.loads(pickle.dumps(infos)),
            lambda infos: {**infos},
            lambda infos: infos.copy(),
            lambda infos: infos | {},
            lambda infos: {} | infos,
            lambda infos: dict(infos.items()),
            lambda infos: dict(zip(infos, infos.values(), strict=True)),
            lambda infos: eval(repr(infos)),
            lambda infos: dict([infos.popitem() for _ in range(3)]),
            lambda infos: {key: infos.pop(key) for key in "abc"},
        ],
    )
    def test_copies_are_whole_and_plain(self, infos, use):
        copied = use(infos)
        assert type(copied) is dict
        assert copied == self.WHOLE

    def test_compares_and_changes_as_a_dict(self, infos):
        assert infos == self.WHOLE
        assert infos != {"a": "A"}
        infos["episode"] = 1
        assert infos.setdefault("z", 26) == 26
        assert infos == self.WHOLE | {"episode": 1, "z": 26}
        assert infos.pop("nothing", None) is None
        with pytest.raises(KeyError):
            infos["nothing"]
