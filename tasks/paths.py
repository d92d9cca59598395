"""Where every stage reads and writes, relative to the project's root."""

from dataclasses import dataclass
from pathlib import Path

CODE_FOLDER = ".ratchet/code"
"""What stands for the sources in a project that runs with the installed package."""


@dataclass(frozen=True)
class ArtifactPaths:
    """The layout that dvc.yaml declares; tests give another root."""

    root: Path = Path()

    @property
    def params(self) -> Path:
        """The configuration."""
        return self.root / "params.yaml"

    @property
    def pipeline(self) -> Path:
        """The stages, as DVC reads them."""
        return self.root / "dvc.yaml"

    def relative(self, path: Path) -> str:
        """A path below the root as dvc.yaml writes it."""
        return path.relative_to(self.root).as_posix()

    @property
    def prepared(self) -> Path:
        """train.jsonl, dev.jsonl, trail.parquet, report.html, data_card.md and report.json."""
        return self.root / "data" / "prepared"

    @property
    def data_report(self) -> Path:
        """How many rows were read, dropped and kept."""
        return self.prepared / "report.json"

    @property
    def trail(self) -> Path:
        """What became of every row that was read."""
        return self.prepared / "trail.parquet"

    @property
    def forgotten(self) -> Path:
        """Rows that no later version may have: hashes, not texts; committed."""
        return self.root / "data" / "forgotten.jsonl"

    @property
    def plans(self) -> Path:
        """METHOD.json a method, and ``baseline.json``: the champion that this run is judged against."""
        return self.root / "plans"

    @property
    def baseline_pin(self) -> Path:
        """Which champion this run is judged against."""
        return self.plans / "baseline.json"

    @property
    def stopping(self) -> Path:
        """When a candidate's evaluation may stop."""
        return self.plans / "stopping.json"

    def inputs(self, stage: str) -> Path:
        """What one kind of stage reads from outside the project."""
        return self.plans / "inputs" / f"{stage}.json"

    def code(self, stage: str) -> Path:
        """The hash of a stage's code, in a project that runs with the installed package (tasks/installed)."""
        return self.root / CODE_FOLDER / f"{stage}.json"

    def plan(self, method: str) -> Path:
        """One method's plan."""
        return self.plans / f"{method}.json"

    def export(self, model: str) -> Path:
        """Complete weights of ``base``, ``champion`` or a method, with a manifest."""
        return self.root / "models" / model / "export"

    def train_log(self, method: str) -> Path:
        """What training did."""
        return self.root / "models" / method / "train_log.json"

    def live(self, method: str) -> Path:
        """The training's curves, in DVCLive's format."""
        return self.root / "models" / method / "live"

    @property
    def tracked_runs(self) -> Path:
        """What TensorBoard, W&B and MLflow write on this machine."""
        return self.root / "runs"

    def checkpoints(self, method: str, rate: float | None = None) -> Path:
        """Epoch checkpoints; not a DVC output, so that a killed training can go on from them.

        Where several learning rates are tried, each has a folder of its own.
        """
        folder = self.root / "checkpoints" / method
        return folder if rate is None else folder / f"rate-{rate!r}"

    def evals(self, model: str) -> Path:
        """SUITE/{items.parquet,summary.json}, costs.json and settings.json of one model."""
        return self.root / "evals" / model

    def eval_settings(self, model: str) -> Path:
        """The section ``evaluation``, with its defaults, by which a model was evaluated."""
        return self.evals(model) / "settings.json"

    @property
    def eval_cache(self) -> Path:
        """Answers of every model that was evaluated; may be deleted at any time."""
        return self.root / ".ratchet" / "eval_cache"

    @property
    def served_answers(self) -> Path:
        """What served models answered about rows, by hash of the question; may be deleted, and is asked again then."""
        return self.root / ".ratchet" / "served"

    @property
    def personal_findings(self) -> Path:
        """Where personal data stands in texts, by hash of the text; may be deleted, and is looked for again then."""
        return self.root / ".ratchet" / "personal"

    @property
    def run_log(self) -> Path:
        """All that the last ``ratchet run`` and its stages said."""
        return self.root / ".ratchet" / "run.log"

    @property
    def token_cache(self) -> Path:
        """Tokenised rows; may be deleted at any time."""
        return self.root / ".ratchet" / "tokens"

    @property
    def reports(self) -> Path:
        """What reviewers read."""
        return self.root / "reports"

    @property
    def comparison(self) -> Path:
        """Methods side by side, and the chosen candidate."""
        return self.reports / "comparison.json"

    @property
    def contamination(self) -> Path:
        """Gated items that training rows give away."""
        return self.reports / "contamination.json"

    @property
    def decision(self) -> Path:
        """The gate's decision."""
        return self.reports / "decision.json"

    @property
    def report(self) -> Path:
        """The promotion report."""
        return self.reports / "promotion.html"

    @property
    def model_card(self) -> Path:
        """The candidate's model card."""
        return self.reports / "model_card.md"

    def stored_decision(self, decision_id: str) -> Path:
        """A decision with its evidence, for replay."""
        return self.registry / "decisions" / f"{decision_id[:16]}.json.gz"

    @property
    def registry(self) -> Path:
        """ledger.jsonl, champion.json and one pointer a promoted model."""
        return self.root / "registry"
