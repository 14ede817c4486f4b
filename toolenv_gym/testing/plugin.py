"""A pytest plugin: environments with exact references as fixtures, and a report on a learner.

Fixtures that make an environment as ``gymnasium.make`` and ``gymnasium.make_vec`` do, and close it
when the test is over:

| fixture | makes |
|---------|-------|
| ``toolarith_make(env_id, **settings)`` | a single environment |
| ``toolarith_make_vec(env_id, num_envs, **settings)`` | a vector environment |
| ``toolarith_make_sb3(env_id, num_envs, **settings)`` | one of Stable-Baselines3, if installed |

``toolarith_env``, ``toolarith_vec_env`` and ``toolarith_sb3_env`` are those that the command line
asks for by ``--toolarith-id``, ``--toolarith-stage``, ``--toolarith-reveal``,
``--toolarith-num-envs`` and ``--toolarith-seed``; ``toolarith_seed`` is that seed.
``toolarith_oracle`` tells what can be reached, and a test with ``toolarith_probe`` runs once for
each of :data:`toolenv_gym.testing.PROBES`.

``pytest --toolarith-adapter package.module:Adapter`` runs the checks of
:data:`toolenv_gym.testing.LEARNER_CHECKS` on a learner, each as a test of its own.
"""

import functools
import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.vector import VectorEnv

from toolenv_gym import arguments
from toolenv_gym.observation import REVEALS
from toolenv_gym.testing.failures import FailureError
from toolenv_gym.testing.learners.adapter import NotOfferedError
from toolenv_gym.testing.learners.checks import LEARNER_CHECKS
from toolenv_gym.testing.probes import PROBES, Env, Probe
from toolenv_gym.worlds import WORLDS

VecEnv = VectorEnv[Any, Any, Any]


