"""The network of the published tool-arithmetic agent, as a policy for RecurrentPPO."""

from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import nn
from torch.nn import functional

from agents.common.gru_kernel import BatchSizes
from agents.recurrent.gru_policy import GruActorCriticPolicy
from toolenv_gym.observation import CONTEXT, PREVIOUS, STAGE, observation_space
from toolenv_gym.tokens import EOS, N_TOKENS
from toolenv_gym.worlds import WORLDS


class TokenEmbeddings(BaseFeaturesExtractor):
    """The embeddings of the tokens that the GRU reads, and of what its state starts from.

    :param space: the observation space of one of the tool-arithmetic worlds
    :param features_dim: size of an embedding
    """

    def __init__(self, space: spaces.MultiDiscrete, features_dim: int) -> None:
        super().__init__(space, features_dim)
        self.token_embedding = nn.Embedding(N_TOKENS, features_dim)
        self.stage_embedding = nn.Embedding(int(space.nvec[STAGE]), features_dim)

    def forward(self, obs: th.Tensor) -> th.Tensor:
        """Return the previous tokens themselves, shape (batch, 1): see the policy's gates."""
        return obs[:, [PREVIOUS]]

    def initial_state(self, obs: th.Tensor) -> th.Tensor:
        """Return tanh(mean token embedding of the context + stage embedding), (batch, d).

        The mean is over the digits shown and ``[CTX]``, without the padding.
        """
        # Counts times embeddings: faster than looking all up, and ONNX has no mean that leaves
        # out padding.
        context, embeddings = obs[:, CONTEXT], self.token_embedding.weight
        shown = (context != EOS).type_as(embeddings)
        counts = shown.new_zeros(context.shape[0], N_TOKENS).scatter_add(1, context, shown)
        mean = counts @ embeddings / shown.sum(dim=1, keepdim=True)
        return th.tanh(mean + self.stage_embedding(obs[:, STAGE]))


class ToolArithGruPolicy(GruActorCriticPolicy):
    """The published network: a GRU that reads its own last token.

    The problem and the stage reach it once, as the state in which an episode starts,
    h0 = tanh(mean token embedding of the context + stage embedding). (The published program
    averages the contexts of its whole batch instead, a slip: equal for a batch of one.) The policy
    head and the value head are linear, on one shared GRU. Modules are created in the published
    order with torch's default initialisation, so that a torch seed gives the published weights.

    :param observation_space: that of any of the worlds
    :param action_space: ``Discrete(18)``
    :param lr_schedule: learning rate as a function of the remaining progress, 1 to 0
    :param hidden_size: size d of the embeddings and the GRU, 96 as published
    :param use_sde: only False: the actions are discrete
    :param optimizer_class: see ``ActorCriticPolicy``
    :param optimizer_kwargs: see ``ActorCriticPolicy``
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        hidden_size: int = 96,
        use_sde: bool = False,
        optimizer_class: type[th.optim.Optimizer] = th.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        _check_spaces(observation_space, action_space)
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            hidden_size=hidden_size,
            shared_gru=True,
            features_extractor_class=TokenEmbeddings,
            features_extractor_kwargs={"features_dim": hidden_size},
            net_arch=[],
            ortho_init=False,
            use_sde=use_sde,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )

    def extract_features(  # type: ignore[override]
        self, obs: th.Tensor, features_extractor: BaseFeaturesExtractor | None = None
    ) -> th.Tensor:
        """Return the tokens themselves; Stable-Baselines3 would one-hot encode them."""
        features: th.Tensor = self.features_extractor(obs.long())
        return features

    def _sequences(
        self, gru: nn.GRU, inputs: th.Tensor, hidden: th.Tensor, batch_sizes: BatchSizes
    ) -> tuple[th.Tensor, th.Tensor]:
        if self._run_by_torch(inputs, batch_sizes):
            inputs = self._token_embedding(inputs.squeeze(1))
        return super()._sequences(gru, inputs, hidden, batch_sizes)

    def _run_by_torch(self, inputs: th.Tensor, batch_sizes: BatchSizes) -> bool:
        # Single steps of many environments are faster without torch's product of all inputs.
        is_large = len(inputs) >= 128 and not inputs.is_cuda
        return not is_large and super()._run_by_torch(inputs, batch_sizes)

    def _input_gates(self, inputs: th.Tensor, weight: th.Tensor, bias: th.Tensor) -> th.Tensor:
        # There are but 18 embeddings: what each adds to the gates is worked out once for all.
        table = functional.linear(self._token_embedding.weight, weight, bias)
        return functional.embedding(inputs.squeeze(1), table)

    @property
    def _token_embedding(self) -> nn.Embedding:
        embedding: nn.Embedding = self.features_extractor.token_embedding  # type: ignore
        return embedding

    def initial_state(self, obs: PyTorchObs) -> th.Tensor:
        """Return h0, shape (1, batch, d)."""
        state: th.Tensor = self.features_extractor.initial_state(obs.long())  # type: ignore
        return state.unsqueeze(0)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        data = super()._get_constructor_parameters()
        own = ("observation_space", "action_space", "lr_schedule", "hidden_size", "use_sde")
        return {key: data[key] for key in (*own, "optimizer_class", "optimizer_kwargs")}


def _check_spaces(given: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
    if all(given != observation_space(rules) for rules in WORLDS.values()):
        raise ValueError(
            f"ToolArithGruPolicy reads the observations of {' or '.join(WORLDS)}, unwrapped; got "
            f"{given}"
        )
    if action_space != spaces.Discrete(N_TOKENS):
        raise ValueError(f"ToolArithGruPolicy emits Discrete({N_TOKENS}); got {action_space}")
