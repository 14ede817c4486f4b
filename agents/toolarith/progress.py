"""The progress of a training run, as its folder keeps it: logs, evaluations and checkpoints.

Whatever the learner, a row is logged about every :data:`LOG_EVERY` environment steps, and at every
evaluation, with its scores. A run that goes on from a checkpoint goes on with the logs up to there:
what was logged after the checkpoint is dropped, as it will come again.
"""

from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger, filter_excluded_keys

from agents.common.event_file import EventFile
from agents.common.files import Row, read_rows, write_rows
from agents.common.interrupts import StopOnSignal
from agents.toolarith.checkpoints import save_checkpoint
from agents.toolarith.curriculum import Curriculum
from agents.toolarith.evaluation import evaluate
from agents.toolarith.runs import Run

EVALUATION_PROBLEMS = 1_000  # a stage, while training
LOG_EVERY = 8_000  # environment steps

STEPS = "time/total_timesteps"  # the column of the log that Stable-Baselines3 counts steps in


class ProgressTable(KVWriter):
    """The log as a CSV file, which is whole at any time: there is none before the first row.

    :param file: one that is there already is gone on with
    :param steps: the environment steps that it is gone on from: later rows are dropped
    """

    def __init__(self, file: Path, steps: int) -> None:
        self._file = file
        self._rows = [row for row in read_rows(file) if row[STEPS] <= steps]

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Add a row, and columns for those keys that have none yet."""
        self._rows.append(filter_excluded_keys(key_values, key_excluded, "csv"))
        columns = dict.fromkeys(name for row in self._rows for name in row)
        write_rows(self._file, [dict.fromkeys(columns, "") | row for row in self._rows])

    def close(self) -> None:
        """Do nothing: no file is open."""


def make_logger(folder: Path, steps: int) -> Logger:
    """Return the logger of a run: ``progress.csv`` and TensorBoard events.

    :param folder: of the run
    :param steps: the environment steps that the run goes on from, 0 for a new one
    """
    logs = [ProgressTable(folder / "progress.csv", steps), EventFile(folder, steps and steps + 1)]
    return Logger(str(folder), logs)


class Checkpoints(BaseCallback):
    """Logs; evaluates the model on a sample of each stage and saves a checkpoint.

    It does so between two rollouts only, so that nothing that was played is lost on going on. The
    learner itself must not log: its ``learn`` takes ``log_interval=None``.

    :param stop: ends the training, with a checkpoint, before the rollout after the signal
    """

    def __init__(self, run: Run, curriculum: Curriculum, stop: StopOnSignal | None = None) -> None:
        super().__init__()
        self._run = run
        self._curriculum = curriculum
        self._stop = stop
        self._stopped = False
        self._rows: list[Row] = []

    def _on_training_start(self) -> None:
        # Rows written between the last checkpoint and the kill would come a second time.
        known = self._run.read_evaluations()
        self._rows = [row for row in known if row["timesteps"] <= self.num_timesteps]
        self._evaluation_due = self.num_timesteps + self._run.settings.evaluate_every
        self._log_due = self.num_timesteps + LOG_EVERY

    def _on_rollout_start(self) -> None:
        self._stopped = self._stop is not None and self._stop.received is not None
        if self._stopped or self.num_timesteps >= self._evaluation_due:
            self._save()
        elif self.num_timesteps >= self._log_due:
            self._log()

    def _on_step(self) -> bool:
        return not self._stopped  # the first moment at which a training can be ended

    def _on_training_end(self) -> None:
        if not self._stopped:
            self._save()

    def _save(self) -> None:
        if self._rows and self._rows[-1]["timesteps"] == self.num_timesteps:
            return  # nothing was learnt since
        settings = self._run.settings
        self._evaluation_due = self.num_timesteps + settings.evaluate_every
        for task in settings.tasks:
            score = evaluate(self.model, task, EVALUATION_PROBLEMS, settings.masked)
            for name in ("mean_return", "success_rate", "reached_target_rate"):
                self.logger.record(f"eval/stage{task.stage}_{name}", getattr(score, name))
            self._rows.append({"timesteps": self.num_timesteps} | score.row)
        self._log()
        write_rows(self._run.evaluations, self._rows)
        save_checkpoint(self.model, self._curriculum, self._run.checkpoint)

    def _log(self) -> None:
        self._log_due = self.num_timesteps + LOG_EVERY
        self.model.dump_logs()
