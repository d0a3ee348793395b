"""The differentiable neural computer of one row, by loops, as in Graves et al. 2016."""

from __future__ import annotations

import torch
from torch import Tensor

from textgen.models.cells import Cell
from textgen.models.dnc import Dnc


def oneplus(value: Tensor) -> Tensor:
    return 1 + torch.log(1 + torch.exp(value))


def content(memory: Tensor, key: Tensor, strength: Tensor) -> Tensor:
    """C(M, k, β) over the slots."""
    scores = []
    for slot in memory:
        length = torch.sqrt((slot @ slot + 1e-6) * (key @ key + 1e-6))
        scores.append(strength * (slot @ key) / length)
    powers = torch.stack(scores).exp()
    return powers / powers.sum()


def allocation(usage: Tensor) -> Tensor:
    found = torch.zeros_like(usage)
    product = torch.ones((), dtype=usage.dtype)
    for slot in sorted(range(len(usage)), key=lambda number: float(usage[number].detach())):
        found[slot] = (1 - usage[slot]) * product
        product = product * usage[slot]
    return found


def dnc(cell: Cell, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
    assert isinstance(cell, Dnc)
    _, h, c, r, memory, usage, precedence, links, w, heads = state
    gates = cell.weight_input @ x + cell.bias + cell.weight_recurrent @ h
    i, f, new, o = (gates + cell.weight_reads @ r.flatten()).chunk(4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(new)
    h = torch.sigmoid(o) * torch.tanh(c)
    xi = list((cell.weight_interface @ h + cell.bias_interface).split(list(cell.interface)))
    keys, strengths = xi[0].view(cell.reads, cell.width), oneplus(xi[1])
    key, strength, erase, vector = xi[2], oneplus(xi[3])[0], torch.sigmoid(xi[4]), xi[5]
    free, g_a, g_w = torch.sigmoid(xi[6]), torch.sigmoid(xi[7])[0], torch.sigmoid(xi[8])[0]
    modes = xi[9].view(cell.reads, 3).softmax(1)
    retained = torch.ones_like(usage)
    for head in range(cell.reads):
        retained = retained * (1 - free[head] * heads[head])
    usage = ((usage + w - usage * w) * retained).clamp(0, 1)
    w = g_w * (g_a * allocation(usage) + (1 - g_a) * content(memory, key, strength))
    new_memory, new_links = torch.zeros_like(memory), torch.zeros_like(links)
    for slot in range(cell.slots):
        new_memory[slot] = memory[slot] * (1 - w[slot] * erase) + w[slot] * vector
        for other in range(cell.slots):
            if slot != other:
                kept = (1 - w[slot] - w[other]) * links[slot, other]
                new_links[slot, other] = kept + w[slot] * precedence[other]
    memory, links = new_memory, new_links
    precedence = (1 - w.sum()) * precedence + w
    found = []
    for head in range(cell.reads):
        backward, forward = links.T @ heads[head], links @ heads[head]
        by_content = content(memory, keys[head], strengths[head])
        found.append(
            modes[head, 0] * backward + modes[head, 1] * by_content + modes[head, 2] * forward
        )
    heads = torch.stack(found)
    r = heads @ memory
    output = cell.weight_output @ h + cell.weight_output_reads @ r.flatten()
    return output, h, c, r, memory, usage, precedence, links, w, heads
