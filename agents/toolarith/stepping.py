"""A policy with one GRU, step by step: for those who tamper with what it reads and keeps."""

from typing import Any

import torch as th

from agents.recurrent.gru_policy import GruActorCriticPolicy


def read(
    policy: GruActorCriticPolicy, observations: th.Tensor, hidden: th.Tensor
) -> tuple[th.Tensor, th.Tensor]:
    """Return the logits of a step, shape (n, tokens), and the actor's states after it.

    No episode starts: its first state is :meth:`GruActorCriticPolicy.initial_state`.

    :param observations: int64, shape (n, length)
    :param hidden: float32, shape (layers, n, d)
    """
    going_on = th.zeros(len(observations))
    distribution: Any
    distribution, (hidden, _) = policy.get_distribution(observations, (hidden, hidden), going_on)
    return distribution.distribution.logits, hidden
