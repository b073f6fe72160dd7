"""Instruction mixtures from a folder or from the hub, without what models are evaluated on.

- `readers`: reads the rows of a source in batches;
- `decontamination`: removes T0's tasks by name, and rows with an n-gram overlap with evaluation;
- `t0_datasets`: the names of T0's datasets;
- `sampling`: samples the mixture.

The mixture of the micro world is `mergescale.tasks.micro_world.mixture`.
"""
