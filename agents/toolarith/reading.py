"""How networks read the context of any world: token by token, by the place that each has.

The published network reads a bag: it averages the embeddings of the context's tokens. Here each
place counts for itself.
"""

from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import nn
from torch.nn import functional

from agents.common.gru_kernel import BatchSizes
from agents.recurrent.gru_policy import GruActorCriticPolicy
from toolenv_gym.observation import CONTEXT, PREVIOUS
from toolenv_gym.tokens import EOS, N_TOKENS

SHOWN = [token for token in range(N_TOKENS) if token != EOS]  # padding is shown as nothing


class NextTokens(BaseFeaturesExtractor):
    """The first tokens of the context and the previous token, one-hot; padding as zeros.

    What a stage never trained on shows is then nothing but more of the same: neither the stage,
    whose weights would be untrained, nor places that only longer problems fill are read.

    :param space: of a world's observations
    :param window: how many of the context's tokens are read; None for all
    """

    def __init__(self, space: spaces.MultiDiscrete, window: int | None = None) -> None:
        window = len(space.nvec[CONTEXT]) if window is None else window
        super().__init__(space, (window + 1) * len(SHOWN))
        self._n_places = len(space.nvec) - 1  # without the stage
        self._window = window

    def forward(self, one_hot: th.Tensor) -> th.Tensor:
        """Return the features of observations that Stable-Baselines3 has one-hot encoded."""
        tokens = one_hot[:, : self._n_places * N_TOKENS].reshape(-1, self._n_places, N_TOKENS)
        read = th.cat([tokens[:, : self._window], tokens[:, -1:]], dim=1)
        return read[:, :, SHOWN].flatten(start_dim=1)


class ReadHead(nn.Module):
    """Two recurrent layers with a read head between them.

    The first reads the tokens that were emitted and moves the head over the context; the second
    reads what lies under the head. The head's place is a distribution over the context's places: a
    move shifts it by 0 to ``longest_move`` places, with the probabilities that the first layer
    gives. So a place is reached in the same way however far it is.

    :param hidden_size: of both layers, at least the number of the context's places
    :param window: how many tokens are read from the head on
    :param longest_move: of the head, in places
    """

    # As RecurrentPPO reads them: the states of the two layers and, filled up with zeros, the place.
    num_layers = 3

    def __init__(self, hidden_size: int, window: int, longest_move: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.window = window
        self.mover = nn.GRU(len(SHOWN), hidden_size)
        self.moves = nn.Linear(hidden_size, longest_move + 1)
        self.reader = nn.GRU((window + 1) * len(SHOWN), hidden_size)

    def move(
        self, moved: th.Tensor, places: th.Tensor, batch_sizes: BatchSizes
    ) -> tuple[th.Tensor, th.Tensor]:
        """Return the head's distribution at each of packed steps, and that of the last one.

        :param moved: outputs of the first layer, shape (n_steps, hidden_size)
        :param places: distributions before the steps, shape (n_seq, n_places)
        """
        steps = []
        for shares in th.split(functional.softmax(self.moves(moved), dim=1), batch_sizes):
            places, n_places = places[: len(shares)], places.shape[1]
            shifted = [
                functional.pad(places, (shift, 0))[:, :n_places] for shift in range(shares.shape[1])
            ]
            places = th.bmm(shares.unsqueeze(1), th.stack(shifted, dim=1)).squeeze(1)
            steps.append(places)
        return th.cat(steps), places

    def read(self, places: th.Tensor, context: th.Tensor) -> th.Tensor:
        """Return what lies under the head, shape (n, window * tokens).

        :param places: distributions of the head, shape (n, n_places)
        :param context: one-hot, shape (n, n_places, tokens)
        """
        n_places = places.shape[1]
        under = [
            th.bmm(places[:, None, : n_places - offset], context[:, offset:]).squeeze(1)
            for offset in range(self.window)
        ]
        return th.cat(under, dim=1)


class Unchanged(BaseFeaturesExtractor):
    """The observation as it is: the read head takes what it reads from it."""

    def __init__(self, space: spaces.MultiDiscrete) -> None:
        super().__init__(space, len(space.nvec))

    def forward(self, obs: th.Tensor) -> th.Tensor:
        """Return the observations."""
        return obs


class ReadHeadPolicy(GruActorCriticPolicy):
    """A policy that keeps the place in the context at which it reads in its recurrent state.

    See :class:`ReadHead`. Policy head and value head share it. The stage is not read.

    :param args: those of :class:`GruActorCriticPolicy`
    :param window: how many tokens are read from the head on
    :param longest_move: of the head from one step to the next, in places
    :param kwargs: those of :class:`GruActorCriticPolicy`
    """

    def __init__(self, *args: Any, window: int = 4, longest_move: int = 4, **kwargs: Any) -> None:
        self._head_sizes = {"window": window, "longest_move": longest_move}
        kwargs |= {"shared_gru": True, "features_extractor_class": Unchanged}
        super().__init__(*args, **kwargs)

    def _build_mlp_extractor(self) -> None:
        super()._build_mlp_extractor()
        head = ReadHead(self.lstm_output_dim, **self._head_sizes)
        self.lstm_actor = head  # type: ignore[assignment]
        self.lstm_hidden_state_shape = (head.num_layers, 1, head.hidden_size)

    def extract_features(  # type: ignore[override]
        self, obs: th.Tensor, features_extractor: BaseFeaturesExtractor | None = None
    ) -> th.Tensor:
        """Return the observations themselves; Stable-Baselines3 would one-hot encode them."""
        return obs

    def initial_state(self, obs: PyTorchObs) -> th.Tensor:
        """Return zeros, with the head at the first place."""
        state = th.zeros(ReadHead.num_layers, len(obs), self.lstm_output_dim, device=self.device)
        state[2, :, 0] = 1
        return state

    def _sequences(  # type: ignore[override]
        self, head: ReadHead, inputs: th.Tensor, hidden: th.Tensor, batch_sizes: BatchSizes
    ) -> tuple[th.Tensor, th.Tensor]:
        run = super()._sequences
        shown = functional.one_hot(inputs.long(), N_TOKENS)[:, :, SHOWN].float()
        context, previous = shown[:, CONTEXT], shown[:, PREVIOUS]
        n_places = context.shape[1]
        moved, mover_state = run(head.mover, previous, hidden[:1], batch_sizes)
        places, last_places = head.move(moved, hidden[2, :, :n_places], batch_sizes)
        read = th.cat([head.read(places, context), previous], dim=1)
        outputs, reader_state = run(head.reader, read, hidden[1:2], batch_sizes)
        if batch_sizes[0] != batch_sizes[-1]:
            return outputs, hidden  # states after sequences of unequal length are not asked for
        filled = functional.pad(last_places, (0, hidden.shape[2] - n_places))
        return outputs, th.cat([mover_state, reader_state, filled.unsqueeze(0)])

    def _get_constructor_parameters(self) -> dict[str, Any]:
        data = super()._get_constructor_parameters() | self._head_sizes
        for fixed in ("shared_gru", "features_extractor_class"):
            data.pop(fixed, None)
        return data
