"""Formulas for what each kind of job needs, from the model's size and the configuration.

Every constant says where it is from: *measured* in this project, a *datasheet* or paper, or an
*assumption*. Small models are trained and scored on CPUs, large ones on GPUs. Some formulas assume
what the stages cannot do yet (scoring in bf16 over several GPUs, sweeps that stream the experts);
docs/paper_scale.md lists it.

`job_resources.py` applies the formulas to a configuration, `machine.py` turns an estimate into a
request, `cost_plan.py` sums up a whole study. Nothing heavy is imported: the Snakefile evaluates
the formulas for every job.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mergescale.training.compute_plan import GPU_FROM
from mergescale_snakemake.machine import GB, Machine, ResourceEstimate

# Measured: training and scoring jobs of the smoke study peak at 350-610 MB (their `max_rss` under
# benchmarks/), and SLURM counts the Snakemake around a job, 110 MB.
PROCESS = 1.0 * GB
# Measured: preparing, tables and figures take 110-250 MB beside the same Snakemake.
LIGHT = 1.0 * GB
# Assumption: the rows of a public dataset or mixture in memory; the largest has 2 million rows.
ROWS = 16.0 * GB
# Measured: 2 to 6 s each in the smoke study. Assumption: half an hour for public datasets.
LIGHT_SECONDS, ROWS_SECONDS = 5.0, 1800.0

FP32, BF16 = 4, 2  # bytes
# As the trainer does it: fp32 weights and gradients, an update of the same size; Adafactor's
# second moments are factored and negligible; reading the weights holds one copy more.
TRAINING_CPU = 4 * FP32
# Where several processes train together: the gradients once more, as they are exchanged.
EXCHANGED = FP32
# On a GPU, per parameter and over all GPUs: fp32 weights and gradients, and autocast's bf16 copy.
TRAINING_GPU = 2 * FP32 + BF16
# Bytes of activations per token, layer and unit of width in 16 bits, without attention maps:
# Korthikanti et al. 2022 (arXiv 2205.05198), equation 1. Recomputed, a layer keeps its input only.
ACTIVATIONS = 34
RECOMPUTED = 2
LOGITS = 2 * FP32  # per token of the answer and word: logits and their gradient

# FLOPs per parameter and token: 2 forward, 4 backward (Kaplan et al. 2020, arXiv 2001.08361), and
# another forward pass where activations are recomputed.
FORWARD, TRAINED, TRAINED_RECOMPUTED = 2, 6, 8
# Measured: 38,000 to 1,900,000 parameters train at 50,000 to 5,000 tokens/s on one core.
CPU_FLOPS = 1e10
# Assumptions: share of a GPU's peak that is reached in training and in scoring.
TRAINING_SHARE, SCORING_SHARE = 0.35, 0.25
# The stage's default: rows of each task whose gradients make an expert's statistics.
STATISTICS_ROWS = 256
# Assumption: how full rows are, on average, of the longest length.
FILL = 0.25
# Assumptions: half of the rows are answered by generated text, and a generated token costs as much
# as eight read ones, since generation is bound by memory.
GENERATED, GENERATED_COST = 0.5, 8
# Assumptions: bytes/s of a shared file system for one job, and of a download.
READING, DOWNLOADING = 1.0 * GB, 0.1 * GB
# Assumption: bytes/s of weights that merging in memory gets through, per thread.
MERGING = 0.5 * GB
# What merging in memory holds in fp32 beside base and task vectors: the model that is scored, and
# one merged task vector for each density of a method.
MERGED_COPIES = 3
# Streamed, only the base, the model and one merged task vector. Assumption: merge_scores holds
# all experts in memory for now.
STREAMED_COPIES = 3
# Measured: merges of any size stream through 500 MB (docs/merging.md); python and torch within.
STREAMING = 1.5 * GB


@dataclass(frozen=True)
class ModelShape:
    """The numbers of a model that its jobs' needs depend on.

    Attributes:
        parameters: in all, embeddings included.
        layers: transformer layers.
        width: of the residual stream.
        words: in the vocabulary.
    """

    parameters: float
    layers: float
    width: float
    words: int

    @classmethod
    def from_parameters(cls, parameters: float, words: int = 150_000) -> ModelShape:
        """The usual shape of a model with `parameters`: 100 units of width for each layer.

        Assumption, within 30 % for the models of config/paper.yaml. A layer has about 12 width^2
        parameters.
        """
        width = (100 * parameters / 12) ** (1 / 3)
        return cls(parameters, width / 100, width, words)

    @property
    def weights(self) -> float:
        """Bytes of the weights on disk and in memory, fp32 as all stages hold and save them."""
        return self.parameters * FP32


def on_gpus(model: ModelShape, machine: Machine) -> bool:
    """Whether jobs with this model request GPUs."""
    return model.parameters >= GPU_FROM and machine.device != "cpu"


def preparation(rows_in_memory: bool = False) -> ResourceEstimate:
    """Task files, mixture, corpus, tokenizer, tables or figures: one core, little memory."""
    return (
        ResourceEstimate(ROWS, ROWS_SECONDS)
        if rows_in_memory
        else ResourceEstimate(LIGHT, LIGHT_SECONDS)
    )


def download(model: ModelShape) -> ResourceEstimate:
    """Downloading a model from the hub, in bf16; memory does not grow with the model."""
    size = model.parameters * BF16
    return ResourceEstimate(LIGHT, size / DOWNLOADING, disk=size, resumes=True)


def adoption(model: ModelShape) -> ResourceEstimate:
    """Adopting a checkpoint as a base: its files are linked or joined, never held in memory.

    Weights under other names are loaded once; the second attempt has the memory for that.
    """
    size = model.parameters * BF16
    return ResourceEstimate(PROCESS + min(size, 8 * GB), 3 * size / READING, disk=size)


def training(
    model: ModelShape,
    machine: Machine,
    *,
    steps: int,
    batch_size: int,
    length: int,
    answer: int,
    checkpoint_every: int,
    micro_batch: int = 0,
    fill: float = FILL,
) -> ResourceEstimate:
    """Pre-training, instruction tuning, an expert or a multitask model.

    Args:
        model: the model's shape.
        machine: the nodes it runs on.
        steps: optimizer steps.
        batch_size: rows of a step, over all processes.
        length: longest row in tokens.
        answer: of these, tokens with a loss.
        checkpoint_every: steps between training checkpoints; 0 for none.
        micro_batch: rows at a time in a process; 0 is all that it has of a step.
        fill: how full rows are on average, as a share of `length`.
    """
    size, tokens = model.weights, steps * batch_size * length * fill
    units = model.layers * model.width
    common = {
        "reading": size / READING,
        "disk": size,
        "state": size if checkpoint_every else 0.0,
        "resumes": bool(checkpoint_every),
    }
    saving = size / READING * (1 + (steps / checkpoint_every if checkpoint_every else 0))
    if not on_gpus(model, machine):
        row = length * units * ACTIVATIONS * 2 + answer * model.words * LOGITS
        exchanged = EXCHANGED if machine.processes > 1 else 0
        weights = model.parameters * (TRAINING_CPU + exchanged)
        rows = min(micro_batch or batch_size, math.ceil(batch_size / machine.processes))
        memory = machine.processes / machine.nodes * (PROCESS + weights + rows * row)
        seconds = tokens * model.parameters * TRAINED / (CPU_FLOPS * machine.threads)
        seconds = seconds / machine.processes + saving
        return ResourceEstimate(memory, seconds, processes=machine.processes, **common)
    row = length * (units * RECOMPUTED + model.width * ACTIVATIONS) + answer * model.words * LOGITS
    shared = model.parameters * TRAINING_GPU

    def minimum(gpus: int) -> int:
        """GPUs that hold the micro-batch that each of `gpus` processes works on."""
        rows = min(micro_batch or batch_size, math.ceil(batch_size / gpus))
        return machine.num_gpus_for(shared, rows * row)

    gpus = machine.num_gpus_for(shared)
    while gpus < minimum(gpus):
        gpus = machine.next_num_gpus(gpus)
    flops = tokens * model.parameters * TRAINED_RECOMPUTED
    seconds = flops / (gpus * machine.gpu_flops * TRAINING_SHARE)
    # One process reads the weights and broadcasts them, and gathers them at the end.
    memory = PROCESS * min(gpus, machine.gpus_per_node) + 1.25 * size
    return ResourceEstimate(memory, seconds + saving, gpus=gpus, **common)


def expert_statistics(
    model: ModelShape, machine: Machine, *, rows: float, length: int
) -> ResourceEstimate:
    """Fisher information of one expert: a gradient for each row, added up in fp32."""
    memory = PROCESS + TRAINING_CPU * model.parameters
    flops = rows * length * FILL * model.parameters * TRAINED
    reading = model.weights / READING
    if not on_gpus(model, machine):
        seconds = flops / (CPU_FLOPS * machine.threads) + reading
        return ResourceEstimate(memory, seconds, reading=reading, disk=model.weights)
    gpus = machine.num_gpus_for(TRAINING_CPU * model.parameters)
    seconds = flops / (gpus * machine.gpu_flops * TRAINING_SHARE) + reading
    return ResourceEstimate(memory, seconds, reading=reading, disk=model.weights, gpus=gpus)


def scoring(
    model: ModelShape, machine: Machine, *, rows: float, length: int, new: int
) -> ResourceEstimate:
    """Scoring `rows` examples: prompts of at most `length` tokens, at most `new` generated ones."""
    tokens = rows * FILL * (length + GENERATED * GENERATED_COST * new)
    flops = tokens * model.parameters * FORWARD
    if not on_gpus(model, machine):
        return ResourceEstimate(PROCESS + 2 * model.weights, flops / (CPU_FLOPS * machine.threads))
    # bf16 over as many GPUs as it takes, with a fifth more for keys and values.
    gpus = machine.num_gpus_for(1.2 * model.parameters * BF16)
    seconds = flops / (gpus * machine.gpu_flops * SCORING_SHARE)
    return ResourceEstimate(PROCESS + 2 * model.weights, seconds, gpus=gpus)


def reference_scores(
    model: ModelShape, machine: Machine, *, models: int, rows: float, length: int, new: int
) -> ResourceEstimate:
    """Scoring a base, its multitask model and its experts in turn, `models` in all."""
    work = scoring(model, machine, rows=rows, length=length, new=new)
    reading = models * model.weights / READING
    return ResourceEstimate(
        work.memory, work.seconds + reading, reading=reading, gpus=work.gpus, resumes=True
    )


def merge_scores(
    model: ModelShape,
    machine: Machine,
    *,
    experts: int,
    merges: int,
    rows: float,
    length: int,
    new: int,
) -> ResourceEstimate:
    """Scoring one draw: base and experts in memory, or streamed where a node cannot hold them.

    Args:
        model: the model's shape.
        machine: the nodes it runs on.
        experts: how many are merged.
        merges: settings of all methods in the sweep, and the selected ones.
        rows: examples scored in all.
        length: longest prompt in tokens.
        new: most tokens generated for an example.
    """
    work = scoring(model, machine, rows=rows, length=length, new=new)
    size = model.weights
    resident = PROCESS + (1 + experts + MERGED_COPIES) * size
    streams = resident > machine.node_memory
    memory = PROCESS + STREAMED_COPIES * size if streams else resident
    # In memory experts are read once; streamed, once for each merged task vector.
    reading = (1 + experts) * size / READING
    merging = merges * size / (MERGING * machine.threads)
    if streams:
        merging += experts * size / READING
    seconds = work.seconds + reading + merging
    return ResourceEstimate(memory, seconds, reading=reading, gpus=work.gpus, resumes=True)


def merged_model(model: ModelShape, machine: Machine, *, experts: int) -> ResourceEstimate:
    """Writing a merged model, streamed: memory does not depend on the model."""
    read = (1 + experts) * model.weights
    seconds = (read + model.weights) / min(READING, MERGING * machine.threads)
    return ResourceEstimate(STREAMING, seconds, disk=model.weights, resumes=True)
