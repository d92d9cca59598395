"""Decoding: rows enter as others end, and what rows share stays shared."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from evalsuite.engines.base import GenerationRequest
from evalsuite.engines.tree.prefill import NodeCache, prefill
from evalsuite.engines.tree.sampling import likeliest, next_tokens
from evalsuite.engines.tree.segments import Part, add_shared, attention, forward
from evalsuite.engines.tree.stop_strings import Stopper
from evalsuite.engines.tree.token_tree import TokenTree

MAX_ROWS = 128
REFILL_FRACTION = 0.25
"""New rows enter once this share of the rows has ended (fraction 0..1)."""
GROWTH_TOKENS = 64
"""The rows' own cache grows by at least this many tokens."""


@dataclass
class Row:
    """A completion in progress."""

    index: int
    """Of its request."""
    request: GenerationRequest
    shared: list[int]
    """Nodes that it reads in place."""
    num_prompt: int
    num_own: int
    """Tokens in its own cache."""
    tokens: list[int] = field(default_factory=list)


class _DecodeStep:
    """One new token for each of ``rows``."""

    def __init__(self, own: Any, lengths: Sequence[int], shared: list[tuple[Any, Any]], dtype: Any) -> None:
        import torch

        self._own = own
        self._shared = shared
        ends = torch.tensor(lengths, device=own.device)
        self._slots = torch.arange(len(lengths), device=own.device)
        self._last = ends - 1
        self._longest = max(lengths)
        unseen = torch.arange(self._longest, device=own.device) >= ends[:, None]
        mask = torch.zeros(unseen.shape, dtype=dtype, device=own.device).masked_fill(unseen, float("-inf"))
        self._mask = mask[:, None, None]

    def attend(self, layer: int, query: Any, key: Any, value: Any, scale: float) -> Any:
        """See ``Step``."""
        keys, values = self._own[layer]
        keys[self._slots, :, self._last] = key
        values[self._slots, :, self._last] = value
        number = len(self._slots)
        total = Part(
            *attention(
                query,
                keys[:number, :, : self._longest],
                values[:number, :, : self._longest],
                scale,
                mask=self._mask,
            )
        )
        for cached, rows in self._shared:
            add_shared(query, total, rows, cached[layer, 0], cached[layer, 1], scale)
        return total.output


