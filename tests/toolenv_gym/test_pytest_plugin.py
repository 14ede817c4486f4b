"""The pytest plugin, in test sessions of its own.

Plugins that are installed are not loaded there, or this one might be twice.
"""

import sys

import pytest

import toolenv_gym.testing.references  # noqa: F401  (numba can be imported but once in a process)
from toolenv_gym import ToolArithEnv
from toolenv_gym.testing import NotOfferedError, plugin
from toolenv_gym.testing.failures import FailureError

pytest_plugins = ["pytester"]

PLUGIN = "toolenv_gym.testing.plugin"


@pytest.fixture
def run(pytester, monkeypatch):
    """Run pytest in a folder of its own, with the plugin."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run_pytest(*arguments):
        return pytester.runpytest_inprocess("-p", PLUGIN, "-p", "no:cacheprovider", *arguments)

    return run_pytest


def test_pytest_alone_stays_light(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        """
        import sys

        def test_what_is_imported(request):
            assert request.config.pluginmanager.has_plugin("toolenv_gym.testing.plugin")
            heavy = {"numba", "torch", "stable_baselines3", "agents", "pygame", "PIL",
                     "toolenv_gym.oracle", "toolenv_gym.compiled", "toolenv_gym.vector"}
            assert heavy.isdisjoint(sys.modules)
        """
    )
    pytester.runpytest_subprocess("-p", PLUGIN).assert_outcomes(passed=1)


# ------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--toolarith-id=CartPole-v1"], "*--toolarith-id: invalid choice: 'CartPole-v1'*"),
        (["--toolarith-reveal=never"], "*--toolarith-reveal: invalid choice: 'never'*"),
        (
            ["--toolarith-reveal=ahead"],
            "ERROR: --toolarith options: reveal must be 'always' or 'once' in ToolArith-v0, "
            "got 'ahead': its machine has no head",
        ),
        (
            ["--toolarith-stage=3"],
            "ERROR: --toolarith options: stage must be 0, 1 or 2, got 3",
        ),
        (
            ["--toolarith-stage=0-2"],
            "ERROR: --toolarith options: stages are integers with commas in between, such as "
            "0,1,2, got '0-2'",
        ),
        (
            ["--toolarith-num-envs=0"],
            "ERROR: --toolarith options: num_envs must be an integer of at least 1, got 0",
        ),
        (
            ["--toolarith-seed=-1"],
            "ERROR: --toolarith options: seed must be an integer of at least 0, got -1",
        ),
        (
            ["--toolarith-adapter=mylib.adapter"],
            "ERROR: --toolarith-adapter must be a module and a name in it, such as "
            "mylib.adapter:Adapter, got 'mylib.adapter'",
        ),
        (
            ["--toolarith-adapter=no_such_library:Adapter"],
            "ERROR: --toolarith-adapter=no_such_library:Adapter: No module named "
            "'no_such_library': is it installed? python -m pytest finds modules in the present "
            "folder too",
        ),
        (
            ["--toolarith-adapter=toolenv_gym:Adapter"],
            "ERROR: --toolarith-adapter=toolenv_gym:Adapter: module 'toolenv_gym' has no "
            "attribute 'Adapter'",
        ),
    ],
)
def test_options_that_cannot_be(run, checks, options, message):
    result = run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_help(run):
    text = run("--help").stdout.str()
    for name in ("adapter", "id", "stage", "reveal", "num-envs", "seed"):
        assert f"--toolarith-{name}" in text


# ------------------------------------------------------------------------------------ fixtures


def test_environments_of_the_command_line(run, pytester):
    pytester.makepyfile(
        """
        import pytest

        def same(env):
            return env.get_wrapper_attr("stages"), env.get_wrapper_attr("reveal")

        def test_single(toolarith_env):
            assert toolarith_env.spec.id == "ToolArithMemory-v0"
            assert toolarith_env.unwrapped.stages == (1, 2)
            assert toolarith_env.unwrapped.reveal == "ahead"

        def test_vector(toolarith_vec_env):
            assert type(toolarith_vec_env).__name__ == "ToolArithMemoryVectorEnv"
            assert toolarith_vec_env.num_envs == 3
            assert toolarith_vec_env.stages == (1, 2)
            assert toolarith_vec_env.reveal == "ahead"

        def test_sb3(toolarith_sb3_env, toolarith_make):
            assert toolarith_sb3_env.num_envs == 3
            assert toolarith_sb3_env.get_attr("stages") == [(1, 2)] * 3
            assert toolarith_sb3_env.get_attr("reveal") == ["ahead"] * 3
            seeded = toolarith_make("ToolArithMemory-v0", stage=(1, 2)).reset(seed=5)[0]
            assert (toolarith_sb3_env.reset()[0] == seeded).all()

        def test_seed(toolarith_seed):
            assert toolarith_seed == 5
        """
    )
    options = "--toolarith-id=ToolArithMemory-v0", "--toolarith-stage=1,2", "--toolarith-seed=5"
    result = run(*options, "--toolarith-reveal=ahead", "--toolarith-num-envs=3")
    result.assert_outcomes(passed=4)


def test_environments_are_closed_when_the_test_is_over(run, pytester, monkeypatch):
    closed = []
    monkeypatch.setattr(ToolArithEnv, "close", lambda env: closed.append(env))
    pytester.makepyfile(
        """
        made = []

        def test_makes(toolarith_make, toolarith_make_vec, toolarith_make_sb3):
            toolarith_make("ToolArith-v0", stage=1)
            toolarith_make("ToolArithExpression-v0", split="train")
            made.append(toolarith_make_vec("ToolArithMemory-v0", num_envs=2, reveal="once"))
            envs = toolarith_make_sb3("ToolArith-v0", 3, max_steps=4)
            assert envs.get_attr("max_steps") == [4, 4, 4]
            assert not made[0].closed

        def test_after_it():
            assert made[0].closed
        """
    )
    run().assert_outcomes(passed=2)
    assert len(set(closed)) == 2 + 3


def test_tests_without_stable_baselines_are_skipped(run, pytester, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("stable_baselines3")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    pytester.makepyfile("def test_it(toolarith_sb3_env): pass")
    run().assert_outcomes(skipped=1)


def test_the_oracle(run, pytester):
    """The optimum of stage 0 is that of (a*b + c): 1, and 0.2 times 0.5 and, if c is 0, 0.25."""
    pytester.makepyfile(
        """
        import pytest

        def test_it(toolarith_oracle):
            assert toolarith_oracle() == pytest.approx(1 + 0.2 * (0.5 + 0.25 / 10))
            assert toolarith_oracle(shaping=0.0) == 1.0
            memoryless = toolarith_oracle("memoryless", "ToolArithMemory-v0", stage=2, shaping=0)
            assert memoryless == pytest.approx(0.334)
        """
    )
    run("--toolarith-id=ToolArithMemory-v0").assert_outcomes(passed=1)


def test_each_probe(run, pytester):
    pytester.makepyfile(
        """
        from toolenv_gym.testing import PROBES

        def test_learns(toolarith_probe):
            assert PROBES[toolarith_probe.name] is toolarith_probe
        """
    )
    result = run("-v")
    result.assert_outcomes(passed=7)
    names = ("one-step", "plan", "memory", "masks", "truncation", "register", "depth")
    result.stdout.fnmatch_lines([f"*::test_learns[[]{name}[]] PASSED*" for name in names])


# ----------------------------------------------------------------------------- a learner's report


@pytest.fixture
def checks(monkeypatch):
    """Three checks in place of the kit's: of whatever a learner offers as its outcome."""

    def right(adapter):
        assert adapter.value == 1

    def wrong(adapter):
        raise FailureError(f"the value is {adapter.value}, it must be 2.\nSlips live here.")

    def absent(adapter):
        raise NotOfferedError("it has no masks")

    checks = {"right": right, "wrong": wrong, "absent": absent}
    monkeypatch.setattr(plugin, "LEARNER_CHECKS", checks)
    return checks


