"""Bytes on one device during a training step, component by component, at the moment when most is held.

States of parameters follow ZeRO (Rajbhandari et al. 2020, arXiv:1910.02054, sections 3 and 5). What a block keeps for
its backward pass is what autograd saves in transformers 5.23's modules with memory-efficient attention, as counted in
tests/tasks/planning/test_activations.py; Korthikanti et al. 2022 (arXiv:2205.05198) count GPT-2's block the same way.
"""

from enum import StrEnum
from typing import NamedTuple

from tasks.config.launch import Strategy as Strategy
from tasks.config.methods import MethodKind
from tasks.config.numerics import Numerics as Numerics
from tasks.config.numerics import Optimizer as Optimizer
from tasks.methods.kinds import KINDS
from tasks.methods.method import Method
from tasks.planning.architecture import Architecture, Block, Reads

LOGIT_BYTES = 12
"""bf16 or fp32 logits that the trainer keeps, their fp32 log-softmax, its gradient, and one cast on the way."""
IN_PLACE_LOGIT_BYTES = 4
"""fp32 logits that become their gradient: Ratchet's on a CPU (tasks/training/optim/loss.py)."""
CHUNKED_LOGIT_BYTES = 2 + 2 / 8
"""All bf16 logits, and the gradient of one of eight parts (torchtune, CEWithChunkedOutputLoss, compiled)."""
FUSED_TILE = 4096 * 32768
"""Logits that exist at once (TRL 1.16, kernels/chunked_logprob.py: tokens times vocabulary)."""
CONTEXT_BYTES = {"cpu": 2**30, "cuda": 2**29}
"""Of one process, assumed: Python with torch, transformers, trl and a BERTScore model; CUDA's context."""
FRAGMENTATION = 0.1
"""Share that CUDA's caching allocator loses of what comes and goes within a step, assumed."""
CPU_FRAGMENTATION = {"full": 0.4, "checkpointing": 1.0, "adapters": 1.2}
"""The same of glibc's allocator, gradients included: it reuses few of the blocks that a micro-batch frees, and the
fewer the more short-lived ones lie between them; where blocks are computed again, gradients and logits find none. Set
from three runs of SmolLM2-135M (benchmarks/memory.py: smollm2-full-short, -full-checkpointing and -lora); the other
configurations there test it."""
BUCKET_BYTES = {"ddp": 25 * 2**20, "zero": 500_000_000 * 2}
"""Gradients that travel together: torch's bucket_cap_mb, and DeepSpeed's reduce_bucket_size of 16-bit values."""
SUB_GROUP = 1_000_000_000
"""Parameters that ZeRO-3 updates at once (DeepSpeed, sub_group_size)."""
PREFETCHED_BLOCKS = 2
"""A sharded block that works, and the next one, gathered meanwhile."""


class Loss(StrEnum):
    """How the loss gets its logits."""

    FULL = "full"
    CHUNKED = "chunked"
    FUSED = "fused"
    """Tile by tile, and again in the backward pass, with fp32 gradients: TRL's on a GPU."""


class Setup(NamedTuple):
    """How a method would run."""

    kind: MethodKind
    trained: int
    """Parameters that the optimizer changes: all of them, or the adapters'."""
    rank: int = 16
    strategy: Strategy = Strategy.ONE_DEVICE
    devices: int = 1
    numerics: Numerics = Numerics.MIXED
    optimizer: Optimizer = Optimizer.ADAMW
    tokens: int = 4096
    """Of one micro-batch on one device, all rows together."""
    checkpointing: bool = False
    """Keep a block's input alone and compute the rest again in the backward pass."""
    accumulates: bool = True
    """Gradients of earlier micro-batches lie there while the next one runs."""
    loss: Loss = Loss.FULL
    loss_tokens: int | None = None
    """Those whose logits are computed; all when absent."""
    compiled: bool = False
    cuda: bool = True
    evaluates: bool = False
    """A checkpoint answers the golden dev set beside the model in training, whose gradients are freed by then."""

    @property
    def method(self) -> type[Method]:
        """What the kind is and costs."""
        return KINDS[self.kind]


class Memory(NamedTuple):
    """Bytes on one device, at one moment."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    other: int
    """Casts and gathered copies of weights, buffers, the device's context, fragmentation."""

    @property
    def total(self) -> int:
        """All together."""
        return sum(self)


