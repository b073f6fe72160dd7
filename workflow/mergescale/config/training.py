"""The section `training`: the four stages of training, each with overrides by size.

A key of a stage is declared once; overrides have the same keys, all of them optional.
"""

from typing import Annotated, Any

from pydantic import Field, create_model

from mergescale.config.fields import (
    Count,
    Name,
    Number,
    Positive,
    PositiveNumber,
    RemoveNulls,
    Section,
    Text,
    optional,
)

Steps = Annotated[Positive, Field(description="Steps of the optimizer.")]
Objective = Annotated[
    Text,
    Field(description="Loss: the name of a file of `workflow/mergescale/training/objectives/`."),
]
BatchSize = Annotated[
    Positive, Field(description="Examples per step; in pre-training, rows of `length` tokens.")
]
LearningRate = Annotated[PositiveNumber, Field(description="Peak learning rate.")]
Warmup = Annotated[
    Count, Field(description="Steps of linear warm-up, at most `steps`; cosine decay to 0 follows.")
]
CheckpointEvery = Annotated[
    Count,
    Field(
        description="Steps between two training checkpoints, from which a killed job resumes; "
        "0 writes none."
    ),
]


def overrides_of(stage: type[Section]) -> Any:
    """The type of a stage's key `sizes`: any keys of the stage, for each size that has its own."""
    keys: dict[str, Any] = {
        name: (Annotated[field.annotation, *field.metadata] | None, optional(field.description))
        for name, field in stage.model_fields.items()
    }
    overrides = create_model(f"{stage.__name__}Overrides", __base__=Section, **keys)
    entry = Annotated[overrides, Field(description="Any of the keys above, for this size.")]
    return Annotated[
        dict[Name, entry],
        RemoveNulls,
        Field(
            description="Overrides of these settings by size, e.g. `500k` with a `learning_rate` "
            "of its own.",
        ),
    ]


class PretrainKeys(Section):
    """Keys of pre-training."""

    steps: Annotated[Count, Field(description="Steps of the optimizer; 0 skips the stage.")] = 4500
    batch_size: BatchSize = 8
    length: Annotated[int, Field(ge=2, description="Tokens of a pre-training row.")] = 64
    learning_rate: LearningRate = 2e-2
    warmup: Warmup = 100
    checkpoint_every: CheckpointEvery = 1000
    objective: Objective = "language_modeling"


class InstructKeys(Section):
    """Keys of instruction tuning."""

    steps: Steps = 7500
    batch_size: BatchSize = 16
    learning_rate: LearningRate = 1e-2
    warmup: Warmup = 100
    checkpoint_every: CheckpointEvery = 1000
    objective: Objective = "answer_loss"


class ExpertKeys(Section):
    """Keys of the fine-tuning of an expert."""

    steps: Steps = 800
    batch_size: BatchSize = 8
    learning_rate: LearningRate = 1e-2
    warmup: Warmup = 20
    checkpoint_every: CheckpointEvery = 0
    objective: Objective = "answer_loss"


class MultitaskKeys(Section):
    """Keys of the fine-tuning of a multitask model."""

    steps: Steps = 1600
    batch_size: BatchSize = 8
    learning_rate: LearningRate = 1e-2
    warmup: Warmup = 50
    checkpoint_every: CheckpointEvery = 800
    objective: Objective = "answer_loss"


class Pretrain(PretrainKeys):
    """Pre-training, with overrides by size."""

    sizes: overrides_of(PretrainKeys) = {}


class Instruct(InstructKeys):
    """Instruction tuning, with overrides by size."""

    sizes: overrides_of(InstructKeys) = {}


class Expert(ExpertKeys):
    """Fine-tuning of experts, with overrides by size."""

    sizes: overrides_of(ExpertKeys) = {}


class Multitask(MultitaskKeys):
    """Fine-tuning of multitask models, with overrides by size."""

    sizes: overrides_of(MultitaskKeys) = {}


class Training(Section):
    """The section `training`."""

    dropout: Number = Field(0.0, ge=0, lt=1, description="Dropout rate in every stage.")
    weight_decay: Number = Field(
        0.0, ge=0, description="Weight decay of the optimizer in every stage."
    )
    optimizer: Text = Field(
        "adafactor",
        description="Optimizer in every stage: the name of a file of "
        "`workflow/mergescale/training/optimizers/`. Learning rates depend on it: Adafactor's are "
        "relative to the root mean square of each tensor.",
    )
    pretrain: Pretrain = Field(
        default_factory=Pretrain,
        description="Pre-training on the corpus. `steps` 0 leaves the size as it was built or "
        "read, which is how a `checkpoint` is used as it is.",
    )
    instruct: Instruct = Field(
        default_factory=Instruct,
        description="Instruction tuning of the pre-trained base on the mixture, which makes the "
        "base `it`.",
    )
    expert: Expert = Field(
        default_factory=Expert,
        description="Full fine-tuning of a base on the datasets of one held-in category.",
    )
    multitask: Multitask = Field(
        default_factory=Multitask,
        description="Full fine-tuning of a base on all held-in categories together, the baseline "
        "of merging.",
    )
