"""The typed configuration of a study: every key with its type, range, default and meaning.

This is the one source, with `data.py` (sections `tasks`, `corpus`, `mixture`) and `training.py`:
defaults, checks and error messages, `workflow/schemas/config.schema.json` (for editors) and
`config/README.md` all follow from it; `make reference` writes the two files. What concerns several
keys, or files, is checked in `validators.py`.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WrapValidator

from mergescale.config.data import Corpus, Mixture, Tasks
from mergescale.config.fields import (
    Count,
    Name,
    Positive,
    PositiveNumber,
    RemoveNulls,
    Section,
    Text,
    Unique,
    check_number,
    optional,
    read_number,
)
from mergescale.config.training import Training

Lambda = Annotated[float, Field(ge=0, le=1), WrapValidator(check_number)]


class Size(Section):
    """One model size: an architecture, a checkpoint, or a model of the hub."""

    hidden_size: Positive | None = optional("Width of the residual stream.")
    layers: Positive | None = optional("Transformer blocks.")
    heads: Positive | None = optional("Attention heads; they divide `hidden_size`.")
    intermediate_size: Positive | None = optional("Width of the feed-forward layer.")
    checkpoint: Text | None = optional(
        "Hugging Face folder of a causal language model with its tokenizer, relative to the "
        "working directory, in place of the four keys above."
    )
    hub: Text | None = optional(
        "Causal language model of the Hugging Face hub, `owner/name`, with safetensors weights; in "
        "place of the keys above. It is downloaded once, by a job that runs where there is a "
        "network."
    )
    revision: Text | None = optional(
        "Commit of the `hub` model, by its full hash; a branch or tag may change."
    )
    parameters: PositiveNumber | None = optional(
        "Number of parameters of the model, e.g. `7.6e9`; needed with `hub`, where it decides what "
        "jobs request from the scheduler before anything is downloaded."
    )


class Models(Section):
    """The section `models`."""

    max_length: int = Field(
        96,
        ge=8,
        description="Longest sequence in tokens, prompt and answer together; longer prompts lose "
        "their beginning.",
    )
    sizes: Annotated[
        dict[Name, Annotated[Size, Field(description="One size.")]],
        Field(min_length=1),
        RemoveNulls,
    ] = Field(
        {
            "40k": Size(hidden_size=28, layers=2, heads=2, intermediate_size=72),
            "120k": Size(hidden_size=56, layers=2, heads=4, intermediate_size=152),
            "250k": Size(hidden_size=72, layers=3, heads=4, intermediate_size=192),
            "500k": Size(hidden_size=96, layers=4, heads=4, intermediate_size=256),
        },
        description="The sizes by name; figures and tables have them in order of their number of "
        "parameters. A size is built from scratch (`hidden_size`, `layers`, `heads`, "
        "`intermediate_size`), read from a `checkpoint`, or downloaded from the `hub`.",
    )


class Draws(Section):
    """The section `draws`."""

    counts: Annotated[list[Positive], Field(min_length=1), Unique] = Field(
        [2, 4, 6, 8],
        description="Numbers of experts to merge, each at most the number of held-in categories.",
    )
    seeds: Annotated[list[Count], Field(min_length=1), Unique] = Field(
        [1, 2, 3], description="Seeds; each draws one set of held-in categories per count."
    )


def _read_settings(value: Any) -> Any:
    """Numbers of a method's settings that only YAML 1.2 reads as such; null removes a setting."""
    if not isinstance(value, dict):
        return value
    return {
        key: [read_number(item) for item in entry]
        if isinstance(entry, list)
        else read_number(entry)
        for key, entry in value.items()
        if entry is not None
    }


MethodSettings = Annotated[
    dict[
        str,
        Annotated[Any, Field(description="A parameter that the method's file declares.")],
    ],
    BeforeValidator(_read_settings),
    Field(
        description="Parameters of one method, as its file declares them with their ranges; a list "
        "is swept."
    ),
]
"""Checked by the method's own declaration (`validators.check_methods`)."""


