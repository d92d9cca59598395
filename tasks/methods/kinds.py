"""The class of each kind of params.yaml."""

from tasks.config.methods import MethodKind, MethodParams
from tasks.methods.full import Full
from tasks.methods.lora import Lora
from tasks.methods.method import Method
from tasks.methods.qlora import QLora

KINDS: dict[MethodKind, type[Method]] = {MethodKind.FULL: Full, MethodKind.LORA: Lora, MethodKind.QLORA: QLora}


def method_of(params: MethodParams) -> Method:
    """A method of params.yaml as what trains by it."""
    return KINDS[params.kind](params)
