"""What the benchmark measures: tasks, learners, and which of them are run with which seeds.

A task and a learner are data. A cell of the table is a learner on a task; it is run once a seed,
with the learner's default settings or with the tuned ones.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from agents.toolarith.settings import AlgorithmName, RevealName, TrainSettings, WorldName
from toolenv_gym import worlds
from toolenv_gym.oracle import Task
from toolenv_gym.rules import Rules

EVALUATE_EVERY = 20_000  # environment steps
SEEDS = range(10)  # of training
FEW_SEEDS = range(5)  # of the learners that take long

Hyperparams: TypeAlias = dict[str, int | float]
Tuning = Literal["default", "tuned"]
TUNINGS: tuple[Tuning, ...] = get_args(Tuning)
Memory = Literal["none", "history", "own"]
PUBLISHED_A2C = "published_a2c"


@dataclass(frozen=True)
class BenchmarkTask:
    """What is learnt and evaluated.

    :param stage: the stages that are trained on
    :param steps: environment steps of a run
    :param n_envs: environments of the on-policy learners; None for as many as each has by default
    :param max_steps: budget of tokens; None for the world's
    """

    name: str
    env: WorldName
    stage: tuple[int, ...]
    reveal: RevealName = "always"
    steps: int = 100_000
    n_envs: int | None = 64  # as many updates as the few steps allow
    max_steps: int | None = None

    @property
    def rules(self) -> Rules:
        """Those of the world."""
        return worlds.WORLDS[self.env]

    @property
    def evaluated(self) -> list[Task]:
        """The stages and splits that its learners are evaluated on."""
        return self.settings().evaluation_tasks

    @property
    def trained(self) -> list[Task]:
        """The stages that its learners are trained on: the score is the mean over them."""
        return self.settings().tasks

    def settings(self, **others: Any) -> TrainSettings:
        """Return the settings of a training run on the task."""
        return TrainSettings(
            env=self.env, stage=self.stage, reveal=self.reveal, max_steps=self.max_steps, **others
        )


def _expression(reveal: RevealName) -> BenchmarkTask:
    name = f"expression-{reveal}"
    stages = (0, 1, 2, 3)
    return BenchmarkTask(name, "ToolArithExpression-v0", stages, reveal, 120_000, None)


TASKS = {
    task.name: task
    for task in (
        BenchmarkTask("published-2", "ToolArith-v0", (2,)),
        BenchmarkTask("memory-1", "ToolArithMemory-v0", (1,)),
        BenchmarkTask("memory-2", "ToolArithMemory-v0", (2,)),
        # The whole plan needs seven tokens: with six, the best one depends on the digits.
        BenchmarkTask("memory-2-six", "ToolArithMemory-v0", (2,), max_steps=6),
        _expression("ahead"),
        _expression("always"),
        _expression("once"),
    )
}


@dataclass(frozen=True)
class Learner:
    """An algorithm, and what it is helped with.

    :param algo: one of :data:`agents.toolarith.algorithms.ALGORITHMS`, or the from-scratch A2C
    :param memory: none: it reads the observation as it is; history: it is shown all tokens of the
        episode; own: it is recurrent
    :param masks: whether only tokens that have an effect are admitted
    :param guided: whether it is trained with the guided curriculum
    :param tasks: those that it is run on, by their names
    :param seeds: of its runs
    """

    name: str
    algo: AlgorithmName | Literal["published_a2c"]
    memory: Memory
    masks: bool = False
    guided: bool = False
    tasks: tuple[str, ...] = tuple(TASKS)
    seeds: range = SEEDS

    @property
    def curriculum(self) -> str:
        """How the training episodes are chosen."""
        if self.algo == PUBLISHED_A2C:
            return "published"
        return "guided" if self.guided else "mixed"

    def settings(self, task: BenchmarkTask, **others: Any) -> TrainSettings:
        """Return the settings of its runs on a task; not for the from-scratch A2C."""
        assert self.algo != PUBLISHED_A2C
        off_policy = self.algo in ("dqn", "qr_dqn")
        history = {"none": 0, "history": task.rules.MAX_STEPS, "own": None}[self.memory]
        return task.settings(
            algo=self.algo,
            history=history,
            curriculum=self.curriculum,
            masks=self.masks and self.algo != "maskable_ppo",  # it has them of itself
            n_envs=None if off_policy else task.n_envs,
            total_timesteps=task.steps,
            evaluate_every=EVALUATE_EVERY,
            device="cpu",
            **others,
        )


# What a learner without memory can reach is known exactly, and on most tasks it is little.
_AS_IT_IS = ("published-2", "memory-2")
_MASKED = ("memory-2", "expression-ahead")
_SLOW = ("memory-2",)
_GUIDABLE = tuple(name for name in TASKS if name != "memory-2-six")
_OF_THE_PUBLICATION = ("published-2", "memory-1", "memory-2")

LEARNERS = {
    learner.name: learner
    for learner in (
        Learner("PPO", "ppo", "none", tasks=_AS_IT_IS),
        Learner("A2C", "a2c", "none", tasks=_AS_IT_IS),
        Learner("DQN", "dqn", "none", tasks=_AS_IT_IS),
        Learner("QR-DQN", "qr_dqn", "none", tasks=_SLOW, seeds=FEW_SEEDS),
        Learner("TRPO", "trpo", "none", tasks=_SLOW, seeds=FEW_SEEDS),
        Learner("MaskablePPO", "maskable_ppo", "none", masks=True, tasks=("memory-2",)),
        Learner("PPO, history", "ppo", "history"),
        Learner("A2C, history", "a2c", "history"),
        Learner("DQN, history", "dqn", "history", tasks=_SLOW, seeds=FEW_SEEDS),
        Learner("QR-DQN, history", "qr_dqn", "history", tasks=_SLOW, seeds=FEW_SEEDS),
        Learner("TRPO, history", "trpo", "history", tasks=_SLOW, seeds=FEW_SEEDS),
        Learner("MaskablePPO, history", "maskable_ppo", "history", masks=True, tasks=_MASKED),
        Learner(
            "MaskablePPO, history, guided", "maskable_ppo", "history", guided=True, tasks=_MASKED
        ),
        Learner("RecurrentPPO, LSTM", "recurrent_ppo_lstm", "own", tasks=_SLOW, seeds=FEW_SEEDS),
        Learner("RecurrentPPO, GRU", "recurrent_ppo", "own", tasks=_SLOW, seeds=FEW_SEEDS),
        Learner("RecurrentA2C", "recurrent_a2c", "own"),
        Learner("RecurrentA2C, guided", "recurrent_a2c", "own", guided=True, tasks=_GUIDABLE),
        Learner("MaskableRecurrentPPO", "maskable_recurrent_ppo", "own", masks=True),
        Learner(
            "MaskableRecurrentPPO, guided",
            "maskable_recurrent_ppo",
            "own",
            guided=True,
            tasks=_GUIDABLE,
        ),
        Learner("published A2C", "published_a2c", "own", tasks=_OF_THE_PUBLICATION),
    )
}

# Where the tuned settings are tried, by the learners that do not take long.
TUNED_TASKS = ("published-2", "memory-2", "expression-ahead")


class Job(NamedTuple):
    """One run: a cell of the table and a seed, by their names."""

    tuning: Tuning
    task: str
    learner: str
    seed: int


def all_jobs() -> list[Job]:
    """Return all runs, seed by seed: whenever it is stopped, the cells have about as many."""
    return [
        Job(tuning, task, learner.name, seed)
        for seed in SEEDS
        for tuning in TUNINGS
        for learner in LEARNERS.values()
        for task in learner.tasks
        if seed in learner.seeds
        and (tuning == "default" or (task in TUNED_TASKS and learner.seeds == SEEDS))
    ]
