"""Scoring models: bases, experts and multitask models, and the merges of one draw.

Score files say what a model scored on each dataset and how the model came to be; prediction files
hold every example. Finished evaluations are kept (`evaluation.kept`).
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
import torch
from transformers.modeling_utils import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from mergescale.evaluation.cache import Predictions, ResultCache
from mergescale.evaluation.scorer import EvalConfig, Scorer, mean_score
from mergescale.evaluation.task_groups import Category, load_groups
from mergescale.models.loading import load, position_limit
from mergescale.models.tokenizers import Encoder
from mergescale.provenance.atomic import replacing, write_json
from mergescale.provenance.digests import code_digest, method_digest
from mergescale.provenance.versions import versions
from mergescale.stages.template_scores import template_scores
from mergescale.timing import timed

_PREDICTIONS = pa.schema(
    [
        ("task", pa.string()),
        ("id", pa.string()),
        ("template", pa.string()),
        ("answer", pa.string()),
        ("score", pa.float64()),
        ("choice_scores", pa.list_(pa.float64())),
    ]
)


@dataclass
class Evaluator:
    """A model in memory, the tasks it is asked, and the results kept so far.

    Attributes:
        model: resident; whoever scores puts the weights in place first.
        categories: of the tasks, held-in ones first.
        test, validation: batches of both splits; `validation` has held-in tasks only.
        kept: finished evaluations.
    """

    model: PreTrainedModel
    categories: tuple[Category, ...]
    test: Scorer
    validation: Scorer
    kept: ResultCache

    @classmethod
    def open(
        cls,
        base: Path,
        *,
        tasks: Path,
        categories: Sequence[Category],
        options: EvalConfig,
        max_length: int,
        rows: dict[str, int],
        kept: Path,
        device: str,
    ) -> Evaluator:
        """Load the model and tokenizer of `base`, and read and encode the tasks' rows.

        Args:
            rows: how many of the `test` rows are scored, and of the `validation` rows if any.

        Raises:
            ValueError: a category or a task is named twice.
        """
        for names in ([c.name for c in categories], [t for c in categories for t in c.tasks]):
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise ValueError(f"{twice[0]} is given twice among the categories and their tasks")
        model, tokenizer = load(base)
        model.eval().to(device)
        encoder = build_encoder(model, tokenizer, max_length)
        held_in = [c for c in categories if c.role == "held_in"] if "validation" in rows else []
        validation = load_groups(tasks, held_in, "validation", rows.get("validation", 0))
        return cls(
            model,
            tuple(categories),
            Scorer(encoder, load_groups(tasks, categories, "test", rows["test"]), options),
            Scorer(encoder, validation, options),
            ResultCache(kept, options, encoder),
        )

    def predict(
        self,
        weights: str,
        place: Callable[[], None],
        only: set[str] | None = None,
        done: Callable[[int], None] = lambda rows: None,
    ) -> Predictions:
        """Test predictions of the weights with digest `weights`; `place` puts them in the model.

        Args:
            only: names of the categories to score; all where None.
            done: told how many rows were scored, as they are.
        """
        put_in_place = _once(place)
        found: Predictions = {}
        for number, category in enumerate(self.categories):
            if only is not None and category.name not in only:
                continue

            def compute(number: int = number) -> Predictions:
                put_in_place()
                with timed("evaluation"):
                    return self.test.predict(self.model, number, done)

            found |= self.kept.predictions(weights, self.test.groups[number], compute)
        return found

    def validate(self, weights: str, place: Callable[[], None]) -> dict[str, float]:
        """Scores on the validation rows of the held-in tasks, by task."""
        put_in_place = _once(place)
        found: dict[str, float] = {}
        for number, group in enumerate(self.validation.groups):

            def compute(number: int = number) -> dict[str, float]:
                put_in_place()
                with timed("evaluation"):
                    rows = self.validation.predict(self.model, number)
                return {task: mean_score(predictions) for task, predictions in rows.items()}

            found |= self.kept.scores(weights, group, compute)
        return found

    def score_record(self, predictions: Predictions) -> dict[str, dict]:
        """Score, metric, role, category, number of rows and of truncated prompts of each dataset.

        Where every template was asked about the same rows, also the score of each template and the
        median over them; the score itself is the mean over all examples.
        """
        about = {task.name: task for group in self.test.groups for task in group}
        return {
            task: {
                "score": mean_score(predictions[task]),
                "metric": about[task].metric,
                "rows": len(predictions[task]),
                "truncated": self.test.truncated[task],
                **template_scores(predictions[task]),
                "role": category.role,
                "category": category.name,
                "digest": about[task].digest,
            }
            for category in self.categories
            for task in category.tasks
            if task in predictions
        }


def build_encoder(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Encoder:
    """How prompts become token ids for this model; never more than it has positions for.

    Raises:
        ValueError: the tokenizer has no end token.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError(
            "the model's tokenizer has no end token; name it in tokenizer_config.json (eos_token)"
        )
    limit = position_limit(model)
    return Encoder(
        tokenizer,
        max_length if limit is None else min(max_length, limit),
        encoder_decoder=model.config.is_encoder_decoder,
    )


def provenance(*stages: str, method: str | None = None) -> dict:
    """What computed a record: digests of its stages' and its method's source, library versions."""
    own = {"method_code": method_digest(method)} if method else {}
    return {"code": code_digest(*stages), **own, "versions": versions()}


def write_scores(path: Path, record: dict) -> None:
    """Write one score file."""
    write_json(path, record)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions as parquet: task, id, template, answer, score, choice_scores."""
    lines = "\n".join(
        json.dumps({"task": task, **asdict(prediction)})
        for task, group in predictions.items()
        for prediction in group
    )
    # By way of JSON, because pyarrow imports pandas (0.7 s) to look at lists of Python objects.
    table = pyarrow.json.read_json(
        io.BytesIO(lines.encode()),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=_PREDICTIONS),
    )
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def load_weights_into(
    model: PreTrainedModel, weights: dict[str, torch.Tensor], label: str = "the other model"
) -> None:
    """Put the weights of another folder of the same architecture into the resident model.

    Raises:
        ValueError: a tensor is missing, superfluous or of another shape; the message names it.
    """
    parameters = dict(model.named_parameters())
    known = parameters.keys() | dict(model.named_buffers()).keys()
    if odd := sorted((parameters.keys() - weights.keys()) | (weights.keys() - known)):
        raise ValueError(f"tensor {odd[0]} is in only one of {label} and the base")
    for name, parameter in parameters.items():
        if parameter.shape != weights[name].shape:
            raise ValueError(
                f"{label}: tensor {name} has shape {tuple(weights[name].shape)}, "
                f"but {tuple(parameter.shape)} in the base"
            )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])


def _once(place: Callable[[], None]) -> Callable[[], None]:
    """Call `place` at most once, and only if somebody needs the weights."""
    done: list[bool] = []

    def call() -> None:
        if not done:
            place()
            done.append(True)

    return call