@pytest.fixture
def library(pytester):
    """A library with an adapter and a test of its own."""
    pytester.syspathinsert()
    pytester.makepyfile(my_adapter="class Adapter:\n    value = 1", test_own="def test_own(): pass")


OPTION = "--toolarith-adapter=my_adapter:Adapter"


def test_a_report(run, checks, library):
    result = run(OPTION, "-v", "-ra")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*collected 3 items",
            "my_adapter:Adapter::right PASSED*",
            "my_adapter:Adapter::wrong FAILED*",
            "my_adapter:Adapter::absent SKIPPED (absent: it has no masks)*",
            "the value is 1, it must be 2.",
            "Slips live here.",
            "FAILED my_adapter:Adapter::wrong - Failed: the value is 1, it must be 2.*",
        ]
    )
    assert "def wrong" not in result.stdout.str()


def test_a_report_without_failures(run, checks, library):
    del checks["wrong"]
    result = run(OPTION)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1, skipped=1)


def test_files_that_are_named_run_too(run, checks, library):
    run(OPTION, "test_own.py").assert_outcomes(passed=2, failed=1, skipped=1)


def test_checks_are_chosen_by_their_names(run, checks, library):
    run(OPTION, "-k", "right").assert_outcomes(passed=1, deselected=2)


@pytest.mark.parametrize("error", ["RuntimeError", "AssertionError"])
def test_an_error_of_the_adapter_is_shown_with_its_traceback(run, checks, library, pytester, error):
    pytester.makepyfile(
        my_adapter=f"""
        class Broken:
            @property
            def value(self):
                raise {error}("no network yet")
        Adapter = Broken()
        """
    )
    result = run(OPTION, "-k", "right")
    result.assert_outcomes(failed=1, deselected=2)
    result.stdout.fnmatch_lines([f'>*raise {error}("no network yet")', "*my_adapter.py:*"])
