"""A GRU actor-critic policy for sb3-contrib's RecurrentPPO, as it is.

RecurrentPPO carries the pair (hidden, cell) of an LSTM for the actor and another for the critic.
A GRU has no cell, so its hidden state stands in both places of the pair.
"""

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import nn
from torch.nn import functional

from agents.common.gru_kernel import BatchSizes, gru_sequences
from agents.recurrent.episode_buffer import EpisodeSamples
from agents.recurrent.masking import masking
from agents.recurrent.packed import Evaluation, evaluate_packed

States = tuple[th.Tensor, ...]


class GruActorCriticPolicy(RecurrentActorCriticPolicy):
    """A recurrent actor-critic policy with GRUs in place of LSTMs.

    It differs from sb3-contrib's LSTM policies, beside the cell, in that the state in which an
    episode starts can be overridden (:meth:`initial_state`), that a shared GRU learns from both
    heads, and that a sequence which starts an episode is still one fused GRU call.

    :param observation_space: any that RecurrentPPO takes: Box (images included), Discrete,
        MultiDiscrete, MultiBinary or Dict
    :param action_space: any that RecurrentPPO takes
    :param lr_schedule: learning rate as a function of the remaining progress, 1 to 0
    :param hidden_size: units of each GRU layer, at least 1
    :param n_layers: layers of each GRU, at least 1
    :param shared_gru: whether actor and critic share one GRU, or else have one each, by which more
        is learnt where returns are great: docs/policy_defaults.md
    :param features_extractor_class: by default the one of Stable-Baselines3's policies for the
        observation space: a CNN for images, a combined extractor for a Dict, else flattening
    :param normalize_images: whether images are uint8, 0 to 255, and are to be divided by 255; if
        not, every Box of three dimensions is an image, channels first, that is taken as it is
    :param kwargs: further arguments of Stable-Baselines3's ``ActorCriticPolicy``; ``net_arch``
        sets the layers between the GRU and the heads
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        hidden_size: int = 64,
        n_layers: int = 1,
        shared_gru: bool = False,
        features_extractor_class: type[Any] | None = None,
        normalize_images: bool = True,
        **kwargs: Any,
    ) -> None:
        if hidden_size < 1 or n_layers < 1:
            raise ValueError(
                f"hidden_size and n_layers must be at least 1, got {hidden_size} and {n_layers}"
            )
        if shared_gru and not kwargs.get("share_features_extractor", True):
            raise ValueError("shared_gru=True needs share_features_extractor=True")
        self.lstm_output_dim = hidden_size  # the name that RecurrentActorCriticPolicy reads
        self.n_layers = n_layers
        self.shared_gru = shared_gru
        # The parent's constructor would build LSTMs; its own parent builds all else.
        ActorCriticPolicy.__init__(
            self,
            observation_space,
            action_space,
            lr_schedule,
            features_extractor_class=features_extractor_class
            or _usual_extractor(observation_space, normalize_images),
            normalize_images=normalize_images,
            **kwargs,
        )

    def _build_mlp_extractor(self) -> None:
        """Build the GRUs, then the layers behind them; heads and optimiser follow."""
        # RecurrentPPO reads the names lstm_actor and lstm_hidden_state_shape. The features'
        # dimension of a MultiDiscrete space is a NumPy integer, which nn.GRU refuses.
        sizes = (int(self.features_dim), self.lstm_output_dim, self.n_layers)
        self.lstm_actor = nn.GRU(*sizes)  # type: ignore[assignment]
        self.lstm_critic = None if self.shared_gru else nn.GRU(*sizes)  # type: ignore[assignment]
        self.lstm_hidden_state_shape = (self.n_layers, 1, self.lstm_output_dim)
        super()._build_mlp_extractor()

    def initial_state(self, obs: PyTorchObs) -> th.Tensor:
        """Return the hidden state in which episodes that begin with ``obs`` start: zeros.

        Override it to start elsewhere. It is evaluated again in every update, so that gradients
        reach what it is made of. Each state must depend on its own observation only.

        :param obs: first observations of a batch of episodes, as the environment gives them
        :return: shape (n_layers, batch, hidden_size)
        """
        return th.zeros(self.n_layers, _batch_size(obs), self.lstm_output_dim, device=self.device)

    def forward(  # type: ignore[override]
        self,
        obs: PyTorchObs,
        lstm_states: RNNStates,
        episode_starts: th.Tensor,
        deterministic: bool = False,
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor, RNNStates]:
        """Choose actions: see the parent. Returns actions, values, log-probabilities, states."""
        latent_pi, latent_vf, states = self._latents(obs, lstm_states, episode_starts)
        distribution = self._get_action_dist_from_latent(latent_pi)
        actions = distribution.get_actions(deterministic=deterministic)
        log_prob = distribution.log_prob(actions)
        actions = actions.reshape((-1, *self.action_space.shape))  # type: ignore[misc]
        return actions, self.value_net(latent_vf), log_prob, states

    def evaluate_actions(  # type: ignore[override]
        self,
        obs: PyTorchObs,
        actions: th.Tensor,
        lstm_states: RNNStates,
        episode_starts: th.Tensor,
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor | None]:
        """Return the values, log-probabilities and entropies of actions taken."""
        latent_pi, latent_vf, _ = self._latents(obs, lstm_states, episode_starts)
        return self._evaluate(latent_pi, latent_vf, actions)

    def evaluate_packed(
        self,
        obs: PyTorchObs,
        actions: th.Tensor,
        lstm_states: RNNStates,
        episode_starts: th.Tensor,
        batch_sizes: BatchSizes,
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor | None]:
        """Evaluate packed sequences: as :meth:`evaluate_actions`, without any padding.

        The steps lie as in torch's ``PackedSequence``: the first steps of all sequences, longest
        sequence first, then the second steps of those that have one, and so on. No episode starts
        within a sequence.

        :param lstm_states: before each sequence
        :param episode_starts: 1 where a sequence starts an episode, shape (n_seq,)
        :param batch_sizes: how many sequences have a first step, a second step, and so on
        """
        pi_features, vf_features = self._features(obs)
        first = _part(obs, slice(batch_sizes[0]))

        def run(gru: Any, features: th.Tensor, hidden: th.Tensor) -> th.Tensor:
            hidden = self._restart(first, hidden, episode_starts)
            return self._sequences(gru, features, hidden, batch_sizes)[0]

        latent_pi = latent_vf = run(self.lstm_actor, pi_features, lstm_states.pi[0])
        if self.lstm_critic is not None:
            latent_vf = run(self.lstm_critic, vf_features, lstm_states.vf[0])
        latent_pi = self.mlp_extractor.forward_actor(latent_pi)
        latent_vf = self.mlp_extractor.forward_critic(latent_vf)
        return self._evaluate(latent_pi, latent_vf, actions)

    def _evaluate(
        self, latent_pi: th.Tensor, latent_vf: th.Tensor, actions: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor | None]:
        distribution = self._get_action_dist_from_latent(latent_pi)
        return self.value_net(latent_vf), distribution.log_prob(actions), distribution.entropy()

    def get_distribution(  # type: ignore[override]
        self, obs: PyTorchObs, lstm_states: States, episode_starts: th.Tensor
    ) -> tuple[Distribution, States]:
        """Return the action distribution and the actor's new state."""
        features, _ = self._features(obs)
        latent, hidden = self._run_gru(
            self.lstm_actor, features, obs, lstm_states[0], episode_starts
        )
        latent = self.mlp_extractor.forward_actor(latent)
        return self._get_action_dist_from_latent(latent), (hidden, hidden)

    def predict_values(  # type: ignore[override]
        self, obs: PyTorchObs, lstm_states: States, episode_starts: th.Tensor
    ) -> th.Tensor:
        """Return the values, given the critic's state."""
        _, features = self._features(obs)
        gru = self.lstm_critic or self.lstm_actor
        latent, _ = self._run_gru(gru, features, obs, lstm_states[0], episode_starts)
        values: th.Tensor = self.value_net(self.mlp_extractor.forward_critic(latent))
        return values

    def predict(
        self,
        observation: np.ndarray | dict[str, np.ndarray],
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return actions and the next state; without a ``state``, episodes start here."""
        if state is None:
            episode_start = np.ones(_batch_size(self.obs_to_tensor(observation)[0]), dtype=bool)
        return super().predict(observation, state, episode_start, deterministic)

    def _features(self, obs: PyTorchObs) -> tuple[th.Tensor, th.Tensor]:
        """Return the actor's and the critic's features, each of shape (batch, features_dim)."""
        features = self.extract_features(obs)
        return (features, features) if isinstance(features, th.Tensor) else features

    def _latents(
        self, obs: PyTorchObs, lstm_states: RNNStates, episode_starts: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor, RNNStates]:
        """Return what the policy head and the value head read, and the new states."""
        pi_features, vf_features = self._features(obs)
        latent_pi, hidden_pi = self._run_gru(
            self.lstm_actor, pi_features, obs, lstm_states.pi[0], episode_starts
        )
        latent_vf, hidden_vf = latent_pi, hidden_pi
        if self.lstm_critic is not None:
            latent_vf, hidden_vf = self._run_gru(
                self.lstm_critic, vf_features, obs, lstm_states.vf[0], episode_starts
            )
        return (
            self.mlp_extractor.forward_actor(latent_pi),
            self.mlp_extractor.forward_critic(latent_vf),
            RNNStates((hidden_pi, hidden_pi), (hidden_vf, hidden_vf)),
        )

    def _run_gru(
        self,
        gru: Any,
        features: th.Tensor,
        obs: PyTorchObs,
        hidden: th.Tensor,
        episode_starts: th.Tensor,
    ) -> tuple[th.Tensor, th.Tensor]:
        """Run a GRU over a batch of sequences of equal length.

        :param features: shape (n_seq * length, features_dim), one sequence after the other
        :param obs: the observations that the features come from
        :param hidden: state before each sequence, shape (n_layers, n_seq, hidden_size)
        :param episode_starts: 1 where an episode starts, shape (n_seq * length,)
        :return: the outputs, shape (n_seq * length, hidden_size), and the states after them
        """
        n_seq = hidden.shape[1]
        if len(features) == n_seq:
            return self._sequences(
                gru, features, self._restart(obs, hidden, episode_starts), [n_seq]
            )
        features = features.reshape(n_seq, -1, features.shape[-1]).transpose(0, 1)
        starts = episode_starts.reshape(n_seq, -1).T
        length = starts.shape[0]

        def restart(hidden: th.Tensor, step: int) -> th.Tensor:
            return self._restart(_part(obs, slice(step, None, length)), hidden, starts[step])

        hidden = restart(hidden, 0)
        # RecurrentPPO cuts its sequences where episodes start: it always takes the fused call.
        if not starts[1:].any():
            sizes = [n_seq] * length
            outputs, hidden = self._sequences(gru, features.flatten(end_dim=1), hidden, sizes)
        else:
            steps = []
            for step in range(length):
                hidden = restart(hidden, step)
                output, hidden = self._sequences(gru, features[step], hidden, [n_seq])
                steps.append(output)
            outputs = th.cat(steps)
        return outputs.reshape(length, n_seq, -1).transpose(0, 1).flatten(end_dim=1), hidden

    def _restart(self, obs: PyTorchObs, hidden: th.Tensor, episode_starts: th.Tensor) -> th.Tensor:
        """Return the hidden states, those of a new episode where one starts."""
        tracing: Any = th.jit.is_tracing  # type: ignore[attr-defined]
        if tracing():  # a trace knows nothing that depends on the values
            started = episode_starts.bool().view(1, -1, 1)
            return th.where(started, self.initial_state(obs).type_as(hidden), hidden)
        rows = episode_starts.nonzero().squeeze(1)
        if len(rows) == 0:
            return hidden
        return hidden.index_copy(1, rows, self.initial_state(_part(obs, rows)).type_as(hidden))

    def _sequences(
        self, gru: nn.GRU, inputs: th.Tensor, hidden: th.Tensor, batch_sizes: BatchSizes
    ) -> tuple[th.Tensor, th.Tensor]:
        """Run the layers of a GRU over packed sequences without episode starts, as ``gru`` itself.

        :param inputs: shape (n_steps, features)
        :param hidden: shape (n_layers, n_seq, hidden_size)
        :return: the outputs, shape (n_steps, hidden_size), and, if the sequences are of equal
            length, the states after them
        """
        if self._run_by_torch(inputs, batch_sizes):
            hidden = hidden.contiguous()
            if batch_sizes[0] == batch_sizes[-1]:
                outputs, hidden = gru(inputs.reshape(len(batch_sizes), -1, inputs.shape[1]), hidden)
                return outputs.flatten(end_dim=1), hidden
            packed = nn.utils.rnn.PackedSequence(inputs, th.tensor(batch_sizes))
            outputs, hidden = gru(packed, hidden)
            return outputs.data, hidden
        first, *others = gru.all_weights
        gates = self._input_gates(inputs, first[0], first[2])
        states = [gru_sequences(gates, hidden[0], first[1], first[3], batch_sizes)]
        for start, (input_weight, weight, input_bias, bias) in zip(hidden[1:], others, strict=True):
            gates = functional.linear(states[-1], input_weight, input_bias)
            states.append(gru_sequences(gates, start, weight, bias, batch_sizes))
        return states[-1], th.stack([state[-batch_sizes[-1] :] for state in states])

    def _run_by_torch(self, inputs: th.Tensor, batch_sizes: BatchSizes) -> bool:
        """Return whether to leave it to torch's own GRU.

        On a GPU it has a fused kernel; on a CPU it is slower only where it goes back in time.
        """
        return inputs.is_cuda or len(batch_sizes) == 1 or not th.is_grad_enabled()

    def _input_gates(self, inputs: th.Tensor, weight: th.Tensor, bias: th.Tensor) -> th.Tensor:
        """Return what the inputs add to the first layer's gates, (n_steps, 3 * hidden_size)."""
        return functional.linear(inputs, weight, bias)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        data = super()._get_constructor_parameters()
        data.update(
            hidden_size=self.lstm_output_dim,
            n_layers=self.n_layers,
            shared_gru=self.shared_gru,
            share_features_extractor=self.share_features_extractor,
        )
        return data


@evaluate_packed.register
def _(policy: GruActorCriticPolicy, batch: EpisodeSamples) -> Evaluation:
    with masking(policy, batch.action_masks):
        values, log_prob, entropy = policy.evaluate_packed(
            batch.observations,
            batch.actions,
            batch.lstm_states,
            batch.episode_starts,
            batch.batch_sizes,
        )
    return values.flatten(), log_prob, entropy


def _usual_extractor(observation_space: spaces.Space[Any], normalize_images: bool) -> type[Any]:
    if isinstance(observation_space, spaces.Dict):
        return CombinedExtractor
    is_image = is_image_space(observation_space, normalized_image=not normalize_images)
    return NatureCNN if is_image else FlattenExtractor


def _batch_size(obs: PyTorchObs) -> int:
    return (next(iter(obs.values())) if isinstance(obs, dict) else obs).shape[0]


def _part(obs: PyTorchObs, which: slice | th.Tensor) -> PyTorchObs:
    """Return some of the observations."""
    if isinstance(obs, dict):
        return {key: value[which] for key, value in obs.items()}
    return obs[which]
