"""What can be asked for of a training run."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from agents.common.devices import check_device
from agents.toolarith.algorithms import ALGORITHMS, Sizes, check_hyperparams, knows_masks
from toolenv_gym import worlds
from toolenv_gym.arguments import check_max_steps, check_reveal, check_shaping, check_stages
from toolenv_gym.guidance import longest_plan
from toolenv_gym.oracle import Task
from toolenv_gym.rules import Rules
from toolenv_gym.starts import split_templates

SEEDS = 2**32  # as many as NumPy's global generator takes

WorldName = Literal["ToolArith-v0", "ToolArithMemory-v0", "ToolArithExpression-v0"]
AlgorithmName = Literal[
    "maskable_recurrent_ppo",
    "recurrent_a2c",
    "recurrent_ppo",
    "recurrent_ppo_lstm",
    "ppo",
    "a2c",
    "dqn",
    "qr_dqn",
    "trpo",
    "maskable_ppo",
]

CurriculumName = Literal["mixed", "threshold", "published", "guided"]
NetworkName = Literal["published", "next_tokens", "context", "lstm", "read_head"]
RevealName = Literal["always", "ahead", "once"]


class WorldDefaults(NamedTuple):
    """What counts in a world where nothing else is asked for.

    :param guided: whether the learners that know masks are guided by them
    :param split: the templates that are trained on; it cannot be chosen
    :param networks: by what is revealed
    """

    stages: tuple[int, ...]
    guided: bool
    reveal: RevealName
    split: str
    networks: dict[RevealName, NetworkName]


_FIRST = WorldDefaults(
    (0, 1, 2),
    False,
    "always",
    "all",
    {"always": "published", "ahead": "published", "once": "published"},
)

DEFAULTS: dict[str, WorldDefaults] = {
    "ToolArith-v0": _FIRST,
    "ToolArithMemory-v0": _FIRST._replace(guided=True),
    "ToolArithExpression-v0": WorldDefaults(
        (0, 1, 2, 3),
        True,
        "ahead",
        "train",
        {"always": "read_head", "ahead": "next_tokens", "once": "context"},
    ),
}


@dataclass
class TrainSettings:
    """Train an agent and evaluate it exactly."""

    algo: AlgorithmName = "maskable_recurrent_ppo"
    """learner; it and recurrent_a2c are ours and have, as recurrent_ppo, the published network"""
    env: WorldName = "ToolArith-v0"
    """id of the world: published rules, described rules, or expressions"""
    stage: tuple[int, ...] | None = None
    """stages to train on, in the order of the curriculum. By default 0 1 2, and for
    ToolArithExpression-v0, there on the train split, 0 1 2 3"""
    reveal: RevealName | None = None
    """how much of the problem is shown. always: all of it; ahead: what lies ahead of the machine's
    head; once: all of it, in the first observation only. By default ahead for
    ToolArithExpression-v0, always for the others"""
    policy: NetworkName | None = None
    """network of maskable_recurrent_ppo, recurrent_a2c and recurrent_ppo. published: a GRU that
    reads the problem as a bag of tokens; next_tokens: one that reads the first four tokens shown;
    context: one that reads all of them; lstm: the same with sb3-contrib's LSTMs; read_head: one
    with a read head of its own. By default, for ToolArithExpression-v0, next_tokens with --reveal
    ahead, read_head with always and context with once; published for the others"""
    curriculum: CurriculumName | None = None
    """mixed: all stages at once; threshold: one joins in at 50 % success; published: by tens;
    guided: mixed, and masks lead along a plan, up to ever more last tokens. By default mixed for
    ToolArith-v0, guided for the others"""
    history: int | None = None
    """how many of the last tokens a network without memory is shown, one-hot; 0 for the observation
    as it is (for recurrent_ppo_lstm always one at least). By default 7 for maskable_ppo, 0 for the
    others"""
    shaping: float | None = None
    """weight of the milestones in the reward of training. By default 0.2; ToolArithExpression-v0
    has none"""
    max_steps: int | None = None
    """tokens that an episode may have. By default the world's: 7, in ToolArithExpression-v0 12"""
    masks: bool = False
    """admit only tokens that have an effect, in training and evaluation (maskable_ppo: unless it is
    guided)"""
    n_envs: int | None = None
    """environments played side by side. By default 64 for recurrent_a2c, a2c, ppo and maskable_ppo,
    256 for the others"""
    total_timesteps: int | None = None
    """environment steps to train for, all environments together. By default 500,000"""
    hyperparams: dict[str, int | float] = field(default_factory=dict)
    """settings of the learner's class by their names there, in place of its defaults here:
    --hyperparams learning_rate 0.0005 n_steps 16"""
    seed: int = 0
    """of the network, the problems and the actions"""
    device: str = "auto"
    """cpu, cuda or auto"""
    threads: int = 1
    """torch threads; more are slower for networks this small"""
    evaluate_every: int = 20_000
    """environment steps between two evaluations, each followed by a checkpoint"""
    out: Path | None = None
    """folder of the run; by default a new one in runs/"""
    resume: bool = False
    """go on with the killed run in --out (by default the newest of its kind) from its checkpoint"""

    def check(self) -> None:
        """Raise a ValueError that names what cannot be, at all or on this machine."""
        self.check_task()
        cores = os.cpu_count() or 1
        if not 1 <= self.threads <= cores:
            raise ValueError(
                f"threads must be 1 to {cores}, the cores of this machine, got {self.threads}"
            )
        check_device(self.device)

    def check_task(self) -> None:
        """Raise a ValueError that names what cannot be on any machine."""
        check_stages(self.rules, self.stages, self.split)
        check_reveal(self.rules, self.shown)
        if self.shaping is not None:
            check_shaping(self.rules, self.shaping)
        check_max_steps(self.rules, self.budget)
        check_hyperparams(self.algo, self.hyperparams)
        own_policy = ALGORITHMS[self.algo].policy_class is not None
        if self.policy is not None and own_policy:
            raise ValueError(f"{self.algo} has a network of its own: leave out --policy")
        if self.curriculum == "guided" and self.masks:
            raise ValueError("the guided curriculum has masks of its own: leave out --masks")
        if (self.curriculum == "guided" or self.masks) and not knows_masks(self.algo):
            raise ValueError(
                f"{self.algo} knows no masks: for a guided curriculum or --masks take "
                "maskable_recurrent_ppo, recurrent_a2c or maskable_ppo; else --curriculum mixed"
            )
        if self.schedule == "guided":
            longest = longest_plan(self.rules, self.stages)
            if self.budget < longest:
                raise ValueError(
                    f"max_steps must be at least {longest}, the longest plan, for a guided "
                    f"curriculum, got {self.budget}: else --curriculum mixed"
                )
        if self.curriculum == "published" and self.stages != (0, 1, 2):
            raise ValueError(f"the published curriculum is of stages 0 1 2, got {self.stages}")
        sizes = self.sizes
        at_least_1 = sizes._asdict() | {"evaluate_every": self.evaluate_every}
        del at_least_1["history"]
        for name, value in at_least_1.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if sizes.n_envs > sizes.total_timesteps:
            raise ValueError(
                f"n_envs must be at most total_timesteps, a step of each: got {sizes.n_envs} "
                f"environments for {sizes.total_timesteps} steps"
            )
        if sizes.history < 0:
            raise ValueError(f"history must be at least 0, got {sizes.history}")
        if sizes.history and not own_policy:
            raise ValueError(f"{self.algo} reads the observation as it is: leave out --history")
        if not 0 <= self.seed < SEEDS:
            raise ValueError(f"seed must be 0 to {SEEDS - 1}, got {self.seed}")

    @property
    def rules(self) -> Rules:
        """The rules of the world."""
        return worlds.WORLDS[self.env]

    @property
    def stages(self) -> tuple[int, ...]:
        """The stages asked for, or the world's own."""
        return DEFAULTS[self.env].stages if self.stage is None else self.stage

    @property
    def shown(self) -> RevealName:
        """How much of the problem is shown: as asked for, or as is usual in the world."""
        return self.reveal or DEFAULTS[self.env].reveal

    @property
    def split(self) -> str:
        """The templates that are trained on."""
        return DEFAULTS[self.env].split

    @property
    def budget(self) -> int:
        """The tokens that an episode may have: as asked for, or the world's."""
        return self.rules.MAX_STEPS if self.max_steps is None else self.max_steps

    @property
    def network(self) -> NetworkName:
        """The network asked for, or the one for what the world reveals."""
        return self.policy or DEFAULTS[self.env].networks[self.shown]

    @property
    def tasks(self) -> list[Task]:
        """What it is evaluated on, a task a stage: the templates that are trained on."""
        return [
            Task(self.rules, stage, self.max_steps, reveal=self.shown, split=self.split)
            for stage in sorted(set(self.stages))
        ]

    @property
    def evaluation_tasks(self) -> list[Task]:
        """What shows how far it gets: all that it is trained on, and what is held out.

        Where the split ``"train"`` is trained on, the tasks of the split ``"test"`` follow, of all
        stages that have templates in it, trained on or not.
        """
        if self.split != "train":
            return self.tasks
        stages = [s for s in range(self.rules.N_STAGES) if split_templates(self.rules, "test", s)]
        return self.tasks + [
            Task(self.rules, stage, self.max_steps, reveal=self.shown, split="test")
            for stage in stages
        ]

    @property
    def sizes(self) -> Sizes:
        """Environments, steps and history: those asked for, or the learner's own."""
        asked = {name: getattr(self, name) for name in Sizes._fields}
        given = {name: value for name, value in asked.items() if value is not None}
        return ALGORITHMS[self.algo].sizes._replace(**given)

    @property
    def in_force(self) -> dict[str, Any]:
        """By their names, the settings that are the world's or the learner's where none is given.

        All but the curriculum.
        """
        reads_any = ALGORITHMS[self.algo].policy_class is None
        return {
            "stage": self.stages,
            "reveal": self.shown,
            "policy": self.network if reads_any else None,
            "shaping": self.rules.SHAPING if self.shaping is None else self.shaping,
            "max_steps": self.budget,
            **self.sizes._asdict(),
        }

    @property
    def masked(self) -> bool:
        """Whether only tokens that have an effect are admitted, where nothing is guided."""
        return self.masks or (self.algo == "maskable_ppo" and self.schedule != "guided")

    @property
    def uses_masks(self) -> bool:
        """Whether the learner, if it has the choice, is to respect masks in training."""
        return self.masks or self.schedule == "guided"

    @property
    def schedule(self) -> str:
        """The curriculum asked for, or the default one."""
        guidable = knows_masks(self.algo) and not self.masks
        default = "guided" if DEFAULTS[self.env].guided and guidable else "mixed"
        return self.curriculum or default
