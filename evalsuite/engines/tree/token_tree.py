"""A tree of token sequences: what several of them begin with is one node, so that it is computed once."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Node:
    """A stretch of tokens that every sequence below it has at the same place."""

    start: int
    """Position of the first token in its sequences."""
    tokens: tuple[int, ...]
    parent: int | None
    """Number of the node that comes before it."""
    ends: list[int] = field(default_factory=list)
    """Indices of the sequences whose last token is this node's last."""
    has_children: bool = False


class TokenTree:
    """Nodes in an order in which every parent comes before its children."""

    def __init__(self, sequences: Sequence[Sequence[int]], min_saved: int) -> None:
        """Build the tree.

        Args:
            sequences: Token ids, none empty; the same sequence may come more than once.
            min_saved: A shared stretch becomes a node of its own where it saves at least this many tokens; a shorter
                one costs more to handle than to compute again.
        """
        self.nodes: list[Node] = []
        self.end_node: dict[int, int] = {}
        """Index of a sequence -> number of the node that it ends in."""
        copies: dict[tuple[int, ...], list[int]] = {}
        for index, sequence in enumerate(sequences):
            copies.setdefault(tuple(sequence), []).append(index)
        ordered = sorted(copies)
        stack: list[tuple[int, int, int, int | None]] = [(0, len(ordered), 0, None)] if ordered else []
        while stack:
            low, high, depth, parent = stack.pop()
            first, last = ordered[low], ordered[high - 1]
            if high - low == 1:
                self._end(self._add(depth, first[depth:], parent) if len(first) > depth else parent, copies[first])
                continue
            common = depth + common_length(first[depth:], last[depth:])
            if (common - depth) * (high - low - 1) >= min_saved:
                parent = self._add(depth, first[depth:common], parent)
                depth = common
            if len(first) == common:
                self._end(self._add(depth, first[depth:], parent) if common > depth else parent, copies[first])
                low += 1
            stack += [(begin, end, depth, parent) for begin, end in _branches(ordered, low, high, common)]

    def path(self, number: int) -> list[int]:
        """Numbers of a node's ancestors and of itself, the root first."""
        numbers: list[int] = []
        current: int | None = number
        while current is not None:
            numbers.append(current)
            current = self.nodes[current].parent
        return numbers[::-1]

    @property
    def num_tokens(self) -> int:
        """Tokens to compute."""
        return sum(len(node.tokens) for node in self.nodes)

    def _add(self, start: int, tokens: tuple[int, ...], parent: int | None) -> int:
        if parent is not None:
            self.nodes[parent].has_children = True
        self.nodes.append(Node(start, tokens, parent))
        return len(self.nodes) - 1

    def _end(self, number: int | None, indices: list[int]) -> None:
        if number is None:
            raise ValueError("a sequence is empty")
        self.nodes[number].ends += indices
        self.end_node.update(dict.fromkeys(indices, number))


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Number of leading tokens that two sequences share."""
    for position, (left, right) in enumerate(zip(first, second, strict=False)):
        if left != right:
            return position
    return min(len(first), len(second))


def _branches(ordered: list[tuple[int, ...]], low: int, high: int, position: int) -> list[tuple[int, int]]:
    """Ranges of sorted sequences that have the same token at ``position``."""
    ranges = []
    begin = low
    for index in range(low + 1, high + 1):
        if index == high or ordered[index][position] != ordered[begin][position]:
            ranges.append((begin, index))
            begin = index
    return ranges
