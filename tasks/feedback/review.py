"""What a person reviews: one proposal a record, with the side it would go to, and the decisions that come back."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evalsuite.core.errors import UsageError
from evalsuite.core.files import parse_json
from evalsuite.core.wrong_values import explain
from evalsuite.suites.golden_set.items import Message
from tasks.data.decontaminate import HeldOut
from tasks.feedback.records import Rating, Record, asked_key
from tasks.prepare.splits import position

SHOWN = 3
"""Other records that a note names."""


class Side(StrEnum):
    """Where a record goes; what one of them has is never given to the other."""

    TRAIN = "train"
    GOLDEN = "golden"


class Choice(StrEnum):
    """What a person decided."""

    ACCEPT = "accept"
    REJECT = "reject"


class Proposal(BaseModel):
    """One line of the review file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str = Field(min_length=1)
    side: Side
    """May be changed, unless the same was asked in a record of the other side."""
    messages: tuple[Message, ...] = Field(min_length=1)
    answer: str
    """What the model shall say; may be changed, and must be written where it is empty."""
    output: str
    """What it said."""
    verdict: Rating | None = None
    decision: Choice | None = None
    """``accept`` or ``reject``; null leaves the record for another time."""
    note: str = ""
    """What a reviewer should know: a held-out item that asks the same, records that were answered otherwise."""


def propose(records: Sequence[Record], known: Mapping[str, Side], golden_share: float, seed: int) -> list[Proposal]:
    """One proposal a record, in their order.

    The side depends on what was asked and the seed alone, so that the same question never lands on both and no record
    moves when others come; where a side has the question already, it stays there.

    Args:
        records: Of the inbox.
        known: ``asked_key`` -> the side that has it.
        golden_share: Share of questions that become candidate golden items (fraction 0..1).
        seed: Another one draws others.
    """
    proposals = []
    for record in records:
        key = asked_key(record.turns)
        drawn = Side.GOLDEN if position(key, seed) < golden_share else Side.TRAIN
        proposals.append(
            Proposal(
                id=record.id,
                side=known.get(key, drawn),
                messages=record.turns,
                answer=record.answer,
                output=record.output,
                verdict=record.verdict,
            )
        )
    return proposals


def noted(proposals: Sequence[Proposal], held_out: HeldOut) -> list[Proposal]:
    """The proposals, each with what a reviewer should know of it.

    One for training that asks what a held-out item asks is rejected, since taking it would be refused. Records with one
    question and different outputs name each other.
    """
    alike: dict[str, list[Proposal]] = {}
    for proposal in proposals:
        alike.setdefault(asked_key(proposal.messages), []).append(proposal)
    found = []
    for proposal in proposals:
        others = [each.id for each in alike[asked_key(proposal.messages)] if each.output != proposal.output]
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        said = [f"other outputs for the same question: {', '.join(others[:SHOWN])}{more}"] if others else []
        decision = proposal.decision
        turns = [turn.model_dump() for turn in proposal.messages]
        match = held_out.find_row(turns) if proposal.side is Side.TRAIN else None
        if match is not None:
            decision = Choice.REJECT
            said.insert(0, f"{match.item} asks the same ({match.how}), so that it must not be trained on")
        found.append(proposal.model_copy(update={"decision": decision, "note": "; ".join(said)}))
    return found


def as_label_studio(proposals: Sequence[Proposal]) -> list[dict[str, Any]]:
    """Tasks that Label Studio imports: the proposal in ``data``, with the turns as one text to show."""
    return [
        {
            "data": {
                **proposal.model_dump(mode="json"),
                "shown": "\n\n".join(f"{turn.role}: {turn.content}" for turn in proposal.messages),
            }
        }
        for proposal in proposals
    ]


def read_review(path: Path) -> list[Proposal]:
    """Reviewed proposals: our own JSON lines, or what Argilla or Label Studio exports of them as JSON.

    Raises:
        UsageError: Names the first entry that is none, or an id that appears twice.
    """
    if not path.is_file():
        raise UsageError(f"{path} is no file; `ratchet inbox sort` writes one to review")
    found: dict[str, Proposal] = {}
    for where, entry in _entries(path):
        try:
            proposal = Proposal.model_validate(_plain(entry))
        except ValidationError as error:
            raise UsageError(f"{where}: {explain(error, Proposal)}; correct it there, nothing was taken") from None
        if proposal.id in found:
            raise UsageError(f"{where}: id {proposal.id!r} appears twice; keep one of them, nothing was taken")
        found[proposal.id] = proposal
    return list(found.values())


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    text = path.read_bytes()
    try:
        if text.lstrip().startswith(b"["):
            yield from ((f"{path}#{number}", entry) for number, entry in enumerate(parse_json(text), 1))
            return
        for number, line in enumerate(text.split(b"\n"), 1):
            if line.strip():
                yield f"{path}:{number}", parse_json(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read ({error}); expected JSON lines or a JSON array") from None


def _plain(entry: Any) -> Any:
    """The proposal in an entry, with what the reviewer chose and wrote."""
    if not isinstance(entry, dict):
        return entry
    if "annotations" in entry and isinstance(entry.get("data"), dict):
        given, answers = entry["data"], _of_label_studio(entry["annotations"])
    elif isinstance(entry.get("fields"), dict):
        given, answers = {**entry["fields"], **(entry.get("metadata") or {})}, _of_argilla(entry.get("responses"))
    else:
        return entry
    given = {key: given[key] for key in Proposal.model_fields if key in given}
    return given | {key: value for key, value in answers.items() if key in ("decision", "answer", "side")}


def _of_label_studio(annotations: Any) -> dict[str, Any]:
    """``from_name`` -> the first choice or text of the last annotation that was not cancelled."""
    done = [each for each in annotations if isinstance(each, dict) and not each.get("was_cancelled")]
    answers = {}
    for result in done[-1].get("result", ()) if done else ():
        value = result.get("value") or {}
        values = value.get("choices") or value.get("text") or [None]
        answers[result.get("from_name")] = values[0] if isinstance(values, list) else values
    return answers


def _of_argilla(responses: Any) -> dict[str, Any]:
    """Question -> the last response's value."""
    listed = responses if isinstance(responses, dict) else {}
    return {name: given[-1].get("value") for name, given in listed.items() if given and isinstance(given[-1], dict)}