def peak(model: Architecture, setup: Setup) -> Memory:
    """What one device must have: the moment of a step with the most tensors, the allocator's loss and the context."""
    moments = [at_loss(model, setup), at_end_of_backward(model, setup), at_step(model, setup)]
    if setup.evaluates:
        loaded = _compute_bytes(setup) * model.loaded_parameters
        moments.append(_states(model, setup)._replace(gradients=0, other=loaded))
    moment = max(moments, key=lambda each: each.total)
    other = moment.other + CONTEXT_BYTES["cuda" if setup.cuda else "cpu"]
    if setup.cuda:
        other += int(FRAGMENTATION * (moment.activations + moment.logits + moment.other))
    else:
        churn = moment.gradients + moment.activations + moment.logits + moment.other
        full = "checkpointing" if setup.checkpointing else "full"
        other += int(CPU_FRAGMENTATION["adapters" if setup.method.frozen else full] * churn)
    return moment._replace(other=other)


def at_loss(model: Architecture, setup: Setup) -> Memory:
    """Tensors when all blocks have run forward and the loss starts to run back, or the last block is computed again."""
    states = _states(model, setup)
    logits = logit_bytes(model, setup)
    gradients, other = states.gradients, _copies_of_weights(model, setup)
    if not setup.method.frozen and not setup.strategy.splits_weights:
        head = model.head or model.hidden * model.vocabulary
        if not _keeps_gradients(setup):
            gradients = min(gradients, _weight_bytes(setup) * head)
        # the output layer's gradient of this micro-batch, made beside the one that is kept; by then the full loss has
        # 4 of its 12 bytes left
        made = {Loss.CHUNKED: _weight_bytes(setup) * head, Loss.FUSED: 4 * head}.get(setup.loss, 0)
        if setup.loss is Loss.FULL and _keeps_gradients(setup):
            freed = logits * 2 // 3 if setup.cuda else 0
            made = max(0, _weight_bytes(setup) * head - freed)
        other += made
    activations = activation_bytes(model, setup)
    if setup.checkpointing:
        again = setup.tokens * max(block_activation_bytes(block, model.hidden, setup) for block in model.blocks)
        activations += max(0, again - logits)
    return states._replace(gradients=gradients, activations=activations, logits=logits, other=other)


def logit_bytes(model: Architecture, setup: Setup) -> int:
    """Logits and what the loss makes of them, at the worst moment."""
    tokens = setup.tokens if setup.loss_tokens is None else setup.loss_tokens
    if setup.loss is Loss.FUSED:
        tile = min(FUSED_TILE, tokens * model.vocabulary)
        return _compute_bytes(setup) * tile + 4 * tokens * model.hidden
    full = LOGIT_BYTES if setup.cuda else IN_PLACE_LOGIT_BYTES
    width = CHUNKED_LOGIT_BYTES if setup.loss is Loss.CHUNKED else full
    return int(width * tokens * model.vocabulary)


def at_end_of_backward(model: Architecture, setup: Setup) -> Memory:
    """Tensors when all gradients are there and one block's activations are left."""
    last = max(block_activation_bytes(block, model.hidden, setup) for block in model.blocks)
    return _states(model, setup)._replace(activations=setup.tokens * last, other=_copies_of_weights(model, setup))


def at_step(model: Architecture, setup: Setup) -> Memory:
    """Tensors while the optimizer works: DeepSpeed casts its gradients to fp32, at stage 3 group by group."""
    states = _states(model, setup)
    if not setup.strategy.zero_stage or setup.strategy.offloads or _weight_bytes(setup) == 4:
        return states
    part = setup.trained // setup.devices
    cast = 4 * (min(part, SUB_GROUP) if setup.strategy.zero_stage == 3 else part)
    return states._replace(gradients=states.gradients + cast)


def activation_bytes(model: Architecture, setup: Setup) -> int:
    """What all blocks keep from the forward to the backward pass: with checkpointing, their inputs alone."""
    if setup.checkpointing:
        return setup.tokens * model.layers * _residual_bytes(setup) * model.hidden
    return setup.tokens * sum(
        block.repeats * block_activation_bytes(block, model.hidden, setup) for block in model.blocks
    )


