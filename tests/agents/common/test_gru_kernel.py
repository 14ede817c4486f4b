"""The GRU with its gradient by hand, against torch's."""

import pytest
import torch as th
from torch import nn

from agents.common.gru_kernel import gru_sequences


@pytest.mark.parametrize("lengths", [[1], [7, 7, 7], [5, 3, 3, 1], [120], [60, 2]])
def test_gradients_are_those_of_torch(lengths):
    th.manual_seed(0)
    gru = nn.GRU(5, 4).double()
    sequences = [th.randn(length, 5).double() for length in lengths]
    packed = nn.utils.rnn.pack_sequence(sequences)
    hidden = th.randn(1, len(lengths), 4).double()
    leaves = [tensor.requires_grad_() for tensor in (packed.data, hidden, *gru.parameters())]
    inputs, hidden, input_weight, weight, input_bias, bias = leaves
    gates = nn.functional.linear(inputs, input_weight, input_bias)
    ours = gru_sequences(gates, hidden[0], weight, bias, packed.batch_sizes.tolist())
    theirs = gru(packed, hidden)[0].data
    th.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
    outer = th.randn_like(ours)
    gradients = [th.autograd.grad((states * outer).sum(), leaves) for states in (ours, theirs)]
    th.testing.assert_close(*gradients, rtol=0, atol=1e-13)
