"""A training run: its learner, its environments, its checkpoints."""

import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import ProgressBarCallback

from agents.common.files import save_atomically
from agents.common.interrupts import StopOnSignal
from agents.toolarith.algorithms import make_model, make_training_env
from agents.toolarith.checkpoints import load_checkpoint
from agents.toolarith.curriculum import (
    Curriculum,
    CurriculumCallback,
    GuidedCurriculum,
    MixedCurriculum,
    PublishedCurriculum,
    ThresholdCurriculum,
)
from agents.toolarith.progress import Checkpoints, make_logger
from agents.toolarith.runs import Run
from agents.toolarith.settings import TrainSettings

SUCCESS_THRESHOLD = 0.5  # of the threshold curriculum


def train(run: Run, progress_bar: bool = True) -> BaseAlgorithm:
    """Train, from the last checkpoint if there is one, and save the model.

    On the same machine with the same device and threads, a run that was killed and goes on ends
    with the same parameters, to the last bit, as one that was not.
    """
    model = prepare(run)
    learn(model, run, progress_bar)
    return model


def prepare(run: Run) -> BaseAlgorithm:
    """Return the learner in its environments, from the last checkpoint if there is one.

    :raises MemoryError: the environments do not fit
    :raises ValueError: the checkpoint is damaged
    """
    settings = run.settings
    th.set_num_threads(settings.threads)
    sizes = settings.sizes
    env = make_training_env(
        settings.algo,
        settings.env,
        settings.stages,
        sizes.n_envs,
        settings.seed,
        settings.shaping,
        sizes.history,
        settings.shown,
        settings.split,
        settings.max_steps,
    )
    model = make_model(
        settings.algo,
        env,
        settings.seed,
        settings.device,
        settings.uses_masks,
        settings.network,
        settings.hyperparams,
    )
    curriculum = _curriculum(settings)
    if run.checkpoint.exists():
        load_checkpoint(model, curriculum, run.checkpoint)
    model.curriculum = curriculum  # type: ignore[attr-defined]
    return model


def learn(
    model: BaseAlgorithm,
    run: Run,
    progress_bar: bool = True,
    stop: StopOnSignal | None = None,
) -> bool:
    """Train a prepared learner to the end, and save the model; tell whether it came to the end.

    :param stop: if it ends the training before, there is a checkpoint, but no model
    :raises OSError: a file could not be written; the last checkpoint is as it was
    """
    curriculum: Curriculum = model.curriculum  # type: ignore[attr-defined]
    checkpoints = Checkpoints(run, curriculum, stop)
    bar = ProgressBarCallback()
    callbacks = [CurriculumCallback(curriculum), checkpoints, *([bar] if progress_bar else [])]
    model.set_logger(make_logger(run.folder, model.num_timesteps))
    try:
        model.learn(
            max(run.settings.sizes.total_timesteps - model.num_timesteps, 0),
            callback=callbacks,
            log_interval=None,  # type: ignore[arg-type]  # the checkpoints log
            reset_num_timesteps=False,
        )
    finally:
        if hasattr(bar, "pbar"):
            bar.pbar.close()  # else the terminal is left without its cursor
        model.logger.close()
    env = model.get_env()
    assert env is not None
    env.close()
    if stop and stop.received:
        return False
    save_atomically(run.model, model.save)
    return True


def _curriculum(settings: TrainSettings) -> Curriculum:
    if settings.schedule == "guided":
        return GuidedCurriculum(settings.stages, settings.rules)
    if settings.schedule == "published":
        return PublishedCurriculum()
    if settings.schedule == "threshold":
        return ThresholdCurriculum(settings.stages, SUCCESS_THRESHOLD)
    return MixedCurriculum(settings.stages)