class Merging(Section):
    """The section `merging`."""

    trim_scope: Literal["model", "tensor"] = Field(
        "model",
        description="Whether trimming (TIES) keeps the largest magnitudes of the whole `model` or "
        "of each `tensor`.",
    )
    lambdas: Annotated[list[Lambda], Field(min_length=1), Unique] = Field(
        [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
        description="Values of lambda that a method sweeps unless it lists its own.",
    )
    methods: Annotated[dict[str, MethodSettings], Field(min_length=1), RemoveNulls] = Field(
        {
            "averaging": {},
            "task_arithmetic": {},
            "ties": {"density": [0.2, 0.1]},
            "dare_ties": {"density": [0.2, 0.1]},
        },
        description="The merging methods, in the order of figures and tables. A method's name is "
        "the name of its file under `workflow/mergescale/merging/methods/`.",
    )


class Evaluation(Section):
    """The section `evaluation`."""

    validation_rows: Positive = Field(
        16,
        description="Validation examples of a dataset that a sweep is decided on, at most "
        "`tasks.rows.validation`.",
    )
    test_rows: Positive = Field(
        64,
        description="Test examples of a dataset that scores are reported on, at most "
        "`tasks.rows.test`.",
    )
    batch_tokens: Positive = Field(2048, description="Tokens of a batch in evaluation.")
    end_token: bool = Field(
        False,
        description="Whether the end-of-text token counts in the log-probability of a choice.",
    )
    max_new_tokens: Positive = Field(24, description="Longest generated answer in tokens.")


class Cluster(Section):
    """The section `compute.cluster`."""

    gpu_memory: PositiveNumber = Field(80, description="Memory of one GPU in GB.")
    gpu_teraflops: PositiveNumber = Field(
        312, description="Peak of one GPU in bf16 without sparsity, TFLOP/s; 312 is an A100."
    )
    gpus_per_node: Positive = Field(8, description="GPUs of one node.")
    node_memory: PositiveNumber = Field(1000, description="Memory of one node in GB.")
    max_hours: PositiveNumber = Field(
        48,
        description="Longest run time that a job may request, in hours. Training that takes longer "
        "resumes from its training checkpoint when the job is submitted again.",
    )


class Compute(Section):
    """The section `compute`."""

    threads: Positive = Field(
        1,
        description="Threads of a merging job, and of each process of a training job on CPUs. On "
        "GPUs the training processes of a node share them.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where models run; `auto` takes a GPU if there is one."
    )
    job_server: bool = Field(
        True,
        description="Whether one process that has imported torch and transformers runs the jobs of "
        "a local run, each in a child of its own, so that no job spends seconds on imports. Linux "
        "only; never on a cluster.",
    )
    processes: Positive = Field(
        1,
        description="Processes of a training job on CPUs, with `threads` each; they share the rows "
        "of a step. On GPUs there is one for each GPU.",
    )
    nodes: Positive = Field(
        1,
        description="Nodes of a cluster that these processes are spread over evenly. On GPUs the "
        "number of nodes follows from `gpus_per_node`.",
    )
    micro_batch: Count = Field(
        0,
        description="Rows that a training process works on at a time; gradients add up over a "
        "step. Fewer rows take less memory; 0 is all rows of a step that the process has.",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Precision of matrix products in training; weights, gradients and optimizer "
        "are fp32. `auto` takes bf16 for models of at least 50 million parameters on GPUs.",
    )
    sharding: Literal["auto", "always"] = Field(
        "auto",
        description="Whether each of several training processes holds only a part of the weights. "
        "`auto` does so for models of at least 50 million parameters on GPUs.",
    )
    cluster: Cluster = Field(
        default_factory=Cluster,
        description="The nodes of a cluster, from which the memory, GPUs and run time that jobs "
        "request are computed. Local runs ignore it.",
    )


class StudyConfig(Section):
    """The configuration of a study."""

    study: Name = Field(
        "default", description="Name of the study and of its folder under `results/`."
    )
    seed: Count = Field(
        2, description="Seed of the task files, the initial weights and the order of training."
    )
    tasks: Tasks = Field(
        default_factory=Tasks,
        description="The datasets that experts are trained on and models are evaluated on.",
    )
    corpus: Corpus = Field(
        default_factory=Corpus,
        description="The text that bases are pre-trained on, generated by the micro world.",
    )
    mixture: Mixture = Field(
        default_factory=Mixture,
        description="The FLAN-like mixture for instruction tuning; it has none of the study's "
        "datasets.",
    )
    bases: Annotated[list[Literal["pt", "it"]], Field(min_length=1), Unique] = Field(
        ["pt", "it"],
        description="Kinds of base model, `pt` (pre-trained) and `it` (the same model, "
        "instruction-tuned).",
    )
    models: Models = Field(default_factory=Models, description="The model sizes.")
    training: Training = Field(
        default_factory=Training,
        description="The four stages of training; one loop with cosine decay of the learning rate "
        "runs them all.",
    )
    draws: Draws = Field(
        default_factory=Draws,
        description="Which experts are merged, the same for all bases, sizes and methods.",
    )
    merging: Merging = Field(
        default_factory=Merging,
        description="How task vectors become a merged model, and what is swept on validation rows.",
    )
    evaluation: Evaluation = Field(default_factory=Evaluation, description="How models are scored.")
    compute: Compute = Field(
        default_factory=Compute,
        description="The machine. Nothing here changes what is computed, only how fast (up to "
        "rounding).",
    )
