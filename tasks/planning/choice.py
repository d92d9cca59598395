"""Which way of running a method fits, and which of those is taken."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from evalsuite.core.errors import UsageError
from tasks.config.methods import MethodKind
from tasks.methods.kinds import KINDS
from tasks.planning.architecture import Architecture
from tasks.planning.hardware import Machines
from tasks.planning.memory import Loss, Memory, Numerics, Optimizer, Setup, Strategy, host_bytes, peak
from tasks.planning.throughput import estimate_speed

BARELY = 2.0
"""Offloading is taken where a plan without it needs no more than this many times the device's memory."""
USABLE = 0.95
"""Share of a device's memory that a plan may fill; the driver and other processes have the rest."""
MOST_NODES_TRIED = 64
MICRO_BATCHES = (4, 2, 1)
BEST_FIRST = (Numerics.MIXED, Numerics.BF16_FP32_STATES, Numerics.PURE_BF16)
SIMPLEST_FIRST = (
    Strategy.ONE_DEVICE,
    Strategy.DATA_PARALLEL,
    Strategy.FSDP2,
    Strategy.ZERO1,
    Strategy.ZERO2,
    Strategy.ZERO3,
    Strategy.ZERO3_OFFLOAD_OPTIMIZER,
    Strategy.ZERO3_OFFLOAD,
)