class Decoder:
    """Continuous batching over one token tree."""

    def __init__(
        self,
        model: Any,
        tree: TokenTree,
        requests: Sequence[GenerationRequest],
        stopper: Stopper,
        batch_tokens: int,
    ) -> None:
        """Plan the order: trees with the longest prompts first, so that rows of like length decode together.

        Args:
            model: A model inside ``segment_attention``.
            tree: Of the requests' prompts.
            requests: What is asked, by the tree's sequence index.
            stopper: Ends rows.
            batch_tokens: Upper bound on cached tokens.
        """
        self._model = model
        self._tree = tree
        self._requests = requests
        self._stopper = stopper
        self._batch_tokens = batch_tokens
        self._cache: NodeCache = {}
        self._rows: list[Row] = []
        self._own: Any = None
        self._shared: list[tuple[Any, Any]] = []
        paths = {index: tree.path(number) for index, number in tree.end_node.items()}
        self._users = [0] * len(tree.nodes)
        longest: dict[int, int] = {}
        for path in paths.values():
            for number in path:
                self._users[number] += 1
            end = tree.nodes[path[-1]]
            longest[path[0]] = max(longest.get(path[0], 0), end.start + len(end.tokens))
        self._paths = paths
        order = sorted(paths, key=lambda index: (-longest[paths[index][0]], paths[index], index))
        self._pending = deque(order)

    def run(self) -> Iterator[tuple[Row, bool]]:
        """Yield each row when it ends, with False where its length limit cut it."""
        full = 0
        while self._pending or self._rows:
            if self._pending and len(self._rows) <= (1 - REFILL_FRACTION) * full:
                chosen = self._admit()
                full = len(self._rows)
                yield from self._settle(chosen)
            if self._rows:
                yield from self._settle(self._step())

    def _admit(self) -> list[tuple[Row, int]]:
        """Compute the prompts of as many pending requests as there is room for; returns them with their first token."""
        chosen: list[Row] = []
        nodes: dict[int, None] = {}
        held = sum(len(self._tree.nodes[number].tokens) for number in self._cache)
        widest = max((row.num_own + row.request.max_new_tokens - len(row.tokens) for row in self._rows), default=0)
        while self._pending and len(self._rows) + len(chosen) < MAX_ROWS:
            row = self._row(self._pending[0])
            new = [n for n in self._paths[row.index] if n not in self._cache and n not in nodes]
            held += sum(len(self._tree.nodes[number].tokens) for number in new)
            widest = max(widest, row.num_own + row.request.max_new_tokens)
            count = len(self._rows) + len(chosen)
            if count and held + (count + 1) * widest > self._batch_tokens:
                break
            self._pending.popleft()
            nodes |= dict.fromkeys(new)
            chosen.append(row)
        if not chosen:
            return []
        # The last position of a node that is there already has to be computed again for its logits.
        ends = {self._tree.end_node[row.index] for row in chosen}
        nodes |= dict.fromkeys(ends)
        wanted = {number: [len(self._tree.nodes[number].tokens) - 1] for number in ends}
        first: dict[int, int] = {}
        drawn_from: dict[int, Any] = {self._tree.end_node[row.index]: None for row in chosen if row.request.temperature}
        for wishes, logits in prefill(self._model, self._tree, nodes, wanted, self._cache, lambda _: True):
            for wish, token, at_end in zip(wishes, likeliest(logits), logits, strict=True):
                first[wish.node] = token
                if wish.node in drawn_from:
                    drawn_from[wish.node] = at_end[None].clone()
        self._grow(len(self._rows) + len(chosen), max(row.num_own for row in (*self._rows, *chosen)))
        for slot, row in enumerate(chosen, len(self._rows)):
            if row.num_own:
                self._own[:, :, slot, :, : row.num_own] = self._cache[self._tree.end_node[row.index]]
        self._rows += chosen
        for number in ends:
            if not self._tree.nodes[number].has_children:
                self._cache.pop(number)
        self._find_shared()
        tokens = []
        for row in chosen:
            node = self._tree.end_node[row.index]
            # Requests with one prompt share its logits, and draw by their own seeds.
            sampled = row.request.temperature > 0.0
            tokens.append(next_tokens(drawn_from[node], [row.request], [0])[0] if sampled else first[node])
        return list(zip(chosen, tokens, strict=True))

    def _row(self, index: int) -> Row:
        number = self._tree.end_node[index]
        node, path = self._tree.nodes[number], self._paths[index]
        own = 0 if node.has_children else len(node.tokens)
        shared = path if node.has_children else path[:-1]
        return Row(index, self._requests[index], shared, node.start + len(node.tokens), own)

    def _step(self) -> list[tuple[Row, int]]:
        lengths = [row.num_own + 1 for row in self._rows]
        self._grow(len(self._rows), max(lengths))
        step = _DecodeStep(self._own, lengths, self._shared, self._own.dtype)
        logits = forward(
            self._model,
            step,
            [row.tokens[-1] for row in self._rows],
            [row.num_prompt + len(row.tokens) - 1 for row in self._rows],
            range(len(self._rows)),
        )
        for row in self._rows:
            row.num_own += 1
        requests, positions = [row.request for row in self._rows], [len(row.tokens) for row in self._rows]
        return list(zip(self._rows, next_tokens(logits, requests, positions), strict=True))

    def _settle(self, chosen: list[tuple[Row, int]]) -> Iterator[tuple[Row, bool]]:
        """Add each row's new token; rows that end make room for the last one."""
        ended: list[tuple[Row, bool]] = []
        for row, token in chosen:
            stopped = self._stopper.is_end(token, row.request)
            if not stopped:
                row.tokens.append(token)
                stopped = self._stopper.stops(row.tokens, row.request)
            if stopped or len(row.tokens) >= row.request.max_new_tokens:
                ended.append((row, stopped))
        for row, _ in ended:
            slot, last = self._rows.index(row), self._rows.pop()
            if last is not row:
                self._own[:, :, slot, :, : last.num_own] = self._own[:, :, len(self._rows), :, : last.num_own]
                self._rows[slot] = last
            for number in self._paths[row.index]:
                self._users[number] -= 1
                if not self._users[number]:
                    self._cache.pop(number, None)
        if ended:
            self._find_shared()
        yield from ended

    def _find_shared(self) -> None:
        """Which rows read which node."""
        import torch

        readers: dict[int, list[int]] = {}
        for slot, row in enumerate(self._rows):
            for number in row.shared:
                readers.setdefault(number, []).append(slot)
        device = self._model.device
        self._shared = [(self._cache[number], torch.tensor(slots, device=device)) for number, slots in readers.items()]

    def _grow(self, slots: int, tokens: int) -> None:
        """Make the rows' own cache, (layers, 2, slots, kv_heads, tokens, dim), at least this large."""
        if self._own is not None and self._own.shape[2] >= slots and self._own.shape[4] >= tokens:
            return
        sample = next(iter(self._cache.values())) if self._own is None else self._own[:, :, 0]
        old = (0, 0) if self._own is None else (self._own.shape[2], self._own.shape[4])
        slots, tokens = max(slots, old[0]), max(tokens + GROWTH_TOKENS, old[1])
        grown = sample.new_zeros((*sample.shape[:2], slots, sample.shape[2], tokens, sample.shape[4]))
        if self._own is not None:
            grown[:, :, : old[0], :, : old[1]] = self._own
        self._own = grown
