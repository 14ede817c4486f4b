"""A training run: its settings, its folder, and how a killed one goes on.

The folder of a run holds

- ``settings.json``: what was asked for
- ``checkpoint.zip`` (and ``replay_buffer.pkl`` for off-policy learners): the last checkpoint
- ``evaluations.csv``: greedy scores on a fixed sample of problems, up to the last checkpoint
- ``progress.csv`` and TensorBoard events: the log (:mod:`agents.progress`)
- ``model.zip``: the finished model
"""

import dataclasses
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from agents.algorithms import (
    ALGORITHMS,
    knows_masks,
    load_model,
    make_model,
    make_training_env,
    saved_timesteps,
)
from agents.curriculum import (
    Curriculum,
    CurriculumCallback,
    GuidedCurriculum,
    MixedCurriculum,
    PublishedCurriculum,
    ThresholdCurriculum,
)
from agents.files import write_atomically
from agents.paper_policy import ToolArithGruPolicy
from agents.progress import Checkpoints, make_logger
from toolenv_gym import rules
from toolenv_gym.arguments import check_shaping, check_stages
from toolenv_gym.oracle import Task

SUCCESS_THRESHOLD = 0.5  # of the threshold curriculum

WorldName = Literal["ToolArith-v0", "ToolArithMemory-v0"]
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