def block_activation_bytes(block: Block, hidden: int, setup: Setup) -> int:
    """Bytes a token that autograd saves in one block, the attention matrix never stored.

    The terms are: each norm's input and, where its weights are trained, its normalised output; the inputs of the linear
    layers, one tensor for all that read the same norm unless each casts its own; query, key, value and output of the
    attention; the MLP's inner tensors; the adapters' inner tensors. A compiled block keeps no fp32 copies for its norms
    and computes the product inside a gated MLP from what it keeps.
    """
    adapted = setup.method.frozen
    compute = _compute_bytes(setup)
    casts = compute == 2 and (adapted or setup.numerics is Numerics.MIXED) and not setup.compiled
    norm_input = 4 if block.rms_norm and not setup.compiled else _residual_bytes(setup)
    norm_output = 0 if adapted or setup.compiled or not block.rms_norm else _weight_bytes(setup)
    norms = block.norms * hidden * (norm_input + norm_output)
    inputs = 0
    for linear in block.linears:
        if linear.reads is Reads.NORM and casts:
            inputs += linear.inputs
        elif linear.reads is Reads.ATTENTION:
            inputs += linear.inputs if adapted and casts else 0
    if not casts:
        inputs += 2 * hidden
    inputs += block.mlp_width
    attention = 2 * block.attention_width + 2 * block.kv_width
    if any(linear.outputs == block.attention_width + 2 * block.kv_width for linear in block.linears):
        attention += block.attention_width + block.kv_width  # the value is a view, which keeps the joint tensor
    mlp = block.mlp_width * ((1 if setup.compiled else 2) + 1 if block.gated else 1)
    inner = setup.rank * len(block.linears) if adapted else 0
    return norms + compute * (inputs + attention + mlp + inner)


def host_bytes(model: Architecture, setup: Setup, nodes: int) -> int:
    """Memory of one machine that offloading needs: fp32 weights, gradients and two states, and bf16 weights too."""
    if not setup.strategy.offloads:
        return 0
    each = 16 * setup.trained
    if setup.strategy is Strategy.ZERO3_OFFLOAD:
        each += 2 * setup.trained + setup.method.frozen * _compute_bytes(setup) * model.loaded_parameters
    return each // nodes


def _states(model: Architecture, setup: Setup) -> Memory:
    """Weights, gradients and optimizer states, shared out as the strategy does."""
    strategy, devices = setup.strategy, setup.devices
    weight, trained = _weight_bytes(setup), setup.trained
    split = devices if strategy.splits_weights else 1
    if setup.method.frozen:
        weights = _frozen_bytes(model, setup) / split + weight * trained / split
    else:
        weights = weight * model.loaded_parameters / split
    gradients = weight * trained / (devices if strategy.zero_stage >= 2 or strategy is Strategy.FSDP2 else 1)
    optimizer = (
        setup.optimizer.state_bytes(setup.numerics)
        * trained
        / (devices if strategy.zero_stage or strategy is Strategy.FSDP2 else 1)
    )
    if strategy.zero_stage:
        optimizer += 4 * trained / devices  # DeepSpeed's own fp32 weights
    if strategy.offloads:
        gradients, optimizer = weight * trained / devices, 0.0
    if strategy is Strategy.ZERO3_OFFLOAD:
        weights = 0.0
        gradients = 0.0
    return Memory(int(weights), int(gradients), int(optimizer), 0, 0, 0)


def _frozen_bytes(model: Architecture, setup: Setup) -> float:
    compute, linear = _compute_bytes(setup), model.linear_parameters
    return setup.method.linear_bytes(compute) * linear + compute * (model.loaded_parameters - linear)


def _copies_of_weights(model: Architecture, setup: Setup) -> int:
    """Casts that autocast keeps, buckets that gradients are reduced in, and blocks gathered from all devices."""
    compute = _compute_bytes(setup)
    if setup.strategy.splits_weights:
        width = setup.method.linear_bytes(compute)
        gathered = width * PREFETCHED_BLOCKS * model.largest_block + compute * (model.embedding + model.head)
        reduced = 0 if setup.method.frozen else compute * model.largest_block
        return int(gathered + reduced)
    copies = 0
    if setup.numerics is Numerics.MIXED and setup.cuda and not setup.strategy.zero_stage:
        # torch.autocast keeps the bf16 copy of each fp32 weight until the forward pass ends
        copies += 2 * setup.trained
    if setup.devices > 1:
        bucket = BUCKET_BYTES["zero" if setup.strategy.zero_stage else "ddp"]
        copies += min(_weight_bytes(setup) * setup.trained, bucket)
    return copies


def _keeps_gradients(setup: Setup) -> bool:
    return setup.accumulates or setup.strategy.zero_stage > 0


def _weight_bytes(setup: Setup) -> int:
    """Of one trained weight. DeepSpeed's are bf16 beside the fp32 ones that its optimizer keeps."""
    if setup.numerics is Numerics.FP32:
        return 4
    if setup.numerics is Numerics.MIXED:
        return 2 if setup.strategy.zero_stage else 4
    return 2


def _compute_bytes(setup: Setup) -> int:
    return 4 if setup.numerics is Numerics.FP32 else 2


def _residual_bytes(setup: Setup) -> int:
    """Of the stream between blocks: under autocast it takes the embedding's type."""
    if not setup.method.frozen and setup.numerics is Numerics.MIXED and not setup.strategy.zero_stage:
        return 2 if setup.strategy is Strategy.FSDP2 else 4
    return _compute_bytes(setup)
