"""Action masks for any policy with Discrete or MultiDiscrete actions, which needs no change.

:func:`make_maskable` exchanges the policy's action distribution; :func:`masking` sets the masks for
the duration of a call of the policy.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th
from gymnasium import spaces
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.distributions import (
    CategoricalDistribution,
    MultiCategoricalDistribution,
)
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv
from torch.distributions import Categorical
from torch.nn import functional

from agents.recurrent.finite import check_finite

Masks = npt.NDArray[np.bool_]

# The logit of an excluded action, as in sb3-contrib: finite, so that 0 * logit is 0 in the entropy,
# and so far below the others that its probability is exactly 0.
EXCLUDED = -1e8


class MaskableCategorical(CategoricalDistribution):
    """Stable-Baselines3's distribution of Discrete actions, over the admitted ones only.

    It draws what its parent would draw, in a third of the time: torch's own ``Categorical``
    validates its arguments and ``multinomial`` its probabilities at every call.

    :param action_dim: number of actions
    """

    def __init__(self, action_dim: int) -> None:
        super().__init__(action_dim)
        self.masks: th.Tensor | None = None  # bool, shape (batch, action_dim)
        self._log_probs = th.zeros(1, action_dim)

    @property
    def action_dims(self) -> list[int]:
        """The sizes of the choices that make up an action: here there is one."""
        return [self.action_dim]

    @property
    def distribution(self) -> Categorical:  # type: ignore[override]
        """The same distribution as torch has it."""
        return Categorical(logits=self._log_probs)

    def proba_distribution(self, action_logits: th.Tensor) -> "MaskableCategorical":
        """Set the logits, shape (batch, action_dim), and apply the masks set."""
        self._excluded = None
        if self.masks is not None:
            _check_shape(self.masks, action_logits)
            self._excluded = ~self.masks
            action_logits = action_logits.masked_fill(self._excluded, EXCLUDED)
        self._log_probs = functional.log_softmax(action_logits, dim=-1)
        return self

    def log_prob(self, actions: th.Tensor) -> th.Tensor:
        """Return the logarithms of the probabilities of actions, shape (batch,)."""
        return self._log_probs.gather(1, actions.long().unsqueeze(1)).squeeze(1)

    def entropy(self) -> th.Tensor:
        """Return the entropies in nats, shape (batch,)."""
        return -(self._log_probs * self._log_probs.exp()).sum(dim=-1)

    def sample(self) -> th.Tensor:
        """Draw actions, shape (batch,)."""
        # The greatest of p / Exp(1) is distributed as p: so draws torch.multinomial.
        race = self._log_probs.detach().exp()
        race /= th.empty_like(race).exponential_()
        if self._excluded is not None:
            race.masked_fill_(self._excluded, -1)  # never wins, not even among zeros
        return race.argmax(dim=-1)

    def mode(self) -> th.Tensor:
        """Return the most probable actions, shape (batch,)."""
        return self._log_probs.argmax(dim=-1)

    def __deepcopy__(self, memo: dict[int, Any]) -> "MaskableCategorical":
        # Not what it was last asked about: logits with a graph behind them cannot be copied.
        return type(self)(self.action_dim)


class MaskableMultiCategorical(MultiCategoricalDistribution):
    """Stable-Baselines3's distribution of MultiDiscrete actions, over the admitted ones only.

    :param action_dims: number of actions of each choice
    """

    def __init__(self, action_dims: list[int]) -> None:
        super().__init__(action_dims)
        self.masks: th.Tensor | None = None  # bool, shape (batch, sum(action_dims))
        self._parts = [MaskableCategorical(size) for size in action_dims]

    @property
    def distribution(self) -> list[Categorical]:  # type: ignore[override]
        """The same distributions as torch has them."""
        return [part.distribution for part in self._parts]

    def proba_distribution(self, action_logits: th.Tensor) -> "MaskableMultiCategorical":
        """Set the logits, shape (batch, sum(action_dims)), and apply the masks set."""
        masks: Sequence[th.Tensor | None] = [None] * len(self._parts)
        if self.masks is not None:
            _check_shape(self.masks, action_logits)
            masks = th.split(self.masks, self.action_dims, dim=1)
        logits = th.split(action_logits, self.action_dims, dim=1)
        for i, part in enumerate(self._parts):
            part.masks = masks[i]
            part.proba_distribution(logits[i])
        return self

    def log_prob(self, actions: th.Tensor) -> th.Tensor:
        """Return the logarithms of the probabilities of actions, shape (batch,)."""
        columns = zip(self._parts, actions.unbind(dim=1), strict=True)
        return th.stack([part.log_prob(column) for part, column in columns]).sum(dim=0)

    def entropy(self) -> th.Tensor:
        """Return the entropies in nats, shape (batch,)."""
        return th.stack([part.entropy() for part in self._parts]).sum(dim=0)

    def sample(self) -> th.Tensor:
        """Draw actions, shape (batch, choices)."""
        return th.stack([part.sample() for part in self._parts], dim=1)

    def mode(self) -> th.Tensor:
        """Return the most probable actions, shape (batch, choices)."""
        return th.stack([part.mode() for part in self._parts], dim=1)

    def __deepcopy__(self, memo: dict[int, Any]) -> "MaskableMultiCategorical":
        return type(self)(self.action_dims)


def make_maskable(policy: ActorCriticPolicy) -> None:
    """Exchange a policy's action distribution for one that :func:`masking` reaches.

    Policies that have one already, or whose actions are neither Discrete nor MultiDiscrete, stay as
    they are.
    """
    distribution = policy.action_dist
    if isinstance(distribution, MaskableCategorical | MaskableMultiCategorical):
        return
    if isinstance(distribution, CategoricalDistribution):
        policy.action_dist = MaskableCategorical(distribution.action_dim)
    elif isinstance(distribution, MultiCategoricalDistribution):
        policy.action_dist = MaskableMultiCategorical([int(n) for n in distribution.action_dims])


@contextmanager
def masking(policy: ActorCriticPolicy, masks: th.Tensor | Masks | None) -> Iterator[None]:
    """Have a policy admit only the actions of some masks for as long as the context lasts.

    :param masks: shape (batch, actions), or None to admit all
    :raises ValueError: the policy's actions cannot be masked
    """
    if masks is None:
        yield
        return
    make_maskable(policy)  # a policy can come to its model in many ways, assignment among them
    distribution = policy.action_dist
    if not isinstance(distribution, MaskableCategorical | MaskableMultiCategorical):
        raise _unmaskable(policy.action_space)
    distribution.masks = th.as_tensor(masks, dtype=th.bool, device=policy.device)
    try:
        yield
    finally:
        distribution.masks = None


def has_masks(env: VecEnv) -> bool:
    """Return whether environments have the method ``action_masks()``."""
    return _batched(env) is not None or is_masking_supported(env)


def env_masks(env: VecEnv) -> Masks:
    """Return the masks of the present observations, shape (n_envs, actions), checked.

    A vector environment that has ``action_masks()`` itself is asked once, or else each of its
    environments is.
    """
    batched = _batched(env)
    return check_masks(get_action_masks(env) if batched is None else batched(), env.action_space)


def check_masks(masks: npt.ArrayLike, action_space: spaces.Space[Any]) -> Masks:
    """Return masks as booleans, shape (batch, actions).

    :param masks: nonzero where an action is admitted; for actions of several choices the masks of
        the choices one after the other
    :raises ValueError: they do not fit the actions, or admit none
    """
    sizes = _choices(action_space)
    checked = np.asarray(masks, dtype=np.bool_)
    if checked.size % sum(sizes) or checked.size == 0:
        raise ValueError(f"masks must be of {sum(sizes)} actions, got shape {checked.shape}")
    checked = checked.reshape(-1, sum(sizes))
    first = np.cumsum([0, *sizes[:-1]])
    admitted = np.logical_or.reduceat(checked, first, axis=1).all(axis=1)
    if not admitted.all():
        row = int(np.flatnonzero(~admitted)[0])
        raise ValueError(f"a mask must admit an action of each choice, row {row} does not")
    return checked


def check_logits(policy: ActorCriticPolicy) -> None:
    """Refuse the logits of a policy's last call if there are NaN among them.

    The distributions here save the time in which torch's own validate their arguments.

    :raises ValueError: it says in which rows
    """
    distribution = policy.action_dist
    if isinstance(distribution, MaskableCategorical | MaskableMultiCategorical):
        check_finite("logits", distribution.log_prob(distribution.mode()))


def _choices(action_space: spaces.Space[Any]) -> list[int]:
    """Return of how many actions each choice is that makes up an action."""
    if isinstance(action_space, spaces.Discrete):
        return [int(action_space.n)]
    if isinstance(action_space, spaces.MultiDiscrete):
        return [int(n) for n in action_space.nvec]
    if isinstance(action_space, spaces.MultiBinary):  # which MaskablePPO can mask
        return [2] * int(np.prod(action_space.shape))
    raise _unmaskable(action_space)


def _unmaskable(action_space: spaces.Space[Any]) -> ValueError:
    return ValueError(
        f"actions of {action_space} cannot be masked, only Discrete and MultiDiscrete ones can: "
        "pass use_masking=False"
    )


def _check_shape(masks: th.Tensor, logits: th.Tensor) -> None:
    if masks.shape != logits.shape:
        raise ValueError(f"masks must be of shape {tuple(logits.shape)}, got {tuple(masks.shape)}")


def _batched(env: VecEnv) -> Callable[[], npt.ArrayLike] | None:
    """Return a vector environment's own ``action_masks``, possibly through its wrappers."""
    method = getattr(env, "action_masks", None)
    return method if callable(method) else None