@dataclass
class TrainSettings:
    """Train an agent and evaluate it exactly."""

    algo: AlgorithmName = "maskable_recurrent_ppo"
    """learner; it and recurrent_a2c are ours and have, as recurrent_ppo, the published network"""
    env: WorldName = "ToolArith-v0"
    """id of the world: published or described rules"""
    stage: tuple[int, ...] = (0, 1, 2)
    """stages to train on, in the order of the curriculum"""
    curriculum: Literal["mixed", "threshold", "published", "guided"] | None = None
    """mixed: all stages at once; threshold: one joins in at 50 % success; published: by tens;
    guided: mixed, and masks lead through ever fewer first steps. By default guided for
    ToolArithMemory-v0, mixed for ToolArith-v0"""
    history: int = 0
    """how many of the last tokens a network without memory is shown, one-hot; 0 for the observation
    as it is (for recurrent_ppo_lstm always one at least)"""
    shaping: float = rules.SHAPING
    """weight of the milestones in the reward of training"""
    masks: bool = False
    """admit only tokens that have an effect, in training and evaluation (maskable_ppo: always)"""
    n_envs: int = 256
    """environments played side by side"""
    total_timesteps: int = 500_000
    """environment steps to train for, all environments together"""
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
        """Raise a ValueError that names what cannot be."""
        self.stage = check_stages(self.stage)
        self.shaping = check_shaping(self.shaping)
        if self.curriculum == "guided" and self.masks:
            raise ValueError("the guided curriculum has masks of its own: leave out --masks")
        if (self.curriculum == "guided" or self.masks) and not knows_masks(self.algo):
            raise ValueError(
                f"{self.algo} knows no masks: for a guided curriculum or --masks take "
                "maskable_recurrent_ppo, recurrent_a2c or maskable_ppo; else --curriculum mixed"
            )
        if self.curriculum == "published" and self.stage != (0, 1, 2):
            raise ValueError(f"the published curriculum is of stages 0 1 2, got {self.stage}")
        for name in ("n_envs", "total_timesteps", "threads", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.history < 0:
            raise ValueError(f"history must be at least 0, got {self.history}")
        if self.history and ALGORITHMS[self.algo].policy_class is ToolArithGruPolicy:
            raise ValueError(f"{self.algo} reads the observation as it is: leave out --history")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        try:
            th.device("cpu" if self.device == "auto" else self.device)
        except RuntimeError as error:
            raise ValueError(f"device must be auto or one of torch's: {error}") from error

    @property
    def rule_set(self) -> int:
        """The rules of the world."""
        return rules.RULE_SETS[self.env]

    @property
    def schedule(self) -> str:
        """The curriculum asked for, or the default one."""
        guidable = knows_masks(self.algo) and not self.masks
        default = "guided" if self.rule_set == rules.DESCRIBED and guidable else "mixed"
        return self.curriculum or default


# May differ when a run goes on; all else must be as it was.
_CHANGEABLE = {"total_timesteps", "device", "threads", "out", "resume"}


def open_run(settings: TrainSettings) -> tuple[TrainSettings, Path]:
    """Make the folder of a new run, or find that of the run to go on with.

    :return: the settings in force (a resumed run's own, where ``settings`` leaves the default)
        and the folder
    :raises FileExistsError: the folder already holds a run, and ``resume`` is not set
    :raises FileNotFoundError: there is no run to go on with
    :raises ValueError: a setting cannot be, or contradicts those of the run to go on with
    """
    settings.check()
    folder = settings.out or _default_folder(settings)
    file = folder / "settings.json"
    if not settings.resume:
        if file.exists():
            raise FileExistsError(
                f"{folder} already holds a run: pass --resume to go on with it, or another --out"
            )
        folder.mkdir(parents=True, exist_ok=True)
    else:
        if not file.exists():
            raise FileNotFoundError(f"there is no run to resume in {folder}")
        settings = _resumed(settings, json.loads(file.read_text()), folder)
    saved = {key: getattr(settings, key) for key in _names() if key not in ("out", "resume")}
    write_atomically(file, lambda path: path.write_text(json.dumps(saved, indent=2) + "\n"))
    return settings, folder


def _names() -> list[str]:
    return [field.name for field in dataclasses.fields(TrainSettings)]


def _default_folder(settings: TrainSettings) -> Path:
    """Return runs/NAME_1, or the first free number, or to resume, the last one used."""
    name = f"{settings.env}_{settings.algo}_seed{settings.seed}"
    numbers = itertools.count(1)
    free = next(n for n in numbers if not Path("runs", f"{name}_{n}").exists())
    return Path("runs", f"{name}_{max(free - 1, 1) if settings.resume else free}")


def _resumed(asked: TrainSettings, saved: dict[str, Any], folder: Path) -> TrainSettings:
    """Return a run's own settings, with those changes that are allowed."""
    saved["stage"] = tuple(saved["stage"])
    default = TrainSettings()
    merged = dataclasses.replace(asked)
    for name, value in saved.items():
        given = getattr(asked, name)
        if given == getattr(default, name):
            setattr(merged, name, value)
        elif given != value and name not in _CHANGEABLE:
            raise ValueError(f"the run in {folder} has {name} {value}, not {given}")
    return merged


def describe_start(settings: TrainSettings, folder: Path) -> str:
    """Return a line for the user: whether a run starts or goes on, and how to resume it."""
    checkpoint = folder / "checkpoint.zip"
    start = f"New run in {folder}"
    if checkpoint.exists():
        steps = saved_timesteps(checkpoint)
        start = f"Resuming the run in {folder} from its checkpoint at {steps:,} steps"
    return f"{start}, to {settings.total_timesteps:,} steps. To resume: --resume --out {folder}"


def train(settings: TrainSettings, folder: Path, progress_bar: bool = True) -> BaseAlgorithm:
    """Train, from the last checkpoint if the folder has one, and save ``model.zip``.

    A run that goes on starts new episodes with new random draws: it is not, step by step, the run
    that was not interrupted.
    """
    th.set_num_threads(settings.threads)
    checkpoint = folder / "checkpoint.zip"
    env = make_training_env(
        settings.algo,
        settings.env,
        settings.stage,
        settings.n_envs,
        settings.seed,
        settings.shaping,
        settings.history,
    )
    if checkpoint.exists():
        _, model = load_model(checkpoint, settings.device)
        model.set_env(env)
        model.set_random_seed(settings.seed + model.num_timesteps)
        if isinstance(model, OffPolicyAlgorithm):
            model.load_replay_buffer(folder / "replay_buffer.pkl")
    else:
        use_masking = settings.masks or settings.schedule == "guided"
        model = make_model(settings.algo, env, settings.seed, settings.device, use_masking)
    curriculum: Curriculum = getattr(model, "curriculum", None) or _curriculum(settings)
    model.set_logger(make_logger(folder, model.num_timesteps))
    tasks = [Task(settings.rule_set, stage) for stage in sorted(set(settings.stage))]
    checkpoints = Checkpoints(tasks, folder, settings.evaluate_every, settings.masks)
    model.learn(
        max(settings.total_timesteps - model.num_timesteps, 0),
        callback=[CurriculumCallback(curriculum), checkpoints],
        log_interval=None,  # type: ignore[arg-type]  # the checkpoints log
        reset_num_timesteps=False,
        progress_bar=progress_bar,
    )
    model.logger.close()
    env.close()
    write_atomically(folder / "model.zip", model.save)
    return model


def _curriculum(settings: TrainSettings) -> Curriculum:
    if settings.schedule == "guided":
        return GuidedCurriculum(settings.stage, settings.rule_set)
    if settings.schedule == "published":
        return PublishedCurriculum()
    if settings.schedule == "threshold":
        return ThresholdCurriculum(settings.stage, SUCCESS_THRESHOLD)
    return MixedCurriculum(settings.stage)


def find_model(path: Path) -> tuple[Path, str | None]:
    """Return the model file that a path means, and the id of the world that it was trained on.

    :param path: a model file, or the folder of a run: its finished model, or its last checkpoint
    :return: the file, and the id where the file lies in the folder of a run
    """
    if path.is_dir():
        finished = path / "model.zip"
        path = finished if finished.exists() else path / "checkpoint.zip"
    settings = path.parent / "settings.json"
    return path, json.loads(settings.read_text())["env"] if settings.exists() else None