# ------------------------------------------------------------------------------------- options


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("toolarith", "ToolArith, environments with exact references")
    group.addoption(
        "--toolarith-adapter",
        metavar="MODULE:NAME",
        help="check the learner of this adapter; the tests of other files run if they are named",
    )
    group.addoption(
        "--toolarith-id",
        default="ToolArith-v0",
        choices=list(WORLDS),
        help="environment of toolarith_env, toolarith_vec_env and toolarith_sb3_env "
        "(default: %(default)s)",
    )
    group.addoption(
        "--toolarith-stage",
        default="0",
        metavar="STAGES",
        help="its stage, or several with commas in between (default: %(default)s)",
    )
    group.addoption(
        "--toolarith-reveal",
        default="always",
        choices=REVEALS,
        help="how much it shows of the problem (default: %(default)s)",
    )
    group.addoption(
        "--toolarith-num-envs",
        default=4,
        type=int,
        metavar="N",
        help="how many stand side by side in toolarith_vec_env and toolarith_sb3_env "
        "(default: %(default)s)",
    )
    group.addoption(
        "--toolarith-seed",
        default=0,
        type=int,
        metavar="SEED",
        help="of toolarith_seed and toolarith_sb3_env (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    try:
        _settings(config)
        arguments.check_num_envs(config.getoption("toolarith_num_envs"))
        arguments.check_seed(config.getoption("toolarith_seed"))
    except ValueError as error:
        raise pytest.UsageError(f"--toolarith options: {error}") from None
    given = config.args_source is pytest.Config.ArgsSource.ARGS
    if config.getoption("toolarith_adapter") and not given:
        config.args = []


def _settings(config: pytest.Config) -> dict[str, Any]:
    """Return the settings that the command line asks for.

    :raises ValueError: the environment has no such stage, or cannot show that much
    """
    rules = WORLDS[config.getoption("toolarith_id")]
    stages = tuple(map(_stage, config.getoption("toolarith_stage").split(",")))
    reveal = config.getoption("toolarith_reveal")
    arguments.check_reveal(rules, reveal)
    return {"stage": arguments.check_stages(rules, stages), "reveal": reveal}


def _stage(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(
            f"stages are integers with commas in between, such as 0,1,2, got {text!r}"
        ) from None


# ------------------------------------------------------------------------------------ fixtures


@pytest.fixture
def toolarith_make() -> Iterator[Callable[..., Env]]:
    """``gymnasium.make``, whose environments are closed when the test is over."""
    with ExitStack() as stack:
        yield functools.partial(_closed_by, stack, gym.make)


@pytest.fixture
def toolarith_make_vec() -> Iterator[Callable[..., VecEnv]]:
    """``gymnasium.make_vec``, whose environments are closed when the test is over."""
    with ExitStack() as stack:
        yield functools.partial(_closed_by, stack, gym.make_vec)


@pytest.fixture
def toolarith_make_sb3(toolarith_seed: int) -> Iterator[Callable[..., Any]]:
    """The like for Stable-Baselines3: its ``make_vec_env``, with the seed of the command line.

    Tests that use it are skipped if Stable-Baselines3 is not installed.
    """
    make_vec_env = pytest.importorskip("stable_baselines3.common.env_util").make_vec_env

    def make(env_id: str, num_envs: int = 1, **settings: Any) -> Any:
        return make_vec_env(env_id, num_envs, toolarith_seed, env_kwargs=settings)

    with ExitStack() as stack:
        yield functools.partial(_closed_by, stack, make)


def _closed_by(stack: ExitStack, make: Callable[..., Any], *args: Any, **settings: Any) -> Any:
    env = make(*args, **settings)
    stack.callback(env.close)
    return env


@pytest.fixture
def toolarith_env(pytestconfig: pytest.Config, toolarith_make: Callable[..., Env]) -> Env:
    """The environment that the command line asks for."""
    return toolarith_make(pytestconfig.getoption("toolarith_id"), **_settings(pytestconfig))


@pytest.fixture
def toolarith_vec_env(
    pytestconfig: pytest.Config, toolarith_make_vec: Callable[..., VecEnv]
) -> VecEnv:
    """The vector environment that the command line asks for."""
    return toolarith_make_vec(
        pytestconfig.getoption("toolarith_id"),
        pytestconfig.getoption("toolarith_num_envs"),
        **_settings(pytestconfig),
    )


@pytest.fixture
def toolarith_sb3_env(pytestconfig: pytest.Config, toolarith_make_sb3: Callable[..., Any]) -> Any:
    """The same for Stable-Baselines3."""
    return toolarith_make_sb3(
        pytestconfig.getoption("toolarith_id"),
        pytestconfig.getoption("toolarith_num_envs"),
        **_settings(pytestconfig),
    )


@pytest.fixture
def toolarith_seed(pytestconfig: pytest.Config) -> int:
    """The seed that the command line asks for."""
    seed: int = pytestconfig.getoption("toolarith_seed")
    return seed


@pytest.fixture
def toolarith_oracle(pytestconfig: pytest.Config) -> Callable[..., float]:
    """Exact mean returns: ``toolarith_oracle("memoryless", "ToolArithMemory-v0", stage=2)``.

    By itself, ``toolarith_oracle()`` is the optimum in the environment that the command line asks
    for. See :func:`toolenv_gym.testing.references.exact_mean_return`.
    """

    def oracle(kind: str = "optimum", env_id: str | None = None, **settings: Any) -> float:
        from toolenv_gym.testing.references import exact_mean_return

        if env_id is None:
            env_id = pytestconfig.getoption("toolarith_id")
            settings = _settings(pytestconfig) | settings
        return exact_mean_return(kind, env_id, **settings)

    return oracle


@pytest.fixture(params=PROBES.values(), ids=list(PROBES))
def toolarith_probe(request: pytest.FixtureRequest) -> Probe:
    """Each of the probes, the easiest first."""
    probe: Probe = request.param
    return probe


# ----------------------------------------------------------------------------- a learner's report


@pytest.hookimpl(tryfirst=True)  # so that -k and -m choose among the checks too
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    name = config.getoption("toolarith_adapter")
    if name:
        checks = LearnerChecks.from_parent(session, name=name, nodeid=name, adapter=_imported(name))
        items.extend(session.genitems(checks))


class LearnerChecks(pytest.Collector):
    """The checks of a learner.

    :param adapter: what they take
    """

    def __init__(self, adapter: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._adapter = adapter

    def collect(self) -> "list[LearnerCheckItem]":
        return [
            LearnerCheckItem.from_parent(self, name=name, check=check, adapter=self._adapter)
            for name, check in LEARNER_CHECKS.items()
        ]


class LearnerCheckItem(pytest.Item):
    """One check as a test: passed, failed with its message, or skipped if not applicable.

    :param check: raises :class:`FailureError`, or :class:`NotOfferedError` for a learner that has
        not what it is about
    :param adapter: what ``check`` takes
    """

    def __init__(self, check: Callable[[Any], None], adapter: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._check = check
        self._adapter = adapter

    def runtest(self) -> None:
        try:
            self._check(self._adapter)
        except NotOfferedError as reason:
            pytest.skip(f"{self.name}: {reason}")
        except FailureError as error:
            failure = error
        else:
            return
        pytest.fail(str(failure), pytrace=False)  # its own source would help nobody

    def reportinfo(self) -> tuple[Any, int | None, str]:
        return self.path, None, self.nodeid


def _imported(name: str) -> Any:
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise pytest.UsageError(
            f"--toolarith-adapter must be a module and a name in it, such as "
            f"mylib.adapter:Adapter, got {name!r}"
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        missing = isinstance(error, ModuleNotFoundError) and module.startswith(str(error.name))
        hint = (
            ": is it installed? python -m pytest finds modules in the present folder too"
            if missing
            else ""
        )
        raise pytest.UsageError(f"--toolarith-adapter={name}: {error}{hint}") from error
