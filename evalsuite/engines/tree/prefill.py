"""Computing the nodes of a token tree, level by level, many nodes in one pass."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evalsuite.engines.tree.segments import Part, add_shared, attention, forward
from evalsuite.engines.tree.token_tree import TokenTree

CHUNK_TOKENS = 2048
"""Tokens of one pass: enough for full speed of the matrix products; a longer node is a pass of its own."""
LOGIT_FLOATS = 2**26
"""Largest number of logits of one pass (256 MiB in fp32)."""

NodeCache = dict[int, Any]
"""Number of a node -> its keys and values, (layers, 2, kv_heads, length, dim)."""


class Wanted(NamedTuple):
    """A position whose logits are asked for."""

    node: int
    offset: int
    """Within the node."""


class _Stretch(NamedTuple):
    number: int
    begin: int
    end: int


class PrefillStep:
    """Nodes of one pass, shortest first: each sees itself causally, and the whole of its ancestors."""

    def __init__(self, tree: TokenTree, numbers: Sequence[int], cache: NodeCache, device: Any) -> None:
        """Lay the nodes side by side; ``cache`` holds all their ancestors."""
        import torch

        self.stretches: list[_Stretch] = []
        begin = 0
        below: dict[int, list[int]] = {}
        for number in numbers:
            end = begin + len(tree.nodes[number].tokens)
            self.stretches.append(_Stretch(number, begin, end))
            for ancestor in tree.path(number)[:-1]:
                below.setdefault(ancestor, []).extend(range(begin, end))
            begin = end
        self._ancestors = [(cache[number], torch.tensor(rows, device=device)) for number, rows in below.items()]
        self._computed: list[tuple[Any, Any]] = []

    def attend(self, layer: int, query: Any, key: Any, value: Any, scale: float) -> Any:
        """See ``Step``."""
        import torch

        self._computed.append((key, value))
        total = Part(torch.empty_like(query), torch.empty(query.shape[:-1], dtype=torch.float32, device=query.device))
        first = 0
        while first < len(self.stretches):
            length = self.stretches[first].end - self.stretches[first].begin
            last = first
            while last < len(self.stretches) and self.stretches[last].end - self.stretches[last].begin == length:
                last += 1
            span = slice(self.stretches[first].begin, self.stretches[last - 1].end)
            part = _alone(query[span], key[span], value[span], last - first, scale)
            total.output[span], total.lse[span] = part
            first = last
        for cached, rows in self._ancestors:
            add_shared(query, total, rows, cached[layer, 0], cached[layer, 1], scale)
        return total.output

    def keys_and_values(self, stretch: _Stretch) -> Any:
        """A node's own copy, (layers, 2, kv_heads, length, dim)."""
        import torch

        span = slice(stretch.begin, stretch.end)
        layers = [torch.stack([key[span], value[span]]) for key, value in self._computed]
        return torch.stack(layers).transpose(2, 3).contiguous()


def _alone(query: Any, key: Any, value: Any, number: int, scale: float) -> Part:
    """Causal attention of ``number`` nodes of one length within themselves."""
    tokens, heads, group, dim = query.shape
    length = tokens // number
    queries = query.reshape(number, length, heads * group, dim).transpose(1, 2)
    keys, values = (
        side.reshape(number, length, heads, dim).transpose(1, 2).repeat_interleave(group, dim=1)
        for side in (key, value)
    )
    part = attention(queries, keys, values, scale, causal=True)
    return Part(
        part.output.transpose(1, 2).reshape(tokens, heads, group, dim),
        part.lse.transpose(1, 2).reshape(tokens, heads, group),
    )


def prefill(
    model: Any,
    tree: TokenTree,
    numbers: Collection[int],
    wanted: Mapping[int, Sequence[int]],
    cache: NodeCache,
    keep: Callable[[int], bool],
) -> Iterator[tuple[list[Wanted], Any]]:
    """Compute nodes whose ancestors are in ``cache`` or in ``numbers``.

    Args:
        model: A model inside ``segment_attention``.
        tree: What the numbers refer to.
        numbers: Nodes to compute.
        wanted: Node -> offsets within it whose logits are asked for.
        cache: Gets the keys and values of the nodes that ``keep`` names.
        keep: Whether a node's keys and values are needed later.

    Yields:
        What was asked for, and its logits (wanted, vocabulary); nodes without a wish come in no result.
    """
    levels: dict[int, list[int]] = {}
    for number in numbers:
        levels.setdefault(len(tree.path(number)), []).append(number)
    most = max(1, LOGIT_FLOATS // model.config.get_text_config().vocab_size)
    for _, level in sorted(levels.items()):
        for chunk in _chunks(tree, level, wanted, most):
            step = PrefillStep(tree, chunk, cache, model.device)
            asked = [Wanted(s.number, offset) for s in step.stretches for offset in wanted.get(s.number, ())]
            begins = {stretch.number: stretch.begin for stretch in step.stretches}
            nodes = [tree.nodes[number] for number in chunk]
            logits = forward(
                model,
                step,
                [token for node in nodes for token in node.tokens],
                [node.start + offset for node in nodes for offset in range(len(node.tokens))],
                [begins[wish.node] + wish.offset for wish in asked],
            )
            for stretch in step.stretches:
                if keep(stretch.number):
                    cache[stretch.number] = step.keys_and_values(stretch)
            if asked:
                yield asked, logits


def _chunks(
    tree: TokenTree, level: list[int], wanted: Mapping[int, Sequence[int]], most_logits: int
) -> Iterator[list[int]]:
    chunk: list[int] = []
    tokens = logits = 0
    for number in sorted(level, key=lambda number: (len(tree.nodes[number].tokens), number)):
        more, wishes = len(tree.nodes[number].tokens), len(wanted.get(number, ()))
        if chunk and (tokens + more > CHUNK_TOKENS or logits + wishes > most_logits):
            yield chunk
            chunk, tokens, logits = [], 0, 0
        chunk.append(number)
        tokens, logits = tokens + more, logits + wishes
    if chunk:
        yield chunk
