"""Loglikelihoods: contexts, few-shot examples and common beginnings of options are computed once."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from evalsuite.engines.tree.prefill import NodeCache, prefill
from evalsuite.engines.tree.token_tree import TokenTree

MIN_SAVED_TOKENS = 4


class EncodedPair(NamedTuple):
    """A context and its continuation, neither empty."""

    context: list[int]
    continuation: list[int]


def loglikelihoods(
    model: Any, pairs: Sequence[EncodedPair], batch_tokens: int
) -> Iterator[tuple[int, tuple[float, bool]]]:
    """Yield each pair's number with (summed log-probability in nats, whether every token is the greedy one).

    The last token of a continuation is never computed, and logits only where a continuation's token is predicted:
    options of one token each cost nothing beyond their common context.

    Args:
        model: A model inside ``segment_attention``.
        pairs: What is asked.
        batch_tokens: Upper bound on the tokens that are cached at one time.
    """
    tree = TokenTree([[*pair.context, *pair.continuation[:-1]] for pair in pairs], MIN_SAVED_TOKENS)
    for numbers, indices in _groups(tree, batch_tokens):
        asked: dict[int, dict[int, list[tuple[int, int]]]] = {}
        for index in indices:
            for position, token in enumerate(pairs[index].continuation, len(pairs[index].context) - 1):
                node = _node_at(tree, index, position)
                offset = position - tree.nodes[node].start
                asked.setdefault(node, {}).setdefault(offset, []).append((index, token))
        totals = dict.fromkeys(indices, 0.0)
        greedy = dict.fromkeys(indices, True)
        left = {index: len(pairs[index].continuation) for index in indices}
        cache: NodeCache = {}
        wanted = {node: sorted(offsets) for node, offsets in asked.items()}
        for wishes, logits in prefill(model, tree, numbers, wanted, cache, lambda n: tree.nodes[n].has_children):
            targets = [(row, *entry) for row, wish in enumerate(wishes) for entry in asked[wish.node][wish.offset]]
            for (_, index, token), (value, best) in zip(targets, _log_probabilities(logits, targets), strict=True):
                totals[index] += value
                greedy[index] &= best == token
                left[index] -= 1
                if not left[index]:
                    yield index, (totals[index], greedy[index])


def _log_probabilities(logits: Any, targets: Sequence[tuple[int, int, int]]) -> list[tuple[float, int]]:
    """(log-probability of the token, greedy token) for each (row, pair, token)."""
    import torch

    logits = logits.float()
    rows = torch.tensor([row for row, _, _ in targets], device=logits.device)
    tokens = torch.tensor([token for _, _, token in targets], device=logits.device)
    values = logits[rows, tokens] - logits.logsumexp(-1)[rows]
    return list(zip(values.tolist(), logits.argmax(-1)[rows].tolist(), strict=True))


def _groups(tree: TokenTree, batch_tokens: int) -> Iterator[tuple[list[int], list[int]]]:
    """Whole trees of like length together, up to ``batch_tokens``: (node numbers, sequence indices)."""
    members: dict[int, list[int]] = {}
    roots: list[int] = []
    for number, node in enumerate(tree.nodes):
        roots.append(number if node.parent is None else roots[node.parent])
        members.setdefault(roots[number], []).append(number)
    sizes = {root: sum(len(tree.nodes[number].tokens) for number in numbers) for root, numbers in members.items()}
    group: list[int] = []
    held = 0
    for root in sorted(members, key=lambda root: (-sizes[root], root)):
        if group and held + sizes[root] > batch_tokens:
            yield group, [index for number in group for index in tree.nodes[number].ends]
            group, held = [], 0
        group += members[root]
        held += sizes[root]
    if group:
        yield group, [index for number in group for index in tree.nodes[number].ends]


def _node_at(tree: TokenTree, index: int, position: int) -> int:
    """The node of a sequence that holds a position."""
    return next(n for n in reversed(tree.path(tree.end_node[index])) if tree.nodes[n].start <= position)