class Request(NamedTuple):
    """What is to be trained, and where."""

    kind: MethodKind
    machines: Machines
    rank: int = 16
    targets: str | tuple[str, ...] = "all-linear"
    dora: bool = False
    optimizer: Optimizer = Optimizer.ADAMW
    numerics: Numerics | None = None
    """The best that fits when absent."""
    stochastic_rounding: bool = False
    """Of bf16 weights, by Ratchet's own optimizer."""
    sequence_tokens: int = 2048
    micro_batch: int = 4
    batch_size: int = 32
    checkpointing: bool | None = None
    """Only where it does not fit otherwise, when absent."""
    total_tokens: int = 30_000_000
    """Of all epochs."""
    strategies: tuple[Strategy, ...] = SIMPLEST_FIRST
    """Of which the simplest that fits is taken; a single one is asked for, and taken wherever it fits."""
    evaluates: bool = False
    """Each epoch's checkpoint answers the golden dev set beside the model in training."""
    trained: int | None = None
    """Parameters that the optimizer changes; counted from the architecture when absent."""
    price_per_hour: float | None = None
    """Of all machines together."""
    tokens_per_second: float | None = None
    """Measured; estimated when absent."""

    @property
    def micro_batches(self) -> int:
        """Of one optimizer step, on one device."""
        return max(1, -(-self.batch_size // (self.micro_batch * self.machines.devices)))


class Option(NamedTuple):
    """One way to run it."""

    request: Request
    setup: Setup
    memory: Memory
    host_bytes: int
    tokens_per_second: float
    bound_by: str

    @property
    def fits(self) -> bool:
        """Into each device, with some room for what nobody counted."""
        return self.memory.total <= USABLE * self.request.machines.device.memory_bytes

    @property
    def hours(self) -> float:
        """Of training, the evaluation of checkpoints left out."""
        return self.request.total_tokens / self.tokens_per_second / 3600

    @property
    def cost(self) -> float | None:
        """In the currency of the price; None without a price."""
        price = self.request.price_per_hour
        return None if price is None else self.hours * price

    @property
    def text(self) -> str:
        """In words."""
        more = " with gradient checkpointing" if self.setup.checkpointing else ""
        return f"{self.request.kind} by {self.setup.strategy}, {self.setup.numerics}, {self.setup.optimizer}{more}"


def is_supported(kind: MethodKind, strategy: Strategy, numerics: Numerics, optimizer: Optimizer) -> bool:
    """Whether the libraries can run this.

    4-bit weights are not split. DeepSpeed keeps fp32 weights for its optimizer, so bf16 weights with states of their
    own are not its numerics; its CPU optimizer has no 8-bit states, and bitsandbytes knows no DTensor (FSDP2).
    """
    if KINDS[kind].quantised and strategy.splits_weights:
        return False
    if strategy.zero_stage and numerics not in (Numerics.FP32, Numerics.MIXED):
        return False
    if optimizer.eight_bit and (strategy.offloads or strategy is Strategy.FSDP2 or numerics is Numerics.PURE_BF16):
        return False
    return not (KINDS[kind].frozen and numerics.bf16_weights)


def usable_numerics(request: Request) -> tuple[Numerics, ...]:
    """Those asked for; else what the device computes in, the best first."""
    if request.numerics is not None:
        return (request.numerics,)
    return BEST_FIRST if request.machines.device.bf16 else (Numerics.FP32,)


def list_options(model: Architecture, request: Request) -> list[Option]:
    """Every supported way on the given machines, best numerics first, then the simplest strategy."""
    machines = request.machines
    trained = request.trained or model.parameters
    if KINDS[request.kind].frozen and request.trained is None:
        trained = model.adapter_parameters(request.rank, request.targets, request.dora)
    numerics = usable_numerics(request)
    allowed = [each for each in SIMPLEST_FIRST if each in request.strategies]
    strategies = [each for each in allowed if _suits(each, machines.devices)]
    if not machines.device.cuda and len(allowed) > 1:  # a CPU's memory is the host's: nothing is gained
        strategies = [each for each in strategies if not each.offloads]
    options = []
    for number in numerics:
        for strategy in strategies:
            if not is_supported(request.kind, strategy, number, request.optimizer):
                continue
            for checkpointing in (False, True) if request.checkpointing is None else (request.checkpointing,):
                setup = Setup(
                    kind=request.kind,
                    trained=trained,
                    rank=request.rank,
                    strategy=strategy,
                    devices=machines.devices,
                    numerics=number,
                    optimizer=request.optimizer,
                    tokens=request.sequence_tokens * request.micro_batch,
                    checkpointing=checkpointing,
                    accumulates=request.micro_batches > 1,
                    loss=Loss.FUSED if machines.device.cuda else Loss.FULL,
                    cuda=machines.device.cuda,
                    evaluates=request.evaluates,
                )
                options.append(_option(model, request, setup))
    if not options:
        asked = [str(request.kind), f"--optimizer {request.optimizer}"]
        asked += [] if request.numerics is None else [f"--numerics {request.numerics}"]
        asked += [] if len(allowed) > 1 else [f"--strategy {allowed[0].value!r}"]
        remedy = "" if request.optimizer is Optimizer.ADAMW else f", or take --optimizer {Optimizer.ADAMW}"
        raise UsageError(
            f"{', '.join(asked)} cannot run on {machines.text}; leave --numerics and --strategy out{remedy}"
        )
    return options


def _suits(strategy: Strategy, devices: int) -> bool:
    """One device stands alone or offloads; several share."""
    return (
        (strategy is Strategy.ONE_DEVICE or strategy.offloads) if devices == 1 else strategy is not Strategy.ONE_DEVICE
    )


def _option(model: Architecture, request: Request, setup: Setup) -> Option:
    memory = peak(model, setup)
    speed = estimate_speed(model, setup, request.machines, request.sequence_tokens, request.micro_batches)
    return Option(
        request=request,
        setup=setup,
        memory=memory,
        host_bytes=host_bytes(model, setup, request.machines.nodes),
        tokens_per_second=request.tokens_per_second or speed.tokens_per_second,
        bound_by="measured" if request.tokens_per_second else speed.bound_by,
    )


def choose(options: Sequence[Option]) -> Option | None:
    """The first that fits: best numerics, then the whole model on each device, FSDP2, DeepSpeed, offloading last.

    Offloading moves every gradient and weight through the host's memory, so it is taken only where the same numerics
    barely overflow without it, or where it was asked for.
    """
    room = USABLE * options[0].request.machines.device.memory_bytes
    for numerics in dict.fromkeys(option.setup.numerics for option in options):
        mine = [option for option in options if option.setup.numerics is numerics]
        without = [option for option in mine if not option.setup.strategy.offloads]
        least = min((option.memory.total for option in without), default=0)
        for option in mine:
            asked = len(option.request.strategies) == 1
            if option.fits and (asked or not option.setup.strategy.offloads or least <= BARELY * room):
                return option
    return None


def choose_with_micro_batch(model: Architecture, request: Request) -> tuple[list[Option], Option | None]:
    """The largest micro-batch with the best numerics and without offloading where that can be; the options for it."""
    tried = []
    for rows in MICRO_BATCHES:
        options = list_options(model, request._replace(micro_batch=rows))
        tried.append((options, choose(options)))
    return min(tried, key=lambda each: _rank(each[1]))  # the first of equals: the largest micro-batch


def _rank(option: Option | None) -> tuple[bool, int, bool]:
    if option is None:
        return True, 0, False
    return False, list(Numerics).index(option.setup.numerics), option.setup.strategy.offloads


def command_line_changes(request: Request) -> list[tuple[str, Request]]:
    """Options of ``ratchet plan`` that need less memory, the least change first."""
    small = request._replace(micro_batch=1)
    changes = [("--micro-batch 1", small)] if request.micro_batch > 1 else []
    if request.optimizer is Optimizer.ADAMW:
        changes.append(("--micro-batch 1 --optimizer adamw_8bit", small._replace(optimizer=Optimizer.ADAMW_8BIT)))
    for kind in request.kind.lighter:
        other = small._replace(
            kind=kind, numerics=None, optimizer=Optimizer.ADAMW, strategies=SIMPLEST_FIRST, trained=None
        )
        changes.append((f"--method {kind} --micro-batch 1", other))
    if len(request.strategies) > 1:
        changes += [
            (f"--strategy {strategy.value!r}, slowly", request._replace(strategies=(strategy,)))
            for strategy in (Strategy.ZERO3_OFFLOAD_OPTIMIZER, Strategy.ZERO3_OFFLOAD)
        ]
    changes += [
        (f"--nodes {nodes}", request._replace(machines=request.machines._replace(nodes=nodes)))
        for nodes in (2, 4, 8, 16, 32, MOST_NODES_TRIED)
        if nodes > request.machines.nodes
    ]
    return changes


def what_fits(model: Architecture, changes: Iterable[tuple[str, Request]]) -> list[tuple[str, Option]]:
    """The changes with which it would fit, each with what would then run; of more nodes the fewest."""
    found = []
    for text, changed in changes:
        try:
            chosen = choose(list_options(model, changed))
        except UsageError:
            continue
        if chosen is not None:
            found.append((text, chosen))
            if text.startswith("--nodes"):
                break
    return found
