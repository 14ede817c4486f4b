"""Among which hyperparameters each algorithm is tuned: in spaces of one size."""

import optuna

from agents.studies.benchmark.grid import PUBLISHED_A2C, Hyperparams

Space = dict[str, tuple[int | float, ...]]

_GAMMA: Space = {"gamma": (0.9, 0.99, 1.0)}
_ON_POLICY: Space = _GAMMA | {"n_steps": (16, 32, 64), "ent_coef": (0.01, 0.02, 0.05)}
_PPO: Space = _ON_POLICY | {"learning_rate": (5e-4, 1e-3, 2e-3)}
_A2C: Space = _ON_POLICY | {"n_steps": (8, 16, 32), "learning_rate": (3.5e-4, 7e-4, 1.4e-3)}
_DQN: Space = {
    "gamma": (0.8, 0.9, 0.99),
    "learning_rate": (5e-4, 1e-3, 2e-3),
    "exploration_fraction": (0.25, 0.5, 0.75),
    "target_update_interval": (500, 2_000, 8_000),
}
_TRPO: Space = _GAMMA | {
    "n_steps": (16, 32, 64),
    "learning_rate": (5e-4, 1e-3, 2e-3),
    "target_kl": (0.005, 0.01, 0.02),
}

# By the algorithm. They hold the defaults, with which the first trial of each learner is made.
SPACES: dict[str, Space] = {
    "ppo": _PPO,
    "maskable_ppo": _PPO,
    "recurrent_ppo": _PPO,
    "recurrent_ppo_lstm": _PPO,
    "maskable_recurrent_ppo": _PPO,
    "a2c": _A2C,
    "recurrent_a2c": _A2C,
    "dqn": _DQN,
    "qr_dqn": _DQN,
    "trpo": _TRPO,
    PUBLISHED_A2C: {
        "learning_rate": (3e-4, 1e-3, 3e-3),
        "entropy_weight": (0.01, 0.03, 0.1),
        "batch_size": (64, 192, 384),
        "max_grad_norm": (0.5, 1.0, 2.0),
    },
}

if len({tuple(sorted(map(len, space.values()))) for space in SPACES.values()}) > 1:
    raise AssertionError("the spaces must be of one size")


def choose(trial: optuna.Trial, space: Space) -> Hyperparams:
    """Return the hyperparameters that a trial has in a space."""
    return {name: trial.suggest_categorical(name, among) for name, among in space.items()}
